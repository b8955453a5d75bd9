// SPDX-License-Identifier: GPL-2.0-or-later
/* From what a rule excepts to what the guard compares. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "session/exceptions.h"
#include "util/cleanup.h"

#define SUPER 0xffff888100000000ULL

static char path[] = "/etc/shadow", cat[] = "/bin/cat", dog[] = "/bin/dog", cow[] = "/bin/cow";
static char web[] = "c0ffee000000", db[] = "beef00000000", engine[] = "podman";
static char *paths[] = { path };

struct fixture {
	struct policy_exception except[4];
	struct policy_rule rules[2];
	struct policy policy;
	struct plan *plan;
	struct guard_resolved resolved[16];
	struct containers containers;
	struct exceptions *exceptions;
	struct guard_exception *rows;
	int n;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->rules[0] = (struct policy_rule){ .paths = paths, .n_paths = 1 };
	f->rules[1] = (struct policy_rule){ .paths = paths, .n_paths = 1, .except = f->except };
	f->policy = (struct policy){ .rules = f->rules, .n_rules = 2 };
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->exceptions = exceptions_unref(f->exceptions);
	containers_clear(&f->containers);
	plan_free(f->plan);
	free(f->rows);
	free(f);
	return 0;
}

/* The rule's exceptions, as a container's view resolved them: each name to an inode of its own, but for @missing. */
static void resolve(struct fixture *f, size_t n_except, const char *missing)
{
	f->rules[1].n_except = n_except;
	f->plan = plan_free(f->plan);
	assert_int_equal(plan_new(&f->plan, &f->policy, NULL), 0);
	assert_in_range(f->plan->n_names, 1, ARRAY_SIZE(f->resolved));
	for (uint32_t i = 0; i < f->plan->n_names; i++) {
		f->resolved[i] = (struct guard_resolved){
			.name = i,
			.file = { SUPER, 100 + i, 1000 + i, 0 },
		};
		if (missing && !strcmp(f->plan->names[i].path, missing))
			f->resolved[i].error = -ENOENT;
	}
	exceptions_unref(f->exceptions);
	assert_int_equal(exceptions_new(&f->exceptions, f->plan, 1, f->resolved), 0);
}

static void ask(struct fixture *f)
{
	free(f->rows);
	f->rows = NULL;
	f->n = exceptions_rows(f->exceptions, &f->containers, &f->rows);
	assert_true(f->n >= 0);
}

static struct container *add_container(struct fixture *f, uint64_t mnt_ns, const char *id)
{
	struct container *container = containers_add(&f->containers, mnt_ns);

	assert_non_null(container);
	snprintf(container->name.id, sizeof(container->name.id), "%s", id);
	snprintf(container->name.engine, sizeof(container->name.engine), "docker");
	return container;
}

/* How many rows are just so. */
static unsigned int count(const struct fixture *f, uint32_t parts, const char *executable,
			  uint32_t uid_from, uint32_t uid_to, uint64_t space)
{
	unsigned int n = 0;

	for (int i = 0; i < f->n; i++) {
		const struct guard_exception *row = &f->rows[i];
		uint32_t name = 0;

		while (executable && strcmp(f->plan->names[name].path, executable) != 0)
			name++;
		n += row->parts == parts && row->super == (executable ? SUPER : 0) &&
		     row->ino == (executable ? 100 + name : 0) &&
		     row->generation == (executable ? 1000 + name : 0) &&
		     row->uid_from == uid_from && row->uid_to == uid_to && row->space == space;
	}
	return n;
}

static void test_none(void **state)
{
	struct fixture *f = *state;

	resolve(f, 0, NULL);
	assert_null(f->exceptions);
	ask(f);
	assert_int_equal(f->n, 0);
	assert_null(exceptions_ref(NULL));
	assert_false(exceptions_select(NULL, &(struct container){ 0 }));
}

