// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two halves of the tables region take turns:
 *
 *	| slots ... | GUARD_PROBE_LIMIT spare | ... | arena: clauses, see cache/arena.c |
 *
 * In the half in force:
 *
 * 1. A slot is filled once, payload first, key last; then it only changes as in 3, or is retired, and rests. So a key
 *    that the guard reads belongs to the payload it reads.
 * 2. A block in the arena is written before an entry says where it is, and then never again. So clauses that the guard
 *    reads are those of the entry it read.
 * 3. An entry changes in its slot if one word of its payload (clauses, deny or report) is all that changes: a reader has
 *    the old word or the new one. What changes more is entered in another slot, whole, before the old one is retired: a
 *    reader finds one of them, as it was or as it is. There is no mixture of two versions that could refuse less than
 *    both.
 * 4. Two changes in a row could still be seen in the wrong order, the first not yet and the second already: a reader
 *    that has read `deny` before the first change, and `clauses` after the second; or that has found file A not there
 *    yet, and base B not there any more. So before anything changes or goes, the word in force moves on to the next
 *    sequence number if anything was put in since it last did. A reader that straddles that begins again, and all others
 *    see what was put in.
 *
 * What does not fit (a slot too far from its place, too many retired, no room behind the arena's last block) moves to a
 * new table in the other half, which comes into force by one store of guard_vault.table. The guard reads that word
 * before and after, and never waits: all that waits for the host meanwhile is a container that starts. It is not done in
 * steps, because it is short (some 7 ms of a CPU for 130,000 entries, 16 ms the first time) and seldom (in a full table of
 * that size, every 32,000 changes).
 *
 * In the half that is being built nobody reads: there entries are replaced in their slots, retired slots are used again,
 * and the arena is written anew when it is full of what nobody needs any more.
 *
 * Both halves have arenas of one size, and what is needed in an arena is known as a sum: so what fits one half fits
 * the other, and what cannot fit is refused before anything is written.
 *
 * The filter (GUARD_FILTER_) holds what is in force, and what was or will be: bits are set before a file is entered anywhere,
 * and before a word is in force that tells of bases for reading; they are cleared when a new table is in force, or such a
 * word no longer. So a word that covers two entries, one of which is always there, never lets pass.
 *
 * `nodes` mirrors the slots on the host, `filter` the filter: the vault is never read back.
 */
#include "cache/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/arena.h"
#include "util/cleanup.h"

#define MIN_BITS 10
#define PAGE 4096ULL

struct node {
	struct guard_entry entry;
	struct arena_block *block;
};

struct half {
	unsigned int index;
	uint64_t at; /* offset in the vault */
	struct node *nodes;
	size_t n_slots; /* with the spare ones */
	unsigned int bits;
	size_t used, retired, n_bases, n_read_bases;
	uint64_t told_bases; /* GUARD_TABLE_BASES and GUARD_TABLE_READ_BASES, in the word that is in force */
};

/* As in the vault. */
struct filter {
	uint16_t words[GUARD_FILTER_SIZE];
	uint8_t bytes[GUARD_FILTER_SIZE];
};

struct table {
	uint8_t *vault;
	struct arena *arena;
	struct half halves[2];
	uint64_t half_size;
	unsigned int max_bits;
	unsigned int live;
	bool building;
	bool change_live; /* while building */
	bool filled; /* GUARD_FILTER_READ_BASES is set in all of the filter's words */
	struct filter filter;
	bool fresh; /* something was put in since the word in force last moved on */
	uint32_t sequence;
};

static struct half *current(const struct table *table)
{
	bool other = table->building && !table->change_live;

	return (struct half *)&table->halves[other ? !table->live : table->live];
}

static bool is_read(const struct table *table, const struct half *half)
{
	return half == &table->halves[table->live];
}

static uint64_t slots_size(unsigned int bits)
{
	return ((1ULL << bits) + GUARD_PROBE_LIMIT) * sizeof(struct guard_entry);
}

/* Slots get up to three quarters of a half, the arena the rest. */
static unsigned int most_bits(uint64_t half_size)
{
	unsigned int bits = MIN_BITS;

	while (slots_size(bits + 1) <= half_size / 4 * 3)
		bits++;
	return bits;
}

static void half_clear(struct table *table, struct half *half)
{
	for (size_t i = 0; half->nodes && i < half->n_slots; i++)
		arena_release(table->arena, half->index, half->nodes[i].block);
	arena_clear(table->arena, half->index);
	free(half->nodes);
	half->nodes = NULL;
	half->n_slots = half->used = half->retired = half->n_bases = half->n_read_bases = 0;
}

/* Makes the half an empty table of 2^bits slots. */
static int half_start(struct table *table, struct half *half, unsigned int bits)
{
	size_t n_slots = (1ULL << bits) + GUARD_PROBE_LIMIT;
	struct node *nodes = calloc(n_slots, sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	half_clear(table, half);
	half->nodes = nodes;
	half->n_slots = n_slots;
	half->bits = bits;
	memset(table->vault + half->at, 0, slots_size(bits));
	return 0;
}

#define FILTER_WORDS (GUARD_FILTER_READ_FILES | GUARD_FILTER_READ_BASES)
#define FILTER_BYTES (GUARD_FILTER_FILES | GUARD_FILTER_BASES | GUARD_FILTER_SUPERS)
#define FILTER_LOOK \
	(GUARD_FILTER_READ_FILES & GUARD_FILTER_READ_BASES) /* in all words but the one */

static uint16_t *words_of(const struct table *table)
{
	return (uint16_t *)(table->vault + GUARD_VAULT_FILTER);
}

static uint8_t *bytes_of(const struct table *table)
{
	return table->vault + GUARD_VAULT_CHANGE_FILTER;
}

static void set_word(struct table *table, uint32_t at, uint16_t word)
{
	if (table->filter.words[at] == word)
		return;
	table->filter.words[at] = word;
	__atomic_store_n(&words_of(table)[at], word, __ATOMIC_RELEASE);
}

static void set_byte(struct table *table, uint32_t at, uint8_t byte)
{
	if (table->filter.bytes[at] == byte)
		return;
	table->filter.bytes[at] = byte;
	__atomic_store_n(&bytes_of(table)[at], byte, __ATOMIC_RELEASE);
}

static uint16_t word_with(uint16_t word, uint16_t bits)
{
	return !bits ? word : word == GUARD_FILTER_PASSES ? bits : word | bits;
}

static uint16_t word_without(uint16_t word, uint16_t bits)
{
	uint16_t left = word & (uint16_t)(~bits | FILTER_LOOK);

	return word == GUARD_FILTER_PASSES || left == FILTER_LOOK ? GUARD_FILTER_PASSES : left;
}

/* Of an earlier daemon: what nobody can have written lets nothing pass, and goes. */
static void filter_take_over(struct table *table)
{
	memcpy(table->filter.words, words_of(table), sizeof(table->filter.words));
	memcpy(table->filter.bytes, bytes_of(table), sizeof(table->filter.bytes));
	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++) {
		uint16_t word = table->filter.words[at];

		if (word != GUARD_FILTER_PASSES &&
		    (word & ~FILTER_WORDS || (word & FILTER_LOOK) != FILTER_LOOK ||
		     word == FILTER_LOOK))
			set_word(table, at, FILTER_WORDS);
		if (table->filter.bytes[at] & ~FILTER_BYTES)
			set_byte(table, at, FILTER_BYTES);
	}
}

static bool filter_is_as_written(const struct table *table)
{
	return !memcmp(words_of(table), table->filter.words, sizeof(table->filter.words)) &&
	       !memcmp(bytes_of(table), table->filter.bytes, sizeof(table->filter.bytes));
}

static void filter_fill(struct table *table, bool read_bases)
{
	if (table->filled == read_bases)
		return;
	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++) {
		uint16_t word = table->filter.words[at];

		set_word(table, at,
			 read_bases ? word_with(word, GUARD_FILTER_READ_BASES)
				    : word_without(word, GUARD_FILTER_READ_BASES));
	}
	table->filled = read_bases;
}

