// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arm/lsm_list.h"
#include "arm/static_call.h"
#include "contract/guard_abi.h"
#include "util/cleanup.h"

#define BANK_SIZE 0x800 /* of list nodes in the vault */

enum need {
	ESSENTIAL, /* without it the guard would do harm, or nothing */
	WANTED, /* without it some operations pass: only with --allow-partial */
	WALKED, /* the same; and where hooks are static calls, the kernel walks over this one's slots: static_call_find_walked() */
	OPTIONAL, /* a kernel without it has no need of it */
	ON_DEMAND, /* armed only for `trap: every-access` */
};

/*
 * In the order of arming. A name that stands twice has changed its parameters: inode_setattr with Linux 314a8dc728d0 ("security:
 * Align inode_setattr hook definition with EVM") (in v6.9). Some are newer than others: inode_set_acl and inode_remove_acl since
 * 72b3897e7828 (v6.2; before, ACLs pass inode_setxattr), file_ioctl_compat since f1bb47a31dff (v6.8, and stable kernels);
 * bpf_prog where there is CONFIG_BPF_SYSCALL.
 */
static const struct {
	const char *name; /* of the LSM hook, or of the delayed work */
	const char *function; /* the guard's */
	const char *parameters; /* as profile_parameters(); "?" stands for any: it is not looked at */
	enum need need;
} wanted[] = {
	{ "sb_delete", "guard_sb_delete", "super_block", ESSENTIAL },
	{ "sb_pivotroot", "guard_sb_pivotroot", "path path", WANTED },
	{ "path_chroot", "guard_path_chroot", "path", WANTED },
	{ "sb_mount", "guard_sb_mount", ". path . . .", WANTED },
	{ "move_mount", "guard_move_mount", "path path", WANTED },
	{ "sb_umount", "guard_sb_umount", "vfsmount .", WANTED },
	{ "inode_create", "guard_inode_create", "inode dentry .", WANTED },
	{ "inode_mkdir", "guard_inode_mkdir", "inode dentry .", WANTED },
	{ "inode_mknod", "guard_inode_mknod", "inode dentry . .", WANTED },
	{ "inode_symlink", "guard_inode_symlink", "inode dentry .", WANTED },
	{ "inode_link", "guard_inode_link", "dentry inode dentry", WANTED },
	{ "inode_unlink", "guard_inode_unlink", "inode dentry", WANTED },
	{ "inode_rmdir", "guard_inode_unlink", "inode dentry", WANTED },
	{ "inode_rename", "guard_inode_rename", "inode dentry inode dentry", WANTED },
	{ "inode_setattr", "guard_inode_setattr", "dentry iattr", WANTED },
	{ "inode_setattr", "guard_inode_setattr_idmapped", "mnt_idmap dentry iattr", WANTED },
	{ "inode_setxattr", "guard_inode_setxattr", "? dentry . . . .", WANTED },
	{ "inode_removexattr", "guard_inode_setxattr", "? dentry .", WANTED },
	{ "inode_set_acl", "guard_inode_setxattr", "? dentry . posix_acl", OPTIONAL },
	{ "inode_remove_acl", "guard_inode_setxattr", "? dentry .", OPTIONAL },
	{ "inode_copy_up", "guard_inode_copy_up", "dentry .", WANTED },
	{ "file_ioctl", "guard_file_ioctl", "file . .", WANTED },
	{ "file_ioctl_compat", "guard_file_ioctl", "file . .", OPTIONAL },
	{ "mmap_file", "guard_mmap_file", "file . . .", WANTED },
	{ "file_mprotect", "guard_file_mprotect", "vm_area_struct . .", WANTED },
	{ "file_receive", "guard_file_receive", "file", WANTED },
	{ "locked_down", "guard_locked_down", ".", WANTED },
	{ "kernel_read_file", "guard_kernel_read_file", "file . .", WANTED },
	{ "kernel_load_data", "guard_kernel_load_data", ". .", WANTED },
	{ "bpf_prog", "guard_bpf_prog", "bpf_prog", OPTIONAL },
	{ "ptrace_access_check", "guard_ptrace_access_check", "task_struct .", WANTED },
	{ "task_prctl", "guard_task_prctl", ". . . . .", WALKED },
	{ "fs_context_parse_param", "guard_fs_context_parse_param", "fs_context fs_parameter",
	  WALKED },
	{ "file_permission", "guard_file_permission", "file .", ON_DEMAND },
	{ "file_open", "guard_file_open", "file", ESSENTIAL },
	{ "shepherd", "guard_errand", NULL, ESSENTIAL },
};

