/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_DCACHE_H
#define INTROSPECT_DCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/caches.h"

/*
 * Names that the guest's kernel has in memory: its dentry cache. A name that is on disk and was not
 * used for long may be missing; on tmpfs none ever is.
 *
 * The guest goes on meanwhile. -EAGAIN: a folder was changed under the walk, try again.
 */

/* A directory or file in a view, as fs->root has it. */
struct place {
	uint64_t dentry, mount; /* mount: vfsmount */
};

/*
 * The child of the directory @dentry with this name; not what may be mounted on it. Returns 0,
 * -ENOENT (not cached, or known not to exist), -EAGAIN, -EFAULT, -ELOOP (too many children).
 */
int dcache_child(const struct caches *caches, uint64_t dentry, const char *name, uint64_t *ret);

/*
 * Walks a path from @root, across mounts and symbolic links, as a process with that root would; the
 * last name too is followed. Returns as dcache_child(), or -ELOOP, -ENAMETOOLONG (links).
 */
int dcache_walk(const struct caches *caches, const struct place *root, const char *path,
		struct place *ret);

/*
 * Has the inode a name that is @path (names with slashes between, "" for the directory itself), seen from the directory @above on
 * the same file system? Costs as much as the path is long, not as its directories are large.
 */
bool dcache_has_path(const struct caches *caches, uint64_t inode, uint64_t above, const char *path);

/* Has the inode the name @name in the directory with this super block, number and generation? */
bool dcache_has_name(const struct caches *caches, uint64_t inode, const char *name,
		     const struct kernel_inode *directory);

/* 0 for a root of a file system, or what cannot be read. */
uint64_t dcache_parent(const struct caches *caches, uint64_t dentry);

/* Is this the dentry's name? */
bool dcache_is_named(const struct caches *caches, uint64_t dentry, const char *name);

#endif
