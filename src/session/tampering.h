/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_TAMPERING_H
#define SESSION_TAMPERING_H

#include <stdint.h>

#include "sentry/sentry.h"
#include "util/error.h"

struct session;

/*
 * Something in the guest's kernel is not as the sentry knows it (session->finding). What the policy says is put back at once; what was tried
 * in between was neither refused nor told, and containers may have started.
 */
void tampering_answer(struct session *session, uint64_t now_ns);

/*
 * Something was not as it should be, and has been put back, or not, as @err says: counts it, and tells it with the policy's answers, now or when
 * it is time to.
 */
void tampering_note(struct session *session, const struct sentry_finding *finding,
		    const struct error *err, uint64_t now_ns);

/* Tells what has been found, once a second at most, and which of the guard's hooks a tracer in the guest is at. */
void tampering_poll(struct session *session, uint64_t now_ns);

#endif
