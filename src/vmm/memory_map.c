// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A flat view is printed as
 *
 *	FlatView #3
 *	 AS "memory", root: system
 *	 AS "cpu-memory-0", root: system
 *	 Root memory region: system
 *	  00000000fc000000-00000000fdffffff (prio 1, rom): outguard-vault
 *	  0000000100000000-00000001ffffffff (prio 0, ram): outguard-ram @0000000080000000 KVM
 *
 * with the offset where there is one, and KVM behind what KVM maps. Address spaces that look the same share
 * one view. A type may have "nv-" (non-volatile) before it.
 */
#include "vmm/memory_map.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static const struct {
	const char *name;
	enum memory_region_type type;
} types[] = {
	{ "ram", MEMORY_REGION_RAM },
	{ "rom", MEMORY_REGION_ROM },
	{ "romd", MEMORY_REGION_ROMD },
};

static enum memory_region_type parse_type(const char *type)
{
	if (strncmp(type, "nv-", 3) == 0)
		type += 3;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i].name) == 0)
			return types[i].type;
	return MEMORY_REGION_IO;
}

/* @text is "name", "name @offset", and either with " KVM" behind it. A name may have blanks. */
static void parse_name(const char *text, struct memory_region *region)
{
	static const char kvm[] = " KVM";
	const size_t n_kvm = sizeof(kvm) - 1, n_offset = strlen(" @0123456789abcdef");
	size_t n = strlen(text);
	char *behind;

	if (n > n_kvm && memcmp(text + n - n_kvm, kvm, n_kvm) == 0)
		n -= n_kvm;
	if (n > n_offset && memcmp(text + n - n_offset, " @", 2) == 0) {
		region->offset = strtoull(text + n - n_offset + 2, &behind, 16);
		if (behind == text + n)
			n -= n_offset;
		else
			region->offset = 0;
	}
	if (n < sizeof(region->name))
		memcpy(region->name, text, n);
}

static int parse_region(const char *line, struct memory_region *ret)
{
	struct memory_region region = { 0 };
	uint64_t last;
	char type[16];
	int n = 0;

	if (sscanf(line, " %16lx-%16lx (prio %9d, %15[a-z/-]): %n", &region.gpa, &last,
		   &region.priority, type, &n) != 4 ||
	    n == 0 || last < region.gpa || last - region.gpa == UINT64_MAX)
		return -EBADMSG;
	region.size = last - region.gpa + 1;
	region.type = parse_type(type);
	parse_name(line + n, &region);
	*ret = region;
	return 0;
}

static int add_region(struct memory_map *map, const struct memory_region *region)
{
	struct memory_region *regions = map->regions;
	size_t n = map->n_regions;

	if (n == MEMORY_MAP_MAX_REGIONS)
		return -E2BIG;
	if ((n & (n - 1)) == 0) { /* full, at a power of two */
		regions = reallocarray(regions, n ? 2 * n : 1, sizeof(*regions));
		if (!regions)
			return -ENOMEM;
		map->regions = regions;
	}
	regions[map->n_regions++] = *region;
	return 0;
}

static bool starts_with(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

/* The first line of regions in the view that the address space "memory" has. */
static const char *find_view(const char *text)
{
	const char *line = text;

	while (*line && !starts_with(line, " AS \"memory\","))
		line = next_line(line);
	while (*line && (starts_with(line, " AS ") || starts_with(line, " Root ")))
		line = next_line(line);
	return line;
}

static int parse_view(struct memory_map *map, const char *line, struct error *err)
{
	struct memory_region region;
	int r;

	for (; starts_with(line, "  "); line = next_line(line)) {
		size_t length = strcspn(line, "\r\n");
		char copy[256];

		if (starts_with(line, "  No rendered FlatView"))
			break;
		snprintf(copy, sizeof(copy), "%.*s", length < INT_MAX ? (int)length : INT_MAX,
			 line);
		r = parse_region(copy, &region);
		if (r < 0)
			return error_set(err, r, "not understood in QEMU's `info mtree -f`:%s",
					 copy);
		r = add_region(map, &region);
		if (r < 0)
			return error_set(err, r, "too many regions in QEMU's `info mtree -f`");
	}
	if (!map->n_regions)
		return error_set(err, -EBADMSG,
				 "no address space \"memory\" in QEMU's `info mtree -f`");
	return 0;
}

int memory_map_parse(struct memory_map *ret, const char *text, struct error *err)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	int r;

	r = parse_view(&map, find_view(text), err);
	if (r < 0)
		return r;
	*ret = map;
	map = (struct memory_map){ 0 };
	return 0;
}

void memory_map_deinit(struct memory_map *map)
{
	free(map->regions);
	*map = (struct memory_map){ 0 };
}

/* Of the memory backend @id. Older machine types name it by its path: /objects/ID. */
static bool is_name_of(const char *name, const char *id)
{
	static const char objects[] = "/objects/";

	if (starts_with(name, objects))
		name += sizeof(objects) - 1;
	return *id && strcmp(name, id) == 0;
}

const struct memory_region *memory_map_find(const struct memory_map *map, const char *id,
					    uint64_t size)
{
	for (size_t i = 0; i < map->n_regions; i++) {
		const struct memory_region *region = &map->regions[i];

		if (region->type != MEMORY_REGION_IO && region->offset == 0 &&
		    region->size == size && is_name_of(region->name, id))
			return region;
	}
	return NULL;
}

static bool continues(const struct memory_region *a, const struct memory_region *b)
{
	return a->gpa + a->size == b->gpa && a->offset + a->size == b->offset;
}

size_t memory_map_ram(const struct memory_map *map, const char *id, struct memory_region *ret,
		      size_t n)
{
	struct memory_region part = { 0 };
	size_t n_parts = 0;

	for (size_t i = 0; i < map->n_regions; i++) {
		const struct memory_region *region = &map->regions[i];

		if (region->priority != 0 || region->type > MEMORY_REGION_ROM ||
		    !is_name_of(region->name, id))
			continue;
		if (n_parts && continues(&part, region)) {
			part.size += region->size;
		} else {
			part = *region;
			n_parts++;
		}
		if (n_parts <= n)
			ret[n_parts - 1] = part;
	}
	return n_parts;
}

int memory_map_parse_address(uint64_t *ret, const char *text, uint64_t gpa, const char *id)
{
	static const char behind[] = ") is 0x";
	char expected[64], name[128];
	const char *end;
	int n = snprintf(expected, sizeof(expected), "Host virtual address for 0x%" PRIx64 " (",
			 gpa);

	if (strncmp(text, expected, (size_t)n) != 0)
		return -EAGAIN;
	text += n;
	end = strstr(text, behind);
	if (!end || end - text >= (ptrdiff_t)sizeof(name))
		return -EAGAIN;
	snprintf(name, sizeof(name), "%.*s", (int)(end - text), text);
	if (!is_name_of(name, id))
		return -EAGAIN;
	*ret = strtoull(end + sizeof(behind) - 1, NULL, 16);
	return 0;
}
