// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/window.h"

#include <errno.h>
#include <stdbool.h>

#define SLOT_SIZE 0x200000ULL
#define N_SLOTS 512
#define IMAGE_WINDOW \
	0xffffffff80000000ULL /* what level2_kernel_pgt maps (arch/x86/kernel/head_64.S) */

/* Intel SDM Vol. 3A, table 4-18. Accessed and dirty are set already, so that no page walk writes here. */
#define PMD_PRESENT (1ULL << 0)
#define PMD_WRITE (1ULL << 1)
#define PMD_ACCESSED (1ULL << 5)
#define PMD_DIRTY (1ULL << 6)
#define PMD_2M (1ULL << 7)
#define PMD_NX (1ULL << 63)
#define PMD_VAULT (PMD_PRESENT | PMD_ACCESSED | PMD_DIRTY | PMD_2M)
#define PMD_MAILBOX (PMD_VAULT | PMD_WRITE | PMD_NX)

static uint64_t entry_at(const struct window *window, uint32_t i)
{
	if (i < window->n_vault)
		return (window->vault_gpa + i * SLOT_SIZE) | PMD_VAULT;
	return (window->mailbox_gpa + (i - window->n_vault) * SLOT_SIZE) | PMD_MAILBOX;
}

static int check_device(const struct machine_device *device, const char *name, struct error *err)
{
	if (!device->gpa)
		return error_set(err, -EAGAIN,
				 "the guest has not mapped the %s device yet (still booting?)",
				 name);
	if (device->gpa % SLOT_SIZE || device->size % SLOT_SIZE ||
	    device->size & (device->size - 1))
		return error_set(err, -EINVAL,
				 "the %s is not a power of two, or not aligned to 2 MiB; use the "
				 "sizes that `outguard "
				 "qemu-args` prints",
				 name);
	return 0;
}

/* The highest free run: the kernel image lies at the lower end, unless KASLR put it elsewhere. */
static int find_run(const struct ram *ram, uint64_t table_pa, uint32_t n, uint32_t *ret_first)
{
	uint64_t entries[N_SLOTS];
	uint32_t free_slots = 0;

	if (ram_read(ram, table_pa, entries, sizeof(entries)) < 0)
		return -EFAULT;
	for (uint32_t i = N_SLOTS; i-- > 0;) {
		free_slots = entries[i] ? 0 : free_slots + 1;
		if (free_slots == n) {
			*ret_first = i;
			return 0;
		}
	}
	return -ENOSPC;
}

int window_find(struct window *ret, const struct machine *machine, const struct profile *profile,
		struct error *err)
{
	const struct machine_device *vault = machine_vault(machine);
	const struct machine_device *mailbox = machine_mailbox(machine);
	uint64_t table = profile_symbol(profile, "level2_kernel_pgt"), table_pa;
	struct window window;
	uint32_t first;
	int r;

	r = check_device(vault, "vault", err);
	if (r == 0)
		r = check_device(mailbox, "mailbox", err);
	if (r < 0)
		return r;
	if (!table || space_translate(profile_space(profile), table, &table_pa, NULL) < 0)
		return error_set(err, -ENOTSUP,
				 "this kernel has no level2_kernel_pgt: not an x86-64 Linux that "
				 "outguard knows");
	window.n_vault = (uint32_t)(vault->size / SLOT_SIZE);
	window.n_mailbox = (uint32_t)(mailbox->size / SLOT_SIZE);
	r = find_run(machine_ram(machine), table_pa, window.n_vault + window.n_mailbox, &first);
	if (r < 0)
		return error_set(err, r,
				 "no %u free 2 MiB slots in the kernel's own page table; use a "
				 "smaller vault",
				 window.n_vault + window.n_mailbox);
	window.table_pa = table_pa + first * 8;
	window.vault = IMAGE_WINDOW + first * SLOT_SIZE;
	window.mailbox = window.vault + vault->size;
	window.vault_gpa = vault->gpa;
	window.mailbox_gpa = mailbox->gpa;
	*ret = window;
	return 0;
}

/* How many of our entries read as expected: ours, or (@empty) nothing. */
static uint32_t count_entries(const struct window *window, const struct ram *ram, bool empty)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < window->n_vault + window->n_mailbox; i++) {
		uint64_t entry;

		if (ram_read(ram, window->table_pa + i * 8, &entry, sizeof(entry)) < 0)
			return 0;
		n += entry == (empty ? 0 : entry_at(window, i));
	}
	return n;
}

int window_open(const struct window *window, const struct ram *ram, struct error *err)
{
	uint32_t n = window->n_vault + window->n_mailbox;

	if (count_entries(window, ram, true) != n)
		return error_set(err, -EBUSY,
				 "the guest took the page-table slots meanwhile (a reboot?); try "
				 "again");
	window_restore(window, ram);
	return 0;
}

void window_restore(const struct window *window, const struct ram *ram)
{
	for (uint32_t i = 0; i < window->n_vault + window->n_mailbox; i++)
		ram_write_u64(ram, window->table_pa + i * 8, entry_at(window, i));
}

void window_close(const struct window *window, const struct ram *ram)
{
	for (uint32_t i = 0; i < window->n_vault + window->n_mailbox; i++)
		ram_write_u64(ram, window->table_pa + i * 8, 0);
}

int window_is_open(const struct window *window, const struct ram *ram)
{
	uint32_t n = window->n_vault + window->n_mailbox;

	return n && count_entries(window, ram, false) == n;
}
