// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "daemon/lines.h"
#include "util/cleanup.h"

#define QUEUE_MAX (8u << 20) /* the longest reply */
#define QUEUE_ENOUGH 65536 /* of events; the others wait in the history */

struct client {
	uint64_t id;
	sd_event *event;
	const struct history *history;
	struct client_owner owner;
	struct lines *lines;
	sd_event_source *io, *deadline;
	struct control_request request;
	bool asked; /* request has no reply yet */
	bool following;
	bool closed; /* it will say no more */
	uint64_t next; /* event to send */
};

DEFINE_CLEANUP(struct client *, client_free)

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	sd_event_source_disable_unref(client->io);
	sd_event_source_disable_unref(client->deadline);
	lines_free(client->lines);
	free(client);
	return NULL;
}

uint64_t client_id(const struct client *client)
{
	return client->id;
}

const struct control_request *client_request(const struct client *client)
{
	return &client->request;
}

static bool is_busy(const struct client *client)
{
	return client->asked || client->following || lines_queued(client->lines);
}

static void put(struct client *client, const char *text, size_t size)
{
	if (lines_put(client->lines, text, size) < 0)
		client->closed = true; /* as if it had hung up: the rest cannot be told */
}

static void put_object(struct client *client, struct json_object *object)
{
	size_t size;
	const char *text = control_text(object, &size);

	put(client, text, size);
	json_object_put(object);
}

void client_reply(struct client *client, struct json_object *reply)
{
	client->deadline = sd_event_source_disable_unref(client->deadline);
	client->asked = false;
	put_object(client, reply);
	sd_event_source_set_io_events(client->io, EPOLLOUT); /* goes on in on_io() */
}

static int on_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct client *client = data;

	(void)source;
	(void)usec;
	client->owner.late(client, client->owner.data);
	return 0;
}

void client_deadline(struct client *client, uint64_t us)
{
	sd_event_add_time_relative(client->event, &client->deadline, CLOCK_MONOTONIC, us, 0,
				   on_late, client);
}

static void put_event(struct client *client, const struct history_event *event)
{
	_cleanup_(freep) char *line = NULL;
	struct json_object *object;
	int n;

	if (client->request.text) {
		object = json_object_new_object();
		json_object_object_add(object, "text", json_object_new_string(event->text));
		put_object(client, object);
		return;
	}
	n = asprintf(&line, "{\"event\":%s}", event->json);
	if (n < 0)
		line = NULL;
	else
		put(client, line, (size_t)n);
}

static void put_missed(struct client *client, uint64_t n)
{
	char line[64];

	put(client, line, (size_t)snprintf(line, sizeof(line), "{\"missed\":%" PRIu64 "}", n));
}

/* As many events as are worth having in the queue. */
static void pump(struct client *client)
{
	uint64_t start = history_start(client->history);

	if (client->next < start) {
		put_missed(client, start - client->next);
		client->next = start;
	}
	while (client->next < client->history->end && lines_queued(client->lines) < QUEUE_ENOUGH) {
		const struct history_event *event =
			history_get(client->history, client->next++, client->request.name);

		if (event)
			put_event(client, event);
	}
	if (client->next == client->history->end && !client->request.follow) {
		client->following = false;
		put_object(client, control_done());
	}
}

static void serve(struct client *client)
{
	struct error err = { 0 };
	size_t size;
	char *line;

	while (!is_busy(client) && (line = lines_next(client->lines, &size))) {
		client->asked = true;
		if (control_parse(&client->request, line, size, &err) < 0)
			client_reply(client, control_refused(OUTCOME_USAGE, "%s", err.message));
		else
			client->owner.request(client, &client->request, client->owner.data);
	}
}

/* What to wait for, after all that could be done has been. */
static uint32_t wanted(const struct client *client)
{
	uint32_t events = 0;

	if (lines_queued(client->lines))
		events |= EPOLLOUT;
	if (!client->closed && (client->following || !is_busy(client)))
		events |= EPOLLIN;
	return events;
}

/* Returns whether the client is still worth having. */
static bool proceed(struct client *client)
{
	do {
		if (client->following)
			pump(client);
		if (lines_flush(client->lines) < 0)
			return false;
		serve(client);
	} while (!client->asked && lines_queued(client->lines) == 0 &&
		 (client->following ? client->next < client->history->end
				    : lines_any(client->lines)));
	sd_event_source_set_io_events(client->io, wanted(client));
	return !client->closed || is_busy(client);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct client *client = data;
	bool lives = !(events & (EPOLLHUP | EPOLLERR));
	int r = 0;

	(void)source;
	(void)fd;
	if (lives && events & EPOLLIN)
		r = lines_fill(client->lines);
	if (r == -EPIPE)
		client->closed = true;
	else if (r < 0)
		lives = false;
	lives = lives && proceed(client);
	if (!lives)
		client->owner.gone(client, client->owner.data);
	return 0;
}

void client_follow(struct client *client)
{
	client->asked = false;
	client->following = true;
	client->next = history_last(client->history, client->request.name, client->request.last);
}

void client_wake(struct client *client)
{
	if (client->following)
		sd_event_source_set_io_events(client->io, EPOLLIN | EPOLLOUT);
}

struct client *client_new(int fd, uint64_t id, sd_event *event, const struct history *history,
			  const struct client_owner *owner)
{
	_cleanup_(client_freep) struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return NULL;
	}
	client->lines = lines_new(fd, CONTROL_LINE_MAX, QUEUE_MAX);
	if (!client->lines)
		return NULL;
	client->id = id;
	client->event = event;
	client->history = history;
	client->owner = *owner;
	if (sd_event_add_io(event, &client->io, fd, EPOLLIN, on_io, client) < 0)
		return NULL;
	return TAKE_PTR(client);
}
