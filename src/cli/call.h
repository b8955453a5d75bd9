/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include <stdio.h>

#include "daemon/control.h"

/*
 * Requests to outguardd. The socket is $OUTGUARD_SOCKET, or CONTROL_SOCKET. Blocking; outguardd bounds the time
 * that it takes to answer.
 */

/* Starts a request for a VM; NULL for all of them. The name is checked. */
enum outcome call_request(struct control_request *ret, enum control_verb verb, const char *name,
			  struct error *err);

/* Sends a request and takes the reply; *@ret_reply is the caller's, on OUTCOME_DONE. */
enum outcome call(struct json_object **ret_reply, const struct control_request *request,
		  struct error *err);

/* Sends a request and leaves the conversation open, for replies of many lines. */
enum outcome call_open(FILE **ret, const struct control_request *request, struct error *err);

/*
 * Waits until the VM is guarded and all its containers are resolved for the policy that was loaded last:
 * without bound for a guest that boots, then at most 30 s (a warning says who is not). *@ret_facts, if asked for,
 * is what `status` said last.
 */
enum outcome call_wait_settled(const char *name, struct json_object **ret_facts, struct error *err);

/* The path as outguardd has to know it: absolute. Truncation and a missing file are errors. */
int call_path(char *buf, size_t size, const char *path, struct error *err);

#endif
