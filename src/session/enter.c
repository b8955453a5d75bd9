// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what a view resolved to watches: the step at which "paths at policy time" become "identities at run
 * time".
 */
#include "session/enter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "session/sweep.h"
#include "util/clock.h"
#include "util/log.h"

#define MAX_FAILED 5 /* tries to resolve a container again */

/* What one view is entered with. */
struct entering {
	struct session *session;
	struct container *container;
	const struct guard_view_record *record;
	const struct view *view;
	unsigned int where;
	const struct watch
		*base; /* the pattern that is looked at for what is mounted below its base */
};

struct container *enter_container(struct session *session, uint64_t mnt_ns, uint32_t pid_ns,
				  const char *cgroup_path)
{
	struct container *container = containers_find(&session->containers, mnt_ns);
	struct container_name name = { 0 };

	if (container || !mnt_ns || mnt_ns == session->guest_mnt_ns)
		return container;
	if (!container_from_cgroup(&name, cgroup_path)) {
		/* No engine's mark. A pid name space of its own tells a container from a confined service. */
		if (pid_ns == session->guest_pid_ns)
			return NULL;
		snprintf(name.id, sizeof(name.id), "mnt-%llu", (unsigned long long)mnt_ns);
	}
	container = containers_add(&session->containers, mnt_ns);
	if (!container)
		return NULL;
	container->name = name;
	container->found_ns = clock_ns(CLOCK_MONOTONIC);
	snprintf(container->cgroup_path, sizeof(container->cgroup_path), "%s", cgroup_path);
	return container;
}

void enter_hostname(struct session *session, struct container *container, uint32_t uts_ns,
		    const char *hostname)
{
	if (container->hostname[0] || !hostname[0])
		return;
	if (uts_ns != session->guest_uts_ns && !strcmp(hostname, session->guest_hostname))
		return;
	snprintf(container->hostname, sizeof(container->hostname), "%s", hostname);
}

bool enter_hostname_known(struct session *session, struct container *container)
{
	struct kernel_task task;

	if (!container->hostname[0] && container->task &&
	    kernel_task_read(session->kernel, container->task, &task) == 0 &&
	    task.mnt_ns_sequence == container->mnt_ns)
		enter_hostname(session, container, task.uts_ns_inum, task.hostname);
	return container->hostname[0] != '\0';
}

/* Failures to enter are kept for status: a gap is never silent. */
static void tell_gap(const struct entering *entering)
{
	entering->container->lost = true;
	log_error("%s: container %s: %s", entering->session->name, entering->container->name.id,
		  entering->session->trouble.message);
}

static void add_watch(const struct entering *entering, const struct watch *watch)
{
	if (watches_add(entering->session->watches, watch, &entering->session->trouble) < 0)
		tell_gap(entering);
}

/* The guard looks for bases only on super blocks that have some, and asks us before one goes. */
static void mark_super(const struct entering *entering, const struct watch *watch)
{
	struct watch mark = {
		.key = (watch->key & ~7ULL) | GUARD_KEY_SUPER,
		.where = watch->where,
		.container = watch->container,
		.plan = watch->plan,
		.levels = watch->pattern ? plan_levels(watch->pattern) : 0,
	};

	add_watch(entering, &mark);
}

static void place_watch(const struct entering *entering, struct watch *watch,
			const struct guard_identity *identity)
{
	watch->key = identity->super | (watch->pattern ? GUARD_KEY_BASE : GUARD_KEY_FILE);
	watch->ino = identity->ino;
	watch->generation = identity->generation;
	add_watch(entering, watch);
	mark_super(entering, watch);
	entering->container->n_entries++;
}

