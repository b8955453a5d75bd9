// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Under KVM no page table is trapped: with nested paging the CPU's own walks through a table count as writes to it (AMD APM
 * Vol. 2 15.25.5; Intel SDM Vol. 3C 29.3.3.2, with accessed and dirty flags), and all of them would be held.
 */
#include "session/traps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "session/answers.h"
#include "session/life.h"
#include "session/session.h"
#include "session/tampering.h"
#include "session/tell.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "vmm/trap.h"

#define TOLD_NS 1000000000ULL /* at most so often */
#define PAGE 4096ULL

static void be_without(struct session *session, const char *why)
{
	struct traps *traps = &session->traps;

	if (strcmp(traps->why_not, why) != 0)
		log_warning("%s: no trap on writes to the guard: %s", session->name, why);
	snprintf(traps->why_not, sizeof(traps->why_not), "%s", why);
	traps->in_force = false;
}

/* Where nobody has asked for a trap, that is not worth a word. */
void traps_open(struct session *session)
{
	struct traps *traps = &session->traps;
	struct error err = { 0 };
	int r;

	*traps = (struct traps){ .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	r = traps->wake < 0 ? error_set(&err, -errno, "eventfd: %m")
			    : machine_open_trap(session->machine, traps->wake, &err);
	if (r < 0 && r != -ENOENT)
		be_without(session, err.message);
}

void traps_deinit(struct traps *traps)
{
	if (traps->wake > 0)
		close(traps->wake);
	traps->wake = -1;
}

/* What to trap */

struct selection {
	struct trap_word *words;
	size_t n;
	uint64_t *left_out; /* pages */
	size_t n_left_out;
};

static void selection_deinit(struct selection *selection)
{
	free(selection->words);
	free(selection->left_out);
}

static bool has_table(const struct anchors *anchors, uint64_t gpa)
{
	for (size_t i = 0; i < anchors->n; i++)
		if (anchors->list[i].table && anchors->list[i].gpa / PAGE == gpa / PAGE)
			return true;
	return false;
}

static void leave_out(struct selection *selection, uint64_t gpa)
{
	for (size_t i = 0; i < selection->n_left_out; i++)
		if (selection->left_out[i] == gpa / PAGE)
			return;
	selection->left_out[selection->n_left_out++] = gpa / PAGE;
}

static bool under_kvm(const struct session *session)
{
	return strcmp(machine_accelerator(session->machine), "kvm") == 0;
}

static int select_words(const struct session *session, struct selection *ret)
{
	const struct anchors *anchors = sentry_anchors(session->sentry);
	bool tables = !under_kvm(session);

	*ret = (struct selection){
		.words = calloc(anchors->n + 1, sizeof(*ret->words)),
		.left_out = calloc(anchors->n + 1, sizeof(*ret->left_out)),
	};
	if (!ret->words || !ret->left_out)
		return -ENOMEM;
	for (size_t i = 0; i < anchors->n; i++) {
		const struct anchor *anchor = &anchors->list[i];
		struct trap_word *word = &ret->words[ret->n];

		if (!tables && has_table(anchors, anchor->gpa)) {
			leave_out(ret, anchor->gpa);
			continue;
		}
		if (machine_address(session->machine, anchor->gpa, &word->address) < 0)
			return -EFAULT;
		word->mask = anchor->mask;
		word->sure = !anchor->table;
		ret->n++;
	}
	return 0;
}

/* The words are others when the kernel has moved a page table. */
static int set_words(struct session *session, struct error *err)
{
	_cleanup_(selection_deinit) struct selection selection = { 0 };
	int r = select_words(session, &selection);

	if (r < 0)
		return error_set(err, r, "what the guard stands on: %s", strerror(-r));
	session->traps.left_out = (unsigned int)selection.n_left_out;
	session->traps.generation = sentry_generation(session->sentry);
	return trap_set_words(machine_trap(session->machine), selection.words, selection.n, err);
}

/* Beginning and ending */

void traps_begin(struct session *session)
{
	struct traps *traps = &session->traps;
	struct error err = { 0 };
	int r;

	if (!machine_trap(session->machine))
		return;
	r = set_words(session, &err);
	if (r < 0) {
		be_without(session, err.message);
		return;
	}
	if (!traps->in_force)
		log_info("%s: writes to what the guard stands on are trapped, on %d pages",
			 session->name, r);
	traps->in_force = true;
	session->look_at_guard = true; /* until now nobody was held */
	traps->why_not[0] = '\0';
}

static void sleep_again(const struct traps *traps)
{
	uint64_t n;

	if (read(traps->wake, &n, sizeof(n)) < 0)
		return; /* nothing has woken us */
}

void traps_end(struct session *session)
{
	if (!session->traps.in_force)
		return;
	trap_set_words(machine_trap(session->machine), NULL, 0, NULL);
	sleep_again(&session->traps);
	session->traps.in_force = false;
}

void traps_resume(struct session *session)
{
	trap_restore(machine_trap(session->machine));
}

/* Who writes */

/* The vCPU stands still, inside the store, so its current task is who writes. */
static void find_writer(const struct session *session, pid_t tid, struct traps_caught *ret)
{
	ret->vcpu = machine_vcpu_of_thread(session->machine, tid);
	ret->task = 0;
	if (ret->vcpu < 0)
		ret->vcpu = -1;
	else if (kernel_task_on_cpu(session->kernel, (unsigned int)ret->vcpu, &ret->task) < 0)
		ret->task = 0;
}

static struct container *describe_writer(struct session *session, const struct traps_caught *caught,
					 struct event_writer *ret)
{
	struct kernel_task task;

	*ret = (struct event_writer){ .vcpu = caught->vcpu };
	if (!caught->task || kernel_task_read(session->kernel, caught->task, &task) < 0)
		return NULL;
	ret->pid = task.tgid;
	snprintf(ret->name, sizeof(ret->name), "%s", task.name);
	return containers_find(&session->containers, task.mnt_ns);
}

/* Telling */

static void note_time(struct traps *traps, uint64_t since_ns)
{
	traps->last_us = (clock_ns(CLOCK_MONOTONIC) - since_ns) / 1000;
	if (traps->last_us > traps->worst_us)
		traps->worst_us = traps->last_us;
	traps->n_told++;
}

/*
 * While the guest takes interrupts, KVM has a thread of the host's kernel fault a page in, and the vCPU waits for it
 * (kvm_can_do_async_pf): there, a thread that is no vCPU's does not mean a device.
 */
static void compose(const struct session *session, const struct event_notice *notice, uint64_t word,
		    char *buf, size_t size)
{
	struct sentry_finding place = { .what = "what the guard stands on" };
	const struct event_writer *writer = notice->writer;
	uint64_t gpa;
	int n;

	if (machine_gpa(session->machine, word, &gpa) == 0)
		sentry_name(session->sentry, gpa & ~7ULL, &place);
	n = snprintf(buf, size, "from inside the guest's kernel somebody %s: %.300s",
		     notice->before ? "is about to write over" : "has written over", place.what);
	if (writer->vcpu < 0)
		snprintf(buf + n, size - (size_t)n, ", by %sa device",
			 under_kvm(session) ? "a vCPU or " : "");
	else if (writer->pid)
		snprintf(buf + n, size - (size_t)n, ", on vCPU %d, in process %u (%s)",
			 writer->vcpu, writer->pid, writer->name);
	else
		snprintf(buf + n, size - (size_t)n, ", on vCPU %d", writer->vcpu);
}

static void tell(struct session *session, const struct traps_caught *caught,
		 const struct trap_event *event)
{
	struct event_writer writer;
	struct container *container = describe_writer(session, caught, &writer);
	struct event_container described = { 0 };
	char message[512];
	struct event_notice notice = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.vm = session->name,
		.what = "guard-tampered",
		.severity = POLICY_SEVERITY_CRITICAL,
		.message = message,
		.container = container ? &described : NULL,
		.before = trap_holds(machine_trap(session->machine), event->page),
		.writer = &writer,
	};

	compose(session, &notice, event->word, message, sizeof(message));
	if (container)
		tell_container(session, &described, container);
	if (session->notice)
		session->notice(&notice, session->sink_data);
	note_time(&session->traps, event->time_ns);
	log_error("%s: %s", session->name, message);
}

