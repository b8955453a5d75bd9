// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest made by hand: 4 MiB of RAM, mapped at BASE, with kernel structures whose members stand in
 * an order of our own. The profile is faked at link time: this file defines profile_field() and its
 * like, and must be linked without src/profile.
 */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "introspect/kernel.h"
#include "util/cleanup.h"

#define BASE 0xffff888000000000ULL
#define RAM_SIZE (4U << 20)
#define UNMAPPED (BASE + 2 * RAM_SIZE)

typedef uint64_t ptr; /* guest address */

/* Structures of the fake kernel. Widths are the real ones; places are not. */
struct list {
	ptr next, prev;
};
struct f_path {
	ptr mnt, dentry;
};
struct f_ns {
	ptr ops;
	uint32_t inum;
};
struct f_task {
	uint32_t flags, pid, tgid;
	char comm[16];
	ptr worker_private, stack, real_cred, fs, nsproxy, signal, cgroups, thread_pid,
		group_leader, real_parent, files, mm;
	struct list thread_node, tasks;
	uint64_t start_boottime, sp;
};
struct f_kthread {
	uint64_t flags;
	ptr data;
};
struct f_worker {
	uint64_t entry[2];
	ptr current_func;
};
struct f_signal {
	uint32_t count;
	struct list thread_head;
};
struct f_cred {
	uint64_t usage;
	uint32_t uid, gid, euid, egid, fsuid, fsgid;
};
struct f_upid {
	uint32_t nr;
	ptr ns;
};
struct f_pid {
	uint32_t level;
	struct f_upid numbers[3];
};
struct f_pid_ns {
	ptr parent, child_reaper;
	struct f_ns ns;
};
struct f_nsproxy {
	ptr uts_ns, mnt_ns;
};
struct f_uts_ns {
	char sysname[65], nodename[65];
	struct f_ns ns;
};
struct f_mnt_ns {
	ptr root;
	uint64_t seq;
};
struct f_fs {
	uint32_t users;
	struct f_path root;
};
struct f_css_set {
	ptr cgroup;
};
struct f_cgroup {
	uint64_t flags;
	ptr kn;
};
struct f_kernfs {
	ptr name, parent;
	uint64_t id;
};
struct f_super {
	ptr s_type;
	uint32_t s_dev;
	uint64_t s_flags;
	ptr s_fs_info, s_bdev, s_list;
};
struct f_bdev {
	ptr bd_disk;
	uint32_t bd_dev;
};
struct f_disk {
	uint64_t flags;
	ptr part0;
};
struct f_type {
	uint32_t flags;
	ptr name;
};
struct f_inode {
	uint32_t i_writecount;
	ptr i_mapping;
	uint16_t i_mode;
	uint32_t i_uid, i_gid, i_nlink, i_generation;
	ptr i_sb;
	uint64_t i_ino, i_size;
};
struct f_dentry {
	ptr name, d_parent, d_inode;
};
struct f_file {
	uint32_t f_mode, f_flags;
	struct f_path f_path;
	ptr f_inode;
};
struct f_fdtable {
	uint32_t max_fds;
	ptr fd;
};
struct f_files {
	uint32_t count;
	ptr fdt;
};
struct f_rb {
	ptr rb_left, rb_right;
};
struct f_address_space {
	uint32_t i_mmap_writable;
	ptr i_mmap;
};
struct f_vma {
	uint64_t vm_flags, vm_start, vm_end;
	struct f_rb rb;
	ptr vm_mm;
};
struct f_vfsmount {
	ptr mnt_root, mnt_sb;
};
struct f_mount {
	ptr mnt_parent;
	struct f_vfsmount mnt;
	struct list mnt_mounts, mnt_child;
	ptr mnt_mountpoint;
};

#define FIELD(path, type, member)                                         \
	{                                                                 \
		path, offsetof(type, member), sizeof(((type *)0)->member) \
	}

