/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_READER_H
#define INTROSPECT_READER_H

#include <stddef.h>
#include <stdint.h>

#include "introspect/kernel.h"
#include "introspect/layout.h"

struct kernel {
	const struct profile *profile;
	const struct space *space;
	struct layout layout;
};

/*
 * Reads one member after the other. After the first that cannot be read @error is -EFAULT and
 * stays, and all that is read is 0, so that it is enough to ask once, at the end, or before what
 * was read steers a loop.
 */
struct reader {
	const struct kernel *kernel;
	int error;
};

/* The integer or pointer in @field of the structure at @object, read once. */
uint64_t reader_get(struct reader *reader, uint64_t object, enum field field);

/* The same for a member that is not in the table, of at most 8 bytes (-EFAULT). */
uint64_t reader_get_at(struct reader *reader, uint64_t object, const struct profile_field *at);

/*
 * The same, but 0 without an error for an @object that is NULL: what an exiting task has given up.
 */
uint64_t reader_get_if(struct reader *reader, uint64_t object, enum field field);

/* A string of at most @size - 1 bytes embedded at @field. */
void reader_text(struct reader *reader, uint64_t object, enum field field, char *buf, size_t size);

/* Address of @field in the structure at @object, and back. */
static inline uint64_t reader_place(const struct reader *reader, uint64_t object, enum field field)
{
	return object + reader->kernel->layout.fields[field].offset;
}

static inline uint64_t reader_container(const struct reader *reader, uint64_t place,
					enum field field)
{
	return place - reader->kernel->layout.fields[field].offset;
}

#endif
