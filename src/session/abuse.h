/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_ABUSE_H
#define SESSION_ABUSE_H

#include "session/session.h"

/* To be called often: says that the mailbox is being abused, at once and then every ten seconds as long as it goes on. */
void abuse_tell(struct session *session, uint64_t now);

#endif
