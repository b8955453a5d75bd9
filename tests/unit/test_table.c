// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's writer against the guard's own reader: what cache_find() sees in the vault has to be what a simple
 * reference says, after any sequence of changes, and at any moment of one.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "cache/table.h"
#include "guard/cache.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define SUPER(i) (0xffff888100000000ULL + (uint64_t)(i)*2048)

DEFINE_CLEANUP(struct table *, table_free)

static uint64_t random_state = 88172645463325252ULL;

static uint32_t pick(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *vault_new(uint64_t size)
{
	void *vault = aligned_alloc(4096, size);

	assert_non_null(vault);
	memset(vault, 0, GUARD_VAULT_TABLES);
	memset((char *)vault + GUARD_VAULT_TABLES, 0x5a, size - GUARD_VAULT_TABLES);
	return vault;
}

static uint64_t word(const void *vault)
{
	return __atomic_load_n(&((const struct guard_vault *)vault)->table, __ATOMIC_ACQUIRE);
}

static const struct guard_entry *look(const void *vault, uint64_t key, uint64_t ino)
{
	return cache_find(vault, word(vault), key, ino);
}

/* The reference: every entry there could be, in an array. */
#define N_SUPERS 8
#define N_FILES 96
#define N_BASES 16
#define PER_SUPER (N_FILES + N_BASES + 1)
#define N_MODEL (N_SUPERS * PER_SUPER)
#define MAX_PATTERNS 6

struct model_entry {
	bool there;
	struct guard_entry entry;
	size_t n;
	struct table_pattern patterns[MAX_PATTERNS];
};

struct model {
	uint8_t *vault;
	uint64_t vault_size;
	struct table *table;
	struct model_entry live[N_MODEL], building[N_MODEL];
	bool is_building, to_live;
};

static const char *const texts[] = { "*", "a", "**/*.conf", "x/y/z", "shadow-?", "**" };

static uint64_t model_key(size_t i, uint64_t *ret_ino)
{
	size_t of = i % PER_SUPER;
	uint64_t super = SUPER(i / PER_SUPER);

	*ret_ino = of < N_FILES ? 100 + of : 100 + of - N_FILES;
	if (of < N_FILES)
		return super | GUARD_KEY_FILE;
	if (of < N_FILES + N_BASES)
		return super | GUARD_KEY_BASE;
	*ret_ino = 0;
	return super | GUARD_KEY_SUPER;
}

static struct model_entry *model_target(struct model *model)
{
	return model->is_building && !model->to_live ? model->building : model->live;
}

static bool model_has_bases(const struct model *model)
{
	for (size_t i = 0; i < N_MODEL; i++)
		if (model->live[i].there && model->live[i].n)
			return true;
	return false;
}

static void check_patterns(const struct model *model, const struct model_entry *expected,
			   const struct guard_entry *entry)
{
	const struct guard_pattern *at = (const void *)(model->vault + entry->patterns * 8ULL);

	assert_int_equal(entry->deny, expected->n);
	for (size_t i = 0; i < expected->n; i++) {
		const char *text = (const char *)model->vault + at[i].text;

		assert_true((const uint8_t *)&at[i + 1] <= model->vault + model->vault_size);
		assert_true(at[i].text < model->vault_size);
		assert_string_equal(text, expected->patterns[i].text);
		assert_int_equal(at[i].deny, expected->patterns[i].deny);
		assert_int_equal(at[i].report, expected->patterns[i].report);
	}
}

static void check_entry(const struct model *model, const struct model_entry *expected,
			const struct guard_entry *entry)
{
	assert_int_equal(entry != NULL, expected->there);
	if (!entry)
		return;
	assert_int_equal(entry->generation, expected->entry.generation);
	if (expected->n) {
		check_patterns(model, expected, entry);
		return;
	}
	assert_int_equal(entry->patterns, expected->entry.patterns);
	assert_int_equal(entry->deny, expected->entry.deny);
	assert_int_equal(entry->report, expected->entry.report);
}

static void model_check(struct model *model)
{
	size_t n = 0, n_slots = 1ULL << (64 - GUARD_TABLE_SHIFT(word(model->vault)));

	for (size_t i = 0; i < N_MODEL; i++) {
		uint64_t ino, key = model_key(i, &ino);
		const struct guard_entry *entry = look(model->vault, key, ino);
		struct guard_entry got;

		check_entry(model, &model->live[i], entry);
		if (entry && model->live[i].n == 0) {
			/* within its probe limit, and inside the table */
			const struct guard_entry *first =
				(const void *)(model->vault +
					       GUARD_TABLE_PAGE(word(model->vault)) * 4096);
			assert_true((size_t)(entry - first) < n_slots + GUARD_PROBE_LIMIT);
		}
		if (table_get(model->table, key, ino, &got) != model_target(model)[i].there)
			fail_msg("table_get() of %zu", i);
		n += model_target(model)[i].there;
	}
	assert_int_equal(table_count(model->table), n);
	assert_int_equal(!!(word(model->vault) & GUARD_TABLE_BASES), model_has_bases(model));
}

static void model_set(struct model *model, size_t i)
{
	struct model_entry *to = &model_target(model)[i], new = { .there = true };
	uint64_t ino, key = model_key(i, &ino);

	new.entry = (struct guard_entry){
		.key = key,
		.ino = ino,
		.generation = pick(3),
		.patterns = pick(1000), /* of no meaning, but kept */
		.deny = pick(4),
		.report = pick(4),
	};
	if ((key & 7) == GUARD_KEY_BASE) {
		new.n = 1 + pick(MAX_PATTERNS);
		for (size_t p = 0; p < new.n; p++)
			new.patterns[p] =
				(struct table_pattern){ texts[pick(6)], pick(1000), pick(1000) };
		assert_int_equal(table_set_base(model->table, key & ~7ULL, ino,
						new.entry.generation, new.patterns, new.n, NULL),
				 0);
	} else {
		assert_int_equal(table_set(model->table, &new.entry, NULL), 0);
	}
	*to = new;
}

static void model_remove(struct model *model, size_t i)
{
	uint64_t ino, key = model_key(i, &ino);
	struct model_entry *of = &model_target(model)[i];

	assert_int_equal(table_remove(model->table, key, ino), of->there);
	of->there = false;
	of->n = 0;
}

static void model_remove_super(struct model *model, size_t s)
{
	size_t n = 0;

	for (size_t i = s * PER_SUPER; i < (s + 1) * PER_SUPER; i++) {
		n += model_target(model)[i].there;
		model_target(model)[i].there = false;
		model_target(model)[i].n = 0;
	}
	assert_int_equal(table_remove_super(model->table, SUPER(s)), n);
}

static void model_build(struct model *model)
{
	switch (model->is_building ? pick(3) : 0) {
	case 0:
		if (model->is_building) {
			model->to_live = !model->to_live;
			table_target(model->table, model->to_live);
			return;
		}
		assert_int_equal(table_begin(model->table, NULL), 0);
		memset(model->building, 0, sizeof(model->building));
		model->is_building = true;
		model->to_live = false;
		return;
	case 1:
		table_publish(model->table);
		memcpy(model->live, model->building, sizeof(model->live));
		model->is_building = false;
		return;
	case 2:
		table_abandon(model->table);
		model->is_building = false;
		return;
	}
}

static void test_model(void **state)
{
	static struct model model;
	uint64_t sequence;

	(void)state;
	memset(&model, 0, sizeof(model));
	model.vault_size = 8 * MIB;
	model.vault = vault_new(model.vault_size);
	assert_int_equal(table_new(&model.table, model.vault, model.vault_size, false, NULL), 0);
	sequence = word(model.vault) >> GUARD_TABLE_SEQUENCE_SHIFT;
	for (unsigned int step = 0; step < 30000; step++) {
		uint32_t what = pick(1000);

		if (what < 600)
			model_set(&model, pick(N_MODEL));
		else if (what < 960)
			model_remove(&model, pick(N_MODEL));
		else if (what < 968)
			model_remove_super(&model, pick(N_SUPERS));
		else if (what < 976)
			model_build(&model);
		else
			model_check(&model);
		assert_true(word(model.vault) >> GUARD_TABLE_SEQUENCE_SHIFT >= sequence);
		sequence = word(model.vault) >> GUARD_TABLE_SEQUENCE_SHIFT;
	}
	model_check(&model);
	model.table = table_free(model.table);
	free(model.vault);
}

static struct guard_entry file_entry(uint64_t super, uint64_t ino)
{
	return (struct guard_entry){
		.key = super | GUARD_KEY_FILE,
		.ino = ino,
		.generation = (uint32_t)ino,
		.patterns = (uint32_t)(super ^ ino),
		.deny = 2,
		.report = 3,
	};
}

/* 200 containers with 500 files each, as 100,000 entries of real guests would be: near inodes, near super blocks. */
static void test_hundred_thousand(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(32 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, 32 * MIB, false, NULL), 0);
	assert_true(table_capacity(table) >= 100000);
	for (uint32_t i = 0; i < 100000; i++) {
		struct guard_entry entry = file_entry(SUPER(i / 500), 4000 + i % 500);

		assert_int_equal(table_set(table, &entry, NULL), 0);
	}
	assert_int_equal(table_count(table), 100000);
	for (uint32_t i = 0; i < 100000; i++) {
		const struct guard_entry *entry = look(vault, SUPER(i / 500), 4000 + i % 500);

		assert_non_null(entry);
		assert_int_equal(entry->generation, 4000 + i % 500);
		assert_null(look(vault, SUPER(i / 500) | GUARD_KEY_BASE, 4000 + i % 500));
		assert_null(look(vault, SUPER(i / 500), 5000 + i));
	}
}

