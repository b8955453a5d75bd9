// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/keeper.h"
#include "daemon/sandbox.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define KEEPER_FD 3
#define WARRANTS_FD 4
#define KEEPER_LINE_MAX (8u << 20) /* the status of very many containers */

struct vm_ask {
	struct vm_ask *next;
	uint64_t who;
	enum control_verb verb;
};

struct vm *vm_new(const struct control_request *request, sd_event *event,
		  const struct vm_owner *owner)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	memcpy(vm->name, request->name, sizeof(vm->name));
	memcpy(vm->qmp, request->qmp, sizeof(vm->qmp));
	memcpy(vm->policy, request->policy, sizeof(vm->policy));
	vm->wait = request->wait;
	vm->allow_partial = request->allow_partial;
	vm->hot_plug = request->hot_plug;
	vm->state = VM_ENDED;
	vm->warrants = -1;
	vm->event = event;
	vm->owner = *owner;
	vm->asks_end = &vm->asks;
	return vm;
}

/* Returns the process's status, as of waitpid(2). */
static int reap(struct vm *vm)
{
	int status = 0;

	/* One that has closed its socket is about to end; it is not asked to agree. */
	kill(vm->keeper, SIGKILL);
	while (waitpid(vm->keeper, &status, 0) < 0 && errno == EINTR)
		;
	vm->keeper = 0;
	return status;
}

struct vm *vm_free(struct vm *vm)
{
	if (!vm)
		return NULL;
	sd_event_source_disable_unref(vm->io);
	sd_event_source_disable_unref(vm->retry);
	lines_free(vm->channel);
	closep(&vm->warrants);
	if (vm->keeper)
		reap(vm);
	while (vm->asks) {
		struct vm_ask *ask = vm->asks;

		vm->asks = ask->next;
		free(ask);
	}
	json_object_put(vm->last);
	free(vm);
	return NULL;
}

static int expect(struct vm *vm, uint64_t who, enum control_verb verb)
{
	struct vm_ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return -ENOMEM;
	ask->who = who;
	ask->verb = verb;
	*vm->asks_end = ask;
	vm->asks_end = &ask->next;
	return 0;
}

static void answer(struct vm *vm, struct json_object *reply)
{
	struct vm_ask *ask = vm->asks;

	if (!ask)
		return;
	vm->asks = ask->next;
	if (!vm->asks)
		vm->asks_end = &vm->asks;
	vm->owner.answer(vm, ask->who, reply, vm->owner.data);
	free(ask);
}

static void on_reply(struct vm *vm, const char *line, size_t size)
{
	_cleanup_(json_object_putp) struct json_object *reply = control_object(line, size);
	struct error err = { 0 };
	enum outcome outcome;

	if (!reply || !vm->asks)
		return; /* no keeper of ours says so */
	outcome = control_outcome(reply, &err);
	if (vm->asks->verb == CONTROL_ATTACH) {
		vm->was_up |= outcome == OUTCOME_DONE;
		if (outcome == OUTCOME_DONE) {
			vm->state = VM_UP;
			vm->up_us = clock_ns(CLOCK_MONOTONIC) / 1000;
		} else {
			snprintf(vm->trouble, sizeof(vm->trouble), "%s", err.message);
		}
	} else if (vm->asks->verb == CONTROL_DETACH) {
		vm->leaving = true;
	}
	answer(vm, reply);
}

static void on_line(struct vm *vm, char *line, size_t size)
{
	char *text;

	switch (*line) {
	case 'R':
		on_reply(vm, line + 1, size - 1);
		break;
	case 'E':
		text = strchr(line, '\t');
		if (!text)
			break;
		*text++ = '\0';
		vm->owner.event(vm, line + 1, text, vm->owner.data);
		break;
	case 'X':
		json_object_put(vm->last);
		vm->last = control_object(line + 1, size - 1);
		break;
	}
}