static void tell_once(struct session *session, struct traps_caught *caught,
		      const struct trap_event *event)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	caught->told = true;
	if (now < session->traps.next_told_ns)
		return;
	session->traps.next_told_ns = now + TOLD_NS;
	tell(session, caught, event);
}

/* A VM that the policy stops is stopped within the store, and has the guard back when it goes on. */
static void freeze(struct session *session)
{
	const struct policy_answer *answer = &session->policy->tampering.answer;

	if (!answer->freeze || session->frozen)
		return;
	answers_freeze(session, answer);
	if (session->frozen && !sentry_hooks_hold(session->sentry, &session->finding))
		tampering_answer(session, clock_ns(CLOCK_MONOTONIC));
}

static struct traps_caught *find_caught(struct traps *traps, uint64_t page)
{
	for (size_t i = 0; i < ARRAY_SIZE(traps->caught); i++)
		if (traps->caught[i].page == page)
			return &traps->caught[i];
	return NULL;
}

/*
 * A kernel that has been left for another (kexec) has its memory written over, and that is no news; so the vCPU has to be in ours. To ask is
 * possible while it is held: TCG's registers are there to be read, and under KVM no write is sure.
 */
static void on_caught(struct session *session, const struct trap_event *event)
{
	struct traps *traps = &session->traps;
	struct traps_caught *caught = find_caught(traps, event->page);

	if (!caught)
		caught = &traps->caught[traps->next_caught++ % ARRAY_SIZE(traps->caught)];
	*caught = (struct traps_caught){ .page = event->page };
	find_writer(session, event->tid, caught);
	if (event->sure && caught->vcpu >= 0 && life_goes_on_at(session, caught->vcpu)) {
		tell_once(session, caught, event);
		freeze(session);
	}
	trap_release(machine_trap(session->machine), event->page);
	if (caught->vcpu < 0) /* maybe one that has been plugged in */
		machine_find_vcpus(session->machine, NULL);
}

