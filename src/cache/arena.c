// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An item is a run of bytes that lies in the vault at most once in each half: a text, an array of exceptions, or a
 * block. A block's bytes, on the host, name its texts and exceptions by their items, which are interned first; so
 * equal lists are equal bytes, and one look-up in the index finds any of them.
 *
 * Whoever uses a block uses the items in it, and a block is placed only with them: so an item that is still needed by
 * a block is never idle before the block is. All items take up multiples of 8 bytes: what is needed in a half is a
 * sum, whatever the order they are placed in, and whether it fits is known beforehand.
 */
#include "cache/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"
#include "util/cleanup.h"

#define N_BUCKETS (1u << 14)
#define N_USERS 3

struct item {
	struct item *next; /* in its bucket */
	uint64_t hash;
	uint32_t users[N_USERS]; /* of a text or exceptions: blocks that have that user */
	struct {
		uint32_t life; /* it is there if this is the half's */
		uint32_t at; /* offset in the vault / 8 */
	} place[2];
	bool is_block;
	size_t size; /* of data */
	uint64_t data[];
};

struct clause { /* a block's data is an array of these: no padding */
	struct item *text, *exceptions; /* or NULL */
	uint32_t deny, report, kill, n_exceptions;
	uint32_t plain, hash; /* of a text without wildcards */
	uint32_t whom, unused;
};

struct side {
	uint64_t at, next; /* offsets in the vault: the first byte, and the first free one */
	uint32_t life; /* counts arena_clear() */
	uint64_t needs; /* bytes of the items in use */
	size_t n_blocks;
};

struct arena {
	uint8_t *vault;
	uint64_t size;
	struct side sides[N_USERS]; /* the caller's only counts */
	struct item *buckets[N_BUCKETS];
};

_Static_assert(sizeof(struct clause) == 2 * sizeof(void *) + 32, "compared byte by byte");

int arena_new(struct arena **ret, uint8_t *vault, const uint64_t at[2], uint64_t size)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		return -ENOMEM;
	arena->vault = vault;
	arena->size = size;
	for (unsigned int half = 0; half < 2; half++)
		arena->sides[half] = (struct side){ .at = at[half], .next = at[half], .life = 1 };
	*ret = arena;
	return 0;
}

struct arena *arena_free(struct arena *arena)
{
	for (size_t i = 0; arena && i < N_BUCKETS; i++) {
		while (arena->buckets[i]) {
			struct item *item = arena->buckets[i];

			arena->buckets[i] = item->next;
			free(item);
		}
	}
	free(arena);
	return NULL;
}

static struct item *item_of(struct arena_block *block)
{
	return (struct item *)block;
}

static size_t n_clauses(const struct item *item)
{
	return item->is_block ? item->size / sizeof(struct clause) : 0;
}

static const struct clause *clause_of(const struct item *item, size_t i)
{
	return (const struct clause *)item->data + i;
}

/* In the vault. */
static uint64_t room_of(const struct item *item)
{
	if (item->is_block)
		return sizeof(struct guard_clauses) + n_clauses(item) * sizeof(struct guard_clause);
	return (item->size + 7) & ~7ULL;
}

static bool is_placed(const struct arena *arena, const struct item *item, unsigned int half)
{
	return item->place[half].life == arena->sides[half].life;
}

static bool is_idle(const struct arena *arena, const struct item *item)
{
	for (unsigned int user = 0; user < N_USERS; user++) {
		if (item->users[user])
			return false;
	}
	return !is_placed(arena, item, 0) && !is_placed(arena, item, 1);
}

