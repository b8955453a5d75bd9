// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tree.h"
#include "worker.h"

#define UNTOUCHABLE (FS_APPEND_FL | FS_IMMUTABLE_FL)
#define TOLD_FLAGS (UNTOUCHABLE | FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL)

/* --- names in a directory ---------------------------------------------------------------------------------------------------- */

struct names {
	char **names;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct names names_in(int fd)
{
	DIR *dir = fdopendir(dup(fd));
	struct names names = { 0 };
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		names.names = realloc(names.names, (names.n + 1) * sizeof(*names.names));
		names.names[names.n++] = strdup(entry->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(names.names, names.n, sizeof(*names.names), by_name);
	return names;
}

static void forget_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
}

/* --- listing ----------------------------------------------------------------------------------------------------------------- */

static void list_content(FILE *to, int fd)
{
	uint64_t sum = HASH_START;
	ssize_t n;

	while ((n = read(fd, io_buffer(), 2 * BLOCK)) > 0)
		sum = hash(sum, io_buffer(), n);
	fprintf(to, " %s%016llx", n < 0 ? "unreadable " : "", (unsigned long long)sum);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_attributes(FILE *to, int fd)
{
	char path[64], all[4096], value[4096];
	const char *sorted[64];
	size_t n_sorted = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = listxattr(path, all, sizeof(all));
	for (char *name = all; n > 0 && name < all + n && n_sorted < 64; name += strlen(name) + 1)
		sorted[n_sorted++] = name;
	qsort(sorted, n_sorted, sizeof(sorted[0]), by_text);
	for (size_t i = 0; i < n_sorted; i++) {
		n = getxattr(path, sorted[i], value, sizeof(value));
		fprintf(to, " %s=%zd:%016llx", sorted[i], n,
			n > 0 ? (unsigned long long)hash(HASH_START, value, n) : 0);
	}
}

static void list_flags(FILE *to, int fd)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & TOLD_FLAGS)
		fprintf(to, " flags %#x", flags & TOLD_FLAGS);
}

static void list_below(FILE *to, int fd, const char *path)
{
	struct names names = names_in(fd);

	for (size_t i = 0; i < names.n; i++) {
		char *below;

		if (asprintf(&below, "%s/%s", path, names.names[i]) < 0)
			abort();
		tree_list(to, fd, names.names[i], below);
		free(below);
	}
	forget_names(&names);
}

static void list_link(FILE *to, int dir, const char *name)
{
	char target[4096];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	fprintf(to, " -> %.*s\n", n > 0 ? (int)n : 0, target);
}

static void list_opened(FILE *to, int dir, const char *name, const char *path, mode_t mode)
{
	int flags = S_ISREG(mode) || S_ISDIR(mode) ? O_RDONLY : O_PATH;
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0) {
		fprintf(to, " not to be opened\n");
		return;
	}
	if (S_ISREG(mode))
		list_content(to, fd);
	list_attributes(to, fd);
	if (S_ISREG(mode) || S_ISDIR(mode))
		list_flags(to, fd);
	fprintf(to, "\n");
	if (S_ISDIR(mode))
		list_below(to, fd, path);
	close(fd);
}

void tree_list(FILE *to, int dir, const char *name, const char *path)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fprintf(to, "%s gone\n", path);
		return;
	}
	fprintf(to, "%s %#o %u:%u", path, st.st_mode, st.st_uid, st.st_gid);
	/* How large a directory is depends on how it grew. */
	if (!S_ISDIR(st.st_mode))
		fprintf(to, " %lld", (long long)st.st_size);
	fprintf(to, " %u links", (unsigned int)st.st_nlink);
	if (S_ISCHR(st.st_mode))
		fprintf(to, " %u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (S_ISLNK(st.st_mode))
		list_link(to, dir, name);
	else
		list_opened(to, dir, name, path, st.st_mode);
}

/* --- removing ---------------------------------------------------------------------------------------------------------------- */

static void make_touchable(int fd)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & UNTOUCHABLE) {
		flags &= ~UNTOUCHABLE;
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

int tree_remove(int dir, const char *name)
{
	struct stat st;
	bool is_dir = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
	int fd = -1, result = 0;

	if (S_ISREG(st.st_mode) || is_dir)
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0)
		make_touchable(fd);
	if (fd >= 0 && is_dir) {
		struct names names = names_in(fd);

		for (size_t i = 0; i < names.n; i++)
			result |= tree_remove(fd, names.names[i]);
		forget_names(&names);
	}
	if (fd >= 0)
		close(fd);
	return result | unlinkat(dir, name, is_dir ? AT_REMOVEDIR : 0);
}
