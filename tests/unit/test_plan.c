// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache/plan.h"
#include "glob/glob.h"
#include "util/cleanup.h"

#define MAX_NAMES 64

DEFINE_CLEANUP(struct plan *, plan_free)

/* A policy with one rule of these paths, separated by spaces. */
struct paths {
	char text[1024];
	char *list[64];
	struct policy_rule rule;
	struct policy policy;
};

static const struct policy *policy_of(struct paths *paths, const char *text)
{
	char *save = NULL, *path;

	memset(paths, 0, sizeof(*paths));
	snprintf(paths->text, sizeof(paths->text), "%s", text);
	for (path = strtok_r(paths->text, " ", &save); path; path = strtok_r(NULL, " ", &save))
		paths->list[paths->rule.n_paths++] = path;
	paths->rule.paths = paths->list;
	paths->policy.rules = &paths->rule;
	paths->policy.n_rules = 1;
	return &paths->policy;
}

static struct plan *plan_of(struct paths *paths, const char *text)
{
	struct plan *plan = NULL;

	assert_int_equal(plan_new(&plan, policy_of(paths, text), NULL), 0);
	return plan;
}

/* Each name once, behind its parent. */
static void test_names(void **state)
{
	static const struct {
		const char *paths, *names;
	} rows[] = {
		{ "", "/" },
		{ "/", "/" },
		{ "/*", "/" },
		{ "/**", "/" },
		{ "/a*", "/" },
		{ "/a?/b", "/" },
		{ "/a", "/ /a" },
		{ "/a /a", "/ /a" },
		{ "/a/b/c", "/ /a /a/b /a/b/c" },
		{ "/a/b /a/c", "/ /a /a/b /a/c" },
		{ "/a/*", "/ /a" },
		{ "/a/b*", "/ /a" },
		{ "/a/b?c/d", "/ /a" },
		{ "/a/b/**/c", "/ /a /a/b" },
		{ "/ab/c /a/c", "/ /ab /ab/c /a /a/c" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct paths paths;
		_cleanup_(plan_freep) struct plan *plan = plan_of(&paths, rows[i].paths);
		char names[256] = "";

		for (size_t n = 0; n < plan->n_names; n++) {
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				 n ? " " : "", plan->names[n].path);
			assert_true(n ? plan->names[n].parent < n : !plan->names[n].parent);
		}
		assert_string_equal(names, rows[i].names);
		assert_int_equal(plan->n_items, paths.rule.n_paths);
		for (size_t n = 0; n < plan->n_items; n++)
			assert_ptr_equal(plan->items[n].path, paths.list[n]);
	}
}

static void test_parents(void **state)
{
	struct paths paths;
	_cleanup_(plan_freep) struct plan *plan = plan_of(&paths, "/a/b/c /d/e");

	(void)state;
	for (size_t i = 1; i < plan->n_names; i++) {
		const char *path = plan->names[i].path, *slash = strrchr(path, '/');
		const char *parent = plan->names[plan->names[i].parent].path;
		size_t n = slash == path ? 1 : (size_t)(slash - path);

		assert_int_equal(strlen(parent), n);
		assert_memory_equal(parent, path, n);
	}
}

