/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_DRIVE_H
#define DAEMON_DRIVE_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "session/session.h"
#include "util/error.h"

/*
 * Polls a session from an event loop, as often as is worth it: at once while there is something, each millisecond
 * while there was something lately or while a container may be waiting for its entries, else each four. A guest in which nothing happens, and
 * which may not ask for anything without starting a process, each ten.
 */
struct drive;

/* Called after each poll. It may end the loop, not free the drive. */
typedef void (*drive_after_t)(struct session *session, void *data);

/* @busy: never pause (lowest latency, a whole CPU). @event and @session must outlive it. */
int drive_new(struct drive **ret, sd_event *event, struct session *session, bool busy,
	      drive_after_t after, void *data, struct error *err);

/*
 * As sd_event_loop(), of the drive's event loop, until somebody ends it. Returns 0, or a negative errno. The loop may have descriptors and signals for
 * sources, no timers.
 */
int drive_loop(struct drive *drive);

/* Accepts NULL. Returns NULL. */
struct drive *drive_free(struct drive *drive);

#endif
