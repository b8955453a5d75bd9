// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ops.h"

static const mode_t modes[] = { 0644, 0644, 0600, 0755, 0666, 0400, 0, 04755, 02770 };

/* Never blocks: the name may be a fifo's. */
static int random_flags(struct worker *w)
{
	static const struct {
		int flag;
		unsigned int percent;
	} extras[] = { { O_CREAT, 50 },	  { O_EXCL, 12 },     { O_TRUNC, 15 },	{ O_APPEND, 15 },
		       { O_NOFOLLOW, 8 }, { O_DIRECTORY, 4 }, { O_PATH, 4 },	{ O_NOATIME, 4 },
		       { O_DIRECT, 3 },	  { O_SYNC, 2 },      { O_CLOEXEC, 30 } };
	static const int access_modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	int flags = pick_one(w, access_modes) | O_NONBLOCK;

	for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
		if (chance(w, extras[i].percent))
			flags |= extras[i].flag;
	return flags;
}

static void op_open(struct worker *w)
{
	const char *name = any_name(w);
	int flags = random_flags(w), fd;
	mode_t mode = pick_one(w, modes);

	fd = chance(w, 50) ? open(name, flags, mode) : openat(w->area->dir, name, flags, mode);
	tell(w, "open", opened(fd), "%s, %#o, %#o", name, flags, mode);
	keep_fd(w, fd);
}

static void op_creat(struct worker *w)
{
	const char *name = file_name(w);
	int fd;

	/* A fifo would wait for its reader. */
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0644);
	tell(w, "creat", opened(fd), "%s", name);
	if (fd >= 0)
		tell(w, "write", write(fd, "made anew\n", 10), "10");
	keep_fd(w, fd);
}

