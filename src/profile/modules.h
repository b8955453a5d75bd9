/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROFILE_MODULES_H
#define PROFILE_MODULES_H

#include "memory/space.h"
#include "profile/types.h"
#include "util/error.h"

/*
 * The types of the modules that the guest kernel has loaded. It keeps them as split BTF on top of
 * its own, in the list btf_modules of struct btf_module (kernel/bpf/btf.c; Linux 36e68442d1af "bpf:
 * Load and verify kernel module BTFs", in v5.11; needs CONFIG_DEBUG_INFO_BTF_MODULES).
 */
struct modules;

/*
 * @list is the address of btf_modules, or 0 when the kernel has none; @base its own types. @space
 * and @base must outlive it. Reads nothing yet. Returns NULL without memory.
 */
struct modules *modules_new(const struct space *space, uint64_t list, const struct types *base);

/* Accepts NULL. Returns NULL. */
struct modules *modules_free(struct modules *modules);

/*
 * The types of the module @name, which also know those of the kernel. Read when first asked for,
 * and kept from then on; they live as long as @modules. Returns 0, or
 *  -ENOENT   no such module is loaded, or it came without types
 *  -ENOTSUP  the kernel keeps no types of modules, or these are broken or too large (4 MiB)
 *  -EFAULT   the list cannot be followed: it was changed under way several times, or is a lie
 *  -ENOMEM
 * of which nothing is kept: a later call looks again.
 */
int modules_types(struct modules *modules, const char *name, const struct types **ret,
		  struct error *err);

#endif
