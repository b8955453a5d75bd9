/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * The last events, of all VMs, numbered as they come. It is also the queue of everyone who follows them: a follower
 * holds the number of its next event, and one that is too slow finds that number gone.
 */
#define HISTORY_EVENTS 1000

struct history_event {
	char *json, *text; /* lines without their newlines */
	char vm[64];
};

struct history {
	struct history_event ring[HISTORY_EVENTS];
	uint64_t end; /* number of the next event */
};

/* Copies. What cannot be kept for lack of memory stands as an empty place. */
void history_add(struct history *history, const char *vm, const char *json, const char *text);
void history_deinit(struct history *history);

/* Number of the oldest event there is. */
uint64_t history_start(const struct history *history);

/* The event of that number if it is of @vm ("": of any); else, or when it is gone, NULL. */
const struct history_event *history_get(const struct history *history, uint64_t number,
					const char *vm);

/* Number from which there are @n events of @vm; the oldest when there are not so many. */
uint64_t history_last(const struct history *history, const char *vm, uint64_t n);

#endif
