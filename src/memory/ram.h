/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMORY_RAM_H
#define MEMORY_RAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Guest-physical memory: the pages that a hypervisor's process maps as the guest's RAM. What it shares is
 * mapped here too; what is private to it is read and written through the process.
 *
 * One file may appear at several guest-physical places: q35 splits RAM below and above 4 GiB.
 * The guest writes to this memory while we read it: a word that matters is read once, by
 * ram_read(), and judged by the copy.
 */
#define RAM_MAX_RANGES 32

struct ram_range {
	uint64_t gpa; /* guest-physical start */
	uint64_t size; /* bytes */
	uint8_t *host; /* where it is mapped here; NULL: reached at @remote by struct ram_process only */
	uint64_t remote; /* where the process has it, in its own address space */
};

/* How to reach memory that only the process has. Both return 0 or -EFAULT. */
struct ram_process {
	int (*read)(void *data, uint64_t address, void *buf, size_t len);
	/* An aligned word; a running vCPU sees the old one or the new. */
	int (*write_u64)(void *data, uint64_t address, uint64_t value);
	void *data;
};

struct ram {
	struct ram_range ranges[RAM_MAX_RANGES];
	size_t n_ranges;
	struct ram_process process; /* for the ranges without host */
};

/* Copies @len bytes from guest-physical @gpa. Returns 0, or -EFAULT with @buf unspecified. */
int ram_read(const struct ram *ram, uint64_t gpa, void *buf, size_t len);

/*
 * Writes an aligned 8-byte word at guest-physical @gpa, so that a running vCPU sees the old word or the
 * new. Returns 0, -EFAULT (not RAM) or -EINVAL (not aligned).
 */
int ram_write_u64(const struct ram *ram, uint64_t gpa, uint64_t value);

/* The range that all @len bytes at @gpa lie in, or NULL. It stays owned by @ram. */
const struct ram_range *ram_find(const struct ram *ram, uint64_t gpa, size_t len);

/* Total bytes. */
uint64_t ram_size(const struct ram *ram);

#endif
