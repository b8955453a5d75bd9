// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/abuse.h"
#include "session/attempts.h"
#include "session/enter.h"
#include "session/follow.h"
#include "session/guest.h"
#include "session/layers.h"
#include "session/life.h"
#include "session/report.h"
#include "session/sweep.h"
#include "session/tampering.h"
#include "session/tell.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define RECORDS_PER_POLL 512
#define POLL_NS 20000000ULL /* then QEMU and the daemon have their turn */
#define HELD_RINGS 8 /* as many records as fit into so many rings are held */
#define HELD_PER_SECOND 4000 /* so that they last for some seconds, whatever the guest does */
#define RETRY_NS 500000000ULL
#define REFRESH_NS 1000000000ULL
#define REMOVE_TIMEOUT_MS 10000
#define ASSIGN_LOOK_US 100000
#define LOST_TOLD_NS 1000000000ULL

DEFINE_CLEANUP(struct session *, session_leave)

/* Lets go of everything that belongs to one life of the guest's kernel. The guest is not touched. */
static void forget_kernel(struct session *session)
{
	errands_clear(&session->errands);
	views_clear(&session->views);
	held_deinit(&session->held);
	session->watches = watches_free(session->watches);
	session->guest = container_unref(session->guest);
	session->table = table_free(session->table);
	containers_clear(&session->containers);
	session->caches = caches_free(session->caches);
	traps_end(session);
	session->sentry = sentry_free(session->sentry);
	session->kernel = kernel_free(session->kernel);
	session->profile = profile_free(session->profile);
	memset(&session->arm, 0, sizeof(session->arm));
	memset(session->last_told, 0, sizeof(session->last_told));
	session->answers.kills.n = 0;
	session->untold.kinds = 0;
	session->traced_told = 0;
	memset(&session->gone_files, 0, sizeof(session->gone_files));
}

static void forget_old_policy(struct session *session)
{
	session->old_plan = plan_free(session->old_plan);
	session->old_policy = policy_free(session->old_policy);
}

struct session *session_hand_over(struct session *session)
{
	if (!session)
		return NULL;
	forget_kernel(session);
	forget_old_policy(session);
	session->plan = plan_free(session->plan);
	session->policy = policy_free(session->policy);
	answers_deinit(&session->answers);
	machine_free(session->machine);
	traps_deinit(&session->traps);
	lock_free(session->lock);
	free(session);
	return NULL;
}

struct session *session_leave(struct session *session)
{
	if (session && session->arm.machine && session->state == SESSION_GUARDING)
		__atomic_store_n(&session_vault(session)->host_away, 1, __ATOMIC_SEQ_CST);
	return session_hand_over(session);
}

static void set_periods(const struct session *session)
{
	const struct policy_sentry *sentry = &session->plan->policy->sentry;
	const struct sentry_periods periods = { {
		[SENTRY_HOOKS] = sentry->hooks_ns,
		[SENTRY_KERNEL] = sentry->kernel_ns,
		[SENTRY_REGISTERS] = sentry->registers_ns,
		[SENTRY_VAULT] = sentry->vault_ns,
	} };

	sentry_set_periods(session->sentry, &periods);
}

static void set_flags(const struct session *session, const struct policy *policy)
{
	uint64_t flags = 0;

	if (policy->refuse_unresolved)
		flags |= GUARD_REFUSE_UNRESOLVED;
	if (policy->lazy)
		flags |= GUARD_LAZY;
	if (session->maintenance_until_ns)
		flags |= GUARD_MAINTENANCE;
	if (policy->tampering.restore & POLICY_RESTORE_HOOKS)
		flags |= GUARD_RESTORE_SYSTEM_CALLS;
	__atomic_store_n(&session_vault(session)->flags, flags, __ATOMIC_RELAXED);
}

/* What another daemon had taken from the ring, and not told yet. */
static void take_up_held(struct session *session)
{
	const struct held_mark mark = {
		.entry = session->place.entry,
		.phys_base = session->place.phys_base,
		.n_told = session->ring.n_told,
	};
	char path[96];

	lock_beside(session->lock, "held", path, sizeof(path));
	held_init(&session->held, path, &mark, session->arm.adopted, session->ring.next,
		  HELD_RINGS * session->ring.n_slots);
}

