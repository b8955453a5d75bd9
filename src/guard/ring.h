/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_RING_H
#define GUARD_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/* Placed by the host. Bytes, because the structures are only their beginnings. */
extern char vault_bytes[] __asm__("vault"); /* not const: it changes, though not by us */
extern char mailbox_bytes[] __asm__("mailbox");

#define vault (*(const struct guard_vault *)vault_bytes)
#define mailbox (*(struct guard_mailbox *)mailbox_bytes)

/*
 * Takes a free slot for a record of @type; waits while the ring is full, at most vault.ring_wait_us. Returns
 * NULL when it stayed full: then the record is counted as lost. May sleep. Any vCPU.
 */
void *ring_take(uint32_t type, uint64_t *ret_position);

/* The same without waiting, where nobody may sleep. */
void *ring_try(uint32_t type, uint64_t *ret_position);

/* Publishes what was written into the slot. */
void ring_give(void *record, uint64_t position, uint32_t size);

/* Waits until the host has handled the record, at most vault.host_wait_us. May sleep. */
bool ring_wait_handled(uint64_t position);

#endif
