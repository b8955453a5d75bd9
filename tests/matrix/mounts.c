// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways to what a path leads to: mounting over it, taking away what it is on, another root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "matrix.h"

/* Of sys/mount.h, which does not go together with linux/mount.h here. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount2(const char *target, int flags);
#define MNT_DETACH 2

/* Something to mount over what is like it: X, a file or a directory. */
static const char *other(struct place *place, bool directory)
{
	const char *x = path_of(place, "X");

	if (directory)
		mkdir(x, 0755);
	else
		close(make_file(place, "X"));
	prepared(place);
	return x;
}

static int way_bind_over(struct place *place)
{
	const char *x = other(place, false);

	return result_of(mount(x, path_of(place, place->name), NULL, MS_BIND, NULL));
}

static int way_bind_over_directory(struct place *place)
{
	const char *x = other(place, true);

	return result_of(mount(x, path_of(place, "d"), NULL, MS_BIND, NULL));
}

static int way_bind_over_cell(struct place *place)
{
	const char *x = other(place, true);

	return result_of(mount(x, path_of(place, "."), NULL, MS_BIND, NULL));
}

static int way_tmpfs_over_directory(struct place *place)
{
	return result_of(mount("tmpfs", path_of(place, "d"), "tmpfs", 0, NULL));
}

static int way_overlay_over_directory(struct place *place)
{
	const char *directory = path_of(place, "d");
	char options[600];

	/* A read-only one, of two lower layers. */
	snprintf(options, sizeof(options), "lowerdir=%s:/tmp", directory);
	return result_of(mount("overlay", directory, "overlay", 0, options));
}

static int way_move_over(struct place *place)
{
	const char *x = other(place, false);

	if (mount(x, x, NULL, MS_BIND, NULL) < 0)
		return -errno;
	prepared(place);
	return result_of(mount(x, path_of(place, place->name), NULL, MS_MOVE, NULL));
}

static int move_mount_to(int mount_fd, const char *to)
{
	return result_of(
		syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH));
}

static int way_move_mount_over(struct place *place)
{
	const char *x = other(place, false);
	int tree = syscall(SYS_open_tree, AT_FDCWD, x, OPEN_TREE_CLONE);

	return tree < 0 ? -errno : move_mount_to(tree, path_of(place, place->name));
}

static int way_fsmount_over_directory(struct place *place)
{
	int context = syscall(SYS_fsopen, "tmpfs", 0), tree;

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	tree = syscall(SYS_fsmount, context, 0, 0);
	return tree < 0 ? -errno : move_mount_to(tree, path_of(place, "d"));
}

static int way_umount(struct place *place)
{
	return result_of(umount2(path_of(place, "d"), (int)place->way->argument));
}

static const char *elsewhere(struct place *place)
{
	const char *e = path_of(place, "e");

	mkdir(e, 0755);
	prepared(place);
	return e;
}

static int way_move_away(struct place *place)
{
	const char *e = elsewhere(place);

	return result_of(mount(path_of(place, "d"), e, NULL, MS_MOVE, NULL));
}

static int way_move_mount_away(struct place *place)
{
	const char *e = elsewhere(place);

	return result_of(syscall(SYS_move_mount, AT_FDCWD, path_of(place, "d"), AT_FDCWD, e, 0));
}

static int way_remount(struct place *place)
{
	return result_of(
		mount(NULL, path_of(place, "d"), NULL, (unsigned long)place->way->argument, NULL));
}

static int way_mount_setattr(struct place *place)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_NOATIME,
					 .attr_clr = MOUNT_ATTR__ATIME };

	return result_of(syscall(SYS_mount_setattr, AT_FDCWD, path_of(place, "d"), 0, &attributes,
				 sizeof(attributes)));
}

static int way_fspick(struct place *place)
{
	int context = syscall(SYS_fspick, AT_FDCWD, path_of(place, "d"), 0);

	if (context < 0)
		return -errno;
	return result_of(syscall(SYS_fsconfig, context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
}

/* Of the whole container: everything in it is then below /old, or nowhere. */
static int way_pivot_root(struct place *place)
{
	if (place->is_twin && !enter_mount_space())
		return -errno;
	mkdir("/mnt", 0755);
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0 || mkdir("/mnt/old", 0755) < 0 ||
	    chdir("/mnt") < 0)
		return stopped_at(place, "tmpfs", -errno);
	return result_of(syscall(SYS_pivot_root, ".", "old"));
}

#define DIRECTORY "d|d/F"

static const struct way table[] = {
	{ MOUNT, "bind over it", "F", way_bind_over, MAIN | SLICE },
	{ MOUNT, "bind over the directory above", "d/F", way_bind_over_directory, SLICE, 0, 0,
	  DIRECTORY },
	{ MOUNT, "bind over a directory further up", "d/F", way_bind_over_cell, 0, 0, 0, ".|d/F" },
	{ MOUNT, "tmpfs over the directory above", "d/F", way_tmpfs_over_directory, 0, 0, 0,
	  DIRECTORY },
	{ MOUNT, "overlay over the directory above", "d/F", way_overlay_over_directory, 0, 0, 0,
	  DIRECTORY },
	{ MOUNT, "MS_MOVE over it", "F", way_move_over },
	{ MOUNT, "open_tree and move_mount over it", "F", way_move_mount_over, SLICE },
	{ MOUNT, "fsmount and move_mount over the directory above", "d/F",
	  way_fsmount_over_directory, 0, 0, 0, DIRECTORY },
	{ MOUNT, "umount", "d/F", way_umount, OWN_MOUNT, 0, 0, DIRECTORY },
	{ MOUNT, "umount2 MNT_DETACH", "d/F", way_umount, OWN_MOUNT | SLICE, MNT_DETACH, 0,
	  DIRECTORY },
	{ MOUNT, "MS_MOVE away", "d/F", way_move_away, OWN_MOUNT, 0, 0, DIRECTORY },
	{ MOUNT, "move_mount away", "d/F", way_move_mount_away, OWN_MOUNT, 0, 0, DIRECTORY },
	{ MOUNT, "MS_REMOUNT | MS_BIND", "d/F", way_remount, OWN_MOUNT,
	  MS_REMOUNT | MS_BIND | MS_RDONLY, 0, DIRECTORY },
	{ MOUNT, "MS_REMOUNT", "d/F", way_remount, OWN_MOUNT, MS_REMOUNT, 0, DIRECTORY },
	{ MOUNT, "MS_REMOUNT | MS_BIND, of the mount's own root", "d", way_remount, OWN_MOUNT,
	  MS_REMOUNT | MS_BIND | MS_RDONLY },
	{ MOUNT, "fspick and FSCONFIG_CMD_RECONFIGURE", "d/F", way_fspick, OWN_MOUNT, 0, 0,
	  DIRECTORY },
	{ MOUNT, "mount_setattr", "d/F", way_mount_setattr, OWN_MOUNT, 0, 0, DIRECTORY },
	{ MOUNT, "pivot_root", "F", way_pivot_root, ROOTS, 0, PLAIN, "F|/" },
};
const struct way_table mount_ways = { table, LENGTH(table) };
