// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where is the kernel? Its interrupt descriptor table knows: the IDT register of any vCPU points to
 * the table, and the table's gates point into the kernel's text. With page-table isolation the user
 * half's tables map both too, so it does not matter what the vCPU was doing.
 *
 * Linux first runs on a table inside its own image, and moves to the read-only alias in the CPU
 * entry area when it sets up its external interrupts (idt_setup_apic_and_irq_gates()): then it is
 * "up".
 */
#include "profile/locate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "memory/space.h"
#include "util/cleanup.h"

#define CR0_PG (1ULL << 31)
#define CR4_LA57 (1ULL << 12)
#define CR4_FRED (1ULL << 32)
#define EFER_LMA (1ULL << 10)
#define KERNEL_HALF (1ULL << 63)
#define KERNEL_CS 0x10
#define PAGE_MASK 0xfffULL
#define PMD_MASK 0x1fffffULL

/* Interrupt entries are near the start of the text; the whole image is some 50 MiB. */
#define REACH_BACK (64ULL << 20)
#define REACH_FORWARD (96ULL << 20)

/* #DE, #BP, #GP, #PF, and the first external vector */
static const uint8_t vectors[] = { 0, 3, 13, 14, 32 };

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

/* Where a handler is, and what follows from that for the whole image. */
struct place {
	uint64_t pa, phys_base;
};

static bool in_window(uint64_t va)
{
	return va >= LOCATE_WINDOW_START && va < LOCATE_WINDOW_END;
}

static bool gate_is_linux(const struct gate *gate, uint64_t *ret_handler)
{
	*ret_handler = (uint64_t)gate->offset_high << 32 | (uint32_t)gate->offset_middle << 16 |
		       gate->offset_low;
	/* present, an interrupt or a trap gate */
	return (gate->type & 0x9e) == 0x8e && gate->selector == KERNEL_CS &&
	       in_window(*ret_handler);
}

static int check_mode(const struct cpu *cpu, struct error *err)
{
	if (!(cpu->cr0 & CR0_PG) || !(cpu->efer & EFER_LMA))
		return error_set(err, -EAGAIN,
				 "the vCPU is not in 64-bit mode (firmware, boot loader or a vCPU "
				 "not started); wait until the guest's kernel is up");
	if (cpu->cr4 & CR4_FRED) /* and an IDT that Linux has invalidated */
		return error_set(err, -ENOTSUP,
				 "the guest's kernel uses FRED, which is not supported yet; boot "
				 "the "
				 "guest with fred=off");
	if (!(cpu->idt_base & KERNEL_HALF) || in_window(cpu->idt_base))
		return error_set(err, -EAGAIN,
				 "the vCPU's interrupt table at 0x%" PRIx64 " is that of firmware "
				 "or "
				 "early boot; wait until the guest's kernel is up",
				 cpu->idt_base);
	if (cpu->idt_limit < 16 * (vectors[ARRAY_SIZE(vectors) - 1] + 1) - 1)
		return error_set(err, -ENOTSUP,
				 "the vCPU's interrupt table is too short for Linux (limit 0x%x); "
				 "only x86-64 Linux guests can be guarded",
				 cpu->idt_limit);
	return 0;
}

static int read_vector(const struct space *space, const struct cpu *cpu, uint8_t vector,
		       struct place *ret, struct error *err)
{
	struct gate gate;
	uint64_t handler, pa;

	if (space_read(space, cpu->idt_base + sizeof(gate) * vector, &gate, sizeof(gate)) < 0)
		return error_set(err, -EAGAIN,
				 "the vCPU's interrupt table at 0x%" PRIx64 " is not mapped in its "
				 "page tables; wait until the guest's kernel is up",
				 cpu->idt_base);
	if (!gate_is_linux(&gate, &handler))
		return error_set(err, -ENOTSUP,
				 "vector %u is handled at 0x%" PRIx64 ", not in a Linux "
				 "kernel image; only x86-64 Linux guests can be guarded",
				 vector, handler);
	if (space_translate(space, handler, &pa, NULL) < 0)
		return error_set(err, -EAGAIN,
				 "the handler of vector %u is not mapped in the vCPU's page "
				 "tables; wait until the guest's kernel is up",
				 vector);
	*ret = (struct place){ pa, pa - (handler - LOCATE_WINDOW_START) };
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Clips the neighbourhood of @place to the RAM range it lies in, and to the window. */
static int clip(struct image *ret, const struct ram *ram, const struct place *place,
		struct error *err)
{
	uint64_t page = place->pa & ~PAGE_MASK, at, back, forward;
	uint64_t va = page - place->phys_base + LOCATE_WINDOW_START;
	const struct ram_range *range = ram_find(ram, page, 1);

	if (!range)
		return error_set(err, -ENOTSUP,
				 "the kernel's text at guest-physical 0x%" PRIx64 " is not RAM",
				 place->pa);
	at = page - range->gpa;
	back = least(REACH_BACK, least(at, va - LOCATE_WINDOW_START));
	forward = least(REACH_FORWARD, least(range->size - at, LOCATE_WINDOW_END - va));
	*ret = (struct image){
		.bytes = range->host ? range->host + at - back : NULL,
		.size = back + forward,
		.va = va - back,
		.entry = back,
		.phys_base = place->phys_base,
	};
	return 0;
}

int locate_image(struct image *ret, const struct ram *ram, const struct cpu *cpu, struct error *err)
{
	struct space space = {
		.ram = ram,
		.root = cpu->cr3,
		.five_level = cpu->cr4 & CR4_LA57,
	};
	struct place first = {}, place = {};
	int r;

	r = check_mode(cpu, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		r = read_vector(&space, cpu, vectors[i], &place, err);
		if (r < 0)
			return r;
		if (i == 0)
			first = place;
		if (place.phys_base != first.phys_base || place.phys_base & PMD_MASK)
			return error_set(err, -ENOTSUP,
					 "the kernel's text is not contiguous in 2 MiB pages; only "
					 "x86-64 Linux guests can be guarded");
	}
	return clip(ret, ram, &first, err);
}

int locate_load(struct image *image, const struct ram *ram, struct error *err)
{
	uint64_t pa = image->va - LOCATE_WINDOW_START + image->phys_base;

	if (image->bytes)
		return 0;
	image->bytes = image->copy = malloc(image->size);
	if (!image->copy)
		return error_set(err, -ENOMEM, "no memory for a copy of the kernel's image");
	if (ram_read(ram, pa, image->copy, image->size) < 0)
		return error_set(err, -EFAULT,
				 "the kernel's image cannot be read from QEMU's process; is it "
				 "about to end?");
	return 0;
}

void locate_deinit(struct image *image)
{
	free(image->copy);
	image->bytes = image->copy = NULL;
}

const uint8_t *locate_bytes(const struct image *image, uint64_t va, uint64_t len)
{
	uint64_t at = va - image->va;

	if (va < image->va || at > image->size || len > image->size - at)
		return NULL;
	return image->bytes + at;
}
