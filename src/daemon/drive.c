// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/drive.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define LATELY_US 100000
#define PAUSE_SHORT_US 1000
#define PAUSE_LONG_US 4000
#define PAUSE_WAITING_US 20000 /* for a guest that boots */
#define ACCURACY_US 50

struct drive {
	struct session *session;
	sd_event_source *timer, *io;
	bool busy;
	drive_after_t after;
	void *data;
	uint64_t last_us; /* when there was something */
};

struct drive *drive_free(struct drive *drive)
{
	if (!drive)
		return NULL;
	sd_event_source_disable_unref(drive->timer);
	sd_event_source_disable_unref(drive->io);
	free(drive);
	return NULL;
}

DEFINE_CLEANUP(struct drive *, drive_free)

static uint64_t pause_us(struct drive *drive, bool any, uint64_t now)
{
	if (any)
		drive->last_us = now;
	if (any || drive->busy)
		return 0;
	if (drive->session->state == SESSION_WAITING)
		return PAUSE_WAITING_US;
	if (now - drive->last_us < LATELY_US || !session_is_settled(drive->session))
		return PAUSE_SHORT_US;
	return PAUSE_LONG_US;
}

static int poll_once(struct drive *drive)
{
	bool any = session_poll(drive->session);
	uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000;
	int r;

	if (drive->session->state == SESSION_ENDED) {
		sd_event_source_set_enabled(drive->io, SD_EVENT_OFF);
		sd_event_source_set_enabled(drive->timer, SD_EVENT_OFF);
	} else {
		r = sd_event_source_set_time(drive->timer, now + pause_us(drive, any, now));
		if (r >= 0)
			r = sd_event_source_set_enabled(drive->timer, SD_EVENT_ONESHOT);
		if (r < 0)
			return r;
	}
	drive->after(drive->session, drive->data);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	(void)source;
	(void)usec;
	return poll_once(data);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	return poll_once(data);
}

int drive_new(struct drive **ret, sd_event *event, struct session *session, bool busy,
	      drive_after_t after, void *data, struct error *err)
{
	_cleanup_(drive_freep) struct drive *drive = calloc(1, sizeof(*drive));
	int r;

	if (!drive)
		return error_set(err, -ENOMEM, "out of memory");
	drive->session = session;
	drive->busy = busy;
	drive->after = after;
	drive->data = data;
	r = sd_event_add_time(event, &drive->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer,
			      drive);
	if (r >= 0)
		r = sd_event_add_io(event, &drive->io, session_fd(session), EPOLLIN, on_io, drive);
	if (r < 0)
		return error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(drive);
	return 0;
}
