// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * It writes an event where events are left before the guest's record is handed back. So whoever dies, the daemon or the
 * keeper, what has been handed back has been told; and a VM that floods us with events holds up no other one's. The daemon gets
 * them too, for those who follow, also blocking: should all this be slow, the ring in the mailbox fills and the offenders
 * wait, and nothing is lost in between.
 */
#include "daemon/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "daemon/control.h"
#include "daemon/drive.h"
#include "daemon/facts.h"
#include "daemon/lines.h"
#include "daemon/outlet.h"
#include "daemon/porter.h"
#include "daemon/sandbox.h"
#include "util/cleanup.h"
#include "util/log.h"

#define TIMEOUT_MS 5000

struct keeper {
	sd_event *event;
	struct lines *daemon;
	struct outlet outlet; /* without a file: there is none */
	int porter;
	struct session *session;
	bool armed; /* said so */
	bool orphaned; /* the daemon is gone without a word: the next one will come soon */
};

DEFINE_CLEANUP(struct policy *, policy_free)

static void be_orphaned(struct keeper *keeper)
{
	keeper->orphaned = true;
	sd_event_exit(keeper->event, 0);
}

/* Consumes @object. */
static void send_object(struct keeper *keeper, char letter, struct json_object *object)
{
	_cleanup_(freep) char *line = NULL;
	int n = asprintf(&line, "%c%s", letter, control_text(object, NULL));

	json_object_put(object);
	if (n < 0)
		line = NULL;
	else if (lines_send(keeper->daemon, line, (size_t)n) < 0)
		be_orphaned(keeper);
}

/*
 * @line is "E", JSON, newline, text, newline. The JSON goes where events are left; when it is there, to the daemon, with a tab for the
 * newline.
 */
static void leave(struct keeper *keeper, char *line, size_t size)
{
	char *end = line ? memchr(line, '\n', size) : NULL;

	if (!end)
		return;
	if (keeper->outlet.file)
		outlet_put(&keeper->outlet, line + 1, (size_t)(end - line));
	*end = '\t';
	if (lines_send(keeper->daemon, line, size - 1) < 0)
		be_orphaned(keeper);
}

static void tell(const struct event *event, void *data)
{
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);

	if (!out) {
		log_error("%s: an event is lost: out of memory", event->vm);
		return;
	}
	fputc('E', out);
	event_print_json(event, out);
	event_print_text(event, out, true);
	fclose(out);
	leave(data, line, size);
}

static void tell_notice(const struct event_notice *notice, void *data)
{
	_cleanup_(freep) char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);

	if (!out)
		return;
	fputc('E', out);
	event_notice_print_json(notice, out);
	event_notice_print_text(notice, out, true);
	fclose(out);
	leave(data, line, size);
}

/* The whole policy, or an error and the old one. */
static struct json_object *load_policy(struct keeper *keeper, const char *path)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct error err = { 0 };
	struct json_object *reply;
	int r = policy_load(&policy, path, &err);

	if (r < 0)
		return control_refused(outcome_of_policy(r), "%s", err.message);
	r = session_load_policy(keeper->session, policy, &err);
	if (r < 0)
		return control_refused(outcome_of(r), "%s", err.message);
	TAKE_PTR(policy);
	reply = control_done();
	json_object_object_add(reply, "vm", facts_session(keeper->session));
	return reply;
}

static struct json_object *tell_profile(const struct session *session)
{
	struct json_object *reply;

	if (session->state != SESSION_GUARDING)
		return control_refused(OUTCOME_BUSY, "%s: the guest's kernel is not up",
				       session->name);
	reply = control_done();
	json_object_object_add(reply, "profile",
			       facts_profile(session->machine, session->profile, &session->arm));
	return reply;
}

/* Frees the session, whatever comes of it. */
static struct json_object *detach(struct keeper *keeper)
{
	struct session *session = TAKE_PTR(keeper->session);
	struct error err = { 0 };
	int r = session_detach(session, &err);

	sd_event_exit(keeper->event, 0);
	return r < 0 ? control_refused(outcome_of(r), "%s", err.message) : control_done();
}

static struct json_object *answer(struct keeper *keeper, const char *line, size_t size)
{
	struct control_request request;
	struct error err = { 0 };
	struct json_object *reply;

	if (control_parse(&request, line, size, &err) < 0)
		return control_refused(OUTCOME_USAGE, "%s", err.message);
	switch (request.verb) {
	case CONTROL_STATUS:
		reply = control_done();
		json_object_object_add(reply, "vm", facts_session(keeper->session));
		return reply;
	case CONTROL_PROFILE:
		return tell_profile(keeper->session);
	case CONTROL_POLICY_LOAD:
		return load_policy(keeper, request.policy);
	case CONTROL_DETACH:
		return detach(keeper);
	case CONTROL_MAINTENANCE:
		session_maintain(keeper->session, request.minutes);
		reply = control_done();
		json_object_object_add(reply, "vm", facts_session(keeper->session));
		return reply;
	case CONTROL_ATTACH:
	case CONTROL_EVENTS:
		break;
	}
	return control_refused(OUTCOME_USAGE, "not for a keeper");
}

static int on_daemon(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct keeper *keeper = data;
	int r = lines_fill(keeper->daemon);
	size_t size;
	char *line;

	(void)source;
	(void)fd;
	(void)events;
	while (keeper->session && (line = lines_next(keeper->daemon, &size)))
		send_object(keeper, 'R', answer(keeper, line, size));
	if (r < 0 && keeper->session)
		be_orphaned(keeper);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct keeper *keeper = data;
	struct error err = { 0 };

	(void)source;
	(void)info;
	if (outlet_reopen(&keeper->outlet, &err) < 0)
		log_error("%s; the old file stays", err.message);
	return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct keeper *keeper = data;

	(void)source;
	(void)info;
	return sd_event_exit(keeper->event, 0);
}