static const struct {
	const char *path;
	uint32_t offset, size;
} fields[] = {
	FIELD("address_space.i_mmap.rb_root.rb_node", struct f_address_space, i_mmap),
	FIELD("address_space.i_mmap_writable.counter", struct f_address_space, i_mmap_writable),
	FIELD("cgroup.kn", struct f_cgroup, kn),
	FIELD("cred.egid", struct f_cred, egid),
	FIELD("cred.euid", struct f_cred, euid),
	FIELD("cred.fsgid", struct f_cred, fsgid),
	FIELD("cred.fsuid", struct f_cred, fsuid),
	FIELD("cred.gid", struct f_cred, gid),
	FIELD("cred.uid", struct f_cred, uid),
	FIELD("css_set.dfl_cgrp", struct f_css_set, cgroup),
	FIELD("dentry.d_inode", struct f_dentry, d_inode),
	FIELD("dentry.d_name.name", struct f_dentry, name),
	FIELD("dentry.d_parent", struct f_dentry, d_parent),
	FIELD("fdtable.fd", struct f_fdtable, fd),
	FIELD("fdtable.max_fds", struct f_fdtable, max_fds),
	FIELD("files_struct.fdt", struct f_files, fdt),
	FIELD("file.f_path.dentry", struct f_file, f_path.dentry),
	FIELD("file.f_flags", struct f_file, f_flags),
	FIELD("file.f_inode", struct f_file, f_inode),
	FIELD("file.f_mode", struct f_file, f_mode),
	FIELD("file.f_path.mnt", struct f_file, f_path.mnt),
	FIELD("fs_struct.root.dentry", struct f_fs, root.dentry),
	FIELD("fs_struct.root.mnt", struct f_fs, root.mnt),
	FIELD("file_system_type.name", struct f_type, name),
	FIELD("inode.i_generation", struct f_inode, i_generation),
	FIELD("inode.i_gid", struct f_inode, i_gid),
	FIELD("inode.i_ino", struct f_inode, i_ino),
	FIELD("inode.i_mapping", struct f_inode, i_mapping),
	FIELD("inode.i_mode", struct f_inode, i_mode),
	FIELD("inode.i_nlink", struct f_inode, i_nlink),
	FIELD("inode.i_size", struct f_inode, i_size),
	FIELD("inode.i_sb", struct f_inode, i_sb),
	FIELD("inode.i_uid", struct f_inode, i_uid),
	FIELD("inode.i_writecount.counter", struct f_inode, i_writecount),
	FIELD("kernfs_node.id", struct f_kernfs, id),
	FIELD("kernfs_node.name", struct f_kernfs, name),
	FIELD("kernfs_node.parent", struct f_kernfs, parent),
	FIELD("kernfs_node.__parent", struct f_kernfs, parent),
	FIELD("mnt_namespace.seq", struct f_mnt_ns, seq),
	FIELD("mnt_namespace.root", struct f_mnt_ns, root),
	FIELD("mount.mnt_child.next", struct f_mount, mnt_child.next),
	FIELD("mount.mnt_mounts.next", struct f_mount, mnt_mounts.next),
	FIELD("mount.mnt_mountpoint", struct f_mount, mnt_mountpoint),
	FIELD("mount.mnt_parent", struct f_mount, mnt_parent),
	FIELD("mount.mnt.mnt_root", struct f_mount, mnt.mnt_root),
	FIELD("mount.mnt.mnt_sb", struct f_mount, mnt.mnt_sb),
	FIELD("mount.mnt", struct f_mount, mnt),
	FIELD("nsproxy.mnt_ns", struct f_nsproxy, mnt_ns),
	FIELD("nsproxy.uts_ns", struct f_nsproxy, uts_ns),
	FIELD("pid.level", struct f_pid, level),
	FIELD("pid_namespace.child_reaper", struct f_pid_ns, child_reaper),
	FIELD("pid_namespace.ns.inum", struct f_pid_ns, ns.inum),
	FIELD("pid.numbers", struct f_pid, numbers),
	FIELD("rb_node.rb_left", struct f_rb, rb_left),
	FIELD("rb_node.rb_right", struct f_rb, rb_right),
	FIELD("signal_struct.thread_head.next", struct f_signal, thread_head.next),
	FIELD("block_device.bd_dev", struct f_bdev, bd_dev),
	FIELD("block_device.bd_disk", struct f_bdev, bd_disk),
	FIELD("gendisk.part0", struct f_disk, part0),
	FIELD("super_block.s_bdev", struct f_super, s_bdev),
	FIELD("super_block.s_list.next", struct f_super, s_list),
	FIELD("super_block.s_dev", struct f_super, s_dev),
	FIELD("super_block.s_flags", struct f_super, s_flags),
	FIELD("super_block.s_fs_info", struct f_super, s_fs_info),
	FIELD("super_block.s_type", struct f_super, s_type),
	FIELD("task_struct.cgroups", struct f_task, cgroups),
	FIELD("task_struct.comm", struct f_task, comm),
	FIELD("task_struct.real_cred", struct f_task, real_cred),
	FIELD("task_struct.files", struct f_task, files),
	FIELD("task_struct.mm", struct f_task, mm),
	FIELD("task_struct.flags", struct f_task, flags),
	FIELD("task_struct.worker_private", struct f_task, worker_private),
	FIELD("kthread.data", struct f_kthread, data),
	FIELD("worker.current_func", struct f_worker, current_func),
	FIELD("task_struct.fs", struct f_task, fs),
	FIELD("task_struct.group_leader", struct f_task, group_leader),
	FIELD("task_struct.nsproxy", struct f_task, nsproxy),
	FIELD("task_struct.real_parent", struct f_task, real_parent),
	FIELD("task_struct.pid", struct f_task, pid),
	FIELD("task_struct.thread.sp", struct f_task, sp),
	FIELD("task_struct.signal", struct f_task, signal),
	FIELD("task_struct.stack", struct f_task, stack),
	FIELD("task_struct.start_boottime", struct f_task, start_boottime),
	FIELD("task_struct.tasks.next", struct f_task, tasks.next),
	FIELD("task_struct.tgid", struct f_task, tgid),
	FIELD("task_struct.thread_node.next", struct f_task, thread_node.next),
	FIELD("task_struct.thread_pid", struct f_task, thread_pid),
	FIELD("upid.nr", struct f_upid, nr),
	FIELD("upid.ns", struct f_upid, ns),
	FIELD("uts_namespace.name.nodename", struct f_uts_ns, nodename),
	FIELD("uts_namespace.ns.inum", struct f_uts_ns, ns.inum),
	FIELD("vm_area_struct.shared.rb", struct f_vma, rb),
	FIELD("vm_area_struct.vm_end", struct f_vma, vm_end),
	FIELD("vm_area_struct.vm_flags", struct f_vma, vm_flags),
	FIELD("vm_area_struct.vm_mm", struct f_vma, vm_mm),
	FIELD("vm_area_struct.vm_start", struct f_vma, vm_start),
};

/* The guest. */
static _Alignas(4096) uint8_t bytes[RAM_SIZE];
static size_t used;
static const struct ram ram = { .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
static const struct space space = { .ram = &ram, .root = 0x1000 };
static struct kernel *kernel;

static ptr init_task;
static const char *lacks[4]; /* what this kernel does not have */

static bool is_lacking(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(lacks) && lacks[i]; i++)
		if (strcmp(lacks[i], name) == 0)
			return true;
	return false;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &space;
}

/* Symbols that only one test needs. */
static struct {
	const char *name;
	ptr address;
} per_cpu[2];

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(per_cpu); i++)
		if (per_cpu[i].name && strcmp(name, per_cpu[i].name) == 0)
			return per_cpu[i].address;
	return strcmp(name, "init_task") == 0 && !is_lacking(name) ? init_task : 0;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return strcmp(name, "upid") == 0 && !is_lacking(name) ? sizeof(struct f_upid) : 0;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) == 0 && !is_lacking(path)) {
			*ret = (struct profile_field){ fields[i].offset, fields[i].size };
			return 0;
		}
	}
	return -ENOENT;
}

/* An object of the guest's, as the test writes it. */
#define AT(type, address) ((struct f_##type *)(void *)(bytes + ((address)-BASE)))

static ptr make(size_t size)
{
	ptr address = BASE + used;

	used += (size + 15) & ~15UL;
	assert_true(used < RAM_SIZE);
	return address;
}

#define MAKE(type) make(sizeof(struct f_##type))

static ptr text(const char *string)
{
	ptr address = make(strlen(string) + 1);

	strcpy((char *)bytes + (address - BASE), string);
	return address;
}

static struct list *list_at(ptr address)
{
	return (struct list *)(void *)(bytes + (address - BASE));
}

static void list_init(ptr head)
{
	*list_at(head) = (struct list){ head, head };
}

static void list_add_tail(ptr node, ptr head)
{
	ptr last = list_at(head)->prev;

	*list_at(node) = (struct list){ head, last };
	list_at(last)->next = list_at(head)->prev = node;
}

static void list_del(ptr node)
{
	list_at(list_at(node)->prev)->next = list_at(node)->next;
	list_at(list_at(node)->next)->prev = list_at(node)->prev;
	list_init(node);
}

#define MEMBER(type, address, member) ((address) + offsetof(struct f_##type, member))

/* Tables: one 2 MiB page after the other. */
static void map_ram(void)
{
	uint64_t *table = (uint64_t *)(void *)bytes;

	table[512 + 273] = 0x2000 | 1; /* BASE is 0xffff8880... */
	table[1024] = 0x3000 | 1;
	for (unsigned int i = 0; i < RAM_SIZE >> 21; i++)
		table[1536 + i] = ((uint64_t)i << 21) | 0x81;
	used = 0x4000;
}

