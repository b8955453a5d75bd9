// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspect/supers.h"
#include "util/clock.h"

/* Documentation/admin-guide/devices.txt */
static const struct {
	uint32_t major, minor;
	enum guard_attempt attempt;
} devices[] = {
	{ 10, 196, GUARD_ATTEMPT_VFIO }, /* /dev/vfio/vfio */
	{ 10, 236, GUARD_ATTEMPT_DEVICE_MAPPER }, /* /dev/mapper/control */
	{ 10, 237, GUARD_ATTEMPT_LOOP }, /* /dev/loop-control */
};

int guest_new(struct session *session, struct error *err)
{
	session->guest = container_new(session->guest_mnt_ns);
	if (!session->guest)
		return error_set(err, -ENOMEM, "out of memory");
	session->guest->is_guest = true;
	session->guest->wanted = true;
	session->guest->found_ns = clock_ns(CLOCK_MONOTONIC);
	session->guest->task = session->guest_task;
	session->guest->pid = 1;
	snprintf(session->guest->name.id, sizeof(session->guest->name.id), "guest");
	return 0;
}

struct container *guest_or_container(const struct session *session, uint64_t mnt_ns)
{
	if (session->guest && mnt_ns == session->guest->mnt_ns)
		return session->guest;
	return containers_find(&session->containers, mnt_ns);
}

static bool has_files(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_items; i++) {
		if (plan->policy->rules[plan->items[i].rule].guest)
			return true;
	}
	return false;
}

void guest_ask(struct session *session)
{
	struct container *guest = session->guest;

	if (!guest->wanted || !has_files(session->plan))
		return;
	guest->task = session->guest_task;
	if (errands_add(&session->errands, guest->pid, guest->task, guest->mnt_ns) == 0)
		guest->wanted = false;
}

static void add(struct entering *entering, const struct watch *watch)
{
	watches_add(entering->session->watches, watch, &entering->session->trouble);
}

static struct watch start_device(const struct entering *entering, bool block, uint32_t device,
				 enum guard_attempt attempt)
{
	return (struct watch){
		.kind = WATCH_DEVICE,
		.key = GUARD_DEVICE_KEY((uint64_t)block, device),
		.where = entering->where,
		.container = entering->container,
		.plan = entering->session->plan,
		.operations = 1u << attempt,
	};
}

/* Disks with a mounted file system: the file system's own device, and the whole disk that it is a part of. */
static int enter_disk(uint32_t device, void *data)
{
	struct entering *entering = data;
	struct watch watch = start_device(entering, true, device, GUARD_ATTEMPT_BLOCK_WRITE);

	add(entering, &watch);
	return 0;
}

void guest_enter_rest(struct entering *entering)
{
	for (size_t i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
		struct watch watch = start_device(entering, false,
						  devices[i].major << 20 | devices[i].minor,
						  devices[i].attempt);

		add(entering, &watch);
	}
	kernel_disks_each(entering->session->kernel, enter_disk, entering);
}

void guest_enter_pseudo(struct entering *entering, const struct plan_item *item)
{
	struct watch watch = enter_start_watch(entering, item, WATCH_NAME, POLICY_WRITE);
	uint64_t magics[2];
	const char *prefix;
	unsigned int n = policy_path_pseudo(item->path, magics, &prefix);
	char base_path[32];

	snprintf(base_path, sizeof(base_path), "%s", prefix);
	watch.base_path = base_path;
	watch.pattern = item->path + strlen(prefix) + 1;
	for (unsigned int i = 0; i < n; i++) {
		watch.key = GUARD_PSEUDO_SUPER(magics[i]) | GUARD_KEY_BASE;
		add(entering, &watch);
	}
}

void guest_publish(const struct session *session)
{
	const struct policy_integrity *integrity = &session->plan->policy->integrity;
	struct guard_vault *vault = session_vault(session);

	for (unsigned int i = 0; i < 2; i++) {
		__atomic_store_n(&vault->attempts_deny[i], integrity->deny[i], __ATOMIC_RELAXED);
		__atomic_store_n(&vault->attempts_report[i], integrity->report[i],
				 __ATOMIC_RELAXED);
	}
}
