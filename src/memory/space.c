// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory/space.h"

#include <errno.h>
#include <string.h>

#define PTE_PRESENT 0x1ULL
#define PTE_WRITE 0x2ULL
#define PTE_HUGE 0x80ULL
#define PTE_ADDRESS 0x000ffffffffff000ULL

int space_walk(const struct space *space, uint64_t va, struct space_walk *ret)
{
	int levels = space->five_level ? 5 : 4;
	int width = 12 + 9 * levels;
	int64_t sign = (int64_t)va >> (width - 1);
	uint64_t table = space->root & PTE_ADDRESS;

	if (sign != 0 && sign != -1)
		return -EFAULT;

	ret->n = 0;
	for (int level = levels; level > 0; level--) {
		int shift = 12 + 9 * (level - 1);
		uint64_t size = 1ULL << shift, gpa = table + 8 * ((va >> shift) & 511), entry;
		bool leaf;

		if (ram_read(space->ram, gpa, &entry, 8) < 0)
			return -EFAULT;
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		ret->entry[ret->n].gpa = gpa;
		ret->entry[ret->n++].value = entry;
		/* Only the 4 KiB, 2 MiB and 1 GiB levels can be leaves. */
		leaf = level == 1 || (level <= 3 && (entry & PTE_HUGE));
		if (leaf) {
			ret->pa = (entry & PTE_ADDRESS & ~(size - 1)) | (va & (size - 1));
			ret->contiguous = size - (va & (size - 1));
			return 0;
		}
		table = entry & PTE_ADDRESS;
	}
	return -EFAULT;
}

bool space_is_writable(const struct space_walk *walk)
{
	bool writable = true;

	for (unsigned int i = 0; i < walk->n; i++)
		writable = writable && walk->entry[i].value & PTE_WRITE;
	return writable;
}

int space_translate(const struct space *space, uint64_t va, uint64_t *ret_pa,
		    uint64_t *ret_contiguous)
{
	struct space_walk walk;

	if (space_walk(space, va, &walk) < 0)
		return -EFAULT;
	*ret_pa = walk.pa;
	if (ret_contiguous)
		*ret_contiguous = walk.contiguous;
	return 0;
}

int space_read(const struct space *space, uint64_t va, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (len > 0 && va + (len - 1) < va)
		return -EFAULT;
	while (len > 0) {
		uint64_t pa, contiguous;
		size_t n;

		if (space_translate(space, va, &pa, &contiguous) < 0)
			return -EFAULT;
		n = contiguous < len ? contiguous : len;
		if (ram_read(space->ram, pa, to, n) < 0)
			return -EFAULT;
		va += n;
		to += n;
		len -= n;
	}
	return 0;
}

int space_read_u64(const struct space *space, uint64_t va, uint64_t *ret_value)
{
	return space_read(space, va, ret_value, sizeof(*ret_value));
}

int space_read_u32(const struct space *space, uint64_t va, uint32_t *ret_value)
{
	return space_read(space, va, ret_value, sizeof(*ret_value));
}

int space_read_string(const struct space *space, uint64_t va, char *buf, size_t size)
{
	size_t n = 0;

	while (n + 1 < size) {
		/* up to the end of the page, so that a string before an unmapped page can be read */
		size_t chunk = 4096 - (va + n) % 4096;
		const char *end;

		if (chunk > size - 1 - n)
			chunk = size - 1 - n;
		if (space_read(space, va + n, buf + n, chunk) < 0)
			return -EFAULT;
		end = memchr(buf + n, '\0', chunk);
		if (end)
			return (int)(end - buf);
		n += chunk;
	}
	buf[n] = '\0';
	return (int)n;
}

int space_write_u64(const struct space *space, uint64_t va, uint64_t value)
{
	uint64_t pa;

	if (space_translate(space, va, &pa, NULL) < 0)
		return -EFAULT;
	return ram_write_u64(space->ram, pa, value);
}
