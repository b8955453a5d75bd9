/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef MEMORY_CPU_H
#define MEMORY_CPU_H

#include <stdint.h>

/* What a vCPU's registers say about its address space. Read from QEMU; the guest may set any value. */
struct cpu {
	uint64_t rip;
	uint64_t rsp;
	uint64_t general
		[15]; /* RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15; 0 where not in 64-bit mode */
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	uint64_t idt_base;
	uint16_t idt_limit;
};

#endif
