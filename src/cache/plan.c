// SPDX-License-Identifier: GPL-2.0-or-later
#include "cache/plan.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "glob/glob.h"
#include "util/cleanup.h"

struct known {
	const char *path; /* the plan's */
	size_t name; /* index */
};

struct builder {
	struct plan *plan;
	size_t room, bytes;
	void *index; /* tsearch() tree of struct known */
};

struct plan *plan_free(struct plan *plan)
{
	if (plan) {
		for (size_t i = 0; i < plan->n_names; i++)
			free(plan->names[i].path);
		free(plan->names);
		free(plan->items);
		free(plan->executables);
		free(plan);
	}
	return NULL;
}

DEFINE_CLEANUP(struct plan *, plan_free)

static void builder_end(struct builder *builder)
{
	tdestroy(builder->index, free);
}

static int compare_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int more_room(struct builder *builder)
{
	size_t room = builder->room * 2 + 64;
	struct plan_name *names = realloc(builder->plan->names, room * sizeof(*names));

	if (!names)
		return -ENOMEM;
	builder->plan->names = names;
	builder->room = room;
	return 0;
}

/* Enters @path without its parents. Returns its index, or an error. */
static int64_t add_one(struct builder *builder, const char *path, size_t len, uint32_t parent)
{
	struct plan *plan = builder->plan;
	_cleanup_(freep) char *copy = strndup(path, len);
	_cleanup_(freep) struct known *known = malloc(sizeof(*known));
	struct known **found;

	if (!copy || !known)
		return -ENOMEM;
	*known = (struct known){ copy, plan->n_names };
	found = tfind(known, &builder->index, compare_known);
	if (found)
		return (int64_t)(*found)->name;
	if (plan->n_names == builder->room && more_room(builder) < 0)
		return -ENOMEM;
	if (!tsearch(known, &builder->index, compare_known))
		return -ENOMEM;
	known = NULL; /* the tree's */
	builder->bytes += len + 1 + sizeof(uint32_t);
	plan->names[plan->n_names].path = TAKE_PTR(copy);
	plan->names[plan->n_names].parent = parent;
	plan->names[plan->n_names].of_container = false;
	return (int64_t)plan->n_names++;
}

static int64_t add_marked(struct builder *builder, const char *path, size_t len, int64_t parent,
			  bool of_container)
{
	int64_t name = add_one(builder, path, len, (uint32_t)parent);

	if (name >= 0)
		builder->plan->names[name].of_container |= of_container;
	return name;
}

/* Enters the first @len bytes of @path, and every directory above, root first. */
static int64_t add_name(struct builder *builder, const char *path, size_t len, bool of_container)
{
	int64_t parent = 0;

	for (size_t i = 1; i < len; i++) {
		if (path[i] != '/')
			continue;
		parent = add_marked(builder, path, i, parent, of_container);
		if (parent < 0)
			return parent;
	}
	return len > 1 ? add_marked(builder, path, len, parent, of_container) : 0;
}

/* Length of what comes before the first name with a wildcard, without its slash; the whole of an exact path. */
static size_t literal_length(const char *path)
{
	size_t wildcard = strcspn(path, "*?");

	if (!path[wildcard])
		return wildcard;
	while (wildcard > 1 && path[wildcard - 1] != '/')
		wildcard--;
	return wildcard > 1 ? wildcard - 1 : 1;
}

static int add_executables(struct builder *builder, const struct policy *policy, uint32_t rule)
{
	struct plan *plan = builder->plan;

	for (uint32_t e = 0; e < policy->rules[rule].n_except; e++) {
		const struct policy_exception *except = &policy->rules[rule].except[e];

		for (size_t i = 0; i < except->n_executables; i++) {
			const char *path = except->executables[i];
			int64_t name =
				add_name(builder, path, strlen(path), !policy->rules[rule].guest);

			if (name < 0)
				return (int)name;
			plan->executables[plan->n_executables++] = (struct plan_executable){
				.rule = rule,
				.except = e,
				.name = (uint32_t)name,
			};
		}
	}
	return 0;
}

static int add_items(struct builder *builder, const struct policy *policy)
{
	struct plan *plan = builder->plan;

	if (add_one(builder, "/", 1, 0) < 0)
		return -ENOMEM;
	plan->names[0].of_container = true;
	for (uint32_t r = 0; r < policy->n_rules; r++) {
		for (size_t p = 0; p < policy->rules[r].n_paths; p++) {
			const char *path = policy->rules[r].paths[p];
			int64_t name = *path == '/' ? add_name(builder, path, literal_length(path),
							       !policy->rules[r].guest)
						    : PLAN_NO_NAME;

			if (name < 0)
				return (int)name;
			plan->items[plan->n_items++] = (struct plan_item){
				.rule = r,
				.path = path,
				.name = (uint32_t)name,
			};
		}
	}
	for (uint32_t r = 0; r < policy->n_rules; r++) {
		if (add_executables(builder, policy, r) < 0)
			return -ENOMEM;
	}
	return builder->bytes < GUARD_VAULT_NAMES_SIZE ? 0 : -E2BIG;
}

static size_t count_executables(const struct policy *policy)
{
	size_t n = 0;

	for (size_t r = 0; r < policy->n_rules; r++) {
		for (size_t e = 0; e < policy->rules[r].n_except; e++)
			n += policy->rules[r].except[e].n_executables;
	}
	return n;
}

