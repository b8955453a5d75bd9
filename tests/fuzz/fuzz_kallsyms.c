// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profile/kallsyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is a kernel image, as the guest could have written it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct image image = { .bytes = bytes, .size = size, .va = 0xffffffff81000000 };
	struct kallsyms *kallsyms = NULL;
	struct error err = {};

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	if (kallsyms_read(&kallsyms, &image, &err) == 0) {
		if (kallsyms_address(kallsyms, "linux_banner") == 0)
			abort();
		kallsyms_address(kallsyms, "_text");
		kallsyms_address(kallsyms, "no_such_symbol");
	}
	kallsyms_free(kallsyms);
	free(bytes);
	return 0;
}
