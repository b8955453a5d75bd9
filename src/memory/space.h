/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMORY_SPACE_H
#define MEMORY_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/ram.h"

/*
 * A guest-virtual address space: x86-64 page tables, four or five levels, walked in guest RAM
 * (Intel SDM Vol. 3A 4.5). All guest bytes enter the host program through space_read() and
 * space_read_string(), or through ram_read() where the address is physical.
 */
struct space {
	const struct ram *ram;
	uint64_t root; /* guest-physical address of the top table (CR3 without its flag bits) */
	bool five_level; /* CR4.LA57 */
};

/*
 * Guest-physical address of guest-virtual @va. Returns 0 or -EFAULT (not mapped, not canonical, or a
 * table outside RAM). *@ret_contiguous, if asked for, is how many bytes from @va on the same page hold.
 */
int space_translate(const struct space *space, uint64_t va, uint64_t *ret_pa,
		    uint64_t *ret_contiguous);

#define SPACE_MAX_LEVELS 5

/* How an address is translated: the page-table entries on the way, the last one being the page's. */
struct space_walk {
	unsigned int n;
	struct {
		uint64_t gpa, value;
	} entry[SPACE_MAX_LEVELS];
	uint64_t pa, contiguous; /* as space_translate() */
};

/* May the kernel write what the walk has led to: do all entries on the way let it? */
bool space_is_writable(const struct space_walk *walk);

/* Returns 0 or -EFAULT, as space_translate(). */
int space_walk(const struct space *space, uint64_t va, struct space_walk *ret);

/* Copies @len bytes from guest-virtual @va, across pages. Returns 0, or -EFAULT with @buf unspecified. */
int space_read(const struct space *space, uint64_t va, void *buf, size_t len);

/* One aligned 8-byte word, read once. */
int space_read_u64(const struct space *space, uint64_t va, uint64_t *ret_value);
int space_read_u32(const struct space *space, uint64_t va, uint32_t *ret_value);

/*
 * Reads a NUL-terminated string of at most @size - 1 bytes; a longer one is cut. @buf is always
 * terminated. Returns its length, or -EFAULT.
 */
int space_read_string(const struct space *space, uint64_t va, char *buf, size_t size);

/* Writes an aligned 8-byte word with one store. Returns 0, -EFAULT or -EINVAL. */
int space_write_u64(const struct space *space, uint64_t va, uint64_t value);

#endif
