// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vault's memory is made here, and QEMU is passed a descriptor, which it opens again read-only by its name in
 * /proc/self/fd: there is no file that QEMU's user, its chroot or its mandatory access control could keep it from, and
 * none that is left.
 *
 * QEMU ends itself when a device with memory comes to a slot while it still holds the memory, of the same id, that a
 * device before had there (qemu_ram_set_idstr(): "already registered, abort!"). It may hold on for long: `info mtree -f`
 * takes references and does not give all of them back. So the ids of the memory get a number that is
 * not in use.
 */
#include "vmm/hot_plug.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/pci.h"

#define MAILBOX_SIZE (4ULL << 20)
#define MAX_PLACES 16
#define UNPLUG_TIMEOUT_NS 15000000000ULL /* pciehp waits 5 s for a second thought */
#define UNPLUG_LOOK_MS 50

#define MAX_NUMBER 1000

#define DRIVER "ivshmem-plain"

/*
 * An object of that name is there from the moment when the guest is asked to let go of the devices: it may do so at any
 * time then, and nobody may use them any more.
 */
#define LEAVING "outguard-leaving"
#define LEAVING_SIZE 4096 /* it has to have one */

/* The ids of the memory backends. */
struct backends {
	char vault[32], mailbox[32];
};

/* A member of the arguments that qmp_execute() takes. */
static void put(struct json_object *to, const char *name, struct json_object *value)
{
	json_object_object_add(to, name, value);
}

static void put_text(struct json_object *to, const char *name, const char *text)
{
	put(to, name, json_object_new_string(text));
}

/* Memory backends */

static struct json_object *backend(const char *type, const char *id, uint64_t size)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "qom-type", type);
	put_text(to, "id", id);
	put(to, "size", json_object_new_int64((int64_t)size));
	put(to, "share", json_object_new_boolean(true));
	return to;
}

static int delete_backend(struct qmp *qmp, const char *id, struct error *err)
{
	struct json_object *arguments = json_object_new_object();

	put_text(arguments, "id", id);
	return qmp_execute(qmp, "object-del", arguments, NULL, err);
}

