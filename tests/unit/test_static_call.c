// SPDX-License-Identifier: GPL-2.0-or-later
/* The profile is faked at link time: this file must be linked in front of the library. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arm/static_call.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (4 * MIB)
#define BASE 0xffffffff80000000ULL /* mapped to gpa 2 MiB */
#define TEXT (BASE + 0x10000)
#define TEXT_END (BASE + 0x20000)
#define TABLE (BASE + 0x1000) /* static_calls_table: only file_open's slots */
#define KEYS (BASE + 0x3000) /* static_call_keys, 16 bytes each */
#define ACTIVE (BASE + 0x4000) /* static_keys, 16 bytes each */
#define JUMPS (BASE + 0x5000) /* jump_entries */
#define SITES (BASE + 0x6000) /* static_call_sites */
#define THUNK (TEXT + 0x8000)
#define TRAMPOLINES (TEXT + 0x9000)
#define FUNCTION (BASE + 0x100000) /* the guard's */
#define N_SLOTS 4

static uint8_t *bytes;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };
static uint64_t jump_stop, site_stop;
static uint64_t security_file_open, caller_end;
static const char *lacks;
static uint32_t hook_offset;

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	const struct {
		const char *name;
		uint64_t value;
	} symbols[] = {
		{ "static_calls_table", TABLE },
		{ "__stop___jump_table", jump_stop },
		{ "__stop_static_call_sites", site_stop },
		{ "_stext", TEXT },
		{ "_etext", TEXT_END },
		{ "__x86_return_thunk", THUNK },
		{ "security_file_open", security_file_open },
	};

	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		if (!strcmp(symbols[i].name, name) && !(lacks && !strcmp(lacks, name)))
			return symbols[i].value;
	}
	return 0;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	const struct {
		const char *path;
		struct profile_field field;
	} fields[] = {
		{ "lsm_static_calls_table.file_open", { 0, 32 * N_SLOTS } },
		{ "lsm_static_call.key", { 0, 8 } },
		{ "lsm_static_call.trampoline", { 8, 8 } },
		{ "lsm_static_call.hl", { 16, 8 } },
		{ "lsm_static_call.active", { 24, 8 } },
		{ "security_hook_list.scalls", { 0, 8 } },
		{ "security_hook_list.hook", { hook_offset, 8 } },
		{ "static_key.enabled.counter", { 0, 4 } },
		{ "static_key.type", { 8, 8 } },
		{ "static_call_key.type", { 8, 8 } },
	};

	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) != 0 || (lacks && !strcmp(lacks, path)))
			continue;
		*ret = fields[i].field;
		return 0;
	}
	return -ENOENT;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	if (lacks && !strcmp(lacks, name))
		return 0;
	if (!strcmp(name, "lsm_static_call"))
		return 32;
	if (!strcmp(name, "jump_entry"))
		return 16;
	return strcmp(name, "static_call_site") ? 0 : 8;
}

const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end)
{
	(void)profile;
	*ret_start = security_file_open;
	*ret_end = caller_end;
	return address >= security_file_open && address < caller_end ? "security_file_open" : NULL;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &space;
}

static uint8_t *at(uint64_t va)
{
	return bytes + 2 * MIB + (va - BASE);
}

static void put64(uint64_t va, uint64_t value)
{
	memcpy(at(va), &value, sizeof(value));
}

static void put32(uint64_t va, uint64_t value)
{
	memcpy(at(va), &value, sizeof(uint32_t));
}

static uint64_t key(unsigned int slot)
{
	return KEYS + 16 * slot;
}

static uint64_t active(unsigned int slot)
{
	return ACTIVE + 16 * slot;
}

static void add_jump(unsigned int slot, uint64_t code, uint64_t target, unsigned int flags)
{
	put32(jump_stop, code - jump_stop);
	put32(jump_stop + 4, target - (jump_stop + 4));
	put64(jump_stop + 8, (active(slot) - (jump_stop + 8)) | flags);
	jump_stop += 16;
}

static void add_site(unsigned int slot, uint64_t address, unsigned int flags)
{
	put32(site_stop, address - site_stop);
	put32(site_stop + 4, (key(slot) | flags) - (site_stop + 4));
	site_stop += 8;
}

static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const uint8_t nop2[] = { 0x66, 0x90 };

