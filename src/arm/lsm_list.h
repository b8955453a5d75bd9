/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_LSM_LIST_H
#define ARM_LSM_LIST_H

#include <stdint.h>

#include "arm/patch.h"
#include "profile/profile.h"

/*
 * An LSM hook that is a list of functions (struct security_hook_list), as it is until Linux 417c5643cd67 ("lsm: replace
 * indirect LSM hook calls with static calls") (in v6.12).
 */
#define LSM_LIST_NODE_SIZE 48 /* room for a node of ours */

struct lsm_list_node {
	uint8_t *host; /* where it is written; LSM_LIST_NODE_SIZE bytes */
	uint64_t address; /* where the guest sees it */
	uint64_t name; /* guest-virtual address of our name */
};

/* Address of the head of hook @name's list, or 0. */
uint64_t lsm_list_head(const struct profile *profile, const char *name);

/*
 * Makes the node, and tells in @ret what has to be written where: behind the last function, so that the guard is asked when
 * every LSM of the guest has agreed, and what it reports as allowed is allowed. @replaced (may be 0) is an older node of
 * ours that stands there and gives way. -ENOTSUP: these lists are not as outguard knows them; -EFAULT, -ELOOP.
 */
int lsm_list_find(struct patch *ret, const struct profile *profile, uint64_t head,
		  const struct lsm_list_node *node, uint64_t function, uint64_t replaced);

/*
 * Does the list at @head lead to the word at @last? Tells @visit (may be NULL) each word on the way, and @last. Returns 0, -ENOENT
 * when it ends before, -ELOOP, -EFAULT, or what @visit returned if that is not 0.
 */
int lsm_list_walk(const struct profile *profile, uint64_t head, uint64_t last,
		  int (*visit)(uint64_t address, void *data), void *data);

/* The word behind the last function that is not @ours: where we belong. */
int lsm_list_end(const struct profile *profile, uint64_t head, uint64_t ours, uint64_t *ret);

#endif
