// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sentry/cpus.h"

#define MIB (1ULL << 20)
#define RAM_SIZE (4 * MIB)
#define WINDOW 0xffffffffbfe00000ULL
#define IDT 0xfffffe0000000000ULL
#define LMA (1ULL << 10)
#define SVME (1ULL << 12)
#define WP_PG (1ULL << 31 | 1ULL << 16)
#define SMEP (1ULL << 20)
#define SMAP (1ULL << 21)

static uint8_t *bytes;
static struct ram ram;
static struct cpus cpus;
static struct cpu cpu[2];
static char what[256];

static uint64_t *at(uint64_t gpa)
{
	return (uint64_t *)(bytes + gpa);
}

/* Two processes' tables, which share the kernel's; and a third's, which leads elsewhere. */
static int set_up(void **state)
{
	(void)state;
	bytes = calloc(1, RAM_SIZE);
	assert_non_null(bytes);
	ram = (struct ram){ .ranges = { { 0, RAM_SIZE, bytes, 0 } }, .n_ranges = 1 };
	*at(0x2000 + 511 * 8) = *at(0x4000 + 511 * 8) = 0x10000 | 3;
	*at(0x6000 + 511 * 8) = 0x20000 | 3;
	*at(0x10000 + 510 * 8) = 0x11000 | 3;
	*at(0x20000 + 510 * 8) = 0x21000 | 3;
	*at(0x11000 + 511 * 8) = *at(0x21000 + 511 * 8) = (2 * MIB) | 0x81;
	*at(0x2000 + 508 * 8) = *at(0x4000 + 508 * 8) = *at(0x6000 + 508 * 8) = 0x30000 | 3;
	*at(0x30000) = 0x31000 | 3;
	*at(0x31000) = 0x32000 | 3;
	*at(0x32000) = 0x33000 | 3;
	*at(0x32000 + 8) = 0x34000 | 3;
	cpus = (struct cpus){
		.ram = &ram,
		.window = WINDOW,
		.window_entry = 0x11000 + 511 * 8,
		.space = { &ram, 0x2000, false },
		.idt = 0x33000,
	};
	cpu[0] = (struct cpu){ .rip = 0xffffffff81000000ULL,
			       .cr0 = WP_PG,
			       .cr3 = 0x2000,
			       .cr4 = SMEP | SMAP,
			       .efer = LMA,
			       .idt_base = IDT,
			       .idt_limit = 4095 };
	cpu[1] = cpu[0];
	cpu[1].cr3 = 0x4000;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static bool look(void)
{
	what[0] = '\0';
	return cpus_look(&cpus, cpu, 2, what, sizeof(what));
}

static void test_faults(void **state)
{
	static const struct {
		unsigned int fault;
		const char *text;
	} faults[] = {
		{ CPUS_TABLES, "vCPU 1: page tables that do not lead to the guard" },
		{ CPUS_IDT, "vCPU 1: another interrupt table" },
		{ CPUS_WP, "vCPU 1: CR0.WP is off" },
		{ CPUS_SMEP, "vCPU 1: CR4.SMEP is off" },
		{ CPUS_SMAP, "vCPU 1: CR4.SMAP is off" },
	};
	const struct cpu good = cpu[1];

	(void)state;
	assert_false(look());
	for (size_t i = 0; i < 5; i++) {
		if (faults[i].fault == CPUS_TABLES)
			cpu[1].cr3 = 0x6000;
		if (faults[i].fault == CPUS_IDT)
			cpu[1].idt_base = IDT + 4096;
		if (faults[i].fault == CPUS_WP)
			cpu[1].cr0 &= ~(1ULL << 16);
		if (faults[i].fault == CPUS_SMEP)
			cpu[1].cr4 &= ~SMEP;
		if (faults[i].fault == CPUS_SMAP)
			cpu[1].cr4 &= ~SMAP;
		assert_int_equal(cpus_judge(&cpus, &cpu[1]), faults[i].fault);
		assert_false(look()); /* once is no time */
		assert_true(look());
		assert_string_equal(what, faults[i].text);
		assert_true(cpus_any(&cpus));
		assert_false(look()); /* told */
		cpu[1] = good;
		assert_false(look());
		assert_false(cpus_any(&cpus));
	}
}

/* In user mode with page-table isolation, the table beside counts; in the kernel it does not. */
static void test_isolation(void **state)
{
	(void)state;
	assert_false(look());
	cpu[0].cr3 = 0x3000;
	cpu[0].rip = 0x400000;
	assert_int_equal(cpus_judge(&cpus, &cpu[0]), 0);
	cpu[0].rip = 0xffffffff81000000ULL;
	assert_int_equal(cpus_judge(&cpus, &cpu[0]), CPUS_TABLES);
	cpu[0].rip = 0x400000;
	cpu[0].cr3 = 0x7000; /* of the third's */
	assert_int_equal(cpus_judge(&cpus, &cpu[0]), CPUS_TABLES);
}

/* Not started, in the firmware, a guest's guest. */
static void test_others(void **state)
{
	(void)state;
	cpu[1].cr0 = 0;
	assert_false(look());
	assert_false(look());
	cpu[1].cr0 = WP_PG;
	cpu[1].cr3 = 0x100000;
	cpu[1].idt_base = 0x5000;
	assert_false(look());
	assert_false(look()); /* never was in the kernel */
	cpu[1] = cpu[0];
	assert_false(look());
	cpu[1].cr3 = 0x6000;
	assert_false(look());
	cpu[0].efer |= SVME;
	assert_false(look());
	cpu[1].cr4 = 0;
	assert_false(look());
	assert_false(look());
}

/* An older CPU has neither. */
static void test_old_cpu(void **state)
{
	(void)state;
	cpu[0].cr4 = cpu[1].cr4 = SMEP;
	assert_false(look());
	assert_false(look());
	cpu[0].cr4 = 0;
	assert_false(look());
	assert_true(look());
	assert_string_equal(what, "vCPU 0: CR4.SMEP is off");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_faults),
		TEST(test_isolation),
		TEST(test_others),
		TEST(test_old_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