static void test_executables(void **state)
{
	struct fixture *f = *state;
	char *some[] = { cat, dog }, *other[] = { cow };

	f->except[0] = (struct policy_exception){ .executables = some, .n_executables = 2 };
	f->except[1] = (struct policy_exception){ .executables = other, .n_executables = 1 };
	resolve(f, 2, NULL);
	ask(f);
	assert_int_equal(f->n, 3);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, cat, 0, 0, 0), 1);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, dog, 0, 0, 0), 1);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, cow, 0, 0, 0), 1);
	/* What a container does not have excepts nobody in it: no row, above all not one for all. */
	resolve(f, 2, dog);
	ask(f);
	assert_int_equal(f->n, 2);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, dog, 0, 0, 0), 0);
	resolve(f, 2, cow);
	ask(f);
	assert_int_equal(f->n, 2);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, cow, 0, 0, 0), 0);
}

/* Another rule's executables are not this one's. */
static void test_of_rule(void **state)
{
	struct fixture *f = *state;
	char *some[] = { cat }, *other[] = { dog };
	struct policy_exception first = { .executables = other, .n_executables = 1 };

	f->rules[0].except = &first;
	f->rules[0].n_except = 1;
	f->except[0] = (struct policy_exception){ .executables = some, .n_executables = 1 };
	resolve(f, 1, NULL);
	ask(f);
	assert_int_equal(f->n, 1);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE, cat, 0, 0, 0), 1);
}

static void test_uids(void **state)
{
	struct fixture *f = *state;
	struct policy_uids uids[] = { { 0, 0 }, { 1000, 1999 } };

	f->except[0] = (struct policy_exception){ .uids = uids, .n_uids = 2 };
	resolve(f, 1, NULL);
	ask(f);
	assert_int_equal(f->n, 2);
	assert_int_equal(count(f, GUARD_EXCEPT_UID, NULL, 0, 0, 0), 1);
	assert_int_equal(count(f, GUARD_EXCEPT_UID, NULL, 1000, 1999, 0), 1);
}

/* The containers there are when it is asked, by id, engine, and host name. */
static void test_containers(void **state)
{
	struct fixture *f = *state;
	char *ids[] = { web }, *engines[] = { engine }, *hostnames[] = { web };
	struct container *c;

	f->except[0] = (struct policy_exception){ .by_container = true,
						  .containers = { .ids = ids, .n_ids = 1 } };
	f->except[1] =
		(struct policy_exception){ .by_container = true,
					   .containers = { .engines = engines, .n_engines = 1 } };
	resolve(f, 2, NULL);
	ask(f);
	assert_int_equal(f->n, 0); /* nobody, not everybody */
	add_container(f, 11, web);
	c = add_container(f, 12, db);
	assert_false(exceptions_select(f->exceptions, c));
	snprintf(c->name.engine, sizeof(c->name.engine), "%s", engine);
	assert_true(exceptions_select(f->exceptions, c));
	c = add_container(f, 13, db);
	assert_false(exceptions_select(f->exceptions, c));
	ask(f);
	assert_int_equal(f->n, 2);
	assert_int_equal(count(f, GUARD_EXCEPT_SPACE, NULL, 0, 0, 11), 1);
	assert_int_equal(count(f, GUARD_EXCEPT_SPACE, NULL, 0, 0, 12), 1);
	containers_remove(&f->containers, containers_find(&f->containers, 11));
	ask(f);
	assert_int_equal(f->n, 1);
	/* A host name that is not known yet is no one's. */
	f->except[0].containers =
		(struct policy_selector){ .hostnames = hostnames, .n_hostnames = 1 };
	resolve(f, 1, NULL);
	assert_false(exceptions_select(f->exceptions, c));
	snprintf(c->hostname, sizeof(c->hostname), "%s", web);
	assert_true(exceptions_select(f->exceptions, c));
	ask(f);
	assert_int_equal(f->n, 1);
	assert_int_equal(count(f, GUARD_EXCEPT_SPACE, NULL, 0, 0, 13), 1);
}

