// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "glob/glob.h"
#include "util/cleanup.h"

#define MAX_NAMES 2048

/* Splits at '/', last name first, as a walk up from a file finds them. */
static unsigned int split(char *path, const char *ret_names[])
{
	unsigned int n = 0;
	char *slash;

	if (!*path)
		return 0;
	while ((slash = strrchr(path, '/'))) {
		ret_names[n++] = slash + 1;
		*slash = '\0';
	}
	ret_names[n++] = path;
	return n;
}

static bool match(const char *pattern, const char *path)
{
	const char *names[MAX_NAMES];
	char copy[8192];

	assert_true(strlen(path) < sizeof(copy));
	strcpy(copy, path);
	return glob_match(pattern, names, split(copy, names));
}

static void test_name(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool expected;
	} rows[] = {
		{ "passwd", "passwd", true },
		{ "passwd", "passwd-", false },
		{ "passwd", "passw", false },
		{ "passwd", "Passwd", false },
		{ "passwd/x", "passwd", true }, /* ends at the slash */
		{ "*/x", "passwd", true },
		{ "a*/b", "ab/b", true }, /* a slash in the name is a character like others */
		{ "pass/d", "pass/d", false },
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "?", "", false },
		{ "*", "a", true },
		{ "*", ".hidden", true },
		{ "?hidden", ".hidden", true },
		{ "**", "a", true },
		{ "***", "", true },
		{ "?", "a", true },
		{ "?", "ab", false },
		{ "??", "\xc3\xa4", true }, /* bytes, not characters */
		{ "?", "\xc3\xa4", false },
		{ "*\xa4", "\xc3\xa4", true },
		{ "*.conf", "a.conf", true },
		{ "*.conf", ".conf", true },
		{ "*.conf", "a.conf.bak", false },
		{ "*.conf", "a.conf.conf", true },
		{ "ssh_host_*_key", "ssh_host_rsa_key", true },
		{ "ssh_host_*_key", "ssh_host_key", false },
		{ "ssh_host_*_key", "ssh_host__key", true },
		{ "a*b*c", "abc", true },
		{ "a*b*c", "aXbYbZc", true },
		{ "a*b*c", "acb", false },
		{ "*a*", "bbb", false },
		{ "*ab", "aab", true },
		{ "*aab", "aaab", true },
		{ "*?", "", false },
		{ "*?", "a", true },
		{ "?*?", "a", false },
		{ "?*?", "ab", true },
		{ "a*", "a*", true },
		{ "a?c", "a*c", true },
		{ "[a]", "a", false }, /* no classes */
		{ "\\*", "*", false }, /* no escapes */
		{ "\\*", "\\*", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (glob_match_name(rows[i].pattern, rows[i].name) != rows[i].expected)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].name);
}

