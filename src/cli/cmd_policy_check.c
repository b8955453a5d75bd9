// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "cli/command.h"
#include "policy/policy.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct policy *, policy_free)

static void add_string(struct json_object *to, const char *key, const char *value)
{
	if (value)
		json_object_object_add(to, key, json_object_new_string(value));
}

static struct json_object *strings(char *const *list, size_t n)
{
	struct json_object *to = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(to, json_object_new_string(list[i]));
	return to;
}

static struct json_object *selector_facts(const struct policy_selector *selector)
{
	struct json_object *to = json_object_new_object();

	if (selector->n_ids)
		json_object_object_add(to, "id", strings(selector->ids, selector->n_ids));
	if (selector->n_engines)
		json_object_object_add(to, "engine",
				       strings(selector->engines, selector->n_engines));
	if (selector->n_hostnames)
		json_object_object_add(to, "hostname",
				       strings(selector->hostnames, selector->n_hostnames));
	return to;
}

static struct json_object *operation_names(uint32_t operations)
{
	struct json_object *to = json_object_new_array();

	for (unsigned int i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (operations & 1u << i)
			json_object_array_add(
				to, json_object_new_string(policy_operation_name(1u << i)));
	}
	return to;
}

/* As a policy may say them: 1000, 1000-1999. */
static struct json_object *uid_texts(const struct policy_uids *uids, size_t n)
{
	struct json_object *to = json_object_new_array();
	char text[24];

	for (size_t i = 0; i < n; i++) {
		if (uids[i].from == uids[i].to)
			snprintf(text, sizeof(text), "%u", uids[i].from);
		else
			snprintf(text, sizeof(text), "%u-%u", uids[i].from, uids[i].to);
		json_object_array_add(to, json_object_new_string(text));
	}
	return to;
}

static struct json_object *exception_facts(const struct policy_exception *exception)
{
	struct json_object *to = json_object_new_object();

	if (exception->n_executables)
		json_object_object_add(to, "executables",
				       strings(exception->executables, exception->n_executables));
	if (exception->n_uids)
		json_object_object_add(to, "uids", uid_texts(exception->uids, exception->n_uids));
	if (exception->by_container)
		json_object_object_add(to, "containers", selector_facts(&exception->containers));
	return to;
}

static struct json_object *rule_facts(const struct policy_rule *rule)
{
	struct json_object *to = json_object_new_object();
	struct json_object *except = json_object_new_array();

	for (size_t i = 0; i < rule->n_except; i++)
		json_object_array_add(except, exception_facts(&rule->except[i]));
	add_string(to, "name", rule->name);
	json_object_object_add(to, "line", json_object_new_int64(rule->line));
	json_object_object_add(to, "paths", strings(rule->paths, rule->n_paths));
	json_object_object_add(to, "containers", selector_facts(&rule->containers));
	json_object_object_add(to, "operations", operation_names(rule->operations));
	add_string(to, "action", policy_action_name(rule->action));
	json_object_object_add(to, "except", except);
	add_string(to, "severity", policy_severity_name(rule->severity));
	add_string(to, "message", rule->message);
	return to;
}

static void print_policy(const struct policy *policy)
{
	struct json_object *to = json_object_new_object(), *rules = json_object_new_array();

	for (size_t i = 0; i < policy->n_own_rules; i++)
		json_object_array_add(rules, rule_facts(&policy->rules[i]));
	json_object_object_add(to, "ok", json_object_new_boolean(true));
	add_string(to, "source", policy->source);
	add_string(to, "digest", policy->digest);
	add_string(to, "unresolved", policy->refuse_unresolved ? "refuse" : "start");
	add_string(to, "cache", policy->lazy ? "lazy" : "eager");
	json_object_object_add(to, "rules", rules);
	command_print_json(to);
	json_object_put(to);
}

/* In as few words as a policy could say it. */
static void print_operations(uint32_t operations)
{
	const char *comma = "";

	if (operations == POLICY_ALL) {
		printf("all");
		return;
	}
	if ((operations & POLICY_MODIFY) == POLICY_MODIFY) {
		printf("modify");
		operations &= ~POLICY_MODIFY;
		comma = ", ";
	}
	for (unsigned int i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (!(operations & 1u << i))
			continue;
		printf("%s%s", comma, policy_operation_name(1u << i));
		comma = ", ";
	}
}

static void print_count(size_t n, const char *what)
{
	printf("%zu %s%s", n, what, n == 1 ? "" : "s");
}

static void print_rules(const struct policy *policy)
{
	printf("%s: a good policy of ", policy->source);
	print_count(policy->n_own_rules, "rule");
	printf("\n");
	for (size_t i = 0; i < policy->n_own_rules; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		printf("  %s: %s ", rule->name, policy_action_name(rule->action));
		print_operations(rule->operations);
		printf(" of ");
		print_count(rule->n_paths, "path");
		if (rule->n_except) {
			printf(", with ");
			print_count(rule->n_except, "exception");
		}
		printf("\n");
	}
}

static void print_refusal(const struct error *err)
{
	struct json_object *to = json_object_new_object();

	json_object_object_add(to, "ok", json_object_new_boolean(false));
	add_string(to, "message", err->message);
	command_print_json(to);
	json_object_put(to);
}

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct error err = { 0 };
	int c, json = 0, r;

	while ((c = command_option(command, argc, argv, "", options)) != -1)
		json = c == 'j';
	command_operands(command, argc, 1, 1);
	r = policy_load(&policy, argv[optind], &err);
	if (r < 0) {
		if (json)
			print_refusal(&err);
		return command_failed(outcome_of_policy(r), &err);
	}
	if (json)
		print_policy(policy);
	else
		print_rules(policy);
	return OUTCOME_DONE;
}

const struct command cmd_policy_check = {
	.name = "policy check",
	.brief = "check a policy file; needs no daemon and no VM",
	.help = "Usage: outguard policy check FILE [--json]\n"
		"\n"
		"Says what is wrong with the policy, where, and what would be right; of a good "
		"one,\n"
		"what each rule does.\n"
		"  --json    print the rules as outguard understands them\n",
	.run = run,
};
