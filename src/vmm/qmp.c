// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * QMP is JSON, an object a line, over a stream socket: a greeting, then answers, and events at any time.
 *
 * The path may lead to anything, and QEMU itself may hang, so the socket never blocks. All waiting is in
 * wait_for(), against an absolute deadline that a peer cannot push back by sending a little at a time.
 * Commands carry a number, so that the late answer to one given up on is not taken for the next one's.
 *
 * Between calls the buffer holds no complete line: everything that arrived has become an event, or was
 * thrown away. An event that arrives while a command waits for its answer would not wake the caller's
 * poll(); so qmp_fd() is an epoll of the socket and of an eventfd that is set while events wait.
 */
#include "vmm/qmp.h"
#include "util/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CHUNK (64u << 10)
#define MAX_DEPTH 64 /* of nested JSON */
#define MAX_READS 64 /* in one qmp_next_event() */

struct qmp {
	int fd; /* -1 once the connection ended */
	int poll_fd, wake_fd;
	bool awake; /* wake_fd is set */
	int pid;
	unsigned int timeout_ms;
	uint64_t last_id;
	char *path;

	char *buf;
	size_t size;
	size_t start, scanned, end; /* lines begin at start; no newline in start..scanned */

	struct qmp_event events[QMP_MAX_EVENTS];
	size_t n_events;
	uint64_t event_times[QMP_N_EVENT_TYPES];
};

static const char *const event_names[] = {
	[QMP_EVENT_RESET] = "RESET",
	[QMP_EVENT_SHUTDOWN] = "SHUTDOWN",
	[QMP_EVENT_STOP] = "STOP",
	[QMP_EVENT_RESUME] = "RESUME",
	[QMP_EVENT_DEVICE_OST] = "ACPI_DEVICE_OST",
	[QMP_EVENT_DEVICE_DELETED] = "DEVICE_DELETED",
	[QMP_EVENT_MEMORY_SIZE] = "MEMORY_DEVICE_SIZE_CHANGE",
	[QMP_EVENT_CLOSED] = "", /* ours: never in QMP */
};
_Static_assert(ARRAY_SIZE(event_names) == QMP_N_EVENT_TYPES, "a name for each");
_Static_assert(QMP_MAX_EVENTS > QMP_N_EVENT_TYPES, "a full queue holds some type twice");

/* Waits until the socket is ready for @events. Returns false once the deadline has passed. */
static bool wait_for(const struct qmp *qmp, short events, uint64_t deadline)
{
	struct pollfd fd = { .fd = qmp->fd, .events = events };
	uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000000;

	if (now >= deadline)
		return false;
	poll(&fd, 1, deadline - now < INT_MAX ? (int)(deadline - now) : INT_MAX);
	return true;
}

/* The queue */

static bool occurs_later(const struct qmp *qmp, size_t at)
{
	for (size_t i = at + 1; i < qmp->n_events; i++)
		if (qmp->events[i].type == qmp->events[at].type)
			return true;
	return false;
}

static void remove_event(struct qmp *qmp, size_t at)
{
	qmp->n_events--;
	memmove(&qmp->events[at], &qmp->events[at + 1],
		(qmp->n_events - at) * sizeof(qmp->events[0]));
}

static void add_event(struct qmp *qmp, enum qmp_event_type type, uint64_t time_us)
{
	size_t oldest = 0;

	if (qmp->n_events == QMP_MAX_EVENTS) {
		while (!occurs_later(qmp, oldest))
			oldest++;
		remove_event(qmp, oldest);
	}
	qmp->events[qmp->n_events++] = (struct qmp_event){ .type = type, .time_us = time_us };
	qmp->event_times[type] = time_us;
}

static void update_wake(struct qmp *qmp)
{
	bool awake = qmp->n_events > 0;

	if (awake && !qmp->awake)
		eventfd_write(qmp->wake_fd, 1);
	if (!awake && qmp->awake)
		eventfd_read(qmp->wake_fd, &(eventfd_t){ 0 });
	qmp->awake = awake;
}

