// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's writer against the guard's own reader: what cache_find() sees in the vault has to be what a simple
 * reference says, after any sequence of changes. (What a reader sees in the midst of one: test_table_readers.c.)
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache/table.h"
#include "glob/glob.h"
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

/*
 * The reference: every entry there could be, in an array. Lists of clauses are picked from a pool, all different, large
 * ones and small ones, which have texts and exceptions in common; together they are more than the arena holds.
 */
#define N_SUPERS 8
#define N_FILES 96
#define N_BASES 16
#define PER_SUPER (N_FILES + N_BASES + 4)
#define N_MODEL (N_SUPERS * PER_SUPER)
#define N_TEXTS 64
#define N_ARRAYS 16
#define MAX_ARRAY 300
#define N_LISTS 64 /* the even ones for bases */
#define MAX_LIST 12

struct model_entry {
	bool there;
	struct guard_entry entry;
	int list; /* in the pool, or -1 */
};

struct pool {
	char *texts[N_TEXTS];
	struct guard_exception arrays[N_ARRAYS][MAX_ARRAY];
	size_t n_array[N_ARRAYS];
	struct list {
		size_t n;
		struct table_clause clauses[MAX_LIST];
		unsigned int text[MAX_LIST], array[MAX_LIST];
	} lists[N_LISTS];
};

struct model {
	uint8_t *vault;
	uint64_t vault_size;
	struct table *table;
	struct pool pool;
	struct model_entry live[N_MODEL], building[N_MODEL];
	bool is_building, to_live;
	size_t n_full, n_same;
};

static void pool_init(struct pool *pool)
{
	for (size_t i = 0; i < N_TEXTS; i++) {
		size_t length = 2 + pick(i % 4 ? 60 : 180000);

		pool->texts[i] = malloc(length + 1);
		memset(pool->texts[i], 'a' + (int)(i % 26), length);
		pool->texts[i][0] = (char)('0' + i);
		pool->texts[i][length] = '\0';
	}
	for (size_t i = 0; i < N_ARRAYS; i++) {
		pool->n_array[i] = 1 + pick(i % 4 ? 5 : MAX_ARRAY);
		for (size_t j = 0; j < pool->n_array[i]; j++)
			pool->arrays[i][j] = (struct guard_exception){
				.parts = 1 + pick(7), .super = SUPER(pick(3)), .ino = i, .space = j
			};
	}
	for (size_t i = 0; i < N_LISTS; i++) {
		struct list *list = &pool->lists[i];

		list->n = 1 + pick(MAX_LIST);
		for (size_t c = 0; c < list->n; c++) {
			unsigned int text = i % 8 ? 4 * pick(N_TEXTS / 4) + 1 : pick(N_TEXTS);
			unsigned int array = pick(N_ARRAYS);
			bool excepts = pick(2);

			list->text[c] = text;
			list->array[c] = array;
			list->clauses[c] = (struct table_clause){
				.text = i % 2 ? NULL : pool->texts[text],
				.deny = (uint32_t)i, /* so that all are different */
				.report = pick(1000),
				.kill = pick(1000),
				.exceptions = excepts ? pool->arrays[array] : NULL,
				.n_exceptions = excepts ? (uint32_t)pool->n_array[array] : 0,
			};
		}
	}
}

static void pool_free(struct pool *pool)
{
	for (size_t i = 0; i < N_TEXTS; i++)
		free(pool->texts[i]);
}

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
	return super |
	       (GUARD_KEY_SUPER + (of - N_FILES - N_BASES)); /* CREDS, SPACE, MOUNT: same address */
}

static bool is_of_super(size_t i)
{
	return i % PER_SUPER <= N_FILES + N_BASES;
}

static struct model_entry *model_target(struct model *model)
{
	return model->is_building && !model->to_live ? model->building : model->live;
}

static uint32_t place_of_entry(uint64_t key, uint64_t ino)
{
	return GUARD_FILTER_OF_INO(ino) ^ GUARD_FILTER_OF_SUPER(key);
}

static bool model_has_bases(const struct model *model)
{
	for (size_t i = 0; i < N_MODEL; i++) {
		uint64_t ino;

		if (model->live[i].there && (model_key(i, &ino) & 7) == GUARD_KEY_BASE)
			return true;
	}
	return false;
}

static bool model_has_read_bases(const struct model *model)
{
	for (size_t i = 0; i < N_MODEL; i++) {
		uint64_t ino;

		if (model->live[i].there && model->live[i].entry.report &&
		    (model_key(i, &ino) & 7) == GUARD_KEY_SUPER)
			return true;
	}
	return false;
}

/* Does the file's entry in force say something of reading? */
static bool model_is_for_reading(const struct model *model, size_t i)
{
	const struct model_entry *entry = &model->live[i];
	uint32_t operations = entry->entry.deny | entry->entry.report;
	uint64_t ino;

	if (!entry->there || (model_key(i, &ino) & 7) != GUARD_KEY_FILE)
		return false;
	for (size_t c = 0; entry->list >= 0 && c < model->pool.lists[entry->list].n; c++)
		operations |= model->pool.lists[entry->list].clauses[c].deny |
			      model->pool.lists[entry->list].clauses[c].report;
	return operations & (GUARD_OP_READ | GUARD_OP_EXEC | GUARD_OP_LAZY | GUARD_OP_ASK);
}

/* What lists need in an arena: each list, text and array once. */
struct needs {
	bool lists[N_LISTS], texts[N_TEXTS], arrays[N_ARRAYS];
	uint64_t bytes;
	size_t n;
};

static void need(const struct pool *pool, struct needs *needs, int i)
{
	const struct list *list = i < 0 ? NULL : &pool->lists[i];

	if (!list || needs->lists[i])
		return;
	needs->lists[i] = true;
	needs->n++;
	needs->bytes += sizeof(struct guard_clauses) + sizeof(struct guard_clause) * list->n;
	for (size_t c = 0; c < list->n; c++) {
		if (list->clauses[c].text && !needs->texts[list->text[c]]) {
			needs->texts[list->text[c]] = true;
			needs->bytes += (strlen(list->clauses[c].text) + 8) / 8 * 8;
		}
		if (list->clauses[c].n_exceptions && !needs->arrays[list->array[c]]) {
			needs->arrays[list->array[c]] = true;
			needs->bytes += 40 * pool->n_array[list->array[c]];
		}
	}
}

