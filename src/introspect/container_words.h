/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CONTAINER_WORDS_H
#define INTROSPECT_CONTAINER_WORDS_H

#include <stdint.h>

#include "introspect/caches.h"
#include "introspect/container.h"
#include "introspect/container_json.h"

/*
 * Reads what the engine calls a container, out of the files that it keeps in the guest, from the
 * guest's memory. It is the guest's own word: its root may write anything there.
 *
 * @task is a process of the container with the mount name space @mnt_ns (its sequence number); it
 * may be stale or 0, then one is looked for. Takes well under a millisecond in general, but reads
 * up to a few MiB: for once per container, not once per event.
 *
 * Returns 0 when there is no more to know: also for an engine that keeps no such files. -ENODATA
 * when files are not there, or not in memory: at a container's start it is worth while to ask again.
 * In both cases *@ret has what is known, and "" for all else. No other errors.
 */
int container_words_read(struct container_words *ret, const struct caches *caches,
			 const struct container_name *name, uint64_t task, uint64_t mnt_ns);

/*
 * The pod's uid, from a cgroup path as the kubelet makes it: "/kubepods.slice/kubepods-podUID.slice/
 * cri-containerd-ID.scope", "/kubepods/besteffort/podUID/ID". False when it is no pod's. Pure.
 */
bool container_words_pod(char *uid, size_t size, const char *cgroup_path);

#endif
