/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_ACTOR_H
#define GUARD_ACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/* Who does it, as far as it is asked; looked up at the first that does ask. */
struct actor {
	bool known;
	uint32_t uid, generation;
	uint64_t super, ino; /* of the executable; 0: a kernel thread */
	uint64_t space;
	uint32_t whom; /* one of enum guard_whom; 0: not known yet */
};

/* Fills all but whom. May sleep. */
void actor_know(struct actor *actor);

/*
 * Does the current process live in a container, or come from one? It does if it has a pid name space of its own, which nobody leaves
 * for one above, if its mount name space is a container's, or if a cgroup that it is in is. May be called anywhere.
 */
enum guard_whom actor_whom(void);

#endif
