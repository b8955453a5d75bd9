/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_KEEPER_H
#define INTROSPECT_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "introspect/caches.h"
#include "introspect/container.h"

/*
 * The processes above a container that look after it: containerd's shim, conmon, or the runtime
 * while the container starts. All that they say is the guest's own word.
 */
#define KEEPER_MAX 4

/*
 * Finds the nearest ancestors, but for the guest's first process, that are not in the container's
 * mount name space @mnt_ns (its sequence number). @task is a process of the container; it may be
 * stale or 0, then one is looked for. Returns how many were found.
 */
size_t keepers_find(struct kernel_task keepers[KEEPER_MAX], const struct kernel *kernel,
		    uint64_t task, uint64_t mnt_ns);

/*
 * The directory (dentry) with the config.json of the container @id, by where the keeper was started or what it
 * was told. False when that leads to none.
 */
bool keeper_bundle(const struct caches *caches, const struct kernel_task *keeper, const char *id,
		   uint64_t *ret_dentry);

/* The name of the container @id that conmon was told, into @buf. False when it is not its conmon. */
bool keeper_conmon_name(const struct caches *caches, const struct kernel_task *keeper,
			const char *id, char *buf, size_t size);

/*
 * Engine and id of a container whose cgroup does not tell, as that of rootless podman without a
 * session does not: from the arguments of its keeper. @task and @mnt_ns as above. False when there
 * is none.
 */
bool keeper_container(struct container_name *ret, const struct caches *caches, uint64_t task,
		      uint64_t mnt_ns);

#endif
