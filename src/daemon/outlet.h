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
 */
struct outlet {
	const char *path; /* borrowed */
	FILE *file;
	bool failing;
};

/* A new file has mode 0640. */
int outlet_open(struct outlet *ret, const char *path, struct error *err);
void outlet_deinit(struct outlet *outlet);

/* Opens the path again, after log rotation. On error the old file stays. */
int outlet_reopen(struct outlet *outlet, struct error *err);

/* To be called when an event has been printed to outlet->file. */
void outlet_flush(struct outlet *outlet);

#endif
