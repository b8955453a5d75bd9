// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "introspect/open_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "fake_guest.h"

#define KERNEL_THREAD 0x00200000
#define SHARED 0x8
#define MAY_WRITE 0x20
#define WRITE 0x2
#define N_PLACES 1024 /* of a table */

static struct kernel *kernel;
static uint64_t init_task, world; /* what all tasks have besides files and memory */
static uint64_t shell, worker, loner, server, client, kthread;
static uint64_t key, directory, pipe_end;

static void list_init(uint64_t head)
{
	*(uint64_t *)fake_at(head) = head;
}

/* Behind @head: the lists are read forwards only. */
static void list_add(uint64_t node, uint64_t head)
{
	*(uint64_t *)fake_at(node) = *(uint64_t *)fake_at(head);
	*(uint64_t *)fake_at(head) = node;
}

static void list_add_tail(uint64_t node, uint64_t head)
{
	uint64_t last = head;

	while (*(uint64_t *)fake_at(last) != head)
		last = *(uint64_t *)fake_at(last);
	list_add(node, last);
}

/* Of the leader's group, or with 0 a process. */
static uint64_t make_task(uint32_t pid, uint64_t leader)
{
	uint64_t task = fake_make();
	uint64_t signal = leader ? fake_get(leader, "task_struct.signal") : fake_make();

	fake_set(task, "task_struct.pid", pid);
	fake_set(task, "task_struct.tgid", leader ? fake_get(leader, "task_struct.tgid") : pid);
	fake_set(task, "task_struct.group_leader", leader ? leader : task);
	fake_set(task, "task_struct.signal", signal);
	fake_set(task, "task_struct.real_cred", world);
	fake_set(task, "task_struct.cgroups", world);
	if (!leader) {
		list_init(fake_place(signal, "signal_struct.thread_head.next"));
		list_init(fake_place(task, "task_struct.tasks.next"));
		if (init_task)
			list_add_tail(fake_place(task, "task_struct.tasks.next"),
				      fake_place(init_task, "task_struct.tasks.next"));
	}
	list_add_tail(fake_place(task, "task_struct.thread_node.next"), fake_place(signal, "signal_"
											   "struct."
											   "thread_"
											   "head."
											   "next"));
	return task;
}

static uint64_t make_files(uint64_t places, uint32_t n)
{
	uint64_t files = fake_make(), table = fake_make();

	fake_set(table, "fdtable.max_fds", n);
	fake_set(table, "fdtable.fd", places);
	fake_set(files, "files_struct.fdt", table);
	return files;
}

static uint64_t make_empty_files(void)
{
	return make_files(fake_make_bytes(8 * N_PLACES), N_PLACES);
}

static uint64_t place_of(uint64_t task, uint32_t fd)
{
	uint64_t files = fake_get(task, "task_struct.files");

	return fake_get(fake_get(files, "files_struct.fdt"), "fdtable.fd") + 8 * fd;
}

static void set_fd(uint64_t task, uint32_t fd, uint64_t file)
{
	*(uint64_t *)fake_at(place_of(task, fd)) = file;
}

static uint64_t make_file(uint64_t ino, uint32_t mode)
{
	uint64_t file = fake_make(), inode = fake_make(), mapping = fake_make();

	fake_set(inode, "inode.i_sb", world);
	fake_set(inode, "inode.i_ino", ino);
	fake_set(inode, "inode.i_mode", mode);
	fake_set(inode, "inode.i_mapping", mapping);
	fake_set(file, "file.f_inode", inode);
	fake_set(file, "file.f_mode", KERNEL_FMODE_READ | KERNEL_FMODE_WRITE);
	fake_set(file, "file.f_flags", 02);
	fake_set(file, "file.f_path.dentry", 0xde);
	fake_set(file, "file.f_path.mnt", 0x77);
	return file;
}

/*
 * A shell with two threads, of which the second has a table and memory of its own; a server and a
 * client that share both; a kernel thread; and a process that exits.
 */
static int setup(void **state)
{
	(void)state;
	fake_init();
	init_task = 0;
	world = 0;
	init_task = make_task(0, 0);
	assert_int_equal(init_task, profile_symbol(NULL, "init_task"));
	world = fake_make();
	fake_set(world, "css_set.dfl_cgrp", world);
	fake_set(world, "cgroup.kn", world);

	shell = make_task(10, 0);
	worker = make_task(11, shell);
	loner = make_task(12, shell);
	server = make_task(20, 0);
	client = make_task(21, 0);
	kthread = make_task(2, 0);
	fake_set(kthread, "task_struct.flags", KERNEL_THREAD);
	make_task(30, 0);
	fake_set(shell, "task_struct.files", make_empty_files());
	fake_set(worker, "task_struct.files", fake_get(shell, "task_struct.files"));
	fake_set(loner, "task_struct.files", make_empty_files());
	fake_set(kthread, "task_struct.files", make_empty_files());
	fake_set(server, "task_struct.files", make_empty_files());
	fake_set(client, "task_struct.files", fake_get(server, "task_struct.files"));

	key = make_file(77, S_IFREG | 0600);
	directory = make_file(78, S_IFDIR | 0755);
	pipe_end = make_file(79, S_IFIFO | 0600);
	return kernel_new(&kernel, NULL, NULL);
}

