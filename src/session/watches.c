// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/watches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define N_BUCKETS 65536
#define N_SUPERS 4096
#define MAX_WATCHES (1u << 20)

struct watches {
	struct table *table;
	const struct containers *containers;
	struct watch *buckets[N_BUCKETS];
	struct watch *supers[N_SUPERS]; /* by super block */
	struct watch *likes[N_BUCKETS]; /* by entry and item: see is_same() */
	bool has_fresh[N_BUCKETS];
	uint32_t fresh[N_BUCKETS]; /* the buckets that have, in the order they came */
	size_t n_fresh;
	size_t n, n_by_container; /* the latter: with exceptions for containers */
	bool building;
};

struct watches *watches_new(struct table *table, const struct containers *containers)
{
	struct watches *watches = calloc(1, sizeof(*watches));

	if (watches) {
		watches->table = table;
		watches->containers = containers;
	}
	return watches;
}

static const struct policy_rule *rule_of(const struct watch *watch)
{
	return watch->item ? &watch->plan->policy->rules[watch->item->rule] : NULL;
}

uint32_t watch_reports(const struct watch *watch)
{
	uint32_t reports = watch->selected ? watch->operations : 0;

	if (watch->undecided)
		reports |= GUARD_OP_ASK;
	if (watch->kind == WATCH_FILE || watch->kind == WATCH_ABOVE)
		reports |= GUARD_OP_FOLLOW;
	if (watch->kind == WATCH_FILE && watch->item && rule_of(watch)->runtimes)
		reports |= GUARD_OP_RUNTIME;
	return watch->kind == WATCH_LAZY ? GUARD_OP_LAZY : reports;
}

uint32_t watch_denies(const struct watch *watch)
{
	const struct policy_rule *rule = rule_of(watch);

	return rule && watch->selected && rule->action != POLICY_AUDIT ? watch->operations : 0;
}

uint32_t watch_levels(const struct watch *watch)
{
	return watch->pattern ? plan_levels(watch->pattern) : 0;
}

uint32_t watch_read_levels(const struct watch *watch)
{
	bool reads = watch->operations & (GUARD_OP_READ | GUARD_OP_EXEC) || watch->undecided ||
		     watch->kind == WATCH_LAZY;

	return reads ? watch_levels(watch) : 0;
}

static uint32_t whom(const struct watch *watch)
{
	return watch->item ? rule_of(watch)->whom : 0;
}

static uint32_t kills(const struct watch *watch)
{
	return watch->item && rule_of(watch)->action == POLICY_KILL ? watch_denies(watch) : 0;
}

static struct watch **bucket(const struct watches *watches, uint64_t key, uint64_t ino)
{
	return (struct watch **)&watches->buckets[GUARD_HASH(key, ino) >> 48];
}

_Static_assert(N_BUCKETS == 1 << (64 - 48), "the hash picks a bucket");

/* What stands above several files of a rule is there once: see is_same(). */
static bool is_rules(const struct watch *watch)
{
	return watch->kind == WATCH_ABOVE || watch->kind == WATCH_MOUNT;
}

static struct watch **likes(struct watches *watches, const struct watch *watch)
{
	uint64_t what = is_rules(watch) ? watch->item->rule : (uintptr_t)watch->item;

	return &watches->likes[GUARD_HASH(watch->key, watch->ino + what * 0xff51afd7ed558ccdULL) >>
			       48];
}

/*
 * Each watch is on four lists: its bucket's, by entry; by what it would be added again as; its container's, and its super
 * block's. So what comes or goes costs what there is of it, however many others there are.
 */
static void put(struct watch *watch, struct watch **head)
{
	watch->next = *head;
	watch->at = head;
	if (watch->next)
		watch->next->at = &watch->next;
	*head = watch;
}

static void put_below(struct watches *watches, struct watch *watch)
{
	struct watch **head = &watches->supers[GUARD_HASH(watch->super, 0) >> 52];

	watch->next_below = *head;
	watch->at_below = head;
	if (watch->next_below)
		watch->next_below->at_below = &watch->next_below;
	*head = watch;
}

_Static_assert(N_SUPERS == 1 << (64 - 52), "the hash picks a list");

