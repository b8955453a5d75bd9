/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_PULSE_H
#define SESSION_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a guest kernel is alive, from its jiffies alone: they cost no exit of the guest to look at. Pure: no I/O.
 *
 * A doubt is no proof: a guest without anything to do stops its tick.
 */
struct pulse {
	uint64_t jiffies; /* as last read */
	uint64_t moved_ns; /* when that was first read, on any monotonic clock */
};

#define PULSE_STILL_NS 400000000ULL /* as long as this, jiffies may stand still */
#define PULSE_SLACK 2000 /* and then go on faster by so many: a vCPU that waited catches up */

void pulse_start(struct pulse *pulse, uint64_t jiffies, uint64_t now_ns);

/*
 * @jiffies were read at @now_ns. False when they have stood still too long, or are not what a kernel that goes on would
 * have by now: they went back, or ahead of any clock. Then they are taken to be right from here on.
 */
bool pulse_beats(struct pulse *pulse, uint64_t jiffies, uint64_t now_ns);

#endif