static void op_openat2(struct worker *w)
{
	static const uint64_t resolves[] = { 0,
					     RESOLVE_BENEATH,
					     RESOLVE_IN_ROOT,
					     RESOLVE_NO_SYMLINKS,
					     RESOLVE_NO_MAGICLINKS,
					     RESOLVE_NO_XDEV,
					     0x1000 };
	const char *name = any_name(w);
	struct open_how how = { .flags = random_flags(w) | (chance(w, 2) ? 1u << 30 : 0),
				.resolve = pick_one(w, resolves) };
	int fd;

	if (how.flags & (O_CREAT | __O_TMPFILE))
		how.mode = 0640;
	/* O_PATH goes with few others here. */
	if (how.flags & O_PATH)
		how.flags &= O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC, how.mode = 0;
	do {
		fd = syscall(SYS_openat2, w->area->dir, name, &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN); /* someone renamed something, somewhere */
	tell(w, "openat2", opened(fd), "%s, %#llo, resolve %#llx", name,
	     (unsigned long long)how.flags, (unsigned long long)how.resolve);
	keep_fd(w, fd);
}

static void op_tmpfile(struct worker *w)
{
	const char *name = dir_name(w), *to = file_name(w);
	int flags = O_TMPFILE | O_RDWR | (chance(w, 20) ? O_EXCL : 0), fd, result;
	char path[64];

	fd = open(name, flags, 0644);
	tell(w, "open", opened(fd), "%s, O_TMPFILE%s", name, flags & O_EXCL ? "|O_EXCL" : "");
	if (fd < 0)
		return;
	fill(w, io_buffer(), 1000);
	tell(w, "write", write(fd, io_buffer(), 1000), "1000");
	snprintf(path, sizeof(path), "self/fd/%d", fd);
	if (chance(w, 50))
		result = linkat(w->proc, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
	else
		result = linkat(fd, "", AT_FDCWD, to, AT_EMPTY_PATH);
	tell(w, "linkat", result, "tmpfile, %s", to);
	keep_fd(w, fd);
}

static void op_reopen(struct worker *w)
{
	static const int flags[] = { O_RDONLY, O_WRONLY | O_APPEND, O_RDWR, O_RDWR | O_TRUNC,
				     O_RDONLY | O_NOFOLLOW };
	int how = pick_one(w, flags), fd;
	char path[64];

	snprintf(path, sizeof(path), "self/fd/%d", some_fd(w));
	fd = openat(w->proc, path, how | O_NONBLOCK);
	tell(w, "reopen", opened(fd), "/proc/self/fd, %#o", how);
	keep_fd(w, fd);
}

static void op_close(struct worker *w)
{
	int *slot = &w->area->slots[pick(w, N_SLOTS)];

	tell(w, "close", *slot < 0 ? 0 : close(*slot), "slot");
	*slot = -1;
}

static void op_dup(struct worker *w)
{
	int fd = dup(some_fd(w));

	tell(w, "dup", opened(fd), "slot");
	keep_fd(w, fd);
}

static off_t random_offset(struct worker *w)
{
	if (chance(w, 50))
		return (off_t)pick(w, 12) * BLOCK;
	return chance(w, 2) ? LARGEST_FILE - 100 : (off_t)pick(w, 50000);
}

static void told_bytes(struct worker *w, const char *call, ssize_t n, size_t asked, off_t at)
{
	uint64_t sum = n > 0 ? hash(HASH_START, io_buffer(), n) : 0;

	tell(w, call, n, "%zu at %lld, %016llx", asked, (long long)at, (unsigned long long)sum);
}

static void op_read(struct worker *w)
{
	size_t size = chance(w, 30) ? 2 * BLOCK : pick(w, LARGEST_IO);
	off_t at = random_offset(w);
	struct iovec parts[2] = { { io_buffer(), size / 2 },
				  { io_buffer() + size / 2, size - size / 2 } };
	int fd = some_fd(w);

	switch (pick(w, 4)) {
	case 0:
		told_bytes(w, "read", read(fd, io_buffer(), size), size, -1);
		break;
	case 1:
		told_bytes(w, "pread", pread(fd, io_buffer(), size, at), size, at);
		break;
	case 2:
		told_bytes(w, "readv", readv(fd, parts, 2), size, -1);
		break;
	default:
		told_bytes(w, "preadv2", preadv2(fd, parts, 2, at, 0), size, at);
		break;
	}
}

static void op_write(struct worker *w)
{
	size_t size = chance(w, 30) ? 2 * BLOCK : pick(w, LARGEST_IO);
	off_t at = random_offset(w);
	struct iovec parts[2] = { { io_buffer(), size / 2 },
				  { io_buffer() + size / 2, size - size / 2 } };
	int fd = some_fd(w), flags = chance(w, 30) ? RWF_APPEND : chance(w, 10) ? RWF_DSYNC : 0;

	fill(w, io_buffer(), size);
	switch (pick(w, 4)) {
	case 0:
		tell(w, "write", write(fd, io_buffer(), size), "%zu", size);
		break;
	case 1:
		tell(w, "pwrite", pwrite(fd, io_buffer(), size, at), "%zu at %lld", size,
		     (long long)at);
		break;
	case 2:
		tell(w, "writev", writev(fd, parts, 2), "%zu", size);
		break;
	default:
		tell(w, "pwritev2", pwritev2(fd, parts, 2, at, flags), "%zu at %lld, %d", size,
		     (long long)at, flags);
		break;
	}
}

static void op_lseek(struct worker *w)
{
	static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END };
	off_t at = random_offset(w);
	int fd = some_fd(w), whence = pick_one(w, whences);
	struct stat st;

	/* A directory's offsets are its file system's secret. */
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return;
	if (chance(w, 30))
		at = -at;
	tell(w, "lseek", lseek(fd, at, whence), "%lld, %d", (long long)at, whence);
}

static void op_truncate(struct worker *w)
{
	off_t size = chance(w, 5) ? LARGEST_FILE + 1 : random_offset(w);
	const char *name = any_name(w);

	if (chance(w, 50))
		tell(w, "truncate", truncate(name, size), "%s, %lld", name, (long long)size);
	else
		tell(w, "ftruncate", ftruncate(some_fd(w), size), "slot, %lld", (long long)size);
}

static void op_sync(struct worker *w)
{
	int fd = some_fd(w);

	if (chance(w, 50))
		tell(w, "fsync", fsync(fd), "slot");
	else
		tell(w, "fdatasync", fdatasync(fd), "slot");
}

static void op_fallocate(struct worker *w)
{
	static const int how[] = { 0,
				   FALLOC_FL_KEEP_SIZE,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   FALLOC_FL_PUNCH_HOLE,
				   FALLOC_FL_ZERO_RANGE,
				   FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				   FALLOC_FL_COLLAPSE_RANGE,
				   FALLOC_FL_INSERT_RANGE };
	int mode = pick_one(w, how);
	off_t at = random_offset(w),
	      size = chance(w, 70) ? BLOCK * (1 + pick(w, 4)) : pick(w, 9999);

	tell(w, "fallocate", fallocate(some_fd(w), mode, at, size), "%#x, %lld, %lld", mode,
	     (long long)at, (long long)size);
}

static void op_fstat(struct worker *w)
{
	struct stat st = { 0 };
	int result = fstat(some_fd(w), &st);

	/* A directory's size and links depend on what others do in it. */
	if (S_ISDIR(st.st_mode))
		st.st_size = st.st_nlink = 0;
	tell(w, "fstat", result, "%#o %u:%u %lld, %u links", st.st_mode, st.st_uid, st.st_gid,
	     (long long)st.st_size, (unsigned int)st.st_nlink);
}

/* Between regular files: reading from a directory or waiting for a fifo is another matter. */
static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void op_copy(struct worker *w)
{
	int from = some_fd(w), to = some_fd(w);
	off_t at = random_offset(w), into = random_offset(w), at_before = at, into_before = into;
	size_t size = pick(w, 30000);

	if (chance(w, 50)) {
		tell(w, "copy_file_range", copy_file_range(from, &at, to, &into, size, 0),
		     "%zu, %lld to %lld", size, (long long)at_before, (long long)into_before);
		tell(w, "copy_file_range", 0, "%lld and %lld after", (long long)at,
		     (long long)into);
	} else if (is_regular(from) && is_regular(to)) {
		tell(w, "sendfile", sendfile(to, from, &at, size), "%zu from %lld", size,
		     (long long)at_before);
	}
}

static void op_splice(struct worker *w)
{
	int from = some_fd(w), to = some_fd(w), ends[2], copy[2];
	loff_t at = random_offset(w), into = random_offset(w);
	size_t size = pick(w, 30000);
	ssize_t n;

	if (!is_regular(from) || pipe(ends) < 0)
		return;
	if (pipe(copy) == 0) {
		n = tell(w, "splice", splice(from, &at, ends[1], NULL, size, SPLICE_F_NONBLOCK),
			 "file to pipe, %zu", size);
		if (n > 0) {
			tell(w, "tee", tee(ends[0], copy[1], n, SPLICE_F_NONBLOCK), "%zd", n);
			tell(w, "splice", splice(ends[0], NULL, to, &into, n, SPLICE_F_NONBLOCK),
			     "pipe to file, %zd", n);
		}
		close(copy[0]);
		close(copy[1]);
	}
	close(ends[0]);
	close(ends[1]);
}

static void op_flock(struct worker *w)
{
	static const int kinds[] = { LOCK_SH, LOCK_EX, LOCK_UN };
	int kind = pick_one(w, kinds);

	tell(w, "flock", flock(some_fd(w), kind | LOCK_NB), "%d", kind);
}

static void op_record_lock(struct worker *w)
{
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	static const int commands[] = { F_SETLK, F_OFD_SETLK, F_GETLK, F_OFD_GETLK };
	struct flock lock = { .l_type = pick_one(w, types),
			      .l_whence = SEEK_SET,
			      .l_start = pick(w, 5000),
			      .l_len = pick(w, 3) * 1000 };
	int command = pick_one(w, commands), result;

	result = fcntl(some_fd(w), command, &lock);
	tell(w, "fcntl", result, "%d, type now %d, %lld+%lld", command, lock.l_type,
	     (long long)lock.l_start, (long long)lock.l_len);
}

/* A lease is granted only where nobody else has the file open: a reference too many would show. */
static void op_lease(struct worker *w)
{
	const char *name = file_name(w);
	int type = chance(w, 50) ? F_RDLCK : F_WRLCK, fd, other;

	fd = open(name, type == F_RDLCK ? O_RDONLY | O_NONBLOCK : O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return;
	tell(w, "fcntl", fcntl(fd, F_SETLEASE, type), "%s, F_SETLEASE, %d", name, type);
	tell(w, "fcntl", fcntl(fd, F_GETLEASE), "F_GETLEASE");
	other = open(name, O_WRONLY | O_NONBLOCK);
	tell(w, "open", opened(other), "%s under lease", name);
	tell(w, "fcntl", fcntl(fd, F_SETLEASE, F_UNLCK), "F_UNLCK");
	if (other >= 0)
		close(other);
	close(fd);
}

static void op_set_flags(struct worker *w)
{
	static const int flags[] = { 0, O_APPEND, O_NOATIME, O_DIRECT };
	int flag = pick_one(w, flags), fd = some_fd(w);

	tell(w, "fcntl", fcntl(fd, F_SETFL, flag | O_NONBLOCK), "F_SETFL, %#o", flag);
	tell(w, "fcntl", fcntl(fd, F_GETFL), "F_GETFL");
}

const struct op ops_open[] = {
	{ op_open, 30, false },	    { op_creat, 8, false },	{ op_openat2, 8, false },
	{ op_tmpfile, 4, false },   { op_reopen, 6, false },	{ op_close, 4, false },
	{ op_dup, 2, false },	    { op_read, 14, false },	{ op_write, 18, false },
	{ op_lseek, 4, false },	    { op_truncate, 8, false },	{ op_sync, 1, false },
	{ op_fallocate, 7, false }, { op_fstat, 4, false },	{ op_copy, 6, false },
	{ op_splice, 4, false },    { op_flock, 4, false },	{ op_record_lock, 5, false },
	{ op_lease, 3, false },	    { op_set_flags, 2, false }, { 0 },
};
