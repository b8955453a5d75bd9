// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/copies.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64 /* looked at byte by byte when it differs */
#define DOUBT_NS 20000000ULL
#define DOUBTS 2 /* a change may end, and another begin, just then */
#define CHANGING_NS 10000000000ULL /* a kernel whose vCPUs wait for the host's takes long */

int copies_init(struct copies *copies, const struct space *space, copies_judge_t judge, void *data)
{
	*copies = (struct copies){ .space = *space, .judge = judge, .data = data };
	return digest_key_make(&copies->key);
}

static size_t n_pages(const struct copies_range *range)
{
	return (range->size + COPIES_PAGE - 1) / COPIES_PAGE;
}

static size_t page_size(const struct copies_range *range, size_t page)
{
	uint64_t left = range->size - page * COPIES_PAGE;

	return left < COPIES_PAGE ? left : COPIES_PAGE;
}

static void free_pages(const struct copies_range *range)
{
	for (size_t i = 0; range->page && i < n_pages(range); i++)
		free(range->page[i].packed);
	free(range->page);
}

void copies_clear(struct copies *copies)
{
	for (size_t i = 0; i < copies->n_ranges; i++)
		free_pages(&copies->range[i]);
	explicit_bzero(copies, sizeof(*copies));
}

/* Keeps the @size bytes of @page. What was there before it stays when there is no memory. */
static int pack(struct copies *copies, struct copies_page *page, const uint8_t *bytes, size_t size)
{
	char packed[COPIES_PAGE];
	int n = LZ4_compress_default((const char *)bytes, packed, (int)size, (int)size - 1);
	size_t n_packed = n > 0 ? (size_t)n : size;
	uint8_t *copy = malloc(n_packed);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, n > 0 ? (const void *)packed : bytes, n_packed);
	copies->packed += n_packed - page->size;
	free(page->packed);
	page->packed = copy;
	page->size = (uint16_t)n_packed;
	digest_make(&copies->key, bytes, size, &page->digest);
	return 0;
}