static ptr make_dentry(ptr parent, const char *name)
{
	ptr dentry = MAKE(dentry);

	*AT(dentry, dentry) = (struct f_dentry){
		.name = text(name),
		.d_parent = parent ? parent : dentry,
	};
	return dentry;
}

static ptr make_mount(ptr parent, ptr mountpoint, ptr root, ptr super)
{
	ptr mount = MAKE(mount);

	*AT(mount, mount) = (struct f_mount){
		.mnt = { .mnt_root = root, .mnt_sb = super },
		.mnt_parent = parent ? parent : mount,
		.mnt_mountpoint = parent ? mountpoint : root,
	};
	list_init(MEMBER(mount, mount, mnt_mounts));
	list_init(MEMBER(mount, mount, mnt_child));
	if (parent)
		list_add_tail(MEMBER(mount, mount, mnt_child), MEMBER(mount, parent, mnt_mounts));
	return mount;
}

static ptr vfs(ptr mount)
{
	return MEMBER(mount, mount, mnt);
}

static ptr make_super(const char *type, uint32_t device)
{
	ptr super = MAKE(super), kind = MAKE(type);

	AT(type, kind)->name = text(type);
	*AT(super, super) = (struct f_super){ .s_type = kind, .s_dev = device, .s_flags = 1 << 30 };
	return super;
}

static ptr make_cgroup(ptr parent_node, const char *name, uint64_t id)
{
	ptr set = MAKE(css_set), cgroup = MAKE(cgroup), node = MAKE(kernfs);

	*AT(kernfs, node) = (struct f_kernfs){ text(name), parent_node, id };
	AT(cgroup, cgroup)->kn = node;
	AT(css_set, set)->cgroup = cgroup;
	return set;
}

static ptr node_of(ptr set)
{
	return AT(cgroup, AT(css_set, set)->cgroup)->kn;
}

/* Name spaces of two worlds: the guest's own, and the container's. */
struct world {
	ptr nsproxy, mnt_ns, pid_ns, fs, cgroups, cred;
	uint32_t level;
};

static struct world make_world(uint32_t inum, uint32_t level, const char *hostname, ptr top_mount)
{
	struct world world = { .level = level, .mnt_ns = MAKE(mnt_ns), .pid_ns = MAKE(pid_ns) };
	ptr uts = MAKE(uts_ns);

	*AT(mnt_ns, world.mnt_ns) = (struct f_mnt_ns){ .root = top_mount, .seq = inum };
	*AT(pid_ns, world.pid_ns) =
		(struct f_pid_ns){ .child_reaper = inum + 3, .ns.inum = inum + 1 };
	AT(uts_ns, uts)->ns.inum = inum + 2;
	snprintf(AT(uts_ns, uts)->nodename, 65, "%s", hostname);
	world.nsproxy = MAKE(nsproxy);
	*AT(nsproxy, world.nsproxy) = (struct f_nsproxy){ uts, world.mnt_ns };
	world.cred = MAKE(cred);
	*AT(cred, world.cred) = (struct f_cred){ 9,	    inum + 10, inum + 11, inum + 12,
						 inum + 13, inum + 14, inum + 15 };
	world.fs = MAKE(fs);
	return world;
}

static ptr make_task(const struct world *world, uint32_t pid, ptr leader, const char *name)
{
	ptr task = MAKE(task), id = MAKE(pid);
	struct f_task *t = AT(task, task);

	*AT(pid, id) = (struct f_pid){ .level = world->level };
	AT(pid, id)->numbers[world->level] = (struct f_upid){ pid % 100, world->pid_ns };
	*t = (struct f_task){
		.pid = pid,
		.tgid = leader ? AT(task, leader)->tgid : pid,
		.group_leader = leader ? leader : task,
		.signal = leader ? AT(task, leader)->signal : MAKE(signal),
		.real_parent = init_task,
		.thread_pid = id,
		.real_cred = world->cred,
		.nsproxy = world->nsproxy,
		.fs = world->fs,
		.cgroups = world->cgroups,
		.stack = BASE + pid,
		.sp = BASE + pid + 8,
		.start_boottime = pid * 1000ULL,
	};
	snprintf(t->comm, sizeof(t->comm), "%s", name);
	if (!leader) {
		list_init(MEMBER(signal, t->signal, thread_head));
		if (init_task)
			list_add_tail(MEMBER(task, task, tasks), MEMBER(task, init_task, tasks));
		else
			list_init(MEMBER(task, task, tasks));
	}
	list_add_tail(MEMBER(task, task, thread_node), MEMBER(signal, t->signal, thread_head));
	return task;
}

/*
 * The mounts, as runc leaves them just before it pivots:
 *
 *	rootfs /
 *	└ ext4 /                              the guest's root
 *	  ├ proc /proc
 *	  └ overlay /var/merged               mounted by dockerd
 *	    └ overlay /var/merged             the same bound over itself by runc
 *	      ├ proc /proc
 *	      │ └ proc /proc/sys              a part of it, bound read-only
 *	      └ ext4 /data                    a volume: the guest's /srv
 */
static struct {
	struct world host, inner;
	ptr init, shell, worker, runc, dying;
	ptr rootfs, guest, guest_proc, lower, upper, proc, proc_sys, volume;
	ptr slash, d_slash, d_srv, d_var, merged_point, merged, data, d_proc_root;
	ptr sb_ext4, sb_overlay, sb_proc;
} g;

static void make_mounts(void)
{
	ptr rootfs_root = make_dentry(0, "/"), proc_dir, sys;

	g.sb_ext4 = make_super("ext4", 0x800001);
	g.sb_overlay = make_super("overlay", 0x1b);
	g.sb_proc = make_super("proc", 0x15);
	g.d_slash = make_dentry(0, "/");
	g.d_var = make_dentry(g.d_slash, "var");
	g.merged_point = make_dentry(g.d_var, "merged");
	g.d_srv = make_dentry(g.d_slash, "srv");
	g.merged = make_dentry(0, "/");
	g.data = make_dentry(g.merged, "data");
	proc_dir = make_dentry(g.merged, "proc");
	g.d_proc_root = make_dentry(0, "/");
	sys = make_dentry(g.d_proc_root, "sys");

	g.rootfs = make_mount(0, 0, rootfs_root, make_super("rootfs", 1));
	g.guest = make_mount(g.rootfs, rootfs_root, g.d_slash, g.sb_ext4);
	g.guest_proc =
		make_mount(g.guest, make_dentry(g.d_slash, "proc"), g.d_proc_root, g.sb_proc);
	g.lower = make_mount(g.guest, g.merged_point, g.merged, g.sb_overlay);
	g.upper = make_mount(g.lower, g.merged, g.merged, g.sb_overlay);
	g.proc = make_mount(g.upper, proc_dir, g.d_proc_root, g.sb_proc);
	g.proc_sys = make_mount(g.proc, sys, sys, g.sb_proc);
	g.volume = make_mount(g.upper, g.data, g.d_srv, g.sb_ext4);
}

