/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_CPUS_H
#define SENTRY_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/cpu.h"
#include "memory/space.h"

/*
 * What each vCPU's registers have to say: that its page tables lead to the guard's window by the very entries that are watched, that its
 * interrupt table is the kernel's, and that the kernel's pages are protected from the kernel itself (CR0.WP, CR4.SMEP, CR4.SMAP).
 *
 * What one look finds is believed when the next one finds it too: a vCPU may be on its way into the kernel, with page tables that map
 * little of it, or in the firmware's services.
 */
#define CPUS_MAX 288

enum cpus_fault { /* bits */
	CPUS_TABLES = 1 << 0,
	CPUS_IDT = 1 << 1,
	CPUS_WP = 1 << 2,
	CPUS_SMEP = 1 << 3,
	CPUS_SMAP = 1 << 4,
};
#define CPUS_N_FAULTS 5

struct cpus {
	const struct ram *ram;
	uint64_t window; /* guest-virtual */
	uint64_t window_entry; /* guest-physical address of the page-table entry that has to translate it */
	struct space space; /* the kernel's own */
	uint64_t idt; /* guest-physical; 0: not known */
	uint64_t cr4; /* of SMEP and SMAP, what all vCPUs had at first */
	bool has_cr4;
	bool virtualises; /* the guest runs guests of its own: registers may be theirs */
	uint8_t last[CPUS_MAX]; /* faults of the last look */
	uint8_t told[CPUS_MAX];
	bool known[CPUS_MAX]; /* was in order once: not one that waits in the firmware */
};

/* What is wrong with one vCPU: enum cpus_fault. One that is not in 64-bit mode (not started yet) has no faults. */
unsigned int cpus_judge(const struct cpus *cpus, const struct cpu *cpu);

/*
 * Judges all @n. Returns whether there is something that has not been told, with what into @buf: "vCPU 1: page tables without the guard".
 */
bool cpus_look(struct cpus *cpus, const struct cpu *cpu, size_t n, char *buf, size_t size);

/* Has something been found that was still so at the last look? */
bool cpus_any(const struct cpus *cpus);

#endif
