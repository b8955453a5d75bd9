/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CONTAINER_H
#define INTROSPECT_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_POD_UID 64

/* What a cgroup path says of the container it was made for. */
struct container_name {
	char id[72];
	/* "docker", "containerd", "podman", "cri-o", "runc", "crun", "lxc", "nspawn" */
	char engine[16];
	char pod_uid[CONTAINER_POD_UID]; /* Kubernetes' uid of its pod, or "" */
};

/*
 * Reads engine and id from a cgroup path, in the forms that the engines use with the systemd and
 * the cgroupfs driver: "/system.slice/docker-ID.scope", "/docker/ID", "/crio-ID.scope",
 * "/machine.slice/libpod-ID.scope", "/user.slice/.../libpod-ID.scope/container", "/default/NAME",
 * "/kubepods.../cri-containerd-ID.scope", "/system.slice/crun-NAME.scope", "/lxc.payload.NAME",
 * "/machine.slice/machine-NAME.scope", ... The innermost wins (a container in a container). The
 * pod is the innermost that the path leads through. False when it is no container's, and nothing
 * is written. Pure.
 */
bool container_from_cgroup(struct container_name *ret, const char *path);

/* May the text at @text be a container's id: as long as fits, of the characters that engines allow? Pure. */
bool container_is_id(const char *text, size_t n);

#endif
