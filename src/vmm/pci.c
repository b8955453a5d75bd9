// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/pci.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_DEPTH 8 /* of bridges below bridges */
#define MAX_PORTS 64
#define CLASS_BRIDGE 0x0604
#define VENDOR_INTEL 0x8086
#define DEVICE_I440FX 0x1237
#define HIGHEST (1ULL << 52) /* physical addresses of x86-64 end there */

#define ADD_PORT                                                                                 \
	"start the VM with `-device pcie-root-port,id=outguard-port,chassis=200,pref64-reserve=" \
	"128M` (libvirt: see docs/VM-SETUP.md), or with what `outguard qemu-args` prints"

/* Guest-physical addresses that a bridge passes on; none when first > last. */
struct window {
	uint64_t first, last;
};

struct port {
	char bus[64];
	struct window windows[2]; /* prefetchable; not prefetchable */
};

struct ports {
	struct port port[MAX_PORTS];
	size_t n;
};

static int64_t get_number(struct json_object *object, const char *member)
{
	return json_object_get_int64(json_object_object_get(object, member));
}

static struct window get_window(struct json_object *bus, const char *member)
{
	struct json_object *range = json_object_object_get(bus, member);
	struct window none = { 1, 0 }, window;

	if (!json_object_is_type(range, json_type_object))
		return none;
	window.first = (uint64_t)get_number(range, "base");
	window.last = (uint64_t)get_number(range, "limit");
	/* 0 is where a window is that nobody has set up */
	if (!window.first || window.first > window.last || window.last >= HIGHEST)
		return none;
	return window;
}

/* The places in a list of devices, or NULL. */
static struct json_object *get_list(struct json_object *object, const char *member)
{
	struct json_object *list = json_object_object_get(object, member);

	return json_object_is_type(list, json_type_array) ? list : NULL;
}

static size_t list_length(struct json_object *list)
{
	return list ? json_object_array_length(list) : 0;
}

static const char *get_id(struct json_object *device)
{
	return json_object_get_string(json_object_object_get(device, "qdev_id")) ?: "";
}

/* A bridge with nothing behind it, whose bus has a name: QEMU gives it the bridge's id. */
static void add_port(struct ports *ports, struct json_object *device, struct json_object *bridge)
{
	struct port *port = &ports->port[ports->n];
	struct json_object *bus = json_object_object_get(bridge, "bus");
	const char *id = get_id(device);

	if (ports->n == MAX_PORTS || !*id || strlen(id) >= sizeof(port->bus) ||
	    !json_object_is_type(bus, json_type_object))
		return;
	strcpy(port->bus, id);
	port->windows[0] = get_window(bus, "prefetchable_range");
	port->windows[1] = get_window(bus, "memory_range");
	ports->n++;
}

static void find_ports(struct ports *ports, struct json_object *devices, unsigned int depth)
{
	for (size_t i = 0; depth < MAX_DEPTH && i < list_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i), *bridge,
				   *behind;

		bridge = json_object_object_get(device, "pci_bridge");
		if (!json_object_is_type(bridge, json_type_object))
			continue;
		behind = get_list(bridge, "devices");
		if (list_length(behind))
			find_ports(ports, behind, depth + 1);
		else if (get_number(json_object_object_get(device, "class_info"), "class") ==
			 CLASS_BRIDGE)
			add_port(ports, device, bridge);
	}
}

static uint64_t align(uint64_t address, uint64_t size)
{
	return (address + size - 1) & ~(size - 1);
}

/* Takes @size bytes, aligned to their size, from the lowest place in @window; *@ret_above is what is left above. */
static bool take(struct window *window, uint64_t size, struct window *ret_above)
{
	uint64_t first = align(window->first, size);

	if (window->first > window->last || first > window->last || window->last - first < size - 1)
		return false;
	*ret_above = (struct window){ first + size, window->last };
	window->last = first - 1;
	return true;
}

static bool take_from(struct window *windows, size_t n, uint64_t size, struct window *ret_above)
{
	for (size_t i = 0; i < n; i++)
		if (take(&windows[i], size, ret_above))
			return true;
	return false;
}

/* As the guest does it: the larger one first, each into the prefetchable window if it fits there. */
static bool fits(const struct port *port, uint64_t size, uint64_t smaller)
{
	struct window windows[3] = { port->windows[0], port->windows[1] }, above;

	if (!take_from(windows, 2, size, &windows[2]))
		return false;
	return !smaller || take_from(windows, ARRAY_SIZE(windows), smaller, &above);
}

struct places {
	struct pci_place *place;
	size_t n, size;
};

static void add_place(struct places *places, const char *vault_bus, const char *mailbox_bus,
		      uint64_t vault_size)
{
	struct pci_place place = { .vault_size = vault_size };

	if (places->n == places->size)
		return;
	snprintf(place.vault_bus, sizeof(place.vault_bus), "%s", vault_bus);
	snprintf(place.mailbox_bus, sizeof(place.mailbox_bus), "%s", mailbox_bus);
	/* A root bus has room for two devices. */
	place.one_slot = vault_bus == mailbox_bus && strcmp(vault_bus, "pci.0") != 0;
	places->place[places->n++] = place;
}

