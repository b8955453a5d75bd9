/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_VM_H
#define DAEMON_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "daemon/lines.h"

/*
 * The daemon's end of a keeper (keeper.h): starts it, asks it, and hears when it is gone. Nothing here blocks, nor
 * believes that the keeper answers.
 */
enum vm_state {
	VM_STARTING, /* the keeper attaches */
	VM_UP,
	VM_ENDED, /* there is no keeper */
};

enum vm_end { /* why a keeper has gone */
	VM_END_REFUSED, /* it could not attach: vm->trouble */
	VM_END_DETACHED,
	VM_END_OVER, /* QEMU is gone, or the guest powered off */
	VM_END_DIED, /* the keeper was killed, or left without being told: the guard is still in the guest */
};

struct vm;

struct vm_owner {
	void (*event)(struct vm *vm, const char *json, const char *text, void *data);
	/* @who asked; nobody if 0. The owner may not free the VM here. */
	void (*answer)(struct vm *vm, uint64_t who, struct json_object *reply, void *data);
	void (*gone)(struct vm *vm, enum vm_end end,
		     void *data); /* the last call; may free the VM */
	void *data;
	/* For keepers to leave events at; borrowed: see keeper.h. */
	const char *events_path, *outlet_lock_path;
	const char *user; /* for keepers to become: see sandbox.h; borrowed */
};

struct vm {
	struct vm *next; /* the owner's */
	char name[CONTROL_NAME_MAX], qmp[CONTROL_QMP_MAX], policy[CONTROL_PATH_MAX];
	bool wait; /* for a guest that boots */
	bool allow_partial;
	bool hot_plug; /* our devices, if they are not there */
	bool stays; /* attach again whenever it has ended */
	char trouble[1024]; /* why it has ended */
	char told[1024]; /* the owner's */
	uint64_t retry_us; /* the owner's */
	uint64_t up_us; /* since when it is up, on CLOCK_MONOTONIC */
	bool was_up;
	enum vm_state state;

	sd_event *event; /* borrowed */
	struct vm_owner owner;
	pid_t keeper;
	struct lines *channel;
	int warrants; /* to its porter, which may open the policies named there; -1: none */
	sd_event_source *io, *retry;
	struct vm_ask *asks, **asks_end; /* in the order of the answers */
	struct json_object *last; /* what the keeper said of itself at the end */
	bool leaving; /* detach was asked for */
};

/* Takes name, qmp, policy and the options from an attach request. NULL when out of memory. */
struct vm *vm_new(const struct control_request *request, sd_event *event,
		  const struct vm_owner *owner);

/* Kills the keeper if there is one. Accepts NULL. Returns NULL. */
struct vm *vm_free(struct vm *vm);

/* Starts a keeper. The answer comes when it has attached, or could not. */
int vm_start(struct vm *vm, uint64_t who, struct error *err);

/* The same in @us microseconds, for nobody. */
void vm_start_later(struct vm *vm, uint64_t us);

/* Passes a request on. -EBUSY when the keeper is not up, or too far behind. */
int vm_ask(struct vm *vm, uint64_t who, const struct control_request *request);

/* @who will not be there to hear the answers. Returns whether any were due. */
bool vm_forget(struct vm *vm, uint64_t who);

/* Tells the keeper to leave; gone() follows. */
void vm_leave(struct vm *vm);

/* Has the keeper open the events' file again. */
void vm_reopen(struct vm *vm);

/* What is known of it without asking; the caller's. */
struct json_object *vm_facts(const struct vm *vm);

#endif