static bool concerns_reading(const struct node *node)
{
	return (node->entry.deny | node->entry.report | arena_block_operations(node->block)) &
	       GUARD_OP_ANY_READ;
}

/* What the filters say because of an entry. */
struct filter_places {
	uint32_t read_at, change_at;
	uint16_t read;
	uint8_t change; /* bits; 0: nothing */
};

static struct filter_places filter_places(const struct node *node)
{
	uint64_t super = GUARD_SUPER(node->entry.key), ino = node->entry.ino;
	struct filter_places places = {
		.read_at = GUARD_FILTER_OF_INO(ino),
		.change_at = GUARD_FILTER_OF_INO(ino) ^ GUARD_FILTER_OF_SUPER(super),
	};

	switch (node->entry.key & 7) {
	case GUARD_KEY_FILE:
		places.change = GUARD_FILTER_FILES;
		places.read = concerns_reading(node) ? GUARD_FILTER_READ_FILES : 0;
		break;
	case GUARD_KEY_BASE:
		places.change = ino ? GUARD_FILTER_BASES
				    : 0; /* a pseudo file system's is looked for without */
		break;
	case GUARD_KEY_SUPER:
		places.change_at = GUARD_FILTER_OF_SUPER(super);
		places.change = node->entry.deny ? GUARD_FILTER_SUPERS : 0;
		break;
	}
	return places;
}

