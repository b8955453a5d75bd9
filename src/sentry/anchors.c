// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/anchors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANCHORS 4096
#define ACCESSED_DIRTY (1ULL << 5 | 1ULL << 6) /* the CPU's to set (Intel SDM Vol. 3A 4.8) */

static int add_word(struct anchors *anchors, uint64_t gpa, uint64_t expected, uint64_t mask,
		    bool table)
{
	struct anchor *list;

	for (size_t i = 0; i < anchors->n; i++) {
		struct anchor *anchor = &anchors->list[i];

		if (anchor->gpa != gpa)
			continue;
		anchor->expected = (anchor->expected & ~mask) | (expected & mask);
		anchor->mask |= mask;
		anchor->table |= table;
		return 0;
	}
	if (anchors->n == MAX_ANCHORS)
		return -E2BIG;
	if (anchors->n == anchors->room) {
		list = reallocarray(anchors->list, anchors->room + 128, sizeof(*list));
		if (!list)
			return -ENOMEM;
		anchors->list = list;
		anchors->room += 128;
	}
	anchors->list[anchors->n++] = (struct anchor){ gpa, expected & mask, mask, table };
	return 0;
}

static int add_walk(struct anchors *anchors, const struct space_walk *walk)
{
	int r = 0;

	for (unsigned int i = 0; i < walk->n && r == 0; i++)
		r = add_word(anchors, walk->entry[i].gpa, walk->entry[i].value, ~ACCESSED_DIRTY,
			     true);
	return r;
}

int anchors_add_path(struct anchors *anchors, const struct space *space, uint64_t va)
{
	struct space_walk walk;
	int r = space_walk(space, va, &walk);

	return r < 0 ? r : add_walk(anchors, &walk);
}

/* Byte by byte: they may begin anywhere in a word, and end in the next, on another page. */
int anchors_add(struct anchors *anchors, const struct space *space, uint64_t va,
		const uint8_t *expected, size_t size)
{
	struct space_walk walk;
	int r;

	for (size_t i = 0; i < size; i++) {
		unsigned int shift;

		r = space_walk(space, va + i, &walk);
		if (r == 0)
			r = add_walk(anchors, &walk);
		shift = 8 * (walk.pa & 7);
		if (r == 0)
			r = add_word(anchors, walk.pa & ~7ULL, (uint64_t)expected[i] << shift,
				     0xffULL << shift, false);
		if (r < 0)
			return r;
	}
	return 0;
}

bool anchors_has(const struct anchors *anchors, uint64_t gpa)
{
	for (size_t i = 0; i < anchors->n; i++) {
		if (anchors->list[i].gpa == (gpa & ~7ULL))
			return true;
	}
	return false;
}

bool anchors_hold(const struct anchors *anchors, const struct ram *ram)
{
	for (size_t i = 0; i < anchors->n; i++) {
		const struct anchor *anchor = &anchors->list[i];
		uint64_t value;

		if (ram_read(ram, anchor->gpa, &value, sizeof(value)) < 0 ||
		    (value & anchor->mask) != anchor->expected)
			return false;
	}
	return true;
}

static int compare_pages(const void *a, const void *b)
{
	const uint64_t *page = a, *other = b;

	return *page < *other ? -1 : *page > *other;
}

ssize_t anchors_pages(const struct anchors *anchors, uint64_t **ret)
{
	uint64_t *pages = calloc(anchors->n + 1, sizeof(*pages));
	size_t n = 0;

	if (!pages)
		return -ENOMEM;
	for (size_t i = 0; i < anchors->n; i++)
		pages[i] = anchors->list[i].gpa & ~(ANCHORS_PAGE - 1ULL);
	qsort(pages, anchors->n, sizeof(*pages), compare_pages);
	for (size_t i = 0; i < anchors->n; i++) {
		if (n == 0 || pages[n - 1] != pages[i])
			pages[n++] = pages[i];
	}
	*ret = pages;
	return (ssize_t)n;
}

void anchors_clear(struct anchors *anchors)
{
	free(anchors->list);
	*anchors = (struct anchors){ 0 };
}
