/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ENTER_H
#define SESSION_ENTER_H

#include "session/session.h"

/* What one view is entered with. */
struct entering {
	struct session *session;
	struct container *container;
	const struct guard_view_record *record;
	const struct view *view;
	unsigned int where;
	bool first; /* the container's first */
	struct exceptions **exceptions; /* by rule */
	struct mounts {
		bool read;
		size_t n;
		struct mounted {
			uint64_t root_dentry;
			char *path; /* as the container sees it */
		} * list;
	} mounts;
};

/* Handles a view record (session->ring.copy): enters what a container's view resolved to. */
void enter_view(struct session *session);

/* Is the item's rule for this container, as far as that is known? */
bool enter_is_selected(const struct entering *entering, const struct plan_item *item);

/* A watch for an item in this container, not placed yet: for those of its rule's operations that are in @operations. */
struct watch enter_start_watch(const struct entering *entering, const struct plan_item *item,
			       enum watch_kind kind, uint32_t operations);

/* Adds it at a file or, with a pattern, at a base directory. The table is brought in line afterwards: watches_align(). */
void enter_place_watch(struct entering *entering, struct watch *watch,
		       const struct guard_identity *identity);

/* The same where the keys are set already. As watches_add(); a gap is told. */
int enter_watch(struct entering *entering, const struct watch *watch);

/*
 * The container that a process with this cgroup path lives in; entered when it is new. NULL when it lives in none.
 */
struct container *enter_container(struct session *session, const struct kernel_task *task,
				  const char *cgroup_path);

/*
 * Learns a container's host name from a process in it. Its runtime sets it after the start: until it differs from
 * the guest's own, it is not decided. Afterwards it stays, whatever the container does to it.
 */
void enter_hostname(struct session *session, struct container *container, uint32_t uts_ns,
		    const char *hostname);

/* Whether the policy's rules for host names can be judged for it; if not, reads it from the guest once more. */
bool enter_hostname_known(struct session *session, struct container *container);

#endif
