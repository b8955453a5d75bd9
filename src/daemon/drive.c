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
#define PAUSE_QUIET_US \
	10000 /* of a guest in which nothing happens, unless its sentry is due earlier */
#define PAUSE_WAITING_US 20000 /* for a guest that boots */

/*
 * A guest can give us work for ever. Behind what it asks for in earnest it is held up itself, and nothing else of ours is; so the
 * processor is left to others a fifth of the time, after a second without a pause. While somebody forges records, it is four
 * fifths: then the ring is what holds the forger up. Never for long, as honest records stand between the others.
 */
#define LONG_US 1000000
#define PART_LONG 4 /* work / pause */
#define TIMES_ABUSED 4 /* pause / work */
#define PAUSE_MOST_US 80000

/*
 * It is woken a hundred times a second and more for as long as a VM runs, and does next to nothing then: what that costs is the
 * way there and back. So the pause is how long the loop waits at most; a timer of its own would be a descriptor to set, to
 * wait for and to read, three system calls for one.
 */
struct drive {
	sd_event *event;
	int fd; /* its */
	struct session *session;
	sd_event_source *io, *trap;
	uint64_t due_us; /* the next poll */
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

static uint64_t pause_at_rest(struct session *session)
{
	uint64_t hooks_us = session->policy->sentry.hooks_ns / 1000;

	if (!session_is_quiet(session) || hooks_us < PAUSE_LONG_US)
		return PAUSE_LONG_US;
	return hooks_us < PAUSE_QUIET_US ? hooks_us : PAUSE_QUIET_US;
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
	return pause_at_rest(drive->session);
}

/* @heard: as session_poll(). */
static void poll_once(struct drive *drive, bool heard)
{
	uint64_t started = clock_ns(CLOCK_MONOTONIC) / 1000;
	bool any = session_poll(drive->session, heard);
	uint64_t now = clock_ns(CLOCK_MONOTONIC) / 1000;

	if (drive->session->state == SESSION_ENDED) {
		sd_event_source_set_enabled(drive->io, SD_EVENT_OFF);
		if (drive->trap)
			sd_event_source_set_enabled(drive->trap, SD_EVENT_OFF);
		drive->due_us = UINT64_MAX;
	} else {
		drive->due_us = now + pause_us(drive, any, started, now);
	}
	drive->after(drive->session, drive->data);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
	(void)source;
	(void)fd;
	(void)events;
	poll_once(data, true);
	return 0;
}

int drive_new(struct drive **ret, sd_event *event, struct session *session, bool busy,
	      drive_after_t after, void *data, struct error *err)
{
	_cleanup_(drive_freep) struct drive *drive = calloc(1, sizeof(*drive));
	int r;

	if (!drive)
		return error_set(err, -ENOMEM, "out of memory");
	drive->event = event;
	drive->fd = sd_event_get_fd(event);
	drive->session = session;
	drive->busy = busy;
	drive->idle_us = clock_ns(CLOCK_MONOTONIC) / 1000;
	drive->after = after;
	drive->data = data;
	r = sd_event_add_io(event, &drive->io, session_fd(session), EPOLLIN, on_io, drive);
	if (r >= 0 && session_trap_fd(session) >= 0)
		r = sd_event_add_io(event, &drive->trap, session_trap_fd(session), EPOLLIN, on_io,
				    drive);
	if (r < 0)
		return error_set(err, r, "event loop: %s", strerror(-r));
	*ret = TAKE_PTR(drive);
	return 0;
}

/* How long the loop may wait. */
static uint64_t left_us(const struct drive *drive)
{
	uint64_t now;

	if (drive->due_us == UINT64_MAX)
		return UINT64_MAX;
	now = clock_ns(CLOCK_MONOTONIC) / 1000;
	return drive->due_us > now ? drive->due_us - now : 0;
}

/* Then the session may be gone already. */
static bool is_over(const struct drive *drive)
{
	int code;

	return sd_event_get_exit_code(drive->event, &code) != -ENODATA;
}

/* May a source of the event loop be ready? */
static bool wait_for_sources(const struct drive *drive)
{
	uint64_t left = left_us(drive);
	const struct timespec timeout = { (time_t)(left / 1000000), (long)(left % 1000000 * 1000) };
	bool for_ever = left == UINT64_MAX;
	struct epoll_event event;
	int n = epoll_pwait2(drive->fd, &event, 1, for_ever ? NULL : &timeout, NULL);

	if (n < 0 && errno == ENOSYS) /* before Linux 5.11 */
		n = epoll_wait(drive->fd, &event, 1, for_ever ? -1 : (int)((left + 999) / 1000));
	return n != 0;
}

/*
 * The event loop is not asked to look at its sources where none is ready, which is nearly always: what has been waited for is its own
 * descriptor. Sources that it has found ready before, and had no turn, do not show there: so it is asked until it finds none.
 * Where nothing is ready, QEMU has not said anything either.
 */
int drive_loop(struct drive *drive)
{
	bool over = false;

	for (int r = 1;;) {
		bool ready = r > 0 || over || wait_for_sources(drive);

		r = ready ? sd_event_run(drive->event, 0) : 0;
		if (r < 0)
			return r;
		if (ready && sd_event_get_state(drive->event) == SD_EVENT_FINISHED)
			return 0;
		over = over || (ready && is_over(drive));
		if (over || left_us(drive))
			continue;
		poll_once(drive, ready);
		over = is_over(drive);
	}
}
