// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/call.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "cli/show.h"
#include "util/log.h"

#define SETTLE_MS 30000
#define LOOK_MS 50

static const char *socket_path(void)
{
	const char *path = getenv("OUTGUARD_SOCKET");

	return path && *path ? path : CONTROL_SOCKET;
}

static enum outcome connect_daemon(int *ret, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = socket_path();
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		error_set(err, -EINVAL, "cannot use the socket %s", path);
		return OUTCOME_NO_DAEMON;
	}
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret = TAKE_FD(fd);
		return OUTCOME_DONE;
	}
	if (errno == ENOENT)
		error_set(err, -errno,
			  "outguardd is not running (no %s): start it, or use `outguard run` for "
			  "one VM",
			  path);
	else if (errno == ECONNREFUSED)
		error_set(err, -errno,
			  "outguardd is not running (nobody listens at %s): start it, or use "
			  "`outguard run` for one VM",
			  path);
	else if (errno == EACCES)
		error_set(err, -errno, "%s may not be used by this user: be root", path);
	else
		error_set(err, -errno, "cannot connect to %s: %s", path, strerror(errno));
	return OUTCOME_NO_DAEMON;
}

enum outcome call_request(struct control_request *ret, enum control_verb verb, const char *name,
			  struct error *err)
{
	*ret = (struct control_request){ .verb = verb, .last = UINT32_MAX, .minutes = UINT32_MAX };
	if (!name)
		return OUTCOME_DONE;
	if (!control_name_is_good(name)) {
		error_set(err, -EINVAL,
			  "\"%.64s\" is no name for a VM: give letters, digits and ._+:@-, at most "
			  "%d",
			  name, CONTROL_NAME_MAX - 1);
		return OUTCOME_USAGE;
	}
	strcpy(ret->name, name);
	return OUTCOME_DONE;
}

enum outcome call_open(FILE **ret, const struct control_request *request, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *object = control_print(request);
	_cleanup_(closep) int fd = -1;
	_cleanup_(fclosep) FILE *stream = NULL;
	enum outcome outcome = connect_daemon(&fd, err);

	if (outcome != OUTCOME_DONE)
		return outcome;
	stream = fdopen(fd, "r+");
	if (!stream) {
		error_set(err, -ENOMEM, "out of memory");
		return OUTCOME_FAILED;
	}
	TAKE_FD(fd);
	/* A socket: what is written shows at once, and nothing is sought between writing and reading. */
	if (fprintf(stream, "%s\n", control_text(object, NULL)) < 0 || fflush(stream) != 0) {
		error_set(err, -EPIPE, "outguardd hung up");
		return OUTCOME_NO_DAEMON;
	}
	*ret = TAKE_PTR(stream);
	return OUTCOME_DONE;
}

enum outcome call(struct json_object **ret_reply, const struct control_request *request,
		  struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *reply = NULL;
	_cleanup_(fclosep) FILE *stream = NULL;
	_cleanup_(freep) char *line = NULL;
	enum outcome outcome = call_open(&stream, request, err);
	size_t room = 0;
	ssize_t n;

	if (outcome != OUTCOME_DONE)
		return outcome;
	n = getline(&line, &room, stream);
	if (n > 0)
		reply = json_tokener_parse(line);
	if (!reply) {
		error_set(err, -EPIPE, "outguardd hung up without an answer; see its log");
		return OUTCOME_NO_DAEMON;
	}
	outcome = control_outcome(reply, err);
	if (outcome == OUTCOME_DONE && ret_reply)
		*ret_reply = TAKE_PTR(reply);
	return outcome;
}

static void name_unresolved(const char *name, struct json_object *facts)
{
	struct json_object *list = json_object_object_get(facts, "containers");

	log_warning("%s: not all containers are resolved after %d s", name, SETTLE_MS / 1000);
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);

		if (!show_bool(container, "resolved"))
			log_warning("%s: container %s is not resolved", name,
				    show_string(container, "id"));
	}
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

enum outcome call_wait_settled(const char *name, struct json_object **ret_facts, struct error *err)
{
	struct control_request request;
	enum outcome outcome = call_request(&request, CONTROL_STATUS, name, err);

	if (outcome != OUTCOME_DONE)
		return outcome;
	for (int waited = 0;; pause_ms(LOOK_MS)) {
		_cleanup_(json_object_putp) struct json_object *reply = NULL;
		struct json_object *facts;
		const char *state;

		outcome = call(&reply, &request, err);
		if (outcome != OUTCOME_DONE)
			return outcome;
		facts = json_object_array_get_idx(json_object_object_get(reply, "vms"), 0);
		state = show_string(facts, "state");
		if (strcmp(state, "ended") == 0) {
			error_set(err, -ENOENT, "%s: %s", name, show_string(facts, "trouble"));
			return OUTCOME_FAILED;
		}
		if (strcmp(state, "silent") == 0) {
			error_set(err, -ETIMEDOUT,
				  "%s: its keeper does not answer; does QEMU hang?", name);
			return OUTCOME_FAILED;
		}
		if (strcmp(state, "guarding") == 0)
			waited += LOOK_MS;
		if (waited >= SETTLE_MS)
			name_unresolved(name, facts);
		if (show_bool(facts, "settled") || waited >= SETTLE_MS) {
			if (ret_facts)
				*ret_facts = json_object_get(facts);
			return OUTCOME_DONE;
		}
	}
}

int call_path(char *buf, size_t size, const char *path, struct error *err)
{
	_cleanup_(freep) char *absolute = realpath(path, NULL);

	if (!absolute)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (strlen(absolute) >= size)
		return error_set(err, -ENAMETOOLONG, "%s: give a shorter path", path);
	strcpy(buf, absolute);
	return 0;
}
