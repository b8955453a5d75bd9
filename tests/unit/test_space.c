// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "memory/space.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"

#define P 0x1ULL /* present */
#define H 0x80ULL /* huge */
#define NX (1ULL << 63)
#define HIGH_GPA (4ULL << 30)
#define RAM_SIZE 0x40000

/*
 * RAM: 256 KiB at 0, and 64 KiB at 4 GiB.
 * Tables: level 5 at 0x1000, 4 at 0x2000, 3 at 0x3000, 2 at 0x4000, 1 at 0x5000.
 */
static _Alignas(4096) uint8_t low[RAM_SIZE], high[0x10000];

static const struct ram ram = {
	.ranges = { { 0, sizeof(low), low }, { HIGH_GPA, sizeof(high), high } },
	.n_ranges = 2,
};
static const struct space four = { .ram = &ram, .root = 0x2000 | 0x801 /* PCID bits */ };
static const struct space five = { .ram = &ram, .root = 0x1000, .five_level = true };

static void entry(uint64_t table, unsigned int index, uint64_t value)
{
	assert_int_equal(ram_write_u64(&ram, table + 8 * index, value), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	entry(0x1000, 511, 0x2000 | P);
	entry(0x1000, 0x1ff - 1, 0x2000 | P);
	entry(0x2000, 511, 0x3000 | P | NX);
	entry(0x2000, 510, 0x3000 | P | H); /* reserved bit at this level: no leaf */
	entry(0x2000, 509, 0x900000000 | P); /* table outside RAM */
	entry(0x3000, 510, 0x4000 | P);
	entry(0x3000, 509, 0 | P | H | NX); /* 1 GiB at 0 */
	entry(0x3000, 508, 0x4000); /* not present */
	entry(0x4000, 0, 0x5000 | P);
	entry(0x4000, 1, 0 | P | H | 0x1000); /* 2 MiB at 0, PAT bit set */
	entry(0x4000, 2, HIGH_GPA | P | H | NX);
	entry(0x5000, 0, 0x10000 | P | NX | 0xe66);
	entry(0x5000, 1, (HIGH_GPA + 0x3000) | P);
	entry(0x5000, 3, 0x11000 | P);
	entry(0x5000, 511, 0x700000000 | P); /* page outside RAM */
	return 0;
}

#define K 0xffffffff80000000ULL

static void test_translate(void **state)
{
	static const struct {
		uint64_t va;
		int result;
		uint64_t pa, contiguous;
	} cases[] = {
		{ K, 0, 0x10000, 0x1000 },
		{ K + 0xfff, 0, 0x10fff, 1 },
		{ K + 0x1234, 0, HIGH_GPA + 0x3234, 0xdcc },
		{ K + 0x2000, -EFAULT, 0, 0 },
		{ K + 0x200000, 0, 0, 0x200000 },
		{ K + 0x3abcde, 0, 0x1abcde, 0x54322 },
		{ K + 0x400010, 0, HIGH_GPA + 0x10, 0x1ffff0 },
		{ K - 0x40000000 + 0x123456, 0, 0x123456, 0x40000000 - 0x123456 },
		{ K - 0x80000000, -EFAULT, 0, 0 },
		{ 0xffffff7f80000000, 0, 0x10000, 0x1000 }, /* through entry 510 */
		{ 0xfffffeff80000000, -EFAULT, 0, 0 }, /* table outside RAM */
		{ 0x8000000000000000, -EFAULT, 0, 0 }, /* not canonical */
		{ 0x0000800000000000, -EFAULT, 0, 0 },
		{ 0xfeffffff80000000, -EFAULT, 0, 0 },
		{ 0, -EFAULT, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t pa = 0, contiguous = 0;
		int r = space_translate(&four, cases[i].va, &pa, &contiguous);

		if (r != cases[i].result || pa != cases[i].pa || contiguous != cases[i].contiguous)
			fail_msg("0x%lx: %d, pa 0x%lx, contiguous 0x%lx", cases[i].va, r, pa,
				 contiguous);
		assert_int_equal(space_translate(&four, cases[i].va, &pa, NULL), r);
	}
}

static void test_five_level(void **state)
{
	uint64_t pa;

	(void)state;
	assert_int_equal(space_translate(&five, K + 1, &pa, NULL), 0);
	assert_int_equal(pa, 0x10001);
	/* canonical with five levels only */
	assert_int_equal(space_translate(&five, 0xfffeffff80000002, &pa, NULL), 0);
	assert_int_equal(pa, 0x10002);
	assert_int_equal(space_translate(&four, 0xfffeffff80000002, &pa, NULL), -EFAULT);
	assert_int_equal(space_translate(&five, 0xfeffffff80000000, &pa, NULL), -EFAULT);
}

static void test_read(void **state)
{
	uint64_t value = 0x1122334455667788;
	uint8_t buf[0x1800];
	uint32_t half;

	(void)state;
	memset(low + 0x10000, 'a', 0x1000);
	memset(high + 0x3000, 'b', 0x1000);
	assert_int_equal(space_read(&four, K + 0x800, buf, sizeof(buf)), 0); /* two pages apart */
	assert_int_equal(buf[0x7ff], 'a');
	assert_int_equal(buf[0x800], 'b');
	assert_int_equal(buf[0x17ff], 'b');
	assert_int_equal(space_read(&four, K + 0x801, buf, sizeof(buf)), -EFAULT);
	assert_int_equal(space_read(&four, K + 0x1ff000, buf, 1), -EFAULT); /* page outside RAM */
	assert_int_equal(space_read(&four, K + 0x2000, buf, 0), 0);
	assert_int_equal(space_read(&four, UINT64_MAX - 7, buf, 16), -EFAULT); /* wraps */

	assert_int_equal(space_write_u64(&four, K + 0x1008, value), 0);
	assert_memory_equal(high + 0x3008, &value, sizeof(value));
	value = 0;
	assert_int_equal(space_read_u64(&four, K + 0x1008, &value), 0);
	assert_int_equal(value, 0x1122334455667788);
	assert_int_equal(space_read_u32(&four, K + 0x100c, &half), 0);
	assert_int_equal(half, 0x11223344);
	assert_int_equal(space_write_u64(&four, K + 0x1004, value), -EINVAL);
	assert_int_equal(space_write_u64(&four, K + 0x2000, value), -EFAULT);
}

static void test_read_string(void **state)
{
	static const struct {
		uint64_t va;
		size_t size;
		int result;
		const char *string;
	} cases[] = {
		{ K + 0x1ff8, 64, 7, "the end" }, /* up to the end of the last page mapped */
		{ K + 0x1ff8, 8, 7, "the end" },
		{ K + 0x1ff8, 4, 3, "the" },
		{ K + 0x1ff8, 1, 0, "" },
		{ K + 0xffe, 64, 4, "over" }, /* from one page to the next */
		{ K + 0x3ffc, 4, 3, "cut" },
		{ K + 0x3ffc, 64, -EFAULT, NULL }, /* goes on where nothing is mapped */
		{ K + 0x2000, 64, -EFAULT, NULL },
	};

	(void)state;
	memcpy(high + 0x3ff8, "the end", 8);
	memcpy(low + 0x10ffe, "ov", 2);
	memcpy(high + 0x3000, "er", 3);
	memcpy(low + 0x11ffc, "cut!", 4);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[64] = "untouched";

		assert_int_equal(space_read_string(&four, cases[i].va, buf, cases[i].size),
				 cases[i].result);
		if (cases[i].string)
			assert_string_equal(buf, cases[i].string);
	}
}

static void test_ram(void **state)
{
	static const struct {
		uint64_t gpa;
		size_t len;
		const uint8_t *host;
	} cases[] = {
		{ 0, 1, low },
		{ 0, RAM_SIZE, low },
		{ RAM_SIZE - 1, 1, low + RAM_SIZE - 1 },
		{ RAM_SIZE - 1, 2, NULL },
		{ RAM_SIZE, 0, NULL },
		{ 1, SIZE_MAX, NULL },
		{ HIGH_GPA - 1, 1, NULL },
		{ HIGH_GPA + 5, 1, high + 5 },
		{ UINT64_MAX, 1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct ram_range *range = ram_find(&ram, cases[i].gpa, cases[i].len);

		assert_ptr_equal(range ? range->host + (cases[i].gpa - range->gpa) : NULL,
				 cases[i].host);
	}
	assert_int_equal(ram_size(&ram), sizeof(low) + sizeof(high));
}

/* Another process's memory: REMOTE_SIZE bytes at REMOTE. */
#define REMOTE 0x7f0012340000ULL
#define REMOTE_SIZE 0x4000

static _Alignas(8) uint8_t remote[REMOTE_SIZE];

static uint8_t *remote_at(void *data, uint64_t address, size_t len)
{
	assert_ptr_equal(data, remote);
	if (address < REMOTE || len > REMOTE_SIZE || address - REMOTE > REMOTE_SIZE - len)
		return NULL;
	return remote + (address - REMOTE);
}

static int read_remote(void *data, uint64_t address, void *buf, size_t len)
{
	const uint8_t *from = remote_at(data, address, len);

	if (!from)
		return -EFAULT;
	memcpy(buf, from, len);
	return 0;
}

static int write_remote(void *data, uint64_t address, uint64_t value)
{
	uint8_t *to = remote_at(data, address, sizeof(value));

	if (!to)
		return -EFAULT;
	memcpy(to, &value, sizeof(value));
	return 0;
}

/* RAM that is mapped here below, and private above; the last page of it the process does not have. */
static void test_private_ram(void **state)
{
	const struct ram mixed = {
		.ranges = { { .gpa = 0, .size = 0x1000, .host = low },
			    { .gpa = 0x1000, .size = 0x2000, .remote = REMOTE + 0x1000 },
			    { .gpa = HIGH_GPA, .size = 0x2000, .remote = REMOTE + 0x3000 } },
		.n_ranges = 3,
		.process = { read_remote, write_remote, remote },
	};
	uint64_t value = 0;
	uint8_t buf[32];

	(void)state;
	memset(remote, 'r', sizeof(remote));
	memset(low, 'h', 0x1000);
	assert_int_equal(ram_read(&mixed, 0xff8, buf, 8), 0);
	assert_int_equal(buf[0], 'h');
	assert_int_equal(ram_read(&mixed, 0xff8, buf, 9), -EFAULT); /* two ranges */
	assert_int_equal(ram_write_u64(&mixed, 0x1008, 0x1122334455667788), 0);
	assert_int_equal(remote[0x1008], 0x88);
	assert_int_equal(remote[0x100f], 0x11);
	assert_int_equal(remote[0x1010], 'r');
	assert_int_equal(ram_read(&mixed, 0x1008, &value, sizeof(value)), 0);
	assert_int_equal(value, 0x1122334455667788);
	assert_int_equal(ram_read(&mixed, HIGH_GPA + 0xff8, buf, 8), 0);
	assert_int_equal(ram_read(&mixed, HIGH_GPA + 0xffc, buf, 8), -EFAULT);
	assert_int_equal(ram_write_u64(&mixed, HIGH_GPA + 0x1000, 1), -EFAULT);
	assert_int_equal(ram_write_u64(&mixed, 0x1004, 1), -EINVAL);
	assert_int_equal(ram_read(&mixed, 0x3000, buf, 1), -EFAULT);
	assert_int_equal(ram_size(&mixed), 0x5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_translate, setup),
		cmocka_unit_test_setup(test_five_level, setup),
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_read_string, setup),
		cmocka_unit_test_setup(test_ram, setup),
		cmocka_unit_test_setup(test_private_ram, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
