// SPDX-License-Identifier: GPL-2.0-or-later
/* Watches on a real table, in a vault read by the guard's own reader. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guard/cache.h"
#include "session/watches.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define SUPER 0xffff888100000000ULL
#define OTHER 0xffff888100000800ULL
#define READ GUARD_OP_READ
#define WRITE GUARD_OP_WRITE

static char rule_a[] = "a", rule_b[] = "b", host_glob[] = "web-*";
static char path_file[] = "/etc/shadow", path_glob[] = "/etc/*.conf";
static char *paths[] = { path_file, path_glob }, *hostnames[] = { host_glob };
static struct policy_rule rules[] = {
	{ .name = rule_a,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_WRITE,
	  .action = POLICY_DENY },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_READ | POLICY_WRITE,
	  .action = POLICY_AUDIT },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_WRITE,
	  .action = POLICY_DENY,
	  .containers = { .hostnames = hostnames, .n_hostnames = 1 } },
};
static struct policy policy = { .rules = rules, .n_rules = 3 };

struct fixture {
	uint8_t *vault;
	struct table *table;
	struct watches *watches;
	struct containers containers;
	struct container *one, *two;
	struct plan *plan;
};

static int set_up_sized(void **state, size_t size)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->vault = aligned_alloc(4096, size);
	assert_non_null(f->vault);
	memset(f->vault, 0, GUARD_VAULT_TABLES);
	assert_int_equal(table_new(&f->table, f->vault, size, false, NULL), 0);
	f->watches = watches_new(f->table);
	assert_non_null(f->watches);
	f->one = containers_add(&f->containers, 1);
	f->two = containers_add(&f->containers, 2);
	assert_int_equal(plan_new(&f->plan, &policy, NULL), 0);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_sized(state, 8 * MIB);
}

static int set_up_large(void **state)
{
	return set_up_sized(state, 16 * MIB);
}

/* Whatever a test left: the leak checker counts the references. */
static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->watches = watches_free(f->watches);
	containers_clear(&f->containers);
	f->table = table_free(f->table);
	f->plan = plan_free(f->plan);
	free(f->vault);
	free(f);
	return 0;
}

static const struct guard_entry *look(const struct fixture *f, uint64_t key, uint64_t ino)
{
	uint64_t table = ((const struct guard_vault *)f->vault)->table;

	return cache_find(f->vault, table, key, ino);
}

/* item: rule * 2, + 1 for its pattern */
static struct watch watch_of(const struct fixture *f, struct container *container, size_t item)
{
	const struct policy_rule *rule = &rules[item / 2];
	bool is_base = item & 1;

	return (struct watch){
		.key = SUPER | (is_base ? GUARD_KEY_BASE : GUARD_KEY_FILE),
		.ino = is_base ? 10 : 11,
		.where = WATCH_LIVE,
		.container = container,
		.plan = f->plan,
		.item = &f->plan->items[item],
		.pattern = is_base ? path_glob + 5 : NULL,
		.report = rule->operations,
		.deny = rule->action == POLICY_DENY ? rule->operations : 0,
	};
}

static void add(struct fixture *f, const struct watch *watch)
{
	assert_int_equal(watches_add(f->watches, watch, NULL), 0);
	assert_int_equal(watches_align(f->watches, NULL), 0);
}

/* How many watches of a file there are, and how many of them are a container's. */
static void assert_watches(const struct fixture *f, uint64_t ino, const struct container *container,
			   size_t n, size_t n_of_container)
{
	const struct watch *watch = NULL;

	while ((watch = watches_next(f->watches, SUPER, ino, watch))) {
		assert_int_equal(watch->key, SUPER);
		assert_int_equal(watch->ino, ino);
		n_of_container -= watch->container == container;
		n--;
	}
	assert_int_equal(n, 0);
	assert_int_equal(n_of_container, 0);
}

static struct watch mark_of(const struct fixture *f, struct container *container, uint32_t levels)
{
	return (struct watch){
		.key = SUPER | GUARD_KEY_SUPER,
		.where = WATCH_LIVE,
		.container = container,
		.plan = f->plan,
		.levels = levels,
	};
}

static void assert_masks(const struct guard_entry *entry, uint32_t deny, uint32_t report)
{
	assert_non_null(entry);
	assert_int_equal(entry->deny, deny);
	assert_int_equal(entry->report, report);
}

