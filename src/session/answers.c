// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "session/session.h"
#include "session/tell.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/opener.h"

#define LOOK_NS 100000000ULL /* at a dump */
#define TOLD_NS 60000000000ULL
#define VARIABLES 10

DEFINE_CLEANUP(struct commands *, commands_free)

static struct commands_line line_of(const struct policy_answer *answer)
{
	return (struct commands_line){ (const char *const *)answer->command, answer->n_command };
}

/* What a policy's answers take. */
struct takings {
	struct commands_line *lines;
	const char **directories;
	struct commands_allowed allowed;
};

static void takings_deinit(struct takings *takings)
{
	free(takings->lines);
	free(takings->directories);
}

static void add_takings(struct takings *takings, const struct policy_answer *answer)
{
	if (answer->n_command)
		takings->lines[takings->allowed.n_lines++] = line_of(answer);
	if (answer->dump)
		takings->directories[takings->allowed.n_directories++] = answer->dump;
}

static int find_takings(struct takings *takings, const struct policy *policy)
{
	takings->lines = calloc(policy->n_rules + 1, sizeof(*takings->lines));
	takings->directories = calloc(policy->n_rules + 1, sizeof(*takings->directories));
	if (!takings->lines || !takings->directories)
		return -ENOMEM;
	add_takings(takings, &policy->tampering.answer);
	for (size_t i = 0; i < policy->n_rules; i++) {
		if (policy->rules[i].answer)
			add_takings(takings, policy->rules[i].answer);
	}
	takings->allowed.lines = takings->lines;
	takings->allowed.directories = takings->directories;
	return 0;
}

int answers_prepare(struct answers *answers, const struct policy *policy, struct error *err)
{
	_cleanup_(takings_deinit) struct takings takings = { 0 };
	_cleanup_(commands_freep) struct commands *to_events = NULL, *to_tampering = NULL;
	int r;

	if (find_takings(&takings, policy) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (commands_allow(answers->to_events, &takings.allowed))
		return 0;
	if (opener_is_away())
		return error_set(err, -EPERM,
				 "%s: its answers have commands or directories for dumps that the "
				 "policy at attach had not, and by now no other may be used; "
				 "detach, and attach with this policy",
				 policy->source);
	r = commands_new(&to_events, &takings.allowed, err);
	if (r == 0)
		r = commands_new(&to_tampering, &takings.allowed, err);
	if (r < 0)
		return r;
	answers_deinit(answers);
	answers->to_events = TAKE_PTR(to_events);
	answers->to_tampering = TAKE_PTR(to_tampering);
	return 0;
}

void answers_deinit(struct answers *answers)
{
	answers->to_events = commands_free(answers->to_events);
	answers->to_tampering = commands_free(answers->to_tampering);
}

/* Told once in a while: whoever causes it may do so all the time. */
static void leave_out(struct session *session, const char *what, const char *why)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	session->answers.n_left_out++;
	if (now < session->answers.next_told_ns)
		return;
	session->answers.next_told_ns = now + TOLD_NS;
	tell_notice(session, "answer-failed", POLICY_SEVERITY_HIGH, NULL,
		    "%s: %s (%llu answers left out so far)", what, why,
		    (unsigned long long)session->answers.n_left_out);
}

void answers_freeze(struct session *session, const struct policy_answer *answer)
{
	struct error err = { 0 };

	if (!answer->freeze || session->frozen)
		return;
	if (machine_freeze(session->machine, &err) < 0) {
		leave_out(session, "the VM could not be stopped", err.message);
		return;
	}
	session->frozen = true;
	session->answers.n_taken++;
	tell_notice(session, "vm-frozen", POLICY_SEVERITY_CRITICAL, NULL,
		    "the VM has been stopped, as the policy says; it goes on by QMP's cont");
}

/* Of the owner alone: it has all that the guest knows in it. */
static int open_dump(struct session *session, const char *directory, struct error *err)
{
	uint64_t mib = ram_size(machine_ram(session->machine)) >> 20;
	struct tm tm;
	time_t now = time(NULL);
	char stamp[32];
	int fd;

	if (!session->answers.to_events)
		return error_set(err, -EPIPE, "there is nobody to make the file");
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(session->answers.dump_path, sizeof(session->answers.dump_path), "%s/%s-%s.dump",
		 directory, session->name, stamp);
	fd = commands_make_file(session->answers.to_events, session->answers.dump_path,
				(unsigned int)mib);
	if (fd == -ENOSPC)
		return error_set(err, fd, "%s has less room than the guest has memory (%llu MiB)",
				 directory, (unsigned long long)mib);
	return fd < 0 ? error_set(err, fd, "%s: %s", session->answers.dump_path, strerror(-fd))
		      : fd;
}

