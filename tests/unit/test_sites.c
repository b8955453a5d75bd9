// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/sites.h"

#define TEXT 0xffffffff81000000ULL
#define FUNCTION (TEXT + 0x5000)
#define LOADED 0xffffffffc0001000ULL
#define TRACER (TEXT + 0x7000)
#define AT (TEXT + 0x100)

static bool is_function(uint64_t address, void *data)
{
	(void)data;
	return address == FUNCTION || address == TRACER;
}

static bool is_loaded(uint64_t address, void *data)
{
	(void)data;
	return address >= 0xffffffffc0000000ULL && address < 0xffffffffff000000ULL;
}

static const struct site_world world = {
	.is_function = is_function,
	.is_loaded = is_loaded,
	.tracer = { TRACER },
};

/* An instruction of five bytes with a distance. */
static const uint8_t *to(uint8_t opcode, uint64_t target)
{
	static uint8_t code[6];
	int32_t distance = (int32_t)(target - AT - 5);

	code[0] = opcode;
	memcpy(code + 1, &distance, 4);
	return code;
}

#define BYTES(...) ((const uint8_t[]){ __VA_ARGS__ })
#define NOP5 BYTES(0x0f, 0x1f, 0x44, 0, 0)

static void expect(const struct site *site, const uint8_t *found, enum site_verdict verdict)
{
	assert_int_equal(site_judge(site, found, &world), verdict);
}

static void test_jump(void **state)
{
	const struct site site = {
		.address = AT, .target = AT + 0x40, .kind = SITE_JUMP, .size = 5
	};
	const struct site brief = {
		.address = AT, .target = AT + 0x40, .kind = SITE_JUMP, .size = 2
	};

	(void)state;
	expect(&site, NOP5, SITE_RESTS);
	expect(&site, to(0xe9, AT + 0x40), SITE_ALLOWED);
	expect(&site, to(0xe9, AT + 0x41), SITE_FOREIGN);
	expect(&site, to(0xe8, AT + 0x40), SITE_FOREIGN);
	expect(&site, to(0xcc, AT + 0x40), SITE_CHANGING);
	expect(&site, to(0xcc, AT + 0x41), SITE_FOREIGN);
	expect(&site, BYTES(0xcc, 0x1f, 0x44, 0, 0), SITE_CHANGING);
	expect(&site, BYTES(0x90, 0x90, 0x90, 0x90, 0x90), SITE_FOREIGN);
	expect(&brief, BYTES(0x66, 0x90), SITE_RESTS);
	expect(&brief, BYTES(0xeb, 0x3e), SITE_ALLOWED);
	expect(&brief, BYTES(0xeb, 0x3d), SITE_FOREIGN);
	expect(&brief, BYTES(0xcc, 0x3e), SITE_CHANGING);
	expect(&brief, BYTES(0xcc, 0x3d), SITE_FOREIGN);
}

static void test_call(void **state)
{
	const struct site site = { .address = AT, .kind = SITE_CALL, .size = 5 };

	(void)state;
	expect(&site, NOP5, SITE_RESTS);
	expect(&site, BYTES(0x2e, 0x2e, 0x2e, 0x31, 0xc0), SITE_RESTS);
	expect(&site, to(0xe8, FUNCTION), SITE_ALLOWED);
	expect(&site, to(0xe8, FUNCTION + 1), SITE_FOREIGN);
	expect(&site, to(0xe8, LOADED), SITE_ALLOWED);
	expect(&site, to(0xe9, FUNCTION), SITE_FOREIGN);
	expect(&site, to(0xcc, FUNCTION), SITE_CHANGING);
	expect(&site, BYTES(0x31, 0xc0, 0x90, 0x90, 0x90), SITE_FOREIGN);
}

static void test_tail(void **state)
{
	const struct site site = { .address = AT, .kind = SITE_TAIL, .size = 5 };
	const struct site branch = { .address = AT - 1, .kind = SITE_TAIL, .size = 6 };
	uint8_t code[6] = { 0x0f, 0x84 };

	(void)state;
	expect(&site, BYTES(0xc3, 0xcc, 0xcc, 0xcc, 0xcc), SITE_RESTS);
	expect(&site, BYTES(0xc3, 0xcc, 0x90, 0x90, 0x90), SITE_RESTS);
	expect(&site, BYTES(0xc3, 0xcc, 0x90, 0x90, 0x91), SITE_FOREIGN);
	expect(&site, to(0xe9, FUNCTION), SITE_ALLOWED);
	expect(&site, to(0xe9, FUNCTION - 4), SITE_FOREIGN);
	memcpy(code + 2, to(0, FUNCTION) + 1, 4);
	expect(&branch, code, SITE_ALLOWED);
	code[1] = 0x74;
	expect(&branch, code, SITE_FOREIGN);
}

static void test_trace(void **state)
{
	const struct site site = { .address = AT, .kind = SITE_TRACE, .size = 5 };

	(void)state;
	expect(&site, NOP5, SITE_RESTS);
	expect(&site, to(0xe8, TRACER), SITE_ALLOWED);
	expect(&site, to(0xe8, LOADED), SITE_ALLOWED);
	expect(&site, to(0xe8, FUNCTION), SITE_FOREIGN);
	expect(&site, to(0xe9, LOADED), SITE_FOREIGN);
	expect(&site, to(0xcc, LOADED), SITE_CHANGING);
	expect(&site, BYTES(0x31, 0xc0, 0xc3, 0, 0), SITE_FOREIGN);
}

static void test_lock(void **state)
{
	const struct site site = { .address = AT, .kind = SITE_LOCK, .size = 1 };

	(void)state;
	expect(&site, BYTES(0xf0), SITE_RESTS);
	expect(&site, BYTES(0x3e), SITE_RESTS);
	expect(&site, BYTES(0xcc), SITE_FOREIGN);
}

static void test_find(void **state)
{
	struct sites sites = { 0 };
	const struct site *found;

	(void)state;
	for (uint64_t i = 5000; i-- > 0;)
		assert_int_equal(sites_add(&sites, &(struct site){ .address = TEXT + i * 16,
								   .size = i % 2 ? 5 : 2 }),
				 0);
	sites_sort(&sites);
	assert_null(sites_find(&sites, TEXT - 1));
	for (uint64_t i = 0; i < 5000; i++) {
		for (uint64_t j = 0; j < 16; j++) {
			found = sites_find(&sites, TEXT + i * 16 + j);
			if (j >= (i % 2 ? 5 : 2))
				assert_null(found);
			else
				assert_int_equal(found->address, TEXT + i * 16);
		}
	}
	sites_clear(&sites);
	assert_null(sites_find(&sites, TEXT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jump), cmocka_unit_test(test_call),
		cmocka_unit_test(test_tail), cmocka_unit_test(test_trace),
		cmocka_unit_test(test_lock), cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
