// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/show.h"

#define SHORT_ID 12
#define SHORT_DIGEST 12

static void print_container(struct json_object *container)
{
	char id[SHORT_ID + 1];

	snprintf(id, sizeof(id), "%s", show_string(container, "id"));
	fputs("    ", stdout);
	show_column(id, 14);
	show_column(show_string(container, "engine"), 12);
	show_column(show_string(container, "hostname"), 20);
	if (show_bool(container, "lost"))
		puts("RUNS UNGUARDED: its paths could not be resolved");
	else if (!show_bool(container, "resolved"))
		puts("being resolved");
	else
		printf("%" PRIu64 " entries, made %s, in %" PRIu64 " us\n",
		       show_number(container, "entries"),
		       show_bool(container, "before_start") ? "before its start" : "while it ran",
		       show_number(container, "took_us"));
}

static void print_containers(struct json_object *vm)
{
	struct json_object *list = json_object_object_get(vm, "containers");
	size_t n = list ? json_object_array_length(list) : 0;

	printf("  containers  %zu\n", n);
	for (size_t i = 0; i < n; i++)
		print_container(json_object_array_get_idx(list, i));
}

static void print_policy(struct json_object *vm)
{
	struct json_object *policy = json_object_object_get(vm, "policy");

	fputs("  policy      ", stdout);
	show_escaped(show_string(policy, "source"));
	printf(", %" PRIu64 " rules, sha256 %.*s%s\n", show_number(policy, "rules"), SHORT_DIGEST,
	       show_string(policy, "digest"),
	       json_object_object_get(vm, "guard") && !show_bool(vm, "settled") ? ", not in force "
										  "everywhere yet"
										: "");
}

/* Somebody with root's rights in the guest writes into the mailbox. */
static void print_abuses(struct json_object *abuses)
{
	const char *separator = "";

	fputs("  ABUSED      the mailbox, by the guest: ", stdout);
	json_object_object_foreach(abuses, kind, n)
	{
		if (json_object_get_uint64(n))
			printf("%s%s %" PRIu64, separator, kind, json_object_get_uint64(n));
		separator = json_object_get_uint64(n) ? ", " : separator;
	}
	putchar('\n');
}

static void print_events(struct json_object *vm)
{
	struct json_object *events = json_object_object_get(vm, "events");

	printf("  events      %" PRIu64 ", %" PRIu64 " denied, %" PRIu64 " lost",
	       show_number(events, "total"), show_number(events, "denied"),
	       show_number(events, "lost"));
	if (show_number(events, "unattributed"))
		printf(", %" PRIu64 " of no rule", show_number(events, "unattributed"));
	if (show_number(events, "skipped") || show_number(events, "abused"))
		printf("; mailbox: %" PRIu64 " slots skipped, %" PRIu64 " abuses",
		       show_number(events, "skipped"), show_number(events, "abused"));
	putchar('\n');
	if (show_number(events, "abused"))
		print_abuses(json_object_object_get(events, "abuses"));
}

static void print_guard(struct json_object *vm)
{
	struct json_object *guard = json_object_object_get(vm, "guard");
	struct json_object *cache = json_object_object_get(vm, "cache");
	struct json_object *cost = json_object_object_get(vm, "cost");

	printf("  cache       %" PRIu64 " of %" PRIu64 " entries, %" PRIu64 " watches\n",
	       show_number(cache, "entries"), show_number(cache, "capacity"),
	       show_number(cache, "watches"));
	printf("  guard       %" PRIu64 " hooks %s%s, guest resets: %" PRIu64 "\n",
	       show_number(guard, "hooks"), show_bool(guard, "intact") ? "intact" : "NOT INTACT",
	       show_bool(guard, "adopted") ? ", adopted" : "", show_number(vm, "resets"));
	printf("  attaching   profile %s ms, arming %s ms of host CPU; guest paused %s ms\n",
	       show_string(cost, "profile_ms"), show_string(cost, "prepare_ms"),
	       show_string(cost, "paused_ms"));
}

/* How soon it is noticed that the guard is tampered with. */
static void print_trap(struct json_object *vm)
{
	struct json_object *trap = json_object_object_get(json_object_object_get(vm, "guard"), "tra"
											       "p");
	uint64_t others = show_number(trap, "pages_left_out") + show_number(trap, "pages_too_hot");

	if (!trap)
		return;
	fputs("  tampering   ", stdout);
	if (!show_bool(trap, "in_force")) {
		fputs("noticed by the sentry", stdout);
	} else {
		printf("trapped on %" PRIu64 " pages", show_number(trap, "pages"));
		if (others)
			printf(", on %" PRIu64 " noticed by the sentry", others);
	}
	if (show_number(trap, "told"))
		printf("; told %s ms after the write was caught, at worst", show_string(trap, "wors"
											      "t_"
											      "m"
											      "s"));
	if (*show_string(trap, "why_not")) {
		fputs("; no trap: ", stdout);
		show_escaped(show_string(trap, "why_not"));
	}
	putchar('\n');
}

