// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "glob/glob.h"
#include "session/enter.h"
#include "session/tell.h"
#include "session/verify.h"
#include "util/cleanup.h"
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

/* What a record's watches are looked for by. */
struct sought {
	const struct guard_file_record *record;
	uint64_t file_key, file_ino, base_key;
	char path[EVENT_PATH_MAX]; /* in its file system: the last `depth` names are below the base */
	bool directory; /* one that moves, or is mounted upon: patterns that reach below it count */
};

static struct sought seek(const struct session *session)
{
	const struct guard_file_record *record = &session->ring.copy.file;
	struct sought sought = {
		.record = record,
		.file_key = record->file.super | GUARD_KEY_FILE,
		.file_ino = record->file.ino,
		.base_key = record->base.super | GUARD_KEY_BASE,
		.directory = S_ISDIR(record->mode) &&
			     record->operations & (GUARD_OP_RENAME | GUARD_OP_MOUNT),
	};

	if (record->space) {
		sought.file_key = GUARD_MOUNT_KEY(record->space);
		sought.file_ino = GUARD_MOUNT_INO(record->file.super, record->file.ino);
	}
	ring_text(&session->ring, record->super_path, sought.path, sizeof(sought.path));
	return sought;
}

/* Could the pattern match something below the directory? */
static bool matches_below(const char *pattern, const char *path)
{
	const char *left[PLAN_MAX_LEFT];

	return plan_left_below(pattern, path, left) > 0;
}

/* Does a base's pattern match the file? What cannot be told is taken to match, as the guard does. */
static bool matches(const struct watch *watch, const struct sought *sought)
{
	const char *below = last_names(sought->path, sought->record->depth);

	if (watch->generation != sought->record->base.generation || !watch->pattern)
		return false;
	if (sought->record->depth > GLOB_MAX_DEPTH)
		return glob_is_deep(watch->pattern);
	return !*below || plan_matches(watch->pattern, below + 1) ||
	       (sought->directory && matches_below(watch->pattern, below + 1));
}

/* A file's watches: by its identity, then the patterns that it matched. Start with NULL. */
static const struct watch *next_watch(const struct session *session, const struct sought *sought,
				      const struct watch *after)
{
	const struct watch *watch = after;

	if (!after || after->key == sought->file_key) {
		do {
			watch = watches_next(session->watches, sought->file_key, sought->file_ino,
					     watch);
		} while (watch && watch->generation != sought->record->file.generation);
		if (watch || !sought->record->depth)
			return watch;
	}
	do {
		watch = watches_next(session->watches, sought->base_key, sought->record->base.ino,
				     watch);
	} while (watch && !matches(watch, sought));
	return watch;
}

/*
 * The rule that an operation is told under: one that refuses it if it was refused; of these, one of the container
 * that the process lives in, if any; of these, the first in the policy. A change of the file's identity is refused wherever
 * anything is.
 */
static unsigned int rank(const struct watch *watch, const struct guard_file_record *record,
			 uint32_t operation)
{
	uint32_t denies = watch_denies(watch), reports = watch_reports(watch), wanted = operation;
	unsigned int rank = 1;

	if (operation == GUARD_OP_MOUNT)
		wanted |= GUARD_OP_MOUNT_ABOVE;
	if (operation == GUARD_OP_ATTR_FLAGS && denies && record->denied)
		wanted |= denies;
	if (!watch->item || !((denies | reports) & wanted))
		return 0;
	if (!(record->denied & operation) == !(denies & wanted))
		rank += 2;
	if (watch->container->mnt_ns == record->process.mnt_ns)
		rank += 1;
	return rank;
}

static const struct watch *find_watch(const struct session *session, const struct sought *sought,
				      uint32_t operation)
{
	const struct watch *best = NULL, *watch = NULL;
	unsigned int best_rank = 0;

	while ((watch = next_watch(session, sought, watch))) {
		unsigned int this = rank(watch, sought->record, operation);

		if (this > best_rank ||
		    (this && this == best_rank && watch->item->rule < best->item->rule)) {
			best = watch;
			best_rank = this;
		}
	}
	return best;
}

static void fill_file(struct event_file *file, const struct guard_file_record *record)
{
	file->device_major = record->file.device >> 20;
	file->device_minor = record->file.device & 0xfffff;
	file->inode = record->file.ino;
	file->generation = record->file.generation;
	file->mode = record->mode;
	file->uid = record->uid;
	file->gid = record->gid;
	file->size = record->file_size;
}

