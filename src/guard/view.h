/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_VIEW_H
#define GUARD_VIEW_H

#include "contract/guard_abi.h"
#include "guard/kernel.h"

/*
 * A container is about to start in @root: tells the host what the policy's names are there, and waits until it has entered
 * them. Returns -EPERM where it must not start. May sleep.
 */
int resolve_start(const struct kernel_path *root, enum guard_view_cause cause);

/* The same at the first use, for the container that the current task runs in. */
void resolve_lazily(void);

#endif
