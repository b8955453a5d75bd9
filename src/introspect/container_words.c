// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Engines may keep their files anywhere; the container's keeper leads to them. And what it sees at
 * "/run" is what the engine saw, also if the engine itself is in a container. Only what the keeper
 * does not lead to is looked for at the usual paths.
 *
 *	docker		containers/ID/config.v2.json, found by what the bundle's config.json mounts
 *			from there on /etc/hostname
 *	containerd	annotations in the bundle's config.json
 *	cri-o		the same, and like podman
 *	podman		containers.json in the folder of all bundles, volatile-containers.json for
 *			containers that go with the next boot; and the name that conmon was told
 */
#include "introspect/container_words.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/dcache.h"
#include "introspect/keeper.h"
#include "introspect/page_cache.h"
#include "util/cleanup.h"

#define MAX_FILE (256U << 10)
#define MAX_STORAGE (4U << 20) /* of all containers together: some 5000 */
#define MAX_ATTEMPTS 3

struct search {
	const struct caches *caches;
	const char *id;
	struct container_words words;
	struct kernel_task keepers[KEEPER_MAX];
	size_t n_keepers;
	struct place root; /* the nearest keeper's, or the guest's */
	char *text; /* MAX_STORAGE bytes */
};

static int is_first(const struct kernel_task *task, void *data)
{
	struct place *root = data;

	if (task->tgid != 1)
		return 0;
	*root = (struct place){ task->root_dentry, task->root_mount };
	return 1;
}

static void find_root(struct search *search)
{
	if (search->n_keepers)
		search->root = (struct place){ search->keepers[0].root_dentry,
					       search->keepers[0].root_mount };
	else
		kernel_tasks_each(search->caches->kernel, false, is_first, &search->root);
}

/* The file's text into search->text. Returns its length. */
static int read_once(struct search *search, uint64_t folder, const char *name, size_t limit)
{
	uint64_t dentry, inode;
	int r = dcache_child(search->caches, folder, name, &dentry);

	if (r)
		return r;
	r = kernel_dentry_inode(search->caches->kernel, dentry, &inode);
	if (r)
		return r;
	return page_cache_read(search->caches, inode, search->text, limit);
}

static int read_file(struct search *search, uint64_t folder, const char *name, size_t limit)
{
	int r = -EAGAIN;

	for (unsigned int n = 0; n < MAX_ATTEMPTS && r == -EAGAIN; n++)
		r = read_once(search, folder, name, limit);
	return r;
}

static bool find_folder(const struct search *search, const char *path, uint64_t *ret)
{
	struct place place;

	if (!search->root.dentry || dcache_walk(search->caches, &search->root, path, &place) < 0)
		return false;
	*ret = place.dentry;
	return true;
}

/* Where an engine keeps what belongs to the container, if it keeps to its defaults. */
struct usual {
	const char *before_id, *after_id;
};

static bool find_usual(const struct search *search, const struct usual *usual, uint64_t *ret)
{
	char path[512];
	int n = snprintf(path, sizeof(path), "%s/%s%s", usual->before_id, search->id,
			 usual->after_id);

	return n > 0 && n < (int)sizeof(path) && find_folder(search, path, ret);
}

static bool read_bundle(struct search *search, uint64_t bundle, char *ret_folder, size_t size)
{
	int n = read_file(search, bundle, "config.json", MAX_FILE);

	return n >= 0 &&
	       container_json_bundle(&search->words, search->id, search->text, n, ret_folder, size);
}

static bool find_words_in_bundle(struct search *search, const struct usual *usual, size_t n_usual,
				 uint64_t *ret_bundle, char *ret_folder, size_t size)
{
	for (size_t i = 0; i < search->n_keepers; i++)
		if (keeper_bundle(search->caches, &search->keepers[i], search->id, ret_bundle) &&
		    read_bundle(search, *ret_bundle, ret_folder, size))
			return true;
	for (size_t i = 0; i < n_usual; i++)
		if (find_usual(search, &usual[i], ret_bundle) &&
		    read_bundle(search, *ret_bundle, ret_folder, size))
			return true;
	return false;
}

static bool read_docker(struct search *search, uint64_t folder)
{
	int n = read_file(search, folder, "config.v2.json", MAX_FILE);

	return n >= 0 && container_json_docker(&search->words, search->id, search->text, n);
}

static bool find_docker(struct search *search)
{
	static const struct usual own = { "/var/lib/docker/containers", "" };
	static const struct usual bundles[] = {
		{ "/run/containerd/io.containerd.runtime.v2.task/moby", "" },
		{ "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby", "" },
	};
	char path[PATH_MAX] = "";
	uint64_t folder;

	if (find_usual(search, &own, &folder) && read_docker(search, folder))
		return true;
	return find_words_in_bundle(search, bundles, ARRAY_SIZE(bundles), &folder, path,
				    sizeof(path)) &&
	       path[0] && find_folder(search, path, &folder) && read_docker(search, folder);
}

static bool find_containerd(struct search *search)
{
	static const struct usual bundles[] = {
		{ "/run/containerd/io.containerd.runtime.v2.task/k8s.io", "" },
		{ "/run/containerd/io.containerd.runtime.v2.task/default", "" },
		{ "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io", "" },
	};
	uint64_t bundle;

	return find_words_in_bundle(search, bundles, ARRAY_SIZE(bundles), &bundle, NULL, 0);
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

static bool find_podman(struct search *search)
{
	static const struct usual bundles[] = {
		{ "/var/lib/containers/storage/overlay-containers", "/userdata" },
		{ "/run/containers/storage/overlay-containers", "/userdata" },
	};
	static const char *const storages[] = {
		"/var/lib/containers/storage/overlay-containers",
		"/run/containers/storage/overlay-containers", /* transient_store */
	};
	uint64_t folder;
	bool is_found = false;

	if (find_words_in_bundle(search, bundles, ARRAY_SIZE(bundles), &folder, NULL, 0)) {
		folder = dcache_parent(search->caches, folder);
		folder = folder ? dcache_parent(search->caches, folder) : 0;
		is_found = folder && read_storage(search, folder);
	}
	for (size_t i = 0; !is_found && i < ARRAY_SIZE(storages); i++)
		is_found = find_folder(search, storages[i], &folder) &&
			   read_storage(search, folder);
	for (size_t i = 0; i < search->n_keepers && !search->words.name[0]; i++)
		keeper_conmon_name(search->caches, &search->keepers[i], search->id,
				   search->words.name, sizeof(search->words.name));
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
		search.n_keepers = keepers_find(search.keepers, caches->kernel, task, mnt_ns);
		find_root(&search);
		is_found = find(&search);
	}
	*ret = search.words;
	return is_found ? 0 : -ENODATA;
}

/* The kubelet writes '_' for '-' in names for systemd: "kubepods-burstable-podUID.slice". */
static bool read_pod(char *uid, size_t size, const char *at)
{
	size_t n = strspn(at, "0123456789abcdef-_");

	if (n < 32 || n >= size || !strchr("/.:", at[n]))
		return false;
	for (size_t i = 0; i < n; i++)
		uid[i] = at[i] == '_' ? '-' : at[i];
	uid[n] = '\0';
	return true;
}

bool container_words_pod(char *uid, size_t size, const char *cgroup_path)
{
	const char *at = strstr(cgroup_path, "kubepods");

	while (at && (at = strstr(at + 1, "pod"))) {
		if ((at[-1] == '/' || at[-1] == '-') && read_pod(uid, size, at + 3))
			return true;
	}
	return false;
}
