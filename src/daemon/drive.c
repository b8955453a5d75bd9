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

/*
 * A guest can give us work for ever. Behind what it asks for in earnest it is held up itself, and nothing else of ours is; so the
 * processor is left to others a fifth of the time, after a second without a pause. While somebody forges records, it is four
 * fifths: then the ring is what holds the forger up. Never for long, as honest records stand between the others.
 */
#define LONG_US 1000000
#define PART_LONG 4 /* work / pause */
#define TIMES_ABUSED 4 /* pause / work */
#define PAUSE_MOST_US 80000

struct drive {
	struct session *session;
	sd_event_source *timer, *io, *trap;
	bool busy;
	drive_after_t after;
	void *data;
	uint64_t last_us; /* when there was something */
	uint64_t idle_us; /* when there was nothing */
};

struct drive *drive_free(struct drive *drive)
{
	if (!drive)
		return NULL;
	sd_event_source_disable_unref(drive->timer);
	sd_event_source_disable_unref(drive->io);
	sd_event_source_disable_unref(drive->trap);
	free(drive);
	return NULL;
}

DEFINE_CLEANUP(struct drive *, drive_free)

static uint64_t pause_at_work(const struct drive *drive, uint64_t worked_us, uint64_t now)
{
	uint64_t pause = 0;

	if (session_is_abused(drive->session))
		pause = worked_us * TIMES_ABUSED;
	else if (now - drive->idle_us > LONG_US)
		pause = worked_us / PART_LONG;
	return pause < PAUSE_MOST_US ? pause : PAUSE_MOST_US;
}

static uint64_t pause_us(struct drive *drive, bool any, uint64_t started, uint64_t now)
{
	if (any)
		drive->last_us = now;
	else
		drive->idle_us = now;
	if (drive->busy)
		return 0;
	if (any)
		return pause_at_work(drive, now - started, now);
	if (drive->session->state == SESSION_WAITING)
		return PAUSE_WAITING_US;
	if (now - drive->last_us < LATELY_US || !session_is_settled(drive->session))
		return PAUSE_SHORT_US;
	return PAUSE_LONG_US;
}

static int poll_once(struct drive *drive)
{
	uint64_t started = clock_ns(CLOCK_MONOTONIC) / 1000;
	bool any = session_poll(drive->session);
	uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000;
	int r;

	if (drive->session->state == SESSION_ENDED) {
		sd_event_source_set_enabled(drive->io, SD_EVENT_OFF);
		if (drive->trap)
			sd_event_source_set_enabled(drive->trap, SD_EVENT_OFF);
		sd_event_source_set_enabled(drive->timer, SD_EVENT_OFF);
	} else {
		r = sd_event_source_set_time(drive->timer,
					     now + pause_us(drive, any, started, now));
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
	drive->idle_us = clock_ns(CLOCK_MONOTONIC) / 1000;
	drive->after = after;
	drive->data = data;
	r = sd_event_add_time(event, &drive->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer,
			      drive);
	if (r >= 0)
		r = sd_event_add_io(event, &drive->io, session_fd(session), EPOLLIN, on_io, drive);
	if (r >= 0 && session_trap_fd(session) >= 0)
		r = sd_event_add_io(event, &drive->trap, session_trap_fd(session), EPOLLIN, on_io,
				    drive);
	if (r < 0)
		return error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(drive);
	return 0;
}
