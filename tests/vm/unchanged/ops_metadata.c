// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ops.h"

static void op_chmod(struct worker *w)
{
	static const mode_t modes[] = { 0644, 0755, 0777, 0755, 0600, 04755, 02755, 06711, 0, 0444 };
	const char *name = any_name(w);
	mode_t mode = pick_one(w, modes);

	switch (pick(w, 4)) {
	case 0:
		tell(w, "chmod", chmod(name, mode), "%s, %#o", name, mode);
		break;
	case 1:
		tell(w, "fchmodat", fchmodat(w->area->dir, name, mode, 0), "%s, %#o", name, mode);
		break;
	default:
		tell(w, "fchmod", fchmod(some_fd(w), mode), "slot, %#o", mode);
		break;
	}
}

static void op_chown(struct worker *w)
{
	static const uid_t owners[] = { 0, 0, 1002, NOBODY, (uid_t)-1 };
	const char *name = any_name(w);
	uid_t uid = pick_one(w, owners), gid = pick_one(w, owners);

	switch (pick(w, 5)) {
	case 0:
		tell(w, "chown", chown(name, uid, gid), "%s, %d:%d", name, uid, gid);
		break;
	case 1:
		tell(w, "lchown", lchown(name, uid, gid), "%s, %d:%d", name, uid, gid);
		break;
	case 2:
		tell(w, "fchownat", fchownat(some_fd(w), "", uid, gid, AT_EMPTY_PATH),
		     "slot, %d:%d", uid, gid);
		break;
	default:
		tell(w, "fchown", fchown(some_fd(w), uid, gid), "slot, %d:%d", uid, gid);
		break;
	}
}

