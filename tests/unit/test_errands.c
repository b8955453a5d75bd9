// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "session/errands.h"

#define SECOND 1000000000ULL

static void add(struct errands *errands, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(errands_add(errands, 100 + i, 0, 1000 + i), 0);
}

/* What the guard would do: answer every root of the batch. */
static uint32_t answer_batch(struct errands *errands, const struct guard_vault *vault)
{
	for (uint32_t i = 0; i < vault->n_roots; i++) {
		struct errand errand;
		char path[24];

		assert_true(errands_find(errands, vault->roots[i].id, &errand));
		assert_int_equal(errand.mnt_ns, 900 + errand.pid);
		snprintf(path, sizeof(path), "/proc/%u/root", errand.pid);
		assert_string_equal(vault->roots[i].path, path);
		errands_done(errands, vault->roots[i].id);
		assert_false(errands_find(errands, vault->roots[i].id, &errand));
	}
	return vault->n_roots;
}

static void test_batches(void **state)
{
	struct errands errands = { 0 };
	struct guard_vault vault = { 0 };
	uint32_t n = 0, batches = 0;

	(void)state;
	errands_send(&errands, &vault, 1);
	assert_int_equal(vault.errand, 0); /* nothing to send */
	assert_true(errands_are_done(&errands));
	add(&errands, 40);
	while (!errands_are_done(&errands)) {
		uint64_t errand = vault.errand;

		errands_send(&errands, &vault, 1);
		assert_int_equal(vault.errand, errand + 1);
		assert_true(vault.n_roots <= GUARD_ERRAND_ROOTS);
		errands_send(&errands, &vault, 1); /* one batch at a time */
		assert_int_equal(vault.errand, errand + 1);
		n += answer_batch(&errands, &vault);
		batches++;
	}
	assert_int_equal(n, 40);
	assert_int_equal(batches, 3);
	errands_clear(&errands);
}

static void test_only_sent_are_answered(void **state)
{
	struct errands errands = { 0 };
	struct errand errand;

	(void)state;
	add(&errands, 1);
	assert_false(errands_find(&errands, errands.list[0].id, &errand));
	errands_done(&errands, errands.list[0].id);
	errands_done(&errands, 77);
	assert_int_equal(errands.n, 1);
	assert_false(errands_find(&errands, 0, &errand));
	errands_clear(&errands);
}

static void test_overdue(void **state)
{
	struct errands errands = { 0 };
	struct guard_vault vault = { 0 };
	struct errand errand;

	(void)state;
	add(&errands, GUARD_ERRAND_ROOTS + 2);
	assert_false(errands_overdue(&errands, 100 * SECOND, &errand)); /* not sent */
	errands_send(&errands, &vault, 100 * SECOND);
	assert_false(errands_overdue(&errands, 100 * SECOND, &errand));
	assert_false(errands_overdue(&errands, 100 * SECOND + ERRANDS_PATIENCE_NS - 1, &errand));
	errands_done(&errands, vault.roots[0].id);
	for (uint32_t i = 1; i < GUARD_ERRAND_ROOTS; i++) {
		assert_true(errands_overdue(&errands, 100 * SECOND + ERRANDS_PATIENCE_NS, &errand));
		assert_int_equal(errand.pid, 100 + i);
	}
	assert_false(errands_overdue(&errands, 200 * SECOND, &errand));
	assert_int_equal(errands.n, 2);
	errands_send(&errands, &vault, 300 * SECOND);
	assert_int_equal(vault.n_roots, 2);
	assert_false(errands_overdue(&errands, 300 * SECOND, &errand));
	answer_batch(&errands, &vault);
	assert_true(errands_are_done(&errands));
	errands_clear(&errands);
}

/* An answer that is still under way when all is asked again must not be taken for another's. */
static void test_ids_are_not_used_again(void **state)
{
	struct errands errands = { .last_id = 1ULL << 40 };
	struct guard_vault vault = { 0 };
	struct errand errand;
	uint64_t late;

	(void)state;
	add(&errands, 3);
	errands_send(&errands, &vault, 1);
	late = vault.roots[0].id;
	for (unsigned int i = 0; i < 3; i++) {
		errands_clear(&errands);
		add(&errands, 3);
		errands_send(&errands, &vault, 1);
		assert_false(errands_find(&errands, late, &errand));
		late = vault.roots[i].id;
	}
	errands_clear(&errands);
}

static void test_largest_pid(void **state)
{
	struct errands errands = { 0 };
	struct guard_vault vault = { 0 };

	(void)state;
	assert_int_equal(errands_add(&errands, UINT32_MAX, 0, 1), 0);
	errands_send(&errands, &vault, 1);
	assert_string_equal(vault.roots[0].path, "/proc/4294967295/root");
	errands_clear(&errands);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),	    cmocka_unit_test(test_only_sent_are_answered),
		cmocka_unit_test(test_overdue),	    cmocka_unit_test(test_ids_are_not_used_again),
		cmocka_unit_test(test_largest_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
