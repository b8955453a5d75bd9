// SPDX-License-Identifier: GPL-2.0-or-later
/* The profile is faked at link time: this file must be linked in front of the library. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/patchable.h"
#include "sentry/probes.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (4 * MIB)
#define BASE 0xffffffff80000000ULL /* mapped to gpa 2 MiB */
#define LSM_TABLE (BASE + 0x1000)
#define JUMPS (BASE + 0x2000)
#define CALLS (BASE + 0x3000)
#define LOCKS (BASE + 0x4000)
#define PAGES (BASE + 0x5000) /* ftrace_page, 64 bytes each */
#define RECORDS (BASE + 0x6000)
#define PAGES_START (BASE + 0x7000)
#define PROBES (BASE + 0x8000) /* the table */
#define PROBE (BASE + 0x9000)
#define KEY (BASE + 0xa000)
#define LSM_KEY (BASE + 0xb000)
#define LSM_ACTIVE (BASE + 0xb100)
#define TEXT (BASE + 0x10000)
#define TRAMPOLINES (TEXT + 0x8000)
#define LSM_TRAMPOLINE (TRAMPOLINES + 16)
#define OPEN (TEXT + 0x9000) /* security_file_open */
#define TEXT_END (BASE + 0x20000)

static uint8_t *bytes;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };
static uint64_t jumps_end, calls_end, locks_end;
static struct sites sites;
static const struct hooks hooks = {
	.hook = { { .name = "file_ioctl" }, { .name = "file_open" } },
	.n = 2,
};

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	const struct {
		const char *name;
		uint64_t value;
	} symbols[] = {
		{ "_stext", TEXT },
		{ "_etext", TEXT_END },
		{ "static_calls_table", LSM_TABLE },
		{ "__start___jump_table", JUMPS },
		{ "__stop___jump_table", jumps_end },
		{ "__start_static_call_sites", CALLS },
		{ "__stop_static_call_sites", calls_end },
		{ "__static_call_text_start", TRAMPOLINES },
		{ "__static_call_text_end", TRAMPOLINES + 32 },
		{ "__smp_locks", LOCKS },
		{ "__smp_locks_end", locks_end },
		{ "ftrace_pages_start", PAGES_START },
		{ "ftrace_call", TEXT + 0x700 },
		{ "kprobe_table", PROBES },
	};

	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		if (!strcmp(symbols[i].name, name))
			return symbols[i].value;
	}
	return 0;
}

const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end)
{
	(void)profile;
	(void)ret_start;
	(void)ret_end;
	if (address >= OPEN && address < OPEN + 0x100)
		return "security_file_open";
	return address == LSM_TRAMPOLINE ? "__SCT__lsm_static_call_file_open_3" : "other";
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	static const struct {
		const char *path;
		struct profile_field field;
	} fields[] = {
		{ "lsm_static_call.key", { 0, 8 } }, { "lsm_static_call.active", { 8, 8 } },
		{ "ftrace_page.next", { 0, 8 } },    { "ftrace_page.records", { 8, 8 } },
		{ "ftrace_page.index", { 16, 4 } },  { "dyn_ftrace.ip", { 0, 8 } },
		{ "kprobe.hlist", { 0, 16 } },	     { "kprobe.addr", { 40, 8 } },
	};

	(void)profile;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) != 0)
			continue;
		*ret = fields[i].field;
		return 0;
	}
	return -ENOENT;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return !strcmp(name, "lsm_static_call")		 ? 16
	       : !strcmp(name, "lsm_static_calls_table") ? 16
	       : !strcmp(name, "jump_entry")		 ? 16
	       : !strcmp(name, "dyn_ftrace")		 ? 16
							 : 0;
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

static void add_jump(uint64_t code, uint64_t target, uint64_t key)
{
	put32(jumps_end, code - jumps_end);
	put32(jumps_end + 4, target - (jumps_end + 4));
	put64(jumps_end + 8, key - (jumps_end + 8));
	jumps_end += 16;
}

static void add_call(uint64_t code, uint64_t key)
{
	put32(calls_end, code - calls_end);
	put32(calls_end + 4, key - (calls_end + 4));
	calls_end += 8;
}

static void add_lock(uint64_t code)
{
	put32(locks_end, code - locks_end);
	locks_end += 4;
}

static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	assert_non_null(bytes);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes, 0 } }, .n_ranges = 1 };
	*(uint64_t *)(bytes + 0x1000 + 511 * 8) = 0x2000 | 3;
	*(uint64_t *)(bytes + 0x2000 + 510 * 8) = 0x3000 | 3;
	*(uint64_t *)(bytes + 0x3000) = (2 * MIB) | 0x1e3;
	jumps_end = JUMPS;
	calls_end = CALLS;
	locks_end = LOCKS;
	put64(LSM_TABLE, LSM_KEY);
	put64(LSM_TABLE + 8, LSM_ACTIVE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sites_clear(&sites);
	free(bytes);
	return 0;
}

static const struct site *read_and_find(uint64_t address)
{
	sites_clear(&sites);
	assert_int_equal(patchable_read(&sites, NULL, &hooks), 0);
	return sites_find(&sites, address);
}

static void expect(uint64_t address, enum site_kind kind, unsigned int size)
{
	const struct site *site = read_and_find(address);

	assert_non_null(site);
	assert_int_equal(site->address, address);
	assert_int_equal(site->kind, kind);
	assert_int_equal(site->size, size);
}

