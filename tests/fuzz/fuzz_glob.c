// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"

/* "PATTERN\nPATH": glob_match() against a table of which beginnings match which, filled name by name. */

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

static void compare(char *pattern, char *path)
{
	char *patterns[MAX_NAMES], *names[MAX_NAMES], *copy = strdup(pattern);
	const char *last_first[MAX_NAMES];
	unsigned int n, n_names;

	if (!copy)
		abort();
	n = split(copy, patterns);
	n_names = split(path, names);
	for (unsigned int i = 0; i < n_names; i++)
		last_first[n_names - 1 - i] = names[i];
	if (n < MAX_NAMES && *patterns[n - 1] &&
	    glob_match(pattern, last_first, n_names) != is_path(patterns, n, names, n_names))
		abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *path;

	if (size > 4096)
		return 0;
	text = calloc(1, size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	path = strchr(text, '\n');
	if (path) {
		*path++ = '\0';
		compare(text, path);
	}
	free(text);
	return 0;
}