/* One file, two containers, two rules: the entry is the sum, and shrinks back. */
static void test_sums(void **state)
{
	struct fixture *f = *state;
	struct watch deny_one = watch_of(f, f->one, 0), audit_two = watch_of(f, f->two, 2);

	add(f, &deny_one);
	assert_watches(f, 11, f->one, 1, 1);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE);
	add(f, &audit_two);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE);
	add(f, &audit_two); /* not twice */
	assert_int_equal(watches_count(f->watches), 2);
	assert_int_equal(f->one->n_refs, 2);
	assert_int_equal(f->two->n_refs, 2);
	assert_watches(f, 11, f->one, 2, 1);
	assert_watches(f, 11, f->two, 2, 1);

	watches_remove_container(f->watches, f->one);
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE);
	assert_watches(f, 11, f->one, 1, 0);
	assert_watches(f, 11, f->two, 1, 1);
	assert_int_equal(f->one->n_refs, 1);
	watches_remove_container(f->watches, f->two);
	assert_null(look(f, SUPER, 11));
	assert_int_equal(watches_count(f->watches), 0);
	assert_int_equal(table_count(f->table), 0);
}

/* An inode that was given again is another file: what was watched before does not hold for it. */
static void test_generation(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, 0), new = watch_of(f, f->two, 2);
	struct watch old_base = watch_of(f, f->one, 1), new_base = watch_of(f, f->two, 3);

	old.generation = old_base.generation = 1;
	new.generation = new_base.generation = 2;
	add(f, &old);
	add(f, &new);
	assert_int_equal(look(f, SUPER, 11)->generation, 2);
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE);
	add(f, &old_base);
	add(f, &new_base);
	assert_int_equal(look(f, SUPER | GUARD_KEY_BASE, 10)->generation, 2);
	assert_int_equal(look(f, SUPER | GUARD_KEY_BASE, 10)->deny, 1); /* patterns */
}

static const struct guard_pattern *patterns_of(const struct fixture *f, size_t *ret_n)
{
	const struct guard_entry *base = look(f, SUPER | GUARD_KEY_BASE, 10);

	*ret_n = base ? base->deny : 0;
	return base ? (const void *)(f->vault + base->patterns * 8ULL) : NULL;
}

static void test_bases(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = { "*.conf", "*/*.conf", "**" };
	const struct guard_pattern *patterns;
	struct watch added[3];
	size_t n;

	for (size_t i = 0; i < 3; i++) {
		added[i] = watch_of(f, i & 1 ? f->two : f->one, 2 * i + 1);
		added[i].pattern = texts[i];
		add(f, &added[i]);
	}
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) { /* the newest is the first */
		assert_string_equal((char *)f->vault + patterns[i].text, texts[2 - i]);
		assert_int_equal(patterns[i].deny, added[2 - i].deny);
		assert_int_equal(patterns[i].report, added[2 - i].report);
	}
	watches_remove_container(f->watches, f->one);
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_string_equal((char *)f->vault + patterns[0].text, texts[1]);
	assert_int_equal(patterns[0].deny, added[1].deny);
	assert_int_equal(patterns[0].report, added[1].report);
	watches_remove_container(f->watches, f->two);
	assert_null(look(f, SUPER | GUARD_KEY_BASE, 10));
}

/* As many levels as the deepest pattern needs, of whoever is left. */
static void test_super_marks(void **state)
{
	struct fixture *f = *state;
	struct watch shallow = mark_of(f, f->one, 1), deep = mark_of(f, f->two, 7);
	struct watch none = mark_of(f, f->one, 0);

	add(f, &none);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 0);
	add(f, &shallow);
	add(f, &deep);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 7);
	add(f, &none); /* less than there is: nothing new */
	assert_int_equal(watches_count(f->watches), 3);
	watches_remove_container(f->watches, f->two);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 1);
	watches_remove_super(f->watches, OTHER);
	assert_non_null(look(f, SUPER | GUARD_KEY_SUPER, 0));
	watches_remove_super(f->watches, SUPER);
	assert_null(look(f, SUPER | GUARD_KEY_SUPER, 0));
	assert_int_equal(watches_count(f->watches), 0);
}

