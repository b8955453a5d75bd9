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

/* What does not change while the guard looks: a test can have it as its operand. */
#define KERNEL_CONSTANT(type, function, path)                                                   \
	extern const char field_##function[] __asm__("field." path);                            \
	static inline type function(const void *object)                                         \
	{                                                                                       \
		return *(type const *)((const char *)object + (unsigned long)field_##function); \
	}

#define KERNEL_EMBEDDED(function, path)                                  \
	extern const char field_##function[] __asm__("field." path);     \
	static inline void *function(const void *object)                 \
	{                                                                \
		return (char *)object + (unsigned long)field_##function; \
	}

KERNEL_FIELD(void *, file_inode, "file.f_inode")
KERNEL_FIELD(uint32_t, file_mode, "file.f_mode")
KERNEL_FIELD(uint32_t, file_flags, "file.f_flags")
KERNEL_EMBEDDED(file_path, "file.f_path")
KERNEL_FIELD(void *, file_dentry, "file.f_path.dentry")
KERNEL_CONSTANT(uint32_t, opened_flags, "file.f_flags") /* as they are in the hook on opening */
KERNEL_EMBEDDED(file_mode_bytes, "file.f_mode")

KERNEL_FIELD(uint64_t, inode_super, "inode.i_sb")
KERNEL_FIELD(uint64_t, inode_ino, "inode.i_ino")
KERNEL_FIELD(uint32_t, inode_generation, "inode.i_generation")
KERNEL_FIELD(uint16_t, inode_mode, "inode.i_mode")
KERNEL_CONSTANT(uint16_t, inode_ino_low, "inode.i_ino")
KERNEL_FIELD(uint32_t, inode_uid, "inode.i_uid")
KERNEL_FIELD(uint32_t, inode_gid, "inode.i_gid")
KERNEL_FIELD(uint32_t, inode_links, "inode.i_nlink")
KERNEL_FIELD(uint32_t, inode_device, "inode.i_rdev")
KERNEL_FIELD(uint64_t, inode_size, "inode.i_size")
KERNEL_FIELD(uint32_t, super_device, "super_block.s_dev")
KERNEL_FIELD(uint64_t, super_magic, "super_block.s_magic")

KERNEL_FIELD(void *, dentry_inode, "dentry.d_inode")
KERNEL_FIELD(void *, dentry_parent, "dentry.d_parent")
KERNEL_FIELD(uint64_t, dentry_super, "dentry.d_sb")
KERNEL_FIELD(const char *, dentry_name, "dentry.d_name.name")

KERNEL_FIELD(uint32_t, iattr_valid, "iattr.ia_valid")
KERNEL_FIELD(void *, vma_file, "vm_area_struct.vm_file")
KERNEL_FIELD(uint64_t, vma_flags, "vm_area_struct.vm_flags")

/* struct vfsmount is a member of struct mount. */
KERNEL_FIELD(void *, vfsmount_root, "vfsmount.mnt_root")
KERNEL_FIELD(void *, vfsmount_super, "vfsmount.mnt_sb")
extern const char field_mount_mnt[] __asm__("field.mount.mnt");
KERNEL_FIELD(void *, mount_namespace, "mount.mnt_ns")
KERNEL_FIELD(void *, task_fs, "task_struct.fs")
KERNEL_EMBEDDED(fs_root, "fs_struct.root")

KERNEL_FIELD(uint32_t, task_flags, "task_struct.flags")
KERNEL_FIELD(uint32_t, task_pid, "task_struct.pid")
KERNEL_FIELD(uint32_t, task_tgid, "task_struct.tgid")
KERNEL_FIELD(void *, task_real_parent, "task_struct.real_parent")
KERNEL_FIELD(void *, task_group_leader, "task_struct.group_leader")
KERNEL_FIELD(void *, task_cred, "task_struct.cred")
KERNEL_FIELD(void *, task_real_cred, "task_struct.real_cred")
KERNEL_FIELD(void *, task_nsproxy, "task_struct.nsproxy")
KERNEL_FIELD(void *, task_thread_pid, "task_struct.thread_pid")
KERNEL_FIELD(uint64_t, task_start_boottime, "task_struct.start_boottime")
KERNEL_EMBEDDED(task_comm, "task_struct.comm")

KERNEL_FIELD(void *, task_mm, "task_struct.mm")
KERNEL_FIELD(void *, mm_executable, "mm_struct.exe_file")

KERNEL_FIELD(uint32_t, cred_uid, "cred.uid")
KERNEL_FIELD(uint32_t, cred_gid, "cred.gid")
KERNEL_FIELD(uint32_t, cred_euid, "cred.euid")
KERNEL_FIELD(uint32_t, cred_egid, "cred.egid")

KERNEL_FIELD(void *, nsproxy_mnt, "nsproxy.mnt_ns")
KERNEL_FIELD(uint64_t, mnt_namespace_sequence, "mnt_namespace.seq")
KERNEL_FIELD(uint32_t, pid_level, "pid.level")
KERNEL_EMBEDDED(pid_numbers, "pid.numbers")
KERNEL_FIELD(uint32_t, upid_nr, "upid.nr")
extern const char upid_struct_size[] __asm__("size.upid");

/* Absent from kernels without cgroups, or without BPF: a symbol that is 0. */
#define KERNEL_WEAK_FIELD(type, function, path)                                            \
	extern const char field_##function[] __asm__("field." path) __attribute__((weak)); \
	static inline type function(const void *object)                                    \
	{                                                                                  \
		return *(type const volatile *)((const char *)object +                     \
						(unsigned long)field_##function);          \
	}

KERNEL_WEAK_FIELD(void *, task_cgroups, "task_struct.cgroups")
KERNEL_WEAK_FIELD(void *, css_set_cgroup, "css_set.dfl_cgrp")
KERNEL_WEAK_FIELD(void *, cgroup_node, "cgroup.kn")
KERNEL_WEAK_FIELD(void *, cgroup_parent_state, "cgroup.self.parent")
KERNEL_WEAK_FIELD(void *, state_cgroup, "cgroup_subsys_state.cgroup")
KERNEL_WEAK_FIELD(uint64_t, kernfs_node_id, "kernfs_node.id")
KERNEL_WEAK_FIELD(void *, fs_context_type, "fs_context.fs_type")
KERNEL_WEAK_FIELD(void *, fs_context_log, "fs_context.log.log")
KERNEL_WEAK_FIELD(const char *, file_system_name, "file_system_type.name")
KERNEL_WEAK_FIELD(const char *, fs_parameter_key, "fs_parameter.key")
KERNEL_WEAK_FIELD(uint32_t, bpf_program_type, "bpf_prog.type")
KERNEL_WEAK_FIELD(uint32_t, bpf_program_attach_type, "bpf_prog.expected_attach_type")

/* An enumerator's value, which differs between kernels; 0 where there is none. */
#define KERNEL_ENUMERATOR(name)                                                                   \
	extern const char enumerator_##name[] __asm__("enumerator." #name) __attribute__((weak)); \
	static inline uint32_t kernel_##name(void)                                                \
	{                                                                                         \
		return (uint32_t)(unsigned long)enumerator_##name;                                \
	}

KERNEL_ENUMERATOR(LOCKDOWN_DEV_MEM)
KERNEL_ENUMERATOR(LOCKDOWN_KCORE)
KERNEL_ENUMERATOR(LOCKDOWN_IOPORT)
KERNEL_ENUMERATOR(LOCKDOWN_MSR)
KERNEL_ENUMERATOR(LOCKDOWN_ACPI_TABLES)
KERNEL_ENUMERATOR(LOCKDOWN_PCI_ACCESS)
KERNEL_ENUMERATOR(LOCKDOWN_BPF_WRITE_USER)
KERNEL_ENUMERATOR(LOCKDOWN_KPROBES)
KERNEL_ENUMERATOR(READING_MODULE)
KERNEL_ENUMERATOR(READING_KEXEC_IMAGE)
KERNEL_ENUMERATOR(LOADING_MODULE)
KERNEL_ENUMERATOR(LOADING_KEXEC_IMAGE)

#define FMODE_READ 0x1
#define FMODE_WRITE 0x2
#define FMODE_ATOMIC_POS 0x8000 /* regular files and directories */
#define FMODE_CREATED 0x100000
#define FMODE_EXEC 0x20 /* of f_flags: __FMODE_EXEC */
/*
 * FMODE_BACKING: the upper bit since Linux 62d53c4a1dfe ("fs: use backing_file container for internal files with "fake" f_path", v6.5);
 * the lower, since "fsnotify: opt-in for permission events at file open time" (v6.14, and in Debian's 6.12.117) took the upper for
 * FMODE_NONOTIFY. Else the lower is not used.
 */
#define FMODE_MAYBE_BACKING 0x3000000
#define LOOKUP_FOLLOW 0x1
#define TASK_IDLE 0x402
#define PF_KTHREAD 0x200000
#define SIGKILL 9
#define EPERM 1
#define ENOSYS 38
#define EACCES 13
#define ENOPARAM 519

/* include/linux/fs.h */
#define ATTR_MODE 0x1
#define ATTR_UID 0x2
#define ATTR_GID 0x4
#define ATTR_SIZE 0x8
#define ATTR_ATIME 0x10
#define ATTR_MTIME 0x20
#define ATTR_FORCE 0x200
#define ATTR_OPEN 0x8000

/* uapi */
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
/* include/uapi/linux/magic.h */
#define PROC_SUPER_MAGIC 0x9fa0
#define CGROUP_SUPER_MAGIC 0x27e0eb
#define CGROUP2_SUPER_MAGIC 0x63677270
#define SYSFS_MAGIC 0x62656572
#define DEBUGFS_MAGIC 0x64626720
#define TRACEFS_MAGIC 0x74726163
#define SECURITYFS_MAGIC 0x73636673
#define BINFMTFS_MAGIC 0x42494e4d

/* arch/x86/include/asm/msr-index.h, processor-flags.h */
#define MSR_LSTAR 0xc0000082
#define X86_CR4_VMXE (1 << 13)

/* include/uapi/linux/bpf.h */
#define BPF_PROG_TYPE_TRACING 26
#define BPF_PROG_TYPE_STRUCT_OPS 27
#define BPF_PROG_TYPE_EXT 28
#define BPF_PROG_TYPE_LSM 29
#define BPF_MODIFY_RETURN 26
#define PR_SET_MM 35
#define PR_SET_MM_EXE_FILE 13
#define PR_SET_MM_MAP 14
#define PTRACE_MODE_ATTACH 0x2
#define MAY_WRITE 0x2
#define MAY_READ 0x4
#define O_WRONLY 01
#define O_RDWR 02
#define O_TRUNC 01000
#define PROT_WRITE 0x2
#define MAP_TYPE 0xf
#define MAP_SHARED 0x1
#define MAP_SHARED_VALIDATE 0x3
#define VM_WRITE 0x2
#define VM_SHARED 0x8
#define MS_RDONLY 0x1
#define MS_REMOUNT 0x20
#define MS_MOVE 0x2000
#define MS_PROPAGATION 0x1e0000 /* unbindable, private, slave, shared */

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
extern char *dentry_path_raw(const void *dentry, char *buf, int size);
extern void *d_find_any_alias(void *inode);
extern void dput(void *dentry);
extern void *get_task_exe_file(void *task);
extern void fput(void *file);
extern void *find_task_by_vpid(int pid); /* under rcu_lock() */
extern int send_sig(int signal, void *task, int from_kernel);

extern uint64_t ktime_get_real_fast_ns(void);
extern uint64_t ktime_get_mono_fast_ns(void);
extern void usleep_range_state(unsigned long min_us, unsigned long max_us, unsigned int state);
extern void vmstat_shepherd(void *work);

/* Calls @function on another CPU, in its interrupt; -ENXIO when there is none of that number. May not be called with interrupts off. */
extern int smp_call_function_single(int cpu, void (*function)(void *data), void *data, int wait)
	__attribute__((weak));
extern uint32_t nr_cpu_ids __attribute__((weak));

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

#ifndef FAKE_REGISTERS /* tests/unit/fake_linux.h: a process may not */
static inline uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}
#endif

/* The current task's mount name space, by its sequence number; 0 when it is exiting. */
static inline uint64_t current_space(void)
{
	const void *nsproxy = task_nsproxy(current_task());

	return nsproxy ? mnt_namespace_sequence(nsproxy_mnt(nsproxy)) : 0;
}

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
