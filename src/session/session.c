// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/enter.h"
#include "session/follow.h"
#include "session/layers.h"
#include "session/report.h"
#include "session/sweep.h"
#include "session/tell.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define MAX_CPUS 64
#define RECORDS_PER_POLL 512
#define RETRY_NS 500000000ULL
#define REMOVE_TIMEOUT_MS 10000
#define ASSIGN_LOOK_US 100000

DEFINE_CLEANUP(struct session *, session_leave)

static struct guard_vault *vault_of(const struct session *session)
{
	return (struct guard_vault *)machine_vault(session->machine)->host;
}

/* Reads the profile by whichever vCPU is in a state that shows the kernel. */
static int read_profile(struct session *session, struct error *err)
{
	struct cpu cpus[MAX_CPUS];
	int n = machine_cpus(session->machine, cpus, MAX_CPUS, err), r = -EAGAIN;

	if (n < 0)
		return n;
	for (int i = 0; i < n && i < MAX_CPUS && r == -EAGAIN; i++)
		r = profile_read(&session->profile, machine_ram(session->machine), &cpus[i], err);
	return r;
}

/* Lets go of everything that belongs to one life of the guest's kernel. The guest is not touched. */
static void forget_kernel(struct session *session)
{
	errands_clear(&session->errands);
	views_clear(&session->views);
	free(session->held.records);
	session->held = (struct held){ 0 };
	session->watches = watches_free(session->watches);
	session->table = table_free(session->table);
	containers_clear(&session->containers);
	session->caches = caches_free(session->caches);
	session->kernel = kernel_free(session->kernel);
	session->profile = profile_free(session->profile);
	memset(&session->arm, 0, sizeof(session->arm));
	memset(session->last_told, 0, sizeof(session->last_told));
}

static void forget_old_policy(struct session *session)
{
	session->old_plan = plan_free(session->old_plan);
	session->old_policy = policy_free(session->old_policy);
}

struct session *session_leave(struct session *session)
{
	if (!session)
		return NULL;
	if (session->arm.machine && session->state == SESSION_GUARDING)
		__atomic_store_n(&vault_of(session)->host_away, 1, __ATOMIC_SEQ_CST);
	forget_kernel(session);
	forget_old_policy(session);
	session->plan = plan_free(session->plan);
	session->policy = policy_free(session->policy);
	machine_free(session->machine);
	lock_free(session->lock);
	free(session);
	return NULL;
}

static void set_flags(const struct session *session, const struct policy *policy)
{
	uint64_t flags = 0;

	if (policy->refuse_unresolved)
		flags |= GUARD_REFUSE_UNRESOLVED;
	if (policy->lazy)
		flags |= GUARD_LAZY;
	__atomic_store_n(&vault_of(session)->flags, flags, __ATOMIC_RELAXED);
}

/* The host's side of a guard that has just been put in place, or was found there. */
static int take_up(struct session *session, struct error *err)
{
	const struct machine_device *vault = machine_vault(session->machine);
	const struct machine_device *mailbox = machine_mailbox(session->machine);
	int r;

	vault_of(session)->host_away = 0;
	r = table_new(&session->table, vault->host, vault->size, session->arm.adopted, err);
	if (r < 0)
		return r;
	session->watches = watches_new(session->table, &session->containers);
	if (!session->watches)
		return error_set(err, -ENOMEM, "out of memory");
	/* What an earlier daemon left in force stays so until all is resolved again. */
	if (session->arm.adopted)
		r = watches_begin(session->watches, err);
	if (r < 0)
		return r;
	ring_init(&session->ring, mailbox->host, mailbox->size, vault_of(session));
	session->errands.last_id =
		clock_ns(CLOCK_MONOTONIC); /* not an id that an earlier daemon used */
	vault_of(session)->guest_space = session->guest_mnt_ns;
	set_flags(session, session->plan->policy);
	session->names_sequence = plan_publish(session->plan, vault_of(session));
	sweep_containers(session, clock_ns(CLOCK_MONOTONIC));
	return 0;
}

/* A VM without our devices gets them when its kernel is up, and so can take them. */
static int need_devices(struct session *session, struct error *err)
{
	int r = machine_need_devices(session->machine, err);

	if (r != -ENODEV || !session->hot_plug)
		return r;
	r = read_profile(session, err);
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
		r = read_profile(session, err);
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
	session->hot_plug = config->hot_plug;
	r = plan_new(&session->plan, policy, err);
	if (r == 0)
		r = lock_check(config->qmp_path, err);
	if (r == 0)
		r = machine_open(&session->machine, config->qmp_path, config->timeout_ms, err);
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

/* Takes all that the guard has said so far, at most once around the ring. */
static bool drain(struct session *session, uint64_t n)
{
	enum guard_record_type type;
	bool any = false;

	while (n-- && (type = ring_next(&session->ring, clock_ns(CLOCK_MONOTONIC)))) {
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
		case GUARD_RECORD_SUPER_GONE:
			sweep_super(session, session->ring.copy.super.super);
			break;
		}
		ring_done(&session->ring);
	}
	return any;
}

