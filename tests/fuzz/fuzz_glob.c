// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"

/*
 * "PATTERN\nPATH": glob_match() against a table of which beginnings match which, filled name by name; and what is said of the
 * directories above the path against what it matches. "PATTERN\nPATH\nDIRECTORY": and if they were that directory.
 */

#define MAX_NAMES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int split(char *path, char *ret_names[])
{
	unsigned int n = 0;

	for (char *name; n < MAX_NAMES && (name = strsep(&path, "/"));)
		ret_names[n++] = name;
	return n;
}

static bool is_name(const char *pattern, const char *name)
{
	size_t n = strlen(name);
	bool *row = calloc(n + 1, sizeof(*row)), match;

	if (!row)
		abort();
	row[0] = true;
	for (; *pattern; pattern++) {
		bool before = row[0];

		row[0] = before && *pattern == '*';
		for (size_t j = 1; j <= n; j++) {
			bool above = row[j];

			row[j] = *pattern == '*'
					 ? above || row[j - 1]
					 : before && (*pattern == '?' || *pattern == name[j - 1]);
			before = above;
		}
	}
	match = row[n];
	free(row);
	return match;
}

static bool is_path(char *patterns[], unsigned int n, char *names[], unsigned int n_names)
{
	bool table[MAX_NAMES + 1][MAX_NAMES + 1] = { { true } };

	for (unsigned int i = 1; i <= n; i++) {
		bool stars = !strcmp(patterns[i - 1], "**");

		table[i][0] = stars && i < n && table[i - 1][0];
		for (unsigned int j = 1; j <= n_names; j++) {
			if (!stars)
				table[i][j] = table[i - 1][j - 1] &&
					      is_name(patterns[i - 1], names[j - 1]);
			else
				table[i][j] = table[i][j - 1] || table[i - 1][j - 1] ||
					      (i < n && table[i - 1][j]);
		}
	}
	return table[n][n_names];
}

/* A path as glob_match() takes it. */
struct path {
	const char *names[2 * MAX_NAMES];
	unsigned int n;
};

/* @directory, and below it the last @n_below names of @path. */
static struct path join(char *directory[], unsigned int n, char *path[], unsigned int n_path,
			unsigned int n_below)
{
	struct path joined = { .n = 0 };

	for (unsigned int i = 0; i < n_below; i++)
		joined.names[joined.n++] = path[n_path - 1 - i];
	while (n-- > 0)
		joined.names[joined.n++] = directory[n];
	return joined;
}

/* Where nothing can match below, nothing does; and what is the same below two directories is. */
static void compare_below(const char *pattern, char *names[], unsigned int n, char *other[],
			  unsigned int n_other)
{
	const struct path path = join(names, n, names, n, 0);
	bool matches = glob_match(pattern, path.names, n);

	for (unsigned int i = 0; i < n; i++) {
		const struct path directory = join(names, i, names, n, 0);
		const struct path elsewhere = join(other, n_other, names, n, 0);
		const struct path moved = join(other, n_other, names, n, n - i);

		if (matches && !glob_match_below(pattern, directory.names, i))
			abort();
		if (glob_same_below(pattern, directory.names, i, elsewhere.names, n_other) &&
		    glob_match(pattern, moved.names, moved.n) != matches)
			abort();
	}
}

static void compare(char *pattern, char *path, char *directory)
{
	char *patterns[MAX_NAMES], *names[MAX_NAMES], *other[MAX_NAMES], *copy = strdup(pattern);
	unsigned int n, n_names, n_other;
	struct path whole;

	if (!copy)
		abort();
	n = split(copy, patterns);
	n_names = split(path, names);
	n_other = directory ? split(directory, other) : 0;
	whole = join(names, n_names, names, n_names, 0);
	if (n < MAX_NAMES && *patterns[n - 1] &&
	    glob_match(pattern, whole.names, n_names) != is_path(patterns, n, names, n_names))
		abort();
	compare_below(pattern, names, n_names, other, n_other);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *path, *directory;

	if (size > 4096)
		return 0;
	text = calloc(1, size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	path = strchr(text, '\n');
	if (path) {
		*path++ = '\0';
		directory = strchr(path, '\n');
		if (directory)
			*directory++ = '\0';
		compare(text, path, directory);
	}
	free(text);
	return 0;
}