static struct needs model_needs(struct model *model, const struct model_entry *but)
{
	struct needs needs = { .bytes = 0 };

	for (size_t i = 0; i < N_MODEL; i++) {
		const struct model_entry *entry = &model_target(model)[i];

		if (entry->there && entry != but)
			need(&model->pool, &needs, entry->list);
	}
	return needs;
}

/* In the half in force: offsets of lists, texts and arrays. */
struct places {
	uint64_t first, end;
	uint32_t lists[N_LISTS], texts[N_TEXTS], arrays[N_ARRAYS];
};

static void check_place(const struct places *places, uint32_t *once, uint32_t at, uint64_t offset)
{
	assert_true(at != 0);
	assert_in_range(offset, places->first, places->end - 1);
	if (!*once)
		*once = at;
	assert_int_equal(*once, at);
}

static bool is_plain(const struct table_clause *clause)
{
	return clause->text && !strpbrk(clause->text, "*?");
}

static unsigned int hash_of(const struct table_clause *clause)
{
	return glob_hash(clause->text);
}

/* Patterns as they came, then plain paths by their hashes. Returns how many of the latter. */
static size_t in_order(const struct list *list, size_t order[MAX_LIST])
{
	size_t n = 0, n_patterns;

	for (size_t c = 0; c < list->n; c++) {
		if (!is_plain(&list->clauses[c]))
			order[n++] = c;
	}
	n_patterns = n;
	for (size_t c = 0; c < list->n; c++) {
		size_t at = n;

		if (!is_plain(&list->clauses[c]))
			continue;
		while (at > n_patterns &&
		       hash_of(&list->clauses[order[at - 1]]) > hash_of(&list->clauses[c])) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = c;
		n++;
	}
	return n - n_patterns;
}

static void check_clauses(const struct model *model, struct places *places, int i,
			  const struct guard_entry *entry)
{
	const struct list *list = &model->pool.lists[i];
	const struct guard_clauses *at = (const void *)(model->vault + entry->clauses * 8ULL);

	size_t order[MAX_LIST];

	check_place(places, &places->lists[i], entry->clauses, entry->clauses * 8ULL);
	assert_int_equal(at->n, list->n);
	assert_int_equal(at->n_plain, in_order(list, order));
	for (size_t n = 0; n < list->n; n++) {
		const size_t c = order[n];
		const struct table_clause *expected = &list->clauses[c];
		const struct guard_clause *clause = &at->clause[n];

		assert_int_equal(clause->deny, expected->deny);
		assert_int_equal(clause->report, expected->report);
		assert_int_equal(clause->kill, expected->kill);
		assert_int_equal(clause->n_exceptions, expected->n_exceptions);
		if (expected->text) {
			check_place(places, &places->texts[list->text[c]], clause->text,
				    clause->text);
			assert_string_equal((char *)model->vault + clause->text, expected->text);
		} else {
			assert_int_equal(clause->text, 0);
		}
		if (expected->n_exceptions) {
			check_place(places, &places->arrays[list->array[c]], clause->exceptions,
				    clause->exceptions * 8ULL);
			assert_memory_equal(model->vault + clause->exceptions * 8ULL,
					    expected->exceptions,
					    expected->n_exceptions * sizeof(*expected->exceptions));
		} else {
			assert_int_equal(clause->exceptions, 0);
		}
	}
}

static void check_entry(const struct model *model, struct places *places,
			const struct model_entry *expected, const struct guard_entry *entry)
{
	assert_int_equal(entry != NULL, expected->there);
	if (!entry)
		return;
	assert_int_equal(entry->generation, expected->entry.generation);
	assert_int_equal(entry->deny, expected->entry.deny);
	assert_int_equal(entry->report, expected->entry.report);
	/* inside the table, with what is behind its last place */
	assert_true((const uint8_t *)entry < model->vault + places->first);
	if (expected->list < 0)
		assert_int_equal(entry->clauses, 0);
	else
		check_clauses(model, places, expected->list, entry);
}

static void check_stats(struct model *model, size_t n)
{
	struct needs needs = model_needs(model, NULL);
	struct table_stats stats;

	table_stats(model->table, &stats);
	assert_int_equal(table_count(model->table), n);
	assert_int_equal(stats.entries, n);
	assert_int_equal(stats.capacity, table_capacity(model->table));
	assert_int_equal(stats.clause_blocks, needs.n);
	assert_int_equal(stats.arena_used, needs.bytes);
	assert_true(stats.arena_used <= stats.arena_size);
}

static void model_check(struct model *model)
{
	uint64_t in_force = word(model->vault), at = GUARD_TABLE_PAGE(in_force) * 4096;
	uint64_t n_slots = (1ULL << (64 - GUARD_TABLE_SHIFT(in_force))) + GUARD_PROBE_LIMIT;
	struct places places = { .first = at + n_slots * sizeof(struct guard_entry) };
	size_t n = 0;

	places.end = at + (model->vault_size - GUARD_VAULT_TABLES) / 2;
	for (size_t i = 0; i < N_MODEL; i++) {
		uint64_t ino, key = model_key(i, &ino);
		struct guard_entry got;

		check_entry(model, &places, &model->live[i], look(model->vault, key, ino));
		if (model->live[i].there && (key & 7) == GUARD_KEY_FILE)
			assert_true(filter_has(model->vault, place_of_entry(key, ino),
					       GUARD_FILTER_FILES));
		if (model->live[i].there && (key & 7) == GUARD_KEY_SUPER &&
		    model->live[i].entry.deny)
			assert_true(filter_has(model->vault, GUARD_FILTER_OF_SUPER(key),
					       GUARD_FILTER_SUPERS));
		if (model->live[i].there && (key & 7) == GUARD_KEY_BASE && ino)
			assert_true(filter_has(model->vault, place_of_entry(key, ino),
					       GUARD_FILTER_BASES));
		if (in_force & GUARD_TABLE_READ_BASES || model_is_for_reading(model, i))
			assert_int_not_equal(filter_word(model->vault, ino), GUARD_FILTER_PASSES);
		if (table_get(model->table, key, ino, &got) != model_target(model)[i].there)
			fail_msg("table_get() of %zu", i);
		n += model_target(model)[i].there;
	}
	check_stats(model, n);
	assert_int_equal(!!(in_force & GUARD_TABLE_BASES), model_has_bases(model));
	assert_int_equal(!!(in_force & GUARD_TABLE_READ_BASES), model_has_read_bases(model));
	assert_int_equal(model->vault[model->vault_size - 1], 0);
	assert_true(table_is_as_written(model->table));
}

