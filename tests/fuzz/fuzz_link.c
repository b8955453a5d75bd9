// SPDX-License-Identifier: GPL-2.0-or-later
/* The guard object, damaged: the input is steps of three bytes (where, two, from either end; and what). */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arm/guard_object.h"
#include "arm/link.h"

#define ADDRESS 0xffffffffbfc00000ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int resolve(void *data, const char *name, uint64_t *ret_value)
{
	(void)data;
	*ret_value = ADDRESS + strlen(name);
	return strncmp(name, "__", 2) ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *object = malloc(guard_object_size);
	struct link_image *image = NULL;

	if (!object)
		return 0;
	memcpy(object, guard_object, guard_object_size);
	for (size_t i = 0; i + 3 <= size; i += 3) {
		size_t at = (data[i] | (size_t)(data[i + 1] & 0x7f) << 8) % guard_object_size;

		object[data[i + 1] & 0x80 ? guard_object_size - 1 - at : at] = data[i + 2];
	}
	if (link_object(&image, object, guard_object_size, ADDRESS, resolve, NULL, NULL) == 0) {
		assert(image->address == ADDRESS);
		for (size_t i = 0; i < image->n_symbols; i++)
			assert(memchr(image->symbols[i].name, 0, sizeof(image->symbols->name)));
		link_symbol(image, "guard_file_open");
	} else {
		assert(!image);
	}
	link_image_free(image);
	free(object);
	return 0;
}
