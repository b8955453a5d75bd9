// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/asker.h"

#include <errno.h>
#include <string.h>

#include "policy/policy.h"
#include "util/log.h"

#define STATUS_US 2000000
#define OTHER_US 60000000

struct asker {
	struct asker *next;
	struct askers *askers;
	struct client *client;
	unsigned int n_due; /* answers */
	struct json_object *vms; /* that answered */
	struct json_object *refusal; /* the first */
};

DEFINE_CLEANUP(struct policy *, policy_free)

/* Answers */

static struct asker *find_asker(const struct askers *askers, uint64_t id)
{
	for (struct asker *asker = askers->first; asker; asker = asker->next) {
		if (client_id(asker->client) == id)
			return asker;
	}
	return NULL;
}

static bool is_for_many(const struct asker *asker)
{
	enum control_verb verb = client_request(asker->client)->verb;

	return verb == CONTROL_STATUS || verb == CONTROL_POLICY_LOAD;
}

static void finish(struct asker *asker)
{
	struct json_object *reply = TAKE_PTR(asker->refusal);

	if (!reply)
		reply = control_done();
	if (is_for_many(asker) && asker->vms)
		json_object_object_add(reply, "vms", TAKE_PTR(asker->vms));
	json_object_put(asker->vms);
	asker->vms = NULL;
	client_reply(asker->client, reply);
}

static void collect(struct asker *asker, struct vm *vm, struct json_object *reply)
{
	struct error err;
	bool good = control_outcome(reply, &err) == OUTCOME_DONE;

	if (client_request(asker->client)->verb == CONTROL_STATUS && !good)
		json_object_array_add(asker->vms, vm_facts(vm));
	else if (good)
		json_object_array_add(asker->vms,
				      json_object_get(json_object_object_get(reply, "vm")));
	else if (!asker->refusal)
		asker->refusal = json_object_get(reply);
}

void askers_answer(struct askers *askers, struct vm *vm, uint64_t who, struct json_object *reply)
{
	struct asker *asker = who ? find_asker(askers, who) : NULL;
	struct error err = { 0 };
	bool good = control_outcome(reply, &err) == OUTCOME_DONE;

	if (!asker) {
		/* Of a VM that is tried again and again, once. */
		if (!good && strcmp(vm->told, err.message) != 0)
			log_warning("%s: %s", vm->name, err.message);
		strcpy(vm->told, good ? "" : err.message);
		return;
	}
	if (!is_for_many(asker)) {
		client_reply(asker->client, json_object_get(reply));
		return;
	}
	if (good && client_request(asker->client)->verb == CONTROL_POLICY_LOAD)
		strcpy(vm->policy, client_request(asker->client)->policy);
	collect(asker, vm, reply);
	if (--asker->n_due == 0)
		finish(asker);
}

/* Requests */

static void refuse(struct asker *asker, enum outcome outcome, const struct error *err)
{
	client_reply(asker->client, control_refused(outcome, "%s", err->message));
}

static void attach(struct asker *asker, const struct control_request *request)
{
	struct error err = { 0 };
	int r = roster_attach(asker->askers->roster, request, client_id(asker->client), false,
			      &err);

	if (r < 0)
		refuse(asker, outcome_of(r), &err);
}

/* The named VM if it is up; else says so to the client. */
static struct vm *need_vm(struct asker *asker, const char *name)
{
	struct vm *vm = roster_find(asker->askers->roster, name);

	if (vm && vm->state == VM_UP)
		return vm;
	client_reply(asker->client,
		     !vm ? control_refused(OUTCOME_NO_VM, "no VM called %s is attached", name)
		     : vm->state == VM_STARTING
			     ? control_refused(OUTCOME_BUSY, "%s is being attached", name)
			     : control_refused(OUTCOME_NO_VM, "%s has ended: %s", name,
					       vm->trouble));
	return NULL;
}

static void ask_one(struct asker *asker, struct vm *vm, const struct control_request *request)
{
	if (vm_ask(vm, client_id(asker->client), request) < 0)
		client_reply(asker->client,
			     control_refused(OUTCOME_BUSY, "%s has too much to do", vm->name));
}

static void detach(struct asker *asker, const struct control_request *request)
{
	struct vm *vm = roster_find(asker->askers->roster, request->name);

	if (vm && vm->state == VM_ENDED) {
		roster_remove(asker->askers->roster, vm);
		client_reply(asker->client, control_done());
		return;
	}
	vm = need_vm(asker, request->name);
	if (vm)
		ask_one(asker, vm, request);
}

static void profile(struct asker *asker, const struct control_request *request)
{
	struct vm *vm = need_vm(asker, request->name);

	if (vm)
		ask_one(asker, vm, request);
}