/* @missing: the names that do not exist. */
static void test_locate(void **state)
{
	static const struct {
		const char *path, *missing, *name, *pattern;
	} rows[] = {
		{ "/a/b/c", "", "/a/b/c", NULL },
		{ "/a/b/c", "/a/b/c", "/a/b", "c" },
		{ "/a/b/c", "/a/b /a/b/c", "/a", "b/c" },
		{ "/a/b/c", "/a /a/b /a/b/c", "/", "a/b/c" },
		{ "/a/b/c", "/ /a /a/b /a/b/c", "/", "a/b/c" },
		{ "/a/*.conf", "", "/a", "*.conf" },
		{ "/a/*.conf", "/a", "/", "a/*.conf" },
		{ "/a/b/**", "/a/b", "/a", "b/**" },
		{ "/*", "", "/", "*" },
		{ "/**/x", "", "/", "**/x" },
		{ "/a", "/a", "/", "a" },
		{ "/a", "", "/a", NULL },
		{ "/", "", "/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct paths paths;
		_cleanup_(plan_freep) struct plan *plan = plan_of(&paths, rows[i].path);
		struct guard_resolved resolved[MAX_NAMES] = { 0 };
		char missing[128];
		const char *pattern;
		uint32_t name;

		snprintf(missing, sizeof(missing), " %s ", rows[i].missing);
		for (size_t n = 0; n < plan->n_names; n++) {
			char word[64];

			snprintf(word, sizeof(word), " %s ", plan->names[n].path);
			resolved[n].error = strstr(missing, word) ? -ENOENT : 0;
		}
		name = plan_locate(plan, &plan->items[0], resolved, &pattern);
		assert_string_equal(plan->names[name].path, rows[i].name);
		if (rows[i].pattern)
			assert_string_equal(pattern, rows[i].pattern);
		else
			assert_null(pattern);
	}
}

static void test_levels(void **state)
{
	static const struct {
		const char *pattern;
		uint32_t levels;
	} rows[] = {
		{ "a", 1 },
		{ "*", 1 },
		{ "a/b/*.c", 3 },
		{ "a**/b", 2 }, /* in a name with others, two stars are one */
		{ "**", GUARD_MAX_LEVELS },
		{ "a/**/b", GUARD_MAX_LEVELS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(plan_levels(rows[i].pattern), rows[i].levels);
}

/* Joins up to three of @words, as the digits of @n say. */
static void join(char *to, uint32_t n, const char *const words[], uint32_t n_words)
{
	*to = '\0';
	for (; n; n /= n_words + 1) {
		if (!(n % (n_words + 1)))
			continue;
		strcat(strcat(to, *to ? "/" : ""), words[n % (n_words + 1) - 1]);
	}
}

static bool matches(const char *pattern, const char *path)
{
	char copy[64], *save = NULL;
	const char *forward[8], *names[8];
	unsigned int n = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *c = strtok_r(copy, "/", &save); c; c = strtok_r(NULL, "/", &save))
		forward[n++] = c;
	for (unsigned int i = 0; i < n; i++)
		names[i] = forward[n - 1 - i];
	return glob_match(pattern, names, n);
}

/* Against glob.h: all patterns and paths of up to three names of a few. */
static void test_left_below(void **state)
{
	static const char *const words[] = { "**", "*", "a", "b*" }, *const names[] = { "a", "b" };
	char pattern[64], path[64], rest[64], whole[160];

	(void)state;
	for (uint32_t i = 1; i < 125; i++) {
		join(pattern, i, words, 4);
		for (uint32_t j = 1; j < 27; j++) {
			join(path, j, names, 2);
			if (plan_matches(pattern, path) != matches(pattern, path))
				fail_msg("plan_matches(%s, %s)", pattern, path);
			for (uint32_t k = 1; k < 27; k++) {
				const char *left[PLAN_MAX_LEFT];
				size_t n = plan_left_below(pattern, path, left);
				bool any = false;

				join(rest, k, names, 2);
				snprintf(whole, sizeof(whole), "%s/%s", path, rest);
				for (size_t l = 0; l < n; l++)
					any |= matches(left[l], rest);
				if (any != matches(pattern, whole))
					fail_msg("plan_left_below(%s, %s), %s", pattern, path,
						 rest);
			}
		}
	}
}

/* What the guard would read: see name_at() in guard/view.c. */
static void check_names(const uint8_t *vault, const struct plan *plan)
{
	uint64_t names = ((const struct guard_vault *)vault)->names;
	const char *half = (const char *)vault + GUARD_VAULT_NAMES +
			   GUARD_NAMES_HALF(names) * GUARD_VAULT_NAMES_SIZE;

	assert_int_equal(GUARD_NAMES_COUNT(names), plan->n_names);
	assert_int_equal(half[GUARD_VAULT_NAMES_SIZE - 1], 0);
	for (uint32_t i = 0; i < plan->n_names; i++) {
		uint32_t at = ((const uint32_t *)half)[i];

		assert_int_equal(!(at & GUARD_NAME_OF_GUEST), plan->names[i].of_container);
		at &= ~GUARD_NAME_OF_GUEST;
		assert_int_equal(at, at & (GUARD_VAULT_NAMES_SIZE - 1));
		assert_string_equal(half + at, plan->names[i].path);
	}
}

static void test_publish(void **state)
{
	static const char *const texts[] = { "/a/b", "/", "/a/b/c /d/*" };
	_cleanup_(freep) uint8_t *vault = aligned_alloc(4096, GUARD_VAULT_TABLES);
	struct guard_vault *header = (struct guard_vault *)vault;
	uint32_t sequence = 0xfffffffe;
	uint64_t half = 1;

	(void)state;
	memset(vault, 0xff, GUARD_VAULT_TABLES);
	header->names = (uint64_t)sequence << GUARD_NAMES_SEQUENCE_SHIFT | half << 31;
	for (size_t i = 0; i < 9; i++) {
		struct paths paths;
		_cleanup_(plan_freep) struct plan *plan = plan_of(&paths, texts[i % 3]);

		assert_int_equal(plan_publish(plan, header), ++sequence);
		assert_int_equal(header->names >> GUARD_NAMES_SEQUENCE_SHIFT, sequence);
		assert_int_equal(GUARD_NAMES_HALF(header->names), half = !half);
		check_names(vault, plan);
	}
}

/* The executables of exceptions are resolved as paths are, behind them. */
static void test_executables(void **state)
{
	static char etc_file[] = "/etc/file", bin_a[] = "/bin/a", bin_b[] = "/bin/b";
	static char *etc_paths[] = { etc_file }, *bin_paths[] = { bin_a }, *a[] = { bin_a };
	static char *b_and_etc[] = { bin_b, etc_file };
	struct policy_uids uids = { 5, 6 };
	struct policy_exception first[] = {
		{ .uids = &uids, .n_uids = 1 }, /* without */
		{ .executables = a, .n_executables = 1 },
	};
	struct policy_exception third[] = { { .executables = b_and_etc, .n_executables = 2 },
					    { .executables = a, .n_executables = 1 } };
	struct policy_rule rules[] = {
		{ .paths = etc_paths, .n_paths = 1, .except = first, .n_except = 2 },
		{ .paths = bin_paths, .n_paths = 1 },
		{ .paths = etc_paths, .n_paths = 1, .except = third, .n_except = 2 },
	};
	static const struct {
		uint32_t rule, except;
		const char *name;
	} expected[] = {
		{ 0, 1, "/bin/a" },
		{ 2, 0, "/bin/b" },
		{ 2, 0, "/etc/file" },
		{ 2, 1, "/bin/a" },
	};
	static const char *const names[] = { "/", "/etc", "/etc/file", "/bin", "/bin/a", "/bin/b" };
	struct policy policy = { .rules = rules, .n_rules = 3 };
	struct plan *plan = NULL;

	(void)state;
	assert_int_equal(plan_new(&plan, &policy, NULL), 0);
	assert_int_equal(plan->n_items, 3); /* executables are none */
	assert_int_equal(plan->n_names, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(plan->names[i].path, names[i]);
	assert_int_equal(plan->n_executables, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(plan->executables[i].rule, expected[i].rule);
		assert_int_equal(plan->executables[i].except, expected[i].except);
		assert_string_equal(plan->names[plan->executables[i].name].path, expected[i].name);
	}
	plan_free(plan);
}

/* What only rules for the guest itself name, directories too, is no container's; what others name as well, is. */
static void test_guests_names(void **state)
{
	static char etc_file[] = "/etc/file", bin_a[] = "/bin/a", bin_b[] = "/bin/b", c[] = "/c";
	static char *guests[] = { etc_file, bin_a }, *containers[] = { bin_b }, *except[] = { c };
	struct policy_exception excepted[] = { { .executables = except, .n_executables = 1 } };
	struct policy_rule rules[] = {
		{ .paths = guests, .n_paths = 2, .guest = true },
		{ .paths = containers, .n_paths = 1, .except = excepted, .n_except = 1 },
	};
	static const struct {
		const char *path;
		bool of_container;
	} expected[] = {
		{ "/", true },	     { "/etc", false },	 { "/etc/file", false }, { "/bin", true },
		{ "/bin/a", false }, { "/bin/b", true }, { "/c", true },
	};
	_cleanup_(freep) uint8_t *vault = aligned_alloc(4096, GUARD_VAULT_TABLES);
	struct policy policy = { .rules = rules, .n_rules = 2 };
	struct plan *plan = NULL;

	(void)state;
	memset(vault, 0, GUARD_VAULT_TABLES);
	assert_int_equal(plan_new(&plan, &policy, NULL), 0);
	assert_int_equal(plan->n_names, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_string_equal(plan->names[i].path, expected[i].path);
		assert_int_equal(plan->names[i].of_container, expected[i].of_container);
	}
	plan_publish(plan, (struct guard_vault *)vault);
	check_names(vault, plan);
	plan_free(plan);
}

/* As many paths as fit, and one more. */
static void test_limits(void **state)
{
	enum {
		N = 6000,
		LENGTH = 180
	};
	_cleanup_(freep) char *text = malloc(N * (LENGTH + 1));
	_cleanup_(freep) char **list = calloc(N, sizeof(*list));
	_cleanup_(freep) uint8_t *vault = aligned_alloc(4096, GUARD_VAULT_TABLES);
	struct policy_rule rule = { .paths = list };
	char source[] = "p.yaml";
	struct policy policy = { .rules = &rule, .n_rules = 1, .source = source };
	struct plan *plan = NULL;
	struct error err = { 0 };
	/* of each name: its bytes and its offset */
	size_t room = GUARD_VAULT_NAMES_SIZE - 1 - (1 + 1 + 4), n = room / (LENGTH + 1 + 4);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		list[i] = text + i * (LENGTH + 1);
		memset(list[i], 'x', LENGTH);
		snprintf(list[i] + LENGTH - 8, 9, "%08zu", i);
		list[i][0] = '/';
	}
	memset(vault, 0xff, GUARD_VAULT_TABLES);
	rule.n_paths = n;
	assert_int_equal(plan_new(&plan, &policy, &err), 0);
	plan_publish(plan, (struct guard_vault *)vault);
	check_names(vault, plan);
	plan = plan_free(plan);
	rule.n_paths = n + 1;
	assert_int_equal(plan_new(&plan, &policy, &err), -E2BIG);
	assert_non_null(strstr(err.message, "p.yaml"));
	assert_null(plan);
	assert_null(plan_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	     cmocka_unit_test(test_parents),
		cmocka_unit_test(test_locate),	     cmocka_unit_test(test_levels),
		cmocka_unit_test(test_left_below),   cmocka_unit_test(test_publish),
		cmocka_unit_test(test_guests_names), cmocka_unit_test(test_executables),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