static void test_jumps(void **state)
{
	(void)state;
	memcpy(at(TEXT + 0x10), "\x66\x90", 2);
	memcpy(at(TEXT + 0x20), "\xeb\x05", 2);
	memcpy(at(TEXT + 0x30), "\x0f\x1f\x44\0\0", 5);
	memcpy(at(TEXT + 0x40), "\xe9\x05\0\0\0", 5);
	memcpy(at(TEXT + 0x50), "\xcc\x90", 2);
	for (uint64_t i = 0x10; i <= 0x60; i += 0x10)
		add_jump(TEXT + i, TEXT + 0x100 + i, KEY | (i & 0x10 ? 1 : 0));
	add_jump(TEXT_END + 0x10, TEXT, KEY);
	add_jump(TEXT_END - 4, TEXT, KEY);
	add_jump(TEXT + 0x70, TEXT, LSM_ACTIVE | 1);
	expect(TEXT + 0x10, SITE_JUMP, 2);
	expect(TEXT + 0x20, SITE_JUMP, 2);
	expect(TEXT + 0x30, SITE_JUMP, 5);
	expect(TEXT + 0x40, SITE_JUMP, 5);
	expect(TEXT + 0x50, SITE_JUMP, 2);
	assert_int_equal(read_and_find(TEXT + 0x30)->target, TEXT + 0x130);
	assert_null(read_and_find(TEXT_END + 0x10));
	assert_null(read_and_find(TEXT_END - 4));
	assert_null(read_and_find(TEXT + 0x70)); /* the LSM framework's: read-only after boot */
}

static void test_calls(void **state)
{
	(void)state;
	memcpy(at(TEXT + 0x30), "\x0f\x84\0\0\0\0", 6);
	add_call(TEXT + 0x10, KEY);
	add_call(TEXT + 0x20, KEY | 1);
	add_call(TEXT + 0x30, KEY | 1);
	add_call(TEXT + 0x40, LSM_KEY | 1);
	expect(TEXT + 0x10, SITE_CALL, 5);
	expect(TEXT + 0x20, SITE_TAIL, 5);
	expect(TEXT + 0x30, SITE_TAIL, 6);
	assert_null(read_and_find(TEXT + 0x40));
}

static void test_trampolines(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 32; i += 8)
		memcpy(at(TRAMPOLINES + i), "\xe9\0\0\0\0\x0f\xb9\xcc", 8);
	*at(TRAMPOLINES + 8 + 7) = 0;
	expect(TRAMPOLINES, SITE_TAIL, 5);
	assert_null(read_and_find(TRAMPOLINES + 8));
	assert_null(read_and_find(LSM_TRAMPOLINE));
	expect(TRAMPOLINES + 24, SITE_TAIL, 5);
}

static void test_traces(void **state)
{
	(void)state;
	put64(PAGES_START, PAGES);
	put64(PAGES, PAGES + 64);
	put64(PAGES + 8, RECORDS);
	put32(PAGES + 16, 2);
	put64(PAGES + 64 + 8, RECORDS + 64);
	put32(PAGES + 64 + 16, 2);
	put64(RECORDS, TEXT + 0x10);
	put64(RECORDS + 16, OPEN + 4);
	put64(RECORDS + 64, TEXT + 0x20);
	put64(RECORDS + 80, 0xffffffffc0001000ULL); /* a module's */
	expect(TEXT + 0x10, SITE_TRACE, 5);
	expect(TEXT + 0x20, SITE_TRACE, 5);
	assert_int_equal(read_and_find(TEXT + 0x10)->guarded, 0);
	assert_int_equal(read_and_find(OPEN + 4)->guarded, 2);
	expect(TEXT + 0x700, SITE_CALL, 5); /* ftrace_call */
	/* lies: a list without an end, too many, a place that is not there */
	put64(PAGES + 64, PAGES);
	assert_int_equal(patchable_read(&sites, NULL, &hooks), -E2BIG);
	assert_int_equal(sites.n, 0);
	put64(PAGES + 64, 0);
	put32(PAGES + 16, 0xffffffff);
	assert_int_equal(patchable_read(&sites, NULL, &hooks), -E2BIG);
	put32(PAGES + 16, 2);
	put64(PAGES + 8, 0x1000);
	assert_int_equal(patchable_read(&sites, NULL, &hooks), -EFAULT);
}

static void test_locks(void **state)
{
	(void)state;
	*at(TEXT + 0x10) = 0x3e;
	*at(TEXT + 0x20) = 0xf0;
	add_lock(TEXT + 0x10);
	add_lock(TEXT + 0x20);
	expect(TEXT + 0x10, SITE_LOCK, 1);
	assert_null(read_and_find(TEXT + 0x20)); /* has its own already */
}

static void test_probes(void **state)
{
	uint64_t probed = 0;

	(void)state;
	assert_false(probes_find(NULL, TEXT + 0x10, &probed));
	put64(PROBES + 63 * 8, PROBE);
	put64(PROBE, PROBE + 64);
	put64(PROBE + 40, TEXT + 0x10);
	put64(PROBE + 64 + 40, TEXT + 0x20);
	assert_false(probes_find(NULL, TEXT + 0xf, &probed));
	for (uint64_t i = 0; i < 5; i++) {
		assert_true(probes_find(NULL, TEXT + 0x20 + i, &probed));
		assert_int_equal(probed, TEXT + 0x20);
	}
	assert_false(probes_find(NULL, TEXT + 0x25, &probed));
	put64(PROBE + 64, PROBE); /* without an end */
	assert_false(probes_find(NULL, TEXT + 0x25, &probed));
	put64(PROBE + 64, 0x1000);
	assert_false(probes_find(NULL, TEXT + 0x25, &probed));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_jumps),  TEST(test_calls), TEST(test_trampolines),
		TEST(test_traces), TEST(test_locks), TEST(test_probes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
