// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory/ram.h"

#include <errno.h>
#include <string.h>

const struct ram_range *ram_find(const struct ram *ram, uint64_t gpa, size_t len)
{
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct ram_range *range = &ram->ranges[i];

		if (gpa < range->gpa || gpa - range->gpa >= range->size)
			continue;
		return len > range->size - (gpa - range->gpa) ? NULL : range;
	}
	return NULL;
}

int ram_read(const struct ram *ram, uint64_t gpa, void *buf, size_t len)
{
	const struct ram_range *range = ram_find(ram, gpa, len);
	const struct ram_process *process = &ram->process;

	if (!range)
		return -EFAULT;
	if (!range->host)
		return process->read(process->data, range->remote + (gpa - range->gpa), buf, len);
	memcpy(buf, range->host + (gpa - range->gpa), len);
	return 0;
}

int ram_write_u64(const struct ram *ram, uint64_t gpa, uint64_t value)
{
	const struct ram_range *range = ram_find(ram, gpa, sizeof(value));
	const struct ram_process *process = &ram->process;

	if (!range)
		return -EFAULT;
	if (gpa % sizeof(value))
		return -EINVAL;
	if (!range->host)
		return process->write_u64(process->data, range->remote + (gpa - range->gpa), value);
	__atomic_store_n((uint64_t *)(void *)(range->host + (gpa - range->gpa)), value,
			 __ATOMIC_SEQ_CST);
	return 0;
}

uint64_t ram_size(const struct ram *ram)
{
	uint64_t size = 0;

	for (size_t i = 0; i < ram->n_ranges; i++)
		size += ram->ranges[i].size;
	return size;
}
