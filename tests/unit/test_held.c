// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "session/held.h"

#define ROOM 5

static const struct held_mark mark = { .entry = 0xffffffff81000000, .phys_base = 42, .n_told = 7 };
static char path[64];

static void add(struct held *held, uint64_t position)
{
	char record[GUARD_SLOT_SIZE];

	memset(record, (int)position, sizeof(record));
	assert_true(held_add(held, record, position, &mark));
}

static void check(const struct held *held, size_t n, uint64_t first)
{
	assert_int_equal(held->n, n);
	for (size_t i = 0; i < n; i++) {
		struct guard_record record;

		memcpy(&record, held->records[i], sizeof(record));
		assert_int_equal(record.sequence, first + i + 1);
		assert_int_equal(held->records[i][GUARD_SLOT_SIZE - 1], (char)(first + i));
	}
}

static bool there_is_a_file(void)
{
	return access(path, F_OK) == 0;
}

/* Three records from position 10 on, and a daemon that dies. */
static void leave_three(void)
{
	struct held held;

	held_init(&held, path, &mark, false, 10, ROOM);
	for (uint64_t i = 10; i < 13; i++)
		add(&held, i);
	check(&held, 3, 10);
	held_deinit(&held);
	assert_true(there_is_a_file());
}

static void test_next_daemon(void **state)
{
	struct held held;

	(void)state;
	leave_three();
	held_init(&held, path, &mark, true, 13, ROOM);
	check(&held, 3, 10);
	add(&held, 13);
	held_deinit(&held);
	held_init(&held, path, &mark, true, 14, ROOM); /* the one after that */
	check(&held, 4, 10);
	held_done(&held);
	assert_int_equal(held.n, 0);
	assert_false(there_is_a_file());
	add(&held, 20); /* once more */
	assert_true(there_is_a_file());
	held_done(&held);
	held_deinit(&held);
	assert_false(there_is_a_file());
}

/* The last one had not been handed back when the daemon died: it is in the ring still. */
static void test_not_handed_back(void **state)
{
	struct held held;

	(void)state;
	leave_three();
	held_init(&held, path, &mark, true, 12, ROOM);
	check(&held, 2, 10);
	add(&held, 12);
	held_deinit(&held);
	assert_int_equal(truncate(path, 3 * GUARD_SLOT_SIZE + 100), 0); /* or had only begun */
	held_init(&held, path, &mark, true, 12, ROOM);
	check(&held, 2, 10);
	add(&held, 12);
	held_deinit(&held);
	held_init(&held, path, &mark, true, 13, ROOM);
	check(&held, 3, 10);
	held_done(&held);
	held_deinit(&held);
}

static void test_of_another_time(void **state)
{
	struct held_mark other = mark;
	struct held held;

	(void)state;
	leave_three();
	other.n_told++; /* they have been told */
	held_init(&held, path, &other, true, 13, ROOM);
	assert_int_equal(held.n, 0);
	assert_false(there_is_a_file());
	held_deinit(&held);
	leave_three();
	other = mark;
	other.phys_base++; /* by another kernel */
	held_init(&held, path, &other, true, 13, ROOM);
	assert_int_equal(held.n, 0);
	held_deinit(&held);
	leave_three();
	held_init(&held, path, &mark, false, 13, ROOM); /* a guard that is new */
	assert_int_equal(held.n, 0);
	assert_false(there_is_a_file());
	held_deinit(&held);
}

static void test_no_room(void **state)
{
	char record[GUARD_SLOT_SIZE] = { 0 };
	struct held held;

	(void)state;
	held_init(&held, path, &mark, false, 0, ROOM);
	for (uint64_t i = 0; i < ROOM; i++)
		add(&held, i);
	assert_false(held_add(&held, record, ROOM, &mark));
	check(&held, ROOM, 0);
	held_deinit(&held);
	held_init(&held, path, &mark, true, ROOM, ROOM - 2); /* a smaller ring */
	check(&held, ROOM - 2, 0);
	held_done(&held);
	held_deinit(&held);
}

static void test_no_file(void **state)
{
	struct held held;

	(void)state;
	held_init(&held, "/no/such/directory/held", &mark, true, 0, ROOM);
	add(&held, 1);
	check(&held, 1, 1);
	held_done(&held);
	held_deinit(&held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_daemon),	cmocka_unit_test(test_not_handed_back),
		cmocka_unit_test(test_of_another_time), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_no_file),
	};

	snprintf(path, sizeof(path), "/tmp/outguard-test-held-%d", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
