/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CONTAINER_H
#define INTROSPECT_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

/* What a cgroup path says of the container it was made for. */
struct container_name {
	char id[72];
	char engine[16]; /* "docker", "containerd", "podman", "cri-o", "lxc", "nspawn" */
};

/*
 * Reads engine and id from a cgroup path, in the forms that the engines use with the systemd and
 * the cgroupfs driver: "/system.slice/docker-ID.scope", "/docker/ID", "/crio-ID.scope",
 * "/machine.slice/libpod-ID.scope", "/user.slice/.../libpod-ID.scope/container",
 * "/kubepods.../cri-containerd-ID.scope", "/lxc.payload.NAME", "/machine.slice/machine-NAME.scope",
 * ... The innermost wins (a container in a container). False when it is no container's. Pure.
 */
bool container_from_cgroup(struct container_name *ret, const char *path);

#endif
