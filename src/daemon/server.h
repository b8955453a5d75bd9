/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "util/error.h"

/* The VMs that are guarded, and whoever asks about them. */
struct server;

struct server_config {
	const char *socket_path;
	const char *events_path; /* or NULL */
	const char *user; /* for the keepers to become; NULL: see sandbox.h */
};

/* Listens. -EADDRINUSE when another daemon does. @event and the strings must outlive it. */
int server_new(struct server **ret, sd_event *event, const struct server_config *config,
	       struct error *err);

/* Accepts NULL. Returns NULL. Keepers that are left are killed: the guards stay in the guests. */
struct server *server_free(struct server *server);

/* Attaches at start, and again whenever the VM has ended. */
int server_add(struct server *server, const struct control_request *request, struct error *err);

/* Has all keepers open the events' file again, and load their policies again. */
void server_reload(struct server *server);

/* Has all keepers leave, then ends the event loop. */
void server_stop(struct server *server);

#endif
