/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CACHE_TABLE_H
#define CACHE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"
#include "util/error.h"

/*
 * Writes the file metadata cache into the vault, while vCPUs read it. The guard's half of the agreement is
 * guard/cache.h: it never sees an entry half-written, and never believes a table that was replaced under it.
 *
 * A look-up that is believed saw each entry as one table_set() left it, masks and clauses together; and what one call
 * put in was there before what a later call took out was gone. So protection that moves from one entry to another
 * (set the new one, then remove the old one) is never seen in neither.
 *
 * Between table_begin() and table_publish() changes gather in a second table, which comes into force by one
 * store; otherwise they are made in the table in force. Not thread-safe.
 */
struct table;

/* One clause of an entry, as guard_clause. Everything is copied. */
struct table_clause {
	const char *text; /* of a base: the pattern, relative to it; of a file: NULL */
	uint32_t deny, report, kill;
	const struct guard_exception *exceptions;
	uint32_t n_exceptions;
	uint32_t whom; /* enum guard_whom; 0: all */
};

/*
 * Starts with an empty table in force in the vault's tables region. @vault must outlive it. With @keep the table that
 * an earlier daemon left there stays in force, unknown, until the first table_publish(): then call table_begin()
 * and keep from table_target(live). -EINVAL when the vault is too small.
 */
int table_new(struct table **ret, void *vault, size_t vault_size, bool keep, struct error *err);

/* Accepts NULL; leaves the vault as it is. Returns NULL. */
struct table *table_free(struct table *table);

/*
 * Enters or replaces an entry (key, ino) with all its clauses (@n may be 0; only FILE, BASE and MOUNT have any, a BASE's
 * with a text, the others' without). @entry->clauses is ignored. Fails with nothing changed: -ENOSPC when the vault has no room for
 * it, -E2BIG when it has more clauses or exceptions than the guard looks at, -EINVAL when no entry can be so, -ENOMEM.
 * When it is there already, exactly so, nothing is written. Entries with the same list of clauses share one copy of it in
 * the vault, and clauses share texts: 500 containers with one policy take the room of one.
 */
int table_set(struct table *table, const struct guard_entry *entry,
	      const struct table_clause *clauses, size_t n, struct error *err);

/* Retires an entry. Returns whether there was one. */
bool table_remove(struct table *table, uint64_t key, uint64_t ino);

/* Retires all entries of a super block: FILE, BASE, SUPER. Returns how many. Looks at every slot. */
size_t table_remove_super(struct table *table, uint64_t super);

/* The entry as it is now (.clauses: where its block is), or false. */
bool table_get(const struct table *table, uint64_t key, uint64_t ino, struct guard_entry *ret);

/* Starts an empty table beside the one in force; table_publish() puts it in force, table_abandon() drops it. */
int table_begin(struct table *table, struct error *err);
void table_target(struct table *table, bool live); /* meanwhile: which of the two changes go to */
void table_publish(struct table *table);
void table_abandon(struct table *table);

/* Entries there are, and entries there can be. */
size_t table_count(const struct table *table);
size_t table_capacity(const struct table *table);

/* Does the vault hold what was written into the table in force? True where that is not known: see @keep of table_new(). */
bool table_is_as_written(const struct table *table);

/* How full the table is that changes go to. Entries and arena run out independently of each other. */
struct table_stats {
	size_t entries, capacity;
	size_t clause_blocks; /* different ones that entries have */
	uint64_t arena_used; /* bytes that these take, with their texts and exceptions */
	uint64_t arena_size; /* bytes there are for them */
};
void table_stats(const struct table *table, struct table_stats *ret);

#endif
