// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/supers.h"

#include <errno.h>

#include "introspect/reader.h"

static int visit_disk(struct reader *reader, uint64_t bdev,
		      int (*visit)(uint32_t device, void *data), void *data)
{
	uint64_t disk = reader_get(reader, bdev, FIELD_BDEV_DISK);
	uint64_t whole = reader_get(reader, disk, FIELD_DISK_WHOLE);
	uint32_t device = (uint32_t)reader_get(reader, bdev, FIELD_BDEV_DEVICE);
	uint32_t whole_device = (uint32_t)reader_get(reader, whole, FIELD_BDEV_DEVICE);
	int r;

	if (reader->error)
		return reader->error;
	r = visit(device, data);
	return r || device == whole_device ? r : visit(whole_device, data);
}

int kernel_disks_each(const struct kernel *kernel, int (*visit)(uint32_t device, void *data),
		      void *data)
{
	struct reader reader = { .kernel = kernel };
	uint64_t head = profile_symbol(kernel->profile, "super_blocks"), node;

	if (!head || space_read_u64(kernel->space, head, &node) < 0)
		return -ENOENT;
	for (unsigned int i = 0; node != head; i++) {
		uint64_t super = reader_container(&reader, node, FIELD_SUPER_LIST);
		uint64_t bdev = reader_get(&reader, super, FIELD_SUPER_DISK);
		int r = bdev ? visit_disk(&reader, bdev, visit, data) : 0;

		node = reader_get(&reader, super, FIELD_SUPER_LIST);
		if (r || reader.error)
			return r ?: reader.error;
		if (i == KERNEL_MAX_SUPERS)
			return -ELOOP;
	}
	return 0;
}
