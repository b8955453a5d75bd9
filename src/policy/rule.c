// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/rule.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "policy/pattern.h"
#include "policy/selector.h"
#include "util/cleanup.h"

#define MAX_NAME 64
#define MAX_MESSAGE 512

static const char *const operations[] = { "read", "write" };
static const char *const actions[] = { [POLICY_AUDIT] = "audit", [POLICY_DENY] = "deny" };
static const char *const severities[] = {
	[POLICY_SEVERITY_LOW] = "low",
	[POLICY_SEVERITY_MEDIUM] = "medium",
	[POLICY_SEVERITY_HIGH] = "high",
	[POLICY_SEVERITY_CRITICAL] = "critical",
};
static_assert(ARRAY_SIZE(operations) == POLICY_N_OPERATIONS, "a name for each operation");

const char *policy_operation_name(uint32_t operation)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		if (operation == 1u << i)
			return operations[i];
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

static int add_operation(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_rule *rule = object;
	int r = schema_choose(schema, node, "operation", operations, ARRAY_SIZE(operations));

	if (r < 0)
		return r;
	if (rule->operations & 1u << r)
		return schema_refuse(schema, node, "operation `%s` is there twice; keep one",
				     operations[r]);
	rule->operations |= 1u << r;
	return 0;
}

static int read_operations(struct schema *schema, const struct yaml_node *node, void *object)
{
	return schema_each(schema, node, add_operation, object);
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

int rule_read(struct schema *schema, const struct yaml_node *node, struct policy_rule *ret)
{
	static const struct schema_key keys[] = {
		{ "name", "write `name: some-name`", read_name },
		{ "paths", "write `paths: [/etc/passwd]`", read_paths },
		{ "containers", NULL, read_containers },
		{ "operations", "write `operations: [read]`, [write] or [read, write]",
		  read_operations },
		{ "action", "write `action: audit` or `action: deny`", read_action },
		{ "severity", NULL, read_severity },
		{ "message", NULL, read_message },
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
	free(rule->message);
	*rule = (struct policy_rule){ 0 };
}
