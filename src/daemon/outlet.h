/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OUTLET_H
#define DAEMON_OUTLET_H

#include <stdbool.h>
#include <stdio.h>

#include "util/error.h"

/*
 * Where events are left: a file that grows, or standard output ("-"). An event is handed to the kernel before
 * the next one is taken from the guest, so a program that dies loses none. What cannot be written (a full disk) is
 * said once, and tried again with the next event.
 *
 * Several processes may have the same outlet: an event of at most OUTLET_LINE_MAX bytes is one write(2), which appends to a
 * regular file as a whole.
 */
#define OUTLET_LINE_MAX 65536

struct outlet {
	const char *path; /* borrowed */
	FILE *file;
	int lock; /* -1: this process has it for itself */
	bool failing;
};

/* A new file has mode 0640. */
int outlet_open(struct outlet *ret, const char *path, struct error *err);
void outlet_deinit(struct outlet *outlet);

/* Opens the path again, after log rotation. On error the old file stays. */
int outlet_reopen(struct outlet *outlet, struct error *err);

/*
 * Other processes write there too: where their events could mix with ours (in a pipe), each waits for the others, by a lock on
 * the file @lock_path.
 */
int outlet_share(struct outlet *outlet, const char *lock_path, struct error *err);

/* To be called when an event has been printed to outlet->file; not for one that is shared. */
void outlet_flush(struct outlet *outlet);

/* Writes an event: a line with its newline. */
void outlet_put(struct outlet *outlet, const char *text, size_t size);

#endif
