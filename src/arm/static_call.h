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
 * The kernel itself goes by these counters, too, where it walks over a hook's LSMs instead of calling them (lsm_for_each_hook());
 * no hook that the guard takes is among those.
 */
#define STATIC_CALL_MAX_PATCHES 16 /* of one hook */

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

#endif
