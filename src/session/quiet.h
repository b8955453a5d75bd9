/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_QUIET_H
#define SESSION_QUIET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Does anything happen in the guest? A container's start, which waits for the host to enter its files, has to start processes long before it
 * comes to that (a shim, a runtime, the runtime in its new name spaces). So as long as the kernel has started none, nobody waits who
 * would notice whether he is asked after each four milliseconds or each ten. It is the guest's word: who forges it waits longer, or has us look
 * as often as in a guest that is busy.
 */
struct quiet {
	uint64_t forks, since_ns;
};

#define QUIET_NS 1000000000ULL /* so long without one */

/* @forks: how many processes there have been so far. Is it quiet? To be called again and again. */
bool quiet_look(struct quiet *quiet, uint64_t forks, uint64_t now_ns);

#endif
