/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_PAGE_CACHE_H
#define INTROSPECT_PAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "introspect/caches.h"

/*
 * A regular file's bytes, from the guest's page cache. On tmpfs they are always there, unless the
 * guest has swapped them out; elsewhere after they were written or read, until the guest needs the
 * memory. No lock holds them still: a file that is being written may be read half old, half new, and
 * one that is just being read from disk as zeros.
 *
 * Returns the number of bytes, all of the file. -ENODATA: some page of it is not in memory. -EFBIG:
 * it is larger than @size. -EINVAL: no regular file. -EAGAIN: it changed meanwhile. -EFAULT.
 */
int page_cache_read(const struct caches *caches, uint64_t inode, void *buf, size_t size);

#endif
