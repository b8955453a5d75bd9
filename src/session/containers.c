// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/containers.h"

#include <stdlib.h>

struct container *container_ref(struct container *container)
{
	container->n_refs++;
	return container;
}

struct container *container_unref(struct container *container)
{
	if (container && --container->n_refs == 0)
		free(container);
	return NULL;
}

struct container *containers_find(const struct containers *containers, uint64_t mnt_ns)
{
	for (struct container *c = containers->first; c; c = c->next) {
		if (c->mnt_ns == mnt_ns)
			return c;
	}
	return NULL;
}

struct container *containers_add(struct containers *containers, uint64_t mnt_ns)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return NULL;
	container->mnt_ns = mnt_ns;
	container->n_refs = 1;
	container->next = containers->first;
	containers->first = container;
	containers->n++;
	return container;
}

void containers_remove(struct containers *containers, struct container *container)
{
	for (struct container **at = &containers->first; *at; at = &(*at)->next) {
		if (*at != container)
			continue;
		*at = container->next;
		containers->n--;
		container_unref(container);
		return;
	}
}

void containers_clear(struct containers *containers)
{
	while (containers->first)
		containers_remove(containers, containers->first);
}
