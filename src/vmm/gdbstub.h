/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_GDBSTUB_H
#define VMM_GDBSTUB_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "vmm/qmp.h"

/*
 * QEMU's gdb stub (GDB remote serial protocol), started in the running QEMU for a moment and over a socket pair, so that
 * nobody else can reach it. It writes guest memory as QEMU itself does: TCG throws away what it had translated there.
 */
struct gdbstub;

/*
 * The VM has to be stopped, and stays so. -EBUSY when the stub is in use (`-s`, `-gdb`, HMP's gdbserver): starting it anew would
 * cut that off.
 */
int gdbstub_open(struct gdbstub **ret, struct qmp *qmp, struct error *err);

/* Writes @size bytes (at most 64) at guest-physical @gpa. */
int gdbstub_write(struct gdbstub *stub, uint64_t gpa, const void *bytes, size_t size,
		  struct error *err);

/* Stops the stub. Accepts NULL. Returns NULL. */
struct gdbstub *gdbstub_free(struct gdbstub *stub);

#endif
