/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_KILL_H
#define GUARD_KILL_H

#include <stdbool.h>

/* Kills the processes that the host has asked to (guard_vault.kills), if it has since the last time. May sleep. Returns whether it had. */
bool kill_asked(void);

#endif