static void make_tasks(void)
{
	ptr root_set = make_cgroup(0, "", 1);
	ptr slice = make_cgroup(node_of(root_set), "system.slice", 20);

	g.host = make_world(100, 0, "guest", g.rootfs);
	g.host.cgroups = root_set;
	AT(fs, g.host.fs)->root = (struct f_path){ vfs(g.guest), g.d_slash };
	g.inner = make_world(200, 1, "web", g.rootfs);
	g.inner.cgroups = make_cgroup(node_of(slice), "docker-42.scope", 42);
	AT(fs, g.inner.fs)->root = (struct f_path){ vfs(g.guest), g.d_slash };

	init_task = 0;
	init_task = make_task(&g.host, 0, 0, "swapper/0");
	g.init = make_task(&g.host, 1, 0, "systemd");
	AT(task, make_task(&g.host, 2, 0, "kthreadd"))->flags = 0x200040;
	g.shell = make_task(&g.inner, 1307, 0, "sh");
	g.worker = make_task(&g.inner, 1308, g.shell, "worker-with-a-very-long-name");
	make_task(&g.inner, 1309, g.shell, "worker2");
	g.runc = make_task(&g.inner, 1401, 0, "runc:[2:INIT]");
	AT(task, g.shell)->real_parent = g.init;
	g.dying = make_task(&g.host, 1500, 0, "dying");
	AT(task, g.dying)->nsproxy = AT(task, g.dying)->fs = AT(task, g.dying)->thread_pid = 0;
}

static int setup(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memset(lacks, 0, sizeof(lacks));
	map_ram();
	make_mounts();
	make_tasks();
	return kernel_new(&kernel, NULL, NULL);
}

static int teardown(void **state)
{
	(void)state;
	kernel = kernel_free(kernel);
	return 0;
}

static void test_new(void **state)
{
	struct kernel *other = NULL;
	struct error err = { 0 };

	(void)state;
	assert_ptr_equal(kernel_space(kernel), &space);
	assert_int_equal(kernel_init_task(kernel), init_task);

	lacks[0] = "kernfs_node.__parent"; /* before 6.15 */
	assert_int_equal(kernel_new(&other, NULL, &err), 0);
	other = kernel_free(other);

	lacks[1] = "task_struct.signal";
	lacks[2] = "init_task";
	lacks[3] = "kernfs_node.parent";
	assert_int_equal(kernel_new(&other, NULL, &err), -ENOTSUP);
	assert_null(other);
	assert_string_equal(err.message, "this guest kernel cannot be read, it lacks: init_task, "
					 "kernfs_node.__parent, task_struct.signal");
	assert_null(kernel_free(NULL));
}

static void test_task(void **state)
{
	struct kernel_task t;

	(void)state;
	assert_int_equal(kernel_task_read(kernel, g.worker, &t), 0);
	assert_int_equal(t.address, g.worker);
	assert_int_equal(t.pid, 1308);
	assert_int_equal(t.tgid, 1307);
	assert_int_equal(t.inner_pid, 7);
	assert_int_equal(t.parent, init_task);
	assert_int_equal(t.reaper, 203);
	assert_int_equal(t.start_ns, 1308000);
	assert_string_equal(t.name, "worker-with-a-v");
	assert_false(t.kernel_thread);
	assert_int_equal(t.cred.uid, 210);
	assert_int_equal(t.cred.gid, 211);
	assert_int_equal(t.cred.euid, 212);
	assert_int_equal(t.cred.egid, 213);
	assert_int_equal(t.cred.fsuid, 214);
	assert_int_equal(t.cred.fsgid, 215);
	assert_int_equal(t.nsproxy, g.inner.nsproxy);
	assert_int_equal(t.mnt_ns, g.inner.mnt_ns);
	assert_int_equal(t.mnt_ns_sequence, 200);
	assert_int_equal(t.pid_ns_inum, 201);
	assert_int_equal(t.uts_ns_inum, 202);
	assert_string_equal(t.hostname, "web");
	assert_int_equal(t.cgroup, 42);
	assert_int_equal(t.root_dentry, g.d_slash);
	assert_int_equal(t.root_mount, vfs(g.guest));
}

/* What a thread may return to, and what a kworker is about to call. */
static void test_stack(void **state)
{
	struct f_task *task = AT(task, g.worker);
	const ptr kthread = MAKE(kthread), worker = MAKE(worker);
	struct kernel_stack stack;

	(void)state;
	assert_int_equal(kernel_stack_read(kernel, g.worker, &stack), 0);
	assert_int_equal(stack.stack, BASE + 1308);
	assert_int_equal(stack.saved_sp, BASE + 1316);
	assert_int_equal(stack.work_function, 0);

	AT(kthread, kthread)->data = worker;
	AT(worker, worker)->current_func = 0xffffffffbec00042;
	task->worker_private = kthread;
	assert_int_equal(kernel_stack_read(kernel, g.worker, &stack), 0);
	assert_int_equal(stack.work_function, 0); /* only kworkers have one */
	task->flags |= 0x20;
	assert_int_equal(kernel_stack_read(kernel, g.worker, &stack), 0);
	assert_int_equal(stack.work_function, 0xffffffffbec00042);
	task->worker_private = 1; /* a lie */
	assert_int_equal(kernel_stack_read(kernel, g.worker, &stack), -EFAULT);
	task->worker_private = 0;
	task->flags &= ~0x20U;
}

static void test_task_on_cpu(void **state)
{
	const uint64_t apart = 0x1000, variable = 0x40; /* as a per-CPU symbol: an offset */
	ptr offsets = make(2 * sizeof(ptr)), areas = make(2 * apart);
	uint64_t found;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		ptr area = areas + i * apart;

		*(uint64_t *)(void *)(bytes + (offsets + 8 * i - BASE)) = area;
		*(uint64_t *)(void *)(bytes + (area + variable - BASE)) = g.worker + i;
	}
	assert_int_equal(kernel_task_on_cpu(kernel, 0, &found), -ENOENT);
	per_cpu[0].name = "__per_cpu_offset";
	per_cpu[0].address = offsets;
	per_cpu[1].name = "current_task";
	per_cpu[1].address = variable;
	assert_int_equal(kernel_task_on_cpu(kernel, 0, &found), 0);
	assert_int_equal(found, g.worker);
	assert_int_equal(kernel_task_on_cpu(kernel, 1, &found), 0);
	assert_int_equal(found, g.worker + 1);
	assert_int_equal(kernel_task_on_cpu(kernel, 8192, &found), -ENOENT);
	*(uint64_t *)(void *)(bytes + (offsets - BASE)) = UNMAPPED;
	assert_int_equal(kernel_task_on_cpu(kernel, 0, &found), -EFAULT);
	memset(per_cpu, 0, sizeof(per_cpu));
}