static void say_death(struct vm *vm, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == SANDBOX_VIOLATION)
		snprintf(vm->trouble, sizeof(vm->trouble),
			 "its keeper made a system call that no keeper makes, and was ended; the "
			 "guard in the guest goes on refusing");
	else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		snprintf(vm->trouble, sizeof(vm->trouble),
			 "its keeper was killed by signal %d; the guard in the guest goes on "
			 "refusing",
			 WTERMSIG(status));
	else
		snprintf(vm->trouble, sizeof(vm->trouble),
			 "its keeper has left; the guard in the guest goes on refusing");
}

static bool is_over(const struct vm *vm)
{
	struct json_object *state = json_object_object_get(vm->last, "state");

	return state && strcmp(json_object_get_string(state), "ended") == 0;
}

static enum vm_end judge_end(struct vm *vm, int status)
{
	if (vm->state == VM_STARTING && *vm->trouble)
		return VM_END_REFUSED;
	if (vm->leaving)
		return VM_END_DETACHED;
	if (is_over(vm)) {
		snprintf(vm->trouble, sizeof(vm->trouble),
			 "QEMU is gone, or the guest powered off");
		return VM_END_OVER;
	}
	say_death(vm, status);
	return VM_END_DIED;
}

static void on_gone(struct vm *vm)
{
	enum vm_end end = judge_end(vm, reap(vm));

	vm->io = sd_event_source_disable_unref(vm->io);
	vm->channel = lines_free(vm->channel);
	closep(&vm->warrants);
	vm->warrants = -1;
	vm->state = VM_ENDED;
	while (vm->asks) {
		_cleanup_(json_object_putp) struct json_object *reply =
			control_refused(OUTCOME_FAILED, "%s: %s", vm->name,
					*vm->trouble ? vm->trouble : "it has left");

		answer(vm, reply);
	}
	vm->owner.gone(vm, end, vm->owner.data);
}

static int on_keeper(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct vm *vm = data;
	size_t size;
	char *line;
	int r;

	(void)source;
	(void)fd;
	if (events & EPOLLOUT && lines_flush(vm->channel) == 0 && !lines_queued(vm->channel))
		sd_event_source_set_io_events(vm->io, EPOLLIN);
	r = lines_fill(vm->channel);
	while ((line = lines_next(vm->channel, &size)))
		on_line(vm, line, size);
	if (r < 0)
		on_gone(vm);
	return 0;
}

/* In the new process: nothing of the daemon's stays open but the channel. */
static void be_keeper(const struct vm *vm, int fd, int warrants)
{
	struct keeper_config config = {
		.name = vm->name,
		.qmp_path = vm->qmp,
		.policy_path = vm->policy,
		.events_path = vm->owner.events_path,
		.outlet_lock_path = vm->owner.outlet_lock_path,
		.user = vm->owner.user,
		.warrants = WARRANTS_FD,
		.wait = vm->wait,
		.allow_partial = vm->allow_partial,
		.hot_plug = vm->hot_plug,
	};
	char title[16];

	snprintf(title, sizeof(title), "keeper %.8s", vm->name);
	prctl(PR_SET_NAME, title);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	/* Neither may stand where the other is to come. */
	fd = fcntl(fd, F_DUPFD, WARRANTS_FD + 1);
	warrants = fcntl(warrants, F_DUPFD, WARRANTS_FD + 1);
	if (dup2(fd, KEEPER_FD) < 0 || dup2(warrants, WARRANTS_FD) < 0)
		_exit(OUTCOME_FAILED);
	close_range(WARRANTS_FD + 1, ~0u, 0);
	_exit(keeper_run(&config, KEEPER_FD));
}

