/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_TELL_H
#define SESSION_TELL_H

#include "session/session.h"

/* Says what a container is, for an event or a notice; asks the guest's memory what its engine calls it, now and then. */
void tell_container(struct session *session, struct event_container *to, struct container *from);

/* Who did it, as the record in session->ring says; @executable: offset of that text. */
void tell_process(const struct session *session, struct event_process *process,
		  const struct guard_process *from, uint16_t executable);

/*
 * Something about the guard itself, as a notice and in the log. @what is one of docs/EVENTS.md's words; @container may be NULL.
 */
void tell_notice(struct session *session, const char *what, enum policy_severity severity,
		 struct container *container, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Files that processes have open already, in a way that a rule would refuse or report now: each is an event, once. What is open
 * goes on working.
 */
void tell_open_files(struct session *session);

#endif
