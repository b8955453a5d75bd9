/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CACHE_PLAN_H
#define CACHE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"
#include "policy/policy.h"
#include "util/error.h"

/*
 * What the guard is asked to resolve in each container for a policy: the rules' paths, the directories their
 * patterns hang from, and all the directories above. The latter so that a path that does not exist yet can be
 * watched from the nearest directory that does.
 */
struct plan_name {
	char *path;
	uint32_t parent; /* index; the root's is itself */
	bool of_container; /* rules for containers have it, not only those for the guest */
};

#define PLAN_NO_NAME UINT32_MAX

struct plan_item { /* one path of one rule */
	uint32_t rule;
	const char *path; /* the policy's */
	uint32_t name; /* the path itself, or the directory its pattern hangs from; PLAN_NO_NAME: see policy_path_pseudo() */
};

struct plan_executable { /* of a rule's exceptions */
	uint32_t rule;
	uint32_t except; /* index in the rule */
	uint32_t name;
};

struct plan {
	const struct policy *policy; /* must outlive the plan */
	struct plan_name *names; /* the first is "/" */
	size_t n_names;
	struct plan_item *items;
	size_t n_items;
	struct plan_executable *executables;
	size_t n_executables;
};

/* Fails with -E2BIG when the paths do not fit the vault's names region. */
int plan_new(struct plan **ret, const struct policy *policy, struct error *err);

/* Accepts NULL. Returns NULL. */
struct plan *plan_free(struct plan *plan);

/*
 * Writes the names into the half of the vault that is not in force, and puts it in force. Returns the sequence
 * that view records made with these names carry.
 */
uint32_t plan_publish(const struct plan *plan, struct guard_vault *vault);

/*
 * Where an item is to be watched, given which names exist: returns the index of the nearest name that does, and
 * in *@ret_pattern what is left of the path, or NULL when nothing is (the file itself exists).
 */
uint32_t plan_locate(const struct plan *plan, const struct plan_item *item,
		     const struct guard_resolved *resolved, const char **ret_pattern);

/*
 * What is left of a pattern for the files below a directory that is @path ("a/b", relative to the base): suffixes of
 * @pattern, any of which may match. Fills at most PLAN_MAX_LEFT and returns how many there are.
 */
#define PLAN_MAX_LEFT 64

size_t plan_left_below(const char *pattern, const char *path, const char *ret_left[PLAN_MAX_LEFT]);

/* Does a pattern match @path, relative to its base? */
bool plan_matches(const char *pattern, const char *path);

/* How many levels below its base a pattern can match. */
uint32_t plan_levels(const char *pattern);

#endif
