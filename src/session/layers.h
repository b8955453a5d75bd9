/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_LAYERS_H
#define SESSION_LAYERS_H

#include "session/enter.h"

/*
 * A container whose root is an overlay has its files in layers: directories of other file systems, where guest root can reach
 * them directly, and of which all but the upper may be many containers'. What the rules name is watched there by name,
 * from each layer's root. A rule that asks for a host name is left out until that is known.
 */
void layers_enter(struct entering *entering);

/* Forgets which layers the containers had under other plans than @plan: those watches are gone. */
void layers_forget_others(struct containers *containers, const struct plan *plan);

#endif
