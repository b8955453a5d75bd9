// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each name on the path is held against a table of the forms that engines give to a container's own
 * cgroup, the most particular first; the last name that fits is the innermost container. A form
 * with a parent is for names that say nothing by themselves. A pod's cgroup is above those of its
 * containers.
 */
#include "introspect/container.h"

#include <stdio.h>
#include <string.h>

enum id {
	ID_HEX,
	ID_NAME
};

static const struct form {
	/* the name before; NULL for any, a '*' at its end for a prefix, a '/' before it for the first */
	const char *parent;
	const char *prefix; /* what stands before the id */
	const char *suffix;
	enum id id;
	const char *engine; /* NULL: looks like a container's, is none */
} forms[] = {
	/* systemd's driver, and the same names without ".scope" by cgroupfs */
	{ NULL, "docker-", ".scope", ID_HEX, "docker" },
	{ NULL, "cri-containerd-", ".scope", ID_HEX, "containerd" },
	{ NULL, "nerdctl-", ".scope", ID_HEX, "containerd" },
	{ NULL, "crio-", ".scope", ID_HEX, "cri-o" },
	{ NULL, "crio-", "", ID_HEX, "cri-o" },
	{ NULL, "libpod-", ".scope", ID_HEX, "podman" },
	{ NULL, "libpod-", "", ID_HEX, "podman" },
	{ NULL, "libpod-payload-", "", ID_HEX, "podman" }, /* --cgroups=split */
	/* the runtimes by themselves, told to use systemd */
	{ NULL, "crun-buildah-", ".scope", ID_NAME, "buildah" }, /* podman build too */
	{ NULL, "runc-buildah-", ".scope", ID_NAME, "buildah" },
	{ NULL, "runc-", ".scope", ID_NAME, "runc" },
	{ NULL, "crun-", ".scope", ID_NAME, "crun" },
	{ NULL, "lxc.payload.", "", ID_NAME, "lxc" },
	{ "lxc.payload", "", "", ID_NAME, "lxc" },
	{ "lxc", "", "", ID_NAME, "lxc" },
	{ NULL, "machine-qemu\\x2d", ".scope", ID_NAME, NULL }, /* libvirt's VMs */
	{ NULL, "machine-lxc\\x2d", ".scope", ID_NAME, "lxc" }, /* libvirt's containers */
	{ "machine.slice", "machine-", ".scope", ID_NAME, "nspawn" },
	{ "machine.slice", "systemd-nspawn@", ".service", ID_NAME, "nspawn" },
	/* cgroupfs: the bare id; whose, the parent says */
	{ "pod*", "", "", ID_HEX, "containerd" }, /* Kubernetes */
	{ "kubepods*", "", "", ID_HEX, "containerd" },
	{ "default", "", "", ID_HEX, "containerd" }, /* name spaces of containerd */
	{ "/default", "", "", ID_NAME, "containerd" }, /* ctr: any name */
	{ "k8s.io", "", "", ID_HEX, "containerd" },
	{ NULL, "", "", ID_HEX, "docker" }, /* "/docker/ID", or any --cgroup-parent */
};

/* A stretch of the path, behind so many names. */
struct name {
	const char *at;
	size_t n;
	unsigned int depth;
};

static bool is_parent(const char *pattern, struct name name)
{
	size_t n;

	if (!pattern)
		return true;
	if (*pattern == '/' && name.depth)
		return false;
	pattern += *pattern == '/';
	n = strlen(pattern);
	if (pattern[n - 1] == '*')
		return name.n >= n - 1 && strncmp(name.at, pattern, n - 1) == 0;
	return name.n == n && strncmp(name.at, pattern, n) == 0;
}

static bool take_affixes(struct name *name, const char *prefix, const char *suffix)
{
	size_t n_prefix = strlen(prefix), n_suffix = strlen(suffix);

	if (name->n <= n_prefix + n_suffix)
		return false;
	if (strncmp(name->at, prefix, n_prefix) != 0 ||
	    strncmp(name->at + name->n - n_suffix, suffix, n_suffix) != 0)
		return false;
	name->at += n_prefix;
	name->n -= n_prefix + n_suffix;
	return true;
}

static bool is_hex_id(struct name id)
{
	return id.n == 64 && strspn(id.at, "0123456789abcdef") >= 64;
}

/* A host name's characters: all that the engines allow in a container's name. */
static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* Undoes systemd's "\x2d" for '-', the only escape that a name can need. */
static bool copy_name(char *to, size_t size, struct name id)
{
	size_t n = 0;

	for (size_t i = 0; i < id.n; i++) {
		char c = id.at[i];

		if (id.n - i >= 4 && strncmp(id.at + i, "\\x2d", 4) == 0) {
			c = '-';
			i += 3;
		}
		if (!is_name_char(c) || n + 1 >= size)
			return false;
		to[n++] = c;
	}
	to[n] = '\0';
	return true;
}