_Static_assert(ARRAY_SIZE(wanted) <= HOOKS_MAX, "room for all hooks");
_Static_assert(STATIC_CALL_NODE_SIZE == LSM_LIST_NODE_SIZE, "in the same places");
_Static_assert((ARRAY_SIZE(wanted) + 1) * LSM_LIST_NODE_SIZE <= BANK_SIZE, "room for their nodes");
_Static_assert(GUARD_VAULT_HOOKS + HOOKS_BANKS * BANK_SIZE <= GUARD_VAULT_RECORD, "and for all "
										  "banks");

const char *hook_means_name(enum hook_means means)
{
	switch (means) {
	case HOOK_LSM_LIST:
		return "lsm-list";
	case HOOK_STATIC_CALL:
		return "static-call";
	case HOOK_WORK:
		return "work-function";
	}
	return "?";
}

/* The word that holds a delayed work's function, or 0. */
static uint64_t work_function(const struct profile *profile, const char *name)
{
	uint64_t work = profile_symbol(profile, name);
	struct profile_field field;

	if (!work || profile_field(profile, "delayed_work.work.func", &field) < 0)
		return 0;
	return work + field.offset;
}

/* Word by word; "?" is any one word. */
static bool same_parameters(const char *expected, const char *found)
{
	while (*expected && *found) {
		size_t n = strcspn(expected, " "), m = strcspn(found, " ");

		if ((n != 1 || *expected != '?') && (n != m || strncmp(expected, found, n) != 0))
			return false;
		expected += n + (expected[n] == ' ');
		found += m + (found[m] == ' ');
	}
	return *expected == *found;
}

static bool is_same_hook(size_t i, size_t j)
{
	return j < ARRAY_SIZE(wanted) && !strcmp(wanted[i].name, wanted[j].name);
}

/*
 * The row of @i's name whose parameters this kernel calls the hook with; -1 with those it has in @found. Called with others, the
 * guard would be the guest's end.
 */
static int row_of(const struct profile *profile, size_t i, char found[128])
{
	char path[64];

	if (!wanted[i].parameters)
		return (int)i;
	snprintf(path, sizeof(path), "security_list_options.%s", wanted[i].name);
	if (profile_parameters(profile, path, found, 128) < 0)
		snprintf(found, 128, "unknown");
	for (size_t row = i; is_same_hook(i, row); row++) {
		if (same_parameters(wanted[row].parameters, found))
			return (int)row;
	}
	return -1;
}

/* Where a hook is, and by which means it can be armed; 0 where there is none. */
static uint64_t hook_place(const struct profile *profile, size_t i, enum hook_means *ret_means)
{
	uint64_t place;
	uint32_t n;

	if (!wanted[i].parameters) {
		*ret_means = HOOK_WORK;
		return work_function(profile, wanted[i].name);
	}
	*ret_means = HOOK_LSM_LIST;
	place = lsm_list_head(profile, wanted[i].name);
	if (place)
		return place;
	*ret_means = HOOK_STATIC_CALL;
	return static_call_slots(profile, wanted[i].name, &n);
}

int hooks_offer(const struct profile *profile, size_t i, struct hook_offer *ret)
{
	char found[128];

	for (size_t row = 0; row < ARRAY_SIZE(wanted); row++) {
		if ((row > 0 && is_same_hook(row, row - 1)) || wanted[row].need == ON_DEMAND)
			continue;
		if (i-- > 0)
			continue;
		ret->name = wanted[row].name;
		ret->optional = wanted[row].need == OPTIONAL;
		ret->available = hook_place(profile, row, &ret->means) != 0 &&
				 row_of(profile, row, found) >= 0;
		return 0;
	}
	return -ENOENT;
}

struct finder {
	struct hooks *hooks;
	const struct profile *profile;
	const struct link_image *guard;
	const struct hooks_vault *vault;
	const struct hooks *replaced;
};

/* Where in the vault our nodes are. */
static uint64_t bank_of(const struct finder *finder)
{
	return GUARD_VAULT_HOOKS + finder->hooks->bank * BANK_SIZE;
}

static const struct hook *replaced_hook(const struct finder *finder, const char *name)
{
	for (size_t i = 0; finder->replaced && i < finder->replaced->n; i++) {
		if (!strcmp(finder->replaced->hook[i].name, name))
			return &finder->replaced->hook[i];
	}
	return NULL;
}

