/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CACHE_ARENA_H
#define CACHE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/table.h"

/*
 * The clauses of a table's entries, for both of its halves. Lists of clauses (blocks), their texts and their arrays of
 * exceptions are interned: two that are equal are one, on the host and in each half of the vault that needs it. What
 * has been written into a half stays as it is until arena_clear(); so a reader may hold it, and what comes again is
 * there already.
 */
struct arena;
struct arena_block; /* NULL is the block without clauses; all functions accept it */

enum arena_user { /* who needs a block: entries of a half, or a caller for the moment */
	ARENA_HALF_0,
	ARENA_HALF_1,
	ARENA_CALLER,
};

/* Each half's arena has @size bytes at the offset @at[half] of @vault, both multiples of 8. -ENOMEM. */
int arena_new(struct arena **ret, uint8_t *vault, const uint64_t at[2], uint64_t size);

/* Accepts NULL; leaves the vault as it is. All blocks are gone. Returns NULL. */
struct arena *arena_free(struct arena *arena);

/* The block of these clauses, used by ARENA_CALLER. -ENOMEM. */
int arena_intern(struct arena *arena, struct arena_block **ret, const struct table_clause *clauses,
		 size_t n);

/* One more use, and one less. What nobody uses and no half holds is freed. */
void arena_use(struct arena *arena, enum arena_user user, struct arena_block *block);
void arena_release(struct arena *arena, enum arena_user user, struct arena_block *block);

/* All operations, of deny and report, of a block's clauses; 0 for NULL. */
uint32_t arena_block_operations(const struct arena_block *block);

/*
 * Writes what is not there yet of a block, and says where guard_clauses is (offset / 8; 0 for NULL). False when there is
 * no room behind what has been written; after arena_clear() there is, for all blocks in use while arena_fits().
 */
bool arena_place(struct arena *arena, unsigned int half, struct arena_block *block, uint32_t *ret);

/* Have the blocks that a half uses room in it? */
bool arena_fits(const struct arena *arena, unsigned int half);

/* The half's room is free again; what it uses has to be placed again. */
void arena_clear(struct arena *arena, unsigned int half);

/* Adds a half's part to table_stats. */
void arena_stats(const struct arena *arena, unsigned int half, struct table_stats *ret);

#endif
