// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Daemon and command line in one, for one VM: attaches, tells the events, and takes the guard out at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cli/command.h"
#include "daemon/control.h"
#include "daemon/drive.h"
#include "daemon/facts.h"
#include "daemon/outlet.h"
#include "daemon/porter.h"
#include "daemon/sandbox.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/opener.h"

#define TIMEOUT_MS 5000
#define SETTLE_NS 30000000000ULL

struct run {
	const char *name, *qmp_path, *policy_path, *events_path, *ready_path, *user;
	int porter;
	bool wait, hot_plug, allow_partial, verbose, busy;

	sd_event *event;
	struct session *session;
	struct outlet outlet;
	bool colour;
	bool armed, ready; /* said so */
	uint64_t armed_ns;
};

DEFINE_CLEANUP(struct policy *, policy_free)
DEFINE_CLEANUP(struct drive *, drive_free)

static void tell(const struct event *event, void *data)
{
	struct run *run = data;

	if (run->events_path)
		event_print_json(event, run->outlet.file);
	else
		event_print_text(event, run->outlet.file, run->colour);
	outlet_flush(&run->outlet);
}

static void tell_notice(const struct event_notice *notice, void *data)
{
	struct run *run = data;

	if (run->events_path)
		event_notice_print_json(notice, run->outlet.file);
	else
		event_notice_print_text(notice, run->outlet.file, run->colour);
	outlet_flush(&run->outlet);
}

