/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_KERNEL_H
#define INTROSPECT_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/space.h"
#include "profile/profile.h"
#include "util/error.h"

/*
 * Readers of the guest kernel's objects, from outside, while it runs. Every pointer read may be
 * stale or a lie: each reader fails with -EFAULT rather than believe an address it cannot read,
 * each walk has a limit (-ELOOP), and what is returned is a copy. Guest addresses are uint64_t.
 *
 * All offsets that the readers use stand in one table (layout.h), filled at once from BTF.
 */
struct kernel;

/*
 * Fails with -ENOTSUP and the names of the members or symbols that this kernel lacks. @profile must
 * outlive it.
 */
int kernel_new(struct kernel **ret, const struct profile *profile, struct error *err);
/* Accepts NULL. Returns NULL. */
struct kernel *kernel_free(struct kernel *kernel);

const struct space *kernel_space(const struct kernel *kernel);

#define KERNEL_MAX_TASKS 65536

/* What the task is (real_cred), as /proc shows it, whatever it acts as just now. */
struct kernel_cred {
	uint32_t uid, gid, euid, egid, fsuid, fsgid;
};

struct kernel_task {
	uint64_t address;
	uint32_t pid, tgid; /* in the first pid name space */
	uint32_t inner_pid; /* of the thread group, in its own */
	uint64_t parent; /* real_parent's address */
	uint64_t reaper; /* address of its pid name space's first process; 0 when exiting */
	uint64_t start_ns; /* since boot */
	char name[16];
	struct kernel_cred cred;
	bool kernel_thread; /* made by the kernel, with no user memory of its own */
	uint64_t nsproxy, mnt_ns; /* addresses; 0 when exiting */
	uint64_t mnt_ns_sequence; /* never given again, as inode numbers of name spaces are; 0 when exiting */
	uint32_t pid_ns_inum, uts_ns_inum; /* 0 when exiting */
	char hostname[65];
	uint64_t cgroup; /* kernfs id on the unified hierarchy */
	uint64_t root_dentry, root_mount; /* fs->root: dentry, vfsmount; 0 when exiting */
};

int kernel_task_read(const struct kernel *kernel, uint64_t address, struct kernel_task *ret);

/* Address of the task that runs on the CPU with that number; it may be the idle task. -ENOENT: this kernel does not say. */
int kernel_task_on_cpu(const struct kernel *kernel, unsigned int cpu, uint64_t *ret);

/* Where a thread may return to, or go next. */
struct kernel_stack {
	uint64_t stack; /* lowest address of its kernel stack */
	uint64_t saved_sp; /* where that stands while the thread does not run */
	uint64_t work_function; /* of a kworker: what it is about to call, or has called; else 0 */
};

int kernel_stack_read(const struct kernel *kernel, uint64_t thread, struct kernel_stack *ret);

uint64_t kernel_init_task(const struct kernel *kernel);

/*
 * Calls @visit for each process (thread group leader), or with @threads for each thread; stops when
 * it returns other than 0 and returns that. A task that goes away meanwhile is passed over. -ELOOP
 * beyond KERNEL_MAX_TASKS.
 */
int kernel_tasks_each(const struct kernel *kernel, bool threads,
		      int (*visit)(const struct kernel_task *task, void *data), void *data);

/*
 * Addresses of all threads but the idle ones, cheaply: for work while the guest is paused. Returns
 * the number, or -ELOOP when there are more than @n.
 */
int kernel_thread_addresses(const struct kernel *kernel, uint64_t *addresses, size_t n);

/* Is that a thread of the guest's (1), or not (0)? Negative when the lists moved under the walk. */
int kernel_is_thread(const struct kernel *kernel, uint64_t address);

/*
 * The task's path on the unified cgroup hierarchy ("/system.slice/docker-...scope"). Returns its
 * length, or -ENAMETOOLONG.
 */
int kernel_cgroup_path(const struct kernel *kernel, uint64_t task, char *buf, size_t size);

struct kernel_inode {
	uint64_t address, super, ino, size;
	uint32_t generation, device, mode, uid, gid, n_links;
};

struct kernel_super {
	uint64_t address;
	uint32_t device; /* kernel's dev_t */
	char type[32]; /* "overlay", "ext4" */
	bool active; /* false from the moment on that it is being shut down */
};

struct kernel_file {
	uint64_t address, dentry, mount /* vfsmount */, inode;
	uint32_t mode, flags;
};

int kernel_inode_read(const struct kernel *kernel, uint64_t address, struct kernel_inode *ret);
int kernel_super_read(const struct kernel *kernel, uint64_t address, struct kernel_super *ret);
int kernel_file_read(const struct kernel *kernel, uint64_t address, struct kernel_file *ret);
/* -ENOENT for a name without a file (a negative dentry). */
int kernel_dentry_inode(const struct kernel *kernel, uint64_t dentry, uint64_t *ret_inode);

/*
 * Path of (dentry, vfsmount) as seen from a root (dentry, vfsmount; both 0: from the top of its
 * mounts). Returns its length, -ENAMETOOLONG, -ENOENT when the root was not met on the way up.
 */
int kernel_path(const struct kernel *kernel, uint64_t dentry, uint64_t vfsmount,
		uint64_t root_dentry, uint64_t root_vfsmount, char *buf, size_t size);

/*
 * Calls @visit for each directory above @dentry in its own file system, nearest first, with the path from there ("a/b"); stops
 * when it returns other than 0 and returns that. Names that do not fit 1023 bytes end the walk: 0.
 */
int kernel_directories_each(const struct kernel *kernel, uint64_t dentry,
			    int (*visit)(const struct kernel_inode *directory, const char *below,
					 void *data),
			    void *data);

/* A file system mounted somewhere below a root. */
struct kernel_mount {
	uint64_t super;
	uint64_t root_dentry; /* what of it is mounted */
	char path[1024]; /* where, as seen from the root; "/" is the root itself */
};

/* What a walk over mounts looks at before it gives up. */
#define KERNEL_MAX_MOUNTS 100000 /* the kernel's own default, /proc/sys/fs/mount-max */
#define KERNEL_MAX_MOUNT_NAMES 300000 /* on the way to them */

/*
 * Calls @visit for each mount at or below the root directory @root_dentry (the mount root of a
 * container), in the mount name space of @task, parents first; stops when it returns other than 0
 * and returns that. The root itself comes first. Passed over: what no path from the root leads to,
 * and what lies deeper than the path buffer holds. -ENOENT when no mount there has this root,
 * -ESRCH when the task is exiting, -ENOMEM; -ELOOP, maybe after some visits, when there is more than
 * the limits above; -ELOOP or -EFAULT, maybe after some visits, when the tree is changed meanwhile:
 * try again.
 *
 * Blocks for about a microsecond for each mount in the name space and 0.3 for each name, so that
 * the limits are half a second, whatever a container mounts.
 */
int kernel_mounts_each(const struct kernel *kernel, uint64_t task, uint64_t root_dentry,
		       int (*visit)(const struct kernel_mount *mount, void *data), void *data);

/* The vfsmount in the task's mount name space whose root is @root_dentry, as above. */
int kernel_root_mount(const struct kernel *kernel, uint64_t task, uint64_t root_dentry,
		      uint64_t *ret);

#endif
