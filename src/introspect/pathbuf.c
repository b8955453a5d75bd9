// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/pathbuf.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct pathbuf pathbuf_init(char *buf, size_t size)
{
	struct pathbuf path = { .buf = buf, .size = size, .start = size };

	if (size)
		buf[--path.start] = '\0';
	return path;
}

static int prepend(struct pathbuf *path, const char *name, size_t n)
{
	if (path->start < n + 1)
		return -ENAMETOOLONG;
	path->start -= n + 1;
	path->buf[path->start] = '/';
	memcpy(path->buf + path->start + 1, name, n);
	return 0;
}

int pathbuf_prepend(struct pathbuf *path, const struct reader *reader, uint64_t name)
{
	char text[NAME_MAX + 2];
	int n;

	if (reader->error)
		return reader->error;
	n = space_read_string(reader->kernel->space, name, text, sizeof(text));
	if (n <= 0)
		return -EFAULT;
	return n > NAME_MAX ? -ENAMETOOLONG : prepend(path, text, n);
}

int pathbuf_finish(struct pathbuf *path)
{
	size_t n;

	if (path->start + 1 >= path->size && prepend(path, "", 0) < 0)
		return -ENAMETOOLONG;
	n = path->size - path->start;
	memmove(path->buf, path->buf + path->start, n);
	return (int)n - 1;
}
