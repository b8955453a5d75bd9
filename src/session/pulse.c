// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/pulse.h"

#define FASTEST_HZ 1000 /* CONFIG_HZ_1000 */

void pulse_start(struct pulse *pulse, uint64_t jiffies, uint64_t now_ns)
{
	*pulse = (struct pulse){ jiffies, now_ns };
}

enum pulse_finding pulse_feel(struct pulse *pulse, uint64_t jiffies, uint64_t now_ns)
{
	uint64_t elapsed = now_ns - pulse->moved_ns, moved = jiffies - pulse->jiffies;
	uint64_t most = elapsed / (1000000000 / FASTEST_HZ) + PULSE_SLACK;

	if (!moved)
		return elapsed < PULSE_STILL_NS ? PULSE_BEATS : PULSE_STILL;
	pulse_start(pulse, jiffies, now_ns);
	if (moved >> 63)
		return PULSE_BACK;
	return moved <= most ? PULSE_BEATS : PULSE_AHEAD;
}
