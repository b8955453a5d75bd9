// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ops.h"

static void op_mkdir(struct worker *w)
{
	static const mode_t modes[] = { 0755, 0755, 0755, 0777, 01777, 02755, 0700 };
	const char *name = dir_name(w);
	mode_t mode = pick_one(w, modes);

	tell(w, "mkdir", mkdirat(w->area->dir, name, mode), "%s, %#o", name, mode);
}

static void op_rmdir(struct worker *w)
{
	const char *name = chance(w, 10) ? any_name(w) : dir_name(w);

	tell(w, "rmdir", rmdir(name), "%s", name);
}

static void op_unlink(struct worker *w)
{
	const char *name = any_name(w);

	tell(w, "unlink", unlink(name), "%s", name);
}

static void op_rename(struct worker *w)
{
	const char *from = any_name(w), *to = any_name(w);

	tell(w, "rename", rename(from, to), "%s, %s", from, to);
}

static void op_rename_dir(struct worker *w)
{
	const char *from = dir_name(w), *to = dir_name(w);

	tell(w, "rename", rename(from, to), "%s, %s", from, to);
}

static void op_renameat2(struct worker *w)
{
	static const unsigned int how[] = { RENAME_NOREPLACE,
					    RENAME_EXCHANGE,
					    RENAME_EXCHANGE,
					    RENAME_WHITEOUT,
					    RENAME_NOREPLACE | RENAME_EXCHANGE,
					    0x80 };
	const char *from = any_name(w), *to = any_name(w);
	unsigned int flags = pick_one(w, how);

	tell(w, "renameat2", renameat2(w->area->dir, from, AT_FDCWD, to, flags), "%s, %s, %u", from,
	     to, flags);
}

static void op_link(struct worker *w)
{
	const char *from = any_name(w), *to = any_name(w);
	int flags = chance(w, 30) ? AT_SYMLINK_FOLLOW : 0;

	tell(w, "linkat", linkat(AT_FDCWD, from, w->area->dir, to, flags), "%s, %s, %#x", from, to,
	     flags);
}

static void op_symlink(struct worker *w)
{
	/* Nothing leads up: no worker may reach another's files. */
	const char *target = chance(w, 10) ? "/nonexistent/target" : own_name(w, 'f', 6);
	const char *name;
	char loop[32];

	if (chance(w, 25))
		target = own_name(w, 'd', 3);
	if (chance(w, 20)) {
		snprintf(loop, sizeof(loop), "%ss%u", w->area->prefix, pick(w, 4));
		target = loop;
	}
	name = chance(w, 80) ? own_name(w, 's', 4) : any_name(w);
	tell(w, "symlink", symlinkat(target, w->area->dir, name), "%s, %s", target, name);
}

static void op_readlink(struct worker *w)
{
	const char *name = chance(w, 70) ? own_name(w, 's', 4) : any_name(w);
	char target[256];
	ssize_t n = readlink(name, target, sizeof(target));

	tell(w, "readlink", n, "%s, %.*s", name, n > 0 ? (int)n : 0, target);
}

static void op_mknod(struct worker *w)
{
	const char *name;

	switch (pick(w, 6)) {
	case 0:
	case 1:
		name = chance(w, 70) ? own_name(w, 'q', 2) : any_name(w);
		tell(w, "mkfifo", mkfifo(name, 0644), "%s", name);
		break;
	case 2:
		name = chance(w, 70) ? own_name(w, 'c', 2) : any_name(w);
		tell(w, "mknod", mknod(name, S_IFCHR | 0666, makedev(1, 3)), "%s, c 1:3", name);
		break;
	case 3:
		name = any_name(w);
		tell(w, "mknod", mknod(name, S_IFSOCK | 0600, 0), "%s, socket", name);
		break;
	case 4:
		name = any_name(w);
		tell(w, "mknod", mknod(name, S_IFREG | 0640, 0), "%s, file", name);
		break;
	default:
		name = any_name(w);
		tell(w, "mknod", mknod(name, S_IFDIR | 0755, 0), "%s, directory", name);
		break;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names come in an order of the file system's own; in a shared directory only the worker's own count. */
static void op_list(struct worker *w)
{
	const char *name = chance(w, 30) ? "." : dir_name(w);
	int fd = open(name, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0, length = strcmp(name, ".") ? 0 : strlen(w->area->prefix);
	struct dirent *entry;
	char *names[256];
	uint64_t sum = HASH_START;

	tell(w, "opendir", dir ? 0 : -1, "%s", name);
	if (!dir)
		return;
	while ((entry = readdir(dir)) && n < 256)
		if (strncmp(entry->d_name, w->area->prefix, length) == 0)
			names[n++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, n, sizeof(names[0]), by_name);
	for (size_t i = 0; i < n; i++) {
		sum = hash(sum, names[i], strlen(names[i]) + 1);
		free(names[i]);
	}
	tell(w, "readdir", n, "%s, %016llx", name, (unsigned long long)sum);
}

const struct op ops_names[] = {
	{ op_mkdir, 9, false },	  { op_rmdir, 4, false },      { op_unlink, 10, false },
	{ op_rename, 10, false }, { op_rename_dir, 5, false }, { op_renameat2, 8, false },
	{ op_link, 7, false },	  { op_symlink, 7, false },    { op_readlink, 3, false },
	{ op_mknod, 6, false },	  { op_list, 4, false },       { 0 },
};
