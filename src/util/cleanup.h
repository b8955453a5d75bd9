/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ownership by scope: `_cleanup_(fn)` calls fn(&variable) when the variable goes out of scope, and
 * TAKE_PTR()/TAKE_FD() hand the thing on instead.
 */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define TAKE_PTR(p)                   \
	({                            \
		typeof(p) _taken = p; \
		(p) = NULL;           \
		_taken;               \
	})

#define TAKE_FD(fd)              \
	({                       \
		int _taken = fd; \
		(fd) = -1;       \
		_taken;          \
	})

/* Defines fn##p(T *p) for use with _cleanup_(), from a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)          \
	static inline void fn##p(type *p) \
	{                                 \
		if (*p)                   \
			fn(*p);           \
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
