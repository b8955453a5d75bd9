/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_LAYOUT_H
#define INTROSPECT_LAYOUT_H

#include <stdint.h>

#include "profile/profile.h"
#include "util/error.h"

/*
 * Every member that the readers use, and nothing else. A VALUE is an integer or a pointer, 1 to 8
 * bytes wide as BTF says; a PLACE is something embedded, of which only the offset counts. The last
 * column is the member's older name:
 *
 * Since Linux 633488947ef6 ("kernfs: Use RCU to access kernfs_node::parent.") (in v6.15)
 * kernfs_node.parent is called __parent.
 *
 * The mounts of a name space are reached by their tree (mnt_mounts, mnt_child), which is the same
 * everywhere, and not by the flat list, which Linux 2eea9ce4310d ("mounts: keep list of mounts in
 * an rbtree") (in v6.8) turned into another structure.
 */
#define LAYOUT_FIELDS(X)                                                      \
	X(AS_MAPPINGS, VALUE, "address_space.i_mmap.rb_root.rb_node", NULL)   \
	X(AS_WRITABLE, VALUE, "address_space.i_mmap_writable.counter", NULL)  \
	X(BDEV_DEVICE, VALUE, "block_device.bd_dev", NULL)                    \
	X(BDEV_DISK, VALUE, "block_device.bd_disk", NULL)                     \
	X(CGROUP_NODE, VALUE, "cgroup.kn", NULL)                              \
	X(CRED_EGID, VALUE, "cred.egid", NULL)                                \
	X(CRED_EUID, VALUE, "cred.euid", NULL)                                \
	X(CRED_FSGID, VALUE, "cred.fsgid", NULL)                              \
	X(CRED_FSUID, VALUE, "cred.fsuid", NULL)                              \
	X(CRED_GID, VALUE, "cred.gid", NULL)                                  \
	X(CRED_UID, VALUE, "cred.uid", NULL)                                  \
	X(CSS_SET_CGROUP, VALUE, "css_set.dfl_cgrp", NULL)                    \
	X(DENTRY_INODE, VALUE, "dentry.d_inode", NULL)                        \
	X(DENTRY_NAME, VALUE, "dentry.d_name.name", NULL)                     \
	X(DENTRY_PARENT, VALUE, "dentry.d_parent", NULL)                      \
	X(FDTABLE_FILES, VALUE, "fdtable.fd", NULL)                           \
	X(FDTABLE_SIZE, VALUE, "fdtable.max_fds", NULL)                       \
	X(FILES_TABLE, VALUE, "files_struct.fdt", NULL)                       \
	X(FILE_DENTRY, VALUE, "file.f_path.dentry", NULL)                     \
	X(FILE_FLAGS, VALUE, "file.f_flags", NULL)                            \
	X(FILE_INODE, VALUE, "file.f_inode", NULL)                            \
	X(FILE_MODE, VALUE, "file.f_mode", NULL)                              \
	X(FILE_MOUNT, VALUE, "file.f_path.mnt", NULL)                         \
	X(KTHREAD_DATA, VALUE, "kthread.data", NULL)                          \
	X(DISK_WHOLE, VALUE, "gendisk.part0", NULL)                           \
	X(FS_ROOT_DENTRY, VALUE, "fs_struct.root.dentry", NULL)               \
	X(FS_ROOT_MOUNT, VALUE, "fs_struct.root.mnt", NULL)                   \
	X(FS_TYPE_NAME, VALUE, "file_system_type.name", NULL)                 \
	X(INODE_GENERATION, VALUE, "inode.i_generation", NULL)                \
	X(INODE_GID, VALUE, "inode.i_gid", NULL)                              \
	X(INODE_INO, VALUE, "inode.i_ino", NULL)                              \
	X(INODE_MAPPING, VALUE, "inode.i_mapping", NULL)                      \
	X(INODE_MODE, VALUE, "inode.i_mode", NULL)                            \
	X(INODE_N_LINKS, VALUE, "inode.i_nlink", NULL)                        \
	X(INODE_SIZE, VALUE, "inode.i_size", NULL)                            \
	X(INODE_SUPER, VALUE, "inode.i_sb", NULL)                             \
	X(INODE_UID, VALUE, "inode.i_uid", NULL)                              \
	X(INODE_WRITERS, VALUE, "inode.i_writecount.counter", NULL)           \
	X(KERNFS_ID, VALUE, "kernfs_node.id", NULL)                           \
	X(KERNFS_NAME, VALUE, "kernfs_node.name", NULL)                       \
	X(KERNFS_PARENT, VALUE, "kernfs_node.__parent", "kernfs_node.parent") \
	X(MNT_NS_SEQUENCE, VALUE, "mnt_namespace.seq", NULL)                  \
	X(MNT_NS_ROOT, VALUE, "mnt_namespace.root", NULL)                     \
	X(MOUNT_CHILD, VALUE, "mount.mnt_child.next", NULL)                   \
	X(MOUNT_CHILDREN, VALUE, "mount.mnt_mounts.next", NULL)               \
	X(MOUNT_MOUNTPOINT, VALUE, "mount.mnt_mountpoint", NULL)              \
	X(MOUNT_PARENT, VALUE, "mount.mnt_parent", NULL)                      \
	X(MOUNT_ROOT, VALUE, "mount.mnt.mnt_root", NULL)                      \
	X(MOUNT_SUPER, VALUE, "mount.mnt.mnt_sb", NULL)                       \
	X(MOUNT_VFSMOUNT, PLACE, "mount.mnt", NULL)                           \
	X(NSPROXY_MNT, VALUE, "nsproxy.mnt_ns", NULL)                         \
	X(NSPROXY_UTS, VALUE, "nsproxy.uts_ns", NULL)                         \
	X(PID_LEVEL, VALUE, "pid.level", NULL)                                \
	X(PID_NS_INUM, VALUE, "pid_namespace.ns.inum", NULL)                  \
	X(PID_NS_REAPER, VALUE, "pid_namespace.child_reaper", NULL)           \
	X(PID_NUMBERS, PLACE, "pid.numbers", NULL)                            \
	X(RB_LEFT, VALUE, "rb_node.rb_left", NULL)                            \
	X(RB_RIGHT, VALUE, "rb_node.rb_right", NULL)                          \
	X(SIGNAL_THREADS, VALUE, "signal_struct.thread_head.next", NULL)      \
	X(SUPER_DISK, VALUE, "super_block.s_bdev", NULL)                      \
	X(SUPER_LIST, VALUE, "super_block.s_list.next", NULL)                 \
	X(SUPER_DEVICE, VALUE, "super_block.s_dev", NULL)                     \
	X(SUPER_FLAGS, VALUE, "super_block.s_flags", NULL)                    \
	X(SUPER_INFO, VALUE, "super_block.s_fs_info", NULL)                   \
	X(SUPER_TYPE, VALUE, "super_block.s_type", NULL)                      \
	X(TASK_CGROUPS, VALUE, "task_struct.cgroups", NULL)                   \
	X(TASK_COMM, PLACE, "task_struct.comm", NULL)                         \
	X(TASK_CRED, VALUE, "task_struct.real_cred", NULL)                    \
	X(TASK_FILES, VALUE, "task_struct.files", NULL)                       \
	X(TASK_FLAGS, VALUE, "task_struct.flags", NULL)                       \
	X(TASK_FS, VALUE, "task_struct.fs", NULL)                             \
	X(TASK_LEADER, VALUE, "task_struct.group_leader", NULL)               \
	X(TASK_MEMORY, VALUE, "task_struct.mm", NULL)                         \
	X(TASK_NSPROXY, VALUE, "task_struct.nsproxy", NULL)                   \
	X(TASK_PARENT, VALUE, "task_struct.real_parent", NULL)                \
	X(TASK_PID, VALUE, "task_struct.pid", NULL)                           \
	X(TASK_SAVED_SP, VALUE, "task_struct.thread.sp", NULL)                \
	X(TASK_SIGNAL, VALUE, "task_struct.signal", NULL)                     \
	X(TASK_STACK, VALUE, "task_struct.stack", NULL)                       \
	X(TASK_START, VALUE, "task_struct.start_boottime", NULL)              \
	X(TASK_TASKS, VALUE, "task_struct.tasks.next", NULL)                  \
	X(TASK_TGID, VALUE, "task_struct.tgid", NULL)                         \
	X(TASK_THREAD, VALUE, "task_struct.thread_node.next", NULL)           \
	X(TASK_THREAD_PID, VALUE, "task_struct.thread_pid", NULL)             \
	X(TASK_WORKER, VALUE, "task_struct.worker_private", NULL)             \
	X(UPID_NR, VALUE, "upid.nr", NULL)                                    \
	X(UPID_NS, VALUE, "upid.ns", NULL)                                    \
	X(UTS_HOSTNAME, PLACE, "uts_namespace.name.nodename", NULL)           \
	X(UTS_NS_INUM, VALUE, "uts_namespace.ns.inum", NULL)                  \
	X(VMA_END, VALUE, "vm_area_struct.vm_end", NULL)                      \
	X(VMA_FLAGS, VALUE, "vm_area_struct.vm_flags", NULL)                  \
	X(VMA_MEMORY, VALUE, "vm_area_struct.vm_mm", NULL)                    \
	X(VMA_NODE, PLACE, "vm_area_struct.shared.rb", NULL)                  \
	X(VMA_START, VALUE, "vm_area_struct.vm_start", NULL)                  \
	X(WORKER_FUNCTION, VALUE, "worker.current_func", NULL)

#define LAYOUT_ENUM(name, kind, path, older) FIELD_##name,
enum field {
	LAYOUT_FIELDS(LAYOUT_ENUM) N_FIELDS
};
#undef LAYOUT_ENUM

struct layout {
	struct profile_field fields[N_FIELDS];
	uint32_t upid_size; /* stride of pid.numbers */
	uint64_t init_task;
};

/* Fails with -ENOTSUP and the names of all that this kernel lacks. */
int layout_fill(struct layout *layout, const struct profile *profile, struct error *err);

#endif