static int set_list(struct model *model, const struct guard_entry *entry, int i)
{
	const struct list *list = i < 0 ? NULL : &model->pool.lists[i];
	struct table_clause clauses[MAX_LIST];

	if (!list)
		return table_set(model->table, entry, NULL, 0, NULL);
	/* a caller's own copy, gone afterwards: the table has its own */
	memcpy(clauses, list->clauses, sizeof(clauses));
	return table_set(model->table, entry, clauses, list->n, NULL);
}

/* Nothing is in the vault twice, and the word in force tells everybody who reads that it is as it was. */
static void model_set_again(struct model *model, size_t i)
{
	struct model_entry *is = &model_target(model)[i];
	uint64_t in_force = word(model->vault);

	if (!is->there)
		return;
	assert_int_equal(set_list(model, &is->entry, is->list), 0);
	assert_int_equal(word(model->vault), in_force);
	model->n_same++;
}

/* Is there room for @list in an entry that is now @old? A reader of the table in force may need both. */
static bool has_room(struct model *model, const struct model_entry *old, int list)
{
	bool is_read = model_target(model) == model->live;
	struct needs needs = model_needs(model, is_read ? NULL : old);
	struct table_stats stats;

	need(&model->pool, &needs, list);
	table_stats(model->table, &stats);
	return needs.bytes <= stats.arena_size;
}

static int pick_list(uint64_t key)
{
	unsigned int kind = key & 7;

	if (kind != GUARD_KEY_FILE && kind != GUARD_KEY_BASE && kind != GUARD_KEY_MOUNT)
		return -1;
	if (kind == GUARD_KEY_BASE)
		return pick(20) ? (int)(2 * pick(N_LISTS / 2)) : -1;
	return pick(2) ? (int)(2 * pick(N_LISTS / 2) + 1) : -1;
}

static void model_set(struct model *model, size_t i)
{
	struct model_entry *to = &model_target(model)[i], new = { .there = true };
	uint64_t ino, key = model_key(i, &ino);
	bool room;
	int r;

	new.entry = (struct guard_entry){
		.key = key,
		.ino = ino,
		.generation = pick(3),
		.clauses = pick(1000), /* to be ignored */
		.deny = pick(4),
		.report = pick(4),
	};
	new.list = pick_list(key);
	if (to->there && pick(2)) { /* one word of it, or two */
		if (pick(2))
			new.entry = to->entry;
		else
			new.list = to->list;
		new.entry.generation = to->entry.generation;
		new.entry.deny = pick(4);
	}
	room = has_room(model, to, new.list);
	r = set_list(model, &new.entry, new.list);
	if (r == 0) {
		assert_true(room);
		*to = new;
		return;
	}
	/* garbage cannot be got rid of in a table that cannot move */
	assert_int_equal(r, -ENOSPC);
	assert_true(!room || (model->is_building && model->to_live));
	model->n_full++;
}

static void model_remove(struct model *model, size_t i)
{
	uint64_t ino, key = model_key(i, &ino);
	struct model_entry *of = &model_target(model)[i];

	assert_int_equal(table_remove(model->table, key, ino), of->there);
	of->there = false;
}