static void test_path(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool expected;
	} rows[] = {
		{ "etc/passwd", "etc/passwd", true },
		{ "etc/passwd", "etc/passwd/x", false },
		{ "etc/passwd", "etc", false },
		{ "etc/passwd", "passwd", false },
		{ "etc/passwd", "passwd/etc", false },
		{ "*", "etc", true },
		{ "*", "etc/passwd", false },
		{ "*", "", false },
		{ "*/*", "etc/passwd", true },
		{ "*/*", "etc", false },
		{ "?/b", "a/b", true },
		{ "?/b", "aa/b", false },
		{ "*.d/*.conf", "a.d/b.conf", true },
		{ "*.d/*.conf", "a.d/b.d/c.conf", false },
		/* "**" last: at least one name */
		{ "**", "", false },
		{ "**", "a", true },
		{ "**", "a/b/c", true },
		{ "a/**", "a", false },
		{ "a/**", "a/b", true },
		{ "a/**", "a/b/c", true },
		{ "a/**", "b/a/c", false },
		{ "*/**", "a", false },
		{ "*/**", "a/b", true },
		/* "**" before others: also none */
		{ "**/b", "b", true },
		{ "**/b", "a/b", true },
		{ "**/b", "a/a/b", true },
		{ "**/b", "b/a", false },
		{ "**/b", "b/b", true },
		{ "a/**/b", "a/b", true },
		{ "a/**/b", "a/x/b", true },
		{ "a/**/b", "a/x/y/b", true },
		{ "a/**/b", "a/x/y/b/c", false },
		{ "a/**/b", "x/a/b", false },
		{ "**/b/**", "b", false },
		{ "**/b/**", "b/b", true },
		{ "**/b/**", "a/b", false },
		{ "**/b/**", "a/b/c", true },
		{ "**/a/**/b", "a/b", true },
		{ "**/a/**/b", "b/a/a/b/b", true },
		{ "**/a/**/b", "b/a", false },
		{ "**/a/b", "a/a/b", true },
		{ "**/a/b/a/c", "a/b/a/b/a/c", true },
		{ "**/**", "a", true },
		{ "**/**", "", false },
		{ "**/**/**", "a", true },
		{ "**/*.pem", "x/y/z.pem", true },
		{ "**/*.pem", "x/y/z.pem/w", false },
		{ "*/.ssh/**", "alice/.ssh/id_rsa", true },
		{ "*/.ssh/**", ".ssh/id_rsa", false },
		/* only a whole name is "**" */
		{ "a**", "ab", true },
		{ "a**", "ab/c", false },
		{ "***", "ab", true },
		{ "***", "ab/c", false },
		{ "", "", true },
		{ "", "a", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (match(rows[i].pattern, rows[i].path) != rows[i].expected)
			fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].path);
}

/* The definition, as directly as it can be written: exponential, and clearly right. */
static bool is_name(const char *pattern, const char *name)
{
	if (!*pattern)
		return !*name;
	if (*pattern == '*')
		return is_name(pattern + 1, name) || (*name && is_name(pattern, name + 1));
	return *name && (*pattern == '?' || *pattern == *name) && is_name(pattern + 1, name + 1);
}

struct path {
	const char *names[8]; /* first one first */
	unsigned int n;
};

static bool is_path(const struct path *pattern, unsigned int i, const struct path *path,
		    unsigned int j)
{
	if (i == pattern->n)
		return j == path->n;
	if (!strcmp(pattern->names[i], "**")) {
		if (i + 1 == pattern->n)
			return j < path->n;
		return is_path(pattern, i + 1, path, j) ||
		       (j < path->n && is_path(pattern, i, path, j + 1));
	}
	return j < path->n && is_name(pattern->names[i], path->names[j]) &&
	       is_path(pattern, i + 1, path, j + 1);
}

/* The @number-th word of up to @max_len letters of @alphabet, counting from the empty one. */
static bool nth_word(char *ret, const char *alphabet, unsigned int max_len, unsigned int number)
{
	unsigned int base = strlen(alphabet), len = 0;

	for (; number; number = (number - 1) / base) {
		if (len == max_len)
			return false;
		ret[len++] = alphabet[(number - 1) % base];
	}
	ret[len] = '\0';
	return true;
}

static bool nth_path(struct path *ret, const char *const alphabet[], unsigned int max_len,
		     unsigned int number)
{
	unsigned int base = 0;

	while (alphabet[base])
		base++;
	for (ret->n = 0; number; number = (number - 1) / base) {
		if (ret->n == max_len)
			return false;
		ret->names[ret->n++] = alphabet[(number - 1) % base];
	}
	return true;
}

static void test_all_names(void **state)
{
	char pattern[8], name[8];

	(void)state;
	for (unsigned int i = 0; nth_word(pattern, "ab*?", 6, i); i++)
		for (unsigned int j = 0; nth_word(name, "ab", 7, j); j++)
			if (glob_match_name(pattern, name) != is_name(pattern, name))
				fail_msg("\"%s\" and \"%s\"", pattern, name);
}

