/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_QMP_H
#define VMM_QMP_H

#include <json-c/json.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

/*
 * A client of QEMU's control socket (QMP). Every call that waits has a deadline, and whatever is at the
 * other end, memory stays bounded: QMP_MAX_LINE for a line, QMP_MAX_EVENTS for events not yet taken.
 *
 * Not thread-safe.
 */
struct qmp;

#define QMP_MAX_LINE (8u << 20) /* bytes; `info registers -a` of 288 vCPUs takes 3 MiB */
#define QMP_MAX_EVENTS 64

enum qmp_event_type {
	QMP_EVENT_RESET,
	QMP_EVENT_SHUTDOWN,
	QMP_EVENT_STOP,
	QMP_EVENT_RESUME,
	QMP_EVENT_DEVICE_OST, /* the guest has dealt with a hot-plug */
	QMP_EVENT_DEVICE_DELETED,
	QMP_EVENT_MEMORY_SIZE, /* of a virtio-mem device */
	QMP_EVENT_CLOSED, /* the connection ended; nothing comes after it */
	QMP_N_EVENT_TYPES,
};

struct qmp_event {
	enum qmp_event_type type;
	uint64_t time_us; /* host wall clock, as QEMU stamped it */
};

static inline void json_object_putp(struct json_object **object)
{
	json_object_put(*object);
}

/*
 * Connects to the Unix socket @path and leaves capability negotiation. @timeout_ms bounds the connection
 * and each answer, now and later. The connection is the caller's, to be freed with qmp_free().
 */
int qmp_open(struct qmp **ret, const char *path, unsigned int timeout_ms, struct error *err);

/* Accepts NULL. Returns NULL. */
struct qmp *qmp_free(struct qmp *qmp);
DEFINE_CLEANUP(struct qmp *, qmp_free)

/* The process that listens on the socket, as the kernel tells; 0 when it is none of our pid name space. */
int qmp_peer_pid(const struct qmp *qmp);

/*
 * Executes @command and waits for its answer. Takes @arguments (may be NULL) in any case. The result, if
 * asked for, is the caller's; NULL stands for JSON's null. What QEMU refuses is -EIO, with its own words
 * in the message; -ETIMEDOUT leaves the connection usable.
 */
int qmp_execute(struct qmp *qmp, const char *command, struct json_object *arguments,
		struct json_object **ret, struct error *err);

/* For the answer to one command, in milliseconds. */
unsigned int qmp_timeout_ms(const struct qmp *qmp);
/* The same, and with the descriptor @fd, which QEMU gets a copy of. */
int qmp_execute_passing(struct qmp *qmp, const char *command, struct json_object *arguments, int fd,
			struct json_object **ret, struct error *err);

/* Executes a line of QEMU's human monitor. What it prints is the caller's, to be freed with free(). */
int qmp_hmp(struct qmp *qmp, char **ret_text, struct error *err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Readable while there may be an event, also one that came in during qmp_execute(). Valid until
 * qmp_free().
 */
int qmp_fd(const struct qmp *qmp);

/*
 * Takes the next event, without blocking. Returns 1 and an event, or 0. Events of other types are
 * dropped. When too many wait, old ones go whose type occurs again later: the last of each type stays.
 */
int qmp_next_event(struct qmp *qmp, struct qmp_event *ret);

/* Time of the last event of that type that arrived, taken or not; 0 when there was none. */
uint64_t qmp_event_time(const struct qmp *qmp, enum qmp_event_type type);

#endif
