// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"
#include "session/enter.h"
#include "util/clock.h"

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

/* Does a base's pattern match the file? What cannot be told is taken to match, as the guard does. */
static bool matches(const struct watch *watch, const struct guard_file_record *record,
		    const char *accessed_path)
{
	const char *below = last_names(accessed_path, record->depth);

	if (watch->generation != record->base.generation)
		return false;
	if (record->depth > GLOB_MAX_DEPTH)
		return glob_is_deep(watch->pattern);
	return !*below || plan_matches(watch->pattern, below + 1);
}

/* A file's watches: by its identity, then the patterns that it matched. Start with NULL. */
static const struct watch *next_watch(const struct session *session,
				      const struct guard_file_record *record,
				      const char *accessed_path, const struct watch *after)
{
	const uint64_t file = record->file.super | GUARD_KEY_FILE;
	const uint64_t base = record->base.super | GUARD_KEY_BASE;
	const struct watch *watch = after;

	if (!after || after->key == file) {
		do {
			watch = watches_next(session->watches, file, record->file.ino, watch);
		} while (watch && watch->generation != record->file.generation);
		if (watch || !record->depth)
			return watch;
	}
	do {
		watch = watches_next(session->watches, base, record->base.ino, watch);
	} while (watch && !matches(watch, record, accessed_path));
	return watch;
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
				      const struct guard_file_record *record,
				      const char *accessed_path, uint32_t operation)
{
	const struct watch *best = NULL, *watch = NULL;
	unsigned int best_rank = 0;

	while ((watch = next_watch(session, record, accessed_path, watch))) {
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
	const struct watch *watch;
	struct event event = {
		.sequence = session->n_events,
		.time_ns = clock_ns(CLOCK_REALTIME),
		.guest_time_ns = record->record.time_ns,
		.vm = session->name,
		.operation = operation,
		.denied = record->denied != 0, /* one refused operation refuses the open */
	};

	fill_file(&event.file, session, record);
	fill_process(&event.process, session, record);
	watch = find_watch(session, record, event.file.accessed_path, operation);
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
	char path[EVENT_PATH_MAX];
	size_t n = 0;

	ring_text(&session->ring, record->path, path, sizeof(path));
	while (n < 16 && (watch = next_watch(session, record, path, watch))) {
		if (watch->report & GUARD_OP_ASK)
			asked[n++] = watch->container;
	}
	for (size_t i = 0; i < n; i++) {
		bool decided = enter_hostname_known(session, asked[i]);

		/* Not decided: as if it kept the guest's name, for this once. */
		watches_settle(session->watches, asked[i],
			       decided ? asked[i]->hostname : session->guest_hostname, decided);
	}
}

static void tell_all(struct session *session)
{
	const struct guard_file_record *record = &session->ring.copy.file;

	for (uint32_t i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (record->reported & 1u << i)
			tell(session, record, 1u << i);
	}
}

/* Keeps a copy of the record for later. False when there is no room: then it has to be told as it is. */
static bool hold(struct session *session)
{
	struct held *held = &session->held;

	if (held->n == session->ring.n_slots)
		return false;
	if (!held->records)
		held->records = malloc(session->ring.n_slots * sizeof(*held->records));
	if (!held->records)
		return false;
	memcpy(held->records[held->n++], session->ring.copy.bytes, GUARD_SLOT_SIZE);
	return true;
}

void report_held(struct session *session)
{
	struct held held = session->held;

	session->held = (struct held){ 0 };
	for (size_t i = 0; i < held.n; i++) {
		memcpy(session->ring.copy.bytes, held.records[i], GUARD_SLOT_SIZE);
		tell_all(session);
	}
	free(held.records);
}

void report_file(struct session *session)
{
	if (session->ring.copy.file.asked) {
		answer(session, &session->ring.copy.file);
		return;
	}
	/*
	 * A guard that was adopted tells of files whose containers this daemon has still to get to know: these
	 * records wait until it has.
	 */
	if (session->arm.adopted && watches_is_building(session->watches) && hold(session))
		return;
	tell_all(session);
}