static void model_remove_super(struct model *model, size_t s)
{
	size_t n = 0;

	for (size_t i = s * PER_SUPER; i < (s + 1) * PER_SUPER; i++) {
		if (!is_of_super(i))
			continue;
		n += model_target(model)[i].there;
		model_target(model)[i].there = false;
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
	const char *steps = getenv("TEST_STEPS");
	unsigned long n = steps ? strtoul(steps, NULL, 10) : 30000;
	uint64_t sequence;

	(void)state;
	memset(&model, 0, sizeof(model));
	pool_init(&model.pool);
	model.vault_size = 8 * MIB;
	model.vault = vault_new(model.vault_size);
	assert_int_equal(table_new(&model.table, model.vault, model.vault_size, false, NULL), 0);
	sequence = word(model.vault) >> GUARD_TABLE_SEQUENCE_SHIFT;
	for (unsigned long step = 0; step < n; step++) {
		uint32_t what = pick(1000);

		if (what < 550)
			model_set(&model, pick(N_MODEL));
		else if (what < 600)
			model_set_again(&model, pick(N_MODEL));
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
	assert_true(model.n_full > 0); /* or this would test less than it says */
	assert_true(model.n_same > 0);
	model.table = table_free(model.table);
	pool_free(&model.pool);
	free(model.vault);
}

static struct guard_entry file_entry(uint64_t super, uint64_t ino)
{
	return (struct guard_entry){
		.key = super | GUARD_KEY_FILE,
		.ino = ino,
		.generation = (uint32_t)ino,
		.deny = 2,
		.report = 3,
	};
}

static struct guard_entry base_entry(uint64_t super, uint64_t ino, uint32_t generation)
{
	return (struct guard_entry){ .key = super | GUARD_KEY_BASE,
				     .ino = ino,
				     .generation = generation };
}

static int set_plain(struct table *table, const struct guard_entry *entry)
{
	return table_set(table, entry, NULL, 0, NULL);
}

static const struct guard_clauses *clauses_of(const uint8_t *vault, const struct guard_entry *entry)
{
	assert_non_null(entry);
	return (const void *)(vault + entry->clauses * 8ULL);
}

/*
 * A container: 200 files, 20 directories above them, a base with the policy's patterns, the marks. Its entries are as
 * those of real guests: near inodes, near super blocks.
 */
#define PER_CONTAINER (200 + 20 + 3)

static void container_set(struct table *table, uint32_t i, const struct table_clause *patterns,
			  size_t n)
{
	const struct guard_exception except = { .parts = GUARD_EXCEPT_UID, .uid_to = 999 };
	const struct table_clause excepted = { NULL, 2, 3, 0, &except, 1 };
	struct guard_entry base = base_entry(SUPER(i), 2, 1), entry;

	for (uint32_t f = 0; f < 220; f++) {
		entry = file_entry(SUPER(i), 4000 + f);
		assert_int_equal(table_set(table, &entry, &excepted, f % 10 == 0, NULL), 0);
	}
	assert_int_equal(table_set(table, &base, patterns, n, NULL), 0);
	entry = (struct guard_entry){ .key = SUPER(i) | GUARD_KEY_SUPER, .deny = 9 };
	assert_int_equal(set_plain(table, &entry), 0);
	entry = (struct guard_entry){ .key = GUARD_SPACE_KEY(1000 + i) };
	assert_int_equal(set_plain(table, &entry), 0);
}

static void check_container(const uint8_t *vault, uint32_t i)
{
	for (uint32_t f = 0; f < 220; f++) {
		const struct guard_entry *entry = look(vault, SUPER(i), 4000 + f);

		assert_non_null(entry);
		assert_int_equal(entry->generation, 4000 + f);
		assert_int_equal(entry->clauses != 0, f % 10 == 0);
		assert_null(look(vault, SUPER(i) | GUARD_KEY_BASE, 4000 + f));
	}
	assert_non_null(look(vault, SUPER(i) | GUARD_KEY_BASE, 2));
	assert_non_null(look(vault, SUPER(i) | GUARD_KEY_SUPER, 0));
	assert_non_null(look(vault, GUARD_SPACE_KEY(1000 + i), 0));
}

/* 500 containers, and a new policy for all of them, while ten more start. */
static void test_five_hundred_containers(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(32 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct table_clause patterns[30];
	char texts[30][32];
	struct table_stats stats, after;

	(void)state;
	for (int i = 0; i < 30; i++) {
		snprintf(texts[i], sizeof(texts[i]), "etc/*/%d/**", i);
		patterns[i] = (struct table_clause){ texts[i], 2, 3, 0, NULL, 0 };
	}
	assert_int_equal(table_new(&table, vault, 32 * MIB, false, NULL), 0);
	for (uint32_t i = 0; i < 500; i++)
		container_set(table, i, patterns, 30);
	table_stats(table, &stats);
	assert_int_equal(stats.entries, 500 * PER_CONTAINER);
	assert_int_equal(stats.clause_blocks, 2);
	assert_true(stats.arena_used < 2048);

	assert_int_equal(table_begin(table, NULL), 0);
	for (uint32_t i = 0; i < 500; i++)
		container_set(table, i, patterns, 20);
	table_target(table, true);
	for (uint32_t i = 500; i < 510; i++)
		container_set(table, i, patterns, 30);
	for (uint32_t i = 0; i < 510; i++)
		check_container(vault, i);
	table_target(table, false);
	for (uint32_t i = 500; i < 510; i++)
		container_set(table, i, patterns, 20);
	table_publish(table);
	for (uint32_t i = 0; i < 510; i++)
		check_container(vault, i);
	table_stats(table, &after);
	assert_int_equal(after.entries, 510 * PER_CONTAINER);
	assert_int_equal(after.clause_blocks, 2);
	assert_true(after.arena_used < stats.arena_used);
	assert_true(after.entries < after.capacity);
}

static void test_full(void **state)
{
	const struct table_clause clause = { "*", 1, 1, 0, NULL, 0 };
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(freep) uint8_t *before = malloc(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry, base = base_entry(SUPER(1), 1, 1);
	struct error err = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (;; n++) {
		entry = file_entry(SUPER(n % 7), n);
		if (n == table_capacity(table))
			memcpy(before, vault, 8 * MIB);
		if (table_set(table, &entry, NULL, 0, &err) < 0)
			break;
	}
	assert_int_equal(err.code, -ENOSPC);
	assert_non_null(strstr(err.message, "larger vault"));
	assert_int_equal(n, table_capacity(table));
	assert_int_equal(table_count(table), n);
	/* A failed base changes nothing either. */
	assert_int_equal(table_set(table, &base, &clause, 1, NULL), -ENOSPC);
	assert_memory_equal(before, vault, 8 * MIB);
	assert_null(look(vault, entry.key, entry.ino));
	for (size_t i = 0; i < n; i++)
		assert_non_null(look(vault, SUPER(i % 7), i));
	assert_null(look(vault, base.key, base.ino));
	assert_false(word(vault) & GUARD_TABLE_BASES);
	/* Room again as soon as something goes. */
	assert_true(table_remove(table, SUPER(0), 0));
	assert_int_equal(set_plain(table, &entry), 0);
	assert_non_null(look(vault, entry.key, entry.ino));
	/* A new generation replaces the entry, in a full table too; so do clauses. */
	entry.generation++;
	assert_int_equal(set_plain(table, &entry), 0);
	assert_int_equal(look(vault, entry.key, entry.ino)->generation, entry.generation);
	entry.deny++;
	assert_int_equal(table_set(table, &entry, &(struct table_clause){ .deny = 7 }, 1, NULL), 0);
	assert_int_equal(look(vault, entry.key, entry.ino)->deny, entry.deny);
	assert_int_equal(clauses_of(vault, look(vault, entry.key, entry.ino))->clause[0].deny, 7);
}

/* A full table that changes all the time is not made anew all the time: that takes milliseconds. */
static void test_full_table_seldom_moves(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry;
	size_t n, n_moves = 0;
	uint64_t at;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	n = table_capacity(table);
	for (size_t i = 0; i < n; i++) {
		entry = file_entry(SUPER(i % 7), i);
		assert_int_equal(set_plain(table, &entry), 0);
	}
	at = GUARD_TABLE_PAGE(word(vault));
	for (size_t i = 0; i < 2 * n; i++) {
		assert_true(table_remove(table, SUPER(i % n % 7), i % n));
		entry = file_entry(SUPER(i % n % 7), i % n);
		entry.generation += 1 + (uint32_t)(i / n);
		assert_int_equal(set_plain(table, &entry), 0);
		n_moves += GUARD_TABLE_PAGE(word(vault)) != at;
		at = GUARD_TABLE_PAGE(word(vault));
	}
	assert_in_range(n_moves, 1, 2 * 4 + 1); /* a quarter of n changes, each */
}

/* The inode numbers of FUSE are the guest's choice: it can have them all in one place. */
static void test_collisions(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	const uint64_t factor = GUARD_HASH(0, 1);
	struct guard_entry entry = file_entry(SUPER(3), 77);
	uint64_t inverse = factor, in_force;
	int r = 0;
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		inverse *= 2 - factor * inverse;
	assert_int_equal(factor * inverse, 1);
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(set_plain(table, &entry), 0);
	for (; r == 0 && n < 1000; n++) {
		entry = file_entry(SUPER(0), SUPER(0) ^ ((0x123456789ULL << 24) + n) * inverse);
		assert_int_equal(GUARD_HASH(entry.key, entry.ino) >> 10, 0x123456789ULL << 14);
		r = set_plain(table, &entry);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, GUARD_PROBE_LIMIT + 1);
	assert_int_equal(table_count(table), GUARD_PROBE_LIMIT + 1);
	/* Nothing is tried any more, others have room. */
	in_force = word(vault);
	assert_int_equal(set_plain(table, &entry), -ENOSPC);
	assert_int_equal(word(vault), in_force);
	assert_non_null(look(vault, SUPER(3), 77));
	entry = file_entry(SUPER(3), 78);
	assert_int_equal(set_plain(table, &entry), 0);
}

/* Clauses that do not fit: the base stays what it was. */
static void test_arena_full(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(freep) struct table_clause *clauses = calloc(1000, sizeof(*clauses));
	_cleanup_(freep) char *texts = malloc(1000 * 1024);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry base = base_entry(SUPER(0), 2, 0), file = file_entry(SUPER(0), 3);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (unsigned int i = 0; i < 1000; i++) {
		memset(texts + i * 1024, 'x', 1023);
		texts[i * 1024 + (unsigned int)sprintf(texts + i * 1024, "%u", i)] = 'x';
		texts[i * 1024 + 1022] = '*';
		texts[i * 1024 + 1023] = '\0';
		clauses[i] = (struct table_clause){ texts + i * 1024, i, 1, 0, NULL, 0 };
	}
	assert_int_equal(table_set(table, &base, clauses, 10, NULL), 0);
	assert_int_equal(table_set(table, &base, clauses, 1000, &err), -ENOSPC);
	assert_non_null(strstr(err.message, "larger vault"));
	assert_int_equal(clauses_of(vault, look(vault, base.key, 2))->n, 10);
	/* Again and again: what a base had before is not kept for ever. */
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(table_set(table, &base, clauses + i * 3, 400, NULL), 0);
	assert_int_equal(clauses_of(vault, look(vault, base.key, 2))->clause[399].deny,
			 199 * 3 + 399);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(set_plain(table, &file), 0);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(table_set(table, &base, clauses + i, 800, NULL), 0);
	assert_int_equal(table_set(table, &base, clauses, 1000, NULL), -ENOSPC);
	table_publish(table);
	assert_int_equal(clauses_of(vault, look(vault, base.key, 2))->n, 800);
	assert_int_equal(clauses_of(vault, look(vault, base.key, 2))->clause[799].deny, 199 + 799);
	assert_non_null(look(vault, file.key, file.ino));
}

/* One copy for all who have the same, of lists, texts and exceptions; also of what was gone for a while. */
static void test_sharing(void **state)
{
	const struct guard_exception except[2] = { { .parts = GUARD_EXCEPT_SPACE, .space = 4 },
						   { .parts = GUARD_EXCEPT_UID, .uid_to = 9 } };
	const struct table_clause a[2] = { { "etc/**", 2, 3, 1, except, 2 },
					   { "*", 2, 3, 0, except, 1 } };
	const struct table_clause b[2] = { { "*", 2, 3, 0, NULL, 0 },
					   { "etc/**", 2, 3, 0, except, 2 } };
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry = base_entry(SUPER(0), 0, 0);
	const struct guard_clauses *of_a, *of_b;
	struct table_stats stats;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (entry.ino = 0; entry.ino < 200; entry.ino++)
		assert_int_equal(table_set(table, &entry, entry.ino % 2 ? a : b, 2, NULL), 0);
	of_a = clauses_of(vault, look(vault, entry.key, 1));
	of_b = clauses_of(vault, look(vault, entry.key, 0));
	assert_ptr_not_equal(of_a, of_b);
	for (uint32_t i = 0; i < 200; i++)
		assert_ptr_equal(clauses_of(vault, look(vault, entry.key, i)), i % 2 ? of_a : of_b);
	assert_int_equal(of_a->clause[0].text, of_b->clause[1].text);
	assert_int_equal(of_a->clause[1].text, of_b->clause[0].text);
	assert_int_equal(of_a->clause[0].exceptions, of_b->clause[1].exceptions);
	assert_int_not_equal(of_a->clause[1].exceptions, of_a->clause[0].exceptions);
	table_stats(table, &stats);
	assert_int_equal(stats.clause_blocks, 2);
	assert_int_equal(stats.arena_used, 2 * (24 + 2 * 32) + 2 * 8 + 80 + 40);
	/* What has gone leaves its clauses behind, for the next who has the same. */
	assert_int_equal(table_remove_super(table, SUPER(0)), 200);
	for (entry.ino = 0; entry.ino < 20; entry.ino++) {
		table_stats(table, &stats);
		assert_int_equal(stats.clause_blocks, 0);
		assert_int_equal(stats.arena_used, 0);
		assert_int_equal(table_set(table, &entry, a, 2, NULL), 0);
		assert_ptr_equal(clauses_of(vault, look(vault, entry.key, entry.ino)), of_a);
		assert_true(table_remove(table, entry.key, entry.ino));
	}
}

/* What is there already leaves every byte as it is. */
static void test_same_writes_nothing(void **state)
{
	const struct guard_exception except = { .parts = GUARD_EXCEPT_EXECUTABLE,
						.super = SUPER(9) };
	const struct table_clause pattern = { "etc/**", 2, 3, 0, &except, 1 };
	const struct table_clause excepted = { NULL, 2, 3, 2, &except, 1 };
	struct guard_entry entries[] = {
		base_entry(SUPER(0), 2, 1),
		file_entry(SUPER(0), 3),
		file_entry(SUPER(0), 4),
		{ .key = SUPER(0) | GUARD_KEY_SUPER, .deny = 4 },
		{ .key = SUPER(0) | GUARD_KEY_CREDS },
		{ .key = GUARD_SPACE_KEY(5) },
	};
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(freep) uint8_t *before = malloc(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (unsigned int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
			_cleanup_(freep) char *text = strdup(pattern.text);
			struct guard_exception other = except;
			struct table_clause clause = i ? excepted : pattern;

			clause.text = i ? NULL : text; /* equal, but not the same memory */
			clause.exceptions = &other;
			entries[i].clauses = pick(1000);
			assert_int_equal(table_set(table, &entries[i], &clause, i < 2, NULL), 0);
		}
		if (round == 0)
			memcpy(before, vault, 8 * MIB);
	}
	assert_memory_equal(before, vault, 8 * MIB);
}

static void check_refused(struct table *table, const struct guard_entry *entry,
			  const struct table_clause *clauses, size_t n, int code, const char *text)
{
	struct error err = { 0 };

	assert_int_equal(table_set(table, entry, clauses, n, &err), code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, text));
}

/* More than the guard looks at is refused, not cut. */
static void test_limits(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(16 * MIB);
	_cleanup_(freep) uint8_t *before = malloc(16 * MIB);
	_cleanup_(freep) struct table_clause *clauses =
		calloc(GUARD_MAX_PATTERNS + 1, sizeof(*clauses));
	_cleanup_(freep) struct guard_exception *excepts =
		calloc(GUARD_MAX_EXCEPTIONS + 1, sizeof(*excepts));
	struct table_clause clause = { NULL, 2, 3, 0, excepts, GUARD_MAX_EXCEPTIONS };
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry base = base_entry(SUPER(0), 2, 0), file = file_entry(SUPER(0), 3);
	struct guard_entry super = { .key = SUPER(0) | GUARD_KEY_SUPER };

	(void)state;
	assert_int_equal(table_new(&table, vault, 16 * MIB, false, NULL), 0);
	for (size_t i = 0; i <= GUARD_MAX_PATTERNS; i++)
		clauses[i] = (struct table_clause){ "*", 2, 3, 0, NULL, 0 };
	assert_int_equal(table_set(table, &base, clauses, GUARD_MAX_PATTERNS, NULL), 0);
	assert_int_equal(table_set(table, &file, &clause, 1, NULL), 0);
	memcpy(before, vault, 16 * MIB);
	check_refused(table, &base, clauses, GUARD_MAX_PATTERNS + 1, -E2BIG, "4096");
	clause.n_exceptions++;
	check_refused(table, &file, &clause, 1, -E2BIG, "4096 exceptions");
	check_refused(table, &file, clauses, 1, -EINVAL, "pattern");
	check_refused(table, &base, &(struct table_clause){ .deny = 1 }, 1, -EINVAL, "pattern");
	check_refused(table, &super, &(struct table_clause){ .deny = 1 }, 1, -EINVAL, "files");
	assert_memory_equal(before, vault, 16 * MIB);
	assert_int_equal(clauses_of(vault, look(vault, base.key, 2))->n, GUARD_MAX_PATTERNS);
	assert_int_equal(clauses_of(vault, look(vault, file.key, 3))->clause[0].n_exceptions,
			 GUARD_MAX_EXCEPTIONS);
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
		assert_int_equal(set_plain(table, &entry), 0);
	}
	assert_int_equal(table_begin(table, NULL), 0);
	table_target(table, true);
	for (uint32_t i = 0; i < 5000; i++) {
		entry = file_entry(SUPER(1), i);
		assert_int_equal(set_plain(table, &entry), 0);
		assert_non_null(look(vault, SUPER(1), i));
	}
	/* Also when more slots rest than would make it move otherwise. */
	for (uint32_t i = 0; i < 85000; i++) {
		entry = file_entry(SUPER(1), i % 5000);
		entry.generation += 1 + i;
		assert_int_equal(set_plain(table, &entry), 0);
	}
	table_abandon(table);
	assert_int_equal(table_count(table), 5511);
}

/* The guard looks for bases where there are some, with or without clauses, and only there. */
static void test_bases_flag(void **state)
{
	const struct table_clause pattern = { "*", 2, 3, 0, NULL, 0 };
	const struct guard_entry a = base_entry(SUPER(0), 2, 0), b = base_entry(SUPER(1), 2, 0);
	const struct guard_entry later = base_entry(SUPER(1), 2, 1);
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry file = file_entry(SUPER(0), 5);

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(table_set(table, &file, &(struct table_clause){ .deny = 2 }, 1, NULL), 0);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_set(table, &a, &pattern, 1, NULL), 0);
	assert_int_equal(table_set(table, &b, &pattern, 1, NULL), 0);
	assert_int_equal(table_set(table, &b, NULL, 0, NULL), 0);
	assert_int_equal(table_set(table, &later, &pattern, 1, NULL), 0);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_true(table_remove(table, a.key, 2));
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_set(table, &later, NULL, 0, NULL), 0);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_remove_super(table, SUPER(1)), 1);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(table_set(table, &a, &pattern, 1, NULL), 0);
	assert_false(word(vault) & GUARD_TABLE_BASES);
	table_publish(table);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_true(word(vault) & GUARD_TABLE_BASES);
	table_publish(table);
	assert_false(word(vault) & GUARD_TABLE_BASES);
}

