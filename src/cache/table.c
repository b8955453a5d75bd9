// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two halves of the tables region take turns:
 *
 *	| slots ... | GUARD_PROBE_LIMIT spare | patterns and their texts, growing up |
 *
 * In the half in force an entry is written payload first, key last, and a retired slot is not used again: so a
 * key that the guard reads belongs to the payload it reads. What does not fit there any more (a slot too far
 * from its place, too many retired, no room for patterns) makes a new table in the other half, which comes into
 * force by one store of guard_vault.table. The guard reads that word before and after.
 *
 * In the half that is being built nobody reads: there a base is replaced in its slot, and the patterns move up when
 * there is no room behind them.
 *
 * `nodes` mirrors the slots on the host: the vault is never read back.
 */
#include "cache/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MIN_BITS 10
#define PAGE 4096ULL

struct node {
	struct guard_entry entry;
	struct guard_pattern *patterns; /* of a base: `text` is an offset into `texts` */
	char *texts;
	size_t texts_size;
};

struct half {
	uint64_t at; /* offset in the vault */
	struct node *nodes;
	size_t n_slots; /* with the spare ones */
	unsigned int bits;
	size_t used, retired;
	uint64_t arena, end; /* next free byte for patterns, and the end of them */
	size_t n_bases;
	bool told_bases; /* is GUARD_TABLE_BASES set in the word that is in force? */
};

struct table {
	uint8_t *vault;
	struct half halves[2];
	uint64_t half_size;
	unsigned int live;
	bool building;
	bool change_live; /* while building */
	uint32_t sequence;
};

static struct half *current(struct table *table)
{
	bool other = table->building && !table->change_live;

	return &table->halves[other ? !table->live : table->live];
}

static void half_clear(struct half *half)
{
	for (size_t i = 0; i < half->n_slots; i++) {
		free(half->nodes[i].patterns);
		free(half->nodes[i].texts);
	}
	free(half->nodes);
	half->nodes = NULL;
	half->n_slots = half->used = half->retired = half->n_bases = 0;
}

/* Slots get up to three quarters of a half, patterns the rest. */
static unsigned int max_bits(const struct table *table)
{
	unsigned int bits = MIN_BITS;

	while (((2ULL << bits) + GUARD_PROBE_LIMIT) * sizeof(struct guard_entry) <=
	       table->half_size / 4 * 3)
		bits++;
	return bits;
}

static uint64_t arena_start(const struct half *half)
{
	return half->at + half->n_slots * sizeof(struct guard_entry);
}

