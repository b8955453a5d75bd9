// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/pattern.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "glob/glob.h"
#include "policy/policy.h"

#define MAX_HOSTNAME 64 /* as in the kernel, __NEW_UTS_LEN */

bool policy_path_is_glob(const char *path)
{
	return strpbrk(path, "*?");
}

static bool name_is(const char *name, size_t len, const char *other)
{
	return len == strlen(other) && !memcmp(name, other, len);
}

/* The path that a person means who writes this one. @ret has room for as many bytes, and two. */
static void normalise(char *ret, const char *path)
{
	size_t end = 0, len;

	for (; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len || name_is(path, len, "."))
			continue;
		if (name_is(path, len, "..")) {
			while (end && ret[--end] != '/')
				;
			continue;
		}
		ret[end++] = '/';
		memcpy(ret + end, path, len);
		end += len;
	}
	ret[end] = '\0';
}

static int check_form(struct schema *schema, const struct yaml_node *node)
{
	const char *path = node->text;
	char normal[PATH_MAX + 2];
	struct schema_quote was = schema_quote(path), right;

	if (strlen(path) >= PATH_MAX)
		return schema_refuse(schema, node, "path \"%s\" is %zu bytes long; the limit is %d",
				     was.text, strlen(path), PATH_MAX - 1);
	normalise(normal, path);
	right = schema_quote(normal);
	if (!*normal)
		return schema_refuse(schema, node,
				     "path \"%s\" names no file; write \"/**\" for every file",
				     was.text);
	if (*path != '/')
		return schema_refuse(schema, node, "path \"%s\" is not absolute; write \"%s%s\"",
				     was.text, path[0] == '*' && path[1] != '*' ? "/**" : "",
				     right.text);
	if (!strcmp(path, normal))
		return 0;
	if (path[strlen(path) - 1] == '/')
		return schema_refuse(schema, node,
				     "path \"%s\" ends in \"/\"; write \"%s\", or \"%s/**\" for "
				     "all "
				     "that is in it",
				     was.text, right.text, right.text);
	return schema_refuse(schema, node,
			     "path \"%s\" has \".\", \"..\" or \"//\" in it; write \"%s\"",
			     was.text, right.text);
}

static int check_name(struct schema *schema, const struct yaml_node *node, const char *name,
		      size_t len)
{
	const char *stars = memmem(name, len, "**", 2);

	if (len > NAME_MAX)
		return schema_refuse(schema, node,
				     "path \"%s\" has a name of %zu bytes in it; the limit is %d",
				     schema_quote(node->text).text, len, NAME_MAX);
	if (strchr(" ,", name[len - 1]))
		return schema_refuse(schema, node,
				     "path \"%s\" has a name in it that ends in a blank or a "
				     "comma; "
				     "write one path in an item, and ? for such a character",
				     schema_quote(node->text).text);
	if (stars && len != 2)
		return schema_refuse(schema, node,
				     "path \"%s\" has \"**\" within a name; write \"*\", or \"**\" "
				     "between slashes",
				     schema_quote(node->text).text);
	return 0;
}

int pattern_check_path(struct schema *schema, const struct yaml_node *node)
{
	const char *bad = strpbrk(node->text, "[{\\");
	unsigned int n_below = 0; /* names from the first wildcard on */
	int r;

	if (bad)
		return schema_refuse(schema, node,
				     "path \"%s\" has `%c` in it, which is not supported; use * ? "
				     "**",
				     schema_quote(node->text).text, *bad);
	r = check_form(schema, node);
	if (r < 0)
		return r;
	for (const char *name = node->text; *name;) {
		size_t len = strcspn(++name, "/");

		r = check_name(schema, node, name, len);
		if (r < 0)
			return r;
		n_below += n_below || memchr(name, '*', len) || memchr(name, '?', len);
		name += len;
	}
	if (n_below > GLOB_MAX_DEPTH)
		return schema_refuse(schema, node,
				     "path \"%s\" has %u names from its first wildcard on; the "
				     "limit "
				     "is %d, and \"**\" stands for many",
				     schema_quote(node->text).text, n_below, GLOB_MAX_DEPTH);
	return 0;
}

int pattern_check_hostname(struct schema *schema, const struct yaml_node *node)
{
	size_t len = strlen(node->text);
	size_t good = strspn(node->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-._*?");

	if (good < len)
		return schema_refuse(schema, node,
				     "host name \"%s\" has a character that none has; write "
				     "letters, "
				     "digits, - . _ and the wildcards * ?",
				     schema_quote(node->text).text);
	if (len > MAX_HOSTNAME)
		return schema_refuse(schema, node,
				     "host name \"%s\" is %zu bytes long; the limit is %d",
				     schema_quote(node->text).text, len, MAX_HOSTNAME);
	return 0;
}
