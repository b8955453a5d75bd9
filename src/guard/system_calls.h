/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_SYSTEM_CALLS_H
#define GUARD_SYSTEM_CALLS_H

/*
 * Do system calls still enter the kernel where it put them? Looks at one of the guest's CPUs, the next time at the next one; tells the host if not,
 * and puts it back if the vault says so. At most one interrupt of another CPU, and a look at one word where the host does not ask for it. May
 * sleep; no locks held.
 */
void system_calls_look(void);

#endif
