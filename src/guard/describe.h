/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_DESCRIBE_H
#define GUARD_DESCRIBE_H

#include "contract/guard_abi.h"

/* Says who, what and where in a record. All may sleep, none fails: what cannot be told is left out. */

void describe_identity(struct guard_identity *identity, const void *inode);

/* The current task: ids, parents, name spaces. */
void describe_process(struct guard_process *process);

/*
 * A path as the process sees it; a dentry's path in its own file system; the last name of that.
 *
 * Texts go behind one another into the slot, from @from on, each with at most @size bytes. They return the
 * offset for the record, or GUARD_NO_TEXT, and move *@from.
 */
uint16_t describe_path(void *slot, uint32_t *from, uint32_t size, const void *path);
uint16_t describe_dentry(void *slot, uint32_t *from, uint32_t size, const void *dentry);
uint16_t describe_name(void *slot, uint32_t *from, uint32_t size, const void *dentry);
uint16_t describe_executable(void *slot, uint32_t *from, uint32_t size);

#endif
