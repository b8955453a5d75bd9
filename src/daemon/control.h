/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/outcome.h"
#include "util/cleanup.h"
#include "util/error.h"

/*
 * The language of the control socket, and between the daemon and its keepers: one JSON object a line, a request
 * and its reply. docs/CLI.md describes it. Pure: no I/O.
 */
#define CONTROL_SOCKET "/run/outguard/outguard.sock"
#define CONTROL_LINE_MAX (1u << 20)
#define CONTROL_NAME_MAX 64
#define CONTROL_PATH_MAX 4096
#define CONTROL_QMP_MAX 108 /* sun_path */

enum control_verb {
	CONTROL_ATTACH,
	CONTROL_DETACH,
	CONTROL_STATUS,
	CONTROL_EVENTS,
	CONTROL_PROFILE,
	CONTROL_POLICY_LOAD,
	CONTROL_MAINTENANCE,
};
#define CONTROL_N_VERBS 7

struct control_request {
	enum control_verb verb;
	char name[CONTROL_NAME_MAX]; /* "": all VMs */
	char qmp[CONTROL_QMP_MAX];
	char policy[CONTROL_PATH_MAX];
	bool wait; /* attach: a guest that still boots is no error */
	bool allow_partial; /* attach: a kernel that lacks some hooks is no error */
	bool hot_plug; /* attach: a VM without our devices gets them */
	bool follow, text; /* events: go on; as text, not JSON */
	uint32_t last; /* events: at most that many of those kept */
	uint32_t minutes; /* maintenance: how long; 0: it ends */
};

DEFINE_CLEANUP(struct json_object *, json_object_put)

/* Is it a name for a VM? Letters, digits and "._+:@-", at most 63, the first a letter or a digit. */
bool control_name_is_good(const char *name);

/*
 * Reads a request. Members that the verb does not know, wrong types and missing ones are refused, with a message
 * that says what is right. @line need not be terminated.
 */
int control_parse(struct control_request *ret, const char *line, size_t size, struct error *err);

/* The same request as an object to be put on the wire; the caller's. */
struct json_object *control_print(const struct control_request *request);

/* {"ok": true} and {"ok": false, "error": {"kind": ..., "message": ...}}; the caller's. */
struct json_object *control_done(void);
struct json_object *control_refused(enum outcome outcome, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What a reply says came of the request; @err gets its message, if it is an error. */
enum outcome control_outcome(struct json_object *reply, struct error *err);

/* Parses one line into an object, or NULL when it is none (or has more behind it). */
struct json_object *control_object(const char *line, size_t size);

/* The object as one line without the newline; lives as long as the object. */
const char *control_text(struct json_object *object, size_t *ret_size);

#endif
