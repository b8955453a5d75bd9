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

static void check_path(const char *path)
{
	require(path[0] == '/' && path[1] && strlen(path) < 4096);
	require(path[strlen(path) - 1] != '/');
	require(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
}

static void check_exception(const struct policy_exception *exception)
{
	const struct policy_selector *containers = &exception->containers;

	require(exception->n_executables || exception->n_uids || exception->by_container);
	require(exception->n_executables <= 256 && exception->n_uids <= 256);
	require(containers->n_ids <= 256 && containers->n_hostnames <= 256);
	require(exception->by_container ==
		(containers->n_ids || containers->n_engines || containers->n_hostnames));
	for (size_t i = 0; i < exception->n_executables; i++) {
		check_path(exception->executables[i]);
		require(!policy_path_is_glob(exception->executables[i]));
	}
	for (size_t i = 0; i < exception->n_uids; i++)
		require(exception->uids[i].from <= exception->uids[i].to &&
			exception->uids[i].to < UINT32_MAX);
}

/* What others rely on in a policy that was accepted. */
static void check_rule(const struct policy_rule *rule)
{
	require(rule->name && *rule->name && strlen(rule->name) <= 64 && rule->line);
	require(rule->n_paths && rule->operations && rule->operations < 1u << POLICY_N_OPERATIONS);
	require(strcmp(policy_action_name(rule->action), "?"));
	require(strcmp(policy_severity_name(rule->severity), "?"));
	for (size_t i = 0; i < rule->n_paths; i++)
		check_path(rule->paths[i]);
	require(rule->n_except <= 64 && !rule->except == !rule->n_except);
	for (size_t i = 0; i < rule->n_except; i++)
		check_exception(&rule->except[i]);
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
	for (size_t i = 0; i < policy->n_own_rules; i++)
		check_rule(&policy->rules[i]);
	for (size_t i = policy->n_own_rules; i < policy->n_rules; i++)
		require(!strncmp(policy->rules[i].name, "guest-integrity/", 16));
	policy_free(policy);
	return 0;
}
