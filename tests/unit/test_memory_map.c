// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "vmm/memory_map.h"

#define MIB (1ull << 20)

/* Shortened from QEMU 7.2, q35 with 6 GiB; the KVM marks are those it prints with -accel kvm. */
static const char q35[] =
	"FlatView #0\r\n"
	" AS \"I/O\", root: io\r\n"
	" Root memory region: io\r\n"
	"  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan\r\n"
	"\r\n"
	"FlatView #1\r\n"
	" AS \"cpu-smm-0\", root: memory\r\n"
	" Root memory region: memory\r\n"
	"  0000000000000000-00000000000fffff (prio 0, ram): in-smm-only\r\n"
	"\r\n"
	"FlatView #2\r\n"
	" AS \"memory\", root: system\r\n"
	" AS \"cpu-memory-0\", root: system\r\n"
	" Root memory region: system\r\n"
	"  0000000000000000-000000000009ffff (prio 0, ram): outguard-ram KVM\r\n"
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"
	"  00000000000c0000-00000000000c2fff (prio 0, rom): outguard-ram @00000000000c0000 KVM\r\n"
	"  00000000000c3000-000000007fffffff (prio 0, ram): outguard-ram @00000000000c3000 KVM\r\n"
	"  0000000090000000-0000000097ffffff (prio 0, nv-ram): dimm one\r\n"
	"  00000000b0000000-00000000bfffffff (prio 0, i/o): pcie-mmcfg-mmio\r\n"
	"  00000000fc000000-00000000fdffffff (prio 1, rom): outguard-vault KVM\r\n"
	"  00000000fe000000-00000000fe3fffff (prio 1, ram): /objects/outguard-mailbox\r\n"
	"  00000000fe400000-00000000fe4fffff (prio 1, ram): outguard-ram\r\n"
	"  00000000fed00000-00000000fed003ff (prio 0, romd): flash @not-an-offset\r\n"
	"  0000000100000000-00000001ffffffff (prio 0, ram): outguard-ram @0000000080000000\r\n"
	"\r\n"
	"FlatView #3\r\n"
	" Root memory region: (none)\r\n"
	"  No rendered FlatView\r\n";

static void test_regions(void **state)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(memory_map_parse(&map, q35, &err), 0);
	assert_int_equal(map.n_regions, 11);
	assert_string_equal(map.regions[0].name, "outguard-ram");
	assert_int_equal(map.regions[1].type, MEMORY_REGION_IO);
	assert_int_equal(map.regions[2].type, MEMORY_REGION_ROM);
	assert_int_equal(map.regions[2].offset, 0xc0000);
	assert_string_equal(map.regions[4].name, "dimm one");
	assert_int_equal(map.regions[4].type, MEMORY_REGION_RAM);
	assert_int_equal(map.regions[6].priority, 1);
	assert_string_equal(map.regions[9].name, "flash @not-an-offset");
	assert_int_equal(map.regions[9].offset, 0);
	assert_int_equal(map.regions[9].type, MEMORY_REGION_ROMD);
}

static void test_ram(void **state)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	struct memory_region parts[4] = { 0 };

	(void)state;
	assert_int_equal(memory_map_parse(&map, q35, NULL), 0);
	assert_int_equal(memory_map_ram(&map, "outguard-ram", parts, ARRAY_SIZE(parts)), 3);
	assert_int_equal(parts[0].gpa, 0);
	assert_int_equal(parts[0].size, 0xa0000);
	assert_int_equal(parts[1].gpa, 0xc0000); /* shadowed ROM and what follows it: one part */
	assert_int_equal(parts[1].offset, 0xc0000);
	assert_int_equal(parts[1].size, 0x80000000 - 0xc0000);
	assert_int_equal(parts[2].gpa, 0x100000000);
	assert_int_equal(parts[2].offset, 0x80000000);
	assert_int_equal(parts[2].size, 0x100000000);

	memset(&parts[1], 0xff, sizeof(parts[1]));
	assert_int_equal(memory_map_ram(&map, "outguard-ram", parts, 1), 3);
	assert_int_equal(parts[1].gpa, UINT64_MAX);
	assert_int_equal(memory_map_ram(&map, "outguard-vault", parts, 4), 0); /* a BAR */
	assert_int_equal(memory_map_ram(&map, "", parts, 4), 0);
}

