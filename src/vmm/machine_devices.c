// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The BARs of our two devices are placed by the guest, so their addresses are asked for again and again. They can move between two
 * questions: gpa2hva says whose memory it found, and that is compared.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/hot_plug.h"
#include "vmm/machine_parts.h"
#include "vmm/pci.h"
#include "vmm/qemu_args.h"

#define ASSIGN_TIMEOUT_NS \
	15000000000ULL /* from its being plugged in; a guest under TCG takes 1 s */

/* Is the block behind a PCI device? Until the guest maps its BAR, only the list of RAM blocks tells. */
static int check_device(struct machine *machine, const char *blocks, const char *id,
			struct error *err)
{
	_cleanup_(freep) char *suffix = NULL;

	if (asprintf(&suffix, "/%s ", id) < 0) {
		suffix = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	if (!machine_block(machine, id) || !strstr(blocks, suffix))
		return error_set(err, -ENODEV,
				 "the VM has no ivshmem-plain device with memdev=%s; --hot-plug "
				 "plugs "
				 "it in, or " QEMU_ARGS_REMEDY,
				 id);
	return 0;
}

/* A property of the vault's memory backend; NULL where it has none of that name. */
static int query_vault(struct machine *machine, const char *property, struct json_object **ret,
		       struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *arguments = json_object_new_object();
	char path[sizeof(machine->vault_id) + sizeof("/objects/")];
	struct error refused = { 0 };
	int r;

	snprintf(path, sizeof(path), "/objects/%s", machine->vault_id);
	json_object_object_add(arguments, "path", json_object_new_string(path));
	json_object_object_add(arguments, "property", json_object_new_string(property));
	r = qmp_execute(machine->qmp, "qom-get", TAKE_PTR(arguments), ret, &refused);
	return r < 0 && r != -EIO ? error_set(err, r, "%s", refused.message) : 0;
}

/*
 * Only a file backend has these properties. What the guest sees is read-only by `rom`, which QEMU has since 8.2
 ("backends/hostmem-file: Add "rom" property to support VM templating with R/O files"); where that is
 * "auto", or not there, by `readonly`, which says how QEMU itself maps the file.
 */
static int check_vault_read_only(struct machine *machine, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *rom = NULL, *read_only = NULL;
	const char *is_rom;
	int r;

	r = query_vault(machine, "rom", &rom, err);
	if (r >= 0)
		r = query_vault(machine, "readonly", &read_only, err);
	if (r < 0)
		return r;
	is_rom = rom ? json_object_get_string(rom) : "auto";
	if (strcmp(is_rom, "on") == 0 ||
	    (strcmp(is_rom, "auto") == 0 && json_object_get_boolean(read_only)))
		return 0;
	return error_set(err, -EPERM,
			 "the guest can write the vault (memory backend %s is not a file with "
			 "readonly=on, or rom=on); " QEMU_ARGS_REMEDY,
			 machine->vault_id);
}

static int find_ids(struct machine *machine, struct error *err)
{
	int r;

	snprintf(machine->vault_id, sizeof(machine->vault_id), MACHINE_VAULT_ID);
	snprintf(machine->mailbox_id, sizeof(machine->mailbox_id), MACHINE_MAILBOX_ID);
	machine->plugged_in = hot_plug_is_there(machine->qmp);
	machine->plugged_ns = clock_ns(CLOCK_MONOTONIC);
	if (!machine->plugged_in) /* unless it was started with them */
		return 0;
	if (hot_plug_is_leaving(machine->qmp))
		return error_set(err, -ENODEV,
				 "the guest has not let go yet of the devices that were plugged "
				 "into the "
				 "VM before; --hot-plug plugs in new ones when it has");
	r = hot_plug_backend(machine->qmp, HOT_PLUG_VAULT, machine->vault_id,
			     sizeof(machine->vault_id), err);
	if (r >= 0)
		r = hot_plug_backend(machine->qmp, HOT_PLUG_MAILBOX, machine->mailbox_id,
				     sizeof(machine->mailbox_id), err);
	if (r == -ENODEV)
		return error_set(err, r,
				 "of the two devices that were plugged into the VM one is missing; "
				 "--hot-plug plugs both in again");
	return r;
}

/* -ENODEV when they are not there. */
int machine_find_devices(struct machine *machine, struct error *err)
{
	_cleanup_(freep) char *blocks = NULL;
	int r;

	r = find_ids(machine, err);
	if (r >= 0)
		r = qmp_hmp(machine->qmp, &blocks, err, "info ramblock");
	if (r >= 0)
		r = check_device(machine, blocks, machine->vault_id, err);
	if (r >= 0)
		r = check_device(machine, blocks, machine->mailbox_id, err);
	if (r >= 0)
		r = check_vault_read_only(machine, err);
	if (r < 0)
		return r;
	machine->vault.size = machine_block(machine, machine->vault_id)->size;
	machine->mailbox.size = machine_block(machine, machine->mailbox_id)->size;
	machine->mailbox.guest_can_write = true;
	machine->has_devices = true;
	return 0;
}

int machine_need_devices(struct machine *machine, struct error *err)
{
	return machine->has_devices ? 0 : machine_find_devices(machine, err);
}

static int take_device(struct machine *machine, struct machine_device *device, struct block *block,
		       const struct memory_region *region, struct error *err)
{
	struct error failed = { 0 };
	int r = machine_reach_block(machine, block, region, &failed);

	if (r == -EAGAIN) /* the guest moves its BARs right now */
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", failed.message);
	device->host = block->host;
	device->file_device = block->file.st_dev;
	device->file_inode = block->file.st_ino;
	device->guest_can_write = region->type == MEMORY_REGION_RAM;
	device->gpa = region->gpa;
	return 0;
}

static int refresh_device(struct machine *machine, struct machine_device *device, const char *id,
			  const struct memory_map *map, struct error *err)
{
	struct block *block = machine_block(machine, id);
	const struct memory_region *region = memory_map_find(map, id, block->size);

	device->gpa = 0;
	return region ? take_device(machine, device, block, region, err) : 0;
}

/*
 * A device that was plugged in is found by its BAR: QEMU would not let go of it later, had it been looked for by
 * `info mtree -f` (see hot_plug.c). machine_find_devices() has seen that the vault is read-only.
 */
static int refresh_plugged(struct machine *machine, struct machine_device *device,
			   const char *device_id, struct json_object *pci, struct error *err)
{
	bool is_vault = device == &machine->vault;
	struct block *block =
		machine_block(machine, is_vault ? machine->vault_id : machine->mailbox_id);
	struct memory_region region = {
		.gpa = pci_find_address(pci, device_id, HOT_PLUG_BAR),
		.size = block->size,
		.type = is_vault ? MEMORY_REGION_ROM : MEMORY_REGION_RAM,
	};
	struct error failed = { 0 };
	uint64_t first, last;
	int r;

	device->gpa = 0;
	if (!region.gpa)
		return 0;
	/* Bridges pass on all of it? */
	r = machine_query_address(machine, block, region.gpa, &first, &failed);
	if (r >= 0)
		r = machine_query_address(machine, block, region.gpa + region.size - 1, &last,
					  &failed);
	if (r == -EAGAIN || (r >= 0 && last - first != region.size - 1))
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", failed.message);
	return take_device(machine, device, block, &region, err);
}

/* A device that was plugged in, and that the guest has had time to take note of. */
static int check_assigned(const struct machine *machine, struct error *err)
{
	if ((machine->vault.gpa && machine->mailbox.gpa) ||
	    clock_ns(CLOCK_MONOTONIC) - machine->plugged_ns < ASSIGN_TIMEOUT_NS)
		return 0;
	return error_set(err, -ENOSPC,
			 "the guest has given no addresses to the PCI devices that were plugged in "
			 "(vault of %" PRIu64 " MiB, mailbox of %" PRIu64 "): it is still booting, "
			 "or takes no hot-plug, or has no room for them (dmesg in the guest "
			 "tells); " QEMU_ARGS_REMEDY,
			 machine->vault.size >> 20, machine->mailbox.size >> 20);
}

static int refresh_plugged_devices(struct machine *machine, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *pci = NULL;
	int r = qmp_execute(machine->qmp, "query-pci", NULL, &pci, err);

	if (r >= 0)
		r = refresh_plugged(machine, &machine->vault, HOT_PLUG_VAULT, pci, err);
	if (r >= 0)
		r = refresh_plugged(machine, &machine->mailbox, HOT_PLUG_MAILBOX, pci, err);
	return r < 0 ? r : check_assigned(machine, err);
}

int machine_place_devices(struct machine *machine, const struct memory_map *map, struct error *err)
{
	int r;

	r = refresh_device(machine, &machine->vault, machine->vault_id, map, err);
	if (r >= 0)
		r = refresh_device(machine, &machine->mailbox, machine->mailbox_id, map, err);
	if (r < 0)
		return r;
	if (machine->vault.guest_can_write)
		return error_set(err, -EPERM,
				 "QEMU lets the guest write the vault; " QEMU_ARGS_REMEDY);
	return 0;
}

int machine_refresh_devices(struct machine *machine, struct error *err)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	int r;

