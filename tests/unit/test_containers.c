// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "session/containers.h"

#define MANY 3000 /* more than there are buckets */
#define FIRST 4026531840ULL

static size_t listed(const struct containers *containers)
{
	size_t n = 0;

	for (const struct container *c = containers->first; c; c = c->next)
		n++;
	return n;
}

static void test_many(void **state)
{
	struct containers containers = { 0 };

	(void)state;
	assert_null(containers_find(&containers, FIRST));
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(containers_add(&containers, FIRST + i)->mnt_ns, FIRST + i);
	assert_int_equal(containers.n, MANY);
	assert_int_equal(listed(&containers), MANY);
	/* every third goes: from the ends and the middles of list and buckets */
	for (uint64_t i = 0; i < MANY; i += 3)
		containers_remove(&containers, containers_find(&containers, FIRST + i));
	for (uint64_t i = 0; i < MANY; i++) {
		const struct container *found = containers_find(&containers, FIRST + i);

		assert_true(i % 3 ? found && found->mnt_ns == FIRST + i : !found);
	}
	assert_int_equal(containers.n, MANY - MANY / 3);
	assert_int_equal(listed(&containers), MANY - MANY / 3);
	containers_clear(&containers);
	assert_int_equal(containers.n, 0);
	assert_null(containers.first);
	assert_null(containers_find(&containers, FIRST + 1));
}

/* One that has gone lives on as long as something refers to it, and is not taken off twice. */
static void test_references(void **state)
{
	struct containers containers = { 0 };
	struct container *one = containers_add(&containers, 1), *again;

	(void)state;
	one->layers = calloc(1, sizeof(*one->layers)); /* goes with the last reference */
	container_ref(one);
	containers_remove(&containers, one);
	containers_remove(&containers, one);
	assert_int_equal(one->n_refs, 1);
	assert_null(containers_find(&containers, 1));
	again = containers_add(&containers, 1);
	assert_ptr_equal(containers_find(&containers, 1), again);
	assert_null(container_unref(one));
	assert_ptr_equal(containers_find(&containers, 1), again);
	containers_clear(&containers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
