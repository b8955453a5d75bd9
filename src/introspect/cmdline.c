// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/cmdline.h"

#include <errno.h>
#include <string.h>

int cmdline_read(const struct caches *caches, uint64_t task, char *buf, size_t size)
{
	struct reader reader = { .kernel = caches->kernel };
	struct space user = *caches->kernel->space;
	uint64_t mm = caches_get(caches, &reader, task, CACHES_TASK_MM);
	uint64_t start, end, pgd;
	size_t n;

	if (reader.error)
		return reader.error;
	if (!mm)
		return -ESRCH;
	start = caches_get(caches, &reader, mm, CACHES_MM_ARG_START);
	end = caches_get(caches, &reader, mm, CACHES_MM_ARG_END);
	pgd = caches_get(caches, &reader, mm, CACHES_MM_PGD);
	if (reader.error || end < start || (int64_t)end < 0 ||
	    space_translate(caches->kernel->space, pgd, &user.root, NULL) < 0)
		return -EFAULT;
	n = end - start < size - 1 ? end - start : size - 1;
	if (space_read(&user, start, buf, n) < 0)
		return -EFAULT;
	buf[n] = '\0';
	return (int)n;
}

const char *cmdline_option(const char *args, size_t n, const char *option)
{
	for (size_t at = 0; at < n;) {
		const char *arg = args + at;

		at += strnlen(arg, n - at) + 1;
		if (at < n && strcmp(arg, option) == 0)
			return args + at;
	}
	return NULL;
}
