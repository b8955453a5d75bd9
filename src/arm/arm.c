// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/arm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arm/guard_object.h"
#include "arm/link.h"
#include "arm/lsm_list.h"
#include "arm/quiesce.h"
#include "arm/resolve.h"
#include "contract/guard_abi.h"
#include "events/ring.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The host's own notes in the vault (GUARD_VAULT_RECORD), for the next daemon: what is in place, and which part of
 * the code area was used last. The guest cannot write them. Another build may have written them: what stands before
 * @layout keeps its place for ever.
 */
#define RECORD_LAYOUT 4

struct arm_record {
	uint64_t armed; /* kernel's _text, so that a reboot shows; 0: nothing is in place */
	uint64_t phys_base;
	uint64_t code_at, code_size;
	struct window window;
	uint64_t layout; /* RECORD_LAYOUT */
	struct hooks hooks;
	char missing[sizeof(((struct hooks_missing *)0)->text)];
	uint64_t n_missing;
};

_Static_assert(sizeof(struct arm_record) <= GUARD_VAULT_RECORD_SIZE, "room for the record");

DEFINE_CLEANUP(struct link_image *, link_image_free)

static struct guard_vault *vault_of(const struct machine *machine)
{
	return (struct guard_vault *)machine_vault(machine)->host;
}

static struct arm_record *record_of(const struct machine *machine)
{
	return (struct arm_record *)(machine_vault(machine)->host + GUARD_VAULT_RECORD);
}

/* Has some outguard armed this very kernel, and not taken its guard out? */
static bool is_armed(const struct arm_record *record, const struct machine *machine,
		     const struct profile *profile)
{
	return vault_of(machine)->magic == GUARD_ABI_MAGIC && record->armed &&
	       record->armed == profile_text(profile) &&
	       record->phys_base == profile_phys_base(profile) &&
	       window_is_open(&record->window, machine_ram(machine));
}

static bool is_known(const struct arm_record *record, const struct machine *machine)
{
	return vault_of(machine)->version == GUARD_ABI_VERSION && record->layout == RECORD_LAYOUT;
}

static int report_unknown(const struct machine *machine, struct error *err)
{
	return error_set(err, -EBUSY,
			 "the guard in place speaks version %u, this outguard %u; take it out with "
			 "the "
			 "outguard that put it in, or reboot the guest",
			 vault_of(machine)->version, GUARD_ABI_VERSION);
}

/* A vault that is plugged in anew may lie where QEMU remembers code of an older one's. */
static uint64_t first_place(void)
{
	return GUARD_VAULT_CODE + (clock_ns(CLOCK_MONOTONIC) / 1000 % 128) * 4096;
}

/*
 * TCG does not notice when another process changes code that it has translated, and a guard that is in place may have
 * threads inside. So code that differs from what lies at a place goes to another place: it is the same bytes, or bytes
 * where none have run.
 */
static int place_code(const struct machine *machine, const struct resolve *resolve,
		      struct link_image **ret, bool *ret_same, struct error *err)
{
	const struct arm_record *record = record_of(machine);
	uint8_t *vault = machine_vault(machine)->host;
	uint64_t at = record->code_size ? record->code_at : first_place();