/* Lines */

static void end_connection(struct qmp *qmp)
{
	if (qmp->fd < 0)
		return;
	close(TAKE_FD(qmp->fd));
	qmp->start = qmp->scanned = qmp->end = 0;
	add_event(qmp, QMP_EVENT_CLOSED, clock_ns(CLOCK_REALTIME) / 1000);
}

/* Makes room for CHUNK more bytes behind the line that has begun. */
static int make_room(struct qmp *qmp)
{
	size_t used = qmp->end - qmp->start;
	size_t size = qmp->size ? qmp->size : CHUNK;
	char *buf;

	if (used >= QMP_MAX_LINE)
		return -EMSGSIZE;
	while (size < used + CHUNK)
		size *= 2;
	if (used && qmp->start)
		memmove(qmp->buf, qmp->buf + qmp->start, used);
	qmp->scanned -= qmp->start;
	qmp->start = 0;
	qmp->end = used;
	if (size == qmp->size)
		return 0;
	buf = realloc(qmp->buf, size);
	if (!buf)
		return -ENOMEM;
	qmp->buf = buf;
	qmp->size = size;
	return 0;
}

/* Reads what is there. Returns how many bytes, 0 when there are none now, or an error: the end. */
static ssize_t fill(struct qmp *qmp)
{
	ssize_t n;
	int r;

	r = make_room(qmp);
	if (r < 0)
		return r;
	n = recv(qmp->fd, qmp->buf + qmp->end, CHUNK, MSG_DONTWAIT);
	if (n > 0)
		qmp->end += (size_t)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -ECONNRESET;
}

static bool take_line(struct qmp *qmp, const char **ret_line, size_t *ret_size)
{
	char *newline = NULL;

	if (qmp->scanned < qmp->end)
		newline = memchr(qmp->buf + qmp->scanned, '\n', qmp->end - qmp->scanned);
	if (!newline) {
		qmp->scanned = qmp->end;
		return false;
	}
	*ret_line = qmp->buf + qmp->start;
	*ret_size = (size_t)(newline - *ret_line);
	qmp->start = qmp->scanned = (size_t)(newline + 1 - qmp->buf);
	return true;
}

/* The object on a line, or NULL where it holds none. */
static struct json_object *parse_line(const char *line, size_t size)
{
	_cleanup_(json_object_putp) struct json_object *object = NULL;
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);

	if (!tokener)
		return NULL;
	object = json_tokener_parse_ex(tokener, line, (int)size);
	json_tokener_free(tokener);
	return json_object_is_type(object, json_type_object) ? TAKE_PTR(object) : NULL;
}

static uint64_t get_time_us(struct json_object *event)
{
	struct json_object *stamp = json_object_object_get(event, "timestamp");
	int64_t s, us;

	if (!json_object_is_type(stamp, json_type_object))
		return 0;
	s = json_object_get_int64(json_object_object_get(stamp, "seconds"));
	us = json_object_get_int64(json_object_object_get(stamp, "microseconds"));
	if (s < 0 || s > UINT32_MAX || us < 0 || us > 999999)
		return 0;
	return (uint64_t)s * 1000000 + (uint64_t)us;
}

/* Queues @object if it is an event that matters. Returns whether it is an event. */
static bool take_event(struct qmp *qmp, struct json_object *object)
{
	struct json_object *event;
	const char *name;

	if (!json_object_object_get_ex(object, "event", &event))
		return false;
	name = json_object_get_string(event);
	for (unsigned int i = 0; name && i < QMP_EVENT_CLOSED; i++)
		if (strcmp(name, event_names[i]) == 0)
			add_event(qmp, (enum qmp_event_type)i, get_time_us(object));
	return true;
}

/* Turns the complete lines in the buffer into events. An answer among them was given up on. */
static void take_lines(struct qmp *qmp)
{
	const char *line;
	size_t size;

	while (take_line(qmp, &line, &size)) {
		_cleanup_(json_object_putp) struct json_object *object = parse_line(line, size);

		if (!object)
			end_connection(qmp);
		else
			take_event(qmp, object);
	}
}

