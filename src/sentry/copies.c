// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/copies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096
#define BLOCK 64 /* looked at byte by byte when it differs */
#define DOUBT_NS 20000000ULL
#define DOUBTS 2 /* a change may end, and another begin, just then */
#define CHANGING_NS 10000000000ULL /* a kernel whose vCPUs wait for the host's takes long */

void copies_init(struct copies *copies, const struct space *space, copies_judge_t judge, void *data)
{
	*copies = (struct copies){ .space = *space, .judge = judge, .data = data };
}

void copies_clear(struct copies *copies)
{
	for (size_t i = 0; i < copies->n_ranges; i++)
		free(copies->range[i].bytes);
	*copies = (struct copies){ 0 };
}

/* How the @size bytes at @va, which belong to @range, are mapped now. */
static enum copies_mapping look_at_mapping(const struct copies *copies,
					   const struct copies_range *range, uint64_t va,
					   uint64_t size, bool *ret_writable)
{
	uint64_t end = va + size;
	struct space_walk walk;

	*ret_writable = false;
	for (; va < end; va += walk.contiguous) {
		if (space_walk(&copies->space, va, &walk) < 0 ||
		    walk.pa != range->pa + (va - range->va))
			return COPIES_ELSEWHERE;
		*ret_writable = *ret_writable || space_is_writable(&walk);
	}
	return COPIES_MAPPED;
}

int copies_add(struct copies *copies, const char *name, uint64_t va, uint64_t size, bool code)
{
	struct copies_range range = { .name = name, .va = va, .size = size, .code = code };

	if (copies->n_ranges == COPIES_MAX_RANGES)
		return -E2BIG;
	if (!size || space_translate(&copies->space, va, &range.pa, NULL) < 0 ||
	    look_at_mapping(copies, &range, va, size, &range.writable) != COPIES_MAPPED)
		return -EFAULT;
	range.bytes = malloc(size);
	if (!range.bytes)
		return -ENOMEM;
	if (ram_read(copies->space.ram, range.pa, range.bytes, size) < 0) {
		free(range.bytes);
		return -EFAULT;
	}
	copies->range[copies->n_ranges++] = range;
	copies->size += size;
	return 0;
}

static const struct copies_range *range_of(const struct copies *copies, uint64_t va, size_t size)
{
	for (size_t i = 0; i < copies->n_ranges; i++) {
		const struct copies_range *range = &copies->range[i];

		if (va >= range->va && va - range->va < range->size)
			return size <= range->size - (va - range->va) ? range : NULL;
	}
	return NULL;
}

const uint8_t *copies_expected(const struct copies *copies, uint64_t va, size_t size)
{
	const struct copies_range *range = range_of(copies, va, size);

	return range ? range->bytes + (va - range->va) : NULL;
}

bool copies_expect(struct copies *copies, uint64_t va, const uint8_t *bytes, size_t size)
{
	const struct copies_range *range = range_of(copies, va, size);

	if (range)
		memcpy(range->bytes + (va - range->va), bytes, size);
	return range;
}

static struct copies_difference *difference_at(struct copies *copies, uint64_t va)
{
	for (size_t i = 0; i < copies->n_differences; i++) {
		struct copies_difference *difference = &copies->difference[i];

		if (va - difference->va < difference->size)
			return difference;
	}
	return NULL;
}

/* Is it known that @found stands at @va? */
static bool is_known(struct copies *copies, uint64_t va, uint8_t found)
{
	const struct copies_difference *difference = difference_at(copies, va);

	return difference && difference->found[va - difference->va] == found;
}

static void add_doubt(struct copies *copies, uint64_t va, uint64_t now_ns)
{
	for (size_t i = 0; i < copies->n_doubts; i++) {
		if (copies->doubt[i].va == va)
			return;
	}
	/* Where there is no room, the next round finds it again. */
	if (copies->n_doubts < COPIES_MAX_DIFFERENCES)
		copies->doubt[copies->n_doubts++] = (struct copies_doubt){
			.va = va,
			.due_ns = now_ns + DOUBT_NS,
			.left = DOUBTS,
		};
}