static size_t count_items(const struct policy *policy)
{
	size_t n = 0;

	for (size_t r = 0; r < policy->n_rules; r++)
		n += policy->rules[r].n_paths;
	return n;
}

int plan_new(struct plan **ret, const struct policy *policy, struct error *err)
{
	_cleanup_(plan_freep) struct plan *plan = calloc(1, sizeof(*plan));
	_cleanup_(builder_end) struct builder builder = { .plan = plan };
	int r;

	if (!plan)
		return error_set(err, -ENOMEM, "out of memory");
	plan->policy = policy;
	plan->items = calloc(count_items(policy) + 1, sizeof(*plan->items));
	plan->executables = calloc(count_executables(policy) + 1, sizeof(*plan->executables));
	if (!plan->items || !plan->executables)
		return error_set(err, -ENOMEM, "out of memory");
	r = add_items(&builder, policy);
	if (r == -E2BIG)
		return error_set(err, r,
				 "%s: its paths take more than the %d bytes there are for them; "
				 "use patterns instead of long lists",
				 policy->source, GUARD_VAULT_NAMES_SIZE);
	if (r < 0)
		return error_set(err, r, "out of memory");
	*ret = TAKE_PTR(plan);
	return 0;
}

uint32_t plan_publish(const struct plan *plan, struct guard_vault *vault)
{
	uint64_t old = vault->names, half = !GUARD_NAMES_HALF(old);
	uint32_t sequence = (uint32_t)(old >> GUARD_NAMES_SEQUENCE_SHIFT) + 1;
	char *start = (char *)vault + GUARD_VAULT_NAMES + half * GUARD_VAULT_NAMES_SIZE;
	uint32_t *offsets = (uint32_t *)start;
	char *text = start + plan->n_names * sizeof(*offsets);

	memset(start, 0, GUARD_VAULT_NAMES_SIZE);
	for (size_t i = 0; i < plan->n_names; i++) {
		offsets[i] = (uint32_t)(text - start);
		if (!plan->names[i].of_container)
			offsets[i] |= GUARD_NAME_OF_GUEST;
		text = stpcpy(text, plan->names[i].path) + 1;
	}
	__atomic_store_n(&vault->names,
			 (uint64_t)sequence << GUARD_NAMES_SEQUENCE_SHIFT | half << 31 |
				 plan->n_names,
			 __ATOMIC_SEQ_CST);
	return sequence;
}

uint32_t plan_locate(const struct plan *plan, const struct plan_item *item,
		     const struct guard_resolved *resolved, const char **ret_pattern)
{
	uint32_t name = item->name;
	const char *left;

	while (resolved[name].error && plan->names[name].parent != name)
		name = plan->names[name].parent;
	left = item->path + (name ? strlen(plan->names[name].path) : 0);
	*ret_pattern = left[0] && left[1] ? left + 1 : NULL;
	return name;
}

/* Suffixes of one pattern; a set, because "**" leaves more than one way to go on. */
struct suffixes {
	const char *at[PLAN_MAX_LEFT];
	size_t n;
};

static void add_suffix(struct suffixes *set, const char *suffix)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->at[i] == suffix)
			return;
	}
	if (set->n < PLAN_MAX_LEFT)
		set->at[set->n++] = suffix;
}

/* What is left of @suffix behind one name. */
static void step(struct suffixes *to, const char *suffix, const char *name)
{
	size_t len = strcspn(suffix, "/");
	const char *next = suffix + len + (suffix[len] == '/');

	if (len == 2 && !strncmp(suffix, "**", 2)) {
		add_suffix(to, suffix); /* it takes the name */
		if (*next)
			step(to, next, name); /* or nothing */
	} else if (*suffix && glob_match_name(suffix, name)) {
		add_suffix(to, next);
	}
}

static struct suffixes left_below(const char *pattern, const char *path)
{
	struct suffixes set = { .at = { pattern }, .n = 1 };
	char name[256];

	while (*path) {
		struct suffixes next = { .n = 0 };
		size_t len = strcspn(path, "/");

		if (len >= sizeof(name))
			return next;
		memcpy(name, path, len);
		name[len] = '\0';
		for (size_t i = 0; i < set.n; i++)
			step(&next, set.at[i], name);
		set = next;
		path += len + (path[len] == '/');
	}
	return set;
}

size_t plan_left_below(const char *pattern, const char *path, const char *ret_left[PLAN_MAX_LEFT])
{
	struct suffixes set = left_below(pattern, path);
	size_t n = 0;

	for (size_t i = 0; i < set.n; i++) {
		if (*set.at[i])
			ret_left[n++] = set.at[i];
	}
	return n;
}

bool plan_matches(const char *pattern, const char *path)
{
	_cleanup_(freep) char *copy = strdup(path);
	const char *names[GLOB_MAX_DEPTH];
	unsigned int n = 0;
	char *slash;

	if (!copy)
		return false;
	while ((slash = strrchr(copy, '/'))) {
		if (n == GLOB_MAX_DEPTH - 1)
			return glob_is_deep(pattern); /* as the guard does */
		names[n++] = slash + 1;
		*slash = '\0';
	}
	names[n++] = copy;
	return glob_match(pattern, names, n);
}

uint32_t plan_levels(const char *pattern)
{
	uint32_t levels = 1;

	if (glob_is_deep(pattern))
		return GUARD_MAX_LEVELS;
	for (; *pattern; pattern++)
		levels += *pattern == '/';
	return levels;
}
