/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_LOCK_H
#define SESSION_LOCK_H

#include "util/error.h"
#include "vmm/machine.h"

/*
 * A vault has one owner at a time: whoever holds the lock on its name (device and inode of the file behind it), in
 * LOCK_DIRECTORY. The kernel takes the lock back from a process that dies.
 */
#define LOCK_DIRECTORY "/run/outguard"

struct lock;

/*
 * -EBUSY when a process holds the lock of a VM with this QMP socket. To be asked first: a QMP socket serves one client,
 * and lets a second one wait without a word.
 */
int lock_check(const char *qmp_path, struct error *err);

/*
 * -EBUSY, with the owner's pid in the message, when another process (or another session of this one) has it.
 * -EAGAIN while the guest has not mapped the vault or the mailbox: until then nobody knows which file it is.
 */
int lock_take(struct lock **ret, const struct machine *machine, const char *qmp_path,
	      struct error *err);

/* Accepts NULL. Returns NULL. */
struct lock *lock_free(struct lock *lock);

/* Path of another file for the same vault, beside the lock: @what says which. */
void lock_beside(const struct lock *lock, const char *what, char *buf, size_t size);

#endif
