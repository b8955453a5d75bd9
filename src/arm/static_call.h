/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_STATIC_CALL_H
#define ARM_STATIC_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "arm/patch.h"
#include "profile/profile.h"

/*
 * An LSM hook that is a row of static calls, each behind a static key of its own (struct lsm_static_call), as it is since
 * Linux 417c5643cd67 ("lsm: replace indirect LSM hook calls with static calls") (in v6.12). There is one for each LSM that the
 * kernel could have, and the guest has booted with fewer.
 *
 * The guard takes the last one that is free: its branches, which are NOPs while the key is off, become jumps, and its calls,
 * NOPs or returns while they lead nowhere, become calls of the guard. These are the instructions that the kernel itself
 * would write for one more LSM (arch/x86/kernel/jump_label.c, arch/x86/kernel/static_call.c). No function's entry is touched,
 * so ftrace, kprobes and BPF find everything as they know it; and kprobes keep off these places
 * (jump_label_text_reserved(), static_call_text_reserved()).
 *
 * In a kernel without CONFIG_JUMP_LABEL the key is a counter that is looked at each time: it is switched on in the branches' place.
 *
 * A few hooks the kernel walks over instead of calling them (lsm_for_each_hook(): security_task_prctl() is one). It goes by the
 * counter, too, and then calls by the slot's owner, a security_hook_list: both are data, and nothing else is written there.
 */
#define STATIC_CALL_MAX_PATCHES 16 /* of one hook */

#define STATIC_CALL_NODE_SIZE 48 /* room for a security_hook_list of ours */

struct static_call_node {
	uint8_t *host; /* where it is written; STATIC_CALL_NODE_SIZE bytes */
	uint64_t address; /* where the guest sees it */
};

/* Address of hook @name's first lsm_static_call, and their number; 0 where there are none. */
uint64_t static_call_slots(const struct profile *profile, const char *name, uint32_t *ret_n);

/*
 * Tells in @ret what has to be written where. @replaced (may be NULL) are @n_replaced older patches of ours that are in
 * place and give way. Returns how many there are, or
 *  -ENOSPC   no slot is free
 *  -EBUSY    what stands at a place is not what the kernel put there
 *  -ENOTSUP  these slots are not as outguard knows them
 *  -EFAULT
 */
int static_call_find(struct patch ret[STATIC_CALL_MAX_PATCHES], const struct profile *profile,
		     const char *name, uint64_t function, const struct patch *replaced,
		     size_t n_replaced);

/* The same for a hook that is walked over. Makes the node. The patches are in the order in which they have to be written. */
int static_call_find_walked(struct patch ret[STATIC_CALL_MAX_PATCHES],
			    const struct profile *profile, const char *name,
			    const struct static_call_node *node, uint64_t function,
			    const struct patch *replaced, size_t n_replaced);

#endif