static void test_find(void **state)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	const struct memory_region *vault, *mailbox;

	(void)state;
	assert_int_equal(memory_map_parse(&map, q35, NULL), 0);
	vault = memory_map_find(&map, "outguard-vault", 32 * MIB);
	assert_non_null(vault);
	assert_int_equal(vault->gpa, 0xfc000000);
	assert_int_equal(vault->type, MEMORY_REGION_ROM);
	mailbox = memory_map_find(&map, "outguard-mailbox", 4 * MIB);
	assert_non_null(mailbox);
	assert_int_equal(mailbox->gpa, 0xfe000000);
	assert_int_equal(mailbox->type, MEMORY_REGION_RAM);
	assert_null(memory_map_find(&map, "outguard-vault", 64 * MIB)); /* a part of it */
	assert_null(memory_map_find(&map, "nothing", 4 * MIB));
}

#define HEAD " AS \"memory\", root: system\n Root memory region: system\n"
#define GOOD "  0000000000000000-00000000000fffff (prio 0, ram): r\n"

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "no address space" },
	{ " AS \"I/O\", root: io\n" GOOD, "no address space" },
	{ HEAD, "no address space" },
	{ HEAD "  No rendered FlatView\n", "no address space" },
	{ HEAD GOOD "  nonsense\n", "not understood in QEMU's `info mtree -f`:  nonsense" },
	{ HEAD "  0000000000001000-0000000000000fff (prio 0, ram): r\n", "not understood" },
	{ HEAD "  0000000000000000-ffffffffffffffff (prio 0, ram): r\n", "not understood" },
	{ HEAD "  0000000000000000-0000000000000fff (prio 0, ram)\n", "not understood" },
	{ HEAD "  0000000000000000-\n0000000000000fff (prio 0, ram): r\n", "not understood" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct memory_map map = { 0 };
		struct error err = { 0 };

		if (memory_map_parse(&map, refused[i].text, &err) != -EBADMSG ||
		    !strstr(err.message, refused[i].message))
			fail_msg("row %zu: %d \"%s\"", i, err.code, err.message);
		assert_null(map.regions);
	}
}

static void test_limits(void **state)
{
	const size_t size = (MEMORY_MAP_MAX_REGIONS + 10) * sizeof(GOOD) + 1024;
	_cleanup_(freep) char *text = malloc(size);
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	struct error err = { 0 };
	char *at;

	(void)state;
	assert_non_null(text);
	at = stpcpy(text, HEAD);
	for (int i = 0; i <= MEMORY_MAP_MAX_REGIONS; i++)
		at = stpcpy(at, GOOD);
	assert_int_equal(memory_map_parse(&map, text, &err), -E2BIG);

	at = stpcpy(text, HEAD "  0000000000000000-0000000000000fff (prio 0, ram): ");
	memset(at, 'x', 600);
	strcpy(at + 600, "\n" GOOD);
	assert_int_equal(memory_map_parse(&map, text, &err), 0);
	assert_int_equal(map.n_regions, 2);
	assert_string_equal(map.regions[0].name, "");
}

static void test_address(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "Host virtual address for 0x100000000 (outguard-vault-1) is 0x7f0000001000\r\n",
		  0 },
		{ "Host virtual address for 0x100000000 (/objects/outguard-vault-1) is "
		  "0x7f0000001000\r\n",
		  0 },
		{ "Host virtual address for 0x100000000 (outguard-vault-10) is 0x7f0000001000\r\n",
		  -EAGAIN },
		{ "Host virtual address for 0x100000001 (outguard-vault-1) is 0x7f0000001000\r\n",
		  -EAGAIN },
		{ "Host virtual address for 0x100000000 (outguard-vault-1", -EAGAIN },
		{ "Host virtual address for 0x100000000 (", -EAGAIN },
		{ "Memory at address 0x100000000 is not RAM\r\n", -EAGAIN },
		{ "No memory is mapped at address 0x100000000\r\n", -EAGAIN },
		{ "", -EAGAIN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t address = 0;

		assert_int_equal(memory_map_parse_address(&address, cases[i].text, 1ull << 32,
							  "outguard-vault-1"),
				 cases[i].code);
		assert_int_equal(address, cases[i].code ? 0 : 0x7f0000001000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions), cmocka_unit_test(test_ram),
		cmocka_unit_test(test_find),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
