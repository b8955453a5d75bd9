/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROFILE_TYPES_H
#define PROFILE_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* The guest kernel's types (BTF, Documentation/bpf/btf.rst), as far as structures and unions go. */
struct types;

/*
 * Copies @size bytes of BTF, checks them, and indexes the structures and unions by name. Returns 0,
 * -ENOTSUP (broken, or of a kind this version does not know) or -ENOMEM.
 */
int types_new(struct types **ret, const void *btf, size_t size, struct error *err);

/*
 * The same for split BTF, a module's: its type ids and string offsets go on where @base, the
 * kernel's own, ends. Names that are not found in it are looked up in @base, which must be no split
 * BTF itself (-EINVAL) and outlive it.
 */
int types_new_split(struct types **ret, const struct types *base, const void *btf, size_t size,
		    struct error *err);

/* Accepts NULL. Returns NULL. */
struct types *types_free(struct types *types);

/*
 * Where a member is, by a path of names that starts with that of a structure. Bytes from the start
 * of the structure, and bytes; of a bit field, those of its storage unit. Returns 0 or -ENOENT.
 */
int types_field(const struct types *types, const char *path, uint32_t *ret_offset,
		uint32_t *ret_size);

/*
 * The parameters of a member that points to functions ("security_list_options.inode_create"): for each the name of the structure that
 * it points to, or "." ("inode dentry ."). -ENOENT when there is none, -ENAMETOOLONG.
 */
int types_parameters(const struct types *types, const char *path, char *buf, size_t size);

/* The value of an enumerator of any enumeration, the first of that name. 0 or -ENOENT. */
int types_enumerator(const struct types *types, const char *name, uint64_t *ret_value);

/* Size of a structure or union in bytes, 0 when there is none of that name. */
uint32_t types_struct_size(const struct types *types, const char *name);

/* Types of all kinds, `void` and those of the base not counted. */
size_t types_n(const struct types *types);

/* What a split BTF on top of it must go on with: the first type id, and the first string's offset. */
void types_end(const struct types *types, uint32_t *ret_id, uint32_t *ret_string);

#endif
