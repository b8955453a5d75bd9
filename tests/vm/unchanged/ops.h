/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNCHANGED_OPS_H
#define UNCHANGED_OPS_H

#include "worker.h"

struct op {
	void (*function)(struct worker *w);
	unsigned int weight;
	bool own_only; /* what it tells may depend on what others do in the same directory */
};

/* Each list ends with an empty one. */
extern const struct op ops_open[]; /* open in all ways; what is done with descriptors */
extern const struct op ops_names[]; /* making, linking, renaming and removing names */
extern const struct op ops_metadata[]; /* owners, modes, times, attributes */
extern const struct op ops_mappings[]; /* mmap */
extern const struct op ops_processes[]; /* exec, chroot, other credentials, mounts */
extern const struct op ops_exchange[]; /* sockets, io_uring, aio, memfd, inotify */

/* One random operation, numbered. */
void run_op(struct worker *w);

#endif
