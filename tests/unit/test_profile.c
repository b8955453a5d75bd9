// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "profile/profile.h"

#include <assert.h>
#include <bpf/btf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "fake_kernel.h"

/*
 * A guest of 16 MiB with a kernel image of 2 MiB at guest-physical 8 MiB. In the image, by offset:
 */
#define RAM_SIZE (16U << 20)
#define PA 0x800000ULL
#define VA 0xffffffff9a000000ULL
#define IMAGE_SIZE 0x200000
#define TEXT 0x100 /* interrupt handlers */
#define KERNEL_TOP 0x1000 /* init_top_pgt */
#define USER_TOP 0x2000 /* as with page-table isolation */
#define LEVEL3 0x3000
#define LEVEL2 0x4000
#define IDT_LEVEL3 0x5000
#define IDT_LEVEL2 0x6000
#define IDT_LEVEL1 0x7000
#define IDT 0x8000
#define BANNER 0x9000
#define PHYS_BASE 0xa000
#define BTF 0x10000
#define TABLES 0x40000

#define IDT_VA 0xfffffe0000000000ULL
#define PRESENT 0x1ULL
#define HUGE 0x80ULL
#define PHYS_BASE_VALUE (PA - (VA - 0xffffffff80000000ULL))

struct guest {
	uint8_t *memory, *image;
	struct ram ram;
	struct cpu cpu;
};

static void guest_deinit(struct guest *guest)
{
	free(guest->memory);
}

static void put_u64(struct guest *guest, uint64_t at, uint64_t value)
{
	memcpy(guest->image + at, &value, sizeof(value));
}

static void put_gate(struct guest *guest, unsigned int vector, uint64_t handler)
{
	put_u64(guest, IDT + 16 * vector,
		(handler & 0xffff) | 0x10ULL << 16 | 0x8eULL << 40 |
			(handler >> 16 & 0xffff) << 48);
	put_u64(guest, IDT + 16 * vector + 8, handler >> 32);
}

static void put_page_tables(struct guest *guest)
{
	for (uint64_t top = KERNEL_TOP; top <= USER_TOP; top += USER_TOP - KERNEL_TOP) {
		put_u64(guest, top + 8 * 511, (PA + LEVEL3) | PRESENT);
		put_u64(guest, top + 8 * 508, (PA + IDT_LEVEL3) | PRESENT);
	}
	put_u64(guest, LEVEL3 + 8 * 510, (PA + LEVEL2) | PRESENT);
	put_u64(guest, LEVEL2 + 8 * (VA >> 21 & 511), PA | PRESENT | HUGE);
	put_u64(guest, IDT_LEVEL3, (PA + IDT_LEVEL2) | PRESENT);
	put_u64(guest, IDT_LEVEL2, (PA + IDT_LEVEL1) | PRESENT);
	put_u64(guest, IDT_LEVEL1, (PA + IDT) | PRESENT);
}

static uint32_t put_btf(struct guest *guest)
{
	struct btf *btf = btf__new_empty();
	int int_id = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	const void *data;
	uint32_t size;

	btf__add_struct(btf, "inode", 16);
	btf__add_field(btf, "i_mode", int_id, 0, 0);
	btf__add_field(btf, "i_ino", int_id, 64, 0);
	data = btf__raw_data(btf, &size);
	memcpy(guest->image + BTF, data, size);
	btf__free(btf);
	return size;
}

static struct guest guest_new(void)
{
	static const struct fake_layout layout = { "6.12", FAKE_ABSOLUTE_PERCPU, .seqs = true };
	struct guest guest = { .memory = calloc(1, RAM_SIZE) };
	uint32_t btf_size;

	assert(guest.memory);
	guest.image = guest.memory + PA;
	guest.ram = (struct ram){ .ranges = { { 0, RAM_SIZE, guest.memory } }, .n_ranges = 1 };
	guest.cpu = (struct cpu){
		.cr0 = 0x80050033,
		.cr3 = PA + USER_TOP,
		.cr4 = 0x750ef0,
		.efer = 0xd01,
		.idt_base = IDT_VA,
		.idt_limit = 0xfff,
	};
	put_page_tables(&guest);
	for (unsigned int i = 0; i < 256; i++)
		put_gate(&guest, i, VA + TEXT + 16 * i);
	strcpy((char *)guest.image + BANNER, "Linux version 6.1.0-9-test (a@b) #1 SMP\n");
	put_u64(&guest, PHYS_BASE, PHYS_BASE_VALUE);
	btf_size = put_btf(&guest);
	fake_kallsyms(guest.image, TABLES, VA, &layout,
		      (struct fake_symbol[]){
			      { "T_text", VA },
			      { "Dinit_top_pgt", VA + KERNEL_TOP },
			      { "Dlinux_banner", VA + BANNER },
			      { "Dphys_base", VA + PHYS_BASE },
			      { "D__start_BTF", VA + BTF },
			      { "D__stop_BTF", VA + BTF + btf_size },
		      },
		      6);
	return guest;
}

