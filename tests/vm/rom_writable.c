// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To be preloaded into QEMU: what it opens and maps read-only of a file called "vault" it gets writable. What the guest may do with it is
 * not affected: that is QEMU's to say. So a QEMU that has no rom=on for memory-backend-file (before 8.2), and would die of
 * writing into its own read-only mapping when it loads a saved state, does as a newer one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_vault(const char *path)
{
	size_t n = strlen(path);

	return n >= 6 && strcmp(path + n - 6, "/vault") == 0;
}

static int fd_is_vault(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return 0;
	path[n] = '\0';
	return is_vault(path);
}

/* As QEMU is built, with -D_FORTIFY_SOURCE and 64-bit offsets. */
int __open64_2(const char *path, int flags)
{
	int (*next)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "__open64_2");

	if ((flags & O_ACCMODE) == O_RDONLY && is_vault(path))
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return next(path, flags);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
	void *(*next)(void *, size_t, int, int, int, off64_t) =
		(void *(*)(void *, size_t, int, int, int, off64_t))dlsym(RTLD_NEXT, "mmap64");

	if (fd >= 0 && protection == PROT_READ && flags & MAP_SHARED && fd_is_vault(fd))
		protection |= PROT_WRITE;
	return next(at, size, protection, flags, fd, offset);
}
