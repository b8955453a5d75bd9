/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_SWEEP_H
#define SESSION_SWEEP_H

#include "session/session.h"

/* Learns the guest's own name spaces and host name, from its first process. */
int sweep_guest(struct session *session, struct error *err);

/*
 * Walks the guest's processes: finds containers that are not known yet (and asks for their views), and lets go of
 * those that have had no process for a while. Sets when to do it next.
 */
void sweep_containers(struct session *session, uint64_t now_ns);

/*
 * Learns the host names of containers that have just started, as soon as their runtimes set them: before the container
 * can change its name, and so that the guard need not ask.
 */
void sweep_hostnames(struct session *session, uint64_t now_ns);

/* Asks for a container's view, by the next sweep, which comes at once. */
void sweep_ask_again(struct session *session, struct container *container);

/* Asks for the views of all known containers again, for another policy. */
void sweep_resolve_all(struct session *session);

/* A container is gone: lets go of all that is watched for it. */
void sweep_remove(struct session *session, struct container *container);

/* A super block is going: lets go of its entries, and of the containers whose root it was. */
void sweep_super(struct session *session, uint64_t super);

#endif
