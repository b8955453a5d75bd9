// SPDX-License-Identifier: GPL-2.0-or-later
/* The hooks on mounts: what is mounted in a container's own name space may hide, or take away, what a rule names. */
#include "guard/attempt.h"
#include "guard/judge.h"
#include "guard/view.h"

/*
 * The name space of a mount, if it is that of a container the host knows; else 0. It may be taken down at this moment: then
 * what is read here is a number that is no container's, from memory that is mapped all the same.
 */
static uint64_t known_space(const void *vfsmount)
{
	const void *mount = (const char *)vfsmount - (unsigned long)field_mount_mnt;
	const void *namespace = mount_namespace(mount);
	uint64_t space;
	bool refused;

	/* None, or the mark of a kernel's own mount (MNT_NS_INTERNAL, an error pointer). */
	if (!namespace || (uint64_t) namespace >= -4095UL)
		return 0;
	space = mnt_namespace_sequence(namespace);
	return space != READ_ONCE(vault.guest_space) && space_is_known(space, &refused) ? space : 0;
}

static __attribute__((noinline)) int judge_mount(uint64_t space, const void *dentry)
{
	const void *inode = dentry_inode(dentry);
	struct attempt attempt = {
		.operations = GUARD_OP_MOUNT,
		.space = space,
	};

	if (!inode)
		return 0;
	attempt.subject = subject_of(inode, dentry, inode_super(inode));
	attempt.subject.hides = true;
	return judge(&attempt, NULL);
}

/* mount(2) with MS_MOVE names its source. */
static int judge_moved(const char *name)
{
	struct kernel_path source;
	uint64_t space;
	int r = 0;

	if (!name || kern_path(name, LOOKUP_FOLLOW, &source))
		return 0;
	space = known_space(source.mnt);
	if (space)
		r = judge_mount(space, source.dentry);
	path_put(&source);
	return r;
}

/* Propagation hides nothing. Nor does it that a runtime makes the root read-only (runc: after pivot_root). */
static bool is_harmless(const struct kernel_path *path, unsigned long flags)
{
	const struct kernel_path *root = fs_root(task_fs(current_task()));

	if (!(flags & MS_REMOUNT))
		return flags & MS_PROPAGATION;
	return flags & MS_RDONLY && path->mnt == root->mnt && path->dentry == root->dentry;
}

int guard_sb_mount(const char *name, const struct kernel_path *path, const char *type,
		   unsigned long flags, void *data)
{
	uint64_t space = known_space(path->mnt);
	const void *remount = flags & MS_REMOUNT ? vfsmount_super(path->mnt) : NULL;
	int r = attempt_mount(type, data, remount);

	if (r || likely(!space) || is_harmless(path, flags))
		return r;
	r = judge_mount(space, path->dentry);
	return r || !(flags & MS_MOVE) ? r : judge_moved(name);
}

int guard_move_mount(const struct kernel_path *from, const struct kernel_path *to)
{
	uint64_t space = known_space(from->mnt);
	int r = 0;

	if (space)
		r = judge_mount(space, from->dentry);
	space = known_space(to->mnt);
	return r || !space ? r : judge_mount(space, to->dentry);
}

int guard_sb_umount(const void *mount, int flags)
{
	uint64_t space = known_space(mount);

	(void)flags;
	return space ? judge_mount(space, vfsmount_root(mount)) : 0;
}

/*
 * A new root. In a container that is known it hides the one that the rules are about; else a container is about to
 * start in it.
 */
int guard_sb_pivotroot(const struct kernel_path *old_path, const struct kernel_path *new_path)
{
	const struct kernel_path *root = fs_root(task_fs(current_task()));
	uint64_t space = known_space(root->mnt);

	(void)old_path;
	if (space)
		return judge_mount(space, root->dentry);
	return resolve_start(new_path, GUARD_VIEW_PIVOT);
}

/* A runtime without pivot_root has moved the mount of the new root over the old one, and enters it now. */
int guard_path_chroot(const struct kernel_path *path)
{
	uint64_t space = current_space();
	bool refused;

	if (!space || space == READ_ONCE(vault.guest_space) || space_is_known(space, &refused))
		return 0;
	return resolve_start(path, GUARD_VIEW_CHROOT);
}
