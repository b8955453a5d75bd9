// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From what a view resolved to watches: the step at which "paths at policy time" become "identities at run
 * time".
 */
#include "session/enter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "introspect/keeper.h"
#include "introspect/runtime.h"
#include "session/guest.h"
#include "session/layers.h"
#include "session/sweep.h"
#include "session/tell.h"
#include "session/verify.h"
#include "util/clock.h"
#include "util/log.h"

#define ATTACH_NS 15000000000ULL /* three sweeps: until then those that ran are found */
#define MAX_FAILED 5 /* tries to resolve a container again */

/*
 * By its cgroup; where that does not tell, by what its runtime or its keeper says. Without any of these a pid name space of its
 * own tells a container from a confined service.
 */
static bool name_container(const struct session *session, struct container_name *ret,
			   const struct kernel_task *task, const char *cgroup_path)
{
	uint64_t mnt_ns = task->mnt_ns_sequence;

	if (container_from_cgroup(ret, cgroup_path))
		return true;
	if (task->pid_ns_inum == session->guest_pid_ns)
		return false;
	if (session->caches && (runtime_container(ret, session->caches, cgroup_path) ||
				keeper_container(ret, session->caches, task->address, mnt_ns)))
		return true;
	*ret = (struct container_name){ 0 };
	snprintf(ret->id, sizeof(ret->id), "mnt-%llu", (unsigned long long)mnt_ns);
	return true;
}

/* A guest can make mount name spaces as fast as it likes. */
static void tell_no_room(struct session *session)
{
	if (session->trouble.code == -E2BIG)
		return;
	error_set(&session->trouble, -E2BIG,
		  "the guest has %zu containers, and more are not guarded; delete some",
		  session->containers.n);
	tell_notice(session, "container-unguarded", POLICY_SEVERITY_CRITICAL, NULL, "%s",
		    session->trouble.message);
}

/* A container that was started without one of its own shares the guest's: who is in that comes from no container. */
static uint64_t own_cgroup(const struct kernel_task *task, const char *cgroup_path)
{
	struct container_name name;

	return container_from_cgroup(&name, cgroup_path) ? task->cgroup : 0;
}

