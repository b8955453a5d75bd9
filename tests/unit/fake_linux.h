/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_LINUX_H
#define TESTS_FAKE_LINUX_H

/*
 * The guard, whole, in a Linux of a few hundred lines: its sources are included here, and what the host resolves when it
 * arms (fields, functions, the current task) is defined below. Fields are what they are in a guest too: symbols whose address is
 * an offset. That, and `current`, which the guard reads through %gs (whose base is 0 in a process), take a program at fixed
 * addresses: -no-pie.
 *
 * Include the host's headers first: the guard's define `vault` and `mailbox`. One test program includes this once.
 */
#undef NDEBUG
#include <assert.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "events/ring.h"
#include "guard/cache.h"
#include "util/cleanup.h"

#define VAULT_SIZE (8ULL << 20)
#define MAILBOX_RECORDS 64
#define MAILBOX_SIZE (GUARD_MAILBOX_SLOTS + MAILBOX_RECORDS * GUARD_SLOT_SIZE)

static int fake_protect(void *at, size_t size, bool readable)
{
	return mprotect(at, size, readable ? PROT_READ | PROT_WRITE : PROT_NONE);
}

#define FAKE_REGISTERS
uint64_t read_msr(uint32_t msr);
void write_msr(uint32_t msr, uint64_t value);
uint64_t read_cr4(void);

/* The guard has its own. */
#undef PROT_WRITE
#undef MAP_TYPE
#undef MAP_SHARED
#undef MAP_SHARED_VALIDATE

/* A page that nobody may touch follows each. */
__asm__(".pushsection .bss\n"
	".balign 4096\n"
	".globl vault\n"
	"vault: .skip 8 << 20\n"
	"fake_behind_vault: .skip 4096\n"
	".globl mailbox\n"
	"mailbox: .skip 4096 + 64 * 2048\n"
	"fake_behind_mailbox: .skip 4096\n"
	".popsection");
extern char fake_behind_vault[], fake_behind_mailbox[];

struct super_block {
	_Alignas(64) uint32_t s_dev;
	uint64_t s_magic;
};

struct inode {
	uint16_t i_mode;
	uint32_t i_rdev;
	uint32_t i_uid, i_gid, i_nlink, i_generation;
	struct super_block *i_sb;
	uint64_t i_ino, i_size;
};

struct dentry {
	struct dentry *d_parent;
	const char *name;
	struct inode *d_inode;
	const struct super_block *d_sb;
};

struct path { /* as kernel_path */
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	uint32_t f_flags, f_mode;
};

struct iattr {
	uint32_t ia_valid;
};

struct vm_area_struct {
	uint64_t vm_flags;
	struct file *vm_file;
};

