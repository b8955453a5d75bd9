/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMORY_RAM_H
#define MEMORY_RAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Guest-physical memory: the pages QEMU maps as the guest's RAM, mapped here too (shared).
 *
 * One file may appear at several guest-physical places: q35 splits RAM below and above 4 GiB.
 * The guest writes to this memory while we read it: a word that matters is read once, by
 * ram_read(), and judged by the copy.
 */
#define RAM_MAX_RANGES 32

struct ram_range {
	uint64_t gpa; /* guest-physical start */
	uint64_t size; /* bytes */
	uint8_t *host; /* where it is mapped here */
};

struct ram {
	struct ram_range ranges[RAM_MAX_RANGES];
	size_t n_ranges;
};

/*
 * Host address of @len bytes at guest-physical @gpa, or NULL where they are not all RAM in one range.
 * The memory stays owned by whoever filled @ram.
 */
void *ram_at(const struct ram *ram, uint64_t gpa, size_t len);

/* Copies @len bytes from guest-physical @gpa. Returns 0, or -EFAULT with @buf unspecified. */
int ram_read(const struct ram *ram, uint64_t gpa, void *buf, size_t len);

/*
 * Writes an aligned 8-byte word at guest-physical @gpa with one store, so that a running vCPU sees the
 * old word or the new. Returns 0, -EFAULT (not RAM) or -EINVAL (not aligned).
 */
int ram_write_u64(const struct ram *ram, uint64_t gpa, uint64_t value);

/* Total bytes. */
uint64_t ram_size(const struct ram *ram);

#endif
