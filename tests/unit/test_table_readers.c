// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What vCPUs see while the host changes the table. Whatever a reader believes has to be what one table_set() said, of
 * what was looked for:
 *
 * - Files (some permanent, some passing) change as a whole: generation, deny, report and the clauses carry a version.
 * - Steps change one word at a time, deny, then the clauses, then deny, or both in one call: deny is never behind the
 *   clauses, and never more than one version ahead.
 * - Pairs are two entries one of which is always there: one is entered before the other is removed.
 *
 * Two kinds of readers: threads, which use the guard's own cache_find(); and slow ones, which make a step (one load)
 * now and then between the writer's stores, and read an entry's words in any order, as a compiler might have it. These
 * need no luck: the writer is compiled into this file, and calls before_store() before each atomic store.
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

#include "contract/guard_abi.h"
#include "guard/cache.h"
#include "util/cleanup.h"

static void (*before_store)(void);

#define __atomic_store_n(to, value, order)          \
	do {                                        \
		if (before_store)                   \
			before_store();             \
		__atomic_store_n(to, value, order); \
	} while (0)
#include "cache/arena.c"
#include "cache/table.c"
#undef __atomic_store_n

#define VAULT_SIZE (8ULL << 20)
#define SUPER(i) (0xffff888100000000ULL + (uint64_t)(i)*2048)
#define STEPS (SUPER(100) | GUARD_KEY_BASE)
#define PAIRS (SUPER(101) | GUARD_KEY_FILE)
#define N_PERMANENT 6
#define N_PASSING 24
#define N_STEPS 3
#define N_PAIRS 3
#define N_VERSIONS 64
#define LONG_TEXT 150000 /* of every eighth version: together more than the arena holds */

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

static uint64_t word(const void *vault)
{
	return __atomic_load_n(&((const struct guard_vault *)vault)->table, __ATOMIC_ACQUIRE);
}

/* The N_VERSIONS lists of clauses, which all entries share. */
struct version {
	struct guard_exception except;
	char *text;
	size_t length;
	struct table_clause clauses[3];
	size_t n;
};

static struct version versions[N_VERSIONS];

static int make_versions(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < N_VERSIONS; v++) {
		struct version *to = &versions[v];

		to->except = (struct guard_exception){ .parts = v, .ino = v };
		to->length = v % 8 ? 20 + v : LONG_TEXT;
		to->text = malloc(to->length + 1);
		memset(to->text, 'x', to->length);
		memcpy(to->text, &v, 1);
		to->text[0] = to->text[to->length - 1] = (char)('0' + v);
		to->text[to->length] = '\0';
		to->n = 1 + v % 3;
		for (size_t i = 0; i < to->n; i++)
			to->clauses[i] = (struct table_clause){ to->text, v, v, v, &to->except, 1 };
	}
	return 0;
}

static int free_versions(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < N_VERSIONS; v++)
		free(versions[v].text);
	return 0;
}

static uint64_t file_key(uint64_t ino)
{
	return SUPER(ino % 5) | (ino % 3 ? GUARD_KEY_FILE : GUARD_KEY_BASE);
}

static uint32_t sum_of(uint64_t key, uint64_t ino)
{
	return (uint32_t)(GUARD_HASH(key * 31, ino) >> 40) << 8;
}

/* The writer. */
struct writer {
	struct table *table;
	uint32_t n_steps[N_STEPS], n_moves[N_PAIRS];
	uint64_t n_full;
};

static int set_version(struct writer *writer, const struct guard_entry *entry, uint32_t version)
{
	const struct version *of = &versions[version % N_VERSIONS];
	struct table_clause clauses[3];
	int r;

	memcpy(clauses, of->clauses, sizeof(clauses));
	for (size_t i = 0; i < of->n && (entry->key & 7) == GUARD_KEY_FILE; i++)
		clauses[i].text = NULL;
	r = table_set(writer->table, entry, clauses, of->n, NULL);
	if (r < 0)
		assert_int_equal(r, -ENOSPC); /* then all is as it was */
	writer->n_full += r < 0;
	return r;
}

static int set_file(struct writer *writer, uint64_t ino, uint32_t version)
{
	uint64_t key = file_key(ino);
	uint32_t sum = sum_of(key, ino) | version % N_VERSIONS;
	/* now the generation changes, now it does not */
	uint32_t generation = version & 64 ? sum & ~0xffu : sum;
	struct guard_entry entry = { key, ino, generation, 0, sum, sum };

	return set_version(writer, &entry, version);
}

