// SPDX-License-Identifier: GPL-2.0-or-later
/* The profile is faked at link time: this file must be linked in front of the library. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arm/hooks.h"
#include "contract/guard_abi.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (4 * MIB)
#define BASE 0xffffffff80000000ULL /* mapped to gpa 2 MiB */
#define HEADS (BASE + 0x1000)
#define SHEPHERD (BASE + 0x2000)
#define NODES (BASE + 0x3000) /* the guest's own LSMs */
#define VAULT_VA 0xffffffffbfc00000ULL
#define ERRAND (VAULT_VA + 0x100080)
#define WORK_FUNCTION 0xffffffff81234560ULL
#define NODE_SIZE 48 /* in arm/hooks.c */

static uint8_t *bytes, *vault;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };

/* The hooks of Linux 6.1, and two that are newer, with the guard's functions and what the kernel calls them with. */
static const struct {
	const char *name, *function, *parameters;
	bool optional;
} lsm_hooks[] = {
	{ "sb_delete", "guard_sb_delete", "super_block", false },
	{ "sb_pivotroot", "guard_sb_pivotroot", "path path", false },
	{ "path_chroot", "guard_path_chroot", "path", false },
	{ "sb_mount", "guard_sb_mount", ". path . . .", false },
	{ "move_mount", "guard_move_mount", "path path", false },
	{ "sb_umount", "guard_sb_umount", "vfsmount .", false },
	{ "inode_create", "guard_inode_create", "inode dentry .", false },
	{ "inode_mkdir", "guard_inode_mkdir", "inode dentry .", false },
	{ "inode_mknod", "guard_inode_mknod", "inode dentry . .", false },
	{ "inode_symlink", "guard_inode_symlink", "inode dentry .", false },
	{ "inode_link", "guard_inode_link", "dentry inode dentry", false },
	{ "inode_unlink", "guard_inode_unlink", "inode dentry", false },
	{ "inode_rmdir", "guard_inode_unlink", "inode dentry", false },
	{ "inode_rename", "guard_inode_rename", "inode dentry inode dentry", false },
	{ "inode_setattr", "guard_inode_setattr", "dentry iattr", false },
	{ "inode_setxattr", "guard_inode_setxattr", "user_namespace dentry . . . .", false },
	{ "inode_removexattr", "guard_inode_setxattr", "user_namespace dentry .", false },
	{ "inode_set_acl", "guard_inode_setxattr", "mnt_idmap dentry . posix_acl", true },
	{ "inode_remove_acl", "guard_inode_setxattr", "mnt_idmap dentry .", true },
	{ "inode_copy_up", "guard_inode_copy_up", "dentry .", false },
	{ "file_ioctl", "guard_file_ioctl", "file . .", false },
	{ "file_ioctl_compat", "guard_file_ioctl", "file . .", true },
	{ "mmap_file", "guard_mmap_file", "file . . .", false },
	{ "file_mprotect", "guard_file_mprotect", "vm_area_struct . .", false },
	{ "file_receive", "guard_file_receive", "file", false },
	{ "locked_down", "guard_locked_down", ".", false },
	{ "kernel_read_file", "guard_kernel_read_file", "file . .", false },
	{ "kernel_load_data", "guard_kernel_load_data", ". .", false },
	{ "bpf_prog", "guard_bpf_prog", "bpf_prog", true },
	{ "ptrace_access_check", "guard_ptrace_access_check", "task_struct .", false },
	{ "task_prctl", "guard_task_prctl", ". . . . .", false },
	{ "fs_context_parse_param", "guard_fs_context_parse_param", "fs_context fs_parameter",
	  false },
	{ "file_open", "guard_file_open", "file", false },
};
#define N_HOOKS (ARRAY_SIZE(lsm_hooks) + 1) /* and the shepherd */

struct fake_field {
	const char *path;
	uint32_t offset;
};

static struct fake_field fields[] = {
	{ "security_hook_list.list", 0 },  { "security_hook_list.head", 16 },
	{ "security_hook_list.hook", 24 }, { "security_hook_list.lsm", 32 },
	{ "delayed_work.work.func", 24 },
};
static uint32_t node_size;
static const char *lacks; /* this symbol or field */
static bool tracks_branches;
static const char *odd_hook, *odd_parameters; /* NULL: it tells none */