static void after_poll(struct session *session, void *data)
{
	struct keeper *keeper = data;
	char cost[256];

	if (session->state == SESSION_ENDED) {
		sd_event_exit(keeper->event, 0);
	} else if (session->state == SESSION_GUARDING && !keeper->armed) {
		facts_cost(session, cost, sizeof(cost));
		log_info("%s: guarding Linux %s: %s", session->name,
			 profile_release(session->profile), cost);
	}
	keeper->armed = session->state == SESSION_GUARDING;
}

/* What it opened to attach is open; a porter opens what comes later. */
static int lock_in(const struct keeper *keeper, const struct keeper_config *config)
{
	const struct sandbox_config sandbox = {
		.name = config->name,
		.user = config->user,
		.porter = keeper->porter,
		.process = machine_pid(keeper->session->machine),
	};
	struct error err = { 0 };
	int r = sandbox_enter(&sandbox, &err);

	if (r < 0)
		send_object((struct keeper *)keeper, 'R',
			    control_refused(outcome_of(r), "%s", err.message));
	return r;
}

static int start_porter(struct keeper *keeper, const struct keeper_config *config)
{
	const struct porter_config porter = {
		.name = config->name,
		.qmp_path = config->qmp_path,
		.policy_path = config->policy_path,
		.events_path = config->events_path,
		.outlet_lock_path = config->outlet_lock_path,
		.warrants = config->warrants,
	};
	struct error err = { 0 };
	int r = porter_start(&keeper->porter, &porter, &err);

	if (r < 0)
		send_object(keeper, 'R', control_refused(outcome_of(r), "%s", err.message));
	return r;
}

static int attach(struct keeper *keeper, const struct keeper_config *config)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct session_config session_config = {
		.name = config->name,
		.qmp_path = config->qmp_path,
		.timeout_ms = TIMEOUT_MS,
		.wait_for_boot = config->wait,
		.allow_partial = config->allow_partial,
		.hot_plug = config->hot_plug,
		.sink = tell,
		.notice = tell_notice,
		.sink_data = keeper,
	};
	struct error err = { 0 };
	int r = policy_load(&policy, config->policy_path, &err);

	if (r < 0) {
		send_object(keeper, 'R', control_refused(outcome_of_policy(r), "%s", err.message));
		return r;
	}
	r = session_attach(&keeper->session, &session_config, policy, &err);
	if (r < 0) {
		send_object(keeper, 'R',
			    control_refused(outcome_of(r), "%s%s", err.message,
					    r == -EAGAIN ? " (--wait waits for it)" : ""));
		return r;
	}
	TAKE_PTR(policy);
	r = lock_in(keeper, config);
	if (r < 0)
		return r;
	send_object(keeper, 'R', control_done());
	return 0;
}

static int keep(struct keeper *keeper)
{
	struct drive *drive = NULL;
	struct error err = { 0 };
	int r;

	r = sd_event_add_io(keeper->event, NULL, lines_fd(keeper->daemon), EPOLLIN, on_daemon,
			    keeper);
	if (r >= 0)
		r = sd_event_add_signal(keeper->event, NULL, SIGTERM, on_signal, keeper);
	if (r >= 0)
		r = sd_event_add_signal(keeper->event, NULL, SIGINT, on_signal, keeper);
	if (r >= 0)
		r = sd_event_add_signal(keeper->event, NULL, SIGHUP, on_hangup, keeper);
	if (r >= 0)
		r = drive_new(&drive, keeper->event, keeper->session, false, after_poll, keeper,
			      &err);
	if (r >= 0)
		r = drive_loop(drive);
	drive_free(drive);
	return r;
}

static int open_outlet(struct keeper *keeper, const struct keeper_config *config)
{
	struct error err = { 0 };
	int r;

	if (!config->events_path)
		return 0;
	r = outlet_open(&keeper->outlet, config->events_path, &err);
	if (r == 0)
		r = outlet_share(&keeper->outlet, config->outlet_lock_path, &err);
	if (r < 0)
		send_object(keeper, 'R', control_refused(outcome_of(r), "%s", err.message));
	return r;
}

int keeper_run(const struct keeper_config *config, int fd)
{
	struct keeper keeper = {
		.daemon = lines_new(fd, CONTROL_LINE_MAX, CONTROL_LINE_MAX),
		.outlet.lock = -1,
		.porter = -1,
	};
	int r = keeper.daemon ? sd_event_new(&keeper.event) : -ENOMEM;

	if (r >= 0)
		r = start_porter(&keeper, config);
	if (r >= 0)
		r = open_outlet(&keeper, config);
	if (r >= 0)
		r = attach(&keeper, config);
	if (r >= 0)
		r = keep(&keeper);
	if (keeper.session && keeper.orphaned) {
		session_hand_over(keeper.session);
	} else if (keeper.session) {
		send_object(&keeper, 'X', facts_session(keeper.session));
		session_leave(keeper.session);
	}
	outlet_deinit(&keeper.outlet);
	sd_event_unref(keeper.event);
	porter_stop(keeper.porter);
	lines_free(keeper.daemon);
	return r < 0 ? OUTCOME_FAILED : OUTCOME_DONE;
}
