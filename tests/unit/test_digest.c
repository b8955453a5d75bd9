// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/digest.h"

static struct digest_key key;
static uint8_t page[DIGEST_MOST];

static int set_up(void **state)
{
	(void)state;
	srandom(1);
	for (size_t i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)random();
	for (size_t i = 0; i < DIGEST_MOST / 4; i++) {
		key.words[0][i] = (uint32_t)random() * 2 + (uint32_t)(random() & 1);
		key.words[1][i] = (uint32_t)random() * 2 + (uint32_t)(random() & 1);
	}
	return 0;
}

static struct digest of(const void *bytes, size_t size)
{
	struct digest digest;

	digest_make(&key, bytes, size, &digest);
	return digest;
}

static void assert_other(struct digest a, struct digest b)
{
	assert_int_not_equal(a.half[0], b.half[0]);
	assert_int_not_equal(a.half[1], b.half[1]);
}

/* RFC 4418, 5.2.2, word by word, where the words are not 16 bytes at once. */
static uint64_t nh(const uint32_t *words, const uint8_t *bytes, size_t size)
{
	uint8_t padded[DIGEST_MOST + 16] = { 0 };
	uint64_t sum = 0;

	memcpy(padded, bytes, size);
	for (size_t i = 0; i < size; i += 8, words += 2) {
		uint32_t m[2];

		memcpy(m, padded + i, sizeof(m));
		sum += (uint64_t)(uint32_t)(m[0] + words[0]) * (uint32_t)(m[1] + words[1]);
	}
	return sum;
}

static void test_nh(void **state)
{
	static const size_t sizes[] = { 4096, 4080, 1024, 32, 16 };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct digest digest = of(page, sizes[i]);

		assert_int_equal(digest.half[0], nh(key.words[0], page, sizes[i]));
		assert_int_equal(digest.half[1], nh(key.words[1], page, sizes[i]));
	}
	for (size_t size = 4081; size < 4096;
	     size++) { /* what is missing of the last 16 counts as zeros */
		uint8_t padded[DIGEST_MOST] = { 0 };
		struct digest digest = of(page, size), expected;

		memcpy(padded, page, size);
		expected = of(padded, sizeof(padded));
		assert_memory_equal(&digest, &expected, sizeof(digest));
	}
}

/* Any byte, any bit of it; each half by itself, as one key alone would leave one chance in 2^32. */
static void test_every_bit(void **state)
{
	struct digest was = of(page, sizeof(page));

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(page); bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_other(of(page, sizeof(page)), was);
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* What keeps a sum, an exclusive or or a polynomial without a key as it was. */
static void test_moved(void **state)
{
	struct digest was = of(page, sizeof(page));
	uint8_t other[DIGEST_MOST];

	(void)state;
	for (size_t size = 4; size <= 2048; size *= 2) {
		memcpy(other, page + size, size);
		memcpy(other + size, page, size);
		memcpy(other + 2 * size, page + 2 * size, sizeof(page) - 2 * size);
		assert_other(of(other, sizeof(other)), was);
	}
	memcpy(other, page, sizeof(page));
	for (size_t i = 0; i < sizeof(page); i += 16)
		other[i] ^= 0x80;
	assert_other(of(other, sizeof(other)), was);
}

/* Keys are other ones each time, in both halves. */
static void test_keys(void **state)
{
	struct digest was = of(page, sizeof(page));

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct digest_key before = key;

		assert_int_equal(digest_key_make(&key), 0);
		for (size_t at = 0; at < sizeof(key) - 64; at += 64)
			assert_memory_not_equal((uint8_t *)&key + at, (uint8_t *)&before + at, 64);
		assert_memory_not_equal(key.words[0], key.words[1], sizeof(key.words[0]));
		assert_other(of(page, sizeof(page)), was);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nh, set_up),
		cmocka_unit_test_setup(test_every_bit, set_up),
		cmocka_unit_test_setup(test_moved, set_up),
		cmocka_unit_test_setup(test_keys, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