/* Events are numbered on: from where another daemon left off, or, when the guest has another kernel, from where we are. */
static void take_up_ring(struct session *session)
{
	const struct machine_device *mailbox = machine_mailbox(session->machine);
	uint64_t n_told = session->ring.n_told;

	ring_init(&session->ring, mailbox->host, mailbox->size, session_vault(session));
	if (session->ring.n_told < n_told)
		session->ring.n_told = n_told;
	ring_note_told(&session->ring);
	session->n_lost_told = session->next_lost_told_ns = 0;
	session->abuse = (struct abuse){ 0 };
	take_up_held(session);
}

/* One that somebody has stopped is guarded all the same, and stays stopped. */
static void take_up_status(struct session *session)
{
	char status[32];

	session->stopped = machine_status(session->machine, status, sizeof(status), NULL) == 0 &&
			   strcmp(status, "running") != 0;
	session->stopped_ns = clock_ns(CLOCK_MONOTONIC);
}

/* The host's side of a guard that has just been put in place, or was found there. */
static int take_up(struct session *session, struct error *err)
{
	const struct machine_device *vault = machine_vault(session->machine);
	int r;

	session_vault(session)->host_away = 0;
	r = table_new(&session->table, vault->host, vault->size, session->arm.adopted, err);
	if (r < 0)
		return r;
	session->watches = watches_new(session->table, &session->containers);
	if (!session->watches)
		return error_set(err, -ENOMEM, "out of memory");
	/* What an earlier daemon left in force stays so until all is resolved again. */
	session->adopting = session->arm.adopted;
	if (session->adopting)
		r = watches_begin(session->watches, err);
	if (r < 0)
		return r;
	take_up_ring(session);
	session->errands.last_id =
		clock_ns(CLOCK_MONOTONIC); /* not an id that an earlier daemon used */
	session_vault(session)->guest_space = session->guest_mnt_ns;
	r = guest_new(session, err);
	if (r < 0)
		return r;
	guest_publish(session);
	set_flags(session, session->plan->policy);
	system_calls_begin(session);
	session->names_sequence = plan_publish(session->plan, session_vault(session));
	sweep_containers(session, clock_ns(CLOCK_MONOTONIC));
	r = sentry_new(&session->sentry, &session->arm, session->profile, session->table, err);
	if (r == 0)
		set_periods(session);
	return r;
}

/* A VM without our devices gets them when its kernel is up, and so can take them. */
static int need_devices(struct session *session, struct error *err)
{
	int r = machine_need_devices(session->machine, err);

	if (r != -ENODEV || !session->hot_plug)
		return r;
	r = life_read_profile(session, err);
	session->profile = profile_free(session->profile);
	if (r == 0)
		r = machine_plug_in(session->machine, err);
	session->plugged_in = r == 0;
	return r;
}

static int arm_session(struct session *session, struct error *err)
{
	int r = need_devices(session, err);

	if (r == 0)
		r = machine_refresh_devices(session->machine, err);
	if (r == 0 && !session->lock)
		r = lock_take(&session->lock, session->machine, session->qmp_path, err);
	if (r == 0)
		r = life_read_profile(session, err);
	if (r == 0)
		r = kernel_new(&session->kernel, session->profile, err);
	if (r == 0 && caches_new(&session->caches, session->kernel, session->profile, NULL) < 0)
		log_debug("%s: containers' names cannot be read from this kernel", session->name);
	if (r == 0)
		r = sweep_guest(session, err);
	if (r == 0)
		r = arm_guard(&session->arm, session->machine, session->profile,
			      &session->arm_options, err);
	if (r < 0) {
		forget_kernel(session);
		return r;
	}
	r = take_up(session, err);
	if (r < 0) {
		if (!session->arm.adopted &&
		    arm_remove(&session->arm, session->kernel, REMOVE_TIMEOUT_MS, NULL) < 0)
			session->plugged_in = false; /* they have to stay */
		forget_kernel(session);
		return r;
	}
	session->state = SESSION_GUARDING;
	session->told_open_files = false;
	session->attached_ns = clock_ns(CLOCK_MONOTONIC);
	take_up_status(session);
	traps_begin(session);
	life_begin(session, session->attached_ns);
	return 0;
}

