/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_GUEST_H
#define SESSION_GUEST_H

#include "session/enter.h"
#include "session/session.h"

/*
 * The guest itself, as far as the built-in rules (policy/integrity.h) watch over it: its own files are resolved as a container's are,
 * in the root of its first process; the kernel's own file systems and devices need no resolving.
 */

/* Makes session->guest, to be resolved by the next sweep. */
int guest_new(struct session *session, struct error *err);

/* The container with this mount name space, or the guest, or NULL. Borrowed. */
struct container *guest_or_container(const struct session *session, uint64_t mnt_ns);

/* Sends for its view, if it is wanted. */
void guest_ask(struct session *session);

/* Once its view has come: what needs none. */
void guest_enter_rest(struct entering *entering);

/* At every sweep: have disks been mounted, or unmounted? */
void guest_look_at_disks(struct session *session);

/* Enters a pseudo file system's path. */
void guest_enter_pseudo(struct entering *entering, const struct plan_item *item);

/* Writes what is refused and reported of attempts on the guest as a whole into the vault; @maintenance: see GUARD_MAINTENANCE. */
void guest_publish(const struct session *session);

#endif
