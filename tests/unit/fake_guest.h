/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_GUEST_H
#define TESTS_FAKE_GUEST_H

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "profile/profile.h"
#include "util/cleanup.h"

/*
 * A guest for one test: 4 MiB of RAM, mapped at FAKE_BASE, and a kernel whose structures have each
 * member that anybody asks for, in the order in which they are first asked for. The profile is faked
 * at link time: what includes this must be linked without src/profile/profile.c.
 */
#define FAKE_BASE 0xffff888000000000ULL
#define FAKE_SIZE (4U << 20)
#define FAKE_UNMAPPED (FAKE_BASE + 2 * FAKE_SIZE)

/* 1 GiB of addresses, all of which are the last 2 MiB of the RAM again and again. */
#define FAKE_ECHO (FAKE_BASE + (1ULL << 30))
#define FAKE_ECHOED (FAKE_BASE + (2U << 20))

#define FAKE_OBJECT 1024 /* bytes of any structure */

static _Alignas(4096) uint8_t fake_bytes[FAKE_SIZE];
static size_t fake_used;
static const struct ram fake_ram = { .ranges = { { 0, FAKE_SIZE, fake_bytes } }, .n_ranges = 1 };
static const struct space fake_space = { .ram = &fake_ram, .root = 0x1000 };

static const char *fake_lacks[4]; /* what this kernel does not have */
static const char *fake_odd; /* a member of 9 bytes */
static void (*fake_asked)(void); /* called when a module's member is asked for */

static struct fake_member {
	char path[64];
	uint32_t offset;
} fake_members[160];
static size_t fake_n_members;

static inline void fake_init(void)
{
	uint64_t *table = (uint64_t *)(void *)fake_bytes;

	memset(fake_bytes, 0, sizeof(fake_bytes));
	memset(fake_lacks, 0, sizeof(fake_lacks));
	fake_odd = NULL;
	fake_asked = NULL;
	table[512 + 273] = 0x2000 | 1; /* FAKE_BASE is 0xffff8880... */
	table[1024] = 0x3000 | 1;
	table[1025] = 0x4000 | 1;
	for (unsigned int i = 0; i < FAKE_SIZE >> 21; i++)
		table[1536 + i] = ((uint64_t)i << 21) | 0x81;
	for (unsigned int i = 0; i < 512; i++)
		table[2048 + i] = 0x200000 | 0x81;
	fake_used = 0x5000;
}

static inline uint64_t fake_make_bytes(size_t size)
{
	uint64_t address = FAKE_BASE + fake_used;

	fake_used += (size + 15) & ~15UL;
	assert(fake_used <= FAKE_SIZE);
	return address;
}

/* Memory of an address in the RAM. */
static inline void *fake_at(uint64_t address)
{
	assert(address >= FAKE_BASE && address < FAKE_BASE + FAKE_SIZE);
	return fake_bytes + (address - FAKE_BASE);
}

static inline uint64_t fake_make(void)
{
	return fake_make_bytes(FAKE_OBJECT);
}

static inline uint64_t fake_text(const char *text)
{
	uint64_t address = fake_make_bytes(strlen(text) + 1);

	strcpy(fake_at(address), text);
	return address;
}

/* Bytes that a member takes: 8, but for arrays and structures. */
static inline uint32_t fake_room(const char *path)
{
	static const struct {
		const char *path;
		uint32_t room;
	} large[] = {
		{ "task_struct.comm", 16 },
		{ "uts_namespace.name.nodename", 65 },
		{ "pid.numbers", FAKE_OBJECT / 2 },
		{ "ovl_entry.__lowerstack", FAKE_OBJECT / 2 },
		{ "ovl_inode.vfs_inode", FAKE_OBJECT / 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(large); i++)
		if (strcmp(path, large[i].path) == 0)
			return large[i].room;
	return 8;
}

static inline uint32_t fake_offset(const char *path)
{
	size_t length = strcspn(path, ".") + 1;
	uint32_t offset = 16; /* of the next member of this structure; none is at its start */

	for (size_t i = 0; i < fake_n_members; i++) {
		const struct fake_member *member = &fake_members[i];

		if (strcmp(member->path, path) == 0)
			return member->offset;
		if (strncmp(member->path, path, length) == 0)
			offset = member->offset + fake_room(member->path);
	}
	assert(fake_n_members < ARRAY_SIZE(fake_members));
	assert(offset + fake_room(path) <= FAKE_OBJECT);
	fake_members[fake_n_members].offset = offset;
	snprintf(fake_members[fake_n_members++].path, sizeof(fake_members[0].path), "%s", path);
	return offset;
}

/* Where a member of an object is, and its value. */
static inline uint64_t fake_place(uint64_t object, const char *path)
{
	return object + fake_offset(path);
}

static inline void fake_set(uint64_t object, const char *path, uint64_t value)
{
	memcpy(fake_at(fake_place(object, path)), &value, sizeof(value));
}

static inline uint64_t fake_get(uint64_t object, const char *path)
{
	uint64_t value;

	memcpy(&value, fake_at(fake_place(object, path)), sizeof(value));
	return value;
}

static inline bool fake_has(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fake_lacks); i++)
		if (fake_lacks[i] && strcmp(fake_lacks[i], name) == 0)
			return false;
	return true;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &fake_space;
}

/* init_task is the first object; where struct pages are does not matter. */
uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	return strcmp(name, "init_task") == 0 || strcmp(name, "vmemmap_base") == 0
		       ? FAKE_BASE + 0x5000
		       : 0;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	(void)name;
	return FAKE_OBJECT;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	(void)profile;
	if (!fake_has(path))
		return -ENOENT;
	*ret = (struct profile_field){ fake_offset(path), 8 };
	if (fake_odd && strcmp(fake_odd, path) == 0)
		ret->size = 9;
	return 0;
}

int profile_module_field(const struct profile *profile, const char *module, const char *path,
			 struct profile_field *ret, struct error *err)
{
	if (fake_asked)
		fake_asked();
	if (profile_field(profile, path, ret) < 0)
		return error_set(err, -ENOENT, "module %s has no %s", module, path);
	return 0;
}

uint32_t profile_module_struct_size(const struct profile *profile, const char *module,
				    const char *name)
{
	(void)module;
	return fake_has(name) ? profile_struct_size(profile, name) : 0;
}

#endif
