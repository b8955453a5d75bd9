// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/hooks.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "contract/guard_abi.h"
#include "util/cleanup.h"

#define NODE_SIZE 64 /* room for a security_hook_list */
#define MAX_LSMS 64

/*
 * In the order of arming. Some are newer than others: inode_set_acl and inode_remove_acl since Linux 72b3897e7828 (v6.2; before,
 * ACLs pass inode_setxattr), file_ioctl_compat since f1bb47a31dff (v6.8, and stable kernels).
 */
static const struct {
	const char *name; /* of the LSM hook, or of the delayed work */
	enum hook_means means;
	const char *function; /* the guard's */
	const char *parameters; /* as profile_parameters(); "?" stands for any: it is not looked at */
	bool optional; /* a kernel without it has no need of it */
} wanted[] = {
	{ "sb_delete", HOOK_LSM_LIST, "guard_sb_delete", "super_block", false },
	{ "sb_pivotroot", HOOK_LSM_LIST, "guard_sb_pivotroot", "path path", false },
	{ "path_chroot", HOOK_LSM_LIST, "guard_path_chroot", "path", false },
	{ "sb_mount", HOOK_LSM_LIST, "guard_sb_mount", ". path . . .", false },
	{ "move_mount", HOOK_LSM_LIST, "guard_move_mount", "path path", false },
	{ "sb_umount", HOOK_LSM_LIST, "guard_sb_umount", "vfsmount .", false },
	{ "inode_create", HOOK_LSM_LIST, "guard_inode_create", "inode dentry .", false },
	{ "inode_mkdir", HOOK_LSM_LIST, "guard_inode_mkdir", "inode dentry .", false },
	{ "inode_mknod", HOOK_LSM_LIST, "guard_inode_mknod", "inode dentry . .", false },
	{ "inode_symlink", HOOK_LSM_LIST, "guard_inode_symlink", "inode dentry .", false },
	{ "inode_link", HOOK_LSM_LIST, "guard_inode_link", "dentry inode dentry", false },
	{ "inode_unlink", HOOK_LSM_LIST, "guard_inode_unlink", "inode dentry", false },
	{ "inode_rmdir", HOOK_LSM_LIST, "guard_inode_unlink", "inode dentry", false },
	{ "inode_rename", HOOK_LSM_LIST, "guard_inode_rename", "inode dentry inode dentry", false },
	{ "inode_setattr", HOOK_LSM_LIST, "guard_inode_setattr", "dentry iattr", false },
	{ "inode_setxattr", HOOK_LSM_LIST, "guard_inode_setxattr", "? dentry . . . .", false },
	{ "inode_removexattr", HOOK_LSM_LIST, "guard_inode_setxattr", "? dentry .", false },
	{ "inode_set_acl", HOOK_LSM_LIST, "guard_inode_setxattr", "? dentry . posix_acl", true },
	{ "inode_remove_acl", HOOK_LSM_LIST, "guard_inode_setxattr", "? dentry .", true },
	{ "inode_copy_up", HOOK_LSM_LIST, "guard_inode_copy_up", "dentry .", false },
	{ "file_ioctl", HOOK_LSM_LIST, "guard_file_ioctl", "file . .", false },
	{ "file_ioctl_compat", HOOK_LSM_LIST, "guard_file_ioctl", "file . .", true },
	{ "mmap_file", HOOK_LSM_LIST, "guard_mmap_file", "file . . .", false },
	{ "file_mprotect", HOOK_LSM_LIST, "guard_file_mprotect", "vm_area_struct . .", false },
	{ "file_receive", HOOK_LSM_LIST, "guard_file_receive", "file", false },
	{ "file_open", HOOK_LSM_LIST, "guard_file_open", "file", false },
	{ "shepherd", HOOK_WORK, "guard_errand", NULL, false },
};