static struct link_symbol functions[N_HOOKS + 1];
static struct link_image guard = { .symbols = functions };

/* The name behind @prefix, of a hook: its index, or -1. */
static int hook_index(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	for (size_t i = 0; i < ARRAY_SIZE(lsm_hooks); i++) {
		if (!strncmp(path, prefix, n) && !strcmp(path + n, lsm_hooks[i].name))
			return (int)i;
	}
	return -1;
}

static uint64_t head_of(size_t i)
{
	return HEADS + 0x20 + 8 * i;
}

static uint64_t head_named(const char *name)
{
	int i = hook_index(name, "");

	assert_true(i >= 0);
	return head_of((size_t)i);
}

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	if (lacks && !strcmp(name, lacks))
		return 0;
	if (!strcmp(name, "security_hook_heads"))
		return HEADS;
	if (!strcmp(name, "shepherd"))
		return SHEPHERD;
	if (tracks_branches && !strcmp(name, "ibt_selftest"))
		return WORK_FUNCTION;
	return !strcmp(name, "vmstat_shepherd") ? WORK_FUNCTION : 0;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	int hook = hook_index(path, "security_hook_heads.");

	(void)profile;
	if (lacks && !strcmp(path, lacks))
		return -ENOENT;
	if (hook >= 0) {
		*ret = (struct profile_field){ (uint32_t)(head_of((size_t)hook) - HEADS), 8 };
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) != 0)
			continue;
		*ret = (struct profile_field){ fields[i].offset, 8 };
		return 0;
	}
	return -ENOENT;
}

int profile_parameters(const struct profile *profile, const char *path, char *buf, size_t size)
{
	int hook = hook_index(path, "security_list_options.");
	const char *text;

	(void)profile;
	if (hook < 0)
		return -ENOENT;
	text = lsm_hooks[hook].parameters;
	if (odd_hook && !strcmp(lsm_hooks[hook].name, odd_hook))
		text = odd_parameters;
	if (!text)
		return -ENOENT;
	assert_true((size_t)snprintf(buf, size, "%s", text) < size);
	return 0;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return strcmp(name, "security_hook_list") ? 0 : node_size;
}

const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end)
{
	(void)profile;
	(void)address;
	(void)ret_start;
	(void)ret_end;
	return NULL;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &space;
}

static uint64_t *word(uint64_t va)
{
	return (uint64_t *)(bytes + 2 * MIB + (va - BASE));
}

static uint64_t *vault_word(uint64_t va)
{
	return (uint64_t *)(vault + (va - VAULT_VA));
}

/* Several hooks may call the same one. */
static void add_function(const char *name, uint64_t address)
{
	struct link_symbol *function = &functions[guard.n_symbols];

	if (link_symbol(&guard, name))
		return;
	snprintf(function->name, sizeof(function->name), "%s", name);
	function->address = address;
	guard.n_symbols++;
}

/* Two LSMs on file_open, one on sb_delete, none on sb_pivotroot. */
static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	vault = calloc(1, GUARD_VAULT_CODE);
	assert_non_null(bytes);
	assert_non_null(vault);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
	*(uint64_t *)(bytes + 0x1000 + 511 * 8) = 0x2000 | 3;
	*(uint64_t *)(bytes + 0x2000 + 510 * 8) = 0x3000 | 3;
	*(uint64_t *)(bytes + 0x3000) = (2 * MIB) | 0x1e3;
	*word(head_named("file_open")) = NODES;
	*word(NODES) = NODES + 64;
	*word(head_named("sb_delete")) = NODES + 128;
	*word(SHEPHERD + 24) = WORK_FUNCTION;
	guard.n_symbols = 0;
	add_function("guard_errand", ERRAND);
	for (size_t i = 0; i < ARRAY_SIZE(lsm_hooks); i++)
		add_function(lsm_hooks[i].function, ERRAND + 16 * (i + 1));
	node_size = 40;
	lacks = odd_hook = odd_parameters = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	free(vault);
	return 0;
}

static int find(struct hooks *hooks, struct error *err)
{
	return hooks_find(hooks, NULL, &guard, &(struct hooks_vault){ vault, VAULT_VA }, NULL, NULL,
			  err);
}