/* The differing byte at @va. Returns how many bytes from there on have been judged. */
static size_t judge_byte(struct copies *copies, uint64_t va, uint64_t now_ns)
{
	uint64_t start = va;
	size_t size = 1;
	enum copies_verdict verdict = copies->judge(va, &start, &size, copies->data);

	if (verdict == COPIES_ACCEPTED)
		return (size_t)(start + size - va);
	add_doubt(copies, start, now_ns);
	return start + size - va > COPIES_PIECE ? (size_t)(start + size - va) : COPIES_PIECE;
}

static void judge_block(struct copies *copies, const struct copies_range *range, uint64_t offset,
			const uint8_t *live, size_t n, uint64_t now_ns)
{
	uint8_t found[BLOCK]; /* read once */

	memcpy(found, live, n);
	for (size_t i = 0; i < n;) {
		if (found[i] == range->bytes[offset + i] ||
		    is_known(copies, range->va + offset + i, found[i]))
			i++;
		else
			i += judge_byte(copies, range->va + offset + i, now_ns);
	}
}

static void compare(struct copies *copies, const struct copies_range *range, uint64_t offset,
		    const uint8_t *live, size_t size, uint64_t now_ns)
{
	const uint8_t *bytes = range->bytes + offset;

	if (!memcmp(live, bytes, size))
		return;
	for (size_t i = 0; i < size; i += BLOCK) {
		size_t n = size - i < BLOCK ? size - i : BLOCK;

		if (memcmp(live + i, bytes + i, n) != 0)
			judge_block(copies, range, offset + i, live + i, n, now_ns);
	}
}

/* Up to a page of memory that is not mapped here. */
static void compare_far(struct copies *copies, const struct copies_range *range, uint64_t offset,
			size_t size, uint64_t now_ns)
{
	uint8_t page[PAGE];

	for (size_t n; size; size -= n, offset += n) {
		n = size < PAGE ? size : PAGE;
		if (ram_read(copies->space.ram, range->pa + offset, page, n) == 0)
			compare(copies, range, offset, page, n, now_ns);
	}
}

static void look_at_piece(struct copies *copies, const struct copies_range *range, uint64_t offset,
			  size_t size, uint64_t now_ns)
{
	const struct ram_range *ram = ram_find(copies->space.ram, range->pa + offset, size);
	enum copies_mapping mapping;
	bool writable;

	mapping = look_at_mapping(copies, range, range->va + offset, size, &writable);
	if (mapping == COPIES_MAPPED && writable && !range->writable)
		mapping = COPIES_WRITABLE;
	if (mapping != COPIES_MAPPED && copies->mapping == COPIES_MAPPED) {
		copies->mapping = mapping;
		copies->mapping_va = range->va + offset;
	}
	if (ram && ram->host)
		compare(copies, range, offset, ram->host + (range->pa + offset - ram->gpa), size,
			now_ns);
	else
		compare_far(copies, range, offset, size, now_ns);
}

/* The range that the look is in, and how far. */
static const struct copies_range *next_range(const struct copies *copies, uint64_t *ret_offset)
{
	uint64_t at = copies->at;

	for (size_t i = 0; i < copies->n_ranges; i++) {
		if (at < copies->range[i].size) {
			*ret_offset = at;
			return &copies->range[i];
		}
		at -= copies->range[i].size;
	}
	return NULL;
}

/* Of bytes that are a difference already, what stands there now. */
static void record(struct copies *copies, const struct copies_range *range, uint64_t va,
		   size_t size, const uint8_t *found)
{
	struct copies_difference *difference = difference_at(copies, va);

	if (difference) {
		difference->told = false;
		ram_read(copies->space.ram, range->pa + (difference->va - range->va),
			 difference->found, difference->size);
		return;
	}
	if (copies->n_differences == COPIES_MAX_DIFFERENCES) {
		copies->more = true;
		return;
	}
	difference = &copies->difference[copies->n_differences++];
	*difference =
		(struct copies_difference){ .va = va, .size = (uint8_t)size, .code = range->code };
	memcpy(difference->expected, range->bytes + (va - range->va), size);
	memcpy(difference->found, found, size);
}

