/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "daemon/history.h"

/*
 * Somebody at the control socket. One request at a time: the next is not read before the reply to the one before is
 * sent, so what a client makes the daemon hold is bounded. Nothing waits for a client.
 */
struct client;

struct client_owner {
	/*
	 * A request: the owner calls client_reply() once, now or later, or client_follow(). It does not free the
	 * client here.
	 */
	void (*request)(struct client *client, const struct control_request *request, void *data);
	void (*late)(struct client *client, void *data); /* client_deadline() has passed */
	void (*gone)(struct client *client, void *data); /* the owner frees it */
	void *data;
};

/* Takes over @fd. NULL on failure. */
struct client *client_new(int fd, uint64_t id, sd_event *event, const struct history *history,
			  const struct client_owner *owner);

/* Accepts NULL. Returns NULL. */
struct client *client_free(struct client *client);

uint64_t client_id(const struct client *client);

/* The request that is not answered yet. */
const struct control_request *client_request(const struct client *client);

/* Answers the request. Consumes @reply. */
void client_reply(struct client *client, struct json_object *reply);

/* Calls owner.late() if there is no reply in @us microseconds. */
void client_deadline(struct client *client, uint64_t us);

/* Answers an `events` request from the history. */
void client_follow(struct client *client);

/* There is something new in the history. */
void client_wake(struct client *client);

#endif