static int teardown(void **state)
{
	(void)state;
	kernel = kernel_free(kernel);
	return 0;
}

/* What a walk met, as words; what it does then. */
struct met {
	char text[4096];
	unsigned int n, stop_at;
	void (*then)(void);
};

static int meet_file(const struct kernel_open_file *open, void *data)
{
	struct met *met = data;
	size_t n = strlen(met->text);

	if (n < sizeof(met->text) - 32)
		snprintf(met->text + n, sizeof(met->text) - n, "%u:%u:%d ", open->task->pid,
			 open->fd, (int)open->inode.ino);
	if (met->then)
		met->then();
	return ++met->n == met->stop_at ? 77 : 0;
}

static void assert_met(const char *expected)
{
	struct met met = { 0 };

	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), 0);
	assert_string_equal(met.text, expected);
}

static int check_file(const struct kernel_open_file *open, void *data)
{
	(void)data;
	assert_int_equal(open->task->address, shell);
	assert_int_equal(open->fd, 3);
	assert_int_equal(open->file.address, key);
	assert_int_equal(open->file.inode, open->inode.address);
	assert_int_equal(open->file.mode, KERNEL_FMODE_READ | KERNEL_FMODE_WRITE);
	assert_int_equal(open->file.flags, 02);
	assert_int_equal(open->file.dentry, 0xde);
	assert_int_equal(open->file.mount, 0x77);
	assert_int_equal(open->inode.address, fake_get(key, "file.f_inode"));
	assert_int_equal(open->inode.super, world);
	assert_int_equal(open->inode.ino, 77);
	return 5;
}

static void test_files(void **state)
{
	struct met some = { .stop_at = 2 };

	(void)state;
	assert_met("");
	set_fd(shell, 3, key);
	assert_int_equal(kernel_open_files_each(kernel, check_file, NULL), 5);
	set_fd(shell, 0, pipe_end);
	set_fd(shell, 4, directory);
	set_fd(shell, N_PLACES - 1, key); /* of another chunk */
	set_fd(loner, 511, key);
	set_fd(loner, 512, directory);
	set_fd(server, 0, key);
	set_fd(kthread, 0, key);
	assert_met("10:3:77 10:4:78 10:1023:77 12:511:77 12:512:78 20:0:77 ");
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &some), 77);
	assert_string_equal(some.text, "10:3:77 10:4:78 ");
}

/* The leader has gone: a thread that is left speaks for the table. */
static void test_leader_gone(void **state)
{
	(void)state;
	set_fd(shell, 3, key);
	fake_set(shell, "task_struct.files", 0);
	assert_met("11:3:77 ");
}

static void close_fds(void)
{
	set_fd(shell, 4, 0);
	set_fd(shell, 5, pipe_end);
}

static void exit_shell(void)
{
	fake_set(shell, "task_struct.files", 0);
}

/* What was read before it was closed, and what goes with the table. */
static void test_closed(void **state)
{
	struct met met = { .then = close_fds }, exits = { .then = exit_shell };

	(void)state;
	for (uint32_t fd = 3; fd < 7; fd++)
		set_fd(shell, fd, key);
	set_fd(server, 0, key);
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), 0);
	assert_string_equal(met.text, "10:3:77 10:6:77 20:0:77 ");
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &exits), 0);
	assert_string_equal(exits.text, "10:3:77 20:0:77 ");
}

/* A lie of one process hides its own files, and nobody else's. */
static void test_hostile(void **state)
{
	uint64_t files = fake_get(shell, "task_struct.files");
	uint64_t table = fake_get(files, "files_struct.fdt");
	const struct {
		uint64_t object;
		const char *path;
		uint64_t value;
	} lies[] = {
		{ shell, "task_struct.files", FAKE_UNMAPPED },
		{ files, "files_struct.fdt", FAKE_UNMAPPED },
		{ files, "files_struct.fdt", 0 },
		{ table, "fdtable.fd", FAKE_UNMAPPED },
		{ table, "fdtable.fd", 0 },
		{ table, "fdtable.fd", ~0ULL },
		{ table, "fdtable.max_fds", 0 },
		{ key, "file.f_inode", FAKE_UNMAPPED },
		{ key, "file.f_inode", 0 },
		{ shell, "task_struct.real_cred", FAKE_UNMAPPED },
	};

	(void)state;
	fake_set(worker, "task_struct.files", 0);
	set_fd(shell, 3, key);
	set_fd(server, 0, directory);
	assert_met("10:3:77 20:0:78 ");
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint64_t was = fake_get(lies[i].object, lies[i].path);

		fake_set(lies[i].object, lies[i].path, lies[i].value);
		assert_met("20:0:78 ");
		fake_set(lies[i].object, lies[i].path, was);
	}
	fake_set(fake_get(key, "file.f_inode"), "inode.i_sb", FAKE_UNMAPPED);
	assert_met("20:0:78 ");
	set_fd(shell, 3, FAKE_UNMAPPED);
	assert_met("20:0:78 ");
	fake_set(init_task, "task_struct.tasks.next", FAKE_UNMAPPED);
	assert_int_equal(kernel_open_files_each(kernel, meet_file, NULL), -EFAULT);
}

