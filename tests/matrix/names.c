// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways to what a name stands for: creating, deleting, renaming, linking. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "matrix.h"

/* An unwatched file X, and, if the argument says so, a directory instead. */
static const char *other(struct place *place, bool directory)
{
	if (directory)
		mkdirat(place->at, below(place, "X"), 0755);
	else
		close(make_file(place, "X"));
	prepared(place);
	return below(place, "X");
}

/* --- making -------------------------------------------------------------------------------------------------------------- */

static int way_mkdir(struct place *place)
{
	return result_of(mkdir(path_of(place, place->name), 0755));
}

static int way_mkdirat(struct place *place)
{
	return result_of(mkdirat(place->at, watched(place), 0755));
}

static int way_mknod(struct place *place)
{
	return result_of(mknod(path_of(place, place->name), place->way->argument, makedev(1, 3)));
}

static int way_mknodat(struct place *place)
{
	return result_of(mknodat(place->at, watched(place), place->way->argument, 0));
}

static int way_bind_socket(struct place *place)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int directory = openat(place->at, place->base, O_PATH | O_DIRECTORY);

	/* Its path has no room for ours. */
	if (fchdir(directory) < 0)
		return -errno;
	strcpy(address.sun_path, place->name);
	return result_of(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address,
			      sizeof(address)));
}

static int way_uring_mkdirat(struct place *place)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_MKDIRAT,
				    .fd = place->at,
				    .len = 0755,
				    .addr = (uintptr_t)watched(place) };

	return uring_do(&sqe);
}

/* What is missing above comes first. */
static int way_create_deep(struct place *place)
{
	if (mkdirat(place->at, below(place, "m"), 0755) < 0 ||
	    mkdirat(place->at, below(place, "m/n"), 0755) < 0)
		return -errno;
	prepared(place);
	return way_open(place);
}

/* Below a pattern's directory, in one that has just been made. */
static int way_create_in_new(struct place *place)
{
	if (mkdirat(place->at, below(place, "p/new"), 0755) < 0)
		return -errno;
	strcpy(place->name, "p/new/N");
	prepared(place);
	return way_open(place);
}

/* --- deleting ------------------------------------------------------------------------------------------------------------ */

static int way_unlink(struct place *place)
{
	return result_of(unlink(path_of(place, place->name)));
}

static int way_rmdir(struct place *place)
{
	return result_of(rmdir(path_of(place, place->name)));
}

static int way_unlinkat(struct place *place)
{
	return result_of(unlinkat(place->at, watched(place), (int)place->way->argument));
}

static int way_uring_unlinkat(struct place *place)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_UNLINKAT,
				    .fd = place->at,
				    .unlink_flags = (uint32_t)place->way->argument,
				    .addr = (uintptr_t)watched(place) };

	return uring_do(&sqe);
}

/* --- renaming ------------------------------------------------------------------------------------------------------------ */

static int rename_to(struct place *place, const char *from, const char *to, unsigned int flags)
{
	return result_of(syscall(SYS_renameat2, place->at, from, place->at, to, flags));
}

int way_rename(struct place *place)
{
	return rename_to(place, watched(place), below(place, "R"),
			 (unsigned int)place->way->argument);
}

static int way_rename_old(struct place *place)
{
	return result_of(syscall(SYS_rename, path_of(place, place->name), path_of(place, "R")));
}

static int way_renameat(struct place *place)
{
	return result_of(
		syscall(SYS_renameat, place->at, watched(place), place->at, below(place, "R")));
}

static int way_rename_elsewhere(struct place *place)
{
	mkdirat(place->at, below(place, "e"), 0755);
	prepared(place);
	return rename_to(place, watched(place), below(place, "e/R"), 0);
}

/* Of the directory, or the first of them, that the watched thing is in. */
static int way_rename_above(struct place *place)
{
	char above[64];

	snprintf(above, sizeof(above), "%s", place->way->told);
	return rename_to(place, below(place, above), below(place, "R"), 0);
}

static int way_exchange(struct place *place)
{
	const char *x = other(place, false);

	return rename_to(place, watched(place), x, RENAME_EXCHANGE);
}

static int way_exchange_target(struct place *place)
{
	const char *x = other(place, false);

	return rename_to(place, x, watched(place), RENAME_EXCHANGE);
}