static void test_full(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(freep) uint8_t *before = malloc(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct error err = { 0 };
	struct guard_entry entry;
	size_t n = 0;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (;; n++) {
		entry = file_entry(SUPER(n % 7), n);
		memcpy(before, vault, 4096);
		if (table_set(table, &entry, &err) < 0)
			break;
	}
	assert_int_equal(err.code, -ENOSPC);
	assert_non_null(strstr(err.message, "larger vault"));
	assert_int_equal(n, table_capacity(table));
	assert_int_equal(table_count(table), n);
	assert_memory_equal(before, vault, 4096);
	assert_null(look(vault, entry.key, entry.ino));
	for (size_t i = 0; i < n; i++)
		assert_non_null(look(vault, SUPER(i % 7), i));
	/* A failed base changes nothing either. */
	assert_int_equal(table_set_base(table, SUPER(1), 1, 1, &(struct table_pattern){ "*", 1, 1 },
					1, NULL),
			 -ENOSPC);
	assert_null(look(vault, SUPER(1) | GUARD_KEY_BASE, 1));
	assert_false(word(vault) & GUARD_TABLE_BASES);
	/* Room again as soon as something goes. */
	assert_true(table_remove(table, SUPER(0), 0));
	assert_int_equal(table_set(table, &entry, NULL), 0);
	assert_non_null(look(vault, entry.key, entry.ino));
	/* A new generation replaces the entry, in a full table too. */
	entry.generation++;
	assert_int_equal(table_set(table, &entry, NULL), 0);
	assert_int_equal(look(vault, entry.key, entry.ino)->generation, entry.generation);
}

/* Patterns that do not fit: the base stays what it was. */
static void test_patterns_full(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(freep) struct table_pattern *patterns = calloc(4096, sizeof(*patterns));
	_cleanup_(table_freep) struct table *table = NULL;
	char text[1024];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < 4096; i++)
		patterns[i] = (struct table_pattern){ text, (uint32_t)i, 1 };
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(0), 2, 0, patterns, 10, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(0), 2, 0, patterns, 4096, NULL), -ENOSPC);
	assert_int_equal(look(vault, SUPER(0) | GUARD_KEY_BASE, 2)->deny, 10);
	/* Again and again: what a base had before is not kept for ever. */
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(table_set_base(table, SUPER(0), 2, 0, patterns, 500, NULL), 0);
	assert_int_equal(table_begin(table, NULL), 0);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(table_set_base(table, SUPER(0), 2, 0, patterns, 500, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(0), 2, 0, patterns, 4096, NULL), -ENOSPC);
	table_publish(table);
	assert_int_equal(look(vault, SUPER(0) | GUARD_KEY_BASE, 2)->deny, 500);
}