static int make_vault(uint64_t size, struct error *err)
{
	_cleanup_(closep) int fd = memfd_create(HOT_PLUG_VAULT, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* QEMU, whoever runs it, reads; nobody makes it shorter under the guard. */
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fchmod(fd, 0644) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set(err, -errno, "memory for the vault: %m");
	return TAKE_FD(fd);
}

/* Passes @fd; sets its number in QEMU, and that of the set it is in. */
static int pass_fd(struct qmp *qmp, int fd, int64_t *ret_fd, int64_t *ret_set, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *result = NULL;
	struct json_object *number, *set;
	int r = qmp_execute_passing(qmp, "add-fd", NULL, fd, &result, err);

	if (r < 0)
		return r;
	if (!json_object_object_get_ex(result, "fd", &number) ||
	    !json_object_object_get_ex(result, "fdset-id", &set))
		return error_set(err, -EPROTO, "QEMU's answer to `add-fd` names no descriptor");
	*ret_fd = json_object_get_int64(number);
	*ret_set = json_object_get_int64(set);
	return 0;
}

static int add_vault_backend(struct qmp *qmp, const char *id, uint64_t size, struct error *err)
{
	_cleanup_(closep) int fd = make_vault(size, err);
	struct json_object *arguments;
	int64_t number = -1, set = -1;
	char path[48];
	int r;

	if (fd < 0)
		return fd;
	r = pass_fd(qmp, fd, &number, &set, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%" PRId64, number);
	arguments = backend("memory-backend-file", id, size);
	put_text(arguments, "mem-path", path);
	put(arguments, "readonly", json_object_new_boolean(true));
	r = qmp_execute(qmp, "object-add", arguments, NULL, err);
	arguments = json_object_new_object();
	put(arguments, "fdset-id", json_object_new_int64(set));
	qmp_execute(qmp, "remove-fd", arguments, NULL, NULL);
	return r;
}

static int add_backends(struct qmp *qmp, const struct backends *ids, uint64_t vault_size,
			struct error *err)
{
	int r = add_vault_backend(qmp, ids->vault, vault_size, err);

	if (r < 0)
		return r;
	return qmp_execute(qmp, "object-add",
			   backend("memory-backend-memfd", ids->mailbox, MAILBOX_SIZE), NULL, err);
}

/* Does QEMU hold memory of that id? */
static bool is_held(const char *blocks, const char *id)
{
	char name[48];

	snprintf(name, sizeof(name), "/%s ", id);
	return strstr(blocks, name);
}

static int choose_ids(struct qmp *qmp, struct backends *ret, struct error *err)
{
	_cleanup_(freep) char *blocks = NULL;
	int r = qmp_hmp(qmp, &blocks, err, "info ramblock");

	if (r < 0)
		return r;
	for (unsigned int i = 1; i < MAX_NUMBER; i++) {
		snprintf(ret->vault, sizeof(ret->vault), HOT_PLUG_VAULT "-%u", i);
		snprintf(ret->mailbox, sizeof(ret->mailbox), HOT_PLUG_MAILBOX "-%u", i);
		if (!is_held(blocks, ret->vault) && !is_held(blocks, ret->mailbox))
			return 0;
	}
	return error_set(err, -E2BIG,
			 "QEMU has kept the memory of %u devices that were plugged in before; "
			 "restart the VM",
			 MAX_NUMBER);
}

/* Devices */

/* @address: "slot.function", or NULL for a slot of QEMU's choice. */
static int add_device(struct qmp *qmp, const char *id, const char *memory, const char *bus,
		      const char *address, struct error *err)
{
	/* master=off: see qemu_args.c */
	bool is_vault = strcmp(id, HOT_PLUG_VAULT) == 0;
	struct json_object *arguments = json_object_new_object();

	put_text(arguments, "driver", DRIVER);
	put_text(arguments, "id", id);
	put_text(arguments, "memdev", memory);
	put_text(arguments, "master", is_vault ? "off" : "on");
	put_text(arguments, "bus", bus);
	if (address) {
		put_text(arguments, "addr", address);
		put(arguments, "multifunction", json_object_new_boolean(true));
	}
	return qmp_execute(qmp, "device_add", arguments, NULL, err);
}

/* The guest looks at a slot when its function 0 comes: that comes last. */
static int add_devices(struct qmp *qmp, const struct backends *ids, const struct pci_place *place,
		       struct error *err)
{
	int r = add_device(qmp, HOT_PLUG_VAULT, ids->vault, place->vault_bus,
			   place->one_slot ? "0.1" : NULL, err);

	if (r < 0)
		return r;
	return add_device(qmp, HOT_PLUG_MAILBOX, ids->mailbox, place->mailbox_bus,
			  place->one_slot ? "0.0" : NULL, err);
}

static int plug_at(struct qmp *qmp, const struct pci_place *place, struct error *err)
{
	struct error trouble = { 0 };
	struct backends ids;
	int r = choose_ids(qmp, &ids, err);

	if (r < 0)
		return r;
	r = add_backends(qmp, &ids, place->vault_size, err);
	if (r >= 0)
		r = add_devices(qmp, &ids, place, err);
	if (r < 0 && hot_unplug(qmp, &trouble) < 0)
		error_wrap(err, "%s", trouble.message);
	return r;
}

int hot_plug(struct qmp *qmp, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *pci = NULL;
	struct pci_place places[MAX_PLACES];
	int r, n;

	r = qmp_execute(qmp, "query-pci", NULL, &pci, err);
	if (r < 0)
		return r;
	n = pci_find_places(places, ARRAY_SIZE(places), pci, MAILBOX_SIZE, err);
	if (n < 0)
		return n;
	r = hot_unplug(qmp, err); /* what an attach that was killed may have left */
	if (r < 0)
		return r;
	r = -EIO;
	for (int i = 0; i < n && r == -EIO; i++)
		r = plug_at(qmp, &places[i], err);
	return r == -EIO ? error_wrap(err, "the VM takes no new PCI device; `outguard qemu-args` "
					   "prints what to start it with")
			 : r;
}

/* Names */

/* The next name in the list of what is below @path in QEMU's tree of objects, from *@at on, or NULL. */
static const char *next_name(struct json_object *list, size_t *at)
{
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	while (*at < n) {
		struct json_object *entry = json_object_array_get_idx(list, (*at)++);
		const char *name = json_object_get_string(json_object_object_get(entry, "name"));

		if (name)
			return name;
	}
	return NULL;
}

static struct json_object *list_names(struct qmp *qmp, const char *path)
{
	struct json_object *arguments = json_object_new_object(), *list = NULL;

	put_text(arguments, "path", path);
	qmp_execute(qmp, "qom-list", arguments, &list, NULL);
	return list;
}

static bool has_name(struct qmp *qmp, const char *path, const char *name)
{
	_cleanup_(json_object_putp) struct json_object *list = list_names(qmp, path);
	const char *there;
	size_t at = 0;

	while ((there = next_name(list, &at)))
		if (strcmp(there, name) == 0)
			return true;
	return false;
}

/* A device's name is there until the guest has let go of it. */
bool hot_plug_is_there(struct qmp *qmp)
{
	return has_name(qmp, "/machine/peripheral", HOT_PLUG_VAULT) ||
	       has_name(qmp, "/machine/peripheral", HOT_PLUG_MAILBOX);
}

bool hot_plug_is_leaving(struct qmp *qmp)
{
	return has_name(qmp, "/objects", LEAVING);
}

int hot_plug_backend(struct qmp *qmp, const char *id, char *buf, size_t size, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *link = NULL;
	struct json_object *arguments = json_object_new_object();
	char path[64];
	const char *name;
	int r;

	snprintf(path, sizeof(path), "/machine/peripheral/%s", id);
	put_text(arguments, "path", path);
	put_text(arguments, "property", "memdev");
	r = qmp_execute(qmp, "qom-get", arguments, &link, err);
	if (r < 0)
		return r == -EIO ? error_set(err, -ENODEV, "no device %s", id) : r;
	name = json_object_get_string(link) ?: "";
	name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	snprintf(buf, size, "%s", name);
	return 0;
}

static void ask_to_go(struct qmp *qmp, const char *id)
{
	struct json_object *arguments = json_object_new_object();

	put_text(arguments, "id", id);
	/* Refused when it is going already: that is looked at below. */
	qmp_execute(qmp, "device_del", arguments, NULL, NULL);
}

static int mark_leaving(struct qmp *qmp, struct error *err)
{
	if (hot_plug_is_leaving(qmp))
		return 0;
	return qmp_execute(qmp, "object-add", backend("memory-backend-ram", LEAVING, LEAVING_SIZE),
			   NULL, err);
}

static int wait_until_gone(struct qmp *qmp, struct error *err)
{
	uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + UNPLUG_TIMEOUT_NS;

	while (hot_plug_is_there(qmp)) {
		if (clock_ns(CLOCK_MONOTONIC) >= deadline)
			return error_set(err, -ETIMEDOUT,
					 "the guest has not let go of the PCI devices that were "
					 "plugged "
					 "in; they stay, unused, until it does or is reset");
		poll(NULL, 0, UNPLUG_LOOK_MS);
	}
	return 0;
}

static void delete_backends(struct qmp *qmp)
{
	_cleanup_(json_object_putp) struct json_object *list = list_names(qmp, "/objects");
	const char *name;
	size_t at = 0;

	while ((name = next_name(list, &at)))
		if (strcmp(name, LEAVING) == 0 ||
		    strncmp(name, HOT_PLUG_VAULT "-", sizeof(HOT_PLUG_VAULT)) == 0 ||
		    strncmp(name, HOT_PLUG_MAILBOX "-", sizeof(HOT_PLUG_MAILBOX)) == 0)
			delete_backend(qmp, name, NULL);
}

int hot_unplug(struct qmp *qmp, struct error *err)
{
	int r = 0;

	if (hot_plug_is_there(qmp)) {
		r = mark_leaving(qmp, err);
		if (r < 0)
			return r;
		ask_to_go(qmp, HOT_PLUG_VAULT);
		ask_to_go(qmp, HOT_PLUG_MAILBOX);
		r = wait_until_gone(qmp, err);
	}
	if (r == 0)
		delete_backends(qmp);
	return r;
}
