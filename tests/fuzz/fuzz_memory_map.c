// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/memory_map.h"
#include "vmm/registers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both parsers of what QEMU's monitor prints. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	_cleanup_(freep) char *text = strndup((const char *)data, size);
	struct memory_region parts[4];
	struct cpu cpus[2];
	uint64_t address;

	assert(text);
	registers_parse(text, cpus, ARRAY_SIZE(cpus), NULL);
	memory_map_parse_address(&address, text, 1ull << 32, "outguard-vault-1");
	if (memory_map_parse(&map, text, NULL) < 0)
		return 0;
	assert(map.n_regions && map.n_regions <= MEMORY_MAP_MAX_REGIONS);
	for (size_t i = 0; i < map.n_regions; i++) {
		const struct memory_region *region = &map.regions[i];

		assert(region->size && strlen(region->name) < sizeof(region->name));
		memory_map_find(&map, region->name, region->size);
		if (i < 64)
			memory_map_ram(&map, region->name, parts, ARRAY_SIZE(parts));
	}
	return 0;
}