static int way_rename_over(struct place *place)
{
	const char *x = other(place, false);

	return rename_to(place, x, watched(place), (unsigned int)place->way->argument);
}

static int way_rename_over_old(struct place *place)
{
	other(place, false);
	return result_of(syscall(SYS_rename, path_of(place, "X"), path_of(place, place->name)));
}

static int way_rename_directory_over(struct place *place)
{
	const char *x = other(place, true);

	return rename_to(place, x, watched(place), 0);
}

static int uring_rename(struct place *place, const char *from, const char *to)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_RENAMEAT,
				    .fd = place->at,
				    .len = (uint32_t)place->at,
				    .addr = (uintptr_t)from,
				    .off = (uintptr_t)to };

	return uring_do(&sqe);
}

static int way_uring_rename(struct place *place)
{
	return uring_rename(place, watched(place), below(place, "R"));
}

static int way_uring_rename_over(struct place *place)
{
	const char *x = other(place, false);

	return uring_rename(place, x, watched(place));
}

/* --- linking ------------------------------------------------------------------------------------------------------------- */

int way_link(struct place *place)
{
	return result_of(linkat(place->at, watched(place), place->at, below(place, "R"), 0));
}

static int way_link_old(struct place *place)
{
	return result_of(link(path_of(place, place->name), path_of(place, "R")));
}

static int way_link_of_descriptor(struct place *place)
{
	int fd = openat(place->at, watched(place), O_PATH);

	return result_of(linkat(fd, "", place->at, below(place, "R"), AT_EMPTY_PATH));
}

static int way_link_by_proc(struct place *place)
{
	char path[32];
	int fd = openat(place->at, watched(place), O_PATH);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return result_of(linkat(AT_FDCWD, path, place->at, below(place, "R"), AT_SYMLINK_FOLLOW));
}

static int uring_link(struct place *place, const char *from, const char *to)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_LINKAT,
				    .fd = place->at,
				    .len = (uint32_t)place->at,
				    .addr = (uintptr_t)from,
				    .off = (uintptr_t)to };

	return uring_do(&sqe);
}

static int way_uring_link(struct place *place)
{
	return uring_link(place, watched(place), below(place, "R"));
}

/* The watched name becomes a link to another file. */
static int way_link_to_name(struct place *place)
{
	const char *x = other(place, false);

	return result_of(linkat(place->at, x, place->at, watched(place), 0));
}

static int way_uring_link_to_name(struct place *place)
{
	const char *x = other(place, false);

	return uring_link(place, x, watched(place));
}

static int way_tmpfile(struct place *place)
{
	int fd = openat(place->at, place->base, O_TMPFILE | O_WRONLY, 0644);

	if (fd < 0)
		return stopped_at(place, "O_TMPFILE", -errno);
	return result_of(linkat(fd, "", place->at, watched(place), AT_EMPTY_PATH));
}

static int way_symlink(struct place *place)
{
	return result_of(symlink("X", path_of(place, place->name)));
}

static int way_symlinkat(struct place *place)
{
	return result_of(symlinkat("X", place->at, watched(place)));
}

static int way_uring_symlink(struct place *place)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SYMLINKAT,
				    .fd = place->at,
				    .addr = (uintptr_t) "X",
				    .off = (uintptr_t)watched(place) };

	return uring_do(&sqe);
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

#define NEW (O_WRONLY | O_CREAT)

