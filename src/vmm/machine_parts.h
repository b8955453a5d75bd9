/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MACHINE_PARTS_H
#define VMM_MACHINE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory/ram.h"
#include "vmm/block.h"
#include "vmm/machine.h"
#include "vmm/memory_map.h"
#include "vmm/qmp.h"
#include "vmm/trap.h"

/* What a machine consists of: for machine.c and machine_devices.c alone. */
#define MACHINE_MAX_BLOCKS (RAM_MAX_RANGES + 2)
#define MACHINE_MAX_VCPUS 288

/* Of the devices' memory; behind those that were plugged in, a number follows. */
#define MACHINE_VAULT_ID "outguard-vault"
#define MACHINE_MAILBOX_ID "outguard-mailbox"

struct machine {
	struct qmp *qmp;
	const char *accelerator;
	struct block blocks[MACHINE_MAX_BLOCKS];
	size_t n_blocks;
	struct ram ram;
	int memory_fd; /* QEMU's memory; -1 until it is needed */
	struct machine_device vault, mailbox;
	char vault_id[64], mailbox_id[64]; /* of the memory behind them */
	bool has_devices, plugged_in;
	uint64_t plugged_ns;
	bool stopped; /* by us */
	bool was_stopped; /* when machine_stop() was called */
	struct trap *trap; /* or NULL */
	struct vcpu {
		pid_t tid; /* QEMU's thread */
		int index;
	} vcpus[MACHINE_MAX_VCPUS];
	size_t n_vcpus;
};

/* QEMU's memory backends. Those that are new are added; one by its name, or NULL. */
int machine_find_blocks(struct machine *machine, struct error *err);
struct block *machine_block(struct machine *machine, const char *id);

/* Finds the way to the block that @region is a part of, if that is not done yet. -EAGAIN when something else is there by now. */
int machine_reach_block(struct machine *machine, struct block *block,
			const struct memory_region *region, struct error *err);

int machine_query_memory_map(struct machine *machine, struct memory_map *ret, struct error *err);

/*
 * Address in QEMU's own address space of guest-physical @gpa. -EAGAIN when something else than @block is there by now.
 */
int machine_query_address(struct machine *machine, const struct block *block, uint64_t gpa,
			  uint64_t *ret, struct error *err);

/* Our devices: are they there (-ENODEV: no), and where does the guest have them by now? */
int machine_find_devices(struct machine *machine, struct error *err);
int machine_place_devices(struct machine *machine, const struct memory_map *map, struct error *err);

#endif
