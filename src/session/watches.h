/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_WATCHES_H
#define SESSION_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"
#include "cache/table.h"
#include "session/containers.h"
#include "util/error.h"

/*
 * Why an entry is in the cache: one watch for each (container, path of a rule) that leads to a file, a base
 * directory, or a super block. Several watches may lead to one entry (a volume in two containers, two rules for one
 * file); the entry is what they add up to. The table is always derived from here.
 *
 * A new policy is gathered beside the one in force: its watches belong to the table that is being built until
 * watches_publish().
 */
enum watch_where {
	WATCH_LIVE = 1 << 0, /* in the table in force */
	WATCH_BUILDING = 1 << 1, /* in the one being built */
};

struct watch {
	struct watch *next; /* in its bucket */
	uint64_t key, ino; /* as in guard_entry */
	uint32_t generation;
	unsigned int where;
	struct container *container; /* referenced */
	const struct plan *plan; /* whose item it is */
	const struct plan_item *item; /* NULL: a super block's mark */
	const char *pattern; /* of a base; points into the policy */
	char *base_path; /* where the container sees a base, "" for its root; or a mounted file. Owned */
	uint32_t deny, report; /* operations, and GUARD_OP_ASK */
	uint32_t levels; /* of a super block's mark */
	bool fresh; /* its entry is not in line with it yet */
};

struct watches;

/* @table must outlive it. */
struct watches *watches_new(struct table *table);
struct watches *watches_free(struct watches *watches);

/*
 * Adds a watch (a copy of @like and of its base path; next and fresh are set here), which holds from
 * watches_align() on. A watch of the same container, item and place is not added twice.
 */
int watches_add(struct watches *watches, const struct watch *like, struct error *err);

/*
 * Brings the entries of all that was added in line, each once, however many patterns hang from it. -ENOSPC when not
 * everything fits the vault: of an entry's new watches as many stay as do, the oldest; the others are gone.
 */
int watches_align(struct watches *watches, struct error *err);

/* Removes all watches of a container, or of a super block, and brings the entries in line. */
void watches_remove_container(struct watches *watches, const struct container *container);
void watches_remove_super(struct watches *watches, uint64_t super);

/* A container's rules that ask for its host name have been judged: @selected says which stay (NULL: undecided). */
void watches_settle(struct watches *watches, const struct container *container,
		    const char *hostname, bool decided);

/* The watches of an entry, one after the other; start with NULL. Only those in force. */
const struct watch *watches_next(const struct watches *watches, uint64_t key, uint64_t ino,
				 const struct watch *after);

/* Starts gathering; then what is added with WATCH_BUILDING alone waits for watches_publish(). */
int watches_begin(struct watches *watches, struct error *err);
bool watches_is_building(const struct watches *watches);

/* The table being built comes into force; all watches that are not in it go. */
void watches_publish(struct watches *watches);
void watches_abandon(struct watches *watches);

size_t watches_count(const struct watches *watches);

#endif
