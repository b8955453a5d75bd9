// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/verify.h"

#include <string.h>

#include "introspect/dcache.h"
#include "util/log.h"

#define ALL_OPERATIONS (((uint32_t)GUARD_OP_MOUNT_ABOVE << 1) - 1)

bool verify_thread(struct session *session, uint64_t task)
{
	if (kernel_is_thread(session->kernel, task))
		return true; /* or the lists move too fast to tell */
	ring_abused(&session->ring, RING_ABUSE_CLAIMS);
	return false;
}

static bool same_identity(const struct kernel_inode *inode, const struct guard_identity *identity)
{
	return inode->super == identity->super && inode->ino == identity->ino &&
	       inode->generation == identity->generation;
}

static bool read_if_same(const struct session *session, uint64_t address,
			 const struct guard_identity *identity, struct kernel_inode *ret)
{
	return address && kernel_inode_read(session->kernel, address, ret) == 0 &&
	       same_identity(ret, identity);
}

/* Where the container's root is mounted; 0 when that cannot be told. */
static uint64_t root_mount(const struct session *session, uint64_t task, uint64_t root_dentry)
{
	struct kernel_task who;
	uint64_t mount;

	if (kernel_task_read(session->kernel, task, &who) < 0)
		return 0;
	if (who.root_dentry == root_dentry)
		return who.root_mount;
	return kernel_root_mount(session->kernel, task, root_dentry, &mount) < 0 ? 0 : mount;
}

/* Where the path leads from there, in the kernel's own names. */
static bool walk(const struct session *session, const struct place *root, const char *path,
		 struct kernel_inode *ret, uint64_t *ret_dentry)
{
	struct place place;
	uint64_t inode;

	if (!root->mount || dcache_walk(session->caches, root, path, &place) < 0 ||
	    kernel_dentry_inode(session->kernel, place.dentry, &inode) < 0)
		return false;
	*ret_dentry = place.dentry;
	return kernel_inode_read(session->kernel, inode, ret) == 0 && ret->super &&
	       !(ret->super & 7);
}

/* Has it this name in the directory that the name before leads to, which was verified? Whatever is mounted there. */
static bool is_in_parent(const struct session *session, const struct view *view, size_t i)
{
	const struct plan_name *name = &session->plan->names[i];
	const struct guard_identity *file;
	struct kernel_inode directory = { 0 };

	if (name->parent >= i || view->resolved[name->parent].error)
		return false;
	file = &view->resolved[name->parent].file;
	directory.super = file->super;
	directory.ino = file->ino;
	directory.generation = file->generation;
	return dcache_has_name(session->caches, view->resolved[i].inode,
			       strrchr(name->path, '/') + 1, &directory);
}

/* The cheap ways first: a walk down looks at all that its directories hold. */
static void verify_name(const struct entering *entering, const struct place *root,
			const struct view *view, size_t i)
{
	const char *path = entering->session->plan->names[i].path;
	struct guard_resolved *resolved = &view->resolved[i];
	struct session *session = entering->session;
	struct kernel_inode inode;
	uint64_t dentry;
	bool same = read_if_same(session, resolved->inode, &resolved->file, &inode);

	if (same && (dcache_has_path(session->caches, resolved->inode, root->dentry,
				     path + strspn(path, "/")) ||
		     is_in_parent(session, view, i)))
		return;
	if (!walk(session, root, path, &inode, &dentry) || same_identity(&inode, &resolved->file))
		return;
	ring_abused(&session->ring, RING_ABUSE_CLAIMS);
	log_debug("%s: container %s: %s was told to be another file", session->name,
		  entering->container->name.id, path);
	resolved->file =
		(struct guard_identity){ inode.super, inode.ino, inode.generation, inode.device };
	resolved->inode = inode.address;
	resolved->mode = inode.mode;
}

void verify_view(const struct entering *entering, struct view *view)
{
	const struct session *session = entering->session;
	const struct plan *plan = session->plan;
	uint64_t task = entering->container->task;
	struct place root = { .dentry = entering->record->root_dentry };

	if (!session->caches)
		return;
	root.mount = root_mount(session, task, root.dentry);
	for (size_t i = 0; i < view->n && i < plan->n_names; i++) {
		if (!view->resolved[i].error)
			verify_name(entering, &root, view, i);
	}
}

/* The file by its address, or by the path that it was entered by: its address may be stale. */
static uint64_t find_inode(const struct session *session, const struct watch *watch,
			   const struct guard_identity *file)
{
	const struct container *container = watch->container;
	const char *path = watch->base_path ? watch->base_path : watch->item->path;
	struct place root = { .dentry = container->root_dentry };
	struct kernel_inode inode;
	uint64_t dentry;

	if (read_if_same(session, watch->inode, file, &inode))
		return watch->inode;
	root.mount = root_mount(session, container->task, root.dentry);
	if (!walk(session, &root, path, &inode, &dentry) || !same_identity(&inode, file))
		return 0;
	return inode.address;
}

enum verdict_on_name verify_follow(struct session *session, const struct watch *watch,
				   const struct guard_follow_record *record, const char *name,
				   uint64_t *ret_inode)
{
	const struct kernel_inode directory = {
		.super = record->parent.super,
		.ino = record->parent.ino,
		.generation = record->parent.generation,
	};
	uint64_t inode = session->caches ? find_inode(session, watch, &record->file) : 0;

	if (!inode)
		return NAME_UNKNOWN;
	if (!dcache_has_name(session->caches, inode, name, &directory))
		return NAME_FALSE;
	*ret_inode = inode;
	return NAME_PROVED;
}

bool verify_has_name(const struct session *session, uint64_t address,
		     const struct guard_identity *file)
{
	struct kernel_inode inode;

	return read_if_same(session, address, file, &inode) && inode.n_links > 0;
}

/* What judge() in the guard makes. */
bool verify_file(struct session *session, const struct guard_file_record *record)
{
	uint32_t told = record->reported | record->denied | record->killed;
	bool good = !(record->operations & ~ALL_OPERATIONS) && !(told & ~ALL_OPERATIONS) &&
		    !(record->denied & ~record->reported) && !(record->killed & ~record->denied) &&
		    (record->asked ? !told : told != 0) && record->file.super &&
		    !(record->file.super & 7) && !(record->base.super & 7) &&
		    record->role <= GUARD_ROLE_TARGET &&
		    record->process.n_parents <= GUARD_N_PARENTS;

	if (!good)
		ring_abused(&session->ring, RING_ABUSE_RECORDS);
	return good;
}