static bool is_assigned(const struct session *session)
{
	return machine_vault(session->machine)->gpa && machine_mailbox(session->machine)->gpa;
}

/* As arm_session(), but waits until the guest has taken note of devices that were plugged in. */
static int arm_now(struct session *session, struct error *err)
{
	int r = arm_session(session, err);

	while (r == -EAGAIN && machine_is_plugged_in(session->machine) && !is_assigned(session)) {
		usleep(ASSIGN_LOOK_US);
		r = arm_session(session, err);
	}
	return r;
}

/* What was plugged in here goes, and the VM is as it was. */
static void unplug(struct session *session)
{
	struct error err = { 0 };

	if (machine_unplug(session->machine, &err) < 0)
		log_warning("%s: %s", session->name, err.message);
	session->plugged_in = false;
}

int session_attach(struct session **ret, const struct session_config *config, struct policy *policy,
		   struct error *err)
{
	_cleanup_(session_leavep) struct session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return error_set(err, -ENOMEM, "out of memory");
	snprintf(session->name, sizeof(session->name), "%s", config->name);
	snprintf(session->qmp_path, sizeof(session->qmp_path), "%s", config->qmp_path);
	session->sink = config->sink;
	session->notice = config->notice;
	session->sink_data = config->sink_data;
	session->arm_options.allow_partial = config->allow_partial;
	session->arm_options.every_access = policy->every_access;
	session->hot_plug = config->hot_plug;
	session->traps.wake = -1;
	r = plan_new(&session->plan, policy, err);
	if (r == 0)
		r = answers_prepare(&session->answers, policy, err);
	if (r == 0)
		r = lock_check(config->qmp_path, err);
	if (r == 0)
		r = machine_open(&session->machine, config->qmp_path, config->timeout_ms, err);
	if (r == 0)
		traps_open(session);
	if (r == 0)
		r = config->wait_for_boot ? arm_session(session, err) : arm_now(session, err);
	if (r == -EAGAIN && config->wait_for_boot)
		r = 0; /* SESSION_WAITING */
	if (r < 0 && session->plugged_in)
		unplug(session);
	if (r < 0)
		return r;
	session->policy = policy;
	*ret = TAKE_PTR(session);
	return 0;
}

/* Takes what the guard has said so far, at most @n records, and begins with none after @until_ns: some take long. */
static bool drain(struct session *session, uint64_t n, uint64_t until_ns)
{
	enum guard_record_type type;
	bool any = false;
	uint64_t now;

	while (n-- && (now = clock_ns(CLOCK_MONOTONIC)) < until_ns &&
	       (type = ring_next(&session->ring, now))) {
		any = true;
		switch (type) {
		case GUARD_RECORD_FILE:
			report_file(session);
			break;
		case GUARD_RECORD_VIEW:
			enter_view(session);
			break;
		case GUARD_RECORD_FOLLOW:
			follow_names(session);
			break;
		case GUARD_RECORD_ATTEMPT:
			report_attempt(session);
			break;
		case GUARD_RECORD_SYSTEM_CALLS:
			system_calls_report(session, now);
			break;
		case GUARD_RECORD_SUPER_GONE:
			sweep_super(session, session->ring.copy.super.super);
			break;
		}
		ring_done(&session->ring);
	}
	return any;
}

