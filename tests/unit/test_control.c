// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/control.h"

#define ATTACH "{\"verb\":\"attach\",\"name\":\"web-1\",\"qmp\":\"/q\",\"policy\":\"/p\"}"
#define A16 "aaaaaaaaaaaaaaaa"
#define A63 A16 A16 A16 "aaaaaaaaaaaaaaa"

static const struct {
	const char *line;
	enum control_verb verb;
	const char *name;
} good[] = {
	{ ATTACH, CONTROL_ATTACH, "web-1" },
	{ "{\"verb\":\"detach\",\"name\":\"a\"}", CONTROL_DETACH, "a" },
	{ "{\"name\":\"a\",\"verb\":\"detach\"}", CONTROL_DETACH, "a" },
	{ "{\"verb\":\"detach\",\"name\":\"" A63 "\"}", CONTROL_DETACH, A63 },
	{ " { \"verb\" : \"status\" } ", CONTROL_STATUS, "" },
	{ "{\"verb\":\"status\",\"name\":\"vm.0_+:@-\"}", CONTROL_STATUS, "vm.0_+:@-" },
	{ "{\"verb\":\"events\",\"follow\":true,\"last\":10}", CONTROL_EVENTS, "" },
	{ "{\"verb\":\"profile\",\"name\":\"x\"}", CONTROL_PROFILE, "x" },
	{ "{\"verb\":\"policy-load\",\"policy\":\"/p\"}", CONTROL_POLICY_LOAD, "" },
};

static const struct {
	const char *line, *says; /* part of the message */
} bad[] = {
	{ "", "one JSON object" },
	{ "{", "one JSON object" },
	{ "[]", "one JSON object" },
	{ "null", "one JSON object" },
	{ "{'verb':'status'}", "one JSON object" },
	{ "{\"verb\":\"status\"} {}", "one JSON object" },
	{ "{\"verb\":\"\xff\"}", "one JSON object" },
	{ "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}", "one JSON object" },
	{ "{}", "give a verb" },
	{ "{\"verb\":1}", "give a verb" },
	{ "{\"verb\":\"stat\"}", "give a verb" },
	{ "{\"verb\":\"detach\"}", "needs a member \"name\"" },
	{ "{\"verb\":\"attach\",\"name\":\"a\",\"qmp\":\"/q\"}", "needs a member \"policy\"" },
	{ "{\"verb\":\"status\",\"colour\":1}", "takes no member" },
	{ "{\"verb\":\"status\",\"qmp\":\"/q\"}", "takes no member" },
	{ "{\"verb\":\"detach\",\"name\":1}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":null}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":\"\"}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":\"../a\"}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":\"-a\"}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":\"a\\u0000b\"}", "name: give" },
	{ "{\"verb\":\"detach\",\"name\":\"a" A63 "\"}", "name: give" },
	{ "{\"verb\":\"policy-load\",\"policy\":\"p\"}", "policy: give" },
	{ "{\"verb\":\"events\",\"follow\":1}", "follow: give" },
	{ "{\"verb\":\"events\",\"last\":-1}", "last: give" },
	{ "{\"verb\":\"events\",\"last\":4294967296}", "last: give" },
	{ "{\"verb\":\"events\",\"last\":\"1\"}", "last: give" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct control_request request;
		struct error err = { 0 };
		int r = control_parse(&request, good[i].line, strlen(good[i].line), &err);

		if (r < 0)
			print_message("%s: %s\n", good[i].line, err.message);
		assert_int_equal(r, 0);
		assert_int_equal(request.verb, good[i].verb);
		assert_string_equal(request.name, good[i].name);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct control_request request = { .name = "untouched" };
		struct error err = { 0 };

		if (control_parse(&request, bad[i].line, strlen(bad[i].line), &err) != -EINVAL)
			fail_msg("taken: %s", bad[i].line);
		if (!strstr(err.message, bad[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].line, err.message,
				 bad[i].says);
		assert_string_equal(request.name, "untouched");
	}
}

/* What is printed is what is parsed. */
static void test_round_trip(void **state)
{
	const struct control_request from = {
		.verb = CONTROL_EVENTS, .name = "a", .follow = true, .text = true, .last = 7
	};
	_cleanup_(json_object_putp) struct json_object *object = control_print(&from);
	struct control_request to;
	struct error err = { 0 };
	size_t size;
	const char *line = control_text(object, &size);

	(void)state;
	assert_int_equal(control_parse(&to, line, size, &err), 0);
	assert_int_equal(to.verb, from.verb);
	assert_string_equal(to.name, from.name);
	assert_true(to.follow && to.text && !to.wait);
	assert_int_equal(to.last, 7);
}

static void test_attach_options(void **state)
{
	const struct control_request from = { .verb = CONTROL_ATTACH,
					      .name = "a",
					      .qmp = "/q",
					      .policy = "/p",
					      .allow_partial = true,
					      .hot_plug = true,
					      .last = UINT32_MAX };
	_cleanup_(json_object_putp) struct json_object *object = control_print(&from);
	struct control_request to;
	struct error err = { 0 };
	size_t size;
	const char *line = control_text(object, &size);

	(void)state;
	assert_int_equal(control_parse(&to, line, size, &err), 0);
	assert_true(to.allow_partial && to.hot_plug && !to.wait);
	assert_int_equal(control_parse(&to, ATTACH, strlen(ATTACH), &err), 0);
	assert_false(to.allow_partial || to.hot_plug);
	line = "{\"verb\":\"detach\",\"name\":\"a\",\"hot_plug\":true}";
	assert_int_equal(control_parse(&to, line, strlen(line), &err), -EINVAL);
}

static void test_not_terminated(void **state)
{
	char line[sizeof(ATTACH) + 3] = ATTACH "xyz";
	struct control_request request;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(control_parse(&request, line, strlen(ATTACH), &err), 0);
	assert_string_equal(request.qmp, "/q");
	assert_string_equal(request.policy, "/p");
	assert_int_equal(request.last, UINT32_MAX);
}

static void test_outcomes(void **state)
{
	(void)state;
	for (unsigned int i = OUTCOME_FAILED; i < OUTCOME_N; i++) {
		_cleanup_(json_object_putp) struct json_object *reply =
			control_refused(i, "%s \"quoted\"", "it is");
		struct error err = { 0 };

		assert_int_equal(control_outcome(reply, &err), i);
		assert_string_equal(err.message, "it is \"quoted\"");
		assert_int_equal(outcome_by_name(outcome_name(i)), i);
	}
	assert_int_equal(outcome_by_name("nonsense"), OUTCOME_FAILED);
	assert_int_equal(outcome_by_name(NULL), OUTCOME_FAILED);
}

/* A reply without what a reply has is a failure, not a crash. */
static void test_strange_replies(void **state)
{
	static const char *const lines[] = { "{}", "{\"ok\":false}", "{\"ok\":0,\"error\":{}}",
					     "{\"ok\":false,\"error\":{\"kind\":7}}" };
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_(json_object_putp) struct json_object *reply =
			control_object(lines[i], strlen(lines[i]));

		assert_non_null(reply);
		assert_int_equal(control_outcome(reply, &err), OUTCOME_FAILED);
	}
	assert_int_equal(control_outcome(NULL, &err), OUTCOME_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_attach_options),
		cmocka_unit_test(test_not_terminated),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_strange_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
