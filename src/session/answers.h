/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ANSWERS_H
#define SESSION_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "events/event.h"
#include "policy/policy.h"
#include "session/commands.h"
#include "session/kills.h"
#include "util/error.h"

struct session;

/*
 * What a policy has done beyond refusing and telling: the VM is stopped, its memory written to a file, a container's processes are killed, a
 * command runs on the host. None of it holds up the events that follow, or can be used to fill the host's disk or process table: one dump
 * at a time and one in ten minutes, COMMANDS_AT_ONCE commands to events, and as many to tampering: who has many of the former started in
 * vain does not hold up the latter. What is left out is told.
 */
#define ANSWERS_DUMP_EVERY_NS 600000000000ULL

struct answers {
	struct commands *to_events, *to_tampering; /* NULL: no policy had any yet */
	struct kills kills;
	char dump_path[512]; /* of the one that is being written; "": none */
	uint64_t next_dump_ns, next_look_ns;
	uint64_t n_taken, n_left_out;
	uint64_t next_told_ns; /* of what is left out */
};

/* Makes ready for the answers of @policy: while this process may still make processes. */
int answers_prepare(struct answers *answers, const struct policy *policy, struct error *err);

void answers_deinit(struct answers *answers);

/* @event has been told. Its process has the mount name space @mnt_ns. */
void answers_to_event(struct session *session, const struct policy_answer *answer,
		      const struct event *event, uint64_t mnt_ns);

/* The VM has been tampered with. To be called before anything is put back, which a VM that stands still need not see; then the rest. */
void answers_freeze(struct session *session, const struct policy_answer *answer);
void answers_to_notice(struct session *session, const struct policy_answer *answer,
		       const struct event_notice *notice);

/* Sees to what takes time. To be called often, also while the VM is stopped. */
void answers_poll(struct session *session, uint64_t now_ns);

#endif
