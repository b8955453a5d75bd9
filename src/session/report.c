// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/report.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "session/enter.h"

static uint64_t wall_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A file's watches: by its identity, and the pattern that it matched. Start with NULL. */
static const struct watch *next_watch(const struct session *session,
				      const struct guard_file_record *record,
				      const struct watch *after)
{
	const struct watch *pattern = record->depth ? watches_by_id(session->watches, record->watch)
						    : NULL;
	const struct watch *next;

	if (after && after == pattern)
		return NULL;
	next = watches_next(session->watches, record->file.super | GUARD_KEY_FILE, record->file.ino,
			    after);
	return next ? next : pattern;
}

/*
 * The rule that an operation is told under: one that refuses it if it was refused; of these, one of the container
 * that the process lives in, if any; of these, the first in the policy.
 */
static unsigned int rank(const struct watch *watch, const struct guard_file_record *record,
			 uint32_t operation)
{
	unsigned int rank = 1;

	if (!watch->item || !((watch->deny | watch->report) & operation))
		return 0;
	if (!(record->denied & operation) == !(watch->deny & operation))
		rank += 2;
	if (watch->container->mnt_ns == record->process.mnt_ns)
		rank += 1;
	return rank;
}

static const struct watch *find_watch(const struct session *session,
				      const struct guard_file_record *record, uint32_t operation)
{
	const struct watch *best = NULL, *watch = NULL;
	unsigned int best_rank = 0;

	while ((watch = next_watch(session, record, watch))) {
		unsigned int this = rank(watch, record, operation);

		if (this > best_rank ||
		    (this && this == best_rank && watch->item->rule < best->item->rule)) {
			best = watch;
			best_rank = this;
		}
	}
	return best;
}

static void fill_process(struct event_process *process, const struct session *session,
			 const struct guard_file_record *record)
{
	const struct guard_process *from = &record->process;

	process->pid = from->pid;
	process->tid = from->tid;
	process->inner_pid = from->inner_pid;
	process->inner_tid = from->inner_tid;
	process->uid = from->uid;
	process->gid = from->gid;
	process->euid = from->euid;
	process->egid = from->egid;
	process->start_ns = from->start_ns;
	snprintf(process->name, sizeof(process->name), "%.15s", from->name);
	ring_text(&session->ring, record->executable, process->executable,
		  sizeof(process->executable));
	process->n_parents = from->n_parents < EVENT_MAX_PARENTS ? from->n_parents
								 : EVENT_MAX_PARENTS;
	for (unsigned int i = 0; i < process->n_parents; i++) {
		process->parents[i].pid = from->parents[i].pid;
		process->parents[i].uid = from->parents[i].uid;
		snprintf(process->parents[i].name, sizeof(process->parents[i].name), "%.15s",
			 from->parents[i].name);
	}
	process->ppid = process->n_parents ? process->parents[0].pid : 0;
}

static void fill_file(struct event_file *file, const struct session *session,
		      const struct guard_file_record *record)
{
	file->device_major = record->file.device >> 20;
	file->device_minor = record->file.device & 0xfffff;
	file->inode = record->file.ino;
	file->generation = record->file.generation;
	file->mode = record->mode;
	file->uid = record->uid;
	file->gid = record->gid;
	file->size = record->file_size;
	ring_text(&session->ring, record->path, file->accessed_path, sizeof(file->accessed_path));
}

/* The last @n names of a path, with the slash before them. */
static const char *last_names(const char *path, unsigned int n)
{
	const char *at = path + strlen(path);

	while (n && at > path) {
		if (*--at == '/')
			n--;
	}
	return at;
}

/* As the container sees it. A process in the container sees just that; for others it is what the rule names. */
static void fill_path(struct event *event, const struct guard_file_record *record,
		      const struct watch *watch)
{
	struct event_file *file = &event->file;

	if (!watch || (event->process.in_container && file->accessed_path[0])) {
		snprintf(file->path, sizeof(file->path), "%s", file->accessed_path);
		return;
	}
	if (!watch->pattern) {
		snprintf(file->path, sizeof(file->path), "%s",
			 watch->base_path ? watch->base_path : watch->item->path);
		return;
	}
	snprintf(file->path, sizeof(file->path), "%s%s", watch->base_path ? watch->base_path : "",
		 last_names(file->accessed_path, record->depth));
}

static void fill_container(struct event_container *to, const struct container *from)
{
	snprintf(to->id, sizeof(to->id), "%s", from->name.id);
	snprintf(to->engine, sizeof(to->engine), "%s", from->name.engine);
	snprintf(to->cgroup_path, sizeof(to->cgroup_path), "%s", from->cgroup_path);
	snprintf(to->hostname, sizeof(to->hostname), "%s", from->hostname);
}

static void fill_rule(struct event *event, const struct watch *watch)
{
	const struct policy_rule *rule;

	if (!watch) {
		/* The policy has changed since, or the container is gone. */
		event->rule = "(retired)";
		event->severity = POLICY_SEVERITY_MEDIUM;
		event->action = event->denied ? POLICY_DENY : POLICY_AUDIT;
		return;
	}
	rule = &watch->plan->policy->rules[watch->item->rule];
	event->rule = rule->name;
	event->message = rule->message;
	event->severity = rule->severity;
	event->action = rule->action;
}

static void tell(struct session *session, const struct guard_file_record *record,
		 uint32_t operation)
{
	const struct watch *watch = find_watch(session, record, operation);
	struct event event = {
		.sequence = session->n_events,
		.time_ns = wall_clock_ns(),
		.guest_time_ns = record->record.time_ns,
		.vm = session->name,
		.operation = operation,
		.denied = record->denied != 0, /* one refused operation refuses the open */
	};

	fill_file(&event.file, session, record);
	fill_process(&event.process, session, record);
	if (watch) {
		event.process.in_container = watch->container->mnt_ns == record->process.mnt_ns;
		enter_hostname_known(session, watch->container);
		fill_container(&event.container, watch->container);
	}
	fill_path(&event, record, watch);
	fill_rule(&event, watch);
	session->n_events++;
	session->n_denied += event.denied;
	session->n_unattributed += !watch;
	session->sink(&event, session->sink_data);
}

/* The guard waits: which rules with host names hold for the containers whose file this is? */
static void answer(struct session *session, const struct guard_file_record *record)
{
	const struct watch *watch = NULL;
	struct container *asked[16];
	size_t n = 0;

	while (n < 16 && (watch = next_watch(session, record, watch))) {
		if (watch->report & GUARD_OP_ASK)
			asked[n++] = watch->container;
	}
	for (size_t i = 0; i < n; i++) {
		const struct guard_process *process = &record->process;
		const char *hostname = asked[i]->hostname;
		bool decided;

		if (asked[i]->mnt_ns == process->mnt_ns) {
			char name[sizeof(process->hostname) + 1];

			snprintf(name, sizeof(name), "%.64s", process->hostname);
			enter_hostname(session, asked[i], process->uts_ns, name);
		}
		decided = enter_hostname_known(session, asked[i]);
		watches_settle(session->watches, asked[i],
			       decided ? hostname : session->guest_hostname, decided);
	}
}

void report_file(struct session *session)
{
	const struct guard_file_record *record = &session->ring.copy.file;

	if (record->asked) {
		answer(session, record);
		return;
	}
	for (uint32_t i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (record->reported & 1u << i)
			tell(session, record, 1u << i);
	}
}
