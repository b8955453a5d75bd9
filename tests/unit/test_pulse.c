// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/pulse.h"

#define MS 1000000ULL
#define INITIAL 4294892296ULL /* INITIAL_JIFFIES, HZ=250 */

static struct pulse pulse;

static void test_beats(void **state)
{
	(void)state;
	pulse_start(&pulse, INITIAL, 5 * MS);
	for (uint64_t i = 1; i < 1000; i++)
		assert_int_equal(pulse_feel(&pulse, INITIAL + 12 * i, (5 + 50 * i) * MS),
				 PULSE_BEATS);
}

static void test_stands_still(void **state)
{
	(void)state;
	pulse_start(&pulse, 1000, 0);
	assert_int_equal(pulse_feel(&pulse, 1000, PULSE_STILL_NS - 1), PULSE_BEATS);
	assert_int_equal(pulse_feel(&pulse, 1000, PULSE_STILL_NS), PULSE_STILL);
	assert_int_equal(pulse_feel(&pulse, 1000, 100 * PULSE_STILL_NS), PULSE_STILL);
	/* an idle guest goes on, with all the time that it slept */
	assert_int_equal(pulse_feel(&pulse, 1000 + 100 * 400, 100 * PULSE_STILL_NS + MS),
			 PULSE_BEATS);
}

static void test_another_kernel(void **state)
{
	(void)state;
	pulse_start(&pulse, INITIAL + 100000, 0);
	/* it has started again */
	assert_int_equal(pulse_feel(&pulse, INITIAL + 10, 50 * MS), PULSE_BACK);
	assert_int_equal(pulse_feel(&pulse, INITIAL + 20, 100 * MS), PULSE_BEATS);
	assert_int_equal(pulse_feel(&pulse, INITIAL + 20 + PULSE_SLACK + 51, 150 * MS),
			 PULSE_AHEAD);
	assert_int_equal(pulse_feel(&pulse, INITIAL + 21 + 2 * PULSE_SLACK, 200 * MS), PULSE_BEATS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beats),
		cmocka_unit_test(test_stands_still),
		cmocka_unit_test(test_another_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
