/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_RESOLVE_H
#define ARM_RESOLVE_H

#include <stdint.h>

#include "profile/profile.h"

/*
 * What the guard's undefined symbols mean in a live kernel (a link_resolve_t; @data is this structure):
 *
 *	field.STRUCT.MEMBER	offset of a member, from BTF
 *	size.STRUCT		size of a structure, from BTF
 *	percpu.current_task	offset of the current task's pointer in the per-CPU area
 *	vault, mailbox		where they are mapped
 *	anything else		a kernel symbol, from kallsyms
 */
struct resolve {
	const struct profile *profile;
	uint64_t vault, mailbox; /* guest-virtual */
};

int resolve_name(void *data, const char *name, uint64_t *ret_value);

/*
 * Where system calls enter this kernel, which the guard then looks after: see guard/system_calls.c. 0 where the kernel does not say, or offers no
 * way to look.
 */
uint64_t resolve_system_call_entry(const struct profile *profile);

#endif
