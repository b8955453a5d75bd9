// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/system_calls.h"

#include <stdio.h>

#include "arm/resolve.h"
#include "session/answers.h"
#include "session/session.h"
#include "session/tampering.h"

#define SECOND_NS 1000000000ULL
#define PER_SECOND 16 /* a guard finds one: its kworker comes once a second */
#define ROUND_NS (60 * SECOND_NS) /* to come round to a CPU again, as a rule */

/* The ring may be full of what was found while there was no daemon. */
void system_calls_begin(struct session *session)
{
	session->system_calls = (struct system_calls){
		.entry = resolve_system_call_entry(session->profile),
		.credit = session->ring.n_slots,
	};
}

/*
 * While a kernel boots, it moves the vault away for moments, to see how large it is. Whoever is in the guard then is lost; so nobody is called in
 * who need not be.
 */
void system_calls_poll(struct session *session, uint64_t now_ns)
{
	struct system_calls *calls = &session->system_calls;

	if (calls->asked || !sentry_guest_has_booted(session->sentry, now_ns))
		return;
	calls->asked = true;
	__atomic_store_n(&session_vault(session)->system_call_entry, calls->entry,
			 __ATOMIC_RELAXED);
}

static bool take_credit(struct system_calls *calls, uint64_t now_ns)
{
	if (now_ns >= calls->next_credit_ns) {
		calls->next_credit_ns = now_ns + SECOND_NS;
		calls->credit = calls->credit > PER_SECOND ? calls->credit : PER_SECOND;
	}
	if (!calls->credit)
		return false;
	calls->credit--;
	return true;
}

static bool could_be(const struct system_calls *calls,
		     const struct guard_system_calls_record *record)
{
	return calls->entry && record->cpu < GUARD_MAX_CPUS && record->found &&
	       record->found != calls->entry;
}

/* Left wrong, and told already? */
static bool goes_on(struct system_calls *calls, uint32_t cpu, uint64_t found, uint64_t now_ns)
{
	size_t at = cpu % SYSTEM_CALLS_CPUS;
	bool same = calls->cpu[at].found == found && now_ns - calls->cpu[at].seen_ns < ROUND_NS;

	calls->cpu[at].found = found;
	calls->cpu[at].seen_ns = calls->wrong_ns = now_ns;
	return same;
}

void system_calls_report(struct session *session, uint64_t now_ns)
{
	const struct guard_system_calls_record *record = &session->ring.copy.system_calls;
	struct sentry_finding finding = { .kinds = 1u << SENTRY_REGISTERS };
	struct error err = { 0 };

	if (!could_be(&session->system_calls, record) ||
	    !take_credit(&session->system_calls, now_ns)) {
		ring_abused(&session->ring, RING_ABUSE_RECORDS);
		return;
	}
	if (!record->restored) {
		if (goes_on(&session->system_calls, record->cpu, record->found, now_ns))
			return;
		error_set(&err, -1, "it stays as it is");
	}
	snprintf(finding.what, sizeof(finding.what),
		 "vCPU %u: system calls enter at 0x%llx, not at entry_SYSCALL_64", record->cpu,
		 (unsigned long long)record->found);
	answers_freeze(session, &session->policy->tampering.answer);
	tampering_note(session, &finding, &err, now_ns);
}

bool system_calls_are_right(const struct session *session, uint64_t now_ns)
{
	uint64_t wrong_ns = session->system_calls.wrong_ns;

	return !wrong_ns || now_ns - wrong_ns >= ROUND_NS;
}
