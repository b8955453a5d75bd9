// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/errands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int errands_add(struct errands *errands, uint32_t pid, uint64_t task, uint64_t mnt_ns)
{
	if (errands->n == errands->room) {
		size_t room = errands->room * 2 + 16;
		struct errand *list = realloc(errands->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		errands->list = list;
		errands->room = room;
	}
	errands->list[errands->n++] = (struct errand){
		.id = ++errands->last_id,
		.pid = pid,
		.task = task,
		.mnt_ns = mnt_ns,
	};
	return 0;
}

void errands_send(struct errands *errands, struct guard_vault *vault, uint64_t now_ns)
{
	if (errands->n_sent || !errands->n)
		return;
	while (errands->n_sent < errands->n && errands->n_sent < GUARD_ERRAND_ROOTS) {
		struct errand *errand = &errands->list[errands->n_sent];

		errand->sent = true;
		/* The id last: whoever still works on the batch before does not take the old path for the new. */
		snprintf(vault->roots[errands->n_sent].path, sizeof(vault->roots->path),
			 "/proc/%u/root", errand->pid);
		__atomic_store_n(&vault->roots[errands->n_sent].id, errand->id, __ATOMIC_RELEASE);
		errands->n_sent++;
	}
	vault->n_roots = (uint32_t)errands->n_sent;
	errands->sent_ns = now_ns;
	__atomic_store_n(&vault->errand, vault->errand + 1, __ATOMIC_RELEASE);
}

static struct errand *find_sent(const struct errands *errands, uint64_t id)
{
	for (size_t i = 0; i < errands->n_sent; i++) { /* they stand first */
		if (errands->list[i].id == id)
			return &errands->list[i];
	}
	return NULL;
}

bool errands_find(const struct errands *errands, uint64_t id, struct errand *ret)
{
	const struct errand *errand = find_sent(errands, id);

	if (errand)
		*ret = *errand;
	return errand != NULL;
}

static void take_off(struct errands *errands, struct errand *errand)
{
	size_t i = (size_t)(errand - errands->list);

	errands->n_sent -= errand->sent;
	memmove(errand, errand + 1, (--errands->n - i) * sizeof(*errand));
}

void errands_done(struct errands *errands, uint64_t id)
{
	struct errand *errand = find_sent(errands, id);

	if (errand)
		take_off(errands, errand);
}

bool errands_overdue(struct errands *errands, uint64_t now_ns, struct errand *ret)
{
	if (!errands->n_sent || now_ns - errands->sent_ns < ERRANDS_PATIENCE_NS)
		return false;
	*ret = errands->list[0]; /* those that were sent stand first */
	take_off(errands, &errands->list[0]);
	return true;
}

bool errands_are_done(const struct errands *errands)
{
	return errands->n == 0;
}

void errands_clear(struct errands *errands)
{
	free(errands->list);
	*errands = (struct errands){ .last_id = errands->last_id };
}