	for (unsigned int i = 0; i < 2; i++) {
		_cleanup_(link_image_freep) struct link_image *image = NULL;
		int r = link_object(&image, guard_object, guard_object_size, resolve->vault + at,
				    resolve_name, (void *)resolve, err);

		if (r < 0)
			return r;
		*ret_same = i == 0 && image->size == record->code_size &&
			    !memcmp(vault + at, image->bytes, image->size);
		if (i > 0 || !record->code_size || *ret_same) {
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
	vault->table = GUARD_TABLE_WORD(GUARD_VAULT_TABLES / 4096, 63) |
		       ((table >> GUARD_TABLE_SEQUENCE_SHIFT) + 1) << GUARD_TABLE_SEQUENCE_SHIFT;
	vault->magic = GUARD_ABI_MAGIC;
}

static void remember(const struct arm *arm, const struct profile *profile,
		     const struct link_image *image)
{
	struct arm_record *record = record_of(arm->machine);

	record->phys_base = profile_phys_base(profile);
	record->code_at = image->address - arm->window.vault;
	record->code_size = image->size;
	record->window = arm->window;
	record->layout = RECORD_LAYOUT;
	record->hooks = arm->hooks;
	memcpy(record->missing, arm->missing.text, sizeof(record->missing));
	record->n_missing = arm->missing.n;
	record->armed = profile_text(profile);
}

static void recall(struct arm *arm)
{
	const struct arm_record *record = record_of(arm->machine);

	arm->window = record->window;
	arm->hooks = record->hooks;
	memcpy(arm->missing.text, record->missing, sizeof(arm->missing.text));
	arm->missing.n = (unsigned int)record->n_missing;
	arm->code = record->window.vault + record->code_at;
	arm->code_size = record->code_size;
	arm->adopted = true;
}

static int write_code(void *machine, const struct machine_code *pieces, size_t n, struct error *err)
{
	return machine_write_code(machine, pieces, n, err);
}

static int write_hooks(struct arm *arm, const struct hooks *hooks, const struct space *space,
		       enum patch_state state, struct error *err)
{
	return hooks_write(hooks, space, state, write_code, arm->machine, err);
}

static int open_and_hook(struct arm *arm, const struct space *space, struct error *err)
{
	const struct ram *ram = machine_ram(arm->machine);
	int r;

	if (!hooks_are(&arm->hooks, space, PATCH_ORIGINAL))
		return error_set(err, -EAGAIN, "the guest's hooks changed meanwhile (a reboot?)");
	r = window_open(&arm->window, ram, err);
	if (r < 0)
		return r;
	r = write_hooks(arm, &arm->hooks, space, PATCH_INSTALLED, err);
	if (r < 0) {
		write_hooks(arm, &arm->hooks, space, PATCH_ORIGINAL, NULL);
		window_close(&arm->window, ram);
	}
	return r;
}

/* From @replaced to ours. Who is inside the older guard goes on there. */
static int hook_over(struct arm *arm, const struct hooks *replaced, const struct space *space,
		     struct error *err)
{
	int r;

	if (!hooks_are(replaced, space, PATCH_INSTALLED))
		return error_set(err, -EAGAIN, "the guest's hooks changed meanwhile (a reboot?)");
	r = write_hooks(arm, replaced, space, PATCH_LEAVING, err);
	if (r == 0)
		r = write_hooks(arm, &arm->hooks, space, PATCH_INSTALLED, err);
	if (r < 0) {
		write_hooks(arm, &arm->hooks, space, PATCH_LEAVING, NULL);
		write_hooks(arm, replaced, space, PATCH_INSTALLED, NULL);
	}
	return r;
}

/* Everything that the guest has to stand still for. */
static int switch_on(struct arm *arm, const struct profile *profile, const struct hooks *replaced,
		     const struct link_image *image, struct error *err)
{
	const struct space *space = profile_space(profile);
	struct error resumed;
	int r = machine_stop(arm->machine, err), resume;

	if (r < 0)
		return r;
	if (replaced)
		r = hook_over(arm, replaced, space, err);
	else
		r = open_and_hook(arm, space, err);
	if (r == 0)
		remember(arm, profile, image);
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

/*
 * A kernel that starts finds out how large its PCI devices' memory is by moving it away (drivers/pci/probe.c: __pci_read_base()), the vault's
 * too: whoever is in the guard then executes nothing. That is done before it is SYSTEM_RUNNING, and its first program starts after.
 */
static int check_started(const struct profile *profile, struct error *err)
{
	uint64_t address = profile_symbol(profile, "system_state"), running;
	uint32_t state;

	if (!address || profile_enumerator(profile, "SYSTEM_RUNNING", &running) < 0)
		return error_set(err, -ENOTSUP,
				 "this kernel has no system_state: it does not say when its PCI "
				 "devices are set up");
	if (space_read_u32(profile_space(profile), address, &state) < 0 || state < running)
		return error_set(err, -EAGAIN, "the guest's kernel is still starting");
	return 0;
}

static int find_window(struct arm *arm, const struct profile *profile, struct error *err)
{
	int r = check_started(profile, err);

	return r < 0 ? r : window_find(&arm->window, arm->machine, profile, err);
}

int arm_guard(struct arm *ret, struct machine *machine, const struct profile *profile,
	      const struct arm_options *options, struct error *err)
{
	_cleanup_(link_image_freep) struct link_image *image = NULL;
	const struct arm_record *record = record_of(machine);
	struct hooks_vault vault = { .host = machine_vault(machine)->host };
	uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
	struct arm arm = { .machine = machine };
	bool armed = is_armed(record, machine, profile), same;
	struct hooks replaced;
	struct resolve resolve;
	int r = check_kernel(profile, err);

	if (r < 0)
		return r;
	if (armed && !is_known(record, machine))
		return report_unknown(machine, err);
	armed = armed && hooks_are(&record->hooks, profile_space(profile), PATCH_INSTALLED);
	if (armed)
		recall(&arm);
	else
		r = find_window(&arm, profile, err);
	if (r < 0)
		return r;
	resolve = (struct resolve){ profile, arm.window.vault, arm.window.mailbox };
	r = place_code(machine, &resolve, &image, &same, err);
	if (r < 0)
		return r;
	if (armed && options->every_access != hooks_have(&arm.hooks, "file_permission"))
		return error_set(err, -EBUSY,
				 "the guard in place was armed with another `trap` than the "
				 "policy's; detach it first");
	if (armed && same) {
		*ret = arm;
		return 0;
	}
	vault.address = arm.window.vault;
	vault.every_access = options->every_access;
	replaced = arm.hooks;
	r = hooks_find(&arm.hooks, profile, image, &vault, armed ? &replaced : NULL,
		       options->allow_partial ? &arm.missing : NULL, err);
	if (r < 0)
		return r;
	arm.code = image->address;
	arm.code_size = image->size;
	arm.replaced = armed;
	if (!armed)
		prepare_header(machine);
	arm.prepare_us = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000 - start;
	r = switch_on(&arm, profile, armed ? &replaced : NULL, image, err);
	if (r < 0)
		return r;
	*ret = arm;
	return 0;
}

int arm_is_intact(const struct arm *arm, const struct profile *profile)
{
	return window_is_open(&arm->window, machine_ram(arm->machine)) &&
	       hooks_are(&arm->hooks, profile_space(profile), PATCH_INSTALLED);
}

/* With the guest stopped. The guard's nodes go to where the lists end now. */
static int put_back(struct arm *arm, const struct profile *profile, struct error *err)
{
	struct hooks *hooks = &arm->hooks;

	window_restore(&arm->window, machine_ram(arm->machine));
	for (size_t i = 0; i < hooks->n; i++) {
		struct patch *patch = &hooks->patch[hooks->hook[i].first];
		uint64_t ours, end;

		if (hooks->hook[i].means != HOOK_LSM_LIST)
			continue;
		memcpy(&ours, patch->bytes[PATCH_INSTALLED], sizeof(ours));
		if (lsm_list_end(profile, lsm_list_head(profile, hooks->hook[i].name), ours, &end) <
		    0)
			return error_set(err, -EFAULT, "the list of hook %s is broken",
					 hooks->hook[i].name);
		*patch = patch_word(end, 0, ours);
	}
	record_of(arm->machine)->hooks = *hooks;
	return write_hooks(arm, hooks, profile_space(profile), PATCH_INSTALLED, err);
}

int arm_repair(struct arm *arm, const struct profile *profile, struct error *err)
{
	struct error resumed;
	int r = machine_stop(arm->machine, err), resume;

	if (r < 0)
		return r;
	r = put_back(arm, profile, err);
	resume = machine_resume(arm->machine, NULL, r < 0 ? &resumed : err);
	return r < 0 ? r : resume;
}

/* The vault, and the ways to the calls that lead there. Returns how many. */
static size_t places_of(const struct arm *arm, struct quiesce_range ranges[1 + HOOKS_MAX_PATCHES])
{
	size_t n = 0;

	ranges[n++] =
		(struct quiesce_range){ arm->window.vault,
					arm->window.vault + machine_vault(arm->machine)->size };
	for (size_t i = 0; i < arm->hooks.n_patches; i++) {
		const struct patch *patch = &arm->hooks.patch[i];

		if (patch->way)
			ranges[n++] = (struct quiesce_range){ patch->way, patch->way_end };
	}
	return n;
}

/* With the guest stopped. 1 when done. */
static int close_if_clear(struct arm *arm, const struct kernel *kernel, struct error *err)
{
	struct quiesce_range ranges[1 + HOOKS_MAX_PATCHES];
	size_t n = places_of(arm, ranges);
	int r;

	if (!quiesce_is_clear(arm->machine, kernel, ranges, n))
		return 0;
	r = write_hooks(arm, &arm->hooks, kernel_space(kernel), PATCH_ORIGINAL, err);
	if (r < 0)
		return r;
	window_close(&arm->window, machine_ram(arm->machine));
	record_of(arm->machine)->armed = 0;
	return 1;
}

/* One try: the guest stands still for it. 1 when done. */
static int leave(struct arm *arm, const struct kernel *kernel, bool unhook, struct error *err)
{
	struct error resumed;
	int r = machine_stop(arm->machine, err), resume;

	if (r < 0)
		return r;
	if (unhook)
		r = write_hooks(arm, &arm->hooks, kernel_space(kernel), PATCH_LEAVING, err);
	if (r == 0)
		r = close_if_clear(arm, kernel, err);
	resume = machine_resume(arm->machine, NULL, r < 0 ? &resumed : err);
	return r < 0 || resume == 0 ? r : resume;
}

int arm_remove(struct arm *arm, const struct kernel *kernel, unsigned int timeout_ms,
	       struct error *err)
{
	struct guard_vault *vault = vault_of(arm->machine);
	int r;

	/* Whoever waits for the host inside need not any more. */
	__atomic_store_n(&vault->host_away, 1, __ATOMIC_SEQ_CST);
	for (unsigned int waited = 0;; waited += 5) {
		r = leave(arm, kernel, waited == 0, err);
		if (r)
			return r < 0 ? r : 0;
		if (waited >= timeout_ms)
			return error_set(err, -EBUSY,
					 "unhooked, but a guest thread is still inside the guard; "
					 "its memory stays mapped. Try again");
		usleep(5000);
	}
}
