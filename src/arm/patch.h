/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_PATCH_H
#define ARM_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/space.h"
#include "util/error.h"
#include "vmm/machine.h"

/*
 * One place in the guest kernel that arming changes: an aligned word of data or a part of one, or one instruction. An instruction
 * gives way to one of the same length, so that no vCPU ever stands inside it.
 */
#define PATCH_BYTES 8

enum patch_state {
	PATCH_ORIGINAL,
	PATCH_INSTALLED,
	PATCH_LEAVING, /* nobody sets out for the guard any more; whoever is on the way passes as if it agreed */
	PATCH_N_STATES,
};

struct patch {
	uint64_t address; /* guest-virtual */
	uint8_t bytes[PATCH_N_STATES][PATCH_BYTES]; /* the first @size */
	uint16_t size;
	uint16_t reserved;
	uint32_t code; /* an instruction, not data */
	/*
	 * Guest-virtual: the code on the way to the place, that is run only by who may come to it, and the place; both 0: whoever has
	 * passed it is in the guard.
	 */
	uint64_t way, way_end;
};

/* Writes instructions, so that the stopped guest will run them: machine_write_code(). */
typedef int (*patch_write_code_t)(void *machine, const struct machine_code *pieces, size_t n,
				  struct error *err);

/* A word of data. Leaving it is taking it back. */
struct patch patch_word(uint64_t address, uint64_t original, uint64_t installed);

/* Are all of them in that state? */
bool patches_are(const struct patch *patches, size_t n, const struct space *space,
		 enum patch_state state);

/*
 * Puts all of them into that state: in their order when that leads to the guard, else in the reverse. Where there is code or
 * a part of a word among them the VM has to be stopped. On error some may have been written.
 */
int patches_write(const struct patch *patches, size_t n, const struct space *space,
		  enum patch_state state, patch_write_code_t write_code, void *machine,
		  struct error *err);

#endif
