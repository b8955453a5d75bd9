/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_QUIESCE_H
#define ARM_QUIESCE_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/kernel.h"
#include "vmm/machine.h"

struct quiesce_range {
	uint64_t start, end; /* guest-virtual */
};

/*
 * Is anyone inside the guard, or on the way there? No vCPU executes in any of the @n ranges, and no thread's kernel stack
 * holds an address in one to return to. The VM is stopped, and no hook leads there any more: a yes stays a yes.
 */
bool quiesce_is_clear(struct machine *machine, const struct kernel *kernel,
		      const struct quiesce_range *ranges, size_t n);

#endif
