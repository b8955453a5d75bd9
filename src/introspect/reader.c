// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/reader.h"

#include <errno.h>
#include <string.h>

uint64_t reader_get_at(struct reader *reader, uint64_t object, const struct profile_field *at)
{
	uint64_t value = 0; /* little endian: a narrow member fills the low bytes */

	if (at->size > sizeof(value))
		reader->error = -EFAULT;
	if (!reader->error)
		reader->error =
			space_read(reader->kernel->space, object + at->offset, &value, at->size);
	return reader->error ? 0 : value;
}

uint64_t reader_get(struct reader *reader, uint64_t object, enum field field)
{
	return reader_get_at(reader, object, &reader->kernel->layout.fields[field]);
}

uint64_t reader_get_if(struct reader *reader, uint64_t object, enum field field)
{
	return object ? reader_get(reader, object, field) : 0;
}

void reader_text(struct reader *reader, uint64_t object, enum field field, char *buf, size_t size)
{
	buf[0] = '\0';
	if (!reader->error)
		reader->error = space_read(reader->kernel->space,
					   reader_place(reader, object, field), buf, size);
	if (reader->error)
		memset(buf, 0, size);
	buf[size - 1] = '\0';
}