static void filter_enter(struct table *table, const struct node *node)
{
	const struct filter_places places = filter_places(node);

	set_word(table, places.read_at,
		 word_with(table->filter.words[places.read_at], places.read));
	set_byte(table, places.change_at, table->filter.bytes[places.change_at] | places.change);
}

static bool key_is_live(uint64_t key)
{
	return key != GUARD_KEY_EMPTY && key != GUARD_KEY_RETIRED;
}

/* Leaves what the table in force needs: of what was in it once, nothing. */
static void filter_renew(struct table *table)
{
	const struct half *half = &table->halves[table->live];
	bool read_bases = half->told_bases & GUARD_TABLE_READ_BASES;
	struct filter needed;

	memset(needed.bytes, 0, sizeof(needed.bytes));
	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++)
		needed.words[at] = read_bases ? GUARD_FILTER_READ_BASES : GUARD_FILTER_PASSES;
	for (size_t i = 0; i < half->n_slots; i++) {
		const struct filter_places places = filter_places(&half->nodes[i]);

		if (!key_is_live(half->nodes[i].entry.key))
			continue;
		needed.words[places.read_at] = word_with(needed.words[places.read_at], places.read);
		needed.bytes[places.change_at] |= places.change;
	}
	for (uint32_t at = 0; at < GUARD_FILTER_SIZE; at++) {
		set_word(table, at, needed.words[at]);
		set_byte(table, at, needed.bytes[at]);
	}
	table->filled = read_bases;
}

static uint64_t bases_of(const struct half *half)
{
	return (half->n_bases ? GUARD_TABLE_BASES : 0) |
	       (half->n_read_bases ? GUARD_TABLE_READ_BASES : 0);
}

/* What was stored before is seen before the word, and what will be stored, after it. */
static void put_in_force(struct table *table, unsigned int live)
{
	struct guard_vault *vault = (struct guard_vault *)table->vault;
	struct half *half = &table->halves[live];
	uint64_t word = GUARD_TABLE_WORD(half->at / PAGE, 64 - half->bits);

	half->told_bases = bases_of(half);
	word |= half->told_bases;
	if (word & GUARD_TABLE_READ_BASES)
		filter_fill(table, true);
	word |= (uint64_t)++table->sequence << GUARD_TABLE_SEQUENCE_SHIFT;
	__atomic_store_n(&vault->table, word, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(word & GUARD_TABLE_READ_BASES))
		filter_fill(table, false);
	table->live = live;
	table->fresh = false;
}

/* The other half comes into force, and what was in this one is forgotten. */
static void turn(struct table *table)
{
	struct half *old = &table->halves[table->live];

	put_in_force(table, !table->live);
	filter_renew(table);
	half_clear(table, old);
}

/* The guard looks for bases only where the word in force says that there are some. */
static void tell_bases(struct table *table)
{
	const struct half *half = &table->halves[table->live];

	if (half->nodes && half->told_bases != bases_of(half))
		put_in_force(table, table->live);
}

/* To be called before anything in @half changes or goes: point 4 above. */
static void settle(struct table *table, const struct half *half)
{
	if (is_read(table, half) && table->fresh)
		put_in_force(table, table->live);
}

