// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel of four functions and their unwind tables, in each form that these have had. The profile is faked at link
 * time.
 */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "introspect/reader.h"
#include "introspect/unwind.h"
#include "util/cleanup.h"

#define BASE 0xffff888000000000ULL
#define SIZE (4U << 20)
#define STACK (BASE + 0x10000)
#define TOP (STACK + 16384)
#define IPS (BASE + 0x20000)
#define ENTRIES (BASE + 0x21000)
#define TEXT (BASE + 0x200000)
#define TEXT_END (TEXT + 0x1000)

/* Functions, by where they begin. */
#define ENTRY TEXT /* the way in from user mode */
#define CALLER (TEXT + 0x100) /* two words of its own */
#define FRAMED (TEXT + 0x200) /* with a frame pointer */
#define INTERRUPT (TEXT + 0x300)
#define SWITCH (TEXT + 0x400) /* nothing of its own */
#define FORKED (TEXT + 0x500)
#define ODD (TEXT + 0x600)

#define REGS_SIZE 168
#define REGS_BP 32
#define REGS_IP 128
#define REGS_CS 136
#define REGS_SP 152
#define FRAME_SIZE 56
#define FRAME_BP 40
#define FRAME_IP 48

enum form {
	FORM_END, /* up to 6.2 */
	FORM_BOTH, /* 6.3 */
	FORM_SIGNAL, /* since 6.4 */
};

static _Alignas(4096) uint8_t bytes[SIZE];
static const struct ram ram = { .ranges = { { 0, SIZE, bytes } }, .n_ranges = 1 };
static const struct space space = { .ram = &ram, .root = 0x1000 };
static const struct kernel kernel = { .space = &space };
static struct kernel_stack thread;
static enum form form;
static const char *lacks;
static uint64_t seen[512];
static size_t n_seen;

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	static const struct {
		const char *path;
		struct profile_field field;
	} fields[] = {
		{ "inactive_task_frame.bp", { FRAME_BP, 8 } },
		{ "inactive_task_frame.ret_addr", { FRAME_IP, 8 } },
		{ "pt_regs.bp", { REGS_BP, 8 } },
		{ "pt_regs.ip", { REGS_IP, 8 } },
		{ "pt_regs.cs", { REGS_CS, 8 } },
		{ "pt_regs.sp", { REGS_SP, 8 } },
		{ "orc_entry.end", { 4, 4 } },
		{ "orc_entry.signal", { 4, 4 } },
	};

	(void)profile;
	if ((form == FORM_END && !strcmp(path, "orc_entry.signal")) ||
	    (form == FORM_SIGNAL && !strcmp(path, "orc_entry.end")) ||
	    (lacks && !strcmp(path, lacks)))
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (strcmp(fields[i].path, path) == 0) {
			*ret = fields[i].field;
			return 0;
		}
	}
	return -ENOENT;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	return strcmp(name, "orc_entry") == 0 ? 6 : FRAME_SIZE;
}

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	if (lacks && !strcmp(name, lacks))
		return 0;
	if (!strcmp(name, "__start_orc_unwind_ip"))
		return IPS;
	if (!strcmp(name, "__stop_orc_unwind_ip"))
		return IPS + 7 * 4;
	if (!strcmp(name, "__start_orc_unwind"))
		return ENTRIES;
	if (!strcmp(name, "_stext"))
		return TEXT;
	if (!strcmp(name, "_etext"))
		return TEXT_END;
	return !strcmp(name, "ret_from_fork") ? FORKED : 0;
}

static void put(uint64_t address, uint64_t value)
{
	memcpy(bytes + (address - BASE), &value, sizeof(value));
}

enum {
	CALL,
	REGS,
	IRET,
	END
};

static void put_entry(unsigned int i, uint64_t ip, int sp_offset, unsigned int sp_reg,
		      int bp_offset, unsigned int bp_reg, unsigned int type)
{
	static const unsigned int newer[] = { 2, 3, 4, 1 };
	unsigned int bits = sp_reg | bp_reg << 4, signal = type == REGS;
	struct {
		int16_t sp_offset, bp_offset;
		uint16_t bits;
	} raw = { (int16_t)sp_offset, (int16_t)bp_offset, 0 };
	int32_t distance = (int32_t)(ip - (IPS + i * 4));

	if (form == FORM_SIGNAL)
		bits |= newer[type] << 8 | signal << 11;
	else if (form == FORM_BOTH)
		bits |= (type == END ? 0 : type) << 8 | signal << 10 | (type == END) << 11;
	else
		bits |= (type == END ? 0 : type) << 8 | (type == END) << 10;
	raw.bits = (uint16_t)bits;
	memcpy(bytes + (IPS - BASE) + i * 4, &distance, 4);
	memcpy(bytes + (ENTRIES - BASE) + i * 6, &raw, 6);
}

static void set_up_tables(void)
{
	enum {
		NONE = 0,
		PREV = 1,
		BP = 4,
		SP = 5
	};

	put_entry(0, ENTRY, 0, SP, 0, NONE, REGS);
	put_entry(1, CALLER, 24, SP, 0, NONE, CALL);
	put_entry(2, FRAMED, 16, BP, -16, PREV, CALL);
	put_entry(3, INTERRUPT, 0, SP, 0, NONE, REGS);
	put_entry(4, SWITCH, 8, SP, 0, NONE, CALL);
	put_entry(5, FORKED, 0, NONE, 0, NONE, END);
	put_entry(6, ODD, 0, 6, 0, NONE, CALL); /* by R10 */
}