static void test_super_goes(void **state)
{
	struct fixture *f = *state;
	struct watch elsewhere = watch_of(f, f->one, 0), mark = mark_of(f, f->one, 1);

	for (size_t i = 0; i < 6; i++) {
		struct watch watch = watch_of(f, f->one, i);

		add(f, &watch);
	}
	add(f, &mark);
	elsewhere.key = OTHER;
	add(f, &elsewhere);
	watches_remove_super(f->watches, SUPER);
	assert_int_equal(watches_count(f->watches), 1);
	assert_int_equal(table_count(f->table), 1);
	assert_non_null(look(f, OTHER, 11));
	assert_int_equal(f->one->n_refs, 2);
}

/* A new policy: nothing of it shows before publish, nothing of the old one after. */
static void test_publish(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, 0), new = watch_of(f, f->one, 2);
	struct watch both = watch_of(f, f->two, 2), base = watch_of(f, f->one, 3);

	add(f, &old);
	assert_int_equal(watches_begin(f->watches, NULL), 0);
	assert_true(watches_is_building(f->watches));
	new.where = base.where = WATCH_BUILDING;
	both.where = WATCH_LIVE | WATCH_BUILDING;
	both.ino = 12;
	add(f, &new);
	add(f, &base);
	add(f, &both); /* a container that starts now is guarded by both */
	assert_masks(look(f, SUPER, 11), WRITE, WRITE);
	assert_masks(look(f, SUPER, 12), 0, READ | WRITE);
	assert_null(look(f, SUPER | GUARD_KEY_BASE, 10));
	watches_publish(f->watches);
	assert_false(watches_is_building(f->watches));
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE);
	assert_masks(look(f, SUPER, 12), 0, READ | WRITE);
	assert_non_null(look(f, SUPER | GUARD_KEY_BASE, 10));
	assert_int_equal(watches_count(f->watches), 3);
	assert_int_equal(f->one->n_refs, 3);
	/* And it goes on from there. */
	add(f, &old);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE);
	watches_remove_container(f->watches, f->one);
	assert_null(look(f, SUPER, 11));
	assert_int_equal(table_count(f->table), 1);
}

static void test_abandon(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, 0), new = watch_of(f, f->one, 2);
	struct watch both = watch_of(f, f->two, 2);

	add(f, &old);
	assert_int_equal(watches_begin(f->watches, NULL), 0);
	new.where = WATCH_BUILDING;
	both.where = WATCH_LIVE | WATCH_BUILDING;
	add(f, &new);
	add(f, &both);
	watches_abandon(f->watches);
	assert_int_equal(watches_count(f->watches), 2);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE);
	watches_remove_container(f->watches, f->two);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE);
}

/* A container that goes while a policy is built, from both tables. */
static void test_remove_while_building(void **state)
{
	struct fixture *f = *state;

	for (unsigned int round = 0; round < 2; round++) {
		struct watch watch = watch_of(f, f->one, 0);

		assert_int_equal(watches_begin(f->watches, NULL), 0);
		watch.where = WATCH_LIVE | WATCH_BUILDING;
		add(f, &watch);
		watch = watch_of(f, f->two, 2);
		watch.where = WATCH_BUILDING;
		add(f, &watch);
		watches_remove_container(f->watches, f->one);
		assert_null(round ? NULL : look(f, SUPER, 11));
		watches_publish(f->watches);
		assert_masks(look(f, SUPER, 11), 0, READ | WRITE);
	}
}

static void test_settle(void **state)
{
	struct fixture *f = *state;
	struct watch ask = watch_of(f, f->one, 4), other = watch_of(f, f->two, 4);
	struct watch ask_base = watch_of(f, f->one, 5), sure = watch_of(f, f->one, 2);
	const struct guard_pattern *patterns;
	size_t n;

	ask.report |= GUARD_OP_ASK;
	ask_base.report |= GUARD_OP_ASK;
	other.report |= GUARD_OP_ASK;
	add(f, &ask);
	add(f, &ask_base);
	add(f, &other);
	add(f, &sure);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | GUARD_OP_ASK);

	/* Not known yet: judged by the name there is now, asked again next time. */
	watches_settle(f->watches, f->one, "guest", false);
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_int_equal(patterns[0].deny, 0);
	assert_int_equal(patterns[0].report, GUARD_OP_ASK);

	watches_settle(f->watches, f->one, "web-7", true);
	patterns = patterns_of(f, &n);
	assert_int_equal(patterns[0].deny, WRITE);
	assert_int_equal(patterns[0].report, WRITE);
	/* The other container's is still open. */
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | GUARD_OP_ASK);
	watches_settle(f->watches, f->two, "db-1", true);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE);
	watches_remove_container(f->watches, f->one);
	assert_masks(look(f, SUPER, 11), 0, 0);
	/* What is settled stays so. */
	watches_settle(f->watches, f->two, "web-1", true);
	assert_masks(look(f, SUPER, 11), 0, 0);
}