static void dump(struct session *session, const struct policy_answer *answer)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	struct answers *answers = &session->answers;
	_cleanup_(closep) int fd = -1;
	struct error err = { 0 };
	int r;

	if (!answer->dump || answers->dump_path[0])
		return;
	if (now < answers->next_dump_ns) {
		leave_out(session, "no dump", "there was one less than ten minutes ago");
		return;
	}
	fd = open_dump(session, answer->dump, &err);
	r = fd < 0 ? fd : machine_dump(session->machine, fd, answer->dump_plain, &err);
	if (r < 0) {
		if (fd >= 0)
			commands_unmake_file(answers->to_events, answers->dump_path);
		answers->dump_path[0] = '\0';
		leave_out(session, "the guest's memory could not be dumped", err.message);
		return;
	}
	answers->next_dump_ns = now + ANSWERS_DUMP_EVERY_NS;
	answers->next_look_ns = now + LOOK_NS;
	answers->n_taken++;
}

static void look_at_dump(struct session *session, uint64_t now_ns)
{
	struct answers *answers = &session->answers;
	struct error err = { 0 };
	int r;

	if (!answers->dump_path[0] || now_ns < answers->next_look_ns)
		return;
	answers->next_look_ns = now_ns + LOOK_NS;
	r = machine_dump_status(session->machine, &err);
	if (r > 0)
		return;
	if (r < 0)
		leave_out(session, "the guest's memory could not be dumped", err.message);
	else
		tell_notice(session, "memory-dumped", POLICY_SEVERITY_HIGH, NULL,
			    "the guest's memory is in %s", answers->dump_path);
	answers->dump_path[0] = '\0';
}

/* NAME=value, for whoever reads no JSON. */
struct variables {
	char text[VARIABLES][1200];
	const char *list[VARIABLES + 1];
	size_t n;
};

static void add(struct variables *variables, const char *name, const char *value)
{
	char *text = variables->text[variables->n];

	if (!value || !*value || variables->n == VARIABLES)
		return;
	snprintf(text, sizeof(variables->text[0]), "OUTGUARD_%s=%s", name, value);
	variables->list[variables->n++] = text;
}

static void run(struct session *session, struct commands *commands,
		const struct policy_answer *answer, const struct variables *variables,
		const char *json, size_t size)
{
	const struct commands_line line = line_of(answer);
	int r;

	if (!answer->n_command)
		return;
	r = commands ? commands_run(commands, &line, variables->list, json, size) : -EPIPE;
	if (r < 0)
		leave_out(session, answer->command[0],
			  r == -EAGAIN ? "too many commands wait already" : strerror(-r));
	else
		session->answers.n_taken++;
}

void answers_to_event(struct session *session, const struct policy_answer *answer,
		      const struct event *event, uint64_t mnt_ns)
{
	_cleanup_(freep) char *json = NULL;
	struct variables variables = { .n = 0 };
	size_t size = 0;
	FILE *to = answer->n_command ? open_memstream(&json, &size) : NULL;

	answers_freeze(session, answer);
	if (answer->kill_container && kills_add(session, mnt_ns))
		session->answers.n_taken++;
	dump(session, answer);
	if (!to)
		return;
	event_print_json(event, to);
	if (fclose(to) != 0)
		return;
	add(&variables, "KIND", "event");
	add(&variables, "VM", event->vm);
	add(&variables, "RULE", event->rule);
	add(&variables, "SEVERITY", policy_severity_name(event->severity));
	add(&variables, "OPERATION", policy_operation_name(event->operation));
	add(&variables, "RESULT", event->denied ? "denied" : "allowed");
	add(&variables, "PATH", event->file.path);
	add(&variables, "EXECUTABLE", event->process.executable);
	add(&variables, "CONTAINER", event->container.id);
	run(session, session->answers.to_events, answer, &variables, json, size);
}

void answers_to_notice(struct session *session, const struct policy_answer *answer,
		       const struct event_notice *notice)
{
	_cleanup_(freep) char *json = NULL;
	struct variables variables = { .n = 0 };
	size_t size = 0;
	FILE *to = answer->n_command ? open_memstream(&json, &size) : NULL;

	dump(session, answer);
	if (!to)
		return;
	event_notice_print_json(notice, to);
	if (fclose(to) != 0)
		return;
	add(&variables, "KIND", "notice");
	add(&variables, "VM", notice->vm);
	add(&variables, "NOTICE", notice->what);
	add(&variables, "SEVERITY", policy_severity_name(notice->severity));
	add(&variables, "MESSAGE", notice->message);
	run(session, session->answers.to_tampering, answer, &variables, json, size);
}

void answers_poll(struct session *session, uint64_t now_ns)
{
	look_at_dump(session, now_ns);
	if (session->state == SESSION_GUARDING && !session->stopped)
		kills_poll(session, now_ns);
}
