// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "profile/kallsyms.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "fake_kernel.h"

#define SIZE (256U << 10)
#define VA 0xffffffff9d200000ULL
#define BANNER 0x100
#define TABLES 0x1000
#define N_FILLER 700

static const struct fake_layout layouts[] = {
	{ "6.1", FAKE_ABSOLUTE_PERCPU, .leading = true },
	{ "6.1.192", FAKE_ABSOLUTE_PERCPU, .leading = true, .seqs = true },
	{ "6.1.192 without SMP", FAKE_BASE_RELATIVE, .leading = true, .seqs = true },
	{ "6.12", FAKE_ABSOLUTE_PERCPU, .seqs = true },
	{ "6.15", FAKE_BASE_RELATIVE, .seqs = true },
	{ "7.0", FAKE_PLACE_RELATIVE, .seqs = true },
};

static char filler_names[N_FILLER][32];
static char long_name[300];

struct fake_image {
	uint8_t *bytes;
	struct image image;
	struct fake_tables tables;
	uint32_t n;
};

static void fake_image_deinit(struct fake_image *fake)
{
	free(fake->bytes);
}

static uint32_t fill_symbols(struct fake_symbol *symbols, const struct fake_layout *layout)
{
	uint32_t n = 0;

	if (layout->encoding == FAKE_ABSOLUTE_PERCPU)
		symbols[n++] = (struct fake_symbol){ "Apcpu_hot", 0x1f000 };
	symbols[n++] = (struct fake_symbol){ "T_text", VA };
	symbols[n++] = (struct fake_symbol){ "ttwice", VA + 0x10 };
	symbols[n++] = (struct fake_symbol){ "ttwice", VA + 0x20 };
	symbols[n++] = (struct fake_symbol){ long_name, VA + 0x30 };
	symbols[n++] = (struct fake_symbol){ "Dlinux_banner", VA + BANNER };
	for (uint32_t i = 0; i < N_FILLER; i++)
		symbols[n++] = (struct fake_symbol){ filler_names[i], VA + 0x1000 + 16 * i };
	return n;
}

static struct fake_image fake_image(const struct fake_layout *layout)
{
	struct fake_image fake = { .bytes = calloc(1, SIZE) };
	struct fake_symbol symbols[N_FILLER + 8];

	for (uint32_t i = 0; i < N_FILLER; i++)
		snprintf(filler_names[i], sizeof(filler_names[i]), "tsymbol_%u", i);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[0] = 't';
	strcpy((char *)fake.bytes + BANNER, "Linux version 6.1.0 (test)");
	fake.n = fill_symbols(symbols, layout);
	fake.tables = fake_kallsyms(fake.bytes, TABLES, VA, layout, symbols, fake.n);
	assert(fake.tables.end <= SIZE);
	fake.image = (struct image){ .bytes = fake.bytes, .size = SIZE, .va = VA };
	return fake;
}

static void test_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		_cleanup_(fake_image_deinit) struct fake_image fake = fake_image(&layouts[i]);
		struct kallsyms *kallsyms = NULL;
		struct error err = {};

		if (kallsyms_read(&kallsyms, &fake.image, &err) < 0)
			fail_msg("%s: %s", layouts[i].name, err.message);
		assert_int_equal(kallsyms_n_symbols(kallsyms), fake.n);
		assert_int_equal(kallsyms_address(kallsyms, "_text"), VA);
		assert_int_equal(kallsyms_address(kallsyms, "linux_banner"), VA + BANNER);
		assert_int_equal(kallsyms_address(kallsyms, "twice"), VA + 0x10);
		assert_int_equal(kallsyms_address(kallsyms, long_name + 1), VA + 0x30);
		assert_int_equal(kallsyms_address(kallsyms, "symbol_0"), VA + 0x1000);
		assert_int_equal(kallsyms_address(kallsyms, "symbol_699"), VA + 0x1000 + 16 * 699);
		assert_int_equal(kallsyms_address(kallsyms, "symbol_700"), 0);
		assert_int_equal(kallsyms_address(kallsyms, ""), 0);
		assert_int_equal(kallsyms_address(kallsyms, "pcpu_hot"),
				 layouts[i].encoding == FAKE_ABSOLUTE_PERCPU ? 0x1f000 : 0);
		kallsyms_free(kallsyms);
	}
}

