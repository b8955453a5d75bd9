/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_ROSTER_H
#define DAEMON_ROSTER_H

#include "daemon/vm.h"

/* The VMs of a daemon: who is attached, and what is to be done when a keeper has gone. */
struct roster {
	sd_event *event; /* borrowed */
	struct vm_owner owner; /* hears events and answers; its gone() is the roster's own */
	struct vm *first;
	unsigned int n;
	bool leaving;
};

/* owner.gone is not used. */
void roster_init(struct roster *roster, sd_event *event, const struct vm_owner *owner);

/* Kills the keepers that are left: the guards stay in the guests. */
void roster_deinit(struct roster *roster);

/* The VM of that name, or NULL. Borrowed. */
struct vm *roster_find(const struct roster *roster, const char *name);

/*
 * Starts to attach; the answer goes to @who. In place of a VM of that name that has ended; -EBUSY if it has not.
 * @stays: attach again whenever it has ended.
 */
int roster_attach(struct roster *roster, const struct control_request *request, uint64_t who,
		  bool stays, struct error *err);

/* Forgets a VM that has ended. */
void roster_remove(struct roster *roster, struct vm *vm);

/* Has all keepers open the events' file again, and load their policies again. */
void roster_reload(struct roster *roster);

/* Has all keepers leave; the event loop ends when they have. */
void roster_leave(struct roster *roster);

#endif