/* How many numbers' words have that bit, and how many bytes. */
static size_t n_words(const void *vault, uint32_t kind)
{
	size_t n = 0;

	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++)
		n += filter_word(vault, at) != GUARD_FILTER_PASSES &&
		     (filter_word(vault, at) & kind) == kind;
	return n;
}

static size_t n_bytes(const void *vault, uint8_t kind)
{
	size_t n = 0;

	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++)
		n += filter_has(vault, at, kind);
	return n;
}

/*
 * What is watched is in the filters, and where names are; in all words while bases are for reading; with a new table goes what is not
 * watched any more.
 */
static void test_filter(void **state)
{
	const struct guard_entry changes = { .key = SUPER(1) | GUARD_KEY_SUPER, .deny = 3 };
	const struct guard_entry reads = { .key = SUPER(1) | GUARD_KEY_SUPER, .report = 3 };
	struct guard_entry a = file_entry(SUPER(0), 5), b = file_entry(SUPER(3), 0x10007);
	const struct guard_entry base = base_entry(SUPER(0), 77, 0);
	const struct guard_entry pseudo = base_entry(GUARD_PSEUDO_SUPER(0x9fa0), 0, 0);
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	a.deny = b.deny = GUARD_OP_READ;
	memset(vault + GUARD_VAULT_FILTER, 0xa5, 3 * GUARD_FILTER_SIZE);
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(n_words(vault, 0) + n_bytes(vault, 0xff), 0);
	assert_int_equal(set_plain(table, &a), 0);
	assert_int_equal(set_plain(table, &base), 0);
	assert_int_equal(set_plain(table, &pseudo), 0);
	assert_int_equal(set_plain(table, &changes), 0);
	assert_int_equal(n_words(vault, 0), 1);
	assert_int_equal(n_bytes(vault, 0xff), 3);
	assert_true(filter_has(vault, GUARD_FILTER_OF_SUPER(SUPER(1)), GUARD_FILTER_SUPERS));
	assert_int_equal(filter_word(vault, 5), GUARD_FILTER_READ_FILES);
	assert_true(filter_has(vault, place_of_entry(SUPER(0), 5), GUARD_FILTER_FILES));
	assert_true(filter_has(vault, place_of_entry(SUPER(0), 77), GUARD_FILTER_BASES));

	assert_int_equal(set_plain(table, &reads), 0);
	assert_int_equal(n_words(vault, GUARD_FILTER_READ_BASES), GUARD_FILTER_SIZE);
	assert_int_equal(n_words(vault, GUARD_FILTER_READ_FILES), 1);
	assert_int_equal(n_bytes(vault, 0xff), 3);
	assert_int_equal(set_plain(table, &changes), 0);
	assert_int_equal(n_words(vault, 0), 1);

	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(set_plain(table, &b), 0);
	assert_int_equal(n_words(vault, 0), 2);
	table_publish(table);
	assert_int_equal(n_words(vault, 0), 1);
	assert_int_equal(n_bytes(vault, 0xff), 1);
	assert_true(filter_has(vault, place_of_entry(b.key, b.ino), GUARD_FILTER_FILES));

	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(set_plain(table, &reads), 0);
	assert_int_equal(n_words(vault, 0), 1);
	table_publish(table);
	assert_int_equal(n_words(vault, 0), GUARD_FILTER_SIZE);
	assert_int_equal(table_begin(table, NULL), 0);
	table_publish(table);
	assert_int_equal(n_words(vault, 0), 0);
	assert_true(table_is_as_written(table));
	vault[GUARD_VAULT_FILTER + 1] = 1;
	assert_false(table_is_as_written(table));
	vault[GUARD_VAULT_FILTER + 1] = GUARD_FILTER_PASSES >> 8;
	assert_true(table_is_as_written(table));
	vault[GUARD_VAULT_CHANGE_FILTER + 1] = 1;
	assert_false(table_is_as_written(table));
}