/* Below a base something is mounted: what is left of the pattern hangs from there. */
static int place_on_mount(const struct kernel_mount *mount, void *data)
{
	const struct entering *entering = data;
	const struct watch *base = entering->base;
	const struct kernel *kernel = entering->session->kernel;
	const char *left[PLAN_MAX_LEFT], *below;
	size_t n = strlen(base->base_path), n_left;
	struct kernel_inode inode;
	struct guard_identity identity;
	struct watch watch = *base;
	uint64_t address;

	if (strncmp(mount->path, base->base_path, n) != 0 || mount->path[n] != '/' ||
	    !mount->path[n + 1])
		return 0;
	below = mount->path + n + 1;
	if (kernel_dentry_inode(kernel, mount->root_dentry, &address) < 0 ||
	    kernel_inode_read(kernel, address, &inode) < 0 || !inode.super || inode.super & 7)
		return 0; /* gone meanwhile */
	identity = (struct guard_identity){ inode.super, inode.ino, inode.generation, 0 };
	watch.base_path = (char *)mount->path;
	if (!S_ISDIR(inode.mode)) {
		watch.pattern = NULL;
		if (plan_matches(base->pattern, below))
			place_watch(entering, &watch, &identity);
		return 0;
	}
	n_left = plan_left_below(base->pattern, below, left);
	for (size_t i = 0; i < n_left; i++) {
		watch.pattern = left[i];
		place_watch(entering, &watch, &identity);
	}
	return 0;
}

static void place_on_mounts(struct entering *entering, const struct watch *base)
{
	if (!strpbrk(base->pattern, "*?"))
		return; /* a plain path below the nearest directory that exists: nothing can be mounted there */
	entering->base = base;
	if (kernel_mounts_each(entering->session->kernel, entering->container->task,
			       entering->record->root_dentry, place_on_mount, entering) < 0)
		log_warning("%s: container %s: cannot read its mounts; volumes below %s are not "
			    "covered by patterns",
			    entering->session->name, entering->container->name.id, base->base_path);
}

static void set_masks(struct watch *watch, const struct policy_rule *rule,
		      const struct container *container)
{
	watch->report = rule->operations;
	watch->deny = rule->action == POLICY_DENY ? rule->operations : 0;
	if (rule->containers.n_hostnames && !container->hostname[0])
		watch->report |= GUARD_OP_ASK;
}

static void enter_item(struct entering *entering, const struct plan_item *item)
{
	struct session *session = entering->session;
	const struct policy_rule *rule = &session->plan->policy->rules[item->rule];
	struct container *container = entering->container;
	struct watch watch = {
		.where = entering->where,
		.container = container,
		.plan = session->plan,
		.item = item,
	};
	const struct guard_resolved *resolved;
	uint32_t name;

	if (!policy_selects(&rule->containers, container->name.id, container->name.engine,
			    container->hostname[0] ? container->hostname : NULL))
		return;
	name = plan_locate(session->plan, item, entering->view->resolved, &watch.pattern);
	resolved = &entering->view->resolved[name];
	if (resolved->error || !resolved->file.super || resolved->file.super & 7)
		return;
	if (watch.pattern && !S_ISDIR(resolved->mode))
		return;
	set_masks(&watch, rule, container);
	if (watch.pattern)
		watch.base_path = name ? session->plan->names[name].path : (char *)"";
	place_watch(entering, &watch, &resolved->file);
	if (watch.pattern)
		place_on_mounts(entering, &watch);
}

static void enter_all(struct entering *entering)
{
	struct session *session = entering->session;
	struct container *container = entering->container;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);

	if (!container->root_super) {
		/* Once: a container that pivots away from its root cannot make us forget it. */
		container->root_super = entering->record->root_super;
		container->root_dentry = entering->record->root_dentry;
	}
	container->lost = false;
	container->n_entries = 0;
	for (size_t i = 0; i < session->plan->n_items; i++)
		enter_item(entering, &session->plan->items[i]);
	if (watches_align(session->watches, &session->trouble) < 0)
		tell_gap(entering);
	container->resolved = true;
	container->n_failed = 0;
	container->took_us = (clock_ns(CLOCK_MONOTONIC) - start) / 1000;
	log_debug("%s: container %s (%s): %u entries made %s, %llu us", session->name,
		  container->name.id, container->name.engine, container->n_entries,
		  container->before_start ? "before its start" : "while it ran",
		  (unsigned long long)container->took_us);
}

