/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_SELECTOR_H
#define POLICY_SELECTOR_H

#include "policy/policy.h"
#include "policy/schema.h"

/* A rule's `containers:`. On error @ret holds what was read so far, to be deinitialised. */
int selector_read(struct schema *schema, const struct yaml_node *node, struct policy_selector *ret);
void selector_deinit(struct policy_selector *selector);

#endif