/* As security_file_open() of Debian's 6.12: slots 0 and 1 are used; 2 is like them, 3 has a tail call and two branches. */
static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	assert_non_null(bytes);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
	*(uint64_t *)(bytes + 0x1000 + 511 * 8) = 0x2000 | 3;
	*(uint64_t *)(bytes + 0x2000 + 510 * 8) = 0x3000 | 3;
	*(uint64_t *)(bytes + 0x3000) = (2 * MIB) | 0x1e3;
	jump_stop = JUMPS;
	site_stop = SITES;
	lacks = NULL;
	security_file_open = 0;
	hook_offset = 8;
	for (unsigned int i = 0; i < N_SLOTS; i++) {
		put64(TABLE + 32 * i, key(i));
		put64(TABLE + 32 * i + 8, TRAMPOLINES + 8 * i);
		put64(TABLE + 32 * i + 16, i < 2 ? TABLE : 0);
		put64(TABLE + 32 * i + 24, active(i));
		put32(active(i), i < 2);
		put64(active(i) + 8, jump_stop);
		put64(key(i) + 8, site_stop | 1);
		memcpy(at(TEXT + 0x100 * i), nop5, 5);
		memcpy(at(TEXT + 0x100 * i + 0x88), nop5, 5);
		add_jump(i, TEXT + 0x100 * i, TEXT + 0x100 * i + 0x80, 0);
		add_site(i, TEXT + 0x100 * i + 0x88, i == 3);
	}
	/* slot 3: a short branch besides, and places in code that is gone */
	memcpy(at(TEXT + 0x340), nop2, 2);
	add_jump(3, TEXT + 0x340, TEXT + 0x380, 0);
	add_jump(3, TEXT + 0x350, TEXT + 0x380, 2);
	add_site(3, TEXT + 0x350, 2);
	memcpy(at(TEXT + 0x388), "\xc3\xcc\xcc\xcc\xcc", 5);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static int find(struct patch *ret)
{
	return static_call_find(ret, NULL, "file_open", FUNCTION, NULL, 0);
}

static void check_patch(const struct patch *patch, uint64_t address, const void *original,
			uint8_t opcode, uint64_t target, const void *leaving, unsigned int size)
{
	uint8_t installed[5] = { opcode };
	int32_t distance = (int32_t)(target - address - size);

	memcpy(installed + 1, &distance, size - 1);
	assert_int_equal(patch->address, address);
	assert_int_equal(patch->size, size);
	assert_true(patch->code);
	assert_memory_equal(patch->bytes[PATCH_ORIGINAL], original, size);
	assert_memory_equal(patch->bytes[PATCH_INSTALLED], installed, size);
	assert_memory_equal(patch->bytes[PATCH_LEAVING], leaving, size);
}

static void test_slots(void **state)
{
	uint32_t n = 0;

	(void)state;
	assert_int_equal(static_call_slots(NULL, "file_open", &n), TABLE);
	assert_int_equal(n, N_SLOTS);
	assert_int_equal(static_call_slots(NULL, "inode_rename", &n), 0);
	lacks = "static_calls_table";
	assert_int_equal(static_call_slots(NULL, "file_open", &n), 0);
}

/* The last free slot: so the guard is asked when all others have agreed. */
static void test_last_slot(void **state)
{
	struct patch patches[STATIC_CALL_MAX_PATCHES];

	(void)state;
	assert_int_equal(find(patches), 3);
	check_patch(&patches[0], TEXT + 0x300, nop5, 0xe9, TEXT + 0x380, nop5, 5);
	check_patch(&patches[1], TEXT + 0x340, nop2, 0xeb, TEXT + 0x380, nop2, 2);
	check_patch(&patches[2], TEXT + 0x388, "\xc3\xcc\xcc\xcc\xcc", 0xe9, FUNCTION,
		    "\x31\xc0\xc3\xcc\xcc", 5);
	assert_int_equal(patches[0].way_end, 0);
	assert_int_equal(patches[2].way, TEXT + 0x380);
	assert_int_equal(patches[2].way_end, TEXT + 0x38d);
}

static void test_call(void **state)
{
	struct patch patches[STATIC_CALL_MAX_PATCHES];

	(void)state;
	put64(TABLE + 32 * 3 + 16, TABLE); /* the last is taken */
	assert_int_equal(find(patches), 2);
	check_patch(&patches[0], TEXT + 0x200, nop5, 0xe9, TEXT + 0x280, nop5, 5);
	check_patch(&patches[1], TEXT + 0x288, nop5, 0xe8, FUNCTION, "\x2e\x2e\x2e\x31\xc0", 5);
	put32(active(2), 1); /* and this one, by its key alone */
	assert_int_equal(find(patches), -ENOSPC);
}

