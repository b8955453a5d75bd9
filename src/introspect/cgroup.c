// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/cgroup.h"

#include "introspect/pathbuf.h"

uint64_t cgroup_node(struct reader *reader, uint64_t task)
{
	uint64_t set = reader_get(reader, task, FIELD_TASK_CGROUPS);
	uint64_t cgroup = reader_get(reader, set, FIELD_CSS_SET_CGROUP);

	return reader_get(reader, cgroup, FIELD_CGROUP_NODE);
}

int kernel_cgroup_path(const struct kernel *kernel, uint64_t task, char *buf, size_t size)
{
	struct reader reader = { .kernel = kernel };
	struct pathbuf path = pathbuf_init(buf, size);
	uint64_t node = cgroup_node(&reader, task);
	uint64_t parent = reader_get(&reader, node, FIELD_KERNFS_PARENT);

	/*
	 * The root has no parent; its name is not part of the path. Ends, since each name takes
	 * space.
	 */
	while (parent) {
		int r = pathbuf_prepend(&path, &reader,
					reader_get(&reader, node, FIELD_KERNFS_NAME));

		if (r < 0)
			return r;
		node = parent;
		parent = reader_get(&reader, node, FIELD_KERNFS_PARENT);
	}
	return reader.error ? reader.error : pathbuf_finish(&path);
}
