/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_KERNEL_H
#define GUARD_KERNEL_H

/*
 * The guest kernel as the guard sees it: names that the host resolves at attach (see arm/link.h). A member's
 * offset is the "address" of the symbol field.STRUCT.MEMBER, so that reading it is one mov with a displacement.
 */
#include <stddef.h>
#include <stdint.h>

#define KERNEL_FIELD(type, function, path)                                        \
	extern const char field_##function[] __asm__("field." path);              \
	static inline type function(const void *object)                           \
	{                                                                         \
		return *(type const volatile *)((const char *)object +            \
						(unsigned long)field_##function); \
	}

#define KERNEL_EMBEDDED(function, path)                                  \
	extern const char field_##function[] __asm__("field." path);     \
	static inline void *function(const void *object)                 \
	{                                                                \
		return (char *)object + (unsigned long)field_##function; \
	}

KERNEL_FIELD(void *, file_inode, "file.f_inode")
KERNEL_FIELD(uint32_t, file_mode, "file.f_mode")
KERNEL_EMBEDDED(file_path, "file.f_path")

KERNEL_FIELD(uint64_t, inode_super, "inode.i_sb")
KERNEL_FIELD(uint64_t, inode_ino, "inode.i_ino")
KERNEL_FIELD(uint32_t, inode_generation, "inode.i_generation")
KERNEL_FIELD(uint16_t, inode_mode, "inode.i_mode")
KERNEL_FIELD(uint32_t, inode_uid, "inode.i_uid")
KERNEL_FIELD(uint32_t, inode_gid, "inode.i_gid")
KERNEL_FIELD(uint64_t, inode_size, "inode.i_size")
KERNEL_FIELD(uint32_t, super_device, "super_block.s_dev")

KERNEL_FIELD(void *, dentry_inode, "dentry.d_inode")
KERNEL_FIELD(void *, dentry_parent, "dentry.d_parent")
KERNEL_FIELD(const char *, dentry_name, "dentry.d_name.name")
KERNEL_FIELD(void *, path_dentry, "path.dentry")

KERNEL_FIELD(uint32_t, task_pid, "task_struct.pid")
KERNEL_FIELD(uint32_t, task_tgid, "task_struct.tgid")
KERNEL_FIELD(void *, task_real_parent, "task_struct.real_parent")
KERNEL_FIELD(void *, task_group_leader, "task_struct.group_leader")
KERNEL_FIELD(void *, task_cred, "task_struct.cred")
KERNEL_FIELD(void *, task_real_cred, "task_struct.real_cred")
KERNEL_FIELD(void *, task_nsproxy, "task_struct.nsproxy")
KERNEL_FIELD(void *, task_thread_pid, "task_struct.thread_pid")
KERNEL_FIELD(void *, task_cgroups, "task_struct.cgroups")
KERNEL_FIELD(uint64_t, task_start_boottime, "task_struct.start_boottime")
KERNEL_EMBEDDED(task_comm, "task_struct.comm")

KERNEL_FIELD(uint32_t, cred_uid, "cred.uid")
KERNEL_FIELD(uint32_t, cred_gid, "cred.gid")
KERNEL_FIELD(uint32_t, cred_euid, "cred.euid")
KERNEL_FIELD(uint32_t, cred_egid, "cred.egid")

KERNEL_FIELD(void *, nsproxy_mnt, "nsproxy.mnt_ns")
KERNEL_FIELD(void *, nsproxy_uts, "nsproxy.uts_ns")
KERNEL_FIELD(uint64_t, mnt_namespace_sequence, "mnt_namespace.seq")
KERNEL_EMBEDDED(uts_namespace_nodename, "uts_namespace.name.nodename")
KERNEL_FIELD(uint32_t, pid_level, "pid.level")
KERNEL_EMBEDDED(pid_numbers, "pid.numbers")
KERNEL_FIELD(uint32_t, upid_nr, "upid.nr")
extern const char upid_struct_size[] __asm__("size.upid");

KERNEL_FIELD(void *, css_set_cgroup, "css_set.dfl_cgrp")
KERNEL_FIELD(void *, cgroup_node, "cgroup.kn")
KERNEL_FIELD(uint64_t, kernfs_node_id, "kernfs_node.id")

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define LOOKUP_FOLLOW 0x1
#define TASK_IDLE 0x402
#define EPERM 1

/* Both are void pointers in the kernel too; arm/ checks that the structure is these two. */
struct kernel_path {
	void *mnt, *dentry;
};

extern void *override_creds(const void *cred);
extern void revert_creds(void *cred);
extern const char init_cred[];

extern int kern_path(const char *name, unsigned int flags, struct kernel_path *path);
extern int vfs_path_lookup(void *dentry, void *mnt, const char *name, unsigned int flags,
			   struct kernel_path *path);
extern void path_put(const struct kernel_path *path);
extern char *d_path(const void *path, char *buf, int size);
extern void *get_task_exe_file(void *task);
extern void fput(void *file);
extern int kernfs_path_from_node(void *node, void *from, char *buf, size_t size);

extern uint64_t ktime_get_real_fast_ns(void);
extern uint64_t ktime_get_mono_fast_ns(void);
extern void usleep_range_state(unsigned long min_us, unsigned long max_us, unsigned int state);
extern void vmstat_shepherd(void *work);

/* With PREEMPT_RCU these are functions; without it a reader needs none (no sleeping between them). */
extern void __rcu_read_lock(void) __attribute__((weak));
extern void __rcu_read_unlock(void) __attribute__((weak));

static inline void rcu_lock(void)
{
	if (__rcu_read_lock)
		__rcu_read_lock();
}

static inline void rcu_unlock(void)
{
	if (__rcu_read_unlock)
		__rcu_read_unlock();
}

/*
 * Since Linux e57ef2ed97c1 ("x86: Put hot per CPU variables into a struct") (in v6.2) the variable is a
 * member; the host resolves either.
 */
extern const char percpu_current_task[] __asm__("percpu.current_task");

static inline void *current_task(void)
{
	void *task;

	__asm__("movq %%gs:%c1, %0" : "=r"(task) : "i"(percpu_current_task));
	return task;
}

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
