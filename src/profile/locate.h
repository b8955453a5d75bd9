/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROFILE_LOCATE_H
#define PROFILE_LOCATE_H

#include <stddef.h>
#include <stdint.h>

#include "memory/cpu.h"
#include "memory/ram.h"
#include "util/error.h"

/* The 1 GiB of guest-virtual addresses that x86-64 Linux keeps for its image, KASLR or not. */
#define LOCATE_WINDOW_START 0xffffffff80000000ULL
#define LOCATE_WINDOW_END 0xffffffffc0000000ULL

/*
 * The neighbourhood of the kernel image in guest RAM. The image is physically contiguous, so that
 * one difference between addresses holds for all of it. More than the image may be inside: other
 * RAM.
 */
struct image {
	const uint8_t *bytes; /* live guest memory, owned by the struct ram: read each word once */
	uint64_t size;
	uint64_t va; /* guest-virtual address of bytes[0], page aligned */
	uint64_t entry; /* offset of a piece of kernel text */
	uint64_t phys_base; /* PA = VA - LOCATE_WINDOW_START + phys_base, modulo 2^64 */
	uint8_t *copy; /* of them, where that memory is not mapped here: see locate_load() */
};

/*
 * Finds the image through a vCPU's interrupt descriptor table. -EAGAIN: the guest has not come so
 * far yet; -ENOTSUP: its kernel is no x86-64 Linux. Costs the same whatever the size of the guest.
 * Where guest RAM is not mapped here, @ret has no bytes yet.
 */
int locate_image(struct image *ret, const struct ram *ram, const struct cpu *cpu,
		 struct error *err);

/* Makes sure that @image has its bytes, if need be in a copy: then to be released with locate_deinit(). */
int locate_load(struct image *image, const struct ram *ram, struct error *err);
void locate_deinit(struct image *image);

/* The @len bytes at guest-virtual @va, or NULL where they are not all in the neighbourhood. */
const uint8_t *locate_bytes(const struct image *image, uint64_t va, uint64_t len);

#endif
