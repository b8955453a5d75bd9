// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/outcome.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

static const char *const names[] = {
	[OUTCOME_DONE] = "done",	   [OUTCOME_FAILED] = "failed",
	[OUTCOME_USAGE] = "usage",	   [OUTCOME_NO_VM] = "no-such-vm",
	[OUTCOME_NO_DAEMON] = "no-daemon", [OUTCOME_UNSUPPORTED] = "unsupported",
	[OUTCOME_BUSY] = "busy",	   [OUTCOME_POLICY] = "policy",
};
_Static_assert(ARRAY_SIZE(names) == OUTCOME_N, "a name for each");

const char *outcome_name(enum outcome outcome)
{
	return names[outcome];
}

enum outcome outcome_by_name(const char *name)
{
	for (unsigned int i = 0; i < OUTCOME_N; i++) {
		if (name && strcmp(names[i], name) == 0)
			return i;
	}
	return OUTCOME_FAILED;
}

enum outcome outcome_of(int code)
{
	switch (-code) {
	case 0:
		return OUTCOME_DONE;
	case EBUSY:
		return OUTCOME_BUSY;
	case ENOTSUP:
	case ENODEV:
		return OUTCOME_UNSUPPORTED;
	default:
		return OUTCOME_FAILED;
	}
}

enum outcome outcome_of_policy(int code)
{
	switch (-code) {
	case 0:
		return OUTCOME_DONE;
	case EINVAL:
	case EFBIG:
		return OUTCOME_POLICY;
	default:
		return OUTCOME_FAILED;
	}
}
