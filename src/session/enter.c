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
#include <time.h>

#include "session/sweep.h"
#include "util/log.h"

/* What one view is entered with. */
struct entering {
	struct session *session;
	struct container *container;
	const struct guard_view_record *record;
	const struct view *view;
	unsigned int where;
	/* for a pattern, the marks of what is mounted below its base */
	const struct watch *base;
	const char *base_path;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct container *enter_container(struct session *session, uint32_t mnt_ns, uint32_t pid_ns,
				  const char *cgroup_path)
{
	struct container *container = containers_find(&session->containers, mnt_ns);
	struct container_name name = { 0 };

	/* Numbers of name spaces are given again at once: another cgroup, another container. */
	if (container && !strcmp(container->cgroup_path, cgroup_path))
		return container;
	if (container)
		sweep_remove(session, container);
	if (!mnt_ns || mnt_ns == session->guest_mnt_ns)
		return NULL;
	if (!container_from_cgroup(&name, cgroup_path)) {
		/* No engine's mark. A pid name space of its own tells a container from a confined service. */
		if (pid_ns == session->guest_pid_ns)
			return NULL;
		snprintf(name.id, sizeof(name.id), "mnt-%u", mnt_ns);
	}
	container = containers_add(&session->containers, mnt_ns);
	if (!container)
		return NULL;
	container->name = name;
	container->found_ns = now_ns();
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
	    task.mnt_ns_inum == container->mnt_ns)
		enter_hostname(session, container, task.uts_ns_inum, task.hostname);
	return container->hostname[0] != '\0';
}

/* Failures to enter are kept for status: a gap is never silent. */
static void add_watch(const struct entering *entering, const struct watch *watch)
{
	struct error *trouble = &entering->session->trouble;

	if (watches_add(entering->session->watches, watch, trouble) < 0) {
		entering->container->lost = true;
		log_error("%s: container %s: %s", entering->session->name,
			  entering->container->name.id, trouble->message);
	}
}

static void mark_super(const struct entering *entering, const struct watch *watch, uint64_t super,
		       uint32_t levels)
{
	struct watch mark = *watch;

	mark.key = super | GUARD_KEY_SUPER;
	mark.ino = 0;
	mark.generation = 0;
	mark.item = NULL;
	mark.pattern = NULL;
	mark.deny = mark.report = 0;
	mark.levels = levels;
	add_watch(entering, &mark);
}

static int mark_mount(const struct kernel_mount *mount, void *data)
{
	const struct entering *entering = data;
	size_t n = strlen(entering->base_path);

	if (n == 1)
		n = 0; /* "/" */
	if (!strncmp(mount->path, entering->base_path, n) && mount->path[n] == '/')
		mark_super(entering, entering->base, mount->super,
			   plan_levels(entering->base->pattern));
	return 0;
}

/* A file on a volume mounted below the base is below the base too. */
static void mark_mounts(struct entering *entering, const struct watch *watch)
{
	uint64_t task = entering->container->task;

	if (!strpbrk(watch->pattern, "*?"))
		return;
	entering->base = watch;
	entering->base_path = watch->plan->names[watch->base_name].path;
	if (kernel_mounts_each(entering->session->kernel, task, entering->record->root_dentry,
			       mark_mount, entering) < 0)
		log_warning("%s: container %s: cannot read its mounts; volumes below %s are not "
			    "covered by patterns",
			    entering->session->name, entering->container->name.id,
			    entering->base_path);
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

	if (!policy_selects(&rule->containers, container->name.id, container->name.engine,
			    container->hostname[0] ? container->hostname : NULL))
		return;
	watch.base_name =
		plan_locate(session->plan, item, entering->view->resolved, &watch.pattern);
	resolved = &entering->view->resolved[watch.base_name];
	if (resolved->error || !resolved->file.super || resolved->file.super & 7)
		return;
	if (watch.pattern && !S_ISDIR(resolved->mode))
		return;
	watch.key = resolved->file.super | (watch.pattern ? GUARD_KEY_BASE : GUARD_KEY_FILE);
	watch.ino = resolved->file.ino;
	watch.generation = resolved->file.generation;
	set_masks(&watch, rule, container);
	add_watch(entering, &watch);
	mark_super(entering, &watch, resolved->file.super,
		   watch.pattern ? plan_levels(watch.pattern) : 0);
	if (watch.pattern)
		mark_mounts(entering, &watch);
	container->n_entries++;
}

static void enter_all(struct entering *entering)
{
	struct session *session = entering->session;
	struct container *container = entering->container;
	uint64_t start = now_ns();

	if (!container->root_super) {
		/* Once: a container that pivots away from its root cannot make us forget it. */
		container->root_super = entering->record->root_super;
		container->root_dentry = entering->record->root_dentry;
	}
	container->lost = false;
	container->n_entries = 0;
	for (size_t i = 0; i < session->plan->n_items; i++)
		enter_item(entering, &session->plan->items[i]);
	container->resolved = true;
	container->took_us = (now_ns() - start) / 1000;
	log_debug("%s: container %s (%s): %u entries made %s, %llu us", session->name,
		  container->name.id, container->name.engine, container->n_entries,
		  container->before_start ? "before its start" : "while it ran",
		  (unsigned long long)container->took_us);
}

/*
 * An errand names a process by its number, which may meanwhile be another's, or not yet have its own root. The root
 * that was resolved has to be the one that the container's process has now.
 */
static bool is_root_of(const struct session *session, const struct container *container,
		       uint64_t root_dentry)
{
	struct kernel_task task;

	return root_dentry != session->guest_root &&
	       kernel_task_read(session->kernel, container->task, &task) == 0 &&
	       task.mnt_ns_inum == container->mnt_ns && task.root_dentry == root_dentry;
}

/* Whose view it is, or NULL when it is nobody's that we know. */
static struct container *container_of_view(struct session *session,
					   const struct guard_view_record *record)
{
	struct container *container;
	char cgroup_path[512];
	struct errand errand;

	if (record->errand) {
		if (!errands_find(&session->errands, record->errand, &errand))
			return NULL;
		return containers_find(&session->containers, errand.mnt_ns);
	}
	ring_text(&session->ring, record->cgroup_path, cgroup_path, sizeof(cgroup_path));
	container = enter_container(session, record->process.mnt_ns, record->process.pid_ns,
				    cgroup_path);
	if (container) {
		container->before_start = true;
		container->task = record->task;
		container->pid = record->process.pid;
	}
	return container;
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

void enter_view(struct session *session)
{
	const struct guard_view_record *record = &session->ring.copy.view;
	struct container *container = container_of_view(session, record);

	if (!container) {
		errands_done(&session->errands, record->errand);
		return;
	}
	if (record->errand &&
	    (record->error || !is_root_of(session, container, record->root_dentry))) {
		/* Gone meanwhile; or else the next sweep finds it again, by another process. */
		errands_done(&session->errands, record->errand);
		sweep_remove(session, container);
		session->swept = false;
		session->next_sweep_ns = 0;
		return;
	}
	if (record->names_sequence != session->names_sequence) {
		/* The policy changed while it was resolved: once more, with the new names. */
		if (record->last) {
			errands_done(&session->errands, record->errand);
			errands_add(&session->errands, container->pid, container->mnt_ns);
		}
		return;
	}
	enter_resolved(session, record, container);
}