static int report_end(struct qmp *qmp, int code, struct error *err)
{
	end_connection(qmp);
	if (code == -EMSGSIZE)
		return error_set(err, code,
				 "%s sent %u MiB without an end of line: no QMP socket of QEMU",
				 qmp->path, QMP_MAX_LINE >> 20);
	if (code == -ENOMEM)
		return error_set(err, code, "out of memory");
	return error_set(err, code, "%s closed the connection: QEMU ended; start the VM again",
			 qmp->path);
}

static int report_timeout(const struct qmp *qmp, const char *awaited, struct error *err)
{
	return error_set(err, -ETIMEDOUT,
			 "no %s from %s in %u ms (%zu bytes of an unfinished line): it hangs, or "
			 "is "
			 "no QMP socket of QEMU",
			 awaited, qmp->path, qmp->timeout_ms, qmp->end - qmp->start);
}

/* Waits for the next line that is no event. */
static int receive(struct qmp *qmp, const char *awaited, uint64_t deadline,
		   struct json_object **ret, struct error *err)
{
	const char *line;
	ssize_t n;
	size_t size;

	for (;;) {
		_cleanup_(json_object_putp) struct json_object *object = NULL;

		if (!take_line(qmp, &line, &size)) {
			n = fill(qmp);
			if (n < 0)
				return report_end(qmp, (int)n, err);
			if (n ? clock_ns(CLOCK_MONOTONIC) / 1000000 >= deadline
			      : !wait_for(qmp, POLLIN, deadline))
				return report_timeout(qmp, awaited, err);
			continue;
		}
		object = parse_line(line, size);
		if (!object) {
			end_connection(qmp);
			return error_set(err, -EPROTO,
					 "%s does not speak QMP; give the path of a VM's QMP "
					 "socket",
					 qmp->path);
		}
		if (take_event(qmp, object))
			continue;
		*ret = TAKE_PTR(object);
		return 0;
	}
}

/* Commands */

/* Sends what goes out at once, and with the first byte of it @passed_fd, unless that is -1. */
static ssize_t send_some(const struct qmp *qmp, const char *text, size_t size, int passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(passed_fd))];
	} control = { 0 };
	struct iovec data = { .iov_base = (char *)text, .iov_len = size };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (passed_fd >= 0) {
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(passed_fd)),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(passed_fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(qmp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int send_all(struct qmp *qmp, const char *text, int passed_fd, uint64_t deadline,
		    struct error *err)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send_some(qmp, text, left, passed_fd);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return report_end(qmp, -ECONNRESET, err);
		if (n < 0 && !wait_for(qmp, POLLOUT, deadline)) {
			/* Half a command is out: what comes next would be read as its rest. */
			end_connection(qmp);
			return error_set(err, -ETIMEDOUT, "QEMU takes no commands from %s",
					 qmp->path);
		}
		if (n > 0) {
			text += n;
			left -= (size_t)n;
			passed_fd = -1;
		}
	}
	return 0;
}

static int send_command(struct qmp *qmp, const char *command, struct json_object *arguments,
			int passed_fd, uint64_t deadline, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *request = json_object_new_object();
	_cleanup_(freep) char *line = NULL;

	if (!request) {
		json_object_put(arguments);
		return error_set(err, -ENOMEM, "out of memory");
	}
	json_object_object_add(request, "execute", json_object_new_string(command));
	if (arguments)
		json_object_object_add(request, "arguments", arguments);
	json_object_object_add(request, "id", json_object_new_int64((int64_t)++qmp->last_id));
	if (asprintf(&line, "%s\n",
		     json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN)) < 0) {
		line = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return send_all(qmp, line, passed_fd, deadline, err);
}

static int receive_answer(struct qmp *qmp, const char *command, uint64_t deadline,
			  struct json_object **ret, struct error *err)
{
	struct json_object *refusal, *result;
	int r;

