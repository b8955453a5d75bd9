/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_HOOKS_H
#define ARM_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/link.h"
#include "arm/patch.h"
#include "profile/profile.h"
#include "util/error.h"

/* The places in the guest kernel where the guard is called from. */
#define HOOKS_MAX 48
#define HOOKS_MAX_PATCHES 160
#define HOOKS_BANKS 2

enum hook_means {
	HOOK_LSM_LIST, /* security_hook_heads, Linux up to 6.11: see lsm_list.h */
	HOOK_STATIC_CALL, /* static_calls_table, since 6.12: see static_call.h */
	HOOK_WORK, /* a work_struct's function */
};

struct hook {
	char name[24];
	uint32_t means; /* enum hook_means */
	uint16_t first, n; /* of its patches */
};

struct hooks {
	struct hook hook[HOOKS_MAX];
	struct patch patch[HOOKS_MAX_PATCHES];
	uint32_t n, n_patches;
	uint32_t bank; /* which of our nodes in the vault are in use */
	uint32_t reserved;
};

/* What a hook is made by, for people. */
const char *hook_means_name(enum hook_means means);

/* The vault, for what hooks need there. */
struct hooks_vault {
	uint8_t *host;
	uint64_t address; /* guest-virtual */
	bool every_access; /* arm also what is only asked for: see arm_options */
};

/* Names of what a kernel lacks and why, for people: "inode_rename (not in this kernel), ...". */
struct hooks_missing {
	char text[1024];
	unsigned int n;
};

/*
 * Finds the places of all hooks, and writes the list nodes that they need into the vault. The guest is not touched.
 * @replaced (may be NULL) are an older guard's, in place now, that will give way to these.
 *
 * -ENOTSUP names all that this kernel lacks, -EBUSY what something else has changed. With @ret_missing such hooks are
 * left out and named there; but not those that the guard cannot do without.
 */
int hooks_find(struct hooks *ret, const struct profile *profile, const struct link_image *guard,
	       const struct hooks_vault *vault, const struct hooks *replaced,
	       struct hooks_missing *ret_missing, struct error *err);

/* Is a hook of that name among them? */
bool hooks_have(const struct hooks *hooks, const char *name);

/* Are all places in that state? */
bool hooks_are(const struct hooks *hooks, const struct space *space, enum patch_state state);

/* Puts them into it: see patches_write(). */
int hooks_write(const struct hooks *hooks, const struct space *space, enum patch_state state,
		patch_write_code_t write_code, void *machine, struct error *err);

/* A hook as a kernel has it, for `outguard profile`. */
struct hook_offer {
	const char *name;
	enum hook_means means; /* by which it can be armed; when it is available */
	bool available;
	bool optional; /* a kernel that lacks it has no need of it */
};

/* Hook number @i, or -ENOENT after the last. */
int hooks_offer(const struct profile *profile, size_t i, struct hook_offer *ret);

#endif