/* What leads nowhere has several forms; anything else is somebody's. */
static void test_forms(void **state)
{
	struct patch patches[STATIC_CALL_MAX_PATCHES];
	int32_t to_thunk = (int32_t)(THUNK - (TEXT + 0x388) - 5);
	int32_t to_trampoline = (int32_t)(TRAMPOLINES + 24 - (TEXT + 0x388) - 5);

	(void)state;
	*at(TEXT + 0x388) = 0xe9;
	memcpy(at(TEXT + 0x389), &to_thunk, 4);
	assert_int_equal(find(patches), 3);
	memcpy(at(TEXT + 0x389), &to_trampoline, 4);
	assert_int_equal(find(patches), 3);
	to_trampoline += 8; /* another slot's */
	memcpy(at(TEXT + 0x389), &to_trampoline, 4);
	assert_int_equal(find(patches), -EBUSY);
}

static void test_changed(void **state)
{
	static const uint64_t places[] = { TEXT + 0x300, TEXT + 0x340, TEXT + 0x388 };
	struct patch patches[STATIC_CALL_MAX_PATCHES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t was = *at(places[i]);

		*at(places[i]) = 0xcc;
		assert_int_equal(find(patches), -EBUSY);
		*at(places[i]) = was;
	}
	assert_int_equal(find(patches), 3);
}

