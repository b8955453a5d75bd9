/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_FILES_H
#define TESTS_FAKE_FILES_H

/*
 * A guest with a dentry cache and a page cache, made by hand in 8 MiB of RAM that are mapped at
 * BASE. Each structure is OBJECT_SIZE bytes, its members stand where they happen to be asked for
 * first. The profile is faked at link time. For tests that include this file only.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "introspect/caches.h"
#include "introspect/kernel.h"
#include "util/cleanup.h"

#define BASE 0xffff888000000000ULL
#define RAM_SIZE (8U << 20)
#define UNMAPPED (BASE + 2 * RAM_SIZE)
#define OBJECT_SIZE 3072
#define MEMBER_SIZE 80 /* the longest are texts */
#define PAGE 4096U
#define STRUCT_PAGE 64U
#define VMEMMAP (BASE + 0x10000)
#define HEAP (VMEMMAP + RAM_SIZE / PAGE * STRUCT_PAGE)

typedef uint64_t ptr; /* guest address */

static _Alignas(4096) uint8_t bytes[RAM_SIZE];
static size_t used;
static const struct ram ram = { .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
static const struct space space = { .ram = &ram, .root = 0x1000 };
static struct kernel *kernel;
static struct caches *caches;
static ptr init_task, vmemmap_base;
static const char *lacks[4]; /* what this kernel does not have */

static struct {
	const char *path;
	struct profile_field field;
} members[128];
static size_t n_members;

static inline bool is_lacking(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(lacks) && lacks[i]; i++)
		if (strcmp(lacks[i], name) == 0)
			return true;
	return false;
}

static inline uint32_t width(const char *path)
{
	static const struct {
		const char *path;
		uint32_t size;
	} narrow[] = {
		{ "inode.i_mode", 2 },	    { "dentry.d_name.len", 4 }, { "xa_node.shift", 1 },
		{ "task_struct.pid", 4 },   { "task_struct.tgid", 4 },	{ "xa_node.slots", 512 },
		{ "task_struct.flags", 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(narrow); i++)
		if (strcmp(narrow[i].path, path) == 0)
			return narrow[i].size;
	return 8;
}

static inline struct profile_field member_of(const char *path)
{
	size_t n = strcspn(path, ".") + 1, rank = 0;
	bool in_page = strncmp(path, "folio.", n) == 0 || strncmp(path, "page.", n) == 0;
	struct profile_field field = { .size = width(path) };

	for (size_t i = 0; i < n_members; i++) {
		if (strcmp(members[i].path, path) == 0)
			return members[i].field;
		rank += strncmp(members[i].path, path, n) == 0;
	}
	assert_true(n_members < ARRAY_SIZE(members));
	field.offset = in_page ? 24 + 8 * rank : 8 + MEMBER_SIZE * rank;
	if (field.size == 512)
		field.offset = OBJECT_SIZE - 512;
	assert_true(field.offset + field.size <= (in_page ? STRUCT_PAGE : OBJECT_SIZE));
	members[n_members].path = path;
	members[n_members++].field = field;
	return field;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &space;
}

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	if (is_lacking(name))
		return 0;
	return strcmp(name, "init_task") == 0 ? init_task : vmemmap_base;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return is_lacking(name) ? 0 : STRUCT_PAGE;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	(void)profile;
	if (is_lacking(path))
		return -ENOENT;
	*ret = member_of(path);
	return 0;
}

static inline uint8_t *host(ptr address)
{
	assert_true(address >= BASE && address < BASE + RAM_SIZE);
	return bytes + (address - BASE);
}

static inline ptr place_of(ptr object, const char *path)
{
	return object + member_of(path).offset;
}

/* What follows a narrow member is not 0, as in a real kernel. */
static inline void put(ptr object, const char *path, uint64_t value)
{
	struct profile_field field = member_of(path);

	memcpy(host(object + field.offset), &value, field.size);
	if (field.size < 8)
		memset(host(object + field.offset + field.size), 0xa5, 8 - field.size);
}