static int find_over(struct hooks *hooks, const struct hooks *replaced)
{
	return hooks_find(hooks, NULL, &guard, &(struct hooks_vault){ vault, VAULT_VA }, replaced,
			  NULL, NULL);
}

static int find_some(struct hooks *hooks, struct hooks_missing *missing, struct error *err)
{
	return hooks_find(hooks, NULL, &guard, &(struct hooks_vault){ vault, VAULT_VA }, NULL,
			  missing, err);
}

static int write_no_code(void *machine, const struct machine_code *pieces, size_t n,
			 struct error *err)
{
	(void)machine;
	(void)pieces;
	(void)n;
	(void)err;
	fail_msg("there is no code among these hooks");
	return -EIO;
}

static int put(const struct hooks *hooks, enum patch_state state)
{
	return hooks_write(hooks, &space, state, write_no_code, NULL, NULL);
}

static uint64_t value_of(const struct patch *patch, enum patch_state state)
{
	uint64_t value;

	memcpy(&value, patch->bytes[state], sizeof(value));
	return value;
}

static const struct hook *hook_of(const struct hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->n; i++)
		if (!strcmp(hooks->hook[i].name, name))
			return &hooks->hook[i];
	fail_msg("no hook %s", name);
	return NULL;
}

static const struct patch *patch_of(const struct hooks *hooks, const char *name)
{
	const struct hook *hook = hook_of(hooks, name);

	assert_int_equal(hook->n, 1);
	return &hooks->patch[hook->first];
}

static uint64_t installed(const struct hooks *hooks, const char *name)
{
	return value_of(patch_of(hooks, name), PATCH_INSTALLED);
}

static void check_node(const struct hooks *hooks, size_t i)
{
	const struct hook *hook = hook_of(hooks, lsm_hooks[i].name);
	const struct patch *patch = patch_of(hooks, lsm_hooks[i].name);
	uint64_t head = head_of(i), end = head, node = value_of(patch, PATCH_INSTALLED);

	while (*word(end))
		end = *word(end);
	assert_int_equal(hook->means, HOOK_LSM_LIST);
	assert_int_equal(patch->address, end);
	assert_int_equal(patch->size, 8);
	assert_false(patch->code);
	assert_int_equal(value_of(patch, PATCH_ORIGINAL), 0);
	assert_int_equal(value_of(patch, PATCH_LEAVING), 0);
	assert_in_range(node, VAULT_VA + GUARD_VAULT_HOOKS,
			VAULT_VA + GUARD_VAULT_RECORD - NODE_SIZE);
	assert_int_equal(node % NODE_SIZE, 0);
	assert_int_equal(*vault_word(node), 0); /* next */
	assert_int_equal(*vault_word(node + 8), end); /* pprev */
	assert_int_equal(*vault_word(node + 16), head);
	assert_int_equal(*vault_word(node + 24), link_symbol(&guard, lsm_hooks[i].function));
	assert_string_equal((char *)vault_word(*vault_word(node + 32)), "outguard");
}

/* Every hook has a node of its own, behind the last LSM, or first where there is none. */
static void test_find(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct hooks hooks;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(find(&hooks, NULL), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
	assert_int_equal(N_HOOKS, 34);
	assert_int_equal(hooks.n, N_HOOKS);
	for (size_t i = 0; i < ARRAY_SIZE(lsm_hooks); i++)
		check_node(&hooks, i);
	assert_int_equal(hooks.n_patches, hooks.n);
	for (size_t i = 0; i < hooks.n; i++) {
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(value_of(&hooks.patch[i], PATCH_INSTALLED),
					     value_of(&hooks.patch[j], PATCH_INSTALLED));
			assert_int_not_equal(hooks.patch[i].address, hooks.patch[j].address);
		}
	}
	assert_int_equal(patch_of(&hooks, "file_open")->address, NODES + 64);
	assert_int_equal(patch_of(&hooks, "sb_delete")->address, NODES + 128);
	assert_int_equal(hook_of(&hooks, "shepherd")->means, HOOK_WORK);
	assert_int_equal(patch_of(&hooks, "shepherd")->address, SHEPHERD + 24);
	assert_int_equal(value_of(patch_of(&hooks, "shepherd"), PATCH_ORIGINAL), WORK_FUNCTION);
	assert_int_equal(installed(&hooks, "shepherd"), ERRAND);
	/* What guards opens is armed last of the lists, what tells of unmounts first. */
	assert_string_equal(hooks.hook[0].name, "sb_delete");
	assert_string_equal(hooks.hook[N_HOOKS - 2].name, "file_open");
}