_Static_assert(ARRAY_SIZE(wanted) <= HOOKS_MAX, "room for all hooks");
_Static_assert(GUARD_VAULT_HOOKS + (ARRAY_SIZE(wanted) + 1) * NODE_SIZE <= GUARD_VAULT_RECORD,
	       "room for their nodes");

const char *hook_means_name(enum hook_means means)
{
	switch (means) {
	case HOOK_LSM_LIST:
		return "lsm-list";
	case HOOK_WORK:
		return "work-function";
	}
	return "?";
}

/* The list head of an LSM hook, or 0. */
static uint64_t list_head(const struct profile *profile, const char *name)
{
	uint64_t heads = profile_symbol(profile, "security_hook_heads");
	struct profile_field field;
	char path[64];

	snprintf(path, sizeof(path), "security_hook_heads.%s", name);
	if (!heads || profile_field(profile, path, &field) < 0)
		return 0;
	return heads + field.offset;
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

/* Does this kernel call the hook with what the guard takes? Otherwise its first call would be the guest's last. */
static int check_parameters(const struct profile *profile, size_t i, struct error *err)
{
	char path[64], found[128];

	snprintf(path, sizeof(path), "security_list_options.%s", wanted[i].name);
	if (profile_parameters(profile, path, found, sizeof(found)) < 0)
		snprintf(found, sizeof(found), "unknown");
	if (same_parameters(wanted[i].parameters, found))
		return 0;
	return error_set(err, -ENOTSUP,
			 "this kernel calls the hook %s with other parameters (%s) than outguard "
			 "knows (%s)",
			 wanted[i].name, found, wanted[i].parameters);
}

static uint64_t hook_place(const struct profile *profile, size_t i)
{
	return wanted[i].means == HOOK_WORK ? work_function(profile, wanted[i].name)
					    : list_head(profile, wanted[i].name);
}

const char *hooks_available(const struct profile *profile, size_t i, int *ret_available)
{
	if (i >= ARRAY_SIZE(wanted))
		return NULL;
	*ret_available = hook_place(profile, i) != 0;
	return wanted[i].name;
}

struct node_layout {
	struct profile_field list, head, hook, lsm;
};

/* Offsets are the guest's word: what is written by them stays inside the node. */
static bool fits(const struct profile_field *field, uint32_t size)
{
	return field->offset <= NODE_SIZE - size;
}

static int node_layout(struct node_layout *ret, const struct profile *profile, struct error *err)
{
	if (profile_field(profile, "security_hook_list.list", &ret->list) < 0 ||
	    profile_field(profile, "security_hook_list.head", &ret->head) < 0 ||
	    profile_field(profile, "security_hook_list.hook", &ret->hook) < 0 ||
	    profile_field(profile, "security_hook_list.lsm", &ret->lsm) < 0 ||
	    profile_struct_size(profile, "security_hook_list") > NODE_SIZE ||
	    !fits(&ret->list, 16) || !fits(&ret->head, 8) || !fits(&ret->hook, 8) ||
	    !fits(&ret->lsm, 8))
		return error_set(err, -ENOTSUP,
				 "this kernel's LSM hooks are not lists (static calls, Linux 6.12 "
				 "and later): not supported by this version of outguard");
	return 0;
}

static void put_u64(uint8_t *to, uint64_t value)
{
	memcpy(to, &value, sizeof(value));
}

/*
 * The guard's node goes behind the last one: it is asked when every LSM of the guest has agreed, so what it reports
 * as allowed is allowed.
 */
static int find_list_end(struct hook *hook, const struct space *space, uint64_t head)
{
	hook->address = head; /* hlist_head.first, hlist_node.next: first members both */
	hook->original = 0;
	for (unsigned int i = 0; i < MAX_LSMS; i++) {
		uint64_t next;

		if (space_read_u64(space, hook->address, &next) < 0)
			return -EFAULT;
		if (!next)
			return 0;
		hook->address = next;
	}
	return -ELOOP;
}

static int find_lsm_hook(struct hook *hook, const struct profile *profile, uint64_t head,
			 uint8_t *node, uint64_t node_va, uint64_t function, uint64_t lsm_name)
{
	struct node_layout layout;
	int r = node_layout(&layout, profile, NULL);

	if (r == 0)
		r = find_list_end(hook, profile_space(profile), head);
	if (r < 0)
		return r;
	memset(node, 0, NODE_SIZE);
	put_u64(node + layout.list.offset + 8, hook->address); /* pprev */
	put_u64(node + layout.head.offset, head);
	put_u64(node + layout.hook.offset, function);
	put_u64(node + layout.lsm.offset, lsm_name);
	hook->installed = node_va + layout.list.offset;
	return 0;
}

static int find_work_hook(struct hook *hook, const struct profile *profile, uint64_t word,
			  uint64_t function)
{
	uint64_t expected = profile_symbol(profile, "vmstat_shepherd");

	hook->address = word;
	hook->installed = function;
	if (space_read_u64(profile_space(profile), word, &hook->original) < 0)
		return -EFAULT;
	return hook->original == expected ? 0 : -EBUSY;
}

int hooks_find(struct hooks *ret, const struct profile *profile, const struct link_image *guard,
	       uint8_t *vault, uint64_t vault_va, struct error *err)
{
	const uint64_t name_at = GUARD_VAULT_HOOKS + ARRAY_SIZE(wanted) * NODE_SIZE;
	struct node_layout layout;
	struct hooks hooks = { 0 };
	int r = node_layout(&layout, profile, err);

	if (r < 0)
		return r;
	memcpy(vault + name_at, "outguard", sizeof("outguard"));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		uint64_t at = GUARD_VAULT_HOOKS + i * NODE_SIZE, place = hook_place(profile, i);
		uint64_t function = link_symbol(guard, wanted[i].function);
		struct hook *hook = &hooks.hook[hooks.n];

		if (!place && wanted[i].optional)
			continue;
		if (place && wanted[i].means == HOOK_LSM_LIST) {
			r = check_parameters(profile, i, err);
			if (r < 0)
				return r;
		}
		hooks.n++;
		snprintf(hook->name, sizeof(hook->name), "%s", wanted[i].name);
		hook->means = wanted[i].means;
		if (!place || !function)
			r = -ENOENT;
		else if (wanted[i].means == HOOK_WORK)
			r = find_work_hook(hook, profile, place, function);
		else
			r = find_lsm_hook(hook, profile, place, vault + at, vault_va + at, function,
					  vault_va + name_at);
		if (r == -EBUSY)
			return error_set(err, r,
					 "hook %s is taken: something in the guest, or another "
					 "outguard, has changed it",
					 hook->name);
		if (r < 0)
			return error_set(err, -ENOTSUP, "this kernel has no usable hook %s (%s)",
					 hook->name, strerror(-r));
	}
	*ret = hooks;
	return 0;
}

int hooks_are(const struct hooks *hooks, const struct space *space, int installed)
{
	for (size_t i = 0; i < hooks->n; i++) {
		const struct hook *hook = &hooks->hook[i];
		uint64_t value;

		if (space_read_u64(space, hook->address, &value) < 0 ||
		    value != (installed ? hook->installed : hook->original))
			return 0;
	}
	return hooks->n > 0;
}

int hooks_install(const struct hooks *hooks, const struct space *space)
{
	for (size_t i = 0; i < hooks->n; i++) {
		int r = space_write_u64(space, hooks->hook[i].address, hooks->hook[i].installed);

		if (r < 0)
			return r;
	}
	return 0;
}

int hooks_remove(const struct hooks *hooks, const struct space *space)
{
	int r = 0;

	for (size_t i = hooks->n; i-- > 0;) {
		int this = space_write_u64(space, hooks->hook[i].address, hooks->hook[i].original);

		r = r < 0 ? r : this;
	}
	return r;
}
