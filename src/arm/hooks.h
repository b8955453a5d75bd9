/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_HOOKS_H
#define ARM_HOOKS_H

#include <stddef.h>
#include <stdint.h>

#include "arm/link.h"
#include "memory/space.h"
#include "profile/profile.h"
#include "util/error.h"

/*
 * The places in the guest kernel's data where the guard is called from. A hook is one word: a pointer at the end
 * of an LSM hook's list, or a work item's function. Arming writes it, disarming writes what was there.
 */
#define HOOKS_MAX 32

enum hook_means {
	HOOK_LSM_LIST, /* security_hook_heads, Linux up to 6.11 */
	HOOK_WORK, /* a work_struct's function */
};

struct hook {
	char name[24];
	enum hook_means means;
	uint64_t address; /* guest-virtual, of the word */
	uint64_t original, installed; /* its values */
};

struct hooks {
	struct hook hook[HOOKS_MAX];
	size_t n;
};

/* What a hook is made by, for people. */
const char *hook_means_name(enum hook_means means);

/*
 * Finds the words for all hooks, and writes the list nodes that the LSM hooks need into the vault (@vault is
 * where it is mapped on the host, @vault_va where in the guest). The guest is not touched. -ENOTSUP names what
 * this kernel lacks.
 */
int hooks_find(struct hooks *ret, const struct profile *profile, const struct link_image *guard,
	       uint8_t *vault, uint64_t vault_va, struct error *err);

/* Are the words still what they were found to be (@installed: what arming made them)? */
int hooks_are(const struct hooks *hooks, const struct space *space, int installed);

/* Writes them: the guard's, or (in reverse order) the originals. */
int hooks_install(const struct hooks *hooks, const struct space *space);
int hooks_remove(const struct hooks *hooks, const struct space *space);

/* For `outguard profile`: can hook number @i be armed in this kernel? NULL after the last. */
const char *hooks_available(const struct profile *profile, size_t i, int *ret_available);

#endif