/* Step 2v is version v of both words, 2v + 1 has the next deny. */
static int set_step(struct writer *writer, uint64_t ino, uint32_t step)
{
	struct guard_entry entry = { .key = STEPS, .ino = ino };

	entry.deny = (step + 1) / 2 % N_VERSIONS;
	return set_version(writer, &entry, step / 2);
}

static void set_pair(struct writer *writer, uint64_t ino)
{
	struct guard_entry entry = { .key = PAIRS, .ino = 2 * ino + writer->n_moves[ino] % 2 };

	assert_int_equal(table_set(writer->table, &entry, NULL, 0, NULL), 0);
	table_remove(writer->table, PAIRS, entry.ino ^ 1);
}

static void write_all(struct writer *writer, uint32_t version)
{
	for (uint32_t i = 0; i < N_PERMANENT; i++) {
		uint32_t v = version + i;

		while (set_file(writer, i, v) < 0)
			v = pick(N_VERSIONS);
	}
	for (uint32_t i = 0; i < N_STEPS; i++) {
		while (set_step(writer, i, writer->n_steps[i]) < 0)
			writer->n_steps[i] = pick(N_VERSIONS);
	}
	for (uint32_t i = 0; i < N_PAIRS; i++)
		set_pair(writer, i);
}

static void write_some(struct writer *writer, uint32_t version)
{
	uint64_t ino = N_PERMANENT + pick(N_PASSING);

	if (pick(3))
		set_file(writer, ino, version);
	else
		table_remove(writer->table, file_key(ino), ino);
	ino = pick(N_PERMANENT);
	for (unsigned int i = pick(4); i > 0; i--)
		set_file(writer, ino, version + i);
	ino = pick(N_STEPS);
	for (unsigned int i = pick(6); i > 0; i--) {
		uint32_t next = writer->n_steps[ino] + 1 + pick(2);

		if (set_step(writer, ino, next) == 0)
			writer->n_steps[ino] = next;
	}
	ino = pick(N_PAIRS);
	for (unsigned int i = pick(4); i > 0; i--) {
		writer->n_moves[ino]++;
		set_pair(writer, ino);
	}
}

static void write_step(struct writer *writer, uint32_t version)
{
	write_some(writer, version);
	if (pick(400))
		return;
	assert_int_equal(table_begin(writer->table, NULL), 0);
	write_all(writer, version);
	table_target(writer->table, true);
	for (unsigned int i = pick(20); i > 0; i--)
		write_some(writer, version + i);
	table_target(writer->table, false);
	write_all(writer, version);
	if (pick(3))
		table_publish(writer->table);
	else
		table_abandon(writer->table);
}

static void writer_init(struct writer *writer, struct table *table)
{
	*writer = (struct writer){ .table = table };
	write_all(writer, 0);
}

static uint8_t *vault_new(void)
{
	uint8_t *vault = aligned_alloc(4096, VAULT_SIZE);

	assert_non_null(vault);
	memset(vault, 0, GUARD_VAULT_TABLES);
	memset(vault + GUARD_VAULT_TABLES, 0x5a, VAULT_SIZE - GUARD_VAULT_TABLES);
	return vault;
}

/* What a reader has read of an entry. */
struct seen {
	bool found;
	uint32_t generation, clauses, deny, report;
	uint32_t n; /* clauses, the first of which is */
	struct guard_clause clause;
	char first, last; /* of its text */
	struct guard_exception except;
};

enum target {
	TARGET_PERMANENT,
	TARGET_PASSING,
	TARGET_STEP,
	TARGET_PAIR,
	N_TARGETS,
};

/* Two entries are looked up, and believed together or not; but for pairs it is twice the same. */
struct look {
	enum target target;
	uint64_t key, ino[2];
};

struct counts {
	uint64_t n_looks, n_retries, n_foreign, n_missed, n_backward, n_neither;
};

static struct look make_look(enum target target, uint32_t i)
{
	uint64_t ino;

	switch (target) {
	case TARGET_STEP:
		ino = i % N_STEPS;
		return (struct look){ target, STEPS, { ino, ino } };
	case TARGET_PAIR:
		ino = 2 * (i % N_PAIRS);
		return (struct look){ target, PAIRS, { ino, ino + 1 } };
	default:
		ino = target == TARGET_PASSING ? N_PERMANENT + i % N_PASSING : i % N_PERMANENT;
		return (struct look){ target, file_key(ino), { ino, ino } };
	}
}

