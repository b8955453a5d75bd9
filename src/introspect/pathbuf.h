/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_PATHBUF_H
#define INTROSPECT_PATHBUF_H

#include <stddef.h>
#include <stdint.h>

#include "introspect/reader.h"

/*
 * A path made from its last name to its first, as parents are met on the way up: from the buffer's
 * end.
 */
struct pathbuf {
	char *buf;
	size_t size;
	size_t start; /* of what is there already; size means: not even the NUL fits */
};

struct pathbuf pathbuf_init(char *buf, size_t size);

/*
 * Puts "/" and the guest's string at @name in front. Takes at least two bytes each time. Returns 0,
 * -ENAMETOOLONG (the name or the whole), -EFAULT (unreadable, empty, or the reader has failed
 * before).
 */
int pathbuf_prepend(struct pathbuf *path, const struct reader *reader, uint64_t name);

/*
 * Moves the path to the start of the buffer; no names at all are "/". Returns its length, or
 * -ENAMETOOLONG.
 */
int pathbuf_finish(struct pathbuf *path);

#endif
