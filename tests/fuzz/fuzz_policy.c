// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What others rely on in a policy that was accepted. */
static void check_rule(const struct policy_rule *rule)
{
	require(rule->name && *rule->name && strlen(rule->name) <= 64 && rule->line);
	require(rule->n_paths && rule->operations && rule->operations < 1u << POLICY_N_OPERATIONS);
	require(strcmp(policy_action_name(rule->action), "?"));
	require(strcmp(policy_severity_name(rule->severity), "?"));
	for (size_t i = 0; i < rule->n_paths; i++) {
		const char *path = rule->paths[i];

		require(path[0] == '/' && path[1] && strlen(path) < 4096);
		require(path[strlen(path) - 1] != '/');
		require(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
	}
	policy_selects(&rule->containers, "0123456789abcdef", "docker", "web-1");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL;
	struct error err = { 0 };
	int r = policy_parse(&policy, (const char *)data, size, "f", &err);

	if (r < 0) {
		require(!policy && err.code == r && !strncmp(err.message, "f:", 2));
		return 0;
	}
	require(policy->n_rules && strlen(policy->digest) == 64 && !err.code);
	for (size_t i = 0; i < policy->n_rules; i++)
		check_rule(&policy->rules[i]);
	policy_free(policy);
	return 0;
}
