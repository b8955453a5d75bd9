// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/arm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arm/guard_object.h"
#include "arm/link.h"
#include "arm/quiesce.h"
#include "arm/resolve.h"
#include "contract/guard_abi.h"
#include "events/ring.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The host's own notes in the vault (GUARD_VAULT_RECORD), for the next daemon: what is in place, and which part of
 * the code area was used last. The guest cannot write them.
 */
struct arm_record {
	uint64_t armed; /* kernel's _text, so that a reboot shows; 0: nothing is in place */
	uint64_t phys_base;
	uint64_t code_at, code_size;
	struct window window;
	struct hooks hooks;
};

_Static_assert(sizeof(struct arm_record) <= 4096, "the record is one page");

DEFINE_CLEANUP(struct link_image *, link_image_free)

static struct guard_vault *vault_of(const struct machine *machine)
{
	return (struct guard_vault *)machine_vault(machine)->host;
}

static struct arm_record *record_of(const struct machine *machine)
{
	return (struct arm_record *)(machine_vault(machine)->host + GUARD_VAULT_RECORD);
}

static bool record_holds(const struct arm_record *record, const struct machine *machine,
			 const struct profile *profile)
{
	return vault_of(machine)->magic == GUARD_ABI_MAGIC && record->armed &&
	       record->armed == profile_text(profile) &&
	       record->phys_base == profile_phys_base(profile) &&
	       window_is_open(&record->window, machine_ram(machine)) &&
	       hooks_are(&record->hooks, profile_space(profile), true);
}

/*
 * TCG does not notice when another process changes code that it has translated. So code that differs from
 * what lies at a place goes to another place: it is the same bytes, or bytes where none have run.
 */
static int place_code(const struct machine *machine, const struct resolve *resolve,
		      struct link_image **ret, struct error *err)
{
	const struct arm_record *record = record_of(machine);
	uint8_t *vault = machine_vault(machine)->host;
	uint64_t at = record->code_size ? record->code_at : GUARD_VAULT_CODE;

	for (unsigned int i = 0; i < 2; i++) {
		_cleanup_(link_image_freep) struct link_image *image = NULL;
		int r = link_object(&image, guard_object, guard_object_size, resolve->vault + at,
				    resolve_name, (void *)resolve, err);

		if (r < 0)
			return r;
		if (i > 0 || !record->code_size ||
		    (image->size == record->code_size &&
		     !memcmp(vault + at, image->bytes, image->size))) {
			memcpy(vault + at, image->bytes, image->size);
			*ret = TAKE_PTR(image);
			return 0;
		}
		at = (record->code_at + record->code_size + 4095) & ~4095ULL;
		if (at + image->size > GUARD_VAULT_CODE + GUARD_VAULT_CODE_SIZE)
			at = GUARD_VAULT_CODE;
	}
	return 0;
}

static void prepare_header(const struct machine *machine)
{
	struct guard_vault *vault = vault_of(machine);
	uint64_t table = vault->magic == GUARD_ABI_MAGIC ? vault->table : 0;

	memset(vault, 0, sizeof(*vault));
	memset(machine_mailbox(machine)->host, 0, machine_mailbox(machine)->size);
	vault->version = GUARD_ABI_VERSION;
	vault->size = sizeof(*vault);
	vault->n_slots = ring_slots(machine_mailbox(machine)->size);
	vault->mask = machine_vault(machine)->size - 1;
	vault->ring_wait_us = 2000000;
	vault->host_wait_us = 3000000;
	/* An empty table of one page, until the cache writes its own: every look-up finds nothing. */
	memset(machine_vault(machine)->host + GUARD_VAULT_TABLES, 0,
	       (2 + GUARD_PROBE_LIMIT) * sizeof(struct guard_entry));
	vault->table = GUARD_VAULT_TABLES / 4096 | 63ULL << 20 |
		       ((table >> GUARD_TABLE_SEQUENCE_SHIFT) + 1) << GUARD_TABLE_SEQUENCE_SHIFT;
	vault->magic = GUARD_ABI_MAGIC;
}

static void remember(const struct arm *arm, const struct profile *profile,
		     const struct link_image *image)
{
	struct arm_record *record = record_of(arm->machine);

	record->armed = 0;
	record->phys_base = profile_phys_base(profile);
	record->code_at = image->address - arm->window.vault;
	record->code_size = image->size;
	record->window = arm->window;
	record->hooks = arm->hooks;
}