static int new_arena(struct table *table)
{
	uint64_t slots = slots_size(table->max_bits);
	const uint64_t at[2] = { table->halves[0].at + slots, table->halves[1].at + slots };

	return arena_new(&table->arena, table->vault, at, table->half_size - slots - 8);
}

int table_new(struct table **ret, void *vault, size_t vault_size, bool keep, struct error *err)
{
	uint64_t word = ((const struct guard_vault *)vault)->table;
	struct table *table;
	uint64_t half_size;

	half_size = vault_size > GUARD_VAULT_TABLES ? (vault_size - GUARD_VAULT_TABLES) / 2 : 0;
	half_size &= ~(PAGE - 1);
	if (half_size < 1 << 20)
		return error_set(err, -EINVAL,
				 "the vault of %zu MiB is too small; give it 8 MiB or more",
				 vault_size >> 20);
	table = calloc(1, sizeof(*table));
	if (!table)
		return error_set(err, -ENOMEM, "out of memory");
	table->vault = vault;
	table->half_size = half_size;
	table->max_bits = most_bits(half_size);
	table->halves[0] = (struct half){ .index = 0, .at = GUARD_VAULT_TABLES };
	table->halves[1] = (struct half){ .index = 1, .at = GUARD_VAULT_TABLES + half_size };
	/* A daemon before this one may have used the vault: go on counting, in the other half. */
	table->sequence = (uint32_t)(word >> GUARD_TABLE_SEQUENCE_SHIFT);
	table->live = GUARD_TABLE_PAGE(word) * PAGE >= table->halves[1].at;
	if (new_arena(table) < 0 || half_start(table, &table->halves[!table->live], MIN_BITS) < 0) {
		table_free(table);
		return error_set(err, -ENOMEM, "out of memory");
	}
	((uint8_t *)vault)[vault_size - 1] = '\0';
	filter_take_over(table);
	if (!keep) {
		put_in_force(table, !table->live);
		filter_renew(table);
	}
	*ret = table;
	return 0;
}

struct table *table_free(struct table *table)
{
	if (table) {
		free(table->halves[0].nodes);
		free(table->halves[1].nodes);
		arena_free(table->arena);
		free(table);
	}
	return NULL;
}

static struct node *find(const struct half *half, uint64_t key, uint64_t ino)
{
	size_t first;

	if (!half->nodes || !key_is_live(key))
		return NULL;
	first = GUARD_HASH(key, ino) >> (64 - half->bits);
	for (size_t i = first; i < first + GUARD_PROBE_LIMIT; i++) {
		struct node *node = &half->nodes[i];

		if (node->entry.key == GUARD_KEY_EMPTY)
			return NULL;
		if (node->entry.key == key && node->entry.ino == ino)
			return node;
	}
	return NULL;
}

/* A retired slot may still be read while its half is. */
static struct node *find_free(const struct table *table, const struct half *half, uint64_t key,
			      uint64_t ino)
{
	size_t first = GUARD_HASH(key, ino) >> (64 - half->bits);
	bool again = !is_read(table, half);

	for (size_t i = first; i < first + GUARD_PROBE_LIMIT; i++) {
		uint64_t there = half->nodes[i].entry.key;

		if (there == GUARD_KEY_EMPTY || (again && there == GUARD_KEY_RETIRED))
			return &half->nodes[i];
	}
	return NULL;
}

static struct guard_entry *slot_of(const struct table *table, const struct half *half,
				   const struct node *node)
{
	return (struct guard_entry *)(table->vault + half->at) + (node - half->nodes);
}

/* Payload first, key last, and its clauses before all. */
static void write_slot(struct guard_entry *slot, const struct guard_entry *entry)
{
	__atomic_store_n(&slot->ino, entry->ino, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->generation, entry->generation, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->clauses, entry->clauses, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->deny, entry->deny, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->report, entry->report, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->key, entry->key, __ATOMIC_RELEASE);
}

static bool is_base(const struct node *node)
{
	return key_is_live(node->entry.key) && (node->entry.key & 7) == GUARD_KEY_BASE &&
	       node->entry.ino; /* a pseudo file system's is looked for without being told */
}

/* A super block's mark: patterns there are for reading too. */
static bool is_read_base(const struct node *node)
{
	return key_is_live(node->entry.key) && (node->entry.key & 7) == GUARD_KEY_SUPER &&
	       node->entry.report;
}

