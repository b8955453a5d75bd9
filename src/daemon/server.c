// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/asker.h"
#include "daemon/history.h"
#include "daemon/outlet.h"
#include "daemon/roster.h"
#include "util/log.h"

struct server {
	const char *socket_path;
	char *lock_path;
	int lock, listener;
	sd_event_source *accept;
	struct history history;
	struct roster roster;
	struct askers askers;
};

DEFINE_CLEANUP(struct server *, server_free)

static void on_event(struct vm *vm, const char *json, const char *text, void *data)
{
	struct server *server = data;

	history_add(&server->history, vm->name, json, text);
	askers_wake(&server->askers);
}

static void on_answer(struct vm *vm, uint64_t who, struct json_object *reply, void *data)
{
	struct server *server = data;

	askers_answer(&server->askers, vm, who, reply);
}

/* The socket's mode says who may connect; root, or who runs the daemon, may ask. */
static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void turn_away(int fd, const char *why)
{
	_cleanup_(json_object_putp) struct json_object *reply =
		control_refused(OUTCOME_FAILED, "%s", why);
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", control_text(reply, NULL));

	if (send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a client was turned away, and had gone");
	close(fd);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct server *server = data;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)source;
	(void)events;
	if (client < 0)
		return 0;
	if (!may_ask(client))
		turn_away(client, "outguardd answers root only");
	else if (askers_add(&server->askers, client) == -EBUSY)
		turn_away(client, "too many clients are connected to outguardd; try again");
	return 0;
}

static int make_directory(const char *socket_path, struct error *err)
{
	_cleanup_(freep) char *directory = strdup(socket_path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s; run as root", directory,
				 strerror(errno));
	return 0;
}

/* A socket that is left from a daemon that died may be replaced; one that somebody listens at not. */
static int take_lock(struct server *server, struct error *err)
{
	server->lock = open(server->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (server->lock < 0)
		return error_set(err, -errno, "cannot make %s: %s; run as root", server->lock_path,
				 strerror(errno));
	if (flock(server->lock, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EBUSY, "another outguardd is at %s", server->socket_path);
	return 0;
}

static int listen_at(struct server *server, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = server->socket_path;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG, "%s: give a path of at most %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	unlink(path);
	if (bind(server->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, 0660) < 0 || listen(server->listener, ASKERS_MAX) < 0)
		return error_set(err, -errno, "cannot listen at %s: %s", path, strerror(errno));
	return 0;
}

/* The keepers write the events: one that cannot be opened is to be known before. */
static int try_outlet(const char *path, struct error *err)
{
	struct outlet outlet;
	int r = path ? outlet_open(&outlet, path, err) : 0;

	if (path && r == 0)
		outlet_deinit(&outlet);
	return r;
}

int server_new(struct server **ret, sd_event *event, const struct server_config *config,
	       struct error *err)
{
	_cleanup_(server_freep) struct server *server = calloc(1, sizeof(*server));
	struct vm_owner owner = {
		.event = on_event,
		.answer = on_answer,
		.data = server,
		.events_path = config->events_path,
		.user = config->user,
	};
	int r;

	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	server->lock = server->listener = -1;
	server->socket_path = config->socket_path;
	if (asprintf(&server->lock_path, "%s.lock", server->socket_path) < 0) {
		server->lock_path = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	owner.outlet_lock_path = server->lock_path;
	roster_init(&server->roster, event, &owner);
	server->askers = (struct askers){ event, &server->roster, &server->history, NULL, 0, 0 };
	r = try_outlet(config->events_path, err);
	if (r == 0)
		r = make_directory(server->socket_path, err);
	if (r == 0)
		r = take_lock(server, err);
	if (r == 0)
		r = listen_at(server, err);
	if (r < 0)
		return r;
	r = sd_event_add_io(event, &server->accept, server->listener, EPOLLIN, on_connection,
			    server);
	if (r < 0)
		return error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(server);
	return 0;
}

struct server *server_free(struct server *server)
{
	if (!server)
		return NULL;
	sd_event_source_disable_unref(server->accept);
	askers_clear(&server->askers);
	roster_deinit(&server->roster);
	if (server->listener >= 0) {
		unlink(server->socket_path);
		close(server->listener);
	}
	closep(&server->lock);
	history_deinit(&server->history);
	free(server->lock_path);
	free(server);
	return NULL;
}

int server_add(struct server *server, const struct control_request *request, struct error *err)
{
	return roster_attach(&server->roster, request, 0, true, err);
}

void server_reload(struct server *server)
{
	roster_reload(&server->roster);
}

void server_stop(struct server *server)
{
	roster_leave(&server->roster);
}