static void test_task_exiting(void **state)
{
	struct kernel_task t;

	(void)state;
	assert_int_equal(kernel_task_read(kernel, g.dying, &t), 0);
	assert_int_equal(t.pid, 1500);
	assert_int_equal(t.inner_pid, 0);
	assert_int_equal(t.nsproxy, 0);
	assert_int_equal(t.mnt_ns, 0);
	assert_int_equal(t.mnt_ns_sequence + t.pid_ns_inum + t.uts_ns_inum, 0);
	assert_string_equal(t.hostname, "");
	assert_int_equal(t.root_dentry, 0);
	assert_int_equal(t.root_mount, 0);
}

static void test_task_hostile(void **state)
{
	struct kernel_task t = { .pid = 4242 };
	struct f_task *worker = AT(task, g.worker);
	ptr *const pointers[] = { &worker->real_cred, &worker->nsproxy,	   &worker->fs,
				  &worker->cgroups,   &worker->thread_pid, &worker->group_leader };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		ptr was = *pointers[i];

		*pointers[i] = UNMAPPED;
		assert_int_equal(kernel_task_read(kernel, g.worker, &t), -EFAULT);
		*pointers[i] = was;
	}
	/* deeper than name spaces nest, though what is there would do */
	AT(pid, worker->thread_pid)->level = 1000;
	AT(pid, worker->thread_pid + 1000 * sizeof(struct f_upid))->numbers[0].ns = g.inner.pid_ns;
	assert_int_equal(kernel_task_read(kernel, g.worker, &t), -EFAULT);
	AT(pid, worker->thread_pid)->level = 1;
	memset(worker->comm, 'x', sizeof(worker->comm));
	assert_int_equal(t.pid, 4242);
	assert_int_equal(kernel_task_read(kernel, g.worker, &t), 0);
	assert_string_equal(t.name, "xxxxxxxxxxxxxxx");
	assert_int_equal(kernel_task_read(kernel, 0, &t), -EFAULT);
}

/* What a walk met, as words. */
struct met {
	char text[4096];
	unsigned int n, stop_at;
};

static int meet_task(const struct kernel_task *task, void *data)
{
	struct met *met = data;
	size_t n = strlen(met->text);

	snprintf(met->text + n, sizeof(met->text) - n, "%u%s ", task->pid,
		 task->kernel_thread ? "k" : "");
	return ++met->n == met->stop_at ? 77 : 0;
}

static void test_tasks_each(void **state)
{
	struct met all = { 0 }, threads = { 0 }, some = { .stop_at = 2 };

	(void)state;
	assert_int_equal(kernel_tasks_each(kernel, false, meet_task, &all), 0);
	assert_string_equal(all.text, "1 2k 1307 1401 1500 ");
	assert_int_equal(kernel_tasks_each(kernel, true, meet_task, &threads), 0);
	assert_string_equal(threads.text, "1 2k 1307 1308 1309 1401 1500 ");
	assert_int_equal(kernel_tasks_each(kernel, true, meet_task, &some), 77);
	assert_string_equal(some.text, "1 2k ");
}

static void test_thread_addresses(void **state)
{
	uint64_t at[8];

	(void)state;
	assert_int_equal(kernel_thread_addresses(kernel, at, ARRAY_SIZE(at)), 7);
	assert_int_equal(at[0], g.init);
	assert_int_equal(at[2], g.shell);
	assert_int_equal(at[3], g.worker);
	assert_int_equal(at[6], g.dying);
	assert_int_equal(kernel_thread_addresses(kernel, at, 7), 7);
	assert_int_equal(kernel_thread_addresses(kernel, at, 6), -ELOOP);
}

static void test_tasks_hostile(void **state)
{
	const struct {
		ptr at, value;
		int error;
		const char *met;
	} lies[] = {
		{ MEMBER(task, g.runc, tasks.next), MEMBER(task, g.shell, tasks), -ELOOP, "" },
		{ MEMBER(task, g.runc, tasks.next), MEMBER(task, g.runc, tasks), -ELOOP, "" },
		{ MEMBER(task, g.runc, tasks.next), UNMAPPED, -EFAULT, "" },
		{ MEMBER(task, g.runc, tasks.next), 0, -EFAULT, "" },
		{ MEMBER(task, g.runc, tasks.next), ~0ULL, -EFAULT, "" },
		{ MEMBER(task, g.worker, thread_node.next), MEMBER(task, g.shell, thread_node),
		  -ELOOP, "" },
		{ MEMBER(task, g.worker, thread_node.next), UNMAPPED, -EFAULT, "" },
		{ MEMBER(task, g.shell, signal), UNMAPPED, -EFAULT, "" },
		/* gone while we looked: passed over */
		{ MEMBER(task, g.shell, real_cred), UNMAPPED, 0, "1 2k 1308 1309 1401 1500 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct met met = { 0 };
		ptr was = list_at(lies[i].at)->next;

		list_at(lies[i].at)->next = lies[i].value;
		assert_int_equal(kernel_tasks_each(kernel, true, meet_task, &met), lies[i].error);
		assert_string_equal(met.text, lies[i].met);
		list_at(lies[i].at)->next = was;
	}
}

/* Processes that have no threads take no room in the result, and must end all the same. */
static void test_tasks_without_threads(void **state)
{
	uint64_t at[8];

	(void)state;
	list_init(MEMBER(signal, AT(task, g.runc)->signal, thread_head));
	AT(task, g.runc)->tasks.next = MEMBER(task, g.runc, tasks);
	assert_int_equal(kernel_thread_addresses(kernel, at, ARRAY_SIZE(at)), -ELOOP);
}

static void test_cgroup(void **state)
{
	static const char path[] = "/system.slice/docker-42.scope";
	ptr node = node_of(g.inner.cgroups), slice = AT(kernfs, node)->parent;
	char buf[1024];

	(void)state;
	assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, sizeof(buf)), strlen(path));
	assert_string_equal(buf, path);
	assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, sizeof(path)), strlen(path));
	assert_string_equal(buf, path);
	for (size_t size = 0; size < sizeof(path); size++)
		assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, size), -ENAMETOOLONG);
	assert_int_equal(kernel_cgroup_path(kernel, g.init, buf, 2), 1);
	assert_string_equal(buf, "/");
	assert_int_equal(kernel_cgroup_path(kernel, g.init, buf, 1), -ENAMETOOLONG);

	AT(kernfs, slice)->parent = node;
	assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, sizeof(buf)), -ENAMETOOLONG);
	AT(kernfs, slice)->parent = UNMAPPED;
	assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, sizeof(buf)), -EFAULT);
	AT(kernfs, slice)->parent = 0;
	AT(kernfs, node)->name = text("");
	assert_int_equal(kernel_cgroup_path(kernel, g.shell, buf, sizeof(buf)), -EFAULT);
}