struct mnt_namespace {
	uint64_t seq;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mnt_namespace *mnt_ns;
	struct vfsmount mnt;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct fs_struct {
	uint32_t users;
	struct path root;
};

struct cred {
	_Alignas(64) uint32_t uid;
	uint32_t gid, euid, egid;
};

struct upid {
	uint32_t nr;
	void *ns;
};

struct pid {
	uint32_t level;
	struct upid numbers[3];
};

struct kernfs_node {
	uint64_t id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mm_struct {
	struct file *exe_file;
};

struct file_system_type {
	const char *name;
};

struct fs_context {
	struct file_system_type *fs_type;
	void *log; /* log.log */
};

struct fs_parameter {
	const char *key;
};

struct bpf_prog {
	uint32_t type, expected_attach_type;
};

struct task_struct {
	uint32_t flags, pid, tgid;
	struct css_set *cgroups; /* not first: without cgroups it would be at 0 */
	struct mm_struct *mm;
	uint64_t start_boottime;
	struct task_struct *real_parent, *group_leader;
	const struct cred *real_cred, *cred;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	char comm[16];
	struct file *exe; /* mm->exe_file */
};

#define SYMBOL(name, value) \
	__asm__ volatile(".globl \"" name "\"\n.set \"" name "\", %c0" : : "i"(value))
#define FIELD(structure, member) \
	SYMBOL("field." #structure "." #member, offsetof(struct structure, member))

/* Never called: it is here for what it says to the assembler. */
__attribute__((used, noinline)) static void fields(void)
{
	FIELD(file, f_inode);
	FIELD(file, f_mode);
	FIELD(file, f_flags);
	FIELD(file, f_path);
	SYMBOL("field.file.f_path.dentry", offsetof(struct file, f_path.dentry));
	FIELD(inode, i_sb);
	FIELD(inode, i_ino);
	FIELD(inode, i_generation);
	FIELD(inode, i_mode);
	FIELD(inode, i_uid);
	FIELD(inode, i_gid);
	FIELD(inode, i_nlink);
	FIELD(inode, i_size);
	FIELD(super_block, s_dev);
	FIELD(super_block, s_magic);
	FIELD(inode, i_rdev);
	FIELD(task_struct, cgroups);
	FIELD(task_struct, mm);
	FIELD(mm_struct, exe_file);
	FIELD(css_set, dfl_cgrp);
	FIELD(cgroup, kn);
	SYMBOL("field.cgroup.self.parent", offsetof(struct cgroup, self.parent));
	FIELD(cgroup_subsys_state, cgroup);
	FIELD(kernfs_node, id);
	FIELD(fs_context, fs_type);
	SYMBOL("field.fs_context.log.log", offsetof(struct fs_context, log));
	FIELD(file_system_type, name);
	FIELD(fs_parameter, key);
	FIELD(bpf_prog, type);
	FIELD(bpf_prog, expected_attach_type);
	SYMBOL("enumerator.LOCKDOWN_DEV_MEM", 2);
	SYMBOL("enumerator.LOCKDOWN_KCORE", 20);
	SYMBOL("enumerator.LOCKDOWN_IOPORT", 7);
	SYMBOL("enumerator.LOCKDOWN_MSR", 8);
	SYMBOL("enumerator.LOCKDOWN_ACPI_TABLES", 9);
	SYMBOL("enumerator.LOCKDOWN_PCI_ACCESS", 6);
	SYMBOL("enumerator.LOCKDOWN_BPF_WRITE_USER", 17);
	SYMBOL("enumerator.LOCKDOWN_KPROBES", 21);
	SYMBOL("enumerator.READING_MODULE", 2);
	SYMBOL("enumerator.READING_KEXEC_IMAGE", 3);
	SYMBOL("enumerator.LOADING_MODULE", 2);
	SYMBOL("enumerator.LOADING_KEXEC_IMAGE", 3);
	FIELD(dentry, d_inode);
	FIELD(dentry, d_parent);
	FIELD(dentry, d_sb);
	SYMBOL("field.dentry.d_name.name", offsetof(struct dentry, name));
	FIELD(iattr, ia_valid);
	FIELD(vm_area_struct, vm_file);
	FIELD(vm_area_struct, vm_flags);
	FIELD(vfsmount, mnt_root);
	FIELD(vfsmount, mnt_sb);
	FIELD(mount, mnt);
	FIELD(mount, mnt_ns);
	FIELD(task_struct, fs);
	FIELD(fs_struct, root);
	FIELD(task_struct, flags);
	FIELD(task_struct, pid);
	FIELD(task_struct, tgid);
	FIELD(task_struct, real_parent);
	FIELD(task_struct, group_leader);
	FIELD(task_struct, cred);
	FIELD(task_struct, real_cred);
	FIELD(task_struct, nsproxy);
	FIELD(task_struct, thread_pid);
	FIELD(task_struct, start_boottime);
	FIELD(task_struct, comm);
	FIELD(cred, uid);
	FIELD(cred, gid);
	FIELD(cred, euid);
	FIELD(cred, egid);
	FIELD(nsproxy, mnt_ns);
	FIELD(mnt_namespace, seq);
	FIELD(pid, level);
	FIELD(pid, numbers);
	FIELD(upid, nr);
	SYMBOL("size.upid", sizeof(struct upid));
}

/* Kept in memory, in front of the guard's own declaration of it. */
struct task_struct *fake_current __asm__("percpu.current_task");

/* The guard. */
#include "guard/ring.c"

#include "guard/describe.c"

#include "guard/kill.c"

#include "guard/system_calls.c"

#include "guard/view.c"

#include "guard/actor.c"

#include "guard/match.c"

#include "guard/judge.c"

#include "guard/attempt.c"

#include "guard/file.c"

#include "guard/inode.c"

#include "guard/mount.c"
#undef vault
#undef mailbox

static struct guard_vault *the_vault(void)
{
	return (struct guard_vault *)vault_bytes;
}

static struct guard_mailbox *the_mailbox(void)
{
	return (struct guard_mailbox *)mailbox_bytes;
}

/* What the guest is, while a test runs. */
static struct fake {
	struct super_block supers[3];
	struct dentry *roots[3]; /* of the supers */
	struct mnt_namespace spaces[3]; /* the guest's own, and two containers' */
	struct mount mounts[3]; /* the first super block's root, in each */
	struct nsproxy proxies[3];
	struct fs_struct fs;
	struct kernfs_node nodes[2];
	struct cgroup cgroups[2]; /* the second below the first */
	struct css_set css;
	struct mm_struct mm;
	struct cred cred, overlay_cred;
	struct pid pid;
	struct task_struct init, shell, task;
	struct file executable;

	struct dentry *dentries[1024];
	size_t n_dentries;
	uint64_t next_ino;
	uint64_t now_ns;

	/* What the guard has taken and not given back. */
	int n_files, n_dentry_refs, n_paths, rcu_depth;
	const void *creds_before; /* while it works with other credentials */
	unsigned int n_signals, n_shepherded;
	uint64_t entry[4], cr4; /* of each CPU: MSR_LSTAR; of all: CR4 */
	bool offline[4];
	unsigned int cpu, n_interrupts, n_tried; /* the one that the guard runs on */
	int lookup_error; /* what walking a path says, if not 0 */

	/* Called from within the guard: the host, or another vCPU, does something meanwhile. */
	void (*at_sleep)(void);
	void (*at_executable)(void);
	void (*at_lookup)(const char *name);
} fake;

/* The kernel's functions. */

void __rcu_read_lock(void)
{
	fake.rcu_depth++;
}

void __rcu_read_unlock(void)
{
	assert(fake.rcu_depth-- > 0);
}

uint64_t ktime_get_real_fast_ns(void)
{
	return 42;
}

uint64_t ktime_get_mono_fast_ns(void)
{
	return fake.now_ns;
}

/* Time passes when someone sleeps. */
void usleep_range_state(unsigned long min_us, unsigned long max_us, unsigned int state)
{
	assert(!fake.rcu_depth);
	assert(min_us && min_us <= max_us && state == TASK_IDLE);
	fake.now_ns += min_us * 1000;
	if (fake.at_sleep)
		fake.at_sleep();
}

void vmstat_shepherd(void *work)
{
	(void)work;
	fake.n_shepherded++;
}

uint32_t nr_cpu_ids = 4;

uint64_t read_msr(uint32_t msr)
{
	assert(msr == MSR_LSTAR);
	return fake.entry[fake.cpu];
}

void write_msr(uint32_t msr, uint64_t value)
{
	assert(msr == MSR_LSTAR);
	fake.entry[fake.cpu] = value;
}

uint64_t read_cr4(void)
{
	return fake.cr4;
}

int smp_call_function_single(int cpu, void (*function)(void *data), void *data, int wait)
{
	assert(wait);
	fake.n_tried++;
	if ((unsigned int)cpu >= 4 || fake.offline[cpu])
		return -6; /* ENXIO */
	fake.cpu = (unsigned int)cpu;
	fake.n_interrupts++;
	function(data);
	fake.cpu = 0;
	return 0;
}

const char init_cred[64];

void *override_creds(const void *cred)
{
	assert(cred == init_cred && !fake.creds_before);
	fake.creds_before = fake.task.cred;
	fake.task.cred = cred;
	return (void *)fake.creds_before;
}

void revert_creds(void *cred)
{
	assert(cred == fake.creds_before);
	fake.task.cred = cred;
	fake.creds_before = NULL;
}

void *get_task_exe_file(void *task)
{
	assert(task == &fake.task);
	if (fake.at_executable)
		fake.at_executable();
	if (!fake.task.exe)
		return NULL;
	fake.n_files++;
	return fake.task.exe;
}

void fput(void *file)
{
	assert(file == fake.task.exe && fake.n_files-- > 0);
}

void *d_find_any_alias(void *inode)
{
	for (size_t i = 0; i < fake.n_dentries; i++) {
		if (fake.dentries[i]->d_inode == inode) {
			fake.n_dentry_refs++;
			return fake.dentries[i];
		}
	}
	return NULL;
}

void dput(void *dentry)
{
	if (dentry)
		assert(fake.n_dentry_refs-- > 0);
}

int send_sig(int signal, void *task, int from_kernel)
{
	assert(signal == SIGKILL && task == &fake.task && from_kernel);
	fake.n_signals++;
	return 0;
}

void *find_task_by_vpid(int pid)
{
	assert(fake.rcu_depth);
	if (fake.init.pid == (uint32_t)pid)
		return &fake.init;
	return fake.task.pid == (uint32_t)pid ? &fake.task : NULL;
}

/* As the kernel: from the end of the buffer, and an error pointer where it does not fit. */
char *dentry_path_raw(const void *of, char *buf, int size)
{
	const struct dentry *dentry = of;
	char *at = buf + size - 1;

	*at = '\0';
	if (dentry->d_parent == dentry)
		*--at = '/';
	for (; dentry->d_parent != dentry; dentry = dentry->d_parent) {
		size_t n = strlen(dentry->name);

		if (at - buf < (ptrdiff_t)n + 1)
			return (char *)-36L;
		at -= n;
		memcpy(at, dentry->name, n);
		*--at = '/';
	}
	return at;
}

char *d_path(const void *path, char *buf, int size)
{
	assert(!fake.rcu_depth);
	return dentry_path_raw(((const struct path *)path)->dentry, buf, size);
}

static struct dentry *fake_lookup(const struct dentry *directory, const char *name, size_t n)
{
	for (size_t i = 0; i < fake.n_dentries; i++) {
		struct dentry *dentry = fake.dentries[i];

		if (dentry->d_parent == directory && dentry != directory && dentry->d_inode &&
		    strlen(dentry->name) == n && !memcmp(dentry->name, name, n))
			return dentry;
	}
	return NULL;
}

int vfs_path_lookup(void *from, void *mnt, const char *name, unsigned int flags,
		    struct kernel_path *ret)
{
	struct dentry *dentry = from;

	assert(!fake.rcu_depth && flags == LOOKUP_FOLLOW);
	if (fake.at_lookup)
		fake.at_lookup(name);
	if (fake.lookup_error)
		return fake.lookup_error;
	while (*name) {
		size_t n = strcspn(name, "/");

		if (n)
			dentry = fake_lookup(dentry, name, n);
		if (!dentry)
			return -2;
		name += n + (name[n] == '/');
	}
	*ret = (struct kernel_path){ mnt, dentry };
	fake.n_paths++;
	return 0;
}

int kern_path(const char *name, unsigned int flags, struct kernel_path *ret)
{
	return vfs_path_lookup(fake.roots[0], &fake.mounts[1].mnt, name, flags, ret);
}

void path_put(const struct kernel_path *path)
{
	assert(path->dentry && fake.n_paths-- > 0);
}

/* Making files. */

static struct dentry *fake_name(struct dentry *parent, const char *name)
{
	struct dentry *dentry = calloc(1, sizeof(*dentry));

	assert(dentry && fake.n_dentries < ARRAY_SIZE(fake.dentries));
	dentry->d_parent = parent ? parent : dentry;
	dentry->d_sb = parent ? parent->d_sb : NULL;
	dentry->name = strdup(name);
	assert(dentry->name);
	fake.dentries[fake.n_dentries++] = dentry;
	return dentry;
}

static struct inode *fake_inode(struct super_block *super, uint16_t mode)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	assert(inode);
	inode->i_mode = mode;
	inode->i_ino = fake.next_ino++;
	inode->i_generation = (uint32_t)inode->i_ino * 3;
	inode->i_sb = super;
	inode->i_nlink = 1;
	inode->i_size = 1000 + inode->i_ino;
	inode->i_uid = 7;
	inode->i_gid = 8;
	return inode;
}

static struct dentry *fake_make(struct dentry *parent, const char *name, uint16_t mode)
{
	struct dentry *dentry = fake_name(parent, name);

