// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/cpus.h"

#include <stdio.h>

#include "util/cleanup.h"

#define CR0_WP (1ULL << 16)
#define CR0_PG (1ULL << 31)
#define CR4_LA57 (1ULL << 12)
#define CR4_VMXE (1ULL << 13)
#define CR4_SMEP (1ULL << 20)
#define CR4_SMAP (1ULL << 21)
#define EFER_LMA (1ULL << 10)
#define EFER_SVME (1ULL << 12)
#define USER_HALF (1ULL << 12) /* of CR3: the other table of a pair (PTI) */
#define KERNEL_ADDRESS (1ULL << 63)

static const char *const faults[CPUS_N_FAULTS] = {
	"page tables that do not lead to the guard",
	"another interrupt table",
	"CR0.WP is off",
	"CR4.SMEP is off",
	"CR4.SMAP is off",
};

static bool leads_to_window(const struct cpus *cpus, uint64_t root, bool five_level)
{
	const struct space space = { cpus->ram, root, five_level };
	struct space_walk walk;

	return space_walk(&space, cpus->window, &walk) == 0 &&
	       walk.entry[walk.n - 1].gpa == cpus->window_entry;
}

/* In user mode with page-table isolation, it is the table beside that the kernel comes back to. */
static bool tables_are_right(const struct cpus *cpus, const struct cpu *cpu)
{
	bool five_level = cpu->cr4 & CR4_LA57;

	return leads_to_window(cpus, cpu->cr3, five_level) ||
	       (!(cpu->rip & KERNEL_ADDRESS) && cpu->cr3 & USER_HALF &&
		leads_to_window(cpus, cpu->cr3 & ~USER_HALF, five_level));
}

static bool idt_is_right(const struct cpus *cpus, const struct cpu *cpu)
{
	uint64_t pa;

	return !cpus->idt ||
	       (space_translate(&cpus->space, cpu->idt_base, &pa, NULL) == 0 && pa == cpus->idt);
}

static bool is_up(const struct cpu *cpu)
{
	return cpu->cr0 & CR0_PG && cpu->efer & EFER_LMA;
}

unsigned int cpus_judge(const struct cpus *cpus, const struct cpu *cpu)
{
	unsigned int found = 0;

	if (!is_up(cpu))
		return 0;
	if (!tables_are_right(cpus, cpu))
		found |= CPUS_TABLES;
	if (!idt_is_right(cpus, cpu))
		found |= CPUS_IDT;
	if (cpus->virtualises && found)
		return 0;
	if (!(cpu->cr0 & CR0_WP))
		found |= CPUS_WP;
	if (cpus->cr4 & ~cpu->cr4 & CR4_SMEP)
		found |= CPUS_SMEP;
	if (cpus->cr4 & ~cpu->cr4 & CR4_SMAP)
		found |= CPUS_SMAP;
	return found;
}

/* What all have that are up. */
static void learn(struct cpus *cpus, const struct cpu *cpu, size_t n)
{
	uint64_t cr4 = CR4_SMEP | CR4_SMAP;

	for (size_t i = 0; i < n; i++) {
		if (is_up(&cpu[i]))
			cr4 &= cpu[i].cr4;
		cpus->virtualises = cpus->virtualises || cpu[i].cr4 & CR4_VMXE ||
				    cpu[i].efer & EFER_SVME;
	}
	if (!cpus->has_cr4)
		cpus->cr4 = cr4;
	cpus->has_cr4 = true;
}

bool cpus_look(struct cpus *cpus, const struct cpu *cpu, size_t n, char *buf, size_t size)
{
	bool news = false;
	size_t at = 0;

	n = n < CPUS_MAX ? n : CPUS_MAX;
	learn(cpus, cpu, n);
	for (size_t i = 0; i < n; i++) {
		unsigned int found = cpus_judge(cpus, &cpu[i]);
		unsigned int both = found & cpus->last[i], fresh = both & ~cpus->told[i];

		cpus->known[i] = cpus->known[i] || (is_up(&cpu[i]) && !found);
		if (!cpus->known[i])
			continue;
		cpus->last[i] = (uint8_t)found;
		cpus->told[i] = (uint8_t)both;
		for (unsigned int fault = 0; fault < CPUS_N_FAULTS; fault++) {
			if (!(fresh & 1u << fault))
				continue;
			news = true;
			if (at < size)
				at += (size_t)snprintf(buf + at, size - at, "%svCPU %zu: %s",
						       at ? ", " : "", i, faults[fault]);
		}
	}
	return news;
}

bool cpus_any(const struct cpus *cpus)
{
	for (size_t i = 0; i < CPUS_MAX; i++) {
		if (cpus->told[i])
			return true;
	}
	return false;
}