int session_load_policy(struct session *session, struct policy *policy, struct error *err)
{
	struct plan *plan;
	int r;

	if (session->watches && watches_is_building(session->watches))
		return error_set(err, -EBUSY,
				 "the policy before this one is still being resolved; try again");
	if (policy->every_access != session->arm_options.every_access)
		return error_set(err, -EINVAL,
				 "%s: `trap` cannot be changed while a VM is guarded; detach, and "
				 "attach with this policy",
				 policy->source);
	r = answers_prepare(&session->answers, policy, err);
	if (r == 0)
		r = plan_new(&plan, policy, err);
	if (r < 0)
		return r;
	if (session->state == SESSION_GUARDING) {
		r = watches_begin(session->watches, err);
		if (r < 0) {
			plan_free(plan);
			return r;
		}
	}
	forget_old_policy(session);
	session->old_plan = session->plan;
	session->old_policy = session->policy;
	session->plan = plan;
	session->policy = policy;
	if (session->state == SESSION_GUARDING) {
		set_flags(session, policy);
		guest_publish(session);
		set_periods(session);
		session->stays.what[0] = '\0'; /* the answers may be others */
		session->told_open_files = false;
		session->names_sequence = plan_publish(plan, session_vault(session));
		views_clear(&session->views);
		sweep_resolve_all(session);
	}
	return 0;
}

void session_maintain(struct session *session, unsigned int minutes)
{
	bool was = session->maintenance_until_ns != 0;

	if (minutes > SESSION_MAX_MAINTENANCE)
		minutes = SESSION_MAX_MAINTENANCE;
	session->maintenance_until_ns =
		minutes ? clock_ns(CLOCK_MONOTONIC) + minutes * 60000000000ULL : 0;
	if (session->state == SESSION_GUARDING)
		set_flags(session, session->policy);
	if (minutes)
		tell_notice(session, "maintenance-began", POLICY_SEVERITY_MEDIUM, NULL,
			    "maintenance for %u minutes: what guest-integrity refuses to the "
			    "guest's own processes is only reported",
			    minutes);
	else if (was)
		tell_notice(session, "maintenance-ended", POLICY_SEVERITY_LOW, NULL,
			    "maintenance is over: guest-integrity is as the policy says");
}

bool session_is_settled(const struct session *session)
{
	return session->state == SESSION_GUARDING && session->swept &&
	       errands_are_done(&session->errands) && !watches_is_building(session->watches);
}

static void run_errands(struct session *session)
{
	struct errand overdue;

	while (errands_overdue(&session->errands, clock_ns(CLOCK_MONOTONIC), &overdue)) {
		struct container *container = guest_or_container(session, overdue.mnt_ns);

		if (!container)
			continue;
		if (container->is_guest) {
			container->wanted = true; /* at the next sweep */
			continue;
		}
		container->lost = true;
		error_set(&session->trouble, -ETIMEDOUT,
			  "container %s runs unguarded: the guest did not resolve its paths in "
			  "time",
			  container->name.id);
		tell_notice(session, "container-unguarded", POLICY_SEVERITY_CRITICAL, container,
			    "%s", session->trouble.message);
	}
	errands_send(&session->errands, session_vault(session), clock_ns(CLOCK_MONOTONIC));
	if (watches_is_building(session->watches) && session->swept &&
	    errands_are_done(&session->errands)) {
		watches_publish(session->watches);
		session->adopting = false;
		layers_forget_others(&session->containers, session->plan);
		report_held(session);
		session->old_until = session->ring.next + session->ring.n_slots;
		log_info("%s: policy %s in force in %zu containers", session->name,
			 session->policy->source, session->containers.n);
	}
}

/* What is still in the ring, or was held back, is told by what is known. */
static void tell_last(struct session *session)
{
	drain(session, session->ring.n_slots, UINT64_MAX);
	report_held(session);
}

static void leave_kernel(struct session *session)
{
	session->left = session->place;
	session->in_doubt = false;
	session->state = SESSION_WAITING;
	session->next_sweep_ns = 0;
	forget_kernel(session);
	forget_old_policy(session);
}

