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
	if (!container || --container->n_refs)
		return NULL;
	while (container->layers) {
		struct layer_use *use = container->layers;

		container->layers = use->next;
		free(use);
	}
	free(container);
	return NULL;
}

/* Sequence numbers come one after the other: they need no mixing. */
static struct container **bucket(const struct containers *containers, uint64_t mnt_ns)
{
	return (struct container **)&containers->buckets[mnt_ns % CONTAINERS_BUCKETS];
}

struct container *containers_find(const struct containers *containers, uint64_t mnt_ns)
{
	struct container *c = *bucket(containers, mnt_ns);

	while (c && c->mnt_ns != mnt_ns)
		c = c->next_hashed;
	return c;
}

static void link_in(struct containers *containers, struct container *container)
{
	struct container **head = bucket(containers, container->mnt_ns);

	container->next_hashed = *head;
	*head = container;
	container->at = &containers->first;
	container->next = containers->first;
	if (container->next)
		container->next->at = &container->next;
	containers->first = container;
}

struct container *container_new(uint64_t mnt_ns)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return NULL;
	container->mnt_ns = mnt_ns;
	container->n_refs = 1;
	return container;
}

struct container *containers_add(struct containers *containers, uint64_t mnt_ns)
{
	struct container *container = containers->n < CONTAINERS_MAX ? container_new(mnt_ns) : NULL;

	if (!container)
		return NULL;
	link_in(containers, container);
	containers->n++;
	containers->hostnames_next_ns = 0;
	return container;
}

static void link_out(struct containers *containers, struct container *container)
{
	struct container **at = bucket(containers, container->mnt_ns);

	while (*at != container)
		at = &(*at)->next_hashed;
	*at = container->next_hashed;
	*container->at = container->next;
	if (container->next)
		container->next->at = container->at;
	container->at = NULL;
}

void containers_remove(struct containers *containers, struct container *container)
{
	if (!container->at)
		return;
	link_out(containers, container);
	containers->n--;
	container_unref(container);
}

void containers_clear(struct containers *containers)
{
	while (containers->first)
		containers_remove(containers, containers->first);
}