int vm_start(struct vm *vm, uint64_t who, struct error *err)
{
	int pair[2], warrants[2], r;

	vm->trouble[0] = '\0';
	vm->leaving = false;
	json_object_put(vm->last);
	vm->last = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, warrants) < 0) {
		close(pair[0]);
		close(pair[1]);
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	}
	vm->keeper = fork();
	if (vm->keeper == 0)
		be_keeper(vm, pair[1], warrants[1]);
	close(pair[1]);
	close(warrants[1]);
	if (vm->keeper < 0) {
		vm->keeper = 0;
		close(pair[0]);
		close(warrants[0]);
		return error_set(err, -EAGAIN, "no new process: %s", strerror(errno));
	}
	vm->warrants = warrants[0];
	vm->channel = lines_new(pair[0], KEEPER_LINE_MAX, CONTROL_LINE_MAX);
	r = vm->channel ? sd_event_add_io(vm->event, &vm->io, pair[0], EPOLLIN, on_keeper, vm)
			: -ENOMEM;
	if (r >= 0)
		r = expect(vm, who, CONTROL_ATTACH);
	if (r < 0) {
		vm->io = sd_event_source_disable_unref(vm->io);
		vm->channel = lines_free(vm->channel);
		closep(&vm->warrants);
		vm->warrants = -1;
		reap(vm);
		return error_set(err, r, "%s", strerror(-r));
	}
	vm->state = VM_STARTING;
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *data)
{
	struct vm *vm = data;
	struct error err = { 0 };

	(void)source;
	(void)usec;
	vm->retry = sd_event_source_disable_unref(vm->retry);
	if (vm_start(vm, 0, &err) < 0)
		log_error("%s: %s", vm->name, err.message);
	return 0;
}

void vm_start_later(struct vm *vm, uint64_t us)
{
	if (!vm->retry && sd_event_add_time_relative(vm->event, &vm->retry, CLOCK_MONOTONIC, us, 0,
						     on_retry, vm) < 0)
		log_error("%s: cannot try again: out of memory", vm->name);
}

int vm_ask(struct vm *vm, uint64_t who, const struct control_request *request)
{
	_cleanup_(json_object_putp) struct json_object *object = control_print(request);
	const char *line;
	size_t size;

	if (vm->state != VM_UP)
		return -EBUSY;
	/* Before the request: its porter has to have heard of the file when it is asked for it. */
	if (request->verb == CONTROL_POLICY_LOAD &&
	    send(vm->warrants, request->policy, strlen(request->policy),
		 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -EBUSY;
	line = control_text(object, &size);
	if (lines_put(vm->channel, line, size) < 0 || expect(vm, who, request->verb) < 0)
		return -EBUSY;
	if (lines_flush(vm->channel) < 0)
		return 0; /* its end is heard soon */
	if (lines_queued(vm->channel))
		sd_event_source_set_io_events(vm->io, EPOLLIN | EPOLLOUT);
	return 0;
}

bool vm_forget(struct vm *vm, uint64_t who)
{
	bool any = false;

	for (struct vm_ask *ask = vm->asks; ask; ask = ask->next) {
		if (ask->who == who) {
			ask->who = 0;
			any = true;
		}
	}
	return any;
}

void vm_leave(struct vm *vm)
{
	vm->retry = sd_event_source_disable_unref(vm->retry);
	if (vm->keeper)
		kill(vm->keeper, SIGTERM);
}

void vm_reopen(struct vm *vm)
{
	if (vm->keeper)
		kill(vm->keeper, SIGHUP);
}

struct json_object *vm_facts(const struct vm *vm)
{
	struct json_object *to = vm->last ? json_object_get(vm->last) : json_object_new_object();

	json_object_object_add(to, "name", json_object_new_string(vm->name));
	json_object_object_add(to, "state",
			       json_object_new_string(vm->state == VM_STARTING ? "attaching"
						      : vm->state == VM_UP     ? "silent"
									       : "ended"));
	json_object_object_add(to, "qmp", json_object_new_string(vm->qmp));
	if (*vm->trouble)
		json_object_object_add(to, "trouble", json_object_new_string(vm->trouble));
	return to;
}
