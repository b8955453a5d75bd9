/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_INTEGRITY_H
#define POLICY_INTEGRITY_H

#include <stdint.h>

#include "policy/policy.h"
#include "policy/schema.h"

/*
 * The built-in rule set `guest-integrity`: guest-integrity.yaml says what its parts are, a policy's section `guest-integrity` what
 * becomes of each.
 */
#define INTEGRITY_MAX_PARTS 24

enum integrity_action {
	INTEGRITY_OFF,
	INTEGRITY_AUDIT,
	INTEGRITY_DENY,
};

/* For processes of the guest itself, and for those of containers. */
struct integrity_setting {
	enum integrity_action guest, containers;
};

struct integrity_settings {
	struct integrity_setting all; /* where a part says nothing */
	struct integrity_setting part[INTEGRITY_MAX_PARTS];
	bool guest_given[INTEGRITY_MAX_PARTS], containers_given[INTEGRITY_MAX_PARTS];
};

void integrity_settings_init(struct integrity_settings *settings);

/* Reads a policy's section. */
int integrity_read(struct schema *schema, const struct yaml_node *node,
		   struct integrity_settings *ret);

/* Appends to @policy what the settings make of the built-in set: rules behind its own, and policy->integrity. */
int integrity_apply(struct policy *policy, const struct integrity_settings *settings,
		    struct error *err);

#endif
