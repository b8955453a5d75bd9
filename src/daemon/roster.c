// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/roster.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"
#include "util/log.h"

#define MAX_VMS 256
#define RETRY_FIRST_US 100000 /* a keeper of a daemon that died may still be leaving */
#define RETRY_US 2000000
#define LONG_US 10000000
#define LEAVE_US 5000000

struct vm *roster_find(const struct roster *roster, const char *name)
{
	for (struct vm *vm = roster->first; vm; vm = vm->next) {
		if (strcmp(vm->name, name) == 0)
			return vm;
	}
	return NULL;
}

void roster_remove(struct roster *roster, struct vm *vm)
{
	for (struct vm **at = &roster->first; *at; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			roster->n--;
			vm_free(vm);
			return;
		}
	}
}

static void end_loop_if_done(struct roster *roster)
{
	for (struct vm *vm = roster->first; vm; vm = vm->next) {
		if (vm->state != VM_ENDED)
			return;
	}
	sd_event_exit(roster->event, 0);
}

/* Soon, if it had been up for a while; then less and less often, down to every two seconds. */
static void start_later(struct vm *vm)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000;

	if (!vm->retry_us || (vm->up_us && now - vm->up_us > LONG_US))
		vm->retry_us = RETRY_FIRST_US;
	vm->up_us = 0;
	vm_start_later(vm, vm->retry_us);
	vm->retry_us = vm->retry_us * 2 < RETRY_US ? vm->retry_us * 2 : RETRY_US;
}

static void on_gone(struct vm *vm, enum vm_end end, void *data)
{
	struct roster *roster = data;

	if (roster->leaving) {
		log_info("%s: left; the guard goes on refusing, the next outguardd adopts it",
			 vm->name);
		end_loop_if_done(roster);
		return;
	}
	switch (end) {
	case VM_END_REFUSED:
		/* Whoever asked has been told; a VM that stays may not have been started yet. */
		break;
	case VM_END_DETACHED:
		log_info("%s: detached", vm->name);
		break;
	case VM_END_OVER:
		log_info("%s: ended: %s", vm->name, vm->trouble);
		break;
	case VM_END_DIED:
		log_error("%s: %s; attaching again", vm->name, vm->trouble);
		vm->wait = true;
		break;
	}
	if (end == VM_END_DETACHED || (end == VM_END_REFUSED && !vm->stays && !vm->was_up))
		roster_remove(roster, vm);
	else if (end == VM_END_DIED || vm->stays)
		start_later(vm);
}

static void on_event(struct vm *vm, const char *json, const char *text, void *data)
{
	struct roster *roster = data;

	roster->owner.event(vm, json, text, roster->owner.data);
}

static void on_answer(struct vm *vm, uint64_t who, struct json_object *reply, void *data)
{
	struct roster *roster = data;

	roster->owner.answer(vm, who, reply, roster->owner.data);
}

void roster_init(struct roster *roster, sd_event *event, const struct vm_owner *owner)
{
	*roster = (struct roster){ .event = event, .owner = *owner };
}

void roster_deinit(struct roster *roster)
{
	while (roster->first)
		roster_remove(roster, roster->first);
}

int roster_attach(struct roster *roster, const struct control_request *request, uint64_t who,
		  bool stays, struct error *err)
{
	struct vm_owner owner = {
		.event = on_event,
		.answer = on_answer,
		.gone = on_gone,
		.data = roster,
		.events_path = roster->owner.events_path,
		.outlet_lock_path = roster->owner.outlet_lock_path,
		.user = roster->owner.user,
	};
	struct vm *vm = roster_find(roster, request->name);
	int r;

	if (vm && vm->state != VM_ENDED)
		return error_set(err, -EBUSY, "%s is guarded already; detach it first", vm->name);
	if (vm)
		roster_remove(roster, vm);
	if (roster->n == MAX_VMS)
		return error_set(err, -EBUSY, "%d VMs are attached; no more fit", MAX_VMS);
	vm = vm_new(request, roster->event, &owner);
	if (!vm)
		return error_set(err, -ENOMEM, "out of memory");
	vm->stays = stays;
	r = vm_start(vm, who, err);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	vm->next = roster->first;
	roster->first = vm;
	roster->n++;
	return 0;
}

void roster_reload(struct roster *roster)
{
	struct control_request request = { .verb = CONTROL_POLICY_LOAD };

	for (struct vm *vm = roster->first; vm; vm = vm->next) {
		vm_reopen(vm);
		strcpy(request.policy, vm->policy);
		if (vm->state == VM_UP && vm_ask(vm, 0, &request) < 0)
			log_error("%s has too much to do; its policy was not loaded again",
				  vm->name);
	}
}

static int on_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct roster *roster = data;

	(void)source;
	(void)usec;
	return sd_event_exit(roster->event, 0);
}

void roster_leave(struct roster *roster)
{
	if (roster->leaving)
		return;
	roster->leaving = true;
	sd_event_add_time_relative(roster->event, NULL, CLOCK_MONOTONIC, LEAVE_US, 0, on_late,
				   roster);
	for (struct vm *vm = roster->first; vm; vm = vm->next)
		vm_leave(vm);
	end_loop_if_done(roster);
}
