// SPDX-License-Identifier: GPL-2.0-or-later
/* What a directory holds, in every respect that an operation could change. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "matrix.h"

static uint64_t hash(uint64_t hash, const void *bytes, ssize_t n)
{
	for (const unsigned char *at = bytes; n > 0; n--)
		hash = (hash ^ *at++) * 0x100000001b3;
	return hash;
}

static void add_content(struct entry *entry, const char *path)
{
	static char bytes[4 * FILE_SIZE];
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		entry->content = hash(entry->content, bytes, n);
	ioctl(fd, FS_IOC_GETFLAGS, &entry->flags);
	close(fd);
}

static void add_xattrs(struct entry *entry, const char *path)
{
	char names[1024], value[1024];
	ssize_t n = llistxattr(path, names, sizeof(names));

	for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		/* Added, for the sum is to be the same in any order; overlayfs' own are its own. */
		if (!strstr(name, "overlay."))
			entry->xattrs += hash(hash(1, name, strlen(name)), value,
					      lgetxattr(path, name, value, sizeof(value)));
	}
}

static void add_entry(struct entry *entry, const char *path, const struct stat *st, bool contents)
{
	entry->device = st->st_dev;
	entry->inode = st->st_ino;
	entry->device_node = st->st_rdev;
	entry->size = S_ISREG(st->st_mode) ? st->st_size : 0;
	entry->mode = st->st_mode;
	entry->uid = st->st_uid;
	entry->gid = st->st_gid;
	entry->n_links = S_ISREG(st->st_mode) ? st->st_nlink : 0;
	if (!S_ISDIR(st->st_mode)) {
		entry->mtime_s = st->st_mtim.tv_sec;
		entry->mtime_ns = st->st_mtim.tv_nsec;
	}
	add_xattrs(entry, path);
	if (contents && S_ISREG(st->st_mode))
		add_content(entry, path);
}

/* @root is a path that can be used from here; @below what is in it, "" at first. */
static void add_directory(struct snapshot *snapshot, const char *root, const char *name,
			  bool contents)
{
	char path[600];
	struct dirent *found;
	struct stat st;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	directory = opendir(path);
	while (directory && (found = readdir(directory)) && snapshot->n < 16) {
		struct entry *entry = &snapshot->entry[snapshot->n];
		const char *slash = name[0] ? "/" : "";

		if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
			continue;
		if (snprintf(entry->name, sizeof(entry->name), "%s%s%s", name, slash,
			     found->d_name) >= (int)sizeof(entry->name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, entry->name);
		if (lstat(path, &st) < 0)
			continue;
		snapshot->n++;
		add_entry(entry, path, &st, contents);
		if (S_ISDIR(st.st_mode))
			add_directory(snapshot, root, entry->name, contents);
	}
	if (directory)
		closedir(directory);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

void snapshot_take(struct snapshot *snapshot, int at, const char *directory, bool contents)
{
	int fd = openat(at, directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	memset(snapshot, 0, sizeof(*snapshot));
	if (fd < 0)
		return;
	/* Not by /proc/self/fd, which a changed root does not have. */
	if (fchdir(fd) == 0) {
		add_directory(snapshot, ".", "", contents);
		if (chdir("/") < 0) /* a mount that somebody is in cannot go */
			_exit(2);
	}
	close(fd);
	qsort(snapshot->entry, snapshot->n, sizeof(snapshot->entry[0]), by_name);
}

void snapshot_compare(const struct snapshot *a, const struct snapshot *b, char ret_letters[16])
{
	char *to = ret_letters;
	bool same_names = a->n == b->n;
	unsigned int differs = 0;

	for (unsigned int i = 0; same_names && i < a->n; i++)
		same_names = strcmp(a->entry[i].name, b->entry[i].name) == 0;
	for (unsigned int i = 0, j = 0; i < a->n && j < b->n;) {
		const struct entry *x = &a->entry[i], *y = &b->entry[j];
		int order = strcmp(x->name, y->name);

		i += order <= 0;
		j += order >= 0;
		if (order)
			continue;
		differs |= (x->device != y->device || x->inode != y->inode) << 1;
		differs |= (x->n_links != y->n_links) << 2;
		differs |= (x->size != y->size) << 3;
		differs |= (x->mode != y->mode || x->device_node != y->device_node) << 4;
		differs |= (x->uid != y->uid || x->gid != y->gid) << 5;
		differs |= (x->mtime_s != y->mtime_s || x->mtime_ns != y->mtime_ns) << 6;
		differs |= (x->xattrs != y->xattrs) << 7;
		differs |= (x->flags != y->flags) << 8;
		differs |= (x->content != y->content) << 9;
	}
	differs |= !same_names;
	for (unsigned int i = 0; i < 10; i++) {
		if (differs & 1u << i)
			*to++ = "nilsmotxfc"[i];
	}
	if (to == ret_letters)
		*to++ = '-';
	*to = '\0';
}