/* May devices that were plugged in go: does nothing in the guest use them any more? */
static bool may_unplug(const struct session *session, int removed)
{
	if (session->state == SESSION_GUARDING)
		return removed == 0;
	return session->state == SESSION_WAITING && (session->plugged_in || session->n_resets);
}

int session_detach(struct session *session, struct error *err)
{
	int r = 0;

	if (session->state == SESSION_GUARDING) {
		drain(session, session->ring.n_slots);
		r = arm_remove(&session->arm, session->kernel, REMOVE_TIMEOUT_MS, err);
		drain(session, session->ring.n_slots);
	}
	if (may_unplug(session, r)) {
		session->state = SESSION_ENDED;
		forget_kernel(session); /* nothing looks into the vault any more */
		unplug(session);
	}
	session_leave(session);
	return r;
}

int session_load_policy(struct session *session, struct policy *policy, struct error *err)
{
	struct plan *plan;
	int r;

	if (session->watches && watches_is_building(session->watches))
		return error_set(err, -EBUSY,
				 "the policy before this one is still being resolved; try again");
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
		session->told_open_files = false;
		session->names_sequence = plan_publish(plan, vault_of(session));
		views_clear(&session->views);
		sweep_resolve_all(session);
	}
	return 0;
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
		struct container *container = containers_find(&session->containers, overdue.mnt_ns);

		if (!container)
			continue;
		container->lost = true;
		error_set(&session->trouble, -ETIMEDOUT,
			  "container %s runs unguarded: the guest did not resolve its paths in "
			  "time",
			  container->name.id);
		tell_notice(session, "container-unguarded", POLICY_SEVERITY_CRITICAL, container,
			    "%s", session->trouble.message);
	}
	errands_send(&session->errands, vault_of(session), clock_ns(CLOCK_MONOTONIC));
	if (watches_is_building(session->watches) && session->swept &&
	    errands_are_done(&session->errands)) {
		watches_publish(session->watches);
		layers_forget_others(&session->containers, session->plan);
		report_held(session);
		session->old_until = session->ring.next + session->ring.n_slots;
		log_info("%s: policy %s in force in %zu containers", session->name,
			 session->policy->source, session->containers.n);
	}
}

static void on_reset(struct session *session)
{
	if (session->state != SESSION_GUARDING)
		return;
	session->n_resets++;
	session->state = SESSION_WAITING;
	session->next_sweep_ns = 0;
	forget_kernel(session);
	log_info("%s: the guest was reset; arming again as soon as its kernel is up",
		 session->name);
}

static void handle_machine_event(struct session *session, const struct machine_event *event)
{
	switch (event->type) {
	case MACHINE_EVENT_RESET:
		on_reset(session);
		break;
	case MACHINE_EVENT_SHUTDOWN:
	case MACHINE_EVENT_CLOSED:
		session->state = SESSION_ENDED;
		break;
	case MACHINE_EVENT_STOP:
	case MACHINE_EVENT_RESUME:
		break;
	}
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
	} else if (r != session->trouble.code) {
		session->trouble = err;
		log_debug("%s: not armed yet: %s", session->name, err.message);
	}
}

/* A loss is never silent. The number is the guest's word, and so is printed only when it grows. */
static void tell_losses(struct session *session)
{
	uint64_t lost = ring_lost(&session->ring) + session->ring.skipped;

	if (lost <= session->n_lost_told)
		return;
	tell_notice(session, "records-lost", POLICY_SEVERITY_HIGH, NULL,
		    "lost %llu records so far: the ring stayed full, or was tampered with",
		    (unsigned long long)lost);
	session->n_lost_told = lost;
}

bool session_poll(struct session *session)
{
	struct machine_event event;
	bool any = false;

	while (session->state != SESSION_ENDED && machine_next_event(session->machine, &event)) {
		handle_machine_event(session, &event);
		any = true;
	}
	if (session->state == SESSION_WAITING)
		try_to_arm(session);
	if (session->state != SESSION_GUARDING)
		return any;
	any |= drain(session, RECORDS_PER_POLL);
	tell_losses(session);
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
		sweep_containers(session, clock_ns(CLOCK_MONOTONIC));
	return any;
}

int session_fd(const struct session *session)
{
	return machine_fd(session->machine);
}
