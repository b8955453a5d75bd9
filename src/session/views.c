// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/views.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void views_forget(struct view *view)
{
	free(view->resolved);
	memset(view, 0, sizeof(*view));
}

void views_clear(struct views *views)
{
	for (size_t i = 0; i < VIEWS_MAX; i++)
		views_forget(&views->view[i]);
}

/* The view that the record belongs to; else a free place, or that of the one longest untouched. */
static struct view *place(struct views *views, const struct guard_view_record *record)
{
	struct view *oldest = &views->view[0];

	for (size_t i = 0; i < VIEWS_MAX; i++) {
		struct view *view = &views->view[i];

		if (view->resolved && view->task == record->task && view->errand == record->errand)
			return view;
		if (view->touched < oldest->touched)
			oldest = view;
	}
	views_forget(oldest);
	return oldest;
}

static bool start(struct view *view, const struct guard_view_record *record, size_t n_names)
{
	view->resolved = calloc(n_names, sizeof(*view->resolved));
	if (!view->resolved)
		return false;
	for (size_t i = 0; i < n_names; i++)
		view->resolved[i].error = -ENODATA;
	view->n = n_names;
	view->task = record->task;
	view->errand = record->errand;
	return true;
}

static bool is_first(const struct guard_view_record *record)
{
	return record->n_resolved && record->resolved[0].name == 0;
}

struct view *views_enter(struct views *views, const struct guard_view_record *record,
			 size_t n_names)
{
	struct view *view = place(views, record);

	/* A first record for one that has begun: the end of that one was lost, the task is another. */
	if (view->resolved && (view->n != n_names || is_first(record)))
		views_forget(view);
	if (!view->resolved && !start(view, record, n_names))
		return NULL;
	view->touched = ++views->clock;
	for (uint32_t i = 0; i < record->n_resolved && i < GUARD_VIEW_RESOLVED; i++) {
		const struct guard_resolved *resolved = &record->resolved[i];

		if (resolved->name < n_names)
			view->resolved[resolved->name] = *resolved;
	}
	return record->last ? view : NULL;
}
