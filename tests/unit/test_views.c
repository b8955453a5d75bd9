// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "session/views.h"

#define N_NAMES (2 * GUARD_VIEW_RESOLVED + 6) /* three records */

/* The @part-th record of a view, as the guard makes them. Inodes are @base + name. */
static struct guard_view_record record_of(uint64_t task, uint64_t errand, uint32_t part,
					  uint64_t base)
{
	struct guard_view_record record = { .task = task, .errand = errand };

	for (uint32_t i = part * GUARD_VIEW_RESOLVED; i < N_NAMES; i++) {
		if (record.n_resolved == GUARD_VIEW_RESOLVED)
			return record;
		record.resolved[record.n_resolved++] = (struct guard_resolved){
			.name = i,
			.file = { .super = 64, .ino = base + i },
		};
	}
	record.last = 1;
	return record;
}

static void check_view(struct view *view, uint64_t base)
{
	assert_non_null(view);
	assert_int_equal(view->n, N_NAMES);
	for (uint32_t i = 0; i < N_NAMES; i++) {
		assert_int_equal(view->resolved[i].error, 0);
		assert_int_equal(view->resolved[i].file.ino, base + i);
	}
	views_forget(view);
}

static void test_mixed(void **state)
{
	static struct views views;
	const struct {
		uint64_t task, errand;
	} who[] = { { 0x1000, 0 }, { 0x2000, 0 }, { 0, 1 }, { 0, 2 } };

	(void)state;
	for (uint32_t part = 0; part < 3; part++) {
		for (uint32_t i = 0; i < 4; i++) {
			struct guard_view_record record =
				record_of(who[i].task, who[i].errand, part, 1000 * i);
			struct view *view = views_enter(&views, &record, N_NAMES);

			if (part < 2)
				assert_null(view);
			else
				check_view(view, 1000 * i);
		}
	}
	views_clear(&views);
}

/* More views than there is room for: the one longest untouched gives way, and no memory is lost. */
static void test_too_many(void **state)
{
	static struct views views;
	struct guard_view_record record;
	struct view *view;

	(void)state;
	for (uint64_t task = 1; task <= 3 * VIEWS_MAX; task++) {
		record = record_of(task, 0, 0, 0);
		assert_null(views_enter(&views, &record, N_NAMES));
	}
	/* the last ones are still there */
	for (uint64_t task = 2 * VIEWS_MAX + 1; task <= 3 * VIEWS_MAX; task++) {
		record = record_of(task, 0, 1, 0);
		assert_null(views_enter(&views, &record, N_NAMES));
		record = record_of(task, 0, 2, 0);
		check_view(views_enter(&views, &record, N_NAMES), 0);
	}
	/* of one that gave way, the rest alone: what is missing says so */
	record = record_of(1, 0, 2, 0);
	view = views_enter(&views, &record, N_NAMES);
	assert_non_null(view);
	assert_int_equal(view->resolved[0].error, -ENODATA);
	assert_int_equal(view->resolved[N_NAMES - 1].error, 0);
	views_clear(&views);
}

static void test_names_out_of_range(void **state)
{
	static struct views views;
	struct guard_view_record record = { .task = 1, .n_resolved = UINT32_MAX, .last = 1 };
	struct view *view;

	(void)state;
	for (uint32_t i = 0; i < GUARD_VIEW_RESOLVED; i++)
		record.resolved[i].name = i % 2 ? UINT32_MAX - i : N_NAMES + i;
	view = views_enter(&views, &record, N_NAMES);
	assert_non_null(view);
	for (uint32_t i = 0; i < N_NAMES; i++)
		assert_int_equal(view->resolved[i].error, -ENODATA);
	views_clear(&views);
}

static void test_repeated_names(void **state)
{
	static struct views views;
	struct guard_view_record record = { .task = 1, .n_resolved = 3, .last = 1 };
	struct view *view;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		record.resolved[i] = (struct guard_resolved){ .name = 5, .file.ino = i };
	view = views_enter(&views, &record, N_NAMES);
	assert_int_equal(view->resolved[5].file.ino, 2);
	assert_int_equal(view->resolved[4].error, -ENODATA);
	views_clear(&views);
}

/* A view whose end was lost, then another by a task at the same address: nothing of the first is in the second. */
static void test_starts_afresh(void **state)
{
	static struct views views;
	struct guard_view_record record = record_of(1, 0, 0, 0);
	struct view *view;

	(void)state;
	assert_null(views_enter(&views, &record, N_NAMES));
	record = record_of(1, 0, 1, 0);
	assert_null(views_enter(&views, &record, N_NAMES));
	record = record_of(1, 0, 0, 5000);
	assert_null(views_enter(&views, &record, N_NAMES));
	record = record_of(1, 0, 2, 5000);
	view = views_enter(&views, &record, N_NAMES);
	assert_non_null(view);
	assert_int_equal(view->resolved[0].file.ino, 5000);
	assert_int_equal(view->resolved[GUARD_VIEW_RESOLVED].error, -ENODATA);
	views_clear(&views);
}

/* The plan is another one now. */
static void test_other_plan(void **state)
{
	static struct views views;
	struct guard_view_record record = record_of(1, 0, 0, 0);
	struct view *view;

	(void)state;
	assert_null(views_enter(&views, &record, N_NAMES));
	record = record_of(1, 0, 1, 0);
	record.last = 1;
	view = views_enter(&views, &record, 1);
	assert_non_null(view);
	assert_int_equal(view->n, 1);
	assert_int_equal(view->resolved[0].error, -ENODATA);
	views_clear(&views);
	for (size_t i = 0; i < VIEWS_MAX; i++)
		assert_null(views.view[i].resolved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_names_out_of_range),
		cmocka_unit_test(test_repeated_names),
		cmocka_unit_test(test_starts_afresh),
		cmocka_unit_test(test_other_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