static void put_like(struct watches *watches, struct watch *watch)
{
	struct watch **head = likes(watches, watch);

	watch->next_like = *head;
	watch->at_like = head;
	if (watch->next_like)
		watch->next_like->at_like = &watch->next_like;
	*head = watch;
}

static void own(struct watch *watch, struct container *container)
{
	watch->container = container_ref(container);
	watch->next_own = container->watches;
	watch->at_own = &container->watches;
	if (watch->next_own)
		watch->next_own->at_own = &watch->next_own;
	container->watches = watch;
}

static void disown(struct watch *watch)
{
	*watch->at_own = watch->next_own;
	if (watch->next_own)
		watch->next_own->at_own = watch->at_own;
	watch->container = container_unref(watch->container);
}

/* Takes it out of the books; its entry is the caller's to bring in line. */
static void drop(struct watches *watches, struct watch *watch)
{
	*watch->at = watch->next;
	if (watch->next)
		watch->next->at = watch->at;
	*watch->at_below = watch->next_below;
	if (watch->next_below)
		watch->next_below->at_below = watch->at_below;
	*watch->at_like = watch->next_like;
	if (watch->next_like)
		watch->next_like->at_like = watch->at_like;
	watches->n--;
	watches->n_by_container -= exceptions_by_container(watch->exceptions);
	disown(watch);
	exceptions_unref(watch->exceptions);
	free(watch->base_path);
	free(watch->text);
	free(watch);
}

