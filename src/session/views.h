/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_VIEWS_H
#define SESSION_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/*
 * Puts a container's view together from its records: what each of the plan's names is there. Records of several
 * views may come mixed. Bounded: the guest cannot make it hold more than VIEWS_MAX.
 */
#define VIEWS_MAX 64

struct view {
	uint64_t task, errand; /* which one it is */
	struct guard_resolved *resolved; /* by name; error -ENODATA until it has come */
	size_t n;
	uint64_t touched;
};

struct views {
	struct view view[VIEWS_MAX];
	uint64_t clock;
};

/*
 * Enters a record of a plan with @n_names. Returns the view when that was its last record, else NULL. It is
 * borrowed until views_forget().
 */
struct view *views_enter(struct views *views, const struct guard_view_record *record,
			 size_t n_names);
void views_forget(struct view *view);
void views_clear(struct views *views);

#endif