/* The table in force has room for containers that start while a policy is being built. */
static void test_live_room_while_building(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(16 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry;

	(void)state;
	assert_int_equal(table_new(&table, vault, 16 * MIB, false, NULL), 0);
	for (uint32_t i = 0; i < 511; i++) {
		entry = file_entry(SUPER(0), i);
		assert_int_equal(table_set(table, &entry, NULL), 0);
	}
	assert_int_equal(table_begin(table, NULL), 0);
	table_target(table, true);
	for (uint32_t i = 0; i < 5000; i++) {
		entry = file_entry(SUPER(1), i);
		assert_int_equal(table_set(table, &entry, NULL), 0);
		assert_non_null(look(vault, SUPER(1), i));
	}
	table_abandon(table);
	assert_int_equal(table_count(table), 5511);
}

/* The guard looks for bases where there are some, and only there. */
static void test_bases_flag(void **state)
{
	const struct table_pattern pattern = { "*", 2, 3 };
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_set_base(table, SUPER(0), 2, 0, &pattern, 1, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(1), 2, 0, &pattern, 1, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(1), 2, 1, &pattern, 1, NULL), 0);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_true(table_remove(table, SUPER(0) | GUARD_KEY_BASE, 2));
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_remove_super(table, SUPER(1)), 1);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(table_set_base(table, SUPER(0), 2, 0, &pattern, 1, NULL), 0);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	table_publish(table);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	table_publish(table);
	assert_false(word(vault) & GUARD_TABLE_BASES);
}