static const struct way table[] = {
	{ WRITE, "O_TMPFILE and linkat, nothing there", "N", way_tmpfile, DENY_ONLY },
	{ WRITE, "rename, nothing there", "N", way_rename_over, DENY_ONLY },

	{ CREATE, "openat O_CREAT", "N", way_open, MAIN | SLICE, NEW },
	{ CREATE, "openat O_CREAT | O_EXCL", "N", way_open, 0, NEW | O_EXCL },
	{ CREATE, "openat O_CREAT, in missing directories", "m/n/N", way_create_deep, 0, NEW },
	{ CREATE, "openat O_CREAT, in a new directory", "p/**/N", way_create_in_new, SLICE, NEW,
	  .told = "p/new/N" },
	{ CREATE, "mkdir", "N", way_mkdir },
	{ CREATE, "mkdirat", "N", way_mkdirat, SLICE },
	{ CREATE, "mknod, a device", "N", way_mknod, 0, S_IFCHR | 0644 },
	{ CREATE, "mknodat, a file", "N", way_mknodat, 0, S_IFREG | 0644 },
	{ CREATE, "mknodat, a fifo", "N", way_mknodat, 0, S_IFIFO | 0644 },
	{ CREATE, "bind of a socket", "N", way_bind_socket },
	{ CREATE, "io_uring MKDIRAT", "N", way_uring_mkdirat },
	{ CREATE, "linkat", "N", way_link_to_name },
	{ CREATE, "O_TMPFILE and linkat", "N", way_tmpfile },
	{ CREATE, "symlinkat", "N", way_symlinkat },
	{ CREATE, "rename", "N", way_rename_over },
	{ CREATE, "rename, a directory", "N", way_rename_directory_over },

	{ DELETE, "unlink", "F", way_unlink },
	{ DELETE, "unlinkat", "F", way_unlinkat, MAIN | SLICE },
	{ DELETE, "rmdir", "d", way_rmdir, SLICE },
	{ DELETE, "unlinkat AT_REMOVEDIR", "d", way_unlinkat, 0, AT_REMOVEDIR },
	{ DELETE, "io_uring UNLINKAT", "F", way_uring_unlinkat, SLICE },
	{ DELETE, "io_uring UNLINKAT AT_REMOVEDIR", "d", way_uring_unlinkat, 0, AT_REMOVEDIR },

	{ RENAME, "rename", "F", way_rename_old },
	{ RENAME, "renameat", "F", way_renameat },
	{ RENAME, "renameat2", "F", way_rename, MAIN | SLICE },
	{ RENAME, "RENAME_NOREPLACE", "F", way_rename, 0, RENAME_NOREPLACE },
	{ RENAME, "RENAME_WHITEOUT", "F", way_rename, SLICE, RENAME_WHITEOUT },
	{ RENAME, "RENAME_EXCHANGE, as source", "F", way_exchange, SLICE },
	{ RENAME, "RENAME_EXCHANGE, as target", "F", way_exchange_target },
	{ RENAME, "to another directory", "F", way_rename_elsewhere },
	{ RENAME, "over it", "F", way_rename_over, SLICE },
	{ RENAME, "over it, rename", "F", way_rename_over_old },
	{ RENAME, "of a directory", "d", way_rename },
	{ RENAME, "over it, a directory", "d", way_rename_directory_over },
	{ RENAME, "of the directory above", "d/F", way_rename_above, SLICE, .told = "d" },
	{ RENAME, "out of a pattern", "p/*/F", way_rename_above, 0, .told = "p/a" },
	{ RENAME, "to the name, nothing there", "N", way_rename_over },
	{ RENAME, "to the name, RENAME_NOREPLACE", "N", way_rename_over, 0, RENAME_NOREPLACE },
	{ RENAME, "to the name, a directory", "N", way_rename_directory_over },
	{ RENAME, "io_uring RENAMEAT", "F", way_uring_rename },
	{ RENAME, "io_uring RENAMEAT, over it", "F", way_uring_rename_over },

	{ LINK, "link", "F", way_link_old },
	{ LINK, "linkat", "F", way_link, MAIN | SLICE },
	{ LINK, "linkat AT_EMPTY_PATH", "F", way_link_of_descriptor },
	{ LINK, "linkat of /proc/self/fd", "F", way_link_by_proc },
	{ LINK, "io_uring LINKAT", "F", way_uring_link },
	{ LINK, "to the name, linkat", "N", way_link_to_name, SLICE },
	{ LINK, "to the name, O_TMPFILE and linkat", "N", way_tmpfile, SLICE },
	{ LINK, "to the name, io_uring LINKAT", "N", way_uring_link_to_name },

	{ SYMLINK, "symlink", "N", way_symlink },
	{ SYMLINK, "symlinkat", "N", way_symlinkat, MAIN | SLICE },
	{ SYMLINK, "io_uring SYMLINKAT", "N", way_uring_symlink },
};
const struct way_table name_ways = { table, LENGTH(table) };