struct watches *watches_free(struct watches *watches)
{
	if (!watches)
		return NULL;
	for (size_t i = 0; i < N_BUCKETS; i++) {
		while (watches->buckets[i])
			drop(watches, watches->buckets[i]);
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

/* What the watches of one entry add up to. */
struct sum {
	struct guard_entry entry;
	struct table_clause *clauses;
	size_t n, room;
	uint32_t *index; /* of clauses by text and exceptions: open addressing, index + 1, twice `room` places */
};

static void sum_end(struct sum *sum)
{
	for (size_t i = 0; i < sum->n; i++)
		free((void *)sum->clauses[i].exceptions);
	free(sum->clauses);
	free(sum->index);
}

static int sum_begin(struct sum *sum, size_t room)
{
	sum->room = room;
	sum->clauses = calloc(room, sizeof(*sum->clauses));
	sum->index = calloc(2 * room, sizeof(*sum->index));
	return sum->clauses && sum->index ? 0 : -ENOMEM;
}

/* Clauses for the same text and the same actors without exceptions are one: a layer's, of many containers. */
static struct table_clause *clause_for(struct sum *sum, const struct watch *watch)
{
	size_t at = (uintptr_t)watch->pattern * 0x9e3779b97f4a7c15ULL % (2 * sum->room);
	struct table_clause *clause;

	for (; sum->index[at]; at = (at + 1) % (2 * sum->room)) {
		clause = &sum->clauses[sum->index[at] - 1];
		if (clause->text == watch->pattern && clause->whom == whom(watch) &&
		    !clause->n_exceptions && !watch->exceptions)
			return clause;
	}
	sum->index[at] = (uint32_t)++sum->n;
	clause = &sum->clauses[sum->n - 1];
	clause->text = watch->pattern;
	clause->whom = whom(watch);
	return clause;
}

/* Not of one operation, but of the file. */
static const uint32_t about_file = GUARD_OP_FOLLOW | GUARD_OP_RUNTIME;

static int add_to_sum(struct sum *sum, const struct watches *watches, const struct watch *watch)
{
	struct guard_exception *rows = NULL;
	struct table_clause *clause;
	int n;

	if (!watch->pattern && !watch->exceptions && !kills(watch) && !whom(watch)) {
		sum->entry.deny |= watch_denies(watch);
		sum->entry.report |= watch_reports(watch);
		return 0;
	}
	sum->entry.report |= watch_reports(watch) & about_file;
	clause = clause_for(sum, watch);
	clause->deny |= watch_denies(watch);
	clause->report |= watch_reports(watch) & ~about_file;
	clause->kill |= kills(watch);
	if (!watch->exceptions)
		return 0;
	n = exceptions_rows(watch->exceptions, watches->containers, &rows);
	if (n < 0)
		return n;
	clause->exceptions = rows;
	clause->n_exceptions = (uint32_t)n;
	return 0;
}

static void raise_levels(struct guard_entry *mark, const struct watch *watch)
{
	if (watch->levels > mark->deny)
		mark->deny = watch->levels;
	if (watch->read_levels > mark->report)
		mark->report = watch->read_levels;
}

static int sum_up(struct sum *sum, const struct watches *watches, const struct watch *first,
		  unsigned int where)
{
	int r = 0;

	for (const struct watch *w = first; w && r == 0;
	     w = next_at(watches, w->key, w->ino, w, where)) {
		if (w->generation != first->generation)
			continue;
		if (w->kind == WATCH_MARK)
			raise_levels(&sum->entry, w);
		else if (w->kind == WATCH_DEVICE)
			sum->entry.deny |= w->operations;
		else if (w->kind == WATCH_SPACE)
			sum->entry.deny |= w->refuses;
		else if (w->kind != WATCH_CREDS)
			r = add_to_sum(sum, watches, w);
	}
	return r;
}

/*
 * Makes the entry in one table what the watches add up to. Inode numbers are given again: those of another generation
 * than the newest's are for a file that is gone.
 */
static int sync_one(struct watches *watches, uint64_t key, uint64_t ino, unsigned int where,
		    struct error *err)
{
	const struct watch *first = next_at(watches, key, ino, NULL, where);
	_cleanup_(sum_end) struct sum sum = { .entry = { .key = key, .ino = ino } };
	size_t n = 0;

	table_target(watches->table, where == WATCH_LIVE);
	if (!first) {
		table_remove(watches->table, key, ino);
		return 0;
	}
	for (const struct watch *w = first; w; w = next_at(watches, key, ino, w, where))
		n++;
	sum.entry.generation = first->generation;
	if (sum_begin(&sum, n) < 0 || sum_up(&sum, watches, first, where) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return table_set(watches->table, &sum.entry, sum.clauses, sum.n, err);
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

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* A layer's is every container's that has the layer; what stands above several files of a rule, or follows one, is there once. */
static bool is_same(const struct watch *a, const struct watch *b)
{
	if (a->kind != b->kind || (!is_rules(a) && a->item != b->item) ||
	    a->generation != b->generation || a->plan != b->plan)
		return false;
	if (a->kind == WATCH_LAYER)
		return a->exceptions == b->exceptions && same_text(a->pattern, b->pattern);
	if (a->container != b->container || a->where != b->where || a->levels < b->levels ||
	    a->read_levels < b->read_levels)
		return false;
	if (is_rules(a) && (a->operations != b->operations || a->item->rule != b->item->rule))
		return false;
	return same_text(a->pattern, b->pattern);
}

static struct watch *find_same(struct watches *watches, const struct watch *like)
{
	for (struct watch *watch = *likes(watches, like); watch; watch = watch->next_like) {
		if (watch->key == like->key && watch->ino == like->ino && is_same(watch, like))
			return watch;
	}
	return NULL;
}

static void mark_fresh(struct watches *watches, struct watch *watch)
{
	size_t i = (size_t)(bucket(watches, watch->key, watch->ino) - watches->buckets);

	watch->fresh = true;
	if (watches->has_fresh[i])
		return;
	watches->has_fresh[i] = true;
	watches->fresh[watches->n_fresh++] = (uint32_t)i;
}

static bool copy_texts(struct watch *watch, const struct watch *like)
{
	watch->base_path = like->base_path ? strdup(like->base_path) : NULL;
	watch->text = like->text ? strdup(like->text) : NULL;
	if (watch->text)
		watch->pattern = watch->text;
	return (watch->base_path || !like->base_path) && (watch->text || !like->text);
}

/* One more container has the layer. */
static void share(struct watches *watches, struct watch *watch, const struct watch *like)
{
	watch->n_users++;
	if ((watch->where | like->where) == watch->where)
		return;
	watch->where |= like->where;
	mark_fresh(watches, watch);
}

int watches_add(struct watches *watches, const struct watch *like, struct error *err)
{
	struct watch **head = bucket(watches, like->key, like->ino), *watch;

	watch = find_same(watches, like);
	if (watch && watch->kind == WATCH_LAYER)
		share(watches, watch, like);
	if (watch)
		return watch->kind == WATCH_LAYER;
	if (watches->n >= MAX_WATCHES)
		return error_set(err, -ENOSPC, "more than %u watches in one guest", MAX_WATCHES);
	watch = malloc(sizeof(*watch));
	if (!watch)
		return error_set(err, -ENOMEM, "out of memory");
	*watch = *like;
	watch->n_users = 1;
	if (!copy_texts(watch, like)) {
		free(watch->base_path);
		free(watch->text);
		free(watch);
		return error_set(err, -ENOMEM, "out of memory");
	}
	own(watch, like->container);
	exceptions_ref(watch->exceptions);
	watches->n_by_container += exceptions_by_container(watch->exceptions);
	put(watch, head);
	put_below(watches, watch);
	put_like(watches, watch);
	mark_fresh(watches, watch);
	watches->n++;
	return 1;
}

static struct watch *first_fresh(struct watch *watch)
{
	while (watch && !watch->fresh)
		watch = watch->next;
	return watch;
}

/* An entry's fresh watches stand in its bucket newest first, between others'. */
static struct watch *newest_fresh(struct watches *watches, uint64_t key, uint64_t ino)
{
	struct watch *watch = first_fresh(*bucket(watches, key, ino));

	while (watch && (watch->key != key || watch->ino != ino))
		watch = first_fresh(watch->next);
	return watch;
}

typedef bool (*watch_test_t)(const struct watch *watch, const void *data);

/* Watches that go, one after the other; the entry of those before is brought in line when another's begin. */
struct removal {
	uint64_t key, ino;
	unsigned int where; /* 0: nothing to bring in line */
};

static void removal_end(struct watches *watches, struct removal *removal)
{
	if (removal->where)
		align(watches, removal->key, removal->ino, removal->where, NULL);
	removal->where = 0;
}

static void removal_take(struct watches *watches, struct removal *removal, struct watch *watch)
{
	if (watch->key != removal->key || watch->ino != removal->ino)
		removal_end(watches, removal);
	removal->key = watch->key;
	removal->ino = watch->ino;
	removal->where |= watch->where;
	drop(watches, watch);
}

/* Of a container's watches, those. */
static void remove_own(struct watches *watches, const struct container *container,
		       watch_test_t test, const void *data)
{
	struct watch *watch = container->watches, *next;
	struct removal removal = { 0 };

	for (; watch; watch = next) {
		next = watch->next_own;
		if (test(watch, data))
			removal_take(watches, &removal, watch);
	}
	removal_end(watches, &removal);
}

static bool of_super(const struct watch *watch, const void *super)
{
	return watch->super == *(const uint64_t *)super;
}

/* There is no room for it. What is on a super block without a mark would outlive that: it goes too. */
static void give_up(struct watches *watches, struct watch *watch)
{
	struct container *container = container_ref(watch->container);
	const uint64_t key = watch->key, super = watch->super;
	bool is_mark = watch->kind == WATCH_MARK;

	drop(watches, watch);
	if (is_mark && !next_at(watches, key, 0, NULL, WATCH_LIVE | WATCH_BUILDING))
		remove_own(watches, container, of_super, &super);
	container_unref(container);
}

static int align_fresh(struct watches *watches, uint64_t key, uint64_t ino, struct error *err)
{
	const unsigned int all = WATCH_LIVE | WATCH_BUILDING;
	unsigned int where = 0;
	struct watch *watch = NULL, *newest;
	int r, ret = 0;

	while ((watch = next_at(watches, key, ino, watch, all)))
		where |= watch->fresh ? watch->where : 0;
	while ((r = align(watches, key, ino, where, err)) < 0) {
		ret = r;
		newest = newest_fresh(watches, key, ino);
		if (!newest)
			break;
		give_up(watches, newest);
	}
	while ((watch = next_at(watches, key, ino, watch, all)))
		watch->fresh = false;
	return ret;
}

int watches_align(struct watches *watches, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < watches->n_fresh; i++) {
		struct watch **head = &watches->buckets[watches->fresh[i]], *fresh;

		while ((fresh = first_fresh(*head))) {
			int r = align_fresh(watches, fresh->key, fresh->ino, err);

			ret = r < 0 ? r : ret;
		}
		watches->has_fresh[watches->fresh[i]] = false;
	}
	watches->n_fresh = 0;
	return ret;
}

static bool is_not_layer(const struct watch *watch, const void *data)
{
	(void)data;
	return watch->kind != WATCH_LAYER;
}

static bool of_kind(const struct watch *watch, const void *kind)
{
	return watch->kind == *(const enum watch_kind *)kind;
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

/* Another container that has the layer too, and will stay. */
static struct container *another_user(const struct watches *watches, const struct watch *watch,
				      const struct container *but)
{
	for (struct container *c = watches->containers->first; c; c = c->next) {
		for (const struct layer_use *use = c->layers; use && c != but; use = use->next) {
			if (use->key == watch->key && use->ino == watch->ino &&
			    use->plan == watch->plan &&
			    use->items[watch->item - watch->plan->items])
				return c;
		}
	}
	return NULL;
}

static void pass_on(const struct watches *watches, struct watch *watch, struct container *from)
{
	struct container *to = watch->container == from ? another_user(watches, watch, from) : NULL;

	if (!to)
		return;
	disown(watch);
	own(watch, to);
}

/* Is it one that @container has by @use? With exceptions it is one container's alone. */
static bool is_used(const struct watch *watch, const struct layer_use *use,
		    const struct container *container)
{
	return watch->kind == WATCH_LAYER && watch->key == use->key && watch->ino == use->ino &&
	       watch->plan == use->plan && use->items[watch->item - watch->plan->items] &&
	       (!watch->exceptions || watch->container == container);
}

static void leave_layer(struct watches *watches, struct container *container,
			const struct layer_use *use)
{
	struct watch *watch = *bucket(watches, use->key, use->ino), *next;
	unsigned int changed = 0;

	for (; watch; watch = next) {
		next = watch->next;
		if (!is_used(watch, use, container))
			continue;
		if (--watch->n_users) {
			pass_on(watches, watch, container);
		} else {
			changed |= watch->where;
			drop(watches, watch);
		}
	}
	if (changed)
		align(watches, use->key, use->ino, changed, NULL);
}

void watches_remove_container(struct watches *watches, struct container *container)
{
	while (container->layers) {
		struct layer_use *use = container->layers;

		container->layers = use->next;
		leave_layer(watches, container, use);
		free(use);
	}
	remove_own(watches, container, is_not_layer, NULL);
}

void watches_remove_super(struct watches *watches, uint64_t super)
{
	struct watch *watch = watches->supers[GUARD_HASH(super, 0) >> 52], *next;
	struct removal removal = { 0 };

	for (; watch; watch = next) {
		next = watch->next_below;
		if (watch->super == super)
			removal_take(watches, &removal, watch);
	}
	removal_end(watches, &removal);
}

void watches_remove_file(struct watches *watches, uint64_t key, uint64_t ino, uint32_t generation)
{
	struct watch *watch = *bucket(watches, key, ino), *next;
	unsigned int where = 0;

	for (; watch; watch = next) {
		next = watch->next;
		if (watch->key != key || watch->ino != ino || watch->generation != generation)
			continue;
		where |= watch->where;
		drop(watches, watch);
	}
	if (where)
		align(watches, key, ino, where, NULL);
}

bool watches_remove_kind(struct watches *watches, struct container *container, enum watch_kind kind)
{
	size_t before = watches->n;

	remove_own(watches, container, of_kind, &kind);
	return watches->n != before;
}

void watches_settle(struct watches *watches, const struct container *container,
		    const char *hostname, bool decided)
{
	for (struct watch *w = container->watches; w; w = w->next_own) {
		if (!w->undecided)
			continue;
		w->selected = policy_selects(&rule_of(w)->containers, container->name.id,
					     container->name.engine, hostname);
		w->undecided = !decided;
		mark_fresh(watches, w);
	}
	watches_align(watches, NULL);
}

void watches_refresh_exceptions(struct watches *watches, const struct container *container)
{
	for (size_t i = 0; i < N_BUCKETS && watches->n_by_container; i++) {
		for (struct watch *w = watches->buckets[i]; w; w = w->next) {
			if (exceptions_select(w->exceptions, container))
				mark_fresh(watches, w);
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
		struct watch *next;

		for (struct watch *watch = watches->buckets[i]; watch; watch = next) {
			next = watch->next;
			if (gone(watch, NULL))
				drop(watches, watch);
			else
				watch->where = WATCH_LIVE;
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
