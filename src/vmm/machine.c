// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the guest's memory gets here, without trusting any file name:
 *
 *   QMP query-memdev     memory backends: names and sizes
 *   HMP info mtree -f    where the guest sees which part of which backend
 *   HMP gpa2hva          where such a part is mapped in QEMU's own address space
 *   /proc/PID/maps       the mappings there
 *   /proc/PID/map_files  the very files behind those that are shared, whatever their names now are
 *   /proc/PID/mem        what is private
 *
 * A backend ("block") is mapped here whole and once, at one address, though QEMU's mapping of it may have
 * been split (NUMA policy, madvise), and though the guest sees it in parts: q35 and pc go on above 4 GiB
 * with what did not fit below. One that QEMU has for itself alone is read and written through QEMU's process; the
 * kernel's copying promises no single store there, so the vCPUs stand still while a word is written.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/gdbstub.h"
#include "vmm/machine_parts.h"
#include "vmm/process_memory.h"
#include "vmm/qemu_args.h"
#include "vmm/registers.h"

#define DUMP_FD "outguard-dump"

DEFINE_CLEANUP(struct machine *, machine_free)

/* Questions to QEMU */

static int query_string(struct machine *machine, const char *command, const char *member, char *buf,
			size_t size, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *result = NULL;
	struct json_object *value;
	int r;

	r = qmp_execute(machine->qmp, command, NULL, &result, err);
	if (r < 0)
		return r;
	if (!json_object_is_type(result, json_type_object) ||
	    !json_object_object_get_ex(result, member, &value))
		return error_set(err, -EPROTO, "no \"%s\" in QEMU's answer to `%s`", member,
				 command);
	snprintf(buf, size, "%s", json_object_get_string(value) ?: "");
	return 0;
}

int machine_query_memory_map(struct machine *machine, struct memory_map *ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	r = qmp_hmp(machine->qmp, &text, err, "info mtree -f");
	if (r < 0)
		return r;
	return memory_map_parse(ret, text, err);
}

/*
 * Address in QEMU's own address space of guest-physical @gpa. -EAGAIN when something else than @block is there by now.
 */
int machine_query_address(struct machine *machine, const struct block *block, uint64_t gpa,
			  uint64_t *ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	r = qmp_hmp(machine->qmp, &text, err, "gpa2hva 0x%" PRIx64, gpa);
	if (r < 0)
		return r;
	if (memory_map_parse_address(ret, text, gpa, block->id) < 0)
		return error_set(err, -EAGAIN, "%s is no longer at 0x%" PRIx64 ": %s", block->id,
				 gpa, text);
	return 0;
}