static bool has_clauses(const struct seen *seen, uint64_t key, uint32_t version)
{
	const struct version *of = &versions[version % N_VERSIONS];

	return seen->clauses && seen->n == of->n && seen->clause.deny == version &&
	       seen->clause.report == version && seen->clause.kill == version &&
	       seen->clause.n_exceptions == 1 &&
	       memcmp(&seen->except, &of->except, sizeof(seen->except)) == 0 &&
	       ((key & 7) == GUARD_KEY_FILE ||
		(seen->first == of->text[0] && seen->last == seen->first));
}

static bool is_file(const struct seen *seen, uint64_t key, uint64_t ino)
{
	uint32_t sum = sum_of(key, ino), version = seen->deny & 0xff;

	return seen->deny == (sum | version) && seen->report == seen->deny &&
	       (seen->generation == sum || seen->generation == seen->deny) &&
	       has_clauses(seen, key, version);
}

static void judge(struct counts *counts, const struct look *look, const struct seen seen[2])
{
	bool found = seen[0].found && seen[1].found;

	counts->n_looks++;
	if (look->target == TARGET_PAIR) {
		counts->n_neither += !seen[0].found && !seen[1].found;
		return;
	}
	counts->n_missed += !found && look->target != TARGET_PASSING;
	for (unsigned int i = 0; i < 2; i++) {
		if (!seen[i].found)
			continue;
		if (look->target == TARGET_STEP) {
			counts->n_foreign += !has_clauses(&seen[i], look->key, seen[i].clause.deny);
			counts->n_backward += (seen[i].deny - seen[i].clause.deny) % N_VERSIONS > 1;
		} else {
			counts->n_foreign += !is_file(&seen[i], look->key, look->ino[i]);
		}
	}
}

static void add_counts(struct counts *to, const struct counts *from)
{
	to->n_looks += from->n_looks;
	to->n_retries += from->n_retries;
	to->n_foreign += from->n_foreign;
	to->n_missed += from->n_missed;
	to->n_backward += from->n_backward;
	to->n_neither += from->n_neither;
}

static void check_counts(const struct counts *counts)
{
	assert_true(counts->n_looks > 0);
	assert_int_equal(counts->n_foreign, 0);
	assert_int_equal(counts->n_missed, 0);
	assert_int_equal(counts->n_backward, 0);
	assert_int_equal(counts->n_neither, 0);
}

static const void *cut(const uint8_t *vault, uint64_t offset)
{
	return vault + (offset & (VAULT_SIZE - 1) & ~7ULL);
}

enum part { /* of an entry and its clauses; each is read in one step */
	PART_GENERATION,
	PART_CLAUSES,
	PART_DENY,
	PART_REPORT,
	N_WORDS,
	PART_N = N_WORDS,
	PART_CLAUSE,
	PART_TEXT_FIRST,
	PART_TEXT_LAST,
	PART_EXCEPT,
	N_PARTS,
};

static char read_text(const uint8_t *vault, const struct seen *seen, bool last)
{
	const struct version *of = &versions[seen->clause.deny % N_VERSIONS];
	uint64_t at = seen->clause.text ? seen->clause.text + (last ? of->length - 1 : 0) : 0;

	return *(const volatile char *)(vault + (at & (VAULT_SIZE - 1)));
}

static void read_part(struct seen *ret, const uint8_t *vault, const struct guard_entry *entry,
		      unsigned int part)
{
	const struct guard_clauses *clauses = cut(vault, ret->clauses * 8ULL);

	if (part >= N_WORDS && !ret->clauses)
		return;
	switch (part) {
	case PART_GENERATION:
		ret->generation = *(const volatile uint32_t *)&entry->generation;
		return;
	case PART_CLAUSES:
		ret->clauses = *(const volatile uint32_t *)&entry->clauses;
		return;
	case PART_DENY:
		ret->deny = *(const volatile uint32_t *)&entry->deny;
		return;
	case PART_REPORT:
		ret->report = *(const volatile uint32_t *)&entry->report;
		return;
	case PART_N:
		ret->n = *(const volatile uint32_t *)&clauses->n;
		return;
	case PART_CLAUSE:
		ret->clause = *(const volatile struct guard_clause *)&clauses->clause[0];
		return;
	case PART_TEXT_FIRST:
		ret->first = read_text(vault, ret, false);
		return;
	case PART_TEXT_LAST:
		ret->last = read_text(vault, ret, true);
		return;
	case PART_EXCEPT:
		memcpy(&ret->except, cut(vault, ret->clause.exceptions * 8ULL),
		       sizeof(ret->except));
		return;
	}
}

