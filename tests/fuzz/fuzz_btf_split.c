// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "profile/types.h"

#define PATH_SIZE 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The input is the path of a member, padded with NULs to 32 bytes; the size of the kernel's BTF, two
 * bytes; that BTF; and a module's, the rest.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *btf = data + PATH_SIZE + 2;
	char path[PATH_SIZE + 1] = "";
	struct types *base = NULL, *types = NULL;
	uint32_t offset, n;
	size_t base_size;

	if (size < PATH_SIZE + 2)
		return 0;
	memcpy(path, data, PATH_SIZE);
	base_size = data[PATH_SIZE] | (size_t)data[PATH_SIZE + 1] << 8;
	size -= PATH_SIZE + 2;
	if (base_size > size || types_new(&base, btf, base_size, NULL) < 0)
		return 0;
	if (types_new_split(&types, base, btf + base_size, size - base_size, NULL) == 0) {
		types_field(types, path, &offset, &n);
		path[strcspn(path, ".")] = '\0';
		types_struct_size(types, path);
	}
	types_free(types);
	types_free(base);
	return 0;
}