static int check_status(struct machine *machine, struct error *err)
{
	static const struct {
		const char *status, *remedy;
	} refused[] = {
		{ "prelaunch", "has not been started; give QEMU `cont` first" },
		{ "inmigrate", "waits for an incoming migration; attach when it runs" },
		{ "postmigrate", "has migrated away; attach on the other host" },
		{ "finish-migrate", "is migrating; attach when it runs" },
		{ "restore-vm", "is being restored; attach when it runs" },
		{ "shutdown", "has powered off; start it" },
		{ "internal-error", "was stopped by an error of the hypervisor; reset it" },
		{ "guest-panicked", "has panicked; reset it" },
	};
	char status[64];
	int r;

	r = machine_status(machine, status, sizeof(status), err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (strcmp(status, refused[i].status) == 0)
			return error_set(err, -ENOTCONN, "the VM %s (QEMU's status: %s)",
					 refused[i].remedy, status);
	return 0;
}

static int check_target(struct machine *machine, struct error *err)
{
	char arch[32];
	int r;

	r = query_string(machine, "query-target", "arch", arch, sizeof(arch), err);
	if (r < 0)
		return r;
	if (strcmp(arch, "x86_64") != 0)
		return error_set(err, -ENOTSUP, "the VM is %s; only x86_64 can be guarded", arch);
	return 0;
}

static int find_accelerator(struct machine *machine, struct error *err)
{
	char enabled[8];
	int r;

	r = query_string(machine, "query-kvm", "enabled", enabled, sizeof(enabled), err);
	if (r < 0)
		return r;
	machine->accelerator = strcmp(enabled, "true") == 0 ? "kvm" : "tcg";
	return 0;
}

/* Blocks */

struct block *machine_block(struct machine *machine, const char *id)
{
	for (size_t i = 0; i < machine->n_blocks; i++)
		if (strcmp(machine->blocks[i].id, id) == 0)
			return &machine->blocks[i];
	return NULL;
}

static int add_block(struct machine *machine, const char *id, int64_t size, struct error *err)
{
	struct block *block = &machine->blocks[machine->n_blocks];

	if (machine->n_blocks == MACHINE_MAX_BLOCKS)
		return error_set(err, -E2BIG, "the VM has more than %d memory backends",
				 MACHINE_MAX_BLOCKS);
	block->id = strdup(id);
	if (!block->id)
		return error_set(err, -ENOMEM, "out of memory");
	block->size = (uint64_t)size;
	machine->n_blocks++;
	return 0;
}

/* The memory backends that are not known yet. */
int machine_find_blocks(struct machine *machine, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *list = NULL;
	int r;

	r = qmp_execute(machine->qmp, "query-memdev", NULL, &list, err);
	if (r < 0)
		return r;
	if (!json_object_is_type(list, json_type_array))
		return error_set(err, -EPROTO, "QEMU's answer to `query-memdev` is no list");
	for (size_t i = 0; r >= 0 && i < json_object_array_length(list); i++) {
		struct json_object *memdev = json_object_array_get_idx(list, i), *id, *size;

		if (!json_object_object_get_ex(memdev, "id", &id) ||
		    !json_object_object_get_ex(memdev, "size", &size) ||
		    json_object_get_int64(size) <= 0)
			continue; /* without an id: none that the guest can see under a name */
		if (!machine_block(machine, json_object_get_string(id) ?: ""))
			r = add_block(machine, json_object_get_string(id) ?: "",
				      json_object_get_int64(size), err);
	}
	return r;
}

/* Private memory */

static int read_process(void *data, uint64_t address, void *buf, size_t len)
{
	const struct machine *machine = data;

	return process_memory_read(machine->memory_fd, address, buf, len);
}

static int write_process(void *data, uint64_t address, uint64_t value)
{
	struct machine *machine = data;
	bool hold = !machine->stopped;
	int r;

	if (hold && machine_stop(machine, NULL) < 0)
		return -EFAULT;
	r = process_memory_write(machine->memory_fd, address, &value, sizeof(value));
	if (hold && machine_resume(machine, NULL, NULL) < 0)
		return -EFAULT;
	return r;
}

static int open_process(struct machine *machine, struct error *err)
{
	if (machine->memory_fd >= 0)
		return 0;
	machine->memory_fd = process_memory_open(machine_pid(machine), err);
	if (machine->memory_fd < 0)
		return machine->memory_fd;
	machine->ram.process = (struct ram_process){ read_process, write_process, machine };
	return 0;
}

static bool is_device(const struct block *block)
{
	return strncmp(block->id, MACHINE_VAULT_ID, sizeof(MACHINE_VAULT_ID) - 1) == 0 ||
	       strncmp(block->id, MACHINE_MAILBOX_ID, sizeof(MACHINE_MAILBOX_ID) - 1) == 0;
}

/* Finds the way to the block that @region is a part of, if that is not done yet. */
int machine_reach_block(struct machine *machine, struct block *block,
			const struct memory_region *region, struct error *err)
{
	uint64_t address = 0;
	int r;

	if (region->offset > block->size || region->size > block->size - region->offset)
		return error_set(err, -EBADMSG, "QEMU maps more of \"%s\" than it has", block->id);
	if (block->host || block->remote)
		return 0;
	r = machine_query_address(machine, block, region->gpa, &address, err);
	if (r < 0)
		return r;
	r = block_map(block, machine_pid(machine), address - region->offset, err);
	if (r < 0 && (r != -EXDEV || is_device(block)))
		return r;
	block->remote = address - region->offset;
	return r < 0 ? open_process(machine, err) : 0;
}

/* Guest RAM */

static int add_ranges(struct machine *machine, struct block *block, const struct memory_map *map,
		      struct error *err)
{
	struct memory_region parts[RAM_MAX_RANGES];
	struct ram *ram = &machine->ram;
	size_t n;
	int r;

	n = memory_map_ram(map, block->id, parts, ARRAY_SIZE(parts));
	if (n > RAM_MAX_RANGES - ram->n_ranges)
		return error_set(err, -E2BIG, "guest RAM is in more than %d pieces",
				 RAM_MAX_RANGES);
	for (size_t i = 0; i < n; i++) {
		r = machine_reach_block(machine, block, &parts[i], err);
		if (r < 0)
			return r;
		ram->ranges[ram->n_ranges++] = (struct ram_range){
			.gpa = parts[i].gpa,
			.size = parts[i].size,
			.host = block->host ? block->host + parts[i].offset : NULL,
			.remote = block->remote + parts[i].offset,
		};
	}
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct ram_range *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int find_ram(struct machine *machine, const struct memory_map *map, struct error *err)
{
	int r;

	for (size_t i = 0; i < machine->n_blocks; i++) {
		if (is_device(&machine->blocks[i]))
			continue;
		r = add_ranges(machine, &machine->blocks[i], map, err);
		if (r < 0)
			return error_wrap(err, "guest RAM");
	}
	qsort(machine->ram.ranges, machine->ram.n_ranges, sizeof(machine->ram.ranges[0]),
	      compare_ranges);
	if (!machine->ram.n_ranges)
		return error_set(err, -ENOTSUP,
				 "guest RAM is in none of QEMU's memory "
				 "backends; " QEMU_ARGS_REMEDY);
	return 0;
}

/* One that is gone from the map may come back under its name with another file. */
static void drop_unused_blocks(struct machine *machine, const struct memory_map *map)
{
	size_t n = 0;

	for (size_t i = 0; i < machine->n_blocks; i++) {
		struct block *block = &machine->blocks[i];

		if (is_device(block) || memory_map_ram(map, block->id, NULL, 0)) {
			machine->blocks[n++] = *block;
			continue;
		}
		block_deinit(block);
	}
	memset(&machine->blocks[n], 0, (machine->n_blocks - n) * sizeof(machine->blocks[0]));
	machine->n_blocks = n;
}

int machine_refresh_memory(struct machine *machine, struct error *err)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	const struct ram before = machine->ram;
	int r;

	r = machine_query_memory_map(machine, &map, err);
	if (r >= 0)
		r = machine_find_blocks(machine, err);
	if (r < 0)
		return r;
	machine->ram.n_ranges = 0;
	r = find_ram(machine, &map, err);
	if (r < 0) {
		machine->ram = before;
		return r;
	}
	drop_unused_blocks(machine, &map);
	return machine->ram.n_ranges != before.n_ranges ||
	       memcmp(machine->ram.ranges, before.ranges,
		      before.n_ranges * sizeof(before.ranges[0])) != 0;
}

/* The machine */

static int find_memory(struct machine *machine, struct error *err)
{
	_cleanup_(memory_map_deinit) struct memory_map map = { 0 };
	int r;

	r = machine_find_blocks(machine, err);
	if (r >= 0)
		r = machine_query_memory_map(machine, &map, err);
	if (r >= 0)
		r = find_ram(machine, &map, err);
	if (r >= 0)
		r = machine_find_devices(machine, err);
	if (r == -ENODEV)
		return 0;
	if (r < 0 || machine->plugged_in)
		return r; /* asked for when needed */
	return machine_place_devices(machine, &map, err);
}

static int check_process(const struct machine *machine, struct error *err)
{
	if (machine_pid(machine) > 0)
		return 0;
	return error_set(err, -ESRCH,
			 "QEMU runs in a pid name space that is hidden from here; run "
			 "outguardd in the host's");
}

int machine_open(struct machine **ret, const char *qmp_path, unsigned int timeout_ms,
		 struct error *err)
{
	_cleanup_(machine_freep) struct machine *machine = calloc(1, sizeof(*machine));
	int r;

	if (!machine)
		return error_set(err, -ENOMEM, "out of memory");
	machine->memory_fd = -1;
	r = qmp_open(&machine->qmp, qmp_path, timeout_ms, err);
	if (r >= 0)
		r = check_process(machine, err);
	if (r >= 0)
		r = check_target(machine, err);
	if (r >= 0)
		r = check_status(machine, err);
	if (r >= 0)
		r = find_accelerator(machine, err);
	if (r >= 0)
		r = find_memory(machine, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(machine);
	return 0;
}

struct machine *machine_free(struct machine *machine)
{
	if (!machine)
		return NULL;
	for (size_t i = 0; i < machine->n_blocks; i++)
		block_deinit(&machine->blocks[i]);
	trap_free(machine->trap);
	closep(&machine->memory_fd);
	qmp_free(machine->qmp);
	free(machine);
	return NULL;
}

const struct ram *machine_ram(const struct machine *machine)
{
	return &machine->ram;
}

const struct machine_device *machine_vault(const struct machine *machine)
{
	return &machine->vault;
}

const struct machine_device *machine_mailbox(const struct machine *machine)
{
	return &machine->mailbox;
}

int machine_pid(const struct machine *machine)
{
	return qmp_peer_pid(machine->qmp);
}

const char *machine_accelerator(const struct machine *machine)
{
	return machine->accelerator;
}

int machine_cpus(struct machine *machine, struct cpu *cpus, size_t n, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	r = qmp_hmp(machine->qmp, &text, err, "info registers -a");
	if (r < 0)
		return r;
	return registers_parse(text, cpus, n, err);
}

int machine_status(struct machine *machine, char *buf, size_t size, struct error *err)
{
	return query_string(machine, "query-status", "status", buf, size, err);
}

/*
 * The trap is lifted meanwhile: a vCPU that is held in the middle of a store could not stop, and what is written then is ours, or
 * QEMU's for our sake.
 */
int machine_stop(struct machine *machine, struct error *err)
{
	char running[8];
	int r = query_string(machine, "query-status", "running", running, sizeof(running), err);

	if (r < 0)
		return r;
	machine->was_stopped = strcmp(running, "true") != 0;
	trap_lift(machine->trap);
	r = qmp_execute(machine->qmp, "stop", NULL, NULL, err);
	machine->stopped = r >= 0;
	if (r < 0)
		trap_restore(machine->trap);
	return r;
}

/* QEMU sends the events before the answers. A VM that was running gives no new ones: no pause. */
int machine_resume(struct machine *machine, uint64_t *ret_paused_us, struct error *err)
{
	uint64_t before = qmp_event_time(machine->qmp, QMP_EVENT_RESUME), stopped, resumed;
	int r;

	if (ret_paused_us)
		*ret_paused_us = 0;
	machine->stopped = false;
	trap_restore(machine->trap);
	if (machine->was_stopped)
		return 0;
	r = qmp_execute(machine->qmp, "cont", NULL, NULL, err);
	if (r < 0)
		return r;
	stopped = qmp_event_time(machine->qmp, QMP_EVENT_STOP);
	resumed = qmp_event_time(machine->qmp, QMP_EVENT_RESUME);
	if (ret_paused_us)
		*ret_paused_us =
			resumed != before && resumed > stopped && stopped ? resumed - stopped : 0;
	return 0;
}

int machine_freeze(struct machine *machine, struct error *err)
{
	return qmp_execute(machine->qmp, "stop", NULL, NULL, err);
}

int machine_dump(struct machine *machine, int fd, bool plain, struct error *err)
{
	struct json_object *arguments = json_object_new_object();
	int r;

	json_object_object_add(arguments, "fdname", json_object_new_string(DUMP_FD));
	r = qmp_execute_passing(machine->qmp, "getfd", arguments, fd, NULL, err);
	if (r < 0)
		return r;
	arguments = json_object_new_object();
	json_object_object_add(arguments, "paging", json_object_new_boolean(false));
	json_object_object_add(arguments, "protocol", json_object_new_string("fd:" DUMP_FD));
	json_object_object_add(arguments, "detach", json_object_new_boolean(true));
	json_object_object_add(arguments, "format",
			       json_object_new_string(plain ? "elf" : "kdump-zlib"));
	return qmp_execute(machine->qmp, "dump-guest-memory", arguments, NULL, err);
}

int machine_dump_status(struct machine *machine, struct error *err)
{
	char status[16];
	int r = query_string(machine, "query-dump", "status", status, sizeof(status), err);

	if (r < 0)
		return r;
	if (strcmp(status, "failed") == 0)
		return error_set(err, -EIO, "QEMU could not write the dump (is the disk full?)");
	return strcmp(status, "active") == 0;
}

/* Byte by byte, each with the word around it: the guest stands still. */
static int write_code_directly(const struct machine *machine, const struct machine_code *piece,
			       struct error *err)
{
	for (uint32_t i = 0; i < piece->size; i++) {
		uint64_t gpa = piece->gpa + i, word;

		if (ram_read(&machine->ram, gpa & ~7ULL, &word, sizeof(word)) < 0)
			return error_set(err, -EFAULT,
					 "the guest's code at 0x%" PRIx64 " is no RAM", gpa);
		memcpy((uint8_t *)&word + (gpa & 7), &piece->bytes[i], 1);
		ram_write_u64(&machine->ram, gpa & ~7ULL, word);
	}
	return 0;
}

static int write_code_by_stub(struct machine *machine, const struct machine_code *pieces, size_t n,
			      struct error *err)
{
	struct gdbstub *stub;
	int r = gdbstub_open(&stub, machine->qmp, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = gdbstub_write(stub, pieces[i].gpa, pieces[i].bytes, pieces[i].size, err);
	gdbstub_free(stub);
	return r;
}

int machine_write_code(struct machine *machine, const struct machine_code *pieces, size_t n,
		       struct error *err)
{
	int r = 0;

	if (strcmp(machine->accelerator, "tcg") == 0)
		return write_code_by_stub(machine, pieces, n, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_code_directly(machine, &pieces[i], err);
	return r;
}

/* The trap */

static void add_vcpu(struct machine *machine, struct json_object *info)
{
	struct json_object *index, *thread;

	if (machine->n_vcpus < MACHINE_MAX_VCPUS &&
	    json_object_object_get_ex(info, "cpu-index", &index) &&
	    json_object_object_get_ex(info, "thread-id", &thread))
		machine->vcpus[machine->n_vcpus++] =
			(struct vcpu){ json_object_get_int(thread), json_object_get_int(index) };
}

int machine_find_vcpus(struct machine *machine, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *list = NULL;
	int r = qmp_execute(machine->qmp, "query-cpus-fast", NULL, &list, err);

	if (r < 0)
		return r;
	if (!json_object_is_type(list, json_type_array))
		return error_set(err, -EPROTO, "QEMU's answer to `query-cpus-fast` is no list");
	machine->n_vcpus = 0;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		add_vcpu(machine, json_object_array_get_idx(list, i));
	return 0;
}

int machine_vcpu_of_thread(const struct machine *machine, pid_t tid)
{
	for (size_t i = 0; i < machine->n_vcpus; i++)
		if (machine->vcpus[i].tid == tid)
			return machine->vcpus[i].index;
	return -ESRCH;
}

int machine_open_trap(struct machine *machine, int wake, struct error *err)
{
	bool exact = strcmp(machine->accelerator, "tcg") == 0;
	int r = machine_find_vcpus(machine, err);

	if (r < 0)
		return r;
	machine_close_trap(machine);
	return trap_open(&machine->trap, machine_pid(machine), exact, wake, err);
}

void machine_close_trap(struct machine *machine)
{
	machine->trap = trap_free(machine->trap);
}

struct trap *machine_trap(const struct machine *machine)
{
	return machine->trap;
}

int machine_address(const struct machine *machine, uint64_t gpa, uint64_t *ret)
{
	const struct ram_range *range = ram_find(&machine->ram, gpa, 1);

	if (!range)
		return -EFAULT;
	*ret = range->remote + (gpa - range->gpa);
	return 0;
}

int machine_gpa(const struct machine *machine, uint64_t address, uint64_t *ret)
{
	for (size_t i = 0; i < machine->ram.n_ranges; i++) {
		const struct ram_range *range = &machine->ram.ranges[i];

		if (address < range->remote || address - range->remote >= range->size)
			continue;
		*ret = range->gpa + (address - range->remote);
		return 0;
	}
	return -EFAULT;
}

int machine_fd(const struct machine *machine)
{
	return qmp_fd(machine->qmp);
}

int machine_next_event(struct machine *machine, struct machine_event *ret)
{
	static const enum machine_event_type types[] = {
		[QMP_EVENT_RESET] = MACHINE_EVENT_RESET,
		[QMP_EVENT_SHUTDOWN] = MACHINE_EVENT_SHUTDOWN,
		[QMP_EVENT_STOP] = MACHINE_EVENT_STOP,
		[QMP_EVENT_RESUME] = MACHINE_EVENT_RESUME,
		[QMP_EVENT_DEVICE_OST] = MACHINE_EVENT_DEVICES,
		[QMP_EVENT_DEVICE_DELETED] = MACHINE_EVENT_DEVICES,
		[QMP_EVENT_MEMORY_SIZE] = MACHINE_EVENT_DEVICES,
		[QMP_EVENT_CLOSED] = MACHINE_EVENT_CLOSED,
	};
	struct qmp_event event;

	_Static_assert(ARRAY_SIZE(types) == QMP_N_EVENT_TYPES, "a machine event for each");
	if (!qmp_next_event(machine->qmp, &event))
		return 0;
	if (event.type == QMP_EVENT_RESET) /* and the guest gives new addresses */
		machine->plugged_ns = clock_ns(CLOCK_MONOTONIC);
	*ret = (struct machine_event){ .type = types[event.type], .time_us = event.time_us };
	return 1;
}