/* How many of the @n bytes from @va on differ and are not accepted, in one piece. *@ret_changing: the first of them may be under way. */
static size_t count_foreign(struct copies *copies, uint64_t va, const uint8_t *found,
			    const uint8_t *expected, size_t n, bool *ret_changing)
{
	size_t i = 0;

	*ret_changing = false;
	while (i < n && found[i] != expected[i]) {
		uint64_t start = va + i;
		size_t size = 1;
		enum copies_verdict verdict = copies->judge(va + i, &start, &size, copies->data);

		if (verdict == COPIES_ACCEPTED)
			break;
		if (i == 0)
			*ret_changing = verdict == COPIES_AGAIN;
		i = (size_t)(start + size - va);
	}
	return i < n ? i : n;
}

/*
 * Is it time to give up waiting for the other half of a change? A kernel that is patched again and again shows a half at many a look: what
 * counts is one that stands there all the time.
 */
static bool stands_too_long(struct copies_doubt *doubt, const uint8_t *found, size_t n,
			    uint64_t now_ns)
{
	uint64_t bytes = 0;

	memcpy(&bytes, found, n);
	if (!doubt->since_ns || doubt->bytes != bytes) {
		doubt->since_ns = now_ns;
		doubt->bytes = bytes;
		doubt->left = DOUBTS;
	}
	return now_ns - doubt->since_ns >= CHANGING_NS;
}

/* Looks again at what was not accepted: what still is not is a difference. */
static void settle(struct copies *copies, struct copies_doubt *doubt, uint64_t now_ns)
{
	const struct copies_range *range = range_of(copies, doubt->va, 1);
	uint64_t offset = doubt->va - range->va;
	size_t n = range->size - offset < COPIES_PIECE ? range->size - offset : COPIES_PIECE;
	uint8_t found[COPIES_PIECE];
	const uint8_t *expected = range->bytes + offset;
	size_t skip = 0;
	bool changing;

	if (ram_read(copies->space.ram, range->pa + offset, found, n) < 0)
		n = 0;
	while (skip < n && found[skip] == expected[skip])
		skip++;
	n = count_foreign(copies, doubt->va + skip, found + skip, expected + skip, n - skip,
			  &changing);
	doubt->due_ns = now_ns + DOUBT_NS;
	if (!n)
		doubt->left = 0;
	else if (changing && !stands_too_long(doubt, found + skip, n, now_ns))
		return;
	else if (--doubt->left == 0)
		record(copies, range, doubt->va + skip, n, found + skip);
}

static void settle_due(struct copies *copies, uint64_t now_ns)
{
	for (size_t i = 0; i < copies->n_doubts;) {
		struct copies_doubt *doubt = &copies->doubt[i];

		if (now_ns >= doubt->due_ns)
			settle(copies, doubt, now_ns);
		if (doubt->left)
			i++;
		else
			*doubt = copies->doubt[--copies->n_doubts];
	}
}

static bool is_news(const struct copies *copies)
{
	for (size_t i = 0; i < copies->n_differences; i++) {
		if (!copies->difference[i].told)
			return true;
	}
	return copies->mapping != COPIES_MAPPED && !copies->mapping_told;
}

bool copies_look(struct copies *copies, uint64_t size, uint64_t now_ns)
{
	settle_due(copies, now_ns);
	if (size > copies->size)
		size = copies->size;
	while (size) {
		uint64_t offset, n;
		const struct copies_range *range = next_range(copies, &offset);

		if (!range) {
			copies->at = 0;
			copies->rounds++;
			copies->mapping_told = copies->mapping_told &&
					       copies->mapping != COPIES_MAPPED;
			copies->mapping = COPIES_MAPPED;
			copies_refresh(copies);
			continue;
		}
		n = range->size - offset < size ? range->size - offset : size;
		look_at_piece(copies, range, offset, n, now_ns);
		copies->at += n;
		size -= n;
	}
	return is_news(copies);
}

size_t copies_refresh(struct copies *copies)
{
	for (size_t i = 0; i < copies->n_differences;) {
		struct copies_difference *difference = &copies->difference[i];
		const struct copies_range *range = range_of(copies, difference->va, 1);
		uint8_t found[COPIES_PIECE];

		if (range &&
		    ram_read(copies->space.ram, range->pa + (difference->va - range->va), found,
			     difference->size) == 0 &&
		    !memcmp(found, difference->expected, difference->size))
			*difference = copies->difference[--copies->n_differences];
		else
			i++;
	}
	if (!copies->n_differences)
		copies->more = false;
	return copies->n_differences;
}