	for (;;) {
		_cleanup_(json_object_putp) struct json_object *answer = NULL;

		r = receive(qmp, "answer", deadline, &answer, err);
		if (r < 0)
			return r;
		/* A refusal without a number is of a line that QEMU could not even parse: this one. */
		if (json_object_object_get_ex(answer, "id", &result) &&
		    (uint64_t)json_object_get_int64(result) != qmp->last_id)
			continue;
		if (json_object_object_get_ex(answer, "return", &result)) {
			if (ret)
				*ret = json_object_get(result);
			return 0;
		}
		if (json_object_object_get_ex(answer, "error", &refusal) &&
		    json_object_is_type(refusal, json_type_object))
			return error_set(
				err, -EIO, "QEMU refused `%s`: %s", command,
				json_object_get_string(json_object_object_get(refusal, "desc")));
	}
}

static int execute(struct qmp *qmp, const char *command, struct json_object *arguments,
		   int passed_fd, struct json_object **ret, struct error *err)
{
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) / 1000000 + qmp->timeout_ms;
	int r;

	if (qmp->fd < 0) {
		json_object_put(arguments);
		return error_set(err, -ENOTCONN, "%s: the connection to QEMU has ended", qmp->path);
	}
	r = send_command(qmp, command, arguments, passed_fd, deadline, err);
	if (r >= 0)
		r = receive_answer(qmp, command, deadline, ret, err);
	take_lines(qmp);
	update_wake(qmp);
	return r;
}

unsigned int qmp_timeout_ms(const struct qmp *qmp)
{
	return qmp->timeout_ms;
}

int qmp_execute(struct qmp *qmp, const char *command, struct json_object *arguments,
		struct json_object **ret, struct error *err)
{
	return execute(qmp, command, arguments, -1, ret, err);
}

int qmp_execute_passing(struct qmp *qmp, const char *command, struct json_object *arguments, int fd,
			struct json_object **ret, struct error *err)
{
	return execute(qmp, command, arguments, fd, ret, err);
}

int qmp_hmp(struct qmp *qmp, char **ret_text, struct error *err, const char *format, ...)
{
	_cleanup_(json_object_putp) struct json_object *result = NULL;
	_cleanup_(freep) char *line = NULL;
	struct json_object *arguments;
	char *text;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&line, format, ap);
	va_end(ap);
	if (r < 0) {
		line = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	arguments = json_object_new_object();
	json_object_object_add(arguments, "command-line", json_object_new_string(line));
	r = qmp_execute(qmp, "human-monitor-command", arguments, &result, err);
	if (r < 0)
		return r;
	if (!json_object_is_type(result, json_type_string))
		return error_set(err, -EPROTO, "QEMU's answer to `%s` is no text", line);
	text = strdup(json_object_get_string(result));
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_text = text;
	return 0;
}

/* Events */

int qmp_fd(const struct qmp *qmp)
{
	return qmp->poll_fd;
}

int qmp_next_event(struct qmp *qmp, struct qmp_event *ret)
{
	for (int i = 0; qmp->fd >= 0 && !qmp->n_events && i < MAX_READS; i++) {
		ssize_t n = fill(qmp);

		if (n < 0)
			end_connection(qmp);
		if (n <= 0)
			break;
		take_lines(qmp);
	}
	if (!qmp->n_events)
		return 0;
	*ret = qmp->events[0];
	remove_event(qmp, 0);
	update_wake(qmp);
	return 1;
}

uint64_t qmp_event_time(const struct qmp *qmp, enum qmp_event_type type)
{
	return qmp->event_times[type];
}

/* Opening */

