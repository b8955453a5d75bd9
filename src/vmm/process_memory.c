// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/process_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "util/opener.h"

int process_memory_open(int pid, struct error *err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = opener_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0 && (errno == EPERM || errno == EACCES))
		return error_set(err, -errno, "%s: %m; run as root (CAP_SYS_PTRACE)", path);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", path);
	return fd;
}

/* A word, mostly; but a large piece comes in parts. */
int process_memory_read(int fd, uint64_t address, void *buf, size_t len)
{
	char *to = buf;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)address);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		to += n;
		address += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int process_memory_write(int fd, uint64_t address, const void *buf, size_t len)
{
	const char *from = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, from, len, (off_t)address);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EFAULT;
		from += n;
		address += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}
