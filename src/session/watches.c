// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/watches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define N_BUCKETS 16384
#define MAX_WATCHES (1u << 20)

struct watches {
	struct table *table;
	struct watch *buckets[N_BUCKETS];
	bool has_fresh[N_BUCKETS];
	size_t n;
	bool building;
};

struct watches *watches_new(struct table *table)
{
	struct watches *watches = calloc(1, sizeof(*watches));

	if (watches)
		watches->table = table;
	return watches;
}

static struct watch **bucket(const struct watches *watches, uint64_t key, uint64_t ino)
{
	return (struct watch **)&watches->buckets[GUARD_HASH(key, ino) >> 50];
}

_Static_assert(N_BUCKETS == 1 << (64 - 50), "the hash picks a bucket");

/* Takes it out of the books; its entry is the caller's to bring in line. */
static void drop(struct watches *watches, struct watch **at)
{
	struct watch *watch = *at;

	*at = watch->next;
	watches->n--;
	container_unref(watch->container);
	free(watch->base_path);
	free(watch);
}

struct watches *watches_free(struct watches *watches)
{
	if (!watches)
		return NULL;
	for (size_t i = 0; i < N_BUCKETS; i++) {
		while (watches->buckets[i])
			drop(watches, &watches->buckets[i]);
	}
	free(watches);
	return NULL;
}

static struct watch *next_at(const struct watches *watches, uint64_t key, uint64_t ino,
			     const struct watch *after, unsigned int where)
{
	struct watch *watch = after ? after->next : *bucket(watches, key, ino);

	while (watch && (watch->key != key || watch->ino != ino || !(watch->where & where)))
		watch = watch->next;
	return watch;
}

const struct watch *watches_next(const struct watches *watches, uint64_t key, uint64_t ino,
				 const struct watch *after)
{
	return next_at(watches, key, ino, after, WATCH_LIVE);
}

static int sync_base(struct watches *watches, const struct watch *first, unsigned int where,
		     struct error *err)
{
	_cleanup_(freep) struct table_pattern *patterns = NULL;
	size_t n = 0;

	patterns = calloc(GUARD_MAX_PATTERNS, sizeof(*patterns));
	if (!patterns)
		return error_set(err, -ENOMEM, "out of memory");
	for (const struct watch *w = first; w; w = next_at(watches, w->key, w->ino, w, where)) {
		if (w->generation != first->generation)
			continue;
		if (n == GUARD_MAX_PATTERNS)
			return error_set(err, -ENOSPC,
					 "more than %d patterns hang from one directory",
					 GUARD_MAX_PATTERNS);
		patterns[n++] = (struct table_pattern){ w->pattern, w->deny, w->report };
	}
	return table_set_base(watches->table, first->key & ~7ULL, first->ino, first->generation,
			      patterns, n, err);
}

/*
 * Makes the entry in one table what the watches add up to. Inode numbers are given again: those of another generation
 * than the newest's are for a file that is gone.
 */
static int sync_one(struct watches *watches, uint64_t key, uint64_t ino, unsigned int where,
		    struct error *err)
{
	const struct watch *first = next_at(watches, key, ino, NULL, where);
	struct guard_entry entry = { .key = key, .ino = ino };

	table_target(watches->table, where == WATCH_LIVE);
	if (!first) {
		table_remove(watches->table, key, ino);
		return 0;
	}
	if ((key & 7) == GUARD_KEY_BASE)
		return sync_base(watches, first, where, err);
	entry.generation = first->generation;
	for (const struct watch *w = first; w; w = next_at(watches, key, ino, w, where)) {
		if (w->generation != first->generation)
			continue;
		if ((key & 7) == GUARD_KEY_SUPER)
			entry.deny = w->levels > entry.deny ? w->levels : entry.deny;
		else
			entry.deny |= w->deny;
		entry.report |= w->report;
	}
	return table_set(watches->table, &entry, err);
}

/* First where a try costs nothing: in the table in force each change of a base uses up room. */
static int align(struct watches *watches, uint64_t key, uint64_t ino, unsigned int where,
		 struct error *err)
{
	int r = 0;

	if (where & WATCH_BUILDING && watches->building)
		r = sync_one(watches, key, ino, WATCH_BUILDING, err);
	if (r == 0 && where & WATCH_LIVE)
		r = sync_one(watches, key, ino, WATCH_LIVE, err);
	return r;
}

static bool is_same(const struct watch *a, const struct watch *b)
{
	return a->container == b->container && a->item == b->item && a->where == b->where &&
	       a->generation == b->generation && a->levels >= b->levels && a->pattern == b->pattern;
}

int watches_add(struct watches *watches, const struct watch *like, struct error *err)
{
	struct watch **head = bucket(watches, like->key, like->ino), *watch;

	for (watch = *head; watch; watch = watch->next) {
		if (watch->key == like->key && watch->ino == like->ino && is_same(watch, like))
			return 0;
	}
	if (watches->n >= MAX_WATCHES)
		return error_set(err, -ENOSPC, "more than %u watches in one guest", MAX_WATCHES);
	watch = malloc(sizeof(*watch));
	if (!watch)
		return error_set(err, -ENOMEM, "out of memory");
	*watch = *like;
	if (like->base_path)
		watch->base_path = strdup(like->base_path);
	container_ref(watch->container);
	watch->next = *head;
	watch->fresh = true;
	*head = watch;
	watches->has_fresh[head - watches->buckets] = true;
	watches->n++;
	return 0;
}

