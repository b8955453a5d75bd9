/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_OPEN_FILES_H
#define INTROSPECT_OPEN_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/kernel.h"

/*
 * What processes hold already when a rule comes: open files and writable mappings. The guard judges
 * opens, so that what was opened before it looked can only be told.
 */

/* What is looked at before a walk gives up. */
#define KERNEL_MAX_DESCRIPTORS (1U << 24) /* places in tables, used or not */
#define KERNEL_MAX_OPEN_FILES (1U << 20) /* those in use */
#define KERNEL_MAX_MAPPINGS 65536 /* of one file */

/* A file or directory that a process has open. */
struct kernel_open_file {
	const struct kernel_task
		*task; /* one of those that share the table: its first thread, if it does */
	uint32_t fd;
	struct kernel_file file; /* .mode has the FMODE_ bits, .flags the O_ ones of open() */
	struct kernel_inode inode; /* of the file: on an overlayfs, the overlay's */
};

/* In kernel_file.mode: include/linux/fs.h. */
#define KERNEL_FMODE_READ 0x1
#define KERNEL_FMODE_WRITE 0x2
#define KERNEL_FMODE_PATH 0x4000 /* O_PATH: names the file only */

/*
 * Calls @visit for each descriptor of a regular file or directory in every process; stops when it
 * returns other than 0 and returns that. Tables that are shared (struct files_struct) are told once.
 * The guest runs meanwhile: what is closed under the walk is passed over, and a descriptor that is
 * handed on (fork(), SCM_RIGHTS) behind its back may be missed. Never seen: files that no table
 * holds, for which there is kernel_inode_use().
 *
 * Returns -ELOOP, after some visits, when the guest has more than the limits above: then the
 * answer is not complete; -ELOOP or -EFAULT, before any, as kernel_tasks_each() does; -ENOMEM.
 */
int kernel_open_files_each(const struct kernel *kernel,
			   int (*visit)(const struct kernel_open_file *open, void *data),
			   void *data);

/*
 * What the inode knows of its own use, whoever it is by: descriptors in no table count too (sent
 * over a socket and not received yet, registered with io_uring, held by the kernel itself).
 */
struct kernel_inode_use {
	int32_t writers; /* opened for writing, and not closed; below 0: runs, nobody may (i_writecount) */
	int32_t writable_mappings; /* shared, and writable now or by mprotect() (i_mmap_writable) */
};

/*
 * On an overlayfs, @inode counts the writers, and the upper layer's the mappings (and again the
 * writers; ovl_mmap() and backing_file_mmap() map the real file): ask kernel_overlay_inode_read()
 * and add.
 */
int kernel_inode_use(const struct kernel *kernel, uint64_t inode, struct kernel_inode_use *ret);

/* A shared mapping of a file that is writable, or may be made so. */
struct kernel_mapping {
	const struct kernel_task *task; /* of those that share the memory, the first */
	uint64_t start, end; /* in it */
	bool writable; /* now */
};

/*
 * Calls @visit for each shared mapping of @inode that is or may become writable; stops when it
 * returns other than 0 and returns that. Costs a few reads when there is none. On an overlayfs, ask
 * for the upper layer's inode. -ELOOP, before any visit, when the file has more than
 * KERNEL_MAX_MAPPINGS of all kinds, or its tree changed under the walk again and again; -EFAULT,
 * -ENOMEM.
 */
int kernel_mappings_each(const struct kernel *kernel, uint64_t inode,
			 int (*visit)(const struct kernel_mapping *mapping, void *data),
			 void *data);

#endif
