/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CMDLINE_H
#define INTROSPECT_CMDLINE_H

#include <stddef.h>
#include <stdint.h>

#include "introspect/caches.h"

/*
 * A process's arguments, out of its own memory, as /proc/PID/cmdline has them: each ends with NUL.
 * What the process makes of that memory is its own affair. Cut to @size - 1 bytes; @buf ends with a
 * NUL of its own. Returns the number of bytes, -ESRCH (no user memory), -EFAULT (not in memory).
 */
int cmdline_read(const struct caches *caches, uint64_t task, char *buf, size_t size);

/* The argument that follows @option, or NULL. Pure. */
const char *cmdline_option(const char *args, size_t n, const char *option);

#endif