/* Tables without an end: of nothing, and of files that are not even looked at. */
static void test_limits(void **state)
{
	struct met met = { 0 };

	(void)state;
	fake_set(shell, "task_struct.files", make_files(FAKE_ECHO, 0xffffffff));
	set_fd(server, 0, key);
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), -ELOOP);
	assert_int_equal(met.n, 0);
	fake_set(shell, "task_struct.files", make_files(FAKE_ECHO, KERNEL_MAX_DESCRIPTORS - 4096));
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), 0);
	assert_string_equal(met.text, "20:0:77 ");

	for (uint64_t at = FAKE_ECHOED; at < FAKE_BASE + FAKE_SIZE; at += 8)
		*(uint64_t *)fake_at(at) = pipe_end;
	fake_set(shell, "task_struct.files", make_files(FAKE_ECHO, KERNEL_MAX_OPEN_FILES - 1));
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), 0);
	assert_int_equal(met.n, 2);
	fake_set(shell, "task_struct.files", make_files(FAKE_ECHO, KERNEL_MAX_OPEN_FILES));
	assert_int_equal(kernel_open_files_each(kernel, meet_file, &met), -ELOOP);
	assert_int_equal(met.n, 2);
}

static void test_use(void **state)
{
	uint64_t inode = fake_get(key, "file.f_inode");
	uint64_t mapping = fake_get(inode, "inode.i_mapping");
	struct kernel_inode_use use;

	(void)state;
	assert_int_equal(kernel_inode_use(kernel, inode, &use), 0);
	assert_int_equal(use.writers, 0);
	assert_int_equal(use.writable_mappings, 0);
	fake_set(inode, "inode.i_writecount.counter", 0xfffffffe); /* runs, twice */
	fake_set(mapping, "address_space.i_mmap_writable.counter", 3);
	assert_int_equal(kernel_inode_use(kernel, inode, &use), 0);
	assert_int_equal(use.writers, -2);
	assert_int_equal(use.writable_mappings, 3);
	fake_set(inode, "inode.i_mapping", FAKE_UNMAPPED);
	assert_int_equal(kernel_inode_use(kernel, inode, &use), -EFAULT);
	assert_int_equal(use.writers, -2);
}

/* A mapping; returns its node in the file's tree. */
static uint64_t make_area(uint64_t task, unsigned int number, uint64_t flags)
{
	uint64_t area = fake_make();

	fake_set(area, "vm_area_struct.vm_start", number * 0x1000ULL);
	fake_set(area, "vm_area_struct.vm_end", number * 0x1000ULL + 0x800);
	fake_set(area, "vm_area_struct.vm_flags", flags);
	fake_set(area, "vm_area_struct.vm_mm", task ? fake_get(task, "task_struct.mm") : 0xdead);
	return fake_place(area, "vm_area_struct.shared.rb");
}

static void set_root(uint64_t node, uint32_t n_writable)
{
	uint64_t mapping = fake_get(fake_get(key, "file.f_inode"), "inode.i_mapping");

	fake_set(mapping, "address_space.i_mmap.rb_root.rb_node", node);
	fake_set(mapping, "address_space.i_mmap_writable.counter", n_writable);
}

static void set_children(uint64_t node, uint64_t left, uint64_t right)
{
	fake_set(node, "rb_node.rb_left", left);
	fake_set(node, "rb_node.rb_right", right);
}

static int meet_mapping(const struct kernel_mapping *mapping, void *data)
{
	struct met *met = data;
	size_t n = strlen(met->text);

	assert_int_equal(mapping->end - mapping->start, 0x800);
	snprintf(met->text + n, sizeof(met->text) - n, "%u:%u%s ", mapping->task->pid,
		 (unsigned int)(mapping->start / 0x1000), mapping->writable ? "w" : "");
	return ++met->n == met->stop_at ? 77 : 0;
}

