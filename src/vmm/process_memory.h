/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_PROCESS_MEMORY_H
#define VMM_PROCESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * Another process's memory, at its own addresses, through /proc/PID/mem. The descriptor holds on to that
 * process's address space: when it has gone, or its number names another, reads and writes fail.
 */

/* Returns a descriptor, the caller's. Takes CAP_SYS_PTRACE. */
int process_memory_open(int pid, struct error *err);

/* Return 0, or -EFAULT where not all of it is mapped, or may not be written. */
int process_memory_read(int fd, uint64_t address, void *buf, size_t len);
int process_memory_write(int fd, uint64_t address, const void *buf, size_t len);

#endif
