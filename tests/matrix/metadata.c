// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways to what is known of a file: mode, owner, times, extended attributes, flags. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "matrix.h"

#define NEW_MODE 0700
#define NEW_OWNER 3

/* What only names the file, as a path. */
static const char *proc_path(struct place *place)
{
	static char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", openat(place->at, watched(place), O_PATH));
	return path;
}

/* --- mode and owner ------------------------------------------------------------------------------------------------------ */

int way_chmod(struct place *place)
{
	return result_of(syscall(SYS_fchmodat, place->at, watched(place), NEW_MODE));
}

static int way_chmod_old(struct place *place)
{
	return result_of(syscall(SYS_chmod, path_of(place, place->name), place->way->argument));
}

static int way_chmod_by_proc(struct place *place)
{
	return result_of(chmod(proc_path(place), NEW_MODE));
}

static int way_fchmod(struct place *place)
{
	return result_of(fchmod(open_watched(place, O_RDONLY), NEW_MODE));
}

static int way_fchmodat2(struct place *place)
{
	return result_of(syscall(452 /* fchmodat2, 6.6 */, place->at, watched(place), NEW_MODE, 0));
}

int way_chown(struct place *place)
{
	return result_of(fchownat(place->at, watched(place), NEW_OWNER, NEW_OWNER, 0));
}

static int way_chown_old(struct place *place)
{
	return result_of(chown(path_of(place, place->name), NEW_OWNER, (gid_t)-1));
}

static int way_lchown(struct place *place)
{
	return result_of(lchown(path_of(place, place->name), (uid_t)-1, NEW_OWNER));
}

static int way_fchown(struct place *place)
{
	return result_of(fchown(open_watched(place, O_RDONLY), NEW_OWNER, NEW_OWNER));
}

static int way_chown_descriptor(struct place *place)
{
	int fd = openat(place->at, watched(place), O_PATH);

	return result_of(fchownat(fd, "", NEW_OWNER, NEW_OWNER, AT_EMPTY_PATH));
}

/* --- times --------------------------------------------------------------------------------------------------------------- */

static const struct timespec then[2] = { { 1000000000, 1 }, { 1000000000, 2 } };
static const struct timeval then_us[2] = { { 1000000000, 1 }, { 1000000000, 2 } };

int way_utimes(struct place *place)
{
	return result_of(utimensat(place->at, watched(place), then, 0));
}

static int way_utimes_now(struct place *place)
{
	return result_of(utimensat(place->at, watched(place), NULL, 0));
}

static int way_utime(struct place *place)
{
	const struct utimbuf times = { 1000000000, 1000000000 };

	return result_of(syscall(SYS_utime, path_of(place, place->name), &times));
}

static int way_utimes_old(struct place *place)
{
	return result_of(syscall(SYS_utimes, path_of(place, place->name), then_us));
}

static int way_futimesat(struct place *place)
{
	return result_of(syscall(SYS_futimesat, place->at, watched(place), then_us));
}

static int way_futimens(struct place *place)
{
	return result_of(futimens(open_watched(place, O_RDONLY), then));
}

/* --- extended attributes ------------------------------------------------------------------------------------------------- */

/* tmpfs has no user.* on older kernels, and where there is user.*, trusted.* is not for user name spaces. */
static const char *attribute(const struct place *place)
{
	return place->view == TMPFS ? "trusted.matrix" : "user.matrix";
}

int way_setxattr(struct place *place)
{
	return result_of(setxattr(path_of(place, place->name), attribute(place), "new", 3, 0));
}

static int way_lsetxattr(struct place *place)
{
	return result_of(lsetxattr(path_of(place, place->name), attribute(place), "new", 3, 0));
}

static int way_fsetxattr(struct place *place)
{
	return result_of(fsetxattr(open_watched(place, O_RDONLY), attribute(place), "new", 3, 0));
}

static int way_set_capability(struct place *place)
{
	static const uint32_t capability[5] = { 0x02000001, 1 << 12 };

	return result_of(setxattr(path_of(place, place->name), "security.capability", capability,
				  sizeof(capability), 0));
}

/* An attribute that is there: nothing is watched before it is made, for it is made together with the file. */
static int way_removexattr(struct place *place)
{
	return result_of(removexattr(path_of(place, place->name), "trusted.there"));
}

static int way_lremovexattr(struct place *place)
{
	return result_of(lremovexattr(path_of(place, place->name), "trusted.there"));
}

static int way_fremovexattr(struct place *place)
{
	return result_of(fremovexattr(open_watched(place, O_RDONLY), "trusted.there"));
}

static int way_set_acl(struct place *place)
{
	return acl_set(path_of(place, place->name), 5);
}

