// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A shim is started in the container's bundle, or in the one of its pod, next to which the bundles
 * of the pod's other containers lie. conmon is told everything by its arguments:
 *
 *	containerd-shim-runc-v2 -namespace moby -id ID -address ...
 *	conmon --api-version 1 -c ID -u ID -r /usr/bin/crun -b BUNDLE -p ... -n NAME ...
 */
#include "introspect/keeper.h"

#include <stdio.h>
#include <string.h>

#include "introspect/cmdline.h"
#include "introspect/dcache.h"

#define MAX_PARENTS 64
#define MAX_ARGS 8192

struct member {
	uint64_t mnt_ns;
	struct kernel_task task;
};

static int is_member(const struct kernel_task *task, void *data)
{
	struct member *member = data;

	if (task->mnt_ns_sequence != member->mnt_ns)
		return 0;
	member->task = *task;
	return 1;
}

size_t keepers_find(struct kernel_task keepers[KEEPER_MAX], const struct kernel *kernel,
		    uint64_t task, uint64_t mnt_ns)
{
	struct member member = { .mnt_ns = mnt_ns };
	struct kernel_task *at = &member.task;
	size_t n_found = 0;

	if (!mnt_ns)
		return 0;
	if ((!task || kernel_task_read(kernel, task, at) < 0 || at->mnt_ns_sequence != mnt_ns) &&
	    kernel_tasks_each(kernel, false, is_member, &member) <= 0)
		return 0;
	for (unsigned int n = 0; n < MAX_PARENTS && n_found < KEEPER_MAX; n++) {
		if (kernel_task_read(kernel, at->parent, at) < 0 || at->tgid <= 1)
			break;
		if (at->mnt_ns_sequence && at->mnt_ns_sequence != mnt_ns)
			keepers[n_found++] = *at;
	}
	return n_found;
}

/* Where a shim was started, or what lies next to that. */
static bool find_started(const struct caches *caches, const struct kernel_task *keeper,
			 const char *id, uint64_t *ret)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t fs = reader_get(&reader, keeper->address, FIELD_TASK_FS);
	uint64_t folder = caches_get(caches, &reader, fs, CACHES_FS_PWD_DENTRY);
	uint64_t parent;

	if (reader.error)
		return false;
	if (dcache_is_named(caches, folder, id)) {
		*ret = folder;
		return true;
	}
	parent = dcache_parent(caches, folder);
	return parent && dcache_child(caches, parent, id, ret) == 0;
}

/* The arguments of the container's conmon. Returns their length, or 0 when it is not. */
static size_t read_conmon(const struct caches *caches, const struct kernel_task *keeper,
			  const char *id, char args[MAX_ARGS])
{
	int n = cmdline_read(caches, keeper->address, args, MAX_ARGS);
	const char *of = n > 0 ? cmdline_option(args, n, "-c") : NULL;

	return of && strcmp(of, id) == 0 ? (size_t)n : 0;
}

bool keeper_bundle(const struct caches *caches, const struct kernel_task *keeper, const char *id,
		   uint64_t *ret_dentry)
{
	const struct place root = { keeper->root_dentry, keeper->root_mount };
	char args[MAX_ARGS];
	const char *path;
	struct place place;
	size_t n;

	if (find_started(caches, keeper, id, ret_dentry))
		return true;
	n = read_conmon(caches, keeper, id, args);
	path = cmdline_option(args, n, "-b");
	if (!path || dcache_walk(caches, &root, path, &place) < 0)
		return false;
	*ret_dentry = place.dentry;
	return true;
}

bool keeper_conmon_name(const struct caches *caches, const struct kernel_task *keeper,
			const char *id, char *buf, size_t size)
{
	char args[MAX_ARGS];
	size_t n = read_conmon(caches, keeper, id, args);
	const char *name = cmdline_option(args, n, "-n");

	if (!name)
		return false;
	snprintf(buf, size, "%s", name);
	return true;
}

/* As ids are: what no engine allows in one is not believed. */
static bool is_id(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t n = strlen(text);

	return n && n < sizeof(((struct container_name *)0)->id) && strspn(text, allowed) == n;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool name_of(struct container_name *ret, const char *args, size_t n)
{
	const char *program = last_name(args), *id, *engine, *ns;

	if (strcmp(program, "conmon") == 0) {
		id = cmdline_option(args, n, "-c");
		engine = cmdline_option(args, n, "--exit-command") ? "podman" : "cri-o";
	} else if (strncmp(program, "containerd-shim", 15) == 0) {
		id = cmdline_option(args, n, "-id");
		ns = cmdline_option(args, n, "-namespace");
		engine = ns && strcmp(ns, "moby") == 0 ? "docker" : "containerd";
	} else {
		return false;
	}
	if (!id || !is_id(id))
		return false;
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	snprintf(ret->engine, sizeof(ret->engine), "%s", engine);
	return true;
}

bool keeper_container(struct container_name *ret, const struct caches *caches, uint64_t task,
		      uint64_t mnt_ns)
{
	struct kernel_task keepers[KEEPER_MAX];
	size_t n_keepers = keepers_find(keepers, caches->kernel, task, mnt_ns);
	char args[MAX_ARGS];

	for (size_t i = 0; i < n_keepers; i++) {
		int n = cmdline_read(caches, keepers[i].address, args, sizeof(args));

		if (n > 0 && name_of(ret, args, n))
			return true;
	}
	return false;
}