/* Makes the half an empty table of 2^bits slots. */
static int half_start(struct table *table, struct half *half, unsigned int bits)
{
	size_t n_slots = (1ULL << bits) + GUARD_PROBE_LIMIT;
	struct node *nodes;

	if (bits > max_bits(table))
		return -ENOSPC;
	nodes = calloc(n_slots, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	half_clear(half);
	half->nodes = nodes;
	half->n_slots = n_slots;
	half->bits = bits;
	half->arena = arena_start(half);
	half->end = half->at + table->half_size;
	memset(table->vault + half->at, 0, half->arena - half->at);
	return 0;
}

static void put_in_force(struct table *table, unsigned int live)
{
	struct guard_vault *vault = (struct guard_vault *)table->vault;
	struct half *half = &table->halves[live];
	uint64_t word = half->at / PAGE | (uint64_t)(64 - half->bits) << 20;

	half->told_bases = half->n_bases > 0;
	if (half->told_bases)
		word |= GUARD_TABLE_BASES;
	word |= (uint64_t)++table->sequence << GUARD_TABLE_SEQUENCE_SHIFT;
	__atomic_store_n(&vault->table, word, __ATOMIC_SEQ_CST);
	table->live = live;
}

/* The guard looks for bases only where the word in force says that there are some. */
static void tell_bases(struct table *table)
{
	const struct half *half = &table->halves[table->live];

	if (half->told_bases != (half->n_bases > 0))
		put_in_force(table, table->live);
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
	table->halves[0].at = GUARD_VAULT_TABLES;
	table->halves[1].at = GUARD_VAULT_TABLES + half_size;
	/* A daemon before this one may have used the vault: go on counting, in the other half. */
	table->sequence = (uint32_t)(word >> GUARD_TABLE_SEQUENCE_SHIFT);
	table->live = GUARD_TABLE_PAGE(word) * PAGE >= table->halves[1].at;
	if (half_start(table, &table->halves[!table->live], MIN_BITS) < 0) {
		free(table);
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (!keep)
		put_in_force(table, !table->live);
	*ret = table;
	return 0;
}

struct table *table_free(struct table *table)
{
	if (table) {
		half_clear(&table->halves[0]);
		half_clear(&table->halves[1]);
		free(table);
	}
	return NULL;
}

static bool key_is_live(uint64_t key)
{
	return key != GUARD_KEY_EMPTY && key != GUARD_KEY_RETIRED;
}

static struct node *find(const struct half *half, uint64_t key, uint64_t ino)
{
	size_t first;

	if (!half->nodes)
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

static struct node *find_free(const struct half *half, uint64_t key, uint64_t ino)
{
	size_t first = GUARD_HASH(key, ino) >> (64 - half->bits);

	for (size_t i = first; i < first + GUARD_PROBE_LIMIT; i++) {
		if (half->nodes[i].entry.key == GUARD_KEY_EMPTY)
			return &half->nodes[i];
	}
	return NULL;
}

static struct guard_entry *slot_of(const struct table *table, const struct half *half,
				   const struct node *node)
{
	return (struct guard_entry *)(table->vault + half->at) + (node - half->nodes);
}

/* Payload first, key last. Two words of masks change one after the other: each is right by itself. */
static void write_slot(struct guard_entry *slot, const struct guard_entry *entry)
{
	slot->ino = entry->ino;
	slot->generation = entry->generation;
	__atomic_store_n(&slot->patterns, entry->patterns, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->deny, entry->deny, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->report, entry->report, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->key, entry->key, __ATOMIC_RELEASE);
}

static void retire(const struct table *table, struct half *half, struct node *node)
{
	__atomic_store_n(&slot_of(table, half, node)->key, GUARD_KEY_RETIRED, __ATOMIC_RELEASE);
	half->n_bases -= node->patterns != NULL;
	free(node->patterns);
	free(node->texts);
	memset(node, 0, sizeof(*node));
	node->entry.key = GUARD_KEY_RETIRED;
	half->used--;
	half->retired++;
}

/* Writes a base's patterns into the vault. Its entry then says where. */
static int write_patterns(const struct table *table, struct half *half, struct node *node)
{
	uint64_t size = node->entry.deny * sizeof(struct guard_pattern), at = half->arena;
	struct guard_pattern *to = (struct guard_pattern *)(table->vault + at);

	if (half->end - at < size + node->texts_size + 8)
		return -ENOSPC;
	memcpy(table->vault + at + size, node->texts, node->texts_size);
	for (uint32_t i = 0; i < node->entry.deny; i++) {
		to[i] = node->patterns[i];
		to[i].text += (uint32_t)(at + size);
	}
	half->arena = (at + size + node->texts_size + 7) & ~7ULL;
	node->entry.patterns = (uint32_t)(at / 8);
	return 0;
}

/* Takes a node's content over, on success. */
static int half_insert(const struct table *table, struct half *half, struct node *from)
{
	struct node *node = find_free(half, from->entry.key, from->entry.ino);

	if (!node || half->used + half->retired >= (1ULL << half->bits) / 2)
		return -ENOSPC;
	if (from->patterns && write_patterns(table, half, from) < 0)
		return -ENOSPC;
	*node = *from;
	memset(from, 0, sizeof(*from));
	half->used++;
	half->n_bases += node->patterns != NULL;
	write_slot(slot_of(table, half, node), &node->entry);
	return 0;
}

/* Copies, so that a failed rebuild leaves the original. */
static int node_copy(struct node *to, const struct node *from)
{
	*to = *from;
	if (!from->patterns)
		return 0;
	to->patterns = malloc(from->entry.deny * sizeof(*to->patterns));
	to->texts = malloc(from->texts_size);
	if (!to->patterns || !to->texts) {
		free(to->patterns);
		free(to->texts);
		return -ENOMEM;
	}
	memcpy(to->patterns, from->patterns, from->entry.deny * sizeof(*to->patterns));
	memcpy(to->texts, from->texts, from->texts_size);
	return 0;
}

/* All but @except. */
static int copy_all(const struct table *table, struct half *to, const struct half *from,
		    const struct node *except)
{
	for (size_t i = 0; i < from->n_slots; i++) {
		struct node copy;
		int r;

		if (!key_is_live(from->nodes[i].entry.key) || &from->nodes[i] == except)
			continue;
		r = node_copy(&copy, &from->nodes[i]);
		if (r < 0)
			return r;
		r = half_insert(table, to, &copy);
		if (r < 0) {
			free(copy.patterns);
			free(copy.texts);
			return r;
		}
	}
	return 0;
}

/* Closes the gaps between the patterns of a half that nobody reads. */
static int compact(const struct table *table, struct half *half)
{
	half->arena = arena_start(half);
	for (size_t i = 0; i < half->n_slots; i++) {
		struct node *node = &half->nodes[i];

		if (!node->patterns)
			continue;
		if (write_patterns(table, half, node) < 0)
			return -ENOSPC;
		write_slot(slot_of(table, half, node), &node->entry);
	}
	return 0;
}

/* In a half that nobody reads. On failure, what was there is there. */
static int replace_unread(const struct table *table, struct half *half, struct node *node,
			  struct node *old)
{
	struct node was = *old;
	int r = 0;

	*old = *node;
	if (node->patterns && write_patterns(table, half, old) < 0)
		r = compact(table, half);
	if (r < 0) {
		*old = was;
		compact(table, half); /* fits: it has before */
		return r;
	}
	write_slot(slot_of(table, half, old), &old->entry);
	free(was.patterns);
	free(was.texts);
	memset(node, 0, sizeof(*node));
	return 0;
}

/* Slots for @n entries, and some more: or the next ones would make the next table. */
static unsigned int roomy_bits(const struct table *table, size_t n)
{
	unsigned int bits = MIN_BITS;

	while (bits < max_bits(table) && (1ULL << bits) < (n + n / 8 + 1) * 2)
		bits++;
	return bits;
}

/* Replaces the table in force by one of at least 2^bits slots, with @node (or NULL) instead of @old (or NULL). */
static int rebuild(struct table *table, unsigned int bits, struct node *node,
		   const struct node *old)
{
	struct half *from = &table->halves[table->live], *to = &table->halves[!table->live];
	int r;

	do {
		r = half_start(table, to, bits++);
		if (r < 0)
			return r;
		r = copy_all(table, to, from, old);
		if (r == 0 && node)
			r = half_insert(table, to, node);
	} while (r == -ENOSPC);
	if (r == 0)
		put_in_force(table, !table->live);
	return r;
}

/* Enters @node where @half, which has @old or NULL, has room for it. */
static int enter(struct table *table, struct half *half, struct node *node, struct node *old)
{
	bool unread = half != &table->halves[table->live];
	int r;

	if (unread && old)
		return replace_unread(table, half, node, old);
	r = half_insert(table, half, node);
	if (r == -ENOSPC && unread && node->patterns && compact(table, half) == 0)
		r = half_insert(table, half, node);
	if (r == 0 && old)
		retire(table, half, old); /* only now: there is no moment with neither */
	return r;
}

/* While another table is being built, the one in force cannot move: table_begin() has given it room. */
static int replace(struct table *table, struct node *node, struct error *err)
{
	struct half *half = current(table);
	struct node *old = find(half, node->entry.key, node->entry.ino);
	int r = enter(table, half, node, old);

	if (r == -ENOSPC && !table->building)
		r = rebuild(table, roomy_bits(table, half->used), node, old);
	if (r == -ENOMEM)
		return error_set(err, r, "out of memory");
	if (r < 0)
		return error_set(err, r,
				 "the vault has no room for another entry (%zu of %zu in use); "
				 "give the VM a larger vault (outguard qemu-args --vault MIB)",
				 table_count(table), table_capacity(table));
	tell_bases(table);
	return 0;
}

int table_set(struct table *table, const struct guard_entry *entry, struct error *err)
{
	struct half *half = current(table);
	struct node *node = find(half, entry->key, entry->ino), new = { .entry = *entry };

	if (!key_is_live(entry->key))
		return error_set(err, -EINVAL, "no entry can have the key %#llx",
				 (unsigned long long)entry->key);
	if (node && node->entry.generation == entry->generation) {
		node->entry = *entry;
		write_slot(slot_of(table, half, node), entry);
		return 0;
	}
	return replace(table, &new, err);
}

static int base_node(struct node *node, const struct table_pattern *patterns, size_t n)
{
	char *text;

	for (size_t i = 0; i < n; i++)
		node->texts_size += strlen(patterns[i].text) + 1;
	node->patterns = calloc(n, sizeof(*node->patterns));
	node->texts = malloc(node->texts_size);
	if (!node->patterns || !node->texts) {
		free(node->patterns);
		free(node->texts);
		return -ENOMEM;
	}
	text = node->texts;
	for (size_t i = 0; i < n; i++) {
		node->patterns[i].text = (uint32_t)(text - node->texts);
		node->patterns[i].deny = patterns[i].deny;
		node->patterns[i].report = patterns[i].report;
		text = stpcpy(text, patterns[i].text) + 1;
	}
	return 0;
}

int table_set_base(struct table *table, uint64_t super, uint64_t ino, uint32_t generation,
		   const struct table_pattern *patterns, size_t n, struct error *err)
{
	struct node node = { .entry = {
				     .key = super | GUARD_KEY_BASE,
				     .ino = ino,
				     .generation = generation,
				     .deny = (uint32_t)n,
			     } };
	int r;

	r = base_node(&node, patterns, n);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = replace(table, &node, err);
	free(node.patterns);
	free(node.texts);
	return r;
}

bool table_remove(struct table *table, uint64_t key, uint64_t ino)
{
	struct half *half = current(table);
	struct node *node = key_is_live(key) ? find(half, key, ino) : NULL;

	if (!node)
		return false;
	retire(table, half, node);
	tell_bases(table);
	return true;
}

size_t table_remove_super(struct table *table, uint64_t super)
{
	struct half *half = current(table);
	size_t n = 0;

	for (size_t i = 0; i < half->n_slots; i++) {
		struct node *node = &half->nodes[i];

		if (!key_is_live(node->entry.key) || (node->entry.key & ~7ULL) != super)
			continue;
		retire(table, half, node);
		n++;
	}
	tell_bases(table);
	return n;
}

bool table_get(const struct table *table, uint64_t key, uint64_t ino, struct guard_entry *ret)
{
	const struct half *half = current((struct table *)table);
	const struct node *node = key_is_live(key) ? find(half, key, ino) : NULL;

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
	unsigned int bits = roomy_bits(table, live->used);
	int r = 0;

	if (bits < max_bits(table))
		bits = max_bits(table) - 1;
	if (live->nodes && !table->building)
		r = rebuild(table, bits, NULL, NULL);
	if (r == 0 || r == -ENOSPC)
		r = half_start(table, &table->halves[!table->live], max_bits(table));
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
		put_in_force(table, !table->live);
	table->building = false;
}

void table_abandon(struct table *table)
{
	table->building = false;
}

size_t table_count(const struct table *table)
{
	return current((struct table *)table)->used;
}

size_t table_capacity(const struct table *table)
{
	return 1ULL << (max_bits(table) - 1);
}