/* A slow reader: what it will do next is in it. */
struct slow {
	struct counts counts;
	struct look look;
	uint64_t table; /* 0: to begin */
	unsigned int which; /* of two */
	const struct guard_entry *entry;
	unsigned int n_probes;
	bool key_matches;
	unsigned int order[N_PARTS], n_parts;
	struct seen seen[2];
};

#define N_SLOW 6

static struct slow slow[N_SLOW];
static uint8_t *slow_vault;

static void slow_start_probe(struct slow *s)
{
	s->entry = (const struct guard_entry *)(slow_vault + GUARD_TABLE_PAGE(s->table) * 4096) +
		   (GUARD_HASH(s->look.key, s->look.ino[s->which]) >> GUARD_TABLE_SHIFT(s->table));
	s->n_probes = s->n_parts = 0;
	s->key_matches = false;
	memset(&s->seen[s->which], 0, sizeof(s->seen[s->which]));
}

static void slow_begin(struct slow *s)
{
	s->table = word(slow_vault);
	s->which = 0;
	slow_start_probe(s);
}

static void slow_end_probe(struct slow *s)
{
	s->which++;
	if (s->which < 2)
		slow_start_probe(s);
}

static void slow_end(struct slow *s)
{
	if (word(slow_vault) == s->table) {
		judge(&s->counts, &s->look, s->seen);
		s->look = make_look(pick(N_TARGETS), pick(1000));
	} else {
		s->counts.n_retries++;
	}
	s->table = 0;
}

/* As cache_find(), one load at a time. */
static void slow_probe(struct slow *s)
{
	uint64_t found = *(const volatile uint64_t *)&s->entry->key;

	if (s->key_matches && *(const volatile uint64_t *)&s->entry->ino == s->look.ino[s->which]) {
		s->seen[s->which].found = true;
		for (unsigned int i = 0; i < N_PARTS; i++)
			s->order[i] = i;
		for (unsigned int i = N_WORDS - 1; i > 0; i--) {
			unsigned int other = pick(i + 1), part = s->order[i];

			s->order[i] = s->order[other];
			s->order[other] = part;
		}
		return;
	}
	if (!s->key_matches && found == s->look.key) {
		s->key_matches = true;
		return;
	}
	s->key_matches = false;
	s->entry++;
	if (found == GUARD_KEY_EMPTY || ++s->n_probes == GUARD_PROBE_LIMIT)
		slow_end_probe(s);
}

static void slow_step(struct slow *s)
{
	if (!s->table) {
		slow_begin(s);
	} else if (s->which == 2) {
		slow_end(s);
	} else if (!s->seen[s->which].found) {
		slow_probe(s);
	} else {
		read_part(&s->seen[s->which], slow_vault, s->entry, s->order[s->n_parts++]);
		if (s->n_parts == N_PARTS)
			slow_end_probe(s);
	}
}

/* Each stands still for a while, wherever it is, some for longer than others, and then runs some steps. */
static void slow_steps(void)
{
	for (unsigned int i = 0; i < N_SLOW; i++) {
		if (pick(2u << i))
			continue;
		for (unsigned int n = pick(30); n > 0; n--)
			slow_step(&slow[i]);
	}
}

static void test_slow_readers(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new();
	_cleanup_(table_freep) struct table *table = NULL;
	const char *steps = getenv("TEST_STEPS");
	unsigned long n = steps ? strtoul(steps, NULL, 10) : 20000;
	struct counts all = { 0 };
	struct writer writer;
	uint64_t page, n_moves = 0;

	(void)state;
	assert_int_equal(table_new(&table, vault, VAULT_SIZE, false, NULL), 0);
	writer_init(&writer, table);
	memset(slow, 0, sizeof(slow));
	for (unsigned int i = 0; i < N_SLOW; i++)
		slow[i].look = make_look(i % N_TARGETS, i);
	slow_vault = vault;
	before_store = slow_steps;
	for (uint32_t version = 1; version < n; version++) {
		page = GUARD_TABLE_PAGE(word(vault));
		write_step(&writer, version);
		n_moves += GUARD_TABLE_PAGE(word(vault)) != page;
	}
	before_store = NULL;
	for (unsigned int i = 0; i < N_SLOW; i++)
		add_counts(&all, &slow[i].counts);
	check_counts(&all);
	assert_true(all.n_retries > 0);
	assert_true(n_moves > 0);
}

struct race {
	const uint8_t *vault;
	bool stop;
	struct counts counts;
};

