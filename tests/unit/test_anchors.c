// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/anchors.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (8 * MIB)
#define BASE 0xffffffff80000000ULL /* 4 KiB pages from gpa 2 MiB on, the second at 6 MiB */

static uint8_t *bytes;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };
static struct anchors anchors;

static uint64_t *at(uint64_t gpa)
{
	return (uint64_t *)(bytes + gpa);
}

static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	assert_non_null(bytes);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
	*at(0x1000 + 511 * 8) = 0x2000 | 3;
	*at(0x2000 + 510 * 8) = 0x3000 | 3;
	*at(0x3000) = 0x4000 | 3;
	*at(0x4000) = (2 * MIB) | 3;
	*at(0x4008) = (6 * MIB) | 3;
	memcpy(bytes + 2 * MIB + 4093, "abc", 3);
	memcpy(bytes + 6 * MIB, "def", 3);
	anchors = (struct anchors){ 0 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	anchors_clear(&anchors);
	free(bytes);
	return 0;
}

/* Bytes across two pages, and what translates them. */
static void add(void)
{
	assert_int_equal(anchors_add(&anchors, &space, BASE + 4093, (const uint8_t *)"abcdef", 6),
			 0);
	assert_true(anchors_hold(&anchors, &ram));
}

static void test_bytes(void **state)
{
	static const uint64_t ours[] = { 2 * MIB + 4093, 2 * MIB + 4095, 6 * MIB, 6 * MIB + 2 };
	static const uint64_t beside[] = { 2 * MIB + 4092, 6 * MIB + 3, 2 * MIB, 6 * MIB + 4095 };

	(void)state;
	add();
	for (size_t i = 0; i < 4; i++) {
		bytes[ours[i]] ^= 1;
		assert_false(anchors_hold(&anchors, &ram));
		bytes[ours[i]] ^= 1;
		bytes[beside[i]] ^= 1;
		assert_true(anchors_hold(&anchors, &ram));
	}
}

static void test_page_tables(void **state)
{
	static const uint64_t entries[] = { 0x1000 + 511 * 8, 0x2000 + 510 * 8, 0x3000, 0x4000,
					    0x4008 };

	(void)state;
	add();
	/* five entries, and two words */
	assert_int_equal(anchors.n, 7);
	for (size_t i = 0; i < 5; i++) {
		*at(entries[i]) ^= 1ULL << 40;
		assert_false(anchors_hold(&anchors, &ram));
		*at(entries[i]) ^= 1ULL << 40;
		*at(entries[i]) ^= 0x60; /* accessed, dirty: the CPU's own */
		assert_true(anchors_hold(&anchors, &ram));
	}
}

static void test_again(void **state)
{
	(void)state;
	add();
	add();
	assert_int_equal(anchors.n, 7);
	assert_int_equal(anchors_add(&anchors, &space, BASE + 4092, (const uint8_t *)"\0abc", 4),
			 0);
	assert_int_equal(anchors.n, 7);
	bytes[2 * MIB + 4092] = 1;
	assert_false(anchors_hold(&anchors, &ram));
	/* what is expected, not what is there */
	assert_int_equal(anchors_add(&anchors, &space, BASE + 4092, (const uint8_t *)"\1", 1), 0);
	assert_true(anchors_hold(&anchors, &ram));
}

static void test_path(void **state)
{
	(void)state;
	assert_int_equal(anchors_add_path(&anchors, &space, BASE + 4096), 0);
	assert_int_equal(anchors.n, 4);
	bytes[6 * MIB] ^= 1;
	assert_true(anchors_hold(&anchors, &ram));
	*at(0x4008) = 0;
	assert_false(anchors_hold(&anchors, &ram));
}

static void test_not_mapped(void **state)
{
	(void)state;
	assert_int_equal(anchors_add(&anchors, &space, BASE + 8190, (const uint8_t *)"abcd", 4),
			 -EFAULT);
	assert_int_equal(anchors_add_path(&anchors, &space, 0x1000), -EFAULT);
	/* RAM that is unplugged */
	anchors_clear(&anchors);
	add();
	ram.ranges[0].size = 5 * MIB;
	assert_false(anchors_hold(&anchors, &ram));
}

static void test_pages(void **state)
{
	uint64_t *pages;

	(void)state;
	add();
	assert_int_equal(anchors_pages(&anchors, &pages), 6);
	assert_int_equal(pages[0], 0x1000);
	assert_int_equal(pages[3], 0x4000);
	assert_int_equal(pages[4], 2 * MIB);
	assert_int_equal(pages[5], 6 * MIB);
	free(pages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bytes), TEST(test_page_tables), TEST(test_again),
		TEST(test_path),  TEST(test_not_mapped),  TEST(test_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
