// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The protocol is in GDB's manual, appendix E "GDB Remote Serial Protocol"; Qqemu.PhyMemMode is QEMU's own (gdbstub.c):
 * addresses are physical then, whatever page tables the vCPU has just now.
 */
#include "vmm/gdbstub.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define CHARDEV "outguard-gdb"
#define MAX_WRITE 64
#define MAX_REPLY 512

struct gdbstub {
	struct qmp *qmp;
	int fd;
	bool chardev; /* QEMU has it */
};

DEFINE_CLEANUP(struct gdbstub *, gdbstub_free)

/* One byte, within the deadline. */
static int receive_byte(const struct gdbstub *stub, uint64_t deadline, char *ret)
{
	struct pollfd fd = { .fd = stub->fd, .events = POLLIN };

	for (;;) {
		ssize_t n = recv(stub->fd, ret, 1, MSG_DONTWAIT);
		uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000000;

		if (n == 1)
			return 0;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return -ECONNRESET;
		if (now >= deadline)
			return -ETIMEDOUT;
		poll(&fd, 1, (int)(deadline - now));
	}
}

/* The next packet, "$TEXT#xx", that is no notice that the VM has stopped; it is acknowledged. */
static int receive_packet(const struct gdbstub *stub, uint64_t deadline, char *ret, size_t size)
{
	for (;;) {
		size_t n = 0;
		char c = 0, sum;
		int r = 0;

		while (r == 0 && c != '$')
			r = receive_byte(stub, deadline, &c);
		while (r == 0 && (r = receive_byte(stub, deadline, &c)) == 0 && c != '#') {
			if (n + 1 < size)
				ret[n++] = c;
		}
		ret[n] = '\0';
		for (unsigned int i = 0; i < 2 && r == 0; i++)
			r = receive_byte(stub, deadline, &sum);
		if (r < 0)
			return r;
		if (send(stub->fd, "+", 1, MSG_NOSIGNAL) != 1)
			return -ECONNRESET;
		if (ret[0] != 'T')
			return 0;
	}
}

static int request(const struct gdbstub *stub, const char *text, struct error *err)
{
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) / 1000000 + qmp_timeout_ms(stub->qmp);
	char packet[2 * MAX_WRITE + 64], reply[MAX_REPLY];
	uint8_t sum = 0;
	int n, r;

	for (const char *c = text; *c; c++)
		sum = (uint8_t)(sum + (uint8_t)*c);
	n = snprintf(packet, sizeof(packet), "$%s#%02x", text, sum);
	if (send(stub->fd, packet, (size_t)n, MSG_NOSIGNAL) != n)
		return error_set(err, -ECONNRESET, "QEMU's gdb stub: %m");
	r = receive_packet(stub, deadline, reply, sizeof(reply));
	if (r < 0)
		return error_set(err, r, "QEMU's gdb stub: %s", strerror(-r));
	if (strcmp(reply, "OK") != 0)
		return error_set(err, -EIO, "QEMU's gdb stub refused '%s': '%s'", text, reply);
	return 0;
}

static struct json_object *object_with(const char *name, struct json_object *value)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, name, value);
	return object;
}

/* {"id": CHARDEV, "backend": {"type": "socket", "data": {"addr": {"type": "fd", ...}, "server": false}}} */
static int add_chardev(struct gdbstub *stub, int fd, struct error *err)
{
	struct json_object *address, *data, *backend, *arguments;
	int r = qmp_execute_passing(stub->qmp, "getfd",
				    object_with("fdname", json_object_new_string(CHARDEV)), fd,
				    NULL, err);

	if (r < 0)
		return r;
	address = object_with("type", json_object_new_string("fd"));
	json_object_object_add(address, "data",
			       object_with("str", json_object_new_string(CHARDEV)));
	data = object_with("addr", address);
	json_object_object_add(data, "server", json_object_new_boolean(0));
	backend = object_with("type", json_object_new_string("socket"));
	json_object_object_add(backend, "data", data);
	arguments = object_with("id", json_object_new_string(CHARDEV));
	json_object_object_add(arguments, "backend", backend);
	r = qmp_execute(stub->qmp, "chardev-add", arguments, NULL, err);
	stub->chardev = r == 0;
	return r;
}

static bool has_chardev(struct json_object *list, const char *name)
{
	struct json_object *label;

	for (size_t i = 0;
	     json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
	     i++) {
		if (json_object_object_get_ex(json_object_array_get_idx(list, i), "label",
					      &label) &&
		    strcmp(json_object_get_string(label) ?: "", name) == 0)
			return true;
	}
	return false;
}

static void stop(struct qmp *qmp)
{
	char *text;

	if (qmp_hmp(qmp, &text, NULL, "gdbserver none") == 0)
		free(text);
}

/* A stub that somebody uses has a character device "gdb" (QEMU's gdbserver_start()); one that an outguard which died left, ours. */
static int check_unused(struct qmp *qmp, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *list = NULL;
	int r = qmp_execute(qmp, "query-chardev", NULL, &list, err);

	if (r < 0)
		return r;
	if (has_chardev(list, "gdb"))
		return error_set(err, -EBUSY,
				 "QEMU's gdb stub is in use, and under TCG outguard needs it "
				 "for this kernel: end it (HMP: gdbserver none)");
	if (has_chardev(list, CHARDEV)) {
		stop(qmp);
		qmp_execute(qmp, "chardev-remove",
			    object_with("id", json_object_new_string(CHARDEV)), NULL, NULL);
	}
	return 0;
}

int gdbstub_open(struct gdbstub **ret, struct qmp *qmp, struct error *err)
{
	_cleanup_(gdbstub_freep) struct gdbstub *stub = calloc(1, sizeof(*stub));
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int theirs = -1;
	int pair[2], r;

	if (!stub)
		return error_set(err, -ENOMEM, "out of memory");
	stub->qmp = qmp;
	stub->fd = -1;
	r = check_unused(qmp, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %m");
	stub->fd = pair[0];
	theirs = pair[1];
	r = add_chardev(stub, theirs, err);
	if (r == 0)
		r = qmp_hmp(qmp, &text, err, "gdbserver chardev:" CHARDEV);
	if (r == 0 && strstr(text, "Could not"))
		r = error_set(err, -EIO, "QEMU does not start its gdb stub: %s", text);
	if (r == 0)
		r = request(stub, "Qqemu.PhyMemMode:1", err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(stub);
	return 0;
}

int gdbstub_write(struct gdbstub *stub, uint64_t gpa, const void *bytes, size_t size,
		  struct error *err)
{
	char text[2 * MAX_WRITE + 48];
	int n;

	if (size > MAX_WRITE)
		return error_set(err, -E2BIG, "%zu bytes are too many for one write", size);
	n = snprintf(text, sizeof(text), "M%" PRIx64 ",%zx:", gpa, size);
	for (size_t i = 0; i < size; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x",
			      ((const uint8_t *)bytes)[i]);
	return request(stub, text, err);
}

/* "gdbserver none" takes the character device along, if the stub has it. */
struct gdbstub *gdbstub_free(struct gdbstub *stub)
{
	if (!stub)
		return NULL;
	if (stub->fd >= 0)
		close(stub->fd);
	if (stub->chardev)
		stop(stub->qmp);
	free(stub);
	return NULL;
}
