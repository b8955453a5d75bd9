/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_REGISTERS_H
#define VMM_REGISTERS_H

#include <stddef.h>

#include "memory/cpu.h"
#include "util/error.h"

/*
 * Reads what QEMU's `info registers -a` prints. Fills at most @n of @cpus, in the order printed; returns
 * how many vCPUs there are, or -EBADMSG when one lacks a register or there is none.
 */
int registers_parse(const char *text, struct cpu *cpus, size_t n, struct error *err);

#endif