/* Who only reads does not look at what is watched for changes; and does, before it is watched for reading, too. */
static void test_filter_of_reading(void **state)
{
	static const uint32_t reading[] = { GUARD_OP_READ, GUARD_OP_EXEC, GUARD_OP_LAZY,
					    GUARD_OP_ASK };
	struct guard_entry entry = file_entry(SUPER(0), 5);
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(reading) * 3; i++) {
		uint32_t operation = reading[i / 3];
		struct table_clause clause = { .deny = GUARD_OP_WRITE };

		assert_int_equal(table_begin(table, NULL), 0);
		table_publish(table);
		entry.deny = entry.report = GUARD_OP_WRITE;
		assert_int_equal(table_set(table, &entry, &clause, 1, NULL), 0);
		assert_int_equal(n_words(vault, 0), 0);
		assert_true(filter_has(vault, place_of_entry(SUPER(0), 5), GUARD_FILTER_FILES));
		entry.deny |= i % 3 == 0 ? operation : 0;
		entry.report |= i % 3 == 1 ? operation : 0;
		clause.report |= i % 3 == 2 ? operation : 0;
		assert_int_equal(table_set(table, &entry, &clause, 1, NULL), 0);
		assert_int_equal(filter_word(vault, 5), GUARD_FILTER_READ_FILES);
	}
}

