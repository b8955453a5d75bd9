/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_PATTERN_H
#define POLICY_PATTERN_H

#include "policy/schema.h"

/* The patterns of a policy: paths, and names of hosts. Both say what is wrong and what would be right. */

/* Absolute, normal (no ".", "..", "//" or last "/"), and with no wildcards but '*', '?' and "**". */
int pattern_check_path(struct schema *schema, const struct yaml_node *text);

/* Letters, digits, '-', '.', '_', and the wildcards '*' and '?'. */
int pattern_check_hostname(struct schema *schema, const struct yaml_node *text);

#endif
