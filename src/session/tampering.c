// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/tampering.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "session/answers.h"
#include "session/session.h"
#include "session/tell.h"
#include "util/clock.h"

#define TOLD_NS 1000000000ULL /* at most so often */
#define TRACED_NS 10000000000ULL
#define AGAIN_NS 1000000000ULL /* what is not put back is looked at again then */

static void put_kernel_back(struct session *session, struct error *err)
{
	int n = sentry_restore_kernel(session->sentry, err);

	if (n >= 0 && !sentry_is_content(session->sentry))
		error_set(err, -1, "not all of the kernel could be put back");
}

/* What the policy says. @err stays empty when all is as it was. */
static void put_back(struct session *session, unsigned int kinds, struct error *err)
{
	unsigned int restore = session->policy->tampering.restore;
	struct sentry_finding left;
	bool hooks = kinds & 1u << SENTRY_HOOKS;

	if (hooks && restore & POLICY_RESTORE_HOOKS) {
		sentry_restore_links(session->sentry);
		arm_repair(&session->arm, session->profile, err);
		if (!err->code && !sentry_hooks_hold(session->sentry, &left))
			error_set(err, -1, "it was taken away again");
	} else if (hooks) {
		error_set(err, -1, "the policy leaves the hooks so");
	}
	if (!(kinds & ~(1u << SENTRY_HOOKS)))
		return;
	if (kinds & 1u << SENTRY_KERNEL && restore & POLICY_RESTORE_KERNEL)
		put_kernel_back(session, err);
	else if (!err->code)
		error_set(err, -1, "it stays as it is");
}

/* The same over and over says nothing new. */
static void keep(struct sentry_finding *untold, const struct sentry_finding *finding)
{
	size_t at = strlen(untold->what);

	untold->kinds |= finding->kinds;
	if (!strstr(untold->what, finding->what))
		snprintf(untold->what + at, sizeof(untold->what) - at, "%s%s", at ? ", " : "",
			 finding->what);
}

/* With the answers that go with it. */
static void tell(struct session *session, uint64_t now_ns)
{
	const char *verb = session->untold.kinds == 1u << SENTRY_HOOKS ? "took away" : "changed";
	char message[640];
	const struct event_notice notice = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.vm = session->name,
		.what = "guard-tampered",
		.severity = POLICY_SEVERITY_CRITICAL,
		.message = message,
	};

	snprintf(message, sizeof(message),
		 "from inside the guest's kernel somebody %s: %.380s; "
		 "%.80s (%llu times so far)",
		 verb, session->untold.what, session->untold_outcome,
		 (unsigned long long)session->n_tampered);
	session->next_tampered_told_ns = now_ns + TOLD_NS;
	session->untold = (struct sentry_finding){ .kinds = 0 };
	tell_notice(session, notice.what, notice.severity, NULL, "%s", message);
	answers_to_notice(session, &session->policy->tampering.answer, &notice);
}

/* Hooks that stay away are found again and again; that is one finding. */
static bool goes_on(struct session *session, const struct sentry_finding *finding, uint64_t now_ns)
{
	bool same = now_ns - session->stays_ns < 3 * AGAIN_NS &&
		    !strcmp(session->stays.what, finding->what);

	if (same)
		session->stays_ns = now_ns;
	return same;
}

void tampering_note(struct session *session, const struct sentry_finding *finding,
		    const struct error *err, uint64_t now_ns)
{
	session->n_tampered++;
	session->n_repaired += !err->code;
	keep(&session->untold, finding);
	snprintf(session->untold_outcome, sizeof(session->untold_outcome), "%.150s",
		 err->code ? err->message : "it has been put back");
	if (session->frozen || now_ns >= session->next_tampered_told_ns)
		tell(session, now_ns);
}

void tampering_answer(struct session *session, uint64_t now_ns)
{
	const struct sentry_finding finding = session->finding;
	struct error err = { 0 };

	if (!goes_on(session, &finding, now_ns))
		answers_freeze(session, &session->policy->tampering.answer);
	put_back(session, finding.kinds, &err);
	if (err.code && goes_on(session, &finding, now_ns)) {
		sentry_told(session->sentry, now_ns + AGAIN_NS);
		return;
	}
	if (err.code) {
		session->stays = finding;
		session->stays_ns = now_ns;
	}
	session->next_sweep_ns = 0;
	sentry_told(session->sentry, err.code ? now_ns + AGAIN_NS : 0);
	tampering_note(session, &finding, &err, now_ns);
}

/* Tracers that come and go are told now and then; who has gone meanwhile is told again when he comes. */
static void tell_traced(struct session *session, uint64_t now_ns)
{
	uint64_t traced = sentry_traced(session->sentry), fresh = traced & ~session->traced_told;
	char names[400] = "";
	size_t n = 0;

	session->traced_told &= traced;
	if (!fresh || now_ns < session->next_traced_ns)
		return;
	session->traced_told = traced;
	session->next_traced_ns = now_ns + TRACED_NS;
	for (size_t i = 0; i < session->arm.hooks.n && n < sizeof(names); i++) {
		if (fresh & 1ULL << i)
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%ssecurity_%s",
					      n ? ", " : "", session->arm.hooks.hook[i].name);
	}
	tell_notice(session, "guard-traced", POLICY_SEVERITY_MEDIUM, NULL,
		    "a tracer in the guest's kernel (ftrace, a kprobe, BPF) is at %d functions "
		    "that "
		    "the guard is called by: %s",
		    __builtin_popcountll(fresh), names);
}

void tampering_poll(struct session *session, uint64_t now_ns)
{
	if (session->untold.kinds && now_ns >= session->next_tampered_told_ns)
		tell(session, now_ns);
	tell_traced(session, now_ns);
}
