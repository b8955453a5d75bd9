// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/policy.h"

#define RULE "rules: [{name: r, paths: /a, operations: write, action: deny"
#define WITH(answer) RULE ", answer: " answer "}]\n"
#define MS 1000000ULL

static struct policy *parse(const char *text, struct error *err)
{
	struct policy *policy = NULL;

	policy_parse(&policy, text, strlen(text), "p", err);
	return policy;
}

static struct policy *take(const char *text)
{
	struct error err = { 0 };
	struct policy *policy = parse(text, &err);

	if (!policy)
		fail_msg("%s: %s", text, err.message);
	return policy;
}

static void test_defaults(void **state)
{
	struct policy *policy = take(RULE "}]\n");

	(void)state;
	assert_null(policy->rules[0].answer);
	assert_int_equal(policy->tampering.restore, POLICY_RESTORE_HOOKS);
	assert_false(policy->tampering.answer.freeze);
	assert_null(policy->tampering.answer.dump);
	assert_int_equal(policy->tampering.answer.n_command, 0);
	assert_int_equal(policy->sentry.hooks_ns, 10 * MS);
	assert_int_equal(policy->sentry.kernel_ns, 2000 * MS);
	assert_int_equal(policy->sentry.registers_ns, 1000 * MS);
	assert_int_equal(policy->sentry.vault_ns, 10000 * MS);
	policy_free(policy);
}

static void test_all(void **state)
{
	struct policy *policy = take(WITH("{freeze: no, kill-container: yes, dump: /d, command: "
					  "[/bin/x, -y, \"a "
					  "b\"]}") "on-tampering:\n  restore: [hooks, kernel]\n  "
						   "freeze: true\n"
						   "  dump: {directory: /e, format: plain}\n  "
						   "command: /bin/z\n"
						   "sentry: {hooks: 1ms, kernel: 1s, registers: "
						   "off, vault: "
						   "3600s}\n");
	const struct policy_answer *answer = policy->rules[0].answer;

	(void)state;
	assert_false(answer->freeze);
	assert_true(answer->kill_container);
	assert_string_equal(answer->dump, "/d");
	assert_false(answer->dump_plain);
	assert_int_equal(answer->n_command, 3);
	assert_string_equal(answer->command[2], "a b");
	assert_int_equal(policy->tampering.restore, POLICY_RESTORE_HOOKS | POLICY_RESTORE_KERNEL);
	answer = &policy->tampering.answer;
	assert_true(answer->freeze);
	assert_string_equal(answer->dump, "/e");
	assert_true(answer->dump_plain);
	assert_int_equal(answer->n_command, 1);
	assert_int_equal(policy->sentry.hooks_ns, MS);
	assert_int_equal(policy->sentry.kernel_ns, 1000 * MS);
	assert_int_equal(policy->sentry.registers_ns, 0);
	assert_int_equal(policy->sentry.vault_ns, 3600 * 1000 * MS);
	policy_free(policy);
	policy = take(RULE "}]\non-tampering: {restore: none}\n");
	assert_int_equal(policy->tampering.restore, 0);
	policy_free(policy);
	policy = take(WITH("{freeze: no}"));
	assert_null(policy->rules[0].answer);
	policy_free(policy);
}

static const struct {
	const char *text, *message;
} refused[] = {
	{ WITH("{restart: yes}"), "unknown key `restart`; known: freeze, dump, kill-container, "
				  "command" },
	{ WITH("{freeze: maybe}"), "unknown value `maybe`; known: no, yes, false, true" },
	{ WITH("{dump: dumps}"), "directory \"dumps\" is no absolute path; write \"/...\"" },
	{ WITH("{dump: {format: zlib}}"), "`directory` is missing; write `directory: "
					  "/var/lib/outguard/dumps`" },
	{ WITH("{dump: {directory: /d, format: gzip}}"), "unknown format `gzip`; known: zlib, "
							 "plain" },
	{ WITH("{command: ls}"), "program \"ls\" is no absolute path; write \"/...\"" },
	{ WITH("{command: [ls, /bin/ls]}"), "program \"ls\" is no absolute path; write \"/...\"" },
	{ WITH("{command: /bin/ls -l}"), "a command with arguments is a list, for no shell reads "
					 "it; write [/usr/local/bin/tell, ...]" },
	{ WITH("{command: {a: b}}"), "mapping where a single text should be" },
	{ "on-tampering: {kill-container: yes}\n" RULE "}]\n", "unknown key `kill-container`; "
							       "known: restore, freeze, dump, "
							       "command" },
	{ "on-tampering: {restore: text}\n" RULE "}]\n", "unknown part `text`; known: hooks, "
							 "kernel" },
	{ "on-tampering: freeze\n" RULE "}]\n", "text where a mapping should be" },
	{ "sentry: {hooks: off}\n" RULE "}]\n", "\"off\" is no time from 1ms to 3600s; write "
						"`10ms` or `2s`" },
	{ "sentry: {kernel: 5}\n" RULE "}]\n", "\"5\" is no time from 50ms to 3600s, nor `off`" },
	{ "sentry: {kernel: 49ms}\n" RULE "}]\n", "\"49ms\" is no time" },
	{ "sentry: {kernel: 3601s}\n" RULE "}]\n", "\"3601s\" is no time" },
	{ "sentry: {kernel: 99999999999999999999s}\n" RULE "}]\n", "is no time" },
	{ "sentry: {kernel: -1s}\n" RULE "}]\n", "\"-1s\" is no time" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct error err = { 0 };

		if (parse(refused[i].text, &err))
			fail_msg("%s: taken", refused[i].text);
		if (!strstr(err.message, refused[i].message))
			fail_msg("%s: %s", refused[i].text, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