static inline uint64_t get(ptr object, const char *path)
{
	struct profile_field field = member_of(path);
	uint64_t value = 0;

	memcpy(&value, host(object + field.offset), field.size);
	return value;
}

static inline ptr make(size_t size)
{
	ptr address = BASE + used;

	used += (size + 15) & ~15UL;
	assert_true(used < RAM_SIZE);
	return address;
}

static inline ptr make_object(void)
{
	return make(OBJECT_SIZE);
}

static inline ptr make_text(const char *string)
{
	ptr address = make(strlen(string) + 1);

	strcpy((char *)host(address), string);
	return address;
}

static inline ptr make_pages(size_t n, size_t alignment)
{
	used = (used + alignment - 1) & ~(alignment - 1);
	return make(n * PAGE);
}

/* struct page of a page */
static inline ptr page_of(ptr address)
{
	return VMEMMAP + (address - BASE) / PAGE * STRUCT_PAGE;
}

/* Files. */

static inline ptr make_inode(unsigned int mode, uint64_t size)
{
	ptr inode = make_object();

	put(inode, "inode.i_mode", mode);
	put(inode, "inode.i_size", size);
	put(inode, "inode.i_mapping", make_object());
	return inode;
}

static inline void link_child(ptr parent, ptr child)
{
	if (caches->hlist) {
		put(child, "dentry.d_sib.next", get(parent, "dentry.d_children.first"));
		put(parent, "dentry.d_children.first", place_of(child, "dentry.d_sib.next"));
	} else {
		put(child, "dentry.d_child.next", get(parent, "dentry.d_subdirs.next"));
		put(parent, "dentry.d_subdirs.next", place_of(child, "dentry.d_child.next"));
	}
}

/* @inode 0: a negative one */
static inline ptr make_dentry(ptr parent, const char *name, ptr inode)
{
	ptr dentry = make_object();

	put(dentry, "dentry.d_name.name", make_text(name));
	put(dentry, "dentry.d_name.len", strlen(name));
	put(dentry, "dentry.d_parent", parent ? parent : dentry);
	put(dentry, "dentry.d_hash.pprev", 1);
	put(dentry, "dentry.d_inode", inode);
	if (!caches->hlist)
		put(dentry, "dentry.d_subdirs.next", place_of(dentry, "dentry.d_subdirs.next"));
	if (parent)
		link_child(parent, dentry);
	return dentry;
}

static inline ptr make_folder(ptr parent, const char *name)
{
	return make_dentry(parent, name, make_inode(S_IFDIR | 0755, 4096));
}

/* Makes what is missing of a path. */
static inline ptr make_folders(ptr at, const char *path)
{
	char copy[512], *save = NULL, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	for (name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		ptr next = 0, sibling = caches->hlist ? get(at, "dentry.d_children.first")
						      : get(at, "dentry.d_subdirs.next");
		const char *link = caches->hlist ? "dentry.d_sib.next" : "dentry.d_child.next";
		ptr end = caches->hlist ? 0 : place_of(at, "dentry.d_subdirs.next");

		for (; sibling != end && !next;
		     sibling = get(sibling - member_of(link).offset, link)) {
			ptr child = sibling - member_of(link).offset;

			if (strcmp((char *)host(get(child, "dentry.d_name.name")), name) == 0)
				next = child;
		}
		at = next ? next : make_folder(at, name);
	}
	return at;
}

static inline ptr make_link(ptr parent, const char *name, const char *target)
{
	ptr inode = make_inode(S_IFLNK | 0777, strlen(target));

	put(inode, "inode.i_link", make_text(target));
	return make_dentry(parent, name, inode);
}

static inline uint64_t *slots_of(uint64_t node)
{
	return (uint64_t *)(void *)host(place_of(node - 2, "xa_node.slots"));
}

static inline uint64_t make_node(unsigned int shift)
{
	ptr node = make_object();

	put(node, "xa_node.shift", shift);
	return node + 2;
}

