// SPDX-License-Identifier: GPL-2.0-or-later
/* What cannot be tried, and why. An excuse counts only where the unwatched twin fails just so. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "matrix.h"

#define EXT4 (VOLUME | PLAIN | UPPER_DIRECT | LOWER_DIRECT)

#define FOREIGN "the kernel clones no mounts of another name space"

static const struct excuse {
	const char *way, *route; /* what their names start with; NULL: any */
	unsigned int operations; /* 0: any */
	unsigned int views;
	int error;
	const char *reason;
} excuses[] = {
	{ "open_by_handle_at", NULL, 0, OVERLAYS, EOPNOTSUPP,
	  "an overlay without nfs_export has no file handles" },
	{ "FI", NULL, WRITE, ANY_VIEW, EOPNOTSUPP,
	  "neither ext4 nor tmpfs nor an overlay of them has reflinks" },
	{ "fallocate", NULL, WRITE, TMPFS, EOPNOTSUPP, "tmpfs can only allocate and punch holes" },
	{ "RENAME_WHITEOUT", NULL, RENAME, OVERLAYS, EINVAL, "an overlay has no RENAME_WHITEOUT" },
	{ "of a directory", NULL, RENAME, OVERLAYS, EXDEV,
	  "an overlay does not rename a lower layer's directories" },
	{ "of the directory", NULL, RENAME, OVERLAYS, EXDEV,
	  "an overlay does not rename a lower layer's directories" },
	{ "out of a pattern", NULL, RENAME, OVERLAYS, EXDEV,
	  "an overlay does not rename a lower layer's directories" },
	{ "O_TMPFILE", NULL, 0, OVERLAYS, EOPNOTSUPP, "an overlay has no O_TMPFILE before 6.10" },
	{ "to the name, O_TMPFILE", NULL, LINK, OVERLAYS, EOPNOTSUPP,
	  "an overlay has no O_TMPFILE before 6.10" },
	{ "FIDEDUPE", NULL, WRITE, OVERLAYS, EINVAL,
	  "neither ext4 nor tmpfs nor an overlay of them has reflinks" },
	{ NULL, NULL, ATTR_FLAGS, TMPFS, ENOTTY, "tmpfs has no flags before 6.6" },
	{ "FS_IOC_SETVERSION", NULL, ATTR_FLAGS, OVERLAYS, ENOTTY,
	  "an overlay does not pass it on" },
	{ "FS_IOC_SETVERSION", NULL, ATTR_FLAGS, EXT4, ENOTTY,
	  "ext4 with metadata_csum, as Debian makes it, has none" },
	{ "fchmodat2", NULL, CHMOD, ANY_VIEW, ENOSYS, "the kernel has it since 6.6" },
	{ "io_uring FTRUNCATE", NULL, TRUNCATE, ANY_VIEW, EINVAL, "the kernel has it since 6.9" },
	{ "ptrace, mapped for reading", NULL, MMAP_WRITE, ANY_VIEW, EIO,
	  "the kernel refuses it itself" },
	{ NULL, "by a second mount", 0, OVERLAYS | TMPFS, ENODEV, "no block device is behind it" },
	{ NULL, "in a new user", XATTR, TMPFS, EPERM,
	  "tmpfs has only trusted.* here, which is not for user name spaces" },
	{ NULL, "by a bind", 0, PROC_ROOT, EINVAL, FOREIGN },
	{ NULL, "by a detached", 0, PROC_ROOT, EINVAL, FOREIGN },
	{ NULL, "by an overlay", 0, PROC_ROOT, EINVAL, FOREIGN },
	{ NULL, "after pivot_root", 0, PROC_ROOT, EINVAL, FOREIGN },
	{ NULL, "in a new user", 0, PROC_ROOT, EACCES,
	  "a user name space has no right to another process's root" },
	{ NULL, "by proc self root", MOUNT, ANY_VIEW, EINVAL, "the kernel refuses it itself" },
};

#define BEFORE \
	"what was open before the rule goes on working; it is reported when the rule is loaded"
#define MAPPED \
	"what was mapped before the rule goes on working; it is reported when the rule is loaded"
#define NO_HOOK \
	"mount_setattr(2) has no security hook; it changes a mount's flags, and hides nothing"

#define LAYER_READ                                                                                \
	"reading a layer's file is judged by its name there: by its identity it is also another " \
	"container's own"

#define OPTIONS \
	"it changes the options of a whole file system, at whatever mounts, and hides nothing"

/* Ways that stay open: the attempt does as its twin, and leaves no event but those at loading. */
static const struct gap {
	const char *way, *route; /* what their names start with; NULL: any */
	unsigned int operations, views;
	const char *reason;
} gaps[] = {
	{ "open from before", NULL, WRITE, ANY_VIEW, BEFORE },
	{ "mapped from before", NULL, MMAP_WRITE, ANY_VIEW, MAPPED },
	{ "process_vm_writev, mapped from before", NULL, MMAP_WRITE, ANY_VIEW, MAPPED },
	{ "ptrace, mapped from before", NULL, MMAP_WRITE, ANY_VIEW, MAPPED },
	{ "mount_setattr", NULL, MOUNT, ANY_VIEW, NO_HOOK },
	{ "fspick", NULL, MOUNT, ANY_VIEW, OPTIONS },
	{ NULL, "by an overlay on top", READ | EXEC, UPPER_DIRECT | LOWER_DIRECT, LAYER_READ },
	{ NULL, "by a hard link", READ | EXEC, UPPER_DIRECT | LOWER_DIRECT, LAYER_READ },
};

static bool starts(const char *name, const char *start)
{
	return !start || strncmp(name, start, strlen(start)) == 0;
}

const char *excuse(const struct way *way, const struct route *route, enum view view, int error)
{
	for (unsigned int i = 0; i < LENGTH(excuses); i++) {
		const struct excuse *e = &excuses[i];

		if (e->error == error && (e->views & view) && starts(way->name, e->way) &&
		    starts(route->name, e->route) &&
		    (!e->operations || (e->operations & way->operation)))
			return e->reason;
	}
	return NULL;
}

const char *gap(const struct way *way, const struct route *route, enum view view)
{
	for (unsigned int i = 0; i < LENGTH(gaps); i++) {
		const struct gap *g = &gaps[i];

		if ((g->operations & way->operation) && (g->views & view) &&
		    starts(way->name, g->way) && starts(route->name, g->route))
			return g->reason;
	}
	return NULL;
}

const char *out_of_scope(enum operation operation, enum view view)
{
	if (operation == COPY_UP && !(view & (LOWER | MERGED)))
		return "there is nothing below to copy up from";
	if (operation == MOUNT && (view & OUTSIDE & ~PROC_ROOT))
		return "mounts are judged in the container's own mount name space";
	return NULL;
}
