/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_ASKER_H
#define DAEMON_ASKER_H

#include "daemon/client.h"
#include "daemon/roster.h"

/*
 * Clients with what their requests come to. A request goes to the keeper of one VM or to those of all, and the answers
 * are put together. A keeper that does not answer in time is said to be silent, and holds nobody up.
 */
#define ASKERS_MAX 64

struct asker;

struct askers {
	sd_event *event; /* all three borrowed */
	struct roster *roster;
	const struct history *history;
	struct asker *first;
	unsigned int n;
	uint64_t last_id;
};

/* Takes over the connection @fd; not so when -EBUSY says that ASKERS_MAX are there. */
int askers_add(struct askers *askers, int fd);

/* A keeper has answered @who. */
void askers_answer(struct askers *askers, struct vm *vm, uint64_t who, struct json_object *reply);

/* There is something new in the history. */
void askers_wake(struct askers *askers);

void askers_clear(struct askers *askers);

#endif
