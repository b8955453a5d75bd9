/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ATTEMPTS_H
#define SESSION_ATTEMPTS_H

#include "session/session.h"

/* The record in session->ring tells of an attempt on the guest as a whole: makes it an event. */
void report_attempt(struct session *session);

#endif
