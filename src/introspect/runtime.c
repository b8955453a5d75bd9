// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names on the path are tried from the first on: what a container makes of the cgroups below
 * its own says nothing. /run is a tmpfs, so that none of its names is missing in memory.
 */
#include "introspect/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspect/dcache.h"
#include "util/cleanup.h"

#define MAX_ATTEMPTS 3
#define MAX_NAMES 16

static const struct {
	const char *folder, *engine;
} runtimes[] = {
	{ "/run/runc", "runc" },
	{ "/run/crun", "crun" },
};

static int is_first(const struct kernel_task *task, void *data)
{
	struct place *root = data;

	if (task->tgid != 1)
		return 0;
	*root = (struct place){ task->root_dentry, task->root_mount };
	return 1;
}

static bool is_folder(const struct caches *caches, const struct place *root, const char *path)
{
	struct place place;
	uint64_t inode;
	int r = -EAGAIN;

	for (unsigned int n = 0; n < MAX_ATTEMPTS && r == -EAGAIN; n++)
		r = dcache_walk(caches, root, path, &place);
	return r == 0 && kernel_dentry_inode(caches->kernel, place.dentry, &inode) == 0;
}

static bool find_name(struct container_name *ret, const struct caches *caches,
		      const struct place *root, const char *name)
{
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		snprintf(path, sizeof(path), "%s/%s", runtimes[i].folder, name);
		if (!is_folder(caches, root, path))
			continue;
		*ret = (struct container_name){ 0 };
		snprintf(ret->id, sizeof(ret->id), "%s", name);
		snprintf(ret->engine, sizeof(ret->engine), "%s", runtimes[i].engine);
		return true;
	}
	return false;
}

bool runtime_container(struct container_name *ret, const struct caches *caches,
		       const char *cgroup_path)
{
	struct place root = { 0 };
	char name[sizeof(ret->id)];

	if (kernel_tasks_each(caches->kernel, false, is_first, &root) <= 0)
		return false;
	for (unsigned int n = 0; *cgroup_path && n < MAX_NAMES; n++) {
		size_t length;

		cgroup_path += strspn(cgroup_path, "/");
		length = strcspn(cgroup_path, "/");
		if (container_is_id(cgroup_path, length)) {
			snprintf(name, sizeof(name), "%.*s", (int)length, cgroup_path);
			if (find_name(ret, caches, &root, name))
				return true;
		}
		cgroup_path += length;
	}
	return false;
}
