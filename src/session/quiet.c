// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/quiet.h"

bool quiet_look(struct quiet *quiet, uint64_t forks, uint64_t now_ns)
{
	if (!quiet->since_ns || quiet->forks != forks)
		*quiet = (struct quiet){ forks, now_ns };
	return now_ns - quiet->since_ns >= QUIET_NS;
}