/* What an earlier daemon left is taken over; what nobody can have written lets nothing pass, and goes. */
static void test_filter_taken_over(void **state)
{
	struct guard_entry a = file_entry(SUPER(0), 5);
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	uint16_t *words = (uint16_t *)(vault + GUARD_VAULT_FILTER);

	(void)state;
	a.deny = GUARD_OP_READ;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(set_plain(table, &a), 0);
	table = table_free(table);
	words[6] = 0;
	words[7] = 0x4000;
	assert_int_equal(table_new(&table, vault, 8 * MIB, true, NULL), 0);
	assert_int_equal(filter_word(vault, 5), GUARD_FILTER_READ_FILES);
	assert_int_equal(table_begin(table, NULL), 0);
	assert_int_equal(n_words(vault, 0), 3);
	table_publish(table);
	assert_int_equal(n_words(vault, 0), 0);
	assert_int_equal(n_bytes(vault, 0xff), 0);
}

/* An address has entries of every kind; with a super block go its own. */
static void test_remove_super(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	for (uint64_t kind = GUARD_KEY_FILE; kind <= GUARD_KEY_WORK; kind++) {
		for (unsigned int i = 0; i < 3; i++) {
			struct guard_entry entry = { .key = SUPER(i) | kind };

			assert_int_equal(set_plain(table, &entry), 0);
		}
	}
	assert_int_equal(table_remove_super(table, SUPER(1)), 3);
	for (uint64_t kind = GUARD_KEY_FILE; kind <= GUARD_KEY_WORK; kind++) {
		assert_non_null(look(vault, SUPER(0) | kind, 0));
		assert_int_equal(look(vault, SUPER(1) | kind, 0) == NULL, kind <= GUARD_KEY_SUPER);
		assert_non_null(look(vault, SUPER(2) | kind, 0));
	}
	assert_int_equal(table_remove_super(table, SUPER(1)), 0);
	assert_int_equal(table_count(table), 3 * (GUARD_KEY_WORK + 1) - 3);
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
	assert_int_equal(set_plain(table, &entry), 0);
	assert_true(table_remove(table, entry.key, entry.ino));
	entry.key = GUARD_KEY_RETIRED;
	entry.ino = 0;
	assert_int_equal(set_plain(table, &entry), -EINVAL);
	assert_false(table_remove(table, GUARD_KEY_RETIRED, 0));
	entry.key = GUARD_KEY_EMPTY;
	assert_int_equal(set_plain(table, &entry), -EINVAL);
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
	assert_int_equal(set_plain(table, &entry), 0);
	found = look(vault, entry.key, entry.ino);
	before = GUARD_TABLE_PAGE(word(vault));
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(table_remove(table, entry.key, entry.ino));
		assert_int_equal(found->key, GUARD_KEY_RETIRED);
		entry.report++;
		assert_int_equal(set_plain(table, &entry), 0);
		assert_int_equal(found->key, GUARD_KEY_RETIRED);
		assert_int_equal(found->report, entry.report - 1);
		assert_int_equal(GUARD_TABLE_PAGE(word(vault)), before);
		found = look(vault, entry.key, entry.ino);
	}
}

