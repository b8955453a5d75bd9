/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_HOT_PLUG_H
#define VMM_HOT_PLUG_H

#include <stdbool.h>

#include "util/error.h"
#include "vmm/qmp.h"

/*
 * The vault and the mailbox as PCI devices that are plugged into a VM while it runs, and taken out of it again. The
 * guest's kernel gives them their addresses, and has to agree to their going.
 */
#define HOT_PLUG_VAULT "outguard-vault" /* the ids of the devices */
#define HOT_PLUG_MAILBOX "outguard-mailbox"
#define HOT_PLUG_BAR 2 /* of an ivshmem-plain: the memory */

/*
 * Plugs both in, where there is room. The guest takes note of them later, if at all. -ENODEV, with what would help in
 * the message, when the VM has no room; other errors as QEMU says. On error nothing stays, or the message says what.
 */
int hot_plug(struct qmp *qmp, struct error *err);

/* Has the VM a device of ours that was plugged in? */
bool hot_plug_is_there(struct qmp *qmp);

/* Has the guest been asked to let go of them? It may at any time, then. */
bool hot_plug_is_leaving(struct qmp *qmp);

/* The id of the memory backend behind the device @id, into @buf. -ENODEV when there is no such device. */
int hot_plug_backend(struct qmp *qmp, const char *id, char *buf, size_t size, struct error *err);

/*
 * Takes out what hot_plug() put in, as far as it is there. The guest must not use it any more. Waits for the guest to
 * agree, bounded; -ETIMEDOUT when it does not.
 */
int hot_unplug(struct qmp *qmp, struct error *err);

#endif