/* A late event finds what is watched now, by its identity: nothing that is gone, and nothing of another file. */
static void test_walks(void **state)
{
	struct fixture *f = *state;
	struct watch one = watch_of(f, f->one, 0), two = watch_of(f, f->two, 2);

	for (size_t i = 0; i < 1000; i++) {
		add(f, &one);
		assert_watches(f, 11, f->one, 1, 1);
		watches_remove_container(f->watches, f->one);
		assert_watches(f, 11, f->one, 0, 0);
		assert_int_equal(watches_count(f->watches), 0);
	}
	for (uint32_t i = 0; i < 3000; i++) {
		one.ino = two.ino = 100 + i;
		add(f, &one);
		if (i & 1)
			add(f, &two);
	}
	assert_int_equal(watches_count(f->watches), 4500);
	for (uint32_t i = 0; i < 3000; i++)
		assert_watches(f, 100 + i, f->one, 1 + (i & 1), 1);
	assert_null(watches_next(f->watches, SUPER, 3100, NULL));
	assert_null(watches_next(f->watches, OTHER, 100, NULL));
}

/* A watch outlives its container's place on the list: an event that comes late can say whose it was. */
static void test_container_outlived(void **state)
{
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 0);

	add(f, &watch);
	containers_remove(&f->containers, f->one);
	assert_null(containers_find(&f->containers, 1));
	assert_int_equal(watches_next(f->watches, SUPER, 11, NULL)->container->mnt_ns, 1);
	containers_remove(&f->containers, f->one); /* not there any more */
	assert_int_equal(f->containers.n, 1);
}

/* No room: nothing has changed. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 0);
	struct error err = { 0 };
	size_t n;

	for (uint32_t i = 0;; i++) {
		watch.ino = 100 + i;
		n = watches_count(f->watches);
		assert_int_equal(watches_add(f->watches, &watch, NULL), 0);
		if (watches_align(f->watches, &err) < 0)
			break;
	}
	assert_int_equal(err.code, -ENOSPC);
	assert_int_equal(watches_count(f->watches), n);
	assert_int_equal(table_count(f->table), n);
	assert_int_equal(n, table_capacity(f->table));
	assert_null(watches_next(f->watches, watch.key, watch.ino, NULL));
	assert_int_equal(f->one->n_refs, 1 + n);
}

/* Many patterns below many directories, entered one after the other while a table is built: they fit. */
static void test_many_patterns(void **state)
{
	struct fixture *f = *state;
	size_t n;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	for (uint64_t c = 0; c < 50; c++) {
		for (uint64_t i = 0; i < 100; i++) {
			static char names[100][24];
			struct watch watch = watch_of(f, f->one, 1);

			snprintf(names[i], sizeof(names[i]), "directory-%02u/*.conf", (unsigned)i);
			watch.key = SUPER + 2048 * c + GUARD_KEY_BASE;
			watch.pattern = names[i];
			watch.where = WATCH_BUILDING;
			add(f, &watch);
		}
	}
	watches_publish(f->watches);
	patterns_of(f, &n);
	assert_int_equal(n, 100);
	watches_remove_container(f->watches, f->one);
	assert_int_equal(table_count(f->table), 0);
}

/*
 * A container that starts while a table is built is entered in the one in force too, where every change of a base
 * uses up a slot: as many patterns as a base can have are one change. More than that: the oldest hold.
 */
