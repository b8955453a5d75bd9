/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_PROBES_H
#define SENTRY_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

/*
 * Does the kernel's own table of kprobes have one at @address, or up to four bytes before it (a probe may become a jump of five
 * bytes)? Fills *@ret with where it is. False also where the table cannot be read.
 */
bool probes_find(const struct profile *profile, uint64_t address, uint64_t *ret);

#endif
