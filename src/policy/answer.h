/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_ANSWER_H
#define POLICY_ANSWER_H

#include "policy/policy.h"
#include "policy/schema.h"

/* A rule's `answer:`. On error *@ret holds what was read so far, to be freed. */
int answer_read(struct schema *schema, const struct yaml_node *node, struct policy_answer **ret);

/* Accepts NULL. Returns NULL. */
struct policy_answer *answer_free(struct policy_answer *answer);

/* What stands where a policy says nothing; and what was read, freed. */
void answer_defaults(struct policy *policy);
void answer_deinit(struct policy *policy);

/* The policy's `on-tampering:` and `sentry:`. */
int answer_read_tampering(struct schema *schema, const struct yaml_node *node,
			  struct policy *policy);
int answer_read_sentry(struct schema *schema, const struct yaml_node *node, struct policy *policy);

#endif
