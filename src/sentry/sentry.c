// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/sentry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/lsm_list.h"
#include "sentry/anchors.h"
#include "util/cleanup.h"

struct sentry {
	const struct arm *arm;
	const struct profile *profile;
	struct anchors anchors;
	uint64_t generation; /* of the anchors */
};

struct sentry *sentry_free(struct sentry *sentry)
{
	if (!sentry)
		return NULL;
	anchors_clear(&sentry->anchors);
	free(sentry);
	return NULL;
}

DEFINE_CLEANUP(struct sentry *, sentry_free)

static int add_word(struct sentry *sentry, uint64_t va)
{
	const struct space *space = profile_space(sentry->profile);
	uint64_t value;
	uint8_t bytes[sizeof(value)];

	if (space_read_u64(space, va, &value) < 0)
		return -EFAULT;
	memcpy(bytes, &value, sizeof(value));
	return anchors_add(&sentry->anchors, space, va, bytes, sizeof(value));
}

static int visit_link(uint64_t address, void *data)
{
	return add_word(data, address);
}

static int add_hook(struct sentry *sentry, const struct hook *hook)
{
	const struct patch *patches = &sentry->arm->hooks.patch[hook->first];
	int r = 0;

	for (unsigned int i = 0; i < hook->n && r == 0; i++)
		r = anchors_add(&sentry->anchors, profile_space(sentry->profile),
				patches[i].address, patches[i].bytes[PATCH_INSTALLED],
				patches[i].size);
	if (r == 0 && hook->means == HOOK_LSM_LIST)
		r = lsm_list_walk(sentry->profile, lsm_list_head(sentry->profile, hook->name),
				  patches[0].address, visit_link, sentry);
	return r;
}

/* The page-table entries that lead into the window; its own are the last on the way. */
static int add_window(struct sentry *sentry)
{
	const struct window *window = &sentry->arm->window;
	uint64_t page = 0x200000, size = (window->n_vault + window->n_mailbox) * page;
	int r = 0;

	for (uint64_t at = 0; at < size && r == 0; at += page)
		r = anchors_add_path(&sentry->anchors, profile_space(sentry->profile),
				     window->vault + at);
	return r;
}

static int anchor(struct sentry *sentry)
{
	const struct hooks *hooks = &sentry->arm->hooks;
	int r;

	sentry->generation++;
	anchors_clear(&sentry->anchors);
	r = add_window(sentry);
	for (size_t i = 0; i < hooks->n && r == 0; i++)
		r = add_hook(sentry, &hooks->hook[i]);
	return r;
}

static bool hook_holds(const struct sentry *sentry, const struct hook *hook)
{
	const struct patch *patches = &sentry->arm->hooks.patch[hook->first];

	if (!patches_are(patches, hook->n, profile_space(sentry->profile), PATCH_INSTALLED))
		return false;
	return hook->means != HOOK_LSM_LIST ||
	       lsm_list_walk(sentry->profile, lsm_list_head(sentry->profile, hook->name),
			     patches[0].address, NULL, NULL) == 0;
}

/* Looks at everything as arming did. Fills @ret; true when nothing is wrong. */
static bool examine(const struct sentry *sentry, struct sentry_finding *ret)
{
	const struct hooks *hooks = &sentry->arm->hooks;
	size_t n = 0;

	ret->what[0] = '\0';
	if (!window_is_open(&sentry->arm->window, machine_ram(sentry->arm->machine)))
		n += (size_t)snprintf(ret->what, sizeof(ret->what),
				      "the window of vault and mailbox");
	for (size_t i = 0; i < hooks->n && n < sizeof(ret->what); i++) {
		if (!hook_holds(sentry, &hooks->hook[i]))
			n += (size_t)snprintf(ret->what + n, sizeof(ret->what) - n, "%shook %s",
					      n ? ", " : "", hooks->hook[i].name);
	}
	return n == 0;
}

int sentry_new(struct sentry **ret, const struct arm *arm, const struct profile *profile,
	       struct error *err)
{
	_cleanup_(sentry_freep) struct sentry *sentry = calloc(1, sizeof(*sentry));
	int r;

	if (!sentry)
		return error_set(err, -ENOMEM, "out of memory");
	sentry->arm = arm;
	sentry->profile = profile;
	r = anchor(sentry);
	if (r < 0)
		return error_set(err, r, "cannot watch over the guard: %s", strerror(-r));
	*ret = TAKE_PTR(sentry);
	return 0;
}

bool sentry_look(struct sentry *sentry, struct sentry_finding *ret)
{
	if (anchors_hold(&sentry->anchors, machine_ram(sentry->arm->machine)))
		return true;
	if (!examine(sentry, ret))
		return false;
	if (anchor(sentry) == 0)
		return true;
	snprintf(ret->what, sizeof(ret->what), "the page tables that lead to the guard");
	return false;
}

ssize_t sentry_pages(const struct sentry *sentry, uint64_t **ret)
{
	return anchors_pages(&sentry->anchors, ret);
}

uint64_t sentry_generation(const struct sentry *sentry)
{
	return sentry->generation;
}
