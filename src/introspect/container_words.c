// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Engines may keep their files anywhere; the container's keeper leads to them. That is the first
 * process above the container's that is not in its mount name space: containerd's shim, conmon, or
 * the runtime while it starts. Engines start it in the container's bundle, or in the one of its pod,
 * where all bundles of the same kind lie next to each other; and what it sees at "/run" is what the
 * engine saw, also if the engine itself is in a container. Only what it does not lead to is looked
 * for at the usual paths.
 *
 *	docker		containers/ID/config.v2.json, found by what the bundle's config.json mounts
 *			from there on /etc/hostname
 *	containerd	annotations in the bundle's config.json
 *	cri-o		the same, and like podman
 *	podman		containers.json in the folder of all bundles, volatile-containers.json for
 *			containers that go with the next boot; and conmon's arguments
 */
#include "introspect/container_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/cmdline.h"
#include "introspect/dcache.h"
#include "introspect/page_cache.h"
#include "util/cleanup.h"

#define MAX_FILE (256U << 10)
#define MAX_STORAGE (4U << 20) /* of all containers together: some 5000 */
#define MAX_PARENTS 64
#define MAX_ATTEMPTS 3
#define MAX_ARGS 16384

struct search {
	const struct caches *caches;
	const char *id;
	struct container_words words;
	struct kernel_task keeper; /* address 0: none */
	struct place root;
	char *text; /* MAX_STORAGE bytes */
};

struct someone {
	uint64_t mnt_ns; /* 0: who is the guest's first process */
	struct kernel_task task;
};

static int is_someone(const struct kernel_task *task, void *data)
{
	struct someone *someone = data;

	if (someone->mnt_ns ? task->mnt_ns_sequence != someone->mnt_ns : task->tgid != 1)
		return 0;
	someone->task = *task;
	return 1;
}

static bool find_someone(const struct kernel *kernel, uint64_t mnt_ns, struct kernel_task *ret)
{
	struct someone someone = { .mnt_ns = mnt_ns };

	if (kernel_tasks_each(kernel, false, is_someone, &someone) <= 0)
		return false;
	*ret = someone.task;
	return true;
}

static void find_keeper(struct search *search, uint64_t address, uint64_t mnt_ns)
{
	const struct kernel *kernel = search->caches->kernel;
	struct kernel_task task;

	if (!mnt_ns)
		return;
	if ((!address || kernel_task_read(kernel, address, &task) < 0 ||
	     task.mnt_ns_sequence != mnt_ns) &&
	    !find_someone(kernel, mnt_ns, &task))
		return;
	for (unsigned int n = 0; n < MAX_PARENTS; n++) {
		if (kernel_task_read(kernel, task.parent, &task) < 0)
			return;
		if (task.mnt_ns_sequence && task.mnt_ns_sequence != mnt_ns) {
			search->keeper = task;
			return;
		}
	}
}

static void find_root(struct search *search)
{
	struct kernel_task task = search->keeper;

	if (!task.root_dentry && !find_someone(search->caches->kernel, 0, &task))
		return;
	search->root = (struct place){ task.root_dentry, task.root_mount };
}

/* The file's text into search->text. Returns its length. */
static int read_once(struct search *search, uint64_t folder, const char *name, size_t limit)
{
	uint64_t dentry, inode;
	int r = dcache_child(search->caches, folder, name, &dentry);

	if (r == 0)
		r = kernel_dentry_inode(search->caches->kernel, dentry, &inode);
	return r < 0 ? r : page_cache_read(search->caches, inode, search->text, limit);
}

static int read_file(struct search *search, uint64_t folder, const char *name, size_t limit)
{
	int r = -EAGAIN;

	for (unsigned int n = 0; n < MAX_ATTEMPTS && r == -EAGAIN; n++)
		r = read_once(search, folder, name, limit);
	return r;
}

/* A usual place of an engine's files; %s stands for the container's id. */
static bool find_folder(struct search *search, const char *pattern, uint64_t *ret)
{
	const char *hole = strstr(pattern, "%s");
	char path[PATH_MAX];
	struct place place;
	int n = hole ? snprintf(path, sizeof(path), "%.*s%s%s", (int)(hole - pattern), pattern,
				search->id, hole + 2)
		     : snprintf(path, sizeof(path), "%s", pattern);

	if (!search->root.dentry || n < 0 || n >= (int)sizeof(path) ||
	    dcache_walk(search->caches, &search->root, path, &place) < 0)
		return false;
	*ret = place.dentry;
	return true;
}

/* Directory of the container's config.json, by where its keeper was started. */
static bool find_bundle_of_keeper(struct search *search, uint64_t *ret)
{
	struct reader reader = { .kernel = search->caches->kernel };
	uint64_t fs = reader_get_if(&reader, search->keeper.address, FIELD_TASK_FS);
	uint64_t folder, parent;

	if (!fs)
		return false;
	folder = caches_get(search->caches, &reader, fs, CACHES_FS_PWD_DENTRY);
	if (reader.error)
		return false;
	parent = dcache_parent(search->caches, folder);
	*ret = folder;
	if (dcache_is_named(search->caches, folder, search->id))
		return true;
	if (!parent)
		return false;
	return dcache_is_named(search->caches, parent, search->id) || /* ID/userdata */
	       dcache_child(search->caches, parent, search->id, ret) == 0; /* the pod's */
}

static bool read_bundle(struct search *search, uint64_t bundle, char *ret_folder, size_t size)
{
	int n = read_file(search, bundle, "config.json", MAX_FILE);

	return n >= 0 &&
	       container_json_bundle(&search->words, search->id, search->text, n, ret_folder, size);
}

