/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_EXCEPTIONS_H
#define SESSION_EXCEPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/plan.h"
#include "contract/guard_abi.h"
#include "session/containers.h"

/*
 * Who a rule is not for, in one container: its executables as that container's view resolved them. Counted: all watches of
 * (container, rule) share one.
 */
struct exceptions;

/* NULL without error when the rule has none. @resolved: by the plan's names. */
int exceptions_new(struct exceptions **ret, const struct plan *plan, uint32_t rule,
		   const struct guard_resolved *resolved);

struct exceptions *exceptions_ref(struct exceptions *exceptions);

/* Accept NULL. Return NULL. */
struct exceptions *exceptions_unref(struct exceptions *exceptions);

/* Are some of them for containers that @container is one of? */
bool exceptions_select(const struct exceptions *exceptions, const struct container *container);

/* Are some of them for containers at all? Accepts NULL. */
bool exceptions_by_container(const struct exceptions *exceptions);

/*
 * As the guard reads them: the product of what is given, with the containers there are now. Returns how many, or -ENOMEM; the array is
 * the caller's to free. More than GUARD_MAX_EXCEPTIONS are cut off: then less is excepted, not more.
 */
int exceptions_rows(const struct exceptions *exceptions, const struct containers *containers,
		    struct guard_exception **ret_rows);

#endif
