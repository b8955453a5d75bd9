// SPDX-License-Identifier: GPL-2.0-or-later
/* The guard judges opens. What was open before a rule came, it cannot stop: it is told when the rule comes. */
#include <stdio.h>
#include <string.h>

#include "introspect/open_files.h"
#include "introspect/overlay.h"
#include "session/enter.h"
#include "session/tell.h"
#include "util/clock.h"

/* One open file while its watches are looked for. */
struct looking {
	struct session *session;
	const struct kernel_open_file *open;
	uint32_t operations; /* what it was opened for */
	const struct watch *best;
	char path[EVENT_PATH_MAX]; /* as the container sees it */
};

static bool is_better(const struct looking *looking, const struct watch *watch)
{
	return watch->item && watch->selected && watch->operations & looking->operations &&
	       watch->kind != WATCH_ABOVE &&
	       (!looking->best || (watch_denies(watch) && !watch_denies(looking->best)));
}

static void look_at_identity(struct looking *looking)
{
	const struct kernel_inode *inode = &looking->open->inode;
	const struct watch *watch = NULL;

	while ((watch = watches_next(looking->session->watches, inode->super | GUARD_KEY_FILE,
				     inode->ino, watch))) {
		if (watch->generation != inode->generation || !is_better(looking, watch))
			continue;
		looking->best = watch;
		snprintf(looking->path, sizeof(looking->path), "%s",
			 watch->base_path ? watch->base_path : watch->item->path);
	}
}

static int look_at_base(const struct kernel_inode *directory, const char *below, void *data)
{
	struct looking *looking = data;
	const struct watch *watch = NULL;

	while ((watch = watches_next(looking->session->watches, directory->super | GUARD_KEY_BASE,
				     directory->ino, watch))) {
		if (watch->generation != directory->generation || !watch->pattern ||
		    !is_better(looking, watch) || !plan_matches(watch->pattern, below))
			continue;
		looking->best = watch;
		snprintf(looking->path, sizeof(looking->path), "%s/%s",
			 watch->base_path ? watch->base_path : "", below);
	}
	return 0;
}

static void tell_one(const struct looking *looking, uint32_t operation)
{
	const struct kernel_task *task = looking->open->task;
	const struct kernel_inode *inode = &looking->open->inode;
	struct session *session = looking->session;
	const struct policy_rule *rule =
		&looking->best->plan->policy->rules[looking->best->item->rule];
	struct container *container = looking->best->container;
	struct event event = {
		.sequence = session->ring.n_told++,
		.time_ns = clock_ns(CLOCK_REALTIME),
		.vm = session->name,
		.rule = rule->name,
		.message = rule->message,
		.severity = rule->severity,
		.action = rule->action,
		.operation = operation,
		.already_open = true,
		.file = {
			.device_major = inode->device >> 20,
			.device_minor = inode->device & 0xfffff,
			.inode = inode->ino,
			.generation = inode->generation,
			.mode = inode->mode,
			.uid = inode->uid,
			.gid = inode->gid,
			.size = inode->size,
		},
		.process = {
			.pid = task->tgid,
			.tid = task->pid,
			.inner_pid = task->inner_pid,
			.uid = task->cred.uid,
			.gid = task->cred.gid,
			.euid = task->cred.euid,
			.egid = task->cred.egid,
			.start_ns = task->start_ns,
			.in_container = task->mnt_ns_sequence == container->mnt_ns,
		},
	};

	snprintf(event.file.path, sizeof(event.file.path), "%s", looking->path);
	snprintf(event.process.name, sizeof(event.process.name), "%s", task->name);
	tell_container(session, &event.container, container);
	/* First: a daemon that dies here leaves a gap, for the next one tells of all open files anyway. */
	ring_note_told(&session->ring);
	session->n_events++;
	session->sink(&event, session->sink_data);
}

static int look_at(const struct kernel_open_file *open, void *data)
{
	struct looking looking = { .session = data, .open = open };

	if (open->file.mode & KERNEL_FMODE_PATH)
		return 0;
	if (open->file.mode & KERNEL_FMODE_READ)
		looking.operations |= POLICY_READ;
	if (open->file.mode & KERNEL_FMODE_WRITE)
		looking.operations |= POLICY_WRITE;
	look_at_identity(&looking);
	kernel_directories_each(looking.session->kernel, open->file.dentry, look_at_base, &looking);
	if (!looking.best)
		return 0;
	for (uint32_t i = 0; i < POLICY_N_OPERATIONS; i++) {
		if (looking.operations & looking.best->operations & 1u << i)
			tell_one(&looking, 1u << i);
	}
	return 0;
}

/* One shared mapping of a file that is watched by its identity. */
struct mapped {
	struct session *session;
	const struct watch *watch;
	struct kernel_inode inode;
	uint32_t operation;
};

static int look_at_mapping(const struct kernel_mapping *mapping, void *data)
{
	const struct mapped *mapped = data;
	const struct watch *watch = mapped->watch;
	const struct kernel_open_file open = { .task = mapping->task, .inode = mapped->inode };
	struct looking looking = { .session = mapped->session, .open = &open, .best = watch };

	snprintf(looking.path, sizeof(looking.path), "%s",
		 watch->base_path ? watch->base_path : watch->item->path);
	tell_one(&looking, mapped->operation);
	return 0;
}

/* On an overlay, the file in the upper layer is what a mapping maps. */
static void look_at_mappings(struct session *session, const struct watch *watch)
{
	const struct kernel *kernel = session->kernel;
	struct mapped mapped = { .session = session, .watch = watch };
	struct kernel_overlay_inode below;
	struct error err;
	uint64_t inode = watch->inode;

	if (kernel_inode_read(kernel, inode, &mapped.inode) < 0 ||
	    mapped.inode.super != watch->super || mapped.inode.ino != watch->ino ||
	    mapped.inode.generation != watch->generation)
		return; /* not in use, or it would be there still */
	mapped.operation = watch->operations & POLICY_MMAP_WRITE ? POLICY_MMAP_WRITE : POLICY_WRITE;
	if (kernel_overlay_inode_read(kernel, inode, &below, &err) == 0)
		inode = below.upper;
	if (inode)
		kernel_mappings_each(kernel, inode, look_at_mapping, &mapped);
}

static void tell_mappings(struct session *session)
{
	for (struct container *c = session->containers.first; c; c = c->next) {
		for (const struct watch *w = c->watches; w; w = w->next_own) {
			if ((w->kind == WATCH_FILE || w->kind == WATCH_BELOW) && w->inode &&
			    w->selected && w->operations & (POLICY_MMAP_WRITE | POLICY_WRITE))
				look_at_mappings(session, w);
		}
	}
}

void tell_open_files(struct session *session)
{
	tell_mappings(session);
	if (kernel_open_files_each(session->kernel, look_at, session) < 0)
		tell_notice(session, "open-files-unknown", POLICY_SEVERITY_MEDIUM, NULL,
			    "not all files that processes have open could be looked at; what was "
			    "open before the policy is not told in full");
}
