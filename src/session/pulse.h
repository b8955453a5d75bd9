/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_PULSE_H
#define SESSION_PULSE_H

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

enum pulse_finding {
	PULSE_BEATS,
	PULSE_STILL, /* for too long */
	PULSE_AHEAD, /* of any clock: no time has been like this, or they are something else by now */
	PULSE_BACK, /* a kernel that goes on never does that */
};

/* @jiffies were read at @now_ns. Whatever is found, they are taken to be right from here on. */
enum pulse_finding pulse_feel(struct pulse *pulse, uint64_t jiffies, uint64_t now_ns);

#endif