/* As the process sees it: where the guard could not tell, the root of the file system may be that of the process. */
static void fill_accessed_path(struct event_file *file, const struct session *session,
			       const struct sought *sought, const struct watch *watch)
{
	ring_text(&session->ring, sought->record->path, file->accessed_path,
		  sizeof(file->accessed_path));
	if (!file->accessed_path[0] && watch &&
	    sought->record->file.super == watch->container->root_super &&
	    watch->container->mnt_ns == sought->record->process.mnt_ns)
		snprintf(file->accessed_path, sizeof(file->accessed_path), "%s", sought->path);
}

/* As the container sees it, however it was reached. */
static void fill_path(struct event_file *file, const struct sought *sought,
		      const struct watch *watch)
{
	const char *base = watch && watch->base_path ? watch->base_path : "";

	if (!watch)
		snprintf(file->path, sizeof(file->path), "%s",
			 file->accessed_path[0] ? file->accessed_path : sought->path);
	else if (watch->pattern)
		snprintf(file->path, sizeof(file->path), "%s%s", base,
			 last_names(sought->path, sought->record->depth));
	else
		snprintf(file->path, sizeof(file->path), "%s", *base ? base : watch->item->path);
}

/*
 * The other name of a rename or a link. It is told from the root of its file system: in the same directory it stands
 * beside the file, else, elsewhere than on the container's root, that is all that is known.
 */
static void fill_other_path(struct event *event, const struct session *session,
			    const struct sought *sought)
{
	const struct guard_file_record *record = sought->record;
	char other[EVENT_PATH_MAX], *to = record->role == GUARD_ROLE_TARGET
						  ? event->file.source_path
						  : event->file.target_path;
	size_t n = (size_t)(last_names(sought->path, 1) - sought->path);

	ring_text(&session->ring, record->other_path, other, sizeof(other));
	if (record->role == GUARD_ROLE_NONE || !other[0])
		return;
	if (!strncmp(other, sought->path, n) && other[n] == '/' && !strchr(other + n + 1, '/'))
		snprintf(to, EVENT_PATH_MAX, "%.*s%s",
			 (int)(last_names(event->file.path, 1) - event->file.path),
			 event->file.path, other + n);
	else
		snprintf(to, EVENT_PATH_MAX, "%s", other);
}

static const struct policy_rule *watch_rule(const struct watch *watch)
{
	return &watch->plan->policy->rules[watch->item->rule];
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
	rule = watch_rule(watch);
	event->rule = rule->name;
	event->message = rule->message;
	event->severity = rule->severity;
	event->action = rule->action;
}

/* The thread's, or the one that has been there longest. */
static struct last_told *last_of(struct session *session, const struct guard_file_record *record)
{
	struct last_told *last;

	for (size_t i = 0; i < SESSION_LAST_TOLD; i++) {
		last = &session->last_told[i];
		if (last->tid == record->process.tid && last->start_ns == record->process.start_ns)
			return last;
	}
	last = &session->last_told[session->next_last_told++ % SESSION_LAST_TOLD];
	memset(last, 0, sizeof(*last));
	last->tid = record->process.tid;
	last->start_ns = record->process.start_ns;
	return last;
}

/* Takes the file out of those that were renamed. */
static bool take_renamed(struct last_told *last, const struct guard_identity *file)
{
	for (unsigned int i = 0; i < last->n_renamed; i++) {
		if (last->renamed[i].super != file->super || last->renamed[i].ino != file->ino)
			continue;
		last->renamed[i] = last->renamed[--last->n_renamed];
		return true;
	}
	return false;
}

/*
 * An exchange of two names comes twice, the second time swapped, so that each file that takes part comes as source and as target.
 * Only an exchange leaves the two dentries as they were for the same thread to swap; or a refusal, which is never the first half.
 */
static bool is_swapped(struct session *session, const struct guard_file_record *record)
{
	uint64_t from = record->dentry_from, to = record->dentry_to;
	struct last_told *last;

	if (record->operations != GUARD_OP_RENAME || !from || record->denied)
		return false;
	last = last_of(session, record);
	if (last->dentry_from == to && last->dentry_to == from && take_renamed(last, &record->file))
		return true;
	if (last->dentry_from != from || last->dentry_to != to)
		last->n_renamed = 0;
	last->dentry_from = from;
	last->dentry_to = to;
	take_renamed(last, &record->file);
	if (last->n_renamed < ARRAY_SIZE(last->renamed)) {
		last->renamed[last->n_renamed].super = record->file.super;
		last->renamed[last->n_renamed++].ino = record->file.ino;
	}
	return false;
}

/*
 * Overlayfs makes a new file in the upper layer, or puts it in a whiteout's place, with credentials that are made for
 * that one call, so that the guard cannot tell them. It was told above just before, for the same rule's path.
 */