/* Everything that the guest has to stand still for. */
static int switch_on(struct arm *arm, const struct profile *profile, struct error *err)
{
	const struct space *space = profile_space(profile);
	const struct ram *ram = machine_ram(arm->machine);
	struct error resumed;
	int r = machine_stop(arm->machine, err), resume;

	if (r < 0)
		return r;
	if (!hooks_are(&arm->hooks, space, false))
		r = error_set(err, -EAGAIN, "the guest's hooks changed meanwhile (a reboot?)");
	if (r == 0)
		r = window_open(&arm->window, ram, err);
	if (r == 0 && hooks_install(&arm->hooks, space) < 0) {
		hooks_remove(&arm->hooks, space);
		window_close(&arm->window, ram);
		r = error_set(err, -EFAULT, "cannot write the hooks");
	}
	if (r == 0)
		record_of(arm->machine)->armed = profile_text(profile);
	resume = machine_resume(arm->machine, &arm->paused_us, r < 0 ? &resumed : err);
	return r < 0 ? r : resume;
}

static int check_kernel(const struct profile *profile, struct error *err)
{
	struct profile_field mnt, dentry;

	/* guard/kernel.h relies on it: struct path is two pointers */
	if (profile_struct_size(profile, "path") != 16 ||
	    profile_field(profile, "path.mnt", &mnt) < 0 ||
	    profile_field(profile, "path.dentry", &dentry) < 0 || mnt.offset != 0 ||
	    dentry.offset != 8)
		return error_set(err, -ENOTSUP, "this kernel's struct path is not as expected");
	return 0;
}

int arm_guard(struct arm *ret, struct machine *machine, const struct profile *profile,
	      struct error *err)
{
	_cleanup_(link_image_freep) struct link_image *image = NULL;
	const struct arm_record *record = record_of(machine);
	struct arm arm = { .machine = machine };
	uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
	struct resolve resolve;
	int r;

	if (record_holds(record, machine, profile)) {
		if (vault_of(machine)->version != GUARD_ABI_VERSION)
			return error_set(err, -EBUSY,
					 "the guard in place speaks version %u, this outguard %u; "
					 "take "
					 "it out with the outguard that put it in, or reboot the "
					 "guest",
					 vault_of(machine)->version, GUARD_ABI_VERSION);
		arm.window = record->window;
		arm.hooks = record->hooks;
		arm.code = record->window.vault + record->code_at;
		arm.code_size = record->code_size;
		arm.adopted = true;
		*ret = arm;
		return 0;
	}
	r = check_kernel(profile, err);
	if (r == 0)
		r = window_find(&arm.window, machine, profile, err);
	if (r < 0)
		return r;
	resolve = (struct resolve){ profile, arm.window.vault, arm.window.mailbox };
	r = place_code(machine, &resolve, &image, err);
	if (r == 0)
		r = hooks_find(&arm.hooks, profile, image, machine_vault(machine)->host,
			       arm.window.vault, err);
	if (r < 0)
		return r;
	arm.code = image->address;
	arm.code_size = image->size;
	prepare_header(machine);
	remember(&arm, profile, image);
	arm.prepare_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000 - start;
	r = switch_on(&arm, profile, err);
	if (r < 0)
		return r;
	*ret = arm;
	return 0;
}

int arm_is_intact(const struct arm *arm, const struct profile *profile)
{
	return window_is_open(&arm->window, machine_ram(arm->machine)) &&
	       hooks_are(&arm->hooks, profile_space(profile), true);
}

/* One try with the guest stopped. 1 when done. */
static int close_if_clear(struct arm *arm, const struct kernel *kernel, struct error *err)
{
	uint64_t start = arm->window.vault;
	uint64_t end = start + machine_vault(arm->machine)->size;
	int r = machine_stop(arm->machine, err), clear;

	if (r < 0)
		return r;
	clear = quiesce_is_clear(arm->machine, kernel, start, end);
	if (clear) {
		window_close(&arm->window, machine_ram(arm->machine));
		record_of(arm->machine)->armed = 0;
	}
	r = machine_resume(arm->machine, NULL, err);
	return r < 0 ? r : clear;
}

int arm_remove(struct arm *arm, const struct kernel *kernel, unsigned int timeout_ms,
	       struct error *err)
{
	struct guard_vault *vault = vault_of(arm->machine);
	int r;

	/* Whoever waits for the host inside need not any more. */
	__atomic_store_n(&vault->host_away, 1, __ATOMIC_SEQ_CST);
	if (hooks_remove(&arm->hooks, kernel_space(kernel)) < 0)
		return error_set(err, -EFAULT, "cannot write the hooks");
	for (unsigned int waited = 0;; waited += 5) {
		r = close_if_clear(arm, kernel, err);
		if (r)
			return r < 0 ? r : 0;
		if (waited >= timeout_ms)
			return error_set(err, -EBUSY,
					 "unhooked, but a guest thread is still inside the guard; "
					 "its memory stays mapped. Try again");
		usleep(5000);
	}
}
