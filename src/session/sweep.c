// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/sweep.h"

#include <errno.h>
#include <stdio.h>

#include "session/enter.h"
#include "session/guest.h"
#include "util/log.h"

#define SWEEP_NS 5000000000ULL
#define SWEEP_AGAIN_NS 20000000ULL
#define HOSTNAME_NS \
	30000000000ULL /* a container that has kept the guest's name so long may keep it */
#define HOSTNAME_SHARE 16 /* ... and is looked at again when its age has grown by this part */
#define MAX_LOOKS 5
#define MAX_ANCESTORS 16
#define MISSED_SWEEPS \
	2 /* a runtime may be between two processes; and policies may come faster than it */

static int find_first(const struct kernel_task *task, void *data)
{
	struct session *session = data;

	if (task->tgid != 1)
		return 0;
	session->guest_root = task->root_dentry;
	session->guest_task = task->address;
	session->guest_mnt_ns = task->mnt_ns_sequence;
	session->guest_pid_ns = task->pid_ns_inum;
	session->guest_uts_ns = task->uts_ns_inum;
	snprintf(session->guest_hostname, sizeof(session->guest_hostname), "%s", task->hostname);
	return 1;
}

int sweep_guest(struct session *session, struct error *err)
{
	int r = kernel_tasks_each(session->kernel, false, find_first, session);

	if (r < 0)
		return error_set(err, r, "cannot walk the guest's processes");
	if (r == 0 || !session->guest_mnt_ns)
		return error_set(err, -EAGAIN,
				 "the guest has no first process yet (still booting?)");
	return 0;
}

/* The container that its nearest ancestor is in; if it was sent in from outside, that of its pid name space's first process. */
static const struct container *container_around(const struct session *session,
						const struct kernel_task *task)
{
	const struct container *container = NULL;
	struct kernel_task other = *task;

	for (unsigned int n = 0; n < MAX_ANCESTORS && !container; n++) {
		if (kernel_task_read(session->kernel, other.parent, &other) < 0 ||
		    other.mnt_ns_sequence == session->guest_mnt_ns)
			break;
		container = containers_find(&session->containers, other.mnt_ns_sequence);
	}
	if (!container && kernel_task_read(session->kernel, task->reaper, &other) == 0)
		container = containers_find(&session->containers, other.mnt_ns_sequence);
	return container;
}

/*
 * Has a process of a container made itself a mount name space, and still has that container's root? Its paths are the container's own:
 * a runtime in it, that is making a container there, is one of these until it enters its root.
 */
static bool is_within_container(const struct session *session, const struct kernel_task *task)
{
	const struct container *container = container_around(session, task);

	return container && container->found_root == task->root_dentry;
}

static struct container *find_new(struct session *session, const struct kernel_task *task)
{
	struct container *container;
	char cgroup_path[512];

	if (is_within_container(session, task) ||
	    kernel_cgroup_path(session->kernel, task->address, cgroup_path, sizeof(cgroup_path)) <
		    0)
		return NULL;
	container = enter_container(session, task, cgroup_path);
	if (!container)
		return NULL;
	container->found_root = task->root_dentry;
	container->wanted = true;
	container->oldest_ns = UINT64_MAX;
	return container;
}

static int look_at(const struct kernel_task *task, void *data)
{
	struct session *session = data;
	struct container *container;

	if (task->kernel_thread || !task->mnt_ns_sequence ||
	    task->mnt_ns_sequence == session->guest_mnt_ns || !task->root_dentry)
		return 0;
	container = containers_find(&session->containers, task->mnt_ns_sequence);
	if (container)
		container->missed_sweeps =
			0; /* one that starts is there, too, with the guest's root */
	/*
	 * A runtime that is making a container has its name spaces before it has its root: as long as its root
	 * is the guest's, its paths are the guest's own.
	 */
	if (task->root_dentry == session->guest_root) {
		if (container)
			container->outside = true;
		return 0;
	}
	if (!container)
		container = find_new(session, task);
	if (!container)
		return 0;
	/* The oldest stays longest. One that has left the root by chroot cannot speak for the container. */
	if ((!container->root_dentry || container->root_dentry == task->root_dentry) &&
	    task->start_ns < container->oldest_ns) {
		container->oldest_ns = task->start_ns;
		container->task = task->address;
		container->pid = task->tgid;
	}
	enter_hostname(session, container, task->uts_ns_inum, task->hostname);
	return 0;
}

void sweep_remove(struct session *session, struct container *container)
{
	log_debug("%s: container %s is gone", session->name, container->name.id);
	session->containers.freed += container->n_entries;
	watches_remove_container(session->watches, container);
	containers_remove(&session->containers, container);
}

static int is_member(const struct kernel_task *task, void *data)
{
	return task->mnt_ns_sequence == *(const uint64_t *)data;
}