static uint64_t hash_of(const void *data, size_t size)
{
	uint64_t hash = size;

	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = 0;

		memcpy(&word, (const uint8_t *)data + i, size - i < 8 ? size - i : 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash;
}

/* The item with these bytes, made if need be; or NULL. */
static struct item *intern(struct arena *arena, bool is_block, const void *data, size_t size)
{
	uint64_t hash = hash_of(data, size);
	struct item **bucket = &arena->buckets[hash % N_BUCKETS], *item;

	for (item = *bucket; item; item = item->next) {
		if (item->hash == hash && item->is_block == is_block && item->size == size &&
		    memcmp(item->data, data, size) == 0)
			return item;
	}
	item = calloc(1, sizeof(*item) + size);
	if (!item)
		return NULL;
	item->hash = hash;
	item->is_block = is_block;
	item->size = size;
	memcpy(item->data, data, size);
	item->next = *bucket;
	*bucket = item;
	return item;
}

static void forget(struct arena *arena, const struct item *item)
{
	struct item **at = &arena->buckets[item->hash % N_BUCKETS];

	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	free((void *)item);
}

static void use(struct arena *arena, enum arena_user user, struct item *item)
{
	struct side *side = &arena->sides[user];

	if (!item || item->users[user]++)
		return;
	side->needs += room_of(item);
	side->n_blocks += item->is_block;
	for (size_t i = 0; i < n_clauses(item); i++) {
		use(arena, user, clause_of(item, i)->text);
		use(arena, user, clause_of(item, i)->exceptions);
	}
}

static void release(struct arena *arena, enum arena_user user, struct item *item)
{
	struct side *side = &arena->sides[user];

	if (!item || --item->users[user])
		return;
	side->needs -= room_of(item);
	side->n_blocks -= item->is_block;
	for (size_t i = 0; i < n_clauses(item); i++) {
		release(arena, user, clause_of(item, i)->text);
		release(arena, user, clause_of(item, i)->exceptions);
	}
	if (is_idle(arena, item))
		forget(arena, item);
}

void arena_use(struct arena *arena, enum arena_user user, struct arena_block *block)
{
	use(arena, user, item_of(block));
}

void arena_release(struct arena *arena, enum arena_user user, struct arena_block *block)
{
	release(arena, user, item_of(block));
}

uint32_t arena_block_operations(const struct arena_block *block)
{
	const struct item *item = (const struct item *)block;
	uint32_t operations = 0;

	for (size_t i = 0; item && i < n_clauses(item); i++)
		operations |= clause_of(item, i)->deny | clause_of(item, i)->report;
	return operations;
}

static void drop_idle(struct arena *arena)
{
	for (size_t i = 0; i < N_BUCKETS; i++) {
		struct item **at = &arena->buckets[i];

		while (*at) {
			struct item *item = *at;

			if (is_idle(arena, item)) {
				*at = item->next;
				free(item);
			} else {
				at = &item->next;
			}
		}
	}
}

static bool intern_clause(struct arena *arena, struct clause *ret, const struct table_clause *from)
{
	*ret = (struct clause){
		.deny = from->deny,
		.report = from->report,
		.kill = from->kill,
		.n_exceptions = from->n_exceptions,
		.whom = from->whom,
	};
	if (from->text)
		ret->text = intern(arena, false, from->text, strlen(from->text) + 1);
	if (from->n_exceptions)
		ret->exceptions = intern(arena, false, from->exceptions,
					 from->n_exceptions * sizeof(*from->exceptions));
	return !!ret->text == !!from->text && !!ret->exceptions == !!from->n_exceptions;
}

struct order {
	uint32_t plain, hash;
	size_t index;
};

static int compare_order(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->plain != y->plain)
		return x->plain < y->plain ? -1 : 1;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* What the guard searches through stands last, in the order of its hashes; all else as it came. */
static bool intern_clauses(struct arena *arena, struct clause *to, const struct table_clause *from,
			   size_t n)
{
	_cleanup_(freep) struct order *order = calloc(n, sizeof(*order));

	for (size_t i = 0; order && i < n; i++) {
		bool plain = from[i].text && !strpbrk(from[i].text, "*?");

		order[i] = (struct order){ plain, plain ? glob_hash(from[i].text) : 0, i };
	}
	if (!order)
		return false;
	qsort(order, n, sizeof(*order), compare_order);
	for (size_t i = 0; i < n; i++) {
		if (!intern_clause(arena, &to[i], &from[order[i].index]))
			return false;
		to[i].plain = order[i].plain;
		to[i].hash = order[i].hash;
	}
	return true;
}

int arena_intern(struct arena *arena, struct arena_block **ret, const struct table_clause *clauses,
		 size_t n)
{
	_cleanup_(freep) struct clause *data = calloc(n, sizeof(*data));
	struct item *block = NULL;

	if (n == 0) {
		*ret = NULL;
		return 0;
	}
	if (data && intern_clauses(arena, data, clauses, n))
		block = intern(arena, true, data, n * sizeof(*data));
	if (!block) {
		drop_idle(arena);
		return -ENOMEM;
	}
	use(arena, ARENA_CALLER, block);
	*ret = (struct arena_block *)block;
	return 0;
}

static void write_block(unsigned int half, const struct item *item, struct guard_clauses *to)
{
	*to = (struct guard_clauses){ .n = (uint32_t)n_clauses(item) };
	for (size_t i = 0; i < n_clauses(item); i++) {
		const struct clause *clause = clause_of(item, i);
		uint64_t kinds;

		to->clause[i] = (struct guard_clause){
			.text = clause->text ? clause->text->place[half].at * 8 : 0,
			.deny = clause->deny,
			.report = clause->report,
			.kill = clause->kill,
			.exceptions = clause->exceptions ? clause->exceptions->place[half].at : 0,
			.n_exceptions = clause->n_exceptions,
			.hash = clause->hash,
			.whom = clause->whom,
		};
		to->n_plain += clause->plain;
		kinds = clause->text ? glob_first_kinds((const char *)clause->text->data) : 0;
		to->kinds |= kinds;
		if ((clause->deny | clause->report) & GUARD_OP_ANY_READ)
			to->read_kinds |= kinds;
	}
}

static bool place(struct arena *arena, unsigned int half, struct item *item)
{
	struct side *side = &arena->sides[half];
	uint64_t room;
	uint8_t *to;

	if (!item || is_placed(arena, item, half))
		return true;
	for (size_t i = 0; i < n_clauses(item); i++) {
		if (!place(arena, half, clause_of(item, i)->text) ||
		    !place(arena, half, clause_of(item, i)->exceptions))
			return false;
	}
	room = room_of(item);
	if (side->at + arena->size - side->next < room)
		return false;
	to = arena->vault + side->next;
	if (item->is_block) {
		write_block(half, item, (struct guard_clauses *)to);
	} else {
		memcpy(to, item->data, item->size);
		memset(to + item->size, 0, room - item->size);
	}
	item->place[half].life = side->life;
	item->place[half].at = (uint32_t)(side->next / 8);
	side->next += room;
	return true;
}

bool arena_place(struct arena *arena, unsigned int half, struct arena_block *block, uint32_t *ret)
{
	if (!place(arena, half, item_of(block)))
		return false;
	*ret = block ? item_of(block)->place[half].at : 0;
	return true;
}

bool arena_fits(const struct arena *arena, unsigned int half)
{
	return arena->sides[half].needs <= arena->size;
}

void arena_clear(struct arena *arena, unsigned int half)
{
	struct side *side = &arena->sides[half];

	side->life++;
	side->next = side->at;
	drop_idle(arena);
}

void arena_stats(const struct arena *arena, unsigned int half, struct table_stats *ret)
{
	ret->clause_blocks = arena->sides[half].n_blocks;
	ret->arena_used = arena->sides[half].needs;
	ret->arena_size = arena->size;
}