static int report_connect(const char *path, int code, struct error *err)
{
	switch (code) {
	case -ENOENT:
		return error_set(err, code,
				 "no QMP socket at %s: start the VM with the arguments that "
				 "`outguard qemu-args` prints",
				 path);
	case -ECONNREFUSED:
		return error_set(err, code,
				 "nobody listens on %s: the QEMU that made it is gone; start the "
				 "VM",
				 path);
	case -EAGAIN:
		return error_set(err, -ETIMEDOUT,
				 "%s takes no more connections: another program holds this QMP "
				 "socket; give the VM a second -qmp socket or stop the other "
				 "program",
				 path);
	case -EACCES:
	case -EPERM:
		return error_set(err, code, "%s: permission denied; run as root", path);
	default:
		return error_set(err, code, "cannot connect to %s: %s", path, strerror(-code));
	}
}

/* A Unix socket connects at once, or says EAGAIN while too many wait to be accepted. */
static int connect_socket(struct qmp *qmp, uint64_t deadline, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (strlen(qmp->path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG,
				 "%s: the path of a socket has at most %zu bytes; use a shorter "
				 "one",
				 qmp->path, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, qmp->path);
	qmp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (qmp->fd < 0)
		return error_set(err, -errno, "socket: %m");
	while (connect(qmp->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int code = -errno;

		if (code != -EINTR &&
		    (code != -EAGAIN || clock_ns(CLOCK_MONOTONIC) / 1000000 >= deadline))
			return report_connect(qmp->path, code, err);
		poll(NULL, 0, 10);
	}
	if (getsockopt(qmp->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_set(err, -errno, "%s: SO_PEERCRED: %m", qmp->path);
	qmp->pid = peer.pid;
	return 0;
}

static int make_poll_fd(struct qmp *qmp, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	qmp->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	qmp->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (qmp->wake_fd < 0 || qmp->poll_fd < 0 ||
	    epoll_ctl(qmp->poll_fd, EPOLL_CTL_ADD, qmp->fd, &event) < 0 ||
	    epoll_ctl(qmp->poll_fd, EPOLL_CTL_ADD, qmp->wake_fd, &event) < 0)
		return error_set(err, -errno, "epoll: %m");
	return 0;
}

static int receive_greeting(struct qmp *qmp, uint64_t deadline, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *greeting = NULL;
	int r;

	r = receive(qmp, "greeting", deadline, &greeting, err);
	if (r == -ETIMEDOUT && qmp->start == qmp->end)
		return error_set(err, r,
				 "no greeting from %s in %u ms: another program holds this QMP "
				 "socket, which serves one at a time; give the VM a second -qmp "
				 "socket or stop the other program",
				 qmp->path, qmp->timeout_ms);
	if (r < 0)
		return r;
	if (!json_object_object_get_ex(greeting, "QMP", NULL))
		return error_set(err, -EPROTO,
				 "%s does not speak QMP; give the path of a VM's QMP socket",
				 qmp->path);
	return 0;
}

int qmp_open(struct qmp **ret, const char *path, unsigned int timeout_ms, struct error *err)
{
	_cleanup_(qmp_freep) struct qmp *qmp = calloc(1, sizeof(*qmp));
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) / 1000000 + timeout_ms;
	int r;

	if (!qmp)
		return error_set(err, -ENOMEM, "out of memory");
	qmp->fd = qmp->poll_fd = qmp->wake_fd = -1;
	qmp->timeout_ms = timeout_ms;
	qmp->path = strdup(path);
	if (!qmp->path)
		return error_set(err, -ENOMEM, "out of memory");
	r = connect_socket(qmp, deadline, err);
	if (r >= 0)
		r = make_poll_fd(qmp, err);
	if (r >= 0)
		r = receive_greeting(qmp, deadline, err);
	if (r >= 0)
		r = qmp_execute(qmp, "qmp_capabilities", NULL, NULL, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(qmp);
	return 0;
}

struct qmp *qmp_free(struct qmp *qmp)
{
	if (!qmp)
		return NULL;
	closep(&qmp->fd);
	closep(&qmp->poll_fd);
	closep(&qmp->wake_fd);
	free(qmp->path);
	free(qmp->buf);
	free(qmp);
	return NULL;
}

int qmp_peer_pid(const struct qmp *qmp)
{
	return qmp->pid;
}