static void test_too_small(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(GUARD_VAULT_TABLES + 4096);
	struct error err = { 0 };
	struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, GUARD_VAULT_TABLES + 4096, false, &err), -EINVAL);
	assert_int_equal(table_new(&table, vault, 4096, false, &err), -EINVAL);
	assert_null(table);
	assert_null(table_free(NULL));
}

/* Keys that mean something else in a slot are nobody's entry. */
static void test_reserved_keys(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry = file_entry(SUPER(0), 1);

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(table_set(table, &entry, NULL), 0);
	assert_true(table_remove(table, entry.key, entry.ino));
	entry.key = GUARD_KEY_RETIRED;
	entry.ino = 0;
	assert_int_equal(table_set(table, &entry, NULL), -EINVAL);
	assert_false(table_remove(table, GUARD_KEY_RETIRED, 0));
	entry.key = GUARD_KEY_EMPTY;
	assert_int_equal(table_set(table, &entry, NULL), -EINVAL);
	assert_false(table_get(table, GUARD_KEY_RETIRED, 0, &entry));
	assert_int_equal(table_remove_super(table, ~7ULL), 0);
	assert_int_equal(table_count(table), 0);
}

/*
 * A reader that has found an entry reads the rest of it later: as long as the table is in force, the slot is nobody
 * else's.
 */
static void test_retired_slots_rest(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry = file_entry(SUPER(0), 1);
	const struct guard_entry *found;
	uint64_t before;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(table_set(table, &entry, NULL), 0);
	found = look(vault, entry.key, entry.ino);
	before = word(vault);
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(table_remove(table, entry.key, entry.ino));
		assert_int_equal(found->key, GUARD_KEY_RETIRED);
		entry.report++;
		assert_int_equal(table_set(table, &entry, NULL), 0);
		assert_int_equal(found->key, GUARD_KEY_RETIRED);
		assert_int_equal(found->report, entry.report - 1);
		assert_int_equal(word(vault), before);
		found = look(vault, entry.key, entry.ino);
	}
}

/* What a daemon leaves stays in force until the next one's table is published. */
static void test_adoption(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry old = file_entry(SUPER(0), 1), new = file_entry(SUPER(0), 2);

	(void)state;
	for (unsigned int life = 0; life < 4; life++) {
		uint64_t in_force;

		assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
		assert_null(look(vault, old.key, old.ino));
		assert_int_equal(table_set(table, &old, NULL), 0);
		if (life & 1) { /* so that either half is the one that is left */
			assert_int_equal(table_begin(table, NULL), 0);
			assert_int_equal(table_set(table, &old, NULL), 0);
			table_publish(table);
		}
		table = table_free(table);
		in_force = word(vault);

		assert_int_equal(table_new(&table, vault, 8 * MIB, true, NULL), 0);
		assert_int_equal(word(vault), in_force);
		assert_int_equal(table_begin(table, NULL), 0);
		for (uint32_t i = 2; i < 3000; i++) {
			new = file_entry(SUPER(0), i);
			assert_int_equal(table_set(table, &new, NULL), 0);
		}
		assert_int_equal(word(vault), in_force);
		assert_non_null(look(vault, old.key, old.ino));
		assert_null(look(vault, new.key, new.ino));
		table_publish(table);
		assert_true(word(vault) != in_force);
		assert_null(look(vault, old.key, old.ino));
		assert_non_null(look(vault, new.key, new.ino));
		table = table_free(table);
	}
}

