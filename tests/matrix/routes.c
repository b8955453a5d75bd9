// SPDX-License-Identifier: GPL-2.0-or-later
/* How an attempt comes to the file: by another name, another mount, another root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"

__attribute__((format(printf, 2, 3))) static void set_base(struct place *place, const char *format,
							   ...)
{
	char base[sizeof(place->base)]; /* the old one may be a part of it */
	va_list args;

	va_start(args, format);
	if (vsnprintf(base, sizeof(base), format, args) >= (int)sizeof(base))
		abort();
	va_end(args);
	strcpy(place->base, base);
}

/* A directory to mount on, of this process. */
static char *new_directory(void)
{
	static char directory[64];

	snprintf(directory, sizeof(directory), "/tmp/matrix-%d", getpid());
	return mkdir(directory, 0755) == 0 || errno == EEXIST ? directory : NULL;
}

bool enter_mount_space(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static int route_none(struct place *place)
{
	(void)place;
	return 0;
}

static int route_dirfd(struct place *place)
{
	place->at = open(place->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	set_base(place, ".");
	return result_of(place->at);
}

static int route_symlink(struct place *place)
{
	if (symlinkat(place->name, place->at, below(place, "S")) < 0)
		return -errno;
	strcpy(place->name, "S");
	return prepared(place);
}

static int route_symlink_above(struct place *place)
{
	char *directory = new_directory(), link[64];

	snprintf(link, sizeof(link), "%s/link", directory);
	if (symlink(place->base, link) < 0)
		return -errno;
	set_base(place, "%s", link);
	return 0;
}

static int route_hard_link(struct place *place)
{
	if (linkat(place->at, watched(place), place->at, below(place, "L"), 0) < 0)
		return -errno;
	strcpy(place->name, "L");
	return prepared(place);
}

static int bind_elsewhere(struct place *place, char **ret_directory)
{
	*ret_directory = new_directory();
	if (!*ret_directory || mount(place->base, *ret_directory, NULL, MS_BIND, NULL) < 0)
		return -errno;
	return 0;
}

static int route_bind(struct place *place)
{
	char *directory;
	int result = bind_elsewhere(place, &directory);

	if (result < 0)
		return result;
	set_base(place, "%s", directory);
	place->unmount = directory;
	return 0;
}

static int route_open_tree(struct place *place)
{
	place->at =
		syscall(SYS_open_tree, AT_FDCWD, place->base, 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
	set_base(place, ".");
	return result_of(place->at);
}

static int route_mount_space(struct place *place)
{
	(void)place;
	return enter_mount_space() ? 0 : -errno;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Maps the ids of the process, from outside its user name space. */
static bool map_ids(pid_t pid)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "/proc/%d/uid_map", pid);
	snprintf(gids, sizeof(gids), "/proc/%d/gid_map", pid);
	return write_text(uids, "0 0 65536") && write_text(gids, "0 0 65536");
}

static int route_user_space(struct place *place)
{
	pid_t self = getpid(), helper;
	int ready[2], status;
	char byte;

	(void)place;
	if (pipe(ready) < 0)
		return -errno;
	helper = fork();
	if (helper == 0) {
		close(ready[1]);
		_exit(read(ready[0], &byte, 1) == 0 && map_ids(self) ? 0 : 1);
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	close(ready[1]);
	if (waitpid(helper, &status, 0) < 0 || status != 0)
		return -ECHILD;
	return result_of(setresuid(0, 0, 0));
}

static int route_chroot(struct place *place)
{
	const char *name = strrchr(place->directory, '/');
	char above[400];

	snprintf(above, sizeof(above), "%.*s", (int)(name - place->directory), place->directory);
	if (chroot(above) < 0 || chdir("/") < 0)
		return -errno;
	set_base(place, "%s", name);
	return 0;
}

static int route_pivot(struct place *place)
{
	char *directory;
	int result;

	if (!enter_mount_space())
		return -errno;
	result = bind_elsewhere(place, &directory);
	if (result < 0)
		return result;
	if (chdir(directory) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	place->base[0] = '\0';
	return 0;
}

static int route_proc_self_root(struct place *place)
{
	set_base(place, "/proc/self/root%s", place->base);
	return 0;
}

/* Of the process that started this one, seen from another mount name space. */
static int route_proc_pid_root(struct place *place)
{
	if (!enter_mount_space())
		return -errno;
	set_base(place, "/proc/%d/root%s", getppid(), place->base);
	return 0;
}

/* Where in its file system a path is: by the mount it is on. */
static bool path_in_device(const char *path, char *ret_path, size_t size, dev_t *ret_device)
{
	char line[2048], root[512], point[512];
	unsigned int major_number, minor_number;
	size_t n, best = 0;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	while (mounts && fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*d %*d %u:%u %511s %511s", &major_number, &minor_number, root,
			   point) != 4)
			continue;
		n = strcmp(point, "/") == 0 ? 0 : strlen(point);
		if (n < best || strncmp(path, point, n) != 0 || (path[n] && path[n] != '/'))
			continue;
		best = n;
		*ret_device = makedev(major_number, minor_number);
		snprintf(ret_path, size, "%s%s", strcmp(root, "/") == 0 ? "" : root, path + n);
	}
	if (mounts)
		fclose(mounts);
	return mounts;
}

static int route_second_device(struct place *place)
{
	char *directory = new_directory(), inner[1000], device[64];
	dev_t number = 0;

	if (!path_in_device(place->base, inner, sizeof(inner), &number) || major(number) == 0)
		return -ENODEV; /* no block device below */
	snprintf(device, sizeof(device), "%s.device", directory);
	if (!enter_mount_space() || mknod(device, S_IFBLK | 0600, number) < 0 ||
	    mount(device, directory, "ext4", 0, NULL) < 0)
		return -errno;
	set_base(place, "%s%s", directory, inner);
	return 0;
}

/* An overlay of the attacker's own, with D as its lower layer. */
static int route_overlay(struct place *place)
{
	char *directory = new_directory(), options[800], path[3][64];
	static const char *const names[] = { "upper", "work", "merged" };

	if (!enter_mount_space() || mount("tmpfs", directory, "tmpfs", 0, NULL) < 0)
		return -errno;
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%s", directory, names[i]);
		mkdir(path[i], 0755);
	}
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", place->base,
		 path[0], path[1]);
	if (mount("overlay", path[2], "overlay", 0, options) < 0)
		return -errno;
	set_base(place, "%s", path[2]);
	return 0;
}

