// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/exception.h"

#include <errno.h>
#include <string.h>

#include "policy/pattern.h"
#include "policy/selector.h"
#include "util/cleanup.h"

#define MAX_EXCEPTIONS 64 /* of a rule */
#define MAX_ITEMS 256 /* of a list in one */
#define MAX_PAIRS \
	4096 /* of an executable and uids, in all exceptions of a rule: the guard looks at each */
#define MAX_UID (UINT32_MAX - 1) /* the last number means "none" to the kernel */

static int check_executable(struct schema *schema, const struct yaml_node *node)
{
	int r = pattern_check_path(schema, node);

	if (r < 0)
		return r;
	if (policy_path_is_glob(node->text))
		return schema_refuse(schema, node,
				     "executable \"%s\" has a wildcard in it; an exception is for "
				     "one file, so write each of them out",
				     schema_quote(node->text).text);
	return 0;
}

static int read_executables(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_exception *exception = object;

	return schema_read_texts(schema, node, check_executable, &exception->executables,
				 &exception->n_executables);
}

/* Moves @text behind the number that it begins with. */
static bool take_uid(const char **text, uint32_t *ret)
{
	size_t n = strspn(*text, "0123456789");
	uint64_t uid = 0;

	if (n < 1 || n > 10 || (n > 1 && **text == '0')) /* 010 is 8 to some, and 10 to others */
		return false;
	for (size_t i = 0; i < n; i++)
		uid = uid * 10 + (uint64_t)((*text)[i] - '0');
	if (uid > MAX_UID)
		return false;
	*text += n;
	*ret = (uint32_t)uid;
	return true;
}

static bool take_range(const char *text, struct policy_uids *ret)
{
	if (!take_uid(&text, &ret->from))
		return false;
	ret->to = ret->from;
	if (*text == '-') {
		text++;
		if (!take_uid(&text, &ret->to))
			return false;
	}
	return !*text;
}

static int add_uids(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_exception *exception = object;
	struct policy_uids *uids = &exception->uids[exception->n_uids];

	if (!take_range(node->text, uids))
		return schema_refuse(schema, node,
				     "uid \"%s\" is not a number from 0 to %u, or two with a `-` "
				     "between; write 1000 or 1000-1999",
				     schema_quote(node->text).text, MAX_UID);
	if (uids->from > uids->to)
		return schema_refuse(schema, node, "uids \"%s\" end before they begin; write %u-%u",
				     node->text, uids->to, uids->from);
	exception->n_uids++;
	return 0;
}

static int read_uids(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_exception *exception = object;

	exception->uids = calloc(node->kind == YAML_LIST ? node->n : 1, sizeof(*exception->uids));
	if (!exception->uids)
		return schema_no_memory(schema);
	return schema_each(schema, node, add_uids, exception);
}

/* No list in @map, or one mapping deeper, is longer than the guard should have to look through. */
static int check_lengths(struct schema *schema, const struct yaml_node *map)
{
	int r;

	for (const struct yaml_node *value = map->first; value; value = value->next) {
		if (value->kind == YAML_LIST && value->n > MAX_ITEMS)
			return schema_refuse(schema, value, "%zu items; the limit is %d", value->n,
					     MAX_ITEMS);
		if (value->kind != YAML_MAP)
			continue;
		r = check_lengths(schema, value); /* no deeper than YAML_MAX_DEPTH */
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_containers(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_exception *exception = object;

	exception->by_container = true;
	return selector_read(schema, node, &exception->containers);
}

static int read_exception(struct schema *schema, const struct yaml_node *node,
			  struct policy_exception *ret)
{
	static const struct schema_key keys[] = {
		{ "executables", NULL, read_executables },
		{ "uids", NULL, read_uids },
		{ "containers", NULL, read_containers },
	};
	int r;

	if (node->kind == YAML_MAP && !node->n)
		return schema_refuse(schema, node,
				     "exception without a part, which would be for everyone; write "
				     "`executables:`, `uids:` or `containers:`");
	r = node->kind == YAML_MAP ? check_lengths(schema, node) : 0;
	if (r < 0)
		return r;
	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), ret);
}

static size_t count_pairs(const struct policy_exception *exception)
{
	return (exception->n_executables ? exception->n_executables : 1) *
	       (exception->n_uids ? exception->n_uids : 1);
}

int exceptions_read(struct schema *schema, const struct yaml_node *node, struct policy_rule *rule)
{
	bool is_list = node->kind == YAML_LIST;
	const struct yaml_node *item = is_list ? node->first : node;
	size_t n = is_list ? node->n : 1, n_pairs = 0;
	int r;

	if (n > MAX_EXCEPTIONS)
		return schema_refuse(schema, node, "%zu exceptions; the limit is %d", n,
				     MAX_EXCEPTIONS);
	rule->except = calloc(n, sizeof(*rule->except));
	if (!rule->except)
		return schema_no_memory(schema);
	for (; rule->n_except < n; item = item->next) {
		struct policy_exception *exception = &rule->except[rule->n_except++];

		r = read_exception(schema, item, exception);
		if (r < 0)
			return r;
		n_pairs += count_pairs(exception);
	}
	if (n_pairs > MAX_PAIRS)
		return schema_refuse(schema, node,
				     "the exceptions come to %zu pairs of an executable and uids; "
				     "the limit is %d, and a range of uids counts once",
				     n_pairs, MAX_PAIRS);
	return 0;
}

void exceptions_deinit(struct policy_rule *rule)
{
	for (size_t i = 0; i < rule->n_except; i++) {
		struct policy_exception *exception = &rule->except[i];

		schema_texts_free(exception->executables, exception->n_executables);
		free(exception->uids);
		selector_deinit(&exception->containers);
	}
	free(rule->except);
}