/* Asks all VMs that the request is for, and are up; what is known of the others is status enough. */
static void ask_many(struct asker *asker, const struct control_request *request)
{
	bool status = request->verb == CONTROL_STATUS;

	asker->vms = json_object_new_array();
	for (struct vm *vm = asker->askers->roster->first; vm; vm = vm->next) {
		if (*request->name && strcmp(request->name, vm->name) != 0)
			continue;
		if (vm_ask(vm, client_id(asker->client), request) == 0)
			asker->n_due++;
		else if (status)
			json_object_array_add(asker->vms, vm_facts(vm));
	}
	if (!asker->n_due)
		finish(asker);
	else
		client_deadline(asker->client, status ? STATUS_US : OTHER_US);
}

static void status(struct asker *asker, const struct control_request *request)
{
	if (*request->name && !roster_find(asker->askers->roster, request->name))
		client_reply(asker->client,
			     control_refused(OUTCOME_NO_VM, "no VM called %s is attached",
					     request->name));
	else
		ask_many(asker, request);
}

static void load_policy(struct asker *asker, const struct control_request *request)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct error err = { 0 };
	int r;

	if (*request->name && !need_vm(asker, request->name))
		return;
	r = policy_load(&policy, request->policy, &err);
	if (r < 0)
		refuse(asker, outcome_of_policy(r), &err);
	else
		ask_many(asker, request);
}

static void maintenance(struct asker *asker, const struct control_request *request)
{
	struct vm *vm = need_vm(asker, request->name);

	if (vm)
		ask_one(asker, vm, request);
}

static void follow(struct asker *asker, const struct control_request *request)
{
	if (*request->name && !roster_find(asker->askers->roster, request->name))
		client_reply(asker->client,
			     control_refused(OUTCOME_NO_VM, "no VM called %s is attached",
					     request->name));
	else
		client_follow(asker->client);
}

static void on_request(struct client *client, const struct control_request *request, void *data)
{
	static void (*const handlers[])(struct asker *, const struct control_request *) = {
		[CONTROL_ATTACH] = attach,	     [CONTROL_DETACH] = detach,
		[CONTROL_STATUS] = status,	     [CONTROL_EVENTS] = follow,
		[CONTROL_PROFILE] = profile,	     [CONTROL_POLICY_LOAD] = load_policy,
		[CONTROL_MAINTENANCE] = maintenance,
	};

	_Static_assert(ARRAY_SIZE(handlers) == CONTROL_N_VERBS, "each verb has a handler");
	(void)client;
	handlers[request->verb](data, request);
}

/* Clients */

static void on_late(struct client *client, void *data)
{
	struct asker *asker = data;
	bool status_asked = client_request(client)->verb == CONTROL_STATUS;

	for (struct vm *vm = asker->askers->roster->first; vm; vm = vm->next) {
		if (!vm_forget(vm, client_id(client)))
			continue;
		if (status_asked)
			json_object_array_add(asker->vms, vm_facts(vm));
		else if (!asker->refusal)
			asker->refusal =
				control_refused(OUTCOME_BUSY, "%s does not answer", vm->name);
	}
	asker->n_due = 0;
	finish(asker);
}

static void remove_asker(struct asker *asker)
{
	struct askers *askers = asker->askers;

	for (struct asker **at = &askers->first; *at; at = &(*at)->next) {
		if (*at == asker) {
			*at = asker->next;
			break;
		}
	}
	for (struct vm *vm = asker->askers->roster->first; vm; vm = vm->next)
		vm_forget(vm, client_id(asker->client));
	client_free(asker->client);
	json_object_put(asker->vms);
	json_object_put(asker->refusal);
	free(asker);
	askers->n--;
}

static void on_client_gone(struct client *client, void *data)
{
	struct asker *asker = data;

	(void)client;
	remove_asker(asker);
}

int askers_add(struct askers *askers, int fd)
{
	struct asker *asker;
	struct client_owner owner = { on_request, on_late, on_client_gone, NULL };

	if (askers->n == ASKERS_MAX)
		return -EBUSY;
	asker = calloc(1, sizeof(*asker));
	if (!asker) {
		close(fd);
		return -ENOMEM;
	}
	owner.data = asker;
	asker->askers = askers;
	asker->client = client_new(fd, ++askers->last_id, askers->event, askers->history, &owner);
	if (!asker->client) {
		free(asker);
		return -ENOMEM;
	}
	asker->next = askers->first;
	askers->first = asker;
	askers->n++;
	return 0;
}

void askers_wake(struct askers *askers)
{
	for (struct asker *asker = askers->first; asker; asker = asker->next)
		client_wake(asker->client);
}

void askers_clear(struct askers *askers)
{
	while (askers->first)
		remove_asker(askers->first);
}