static void test_file(void **state)
{
	ptr at = MAKE(inode), open = MAKE(file);
	struct kernel_inode inode;
	struct kernel_super super;
	struct kernel_file file;
	uint64_t found = 1;

	(void)state;
	*AT(inode, at) =
		(struct f_inode){ 0, 0, 0100644, 1, 2, 3, 4, g.sb_overlay, 1ULL << 40, 77 };
	assert_int_equal(kernel_inode_read(kernel, at, &inode), 0);
	assert_memory_equal(&inode,
			    (&(struct kernel_inode){ .address = at,
						     .super = g.sb_overlay,
						     .ino = 1ULL << 40,
						     .size = 77,
						     .generation = 4,
						     .device = 0x1b,
						     .mode = 0100644,
						     .uid = 1,
						     .gid = 2,
						     .n_links = 3 }),
			    sizeof(inode));
	AT(inode, at)->i_sb = UNMAPPED;
	assert_int_equal(kernel_inode_read(kernel, at, &inode), -EFAULT);

	assert_int_equal(kernel_super_read(kernel, g.sb_overlay, &super), 0);
	assert_int_equal(super.device, 0x1b);
	assert_string_equal(super.type, "overlay");
	assert_true(super.active);
	AT(super, g.sb_overlay)->s_flags = ~(1ULL << 30); /* being shut down */
	assert_int_equal(kernel_super_read(kernel, g.sb_overlay, &super), 0);
	assert_false(super.active);
	assert_int_equal(kernel_super_read(kernel, UNMAPPED, &super), -EFAULT);

	*AT(file, open) = (struct f_file){ 5, 6, { vfs(g.upper), g.data }, at };
	assert_int_equal(kernel_file_read(kernel, open, &file), 0);
	assert_memory_equal(&file,
			    (&(struct kernel_file){ .address = open,
						    .dentry = g.data,
						    .mount = vfs(g.upper),
						    .inode = at,
						    .mode = 5,
						    .flags = 6 }),
			    sizeof(file));
	assert_int_equal(kernel_file_read(kernel, UNMAPPED, &file), -EFAULT);

	assert_int_equal(kernel_dentry_inode(kernel, g.data, &found), -ENOENT);
	assert_int_equal(kernel_dentry_inode(kernel, UNMAPPED, &found), -EFAULT);
	assert_int_equal(found, 1);
	AT(dentry, g.data)->d_inode = at;
	assert_int_equal(kernel_dentry_inode(kernel, g.data, &found), 0);
	assert_int_equal(found, at);
}

static void test_path(void **state)
{
	ptr key = make_dentry(g.d_srv, "key"), moved = make_dentry(0, "pipe:[1]");
	const struct {
		ptr dentry, mount, root, root_mount;
		const char *path;
		int error;
	} cases[] = {
		{ key, g.volume, 0, 0, "/var/merged/data/key", 0 },
		{ key, g.volume, g.merged, g.upper, "/data/key", 0 },
		{ key, g.guest, 0, 0, "/srv/key", 0 },
		{ key, g.guest, g.d_slash, g.guest, "/srv/key", 0 },
		{ key, g.guest, g.d_srv, g.guest, "/key", 0 },
		{ g.d_srv, g.volume, g.merged, g.upper, "/data", 0 },
		{ g.merged, g.upper, g.merged, g.upper, "/", 0 },
		{ g.d_slash, g.guest, 0, 0, "/", 0 },
		{ key, g.guest, g.merged, g.upper, "", -ENOENT },
		{ key, g.volume, g.d_slash, g.volume, "", -ENOENT },
		{ moved, g.guest, 0, 0, "", -ENOENT },
		{ UNMAPPED, g.guest, 0, 0, "", -EFAULT },
		{ key, UNMAPPED, 0, 0, "", -EFAULT },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ptr root_mount = cases[i].root ? vfs(cases[i].root_mount) : 0;
		int r = kernel_path(kernel, cases[i].dentry, vfs(cases[i].mount), cases[i].root,
				    root_mount, buf, sizeof(buf));

		assert_int_equal(r, cases[i].error ? cases[i].error : (int)strlen(cases[i].path));
		if (r > 0)
			assert_string_equal(buf, cases[i].path);
	}
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, 9), 8);
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, 8), -ENAMETOOLONG);
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, 0), -ENAMETOOLONG);
}

static void test_path_hostile(void **state)
{
	ptr endless = make(4096), key = make_dentry(g.d_srv, "key");
	char buf[4096];

	(void)state;
	memset(bytes + (endless - BASE), 'x', 4096);
	AT(dentry, key)->name = endless;
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, sizeof(buf)),
			 -ENAMETOOLONG);
	memset(bytes + RAM_SIZE - 16, 'x', 16); /* to the last mapped byte */
	AT(dentry, key)->name = BASE + RAM_SIZE - 16;
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, sizeof(buf)), -EFAULT);
	AT(dentry, key)->name = text("key");

	AT(dentry, g.d_srv)->d_parent = key;
	assert_int_equal(kernel_path(kernel, key, vfs(g.guest), 0, 0, buf, sizeof(buf)),
			 -ENAMETOOLONG);
	AT(dentry, g.d_srv)->d_parent = g.d_slash;

	AT(mount, g.guest)->mnt_parent = g.volume; /* which stands on it */
	AT(mount, g.guest)->mnt_mountpoint = g.d_srv;
	assert_int_equal(kernel_path(kernel, key, vfs(g.volume), 0, 0, buf, sizeof(buf)),
			 -ENAMETOOLONG);
	AT(mount, g.lower)->mnt_parent = g.upper; /* each on the other's root: no names between */
	AT(mount, g.lower)->mnt_mountpoint = g.merged;
	assert_int_equal(kernel_path(kernel, g.merged, vfs(g.upper), 0, 0, buf, sizeof(buf)),
			 -ELOOP);
}

static int meet_directory(const struct kernel_inode *directory, const char *below, void *data)
{
	struct met *met = data;
	size_t n = strlen(met->text);

	snprintf(met->text + n, sizeof(met->text) - n, "%llu:%s ",
		 (unsigned long long)directory->ino, below);
	return ++met->n == met->stop_at ? 77 : 0;
}

static int count_directory(const struct kernel_inode *directory, const char *below, void *data)
{
	assert_true(directory->ino && *below);
	((struct met *)data)->n++;
	return 0;
}