/* All of what is given: executables times user ids times containers. */
static void test_product(void **state)
{
	const uint32_t all = GUARD_EXCEPT_EXECUTABLE | GUARD_EXCEPT_UID | GUARD_EXCEPT_SPACE;
	char *some[] = { cat, dog, cow }, *names[] = { cat, dog }, *ids[] = { web };
	struct policy_uids uids[] = { { 1, 1 }, { 5, 9 } };
	struct fixture *f = *state;

	f->except[0] = (struct policy_exception){ .executables = some,
						  .n_executables = 3,
						  .uids = uids,
						  .n_uids = 2,
						  .by_container = true,
						  .containers = { .ids = ids, .n_ids = 1 } };
	resolve(f, 1, cow);
	for (uint64_t i = 0; i < 3; i++)
		add_container(f, 20 + i, web);
	add_container(f, 30, db);
	ask(f);
	assert_int_equal(f->n, 2 * 2 * 3);
	for (size_t e = 0; e < 2; e++) {
		for (size_t u = 0; u < 2; u++) {
			for (uint64_t c = 20; c < 23; c++)
				assert_int_equal(
					count(f, all, names[e], uids[u].from, uids[u].to, c), 1);
		}
	}
	/* Two of them. */
	f->except[0].by_container = false;
	resolve(f, 1, NULL);
	ask(f);
	assert_int_equal(f->n, 3 * 2);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE | GUARD_EXCEPT_UID, cow, 5, 9, 0), 1);
	/* All executables are missing: nobody, whatever the other parts. */
	f->except[0].n_executables = 1;
	resolve(f, 1, cat);
	ask(f);
	assert_int_equal(f->n, 0);
}

/* More than the guard looks at: the rest is not excepted. */
static void test_cut(void **state)
{
	struct fixture *f = *state;
	struct policy_uids *uids = calloc(GUARD_MAX_EXCEPTIONS, sizeof(*uids));
	char *some[] = { cat, dog };

	assert_non_null(uids);
	for (uint32_t i = 0; i < GUARD_MAX_EXCEPTIONS; i++)
		uids[i] = (struct policy_uids){ i, i };
	f->except[0] = (struct policy_exception){ .uids = uids, .n_uids = GUARD_MAX_EXCEPTIONS };
	resolve(f, 1, NULL);
	ask(f);
	assert_int_equal(f->n, GUARD_MAX_EXCEPTIONS);
	f->except[0].executables = some;
	f->except[0].n_executables = 2;
	f->except[1] = (struct policy_exception){ .executables = some, .n_executables = 1 };
	resolve(f, 2, NULL);
	ask(f);
	assert_int_equal(f->n, GUARD_MAX_EXCEPTIONS);
	for (int i = 0; i < f->n; i++)
		assert_int_equal(f->rows[i].parts, GUARD_EXCEPT_EXECUTABLE | GUARD_EXCEPT_UID);
	assert_int_equal(count(f, GUARD_EXCEPT_EXECUTABLE | GUARD_EXCEPT_UID, cat, 4095, 4095, 0),
			 1);
	free(uids);
}

/* Shared by watches, and there until the last of them goes: the leak checker sees it. */
static void test_references(void **state)
{
	struct fixture *f = *state;
	struct policy_uids uids[] = { { 1, 1 } };

	f->except[0] = (struct policy_exception){ .uids = uids, .n_uids = 1 };
	resolve(f, 1, NULL);
	assert_ptr_equal(exceptions_ref(f->exceptions), f->exceptions);
	assert_null(exceptions_unref(f->exceptions));
	ask(f);
	assert_int_equal(f->n, 1);
	assert_null(exceptions_unref(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_none), TEST(test_executables), TEST(test_of_rule),
		TEST(test_uids), TEST(test_containers),	 TEST(test_product),
		TEST(test_cut),	 TEST(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