static struct watch **first_fresh(struct watch **at)
{
	while (*at && !(*at)->fresh)
		at = &(*at)->next;
	return at;
}

/* An entry's fresh watches stand in its bucket newest first, between others'. */
static struct watch **newest_fresh(struct watches *watches, uint64_t key, uint64_t ino)
{
	struct watch **at = first_fresh(bucket(watches, key, ino));

	while (*at && ((*at)->key != key || (*at)->ino != ino))
		at = first_fresh(&(*at)->next);
	return at;
}

static int align_fresh(struct watches *watches, uint64_t key, uint64_t ino, struct error *err)
{
	const unsigned int all = WATCH_LIVE | WATCH_BUILDING;
	unsigned int where = 0;
	struct watch *watch = NULL, **newest;
	int r, ret = 0;

	while ((watch = next_at(watches, key, ino, watch, all)))
		where |= watch->fresh ? watch->where : 0;
	while ((r = align(watches, key, ino, where, err)) < 0) {
		ret = r;
		newest = newest_fresh(watches, key, ino);
		if (!*newest)
			break;
		drop(watches, newest);
	}
	while ((watch = next_at(watches, key, ino, watch, all)))
		watch->fresh = false;
	return ret;
}

int watches_align(struct watches *watches, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < N_BUCKETS; i++) {
		struct watch *fresh;

		while (watches->has_fresh[i] && (fresh = *first_fresh(&watches->buckets[i]))) {
			int r = align_fresh(watches, fresh->key, fresh->ino, err);

			ret = r < 0 ? r : ret;
		}
		watches->has_fresh[i] = false;
	}
	return ret;
}

typedef bool (*watch_test_t)(const struct watch *watch, const void *data);

static void remove_where(struct watches *watches, watch_test_t test, const void *data)
{
	for (size_t i = 0; i < N_BUCKETS; i++) {
		struct watch **at = &watches->buckets[i];

		while (*at) {
			struct watch gone = **at;

			if (!test(&gone, data)) {
				at = &(*at)->next;
				continue;
			}
			drop(watches, at);
			align(watches, gone.key, gone.ino, gone.where, NULL);
		}
	}
}

static bool of_container(const struct watch *watch, const void *container)
{
	return watch->container == container;
}

static bool of_super(const struct watch *watch, const void *super)
{
	return (watch->key & ~7ULL) == *(const uint64_t *)super;
}

static bool not_building(const struct watch *watch, const void *data)
{
	(void)data;
	return !(watch->where & WATCH_BUILDING);
}

static bool only_building(const struct watch *watch, const void *data)
{
	(void)data;
	return watch->where == WATCH_BUILDING;
}

void watches_remove_container(struct watches *watches, const struct container *container)
{
	remove_where(watches, of_container, container);
}

void watches_remove_super(struct watches *watches, uint64_t super)
{
	remove_where(watches, of_super, &super);
}

void watches_settle(struct watches *watches, const struct container *container,
		    const char *hostname, bool decided)
{
	for (size_t i = 0; i < N_BUCKETS; i++) {
		for (struct watch *w = watches->buckets[i]; w; w = w->next) {
			const struct policy_rule *rule;
			bool selected;

			if (w->container != container || !(w->report & GUARD_OP_ASK))
				continue;
			rule = &w->plan->policy->rules[w->item->rule];
			selected = policy_selects(&rule->containers, container->name.id,
						  container->name.engine, hostname);
			w->report = selected ? rule->operations : 0;
			w->deny = selected && rule->action == POLICY_DENY ? rule->operations : 0;
			if (!decided)
				w->report |= GUARD_OP_ASK;
			align(watches, w->key, w->ino, w->where, NULL);
		}
	}
}

int watches_begin(struct watches *watches, struct error *err)
{
	int r = table_begin(watches->table, err);

	if (r == 0)
		watches->building = true;
	return r;
}

bool watches_is_building(const struct watches *watches)
{
	return watches->building;
}

/* After building: what @gone names goes, without touching the table; the rest is in force. */
static void end_building(struct watches *watches, watch_test_t gone)
{
	watches->building = false;
	for (size_t i = 0; i < N_BUCKETS; i++) {
		struct watch **at = &watches->buckets[i];

		while (*at) {
			if (gone(*at, NULL)) {
				drop(watches, at);
			} else {
				(*at)->where = WATCH_LIVE;
				at = &(*at)->next;
			}
		}
	}
}

void watches_publish(struct watches *watches)
{
	table_publish(watches->table);
	end_building(watches, not_building);
}

void watches_abandon(struct watches *watches)
{
	table_abandon(watches->table);
	end_building(watches, only_building);
}

size_t watches_count(const struct watches *watches)
{
	return watches->n;
}
