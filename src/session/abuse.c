// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/abuse.h"

#include <inttypes.h>
#include <stdio.h>

#include "session/tell.h"
#include "util/clock.h"

#define TOLD_NS 10000000000ULL
#define LATELY_NS 1000000000ULL

static const char *const meanings[RING_N_ABUSES] = {
	[RING_ABUSE_COUNTERS] = "counters set where no guard sets them",
	[RING_ABUSE_SLOTS] = "records in slots that nobody took",
	[RING_ABUSE_STUCK] = "slots taken and never given",
	[RING_ABUSE_RECORDS] = "records that say what no guard says",
	[RING_ABUSE_CLAIMS] = "records that the guest's own memory contradicts",
};

static void list_kinds(const struct ring *ring, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < RING_N_ABUSES; i++) {
		if (ring->abuses[i] && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s (%" PRIu64 ")",
					      n ? ", " : "", meanings[i], ring->abuses[i]);
	}
}

/* A record of no rule may come of a container that has just gone; very many of them do not. */
static void look(struct session *session, uint64_t now)
{
	uint64_t n = session->ring.abused + session->n_unattributed;

	if (n != session->abuse.n_seen)
		session->abuse.seen_ns = now;
	session->abuse.n_seen = n;
}

void abuse_tell(struct session *session, uint64_t now)
{
	struct abuse *abuse = &session->abuse;
	char kinds[384];

	look(session, now);
	if (session->ring.abused == abuse->n_told || now < abuse->next_told_ns)
		return;
	abuse->n_told = session->ring.abused;
	abuse->next_told_ns = now + TOLD_NS;
	list_kinds(&session->ring, kinds, sizeof(kinds));
	tell_notice(session, "mailbox-abused", POLICY_SEVERITY_HIGH, NULL,
		    "somebody with root's rights in the guest writes into the mailbox: %s; events "
		    "may have been forged, and some may be lost; refusals do not depend on it",
		    kinds);
}

bool session_is_abused(const struct session *session)
{
	return session->abuse.seen_ns &&
	       clock_ns(CLOCK_MONOTONIC) - session->abuse.seen_ns < LATELY_NS;
}
