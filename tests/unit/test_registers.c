// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "vmm/registers.h"

/* QEMU 7.2: one vCPU in Linux, one in the firmware. */
static const char two_cpus[] =
	"\r\nCPU#0\r\n"
	"RAX=ffffffffa0a6ab00 RBX=0000000000000000 RCX=0000000000000160 RDX=0000000000000003\r\n"
	"RSI=000000000000000f RDI=00000000000000f0 RBP=ff342c2db9c19040 RSP=ff8119abc04b3a40\r\n"
	"R8 =0000000000000000 R9 =ffffffffa2cbc5e0 R10=0000000000000003 R11=ffffffffa24d2328\r\n"
	"RIP=ffffffffa0a3d023 RFL=00000092 [--S-A--] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n"
	"CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\r\n"
	"GDT=     fffffe0000001000 0000007f\r\n"
	"IDT=     fffffe0000000000 00000fff\r\n"
	"CR0=80050033 CR2=0000000000401000 CR3=00000001021b0000 CR4=00751eb0\r\n"
	"DR6=00000000ffff0ff0 DR7=0000000000000400\r\n"
	"EFER=0000000000000d01\r\n"
	"FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\r\n"
	"\r\nCPU#1\r\n"
	"EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000663\r\n"
	"ESI=00000000 EDI=00000000 EBP=00000000 ESP=00006f94\r\n"
	"EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n"
	"GDT=     00000000 0000ffff\r\n"
	"IDT=     000f61be 00000000\r\n"
	"CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\r\n"
	"EFER=0000000000000000\r\n";

static void test_two_cpus(void **state)
{
	struct cpu cpus[3] = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(registers_parse(two_cpus, cpus, ARRAY_SIZE(cpus), &err), 2);
	assert_int_equal(cpus[0].rip, 0xffffffffa0a3d023);
	assert_int_equal(cpus[0].rsp, 0xff8119abc04b3a40);
	assert_int_equal(cpus[0].general[0], 0xffffffffa0a6ab00);
	assert_int_equal(cpus[0].general[6], 0xff342c2db9c19040);
	assert_int_equal(cpus[0].general[8], 0xffffffffa2cbc5e0); /* R9, padded */
	assert_int_equal(cpus[0].general[14], 0); /* R15, which this text lacks */
	assert_int_equal(cpus[0].cr0, 0x80050033);
	assert_int_equal(cpus[0].cr3, 0x1021b0000);
	assert_int_equal(cpus[0].cr4, 0x751eb0);
	assert_int_equal(cpus[0].efer, 0xd01);
	assert_int_equal(cpus[0].idt_base, 0xfffffe0000000000);
	assert_int_equal(cpus[0].idt_limit, 0xfff);
	assert_int_equal(cpus[1].rip, 0xfff0);
	assert_int_equal(cpus[1].rsp, 0x6f94);
	assert_int_equal(cpus[1].cr0, 0x60000010);
	assert_int_equal(cpus[1].idt_base, 0xf61be);
	assert_int_equal(cpus[1].idt_limit, 0);
}

static void test_counts_more_than_fit(void **state)
{
	struct cpu cpu = { 0 };

	(void)state;
	assert_int_equal(registers_parse(two_cpus, &cpu, 1, NULL), 2);
	assert_int_equal(cpu.rip, 0xffffffffa0a3d023);
	assert_int_equal(registers_parse(two_cpus, NULL, 0, NULL), 2);
}

#define REST "RSP=2 CR0=3 CR3=4 CR4=5 EFER=6\n"

static const struct {
	const char *text, *message;
} refused[] = {
	{ "", "no vCPU" },
	{ "unknown command: 'info registers'\r\n", "no vCPU" },
	{ "CPU#0\nRIP=1 " REST, "vCPU 0: no IDT in" },
	{ "CPU#0\nRIP=1 IDT= 7\n" REST, "vCPU 0: no IDT limit" },
	{ "CPU#0\nRIP= IDT= 7 8\n" REST, "vCPU 0: no RIP" },
	{ "CPU#0\nRIP=xyz IDT= 7 8\n" REST, "vCPU 0: no RIP" },
	{ "CPU#0\nRIP=11111111111111111 IDT= 7 8\n" REST, "vCPU 0: no RIP" },
	{ "CPU#0\nXRIP=1 IDT= 7 8\n" REST, "vCPU 0: no RIP" },
	{ "CPU#0\nRIP=1 IDT= 7 8\n" REST "CPU#1\n", "vCPU 1: no RIP" },
	{ "CPU#0\nCPU#1\nRIP=1 IDT= 7 8\n" REST, "vCPU 0: no RIP" },
	{ "CPU#0\nRIP=1 IDT= 7 8\nRSP=2 CR0=3 CR3=4 CR4=5 EFER=", "vCPU 0: no EFER" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct error err = { 0 };
		struct cpu cpu;

		if (registers_parse(refused[i].text, &cpu, 1, &err) != -EBADMSG ||
		    !strstr(err.message, refused[i].message))
			fail_msg("row %zu: %d \"%s\"", i, err.code, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_cpus),
		cmocka_unit_test(test_counts_more_than_fit),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
