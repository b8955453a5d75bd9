/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_UNWIND_H
#define INTROSPECT_UNWIND_H

#include <stdint.h>

#include "introspect/kernel.h"

/*
 * Where a thread that sleeps will return to: calls @visit for each address on its kernel stack to which it goes on,
 * the innermost first, as the kernel's own unwind tables (ORC) say; stops when it returns other than 0 and returns
 * that. 0: that was all, up to user mode or to the thread's first function. The thread must not run meanwhile.
 *
 * -ENOTSUP when the kernel has no such tables or others than are known, -EFAULT when the way is lost: in code that they
 * do not know (a module's, eBPF), in a frame that needs a register which is gone, or in one that cannot be.
 */
int kernel_unwind(const struct kernel *kernel, const struct kernel_stack *thread,
		  int (*visit)(uint64_t address, void *data), void *data);

#endif