static ptr make_directory(ptr parent, const char *name, uint64_t ino)
{
	ptr dentry = make_dentry(parent, name), inode = make(sizeof(struct f_inode));

	AT(inode, inode)->i_ino = ino;
	AT(inode, inode)->i_mode = 040755;
	AT(inode, inode)->i_sb = g.sb_ext4;
	AT(dentry, dentry)->d_inode = inode;
	return dentry;
}

/* Upwards in one file system, whatever is mounted where. */
static void test_directories(void **state)
{
	ptr root = make_directory(0, "/", 2), a = make_directory(root, "a", 11);
	ptr b = make_directory(a, "b", 12), file = make_dentry(b, "file");
	struct met met = { 0 };

	(void)state;
	assert_int_equal(kernel_directories_each(kernel, file, meet_directory, &met), 0);
	assert_string_equal(met.text, "12:file 11:b/file 2:a/b/file ");
	met = (struct met){ .stop_at = 2 };
	assert_int_equal(kernel_directories_each(kernel, file, meet_directory, &met), 77);
	assert_string_equal(met.text, "12:file 11:b/file ");
	met = (struct met){ 0 };
	assert_int_equal(kernel_directories_each(kernel, root, meet_directory, &met), 0);
	assert_int_equal(met.n, 0); /* nothing is above it */
	assert_int_equal(kernel_directories_each(kernel, UNMAPPED, meet_directory, &met), -EFAULT);
	assert_int_equal(met.n, 0);
	/* A directory without an inode, or with one that cannot be read. */
	AT(dentry, a)->d_inode = 0;
	assert_int_equal(kernel_directories_each(kernel, file, meet_directory, &met), -ENOENT);
	assert_string_equal(met.text, "12:file ");
	AT(dentry, a)->d_inode = UNMAPPED;
	assert_int_equal(kernel_directories_each(kernel, file, meet_directory, &met), -EFAULT);
}

/* No tree is as deep as its reader: names that do not fit end it, and so does going round. */
static void test_directories_deep(void **state)
{
	char name[201];
	ptr root = make_directory(0, "/", 2), at = root;
	struct met met = { 0 };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned int i = 0; i < 7; i++)
		at = make_directory(at, name, 10 + i);
	assert_int_equal(kernel_directories_each(kernel, at, count_directory, &met), 0);
	assert_int_equal(met.n, 5); /* 5 * 201 bytes, and no sixth */
	AT(dentry, root)->d_parent = at;
	AT(dentry, root)->name = text("r");
	met.n = 0;
	assert_int_equal(kernel_directories_each(kernel, at, count_directory, &met), 0);
	assert_int_equal(met.n, 5);
	AT(dentry, at)->name = text(""); /* no name */
	assert_int_equal(kernel_directories_each(kernel, at, count_directory, &met), -EFAULT);
}

static int meet_mount(const struct kernel_mount *mount, void *data)
{
	struct met *met = data;
	size_t n = strlen(met->text);
	struct kernel_super super;

	assert_int_equal(kernel_super_read(kernel, mount->super, &super), 0);
	snprintf(met->text + n, sizeof(met->text) - n, "%s:%s ", super.type, mount->path);
	return ++met->n == met->stop_at ? 77 : 0;
}

#define INNER_MOUNTS "overlay:/ proc:/proc proc:/proc/sys ext4:/data "

static void assert_mounts(ptr task, ptr root, const char *expected)
{
	struct met met = { 0 };

	assert_int_equal(kernel_mounts_each(kernel, task, root, meet_mount, &met), 0);
	assert_string_equal(met.text, expected);
}

static void test_mounts_before_pivot(void **state)
{
	struct met met = { .stop_at = 2 };

	(void)state;
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
	assert_mounts(g.init, g.d_slash,
		      "ext4:/ proc:/proc overlay:/var/merged overlay:/var/merged "
		      "proc:/var/merged/proc proc:/var/merged/proc/sys ext4:/var/merged/data ");
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, meet_mount, &met), 77);
	assert_string_equal(met.text, "overlay:/ proc:/proc ");
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.data, meet_mount, &met), -ENOENT);
	assert_int_equal(kernel_mounts_each(kernel, g.dying, g.merged, meet_mount, &met), -ESRCH);
}

static void move_mount(ptr mount, ptr parent, ptr mountpoint)
{
	list_del(MEMBER(mount, mount, mnt_child));
	list_add_tail(MEMBER(mount, mount, mnt_child), MEMBER(mount, parent, mnt_mounts));
	AT(mount, mount)->mnt_parent = parent;
	AT(mount, mount)->mnt_mountpoint = mountpoint;
}

/* pivot_root(".", "."): the old root lies on the new one's root until it is unmounted. */
static void test_mounts_after_pivot(void **state)
{
	(void)state;
	move_mount(g.upper, g.rootfs, AT(mount, g.guest)->mnt_mountpoint);
	move_mount(g.guest, g.upper, g.merged);
	AT(fs, g.inner.fs)->root = (struct f_path){ vfs(g.upper), g.merged };
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
	list_del(MEMBER(mount, g.guest, mnt_child));
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
	/* No other root above it either: a name space of one tree. */
	AT(mount, g.upper)->mnt_parent = g.upper;
	AT(mount, g.upper)->mnt_mountpoint = g.merged;
	AT(mnt_ns, g.inner.mnt_ns)->root = g.upper;
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
}

/*
 * The overlay below has one mount in it, the one bound over it; that does not make it the better
 * root.
 */
static void test_mounts_few(void **state)
{
	(void)state;
	list_del(MEMBER(mount, g.volume, mnt_child));
	assert_mounts(g.runc, g.merged, "overlay:/ proc:/proc proc:/proc/sys ");
}

/* mount --rbind / /data/self, and more in there than in the root itself. */
static void test_mounts_bound_inside(void **state)
{
	ptr self = make_mount(g.upper, make_dentry(g.merged, "self"), g.merged, g.sb_overlay);
	char expected[256] = INNER_MOUNTS "overlay:/self ";

	(void)state;
	assert_mounts(g.runc, g.merged, expected);
	for (unsigned int i = 0; i < 4; i++) {
		char name[] = { (char)('a' + i), '\0' };

		make_mount(self, make_dentry(g.merged, name), g.d_proc_root, g.sb_proc);
		snprintf(expected + strlen(expected), 32, "proc:/self/%s ", name);
	}
	AT(fs, g.inner.fs)->root = (struct f_path){ vfs(g.upper), g.merged };
	assert_mounts(g.runc, g.merged, expected); /* the task's own root is the better witness */
}

static void test_mounts_out_of_sight(void **state)
{
	char name[256] = "";
	ptr deep = g.merged;

	(void)state;
	memset(name, 'x', 255);
	for (unsigned int i = 0; i < 5; i++)
		deep = make_dentry(deep, name);
	make_mount(g.upper, deep, g.d_proc_root, g.sb_proc); /* too long a path */
	make_mount(g.upper, make_dentry(0, "moved"), g.d_proc_root, g.sb_proc);
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
}

