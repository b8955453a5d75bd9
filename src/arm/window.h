/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_WINDOW_H
#define ARM_WINDOW_H

#include <stdint.h>

#include "profile/profile.h"
#include "util/error.h"
#include "vmm/machine.h"

/*
 * Where vault and mailbox appear in the guest kernel: free 2 MiB slots of level2_kernel_pgt, the page table of
 * the kernel image's own 1 GiB, which every address space shares. Vault read and execute, mailbox read and write.
 */
struct window {
	uint64_t vault, mailbox; /* guest-virtual */
	uint64_t table_pa; /* of the first of our page-table entries */
	uint32_t n_vault, n_mailbox; /* entries, one behind the other */
	uint64_t vault_gpa, mailbox_gpa;
};

/*
 * Finds a free run of slots; writes nothing. -EAGAIN while the guest's PCI set-up has not placed the devices,
 * -ENOSPC when there is no run.
 */
int window_find(struct window *ret, const struct machine *machine, const struct profile *profile,
		struct error *err);

/* Writes the entries. The VM is stopped. -EBUSY when a slot is not free any more: nothing was written. */
int window_open(const struct window *window, const struct ram *ram, struct error *err);

/* Writes them again, whatever is there. The VM is stopped. */
void window_restore(const struct window *window, const struct ram *ram);

/* Takes the entries away. The VM is stopped, and no vCPU or thread is inside. */
void window_close(const struct window *window, const struct ram *ram);

/* Is the window open, in this guest, now? */
int window_is_open(const struct window *window, const struct ram *ram);

#endif