/* Guest root goes into the container's mount name space. */
static int route_setns(struct place *place)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%.*sns/mnt", (int)(strlen(place->prefix) - strlen("root")),
		 place->prefix);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return -errno;
	close(fd);
	set_base(place, "%s", place->directory + strlen(place->prefix));
	return 0;
}

#define NOT_MOUNT (((1 << N_OPERATIONS) - 1) & ~MOUNT)
#define OF_FILES (NOT_MOUNT & ~OF_NOTHING)

const struct route routes[] = {
	{ "", route_none },
	{ "by dirfd", route_dirfd, NOT_MOUNT },
	{ "by a symbolic link", route_symlink, OF_FILES & ~OF_NAMES },
	{ "by a symbolic link to a directory", route_symlink_above },
	{ "by a hard link", route_hard_link, OF_FILES & ~(COPY_UP | LINK), .told = "L|@",
	  .flags = SLICE },
	{ "by a bind mount", route_bind, NOT_MOUNT, .told = "@|/tmp/matrix-PID/@", .flags = SLICE },
	{ "by a detached mount", route_open_tree, NOT_MOUNT },
	{ "in a new mount name space", route_mount_space, NOT_MOUNT },
	{ "in a new user name space", route_user_space, NOT_MOUNT },
	{ "after chroot", route_chroot, NOT_MOUNT },
	{ "after pivot_root", route_pivot, NOT_MOUNT },
	{ "by proc self root", route_proc_self_root },
	{ "by proc PID root", route_proc_pid_root, NOT_MOUNT },
	{ "by a second mount of the device", route_second_device, NOT_MOUNT },
	{ "by an overlay on top", route_overlay, READ | EXEC },
	{ "after setns", route_setns, .views = PROC_ROOT },
};
const unsigned int n_routes = LENGTH(routes);
