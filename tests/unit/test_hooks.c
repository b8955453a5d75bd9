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
#define WORK_FUNCTION 0xffffffff81234560ULL
#define NODE_SIZE 128

static uint8_t *bytes, *vault;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };

struct fake_field {
	const char *path;
	uint32_t offset;
};

static struct fake_field fields[] = {
	{ "security_hook_heads.sb_delete", 0x20 },  { "security_hook_heads.sb_pivotroot", 0x28 },
	{ "security_hook_heads.file_open", 0x100 }, { "delayed_work.work.func", 24 },
	{ "security_hook_list.list", 0 },	    { "security_hook_list.head", 16 },
	{ "security_hook_list.hook", 24 },	    { "security_hook_list.lsm", 32 },
};
static uint32_t node_size;
static const char *lacks; /* this symbol or field */

static struct link_symbol functions[] = {
	{ "guard_file_open", VAULT_VA + 0x100100 },
	{ "guard_sb_delete", VAULT_VA + 0x100200 },
	{ "guard_sb_pivotroot", VAULT_VA + 0x100300 },
	{ "guard_errand", VAULT_VA + 0x100400 },
};
static struct link_image guard = { .symbols = functions, .n_symbols = ARRAY_SIZE(functions) };

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	if (lacks && !strcmp(name, lacks))
		return 0;
	if (!strcmp(name, "security_hook_heads"))
		return HEADS;
	if (!strcmp(name, "shepherd"))
		return SHEPHERD;
	return !strcmp(name, "vmstat_shepherd") ? WORK_FUNCTION : 0;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) != 0 || (lacks && !strcmp(path, lacks)))
			continue;
		*ret = (struct profile_field){ fields[i].offset, 8 };
		return 0;
	}
	return -ENOENT;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return strcmp(name, "security_hook_list") ? 0 : node_size;
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
	*word(HEADS + 0x100) = NODES;
	*word(NODES) = NODES + 64;
	*word(HEADS + 0x20) = NODES + 128;
	*word(SHEPHERD + 24) = WORK_FUNCTION;
	node_size = 40;
	lacks = NULL;
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
	return hooks_find(hooks, NULL, &guard, vault, VAULT_VA, err);
}

static const struct hook *hook_of(const struct hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->n; i++)
		if (!strcmp(hooks->hook[i].name, name))
			return &hooks->hook[i];
	fail_msg("no hook %s", name);
	return NULL;
}

static void check_node(const struct hooks *hooks, const char *name, uint64_t end, uint64_t head)
{
	const struct hook *hook = hook_of(hooks, name);
	char function[64];

	snprintf(function, sizeof(function), "guard_%s", name);
	assert_int_equal(hook->means, HOOK_LSM_LIST);
	assert_int_equal(hook->address, end);
	assert_int_equal(hook->original, 0);
	assert_in_range(hook->installed, VAULT_VA + GUARD_VAULT_HOOKS,
			VAULT_VA + GUARD_VAULT_RECORD - NODE_SIZE);
	assert_int_equal(*vault_word(hook->installed), 0); /* next */
	assert_int_equal(*vault_word(hook->installed + 8), end); /* pprev */
	assert_int_equal(*vault_word(hook->installed + 16), head);
	assert_int_equal(*vault_word(hook->installed + 24), link_symbol(&guard, function));
	assert_string_equal((char *)vault_word(*vault_word(hook->installed + 32)), "outguard");
}

static void test_find(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct hooks hooks;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(find(&hooks, NULL), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
	assert_int_equal(hooks.n, 4);
	/* behind the last LSM of each, or first where there is none */
	check_node(&hooks, "file_open", NODES + 64, HEADS + 0x100);
	check_node(&hooks, "sb_delete", NODES + 128, HEADS + 0x20);
	check_node(&hooks, "sb_pivotroot", HEADS + 0x28, HEADS + 0x28);
	assert_int_equal(hook_of(&hooks, "shepherd")->address, SHEPHERD + 24);
	assert_int_equal(hook_of(&hooks, "shepherd")->original, WORK_FUNCTION);
	assert_int_equal(hook_of(&hooks, "shepherd")->installed, VAULT_VA + 0x100400);
}

static void test_install_remove(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct hooks hooks;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(find(&hooks, NULL), 0);
	assert_true(hooks_are(&hooks, &space, false));
	assert_false(hooks_are(&hooks, &space, true));
	assert_int_equal(hooks_install(&hooks, &space), 0);
	assert_true(hooks_are(&hooks, &space, true));
	assert_int_equal(*word(NODES + 64), hook_of(&hooks, "file_open")->installed);
	assert_int_equal(*word(SHEPHERD + 24), VAULT_VA + 0x100400);
	/* each is missed */
	for (size_t i = 0; i < hooks.n; i++) {
		*word(hooks.hook[i].address) = hooks.hook[i].original;
		assert_false(hooks_are(&hooks, &space, true));
		*word(hooks.hook[i].address) = hooks.hook[i].installed;
	}
	assert_int_equal(hooks_remove(&hooks, &space), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
}

static void test_no_hooks(void **state)
{
	struct hooks none = { .n = 0 };

	(void)state;
	assert_false(hooks_are(&none, &space, true));
	assert_false(hooks_are(&none, &space, false));
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

static void test_available(void **state)
{
	int available;
	size_t n = 0;

	(void)state;
	for (; hooks_available(NULL, n, &available); n++)
		assert_true(available);
	assert_int_equal(n, 4);
	lacks = "security_hook_heads.file_open";
	for (size_t i = 0; i < n; i++) {
		const char *name = hooks_available(NULL, i, &available);

		assert_int_equal(available, strcmp(name, "file_open") != 0);
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
	for (size_t f = 4; f < ARRAY_SIZE(fields); f++) {
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
		TEST(test_find),	  TEST(test_install_remove), TEST(test_no_hooks),
		TEST(test_lacking),	  TEST(test_available),	     TEST(test_taken),
		TEST(test_hostile_lists), TEST(test_hostile_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
