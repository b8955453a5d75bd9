/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_WATCHES_H
#define SESSION_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"
#include "cache/table.h"
#include "session/containers.h"
#include "session/exceptions.h"
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

enum watch_kind {
	WATCH_FILE, /* an entry for a file or a directory that a rule names */
	WATCH_ABOVE, /* a directory above it: of one of its rule's files, for all of them */
	WATCH_NAME, /* a base: a pattern, or a plain path, that hangs from a directory */
	WATCH_LAYER, /* the same, from a layer's root, for all containers that have this layer */
	WATCH_BELOW, /* an entry for the same file in a layer: by other names there, or by none */
	WATCH_MOUNT, /* a file or directory where the container's mounts are judged */
	WATCH_LAZY, /* a base: nothing is entered yet */
	WATCH_MARK, /* the rest have no item: a super block's mark, */
	WATCH_SPACE, /* a container's mount name space, */
	WATCH_CREDS, /* its overlay's credentials, and its work directory; its cgroup; */
	WATCH_DEVICE, /* and a device: `operations` are enum guard_attempt bits */
};

struct watch {
	struct watch *next, **at; /* in its bucket; at: what points to it */
	struct watch *next_own, **at_own; /* its container's */
	struct watch *next_below, **at_below; /* its super block's, and some others' */
	struct watch *next_like, **at_like; /* those that it would be added again as */
	uint64_t key, ino; /* as in guard_entry */
	uint64_t inode; /* address, of a file; may be stale */
	uint64_t super; /* with which it goes */
	uint32_t generation;
	enum watch_kind kind;
	unsigned int where;
	struct container *container; /* referenced. A layer's: one of those that have it */
	const struct plan *plan; /* whose item it is */
	const struct plan_item *item; /* NULL: none */
	const char *pattern; /* of a base; points into the policy, or is `text` */
	char *text; /* owned, or NULL */
	char *base_path; /* where the container sees a base, "" for its root; or a file, if not as the item says. Owned */
	uint32_t operations; /* of its rule's, those that are judged here */
	bool selected; /* is its rule for this container? */
	bool undecided; /* that depends on a host name which is not known yet: the guard asks */
	uint32_t levels,
		read_levels; /* of a super block's mark; the latter for what only reads or runs */
	unsigned int n_users; /* of a layer's: containers */
	struct exceptions *exceptions; /* referenced, or NULL */
	bool refuses; /* a name space's: its container must not start */
	bool fresh; /* its entry is not in line with it yet */
};

struct watches;

/* All must outlive it. @containers: those that exceptions may be for. */
struct watches *watches_new(struct table *table, const struct containers *containers);
struct watches *watches_free(struct watches *watches);

/*
 * Adds a watch (a copy of @like and of its texts; the links, fresh and n_users are set here), which holds from watches_align() on.
 * A watch of the same container, item and place is not added twice: then, of a layer's, its users are counted. Returns 1
 * when it was added or counted, 0 when it was there.
 */
int watches_add(struct watches *watches, const struct watch *like, struct error *err);

/*
 * Brings the entries of all that was added in line, each once, however many patterns hang from it. -ENOSPC when not
 * everything fits the vault: of an entry's new watches as many stay as do, the oldest; the others are gone.
 */
int watches_align(struct watches *watches, struct error *err);

/* Removes all watches of a container, or of a super block, and brings the entries in line. */
void watches_remove_container(struct watches *watches, struct container *container);
void watches_remove_super(struct watches *watches, uint64_t super);

/* Removes all watches of a file that is gone. */
void watches_remove_file(struct watches *watches, uint64_t key, uint64_t ino, uint32_t generation);

/* Removes a container's watches of one kind. Returns whether there were any. */
bool watches_remove_kind(struct watches *watches, struct container *container,
			 enum watch_kind kind);

/*
 * A container's rules that ask for its host name are judged by @hostname: for good when it is @decided, else until the guard asks
 * again.
 */
void watches_settle(struct watches *watches, const struct container *container,
		    const char *hostname, bool decided);

/* A container has come or gone: exceptions that are for containers are filled in again where they are for such as @container. */
void watches_refresh_exceptions(struct watches *watches, const struct container *container);

/* What a watch stands for in the table: operations, without and with what is refused. */
uint32_t watch_reports(const struct watch *watch);
uint32_t watch_denies(const struct watch *watch);

/* How many levels below its base a watch's pattern is looked for, when something changes, and when it is read or run. */
uint32_t watch_levels(const struct watch *watch);
uint32_t watch_read_levels(const struct watch *watch);

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