static void retire(struct table *table, struct half *half, struct node *node)
{
	settle(table, half);
	__atomic_store_n(&slot_of(table, half, node)->key, GUARD_KEY_RETIRED, __ATOMIC_RELEASE);
	half->n_bases -= is_base(node);
	half->n_read_bases -= is_read_base(node);
	half->used--;
	half->retired++;
	arena_release(table->arena, half->index, node->block);
	*node = (struct node){ .entry.key = GUARD_KEY_RETIRED };
}

/* Takes over the half's use of @new's block. */
static void fill(struct table *table, struct half *half, struct node *node, const struct node *new)
{
	half->retired -= node->entry.key == GUARD_KEY_RETIRED;
	half->used++;
	half->n_bases += is_base(new);
	half->n_read_bases += is_read_base(new);
	filter_enter(table, new);
	*node = *new;
	write_slot(slot_of(table, half, node), &new->entry);
	table->fresh |= is_read(table, half);
}

/* The same for a node that is there: half->n_bases stays. */
static void change(struct table *table, struct half *half, struct node *node,
		   const struct node *new)
{
	settle(table, half);
	arena_release(table->arena, half->index, node->block);
	half->n_read_bases += (size_t)is_read_base(new) - is_read_base(node);
	filter_enter(table, new);
	*node = *new;
	write_slot(slot_of(table, half, node), &new->entry);
	table->fresh |= is_read(table, half);
}

/* Writes the arena of a half that nobody reads anew, without what nobody needs. All there is fits. */
static void compact(struct table *table, struct half *half)
{
	arena_clear(table->arena, half->index);
	for (size_t i = 0; i < half->n_slots; i++) {
		struct node *node = &half->nodes[i];

		if (node->block) {
			arena_place(table->arena, half->index, node->block, &node->entry.clauses);
			write_slot(slot_of(table, half, node), &node->entry);
		}
	}
}

/* The half uses the new node's block, and has it. -EAGAIN: it would have room for it in a new table. */
static int take_block(struct table *table, struct half *half, struct node *new)
{
	arena_use(table->arena, half->index, new->block);
	if (!arena_fits(table->arena, half->index)) {
		arena_release(table->arena, half->index, new->block);
		return -ENOSPC;
	}
	if (arena_place(table->arena, half->index, new->block, &new->entry.clauses))
		return 0;
	if (is_read(table, half)) {
		arena_release(table->arena, half->index, new->block);
		return -EAGAIN;
	}
	compact(table, half);
	arena_place(table->arena, half->index, new->block, &new->entry.clauses);
	return 0;
}

static bool is_same(const struct node *a, const struct node *b)
{
	return a->entry.generation == b->entry.generation && a->entry.deny == b->entry.deny &&
	       a->entry.report == b->entry.report && a->block == b->block;
}

/* Point 3 above. */
static bool is_one_word(const struct node *a, const struct node *b)
{
	return a->entry.generation == b->entry.generation &&
	       (a->entry.deny != b->entry.deny) + (a->entry.report != b->entry.report) +
			       (a->block != b->block) ==
		       1;
}

/*
 * Slots are used up to a half of them, and rest in another eighth. While a table is being built, the one in force
 * cannot move: then all may rest. -EAGAIN: there would be room in a new table.
 */
static int check_slots(const struct table *table, const struct half *half, const struct node *old)
{
	size_t n = 1ULL << half->bits;

	if (!old && half->used >= n / 2)
		return half->bits == table->max_bits ? -ENOSPC : -EAGAIN;
	if (!table->building && half->used + half->retired >= n / 2 + n / 8)
		return -EAGAIN;
	return 0;
}

static int enter(struct table *table, struct half *half, struct node *old, struct node *new)
{
	struct node *to = NULL;
	int r;

	if (!old || (is_read(table, half) && !is_one_word(old, new))) {
		r = check_slots(table, half, old);
		if (r < 0)
			return r;
		to = find_free(table, half, new->entry.key, new->entry.ino);
		if (!to) /* a new one of the same size would be the same */
			return half->bits == table->max_bits && !half->retired ? -ENOSPC : -EAGAIN;
	}
	r = take_block(table, half, new);
	if (r < 0)
		return r;
	if (to)
		fill(table, half, to, new);
	else
		change(table, half, old, new);
	if (to && old)
		retire(table, half, old); /* only now: there is no moment with neither */
	return 0;
}