static void look_once(struct race *race, const struct look *look)
{
	struct seen seen[2];
	uint64_t table;

	for (;;) {
		table = word(race->vault);
		memset(seen, 0, sizeof(seen));
		for (unsigned int i = 0; i < 2; i++) {
			const struct guard_entry *entry =
				cache_find(race->vault, table, look->key, look->ino[i]);

			seen[i].found = entry != NULL;
			for (unsigned int part = 0; entry && part < N_PARTS; part++)
				read_part(&seen[i], race->vault, entry, part);
		}
		__asm__ volatile("" ::: "memory"); /* x86 keeps loads in order */
		if (word(race->vault) == table)
			break;
		race->counts.n_retries++;
	}
	judge(&race->counts, look, seen);
}

static void *race_reader(void *data)
{
	struct race *race = data;

	for (uint32_t i = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); i++) {
		struct look look = make_look(i % N_TARGETS, i / N_TARGETS);

		look_once(race, &look);
	}
	return NULL;
}

static void test_threads(void **state)
{
	_cleanup_(freep) uint8_t *vault = vault_new();
	_cleanup_(table_freep) struct table *table = NULL;
	struct race races[2] = { { .vault = vault }, { .vault = vault } };
	const char *ms = getenv("TEST_MS");
	struct writer writer;
	pthread_t readers[2];
	uint64_t end;

	(void)state;
	assert_int_equal(table_new(&table, vault, VAULT_SIZE, false, NULL), 0);
	writer_init(&writer, table);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, race_reader, &races[i]), 0);
	end = now_us() + 1000 * (ms ? strtoul(ms, NULL, 10) : 200);
	for (uint32_t version = 1; now_us() < end; version++)
		write_step(&writer, version);
	for (unsigned int i = 0; i < 2; i++) {
		__atomic_store_n(&races[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(readers[i], NULL);
		check_counts(&races[i].counts);
	}
}

static const uint8_t *filter_vault;
static bool filter_always;

/* Who would find it in the table gets past the filter. */
static void check_filter(void)
{
	bool found = word(filter_vault) & GUARD_TABLE_READ_BASES ||
		     cache_find(filter_vault, word(filter_vault), SUPER(0), 7);

	if (found || filter_always)
		assert_int_not_equal(filter_word(filter_vault, 7), GUARD_FILTER_PASSES);
}

static void set_one(struct table *table, uint64_t key, uint64_t ino, uint32_t report)
{
	const struct guard_entry entry = { .key = key, .ino = ino, .report = report };

	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
}

/* Calls table_begin() and table_publish() around what is done, or makes the changes in the table in force. */
static void change_to(struct table *table, bool anew, uint64_t to, uint64_t ino, uint64_t from,
		      uint64_t from_ino)
{
	if (anew)
		assert_int_equal(table_begin(table, NULL), 0);
	set_one(table, to, ino, 1);
	if (anew)
		table_publish(table);
	else
		table_remove(table, from, from_ino);
}

/* A file is watched by its own entry or by what reads below a base, in turns: at no store does the filter say neither. */
static void test_filter_between(void **state)
{
	const uint64_t mark = SUPER(1) | GUARD_KEY_SUPER, file = SUPER(0);
	_cleanup_(freep) uint8_t *vault = vault_new();
	_cleanup_(table_freep) struct table *table = NULL;

	(void)state;
	assert_int_equal(table_new(&table, vault, VAULT_SIZE, false, NULL), 0);
	filter_vault = vault;
	before_store = check_filter;
	for (unsigned int round = 0; round < 8; round++) {
		set_one(table, file, 7, 1);
		filter_always = true;
		change_to(table, round & 1, mark, 0, file, 7);
		for (uint64_t ino = 0; ino < 3000; ino++) /* the table moves */
			set_one(table, SUPER(2), 100 + ino, 1);
		change_to(table, round & 2, file, 7, mark, 0);
		filter_always = false;
		assert_int_equal(table_begin(table, NULL), 0);
		set_one(table, round & 4 ? mark : SUPER(3), 0, 1);
		table_publish(table);
		table_remove(table, mark, 0);
		assert_int_equal(table_begin(table, NULL), 0);
		table_publish(table);
		assert_int_equal(filter_word(vault, 7), GUARD_FILTER_PASSES);
		set_one(table, mark, 0, 1);
		table_remove(table, mark, 0);
	}
	before_store = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_readers),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_filter_between),
	};

	return cmocka_run_group_tests(tests, make_versions, free_versions);
}