static void expect_at(const struct kallsyms *kallsyms, uint64_t address, const char *name,
		      uint64_t start, uint64_t end)
{
	uint64_t found_start = 0, found_end = 0;
	const char *found = kallsyms_at(kallsyms, address, &found_start, &found_end);

	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(found_start, start);
	assert_int_equal(found_end, end);
	assert_string_equal(kallsyms_at(kallsyms, address, NULL, NULL), name);
}

static void test_at(void **state)
{
	_cleanup_(fake_image_deinit) struct fake_image fake = fake_image(&layouts[4]);
	struct kallsyms *kallsyms = NULL;

	(void)state;
	assert_int_equal(kallsyms_read(&kallsyms, &fake.image, NULL), 0);
	assert_null(kallsyms_at(kallsyms, VA - 1, NULL, NULL));
	expect_at(kallsyms, VA, "_text", VA, VA + 0x10);
	expect_at(kallsyms, VA + 0x1f, "twice", VA + 0x10, VA + 0x20);
	expect_at(kallsyms, VA + 0x20, "twice", VA + 0x20, VA + 0x30);
	expect_at(kallsyms, VA + 0x1000 + 16 * 350 + 15, "symbol_350", VA + 0x1000 + 16 * 350,
		  VA + 0x1000 + 16 * 351);
	expect_at(kallsyms, UINT64_MAX, "symbol_699", VA + 0x1000 + 16 * 699, UINT64_MAX);
	kallsyms_free(kallsyms);
}

/* The search starts at the text, and looks at what is in front of it in the end. */
static void test_entry_behind_tables(void **state)
{
	_cleanup_(fake_image_deinit) struct fake_image fake = fake_image(&layouts[1]);
	struct kallsyms *kallsyms = NULL;

	(void)state;
	fake.image.entry = fake.tables.end;
	assert_int_equal(kallsyms_read(&kallsyms, &fake.image, NULL), 0);
	assert_int_equal(kallsyms_address(kallsyms, "_text"), VA);
	kallsyms_free(kallsyms);
}

/* The last byte in front of the token table is not always padding. */
static void test_nothing_in_front_of_tokens(void **state)
{
	_cleanup_(fake_image_deinit) struct fake_image fake = fake_image(&layouts[1]);
	struct kallsyms *kallsyms = NULL;

	(void)state;
	memset(fake.bytes + fake.tables.seqs, 0x55, fake.tables.tokens - fake.tables.seqs);
	assert_int_equal(kallsyms_read(&kallsyms, &fake.image, NULL), 0);
	kallsyms_free(kallsyms);
}

static void put_u32(struct fake_image *fake, uint64_t at, uint32_t value)
{
	memcpy(fake->bytes + at, &value, sizeof(value));
}

static void no_symbols(struct fake_image *fake)
{
	put_u32(fake, fake->tables.n, 0);
}

static void one_more(struct fake_image *fake)
{
	put_u32(fake, fake->tables.n, fake->n + 1);
}

static void very_many(struct fake_image *fake)
{
	put_u32(fake, fake->tables.n, UINT32_MAX);
}

static void wrong_marker(struct fake_image *fake)
{
	fake->bytes[fake->tables.markers + 4]++;
}

static void zero_length(struct fake_image *fake)
{
	fake->bytes[fake->tables.names] = 0;
}

static void length_beyond(struct fake_image *fake)
{
	memset(fake->bytes + fake->tables.names, 0xff, 2);
}

static void all_lengths_beyond(struct fake_image *fake)
{
	memset(fake->bytes + fake->tables.names, 0xff, fake->tables.markers - fake->tables.names);
}

static void wrong_index(struct fake_image *fake)
{
	fake->bytes[fake->tables.index + 2 * 'k']++;
}

static void index_beyond(struct fake_image *fake)
{
	memset(fake->bytes + fake->tables.index + 2 * '0', 0xff, 2);
}

static void tokens_unterminated(struct fake_image *fake)
{
	uint64_t at = fake->tables.index - 100;

	memset(fake->bytes + at, 'x', SIZE - at);
}

static void image_ends_in_tokens(struct fake_image *fake)
{
	fake->image.size = fake->tables.index - 8;
}

static void image_ends_in_index(struct fake_image *fake)
{
	fake->image.size = fake->tables.index + 100;
}

static void image_ends_in_offsets(struct fake_image *fake)
{
	fake->image.size = fake->tables.base;
}

static void image_starts_in_names(struct fake_image *fake)
{
	fake->image.bytes += fake->tables.names;
	fake->image.va += fake->tables.names;
	fake->image.size -= fake->tables.names;
}