static void told_times(struct worker *w, const char *name, int flags)
{
	struct stat st = { 0 };
	int result = fstatat(AT_FDCWD, name, &st, flags);

	tell(w, "stat", result, "%s, accessed %lld.%09ld, modified %lld.%09ld", name,
	     (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec,
	     st.st_mtim.tv_nsec);
}

static void op_utimes(struct worker *w)
{
	struct timespec times[2] = { { 1000000000 + pick(w, 1000), pick(w, 1000000000) },
				     { 1100000000 + pick(w, 1000), pick(w, 1000000000) } };
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct timespec wrong[2] = { { 0, 1000000000 }, { 0, UTIME_OMIT } };
	const char *name = any_name(w);
	int flags = chance(w, 40) ? AT_SYMLINK_NOFOLLOW : 0;

	switch (pick(w, 5)) {
	case 0:
		tell(w, "utimensat", utimensat(w->area->dir, name, NULL, flags), "%s, NULL", name);
		break;
	case 1:
		tell(w, "utimensat", utimensat(AT_FDCWD, name, now, flags), "%s, now", name);
		break;
	case 2:
		tell(w, "utimensat", utimensat(AT_FDCWD, name, wrong, flags), "%s, wrong", name);
		break;
	case 3:
		tell(w, "futimens", futimens(some_fd(w), times), "slot");
		break;
	default:
		if (tell(w, "utimensat", utimensat(AT_FDCWD, name, times, flags), "%s", name) == 0)
			told_times(w, name, flags);
		break;
	}
}

static const char *const attributes[] = { "user.one", "user.two",     "user.three",
					  "nosuch.x", "trusted.four", "security.outguard" };

static void op_setxattr(struct worker *w)
{
	static const int how[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	const char *name = any_name(w), *attribute = pick_one(w, attributes);
	size_t size = chance(w, 10) ? 2000 : pick(w, 100);
	int flags = pick_one(w, how);

	fill(w, io_buffer(), size);
	switch (pick(w, 3)) {
	case 0:
		tell(w, "setxattr", setxattr(name, attribute, io_buffer(), size, flags),
		     "%s, %s, %zu, %d", name, attribute, size, flags);
		break;
	case 1:
		tell(w, "lsetxattr", lsetxattr(name, attribute, io_buffer(), size, flags),
		     "%s, %s, %zu, %d", name, attribute, size, flags);
		break;
	default:
		tell(w, "fsetxattr", fsetxattr(some_fd(w), attribute, io_buffer(), size, flags),
		     "slot, %s, %zu, %d", attribute, size, flags);
		break;
	}
}

static void op_getxattr(struct worker *w)
{
	const char *name = any_name(w), *attribute = pick_one(w, attributes);
	size_t size = chance(w, 10) ? 3 : LARGEST_IO;
	ssize_t n;

	if (chance(w, 50)) {
		n = getxattr(name, attribute, io_buffer(), size);
		tell(w, "getxattr", n, "%s, %s, %016llx", name, attribute,
		     n > 0 ? (unsigned long long)hash(HASH_START, io_buffer(), n) : 0);
	} else {
		n = fgetxattr(some_fd(w), attribute, io_buffer(), size);
		tell(w, "fgetxattr", n, "slot, %s", attribute);
	}
}

static void op_removexattr(struct worker *w)
{
	const char *name = any_name(w), *attribute = pick_one(w, attributes);

	if (chance(w, 50))
		tell(w, "removexattr", removexattr(name, attribute), "%s, %s", name, attribute);
	else
		tell(w, "fremovexattr", fremovexattr(some_fd(w), attribute), "slot, %s", attribute);
}

/* As in linux/posix_acl_xattr.h. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, permissions;
		uint32_t id;
	} entries[5];
};
enum {
	ACL_USER_OBJ = 1,
	ACL_USER = 2,
	ACL_GROUP_OBJ = 4,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20
};

static void op_acl(struct worker *w)
{
	static const char *const kinds[] = { "system.posix_acl_access", "system.posix_acl_"
									"default" };
	const char *name = chance(w, 50) ? dir_name(w) : any_name(w), *kind = pick_one(w, kinds);
	struct acl acl = { 2,
			   { { ACL_USER_OBJ, 7, -1 },
			     { ACL_USER, pick(w, 8), 1002 },
			     { ACL_GROUP_OBJ, pick(w, 8), -1 },
			     { ACL_MASK, pick(w, 8), -1 },
			     { ACL_OTHER, pick(w, 8), -1 } } };
	size_t size = chance(w, 90) ? sizeof(acl) : sizeof(acl) - 8;

	if (chance(w, 70))
		tell(w, "setxattr", setxattr(name, kind, &acl, size, 0), "%s, %s", name, kind);
	else
		tell(w, "removexattr", removexattr(name, kind), "%s, %s", name, kind);
}

/* A capability that the next write takes away by itself. */
static void op_file_capability(struct worker *w)
{
	static const uint32_t capability[5] = { 0x02000001, 1u << 10, 0, 0, 0 };
	const char *name = file_name(w);

	tell(w, "setxattr",
	     setxattr(name, "security.capability", capability, sizeof(capability), 0),
	     "%s, security.capability", name);
}

#define TOLD_FLAGS (FS_APPEND_FL | FS_IMMUTABLE_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL)

static void op_attr_flags(struct worker *w)
{
	static const int values[] = {
		0, 0, 0, 0, FS_NODUMP_FL, FS_NOATIME_FL, FS_APPEND_FL, FS_IMMUTABLE_FL
	};
	const char *name = any_name(w);
	int fd = open(name, O_RDONLY | O_NONBLOCK), flags = 0, value = pick_one(w, values);
	struct fsxattr more = { 0 };

	tell(w, "open", opened(fd), "%s", name);
	if (fd < 0)
		return;
	tell(w, "FS_IOC_GETFLAGS", ioctl(fd, FS_IOC_GETFLAGS, &flags), "%#x", flags & TOLD_FLAGS);
	if (chance(w, 70)) {
		flags = (flags & ~TOLD_FLAGS) | value;
		tell(w, "FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags), "%#x", value);
	} else if (tell(w, "FS_IOC_FSGETXATTR", ioctl(fd, FS_IOC_FSGETXATTR, &more), "project %u",
			more.fsx_projid) == 0) {
		more.fsx_xflags ^= FS_XFLAG_NODUMP;
		tell(w, "FS_IOC_FSSETXATTR", ioctl(fd, FS_IOC_FSSETXATTR, &more), "nodump");
	}
	close(fd);
}

/* Takes back what makes files untouchable, so that runs do not end in nothing but refusals. */
static void op_clear_flags(struct worker *w)
{
	const char *name = any_name(w);
	int fd = open(name, O_RDONLY | O_NONBLOCK), flags = 0;

	if (fd < 0)
		return;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags &= ~TOLD_FLAGS;
		tell(w, "FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags), "%s, none", name);
	}
	close(fd);
}

static void op_ioctl(struct worker *w)
{
	static const unsigned long requests[] = { FICLONE, FIGETBSZ, FIONREAD, 0xdeadbeef };
	unsigned int which = pick(w, 4);
	int fd = some_fd(w), value = 0;
	struct stat st;

	/* How many bytes there are in a directory is its own business. */
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		return;
	tell(w, "ioctl",
	     which == 0 ? ioctl(fd, FICLONE, some_fd(w)) : ioctl(fd, requests[which], &value),
	     "%u, %d", which, value);
}

static void op_stat(struct worker *w)
{
	const char *name = any_name(w);
	int flags = chance(w, 50) ? AT_SYMLINK_NOFOLLOW : 0, result;
	struct stat st = { 0 };

	result = fstatat(w->area->dir, name, &st, flags);
	if (S_ISDIR(st.st_mode))
		st.st_size = st.st_nlink = 0;
	tell(w, "stat", result, "%s, %#o %u:%u %lld, %u links", name, st.st_mode, st.st_uid,
	     st.st_gid, (long long)st.st_size, (unsigned int)st.st_nlink);
}

static void op_statx(struct worker *w)
{
	const char *name = any_name(w);
	struct statx sx = { 0 };
	int result = statx(w->area->dir, name, AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &sx);

	if (S_ISDIR(sx.stx_mode))
		sx.stx_size = 0;
	tell(w, "statx", result, "%s, %#o %lld, attributes %#llx", name, sx.stx_mode,
	     (long long)sx.stx_size,
	     (unsigned long long)(sx.stx_attributes &
				  (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP)));
}

static void op_access(struct worker *w)
{
	const char *name = any_name(w);
	int mode = pick(w, 8), flags = chance(w, 50) ? AT_EACCESS : 0;

	tell(w, "faccessat2", syscall(SYS_faccessat2, w->area->dir, name, mode, flags),
	     "%s, %d, %#x", name, mode, flags);
}

static void op_umask(struct worker *w)
{
	static const mode_t masks[] = { 022, 022, 077, 0, 027 };

	tell(w, "umask", umask(pick_one(w, masks)), "new");
}

static void op_statfs(struct worker *w)
{
	const char *name = any_name(w);
	struct statfs fs = { 0 };
	int result = statfs(name, &fs);

	tell(w, "statfs", result, "%s, %#lx", name, (unsigned long)fs.f_type);
}

const struct op ops_metadata[] = {
	{ op_chmod, 8, false },
	{ op_chown, 7, false },
	{ op_utimes, 7, false },
	{ op_setxattr, 8, false },
	{ op_getxattr, 3, false },
	{ op_removexattr, 3, false },
	{ op_acl, 5, false },
	{ op_file_capability, 2, false },
	{ op_attr_flags, 5, false },
	{ op_clear_flags, 5, false },
	{ op_ioctl, 2, false },
	{ op_stat, 6, false },
	{ op_statx, 3, false },
	{ op_access, 3, false },
	{ op_umask, 1, false },
	{ op_statfs, 1, false },
	{ 0 },
};
