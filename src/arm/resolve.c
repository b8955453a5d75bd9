// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/resolve.h"

#include <errno.h>
#include <string.h>

static int resolve_field(const struct profile *profile, const char *path, uint64_t *ret_value)
{
	struct profile_field field;

	if (profile_field(profile, path, &field) < 0)
		return -ENOENT;
	*ret_value = field.offset;
	return 0;
}

/*
 * Since Linux e57ef2ed97c1 ("x86: Put hot per CPU variables into a struct") (in v6.2) the variable current_task
 * is a member of pcpu_hot.
 */
static int resolve_current_task(const struct profile *profile, uint64_t *ret_value)
{
	uint64_t base = profile_symbol(profile, "pcpu_hot"), member;

	if (base && resolve_field(profile, "pcpu_hot.current_task", &member) == 0) {
		*ret_value = base + member;
		return 0;
	}
	*ret_value = profile_symbol(profile, "current_task");
	return *ret_value ? 0 : -ENOENT;
}

/*
 * Functions return by x86_return_thunk, a variable since Linux 095b8303f383 ("x86/alternative: Make custom return thunk
 * unconditional") (in v6.5, and stable kernels); before, by __x86_return_thunk itself. When the variable leads to that one, the kernel has
 * patched all its returns to plain ones, and since 4461438a8405 ("x86/retpoline: Ensure default return thunk isn't used at
 * runtime") (in v6.9) warns of whoever uses the thunk: the guard's own is a plain return.
 */
static int resolve_return_thunk(const struct profile *profile, uint64_t *ret_value)
{
	uint64_t variable = profile_symbol(profile, "x86_return_thunk");
	uint64_t plain = profile_symbol(profile, "__x86_return_thunk"), thunk = plain;

	if (variable && (space_read_u64(profile_space(profile), variable, &thunk) < 0 ||
			 thunk == plain || thunk < profile_symbol(profile, "_stext") ||
			 thunk >= profile_symbol(profile, "_etext")))
		return -ENOENT;
	*ret_value = thunk;
	return thunk ? 0 : -ENOENT;
}

int resolve_name(void *data, const char *name, uint64_t *ret_value)
{
	const struct resolve *resolve = data;

	if (!strncmp(name, "field.", 6))
		return resolve_field(resolve->profile, name + 6, ret_value);
	if (!strncmp(name, "enumerator.", 11))
		return profile_enumerator(resolve->profile, name + 11, ret_value);
	if (!strncmp(name, "size.", 5))
		*ret_value = profile_struct_size(resolve->profile, name + 5);
	else if (!strcmp(name, "percpu.current_task"))
		return resolve_current_task(resolve->profile, ret_value);
	else if (!strcmp(name, "__x86_return_thunk"))
		return resolve_return_thunk(resolve->profile, ret_value);
	else if (!strcmp(name, "vault"))
		*ret_value = resolve->vault;
	else if (!strcmp(name, "mailbox"))
		*ret_value = resolve->mailbox;
	else
		*ret_value = profile_symbol(resolve->profile, name);
	return *ret_value ? 0 : -ENOENT;
}

uint64_t resolve_system_call_entry(const struct profile *profile)
{
	return profile_symbol(profile, "smp_call_function_single")
		       ? profile_symbol(profile, "entry_SYSCALL_64")
		       : 0;
}
