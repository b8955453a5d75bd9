/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_RUNTIME_H
#define INTROSPECT_RUNTIME_H

#include <stdbool.h>

#include "introspect/caches.h"
#include "introspect/container.h"

/*
 * Engine ("runc", "crun") and id of a container that its runtime made for no engine. The cgroup has
 * then the container's bare name ("/system.slice/NAME", "/NAME"), and the runtime keeps a folder of
 * that name below its own in /run: the guest's own word. @cgroup_path is one that
 * container_from_cgroup() knows nothing of. False when there is no such folder.
 */
bool runtime_container(struct container_name *ret, const struct caches *caches,
		       const char *cgroup_path);

#endif