static int copy_all(struct table *table, struct half *to, const struct half *from)
{
	for (size_t i = 0; i < from->n_slots; i++) {
		struct node copy = from->nodes[i];
		int r;

		if (!key_is_live(copy.entry.key))
			continue;
		r = enter(table, to, NULL, &copy);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Slots for @n entries, and some more: or the next ones would make the next table. */
static unsigned int roomy_bits(const struct table *table, size_t n)
{
	unsigned int bits = MIN_BITS;

	while (bits < table->max_bits && (1ULL << bits) < (n + n / 8 + 1) * 2)
		bits++;
	return bits;
}

/* Moves the table in force to 2^bits slots in the other half: no garbage, nothing retired. */
static int rebuild(struct table *table, unsigned int bits)
{
	const struct half *from = &table->halves[table->live];
	struct half *to = &table->halves[!table->live];
	int r;

	r = half_start(table, to, bits);
	if (r < 0)
		return r;
	r = copy_all(table, to, from);
	if (r == 0)
		turn(table);
	else
		half_clear(table, to);
	return r;
}

/* Makes room where it can: in a table as large as it has to be, then in one as large as it can be. */
static int set(struct table *table, struct node *new)
{
	struct half *half = current(table);
	unsigned int bits = roomy_bits(table, half->used);
	struct node *old = find(half, new->entry.key, new->entry.ino);
	int r;

	if (old && is_same(old, new))
		return 0;
	r = enter(table, half, old, new);
	while (r == -EAGAIN && !table->building) {
		r = rebuild(table, bits);
		half = current(table);
		if (r == 0)
			r = enter(table, half, find(half, new->entry.key, new->entry.ino), new);
		if (bits == table->max_bits)
			break;
		bits = table->max_bits;
	}
	return r == -EAGAIN ? -ENOSPC : r;
}

static int check_entry(const struct table *table, const struct guard_entry *entry, size_t n,
		       struct error *err)
{
	unsigned int kind = entry->key & 7;

	if (!current(table)->nodes)
		return error_set(err, -EBUSY,
				 "the table in force is an earlier daemon's: begin a new one");
	if (!key_is_live(entry->key) || kind > GUARD_KEY_NUMBER)
		return error_set(err, -EINVAL, "no entry can have the key %#llx",
				 (unsigned long long)entry->key);
	if (n && kind != GUARD_KEY_FILE && kind != GUARD_KEY_BASE && kind != GUARD_KEY_MOUNT)
		return error_set(err, -EINVAL, "only files, bases and mounts can have clauses");
	if (n > GUARD_MAX_CLAUSES)
		return error_set(err, -E2BIG,
				 "more than %d patterns or rules with exceptions for one file or "
				 "directory (%zu)",
				 GUARD_MAX_CLAUSES, n);
	return 0;
}

static int check_clauses(unsigned int kind, const struct table_clause *clauses, size_t n,
			 struct error *err)
{
	size_t n_patterns = 0;

	for (size_t i = 0; i < n; i++) {
		n_patterns += !clauses[i].text || strpbrk(clauses[i].text, "*?");
		if ((clauses[i].text != NULL) != (kind == GUARD_KEY_BASE))
			return error_set(err, -EINVAL,
					 "a base's clauses have patterns, others' none");
		if (clauses[i].n_exceptions > GUARD_MAX_EXCEPTIONS)
			return error_set(err, -E2BIG, "more than %d exceptions from one rule (%u)",
					 GUARD_MAX_EXCEPTIONS, clauses[i].n_exceptions);
	}
	if (n_patterns > GUARD_MAX_PATTERNS)
		return error_set(err, -E2BIG,
				 "more than %d patterns or rules with exceptions for one file or "
				 "directory (%zu)",
				 GUARD_MAX_PATTERNS, n_patterns);
	return 0;
}

static int no_room(const struct table *table, struct error *err)
{
	struct table_stats stats;

	table_stats(table, &stats);
	return error_set(err, -ENOSPC,
			 "the vault has no room for this entry (%zu of %zu in use, %llu of %llu "
			 "KiB of "
			 "patterns and exceptions); give the VM a larger vault (outguard qemu-args "
			 "--vault MIB)",
			 stats.entries, stats.capacity, (unsigned long long)stats.arena_used >> 10,
			 (unsigned long long)stats.arena_size >> 10);
}

int table_set(struct table *table, const struct guard_entry *entry,
	      const struct table_clause *clauses, size_t n, struct error *err)
{
	struct node new = { .entry = *entry };
	struct arena_block *block;
	int r;

	r = check_entry(table, entry, n, err);
	if (r == 0)
		r = check_clauses(entry->key & 7, clauses, n, err);
	if (r < 0)
		return r;
	r = arena_intern(table->arena, &block, clauses, n);
	if (r < 0)
		return error_set(err, r, "out of memory");
	new.entry.clauses = 0;
	new.block = block;
	r = set(table, &new);
	arena_release(table->arena, ARENA_CALLER, block);
	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r < 0)
		return no_room(table, err);
	tell_bases(table);
	return 0;
}

bool table_remove(struct table *table, uint64_t key, uint64_t ino)
{
	struct half *half = current(table);
	struct node *node = find(half, key, ino);

	if (!node)
		return false;
	retire(table, half, node);
	tell_bases(table);
	return true;
}

static bool is_of_super(const struct node *node, uint64_t super)
{
	return key_is_live(node->entry.key) && (node->entry.key & ~7ULL) == super &&
	       (node->entry.key & 7) <= GUARD_KEY_SUPER;
}

size_t table_remove_super(struct table *table, uint64_t super)
{
	struct half *half = current(table);
	size_t n = 0;

	for (size_t i = 0; i < half->n_slots; i++) {
		if (!is_of_super(&half->nodes[i], super))
			continue;
		retire(table, half, &half->nodes[i]);
		n++;
	}
	tell_bases(table);
	return n;
}

bool table_get(const struct table *table, uint64_t key, uint64_t ino, struct guard_entry *ret)
{
	const struct node *node = find(current(table), key, ino);

	if (node)
		*ret = node->entry;
	return node != NULL;
}

/*
 * Meanwhile the table in force cannot be rebuilt, and what starts meanwhile has to be entered there too: first it gets
 * room. (What an earlier daemon left is not ours to rebuild, or to change.)
 */
int table_begin(struct table *table, struct error *err)
{
	const struct half *live = &table->halves[table->live];
	int r = 0;

	if (live->nodes && !table->building)
		r = rebuild(table, table->max_bits);
	if (r == 0 || r == -ENOSPC)
		r = half_start(table, &table->halves[!table->live], table->max_bits);
	if (r < 0)
		return error_set(err, r, "out of memory");
	table->building = true;
	table->change_live = false;
	return 0;
}

void table_target(struct table *table, bool live)
{
	table->change_live = live;
}

void table_publish(struct table *table)
{
	if (table->building)
		turn(table);
	table->building = false;
}

void table_abandon(struct table *table)
{
	if (table->building)
		half_clear(table, &table->halves[!table->live]);
	table->building = false;
}

size_t table_count(const struct table *table)
{
	return current(table)->used;
}

size_t table_capacity(const struct table *table)
{
	return 1ULL << (table->max_bits - 1);
}

static bool same_entry(const struct guard_entry *a, const struct guard_entry *b)
{
	return a->key == b->key && a->ino == b->ino && a->generation == b->generation &&
	       a->clauses == b->clauses && a->deny == b->deny && a->report == b->report;
}

bool table_is_as_written(const struct table *table)
{
	const struct half *half = &table->halves[table->live];

	for (size_t i = 0; half->nodes && i < half->n_slots; i++) {
		const struct guard_entry *entry = &half->nodes[i].entry;
		const struct guard_entry *slot = slot_of(table, half, &half->nodes[i]);

		if (slot->key != entry->key ||
		    (key_is_live(entry->key) && !same_entry(slot, entry)))
			return false;
	}
	return filter_is_as_written(table);
}

void table_stats(const struct table *table, struct table_stats *ret)
{
	const struct half *half = current(table);

	ret->entries = half->used;
	ret->capacity = table_capacity(table);
	arena_stats(table->arena, half->index, ret);
}
