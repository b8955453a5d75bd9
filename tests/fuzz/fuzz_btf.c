// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "profile/types.h"

#define PATH_SIZE 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is the path of a member, padded with NULs to 32 bytes, and BTF. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[PATH_SIZE + 1] = "";
	struct types *types = NULL;
	uint32_t offset, n;
	struct error err = {};

	if (size < PATH_SIZE)
		return 0;
	memcpy(path, data, PATH_SIZE);
	if (types_new(&types, data + PATH_SIZE, size - PATH_SIZE, &err) < 0)
		return 0;
	types_field(types, path, &offset, &n);
	path[strcspn(path, ".")] = '\0';
	types_struct_size(types, path);
	types_free(types);
	return 0;
}
