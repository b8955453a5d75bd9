// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "introspect/overlay.h"
#include "util/log.h"

/* What is told of the overlay alone. */
#define NOT_BELOW (POLICY_MOUNT | POLICY_COPY_UP)

static struct layer_use *use_of(struct entering *entering, const struct guard_identity *root)
{
	const struct plan *plan = entering->session->plan;
	struct container *container = entering->container;
	uint64_t key = root->super | GUARD_KEY_BASE;
	struct layer_use *use;

	for (use = container->layers; use; use = use->next) {
		if (use->key == key && use->ino == root->ino && use->plan == plan)
			return use;
	}
	use = calloc(1, sizeof(*use) + plan->n_items);
	if (!use)
		return NULL;
	use->key = key;
	use->ino = root->ino;
	use->plan = plan;
	use->n_items = plan->n_items;
	use->next = container->layers;
	container->layers = use;
	return use;
}

static void enter_layer(struct entering *entering, const struct guard_identity *root)
{
	const struct plan *plan = entering->session->plan;
	struct layer_use *use = use_of(entering, root);

	for (size_t i = 0; use && i < plan->n_items; i++) {
		struct watch watch = enter_start_watch(entering, &plan->items[i], WATCH_LAYER,
						       POLICY_ALL & ~NOT_BELOW);

		if (use->items[i] || watch.undecided || !watch.operations ||
		    !enter_is_selected(entering, &plan->items[i]))
			continue;
		watch.pattern = plan->items[i].path + 1;
		watch.base_path = (char *)"";
		use->items[i] = 1;
		enter_place_watch(entering, &watch, root);
	}
}

/* What the guard tells the overlay's own doings below by. */
static void enter_creds(struct entering *entering, const struct kernel_overlay *overlay)
{
	struct watch watch = {
		.kind = WATCH_CREDS,
		.key = overlay->creator_cred | GUARD_KEY_CREDS,
		.super = entering->container->root_super,
		.where = entering->where,
		.container = entering->container,
		.plan = entering->session->plan,
	};

	enter_watch(entering, &watch);
	if (!overlay->work.super || overlay->work.super & 7)
		return;
	watch.key = overlay->work.super | GUARD_KEY_WORK;
	watch.ino = overlay->work.ino;
	watch.generation = overlay->work.generation;
	enter_watch(entering, &watch);
}

/* Is it still the inode that was resolved? */
static bool is_inode(const struct kernel *kernel, const struct guard_resolved *resolved)
{
	struct kernel_inode inode;

	return kernel_inode_read(kernel, resolved->inode, &inode) == 0 &&
	       inode.super == resolved->file.super && inode.ino == resolved->file.ino &&
	       inode.generation == resolved->file.generation;
}

/* @lower: its mappings are its own; those of the upper layer's file are told with the overlay's. */
static void enter_below(struct entering *entering, const struct plan_item *item, uint64_t address,
			bool lower)
{
	/* Not reading: by its identity it is also what another container reads through its own overlay. */
	struct watch watch =
		enter_start_watch(entering, item, WATCH_BELOW, POLICY_MODIFY & ~NOT_BELOW);
	struct kernel_inode inode;

	if (!address || kernel_inode_read(entering->session->kernel, address, &inode) < 0 ||
	    !S_ISREG(inode.mode) || !inode.super || inode.super & 7)
		return;
	watch.inode = lower ? address : 0;
	enter_place_watch(entering, &watch,
			  &(struct guard_identity){ inode.super, inode.ino, inode.generation, 0 });
}

/* A layer's file can be reached by no name, or another: a file handle, a hard link that was there before. */
static void enter_files_below(struct entering *entering)
{
	const struct plan *plan = entering->session->plan;
	const struct kernel *kernel = entering->session->kernel;

	for (size_t i = 0; i < plan->n_items; i++) {
		const struct plan_item *item = &plan->items[i];
		const struct guard_resolved *resolved;
		struct kernel_overlay_inode below;
		struct error err;

		if (strpbrk(item->path, "*?") || !enter_is_selected(entering, item))
			continue;
		resolved = &entering->view->resolved[item->name];
		if (resolved->error || resolved->file.super != entering->container->root_super ||
		    !is_inode(kernel, resolved) ||
		    kernel_overlay_inode_read(kernel, resolved->inode, &below, &err) < 0)
			continue;
		enter_below(entering, item, below.upper, false);
		enter_below(entering, item, below.lower, true);
	}
}

static void enter_layers(struct entering *entering, const struct kernel_overlay *overlay)
{
	enter_creds(entering, overlay);
	for (size_t i = 0; i < overlay->n_layers; i++) {
		const struct kernel_identity *root = &overlay->layers[i].root;
		const struct guard_identity identity = { root->super, root->ino, root->generation,
							 0 };

		if (root->super && !(root->super & 7))
			enter_layer(entering, &identity);
	}
	enter_files_below(entering);
}

void layers_enter(struct entering *entering)
{
	struct container *container = entering->container;
	struct kernel_overlay *overlay = malloc(sizeof(*overlay));
	unsigned int before = container->n_entries;
	struct error err = { 0 };
	int r = -ENOMEM;

	if (overlay)
		r = kernel_overlay_read(entering->session->kernel, container->root_super, overlay,
					&err);
	if (r == 0 && overlay->creator_cred && !(overlay->creator_cred & 7))
		enter_layers(entering, overlay);
	else if (r != -ENOENT) /* another file system: its files are where they are */
		log_warning("%s: container %s: its overlay's layers are not guarded when written "
			    "directly: %s",
			    entering->session->name, container->name.id,
			    err.message[0] ? err.message : "they cannot be read");
	container->n_layer_entries = container->n_entries - before;
	container->n_entries = before;
	free(overlay);
}

void layers_forget_others(struct containers *containers, const struct plan *plan)
{
	for (struct container *c = containers->first; c; c = c->next) {
		struct layer_use **at = &c->layers, *use;

		while ((use = *at)) {
			if (use->plan == plan) {
				at = &use->next;
				continue;
			}
			*at = use->next;
			free(use);
		}
	}
}
