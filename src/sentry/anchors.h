/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_ANCHORS_H
#define SENTRY_ANCHORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory/space.h"

/*
 * Words of guest memory that have to stay as they are, by their guest-physical addresses: so that comparing them all takes
 * a microsecond, they are not looked up by page tables again. What translates them are words themselves, and among them.
 */
struct anchors {
	struct anchor {
		uint64_t gpa; /* of an aligned word */
		uint64_t expected, mask;
		bool table; /* an entry of a page table: the CPU itself writes other bits of it */
	} * list;
	size_t n, room;
};

/*
 * Adds the @size bytes at guest-virtual @va, with @expected as their content, and the page-table entries on the way to them.
 * What is there already is not added again. Returns 0, -EFAULT, -E2BIG, or -ENOMEM.
 */
int anchors_add(struct anchors *anchors, const struct space *space, uint64_t va,
		const uint8_t *expected, size_t size);

/* Adds only the entries on the way to @va. */
int anchors_add_path(struct anchors *anchors, const struct space *space, uint64_t va);

/* Is the word that @gpa lies in one of them? */
bool anchors_has(const struct anchors *anchors, uint64_t gpa);

/* Are all as they should be? */
bool anchors_hold(const struct anchors *anchors, const struct ram *ram);

#define ANCHORS_PAGE 4096

/*
 * The guest-physical pages of @anchors, each once, in ascending order. *@ret is the caller's, to be freed with free(). Returns how many
 * there are, or -ENOMEM.
 */
ssize_t anchors_pages(const struct anchors *anchors, uint64_t **ret);

void anchors_clear(struct anchors *anchors);

#endif
