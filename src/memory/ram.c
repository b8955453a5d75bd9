// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory/ram.h"

#include <errno.h>
#include <string.h>

void *ram_at(const struct ram *ram, uint64_t gpa, size_t len)
{
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct ram_range *range = &ram->ranges[i];

		if (gpa < range->gpa || gpa - range->gpa >= range->size)
			continue;
		if (len > range->size - (gpa - range->gpa))
			return NULL;
		return range->host + (gpa - range->gpa);
	}
	return NULL;
}

int ram_read(const struct ram *ram, uint64_t gpa, void *buf, size_t len)
{
	const void *from = ram_at(ram, gpa, len);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

int ram_write_u64(const struct ram *ram, uint64_t gpa, uint64_t value)
{
	uint64_t *to = ram_at(ram, gpa, sizeof(value));

	if (!to)
		return -EFAULT;
	if (gpa % sizeof(value))
		return -EINVAL;
	__atomic_store_n(to, value, __ATOMIC_SEQ_CST);
	return 0;
}

uint64_t ram_size(const struct ram *ram)
{
	uint64_t size = 0;

	for (size_t i = 0; i < ram->n_ranges; i++)
		size += ram->ranges[i].size;
	return size;
}
