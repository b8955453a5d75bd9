// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <cmocka.h>

#include "vmm/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define STAMP(s, us) "{\"timestamp\": {\"seconds\": " #s ", \"microseconds\": " #us "}, \"event\": "

/* The other end: listens on a socket of its own, and serves one connection in a thread. */
struct server {
	char directory[32], path[64];
	int listen_fd, fd;
	FILE *in;
	pthread_t thread;
	void (*serve)(struct server *server);
};

static void say(struct server *server, const char *text)
{
	if (send(server->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return;
}

/* Reads one command, and answers with @format, in which %d is its number. */
static void answer(struct server *server, const char *format)
{
	char line[4096], reply[4096];
	const char *id;
	int n = 0;

	if (!fgets(line, sizeof(line), server->in))
		return;
	id = strstr(line, "\"id\":");
	if (id)
		sscanf(id, "\"id\":%d", &n);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(reply, sizeof(reply), format, n);
#pragma GCC diagnostic pop
	say(server, reply);
}

static void wait_for_end(struct server *server)
{
	char byte;

	while (fread(&byte, 1, 1, server->in) == 1)
		;
}

static void *server_main(void *data)
{
	struct server *server = data;

	server->fd = accept(server->listen_fd, NULL, NULL);
	if (server->fd < 0)
		return NULL;
	server->in = fdopen(server->fd, "r");
	server->serve(server);
	fclose(server->in);
	return NULL;
}

static void server_start(struct server *server, void (*serve)(struct server *server))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(server->directory, "/tmp/test_qmp.XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	snprintf(server->path, sizeof(server->path), "%s/s", server->directory);
	strcpy(address.sun_path, server->path);
	server->serve = serve;
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void server_stop(struct server *server)
{
	shutdown(server->listen_fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listen_fd);
	unlink(server->path);
	rmdir(server->directory);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_readable(const struct qmp *qmp)
{
	struct pollfd fd = { .fd = qmp_fd(qmp), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/* What does not become a connection */

static void serve_half_a_line(struct server *server)
{
	say(server, "{\"QMP\": {\"vers");
	wait_for_end(server);
}

static void serve_no_end_of_line(struct server *server)
{
	static char chunk[65536];

	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 16384; i++)
		if (send(server->fd, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0)
			return;
}

/* Always something new, never what is waited for. */
static void serve_events_only(struct server *server)
{
	static const char event[] = STAMP(1, 2) "\"RTC_CHANGE\"}\r\n";

	while (send(server->fd, event, sizeof(event) - 1, MSG_NOSIGNAL) > 0)
		;
}

static void serve_end(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
}

static void serve_other_text(struct server *server)
{
	say(server, "220 mail.example.org ESMTP\r\n");
	wait_for_end(server);
}

static void serve_other_json(struct server *server)
{
	say(server, "{\"hello\": [1, 2, 3]}\r\n");
	wait_for_end(server);
}

static void serve_greeting_only(struct server *server)
{
	say(server, GREETING);
	wait_for_end(server);
}

static void serve_refusal(struct server *server)
{
	say(server, GREETING);
	answer(server, "{\"id\": %d, \"error\": {\"class\": \"GenericError\", \"desc\": "
		       "\"no\"}}\n");
}

static const struct {
	const char *name;
	void (*serve)(struct server *server);
	int code;
	const char *message;
} no_connection[] = {
	{ "silent", wait_for_end, -ETIMEDOUT, "another program holds this QMP socket" },
	{ "half a line", serve_half_a_line, -ETIMEDOUT, "14 bytes of an unfinished line" },
	{ "no end of line", serve_no_end_of_line, -EMSGSIZE, "without an end of line" },
	{ "events only", serve_events_only, -ETIMEDOUT, "no greeting" },
	{ "end", serve_end, -ECONNRESET, "closed the connection" },
	{ "other text", serve_other_text, -EPROTO, "does not speak QMP" },
	{ "other JSON", serve_other_json, -EPROTO, "does not speak QMP" },
	{ "greeting only", serve_greeting_only, -ETIMEDOUT, "no answer from" },
	{ "refusal", serve_refusal, -EIO, "QEMU refused `qmp_capabilities`: no" },
};

static void test_no_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no_connection); i++) {
		struct server server = { 0 };
		struct error err = { 0 };
		struct qmp *qmp = NULL;
		uint64_t start = now_ms();
		/* As long as it takes, unless that is what is waited for. */
		unsigned int ms = no_connection[i].code == -ETIMEDOUT ? 400 : 20000;

		server_start(&server, no_connection[i].serve);
		if (qmp_open(&qmp, server.path, ms, &err) != no_connection[i].code ||
		    !strstr(err.message, no_connection[i].message))
			fail_msg("%s: %d \"%s\"", no_connection[i].name, err.code, err.message);
		assert_null(qmp);
		assert_true(now_ms() - start <
			    30000); /* it ended, however loaded this machine is */
		server_stop(&server);
	}
}

static void test_no_socket(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	char path[200];
	int fd;

	(void)state;
	assert_int_equal(qmp_open(&qmp, "/nonexistent/qmp.sock", 100, &err), -ENOENT);
	assert_non_null(strstr(err.message, "outguard qemu-args"));

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(qmp_open(&qmp, path, 100, &err), -ENAMETOOLONG);

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test_qmp.%d", getpid());
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(qmp_open(&qmp, address.sun_path, 100, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.message, "nobody listens"));
	unlink(address.sun_path);
}

/* More connections wait than the listener wants: connect() itself says EAGAIN. */
static void test_full_backlog(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	int fd, others[2];

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test_qmp.%d", getpid());
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (int i = 0; i < 2; i++) {
		others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(others[i], (struct sockaddr *)&address, sizeof(address));
	}
	assert_int_equal(qmp_open(&qmp, address.sun_path, 50, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.message, "second -qmp socket"));
	for (int i = 0; i < 2; i++)
		close(others[i]);
	close(fd);
	unlink(address.sun_path);
}

/* Commands */

static void serve_commands(struct server *server)
{
	say(server, GREETING);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	answer(server, "{\"return\": {\"status\": \"running\"}, \"id\": %d}\r\n");
	answer(server, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command "
		       "nonsense "
		       "has not been found\"}, \"id\": %d}\r\n");
	answer(server, "{\"return\": \"CPU#0\\r\\nRAX=0\\r\\n\", \"id\": %d}\r\n");
	answer(server, "{\"return\": 7, \"id\": %d}\r\n");
	answer(server, "{\"return\": null, \"id\": %d}\r\n");
	wait_for_end(server);
}

static void test_commands(void **state)
{
	struct server server = { 0 };
	struct json_object *result = NULL;
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	char *text = NULL;

	(void)state;
	server_start(&server, serve_commands);
	assert_int_equal(qmp_open(&qmp, server.path, 1000, &err), 0);
	assert_int_equal(qmp_peer_pid(qmp), getpid());

	assert_int_equal(qmp_execute(qmp, "query-status", NULL, &result, &err), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(result, "status")), "runn"
											      "in"
											      "g");
	json_object_put(result);

	assert_int_equal(qmp_execute(qmp, "nonsense", json_object_new_object(), &result, &err),
			 -EIO);
	assert_string_equal(err.message, "QEMU refused `nonsense`: The command nonsense has not "
					 "been found");

	assert_int_equal(qmp_hmp(qmp, &text, &err, "info registers -%c", 'a'), 0);
	assert_string_equal(text, "CPU#0\r\nRAX=0\r\n");
	free(text);
	assert_int_equal(qmp_hmp(qmp, &text, &err, "info version"), -EPROTO);

	assert_int_equal(qmp_execute(qmp, "stop", NULL, &result, &err), 0);
	assert_null(result);
	assert_false(is_readable(qmp));
	qmp_free(qmp);
	server_stop(&server);
}

/* Takes one command with a descriptor, and writes into that. */
static void serve_passed_fd(struct server *server)
{
	char line[256] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { .iov_base = line, .iov_len = sizeof(line) - 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	int fd;

	say(server, GREETING);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	if (recvmsg(server->fd, &message, 0) <= 0 || !strstr(line, "\"add-fd\""))
		return;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	if (write(fd, "passed", 6) == 6)
		say(server, "{\"return\": {\"fd\": 7, \"fdset-id\": 3}, \"id\": 2}\r\n");
	close(fd);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
}

static void test_passed_fd(void **state)
{
	struct json_object *result = NULL;
	struct server server = { 0 };
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	char text[8] = "";
	int pair[2];

	(void)state;
	assert_int_equal(pipe(pair), 0);
	server_start(&server, serve_passed_fd);
	assert_int_equal(qmp_open(&qmp, server.path, 20000, &err), 0);
	assert_int_equal(qmp_execute_passing(qmp, "add-fd", NULL, pair[1], &result, &err), 0);
	assert_int_equal(json_object_get_int(json_object_object_get(result, "fd")), 7);
	json_object_put(result);
	assert_int_equal(read(pair[0], text, sizeof(text) - 1), 6);
	assert_string_equal(text, "passed");
	assert_int_equal(qmp_execute(qmp, "stop", NULL, NULL, &err), 0); /* and nothing with it */
	close(pair[0]);
	close(pair[1]);
	qmp_free(qmp);
	server_stop(&server);
}

/* The first command is answered when the second has come: so it has been given up on. */
static void serve_late_answer(struct server *server)
{
	char line[256], reply[256];
	int n[2] = { 0 };

	say(server, GREETING);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	for (size_t i = 0; i < 2; i++) {
		if (!fgets(line, sizeof(line), server->in))
			return;
		sscanf(strstr(line, "\"id\":"), "\"id\":%d", &n[i]);
	}
	snprintf(reply, sizeof(reply),
		 "{\"return\": \"late\", \"id\": %d}\r\n{\"return\": \"in time\", \"id\": %d}\r\n",
		 n[0], n[1]);
	say(server, reply);
	wait_for_end(server);
}

/* The answer to a command given up on is not taken for the next command's. */
static void test_late_answer(void **state)
{
	struct server server = { 0 };
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	char *text = NULL;

	(void)state;
	server_start(&server, serve_late_answer);
	assert_int_equal(qmp_open(&qmp, server.path, 2000, &err), 0);
	assert_int_equal(qmp_hmp(qmp, &text, &err, "first"), -ETIMEDOUT);
	assert_int_equal(qmp_hmp(qmp, &text, &err, "second"), 0);
	assert_string_equal(text, "in time");
	free(text);
	qmp_free(qmp);
	server_stop(&server);
}

/* Events */

static void serve_events(struct server *server)
{
	say(server, GREETING);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	answer(server, STAMP(100, 7) "\"STOP\"}\r\n" STAMP(100, 8) "\"BLOCK_JOB_READY\"}\r\n"
								   "{\"return\": {}, \"id\": "
								   "%d}\r\n" STAMP(-1, 0) "\"RESET"
											  "\"}"
											  "\r\n");
	answer(server, STAMP(100, 900) "\"RESUME\"}\r\n{\"return\": {}, \"id\": %d}\r\n");
}

static void assert_event(struct qmp *qmp, enum qmp_event_type type, uint64_t time_us)
{
	struct qmp_event event;

	assert_int_equal(qmp_next_event(qmp, &event), 1);
	assert_int_equal(event.type, type);
	if (type != QMP_EVENT_CLOSED)
		assert_int_equal(event.time_us, time_us);
}

static void test_events(void **state)
{
	struct server server = { 0 };
	struct qmp_event event;
	struct error err = { 0 };
	struct qmp *qmp = NULL;

	(void)state;
	server_start(&server, serve_events);
	assert_int_equal(qmp_open(&qmp, server.path, 1000, &err), 0);
	assert_int_equal(qmp_next_event(qmp, &event), 0);
	assert_int_equal(qmp_execute(qmp, "stop", NULL, NULL, &err), 0);
	assert_true(is_readable(qmp)); /* though the socket may have nothing left */
	assert_int_equal(qmp_execute(qmp, "cont", NULL, NULL, &err), 0);
	assert_int_equal(qmp_event_time(qmp, QMP_EVENT_STOP), 100000007);
	assert_int_equal(qmp_event_time(qmp, QMP_EVENT_RESUME), 100000900);
	server_stop(&server);

	assert_event(qmp, QMP_EVENT_STOP, 100000007);
	assert_event(qmp, QMP_EVENT_RESET, 0);
	assert_event(qmp, QMP_EVENT_RESUME, 100000900);
	assert_true(is_readable(qmp));
	assert_event(qmp, QMP_EVENT_CLOSED, 0);
	assert_int_equal(qmp_next_event(qmp, &event), 0);
	assert_false(is_readable(qmp));
	assert_int_equal(qmp_execute(qmp, "stop", NULL, NULL, &err), -ENOTCONN);
	assert_false(is_readable(qmp));
	qmp_free(qmp);
}

static void serve_many_events(struct server *server)
{
	say(server, GREETING);
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	say(server, STAMP(1, 1) "\"RESET\"}\r\n");
	say(server, STAMP(1, 2) "\"SHUTDOWN\"}\r\n");
	for (int i = 0; i < 1000; i++)
		say(server, STAMP(2, 0) "\"STOP\"}\r\n" STAMP(3, 0) "\"RESUME\"}\r\n");
	answer(server, "{\"return\": {}, \"id\": %d}\r\n");
	wait_for_end(server);
}

/* The queue keeps the last of each type, in order. */
static void test_too_many_events(void **state)
{
	struct server server = { 0 };
	struct qmp_event event = { .type = QMP_EVENT_CLOSED };
	struct error err = { 0 };
	struct qmp *qmp = NULL;
	int n = 2;

	(void)state;
	server_start(&server, serve_many_events);
	assert_int_equal(qmp_open(&qmp, server.path, 1000, &err), 0);
	assert_int_equal(qmp_execute(qmp, "stop", NULL, NULL, &err), 0);
	assert_event(qmp, QMP_EVENT_RESET, 1000001);
	assert_event(qmp, QMP_EVENT_SHUTDOWN, 1000002);
	while (qmp_next_event(qmp, &event))
		n++;
	assert_int_equal(n, QMP_MAX_EVENTS);
	assert_int_equal(event.type, QMP_EVENT_RESUME);
	assert_null(qmp_free(qmp));
	assert_null(qmp_free(NULL));
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_connection),	cmocka_unit_test(test_no_socket),
		cmocka_unit_test(test_full_backlog),	cmocka_unit_test(test_commands),
		cmocka_unit_test(test_late_answer),	cmocka_unit_test(test_events),
		cmocka_unit_test(test_too_many_events), cmocka_unit_test(test_passed_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