static bool is_told_above(struct session *session, const struct guard_file_record *record,
			  const struct watch *watch)
{
	bool makes = !record->file.ino || S_ISCHR(record->mode);
	struct last_told *last;

	if (!watch || record->denied)
		return false;
	last = last_of(session, record);
	if (record->nested && makes && watch->kind == WATCH_LAYER && last->made == watch->item)
		return true;
	last->made = !record->nested && makes ? watch->item : NULL;
	return false;
}

/* Whose file it is; of the guest's own files, who does it. */
static struct container *container_to_tell(const struct session *session, const struct watch *watch,
					   const struct guard_file_record *record)
{
	if (!watch->container->is_guest)
		return watch->container;
	return containers_find(&session->containers, record->process.mnt_ns);
}

static void tell(struct session *session, const struct sought *sought, uint32_t operation)
{
	const struct guard_file_record *record = sought->record;
	const struct watch *watch = find_watch(session, sought, operation);
	struct container *container;
	struct event event = {
		.sequence = session->ring.n_told,
		.time_ns = clock_ns(CLOCK_REALTIME),
		.guest_time_ns = record->record.time_ns,
		.vm = session->name,
		.operation = operation,
		.denied = record->denied != 0, /* one refused operation refuses the open */
		.killed = record->denied && record->killed,
	};

	if (is_told_above(session, record, watch))
		return;
	fill_file(&event.file, record);
	tell_process(session, &event.process, &record->process, record->executable);
	event.process.from_container = watch && watch->container->is_guest &&
				       record->whom == GUARD_BY_CONTAINER;
	container = watch ? container_to_tell(session, watch, record) : NULL;
	if (container) {
		event.process.in_container = container->mnt_ns == record->process.mnt_ns;
		enter_hostname_known(session, container);
		tell_container(session, &event.container, container);
	}
	fill_accessed_path(&event.file, session, sought, watch);
	fill_path(&event.file, sought, watch);
	fill_other_path(&event, session, sought);
	fill_rule(&event, watch);
	session->n_events++;
	session->n_denied += event.denied;
	session->n_unattributed += !watch;
	session->sink(&event, session->sink_data);
	session->ring.n_told++; /* noted when the record is done: see ring.h */
	if (watch && watch_rule(watch)->answer)
		answers_to_event(session, watch_rule(watch)->answer, &event,
				 record->process.mnt_ns);
}

/* The guard waits: which rules with host names hold for the containers whose file this is? */
static void answer(struct session *session, const struct sought *sought)
{
	const struct watch *watch = NULL;
	struct container *asked[16];
	size_t n = 0;

	while (n < ARRAY_SIZE(asked) && (watch = next_watch(session, sought, watch))) {
		if (watch->undecided)
			asked[n++] = watch->container;
	}
	for (size_t i = 0; i < n; i++) {
		bool decided = enter_hostname_known(session, asked[i]);

		/* Not decided: as if it kept the guest's name, for this once. */
		asked[i]->n_trips_after++;
		watches_settle(session->watches, asked[i],
			       decided ? asked[i]->hostname : session->guest_hostname, decided);
	}
}

static void tell_all(struct session *session)
{
	const struct sought sought = seek(session);

	if (is_swapped(session, sought.record))
		return;
	for (uint32_t i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (sought.record->reported & 1u << i)
			tell(session, &sought, 1u << i);
	}
}

/* Keeps the record for later. False when there is no room: then it has to be told as it is. */
static bool hold(struct session *session)
{
	const struct held_mark mark = {
		.entry = session->place.entry,
		.phys_base = session->place.phys_base,
		.n_told = session->ring.n_told,
	};

	return held_add(&session->held, session->ring.copy.bytes, session->ring.next, &mark);
}

/* A daemon that dies before their number is noted tells them all by the same numbers again. */
void report_held(struct session *session)
{
	if (!session->held.n)
		return;
	for (size_t i = 0; i < session->held.n; i++) {
		memcpy(session->ring.copy.bytes, session->held.records[i], GUARD_SLOT_SIZE);
		tell_all(session);
	}
	ring_note_told(&session->ring);
	held_done(&session->held);
}

void report_file(struct session *session)
{
	if (!verify_file(session, &session->ring.copy.file))
		return;
	if (session->ring.copy.file.asked) {
		const struct sought sought = seek(session);

		answer(session, &sought);
		return;
	}
	/*
	 * A guard that was adopted tells of files whose containers this daemon has still to get to know: these
	 * records wait until it has.
	 */
	if (session->adopting && hold(session))
		return;
	tell_all(session);
}
