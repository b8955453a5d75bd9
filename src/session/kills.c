// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/kills.h"

#include <stdio.h>
#include <string.h>

#include "session/session.h"
#include "session/tell.h"

bool kills_add(struct session *session, uint64_t mnt_ns)
{
	const struct container *container = containers_find(&session->containers, mnt_ns);
	struct kills *kills = &session->answers.kills;
	struct kill_order *order = &kills->order[kills->n];

	if (!container || mnt_ns == session->guest_mnt_ns || kills->n == KILLS_MAX)
		return false;
	for (size_t i = 0; i < kills->n; i++) {
		if (kills->order[i].mnt_ns == mnt_ns)
			return false;
	}
	*order = (struct kill_order){ .mnt_ns = mnt_ns };
	snprintf(order->id, sizeof(order->id), "%s", container->name.id);
	kills->n++;
	return true;
}

struct round {
	struct session *session;
	const struct kill_order *order;
	struct guard_vault *vault;
	uint32_t n;
};

static bool is_of(const struct round *round, const struct kernel_task *task)
{
	struct container_name name;
	char path[512];

	if (task->mnt_ns_sequence == round->order->mnt_ns)
		return true;
	return kernel_cgroup_path(round->session->kernel, task->address, path, sizeof(path)) >= 0 &&
	       container_from_cgroup(&name, path) && !strcmp(name.id, round->order->id);
}

static void put(struct round *round, uint32_t i, const struct kernel_task *task)
{
	round->vault->kills[i].start_ns = task->start_ns;
	round->vault->kills[i].pid = task->tgid;
}

/* One that is exiting has no name spaces any more. */
static int visit(const struct kernel_task *task, void *data)
{
	struct round *round = data;
	struct guard_vault *vault = round->vault;

	if (task->kernel_thread || task->tgid == 1 || !task->mnt_ns_sequence || !is_of(round, task))
		return 0;
	if (round->n == GUARD_KILLS)
		return 1;
	if (task->inner_pid == 1 && round->n) {
		vault->kills[round->n] = vault->kills[0];
		put(round, 0, task);
	} else {
		put(round, round->n, task);
	}
	round->n++;
	return 0;
}

static void take_off(struct kills *kills)
{
	memmove(&kills->order[0], &kills->order[1], --kills->n * sizeof(kills->order[0]));
}

static void finish(struct session *session, bool done)
{
	const struct kill_order *order = &session->answers.kills.order[0];

	if (done)
		tell_notice(session, "container-killed", POLICY_SEVERITY_HIGH,
			    containers_find(&session->containers, order->mnt_ns),
			    "all processes of container %s have been killed, %llu in all",
			    order->id, (unsigned long long)order->n_killed);
	else
		tell_notice(session, "answer-failed", POLICY_SEVERITY_CRITICAL,
			    containers_find(&session->containers, order->mnt_ns),
			    "container %s could not be killed: it has processes still, after %u "
			    "rounds",
			    order->id, order->rounds);
	take_off(&session->answers.kills);
}

/* The rest stands when the number is raised: and the guard is done with the round before. */
static void send(struct kills *kills, const struct round *round, uint64_t now_ns)
{
	kills->last = kills->last > now_ns ? kills->last + 1
					   : now_ns; /* none that was used before */
	kills->sent = true;
	kills->sent_ns = now_ns;
	kills->order[0].rounds++;
	kills->order[0].n_killed += round->n;
	round->vault->n_kills = round->n;
	__atomic_store_n(&round->vault->kill, kills->last, __ATOMIC_RELEASE);
}

static bool is_answered(const struct session *session, uint64_t now_ns)
{
	const struct guard_mailbox *mailbox =
		(const struct guard_mailbox *)machine_mailbox(session->machine)->host;

	return __atomic_load_n(&mailbox->kill_done, __ATOMIC_ACQUIRE) ==
		       session->answers.kills.last ||
	       now_ns - session->answers.kills.sent_ns > KILLS_PATIENCE_NS;
}

void kills_poll(struct session *session, uint64_t now_ns)
{
	struct kills *kills = &session->answers.kills;
	struct round round = { .session = session,
			       .order = &kills->order[0],
			       .vault = session_vault(session) };
	int r;

	if (!kills->n || (kills->sent && !is_answered(session, now_ns)))
		return;
	kills->sent = false;
	if (round.order->rounds == KILLS_ROUNDS) {
		finish(session, false);
		return;
	}
	r = kernel_tasks_each(session->kernel, false, visit, &round);
	if (round.n)
		send(kills, &round, now_ns);
	else if (r >= 0)
		finish(session, true);
}
