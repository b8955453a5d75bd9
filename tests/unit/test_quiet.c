// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/quiet.h"

#define MS 1000000ULL

static void test_quiet(void **state)
{
	struct quiet quiet = { 0 };
	uint64_t now = 5 * MS;

	(void)state;
	/* nothing is known yet, whatever the number is */
	assert_false(quiet_look(&quiet, 0, now));
	assert_false(quiet_look(&quiet, 0, now + QUIET_NS - 1));
	assert_true(quiet_look(&quiet, 0, now + QUIET_NS));
	assert_true(quiet_look(&quiet, 0, now + 100 * QUIET_NS));
	/* one process, and at once it is not */
	now += 100 * QUIET_NS + 10 * MS;
	assert_false(quiet_look(&quiet, 1, now));
	assert_false(quiet_look(&quiet, 1, now + 999 * MS));
	assert_true(quiet_look(&quiet, 1, now + 1000 * MS));
}

/* Whose processes come one after the other never is; nor one whose number goes back. */
static void test_busy(void **state)
{
	struct quiet quiet = { 0 };

	(void)state;
	for (uint64_t i = 1; i < 100; i++) {
		assert_false(quiet_look(&quiet, 100 - i, i * 500 * MS));
		assert_false(quiet_look(&quiet, 100 - i, i * 500 * MS + 499 * MS));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