static void on_reset(struct session *session)
{
	session->left = (struct kernel_place){ 0 };
	session->gone = NULL;
	if (session->state != SESSION_GUARDING)
		return;
	session->n_resets++;
	tell_last(session);
	leave_kernel(session);
	session->left = (struct kernel_place){ 0 }; /* no vCPU is in it any more */
	log_info("%s: the guest was reset; arming again as soon as its kernel is up",
		 session->name);
}

static void on_end(struct session *session)
{
	if (session->state == SESSION_GUARDING)
		tell_last(session);
	session->state = SESSION_ENDED;
}

static void on_stop(struct session *session)
{
	session->stopped = true;
	session->stopped_ns = clock_ns(CLOCK_MONOTONIC);
}

/* For the guest no time has passed. */
static void on_resume(struct session *session)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (session->stopped)
		session->attached_ns += now - session->stopped_ns;
	session->stopped = session->frozen = false;
	traps_resume(session);
	session->ring.waiting_since_ns = 0;
	session->errands.sent_ns = now;
	session->look_at_guard = true;
}

static void handle_machine_event(struct session *session, const struct machine_event *event)
{
	switch (event->type) {
	case MACHINE_EVENT_RESET:
		on_reset(session);
		break;
	case MACHINE_EVENT_SHUTDOWN:
	case MACHINE_EVENT_CLOSED:
		on_end(session);
		break;
	case MACHINE_EVENT_STOP:
		on_stop(session);
		break;
	case MACHINE_EVENT_RESUME:
		on_resume(session);
		break;
	case MACHINE_EVENT_DEVICES:
		life_refresh_memory(session);
		break;
	}
}

static bool handle_machine_events(struct session *session)
{
	struct machine_event event;
	bool any = false;

	while (session->state != SESSION_ENDED && machine_next_event(session->machine, &event)) {
		handle_machine_event(session, &event);
		any = true;
	}
	return any;
}

/* Whatever it was: the guard is looked for, and put in place where it is not. */
static void start_again(struct session *session, const char *why)
{
	log_info("%s: %s; arming again as soon as the guest's kernel is up", session->name, why);
	leave_kernel(session);
	session->gone = why;
}

static void watch_life(struct session *session, uint64_t now)
{
	switch (life_check(session, now)) {
	case LIFE_GOES_ON:
		break;
	case LIFE_OTHER_KERNEL:
		tell_last(session);
		start_again(session, "the guest has left its kernel for another, without a reset");
		break;
	case LIFE_PUT_BACK:
		/* What stands in the ring is of another time. */
		start_again(session, "the VM was put back to an earlier state");
		session->left = (struct kernel_place){ 0 }; /* that kernel runs */
		break;
	case LIFE_TAMPERED:
		tampering_answer(session, now);
		break;
	}
}

/* To whoever reads the events: between these two moments nothing was refused. */
static void tell_gone(struct session *session)
{
	if (!session->gone)
		return;
	tell_notice(session, "guard-renewed", POLICY_SEVERITY_HIGH, NULL,
		    "%s; the guard %s in Linux %s", session->gone,
		    session->arm.adopted ? "was found in place" : "has been put in place again",
		    profile_release(session->profile));
	session->gone = NULL;
}

static void try_to_arm(struct session *session)
{
	struct error err = { 0 };
	int r;

	if (clock_ns(CLOCK_MONOTONIC) < session->next_sweep_ns)
		return;
	session->next_sweep_ns = clock_ns(CLOCK_MONOTONIC) + RETRY_NS;
	r = arm_session(session, &err);
	if (r == 0) {
		log_info("%s: armed", session->name);
		session->trouble.code = 0;
		tell_gone(session);
	} else if (r != session->trouble.code) {
		session->trouble = err;
		log_debug("%s: not armed yet: %s", session->name, err.message);
	}
}

/* A loss is never silent; but the number is the guest's word, and may grow all the time. */
static void tell_losses(struct session *session, uint64_t now)
{
	uint64_t lost = ring_lost(&session->ring) + session->ring.skipped;

	if (lost <= session->n_lost_told || now < session->next_lost_told_ns)
		return;
	session->next_lost_told_ns = now + LOST_TOLD_NS;
	tell_notice(session, "records-lost", POLICY_SEVERITY_HIGH, NULL,
		    "lost %llu records so far: the ring stayed full, or was tampered with",
		    (unsigned long long)lost);
	session->n_lost_told = lost;
}