/* The guard must not be called with what it does not know: the kernel would crash at the first call. */
static void test_other_parameters(void **state)
{
	static const char *const rows[][2] = {
		{ "inode_create", "user_namespace inode dentry ." }, /* one more */
		{ "inode_create", "inode dentry" }, /* one less */
		{ "inode_create", "dentry inode ." }, /* in another order */
		{ "inode_create", "inodes dentry ." },
		{ "inode_create", "inod dentry ." },
		{ "inode_create", "inode dentry ?" },
		{ "inode_create", "" },
		{ "file_open", "" },
		{ "file_open", "file cred" },
		{ "inode_rename", "inode dentry inode dentry ." },
		{ "inode_setxattr", "dentry . . . ." }, /* "?" is one parameter, not none */
		{ "inode_removexattr", "user_namespace mnt_idmap dentry ." },
		{ "inode_set_acl", "mnt_idmap dentry ." }, /* optional, but it is there */
		{ "sb_umount", NULL }, /* no such member, or no function */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hooks hooks = { .n = 99 };
		struct error err = { 0 };

		odd_hook = rows[i][0];
		odd_parameters = rows[i][1];
		assert_int_equal(find(&hooks, &err), -ENOTSUP);
		assert_int_equal(hooks.n, 99);
		assert_non_null(strstr(err.message, rows[i][0]));
		assert_non_null(strstr(err.message, "other parameters"));
		assert_non_null(strstr(err.message, rows[i][1] ?: "unknown"));
	}
}

/* "?" in the guard's list is any one parameter: what it is has changed, and the guard does not look. */
static void test_any_parameter(void **state)
{
	static const char *const rows[] = {
		"mnt_idmap dentry .",
		". dentry .",
		"user_namespace dentry .",
	};
	struct hooks hooks;

	(void)state;
	odd_hook = "inode_removexattr";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		odd_parameters = rows[i];
		assert_int_equal(find(&hooks, NULL), 0);
		assert_int_equal(hooks.n, N_HOOKS);
	}
}

/* A kernel without a newer hook does what that guards by another. */
static void test_optional(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lsm_hooks); i++) {
		struct error err = { 0 };
		struct hooks hooks;
		char field[64];
		int r;

		snprintf(field, sizeof(field), "security_hook_heads.%s", lsm_hooks[i].name);
		lacks = field;
		r = find(&hooks, &err);
		if (!lsm_hooks[i].optional) {
			assert_int_equal(r, -ENOTSUP);
			assert_non_null(strstr(err.message, lsm_hooks[i].name));
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(hooks.n, N_HOOKS - 1);
		for (size_t j = 0; j < ARRAY_SIZE(lsm_hooks); j++) {
			if (j != i)
				check_node(&hooks, j);
		}
	}
}

/* No hook leads nowhere. */
static void test_no_function(void **state)
{
	(void)state;
	for (size_t i = 0; i < guard.n_symbols; i++) {
		char first = functions[i].name[0];
		int r;

		functions[i].name[0] = 'x';
		r = find(&(struct hooks){ 0 }, NULL);
		functions[i].name[0] = first;
		assert_int_equal(r, -ENOTSUP);
	}
}

/* inode_setattr has another function where it has one parameter more. */
static void test_idmapped(void **state)
{
	struct hooks hooks;

	(void)state;
	add_function("guard_inode_setattr_idmapped", ERRAND + 0x1000);
	odd_hook = "inode_setattr";
	odd_parameters = "mnt_idmap dentry iattr";
	assert_int_equal(find(&hooks, NULL), 0);
	assert_int_equal(hooks.n, N_HOOKS);
	assert_int_equal(*vault_word(installed(&hooks, "inode_setattr") + 24), ERRAND + 0x1000);
	odd_parameters = "user_namespace dentry iattr";
	assert_int_equal(find(&hooks, NULL), -ENOTSUP);
}

