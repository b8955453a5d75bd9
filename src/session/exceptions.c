// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/exceptions.h"

#include <errno.h>
#include <stdlib.h>

struct exceptions {
	unsigned int n_refs;
	const struct policy_rule *rule;
	size_t n_executables;
	struct executable {
		size_t except; /* index in the rule */
		struct guard_identity file;
	} executables[];
};

int exceptions_new(struct exceptions **ret, const struct plan *plan, uint32_t rule,
		   const struct guard_resolved *resolved)
{
	const struct policy_rule *of = &plan->policy->rules[rule];
	struct exceptions *exceptions;
	size_t room = 0;

	*ret = NULL;
	if (!of->n_except)
		return 0;
	for (size_t i = 0; i < of->n_except; i++)
		room += of->except[i].n_executables;
	exceptions = calloc(1, sizeof(*exceptions) + room * sizeof(struct executable));
	if (!exceptions)
		return -ENOMEM;
	exceptions->n_refs = 1;
	exceptions->rule = of;
	for (size_t i = 0; i < plan->n_executables; i++) {
		const struct plan_executable *executable = &plan->executables[i];

		if (executable->rule != rule || resolved[executable->name].error)
			continue;
		exceptions->executables[exceptions->n_executables++] =
			(struct executable){ executable->except, resolved[executable->name].file };
	}
	*ret = exceptions;
	return 0;
}

struct exceptions *exceptions_ref(struct exceptions *exceptions)
{
	if (exceptions)
		exceptions->n_refs++;
	return exceptions;
}

struct exceptions *exceptions_unref(struct exceptions *exceptions)
{
	if (exceptions && --exceptions->n_refs == 0)
		free(exceptions);
	return NULL;
}

static bool selects(const struct policy_exception *except, const struct container *container)
{
	return policy_selects(&except->containers, container->name.id, container->name.engine,
			      container->hostname);
}

bool exceptions_select(const struct exceptions *exceptions, const struct container *container)
{
	for (size_t i = 0; exceptions && i < exceptions->rule->n_except; i++) {
		const struct policy_exception *except = &exceptions->rule->except[i];

		if (except->by_container && selects(except, container))
			return true;
	}
	return false;
}

bool exceptions_by_container(const struct exceptions *exceptions)
{
	for (size_t i = 0; exceptions && i < exceptions->rule->n_except; i++) {
		if (exceptions->rule->except[i].by_container)
			return true;
	}
	return false;
}

struct rows {
	struct guard_exception *row;
	size_t n, room;
};

static int add_row(struct rows *rows, const struct guard_exception *row)
{
	if (rows->n == GUARD_MAX_EXCEPTIONS)
		return 0;
	if (rows->n == rows->room) {
		size_t room = rows->room * 2 + 4;
		struct guard_exception *more = realloc(rows->row, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		rows->row = more;
		rows->room = room;
	}
	rows->row[rows->n++] = *row;
	return 0;
}

static int add_uids(struct rows *rows, const struct policy_exception *except,
		    struct guard_exception row)
{
	int r = 0;

	if (!except->n_uids)
		return add_row(rows, &row);
	row.parts |= GUARD_EXCEPT_UID;
	for (size_t i = 0; i < except->n_uids && r == 0; i++) {
		row.uid_from = except->uids[i].from;
		row.uid_to = except->uids[i].to;
		r = add_row(rows, &row);
	}
	return r;
}

static int add_spaces(struct rows *rows, const struct policy_exception *except,
		      const struct containers *containers, struct guard_exception row)
{
	int r = 0;

	if (!except->by_container)
		return add_uids(rows, except, row);
	row.parts |= GUARD_EXCEPT_SPACE;
	for (const struct container *c = containers->first; c && r == 0; c = c->next) {
		row.space = c->mnt_ns;
		if (selects(except, c))
			r = add_uids(rows, except, row);
	}
	return r;
}

static int add_except(struct rows *rows, const struct exceptions *exceptions, size_t i,
		      const struct containers *containers)
{
	const struct policy_exception *except = &exceptions->rule->except[i];
	int r = 0;

	if (!except->n_executables)
		return add_spaces(rows, except, containers, (struct guard_exception){ 0 });
	for (size_t e = 0; e < exceptions->n_executables && r == 0; e++) {
		const struct executable *executable = &exceptions->executables[e];
		const struct guard_exception row = {
			.parts = GUARD_EXCEPT_EXECUTABLE,
			.generation = executable->file.generation,
			.super = executable->file.super,
			.ino = executable->file.ino,
		};

		if (executable->except == i)
			r = add_spaces(rows, except, containers, row);
	}
	return r;
}

int exceptions_rows(const struct exceptions *exceptions, const struct containers *containers,
		    struct guard_exception **ret_rows)
{
	struct rows rows = { 0 };
	int r = 0;

	for (size_t i = 0; exceptions && i < exceptions->rule->n_except && r == 0; i++)
		r = add_except(&rows, exceptions, i, containers);
	if (r < 0) {
		free(rows.row);
		return r;
	}
	*ret_rows = rows.row;
	return (int)rows.n;
}