/* What an older guard of ours has put into the first place of a hook; 0: nothing. */
static uint64_t replaced_word(const struct finder *finder, const char *name)
{
	const struct hook *hook = replaced_hook(finder, name);
	uint64_t value = 0;

	if (hook && hook->n == 1)
		memcpy(&value, finder->replaced->patch[hook->first].bytes[PATCH_INSTALLED],
		       sizeof(value));
	return value;
}

static int find_work_hook(const struct finder *finder, struct patch *ret, const char *name,
			  uint64_t word, uint64_t function)
{
	uint64_t expected = profile_symbol(finder->profile, "vmstat_shepherd"), found;

	if (space_read_u64(profile_space(finder->profile), word, &found) < 0)
		return -EFAULT;
	*ret = patch_word(word, expected, function);
	return found == expected || found == replaced_word(finder, name) ? 0 : -EBUSY;
}

static int find_static_call(const struct finder *finder, struct patch *ret, size_t row,
			    uint64_t function)
{
	uint64_t at = bank_of(finder) + row * LSM_LIST_NODE_SIZE;
	const struct static_call_node node = {
		.host = finder->vault->host + at,
		.address = finder->vault->address + at,
	};
	const struct patch *replaced = finder->replaced ? finder->replaced->patch : NULL;
	size_t n_replaced = finder->replaced ? finder->replaced->n_patches : 0;

	if (wanted[row].need == WALKED)
		return static_call_find_walked(ret, finder->profile, wanted[row].name, &node,
					       function, replaced, n_replaced);
	return static_call_find(ret, finder->profile, wanted[row].name, function, replaced,
				n_replaced);
}

static int find_lsm_hook(const struct finder *finder, struct patch *ret, size_t row, uint64_t head,
			 uint64_t function)
{
	uint64_t bank = bank_of(finder);
	uint64_t at = bank + row * LSM_LIST_NODE_SIZE;
	struct lsm_list_node node = {
		.host = finder->vault->host + at,
		.address = finder->vault->address + at,
		.name = finder->vault->address + bank + ARRAY_SIZE(wanted) * LSM_LIST_NODE_SIZE,
	};

	return lsm_list_find(ret, finder->profile, head, &node, function,
			     replaced_word(finder, wanted[row].name));
}

/*
 * Where a hook enters the guard: behind the mark for indirect branches (endbr64), one instruction less, where none needs it. That is where
 * the kernel's text calls by itself, and in kernels that were built without indirect branch tracking (Linux 991625f3dd2c, v5.18: it
 * tests itself at boot).
 */
static uint64_t entry_point(const struct finder *finder, size_t row, enum hook_means means)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const struct link_image *guard = finder->guard;
	uint64_t function = link_symbol(guard, wanted[row].function);
	uint64_t at = function - guard->address;
	bool direct = means == HOOK_STATIC_CALL && wanted[row].need != WALKED;
	bool tracked = profile_symbol(finder->profile, "ibt_selftest");

	if (!function || (tracked && !direct) || at + sizeof(endbr64) > guard->size ||
	    memcmp(guard->bytes + at, endbr64, sizeof(endbr64)) != 0)
		return function;
	return function + sizeof(endbr64);
}

/* Returns the number of patches. */
static int find_patches(const struct finder *finder, size_t row, enum hook_means means,
			uint64_t place, struct patch *ret)
{
	uint64_t function = entry_point(finder, row, means);
	int r = -ENOENT;

	if (!function)
		return r;
	switch (means) {
	case HOOK_STATIC_CALL:
		return find_static_call(finder, ret, row, function);
	case HOOK_LSM_LIST:
		r = find_lsm_hook(finder, ret, row, place, function);
		break;
	case HOOK_WORK:
		r = find_work_hook(finder, ret, wanted[row].name, place, function);
		break;
	}
	return r < 0 ? r : 1;
}

static const char *reason(int r)
{
	switch (r) {
	case -ENOENT:
		return "not in this kernel";
	case -EBUSY:
		return "something in the guest, or another outguard, has changed it";
	case -ENOSPC:
		return "all places for LSMs are taken";
	}
	return "not as outguard knows it";
}