static void test_install_remove(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct hooks hooks;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(find(&hooks, NULL), 0);
	assert_true(hooks_are(&hooks, &space, PATCH_ORIGINAL));
	assert_false(hooks_are(&hooks, &space, PATCH_INSTALLED));
	assert_int_equal(put(&hooks, PATCH_INSTALLED), 0);
	assert_true(hooks_are(&hooks, &space, PATCH_INSTALLED));
	assert_int_equal(*word(NODES + 64), installed(&hooks, "file_open"));
	assert_int_equal(*word(SHEPHERD + 24), ERRAND);
	/* each is missed */
	for (size_t i = 0; i < hooks.n_patches; i++) {
		const struct patch *patch = &hooks.patch[i];

		*word(patch->address) = value_of(patch, PATCH_ORIGINAL);
		assert_false(hooks_are(&hooks, &space, PATCH_INSTALLED));
		*word(patch->address) = value_of(patch, PATCH_INSTALLED);
	}
	assert_int_equal(put(&hooks, PATCH_LEAVING), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
}

/* The mark for indirect branches is passed over where it is one and nobody asks for it. */
static void test_entry_points(void **state)
{
	static const uint8_t mark[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint64_t open = link_symbol(&guard, "guard_file_open"), entered[2];
	uint8_t code[64];
	struct hooks hooks;

	(void)state;
	for (int tracks = 0; tracks < 2; tracks++) {
		tracks_branches = tracks;
		for (int marked = 0; marked < 2; marked++) {
			memset(code, 0x90, sizeof(code));
			if (marked)
				memcpy(code + 8, mark, sizeof(mark));
			guard.address = open - 8;
			guard.bytes = code;
			guard.size = sizeof(code);
			assert_int_equal(find(&hooks, NULL), 0);
			guard.size = 0;
			guard.bytes = NULL;
			entered[marked] = *vault_word(installed(&hooks, "file_open") + 24);
		}
		tracks_branches = false;
		assert_int_equal(entered[0], open);
		assert_int_equal(entered[1], tracks ? open : open + sizeof(mark));
	}
}

/* Another build's guard takes over: other nodes, at the same places, and what it leaves is what was there at first. */
static void test_replace(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct hooks first, second, third;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(find(&first, NULL), 0);
	assert_int_equal(put(&first, PATCH_INSTALLED), 0);
	assert_int_equal(find(&second, NULL), -EBUSY); /* unless it knows of the first */
	for (size_t i = 0; i < guard.n_symbols; i++)
		functions[i].address += 0x8000;
	assert_int_equal(find_over(&second, &first), 0);
	assert_int_equal(second.n, first.n);
	assert_true(hooks_are(&first, &space,
			      PATCH_INSTALLED)); /* the guest is as it was, and calls the first */
	assert_int_equal(*vault_word(installed(&first, "file_open") + 24),
			 link_symbol(&guard, "guard_file_open") - 0x8000);
	for (size_t i = 0; i < first.n_patches; i++) {
		assert_int_equal(second.patch[i].address, first.patch[i].address);
		assert_int_equal(value_of(&second.patch[i], PATCH_ORIGINAL),
				 value_of(&first.patch[i], PATCH_ORIGINAL));
		assert_int_not_equal(value_of(&second.patch[i], PATCH_INSTALLED),
				     value_of(&first.patch[i], PATCH_INSTALLED));
	}
	assert_int_equal(put(&second, PATCH_INSTALLED), 0);
	assert_int_equal(find_over(&third, &second), 0);
	assert_int_equal(third.bank, first.bank);
	assert_int_equal(put(&second, PATCH_ORIGINAL), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
}

/* What is missing is left out, and named, where that is allowed. */
static void test_partial(void **state)
{
	struct hooks_missing missing = { .n = 9 };
	struct error err = { 0 };
	struct hooks hooks;

	(void)state;
	lacks = "security_hook_heads.inode_link";
	odd_hook = "sb_mount";
	odd_parameters = "file";
	assert_int_equal(find(&hooks, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "inode_link"));
	assert_non_null(strstr(err.message, "sb_mount"));
	assert_non_null(strstr(err.message, "--allow-partial"));
	assert_int_equal(find_some(&hooks, &missing, NULL), 0);
	assert_int_equal(hooks.n, N_HOOKS - 2);
	assert_int_equal(missing.n, 2);
	assert_non_null(strstr(missing.text, "inode_link (not in this kernel)"));
	assert_non_null(strstr(missing.text, "sb_mount (called with other parameters (file)"));
	lacks = NULL;
	odd_hook = NULL;
	assert_int_equal(find_some(&hooks, &missing, NULL), 0);
	assert_int_equal(missing.n, 0);
	/* These it cannot do without. */
	lacks = "security_hook_heads.file_open";
	assert_int_equal(find_some(&hooks, &missing, &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "cannot do without"));
	*word(SHEPHERD + 24) = 1;
	lacks = NULL;
	assert_int_equal(find_some(&hooks, &missing, &err), -EBUSY);
}

static void test_no_hooks(void **state)
{
	struct hooks none = { .n = 0 };

	(void)state;
	assert_false(hooks_are(&none, &space, PATCH_INSTALLED));
	assert_false(hooks_are(&none, &space, PATCH_ORIGINAL));
}

static void test_lacking(void **state)
{
	static const char *const rows[] = {
		"security_hook_heads",
		"security_hook_heads.file_open",
		"security_hook_list.list",
		"security_hook_list.head",
		"security_hook_list.hook",
		"security_hook_list.lsm",
		"shepherd",
		"delayed_work.work.func",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct hooks hooks = { .n = 99 };
		struct error err = { 0 };

		lacks = rows[i];
		assert_int_equal(find(&hooks, &err), -ENOTSUP);
		assert_int_equal(hooks.n, 99);
		assert_true(err.message[0]);
	}
}

static void test_offer(void **state)
{
	struct hook_offer offer;
	size_t n = 0;

	(void)state;
	for (; hooks_offer(NULL, n, &offer) == 0; n++) {
		assert_true(offer.available);
		assert_int_equal(offer.means,
				 strcmp(offer.name, "shepherd") ? HOOK_LSM_LIST : HOOK_WORK);
	}
	assert_int_equal(n, N_HOOKS);
	lacks = "security_hook_heads.file_open";
	odd_hook = "sb_umount";
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(hooks_offer(NULL, i, &offer), 0);
		assert_int_equal(offer.available, strcmp(offer.name, "file_open") != 0 &&
							  strcmp(offer.name, "sb_umount") != 0);
	}
}

/* The work's function is someone else's already. */
static void test_taken(void **state)
{
	struct hooks hooks;
	struct error err = { 0 };

	(void)state;
	*word(SHEPHERD + 24) = WORK_FUNCTION + 16;
	assert_int_equal(find(&hooks, &err), -EBUSY);
	assert_non_null(strstr(err.message, "shepherd"));
}

/* Lists that go round, or out of memory. */
static void test_hostile_lists(void **state)
{
	static const uint64_t next[] = { NODES, NODES + 64, 8, BASE + 4 * MIB, ~0ULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
		struct hooks hooks;

		*word(NODES + 64) = next[i];
		assert_int_equal(find(&hooks, NULL), -ENOTSUP);
	}
}

/* Types that are the guest's to forge must not make us write outside our node. */
static void test_hostile_types(void **state)
{
	static const uint32_t offsets[] = { NODE_SIZE - 7, NODE_SIZE, 4096, 1U << 20, UINT32_MAX };

	(void)state;
	node_size = NODE_SIZE + 1;
	assert_int_equal(find(&(struct hooks){ 0 }, NULL), -ENOTSUP);
	node_size = 40;
	for (size_t f = 0; f < 4; f++) { /* of the node */
		for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
			uint32_t was = fields[f].offset;
			struct hooks hooks;
			int r;

			fields[f].offset = offsets[i];
			r = find(&hooks, NULL);
			fields[f].offset = was;
			assert_int_equal(r, -ENOTSUP);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_find),	 TEST(test_install_remove),   TEST(test_no_hooks),
		TEST(test_lacking),	 TEST(test_other_parameters), TEST(test_any_parameter),
		TEST(test_optional),	 TEST(test_no_function),      TEST(test_offer),
		TEST(test_taken),	 TEST(test_hostile_lists),    TEST(test_hostile_types),
		TEST(test_idmapped),	 TEST(test_replace),	      TEST(test_partial),
		TEST(test_entry_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
