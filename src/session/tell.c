// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"

#define WORDS_TRIES 5
#define WORDS_AGAIN_NS 1000000000ULL

/* An engine may write its files when the container runs already: a few times, then no more. */
static void learn_words(struct session *session, struct container *container)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct container_words words;
	int r;

	if (!session->caches || container->words_tries >= WORDS_TRIES ||
	    now < container->words_next_ns)
		return;
	container->words_tries++;
	container->words_next_ns = now + WORDS_AGAIN_NS;
	r = container_words_read(&words, session->caches, &container->name, container->task,
				 container->mnt_ns);
	if (r == 0)
		container->words_tries = WORDS_TRIES;
	if (r == 0 || !container->words.name[0])
		container->words = words; /* what was known once stays */
}

void tell_container(struct session *session, struct event_container *to, struct container *from)
{
	const struct container_words *words = &from->words;

	learn_words(session, from);
	snprintf(to->id, sizeof(to->id), "%s", from->name.id);
	snprintf(to->engine, sizeof(to->engine), "%s", from->name.engine);
	snprintf(to->cgroup_path, sizeof(to->cgroup_path), "%s", from->cgroup_path);
	snprintf(to->hostname, sizeof(to->hostname), "%s", from->hostname);
	snprintf(to->name, sizeof(to->name), "%s", words->name);
	snprintf(to->image, sizeof(to->image), "%s", words->image);
	snprintf(to->pod_name, sizeof(to->pod_name), "%s", words->pod_name);
	snprintf(to->pod_namespace, sizeof(to->pod_namespace), "%s", words->pod_namespace);
	snprintf(to->pod_uid, sizeof(to->pod_uid), "%s",
		 *from->name.pod_uid ? from->name.pod_uid : words->pod_uid);
}

void tell_process(const struct session *session, struct event_process *process,
		  const struct guard_process *from, uint16_t executable)
{
	process->pid = from->pid;
	process->tid = from->tid;
	process->inner_pid = from->inner_pid;
	process->inner_tid = from->inner_tid;
	process->uid = from->uid;
	process->gid = from->gid;
	process->euid = from->euid;
	process->egid = from->egid;
	process->start_ns = from->start_ns;
	snprintf(process->name, sizeof(process->name), "%.15s", from->name);
	ring_text(&session->ring, executable, process->executable, sizeof(process->executable));
	process->n_parents = from->n_parents < EVENT_MAX_PARENTS ? from->n_parents
								 : EVENT_MAX_PARENTS;
	for (unsigned int i = 0; i < process->n_parents; i++) {
		process->parents[i].pid = from->parents[i].pid;
		process->parents[i].uid = from->parents[i].uid;
		snprintf(process->parents[i].name, sizeof(process->parents[i].name), "%.15s",
			 from->parents[i].name);
	}
	process->ppid = process->n_parents ? process->parents[0].pid : 0;
}

void tell_notice(struct session *session, const char *what, enum policy_severity severity,
		 struct container *container, const char *format, ...)
{
	struct event_container described = { 0 };
	char message[512];
	struct event_notice notice = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.vm = session->name,
		.what = what,
		.severity = severity,
		.message = message,
		.container = container ? &described : NULL,
	};
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	if (container)
		tell_container(session, &described, container);
	if (severity >= POLICY_SEVERITY_HIGH)
		log_error("%s: %s", session->name, message);
	else
		log_warning("%s: %s", session->name, message);
	if (session->notice)
		session->notice(&notice, session->sink_data);
}