static void compare_all_paths(const char *const parts[], unsigned int max_parts,
			      const char *const words[], unsigned int max_words)
{
	struct path pattern, path;

	for (unsigned int i = 0; nth_path(&pattern, parts, max_parts, i); i++) {
		char text[64] = "";

		for (unsigned int k = 0; k < pattern.n; k++)
			strcat(strcat(text, k ? "/" : ""), pattern.names[k]);
		for (unsigned int j = 0; nth_path(&path, words, max_words, j); j++) {
			const char *names[8];

			for (unsigned int k = 0; k < path.n; k++)
				names[path.n - 1 - k] = path.names[k];
			if (glob_match(text, names, path.n) != is_path(&pattern, 0, &path, 0))
				fail_msg("pattern \"%s\", path number %u", text, j);
			if (path.n &&
			    (glob_match(text, names, path.n) ||
			     glob_match_below(text, names, path.n)) &&
			    !(glob_first_kinds(text) >> glob_kind(path.names[0]) & 1))
				fail_msg("pattern \"%s\", path number %u begins otherwise", text,
					 j);
		}
	}
}

static void test_all_paths(void **state)
{
	static const char *const parts[] = { "a", "*", "?", "**", "a*", "*b", NULL };
	static const char *const words[] = { "a", "b", "ab", NULL };
	static const char *const few_parts[] = { "a", "b", "**", NULL };
	static const char *const few_words[] = { "a", "b", NULL };

	(void)state;
	compare_all_paths(parts, 4, words, 5);
	compare_all_paths(few_parts, 7, few_words, 7);
}

static void test_kinds(void **state)
{
	static const char *const names[] = { "etc", "usr", "var", "root", "home", "opt", "srv" };
	unsigned long long seen = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[16];

		snprintf(path, sizeof(path), "%s/*", names[i]);
		assert_true(glob_first_kinds(path) == 1ULL << glob_kind(names[i]));
		assert_true(glob_kind(path) == glob_kind(names[i]));
		seen |= glob_first_kinds(path);
	}
	assert_true(__builtin_popcountll(seen) > 5); /* most tell names apart */
	assert_true(glob_kind("") < 64);
	assert_true(glob_first_kinds("e?c/a") == ~0ULL);
	assert_true(glob_first_kinds("etc*") == ~0ULL);
	assert_true(glob_first_kinds("**") == ~0ULL);
	/* By its first bytes, however long it is. */
	assert_int_equal(glob_kind("a-name-that-is-long"), glob_kind("a-name-t"));
}

static bool below(const char *pattern, const char *path)
{
	const char *names[MAX_NAMES];
	char copy[8192];

	assert_true(strlen(path) < sizeof(copy));
	strcpy(copy, path);
	return glob_match_below(pattern, names, split(copy, names));
}