static void test_read(void **state)
{
	_cleanup_(guest_deinit) struct guest guest = guest_new();
	struct profile *profile = NULL;
	struct profile_field field;
	struct error err = {};
	uint64_t word;

	(void)state;
	if (profile_read(&profile, &guest.ram, &guest.cpu, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(profile_banner(profile), "Linux version 6.1.0-9-test (a@b) #1 SMP");
	assert_string_equal(profile_release(profile), "6.1.0-9-test");
	assert_int_equal(profile_text(profile), VA);
	assert_int_equal(profile_kaslr_offset(profile), 0x19000000);
	assert_int_equal(profile_phys_base(profile), PHYS_BASE_VALUE);
	assert_int_equal(profile_n_symbols(profile), 6);
	assert_int_equal(profile_n_types(profile), 2);
	assert_int_equal(profile_symbol(profile, "phys_base"), VA + PHYS_BASE);
	assert_int_equal(profile_symbol(profile, "phys_basis"), 0);
	assert_int_equal(profile_field(profile, "inode.i_ino", &field), 0);
	assert_int_equal(field.offset, 8);
	assert_int_equal(field.size, 4);
	assert_int_equal(profile_field(profile, "inode.i_size", &field), -ENOENT);
	assert_int_equal(profile_struct_size(profile, "inode"), 16);
	/* what could be a module's is built in; this kernel keeps no types of modules */
	assert_int_equal(profile_module_field(profile, "file", "inode.i_ino", &field, &err), 0);
	assert_int_equal(field.offset, 8);
	assert_int_equal(profile_module_struct_size(profile, "file", "inode"), 16);
	assert_int_equal(err.code, 0);
	assert_int_equal(profile_module_field(profile, "file", "inode.i_size", &field, &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.message, "CONFIG_DEBUG_INFO_BTF_MODULES"));
	assert_int_equal(profile_module_struct_size(profile, "file", "dentry"), 0);
	assert_int_equal(profile_space(profile)->root, PA + KERNEL_TOP);
	assert_false(profile_space(profile)->five_level);
	assert_int_equal(space_read_u64(profile_space(profile), VA + PHYS_BASE, &word), 0);
	assert_int_equal(word, PHYS_BASE_VALUE);
	assert_non_null(profile_cost(profile));
	assert_null(profile_free(profile));
	assert_null(profile_free(NULL));
}

static void real_mode(struct guest *guest)
{
	guest->cpu.cr0 = 0x60000010;
	guest->cpu.efer = 0;
}

static void protected_mode(struct guest *guest)
{
	guest->cpu.efer = 0;
}

static void fred(struct guest *guest)
{
	guest->cpu.cr4 |= 1ULL << 32;
	guest->cpu.idt_base = 0;
}

static void firmware(struct guest *guest)
{
	guest->cpu.idt_base = 0x1f00000;
}

static void early_boot(struct guest *guest)
{
	guest->cpu.idt_base = VA + IDT;
}

static void short_table(struct guest *guest)
{
	guest->cpu.idt_limit = 16 * 32 - 1;
}

static void no_table(struct guest *guest)
{
	put_u64(guest, IDT_LEVEL1, 0);
}

static void no_tables_at_all(struct guest *guest)
{
	guest->cpu.cr3 = 0xfffffffff000;
}

static void gate_absent(struct guest *guest)
{
	guest->image[IDT + 5] = 0x0e;
}

static void other_selector(struct guest *guest)
{
	guest->image[IDT + 2] = 0x08;
}

static void other_kernel(struct guest *guest)
{
	put_gate(guest, 14, 0xfffff80012345678);
}

static void handler_unmapped(struct guest *guest)
{
	put_gate(guest, 13, VA + 0x200000);
}

static void scattered_text(struct guest *guest)
{
	put_u64(guest, LEVEL2 + 8 * ((VA >> 21 & 511) + 1), 0xc00000 | PRESENT | HUGE);
	put_gate(guest, 32, VA + 0x200000);
}

static void text_outside_ram(struct guest *guest)
{
	put_u64(guest, LEVEL2 + 8 * (VA >> 21 & 511), 0x40000000 | PRESENT | HUGE);
}

static void no_kallsyms(struct guest *guest)
{
	memset(guest->image + TABLES, 0, IMAGE_SIZE - TABLES);
}

static void wrong_phys_base(struct guest *guest)
{
	put_u64(guest, PHYS_BASE, PHYS_BASE_VALUE + 0x200000);
}

static void tables_not_up(struct guest *guest)
{
	put_u64(guest, KERNEL_TOP + 8 * 511, 0);
}

static void broken_btf(struct guest *guest)
{
	guest->image[BTF]++;
}

/* Renames a symbol, by the tokens at its end. */
static void rename_bytes(struct guest *guest, const char *from, char to)
{
	uint8_t *found = memmem(guest->image + TABLES, 512, from, strlen(from));

	assert(found);
	found[strlen(from) - 1] = to;
}

static void no_btf(struct guest *guest)
{
	rename_bytes(guest, "stop_BTF", 'G');
}

static void no_page_tables(struct guest *guest)
{
	rename_bytes(guest, "init_top_pgt", 's');
}

static void test_errors(void **state)
{
	static const struct {
		const char *name;
		void (*spoil)(struct guest *guest);
		int code;
		const char *message;
	} cases[] = {
		{ "real mode", real_mode, -EAGAIN, "64-bit mode" },
		{ "protected mode", protected_mode, -EAGAIN, "64-bit mode" },
		{ "FRED", fred, -ENOTSUP, "fred=off" },
		{ "firmware", firmware, -EAGAIN, "firmware" },
		{ "early boot", early_boot, -EAGAIN, "early boot" },
		{ "short table", short_table, -ENOTSUP, "too short" },
		{ "no table", no_table, -EAGAIN, "not mapped" },
		{ "no tables at all", no_tables_at_all, -EAGAIN, "not mapped" },
		{ "gate absent", gate_absent, -ENOTSUP, "vector 0 " },
		{ "other selector", other_selector, -ENOTSUP, "vector 0 " },
		{ "other kernel", other_kernel, -ENOTSUP, "vector 14 " },
		{ "handler unmapped", handler_unmapped, -EAGAIN, "vector 13 " },
		{ "scattered text", scattered_text, -ENOTSUP, "contiguous" },
		{ "text outside RAM", text_outside_ram, -ENOTSUP, "not RAM" },
		{ "no kallsyms", no_kallsyms, -ENOTSUP, "CONFIG_KALLSYMS" },
		{ "wrong phys_base", wrong_phys_base, -ENOTSUP, "phys_base" },
		{ "no init_top_pgt", no_page_tables, -ENOTSUP, "init_top_pgt" },
		{ "page tables not up", tables_not_up, -EAGAIN, "page tables" },
		{ "no BTF", no_btf, -ENOTSUP, "CONFIG_DEBUG_INFO_BTF" },
		{ "broken BTF", broken_btf, -ENOTSUP, "BTF" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(guest_deinit) struct guest guest = guest_new();
		struct profile *profile = NULL;
		struct error err = {};
		int r;

		cases[i].spoil(&guest);
		r = profile_read(&profile, &guest.ram, &guest.cpu, &err);
		if (r != cases[i].code || err.code != r || profile ||
		    !strstr(err.message, cases[i].message))
			fail_msg("%s: %d: %s", cases[i].name, r, err.message);
	}
}

/* The neighbourhood of the image is cut where its RAM ends. */
static void test_clip(void **state)
{
	_cleanup_(guest_deinit) struct guest guest = guest_new();
	struct profile *profile = NULL;

	(void)state;
	guest.ram.ranges[0] =
		(struct ram_range){ .gpa = PA, .size = TABLES + 0x100, .host = guest.image };
	assert_int_equal(profile_read(&profile, &guest.ram, &guest.cpu, NULL), -ENOTSUP);
	guest.ram.ranges[0].size = IMAGE_SIZE;
	assert_int_equal(profile_read(&profile, &guest.ram, &guest.cpu, NULL), 0);
	profile_free(profile);
}

/* RAM that is private to QEMU's process, which has it at 16 MiB; a read that is not all inside fails. */
static int read_process(void *data, uint64_t address, void *buf, size_t len)
{
	const struct guest *guest = data;

	if (address < RAM_SIZE || len > RAM_SIZE || address - RAM_SIZE > RAM_SIZE - len)
		return -EFAULT;
	memcpy(buf, guest->memory + (address - RAM_SIZE), len);
	return 0;
}

static int read_nothing(void *data, uint64_t address, void *buf, size_t len)
{
	return len > 4096 ? -EFAULT : read_process(data, address, buf, len);
}

static void test_private(void **state)
{
	_cleanup_(guest_deinit) struct guest guest = guest_new();
	struct profile *profile = NULL;
	struct error err = {};

	(void)state;
	guest.ram.ranges[0].host = NULL;
	guest.ram.ranges[0].remote = RAM_SIZE;
	guest.ram.process = (struct ram_process){ .read = read_process, .data = &guest };
	assert_int_equal(profile_read(&profile, &guest.ram, &guest.cpu, &err), 0);
	assert_int_equal(profile_text(profile), VA);
	profile_free(profile);

	guest.ram.process.read = read_nothing; /* QEMU ends meanwhile */
	assert_int_equal(profile_read(&profile, &guest.ram, &guest.cpu, &err), -EFAULT);
	assert_non_null(strstr(err.message, "QEMU's process"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
