/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ENTER_H
#define SESSION_ENTER_H

#include "session/session.h"

/* Handles a view record (session->ring.copy): enters what a container's view resolved to. */
void enter_view(struct session *session);

/*
 * The container that a process with these name spaces and cgroup path lives in; entered when it is new. NULL when
 * it lives in none.
 */
struct container *enter_container(struct session *session, uint64_t mnt_ns, uint32_t pid_ns,
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
