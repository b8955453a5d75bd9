/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_ARM_H
#define ARM_ARM_H

#include <stddef.h>
#include <stdint.h>

#include "arm/hooks.h"
#include "arm/window.h"
#include "introspect/kernel.h"
#include "profile/profile.h"
#include "util/error.h"
#include "vmm/machine.h"

/*
 * A guard in place in a guest kernel. Everything is prepared while the guest runs; it is stopped only for the
 * stores that make the guard visible and lead to it.
 */
struct arm {
	struct machine *machine; /* borrowed */
	struct window window;
	struct hooks hooks;
	uint64_t code; /* guest-virtual */
	size_t code_size;
	uint64_t paused_us; /* how long the guest stood still */
	uint64_t prepare_us; /* CPU time of this process for linking and preparing */
	bool adopted; /* found in place, left by a daemon that died */
	bool replaced; /* and it was another build's: this one's took its place, without a gap */
	struct hooks_missing missing; /* hooks that this kernel lacks, with allow_partial */
};

struct arm_options {
	bool allow_partial; /* arm what can be armed, where some hooks are missing */
	bool every_access; /* each read and write of a watched file is told, and waits until the host has handled it */
};

/*
 * Puts the guard into the guest, or adopts the one that an earlier daemon left there; where that is another build's that
 * keeps the same contract, this one takes its place, and there is no moment with neither. The vault's tables and
 * names are left for the caller to fill (they are empty at first, or as the earlier daemon left them).
 * On error nothing is armed, or what was in place still is, and the guest runs as before.
 */
int arm_guard(struct arm *ret, struct machine *machine, const struct profile *profile,
	      const struct arm_options *options, struct error *err);

/*
 * Takes the guard out: unhooks it, waits (at most @timeout_ms, with the guest running) until nobody is inside, and
 * closes the window. -EBUSY when somebody stays inside: then it is unhooked but its memory stays mapped, and calling
 * again goes on.
 */
int arm_remove(struct arm *arm, const struct kernel *kernel, unsigned int timeout_ms,
	       struct error *err);

/*
 * Puts back what something in the guest has taken away: the window's page-table entries and the hooks, whatever stands in
 * their places now. The guest is stopped for it. @arm tells afterwards where the hooks are.
 */
int arm_repair(struct arm *arm, const struct profile *profile, struct error *err);

/* Is all that arm_guard() wrote into the guest still there? 1 or 0. */
int arm_is_intact(const struct arm *arm, const struct profile *profile);

#endif