struct extremes {
	char longest[1024], last[1024];
};

static int note_path(const struct kernel_mount *mount, void *data)
{
	struct extremes *extremes = data;

	if (strlen(mount->path) > strlen(extremes->longest))
		strcpy(extremes->longest, mount->path);
	strcpy(extremes->last, mount->path);
	return 0;
}

/* Mounts in mounts: the path goes through all of them, and back up for what comes after. */
static void test_mounts_nested(void **state)
{
	struct extremes extremes = { "", "" };
	ptr at = g.upper, root = g.merged;
	char path[1024] = "";

	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		ptr point = make_dentry(make_dentry(root, "a"), "b");

		root = make_dentry(0, "/");
		at = make_mount(at, point, root, g.sb_proc);
		if (i % 2)
			at = make_mount(at, root, root, g.sb_proc); /* bound over itself */
		if (i < 255) /* the others are too deep */
			strcat(path, "/a/b");
	}
	make_mount(g.upper, make_dentry(g.merged, "after"), g.d_proc_root, g.sb_proc);
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, note_path, &extremes), 0);
	assert_string_equal(extremes.longest, path);
	assert_string_equal(extremes.last, "/after");
}

static int count_mount(const struct kernel_mount *mount, void *data)
{
	(void)mount;
	++*(unsigned int *)data;
	return 0;
}

/* Names cost time; there are only so many. */
static void test_mounts_limit(void **state)
{
	const unsigned int depth = 400;
	ptr deep = g.merged;
	unsigned int n = 0, most = KERNEL_MAX_MOUNT_NAMES / depth;

	(void)state;
	for (unsigned int i = 1; i < depth; i++)
		deep = make_dentry(deep, "a");
	for (unsigned int i = 0; i < most; i++)
		make_mount(g.upper, make_dentry(deep, "m"), g.d_proc_root, g.sb_proc);
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, count_mount, &n), 0);
	assert_int_equal(n, most + 4);
	/* what is not needed for the mounts is there for the names */
	for (unsigned int i = 0; i < 3 * KERNEL_MAX_MOUNTS / depth; i++)
		make_mount(g.upper, make_dentry(deep, "m"), g.d_proc_root, g.sb_proc);
	n = 0;
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, count_mount, &n), -ELOOP);
	assert_true(n > most && n < most + 3 * KERNEL_MAX_MOUNTS / depth);
}

/* As umount_tree() leaves it. */
static int unmount_proc(const struct kernel_mount *mount, void *data)
{
	if (strcmp(mount->path, "/proc/sys") == 0) {
		list_del(MEMBER(mount, g.proc_sys, mnt_child));
		AT(mount, g.proc_sys)->mnt_parent = g.proc_sys;
	}
	return count_mount(mount, data);
}

static void test_mounts_changed(void **state)
{
	unsigned int n = 0;

	(void)state;
	assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, unmount_proc, &n), -ELOOP);
	assert_int_equal(n, 3);
}

static void test_mounts_hostile(void **state)
{
	const struct {
		ptr at, value;
		int error;
	} lies[] = {
		{ MEMBER(mount, g.proc, mnt_child.next), MEMBER(mount, g.proc, mnt_child), -ELOOP },
		{ MEMBER(mount, g.volume, mnt_child.next), MEMBER(mount, g.proc, mnt_child),
		  -ELOOP },
		{ MEMBER(mount, g.volume, mnt_mounts.next), MEMBER(mount, g.upper, mnt_child),
		  -ELOOP },
		{ MEMBER(mount, g.proc_sys, mnt_parent), g.proc_sys, -EFAULT },
		{ MEMBER(mount, g.proc, mnt_child.next), UNMAPPED, -EFAULT },
		{ MEMBER(mount, g.proc, mnt_parent), UNMAPPED, -ELOOP },
		{ MEMBER(mount, g.proc, mnt_mounts.next), 0, -EFAULT },
		{ MEMBER(mnt_ns, g.inner.mnt_ns, root), UNMAPPED, -EFAULT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		unsigned int n = 0;
		ptr was = list_at(lies[i].at)->next;

		list_at(lies[i].at)->next = lies[i].value;
		assert_int_equal(kernel_mounts_each(kernel, g.runc, g.merged, count_mount, &n),
				 lies[i].error);
		assert_true(n < 10);
		list_at(lies[i].at)->next = was;
	}
	assert_mounts(g.runc, g.merged, INNER_MOUNTS);
}

static int ignore_task(const struct kernel_task *task, void *data)
{
	char buf[256];

	(void)data;
	return kernel_cgroup_path(kernel, task->address, buf, sizeof(buf)) == 12345;
}

/*
 * Any word may be any other: nothing to expect but that all ends, and that no byte is touched that
 * is not ours.
 */
static void test_shaken(void **state)
{
	unsigned int seed = 42, n = 0;
	uint64_t at[64];
	char buf[512];

	for (unsigned int round = 0; round < 300; round++) {
		for (unsigned int i = 0; i < 3; i++) {
			ptr to = BASE + 0x4000 +
				 8 * ((unsigned int)rand_r(&seed) % ((used - 0x4000) / 8));
			ptr from = BASE + 0x4000 +
				   8 * ((unsigned int)rand_r(&seed) % ((used - 0x4000) / 8));

			list_at(to)->next = list_at(from)->next;
		}
		kernel_tasks_each(kernel, round % 2, ignore_task, NULL);
		kernel_thread_addresses(kernel, at, ARRAY_SIZE(at));
		kernel_mounts_each(kernel, g.runc, g.merged, count_mount, &n);
		kernel_path(kernel, g.data, vfs(g.upper), 0, 0, buf, sizeof(buf));
		if (round % 10 == 9) {
			teardown(state);
			setup(state);
		}
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_new),
		TEST(test_task),
		TEST(test_stack),
		TEST(test_task_on_cpu),
		TEST(test_task_exiting),
		TEST(test_task_hostile),
		TEST(test_tasks_each),
		TEST(test_thread_addresses),
		TEST(test_tasks_hostile),
		TEST(test_tasks_without_threads),
		TEST(test_cgroup),
		TEST(test_file),
		TEST(test_path),
		TEST(test_path_hostile),
		TEST(test_directories),
		TEST(test_directories_deep),
		TEST(test_mounts_before_pivot),
		TEST(test_mounts_after_pivot),
		TEST(test_mounts_few),
		TEST(test_mounts_bound_inside),
		TEST(test_mounts_changed),
		TEST(test_mounts_nested),
		TEST(test_mounts_limit),
		TEST(test_mounts_out_of_sight),
		TEST(test_mounts_hostile),
		TEST(test_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