struct container *enter_container(struct session *session, const struct kernel_task *task,
				  const char *cgroup_path)
{
	uint64_t mnt_ns = task->mnt_ns_sequence;
	struct container *container = containers_find(&session->containers, mnt_ns);
	struct container_name name = { 0 };

	if (container || !mnt_ns || mnt_ns == session->guest_mnt_ns)
		return container;
	if (!name_container(session, &name, task, cgroup_path))
		return NULL;
	container = containers_add(&session->containers, mnt_ns);
	if (!container) {
		tell_no_room(session);
		return NULL;
	}
	container->name = name;
	container->cgroup = own_cgroup(task, cgroup_path);
	container->seen_ns = container->found_ns = clock_ns(CLOCK_MONOTONIC);
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

/* Failures to enter are kept for status, and told: a gap is never silent. */
static void tell_gap(const struct entering *entering)
{
	if (entering->container->lost)
		return;
	entering->container->lost = true;
	tell_notice(entering->session,
		    entering->session->trouble.code == -ENOSPC ? "cache-full"
							       : "container-unguarded",
		    POLICY_SEVERITY_CRITICAL, entering->container,
		    "container %s is not guarded in full: %s", entering->container->name.id,
		    entering->session->trouble.message);
}

/* The guard looks for bases only on super blocks that have some, and asks us before one goes. */
static void enter_mark(struct entering *entering, uint64_t super, const struct watch *of)
{
	struct session *session = entering->session;
	struct watch mark = {
		.kind = WATCH_MARK,
		.key = super | GUARD_KEY_SUPER,
		.super = super,
		.where = entering->where,
		.container = entering->container,
		.plan = session->plan,
		.levels = of ? watch_levels(of) : 0,
		.read_levels = of ? watch_read_levels(of) : 0,
	};

	if (watches_add(session->watches, &mark, &session->trouble) < 0)
		tell_gap(entering);
}

int enter_watch(struct entering *entering, const struct watch *watch)
{
	struct session *session = entering->session;
	int added = watches_add(session->watches, watch, &session->trouble);

	entering->container->n_entries += added > 0;
	if (added < 0)
		tell_gap(entering);
	else
		enter_mark(entering, watch->super, watch);
	return added;
}

struct watch enter_start_watch(const struct entering *entering, const struct plan_item *item,
			       enum watch_kind kind, uint32_t operations)
{
	const struct container *container = entering->container;
	const struct policy_rule *rule = &entering->session->plan->policy->rules[item->rule];

	return (struct watch){
		.kind = kind,
		.where = entering->where,
		.container = entering->container,
		.plan = entering->session->plan,
		.item = item,
		.operations = rule->operations & operations,
		.selected = true,
		.undecided = rule->containers.n_hostnames && !container->hostname[0],
		.exceptions = entering->exceptions[item->rule],
	};
}

void enter_place_watch(struct entering *entering, struct watch *watch,
		       const struct guard_identity *identity)
{
	watch->super = identity->super;
	watch->generation = identity->generation;
	watch->ino = identity->ino;
	watch->key = identity->super | (watch->pattern ? GUARD_KEY_BASE : GUARD_KEY_FILE);
	if (watch->kind == WATCH_MOUNT) {
		watch->key = GUARD_MOUNT_KEY(watch->container->mnt_ns);
		watch->ino = GUARD_MOUNT_INO(identity->super, identity->ino);
	}
	enter_watch(entering, watch);
}

/* Below a base something is mounted: what is left of the pattern hangs from there. */
static void place_on_mount(struct entering *entering, const struct watch *base,
			   const struct mounted *mount)
{
	const struct kernel *kernel = entering->session->kernel;
	const char *left[PLAN_MAX_LEFT], *below;
	size_t n = strlen(base->base_path), n_left;
	struct kernel_inode inode;
	struct guard_identity identity;
	struct watch watch = *base;
	uint64_t address;

	if (strncmp(mount->path, base->base_path, n) != 0 || mount->path[n] != '/' ||
	    !mount->path[n + 1])
		return;
	below = mount->path + n + 1;
	if (kernel_dentry_inode(kernel, mount->root_dentry, &address) < 0 ||
	    kernel_inode_read(kernel, address, &inode) < 0 || !inode.super || inode.super & 7)
		return; /* gone meanwhile */
	identity = (struct guard_identity){ inode.super, inode.ino, inode.generation, 0 };
	watch.base_path = mount->path;
	if (!S_ISDIR(inode.mode)) {
		watch.pattern = NULL;
		watch.kind = WATCH_FILE;
		if (plan_matches(base->pattern, below))
			enter_place_watch(entering, &watch, &identity);
		return;
	}
	n_left = plan_left_below(base->pattern, below, left);
	for (size_t i = 0; i < n_left; i++) {
		watch.pattern = left[i];
		enter_place_watch(entering, &watch, &identity);
	}
}

static int add_mount(const struct kernel_mount *mount, void *data)
{
	struct mounts *mounts = data;
	struct mounted *list = realloc(mounts->list, (mounts->n + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	mounts->list = list;
	list[mounts->n].root_dentry = mount->root_dentry;
	list[mounts->n].path = strdup(mount->path);
	return list[mounts->n].path ? (mounts->n++, 0) : -ENOMEM;
}

/* What is mounted in the container, read once for all patterns. */
static const struct mounts *mounts_of(struct entering *entering)
{
	struct mounts *mounts = &entering->mounts;
	int r;

	if (mounts->read)
		return mounts;
	mounts->read = true;
	r = kernel_mounts_each(entering->session->kernel, entering->container->task,
			       entering->container->root_dentry, add_mount, mounts);
	if (r < 0)
		log_warning("%s: container %s: cannot read all its mounts (%s); volumes may not be "
			    "covered by patterns",
			    entering->session->name, entering->container->name.id, strerror(-r));
	return mounts;
}

static void free_mounts(struct entering *entering)
{
	for (size_t i = 0; i < entering->mounts.n; i++)
		free(entering->mounts.list[i].path);
	free(entering->mounts.list);
}

static void place_on_mounts(struct entering *entering, const struct watch *base)
{
	const struct mounts *mounts = mounts_of(entering);

	for (size_t i = 0; i < mounts->n; i++)
		place_on_mount(entering, base, &mounts->list[i]);
}

static bool is_usable(const struct guard_resolved *resolved)
{
	return !resolved->error && resolved->file.super && !(resolved->file.super & 7);
}

/* Mounting on what a rule names, or on what stands above it, in the container's own name space. */
static void place_mount(struct entering *entering, const struct plan_item *item, uint32_t operation,
			const struct guard_identity *identity, const char *path)
{
	const struct policy_rule *rule = &entering->session->plan->policy->rules[item->rule];
	struct watch watch = enter_start_watch(entering, item, WATCH_MOUNT, 0);

	if (!(rule->operations & POLICY_MOUNT))
		return;
	watch.operations = operation;
	watch.base_path = (char *)path;
	enter_place_watch(entering, &watch, identity);
}

/* A directory above, or a pattern's base: renamed, it would take the file along. */
static void place_above(struct entering *entering, const struct plan_item *item, uint32_t name)
{
	const struct guard_resolved *resolved = &entering->view->resolved[name];
	struct watch watch = enter_start_watch(entering, item, WATCH_ABOVE, POLICY_RENAME);

	if (!is_usable(resolved) || !S_ISDIR(resolved->mode))
		return;
	watch.base_path = entering->session->plan->names[name].path;
	place_mount(entering, item, GUARD_OP_MOUNT_ABOVE, &resolved->file, watch.base_path);
	if (name)
		enter_place_watch(entering, &watch, &resolved->file);
}

static void place_all_above(struct entering *entering, const struct plan_item *item, uint32_t name)
{
	const struct plan *plan = entering->session->plan;

	place_above(entering, item, name);
	while (plan->names[name].parent != name) {
		name = plan->names[name].parent;
		place_above(entering, item, name);
	}
}

static void enter_item(struct entering *entering, const struct plan_item *item)
{
	const struct session *session = entering->session;
	struct watch watch =
		enter_start_watch(entering, item, WATCH_FILE, POLICY_ALL & ~POLICY_MOUNT);
	const struct guard_resolved *resolved;
	uint32_t name;

	if (item->name == PLAN_NO_NAME) {
		guest_enter_pseudo(entering, item);
		return;
	}
	name = plan_locate(session->plan, item, entering->view->resolved, &watch.pattern);
	resolved = &entering->view->resolved[name];
	if (!is_usable(resolved) || (watch.pattern && !S_ISDIR(resolved->mode)))
		return;
	if (!watch.pattern) {
		watch.inode = resolved->inode;
		enter_place_watch(entering, &watch, &resolved->file);
		place_mount(entering, item, GUARD_OP_MOUNT, &resolved->file, item->path);
		place_all_above(entering, item, session->plan->names[name].parent);
		return;
	}
	watch.kind = WATCH_NAME;
	watch.operations = session->plan->policy->rules[item->rule].operations;
	watch.base_path = name ? session->plan->names[name].path : (char *)"";
	enter_place_watch(entering, &watch, &resolved->file);
	place_on_mounts(entering, &watch);
	place_all_above(entering, item, name);
}

bool enter_is_selected(const struct entering *entering, const struct plan_item *item)
{
	const struct container *container = entering->container;
	const struct policy_rule *rule = &entering->session->plan->policy->rules[item->rule];

	if (rule->guest || container->is_guest)
		return rule->guest && container->is_guest;
	return policy_selects(&rule->containers, container->name.id, container->name.engine,
			      container->hostname[0] ? container->hostname : NULL);
}

static bool make_exceptions(struct entering *entering)
{
	const struct plan *plan = entering->session->plan;

	entering->exceptions = calloc(plan->policy->n_rules, sizeof(*entering->exceptions));
	for (uint32_t i = 0; entering->exceptions && i < plan->policy->n_rules; i++) {
		if (exceptions_new(&entering->exceptions[i], plan, i, entering->view->resolved) < 0)
			return false;
	}
	return entering->exceptions;
}

static void free_exceptions(struct entering *entering)
{
	for (size_t i = 0; entering->exceptions && i < entering->session->plan->policy->n_rules;
	     i++)
		exceptions_unref(entering->exceptions[i]);
	free(entering->exceptions);
}

/* The mount name space is known from now on: its mounts are judged, and entering another root in it starts no container. */
static void enter_space(struct entering *entering)
{
	const struct watch space = {
		.kind = WATCH_SPACE,
		.key = GUARD_SPACE_KEY(entering->container->mnt_ns),
		.super = entering->container->root_super,
		.where = entering->where,
		.container = entering->container,
		.plan = entering->session->plan,
		.refuses = entering->container->lost &&
			   entering->session->policy->refuse_unresolved &&
			   entering->record->cause != GUARD_VIEW_ERRAND,
	};

	struct watch cgroup = space;

	enter_watch(entering, &space);
	/* A process that enters another's mount name space stays in its cgroup. */
	cgroup.kind = WATCH_CREDS;
	cgroup.key = GUARD_CGROUP_KEY(entering->container->cgroup);
	cgroup.refuses = false;
	if (entering->container->cgroup)
		enter_watch(entering, &cgroup);
}

static uint64_t super_of_mount(const struct kernel *kernel, const struct mounted *mount)
{
	struct kernel_inode inode;
	uint64_t address;

	if (kernel_dentry_inode(kernel, mount->root_dentry, &address) < 0 ||
	    kernel_inode_read(kernel, address, &inode) < 0 || inode.super & 7)
		return 0; /* gone meanwhile */
	return inode.super;
}

/*
 * An overlay goes with its container, and so tells us that it has gone. A root that is a directory of a file system does
 * not: there /dev and /proc do, which runtimes mount for each container anew. The guest waits until we know, so that who
 * waits for the container's last process may delete its files.
 */
static void enter_ends(struct entering *entering)
{
	static const char *const paths[CONTAINER_ENDS] = { "/dev", "/proc" };
	const struct kernel *kernel = entering->session->kernel;
	struct container *container = entering->container;
	const struct mounts *mounts;
	struct kernel_super root;

	if (kernel_super_read(kernel, container->root_super, &root) == 0 &&
	    strcmp(root.type, "overlay") == 0)
		return;
	mounts = mounts_of(entering);
	for (size_t i = 0; i < mounts->n * CONTAINER_ENDS; i++) {
		const struct mounted *mount = &mounts->list[i / CONTAINER_ENDS];
		uint64_t *end = &container->ends[i % CONTAINER_ENDS];

		if (strcmp(mount->path, paths[i % CONTAINER_ENDS]) != 0)
			continue;
		*end = super_of_mount(kernel, mount);
		if (*end)
			enter_mark(entering, *end, NULL);
	}
}

static void enter_root(struct entering *entering)
{
	struct container *container = entering->container;

	entering->first = !container->root_super;
	if (!entering->first)
		return;
	/* Once: a container that pivots away from its root cannot make us forget it. */
	container->root_super = entering->record->root_super;
	container->root_dentry = container->found_root = entering->record->root_dentry;
}

/* Another mount name space in a container that is guarded already: made by a process in it. */
static bool has_guarded_root(const struct session *session, const struct container *container)
{
	for (const struct container *c = session->containers.first; c; c = c->next) {
		if (c != container && c->resolved && c->root_super == container->root_super &&
		    c->root_dentry == container->root_dentry)
			return true;
	}
	return false;
}

/* Not one that ran when we came: one that started without us. */
static void tell_ran_unguarded(const struct entering *entering)
{
	struct session *session = entering->session;
	struct container *container = entering->container;

	if (!entering->first || container->before_start || container->is_guest ||
	    container->found_ns < session->attached_ns + ATTACH_NS ||
	    has_guarded_root(session, container))
		return;
	container->ran_unguarded = true;
	tell_notice(session, "container-unguarded", POLICY_SEVERITY_HIGH, container,
		    "container %s ran unguarded from its start until now: the guard did not see "
		    "it enter its root, or the host was away",
		    container->name.id);
}

/* The guard waits so long and no longer: has the process that started the container gone on without us? */
static void check_start(struct entering *entering)
{
	const struct guard_view_record *record = entering->record;
	struct container *container = entering->container;
	bool starts = record->cause == GUARD_VIEW_PIVOT || record->cause == GUARD_VIEW_CHROOT;
	struct kernel_task task;

	if (!container->starting)
		return;
	container->starting = 0;
	if (!starts || kernel_task_read(entering->session->kernel, record->task, &task) < 0 ||
	    task.root_dentry == record->root_dentry)
		container->before_start = false;
}

static void finish(struct entering *entering, uint64_t start)
{
	struct session *session = entering->session;
	struct container *container = entering->container;

	if (watches_align(session->watches, &session->trouble) < 0)
		tell_gap(entering);
	if (container->is_guest) {
		guest_enter_rest(entering);
	} else {
		enter_space(entering);
		enter_ends(entering);
	}
	watches_align(session->watches, NULL);
	check_start(entering);
	tell_ran_unguarded(entering);
	container->resolved = true;
	container->wanted = false;
	container->n_failed = 0;
	container->took_us = (clock_ns(CLOCK_MONOTONIC) - start) / 1000;
	log_debug("%s: container %s (%s): %u entries made %s, %llu us", session->name,
		  container->name.id, container->name.engine, container->n_entries,
		  container->before_start ? "before its start" : "while it ran",
		  (unsigned long long)container->took_us);
}

static void count_entries(const struct entering *entering)
{
	struct container *container = entering->container;
	bool before = container->before_start && (entering->record->cause == GUARD_VIEW_PIVOT ||
						  entering->record->cause == GUARD_VIEW_CHROOT);

	if (before)
		container->n_before = container->n_entries;
	container->n_lazy = container->n_entries - container->n_before;
	container->n_trips_before += before;
	container->n_trips_after += !before && entering->record->cause == GUARD_VIEW_LAZY;
}

static void enter_all(struct entering *entering)
{
	struct session *session = entering->session;
	struct container *container = entering->container;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);

	enter_root(entering);
	container->lost = false;
	if (container->plan != session->plan)
		container->n_entries = container->n_before = container->n_followed =
			container->n_unproved = 0;
	container->plan = session->plan;
	if (make_exceptions(entering)) {
		for (size_t i = 0; i < session->plan->n_items; i++) {
			if (enter_is_selected(entering, &session->plan->items[i]))
				enter_item(entering, &session->plan->items[i]);
		}
		if (!container->is_guest)
			layers_enter(entering);
	} else {
		error_set(&session->trouble, -ENOMEM, "out of memory");
		tell_gap(entering);
	}
	watches_refresh_exceptions(session->watches, container);
	finish(entering, start);
	count_entries(entering);
	free_exceptions(entering);
	free_mounts(entering);
}

/* `cache: lazy`: only the root is watched, and whatever is opened there first has the view resolved. */
static void enter_lazily(struct entering *entering)
{
	const struct kernel *kernel = entering->session->kernel;
	struct container *container = entering->container;
	uint64_t start = clock_ns(CLOCK_MONOTONIC), address;
	struct kernel_inode inode;
	struct watch lazy = {
		.kind = WATCH_LAZY,
		.where = entering->where,
		.container = container,
		.plan = entering->session->plan,
		.pattern = "**",
		.base_path = (char *)"",
	};

	enter_root(entering);
	if (kernel_dentry_inode(kernel, container->root_dentry, &address) == 0 &&
	    kernel_inode_read(kernel, address, &inode) == 0 && inode.super && !(inode.super & 7)) {
		const struct guard_identity root = { inode.super, inode.ino, inode.generation, 0 };

		enter_place_watch(entering, &lazy, &root);
	}
	container->n_entries = 0;
	finish(entering, start);
	container->n_trips_before++;
}

/*
 * An errand names a process by its number, which may meanwhile be another's, or not yet have its own root. The root
 * that was resolved has to be the one that the process has.
 */
static bool is_root_of(const struct session *session, const struct errand *errand,
		       uint64_t root_dentry)
{
	struct kernel_task task;

	return (root_dentry != session->guest_root || errand->mnt_ns == session->guest_mnt_ns) &&
	       kernel_task_read(session->kernel, errand->task, &task) == 0 &&
	       task.mnt_ns_sequence == errand->mnt_ns && task.root_dentry == root_dentry;
}

/*
 * Who enters a new root, and in which cgroup, is read from the guest's kernel, not from the record: the mailbox is
 * guest root's to forge. The task stands still meanwhile, waiting for us. A container that is there already is not
 * starting: whoever enters another root in it does not change what it is.
 */
static struct container *container_of_start(struct session *session, uint64_t address)
{
	struct container *container;
	struct kernel_task task;
	char cgroup_path[512];

	if (kernel_task_read(session->kernel, address, &task) < 0 ||
	    kernel_cgroup_path(session->kernel, address, cgroup_path, sizeof(cgroup_path)) < 0)
		return NULL;
	container = containers_find(&session->containers, task.mnt_ns_sequence);
	if (container)
		return container->starting == address ? container : NULL;
	if (!verify_thread(session, address))
		return NULL;
	container = enter_container(session, &task, cgroup_path);
	if (container) {
		container->before_start = true;
		container->starting = container->task = address;
		container->pid = task.tgid;
	}
	return container;
}

/* Of several that are the first at the same time one is enough. */
static bool waits_for_use(const struct container *container)
{
	for (const struct watch *w = container->watches; w; w = w->next_own) {
		if (w->kind == WATCH_LAZY)
			return true;
	}
	return false;
}

/* A process in a container that was entered lazily uses a file. */
static struct container *container_of_use(struct session *session,
					  const struct guard_view_record *record)
{
	struct container *container;
	struct kernel_task task;

	if (kernel_task_read(session->kernel, record->task, &task) < 0)
		return NULL;
	container = containers_find(&session->containers, task.mnt_ns_sequence);
	if (!container || !waits_for_use(container) || task.root_dentry != container->root_dentry ||
	    task.root_dentry != record->root_dentry)
		return NULL;
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
	if (container->is_guest) {
		container->wanted = true;
		return;
	}
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

/* Records of a view can be lost, or be more at a time than are kept. What only the guest needs is not asked for in every view. */
static bool is_complete(const struct entering *entering)
{
	const struct view *view = entering->view;

	for (size_t i = 0; i < view->n; i++) {
		if (view->resolved[i].error == -ENODATA &&
		    (entering->container->is_guest ||
		     entering->session->plan->names[i].of_container))
			return false;
	}
	return true;
}

/* What is known is entered, and all of it asked for again. */
static void ask_for_rest(struct entering *entering)
{
	error_set(&entering->session->trouble, -ENODATA, "a part of its view was lost");
	tell_gap(entering);
	if (entering->container->n_partial++ < MAX_FAILED)
		sweep_ask_again(entering->session, entering->container);
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
		if (record->cause != GUARD_VIEW_ERRAND && !session->adopting)
			entering.where |= WATCH_LIVE;
	}
	verify_view(&entering, view);
	if (record->last && !record->n_resolved)
		enter_lazily(&entering);
	else
		enter_all(&entering);
	if (record->n_resolved && !is_complete(&entering))
		ask_for_rest(&entering);
	if (record->cause == GUARD_VIEW_LAZY)
		watches_remove_kind(session->watches, container, WATCH_LAZY);
	views_forget(view);
	if (record->cause == GUARD_VIEW_ERRAND)
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

/* Of a process that is there, with its root, that cannot be so. Should it be all the same, the errand is overdue, which is told. */
static bool is_false_error(struct session *session, const struct errand *errand)
{
	struct kernel_task task;

	if (kernel_task_read(session->kernel, errand->task, &task) < 0 ||
	    task.mnt_ns_sequence != errand->mnt_ns || !task.root_dentry || task.tgid != errand->pid)
		return false;
	ring_abused(&session->ring, RING_ABUSE_CLAIMS);
	return true;
}

static void enter_errand(struct session *session, const struct guard_view_record *record)
{
	struct container *container;
	struct errand errand;

	if (!errands_find(&session->errands, record->errand, &errand))
		return;
	container = guest_or_container(session, errand.mnt_ns);
	/* The guest's first process is there before /proc is mounted: then it is asked for again. */
	if (container && !container->is_guest && record->error && is_false_error(session, &errand))
		return;
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
	struct container *container = NULL;

	switch (record->cause) {
	case GUARD_VIEW_ERRAND:
		enter_errand(session, record);
		return;
	case GUARD_VIEW_PIVOT:
	case GUARD_VIEW_CHROOT:
		container = container_of_start(session, record->task);
		break;
	case GUARD_VIEW_LAZY:
		container = container_of_use(session, record);
		break;
	}
	if (container && !is_outdated(session, record, container))
		enter_resolved(session, record, container);
}