static void make_ready_file(const struct run *run)
{
	_cleanup_(closep) int fd = -1;

	if (!run->ready_path)
		return;
	fd = opener_open(run->ready_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		log_error("cannot make the ready file %s: %s", run->ready_path, strerror(errno));
}

static void say_ready(struct run *run)
{
	const struct session *session = run->session;

	log_info("%s: guarding Linux %s, %zu container%s, policy %s (%zu rules)", run->name,
		 profile_release(session->profile), session->containers.n,
		 session->containers.n == 1 ? "" : "s", session->policy->source,
		 session->policy->n_own_rules);
	make_ready_file(run);
	run->ready = true;
}

static void name_unresolved(const struct session *session)
{
	for (const struct container *c = session->containers.first; c; c = c->next) {
		if (!c->resolved)
			log_warning("%s: container %s is not resolved yet, and may be unguarded",
				    session->name, c->name.id);
	}
}

static void say_armed(struct run *run)
{
	char cost[256];

	run->armed = true;
	run->armed_ns = clock_ns(CLOCK_MONOTONIC);
	if (run->session->arm.missing.n)
		log_warning("%s: partial: not armed: %s", run->name,
			    run->session->arm.missing.text);
	facts_cost(run->session, cost, sizeof(cost));
	if (run->verbose)
		log_info("%s: %s", run->name, cost);
}

static void after_poll(struct session *session, void *data)
{
	struct run *run = data;

	if (session->state == SESSION_ENDED) {
		log_info("%s: the VM has ended", run->name);
		sd_event_exit(run->event, 0);
	} else if (session->state == SESSION_GUARDING && !run->ready) {
		if (!run->armed)
			say_armed(run);
		if (session_is_settled(session)) {
			say_ready(run);
		} else if (clock_ns(CLOCK_MONOTONIC) - run->armed_ns > SETTLE_NS) {
			name_unresolved(session);
			say_ready(run);
		}
	}
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct run *run = data;

	(void)source;
	(void)info;
	return sd_event_exit(run->event, 0);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct run *run = data;
	struct error err = { 0 };

	(void)source;
	(void)info;
	if (outlet_reopen(&run->outlet, &err) < 0)
		log_error("%s; the old file stays", err.message);
	if (policy_load(&policy, run->policy_path, &err) < 0 ||
	    session_load_policy(run->session, policy, &err) < 0)
		log_error("%s; the old policy stays", err.message);
	else
		TAKE_PTR(policy);
	return 0;
}

/* The end by signal is taken in order, from the first moment on: no guard is left half in. */
static int prepare_loop(struct run *run, struct error *err)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_new(&run->event);
	if (r >= 0)
		r = sd_event_add_signal(run->event, NULL, SIGTERM, on_end, run);
	if (r >= 0)
		r = sd_event_add_signal(run->event, NULL, SIGINT, on_end, run);
	if (r >= 0)
		r = sd_event_add_signal(run->event, NULL, SIGHUP, on_hangup, run);
	return r < 0 ? error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int guard(struct run *run, struct error *err)
{
	_cleanup_(drive_freep) struct drive *drive = NULL;
	int r = drive_new(&drive, run->event, run->session, run->busy, after_poll, run, err);

	if (r < 0)
		return r;
	if (run->session->state == SESSION_WAITING)
		log_info("%s: waiting for the guest's kernel", run->name);
	r = drive_loop(drive);
	return r < 0 ? error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

static int attach(struct run *run, struct policy **policy, struct error *err)
{
	struct session_config config = {
		.name = run->name,
		.qmp_path = run->qmp_path,
		.timeout_ms = TIMEOUT_MS,
		.wait_for_boot = run->wait,
		.allow_partial = run->allow_partial,
		.hot_plug = run->hot_plug,
		.sink = tell,
		.notice = tell_notice,
		.sink_data = run,
	};
	int r = session_attach(&run->session, &config, *policy, err);

	if (r == 0)
		TAKE_PTR(*policy);
	else if (r == -EAGAIN)
		error_wrap(err, "--wait waits for it");
	return r;
}

static void parse(struct run *run, const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "qmp", required_argument, NULL, 'q' },
		{ "policy", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'n' },
		{ "events", required_argument, NULL, 'e' },
		{ "ready-file", required_argument, NULL, 'r' },
		{ "wait", no_argument, NULL, 'w' },
		{ "allow-partial", no_argument, NULL, 'a' },
		{ "hot-plug", no_argument, NULL, 'H' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "poll", no_argument, NULL, 'P' },
		{ "user", required_argument, NULL, 'u' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	int c;

	while ((c = command_option(command, argc, argv, "v", options)) != -1) {
		if (c == 'q')
			run->qmp_path = optarg;
		else if (c == 'p')
			run->policy_path = optarg;
		else if (c == 'n')
			run->name = optarg;
		else if (c == 'e')
			run->events_path = optarg;
		else if (c == 'r')
			run->ready_path = optarg;
		else if (c == 'w')
			run->wait = true;
		else if (c == 'a')
			run->allow_partial = true;
		else if (c == 'H')
			run->hot_plug = true;
		else if (c == 'v')
			run->verbose = true;
		else if (c == 'P')
			run->busy = true;
		else if (c == 'u')
			run->user = optarg;
	}
	command_operands(command, argc, 0, 0);
	if (!run->qmp_path || !run->policy_path)
		command_usage(command, "--qmp and --policy are needed");
	if (!control_name_is_good(run->name))
		command_usage(command, "--name takes letters, digits and ._+:@-, at most %d",
			      CONTROL_NAME_MAX - 1);
}

static int start_porter(struct run *run, struct error *err)
{
	const struct porter_config porter = {
		.name = run->name,
		.qmp_path = run->qmp_path,
		.policy_path = run->policy_path,
		.events_path = run->events_path,
		.ready_path = run->ready_path,
		.warrants = -1,
	};
	int r = sandbox_check_user(run->user, err);

	return r < 0 ? r : porter_start(&run->porter, &porter, err);
}

static int lock_in(const struct run *run, struct error *err)
{
	const struct sandbox_config sandbox = {
		.name = run->name,
		.user = run->user,
		.porter = run->porter,
		.process = machine_pid(run->session->machine),
	};

	return sandbox_enter(&sandbox, err);
}

static enum outcome run_vm(struct run *run, struct error *err)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	int r = policy_load(&policy, run->policy_path, err), detached;

	if (r < 0)
		return outcome_of_policy(r);
	r = outlet_open(&run->outlet, run->events_path ?: "-", err);
	if (r == 0)
		r = start_porter(run, err);
	if (r == 0)
		r = prepare_loop(run, err);
	if (r == 0)
		r = attach(run, &policy, err);
	if (r < 0)
		return outcome_of(r);
	if (run->ready_path)
		unlink(run->ready_path); /* one that is left from before */
	r = lock_in(run, err);
	if (r == 0)
		r = guard(run, err);
	detached = session_detach(run->session, r < 0 ? NULL : err);
	if (r < 0 || detached < 0)
		return outcome_of(r < 0 ? r : detached);
	log_info("%s: detached", run->name);
	return OUTCOME_DONE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct run run = { .name = "vm", .porter = -1, .colour = isatty(STDOUT_FILENO) };
	struct error err = { 0 };
	enum outcome outcome;

	parse(&run, command, argc, argv);
	if (run.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	outcome = run_vm(&run, &err);
	sd_event_unref(run.event);
	outlet_deinit(&run.outlet);
	porter_stop(run.porter);
	return outcome == OUTCOME_DONE ? OUTCOME_DONE : command_failed(outcome, &err);
}

const struct command cmd_run = {
	.name = "run",
	.brief = "guard one VM, without a daemon",
	.help = "Usage: outguard run --qmp PATH --policy FILE [OPTION...]\n"
		"\n"
		"Attaches, tells the events on standard output, and takes the guard out again on "
		"SIGINT\n"
		"or SIGTERM. SIGHUP loads the policy again (a bad one changes nothing) and reopens "
		"the\n"
		"events' file.\n"
		"  --qmp PATH         the VM's QMP socket\n"
		"  --policy FILE      what is guarded\n"
		"  --name NAME        of the VM, in events (vm)\n"
		"  --events FILE      append events to FILE as JSON lines; -: standard output\n"
		"  --ready-file FILE  make FILE when all containers are guarded\n"
		"  --wait             a guest that still boots is guarded when its kernel is up\n"
		"  --allow-partial    guard a kernel that lacks some of the hooks by the others\n"
		"  --hot-plug         plug in the devices that the VM was not started with; a "
		"detach "
		"takes\n"
		"                     them out again\n"
		"  --user USER        whom it becomes when it has attached (outguard, if there is "
		"one;\n"
		"                     root: it stays root)\n"
		"  -v, --verbose      print what attaching took, and what happens\n"
		"  --poll             never pause between looks at the guest: a whole CPU, least "
		"delay\n",
	.run = run_command,
};
