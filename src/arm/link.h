/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_LINK_H
#define ARM_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * Links the guard, a relocatable object whose undefined symbols are the live kernel's, for one place in the
 * guest's address space: what the kernel's own loader does for a module (arch/x86/kernel/module.c).
 */
struct link_image {
	uint8_t *bytes;
	size_t size;
	uint64_t address; /* guest-virtual, of the first byte */
	struct link_symbol {
		char name[48];
		uint64_t address;
	} * symbols; /* the object's own global functions */
	size_t n_symbols;
};

/* The value of an undefined symbol. Returns 0, or -ENOENT when there is none. */
typedef int (*link_resolve_t)(void *data, const char *name, uint64_t *ret_value);

/*
 * Lays out the object's allocated sections from @address on and applies its relocations. A weak symbol without
 * value is 0; a weak definition gives way to a value. Missing symbols are all named in the error (-ENOENT); a
 * value that does not fit its relocation is -ERANGE. The image is the caller's: link_image_free().
 */
int link_object(struct link_image **ret, const void *object, size_t size, uint64_t address,
		link_resolve_t resolve, void *data, struct error *err);

/* Accepts NULL. Returns NULL. */
struct link_image *link_image_free(struct link_image *image);

/* Address of one of the object's functions, or 0. */
uint64_t link_symbol(const struct link_image *image, const char *name);

#endif
