/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_SENTRY_H
#define SENTRY_SENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arm/arm.h"
#include "profile/profile.h"
#include "util/error.h"

/*
 * Is all that the guard stands on still in place? The words of its hooks, the lists that lead to its nodes, the page-table
 * entries of its window, and those that translate all these. From the host alone: the guest is not stopped, and does not
 * notice.
 *
 * Code in the guest kernel can write all of them. It cannot do so unseen for longer than the time between two looks.
 */
struct sentry;

/* Everything is borrowed, and has to outlive the sentry. @arm is in place now. */
int sentry_new(struct sentry **ret, const struct arm *arm, const struct profile *profile,
	       struct error *err);

/* Accepts NULL. Returns NULL. */
struct sentry *sentry_free(struct sentry *sentry);

/* What is not as it should be, for people: "hook file_open, the window". */
struct sentry_finding {
	char what[512];
};

/*
 * One look: microseconds, unless something has changed. False, and what, when the guard is not in place any more. That the
 * kernel has moved a page table is no finding: it is taken up.
 */
bool sentry_look(struct sentry *sentry, struct sentry_finding *ret);

/*
 * The guest-physical pages that the guard stands on, each once, in ascending order: whoever traps writes to them sees every
 * change that sentry_look() would. *@ret is the caller's, to be freed with free(). Returns how many there are, or -ENOMEM.
 */
ssize_t sentry_pages(const struct sentry *sentry, uint64_t **ret);

/* Another number than before when sentry_pages() may tell others. Never 0. */
uint64_t sentry_generation(const struct sentry *sentry);

#endif