	if (!machine->has_devices)
		return 0;
	if (machine->plugged_in)
		return refresh_plugged_devices(machine, err);
	r = machine_query_memory_map(machine, &map, err);
	if (r < 0)
		return r;
	return machine_place_devices(machine, &map, err);
}

/* Plugging in */

static int check_running(struct machine *machine, struct error *err)
{
	char status[64];
	int r = machine_status(machine, status, sizeof(status), err);

	if (r < 0 || strcmp(status, "running") == 0)
		return r;
	return error_set(err, -EBUSY,
			 "the VM is stopped (QEMU's status: %s), and its guest cannot take the "
			 "devices; give QEMU `cont`",
			 status);
}

int machine_plug_in(struct machine *machine, struct error *err)
{
	int r = check_running(machine, err);

	if (r >= 0)
		r = hot_plug(machine->qmp, err);
	if (r < 0)
		return r;
	r = machine_find_blocks(machine, err);
	if (r >= 0)
		r = machine_find_devices(machine, err);
	if (r < 0)
		hot_unplug(machine->qmp, NULL);
	return r;
}

bool machine_is_plugged_in(const struct machine *machine)
{
	return machine->plugged_in;
}

static void forget_block(struct machine *machine, const char *id)
{
	struct block *block = machine_block(machine, id);

	if (!block)
		return;
	if (block->host)
		madvise(block->host, block->size, MADV_REMOVE); /* QEMU may hold on to it */
	block_deinit(block);
	machine->n_blocks--;
	memmove(block, block + 1,
		(size_t)(machine->blocks + machine->n_blocks - block) * sizeof(*block));
	machine->blocks[machine->n_blocks] = (struct block){ 0 };
}

int machine_unplug(struct machine *machine, struct error *err)
{
	int r;

	if (!machine->plugged_in)
		return 0;
	r = hot_unplug(machine->qmp, err);
	if (r < 0)
		return r;
	forget_block(machine, machine->vault_id);
	forget_block(machine, machine->mailbox_id);
	machine->vault = machine->mailbox = (struct machine_device){ 0 };
	machine->has_devices = machine->plugged_in = false;
	return 0;
}
