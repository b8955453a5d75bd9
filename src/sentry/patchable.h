/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_PATCHABLE_H
#define SENTRY_PATCHABLE_H

#include "arm/hooks.h"
#include "profile/profile.h"
#include "sentry/sites.h"

/*
 * Reads the kernel's tables of places that it patches while it runs: static keys' branches, static calls and their trampolines, functions'
 * entries (ftrace), lock prefixes. Those of the LSM framework's own static calls are left out: their keys are read-only
 * after boot, so nobody has business there. Fills @ret, sorted; the caller frees it with sites_clear().
 *
 * A table that a kernel lacks holds no places. Returns 0, -EFAULT when one cannot be read, -E2BIG when there are too many, -ENOMEM.
 */
int patchable_read(struct sites *ret, const struct profile *profile, const struct hooks *hooks);

/*
 * Number of the hook, counted from 1, that the function which @address belongs to is called for ("security_file_open"); 0: none.
 */
unsigned int patchable_hook(const struct profile *profile, const struct hooks *hooks,
			    uint64_t address);

#endif
