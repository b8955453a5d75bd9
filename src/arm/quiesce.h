/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_QUIESCE_H
#define ARM_QUIESCE_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/kernel.h"
#include "vmm/machine.h"

/*
 * Is anyone inside the guard? No vCPU executes in [@start, @end), and no thread's kernel stack holds an address in
 * it to return to. The VM is stopped, and no hook leads there any more: a yes stays a yes.
 */
bool quiesce_is_clear(struct machine *machine, const struct kernel *kernel, uint64_t start,
		      uint64_t end);

#endif
