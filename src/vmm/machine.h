/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory/cpu.h"
#include "memory/ram.h"
#include "util/error.h"

/*
 * One running QEMU: its control socket (QMP), its guest's RAM, and the two ivshmem devices that carry
 * the vault and the mailbox. RAM that QEMU shares is mapped; else it is reached through QEMU's process. Everything is asked of the running QEMU; nothing is taken from files that
 * an earlier VM may have left.
 *
 * Not thread-safe. Blocking calls wait for QEMU at most the time-out given to machine_open().
 */
struct machine;

/* A block of memory that QEMU shows to the guest as BAR 2 of an ivshmem-plain device. */
struct machine_device {
	uint8_t *host; /* mapped here, shared, writable; NULL until the guest first maps it */
	uint64_t size; /* bytes */
	uint64_t gpa; /* where the guest's PCI set-up put it; 0 when not mapped by the guest yet */
	bool guest_can_write; /* false where QEMU maps it as ROM */
	dev_t file_device; /* host file behind it: who shares it with us */
	ino_t file_inode;
};

enum machine_event_type {
	MACHINE_EVENT_RESET, /* the guest was reset: every page table and hook in it is gone */
	MACHINE_EVENT_SHUTDOWN, /* the guest powered off, or QEMU was told to quit */
	MACHINE_EVENT_STOP, /* vCPUs stopped (by us or by anyone) */
	MACHINE_EVENT_RESUME,
	MACHINE_EVENT_DEVICES, /* a device, maybe memory, has come or gone */
	MACHINE_EVENT_CLOSED, /* the QMP socket closed: QEMU is gone. Last event there is. */
};

struct machine_event {
	enum machine_event_type type;
	uint64_t time_us; /* host wall clock, as QEMU stamped it */
};

/*
 * Connects to the QMP socket @qmp_path (at most @timeout_ms for each answer), finds QEMU's process by
 * the socket's peer credentials, and maps its guest RAM and our devices from what that process maps now.
 * A VM without our devices is no error: see machine_need_devices(). The new machine is the caller's, to be
 * freed with machine_free().
 *
 * Errors, each with the remedy in the message: no socket, refused, no QMP greeting (a hanging socket, a
 * second client on a monitor that serves one), vault that the guest could write, QEMU not running the VM
 * (not started, in crash state, shut down), not x86-64.
 */
int machine_open(struct machine **ret, const char *qmp_path, unsigned int timeout_ms,
		 struct error *err);

/* Accepts NULL. Leaves the VM as it is (running or stopped). Returns NULL. */
struct machine *machine_free(struct machine *machine);

const struct ram *machine_ram(const struct machine *machine);
const struct machine_device *machine_vault(const struct machine *machine);
const struct machine_device *machine_mailbox(const struct machine *machine);
int machine_pid(const struct machine *machine); /* QEMU's process on the host */
const char *machine_accelerator(const struct machine *machine); /* "kvm" or "tcg" */

/* Are both devices there? -ENODEV when one is not, with the remedy in the message. */
int machine_need_devices(struct machine *machine, struct error *err);

/*
 * Plugs both devices into the running VM; its guest assigns their addresses some time later. -ENODEV when the VM has
 * no room for them, with what would help in the message. On error they are not there.
 */
int machine_plug_in(struct machine *machine, struct error *err);

/* Were the devices plugged in, by whichever process? */
bool machine_is_plugged_in(const struct machine *machine);

/*
 * Takes out devices that were plugged in; does nothing for others. Nothing in the guest may use them. Waits for the
 * guest to agree: -ETIMEDOUT when it does not, and they stay.
 */
int machine_unplug(struct machine *machine, struct error *err);

/*
 * Asks QEMU again where the guest's PCI set-up put the two devices (it changes at boot and reset), if they are there.
 * -ENOSPC when the guest had time enough to assign addresses to devices that were plugged in, and has not.
 */
int machine_refresh_devices(struct machine *machine, struct error *err);

/*
 * Asks QEMU again what the guest's RAM is (memory may have been plugged in or out). Returns 1 when that has changed, 0 when
 * not, or an error: then it is as it was. What ram_find() gave before may be gone.
 */
int machine_refresh_memory(struct machine *machine, struct error *err);

/* Number of vCPUs and their registers. Fills at most @n; returns how many there are, or an error. */
int machine_cpus(struct machine *machine, struct cpu *cpus, size_t n, struct error *err);

/* A few bytes of the guest's code, at one guest-physical place. */
struct machine_code {
	uint64_t gpa;
	uint32_t size;
	uint8_t bytes[12];
};

/*
 * Writes @n pieces of code, so that the guest, which has to be stopped, runs them when it goes on. Under KVM the CPU sees to
 * that; under TCG, which does not notice what other processes write, QEMU itself writes them, by its gdb stub: -EBUSY when
 * somebody uses that. On error some may have been written.
 */
int machine_write_code(struct machine *machine, const struct machine_code *pieces, size_t n,
		       struct error *err);

/*
 * The trap on writes to guest memory (trap.h), where QEMU runs with liboutguard-trap.so; else -ENOENT. @wake as there. It is
 * the machine's, and lifted from machine_stop() to machine_resume(). Opening it again begins anew.
 */
int machine_open_trap(struct machine *machine, int wake, struct error *err);
void machine_close_trap(struct machine *machine);
struct trap *machine_trap(const struct machine *machine); /* NULL: there is none */

/* Between guest-physical addresses of RAM and QEMU's own. Return 0 or -EFAULT. */
int machine_address(const struct machine *machine, uint64_t gpa, uint64_t *ret);
int machine_gpa(const struct machine *machine, uint64_t address, uint64_t *ret);

/* Asks QEMU which of its threads are vCPUs (machine_open_trap() does); the index of one, or -ESRCH. Asks nobody. */
int machine_find_vcpus(struct machine *machine, struct error *err);
int machine_vcpu_of_thread(const struct machine *machine, pid_t tid);

/* "running", "paused", "shutdown", "guest-panicked", ... (QMP query-status), into @buf. */
int machine_status(struct machine *machine, char *buf, size_t size, struct error *err);

/*
 * Stops and resumes the vCPUs. machine_stop() returns once all have stopped. machine_resume() sets
 * *@ret_paused_us, if asked for, to the time between QEMU's own STOP and RESUME stamps. A VM that somebody else had
 * stopped before stays stopped.
 */
int machine_stop(struct machine *machine, struct error *err);
int machine_resume(struct machine *machine, uint64_t *ret_paused_us, struct error *err);

/* Stops the vCPUs for whoever looks into the matter to start them again. */
int machine_freeze(struct machine *machine, struct error *err);

/*
 * Has QEMU write the guest's memory to the open file @fd (stays the caller's): compressed, as makedumpfile does (kdump-zlib), or plain
 * ELF. Returns when that has begun; the VM stands still until it has ended, and goes on if it ran before.
 */
int machine_dump(struct machine *machine, int fd, bool plain, struct error *err);

/* 1 while a dump is being written, 0 when it has ended, or an error: it has failed. */
int machine_dump_status(struct machine *machine, struct error *err);

/*
 * Descriptor to poll for reading; then call machine_next_event() until it returns 0. Also readable when an
 * event came in while another call waited for its answer. One reset of the guest may give several RESETs.
 */
int machine_fd(const struct machine *machine);

/* Takes the next event, without blocking. Returns 1 and an event, 0 when there is none. */
int machine_next_event(struct machine *machine, struct machine_event *ret);

#endif