	dentry->d_inode = fake_inode(parent->d_inode->i_sb, mode);
	return dentry;
}

/* The file at @path from the root of the first super block; directories on the way are made. A path that ends in '/' is one. */
static struct dentry *fake_at(const char *path)
{
	struct dentry *dentry = fake.roots[0];

	while (*path) {
		size_t n = strcspn(path, "/");
		bool last = !path[n];
		char name[256];
		struct dentry *next;

		assert(n && n < sizeof(name));
		memcpy(name, path, n);
		name[n] = '\0';
		next = fake_lookup(dentry, name, n);
		dentry = next ? next : fake_make(dentry, name, last ? 0100644 : S_IFDIR | 0755);
		path += n + !last;
	}
	return dentry;
}

/* A name where nothing is; its directory is made. */
static struct dentry *fake_missing(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[256];

	if (!slash)
		return fake_name(fake.roots[0], path);
	assert((size_t)(slash - path) + 2 < sizeof(directory));
	snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path), path);
	return fake_name(fake_at(directory), slash + 1);
}

static void fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(vault_bytes, 0, GUARD_VAULT_TABLES);
	memset(mailbox_bytes, 0, MAILBOX_SIZE);
	fake.next_ino = 2;
	fake.now_ns = 1;
	for (size_t i = 0; i < 3; i++) {
		fake.supers[i].s_dev = 8 << 20 | (uint32_t)i;
		fake.roots[i] = fake_name(NULL, "/");
		fake.roots[i]->d_sb = &fake.supers[i];
		fake.roots[i]->d_inode = fake_inode(&fake.supers[i], S_IFDIR | 0755);
		fake.spaces[i].seq = 100 + i;
		fake.proxies[i].mnt_ns = &fake.spaces[i];
		fake.mounts[i].mnt_ns = &fake.spaces[i];
		fake.mounts[i].mnt.mnt_root = fake.roots[0];
		fake.mounts[i].mnt.mnt_sb = &fake.supers[0];
	}
	fake.fs.root = (struct path){ &fake.mounts[1].mnt, fake.roots[0] };
	fake.cred = (struct cred){ 1000, 1001, 1002, 1003 };
	fake.pid = (struct pid){ 1, { { 321, NULL }, { 21, NULL }, { 1, NULL } } };
	fake.nodes[0].id = 1;
	fake.nodes[1].id = 2;
	fake.cgroups[0] = (struct cgroup){ { &fake.cgroups[0], NULL }, &fake.nodes[0] };
	fake.cgroups[1] =
		(struct cgroup){ { &fake.cgroups[1], &fake.cgroups[0].self }, &fake.nodes[1] };
	fake.css.dfl_cgrp = &fake.cgroups[1];
	fake.mm.exe_file = &fake.executable;
	fake.init = (struct task_struct){ .tgid = 0, .comm = "swapper" };
	fake.init.real_parent = fake.init.group_leader = &fake.init;
	fake.init.real_cred = &fake.cred;
	fake.shell = (struct task_struct){ .tgid = 300, .comm = "sh" };
	fake.shell.real_parent = &fake.init;
	fake.shell.group_leader = &fake.shell;
	fake.shell.real_cred = &fake.cred;
	fake.task = (struct task_struct){
		.pid = 322,
		.tgid = 321,
		.start_boottime = 5555,
		.real_parent = &fake.shell,
		.group_leader = &fake.task,
		.real_cred = &fake.cred,
		.cred = &fake.cred,
		.fs = &fake.fs,
		.nsproxy = &fake.proxies[1],
		.thread_pid = &fake.pid,
		.cgroups = &fake.css,
		.mm = &fake.mm, /* its own; `exe` is what get_task_exe_file() says */
		.comm = "cat",
		.exe = &fake.executable,
	};
	fake_current = &fake.task;
	fake.executable.f_path = (struct path){ &fake.mounts[1].mnt, fake_at("bin/cat") };
	fake.executable.f_inode = fake.executable.f_path.dentry->d_inode;

	the_vault()->mask = VAULT_SIZE - 1;
	the_vault()->n_slots = MAILBOX_RECORDS;
	the_vault()->ring_wait_us = the_vault()->host_wait_us = 1000000;
	the_vault()->guest_space = fake.spaces[0].seq;
	assert(!fake_protect(fake_behind_vault, 4096, false));
	assert(!fake_protect(fake_behind_mailbox, 4096, false));
}

/* Whatever the guard took it has given back. */
static void fake_end(void)
{
	assert(!fake.n_files && !fake.n_dentry_refs && !fake.n_paths && !fake.rcu_depth);
	assert(!fake.creds_before);
	for (size_t i = 0; i < fake.n_dentries; i++) {
		struct inode *inode = fake.dentries[i]->d_inode;

		/* hard links */
		for (size_t j = i; inode && j < fake.n_dentries; j++) {
			if (fake.dentries[j]->d_inode == inode)
				fake.dentries[j]->d_inode = NULL;
		}
		free(inode);
	}
	for (size_t i = 0; i < fake.n_dentries; i++) {
		free((void *)fake.dentries[i]->name);
		free(fake.dentries[i]);
	}
	assert(!fake_protect(fake_behind_vault, 4096, true));
	assert(!fake_protect(fake_behind_mailbox, 4096, true));
}

#endif
