/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_SYSTEM_CALLS_H
#define SESSION_SYSTEM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

struct session;

#define SYSTEM_CALLS_CPUS 64 /* that what was said of is remembered; of more, they share a place */

/* Where system calls enter the guest's kernel (MSR_LSTAR), which the guard looks at: see guard/system_calls.c. */
struct system_calls {
	uint64_t entry; /* where they should; 0: the guard does not look */
	bool asked; /* the guard has been told */
	uint64_t credit; /* records that a guard may have sent by now */
	uint64_t next_credit_ns;
	uint64_t wrong_ns; /* when one was last said to be left wrong; 0: none */
	struct {
		uint64_t found, seen_ns;
	} cpu[SYSTEM_CALLS_CPUS]; /* left wrong */
};

/* A guard has been put in place, or was found there. */
void system_calls_begin(struct session *session);

/* Tells it what to look for, once the guest has booted. */
void system_calls_poll(struct session *session, uint64_t now_ns);

/*
 * A record of type GUARD_RECORD_SYSTEM_CALLS: guest root's to forge. Told, with the answers to tampering; what is left as it is, once for each
 * CPU. More of them than a guard has time to find are none, and count as abuse.
 */
void system_calls_report(struct session *session, uint64_t now_ns);

/* Has nothing been found of late that was left as it is? */
bool system_calls_are_right(const struct session *session, uint64_t now_ns);

#endif
