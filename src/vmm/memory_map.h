/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MEMORY_MAP_H
#define VMM_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * The guest-physical address space as its vCPUs see it, from what QEMU's `info mtree -f` prints (the text
 * of QEMU 7.2 to 10). Pure: no I/O.
 */
enum memory_region_type {
	MEMORY_REGION_RAM,
	MEMORY_REGION_ROM, /* the guest can read and execute it, not write */
	MEMORY_REGION_ROMD, /* the same, but writes go to a device */
	MEMORY_REGION_IO, /* a device, or anything else that is no memory */
};

struct memory_region {
	uint64_t gpa; /* guest-physical start */
	uint64_t size; /* bytes */
	uint64_t offset; /* of its first byte in the block of memory called name */
	enum memory_region_type type;
	int priority; /* RAM lies at 0, a PCI BAR over it at 1 */
	char name[64]; /* empty for one that does not fit */
};

#define MEMORY_MAP_MAX_REGIONS 4096

struct memory_map {
	struct memory_region *regions; /* in order of gpa */
	size_t n_regions;
};

/*
 * Parses the flat view of the address space "memory". Returns -EBADMSG when there is none, or a line in
 * it is not understood, and -E2BIG beyond MEMORY_MAP_MAX_REGIONS. @ret is to be released with
 * memory_map_deinit().
 */
int memory_map_parse(struct memory_map *ret, const char *text, struct error *err);
void memory_map_deinit(struct memory_map *map);

/*
 * Where the block @id of @size bytes is, as a whole, or NULL: the guest may not have mapped it, or have
 * put something else over a part of it.
 */
const struct memory_region *memory_map_find(const struct memory_map *map, const char *id,
					    uint64_t size);

/*
 * The parts of guest RAM that lie in the block @id: at most @n of them into @ret, joined where both
 * guest-physical addresses and offsets go on (the chipset shadows its ROMs in RAM, page by page). Returns
 * how many there are.
 */
size_t memory_map_ram(const struct memory_map *map, const char *id, struct memory_region *ret,
		      size_t n);

/*
 * The answer to `gpa2hva`: sets *@ret to the address, in QEMU's own address space, of guest-physical @gpa. -EAGAIN when
 * something else than the block @id is there.
 */
int memory_map_parse_address(uint64_t *ret, const char *text, uint64_t gpa, const char *id);

#endif