static void no_banner(struct fake_image *fake)
{
	fake->bytes[BANNER]++;
}

static void no_data_symbols(struct fake_image *fake)
{
	uint8_t *tokens = fake->bytes + fake->tables.tokens;

	memcpy(memmem(tokens, 64, "linux_", 6), "xinul_", 6);
}

static void wrong_base(struct fake_image *fake)
{
	memset(fake->bytes + fake->tables.base, 0xff, 8);
}

static void test_malformed(void **state)
{
	static const struct {
		const char *name;
		void (*spoil)(struct fake_image *fake);
		const char *message;
	} cases[] = {
		{ "no symbols", no_symbols, "no symbol table" },
		{ "one more symbol", one_more, "no symbol table" },
		{ "very many symbols", very_many, "no symbol table" },
		{ "wrong marker", wrong_marker, "no symbol table" },
		{ "zero length", zero_length, "no symbol table" },
		{ "length beyond", length_beyond, "no symbol table" },
		{ "all lengths beyond", all_lengths_beyond, "no symbol table" },
		{ "wrong index", wrong_index, "no symbol table" },
		{ "index beyond", index_beyond, "no symbol table" },
		{ "tokens without end", tokens_unterminated, "no symbol table" },
		{ "image ends in tokens", image_ends_in_tokens, "no symbol table" },
		{ "image ends in index", image_ends_in_index, "no symbol table" },
		{ "image ends in offsets", image_ends_in_offsets, "in a form" },
		{ "image starts in names", image_starts_in_names, "no symbol table" },
		{ "no banner", no_banner, "in a form" },
		{ "no data symbols", no_data_symbols, "CONFIG_KALLSYMS_ALL" },
		{ "wrong base", wrong_base, "in a form" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* 6.12's: all that matters is in front of the offsets, and they are behind */
		_cleanup_(fake_image_deinit) struct fake_image fake = fake_image(&layouts[3]);
		struct kallsyms *kallsyms = NULL;
		struct error err = {};

		cases[i].spoil(&fake);
		if (kallsyms_read(&kallsyms, &fake.image, &err) != -ENOTSUP || kallsyms ||
		    !strstr(err.message, cases[i].message))
			fail_msg("%s: %s", cases[i].name, err.message);
	}
}

/* A name may be as long as KSYM_NAME_LEN, and no longer. */
static void test_name_length(void **state)
{
	static const struct {
		size_t length;
		int result;
	} cases[] = { { 511, 0 }, { 512, -ENOTSUP } };
	const struct fake_layout *layout = &layouts[1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) uint8_t *bytes = calloc(1, SIZE);
		struct image image = { .bytes = bytes, .size = SIZE, .va = VA };
		struct kallsyms *kallsyms = NULL;
		char name[1024] = "t";

		memset(name + 1, 'y', cases[i].length);
		strcpy((char *)bytes + BANNER, "Linux version 6.1.0 (test)");
		fake_kallsyms(bytes, TABLES, VA, layout,
			      (struct fake_symbol[]){ { name, VA },
						      { "Dlinux_banner", VA + BANNER } },
			      2);
		assert_int_equal(kallsyms_read(&kallsyms, &image, NULL), cases[i].result);
		if (kallsyms)
			assert_int_equal(kallsyms_address(kallsyms, name + 1), VA);
		kallsyms_free(kallsyms);
	}
}

/* Whatever the guest puts there costs bounded time: nothing but digits, nothing but counts. */
static void test_hostile_cost(void **state)
{
	static const char digits[20] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	size_t size = 4U << 20;
	_cleanup_(freep) uint8_t *bytes = calloc(1, size);
	struct image image = { .bytes = bytes, .size = size, .va = VA };
	struct fake_tables tables = {};
	struct kallsyms *kallsyms = NULL;

	(void)state;
	for (size_t at = 0; at + sizeof(digits) <= size; at += sizeof(digits))
		memcpy(bytes + at, digits, sizeof(digits));
	assert_int_equal(kallsyms_read(&kallsyms, &image, NULL), -ENOTSUP);

	memset(bytes, 0, size);
	for (size_t at = 0; at < size / 2; at += 8)
		bytes[at + 1] = 1;
	fake_put_tokens(bytes, size / 2, &tables);
	assert_int_equal(kallsyms_read(&kallsyms, &image, NULL), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_entry_behind_tables),
		cmocka_unit_test(test_nothing_in_front_of_tokens),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_name_length),
		cmocka_unit_test(test_hostile_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
