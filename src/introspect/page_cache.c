// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pages of a file are in an xarray, a tree of nodes with 64 slots each. An entry is told by its
 * lowest bits (include/linux/xarray.h):
 *
 *	...00  a folio; NULL: nothing
 *	...01  a value: what was there has been evicted, or swapped out
 *	...10  internal: a node (above 4096), a sibling (below 256: the folio is in slot entry / 4 of
 *	       the same node), or a mark of the tree's own
 *
 * A large folio is one entry for all its pages, in one of the upper nodes or with siblings; in Linux
 * before 6b24ca4a1a8d ("mm: Use multi-index entries in the page cache") (in v5.17) it is an entry for
 * each. Either way the folio itself says at which index it starts, and that it belongs to this file.
 *
 * All struct pages are one array (vmemmap), so where one stands says which page it is.
 */
#include "introspect/page_cache.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#define GUEST_PAGE 4096U
#define SLOT_BITS 6
#define N_SLOTS (1U << SLOT_BITS)

static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

static bool is_sibling(uint64_t entry)
{
	return (entry & 3) == 2 && entry < N_SLOTS << 2;
}

static uint64_t slot(const struct caches *caches, struct reader *reader, uint64_t node,
		     uint64_t number)
{
	uint64_t value = 0;

	if (!reader->error)
		reader->error = space_read_u64(
			caches->kernel->space,
			caches_place(caches, node, CACHES_XA_NODE_SLOTS) + 8 * number, &value);
	return reader->error ? 0 : value;
}

/* The folio with page @index of the file, or 0. */
static uint64_t find_folio(const struct caches *caches, struct reader *reader, uint64_t mapping,
			   uint64_t index)
{
	uint64_t entry = caches_get(caches, reader, mapping, CACHES_MAPPING_PAGES);
	unsigned int above = UINT_MAX; /* shift of the node above */

	if (!is_node(entry) && index)
		return 0; /* the tree is but one entry, for the first page */
	while (is_node(entry)) {
		uint64_t node = entry - 2;
		unsigned int shift = caches_get(caches, reader, node, CACHES_XA_NODE_SHIFT);

		if (reader->error || shift >= 64 || shift >= above || shift % SLOT_BITS)
			return 0;
		if (above == UINT_MAX && index >> shift >= N_SLOTS)
			return 0; /* beyond the last page there is */
		entry = slot(caches, reader, node, (index >> shift) % N_SLOTS);
		if (is_sibling(entry))
			entry = slot(caches, reader, node, entry >> 2);
		above = shift;
	}
	return entry & 3 ? 0 : entry;
}

/* Guest-physical address of page @index of the file, which is in @folio. */
static int locate(const struct caches *caches, struct reader *reader, uint64_t mapping,
		  uint64_t folio, uint64_t index, uint64_t *ret_gpa)
{
	uint64_t owner = caches_get(caches, reader, folio, CACHES_FOLIO_MAPPING);
	uint64_t first = caches_get(caches, reader, folio, CACHES_FOLIO_INDEX);
	uint64_t frame = (folio - caches->pages) / caches->page_size;

	if (reader->error)
		return reader->error;
	if (owner != mapping || first > index)
		return -EAGAIN; /* it is another file's by now */
	if (folio < caches->pages || (folio - caches->pages) % caches->page_size)
		return -EFAULT;
	*ret_gpa = (frame + (index - first)) * GUEST_PAGE;
	return 0;
}

static int read_page(const struct caches *caches, uint64_t mapping, uint64_t index, void *buf,
		     size_t n)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t folio = find_folio(caches, &reader, mapping, index), gpa;
	int r;

	if (reader.error)
		return reader.error;
	if (!folio)
		return -ENODATA;
	r = locate(caches, &reader, mapping, folio, index, &gpa);
	if (r == 0)
		r = ram_read(caches->kernel->space->ram, gpa, buf, n);
	if (r < 0)
		return r;
	/* If it is still the file's page, it was so all the time, or as good as. */
	if (find_folio(caches, &reader, mapping, index) != folio ||
	    caches_get(caches, &reader, folio, CACHES_FOLIO_MAPPING) != mapping)
		return reader.error ? reader.error : -EAGAIN;
	return 0;
}

int page_cache_read(const struct caches *caches, uint64_t inode, void *buf, size_t size)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t mode = reader_get(&reader, inode, FIELD_INODE_MODE);
	uint64_t total = reader_get(&reader, inode, FIELD_INODE_SIZE);
	uint64_t mapping = caches_get(caches, &reader, inode, CACHES_INODE_MAPPING);

	if (reader.error)
		return reader.error;
	if (!S_ISREG(mode))
		return -EINVAL;
	if (total > size || total > INT_MAX)
		return -EFBIG;
	for (uint64_t at = 0; at < total; at += GUEST_PAGE) {
		size_t n = total - at < GUEST_PAGE ? total - at : GUEST_PAGE;
		int r = read_page(caches, mapping, at / GUEST_PAGE, (char *)buf + at, n);

		if (r < 0)
			return r;
	}
	return (int)total;
}
