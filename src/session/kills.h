/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_KILLS_H
#define SESSION_KILLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/*
 * Containers all of whose processes are to be killed. The host picks the processes from the guest's list of tasks, and the guard, in a
 * kworker that looks once a second, kills them; then the host looks again, until there are none. A container's first process
 * comes first: with its pid name space, all others go at once.
 */
#define KILLS_MAX 16 /* containers at once */
#define KILLS_ROUNDS 40
#define KILLS_PATIENCE_NS 5000000000ULL /* for one round: the guest stands still, or lies */

struct kill_order {
	uint64_t mnt_ns;
	char id[72];
	unsigned int rounds;
	uint64_t n_killed;
};

struct kills {
	struct kill_order order[KILLS_MAX];
	size_t n;
	bool sent; /* a round of the first is out */
	uint64_t last, sent_ns;
};

/* The container with this mount name space. Returns whether it is an order now; false also when it was one already, or is none. */
bool kills_add(struct session *session, uint64_t mnt_ns);

/* Goes on with the first of them. Tells when one is done, or cannot be. */
void kills_poll(struct session *session, uint64_t now_ns);

#endif
