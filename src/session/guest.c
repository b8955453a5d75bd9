// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspect/supers.h"
#include "util/cleanup.h"
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

static void enter_device(struct session *session, unsigned int where, bool block, uint32_t device,
			 enum guard_attempt attempt)
{
	const struct watch watch = {
		.kind = WATCH_DEVICE,
		.key = GUARD_DEVICE_KEY((uint64_t)block, device),
		.where = where,
		.container = session->guest,
		.plan = session->plan,
		.operations = 1u << attempt,
	};

	watches_add(session->watches, &watch, &session->trouble);
}

static void enter_devices(struct session *session, unsigned int where)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		enter_device(session, where, false, devices[i].major << 20 | devices[i].minor,
			     devices[i].attempt);
	for (size_t i = 0; i < session->disks.n; i++)
		enter_device(session, where, true, session->disks.device[i],
			     GUARD_ATTEMPT_BLOCK_WRITE);
}

static int note_disk(uint32_t device, void *data)
{
	struct session *session = data;

	for (size_t i = 0; i < session->disks.n; i++) {
		if (session->disks.device[i] == device)
			return 0;
	}
	if (session->disks.n == SESSION_MAX_DISKS)
		return -ENOSPC;
	session->disks.device[session->disks.n++] = device;
	return 0;
}

/* The file systems' own devices, and the whole disks that they are parts of. False when the list moved: as it was. */
static bool read_disks(struct session *session)
{
	const __typeof__(session->disks) before = session->disks;

	session->disks.n = 0;
	if (kernel_disks_each(session->kernel, note_disk, session) == 0)
		return session->disks.n != before.n ||
		       memcmp(session->disks.device, before.device,
			      before.n * sizeof(*before.device)) != 0;
	session->disks = before;
	return false;
}

void guest_look_at_disks(struct session *session)
{
	unsigned int where = WATCH_LIVE;

	if (!session->guest->resolved || !read_disks(session))
		return;
	if (watches_is_building(session->watches))
		where |= WATCH_BUILDING;
	watches_remove_kind(session->watches, session->guest, WATCH_DEVICE);
	enter_devices(session, where);
	watches_align(session->watches, &session->trouble);
}

void guest_enter_rest(struct entering *entering)
{
	read_disks(entering->session);
	enter_devices(entering->session, entering->where);
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
		watches_add(entering->session->watches, &watch, &entering->session->trouble);
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