/* The usual places end with NULL. */
static bool find_words_in_bundle(struct search *search, const char *const usual[],
				 uint64_t *ret_bundle, char *ret_folder, size_t size)
{
	if (find_bundle_of_keeper(search, ret_bundle) &&
	    read_bundle(search, *ret_bundle, ret_folder, size))
		return true;
	for (size_t i = 0; usual[i]; i++)
		if (find_folder(search, usual[i], ret_bundle) &&
		    read_bundle(search, *ret_bundle, ret_folder, size))
			return true;
	return false;
}

static bool read_docker(struct search *search, const char *path)
{
	uint64_t folder;
	int n;

	if (!path[0] || !find_folder(search, path, &folder))
		return false;
	n = read_file(search, folder, "config.v2.json", MAX_FILE);
	return n >= 0 && container_json_docker(&search->words, search->id, search->text, n);
}

static bool find_docker(struct search *search)
{
	static const char *const bundles[] = {
		"/run/containerd/io.containerd.runtime.v2.task/moby/%s",
		"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/%s",
		NULL,
	};
	char path[PATH_MAX] = "";
	uint64_t bundle;

	if (read_docker(search, "/var/lib/docker/containers/%s"))
		return true;
	find_words_in_bundle(search, bundles, &bundle, path, sizeof(path));
	return !strchr(path, '%') && read_docker(search, path);
}

static bool find_containerd(struct search *search)
{
	static const char *const bundles[] = {
		"/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s",
		"/run/containerd/io.containerd.runtime.v2.task/default/%s",
		"/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%s",
		NULL,
	};
	uint64_t bundle;

	return find_words_in_bundle(search, bundles, &bundle, NULL, 0);
}

static bool read_storage(struct search *search, uint64_t folder)
{
	static const char *const files[] = { "containers.json", "volatile-containers.json" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int n = read_file(search, folder, files[i], MAX_STORAGE);

		if (n >= 0 && container_json_storage(&search->words, search->id, search->text, n))
			return true;
	}
	return false;
}

/* conmon -c ID -n NAME ... */
static void read_conmon(struct search *search)
{
	char args[MAX_ARGS];
	const char *id, *name;
	int n;

	if (!search->keeper.address)
		return;
	n = cmdline_read(search->caches, search->keeper.address, args, sizeof(args));
	if (n < 0)
		return;
	id = cmdline_option(args, n, "-c");
	name = cmdline_option(args, n, "-n");
	if (id && name && strcmp(id, search->id) == 0 && !search->words.name[0])
		snprintf(search->words.name, sizeof(search->words.name), "%s", name);
}

static bool find_podman(struct search *search)
{
	static const char *const bundles[] = {
		"/var/lib/containers/storage/overlay-containers/%s/userdata",
		"/run/containers/storage/overlay-containers/%s/userdata",
		NULL,
	};
	static const char *const storages[] = {
		"/var/lib/containers/storage/overlay-containers",
		"/run/containers/storage/overlay-containers", /* transient_store */
	};
	uint64_t folder;
	bool is_found = false;

	if (find_words_in_bundle(search, bundles, &folder, NULL, 0)) {
		folder = dcache_parent(search->caches, folder);
		folder = folder ? dcache_parent(search->caches, folder) : 0;
		is_found = folder && read_storage(search, folder);
	}
	for (size_t i = 0; !is_found && i < ARRAY_SIZE(storages); i++)
		is_found = find_folder(search, storages[i], &folder) &&
			   read_storage(search, folder);
	read_conmon(search);
	return is_found;
}

static bool (*finder_of(const char *engine))(struct search *)
{
	static const struct {
		const char *engine;
		bool (*find)(struct search *search);
	} finders[] = {
		{ "docker", find_docker },
		{ "containerd", find_containerd },
		{ "podman", find_podman },
		{ "cri-o", find_podman },
	};

	for (size_t i = 0; i < ARRAY_SIZE(finders); i++)
		if (strcmp(engine, finders[i].engine) == 0)
			return finders[i].find;
	return NULL;
}

int container_words_read(struct container_words *ret, const struct caches *caches,
			 const struct container_name *name, uint64_t task, uint64_t mnt_ns)
{
	bool (*find)(struct search *) = finder_of(name->engine);
	_cleanup_(freep) char *text = find ? malloc(MAX_STORAGE) : NULL;
	struct search search = { .caches = caches, .id = name->id, .text = text };
	bool is_found = !find;

	if (text && name->id[0]) {
		find_keeper(&search, task, mnt_ns);
		find_root(&search);
		is_found = find(&search);
	}
	*ret = search.words;
	return is_found ? 0 : -ENODATA;
}

/* The kubelet's driver for systemd writes '_' for '-'. */
bool container_words_pod(char *uid, size_t size, const char *cgroup_path)
{
	const char *at = strstr(cgroup_path, "kubepods"), *end;
	size_t n;

	while (at && strncmp(at, "pod", 3) != 0 /* "-podUID", "/podUID" */)
		at = strpbrk(at + 1, "/-") ? strpbrk(at + 1, "/-") + 1 : NULL;
	if (!at)
		return false;
	at += 3;
	end = at + strspn(at, "0123456789abcdef-_");
	n = end - at;
	if (n < 32 || n >= size || (*end && *end != '/' && *end != '.' && *end != ':'))
		return false;
	for (size_t i = 0; i < n; i++)
		uid[i] = at[i] == '_' ? '-' : at[i];
	uid[n] = '\0';
	return true;
}