/* Somebody else writes into the vault. */
static void test_written_over(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	struct guard_entry entry = file_entry(SUPER(0), 1);
	uint8_t *slot;

	(void)state;
	assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
	assert_int_equal(set_plain(table, &entry), 0);
	slot = (uint8_t *)look(vault, entry.key, entry.ino);
	for (size_t i = 0; i < sizeof(entry); i++) {
		slot[i] ^= 0x40;
		assert_false(table_is_as_written(table));
		slot[i] ^= 0x40;
	}
	assert_true(table_is_as_written(table));
	/* where there was nothing */
	memset(slot + sizeof(entry), 1, sizeof(entry));
	assert_false(table_is_as_written(table));
}

/* What a daemon leaves stays in force until the next one's table is published. */
static void test_adoption(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new(8 * MIB);
	_cleanup_(table_freep) struct table *table = NULL;
	const struct table_clause clause = { .deny = 5 };
	struct guard_entry old = file_entry(SUPER(0), 1), new = file_entry(SUPER(0), 2);

	(void)state;
	for (unsigned int life = 0; life < 4; life++) {
		const struct guard_clauses *left;
		uint64_t in_force;

		assert_int_equal(table_new(&table, vault, 8 * MIB, false, NULL), 0);
		assert_null(look(vault, old.key, old.ino));
		assert_int_equal(table_set(table, &old, &clause, 1, NULL), 0);
		if (life & 1) { /* so that either half is the one that is left */
			assert_int_equal(table_begin(table, NULL), 0);
			assert_int_equal(table_set(table, &old, &clause, 1, NULL), 0);
			table_publish(table);
		}
		table = table_free(table);
		in_force = word(vault);

		assert_int_equal(table_new(&table, vault, 8 * MIB, true, NULL), 0);
		assert_int_equal(word(vault), in_force);
		/* It is unknown: nothing can be done in it. */
		assert_int_equal(set_plain(table, &new), -EBUSY);
		assert_true(
			filter_has(vault, place_of_entry(old.key, old.ino), GUARD_FILTER_FILES));
		assert_false(table_remove(table, old.key, old.ino));
		assert_int_equal(table_begin(table, NULL), 0);
		for (uint32_t i = 2; i < 3000; i++) {
			new = file_entry(SUPER(0), i);
			assert_int_equal(table_set(table, &new, &clause, 1, NULL), 0);
		}
		table_target(table, true);
		assert_int_equal(set_plain(table, &new), -EBUSY);
		assert_int_equal(table_remove_super(table, SUPER(0)), 0);
		assert_int_equal(word(vault), in_force);
		left = clauses_of(vault, look(vault, old.key, old.ino));
		assert_int_equal(left->clause[0].deny, 5);
		assert_null(look(vault, new.key, new.ino));
		assert_true(
			filter_has(vault, place_of_entry(old.key, old.ino), GUARD_FILTER_FILES));
		table_publish(table);
		assert_true(word(vault) != in_force);
		assert_false(
			filter_has(vault, place_of_entry(old.key, old.ino), GUARD_FILTER_FILES));
		assert_null(look(vault, old.key, old.ino));
		assert_non_null(look(vault, new.key, new.ino));
		table = table_free(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_five_hundred_containers),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_full_table_seldom_moves),
		cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_same_writes_nothing),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_live_room_while_building),
		cmocka_unit_test(test_bases_flag),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_of_reading),
		cmocka_unit_test(test_filter_taken_over),
		cmocka_unit_test(test_remove_super),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_reserved_keys),
		cmocka_unit_test(test_retired_slots_rest),
		cmocka_unit_test(test_written_over),
		cmocka_unit_test(test_adoption),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
