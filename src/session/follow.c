// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/follow.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/log.h"

#define MAX_FOLLOWED 8192 /* names of one container: the record is the guest's word */

struct following {
	struct session *session;
	const struct guard_follow_record *record;
	char name[256];
};

/* The directory part of an absolute path, "" for the root. */
static void directory_of(char *buf, size_t size, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(buf, size, "%.*s", slash ? (int)(slash - path) : 0, path);
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

	if (of->container->n_followed >= MAX_FOLLOWED)
		return;
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

/* Its last name goes: its number may be given to another file. */
static bool is_gone(const struct guard_follow_record *record)
{
	return record->cause == GUARD_FOLLOW_GONE && (record->links <= 1 || S_ISDIR(record->mode));
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
	while ((watch = watches_next(session->watches, key, file->ino, watch))) {
		if (!is_followed(watch, file))
			continue;
		watch->container->n_trips_after++;
		if (watch->kind == WATCH_FILE)
			follow_file(&following, watch);
		else
			follow_directory(&following, watch);
	}
	watches_align(session->watches, &session->trouble);
	if (is_gone(record))
		watches_remove_file(session->watches, key, file->ino, file->generation);
}
