// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client asks for goes to the keepers of one VM or of all, and their answers are put together. A keeper that
 * does not answer in time is said to be silent, and holds nobody up.
 */
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/client.h"
#include "daemon/history.h"
#include "daemon/outlet.h"
#include "daemon/vm.h"
#include "policy/policy.h"
#include "util/log.h"

#define MAX_CLIENTS 64
#define MAX_VMS 256
#define RETRY_US 2000000
#define LEAVE_US 5000000
#define STATUS_US 2000000
#define OTHER_US 60000000

struct asker { /* a client, and what its request has come to */
	struct asker *next;
	struct server *server;
	struct client *client;
	unsigned int n_due; /* answers */
	struct json_object *vms; /* that answered */
	struct json_object *refusal; /* the first */
};

struct server {
	sd_event *event;
	const char *socket_path;
	int lock, listener;
	sd_event_source *accept, *deadline;
	struct outlet outlet;
	struct history *history;
	struct vm *vms;
	struct asker *askers;
	unsigned int n_vms, n_clients;
	uint64_t last_id;
	bool stopping;
};

DEFINE_CLEANUP(struct policy *, policy_free)
DEFINE_CLEANUP(struct server *, server_free)

/* VMs */

static struct vm *find_vm(const struct server *server, const char *name)
{
	for (struct vm *vm = server->vms; vm; vm = vm->next) {
		if (strcmp(vm->name, name) == 0)
			return vm;
	}
	return NULL;
}

static void remove_vm(struct server *server, struct vm *vm)
{
	for (struct vm **at = &server->vms; *at; at = &(*at)->next) {
		if (*at == vm) {
			*at = vm->next;
			server->n_vms--;
			vm_free(vm);
			return;
		}
	}
}

static void on_event(struct vm *vm, const char *json, const char *text, void *data)
{
	struct server *server = data;

	if (server->outlet.file) {
		fprintf(server->outlet.file, "%s\n", json);
		outlet_flush(&server->outlet);
	}
	history_add(server->history, vm->name, json, text);
	for (struct asker *asker = server->askers; asker; asker = asker->next)
		client_wake(asker->client);
}

static void end_loop_if_done(struct server *server)
{
	for (struct vm *vm = server->vms; vm; vm = vm->next) {
		if (vm->state != VM_ENDED)
			return;
	}
	sd_event_exit(server->event, 0);
}

