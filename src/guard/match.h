/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_MATCH_H
#define GUARD_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/guard_abi.h"
#include "guard/cache.h"
#include "guard/kernel.h"
#include "guard/ring.h"

/* What is asked about: something that is, or, with a dentry but no inode, the name of something that is not yet. */
struct subject {
	const void *inode; /* or NULL */
	const void *dentry; /* where patterns are looked for; NULL: nowhere */
	uint64_t super;
	const void *moves_to; /* a directory that is renamed: the other dentry; or NULL */
	bool of_overlay; /* overlayfs itself asks, of its own file: not a layer's */
	bool hides; /* a directory that is mounted upon: patterns that reach below it count */
};

struct verdict {
	uint32_t deny, report, kill; /* operations, and GUARD_OP_FOLLOW, LAZY, ASK in report */
	uint32_t depth; /* names below the base that a pattern matched at; 0: by identity */
	uint64_t base_super, base_ino; /* then: that base */
	uint32_t base_generation;
};

/* All that the table in force says. May sleep. */
void find_verdict(struct verdict *verdict, const struct subject *subject);

/* The same of a mount point or a mount's root, for mounts in the name space @space. */
void find_mount_verdict(struct verdict *verdict, const struct subject *subject, uint64_t space);

/*
 * Does overlayfs bring what it has just made, for a known container, from its work directory? With credentials of its own,
 * or a copy of these for this one call (ovl_create_or_link()).
 */
bool is_made_by_overlay(const void *directory);

/* Is this the mount name space of a container that the host knows? */
bool space_is_known(uint64_t space, bool *ret_refused);

/* Do patterns hang somewhere on this super block? */
static inline bool has_bases(uint64_t table, uint64_t super)
{
	const struct guard_entry *mark;

	if (likely(!(table & GUARD_TABLE_BASES)))
		return false;
	mark = cache_find(vault_bytes, table, super | GUARD_KEY_SUPER, 0);
	return mark && READ_ONCE(mark->deny);
}

/* What an operation costs that nobody watches: look-ups, no store, no call. */
static inline bool maybe_watched(uint64_t super, const void *inode)
{
	uint64_t table = READ_ONCE(vault.table);

	return unlikely(inode && cache_find(vault_bytes, table, super, inode_ino(inode))) ||
	       unlikely(has_bases(table, super)) || unlikely(READ_ONCE(vault.table) != table);
}

#endif
