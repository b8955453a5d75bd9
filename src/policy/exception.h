/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_EXCEPTION_H
#define POLICY_EXCEPTION_H

#include "policy/policy.h"
#include "policy/schema.h"

/* A rule's `except:`, a list of exceptions or one. On error @rule holds what was read so far, to be deinitialised. */
int exceptions_read(struct schema *schema, const struct yaml_node *node, struct policy_rule *rule);
void exceptions_deinit(struct policy_rule *rule);

#endif