/* Enters an entry for 2^order pages, as xa_store_range() does. */
static inline void xarray_put(ptr mapping, uint64_t index, unsigned int order, uint64_t entry)
{
	uint64_t head = get(mapping, "address_space.i_pages.xa_head"), node;
	unsigned int shift = 0, first, n;
	bool is_tree = head && (head & 3) == 2;

	if (!index && !order && !is_tree) {
		put(mapping, "address_space.i_pages.xa_head", entry);
		return;
	}
	if (is_tree)
		shift = get(head - 2, "xa_node.shift");
	while (!is_tree || index >> shift >= 64 || order >= shift + 6) {
		uint64_t above = make_node(is_tree ? shift + 6 : 0);

		slots_of(above)[0] = head;
		shift = is_tree ? shift + 6 : 0;
		head = above;
		is_tree = true;
	}
	put(mapping, "address_space.i_pages.xa_head", head);
	for (node = head; shift > order; shift -= 6) {
		uint64_t *slot = &slots_of(node)[index >> shift & 63];

		if (!*slot)
			*slot = make_node(shift - 6);
		node = *slot;
	}
	first = index >> shift & 63;
	n = 1U << (order - shift);
	slots_of(node)[first] = entry;
	for (unsigned int i = 1; i < n; i++)
		slots_of(node)[first + i] = first << 2 | 2;
}

/* Puts 2^order pages into the file, in one folio. Returns where they are. */
static inline ptr add_folio(ptr inode, uint64_t index, unsigned int order)
{
	ptr mapping = get(inode, "inode.i_mapping");
	ptr pages = make_pages(1U << order, PAGE), folio = page_of(pages);

	put(folio, "folio.mapping", mapping);
	put(folio, "folio.index", index);
	xarray_put(mapping, index, order, folio);
	return pages;
}

static inline ptr make_file(ptr parent, const char *name, const void *text, size_t n)
{
	ptr inode = make_inode(S_IFREG | 0644, n);

	for (size_t at = 0; at < n; at += PAGE)
		memcpy(host(add_folio(inode, at / PAGE, 0)), (const char *)text + at,
		       n - at < PAGE ? n - at : PAGE);
	return make_dentry(parent, name, inode);
}

/* Mounts. */

static inline ptr make_mount(ptr parent, ptr mountpoint, ptr root)
{
	ptr mount = make_object(), head = place_of(mount, "mount.mnt_mounts.next");

	put(mount, "mount.mnt.mnt_root", root);
	put(mount, "mount.mnt_parent", parent ? parent : mount);
	put(mount, "mount.mnt_mountpoint", parent ? mountpoint : root);
	put(mount, "mount.mnt_mounts.next", head);
	if (parent) {
		put(mount, "mount.mnt_child.next", get(parent, "mount.mnt_mounts.next"));
		put(parent, "mount.mnt_mounts.next", place_of(mount, "mount.mnt_child.next"));
	}
	return mount;
}

static inline ptr vfs(ptr mount)
{
	return place_of(mount, "mount.mnt");
}

/* Processes. */

struct fake_task {
	uint32_t pid;
	ptr parent;
	uint64_t mnt_ns; /* sequence number */
	ptr root, root_mount, pwd;
	const char *args; /* NUL after each; NULL: no user memory */
	size_t n_args;
};

/* A user address space of one page, with the arguments at its end. */
static inline ptr make_mm(const char *args, size_t n)
{
	ptr mm = make_object(), tables = make_pages(5, PAGE);
	uint64_t *table = (uint64_t *)(void *)host(tables), end = 0x7f8000001000;

	table[255] = (tables - BASE + PAGE) | 0x67; /* 0x7f8000000000 */
	for (unsigned int level = 1; level < 4; level++)
		table[512 * level] = (tables - BASE + (level + 1) * PAGE) | 0x67;
	memcpy(host(tables) + 5 * PAGE - n, args, n);
	put(mm, "mm_struct.pgd", tables);
	put(mm, "mm_struct.arg_start", end - n);
	put(mm, "mm_struct.arg_end", end);
	return mm;
}