static bool match(struct container_name *ret, const struct form *form, struct name id)
{
	if (form->id == ID_HEX && !is_hex_id(id))
		return false;
	if (!copy_name(ret->id, sizeof(ret->id), id))
		return false;
	snprintf(ret->engine, sizeof(ret->engine), "%s", form->engine);
	return true;
}

/* systemd's names have '_' for the '-' of a uid: there '-' stands for a slice in a slice. */
static void copy_pod_uid(char to[CONTAINER_POD_UID], struct name uid)
{
	char copy[CONTAINER_POD_UID];

	if (!uid.n || uid.n >= sizeof(copy))
		return;
	for (size_t i = 0; i < uid.n; i++) {
		copy[i] = uid.at[i] == '_' ? '-' : uid.at[i];
		if (!is_name_char(copy[i]) || copy[i] == '.')
			return;
	}
	copy[uid.n] = '\0';
	strcpy(to, copy);
}

/*
 * The kubelet's cgroups of pods: "kubepods/burstable/podUID" by cgroupfs, "kubepods-burstable-podUID.slice" by systemd, both
 * without the middle part for guaranteed pods, and both below, or with, another name if the kubelet was told so.
 */
static void read_pod(char uid[CONTAINER_POD_UID], struct name parent, struct name name)
{
	static const char *const parents[] = { "kubepods", "burstable", "besteffort" };
	const char *at, *end = name.at + name.n, *slice;

	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		struct name rest = name;

		if (is_parent(parents[i], parent) && take_affixes(&rest, "pod", "")) {
			copy_pod_uid(uid, rest);
			return;
		}
	}
	at = memmem(name.at, name.n, "kubepods-", 9);
	at = at ? memmem(at + 8, (size_t)(end - at - 8), "-pod", 4) : NULL;
	slice = at ? memmem(at, (size_t)(end - at), ".slice", 6) : NULL;
	if (slice)
		copy_pod_uid(uid, (struct name){ at + 4, (size_t)(slice - at - 4), 0 });
}

/*
 * "kubepods-burstable-podUID.slice:cri-containerd:ID" and "system.slice:docker:ID" (BuildKit) are systemd's notation, taken
 * literally by cgroupfs.
 */
static const struct form *colon_form(struct name *name)
{
	static const struct {
		const char *mark;
		struct form form;
	} rows[] = {
		{ ":cri-containerd:", { .id = ID_HEX, .engine = "containerd" } },
		{ ":docker:", { .id = ID_NAME, .engine = "docker" } },
		{ ":crio:", { .id = ID_HEX, .engine = "cri-o" } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = memmem(name->at, name->n, rows[i].mark, strlen(rows[i].mark));

		if (!at)
			continue;
		at += strlen(rows[i].mark);
		name->n = (size_t)(name->at + name->n - at);
		name->at = at;
		return &rows[i].form;
	}
	return NULL;
}

static bool read_name(struct container_name *ret, struct name parent, struct name name)
{
	struct name marked = name;
	const struct form *colon = colon_form(&marked);

	if (colon)
		return match(ret, colon, marked);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *form = &forms[i];
		struct name id = name;

		if (!is_parent(form->parent, parent) ||
		    !take_affixes(&id, form->prefix, form->suffix))
			continue;
		if (!form->engine)
			return false;
		if (match(ret, form, id))
			return true;
	}
	return false;
}

bool container_is_id(const char *text, size_t n)
{
	/* Not "." nor "..", which lead elsewhere. */
	if (!n || n >= sizeof(((struct container_name *)0)->id) || strspn(text, ".") >= n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(text[i]))
			return false;
	return true;
}

bool container_from_cgroup(struct container_name *ret, const char *path)
{
	struct container_name found;
	char pod_uid[CONTAINER_POD_UID] = "";
	struct name parent = { path, 0, 0 };
	bool is_container = false;

	for (unsigned int depth = 0; *path; path += *path == '/') {
		struct name name = { path, strcspn(path, "/"), depth };

		path += name.n;
		if (!name.n)
			continue;
		depth++;
		read_pod(pod_uid, parent, name);
		if (read_name(&found, parent, name)) {
			*ret = found;
			snprintf(ret->pod_uid, sizeof(ret->pod_uid), "%s", pod_uid);
			is_container = true;
		}
		parent = name;
	}
	return is_container;
}
