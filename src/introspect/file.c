// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/kernel.h"

#include <errno.h>

#include "introspect/reader.h"

int kernel_inode_read(const struct kernel *kernel, uint64_t address, struct kernel_inode *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_inode inode = {
		.address = address,
		.super = reader_get(&reader, address, FIELD_INODE_SUPER),
		.ino = reader_get(&reader, address, FIELD_INODE_INO),
		.size = reader_get(&reader, address, FIELD_INODE_SIZE),
		.generation = reader_get(&reader, address, FIELD_INODE_GENERATION),
		.mode = reader_get(&reader, address, FIELD_INODE_MODE),
		.uid = reader_get(&reader, address, FIELD_INODE_UID),
		.gid = reader_get(&reader, address, FIELD_INODE_GID),
		.n_links = reader_get(&reader, address, FIELD_INODE_N_LINKS),
	};

	inode.device = reader_get(&reader, inode.super, FIELD_SUPER_DEVICE);
	if (reader.error)
		return reader.error;
	*ret = inode;
	return 0;
}

#define SB_ACTIVE (1UL << 30) /* include/linux/fs.h */

int kernel_super_read(const struct kernel *kernel, uint64_t address, struct kernel_super *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_super super = {
		.address = address,
		.device = reader_get(&reader, address, FIELD_SUPER_DEVICE),
		.active = reader_get(&reader, address, FIELD_SUPER_FLAGS) & SB_ACTIVE,
	};
	uint64_t type = reader_get(&reader, address, FIELD_SUPER_TYPE);
	uint64_t name = reader_get(&reader, type, FIELD_FS_TYPE_NAME);

	if (reader.error)
		return reader.error;
	if (space_read_string(kernel->space, name, super.type, sizeof(super.type)) < 0)
		return -EFAULT;
	*ret = super;
	return 0;
}

int kernel_file_read(const struct kernel *kernel, uint64_t address, struct kernel_file *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_file file = {
		.address = address,
		.dentry = reader_get(&reader, address, FIELD_FILE_DENTRY),
		.mount = reader_get(&reader, address, FIELD_FILE_MOUNT),
		.inode = reader_get(&reader, address, FIELD_FILE_INODE),
		.mode = reader_get(&reader, address, FIELD_FILE_MODE),
		.flags = reader_get(&reader, address, FIELD_FILE_FLAGS),
	};

	if (reader.error)
		return reader.error;
	*ret = file;
	return 0;
}

int kernel_dentry_inode(const struct kernel *kernel, uint64_t dentry, uint64_t *ret_inode)
{
	struct reader reader = { .kernel = kernel };
	uint64_t inode = reader_get(&reader, dentry, FIELD_DENTRY_INODE);

	if (reader.error)
		return reader.error;
	if (!inode)
		return -ENOENT;
	*ret_inode = inode;
	return 0;
}
