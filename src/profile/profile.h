/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PROFILE_PROFILE_H
#define PROFILE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/cpu.h"
#include "memory/ram.h"
#include "memory/space.h"
#include "util/error.h"

/*
 * What the running guest kernel says of itself, read from its own memory: symbols (kallsyms), types
 * (BTF), where KASLR put it, its page tables. Nothing is supplied by hand, and the kernel's version is
 * never asked for: only what is there.
 */
struct profile;

/* A member of a kernel structure. */
struct profile_field {
	uint32_t offset; /* bytes from the start of the structure */
	uint32_t size; /* bytes; for a bit field, of the storage unit */
};

/* Where the time went, for `attach -v`. CPU microseconds of this process. */
struct profile_cost {
	uint64_t find_us, kallsyms_us, btf_us;
};

/*
 * Finds the kernel from one vCPU's registers and reads its profile. Needs a vCPU in 64-bit mode whose
 * interrupt descriptor table is Linux's: a guest still in its firmware or early boot gives -EAGAIN ("not
 * yet"), anything that is no Linux, or one without kallsyms or BTF, gives -ENOTSUP and says which.
 * @ram must outlive the profile.
 */
int profile_read(struct profile **ret, const struct ram *ram, const struct cpu *cpu,
		 struct error *err);

/* Accepts NULL. Returns NULL. */
struct profile *profile_free(struct profile *profile);

/* The kernel's own address space (its reference page tables), for space_read(). */
const struct space *profile_space(const struct profile *profile);

/* Guest-virtual address of a symbol, or 0 when the kernel has none of that name. First of duplicates. */
uint64_t profile_symbol(const struct profile *profile, const char *name);

/*
 * The symbol that @address belongs to, or NULL; its address, and that of the next one (either may be NULL). The string lives as long as the
 * profile.
 */
const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end);

/*
 * Finds a member by a path of names: "inode.i_ino", "uts_namespace.name.nodename". Anonymous structures
 * and unions on the way are looked through. Returns 0, or -ENOENT when the kernel has no such member.
 */
int profile_field(const struct profile *profile, const char *path, struct profile_field *ret);

/* The parameters of a member that points to functions: see types_parameters(). */
int profile_parameters(const struct profile *profile, const char *path, char *buf, size_t size);

/* The value of an enumerator ("LOCKDOWN_KCORE") of any of the kernel's enumerations. 0 or -ENOENT. */
int profile_enumerator(const struct profile *profile, const char *name, uint64_t *ret_value);

/* Size of a structure in bytes, 0 when there is none of that name. */
uint32_t profile_struct_size(const struct profile *profile, const char *name);

/*
 * The same for a member that may be a module's: in the types of the loaded module @module, which are
 * read when first asked for and then kept, or in the kernel's own when that is built in. Returns 0,
 * or, with what is missing in @err,
 *  -ENOENT   neither has such a member; or the module is not loaded (yet: ask again)
 *  -ENOTSUP  the kernel keeps no types of modules, or the module's are broken
 *  -EFAULT   they could not be read just now
 *  -ENOMEM
 * Not for two threads at once.
 */
int profile_module_field(const struct profile *profile, const char *module, const char *path,
			 struct profile_field *ret, struct error *err);

/* Size of such a structure in bytes, 0 when there is none of that name, for whatever reason. */
uint32_t profile_module_struct_size(const struct profile *profile, const char *module,
				    const char *name);

/* Facts for people. The strings live as long as the profile. */
const char *profile_banner(const struct profile *profile); /* "Linux version 6.1.0-..." */
const char *profile_release(const struct profile *profile); /* "6.1.0-56-cloud-amd64" */
uint64_t profile_text(const struct profile *profile); /* address of _text */
uint64_t profile_kaslr_offset(const struct profile *profile); /* _text minus its link address */
uint64_t profile_phys_base(const struct profile *profile);
size_t profile_n_symbols(const struct profile *profile);
size_t profile_n_types(const struct profile *profile);
const struct profile_cost *profile_cost(const struct profile *profile);

#endif
