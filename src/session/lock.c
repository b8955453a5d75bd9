// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file of ours, not the vault itself: that one is opened through /proc/PID/map_files only as long as it takes to map
 * it. And in a directory of root's, not a name in the abstract name space of sockets, which anyone on the host
 * could take first.
 */
#include "session/lock.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/opener.h"

#define MAX_TRIES 100

struct lock {
	char path[96];
	int fd;
};

/* What stands in a lock's file. */
struct owner {
	int pid;
	unsigned long long device, inode; /* of the QMP socket */
};

DEFINE_CLEANUP(struct lock *, lock_free)

struct lock *lock_free(struct lock *lock)
{
	if (!lock)
		return NULL;
	if (lock->fd >= 0) {
		opener_unlink(lock->path); /* while it is locked: see is_current() */
		close(lock->fd);
	}
	free(lock);
	return NULL;
}

/* Of the open file: another session of this process is kept out as well. */
static bool set_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK };

	return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

static bool is_locked(int fd)
{
	struct flock whole = { .l_type = F_WRLCK };

	return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

static struct owner read_owner(int fd)
{
	struct owner owner = { 0 };
	char text[96] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
	    sscanf(text, "%d %llu %llu", &owner.pid, &owner.device, &owner.inode) != 3)
		owner = (struct owner){ 0 };
	return owner;
}

/* Has the owner before us taken the file away between our open() and set_lock()? */
static bool is_current(const struct lock *lock)
{
	_cleanup_(closep) int fd = opener_open(lock->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	struct stat ours, there;

	return fstat(lock->fd, &ours) == 0 && fd >= 0 && fstat(fd, &there) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int refuse(const struct owner *owner, struct error *err)
{
	return error_set(err, -EBUSY, "the VM is already guarded by process %d; detach it there",
			 owner->pid);
}

static int try_to_take(struct lock *lock, struct error *err)
{
	struct owner owner;

	lock->fd = opener_open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock->fd < 0)
		return error_set(err, -errno, "cannot make %s: %s", lock->path, strerror(errno));
	if (set_lock(lock->fd))
		return is_current(lock) ? 1 : 0;
	if (errno == EAGAIN || errno == EACCES) {
		owner = read_owner(lock->fd);
		return refuse(&owner, err);
	}
	return error_set(err, -errno, "cannot lock %s: %s", lock->path, strerror(errno));
}

/* For whoever comes second; the lock holds without. */
static void write_owner(const struct lock *lock, const char *qmp_path)
{
	_cleanup_(closep) int fd = opener_open(qmp_path, O_PATH | O_CLOEXEC, 0);
	struct stat socket = { 0 };

	if (fd < 0 || fstat(fd, &socket) < 0 || ftruncate(lock->fd, 0) < 0)
		return;
	dprintf(lock->fd, "%d %llu %llu\n", (int)getpid(), (unsigned long long)socket.st_dev,
		(unsigned long long)socket.st_ino);
}

static int take(struct lock *lock, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < MAX_TRIES && r == 0; i++) {
		r = try_to_take(lock, err);
		if (r <= 0 && lock->fd >= 0)
			lock->fd = (close(lock->fd), -1);
	}
	if (r == 0)
		return error_set(err, -EBUSY, "%s comes and goes; try again", lock->path);
	return r < 0 ? r : 0;
}

int lock_take(struct lock **ret, const struct machine *machine, const char *qmp_path,
	      struct error *err)
{
	const struct machine_device *vault = machine_vault(machine);
	_cleanup_(lock_freep) struct lock *lock = NULL;
	int r;

	if (!vault->host || !machine_mailbox(machine)->host)
		return error_set(err, -EAGAIN,
				 "the guest has not mapped the vault and the mailbox (still "
				 "booting?)");
	lock = calloc(1, sizeof(*lock));
	if (!lock)
		return error_set(err, -ENOMEM, "out of memory");
	lock->fd = -1;
	snprintf(lock->path, sizeof(lock->path), LOCK_DIRECTORY "/vault-%u-%u-%llu.lock",
		 major(vault->file_device), minor(vault->file_device),
		 (unsigned long long)vault->file_inode);
	r = take(lock, err);
	if (r < 0)
		return r;
	write_owner(lock, qmp_path);
	*ret = TAKE_PTR(lock);
	return 0;
}

void lock_beside(const struct lock *lock, const char *what, char *buf, size_t size)
{
	const char *name = strrchr(lock->path, '/') + 1; /* "vault-..." */

	snprintf(buf, size, "%.*s%s-%s", (int)(name - lock->path), lock->path, what, name);
}

static int check_file(int directory, const char *name, const struct stat *socket, struct error *err)
{
	_cleanup_(closep) int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct owner owner;

	if (fd < 0)
		return 0;
	owner = read_owner(fd);
	if (owner.device != socket->st_dev || owner.inode != socket->st_ino || !is_locked(fd))
		return 0;
	return refuse(&owner, err);
}

int lock_check(const char *qmp_path, struct error *err)
{
	struct stat socket;
	struct dirent *entry;
	DIR *directory;
	int r = 0;

	if (mkdir(LOCK_DIRECTORY, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s; run as root", LOCK_DIRECTORY,
				 strerror(errno));
	if (stat(qmp_path, &socket) < 0)
		return 0; /* for machine_open() to say */
	directory = opendir(LOCK_DIRECTORY);
	if (!directory)
		return 0;
	while (r == 0 && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, "vault-", 6) == 0)
			r = check_file(dirfd(directory), entry->d_name, &socket, err);
	}
	closedir(directory);
	return r;
}
