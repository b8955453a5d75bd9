// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/follow.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "session/sweep.h"
#include "session/tell.h"
#include "session/verify.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

#define MAX_FOLLOWED 8192 /* names of one container */
#define MAX_UNPROVED 512 /* of these, that are only the guest's word */
#define GONE_NS 200000000ULL /* what was about to go has gone by then */

struct following {
	struct session *session;
	const struct guard_follow_record *record;
	char name[256];
	bool proved; /* is it so, by the kernel's own names? */
	uint64_t inode; /* then: its address */
	struct gone gone;
};

/* The directory part of an absolute path, "" for the root. */
static void directory_of(char *buf, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(buf, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

/* The guest can name files for ever; what it could prove is not kept out by what it could not. */
static void tell_too_many(struct session *session, struct container *container)
{
	if (container->told_followed)
		return;
	container->told_followed = true;
	tell_notice(session, "container-unguarded", POLICY_SEVERITY_HIGH, container,
		    "container %s: more names have gone than are followed (%u): files that come in "
		    "their place are not guarded until the policy is loaded again",
		    container->name.id, container->n_followed);
}

/* Watches @text, a plain path or a pattern, from the directory that the name was in. */
static void watch_name(const struct following *following, const struct watch *of,
		       const struct plan_item *item, char *text, char *base_path)
{
	struct watches *watches = following->session->watches;
	const struct guard_identity *parent = &following->record->parent;
	struct watch watch = *of;
	struct watch mark = {
		.kind = WATCH_MARK,
		.key = parent->super | GUARD_KEY_SUPER,
		.super = parent->super,
		.where = of->where,
		.container = of->container,
		.plan = of->plan,
	};
	int r;

	if (of->container->n_followed >= MAX_FOLLOWED ||
	    (following->session->caches && !following->proved &&
	     of->container->n_unproved >= MAX_UNPROVED)) {
		tell_too_many(following->session, of->container);
		return;
	}
	watch.kind = WATCH_NAME;
	watch.item = item;
	watch.key = parent->super | GUARD_KEY_BASE;
	watch.super = parent->super;
	watch.ino = parent->ino;
	watch.generation = parent->generation;
	watch.operations = of->plan->policy->rules[item->rule].operations;
	watch.pattern = watch.text = text;
	watch.base_path = base_path;
	mark.levels = watch_levels(&watch);
	mark.read_levels = watch_read_levels(&watch);
	r = watches_add(watches, &watch, &following->session->trouble);
	of->container->n_followed += r > 0;
	of->container->n_unproved += r > 0 && !following->proved;
	if (r < 0 || watches_add(watches, &mark, &following->session->trouble) < 0)
		log_error("%s: container %s: %s", following->session->name, of->container->name.id,
			  following->session->trouble.message);
}

/* A file with several names is followed at the one that the rule means; with one, that is it, through whatever links. */
static void follow_file(struct following *following, const struct watch *watch)
{
	const char *path = watch->base_path ? watch->base_path : watch->item->path;
	char base_path[1024];

	if (following->record->links > 1 && strcmp(strrchr(path, '/') + 1, following->name) != 0)
		return;
	directory_of(base_path, sizeof(base_path), path);
	watch_name(following, watch, watch->item, following->name, base_path);
}

/* A directory above: all the paths of the rule that lead through it. */
static void follow_directory(struct following *following, const struct watch *watch)
{
	const struct plan *plan = watch->plan;
	size_t n = strlen(watch->base_path);
	char base_path[1024], text[4096];

	directory_of(base_path, sizeof(base_path), watch->base_path);
	for (size_t i = 0; i < plan->n_items; i++) {
		const struct plan_item *item = &plan->items[i];

		if (item->rule != watch->item->rule ||
		    strncmp(item->path, watch->base_path, n) != 0 || item->path[n] != '/')
			continue;
		if (snprintf(text, sizeof(text), "%s%s", following->name, item->path + n) <
		    (int)sizeof(text))
			watch_name(following, watch, item, text, base_path);
	}
}

static bool is_followed(const struct watch *watch, const struct guard_identity *file)
{
	return watch->generation == file->generation &&
	       (watch->kind == WATCH_FILE || watch->kind == WATCH_ABOVE);
}

/*
 * Its last name goes: its number may be given to another file. Where that can be looked up, the guest's word is not enough:
 * without the entry for the file itself a rule is easier to get around.
 */
static bool is_gone(const struct following *following)
{
	const struct guard_follow_record *record = following->record;
	const struct session *session = following->session;
	struct kernel_inode inode;

	if (record->cause != GUARD_FOLLOW_GONE)
		return false;
	if (!session->caches)
		return record->links <= 1 || S_ISDIR(record->mode);
	return following->proved &&
	       kernel_inode_read(session->kernel, following->inode, &inode) == 0 &&
	       (inode.n_links <= 1 || S_ISDIR(inode.mode));
}

/* Whether it has gone, or it only was said to go. Then it is looked for again, as it was when its container started. */
static void look_at_gone(struct session *session, const struct gone *gone)
{
	if (!verify_has_name(session, gone->inode, &gone->file))
		return;
	log_debug("%s: a file was said to be deleted, and was not", session->name);
	for (struct container *c = session->containers.first; c; c = c->next) {
		bool is_its = gone->n_spaces > ARRAY_SIZE(gone->spaces);

		for (size_t i = 0; i < gone->n_spaces && !is_its; i++)
			is_its = gone->spaces[i] == c->mnt_ns;
		if (is_its)
			sweep_ask_again(session, c);
	}
}

void follow_check(struct session *session, uint64_t now)
{
	struct gone_files *files = &session->gone_files;

	while (files->n && now >= files->file[files->first].look_ns) {
		look_at_gone(session, &files->file[files->first]);
		files->first = (files->first + 1) % SESSION_GONE_FILES;
		files->n--;
	}
}

/* In the order in which they are due. One that finds no room is looked at when the first is, which then has to be now. */
static void remember_gone(struct following *following)
{
	struct session *session = following->session;
	struct gone_files *files = &session->gone_files;
	struct gone *gone = &following->gone;

	gone->inode = following->inode;
	gone->file = following->record->file;
	gone->look_ns = clock_ns(CLOCK_MONOTONIC) + GONE_NS;
	if (files->n == SESSION_GONE_FILES)
		follow_check(session, files->file[files->first].look_ns);
	files->file[(files->first + files->n++) % SESSION_GONE_FILES] = *gone;
}

static void note_space(struct gone *gone, uint64_t mnt_ns)
{
	if (gone->n_spaces < ARRAY_SIZE(gone->spaces))
		gone->spaces[gone->n_spaces] = mnt_ns;
	gone->n_spaces += gone->n_spaces <= ARRAY_SIZE(gone->spaces);
}

/* By one of the file's watches at least. */
static void prove(struct following *following)
{
	struct session *session = following->session;
	const struct guard_identity *file = &following->record->file;
	const uint64_t key = file->super | GUARD_KEY_FILE;
	enum verdict_on_name verdict = NAME_UNKNOWN;
	const struct watch *watch = NULL;
	bool is_false = false;

	while (!following->proved &&
	       (watch = watches_next(session->watches, key, file->ino, watch))) {
		if (!is_followed(watch, file))
			continue;
		verdict = verify_follow(session, watch, following->record, following->name,
					&following->inode);
		following->proved = verdict == NAME_PROVED;
		is_false |= verdict == NAME_FALSE;
	}
	if (is_false && !following->proved)
		ring_abused(&session->ring, RING_ABUSE_CLAIMS);
}

void follow_names(struct session *session)
{
	const struct guard_follow_record *record = &session->ring.copy.follow;
	const struct guard_identity *file = &record->file;
	struct following following = { .session = session, .record = record };
	const uint64_t key = file->super | GUARD_KEY_FILE;
	const struct watch *watch = NULL;

	ring_text(&session->ring, record->name, following.name, sizeof(following.name));
	if (!following.name[0] || strpbrk(following.name, "/*?") || !record->parent.super ||
	    record->parent.super & 7)
		return;
	prove(&following);
	while ((watch = watches_next(session->watches, key, file->ino, watch))) {
		if (!is_followed(watch, file))
			continue;
		note_space(&following.gone, watch->container->mnt_ns);
		watch->container->n_trips_after++;
		if (watch->kind == WATCH_FILE)
			follow_file(&following, watch);
		else
			follow_directory(&following, watch);
	}
	watches_align(session->watches, &session->trouble);
	if (!is_gone(&following))
		return;
	watches_remove_file(session->watches, key, file->ino, file->generation);
	if (following.proved)
		remember_gone(&following);
}