static inline ptr make_nsproxy(uint64_t mnt_ns)
{
	ptr nsproxy = make_object(), ns = make_object();

	put(ns, "mnt_namespace.seq", mnt_ns);
	put(nsproxy, "nsproxy.mnt_ns", ns);
	put(nsproxy, "nsproxy.uts_ns", make_object());
	return nsproxy;
}

static inline ptr make_cgroup(void)
{
	ptr set = make_object(), cgroup = make_object();

	put(cgroup, "cgroup.kn", make_object());
	put(set, "css_set.dfl_cgrp", cgroup);
	return set;
}

static inline ptr make_task(const struct fake_task *from)
{
	ptr task = make_object(), fs = make_object();

	put(fs, "fs_struct.root.dentry", from->root);
	put(fs, "fs_struct.root.mnt", from->root ? vfs(from->root_mount) : 0);
	put(fs, "fs_struct.pwd.dentry", from->pwd);
	put(task, "task_struct.fs", fs);
	put(task, "task_struct.flags", 0);
	put(task, "task_struct.pid", from->pid);
	put(task, "task_struct.tgid", from->pid);
	put(task, "task_struct.real_parent", from->parent ? from->parent : task);
	put(task, "task_struct.group_leader", task);
	put(task, "task_struct.real_cred", make_object());
	put(task, "task_struct.cgroups", make_cgroup());
	put(task, "task_struct.nsproxy", make_nsproxy(from->mnt_ns));
	if (from->args)
		put(task, "task_struct.mm", make_mm(from->args, from->n_args));
	if (!init_task) {
		put(task, "task_struct.tasks.next", place_of(task, "task_struct.tasks.next"));
		return task;
	}
	put(task, "task_struct.tasks.next", get(init_task, "task_struct.tasks.next"));
	put(init_task, "task_struct.tasks.next", place_of(task, "task_struct.tasks.next"));
	return task;
}

/* One 2 MiB page after the other. */
static inline void map_ram(void)
{
	uint64_t *table = (uint64_t *)(void *)bytes;

	table[512 + 273] = 0x2000 | 1; /* BASE is 0xffff8880... */
	table[1024] = 0x3000 | 1;
	for (unsigned int i = 0; i < RAM_SIZE >> 21; i++)
		table[1536 + i] = ((uint64_t)i << 21) | 0x81;
	used = HEAP - BASE;
}

/* Children of a dentry are an hlist, unless @older. */
static inline void fake_setup(bool older)
{
	memset(bytes, 0, sizeof(bytes));
	memset(lacks, 0, sizeof(lacks));
	n_members = 0;
	if (older)
		lacks[0] = "dentry.d_children.first", lacks[1] = "dentry.d_sib.next";
	map_ram();
	vmemmap_base = make(8);
	*(uint64_t *)(void *)host(vmemmap_base) = VMEMMAP;
	init_task = 0;
	init_task = make_task(&(struct fake_task){ .pid = 0 });
	assert_int_equal(kernel_new(&kernel, NULL, NULL), 0);
	assert_int_equal(caches_new(&caches, kernel, NULL, NULL), 0);
}

static inline void fake_teardown(void)
{
	caches = caches_free(caches);
	kernel = kernel_free(kernel);
}

/* Swaps some words of the guest's for others: nothing can be expected then but that all ends. */
static inline void fake_shake(unsigned int *seed)
{
	size_t first = (HEAP - BASE) / 8, n = (used - (HEAP - BASE)) / 8;
	uint64_t *words = (uint64_t *)(void *)bytes;
	size_t to, from;

	do {
		to = first + (size_t)rand_r(seed) % n;
	} while (!words[to]);
	do {
		from = first + (size_t)rand_r(seed) % n;
	} while (!words[from]);
	words[to] = words[from];
}

#endif
