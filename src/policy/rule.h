/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_RULE_H
#define POLICY_RULE_H

#include "policy/policy.h"
#include "policy/schema.h"

/* One rule of the file. On error @ret holds what was read so far, to be deinitialised. */
int rule_read(struct schema *schema, const struct yaml_node *node, struct policy_rule *ret);
void rule_deinit(struct policy_rule *rule);

#endif
