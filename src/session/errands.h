/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ERRANDS_H
#define SESSION_ERRANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/*
 * Roots that the guard is asked to resolve: those of containers that run already. A few at a time; the guard gets to
 * them within about a second. Each is answered by view records that carry its id.
 */
struct errand {
	uint64_t id;
	uint32_t pid; /* a process of the container, in the guest */
	uint64_t task; /* its address */
	uint64_t mnt_ns; /* the container */
	bool sent;
};

struct errands {
	struct errand *list;
	size_t n, room, n_sent;
	uint64_t last_id;
	uint64_t sent_ns; /* when the current batch was */
};

/* A batch that is not answered by then is given up: the guard is stuck, or the guest stands still. */
#define ERRANDS_PATIENCE_NS 15000000000ULL

int errands_add(struct errands *errands, uint32_t pid, uint64_t task, uint64_t mnt_ns);

/* Sends a batch if none is out. */
void errands_send(struct errands *errands, struct guard_vault *vault, uint64_t now_ns);

/* Is there an errand of that id out? Copies it. */
bool errands_find(const struct errands *errands, uint64_t id, struct errand *ret);

/* It has been answered. */
void errands_done(struct errands *errands, uint64_t id);

/* One that was sent too long ago, taken off the list. */
bool errands_overdue(struct errands *errands, uint64_t now_ns, struct errand *ret);

bool errands_are_done(const struct errands *errands);

/* Forgets all. Their ids are not used again: an answer may still be under way. */
void errands_clear(struct errands *errands);

#endif
