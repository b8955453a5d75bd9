// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/rule.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "policy/answer.h"
#include "policy/exception.h"
#include "policy/pattern.h"
#include "policy/selector.h"
#include "util/cleanup.h"

#define MAX_NAME 64
#define MAX_MESSAGE 512

/* The operations in the order of their bits, then the groups. */
static const char *const words[] = {
	"read",	    "write", "create",	"delete", "rename", "link",	  "symlink",
	"truncate", "chmod", "chown",	"utimes", "xattr",  "attr-flags", "mmap-write",
	"exec",	    "mount", "copy-up", "modify", "all",
};
static const uint32_t groups[] = { POLICY_MODIFY, POLICY_ALL };
static_assert(ARRAY_SIZE(words) == POLICY_N_OPERATIONS + ARRAY_SIZE(groups), "a name for each");

/* What others call them. */
static const struct {
	const char *word;
	uint32_t operation;
} synonyms[] = {
	{ "append", POLICY_WRITE },    { "mkdir", POLICY_CREATE },
	{ "mknod", POLICY_CREATE },    { "unlink", POLICY_DELETE },
	{ "remove", POLICY_DELETE },   { "rmdir", POLICY_DELETE },
	{ "move", POLICY_RENAME },     { "hardlink", POLICY_LINK },
	{ "touch", POLICY_UTIMES },    { "acl", POLICY_XATTR },
	{ "setxattr", POLICY_XATTR },  { "chattr", POLICY_ATTR_FLAGS },
	{ "mmap", POLICY_MMAP_WRITE }, { "execute", POLICY_EXEC },
};

static const char *const actions[] = {
	[POLICY_AUDIT] = "audit",
	[POLICY_DENY] = "deny",
	[POLICY_KILL] = "kill",
};
static const char *const severities[] = {
	[POLICY_SEVERITY_LOW] = "low",
	[POLICY_SEVERITY_MEDIUM] = "medium",
	[POLICY_SEVERITY_HIGH] = "high",
	[POLICY_SEVERITY_CRITICAL] = "critical",
};

const char *policy_operation_name(uint32_t operation)
{
	for (size_t i = 0; i < POLICY_N_OPERATIONS; i++)
		if (operation == 1u << i)
			return words[i];
	return "?";
}

const char *policy_action_name(enum policy_action action)
{
	return (size_t)action < ARRAY_SIZE(actions) ? actions[action] : "?";
}

const char *policy_severity_name(enum policy_severity severity)
{
	return (size_t)severity < ARRAY_SIZE(severities) ? severities[severity] : "?";
}

static int read_name(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	const char *name = schema_text(schema, node);
	size_t len;

	if (!name)
		return -EINVAL;
	len = strlen(name);
	if (len > MAX_NAME || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789._-") != len)
		return schema_refuse(schema, node,
				     "name \"%s\" is not 1 to %d letters, digits, . _ or -; write "
				     "one like `protect-passwd`",
				     schema_quote(name).text, MAX_NAME);
	rule->name = strdup(name);
	return rule->name ? 0 : schema_no_memory(schema);
}

static int read_paths(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;

	return schema_read_texts(schema, node, pattern_check_path, &rule->paths, &rule->n_paths);
}

static int read_containers(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;

	return selector_read(schema, node, &rule->containers);
}

/* What a rule's list has named so far. */
struct named {
	uint32_t operations; /* all that is meant */
	uint32_t words; /* as bits, by their place */
};

static int refuse_synonym(struct schema *schema, const struct yaml_node *node)
{
	for (size_t i = 0; i < ARRAY_SIZE(synonyms); i++)
		if (!strcmp(node->text, synonyms[i].word))
			return schema_refuse(schema, node, "unknown operation `%s`; write `%s`",
					     node->text,
					     policy_operation_name(synonyms[i].operation));
	return 0;
}

/* A group and one of its own operations may both be named: a rule's writer need not know the groups by heart. */
static int add_operation(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct named *named = object;
	int r = refuse_synonym(schema, node);

	if (r < 0)
		return r;
	r = schema_choose(schema, node, "operation", words, ARRAY_SIZE(words));
	if (r < 0)
		return r;
	if (named->words & 1u << r)
		return schema_refuse(schema, node, "operation `%s` is there twice; keep one",
				     words[r]);
	named->words |= 1u << r;
	named->operations |= r < POLICY_N_OPERATIONS ? 1u << r : groups[r - POLICY_N_OPERATIONS];
	return 0;
}

static int read_operations(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	struct named named = { 0 };
	int r = schema_each(schema, node, add_operation, &named);

	rule->operations = named.operations;
	return r;
}

static int read_action(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	int r = schema_choose(schema, node, "action", actions, ARRAY_SIZE(actions));

	if (r < 0)
		return r;
	rule->action = r;
	return 0;
}

static int read_except(struct schema *schema, const struct yaml_node *node, void *object)
{
	return exceptions_read(schema, node, object);
}

static int read_severity(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	int r = schema_choose(schema, node, "severity", severities, ARRAY_SIZE(severities));

	if (r < 0)
		return r;
	rule->severity = r;
	return 0;
}

static int read_message(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	const char *message = schema_text(schema, node);

	if (!message)
		return -EINVAL;
	if (strlen(message) > MAX_MESSAGE)
		return schema_refuse(schema, node, "the message is %zu bytes long; the limit is %d",
				     strlen(message), MAX_MESSAGE);
	rule->message = strdup(message);
	return rule->message ? 0 : schema_no_memory(schema);
}

static int read_answer(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;

	return answer_read(schema, node, &rule->answer);
}

int rule_read(struct schema *schema, const struct yaml_node *node, struct policy_rule *ret)
{
	static const struct schema_key keys[] = {
		{ "name", "write `name: some-name`", read_name },
		{ "paths", "write `paths: [/etc/passwd]`", read_paths },
		{ "containers", NULL, read_containers },
		{ "operations", "write `operations: modify`, `all`, or a list like [read, write]",
		  read_operations },
		{ "action", "write `action: audit`, `action: deny` or `action: kill`",
		  read_action },
		{ "except", NULL, read_except },
		{ "severity", NULL, read_severity },
		{ "message", NULL, read_message },
		{ "answer", NULL, read_answer },
	};

	ret->line = node->line;
	ret->severity = POLICY_SEVERITY_MEDIUM;
	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), ret);
}

void rule_deinit(struct policy_rule *rule)
{
	free(rule->name);
	schema_texts_free(rule->paths, rule->n_paths);
	selector_deinit(&rule->containers);
	exceptions_deinit(rule);
	free(rule->message);
	answer_free(rule->answer);
	*rule = (struct policy_rule){ 0 };
}
