// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/history.h"

static struct history history;

/* Event number i is of VM "a" if i is even, else of "b". */
static void fill(uint64_t n)
{
	char json[32];

	history_deinit(&history);
	memset(&history, 0, sizeof(history));
	for (uint64_t i = 0; i < n; i++) {
		snprintf(json, sizeof(json), "{\"n\":%u}", (unsigned int)i);
		history_add(&history, i % 2 ? "b" : "a", json, "text");
	}
}

static void test_numbers(void **state)
{
	(void)state;
	fill(3);
	assert_int_equal(history_start(&history), 0);
	assert_string_equal(history_get(&history, 2, "")->json, "{\"n\":2}");
	assert_null(history_get(&history, 3, ""));
	assert_null(history_get(&history, 1, "a"));
	assert_non_null(history_get(&history, 1, "b"));

	fill(HISTORY_EVENTS + 10);
	assert_int_equal(history_start(&history), 10);
	assert_null(history_get(&history, 9, ""));
	assert_string_equal(history_get(&history, 10, "")->json, "{\"n\":10}");
	assert_null(history_get(&history, UINT64_MAX, ""));
}

static void test_last(void **state)
{
	static const struct {
		uint64_t total;
		const char *vm;
		uint64_t n, from;
	} rows[] = {
		{ 0, "", 5, 0 },
		{ 4, "", 0, 4 },
		{ 4, "", 1, 3 },
		{ 4, "", 99, 0 },
		{ 4, "a", 1, 2 },
		{ 4, "b", 2, 1 },
		{ 4, "c", 1, 0 },
		{ HISTORY_EVENTS + 4, "", UINT32_MAX, 4 },
		{ HISTORY_EVENTS + 4, "a", 2, HISTORY_EVENTS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fill(rows[i].total);
		assert_int_equal(history_last(&history, rows[i].vm, rows[i].n), rows[i].from);
	}
	fill(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
