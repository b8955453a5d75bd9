// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/copies.h"

#define MIB (1ULL << 20)
#define MS 1000000ULL
#define RAM_SIZE (8 * MIB)
#define BASE 0xffffffff80000000ULL /* 4 KiB pages, read-only, from gpa 2 MiB on */
#define PAGES 16
#define RANGE (PAGES * 4096ULL)

static uint8_t *bytes;
static struct ram ram;
static const struct space space = { .ram = &ram, .root = 0x1000 };
static struct copies copies;
static enum copies_verdict verdict; /* of the bytes from `site` on */
static uint64_t site, now;
static size_t site_size;

static uint64_t *at(uint64_t gpa)
{
	return (uint64_t *)(bytes + gpa);
}

static uint8_t *live(uint64_t offset)
{
	return bytes + 2 * MIB + offset;
}

static enum copies_verdict judge(uint64_t va, uint64_t *ret_va, size_t *ret_size, void *data)
{
	(void)data;
	if (va - site >= site_size)
		return COPIES_FOREIGN;
	*ret_va = site;
	*ret_size = site_size;
	return verdict;
}

static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	assert_non_null(bytes);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes, 0 } }, .n_ranges = 1 };
	*at(0x1000 + 511 * 8) = 0x2000 | 3;
	*at(0x2000 + 510 * 8) = 0x3000 | 3;
	*at(0x3000) = 0x4000 | 3;
	for (uint64_t i = 0; i < PAGES; i++)
		*at(0x4000 + i * 8) = (2 * MIB + i * 4096) | 1;
	for (uint64_t i = 0; i < RANGE; i++)
		*live(i) = (uint8_t)(i * 7);
	assert_int_equal(copies_init(&copies, &space, judge, NULL), 0);
	assert_int_equal(copies_add(&copies, "one", BASE + 16, 3 * 4096, true), 0);
	assert_int_equal(copies_add(&copies, "two", BASE + 8 * 4096, 4 * 4096, false), 0);
	site = site_size = 0;
	now = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	copies_clear(&copies);
	free(bytes);
	return 0;
}

/* Looks round by small pieces until all has been looked at, and doubts are due. Returns whether there is news. */
static bool look_round(void)
{
	uint64_t rounds = copies.rounds;
	bool news = false;

	while (copies.rounds < rounds + 2) {
		news = copies_look(&copies, 1000, now) || news;
		now += MS;
	}
	for (unsigned int i = 0; i < 100; i++) {
		news = copies_look(&copies, 0, now) || news;
		now += MS;
	}
	return news;
}

static void tell(void)
{
	for (size_t i = 0; i < copies.n_differences; i++)
		copies.difference[i].told = true;
}

static void test_nothing(void **state)
{
	(void)state;
	assert_false(look_round());
	/* beside the ranges */
	*live(15) ^= 1;
	*live(16 + 3 * 4096) ^= 1;
	*live(8 * 4096 - 1) ^= 1;
	*live(12 * 4096) ^= 1;
	assert_false(look_round());
}

/* Every byte of a range is looked at: first, last, at pages' ends. */
static void test_bytes(void **state)
{
	static const uint64_t where[] = { 16,	    4095,     4096,	    16 + 3 * 4096 - 1,
					  8 * 4096, 9 * 4096, 12 * 4096 - 1 };

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		uint8_t was = *live(where[i]);

		*live(where[i]) ^= 0xff;
		assert_true(look_round());
		assert_int_equal(copies.n_differences, 1);
		assert_int_equal(copies.difference[0].va, BASE + where[i]);
		assert_int_equal(copies.difference[0].size, 1);
		assert_int_equal(copies.difference[0].expected[0], was);
		assert_int_equal(copies.difference[0].found[0], was ^ 0xff);
		assert_int_equal(copies.difference[0].code, where[i] < 8 * 4096);
		tell();
		assert_false(look_round()); /* told once */
		*live(where[i]) = 0xaa;
		if (was == 0xaa)
			*live(where[i]) = 0xab;
		assert_true(look_round()); /* something else stands there */
		tell();
		*live(where[i]) = was;
		assert_false(look_round());
		assert_int_equal(copies.n_differences, 0);
	}
}

static void test_long(void **state)
{
	(void)state;
	memset(live(5000), 0xcc, 20);
	assert_true(look_round());
	for (uint64_t i = 5000; i < 5020; i++) {
		bool found = *live(i) == (uint8_t)(i * 7);

		for (size_t j = 0; j < copies.n_differences; j++)
			found = found ||
				BASE + i - copies.difference[j].va < copies.difference[j].size;
		assert_true(found);
	}
	tell();
	assert_false(look_round());
	/* more than can be told */
	memset(live(8 * 4096), 0xcc, 4096);
	assert_true(look_round());
	assert_int_equal(copies.n_differences, COPIES_MAX_DIFFERENCES);
	assert_true(copies.more);
}

