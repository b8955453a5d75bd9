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
	bool pseudo; /* on a pseudo file system: see is_pseudo() */
	bool hides; /* a directory that is mounted upon: patterns that reach below it count */
};

struct verdict {
	uint32_t deny, report, kill; /* operations, and GUARD_OP_FOLLOW, LAZY, ASK in report */
	uint32_t depth; /* names below the base that a pattern matched at; 0: by identity */
	uint64_t base_super, base_ino; /* then: that base */
	uint32_t base_generation;
};

/*
 * Is there anything in the table that could say something of it: its own entry, or a base above it? No is certain; and takes much
 * less than looking what it says.
 */
bool may_concern(const struct subject *subject);

/*
 * Is there a directory above, on its file system, that patterns may hang from? By the filter. No is certain, since @table, which is what
 * vault.table was before anything was asked, is compared once more.
 */
bool may_be_below_base(const void *dentry, uint64_t table);

/* The same of patterns that who only reads or runs the file has to look at. */
bool may_concern_reading(const void *dentry);

/*
 * Overlayfs works on its layers with credentials of its own, which no task can have otherwise. What it does below for a
 * known container's overlay has been judged above.
 */
bool is_judged_above(void);

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

/* What opening this device for writing is: a mask of enum guard_attempt. */
uint32_t device_attempts(bool block, uint32_t device);

/* A container runtime's program? */
bool is_runtime(const void *inode);

/* What the table in force has there: a copy; if nothing, its key is GUARD_KEY_EMPTY, and the rest 0. */
static inline struct guard_entry find_in_force(uint64_t key, uint64_t ino)
{
	const struct guard_entry *entry;
	struct guard_entry found;
	uint64_t table;

	do {
		table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);
		entry = cache_find(vault_bytes, table, key, ino);
		found = entry ? *entry : (struct guard_entry){ .key = GUARD_KEY_EMPTY };
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (READ_ONCE(vault.table) != table);
	return found;
}

static inline bool is_in_force(uint64_t key, uint64_t ino)
{
	return find_in_force(key, ino).key != GUARD_KEY_EMPTY;
}

/* Its patterns hang from the kind, not from an instance. */
static inline bool is_pseudo(const void *super)
{
	switch (super_magic(super)) {
	case PROC_SUPER_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case BINFMTFS_MAGIC:
		return true;
	}
	return false;
}

/* Do patterns hang somewhere on this super block, for this kind of operation? */
static inline __attribute__((always_inline)) bool has_bases(uint64_t table, uint64_t super,
							    bool changes)
{
	const struct guard_entry *mark;

	if (likely(!(table & (changes ? GUARD_TABLE_BASES : GUARD_TABLE_READ_BASES))))
		return false;
	mark = cache_find(vault_bytes, table, super | GUARD_KEY_SUPER, 0);
	return mark && (changes ? READ_ONCE(mark->deny) : READ_ONCE(mark->report));
}

static inline bool filter_has_file(const void *inode)
{
	uint32_t at = inode_ino_low(inode) ^ GUARD_FILTER_OF_SUPER(inode_super(inode));

	return unlikely(filter_has(vault_bytes, at, GUARD_FILTER_FILES));
}

static inline bool filter_has_bases(uint64_t table, const void *dentry)
{
	return table & GUARD_TABLE_BASES &&
	       filter_has(vault_bytes, GUARD_FILTER_OF_SUPER(dentry_super(dentry)),
			  GUARD_FILTER_SUPERS);
}

/* Does it act with credentials that are not its own? */
static inline bool acts_for_another(void)
{
	const void *task = current_task();

	return unlikely(task_cred(task) != task_real_cred(task));
}

/* Is it in the table, or below a base there? With certainty; what overlayfs does below for what was judged above is not. */
bool is_watched(const void *inode, const void *dentry);

/*
 * What an operation costs that nobody watches: some places of the filter, no store, no lock. @inode may be NULL; @dentry is where
 * patterns are looked for.
 */
static inline __attribute__((always_inline)) bool maybe_watched(const void *inode,
								const void *dentry)
{
	uint64_t table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);

	if (inode && filter_has_file(inode))
		return is_watched(inode, dentry);
	if (!filter_has_bases(table, dentry))
		return unlikely(READ_ONCE(vault.table) != table) && is_watched(inode, dentry);
	/* Overlayfs on its layers, mostly: that is told at once. */
	return (acts_for_another() || may_be_below_base(dentry, table)) &&
	       is_watched(inode, dentry);
}

/* For who reads: patterns are mostly for changes. */
static inline bool maybe_watched_for_reading(uint64_t super, const void *inode)
{
	uint64_t table = READ_ONCE(vault.table);

	return unlikely(cache_find(vault_bytes, table, super, inode_ino(inode))) ||
	       unlikely(has_bases(table, super, false)) ||
	       unlikely(READ_ONCE(vault.table) != table);
}

static inline bool text_begins_with(const char *text, const char *with)
{
	while (*with) {
		if (*text++ != *with++)
			return false;
	}
	return true;
}

#endif
