/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_CONTAINERS_H
#define SESSION_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/container.h"
#include "introspect/container_words.h"

#define CONTAINER_ENDS 2

/*
 * The containers of one guest, known by their mount name space. Counted: the list holds one reference, each watch
 * another, so that an event that comes late can still say whose file it was.
 */
struct container {
	struct container *next, **at; /* on the list; at: what points to it, NULL: it is off */
	struct container *next_hashed;
	unsigned int n_refs;
	struct container_name name;
	char cgroup_path[512];
	char hostname[72]; /* "" until it is decided */
	uint64_t hostname_next_ns; /* until then: when to look for it again */
	uint64_t mnt_ns; /* sequence number: never given again */
	uint64_t cgroup; /* id of its kernfs node; 0: it has none of its own */
	bool is_guest; /* no container: the guest itself, on no list. See guest.h */
	uint32_t pid; /* a process that was in it when it was found */
	uint64_t task; /* that process's address; may be stale */
	uint64_t root_super, root_dentry; /* of the view that was entered first */
	uint64_t found_root; /* dentry: the root of the process that it was found by, or root_dentry */
	uint64_t ends[CONTAINER_ENDS]; /* super blocks of its own: when one goes, it may have gone */
	uint64_t starting; /* the task that is about to enter its root, while its view comes in */
	bool before_start; /* its files were entered before its first process ran */
	bool ran_unguarded; /* it started without us */
	const void *plan; /* with which it was entered last */
	bool resolved; /* its view has been entered for the policy in force */
	uint64_t oldest_ns; /* in a sweep: start of the oldest process seen that has its root */
	bool wanted; /* its view has to be asked for, by that process */
	unsigned int n_partial; /* times a part of its view was lost */
	unsigned int n_failed; /* times in a row that did not work */
	bool lost; /* its view could not be resolved; `outguard status` says so */
	unsigned int n_entries, n_before,
		n_lazy; /* watches; of these, made before its start, and at the first use */
	unsigned int
		n_unproved; /* of n_followed: names that nothing but the guest's word speaks for */
	bool told_followed; /* that they are too many */
	unsigned int n_layer_entries,
		n_followed; /* more of them: in its layers; names of files that have gone */
	unsigned int n_trips_before, n_trips_after; /* times its processes waited for the host */
	uint64_t found_ns, took_us; /* when it was found; how long its view took to be entered */
	unsigned int missed_sweeps;
	uint64_t seen_ns; /* when a sweep last found a process of it */
	bool outside; /* the last one found one that has the guest's root: it starts, and is not in its own yet */
	uint64_t outside_ns; /* since when none in its own could be asked; 0: one could */
	struct container_words words; /* what its engine calls it: the guest's own word */
	unsigned int words_tries;
	uint64_t words_next_ns;
	struct watch *watches; /* in its name: see watches.c */
	struct layer_use *layers; /* the layers of its root, if that is an overlay; a list, owned */
};

/* A layer that a container has, and which of the plan's items are watched there for it. */
struct layer_use {
	struct layer_use *next;
	uint64_t key, ino; /* of the base */
	const void *plan;
	size_t n_items;
	unsigned char items[]; /* not 0: counted */
};

#define CONTAINERS_BUCKETS 1024
#define CONTAINERS_MAX 16384 /* a guest can make very many name spaces */

struct containers {
	struct container *first;
	size_t n;
	struct container *buckets[CONTAINERS_BUCKETS]; /* by mount name space */
	uint64_t hostnames_next_ns; /* when to look for the first of those that are not decided */
	size_t freed; /* entries that those which went have left */
};

/* The container with this mount name space, or NULL. Borrowed. */
struct container *containers_find(const struct containers *containers, uint64_t mnt_ns);

/* One that is on no list, with one reference. NULL when out of memory. */
struct container *container_new(uint64_t mnt_ns);

/* Enters a new one, with the list's reference. Borrowed. NULL when out of memory, or CONTAINERS_MAX are there. */
struct container *containers_add(struct containers *containers, uint64_t mnt_ns);

/* Takes it off the list. Watches may still refer to it. */
void containers_remove(struct containers *containers, struct container *container);

void containers_clear(struct containers *containers);

struct container *container_ref(struct container *container);

/* Accepts NULL. Returns NULL. */
struct container *container_unref(struct container *container);

#endif