/*
 * One that was not sure to change a word, and has changed one: on its page, or beside it while that was open. It may be the kernel, which
 * has moved a page table: the sentry knows.
 */
static void on_landed(struct session *session, const struct trap_event *event)
{
	struct traps_caught unknown = { .vcpu = -1 };
	struct traps_caught *caught = find_caught(&session->traps, event->page);

	session->look_at_guard = true;
	if (!event->changed)
		return;
	if (!caught) {
		caught = &unknown;
		find_writer(session, event->tid, caught);
	}
	if (caught->told || sentry_hooks_hold(session->sentry, &session->finding) ||
	    !life_goes_on(session))
		return;
	tell_once(session, caught, event);
	freeze(session);
}

static bool take_events(struct session *session)
{
	struct trap *trap = machine_trap(session->machine);
	struct trap_event event;
	bool any = false;

	sleep_again(&session->traps);
	while (trap_next(trap, &event)) {
		any = true;
		if (event.type == TRAP_CAUGHT)
			on_caught(session, &event);
		else
			on_landed(session, &event);
	}
	return any;
}

/* Who wants to write over the guard unseen may have made it hot. */
static void tell_hot(struct session *session, unsigned int hot)
{
	if (hot > session->traps.hot_told)
		tell_notice(session, "trap-given-up", POLICY_SEVERITY_LOW, NULL,
			    "so much is written beside what the guard stands on that %u of its "
			    "pages are not trapped any more; the sentry's period holds there",
			    hot);
	session->traps.hot_told = hot;
}

bool traps_poll(struct session *session)
{
	struct traps *traps = &session->traps;
	struct trap_stats stats;
	bool any;

	if (!traps->in_force)
		return false;
	any = take_events(session);
	trap_stats(machine_trap(session->machine), &stats);
	tell_hot(session, stats.hot);
	if (stats.lost) {
		machine_close_trap(session->machine);
		be_without(session, "liboutguard-trap.so in QEMU has ended the connection");
	} else if (stats.let_go) {
		log_warning("%s: nothing was heard from here for some seconds, so "
			    "liboutguard-trap.so let go; setting the trap again",
			    session->name);
		traps_begin(session);
	} else if (sentry_generation(session->sentry) != traps->generation) {
		traps_begin(session);
	}
	return any;
}
