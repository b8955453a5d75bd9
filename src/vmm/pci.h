/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * Where two PCI devices can be plugged into a running VM, from QEMU's answer to `query-pci`. Pure: no I/O.
 *
 * A root port takes one device (of up to eight functions), and a device's BARs have to fit into the windows that
 * the port's bridge has been given by the guest's firmware: the guest does not make them larger later. The root bus of
 * machine `pc` takes devices itself, and has no windows.
 */
struct pci_place {
	char vault_bus[64], mailbox_bus[64]; /* QEMU's names of the buses */
	bool one_slot; /* both are functions of one device: the mailbox 0, the vault 1 */
	uint64_t vault_size;
};

#define PCI_VAULT_MOST (64ULL << 20)
#define PCI_VAULT_LEAST (8ULL << 20)

/*
 * The places for a vault (as large as fits, from PCI_VAULT_MOST down to PCI_VAULT_LEAST) and a mailbox of
 * @mailbox_size: at most @n of them into @ret, the best one first. Returns how many there are, -ENODEV when there is
 * none, with what would help in the message, or -EPROTO for an answer that is none of QEMU's.
 */
int pci_find_places(struct pci_place *ret, size_t n, struct json_object *answer,
		    uint64_t mailbox_size, struct error *err);

/*
 * Guest-physical address that the guest has given to BAR @bar of the device with @id (qdev_id); 0 while it has given
 * none, or there is no such device. A bridge in between may still not pass it on.
 */
uint64_t pci_find_address(struct json_object *answer, const char *id, unsigned int bar);

#endif