/*
 * A reader as the guard is one, while the writer does all it can. Patterns, deny, report and generation carry a sum of
 * the key and ino: whatever is believed has to belong to what was looked for.
 */
#define N_PERMANENT 300
#define N_PASSING 3000

struct race {
	uint8_t *vault;
	bool stop;
	uint64_t n_looks, n_retries, n_foreign, n_missed;
};

static uint32_t sum_of(uint64_t key, uint64_t ino)
{
	return (uint32_t)(GUARD_HASH(key * 31, ino) >> 40) << 8;
}

static struct guard_entry summed(uint64_t ino, uint32_t version)
{
	uint64_t key = SUPER(ino % 5);
	uint32_t sum = sum_of(key, ino) | (version & 0xff);

	return (struct guard_entry){ key, ino, sum, sum, sum, sum };
}

static bool look_once(struct race *race, uint64_t ino)
{
	uint64_t key = SUPER(ino % 5), table;
	uint32_t sum = sum_of(key, ino);
	struct guard_entry copy;
	bool found;

	do {
		const struct guard_entry *entry;

		table = word(race->vault);
		entry = cache_find(race->vault, table, key, ino);
		found = entry != NULL;
		if (found) {
			copy.generation = *(const volatile uint32_t *)&entry->generation;
			copy.patterns = *(const volatile uint32_t *)&entry->patterns;
			copy.deny = *(const volatile uint32_t *)&entry->deny;
			copy.report = *(const volatile uint32_t *)&entry->report;
		}
		race->n_retries++;
		__asm__ volatile("" ::: "memory"); /* x86 keeps loads in order */
	} while (word(race->vault) != table);
	race->n_retries--;
	race->n_looks++;
	if (found && ((copy.generation ^ sum) >> 8 || (copy.patterns ^ sum) >> 8 ||
		      (copy.deny ^ sum) >> 8 || (copy.report ^ sum) >> 8))
		race->n_foreign++;
	return found;
}

static void *race_reader(void *data)
{
	struct race *race = data;
	uint64_t i = 0;

	while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
		if (!look_once(race, i % N_PERMANENT))
			race->n_missed++;
		look_once(race, N_PERMANENT + i * 7 % N_PASSING);
		i++;
	}
	return NULL;
}

static void race_step(struct table *table, uint32_t version)
{
	struct guard_entry entry = summed(N_PERMANENT + pick(N_PASSING), version);

	if (pick(3)) {
		assert_int_equal(table_set(table, &entry, NULL), 0);
	} else {
		table_remove(table, entry.key, entry.ino);
	}
	entry = summed(pick(N_PERMANENT), version);
	assert_int_equal(table_set(table, &entry, NULL), 0);
	if (pick(8) == 0)
		assert_int_equal(table_set_base(table, SUPER(pick(5)), pick(9), version,
						&(struct table_pattern){ "*", 2, 3 }, 1, NULL),
				 0);
	if (pick(400))
		return;
	assert_int_equal(table_begin(table, NULL), 0);
	for (uint32_t i = 0; i < N_PERMANENT; i++) {
		entry = summed(i, version + i);
		assert_int_equal(table_set(table, &entry, NULL), 0);
	}
	if (pick(3))
		table_publish(table);
	else
		table_abandon(table);
}

static void test_concurrent_reader(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct race races[2] = { { .vault = vault }, { .vault = vault } };
	const char *ms = getenv("TEST_MS");
	uint64_t end;
	pthread_t readers[2];

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (uint32_t i = 0; i < N_PERMANENT; i++) {
		struct guard_entry entry = summed(i, 0);

		assert_int_equal(table_set(table, &entry, NULL), 0);
	}
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, race_reader, &races[i]), 0);
	end = now_us() + 1000 * (ms ? strtoul(ms, NULL, 10) : 200);
	for (uint32_t version = 1; now_us() < end; version++)
		race_step(table, version);
	for (unsigned int i = 0; i < 2; i++) {
		__atomic_store_n(&races[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(readers[i], NULL);
		assert_true(races[i].n_looks > 0);
		assert_int_equal(races[i].n_foreign, 0);
		assert_int_equal(races[i].n_missed, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_hundred_thousand),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_patterns_full),
		cmocka_unit_test(test_live_room_while_building),
		cmocka_unit_test(test_bases_flag),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_reserved_keys),
		cmocka_unit_test(test_retired_slots_rest),
		cmocka_unit_test(test_adoption),
		cmocka_unit_test(test_concurrent_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
