/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROFILE_KALLSYMS_H
#define PROFILE_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

#include "profile/locate.h"
#include "util/error.h"

/* The guest kernel's symbol table (scripts/kallsyms.c), found in its image and decoded whole. */
struct kallsyms;

/*
 * Returns 0, -ENOTSUP (no table, no CONFIG_KALLSYMS_ALL, an unknown layout) or -ENOMEM.
 * The table is a copy; @image is not needed afterwards.
 */
int kallsyms_read(struct kallsyms **ret, const struct image *image, struct error *err);

/* Accepts NULL. Returns NULL. */
struct kallsyms *kallsyms_free(struct kallsyms *kallsyms);

/* Address of the first symbol of that name, or 0. */
uint64_t kallsyms_address(const struct kallsyms *kallsyms, const char *name);

/*
 * The symbol that @address belongs to: the last one at or before it. *@ret_start and *@ret_end (either may be NULL) are its address and
 * that of the next one that is elsewhere. NULL where there is none. The string lives as long as @kallsyms.
 */
const char *kallsyms_at(const struct kallsyms *kallsyms, uint64_t address, uint64_t *ret_start,
			uint64_t *ret_end);

size_t kallsyms_n_symbols(const struct kallsyms *kallsyms);

#endif
