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
#include "vmm/pci.h"
#include "vmm/qmp.h"

#define MIB (1ULL << 20)
#define MAILBOX (4 * MIB)

/* From QEMU 7.2, shortened. */
#define HOST(device)                                                                             \
	"{\"bus\": 0, \"slot\": 0, \"function\": 0, \"class_info\": {\"class\": 1536}, \"id\": " \
	"{\"vendor\": 32902, \"device\": " #device "}, \"qdev_id\": \"\", \"regions\": []}"
#define DISK                                                                                    \
	"{\"bus\": 0, \"slot\": 1, \"function\": 0, \"class_info\": {\"class\": 264}, \"id\": " \
	"{\"vendor\": 6966, \"device\": 16}, \"qdev_id\": \"disk\", \"regions\": []}"
#define RANGE(base, limit) "{\"base\": " #base ", \"limit\": " #limit "}"
#define PORT(slot, name, prefetchable, memory, behind)                                             \
	"{\"bus\": 0, \"slot\": " #slot ", \"function\": 0, \"class_info\": {\"class\": 1540}, "   \
	"\"id\": {\"vendor\": 6966, \"device\": 12}, \"qdev_id\": \"" name "\", \"regions\": [], " \
	"\"pci_bridge\": {\"bus\": {\"number\": 0, \"secondary\": 1, \"subordinate\": 1, "         \
	"\"io_range\": " RANGE(4096, 8191) ", \"memory_range\": " memory ", "                      \
					   "\"prefetchable_range\":"                               \
					   " " prefetchable "}, \"devices\": [" behind "]}}"
#define BUS(devices) "[{\"bus\": 0, \"devices\": [" devices "]}]"

#define NONE RANGE(0, 0)
/* at 4 GiB */
#define WINDOW_2M RANGE(4294967296, 4297064447)
#define WINDOW_16M RANGE(4294967296, 4311744511)
#define WINDOW_128M RANGE(4294967296, 4429185023)
/* 64 MiB that begin 2 MiB above a multiple of it */
#define WINDOW_ASKEW RANGE(4297064448, 4364173311)
/* below 4 GiB, 2 MiB */
#define MEMORY_2M RANGE(4263510016, 4265607167)

static int find(struct pci_place *places, size_t n, const char *text, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *answer = json_tokener_parse(text);

	assert_non_null(answer);
	return pci_find_places(places, n, answer, MAILBOX, err);
}

