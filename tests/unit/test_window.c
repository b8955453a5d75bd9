// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine and the profile are faked at link time: this file must be linked in front of the library. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arm/window.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (4 * MIB)
#define IMAGE 0xffffffff80000000ULL
#define KERNEL (IMAGE + 0x1000000) /* mapped to gpa 2 MiB */
#define TABLE_GPA (2 * MIB + 0x10000) /* level2_kernel_pgt */
#define VAULT_GPA 0x100000000ULL
#define MAILBOX_GPA 0x110000000ULL

static uint8_t *bytes;
static struct ram ram;
static struct space space = { .ram = &ram, .root = 0x1000 };
static struct machine_device vault, mailbox;
static uint64_t symbol;

const struct ram *machine_ram(const struct machine *machine)
{
	(void)machine;
	return &ram;
}

const struct machine_device *machine_vault(const struct machine *machine)
{
	(void)machine;
	return &vault;
}

const struct machine_device *machine_mailbox(const struct machine *machine)
{
	(void)machine;
	return &mailbox;
}

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	assert_string_equal(name, "level2_kernel_pgt");
	return symbol;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return &space;
}

static uint64_t *word(uint64_t gpa)
{
	return (uint64_t *)(bytes + gpa);
}

static uint64_t *slot(unsigned int i)
{
	return word(TABLE_GPA + i * 8);
}

/* A kernel that maps its image's 1 GiB by level2_kernel_pgt, slots 8 to 19 of it in use. */
static int set_up(void **state)
{
	(void)state;
	bytes = aligned_alloc(4096, RAM_SIZE);
	assert_non_null(bytes);
	memset(bytes, 0, RAM_SIZE);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes } }, .n_ranges = 1 };
	*word(0x1000 + 511 * 8) = 0x2000 | 3;
	*word(0x2000 + 510 * 8) = TABLE_GPA | 3;
	for (unsigned int i = 8; i < 20; i++)
		*slot(i) = (2 * MIB + (i - 8) * 2 * MIB) | 0x1e3;
	symbol = KERNEL + 0x10000;
	vault = (struct machine_device){ .size = 16 * MIB, .gpa = VAULT_GPA };
	mailbox = (struct machine_device){ .size = 4 * MIB, .gpa = MAILBOX_GPA };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static void check_open(const struct window *window, unsigned int first)
{
	assert_int_equal(window->vault, IMAGE + first * 2 * MIB);
	assert_int_equal(window->mailbox, window->vault + vault.size);
	for (unsigned int i = 0; i < 10; i++) {
		uint64_t pa, va = window->vault + i * 2 * MIB + 0x1234;

		assert_int_equal(space_translate(&space, va, &pa, NULL), 0);
		assert_int_equal(pa, 0x1234 + (i < 8 ? VAULT_GPA + i * 2 * MIB
						     : MAILBOX_GPA + (i - 8) * 2 * MIB));
		/* vault: read and execute; mailbox: read and write; neither is the user's, or global */
		assert_int_equal(!!(*slot(first + i) & 2), i >= 8);
		assert_int_equal(*slot(first + i) >> 63, i >= 8);
		assert_int_equal(*slot(first + i) & 0x104, 0);
		/* a page walk has nothing to write */
		assert_int_equal(*slot(first + i) & 0x60, 0x60);
	}
}

static void test_open_close(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct window window;

	(void)state;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(window_find(&window, NULL, NULL, NULL), 0);
	assert_memory_equal(before, bytes, RAM_SIZE);
	assert_false(window_is_open(&window, &ram));
	assert_int_equal(window_open(&window, &ram, NULL), 0);
	check_open(&window, 502);
	assert_true(window_is_open(&window, &ram));
	assert_int_equal(window_open(&window, &ram, NULL), -EBUSY);
	window_close(&window, &ram);
	assert_false(window_is_open(&window, &ram));
	assert_memory_equal(before, bytes, RAM_SIZE);
}

/* KASLR may have put the kernel anywhere: the highest run that is long enough. */
static void test_runs(void **state)
{
	static const struct {
		unsigned int from, to; /* slots in use, too */
		int first; /* or an error */
	} rows[] = {
		{ 0, 0, 502 },	      { 511, 512, 501 }, { 505, 506, 495 },    { 20, 502, 502 },
		{ 20, 503, -ENOSPC }, { 30, 512, 20 },	 { 29, 512, -ENOSPC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct window window = { .vault = 1 };
		struct error err = { 0 };
		int r;

		tear_down(state);
		set_up(state);
		for (unsigned int s = rows[i].from; s < rows[i].to; s++)
			*slot(s) = 1;
		r = window_find(&window, NULL, NULL, &err);
		if (rows[i].first < 0) {
			assert_int_equal(r, rows[i].first);
			assert_int_equal(window.vault, 1);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(window_open(&window, &ram, NULL), 0);
		check_open(&window, (unsigned int)rows[i].first);
	}
}

static void test_taken_meanwhile(void **state)
{
	_cleanup_(freep) uint8_t *before = malloc(RAM_SIZE);
	struct window window;

	(void)state;
	assert_int_equal(window_find(&window, NULL, NULL, NULL), 0);
	*slot(507) = 0x1e3;
	memcpy(before, bytes, RAM_SIZE);
	assert_int_equal(window_open(&window, &ram, NULL), -EBUSY);
	assert_memory_equal(before, bytes, RAM_SIZE);
}

/* Whatever the guest does to one entry, it shows. */
static void test_tampering(void **state)
{
	struct window window;

	(void)state;
	assert_int_equal(window_find(&window, NULL, NULL, NULL), 0);
	assert_int_equal(window_open(&window, &ram, NULL), 0);
	for (unsigned int i = 502; i < 512; i++) {
		for (unsigned int bit = 0; bit < 64; bit++) {
			*slot(i) ^= 1ULL << bit;
			assert_false(window_is_open(&window, &ram));
			*slot(i) ^= 1ULL << bit;
		}
	}
	assert_true(window_is_open(&window, &ram));
}

static void test_devices(void **state)
{
	struct window window;
	struct error err = { 0 };

	(void)state;
	mailbox.gpa = 0;
	assert_int_equal(window_find(&window, NULL, NULL, &err), -EAGAIN);
	assert_non_null(strstr(err.message, "mailbox"));
	vault.gpa = 0;
	assert_int_equal(window_find(&window, NULL, NULL, &err), -EAGAIN);
	assert_non_null(strstr(err.message, "vault"));
	vault.gpa = VAULT_GPA + MIB;
	assert_int_equal(window_find(&window, NULL, NULL, &err), -EINVAL);
	vault.gpa = VAULT_GPA;
	mailbox.gpa = MAILBOX_GPA;
	mailbox.size = MIB;
	assert_int_equal(window_find(&window, NULL, NULL, &err), -EINVAL);
}

static void test_strange_kernels(void **state)
{
	struct window window = { 0 };

	(void)state;
	symbol = 0;
	assert_int_equal(window_find(&window, NULL, NULL, NULL), -ENOTSUP);
	symbol = 0x1000; /* not mapped */
	assert_int_equal(window_find(&window, NULL, NULL, NULL), -ENOTSUP);
	symbol = KERNEL + RAM_SIZE - 2 * MIB - 4096 + 8; /* the table would end outside RAM */
	assert_true(window_find(&window, NULL, NULL, NULL) < 0);
	assert_false(window_is_open(&window, &ram)); /* an empty record is nothing */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open_close), TEST(test_runs),	   TEST(test_taken_meanwhile),
		TEST(test_tampering),  TEST(test_devices), TEST(test_strange_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