static void on_gone(struct vm *vm, enum vm_end end, void *data)
{
	struct server *server = data;

	if (server->stopping) {
		log_info("%s: left; the guard goes on refusing, the next outguardd adopts it",
			 vm->name);
		end_loop_if_done(server);
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
		remove_vm(server, vm);
	else if (end == VM_END_DIED || vm->stays)
		vm_start_later(vm, RETRY_US);
}

/* Answers */

static struct asker *find_asker(const struct server *server, uint64_t id)
{
	for (struct asker *asker = server->askers; asker; asker = asker->next) {
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

static void on_answer(struct vm *vm, uint64_t who, struct json_object *reply, void *data)
{
	struct asker *asker = who ? find_asker(data, who) : NULL;
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

static struct vm_owner vm_owner(struct server *server)
{
	return (struct vm_owner){ on_event, on_answer, on_gone, server };
}

/* Requests */

static void refuse(struct asker *asker, enum outcome outcome, const struct error *err)
{
	client_reply(asker->client, control_refused(outcome, "%s", err->message));
}

static int start_vm(struct server *server, const struct control_request *request, uint64_t who,
		    bool stays, struct error *err)
{
	struct vm_owner owner = vm_owner(server);
	struct vm *vm = find_vm(server, request->name);
	int r;

	if (vm && vm->state != VM_ENDED)
		return error_set(err, -EBUSY, "%s is guarded already; detach it first", vm->name);
	if (vm)
		remove_vm(server, vm);
	if (server->n_vms == MAX_VMS)
		return error_set(err, -EBUSY, "%d VMs are attached; no more fit", MAX_VMS);
	vm = vm_new(request, server->event, &owner);
	if (!vm)
		return error_set(err, -ENOMEM, "out of memory");
	vm->stays = stays;
	r = vm_start(vm, who, err);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	vm->next = server->vms;
	server->vms = vm;
	server->n_vms++;
	return 0;
}

static void attach(struct asker *asker, const struct control_request *request)
{
	struct error err = { 0 };
	int r = start_vm(asker->server, request, client_id(asker->client), false, &err);

	if (r < 0)
		refuse(asker, outcome_of(r), &err);
}

/* The named VM if it is up; else says so to the client. */
static struct vm *need_vm(struct asker *asker, const char *name)
{
	struct vm *vm = find_vm(asker->server, name);

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
	struct vm *vm = find_vm(asker->server, request->name);

	if (vm && vm->state == VM_ENDED) {
		remove_vm(asker->server, vm);
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
	for (struct vm *vm = asker->server->vms; vm; vm = vm->next) {
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
	if (*request->name && !find_vm(asker->server, request->name))
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

static void follow(struct asker *asker, const struct control_request *request)
{
	if (*request->name && !find_vm(asker->server, request->name))
		client_reply(asker->client,
			     control_refused(OUTCOME_NO_VM, "no VM called %s is attached",
					     request->name));
	else
		client_follow(asker->client);
}

static void on_request(struct client *client, const struct control_request *request, void *data)
{
	static void (*const handlers[])(struct asker *, const struct control_request *) = {
		[CONTROL_ATTACH] = attach,   [CONTROL_DETACH] = detach,
		[CONTROL_STATUS] = status,   [CONTROL_EVENTS] = follow,
		[CONTROL_PROFILE] = profile, [CONTROL_POLICY_LOAD] = load_policy,
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

	for (struct vm *vm = asker->server->vms; vm; vm = vm->next) {
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

static void remove_asker(struct server *server, struct asker *asker)
{
	for (struct asker **at = &server->askers; *at; at = &(*at)->next) {
		if (*at == asker) {
			*at = asker->next;
			break;
		}
	}
	for (struct vm *vm = server->vms; vm; vm = vm->next)
		vm_forget(vm, client_id(asker->client));
	client_free(asker->client);
	json_object_put(asker->vms);
	json_object_put(asker->refusal);
	free(asker);
	server->n_clients--;
}

static void on_client_gone(struct client *client, void *data)
{
	struct asker *asker = data;

	(void)client;
	remove_asker(asker->server, asker);
}

/* The socket's mode says who may connect; root, or who runs the daemon, may ask. */
static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void turn_away(int fd, const char *why)
{
	_cleanup_(json_object_putp) struct json_object *reply =
		control_refused(OUTCOME_FAILED, "%s", why);
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", control_text(reply, NULL));

	if (send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a client was turned away, and had gone");
	close(fd);
}

static void add_client(struct server *server, int fd)
{
	struct asker *asker = calloc(1, sizeof(*asker));
	struct client_owner owner = { on_request, on_late, on_client_gone, asker };

	if (!asker) {
		close(fd);
		return;
	}
	asker->server = server;
	asker->client = client_new(fd, ++server->last_id, server->event, server->history, &owner);
	if (!asker->client) {
		free(asker);
		return;
	}
	asker->next = server->askers;
	server->askers = asker;
	server->n_clients++;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)source;
	(void)events;
	if (client < 0)
		return 0;
	if (!may_ask(client))
		turn_away(client, "outguardd answers root only");
	else if (server->n_clients == MAX_CLIENTS)
		turn_away(client, "too many clients are connected to outguardd; try again");
	else
		add_client(server, client);
	return 0;
}

/* The server */

static int make_directory(const char *socket_path, struct error *err)
{
	_cleanup_(freep) char *directory = strdup(socket_path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s; run as root", directory,
				 strerror(errno));
	return 0;
}

/* A socket that is left from a daemon that died may be replaced; one that somebody listens at not. */
static int take_lock(struct server *server, struct error *err)
{
	_cleanup_(freep) char *path = NULL;

	if (asprintf(&path, "%s.lock", server->socket_path) < 0) {
		path = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	server->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (server->lock < 0)
		return error_set(err, -errno, "cannot make %s: %s; run as root", path,
				 strerror(errno));
	if (flock(server->lock, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EBUSY, "another outguardd is at %s", server->socket_path);
	return 0;
}

static int listen_at(struct server *server, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = server->socket_path;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG, "%s: give a path of at most %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	unlink(path);
	if (bind(server->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, 0660) < 0 || listen(server->listener, MAX_CLIENTS) < 0)
		return error_set(err, -errno, "cannot listen at %s: %s", path, strerror(errno));
	return 0;
}

int server_new(struct server **ret, sd_event *event, const struct server_config *config,
	       struct error *err)
{
	_cleanup_(server_freep) struct server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	server->event = event;
	server->socket_path = config->socket_path;
	server->lock = server->listener = -1;
	server->history = calloc(1, sizeof(*server->history));
	if (!server->history)
		return error_set(err, -ENOMEM, "out of memory");
	r = config->events_path ? outlet_open(&server->outlet, config->events_path, err) : 0;
	if (r == 0)
		r = make_directory(server->socket_path, err);
	if (r == 0)
		r = take_lock(server, err);
	if (r == 0)
		r = listen_at(server, err);
	if (r < 0)
		return r;
	r = sd_event_add_io(event, &server->accept, server->listener, EPOLLIN, on_connection,
			    server);
	if (r < 0)
		return error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(server);
	return 0;
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	sd_event_source_disable_unref(server->accept);
	sd_event_source_disable_unref(server->deadline);
	while (server->askers)
		remove_asker(server, server->askers);
	while (server->vms)
		remove_vm(server, server->vms);
	if (server->listener >= 0) {
		unlink(server->socket_path);
		close(server->listener);
	}
	closep(&server->lock);
	outlet_deinit(&server->outlet);
	if (server->history)
		history_deinit(server->history);
	free(server->history);
	free(server);
	return NULL;
}

int server_add(struct server *server, const struct control_request *request, struct error *err)
{
	return start_vm(server, request, 0, true, err);
}

void server_reload(struct server *server)
{
	struct control_request request = { .verb = CONTROL_POLICY_LOAD };
	struct error err = { 0 };

	if (outlet_reopen(&server->outlet, &err) < 0)
		log_error("%s; the old file stays", err.message);
	for (struct vm *vm = server->vms; vm; vm = vm->next) {
		strcpy(request.policy, vm->policy);
		if (vm->state == VM_UP && vm_ask(vm, 0, &request) < 0)
			log_error("%s has too much to do; its policy was not loaded again",
				  vm->name);
	}
}

static int on_stop_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct server *server = data;

	(void)source;
	(void)usec;
	return sd_event_exit(server->event, 0);
}

void server_stop(struct server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	sd_event_add_time_relative(server->event, &server->deadline, CLOCK_MONOTONIC, LEAVE_US, 0,
				   on_stop_late, server);
	for (struct vm *vm = server->vms; vm; vm = vm->next)
		vm_leave(vm);
	end_loop_if_done(server);
}