static void assert_mappings(int result, const char *expected)
{
	uint64_t inode = fake_get(key, "file.f_inode");
	struct met met = { 0 };

	assert_int_equal(kernel_mappings_each(kernel, inode, meet_mapping, &met), result);
	assert_string_equal(met.text, expected);
}

static void set_memory(void)
{
	fake_set(shell, "task_struct.mm", fake_make());
	fake_set(worker, "task_struct.mm", fake_get(shell, "task_struct.mm"));
	fake_set(server, "task_struct.mm", fake_make());
	fake_set(client, "task_struct.mm", fake_make());
}

static void test_mappings(void **state)
{
	struct met some = { .stop_at = 1 };
	uint64_t root, left, right, deep;

	(void)state;
	set_memory();
	root = make_area(shell, 1, SHARED | MAY_WRITE | WRITE);
	left = make_area(server, 2, SHARED | MAY_WRITE); /* writable after an mprotect() */
	right = make_area(server, 3, MAY_WRITE | WRITE); /* private */
	deep = make_area(client, 4, SHARED | MAY_WRITE | WRITE);
	set_children(root, left, right);
	set_children(right, deep, make_area(client, 5, SHARED)); /* of a file open for reading */
	set_children(deep, 0, make_area(0, 6, SHARED | MAY_WRITE)); /* its process exits */
	set_root(root, 4);
	assert_mappings(0, "10:1w 20:2 21:4w ");
	assert_int_equal(kernel_mappings_each(kernel, fake_get(key, "file.f_inode"), meet_mapping,
					      &some),
			 77);
	assert_string_equal(some.text, "10:1w ");
	set_root(0, 1); /* somebody is about to map it */
	assert_mappings(0, "");
	set_root(FAKE_UNMAPPED, 0); /* not even looked at */
	assert_mappings(0, "");
	set_root(FAKE_UNMAPPED, 0xffffffff); /* denied: sealed */
	assert_mappings(0, "");
}

/* No red-black tree of so few nodes is so deep, nor has it as many. */
static void test_mappings_hostile(void **state)
{
	uint64_t inode = fake_get(key, "file.f_inode");
	uint64_t top, node, next;

	(void)state;
	set_memory();
	set_root(FAKE_UNMAPPED, 1);
	assert_mappings(-EFAULT, "");
	set_root(1, 1);
	assert_mappings(-EFAULT, "");

	top = node = make_area(shell, 1, SHARED | MAY_WRITE);
	set_root(top, 1);
	assert_mappings(0, "10:1 ");
	set_children(top, FAKE_UNMAPPED, 0);
	assert_mappings(-EFAULT, "");
	set_children(top, top, 0);
	assert_mappings(-ELOOP, "");
	set_children(top, top, top);
	assert_mappings(-ELOOP, "");
	for (unsigned int i = 0; i < 70; i++, node = next) {
		next = make_area(shell, 1, 0);
		set_children(node, next, make_area(shell, 1, 0));
	}
	assert_mappings(-ELOOP, "");
	set_children(top, 0, 0);
	fake_set(init_task, "task_struct.tasks.next", FAKE_UNMAPPED);
	assert_mappings(-EFAULT, "");
	fake_set(inode, "inode.i_mapping", FAKE_UNMAPPED);
	assert_mappings(-EFAULT, "");
}

static int ignore_file(const struct kernel_open_file *open, void *data)
{
	(void)open;
	(void)data;
	return 0;
}

static int ignore_mapping(const struct kernel_mapping *mapping, void *data)
{
	(void)mapping;
	(void)data;
	return 0;
}

/* Any word may be any other: nothing to expect but that all ends, and no byte is touched but ours. */
static void test_shaken(void **state)
{
	unsigned int seed = 42;

	for (unsigned int round = 0; round < 300; round++) {
		uint64_t inode = fake_get(key, "file.f_inode");

		set_fd(shell, 3, key);
		set_fd(loner, 4, directory);
		set_memory();
		set_root(make_area(shell, 1, SHARED | MAY_WRITE), 1);
		for (unsigned int i = 0; i < 20; i++) {
			size_t n = (fake_used - 0x5000) / 8;
			uint64_t to = FAKE_BASE + 0x5000 + 8 * ((size_t)rand_r(&seed) % n);
			uint64_t from = FAKE_BASE + 0x5000 + 8 * ((size_t)rand_r(&seed) % n);

			*(uint64_t *)fake_at(to) = *(uint64_t *)fake_at(from);
		}
		kernel_open_files_each(kernel, ignore_file, NULL);
		kernel_mappings_each(kernel, inode, ignore_mapping, NULL);
		teardown(state);
		setup(state);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_files),    TEST(test_leader_gone),	  TEST(test_closed),
		TEST(test_hostile),  TEST(test_limits),		  TEST(test_use),
		TEST(test_mappings), TEST(test_mappings_hostile), TEST(test_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
