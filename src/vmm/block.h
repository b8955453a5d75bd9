/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_BLOCK_H
#define VMM_BLOCK_H

#include <stdint.h>
#include <sys/stat.h>

#include "util/error.h"

/* A memory backend of QEMU. It is mapped here whole and once, at one address, though QEMU's mapping of it may be in pieces. */
struct block {
	char *id;
	uint64_t size;
	uint8_t *host; /* NULL until it is mapped here */
	struct stat file; /* valid when host is */
	uint64_t remote; /* where QEMU has it; 0 until that is known */
};

/*
 * Maps the block of which QEMU, process @pid, has the first byte at @start of its address space. -EXDEV where it is private to QEMU,
 * -ENXIO where there is no such memory.
 */
int block_map(struct block *block, int pid, uint64_t start, struct error *err);

/* Unmaps it, and frees its name. */
void block_deinit(struct block *block);

#endif