static void test_below(void **state)
{
	static const struct {
		const char *pattern, *directory;
		bool expected;
	} rows[] = {
		{ "a", "a", false }, /* the directory itself */
		{ "a/b", "a", true },	   { "a/b", "b", false },      { "a/b", "a/b", false },
		{ "a/b/c", "a/b", true },  { "a/b/c", "a/c", false },  { "*/b", "x", true },
		{ "x*/b", "y", false },	   { "a/**", "a", true },      { "a/**", "a/b/c", true },
		{ "a/**", "b", false },	   { "**", "x/y", true },      { "**/b", "x/y", true },
		{ "**/b", "b", true }, /* b/b */
		{ "a/**/b", "a/x", true }, { "a/**/b", "x/a", false }, { "", "a", false },
		{ "a", "", true }, /* below the base itself */
		{ "", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (below(rows[i].pattern, rows[i].directory) != rows[i].expected)
			fail_msg("\"%s\" below \"%s\"", rows[i].pattern, rows[i].directory);
}

#define MAX_WORDS 128

/* What a pattern matches below a directory, asked for each of the paths that there may be. */
static void ask_all(bool ret[MAX_WORDS], const char *pattern, const struct path *directory,
		    const char *const words[])
{
	struct path path;

	for (unsigned int i = 1; nth_path(&path, words, 4, i); i++) {
		const char *names[8];
		unsigned int n = 0;

		assert_true(i < MAX_WORDS);
		while (path.n)
			names[n++] = path.names[--path.n];
		for (unsigned int k = directory->n; k-- > 0;)
			names[n++] = directory->names[k];
		ret[i] = glob_match(pattern, names, n);
	}
}

static unsigned int turn(const char *ret[8], const struct path *path)
{
	for (unsigned int k = 0; k < path->n; k++)
		ret[path->n - 1 - k] = path->names[k];
	return path->n;
}

static void compare_below(const char *pattern, const char *const words[])
{
	static bool matched[64][MAX_WORDS];
	static const bool none[MAX_WORDS];
	const char *a[8], *b[8];
	struct path directory;

	for (unsigned int i = 0; nth_path(&directory, words, 3, i); i++) {
		unsigned int n_a = turn(a, &directory);

		assert_true(i < ARRAY_SIZE(matched));
		ask_all(matched[i], pattern, &directory, words);
		if (glob_match_below(pattern, a, n_a) !=
		    (memcmp(matched[i], none, sizeof(none)) != 0))
			fail_msg("\"%s\" below directory %u", pattern, i);
		for (unsigned int j = 0; j <= i; j++) {
			unsigned int n_b;

			nth_path(&directory, words, 3, j);
			n_b = turn(b, &directory);
			if (glob_same_below(pattern, a, n_a, b, n_b) !=
			    !memcmp(matched[i], matched[j], sizeof(none)))
				fail_msg("\"%s\" below directories %u and %u", pattern, i, j);
		}
	}
}

/* Against what comes out when all there can be below is tried. */
static void test_all_below(void **state)
{
	static const char *const parts[] = { "a", "b", "*", "**", NULL };
	static const char *const words[] = { "a", "b", "c", NULL };
	struct path pattern;

	(void)state;
	for (unsigned int i = 0; nth_path(&pattern, parts, 4, i); i++) {
		char text[64] = "";

		for (unsigned int k = 0; k < pattern.n; k++)
			strcat(strcat(text, k ? "/" : ""), pattern.names[k]);
		compare_below(text, words);
	}
}

/* More names than can be compared are not the same. */
static void test_same_limit(void **state)
{
	const char *a[] = { "x" }, *b[] = { "y" };
	char pattern[2 * GLOB_MAX_SAME + 8] = "*";

	(void)state;
	for (unsigned int i = 1; i < GLOB_MAX_SAME; i++)
		strcat(pattern, "/*");
	assert_true(glob_same_below(pattern, a, 1, b, 1));
	strcat(pattern, "/*");
	assert_false(glob_same_below(pattern, a, 1, b, 1));
	assert_false(glob_same_below(pattern, a, 1, a, 1));
}

/* Where backtracking would be exponential: the longest pattern and path there can be, in a moment. */
static void test_bound(void **state)
{
	static char pattern[4096], path[4096], name[256];
	clock_t start = clock();

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(pattern) - 1; i += 2) {
		memcpy(pattern + i, "*a", 2);
		memcpy(path + i, "a/", 2);
	}
	strcpy(pattern + sizeof(pattern) - 3, "b");
	memset(name, 'a', sizeof(name) - 1);
	assert_false(glob_match_name(pattern, name));

	for (size_t i = 0; i + 5 < sizeof(pattern); i += 5)
		memcpy(pattern + i, "**/a/", 6);
	strcpy(pattern + strlen(pattern) - 1, "b");
	path[sizeof(path) - 3] = '\0';
	assert_false(match(pattern, path));
	assert_true(match("**/a/**/a/**/a", path));
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),	  cmocka_unit_test(test_path),
		cmocka_unit_test(test_all_names), cmocka_unit_test(test_all_paths),
		cmocka_unit_test(test_kinds),	  cmocka_unit_test(test_below),
		cmocka_unit_test(test_all_below), cmocka_unit_test(test_same_limit),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
