// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events/event.h"
#include "util/cleanup.h"

#include "check_events.h"

static const struct event_container container = {
	.id = "3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddeeff00112233445566",
	.engine = "docker",
	.name = "web",
};

static const struct event_notice typical = {
	.time_ns = UINT64_C(1763873467123456789),
	.vm = "web-1",
	.what = "container-unguarded",
	.severity = POLICY_SEVERITY_HIGH,
	.message = "it ran for 2.1 s before its files were entered",
	.container = &container,
};

static const struct event_notice bare = { .what = "records-lost" };

static const struct event_notice hostile = {
	.time_ns = UINT64_C(1763873467123456789),
	.vm = "web 1",
	.what = "open-descriptor",
	.severity = POLICY_SEVERITY_MEDIUM,
	.message = "  a\n\x1b[2K \"b\"  rule x \\ \xff\xe2\x80\xae",
	.container = &(const struct event_container){ .engine = "docker" }, /* without an id */
};

static const struct event_notice caught = {
	.time_ns = UINT64_C(1763873467123456789),
	.what = "guard-tampered",
	.severity = POLICY_SEVERITY_CRITICAL,
	.before = true,
	.writer = &(const struct event_writer){ .vcpu = 1, .pid = 4711, .name = "insmod" },
};

static const struct event_notice caught_device = {
	.what = "guard-tampered",
	.before = true,
	.writer = &(const struct event_writer){ .vcpu = -1 },
};

static const struct {
	const struct event_notice *notice;
	const char *json, *text, *coloured;
} rows[] = {
	{ &typical,
	  "{\"@timestamp\":\"2025-11-23T04:51:07.123456Z\",\"vm\":\"web-1\","
	  "\"notice\":\"container-unguarded\",\"severity\":\"high\","
	  "\"message\":\"it ran for 2.1 s before its files were entered\","
	  "\"event\":{\"kind\":\"alert\",\"category\":[\"intrusion_detection\"],"
	  "\"type\":[\"info\"],\"action\":\"container-unguarded\"},"
	  "\"container\":{\"id\":"
	  "\"3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddeeff00112233445566\","
	  "\"engine\":\"docker\",\"name\":\"web\",\"guest_says\":[\"name\"]}}\n",
	  "04:51:07.123 NOTICE  container-unguarded  container 3f2a9c1b04de (docker) called web"
	  "  vm web-1  it ran for 2.1 s before its files were entered\n",
	  "\033[2m04:51:07.123\033[0m \033[1;31mNOTICE \033[0m container-unguarded  container " },
	{ &bare,
	  "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"notice\":\"records-lost\","
	  "\"severity\":\"low\",\"event\":{\"kind\":\"event\","
	  "\"category\":[\"intrusion_detection\"],\"type\":[\"info\"],"
	  "\"action\":\"records-lost\"}}\n",
	  "00:00:00.000 NOTICE  records-lost\n",
	  "\033[2m00:00:00.000\033[0m \033[33mNOTICE \033[0m records-lost\n" },
	{ &caught,
	  "{\"@timestamp\":\"2025-11-23T04:51:07.123456Z\",\"notice\":\"guard-tampered\","
	  "\"severity\":\"critical\",\"event\":{\"kind\":\"alert\","
	  "\"category\":[\"intrusion_detection\"],\"type\":[\"info\"],"
	  "\"action\":\"guard-tampered\"},\"before\":true,\"vcpu\":1,"
	  "\"process\":{\"pid\":4711,\"name\":\"insmod\"}}\n",
	  "04:51:07.123 NOTICE  guard-tampered\n",
	  "\033[2m04:51:07.123\033[0m \033[1;31mNOTICE \033[0m guard-tampered\n" },
	{ &caught_device,
	  "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"notice\":\"guard-tampered\","
	  "\"severity\":\"low\",\"event\":{\"kind\":\"event\","
	  "\"category\":[\"intrusion_detection\"],\"type\":[\"info\"],"
	  "\"action\":\"guard-tampered\"},\"before\":true}\n",
	  "00:00:00.000 NOTICE  guard-tampered\n",
	  "\033[2m00:00:00.000\033[0m \033[33mNOTICE \033[0m guard-tampered\n" },
	{ &hostile,
	  "{\"@timestamp\":\"2025-11-23T04:51:07.123456Z\",\"vm\":\"web 1\","
	  "\"notice\":\"open-descriptor\",\"severity\":\"medium\","
	  "\"message\":\"  a\\u000a\\u001b[2K \\\"b\\\"  rule x \\\\ \xef\xbf\xbd\\u202e\","
	  "\"event\":{\"kind\":\"event\",\"category\":[\"intrusion_detection\"],"
	  "\"type\":[\"info\"],\"action\":\"open-descriptor\"}}\n",
	  "04:51:07.123 NOTICE  open-descriptor  vm web\\ 1  "
	  "\\ \\ a\\x0a\\x1b[2K \"b\" \\ rule x \\\\ \\xff\\u{202e}\n",
	  "\033[2m04:51:07.123\033[0m \033[33mNOTICE \033[0m open-descriptor  vm " },
};

static void json(const struct event_notice *notice, FILE *out)
{
	event_notice_print_json(notice, out);
}

static void text(const struct event_notice *notice, FILE *out)
{
	event_notice_print_text(notice, out, false);
}

static void coloured(const struct event_notice *notice, FILE *out)
{
	event_notice_print_text(notice, out, true);
}

/* The line, to be freed. */
static char *print(const struct event_notice *notice,
		   void (*form)(const struct event_notice *notice, FILE *out))
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	assert_non_null(out);
	form(notice, out);
	assert_int_equal(fclose(out), 0);
	assert_ptr_equal(strchr(line, '\n'), line + size - 1);
	return line;
}

static void test_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *line = print(rows[i].notice, json);

		assert_string_equal(line, rows[i].json);
	}
}

static void test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *line = print(rows[i].notice, text);
		_cleanup_(freep) char *bright = print(rows[i].notice, coloured);

		assert_string_equal(line, rows[i].text);
		assert_memory_equal(bright, rows[i].coloured, strlen(rows[i].coloured));
	}
}

/* All that is said keeps to docs/events.schema.json, and what does not is found out. */
static void test_schema(void **state)
{
	static const struct {
		const char *was, *is;
	} lies[] = {
		{ "\"notice\":\"container-unguarded\"", "\"notice\":\"container-gone\"" },
		{ "\"notice\":\"container-unguarded\",", "" },
		{ "\"alert\"", "\"event\"" },
		{ "\"severity\":\"high\"", "\"severity\":\"low\"" },
		{ "\"vm\":", "\"operation\":\"read\",\"vm\":" },
		{ ",\"guest_says\":[\"name\"]", "" },
	};
	FILE *checker = check_events_open();

	(void)state;
	assert_non_null(checker);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		json(rows[i].notice, checker);
	assert_int_equal(check_events_close(checker), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		assert_int_equal(check_events_changed(rows[0].json, lies[i].was, lies[i].is), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_schema),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