static void add_places(struct places *places, const struct ports *ports, uint64_t vault_size,
		       uint64_t mailbox_size)
{
	for (size_t i = 0; i < ports->n; i++)
		if (fits(&ports->port[i], vault_size, mailbox_size))
			add_place(places, ports->port[i].bus, ports->port[i].bus, vault_size);
	for (size_t i = 0; i < ports->n; i++)
		for (size_t j = 0; j < ports->n && fits(&ports->port[i], vault_size, 0); j++)
			if (i != j && !fits(&ports->port[i], vault_size, mailbox_size) &&
			    fits(&ports->port[j], mailbox_size, 0))
				add_place(places, ports->port[i].bus, ports->port[j].bus,
					  vault_size);
}

static bool is_i440fx(struct json_object *bus)
{
	struct json_object *devices = get_list(bus, "devices");

	for (size_t i = 0; i < list_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		struct json_object *id = json_object_object_get(device, "id");

		if (get_number(id, "vendor") == VENDOR_INTEL &&
		    get_number(id, "device") == DEVICE_I440FX)
			return true;
	}
	return false;
}

static uint64_t window_size(const struct ports *ports)
{
	uint64_t most = 0;

	for (size_t i = 0; i < ports->n; i++)
		for (size_t j = 0; j < ARRAY_SIZE(ports->port[i].windows); j++) {
			const struct window *window = &ports->port[i].windows[j];

			if (window->first <= window->last && window->last - window->first >= most)
				most = window->last - window->first + 1;
		}
	return most;
}

static int refuse(const struct ports *ports, uint64_t mailbox_size, struct error *err)
{
	if (!ports->n)
		return error_set(err, -ENODEV,
				 "the VM has no free PCI slot to plug the vault and the mailbox "
				 "into (a pcie-root-port with an id and nothing behind "
				 "it); " ADD_PORT);
	return error_set(err, -ENODEV,
			 "the VM's free PCI slots (pcie-root-port) have windows of at most %" PRIu64
			 " MiB, too small for a vault of %" PRIu64 " MiB and a mailbox of %" PRIu64
			 "; " ADD_PORT,
			 window_size(ports) >> 20, (uint64_t)(PCI_VAULT_LEAST >> 20),
			 mailbox_size >> 20);
}

int pci_find_places(struct pci_place *ret, size_t n, struct json_object *answer,
		    uint64_t mailbox_size, struct error *err)
{
	struct places places = { .place = ret, .size = n };
	struct ports ports = { .n = 0 };

	if (!json_object_is_type(answer, json_type_array))
		return error_set(err, -EPROTO, "QEMU's answer to `query-pci` is no list");
	if (!json_object_array_length(answer))
		return error_set(err, -ENODEV, "the VM has no PCI bus, and cannot be guarded");
	for (size_t i = 0; i < json_object_array_length(answer); i++) {
		struct json_object *bus = json_object_array_get_idx(answer, i);

		if (is_i440fx(bus))
			add_place(&places, "pci.0", "pci.0", PCI_VAULT_MOST);
		find_ports(&ports, get_list(bus, "devices"), 0);
	}
	for (uint64_t size = PCI_VAULT_MOST; size >= PCI_VAULT_LEAST; size /= 2)
		add_places(&places, &ports, size, mailbox_size);
	return places.n ? (int)places.n : refuse(&ports, mailbox_size, err);
}

static struct json_object *find_device(struct json_object *devices, const char *id,
				       unsigned int depth)
{
	for (size_t i = 0; depth < MAX_DEPTH && i < list_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i), *found;
		struct json_object *bridge = json_object_object_get(device, "pci_bridge");

		if (strcmp(get_id(device), id) == 0)
			return device;
		found = find_device(get_list(bridge, "devices"), id, depth + 1);
		if (found)
			return found;
	}
	return NULL;
}

static uint64_t get_address(struct json_object *device, unsigned int bar)
{
	struct json_object *regions = get_list(device, "regions");

	for (size_t i = 0; i < list_length(regions); i++) {
		struct json_object *region = json_object_array_get_idx(regions, i);
		int64_t address = get_number(region, "address");

		if (get_number(region, "bar") == bar)
			return address > 0 && (uint64_t)address < HIGHEST ? (uint64_t)address : 0;
	}
	return 0;
}

uint64_t pci_find_address(struct json_object *answer, const char *id, unsigned int bar)
{
	size_t n = json_object_is_type(answer, json_type_array) ? json_object_array_length(answer)
								: 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *bus = json_object_array_get_idx(answer, i), *device;

		device = find_device(get_list(bus, "devices"), id, 0);
		if (device)
			return get_address(device, bar);
	}
	return 0;
}