static void print_period(const char *what, uint64_t ms)
{
	if (ms)
		printf("%s every %" PRIu64 " ms, ", what, ms);
	else
		printf("%s never, ", what);
}

static void print_sentry(struct json_object *vm)
{
	struct json_object *guard = json_object_object_get(vm, "guard");
	struct json_object *sentry = json_object_object_get(guard, "sentry");

	if (!sentry)
		return;
	fputs("  sentry      ", stdout);
	print_period("hooks", show_number(sentry, "hooks_ms"));
	print_period("kernel", show_number(sentry, "kernel_ms"));
	print_period("registers", show_number(sentry, "registers_ms"));
	print_period("vault", show_number(sentry, "vault_ms"));
	printf("%" PRIu64 " us a look; tampered with %" PRIu64 " times",
	       show_number(sentry, "look_us"), show_number(guard, "tampered"));
	if (show_number(sentry, "differences"))
		printf("; the kernel DIFFERS in %" PRIu64 " places", show_number(sentry, "differenc"
											 "es"));
	if (*show_string(sentry, "kernel_not_watched"))
		printf("; the kernel is not watched: %s", show_string(sentry, "kernel_not_"
									      "watched"));
	if (*show_string(sentry, "system_call_entry_not_watched"))
		printf("; where system calls enter the kernel is not watched: %s",
		       show_string(sentry, "system_call_entry_not_watched"));
	putchar('\n');
}

/* Does nothing where nothing is missing. */
static void print_missing(struct json_object *vm)
{
	struct json_object *list = json_object_object_get(json_object_object_get(vm, "guard"), "mis"
											       "sin"
											       "g");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *hook = json_object_array_get_idx(list, i);

		printf("  %-12sno hook %s: %s\n", i ? "" : "PARTIAL", show_string(hook, "hook"),
		       show_string(hook, "without"));
	}
}

static void print_sandbox(struct json_object *sandbox)
{
	fputs("  keeper      user ", stdout);
	show_escaped(show_string(sandbox, "user"));
	fputs(", no capabilities, seccomp", stdout);
	if (show_number(sandbox, "landlock"))
		printf(", Landlock (version %" PRIu64 ")\n", show_number(sandbox, "landlock"));
	else
		puts(", no Landlock in this kernel");
}

static void print_vm(struct json_object *vm)
{
	struct json_object *qemu = json_object_object_get(vm, "qemu");

	printf("%s  %s", show_string(vm, "name"), show_string(vm, "state"));
	if (*show_string(vm, "kernel")) {
		fputs("  Linux ", stdout);
		show_escaped(show_string(vm, "kernel"));
	}
	if (qemu)
		printf("  %s, QEMU %" PRIu64, show_string(qemu, "accelerator"),
		       show_number(qemu, "pid"));
	putchar('\n');
	if (json_object_object_get(vm, "policy"))
		print_policy(vm);
	if (json_object_object_get(vm, "guard"))
		print_guard(vm);
	print_trap(vm);
	print_sentry(vm);
	print_missing(vm);
	if (json_object_object_get(vm, "events"))
		print_events(vm);
	if (json_object_object_get(vm, "sandbox"))
		print_sandbox(json_object_object_get(vm, "sandbox"));
	if (json_object_object_get(vm, "containers"))
		print_containers(vm);
	if (*show_string(vm, "trouble")) {
		fputs("  TROUBLE     ", stdout);
		show_escaped(show_string(vm, "trouble"));
		putchar('\n');
	}
}

static void print_vms(struct json_object *vms)
{
	if (json_object_array_length(vms) == 0)
		puts("no VM is attached");
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		print_vm(json_object_array_get_idx(vms, i));
}

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	_cleanup_(json_object_putp) struct json_object *reply = NULL;
	struct control_request request;
	struct error err = { 0 };
	enum outcome outcome;
	int c, json = 0;

	while ((c = command_option(command, argc, argv, "", options)) != -1)
		json = c == 'j';
	outcome = call_request(&request, CONTROL_STATUS,
			       command_operands(command, argc, 0, 1) ? argv[optind] : NULL, &err);
	if (outcome == OUTCOME_DONE)
		outcome = call(&reply, &request, &err);
	if (outcome != OUTCOME_DONE)
		return command_failed(outcome, &err);
	if (json)
		command_print_json(json_object_object_get(reply, "vms"));
	else
		print_vms(json_object_object_get(reply, "vms"));
	return OUTCOME_DONE;
}

const struct command cmd_status = {
	.name = "status",
	.brief = "what is guarded, and how it goes",
	.help = "Usage: outguard status [NAME] [--json]\n"
		"\n"
		"Of one VM or of all.\n"
		"  --json    print an array of objects (docs/CLI.md)\n",
	.run = run,
};
