/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_RECORDS_H
#define TESTS_FAKE_RECORDS_H

/*
 * A guest in fake_guest.h's memory with two processes, of which the second lives in the mount name space 101, and a file system that is its
 * root: /etc with shadow, a.conf, ssh and x.
 */
#include <sys/stat.h>

/* Both of these have one of that name. */
#define fake_text fake_string
#include "fake_guest.h"
#undef fake_text
#include "fake_session.h"

#define N_OBJECTS 28
#define N_INODES 6

static uint64_t objects[N_OBJECTS]; /* addresses, by number */

enum {
	TASK = 1,
	SECOND,
	NS,
	INODE = 4,
	DENTRY = INODE + N_INODES,
	SUPER = DENTRY + N_INODES,
	MOUNT,
	FS,
	CRED,
	SIGNAL,
	PID,
	UTS,
	CGROUPS,
	TYPE,
	SPACE,
};

static inline void link_task(uint64_t task, uint64_t next, uint32_t pid)
{
	fake_set(task, "task_struct.tasks.next", fake_place(next, "task_struct.tasks.next"));
	fake_set(task, "task_struct.thread_node.next",
		 fake_place(objects[SIGNAL], "signal_struct.thread_head.next"));
	fake_set(task, "task_struct.signal", objects[SIGNAL]);
	fake_set(task, "task_struct.group_leader", task);
	fake_set(task, "task_struct.fs", objects[FS]);
	fake_set(task, "task_struct.real_cred", objects[CRED]);
	fake_set(task, "task_struct.real_parent", objects[0]);
	fake_set(task, "task_struct.pid", pid);
	fake_set(task, "task_struct.tgid", pid);
	fake_set(task, "task_struct.nsproxy", objects[NS]);
	fake_set(task, "task_struct.thread_pid", objects[PID]);
	fake_set(task, "task_struct.cgroups", objects[CGROUPS]);
}

static inline void make_tasks(void)
{
	link_task(objects[0], objects[TASK], 0);
	link_task(objects[TASK], objects[SECOND], 1);
	link_task(objects[SECOND], objects[0], 300);
	fake_set(objects[SIGNAL], "signal_struct.thread_head.next",
		 fake_place(objects[SECOND], "task_struct.thread_node.next"));
	fake_set(objects[NS], "nsproxy.mnt_ns", objects[SPACE]);
	fake_set(objects[NS], "nsproxy.uts_ns", objects[UTS]);
	fake_set(objects[SPACE], "mnt_namespace.seq", 101);
	fake_set(objects[SPACE], "mnt_namespace.root", objects[MOUNT]);
	fake_set(fake_place(objects[PID], "pid.numbers"), "upid.ns", objects[PID]);
	fake_set(objects[CGROUPS], "css_set.dfl_cgrp", objects[CGROUPS]);
	fake_set(objects[CGROUPS], "cgroup.kn", objects[CGROUPS]);
	fake_set(objects[FS], "fs_struct.root.dentry", objects[DENTRY]);
	fake_set(objects[FS], "fs_struct.root.mnt", fake_place(objects[MOUNT], "mount.mnt"));
}

/* "/", "/etc" and the files in it: the last names of the policy's paths. */
static inline void make_file(unsigned int i, const char *name)
{
	uint64_t inode = objects[INODE + i], dentry = objects[DENTRY + i];
	uint64_t parent = objects[DENTRY + (i > 1)], next;

	fake_set(inode, "inode.i_sb", objects[SUPER]);
	fake_set(inode, "inode.i_ino", i + 10);
	fake_set(inode, "inode.i_generation", i + 1010);
	fake_set(inode, "inode.i_nlink", 1);
	fake_set(inode, "inode.i_mode", i < 2 ? S_IFDIR | 0755 : S_IFREG | 0644);
	fake_set(inode, "inode.i_dentry.first", fake_place(dentry, "dentry.d_u.d_alias.next"));
	fake_set(dentry, "dentry.d_inode", inode);
	fake_set(dentry, "dentry.d_parent", parent);
	fake_set(dentry, "dentry.d_hash.pprev", 1);
	fake_set(dentry, "dentry.d_name.name", fake_string(name));
	fake_set(dentry, "dentry.d_name.len", strlen(name));
	if (!i)
		return;
	next = fake_get(parent, "dentry.d_children.first");
	fake_set(dentry, "dentry.d_sib.next", next);
	fake_set(parent, "dentry.d_children.first", fake_place(dentry, "dentry.d_sib.next"));
}

static inline void make_files(void)
{
	static const char *const names[N_INODES] = { "/", "etc", "shadow", "a.conf", "ssh", "x" };

	fake_set(objects[SUPER], "super_block.s_type", objects[TYPE]);
	fake_set(objects[SUPER], "super_block.s_flags", 1 << 30);
	fake_set(objects[TYPE], "file_system_type.name", fake_string("ext4"));
	fake_set(objects[MOUNT], "mount.mnt.mnt_root", objects[DENTRY]);
	fake_set(objects[MOUNT], "mount.mnt.mnt_sb", objects[SUPER]);
	fake_set(objects[MOUNT], "mount.mnt_parent", objects[MOUNT]);
	fake_set(objects[MOUNT], "mount.mnt_mounts.next",
		 fake_place(objects[MOUNT], "mount.mnt_mounts.next"));
	for (unsigned int i = 0; i < N_INODES; i++)
		make_file(i, names[i]);
}

static inline void make_guest(void)
{
	fake_init();
	for (size_t i = 0; i < N_OBJECTS; i++)
		objects[i] = fake_make();
	make_tasks();
	make_files();
}

#endif
