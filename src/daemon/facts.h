/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_FACTS_H
#define DAEMON_FACTS_H

#include <json-c/json.h>

#include "session/session.h"

/* Facts for people and programs, as docs/CLI.md describes them. Strings that the guest chose are made valid UTF-8. */

/* All that `outguard status` tells of one VM. */
struct json_object *facts_session(const struct session *session);

/*
 * All that `outguard profile` tells. @arm: NULL where nothing is armed (then no hook is). @machine and @profile
 * are of the same guest.
 */
struct json_object *facts_profile(const struct machine *machine, const struct profile *profile,
				  const struct arm *arm);

/* One line on what attaching took, into @buf: "profile 120.3 ms and arming 10.1 ms of host CPU, ...". */
void facts_cost(const struct session *session, char *buf, size_t size);

#endif