static void test_many_at_once(void **state)
{
	static char names[GUARD_MAX_PATTERNS + 10][24];
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 1), file = watch_of(f, f->one, 0);
	const struct guard_pattern *patterns;
	struct error err = { 0 };
	size_t n;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	watch.where = file.where = WATCH_LIVE | WATCH_BUILDING;
	for (size_t i = 0; i < GUARD_MAX_PATTERNS + 10; i++) {
		snprintf(names[i], sizeof(names[i]), "directory-%04zu/*.conf", i);
		watch.pattern = names[i];
		assert_int_equal(watches_add(f->watches, &watch, NULL), 0);
	}
	assert_int_equal(watches_add(f->watches, &file, NULL), 0);
	assert_null(patterns_of(f, &n));
	assert_int_equal(watches_align(f->watches, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "more than 4096 patterns"));
	assert_int_equal(watches_align(f->watches, NULL), 0); /* the others are gone */
	assert_int_equal(watches_count(f->watches), GUARD_MAX_PATTERNS + 1);
	for (unsigned int published = 0; published < 2; published++) {
		assert_masks(look(f, SUPER, 11), WRITE, WRITE);
		patterns = patterns_of(f, &n);
		assert_int_equal(n, GUARD_MAX_PATTERNS);
		for (size_t i = 0; i < n; i++)
			assert_string_equal((char *)f->vault + patterns[i].text, names[n - 1 - i]);
		if (!published)
			watches_publish(f->watches);
	}
	assert_int_equal(f->one->n_refs, 1 + GUARD_MAX_PATTERNS + 1);
}

/* The table being built has the less room for patterns: as many as fit there hold in both. */
static void test_many_too_long(void **state)
{
	static char names[1100][1000];
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 1);
	size_t n, n_published;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	watch.where = WATCH_LIVE | WATCH_BUILDING;
	for (size_t i = 0; i < 1100; i++) {
		memset(names[i], 'x', sizeof(names[i]) - 1);
		watch.pattern = names[i];
		assert_int_equal(watches_add(f->watches, &watch, NULL), 0);
	}
	assert_int_equal(watches_align(f->watches, NULL), -ENOSPC);
	patterns_of(f, &n);
	assert_in_range(n, 1000, 1099);
	assert_int_equal(watches_count(f->watches), n);
	watches_publish(f->watches);
	patterns_of(f, &n_published);
	assert_int_equal(n_published, n);
}

/* Any order of everything, against what the watches add up to. */
static void test_random(void **state)
{
	struct fixture *f = *state;
	uint64_t random = 12345;

	for (unsigned int step = 0; step < 4000; step++) {
		uint32_t what;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		what = (uint32_t)(random >> 33);
		if (what % 100 < 80) {
			struct watch watch =
				watch_of(f, what & 128 ? f->one : f->two, what / 256 % 6);

			watch.ino += what / 8192 % 16;
			watch.where = watches_is_building(f->watches) ? 1 + what / 65536 % 3
								      : WATCH_LIVE;
			assert_int_equal(watches_add(f->watches, &watch, NULL), 0);
		} else if (what % 100 < 85) {
			watches_remove_container(f->watches, what & 128 ? f->one : f->two);
		} else if (what % 100 < 86) {
			watches_remove_super(f->watches, SUPER);
		} else if (!watches_is_building(f->watches)) {
			assert_int_equal(watches_begin(f->watches, NULL), 0);
		} else if (what & 128) {
			watches_publish(f->watches);
		} else {
			watches_abandon(f->watches);
		}
		if (what & 64) /* later, whatever happens until then */
			continue;
		assert_int_equal(watches_align(f->watches, NULL), 0);
		for (uint64_t ino = 10; ino < 28; ino++) {
			const struct guard_entry *file = look(f, SUPER, ino);
			const struct guard_entry *base = look(f, SUPER | GUARD_KEY_BASE, ino);
			const struct watch *watch = NULL;
			uint32_t deny = 0, report = 0, n = 0;

			while ((watch = watches_next(f->watches, SUPER, ino, watch))) {
				deny |= watch->deny;
				report |= watch->report;
			}
			if (!report)
				assert_null(file);
			else
				assert_masks(file, deny, report);
			while ((watch = watches_next(f->watches, SUPER | GUARD_KEY_BASE, ino,
						     watch)))
				n++;
			assert_int_equal(base ? base->deny : 0, n);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sums),
		TEST(test_generation),
		TEST(test_bases),
		TEST(test_super_marks),
		TEST(test_super_goes),
		TEST(test_publish),
		TEST(test_abandon),
		TEST(test_remove_while_building),
		TEST(test_settle),
		TEST(test_walks),
		TEST(test_container_outlived),
		TEST(test_full),
		cmocka_unit_test_setup_teardown(test_many_patterns, set_up_large, tear_down),
		TEST(test_many_at_once),
		TEST(test_many_too_long),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
