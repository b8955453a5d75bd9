// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A path is read as the kernel's own prepend_path() does: up the dentries to the root of their
 * mount, then on from where that is mounted, until the root is met.
 */
#include "introspect/kernel.h"

#include <errno.h>

#include "introspect/pathbuf.h"
#include "introspect/reader.h"

#define MAX_CROSSINGS 1024 /* of mounts: what may be stacked on one another */

struct climber {
	struct reader reader;
	struct pathbuf path;
	uint64_t dentry, mount; /* where it stands */
	unsigned int n_crossings;
};

static bool at_mount_root(struct climber *climber)
{
	return climber->dentry == reader_get(&climber->reader, climber->mount, FIELD_MOUNT_ROOT);
}

/* Returns 1, or 0 at the top of all mounts. */
static int cross_mount(struct climber *climber)
{
	uint64_t parent = reader_get(&climber->reader, climber->mount, FIELD_MOUNT_PARENT);

	if (climber->reader.error || parent == climber->mount)
		return climber->reader.error;
	if (++climber->n_crossings > MAX_CROSSINGS)
		return -ELOOP;
	climber->dentry = reader_get(&climber->reader, climber->mount, FIELD_MOUNT_MOUNTPOINT);
	climber->mount = parent;
	return 1;
}

static int climb_name(struct climber *climber)
{
	uint64_t parent = reader_get(&climber->reader, climber->dentry, FIELD_DENTRY_PARENT);
	uint64_t name = reader_get(&climber->reader, climber->dentry, FIELD_DENTRY_NAME);
	int r;

	if (!climber->reader.error && parent == climber->dentry)
		return -ENOENT; /* moved out from under its mount's root */
	r = pathbuf_prepend(&climber->path, &climber->reader, name);
	climber->dentry = parent;
	return r < 0 ? r : 1;
}

int kernel_path(const struct kernel *kernel, uint64_t dentry, uint64_t vfsmount,
		uint64_t root_dentry, uint64_t root_vfsmount, char *buf, size_t size)
{
	struct climber climber = {
		.reader.kernel = kernel,
		.path = pathbuf_init(buf, size),
		.dentry = dentry,
	};
	uint64_t root = reader_container(&climber.reader, root_vfsmount, FIELD_MOUNT_VFSMOUNT);

	climber.mount = reader_container(&climber.reader, vfsmount, FIELD_MOUNT_VFSMOUNT);
	while (climber.dentry != root_dentry || climber.mount != root) {
		int r = at_mount_root(&climber) ? cross_mount(&climber) : climb_name(&climber);

		if (r < 0)
			return r;
		if (r == 0)
			return root_dentry ? -ENOENT : pathbuf_finish(&climber.path);
	}
	return pathbuf_finish(&climber.path);
}

int kernel_directories_each(const struct kernel *kernel, uint64_t dentry,
			    int (*visit)(const struct kernel_inode *directory, const char *below,
					 void *data),
			    void *data)
{
	char buf[1024];
	struct climber climber = {
		.reader.kernel = kernel,
		.path = pathbuf_init(buf, sizeof(buf)),
		.dentry = dentry,
	};
	int r = 0;

	for (unsigned int i = 0; i < MAX_CROSSINGS && r == 0; i++) {
		struct kernel_inode inode;
		uint64_t address;

		r = climb_name(&climber);
		if (r < 0)
			return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r;
		r = kernel_dentry_inode(kernel, climber.dentry, &address);
		if (r == 0)
			r = kernel_inode_read(kernel, address, &inode);
		if (r == 0)
			r = visit(&inode, buf + climber.path.start + 1, data);
	}
	return r;
}