/* A process that exits has left its name spaces before they go. */
static bool has_ended(const struct session *session, const struct container *container,
		      uint64_t super)
{
	uint64_t mnt_ns = container->mnt_ns;
	bool is_end = false;
	int r = -EAGAIN;

	if (container->root_super == super)
		return true;
	for (size_t i = 0; i < CONTAINER_ENDS; i++)
		is_end = is_end || container->ends[i] == super;
	/* The list may move under us; if it does too often, a sweep will find that the container has gone. */
	for (unsigned int n = 0; is_end && n < MAX_LOOKS && r < 0; n++)
		r = kernel_tasks_each(session->kernel, false, is_member, &mnt_ns);
	return r == 0;
}

void sweep_super(struct session *session, uint64_t super)
{
	struct kernel_super read;
	struct container *next;

	/* The mailbox is the guest's to forge, the super block is not (short of kernel code): is it going? */
	if (kernel_super_read(session->kernel, super, &read) == 0 && read.active) {
		session->ring.abused++;
		return;
	}
	watches_remove_super(session->watches, super);
	for (struct container *c = session->containers.first; c; c = next) {
		next = c->next;
		if (has_ended(session, c, super))
			sweep_remove(session, c);
	}
}

/* Whether it is known now. If not, it is looked for again when it is a little older. */
static bool look_for_hostname(struct session *session, struct container *container, uint64_t now)
{
	if (now < container->hostname_next_ns)
		return false;
	container->hostname_next_ns = now + (now - container->found_ns) / HOSTNAME_SHARE;
	if (!enter_hostname_known(session, container))
		return false;
	watches_settle(session->watches, container, container->hostname, true);
	return true;
}

void sweep_hostnames(struct session *session, uint64_t now)
{
	struct containers *containers = &session->containers;

	if (now < containers->hostnames_next_ns)
		return;
	containers->hostnames_next_ns = UINT64_MAX;
	for (struct container *c = containers->first; c; c = c->next) {
		if (c->hostname[0] || now - c->found_ns > HOSTNAME_NS ||
		    look_for_hostname(session, c, now))
			continue;
		if (c->hostname_next_ns < containers->hostnames_next_ns)
			containers->hostnames_next_ns = c->hostname_next_ns;
	}
}

/* Those that were not entered in full are asked for again when others have gone: as many as may fit in their place. */
static void ask_lost(struct session *session)
{
	size_t freed = session->containers.freed;

	session->containers.freed = 0;
	for (struct container *c = session->containers.first; c && freed; c = c->next) {
		if (!c->lost || !c->root_dentry)
			continue;
		c->wanted = true;
		freed -= freed < c->n_entries ? freed : c->n_entries;
	}
}

/*
 * Has it shown its root already, by the policy before this one, and is about to enter it? Then this one is not in force before it has
 * shown it again; but for ever nobody is waited for.
 */
static bool is_awaited(struct container *container, uint64_t now)
{
	if (!container->wanted || !container->outside) {
		container->outside_ns = 0;
		return false;
	}
	if (!container->outside_ns)
		container->outside_ns = now;
	return now - container->outside_ns < ERRANDS_PATIENCE_NS;
}

void sweep_containers(struct session *session, uint64_t now)
{
	struct container *next;

	for (struct container *c = session->containers.first; c; c = c->next) {
		c->missed_sweeps++;
		c->oldest_ns = UINT64_MAX;
		c->outside = false;
	}
	kernel_tasks_each(session->kernel, false, find_first, session);
	/* The list may move under us. Then what was found is right, but may not be all: once more, soon. */
	session->swept = kernel_tasks_each(session->kernel, false, look_at, session) >= 0;
	session->next_sweep_ns = now + (session->swept ? SWEEP_NS : SWEEP_AGAIN_NS);
	if (!session->swept)
		return;
	ask_lost(session);
	guest_ask(session);
	guest_look_at_disks(session);
	for (struct container *c = session->containers.first; c; c = next) {
		next = c->next;
		if (c->wanted && c->oldest_ns != UINT64_MAX &&
		    errands_add(&session->errands, c->pid, c->task, c->mnt_ns) == 0)
			c->wanted = false;
		if (is_awaited(c, now)) {
			session->swept = false;
			session->next_sweep_ns = now + SWEEP_AGAIN_NS;
		}
		if (!c->missed_sweeps)
			c->seen_ns = now;
		if (c->missed_sweeps > MISSED_SWEEPS && now - c->seen_ns >= SWEEP_NS)
			sweep_remove(session, c);
	}
}

void sweep_ask_again(struct session *session, struct container *container)
{
	container->wanted = true;
	session->swept = false;
	session->next_sweep_ns = 0;
}

void sweep_resolve_all(struct session *session)
{
	errands_clear(&session->errands);
	session->swept = false;
	session->next_sweep_ns = 0;
	session->guest->wanted = true;
	for (struct container *c = session->containers.first; c; c = c->next) {
		c->resolved = false;
		c->n_failed = 0;
		c->wanted = true;
	}
}
