/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_TRAPS_H
#define SESSION_TRAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/*
 * The words that the guard stands on (sentry.h), watched at once where QEMU has a trap (vmm/trap.h): whoever writes there is held,
 * told of, and let go; what was changed is then put back as ever. Where there is no trap, or a page cannot be trapped, the
 * sentry's period is the promise.
 */
struct traps {
	int wake; /* eventfd: readable when traps_poll() has something; -1: no traps at all */
	bool in_force;
	char why_not[1024]; /* then; "" where nobody has asked for a trap */
	uint64_t generation; /* of the sentry's words */
	unsigned int left_out; /* pages that cannot be trapped here */
	unsigned int hot_told;
	uint64_t next_told_ns;
	struct traps_caught {
		uint64_t page;
		int vcpu; /* or -1 */
		uint64_t task; /* in the guest; 0: not known */
		bool told;
	} caught[8];
	size_t next_caught;
	uint64_t n_told, last_us, worst_us; /* from the write's being caught to its being told */
};

/* Once in a session's life, when it has a machine: while this process may still open what it takes. */
void traps_open(struct session *session);
void traps_deinit(struct traps *traps);

/* The guard is in place, and @session->sentry looks after it: sets the trap, if QEMU has one. */
void traps_begin(struct session *session);

/* The guard, or its kernel, is about to go. */
void traps_end(struct session *session);

/* The VM goes on, after it was stopped. */
void traps_resume(struct session *session);

/* To be called again and again, and when traps.wake is readable. Returns whether there was anything. */
bool traps_poll(struct session *session);

#endif
