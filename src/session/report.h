/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_REPORT_H
#define SESSION_REPORT_H

#include "session/session.h"

/* Handles a file record (session->ring.copy): makes its events, or answers the guard that asks. */
void report_file(struct session *session);

/* Tells what was held back until the containers are known. Overwrites session->ring.copy. */
void report_held(struct session *session);

#endif
