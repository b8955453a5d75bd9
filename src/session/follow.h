/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_FOLLOW_H
#define SESSION_FOLLOW_H

#include "session/session.h"

/*
 * Handles a follow record (session->ring.copy): a file that is watched by its identity is about to lose its name. From now on
 * the name is watched, so that whatever comes there is under the same rules.
 */
void follow_names(struct session *session);

/* Have the files gone that were said to be about to? Those that have not are guarded again. */
void follow_check(struct session *session, uint64_t now);

#endif
