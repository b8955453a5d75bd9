/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_SUPERS_H
#define INTROSPECT_SUPERS_H

#include <stdint.h>

#include "introspect/kernel.h"

#define KERNEL_MAX_SUPERS 16384

/*
 * Calls @visit for the number (the kernel's dev_t: 12 bits of major, 20 of minor) of each block device that holds a mounted file
 * system, and of the whole disk that it is on; some come more than once. Stops when it returns other than 0 and returns
 * that. -EFAULT or -ELOOP, maybe after some visits, when the list moves under us; -ENOENT when the kernel's list is not known.
 */
int kernel_disks_each(const struct kernel *kernel, int (*visit)(uint32_t device, void *data),
		      void *data);

#endif