/*
 * An errand names a process by its number, which may meanwhile be another's, or not yet have its own root. The root
 * that was resolved has to be the one that the process has.
 */
static bool is_root_of(const struct session *session, const struct errand *errand,
		       uint64_t root_dentry)
{
	struct kernel_task task;

	return root_dentry != session->guest_root &&
	       kernel_task_read(session->kernel, errand->task, &task) == 0 &&
	       task.mnt_ns_sequence == errand->mnt_ns && task.root_dentry == root_dentry;
}

/*
 * Who enters a new root, and in which cgroup, is read from the guest's kernel, not from the record: the mailbox is
 * guest root's to forge. The task stands still meanwhile, waiting for us.
 */
static struct container *container_of_pivot(struct session *session, uint64_t address)
{
	struct container *container;
	struct kernel_task task;
	char cgroup_path[512];

	if (kernel_task_read(session->kernel, address, &task) < 0 ||
	    kernel_cgroup_path(session->kernel, address, cgroup_path, sizeof(cgroup_path)) < 0)
		return NULL;
	container = enter_container(session, task.mnt_ns_sequence, task.pid_ns_inum, cgroup_path);
	if (container && !container->root_dentry) {
		container->before_start = true;
		container->task = address;
		container->pid = task.tgid;
	}
	return container;
}

/*
 * An errand for a container went wrong: the process is gone, or has another root than its container. What was never
 * entered is forgotten, for the next sweep to find; what was is asked for again, by a process with the right root. At
 * once, but not for ever: then at every sweep, and status says that it is lost meanwhile.
 */
static void errand_failed(struct session *session, struct container *container,
			  const struct errand *errand)
{
	log_debug("%s: container %s: process %u did not show its root", session->name,
		  container->name.id, errand->pid);
	if (!container->root_dentry) {
		sweep_remove(session, container);
		session->swept = false;
		session->next_sweep_ns = 0;
		return;
	}
	container->lost = true;
	container->wanted = true;
	if (++container->n_failed < MAX_FAILED)
		sweep_ask_again(session, container);
}

static void enter_resolved(struct session *session, const struct guard_view_record *record,
			   struct container *container)
{
	struct view *view = views_enter(&session->views, record, session->plan->n_names);
	struct entering entering = {
		.session = session,
		.container = container,
		.record = record,
		.view = view,
		.where = WATCH_LIVE,
	};

	if (!view)
		return;
	if (watches_is_building(session->watches)) {
		entering.where = WATCH_BUILDING;
		if (!record->errand && !session->arm.adopted)
			entering.where |= WATCH_LIVE;
	}
	enter_all(&entering);
	views_forget(view);
	if (record->errand)
		errands_done(&session->errands, record->errand);
}

/* The policy changed while it was resolved: once more, with the new names. */
static bool is_outdated(struct session *session, const struct guard_view_record *record,
			struct container *container)
{
	if (record->names_sequence == session->names_sequence)
		return false;
	if (record->last) {
		errands_done(&session->errands, record->errand);
		sweep_ask_again(session, container);
	}
	return true;
}

static void enter_errand(struct session *session, const struct guard_view_record *record)
{
	struct container *container;
	struct errand errand;

	if (!errands_find(&session->errands, record->errand, &errand))
		return;
	container = containers_find(&session->containers, errand.mnt_ns);
	if (!container) {
		errands_done(&session->errands, record->errand);
	} else if (record->error || !is_root_of(session, &errand, record->root_dentry)) {
		errands_done(&session->errands, record->errand);
		errand_failed(session, container, &errand);
	} else if (!is_outdated(session, record, container)) {
		enter_resolved(session, record, container);
	}
}

void enter_view(struct session *session)
{
	const struct guard_view_record *record = &session->ring.copy.view;
	struct container *container;

	if (record->errand) {
		enter_errand(session, record);
		return;
	}
	container = container_of_pivot(session, record->task);
	if (container && !is_outdated(session, record, container))
		enter_resolved(session, record, container);
}