/* What the owner accepts is none; what may be under way is given time; what changes meanwhile is forgotten. */
static void test_sites(void **state)
{
	(void)state;
	site = BASE + 5000;
	site_size = 5;
	verdict = COPIES_ACCEPTED;
	memset(live(5000), 0xcc, 5);
	assert_false(look_round());
	*live(4999) ^= 1; /* right beside it */
	assert_true(look_round());
	assert_int_equal(copies.difference[0].va, BASE + 4999);
	assert_int_equal(copies.difference[0].size, 1);
	tell();
	verdict = COPIES_AGAIN;
	assert_false(look_round());
	now += 11000 * MS;
	assert_true(look_round());
	assert_int_equal(copies.n_differences, 2);
}

static void test_under_way(void **state)
{
	(void)state;
	site = BASE + 5000;
	site_size = 5;
	verdict = COPIES_FOREIGN;
	memset(live(5000), 0xcc, 5);
	copies_look(&copies, RANGE, now);
	assert_int_equal(copies.n_doubts, 1);
	verdict = COPIES_AGAIN; /* it changes again */
	now += 30 * MS;
	assert_false(copies_look(&copies, 0, now));
	now += 2000 * MS;
	assert_false(copies_look(&copies, 0, now));
	verdict = COPIES_ACCEPTED;
	now += 2000 * MS;
	assert_false(copies_look(&copies, 0, now));
	assert_int_equal(copies.n_doubts, 0);
	assert_int_equal(copies.n_differences, 0);
}

/* Patched over and over, so that each look sees a half, but another one; until one stands for good. */
static void test_over_and_over(void **state)
{
	(void)state;
	site = BASE + 5000;
	site_size = 5;
	verdict = COPIES_AGAIN;
	for (unsigned int i = 0; i < 100; i++) {
		memset(live(5000), i % 2 ? 0xcc : 0xcd, 5);
		assert_false(copies_look(&copies, RANGE, now));
		now += 1000 * MS;
	}
	for (unsigned int i = 0; i < 9; i++) {
		assert_false(copies_look(&copies, RANGE, now));
		now += 1000 * MS;
	}
	now += 2000 * MS;
	copies_look(&copies, 0, now);
	now += 30 * MS;
	assert_true(copies_look(&copies, 0, now));
	assert_int_equal(copies.difference[0].size, 5);
}

static void test_mapping(void **state)
{
	(void)state;
	*at(0x4000 + 9 * 8) |= 0x60; /* the CPU's */
	assert_false(look_round());
	*at(0x4000 + 9 * 8) |= 2;
	while (!copies_look(&copies, 1000, now))
		now += MS;
	assert_int_equal(copies.mapping, COPIES_WRITABLE);
	copies.mapping_told = true;
	assert_false(look_round());
	*at(0x4000 + 9 * 8) &= ~2ULL;
	assert_false(look_round());
	assert_false(copies.mapping_told);
	/* the same bytes, elsewhere */
	memcpy(bytes + 4 * MIB, live(9 * 4096), 4096);
	*at(0x4000 + 9 * 8) = (4 * MIB) | 1;
	while (!copies_look(&copies, 1000, now))
		now += MS;
	assert_int_equal(copies.mapping, COPIES_ELSEWHERE);
	assert_in_range(copies.mapping_va, BASE + 9 * 4096 - 1000, BASE + 9 * 4096);
}

/* What is expected can be said: then what was there from the beginning is a difference. */
static void test_expect(void **state)
{
	static const uint8_t other[2] = { 0xfe, 0xff };
	uint8_t was[2], expected[2];

	(void)state;
	memcpy(was, live(9 * 4096), sizeof(was));
	assert_true(copies_expect(&copies, BASE + 9 * 4096, other, sizeof(other)));
	assert_true(copies_expected(&copies, BASE + 9 * 4096, expected, 2));
	assert_memory_equal(expected, other, 2);
	assert_true(look_round());
	assert_int_equal(copies.n_differences, 1);
	assert_int_equal(copies.difference[0].va, BASE + 9 * 4096);
	assert_memory_equal(copies.difference[0].found, was, 2);
	tell();
	memcpy(live(9 * 4096), other, sizeof(other));
	look_round();
	assert_int_equal(copies.n_differences, 0);
	assert_false(copies_expect(&copies, BASE + 12 * 4096 - 1, other, sizeof(other)));
	assert_false(copies_expect(&copies, BASE + 15, other, sizeof(other)));
}

static void test_add(void **state)
{
	(void)state;
	assert_int_equal(copies_add(&copies, "none", BASE + RANGE, 4096, false), -EFAULT);
	assert_int_equal(copies_add(&copies, "half", BASE + RANGE - 4096, 8192, false), -EFAULT);
	assert_int_equal(copies_add(&copies, "empty", BASE, 0, false), -EFAULT);
	assert_false(copies_has(&copies, BASE, 1));
	assert_false(copies_has(&copies, BASE + 16 + 3 * 4096 - 4, 5));
	assert_true(copies_has(&copies, BASE + 16 + 3 * 4096 - 4, 4));
}