/* Ours from before are seen through; somebody else's at the same place are not. */
static void test_replaced(void **state)
{
	struct patch first[STATIC_CALL_MAX_PATCHES], second[STATIC_CALL_MAX_PATCHES];

	(void)state;
	assert_int_equal(find(first), 3);
	for (unsigned int i = 0; i < 3; i++)
		memcpy(at(first[i].address), first[i].bytes[PATCH_INSTALLED], first[i].size);
	assert_int_equal(find(second), -EBUSY);
	assert_int_equal(static_call_find(second, NULL, "file_open", FUNCTION + 64, first, 3), 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_memory_equal(second[i].bytes[PATCH_ORIGINAL], first[i].bytes[PATCH_ORIGINAL],
				    first[i].size);
	assert_memory_not_equal(second[2].bytes[PATCH_INSTALLED], first[2].bytes[PATCH_INSTALLED],
				5);
	*at(TEXT + 0x389) ^= 1;
	assert_int_equal(static_call_find(second, NULL, "file_open", FUNCTION + 64, first, 3),
			 -EBUSY);
}

/* Without jump labels: the slot's counter, which shares its word with another one. */
static void test_counter(void **state)
{
	static const uint8_t on[4] = { 1 }, off[4] = { 0 };
	struct patch first[STATIC_CALL_MAX_PATCHES], second[STATIC_CALL_MAX_PATCHES];

	(void)state;
	lacks = "static_key.type";
	security_file_open = TEXT + 0x310;
	put64(TABLE + 32 * 3 + 24, active(3) + 4);
	put32(active(3), 77);
	put32(active(3) + 4, 0);
	assert_int_equal(find(first), 2);
	assert_int_equal(first[0].address, active(3) + 4);
	assert_int_equal(first[0].size, 4);
	assert_false(first[0].code);
	assert_memory_equal(first[0].bytes[PATCH_ORIGINAL], off, 4);
	assert_memory_equal(first[0].bytes[PATCH_INSTALLED], on, 4);
	assert_memory_equal(first[0].bytes[PATCH_LEAVING], off, 4);
	check_patch(&first[1], TEXT + 0x388, "\xc3\xcc\xcc\xcc\xcc", 0xe9, FUNCTION,
		    "\x31\xc0\xc3\xcc\xcc", 5);
	assert_int_equal(first[1].way, TEXT + 0x310);

	/* the counter alone */
	assert_int_equal(patches_write(first, 1, &space, PATCH_INSTALLED, NULL, NULL, NULL), 0);
	assert_true(patches_are(first, 1, &space, PATCH_INSTALLED));
	assert_int_equal(*(uint64_t *)at(active(3)), 77 | 1ULL << 32);

	/* switched on by us, and by somebody else: then there is slot 2, whose function is another here */
	memcpy(at(first[1].address), first[1].bytes[PATCH_INSTALLED], 5);
	assert_int_equal(static_call_find(second, NULL, "file_open", FUNCTION + 64, first, 2), 2);
	assert_memory_equal(second[0].bytes, first[0].bytes, sizeof(first[0].bytes));
	assert_int_equal(second[1].address, first[1].address);
	security_file_open = TEXT + 0x210;
	assert_int_equal(find(second), 2);
	assert_int_equal(second[0].address, active(2));
	assert_int_equal(patches_write(first, 1, &space, PATCH_LEAVING, NULL, NULL, NULL), 0);
	assert_int_equal(*(uint64_t *)at(active(3)), 77);

	/* the call is not in that function */
	assert_int_equal(find(second), -EBUSY); /* slot 3 again: its call is still ours */
	memcpy(at(first[1].address), first[1].bytes[PATCH_ORIGINAL], 5);
	security_file_open = TEXT + 0x390;
	assert_int_equal(find(second), -ENOTSUP);
	security_file_open = TEXT;
	assert_int_equal(find(second), 2);
	security_file_open = TEXT + 0x388 - 1025;
	assert_int_equal(find(second), -ENOTSUP);
}

static void test_lacking(void **state)
{
	static const char *const names[] = {
		"static_calls_table",
		"__stop___jump_table",
		"__stop_static_call_sites",
		"lsm_static_call.key",
		"lsm_static_call.hl",
		"lsm_static_call.active",
		"static_key.enabled.counter",
		"static_key.type",
		"static_call_key.type",
		"lsm_static_call",
		"jump_entry",
		"static_call_site",
	};
	struct patch patches[STATIC_CALL_MAX_PATCHES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		lacks = names[i];
		assert_int_equal(find(patches), -ENOTSUP);
	}
}

/* Tables that the guest has made up. */
static void test_hostile(void **state)
{
	struct patch patches[STATIC_CALL_MAX_PATCHES];
	uint64_t stop = jump_stop;

	(void)state;
	put64(active(3) + 8, jump_stop | 2); /* a list of modules */
	assert_int_equal(find(patches), -ENOTSUP);
	put64(active(3) + 8, 0); /* no branches */
	assert_int_equal(find(patches), -ENOTSUP);
	put64(active(3) + 8, BASE + 0x300000); /* behind the end */
	assert_int_equal(find(patches), -ENOTSUP);
	put64(active(3) + 8, 8); /* not mapped */
	assert_int_equal(find(patches), -EFAULT);
	/* more branches than any function has */
	put64(active(3) + 8, jump_stop);
	for (unsigned int i = 0; i < 100; i++)
		add_jump(3, TEXT + 0x300, TEXT + 0x380, 0);
	assert_int_equal(find(patches), -ENOTSUP);
	jump_stop = stop;
	/* a branch outside the kernel's text; to a target that no call follows */
	put64(active(3) + 8, jump_stop);
	add_jump(3, BASE + 0x1000, TEXT + 0x380, 0);
	assert_int_equal(find(patches), -EFAULT);
	jump_stop = stop;
	add_jump(3, TEXT + 0x300, TEXT + 0x390, 0);
	assert_int_equal(find(patches), -ENOTSUP);
	jump_stop = stop;
	/* a short branch that does not reach */
	add_jump(3, TEXT + 0x340, TEXT + 0x500, 0);
	assert_int_equal(find(patches), -ERANGE);
	/* no memory behind the slot's key */
	put64(TABLE + 32 * 3, 8);
	assert_true(find(patches) < 0);
	put64(TABLE + 32 * 3 + 24, 8);
	assert_int_equal(find(patches), -EFAULT);
}

/* An instruction across two pages is two pieces. */
static struct machine_code written[8];
static size_t n_written;

static int write_code(void *machine, const struct machine_code *pieces, size_t n, struct error *err)
{
	(void)machine;
	(void)err;
	assert_in_range(n, 1, ARRAY_SIZE(written));
	memcpy(written, pieces, n * sizeof(*pieces));
	n_written = n;
	return 0;
}

static void test_pieces(void **state)
{
	struct patch patch = { .address = BASE + 0x200000 - 3, .size = 5, .code = true };

	(void)state;
	/* the next 2 MiB are elsewhere */
	*(uint64_t *)(bytes + 0x3000 + 8) = 0x1e3;
	memcpy(patch.bytes[PATCH_INSTALLED], "abcde", 5);
	assert_int_equal(patches_write(&patch, 1, &space, PATCH_INSTALLED, write_code, NULL, NULL),
			 0);
	assert_int_equal(n_written, 2);
	assert_int_equal(written[0].gpa, 4 * MIB - 3);
	assert_int_equal(written[0].size, 3);
	assert_memory_equal(written[0].bytes, "abc", 3);
	assert_int_equal(written[1].gpa, 0);
	assert_int_equal(written[1].size, 2);
	assert_memory_equal(written[1].bytes, "de", 2);
	*(uint64_t *)(bytes + 0x3000 + 8) = 0;
	assert_int_equal(patches_write(&patch, 1, &space, PATCH_INSTALLED, write_code, NULL, NULL),
			 -EFAULT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A hook whose slots are walked over: the owner first, who stays until nobody is on the way to it. */
static void test_walked(void **state)
{
	static const uint8_t nobody[8] = { 0 }, on[4] = { 1 };
	const uint64_t address = FUNCTION + 0x5000;
	struct patch first[STATIC_CALL_MAX_PATCHES], second[STATIC_CALL_MAX_PATCHES];
	uint64_t words[STATIC_CALL_NODE_SIZE / 8];
	const struct static_call_node node = { (uint8_t *)words, address };

	(void)state;
	security_file_open = TEXT + 0x300;
	caller_end = TEXT + 0x3a0;
	memset(words, 0xa5, sizeof(words));
	assert_int_equal(
		static_call_find_walked(first, NULL, "file_open", &node, FUNCTION, NULL, 0), 2);
	assert_int_equal(words[0], TABLE + 32 * 3);
	assert_int_equal(words[1], FUNCTION);
	assert_int_equal(words[2], 0);
	assert_int_equal(first[0].address, TABLE + 32 * 3 + 16);
	assert_int_equal(first[0].size, 8);
	assert_false(first[0].code);
	assert_memory_equal(first[0].bytes[PATCH_ORIGINAL], nobody, 8);
	assert_memory_equal(first[0].bytes[PATCH_INSTALLED], &address, 8);
	assert_memory_equal(first[0].bytes[PATCH_LEAVING], &address, 8);
	assert_int_equal(first[0].way, TEXT + 0x300);
	assert_int_equal(first[0].way_end, TEXT + 0x3a0);
	assert_int_equal(first[1].address, active(3));
	assert_memory_equal(first[1].bytes[PATCH_INSTALLED], on, 4);
	assert_memory_equal(first[1].bytes[PATCH_LEAVING], nobody, 4);

	/* ours from before gives way; somebody else's slot does not */
	assert_int_equal(patches_write(first, 2, &space, PATCH_INSTALLED, NULL, NULL, NULL), 0);
	assert_int_equal(
		static_call_find_walked(second, NULL, "file_open", &node, FUNCTION, first, 2), 2);
	assert_int_equal(second[0].address, first[0].address);
	assert_memory_equal(second[0].bytes[PATCH_ORIGINAL], nobody, 8);
	assert_int_equal(
		static_call_find_walked(second, NULL, "file_open", &node, FUNCTION, NULL, 0), 2);
	assert_int_equal(second[0].address, TABLE + 32 * 2 + 16);
	assert_int_equal(patches_write(first, 2, &space, PATCH_LEAVING, NULL, NULL, NULL), 0);
	assert_true(patches_are(first, 2, &space, PATCH_LEAVING));

	/* what the guest says of its layout and functions is not trusted */
	hook_offset = STATIC_CALL_NODE_SIZE - 7;
	assert_int_equal(static_call_find_walked(second, NULL, "file_open", &node, FUNCTION, first,
						 2),
			 -ENOTSUP);
	hook_offset = 8;
	caller_end = TEXT + 0x300 + 1025;
	assert_int_equal(static_call_find_walked(second, NULL, "file_open", &node, FUNCTION, first,
						 2),
			 -ENOTSUP);
	security_file_open = 0;
	assert_int_equal(static_call_find_walked(second, NULL, "file_open", &node, FUNCTION, first,
						 2),
			 -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slots),   TEST(test_last_slot), TEST(test_call),    TEST(test_forms),
		TEST(test_changed), TEST(test_replaced),  TEST(test_lacking), TEST(test_hostile),
		TEST(test_pieces),  TEST(test_counter),	  TEST(test_walked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