/* A walk that fails may have come to memory that has been plugged in since we asked; or the list has moved under it. */
static void sweep(struct session *session)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	sweep_containers(session, now);
	session->look_at_guard = true;
	if (session->swept || now < session->next_refresh_ns)
		return;
	session->next_refresh_ns = now + REFRESH_NS;
	life_refresh_memory(session);
}

/*
 * How many records to take now. While file records have to be held, not faster than their room lasts: the ring fills, and
 * offenders wait a little.
 */
static uint64_t drain_limit(const struct session *session)
{
	uint64_t elapsed = clock_ns(CLOCK_MONOTONIC) - session->attached_ns, most;

	if (!session->adopting)
		return RECORDS_PER_POLL;
	most = RECORDS_PER_POLL + elapsed / (1000000000 / HELD_PER_SECOND);
	return most > session->held.n ? most - session->held.n : 0;
}

bool session_poll(struct session *session, bool heard)
{
	bool any = heard && handle_machine_events(session);

	answers_poll(session, clock_ns(CLOCK_MONOTONIC));
	if (session->maintenance_until_ns &&
	    clock_ns(CLOCK_MONOTONIC) >= session->maintenance_until_ns)
		session_maintain(session, 0);
	if (session->state == SESSION_WAITING)
		try_to_arm(session);
	if (session->state == SESSION_GUARDING)
		any |= traps_poll(session);
	/* Of a VM that is stopped, ring and vault may be about to be replaced (loadvm). */
	if (session->state != SESSION_GUARDING || session->stopped)
		return any;
	watch_life(session, clock_ns(CLOCK_MONOTONIC));
	if (session->state != SESSION_GUARDING)
		return true;
	system_calls_poll(session, clock_ns(CLOCK_MONOTONIC));
	tampering_poll(session, clock_ns(CLOCK_MONOTONIC));
	any |= drain(session, drain_limit(session), clock_ns(CLOCK_MONOTONIC) + POLL_NS);
	tell_losses(session, clock_ns(CLOCK_MONOTONIC));
	abuse_tell(session, clock_ns(CLOCK_MONOTONIC));
	follow_check(session, clock_ns(CLOCK_MONOTONIC));
	run_errands(session);
	if (!session->told_open_files && session_is_settled(session)) {
		session->told_open_files = true;
		tell_open_files(session);
	}
	sweep_hostnames(session, clock_ns(CLOCK_MONOTONIC));
	if (session->old_policy && !watches_is_building(session->watches) &&
	    session->ring.next >= session->old_until)
		forget_old_policy(session);
	if (clock_ns(CLOCK_MONOTONIC) >= session->next_sweep_ns)
		sweep(session);
	return any;
}

/* May devices that were plugged in go: does nothing in the guest use them any more? */
static bool may_unplug(const struct session *session, int removed)
{
	if (session->state == SESSION_GUARDING)
		return removed == 0;
	return session->state == SESSION_WAITING && (session->plugged_in || session->n_resets);
}

/* A kernel that is not there any more is not written to: something else is in its place. */
int session_detach(struct session *session, struct error *err)
{
	int r = 0;

	handle_machine_events(session);
	if (session->state == SESSION_GUARDING) {
		drain(session, session->ring.n_slots, UINT64_MAX);
		traps_end(session);
		if (life_goes_on(session))
			r = arm_remove(&session->arm, session->kernel, REMOVE_TIMEOUT_MS, err);
		tell_last(session);
	}
	if (may_unplug(session, r)) {
		session->state = SESSION_ENDED;
		forget_kernel(session); /* nothing looks into the vault any more */
		unplug(session);
	}
	session_leave(session);
	return r;
}

int session_fd(const struct session *session)
{
	return machine_fd(session->machine);
}

int session_trap_fd(const struct session *session)
{
	return session->traps.wake;
}