static int way_remove_acl(struct place *place)
{
	return result_of(removexattr(path_of(place, place->name), ACL));
}

static int way_uring_setxattr(struct place *place)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SETXATTR,
				    .addr = (uintptr_t)attribute(place),
				    .off = (uintptr_t) "new",
				    .len = 3,
				    .addr3 = (uintptr_t)path_of(place, place->name) };

	return uring_do(&sqe);
}

static int way_uring_fsetxattr(struct place *place)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_FSETXATTR,
				    .fd = open_watched(place, O_RDONLY),
				    .addr = (uintptr_t)attribute(place),
				    .off = (uintptr_t) "new",
				    .len = 3 };

	return uring_do(&sqe);
}

/* --- flags --------------------------------------------------------------------------------------------------------------- */

/* The argument is how the file is opened. */
static int way_set_flags(struct place *place)
{
	int fd = open_watched(place, (int)place->way->argument), flags = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -errno;
	flags |= FS_NODUMP_FL;
	return result_of(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static int way_set_fsxattr(struct place *place)
{
	int fd = open_watched(place, (int)place->way->argument);
	struct fsxattr attributes;

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
		return -errno;
	attributes.fsx_xflags |= FS_XFLAG_NODUMP;
	return result_of(ioctl(fd, FS_IOC_FSSETXATTR, &attributes));
}

static int way_set_version(struct place *place)
{
	int fd = open_watched(place, (int)place->way->argument);
	int version = 77;

	return fd < 0 ? fd : result_of(ioctl(fd, FS_IOC_SETVERSION, &version));
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

static const struct way table[] = {
	{ CHMOD, "chmod", "F", way_chmod_old, 0, NEW_MODE },
	{ CHMOD, "chmod, the same mode", "F", way_chmod_old, 0, 0775 },
	{ CHMOD, "chmod, set-user-id", "F", way_chmod_old, 0, 04755 },
	{ CHMOD, "chmod of /proc/self/fd", "F", way_chmod_by_proc },
	{ CHMOD, "fchmod", "F", way_fchmod, SLICE },
	{ CHMOD, "fchmodat", "F", way_chmod, MAIN | SLICE },
	{ CHMOD, "fchmodat2", "F", way_fchmodat2 },

	{ CHOWN, "chown", "F", way_chown_old },
	{ CHOWN, "lchown", "F", way_lchown },
	{ CHOWN, "fchown", "F", way_fchown },
	{ CHOWN, "fchownat", "F", way_chown, MAIN | SLICE },
	{ CHOWN, "fchownat AT_EMPTY_PATH", "F", way_chown_descriptor },

	{ UTIMES, "utime", "F", way_utime },
	{ UTIMES, "utimes", "F", way_utimes_old },
	{ UTIMES, "futimesat", "F", way_futimesat },
	{ UTIMES, "futimens", "F", way_futimens, SLICE },
	{ UTIMES, "utimensat", "F", way_utimes, MAIN | SLICE },
	{ UTIMES, "utimensat, now", "F", way_utimes_now },

	{ XATTR, "setxattr", "F", way_setxattr, MAIN | SLICE },
	{ XATTR, "lsetxattr", "F", way_lsetxattr },
	{ XATTR, "fsetxattr", "F", way_fsetxattr },
	{ XATTR, "setxattr, file capabilities", "F", way_set_capability },
	{ XATTR, "removexattr", "F", way_removexattr },
	{ XATTR, "lremovexattr", "F", way_lremovexattr },
	{ XATTR, "fremovexattr", "F", way_fremovexattr },
	{ XATTR, "ACL set", "F", way_set_acl, SLICE },
	{ XATTR, "ACL removed", "F", way_remove_acl },
	{ XATTR, "io_uring SETXATTR", "F", way_uring_setxattr },
	{ XATTR, "io_uring FSETXATTR", "F", way_uring_fsetxattr },

	{ ATTR_FLAGS, "FS_IOC_SETFLAGS", "F", way_set_flags, MAIN | SLICE, O_RDONLY },
	{ ATTR_FLAGS, "FS_IOC_SETFLAGS, opened for writing", "F", way_set_flags, 0, O_WRONLY },
	{ ATTR_FLAGS, "FS_IOC_SETFLAGS, opened with mode 3", "F", way_set_flags, 0, 3 },
	{ ATTR_FLAGS, "FS_IOC_FSSETXATTR", "F", way_set_fsxattr, 0, O_RDONLY },
	{ ATTR_FLAGS, "FS_IOC_SETVERSION", "F", way_set_version, SLICE, O_RDONLY },
};
const struct way_table metadata_ways = { table, LENGTH(table) };