/* 0; 1 when the kernel lacks it and needs it not; or what is wrong, with @why in words. */
static int find_hook(struct finder *finder, size_t i, char *why, size_t size)
{
	struct hooks *hooks = finder->hooks;
	struct patch patches[STATIC_CALL_MAX_PATCHES];
	enum hook_means means;
	uint64_t place = hook_place(finder->profile, i, &means);
	char found[128];
	int row, r = -ENOENT;

	if (!place && wanted[i].need == OPTIONAL)
		return 1;
	if (place) {
		row = row_of(finder->profile, i, found);
		if (row < 0) {
			snprintf(why, size,
				 "called with other parameters (%s) than outguard knows (%s)",
				 found, wanted[i].parameters);
			return -ENOTSUP;
		}
		r = find_patches(finder, (size_t)row, means, place, patches);
	}
	if (r >= 0 && hooks->n_patches + (uint32_t)r > HOOKS_MAX_PATCHES)
		r = -E2BIG;
	if (r < 0) {
		snprintf(why, size, "%s", reason(r));
		return r;
	}
	memcpy(&hooks->patch[hooks->n_patches], patches, (size_t)r * sizeof(*patches));
	hooks->hook[hooks->n] = (struct hook){ .means = means,
					       .first = (uint16_t)hooks->n_patches,
					       .n = (uint16_t)r };
	snprintf(hooks->hook[hooks->n].name, sizeof(hooks->hook[0].name), "%s", wanted[i].name);
	hooks->n++;
	hooks->n_patches += (uint32_t)r;
	return 0;
}

static void note_missing(struct hooks_missing *missing, const char *name, const char *why)
{
	size_t n = strlen(missing->text);

	snprintf(missing->text + n, sizeof(missing->text) - n, "%s%s (%s)", n ? ", " : "", name,
		 why);
	missing->n++;
}

static int has_any(const struct profile *profile, struct error *err)
{
	if (profile_symbol(profile, "security_hook_heads") || profile_symbol(profile, "static_"
										      "calls_"
										      "table"))
		return 0;
	return error_set(err, -ENOTSUP,
			 "this kernel has no LSM hooks (it was built without CONFIG_SECURITY): "
			 "there is "
			 "nothing that outguard could be asked by; use a kernel with "
			 "CONFIG_SECURITY");
}

int hooks_find(struct hooks *ret, const struct profile *profile, const struct link_image *guard,
	       const struct hooks_vault *vault, const struct hooks *replaced,
	       struct hooks_missing *ret_missing, struct error *err)
{
	struct hooks hooks = { .bank = replaced ? (replaced->bank + 1) % HOOKS_BANKS : 0 };
	struct finder finder = { &hooks, profile, guard, vault, replaced };
	struct hooks_missing missing = { .n = 0 };
	int r = has_any(profile, err), worst = 0;
	bool essential = false;

	if (r < 0)
		return r;
	memcpy(vault->host + GUARD_VAULT_HOOKS + hooks.bank * BANK_SIZE +
		       ARRAY_SIZE(wanted) * LSM_LIST_NODE_SIZE,
	       "outguard", sizeof("outguard"));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		char why[320];

		if ((i > 0 && is_same_hook(i, i - 1)) ||
		    (wanted[i].need == ON_DEMAND && !vault->every_access))
			continue;
		r = find_hook(&finder, i, why, sizeof(why));
		if (r >= 0)
			continue;
		note_missing(&missing, wanted[i].name, why);
		essential |= wanted[i].need == ESSENTIAL;
		worst = r == -EBUSY ? r : worst ?: -ENOTSUP;
	}
	if (essential)
		return error_set(err, worst, "the guard cannot do without all of these hooks: %s",
				 missing.text);
	if (missing.n && !ret_missing)
		return error_set(err, worst,
				 "%u of this kernel's hooks cannot be armed: %s; `outguard "
				 "profile` "
				 "says what does not hold without them, --allow-partial arms the "
				 "others",
				 missing.n, missing.text);
	if (ret_missing)
		*ret_missing = missing;
	*ret = hooks;
	return 0;
}

bool hooks_have(const struct hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->n; i++) {
		if (!strcmp(hooks->hook[i].name, name))
			return true;
	}
	return false;
}

bool hooks_are(const struct hooks *hooks, const struct space *space, enum patch_state state)
{
	return hooks->n > 0 && hooks->n_patches <= HOOKS_MAX_PATCHES &&
	       patches_are(hooks->patch, hooks->n_patches, space, state);
}

int hooks_write(const struct hooks *hooks, const struct space *space, enum patch_state state,
		patch_write_code_t write_code, void *machine, struct error *err)
{
	return patches_write(hooks->patch, hooks->n_patches, space, state, write_code, machine,
			     err);
}