/* Up to COPIES_PAGE bytes. Returns how many. */
static size_t unpack(const struct copies_range *range, size_t page, uint8_t *ret)
{
	const struct copies_page *from = &range->page[page];
	size_t size = page_size(range, page);

	if (from->size == size)
		memcpy(ret, from->packed, size);
	else if (LZ4_decompress_safe((const char *)from->packed, (char *)ret, from->size,
				     (int)size) != (int)size)
		abort(); /* this process's own memory is not what it was */
	return size;
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

static int pack_range(struct copies *copies, struct copies_range *range)
{
	uint8_t bytes[COPIES_PAGE];
	int r = 0;

	range->page = calloc(n_pages(range), sizeof(*range->page));
	if (!range->page)
		return -ENOMEM;
	for (size_t i = 0; i < n_pages(range) && r == 0; i++) {
		r = ram_read(copies->space.ram, range->pa + i * COPIES_PAGE, bytes,
			     page_size(range, i));
		if (r == 0)
			r = pack(copies, &range->page[i], bytes, page_size(range, i));
	}
	return r;
}

int copies_add(struct copies *copies, const char *name, uint64_t va, uint64_t size, bool code)
{
	struct copies_range range = { .name = name, .va = va, .size = size, .code = code };
	uint64_t packed = copies->packed;
	int r;

	if (copies->n_ranges == COPIES_MAX_RANGES)
		return -E2BIG;
	if (!size || space_translate(&copies->space, va, &range.pa, NULL) < 0 ||
	    look_at_mapping(copies, &range, va, size, &range.writable) != COPIES_MAPPED)
		return -EFAULT;
	r = pack_range(copies, &range);
	if (r < 0) {
		copies->packed = packed;
		free_pages(&range);
		return r;
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

bool copies_has(const struct copies *copies, uint64_t va, size_t size)
{
	return range_of(copies, va, size);
}

/* How many of @size bytes at @offset of a range are on the page that the first is on. */
static size_t on_page(uint64_t offset, size_t size)
{
	size_t left = COPIES_PAGE - offset % COPIES_PAGE;

	return size < left ? size : left;
}

bool copies_expected(const struct copies *copies, uint64_t va, void *ret, size_t size)
{
	const struct copies_range *range = range_of(copies, va, size);
	uint8_t bytes[COPIES_PAGE], *to = ret;

	if (!range)
		return false;
	for (size_t n; size; size -= n, va += n, to += n) {
		uint64_t offset = va - range->va;

		n = on_page(offset, size);
		unpack(range, offset / COPIES_PAGE, bytes);
		memcpy(to, bytes + offset % COPIES_PAGE, n);
	}
	return true;
}

/* All are on one page. */
static bool expect_on_page(struct copies *copies, const struct copies_range *range, uint64_t offset,
			   const uint8_t *expected, size_t n)
{
	size_t page = offset / COPIES_PAGE;
	uint8_t bytes[COPIES_PAGE];
	size_t size = unpack(range, page, bytes);

	memcpy(bytes + offset % COPIES_PAGE, expected, n);
	return pack(copies, &range->page[page], bytes, size) == 0;
}

bool copies_expect(struct copies *copies, uint64_t va, const uint8_t *bytes, size_t size)
{
	const struct copies_range *range = range_of(copies, va, size);
	bool done = range;

	for (size_t n; size && done; size -= n, va += n, bytes += n) {
		n = on_page(va - range->va, size);
		done = expect_on_page(copies, range, va - range->va, bytes, n);
	}
	return done;
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

static void judge_block(struct copies *copies, uint64_t va, const uint8_t *found,
			const uint8_t *expected, size_t n, uint64_t now_ns)
{
	for (size_t i = 0; i < n;) {
		if (found[i] == expected[i] || is_known(copies, va + i, found[i]))
			i++;
		else
			i += judge_byte(copies, va + i, now_ns);
	}
}

/* Whose digest is another. The bytes are read again, once; where they are right by now, the change has been undone. */
static void judge_page(struct copies *copies, const struct copies_range *range, size_t page,
		       uint64_t now_ns)
{
	uint8_t expected[COPIES_PAGE], found[COPIES_PAGE];
	uint64_t offset = (uint64_t)page * COPIES_PAGE;
	size_t size = unpack(range, page, expected);

	if (ram_read(copies->space.ram, range->pa + offset, found, size) < 0)
		return;
	for (size_t i = 0; i < size; i += BLOCK) {
		size_t n = size - i < BLOCK ? size - i : BLOCK;

		if (memcmp(found + i, expected + i, n) != 0)
			judge_block(copies, range->va + offset + i, found + i, expected + i, n,
				    now_ns);
	}
}

static void compare(struct copies *copies, const struct copies_range *range, size_t page,
		    const uint8_t *live, uint64_t now_ns)
{
	const struct digest *expected = &range->page[page].digest;
	struct digest found;

	digest_make(&copies->key, live, page_size(range, page), &found);
	if (found.half[0] != expected->half[0] || found.half[1] != expected->half[1])
		judge_page(copies, range, page, now_ns);
}

/* One that is not mapped here. */
static void compare_far(struct copies *copies, const struct copies_range *range, size_t page,
			uint64_t now_ns)
{
	uint8_t bytes[COPIES_PAGE];

	if (ram_read(copies->space.ram, range->pa + (uint64_t)page * COPIES_PAGE, bytes,
		     page_size(range, page)) == 0)
		compare(copies, range, page, bytes, now_ns);
}

/* Whole pages, of one range. */
static void look_at_pages(struct copies *copies, const struct copies_range *range, uint64_t offset,
			  uint64_t size, uint64_t now_ns)
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
	for (uint64_t end = offset + size; offset < end; offset += COPIES_PAGE) {
		size_t page = offset / COPIES_PAGE;

		if (ram && ram->host)
			compare(copies, range, page, ram->host + (range->pa + offset - ram->gpa),
				now_ns);
		else
			compare_far(copies, range, page, now_ns);
	}
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
	copies_expected(copies, va, difference->expected, size);
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
	uint8_t found[COPIES_PIECE], expected[COPIES_PIECE];
	size_t skip = 0;
	bool changing;

	if (!copies_expected(copies, doubt->va, expected, n) ||
	    ram_read(copies->space.ram, range->pa + offset, found, n) < 0)
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

static void begin_round(struct copies *copies)
{
	copies->at = 0;
	copies->rounds++;
	copies->mapping_told = copies->mapping_told && copies->mapping != COPIES_MAPPED;
	copies->mapping = COPIES_MAPPED;
	copies_refresh(copies);
}

/* How much of @left bytes, which a range has left, to look at: whole pages. The last one may be a short one. */
static uint64_t take_credit(struct copies *copies, uint64_t left)
{
	uint64_t size = copies->credit - copies->credit % COPIES_PAGE;

	if (copies->credit >= left)
		size = left;
	copies->credit -= size;
	return size;
}

bool copies_look(struct copies *copies, uint64_t size, uint64_t now_ns)
{
	settle_due(copies, now_ns);
	size += copies->credit;
	copies->credit = size < copies->size ? size : copies->size;
	while (copies->credit) {
		uint64_t offset, n;
		const struct copies_range *range = next_range(copies, &offset);

		if (!range) {
			begin_round(copies);
			continue;
		}
		n = take_credit(copies, range->size - offset);
		if (!n)
			break;
		look_at_pages(copies, range, offset, n, now_ns);
		copies->at += n;
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
