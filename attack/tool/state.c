// SPDX-License-Identifier: GPL-2.0-or-later
/* What a file is, as plain system calls find it: not the attacker's, the judge's. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tool.h"

/* FNV-1a of what the disk has: pages that are clean are read again. */
static uint64_t content_of(int fd)
{
	uint64_t sum = 0xcbf29ce484222325;
	unsigned char piece[4096];
	ssize_t n;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ piece[i]) * 0x100000001b3;
	return n < 0 ? 0 : sum;
}

/* state FILE...: a line for each: identity, metadata, content. Access times are nobody's aim. */
static int state(int n, char **args)
{
	for (int i = 0; i < n; i++) {
		struct stat now;
		int fd;
		char names[256];

		if (lstat(args[i], &now) < 0) {
			printf("%s: %s\n", args[i], strerror(errno));
			continue;
		}
		/* Reading the secret is refused to the judge, too. A directory's time says nothing of the names that count. */
		if (S_ISDIR(now.st_mode))
			now.st_mtim = (struct timespec){ 0 };
		fd = S_ISREG(now.st_mode) && !strstr(args[i], "secret")
			     ? open(args[i], O_RDONLY | O_CLOEXEC)
			     : -1;
		printf("%s: %lx:%lu %o %u:%u %lu links %ld bytes %ld.%09ld %016llx %zd\n", args[i],
		       now.st_dev, now.st_ino, now.st_mode, now.st_uid, now.st_gid, now.st_nlink,
		       S_ISREG(now.st_mode) ? now.st_size : 0, now.st_mtim.tv_sec,
		       now.st_mtim.tv_nsec, (unsigned long long)(fd < 0 ? 0 : content_of(fd)),
		       llistxattr(args[i], names, sizeof(names)));
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

const struct verb state_verbs[] = {
	{ "state", 1, state },
	{ NULL, 0, NULL },
};