static void set_up(enum form of)
{
	uint64_t *table = (uint64_t *)(void *)bytes;

	memset(bytes, 0, sizeof(bytes));
	table[512 + 273] = 0x2000 | 1;
	table[1024] = 0x3000 | 1;
	table[1536] = 0x81;
	table[1537] = 0x200000 | 0x81;
	form = of;
	lacks = NULL;
	n_seen = 0;
	thread = (struct kernel_stack){ .stack = STACK };
	set_up_tables();
}

/* Registers at the stack's top, as the way in from user mode leaves them. */
static uint64_t put_user(uint64_t cs)
{
	uint64_t regs = TOP - REGS_SIZE;

	put(regs + REGS_CS, cs);
	put(regs + REGS_IP, 0x400000);
	return regs;
}

static void sleep_at(uint64_t sp, uint64_t ip, uint64_t bp)
{
	thread.saved_sp = sp - FRAME_SIZE;
	put(thread.saved_sp + FRAME_IP, ip);
	put(thread.saved_sp + FRAME_BP, bp);
}

static int see(uint64_t address, void *data)
{
	seen[n_seen++] = address;
	return data && address == *(const uint64_t *)data;
}

/* user -> ENTRY -> FRAMED -> (interrupted) -> INTERRUPT -> CALLER -> SWITCH, with words left over in between */
static void set_up_long(void)
{
	uint64_t user = put_user(0x33), frame = user - 16, inner = frame - 64 - REGS_SIZE;

	put(user - 8, ENTRY + 5); /* FRAMED returns there */
	put(frame, 0x1234); /* the base pointer it was called with */
	put(frame - 24, TEXT + 0x310); /* left over */
	put(inner + REGS_IP, FRAMED); /* its first instruction: not to be looked up before it */
	put(inner + REGS_CS, 0x10);
	put(inner + REGS_SP, frame - 64);
	put(inner + REGS_BP, frame);
	put(inner - 8, INTERRUPT + 9); /* CALLER returns there */
	put(inner - 16, SWITCH + 3); /* left over in CALLER's own */
	put(inner - 24, ODD + 3);
	put(inner - 32, CALLER + 7); /* SWITCH returns there */
	sleep_at(inner - 32, SWITCH + 5, 0xdead);
}

static void test_long(void **state)
{
	static const uint64_t expected[] = { SWITCH + 5, CALLER + 7, INTERRUPT + 9, FRAMED,
					     ENTRY + 5 };

	(void)state;
	for (enum form of = FORM_END; of <= FORM_SIGNAL; of++) {
		set_up(of);
		set_up_long();
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), 0);
		assert_int_equal(n_seen, ARRAY_SIZE(expected));
		assert_memory_equal(seen, expected, sizeof(expected));
	}
}

static void test_stops(void **state)
{
	uint64_t wanted = CALLER + 7;

	(void)state;
	set_up(FORM_END);
	set_up_long();
	assert_int_equal(kernel_unwind(&kernel, &thread, see, &wanted), 1);
	assert_int_equal(n_seen, 2);
}

/* One that has not run yet, and a kernel thread. */
static void test_first_function(void **state)
{
	(void)state;
	for (enum form of = FORM_END; of <= FORM_SIGNAL; of++) {
		set_up(of);
		sleep_at(TOP - 64, FORKED, 0);
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), 0);
		set_up(of);
		put(TOP - 72, FORKED + 4);
		sleep_at(TOP - 72, SWITCH + 5, 0);
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), 0);
		assert_int_equal(n_seen, 2);
	}
}

static void test_lost(void **state)
{
	(void)state;
	for (enum form of = FORM_END; of <= FORM_SIGNAL; of++) {
		set_up(of);
		set_up_long();
		put(thread.saved_sp + FRAME_IP, TEXT_END + 5); /* a module's */
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
		put(thread.saved_sp + FRAME_IP, TEXT - 5);
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
		put(thread.saved_sp + FRAME_IP, ODD + 5); /* by a register that is gone */
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
		put(thread.saved_sp + FRAME_IP,
		    FRAMED + 5); /* its base pointer leads off the stack */
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
	}
	thread.saved_sp = TOP - 8;
	assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
	thread.saved_sp = STACK - 64;
	assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
	thread.saved_sp = UINT64_MAX - 8;
	assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
}

/* Registers that lead back down, and frames without end. */
static void test_endless(void **state)
{
	uint64_t regs = TOP - REGS_SIZE;

	(void)state;
	set_up(FORM_END);
	put_user(0x10);
	put(regs + REGS_IP, INTERRUPT + 2);
	put(regs + REGS_SP, regs);
	sleep_at(regs, INTERRUPT + 2, 0);
	assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
	set_up(FORM_END);
	for (uint64_t at = STACK; at < TOP; at += 8)
		put(at, SWITCH + 5);
	thread.saved_sp = STACK;
	assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -EFAULT);
	assert_true(n_seen <= 256 + 2);
}

static void test_lacks(void **state)
{
	static const char *const all[] = {
		"__start_orc_unwind_ip", "__stop_orc_unwind_ip",   "__start_orc_unwind", "_stext",
		"orc_entry.end",	 "inactive_task_frame.bp", "pt_regs.cs"
	};

	(void)state;
	set_up(FORM_END);
	set_up_long();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		lacks = all[i];
		assert_int_equal(kernel_unwind(&kernel, &thread, see, NULL), -ENOTSUP);
	}
	assert_int_equal(n_seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long),	       cmocka_unit_test(test_stops),
		cmocka_unit_test(test_first_function), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_endless),	       cmocka_unit_test(test_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