static void test_places(void **state)
{
	static const struct {
		const char *answer;
		struct pci_place places[3]; /* the first ones */
		int n;
	} cases[] = {
		{ BUS(HOST(4663)), { { "pci.0", "pci.0", false, 64 * MIB } }, 1 },
		{ BUS(HOST(10688) "," PORT(2, "rp", WINDOW_128M, MEMORY_2M, "")),
		  { { "rp", "rp", true, 64 * MIB },
		    { "rp", "rp", true, 32 * MIB },
		    { "rp", "rp", true, 16 * MIB } },
		  4 },
		/* what is in use, and what has no name, is not taken */
		{ BUS(HOST(10688) "," PORT(2, "full", WINDOW_128M, MEMORY_2M, DISK) "," PORT(
			  3, "", WINDOW_128M, MEMORY_2M, "") "," PORT(4, "rp", WINDOW_16M, NONE,
								      "")),
		  { { "rp", "rp", true, 8 * MIB } },
		  1 },
		/* two ports: each has its best use */
		{ BUS(PORT(2, "a", WINDOW_ASKEW, NONE, "") "," PORT(3, "b", WINDOW_16M, NONE, "")),
		  { { "a", "a", true, 32 * MIB },
		    { "a", "a", true, 16 * MIB },
		    { "b", "a", false, 16 * MIB } },
		  5 },
		{ BUS(PORT(2, "a", RANGE(4294967296, 4362076159), NONE,
			   "") "," PORT(3, "b", WINDOW_16M, NONE, "")),
		  { { "a", "b", false, 64 * MIB },
		    { "a", "a", true, 32 * MIB },
		    { "a", "a", true, 16 * MIB } },
		  6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pci_place places[16];
		struct error err = { 0 };
		int n = find(places, ARRAY_SIZE(places), cases[i].answer, &err);

		if (n != cases[i].n)
			fail_msg("case %zu: %d \"%s\"", i, n, err.message);
		for (int j = 0; j < n && j < 3; j++) {
			const struct pci_place *right = &cases[i].places[j];

			assert_string_equal(places[j].vault_bus, right->vault_bus);
			assert_string_equal(places[j].mailbox_bus, right->mailbox_bus);
			assert_int_equal(places[j].vault_size, right->vault_size);
			assert_int_equal(places[j].one_slot, right->one_slot);
		}
		assert_int_equal(find(places, 1, cases[i].answer, &err), 1);
	}
}

static void test_no_place(void **state)
{
	static const struct {
		const char *answer;
		int code;
		const char *message;
	} cases[] = {
		{ BUS(HOST(10688)), -ENODEV, "no free PCI slot" },
		{ BUS(HOST(10688) "," PORT(2, "rp", WINDOW_2M, MEMORY_2M, "")), -ENODEV,
		  "windows of at most 2 MiB" },
		{ BUS(PORT(2, "rp", RANGE(9000000000, 1), RANGE(1, 18446744073709551615), "")),
		  -ENODEV, "windows of at most 0 MiB" },
		{ BUS(PORT(2, "rp", "7", "null", "")), -ENODEV, "windows of at most 0 MiB" },
		{ "[]", -ENODEV, "no PCI bus" },
		{ "{}", -EPROTO, "no list" },
		{ "[1, null, {\"devices\": 3}, {\"devices\": [null, 1, {\"pci_bridge\": 1}]}]",
		  -ENODEV, "no free PCI slot" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pci_place places[16];
		struct error err = { 0 };

		if (find(places, ARRAY_SIZE(places), cases[i].answer, &err) != cases[i].code ||
		    !strstr(err.message, cases[i].message))
			fail_msg("case %zu: %d \"%s\"", i, err.code, err.message);
		if (strstr(err.message, "PCI slot"))
			assert_non_null(strstr(err.message, "-device pcie-root-port,"));
	}
}

#define DEVICE(regions)                                                                \
	"{\"bus\": 3, \"slot\": 0, \"function\": 1, \"qdev_id\": \"outguard-vault\", " \
	"\"regions\": [" regions "]}"
#define REGION(bar, address) \
	"{\"bar\": " #bar ", \"type\": \"memory\", \"size\": 256, \"address\": " #address "}"

static void test_address(void **state)
{
	static const struct {
		const char *answer;
		uint64_t address;
	} cases[] = {
		{ BUS(HOST(10688) "," DEVICE(REGION(0, 4261412864) "," REGION(2, 4294967296))),
		  4294967296 },
		{ BUS(PORT(2, "rp", WINDOW_128M, MEMORY_2M, DEVICE(REGION(2, 4294967296)))),
		  4294967296 },
		/* what QEMU says of one without an address */
		{ BUS(DEVICE(REGION(2, -1))), 0 },
		{ BUS(DEVICE(REGION(2, 18446744073709551615))), 0 },
		{ BUS(DEVICE(REGION(2, 9007199254740992))), 0 },
		{ BUS(DEVICE(REGION(1, 4294967296))), 0 },
		{ BUS(DEVICE("")), 0 },
		{ BUS(HOST(10688)), 0 },
		{ "[{\"devices\": [{\"qdev_id\": \"outguard-vault\", \"regions\": {}}]}]", 0 },
		{ "3", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(json_object_putp) struct json_object *answer =
			json_tokener_parse(cases[i].answer);

		assert_non_null(answer);
		assert_int_equal(pci_find_address(answer, "outguard-vault", 2), cases[i].address);
		assert_int_equal(pci_find_address(answer, "outguard-mailbox", 2), 0);
	}
	assert_int_equal(pci_find_address(NULL, "outguard-vault", 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