/* All that was there comes back as it was: what packs well, badly and not at all, across pages, and a page that is a short one. */
static void test_originals(void **state)
{
	static uint8_t was[RANGE], expected[RANGE];

	(void)state;
	copies_clear(&copies);
	assert_int_equal(copies_init(&copies, &space, judge, NULL), 0);
	srandom(1);
	for (uint64_t i = 0; i < RANGE; i++)
		*live(i) = (uint8_t)(i < 4 * 4096   ? 0
				     : i < 8 * 4096 ? i % 100
						    : (uint64_t)random());
	memcpy(was, live(0), RANGE);
	assert_int_equal(copies_add(&copies, "all", BASE, RANGE - 5, true), 0);
	memset(live(0), 0xcc, RANGE);
	assert_true(copies_expected(&copies, BASE, expected, RANGE - 5));
	assert_memory_equal(expected, was, RANGE - 5);
	for (uint64_t i = 4090; i < RANGE - 13; i += 4093) {
		assert_true(copies_expected(&copies, BASE + i, expected, 8));
		assert_memory_equal(expected, was + i, 8);
	}
	assert_false(copies_expected(&copies, BASE + RANGE - 8, expected, 4));
	/* a difference says what was there, so that it can be put back */
	memcpy(live(0), was, RANGE);
	memset(live(RANGE - 9), 0xcc, 4);
	assert_true(look_round());
	assert_int_equal(copies.n_differences, 1);
	assert_memory_equal(copies.difference[0].expected, was + RANGE - 9, 4);
}

/* Every byte of a page, and every bit of a byte. */
static void test_every_byte(void **state)
{
	(void)state;
	for (uint64_t i = 8 * 4096; i < 9 * 4096; i++) {
		*live(i) ^= (uint8_t)(1 << i % 8);
		while (copies.n_doubts)
			copies.n_doubts--;
		copies_look(&copies, copies.size, 0);
		assert_int_equal(copies.n_doubts, 1);
		assert_int_equal(copies.doubt[0].va, BASE + i);
		*live(i) ^= (uint8_t)(1 << i % 8);
	}
}

/* However often something else is expected, and whatever it is, no more is kept than there is of the kernel. */
static void test_bound(void **state)
{
	uint8_t other[4096], expected[4096];

	(void)state;
	assert_in_range(copies.packed, 1,
			copies.size / 4); /* every page is one sequence of 256 bytes */
	srandom(1);
	for (unsigned int round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof(other); i++)
			other[i] = (uint8_t)random();
		for (uint64_t page = 8; page < 12; page++)
			assert_true(copies_expect(&copies, BASE + page * 4096, other, 4096));
		assert_true(copies_expect(&copies, BASE + 4000, other, 200));
		assert_in_range(copies.packed, 4 * 4096, copies.size);
	}
	assert_true(copies_expected(&copies, BASE + 4000, expected, 200));
	assert_memory_equal(expected, other, 200);
	for (uint64_t page = 8; page < 12; page++)
		memcpy(live(page * 4096), other, 4096);
	memcpy(live(4000), other, 200);
	assert_false(look_round());
	memset(other, 0, sizeof(other));
	for (uint64_t page = 8; page < 12; page++)
		assert_true(copies_expect(&copies, BASE + page * 4096, other, 4096));
	assert_in_range(copies.packed, 1, copies.size / 4);
	copies_clear(&copies);
	assert_int_equal(copies.packed, 0);
}

/* A look is at as many bytes as it is told, in the end: what does not make a page counts for the next one. */
static void test_credit(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4096; i++)
		copies_look(&copies, 7, now);
	assert_int_equal(copies.size, 7 * 4096);
	assert_int_equal(copies.at, copies.size);
	assert_int_equal(copies.credit, 0);
	assert_int_equal(copies.rounds, 0);
	copies_look(&copies, 4095, now);
	assert_int_equal(copies.at, 0);
	copies_look(&copies, 4098, now);
	assert_int_equal(copies.at, 8192);
	assert_int_equal(copies.credit, 1);
	/* not more than once all of it */
	copies_look(&copies, 100 * copies.size, now);
	assert_int_equal(copies.rounds, 2);
	assert_int_equal(copies.at, 8192);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),   TEST(test_bytes),	     TEST(test_long),
		TEST(test_sites),     TEST(test_under_way),  TEST(test_over_and_over),
		TEST(test_mapping),   TEST(test_expect),     TEST(test_add),
		TEST(test_originals), TEST(test_every_byte), TEST(test_bound),
		TEST(test_credit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
