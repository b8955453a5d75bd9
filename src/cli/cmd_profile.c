// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/show.h"
#include "daemon/facts.h"
#include "util/cleanup.h"

#define MAX_CPUS 64
#define TIMEOUT_MS 5000

DEFINE_CLEANUP(struct machine *, machine_free)
DEFINE_CLEANUP(struct profile *, profile_free)

/* Without a daemon, and without touching the guest. */
static int read_directly(struct json_object **ret, const char *qmp_path, struct error *err)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	_cleanup_(machine_freep) struct machine *machine = NULL;
	struct cpu cpus[MAX_CPUS];
	int r = machine_open(&machine, qmp_path, TIMEOUT_MS, err), n;

	if (r < 0)
		return r;
	n = machine_cpus(machine, cpus, MAX_CPUS, err);
	if (n < 0)
		return n;
	r = -EAGAIN;
	for (int i = 0; i < n && i < MAX_CPUS && r == -EAGAIN; i++)
		r = profile_read(&profile, machine_ram(machine), &cpus[i], err);
	if (r == 0)
		*ret = facts_profile(machine, profile, NULL);
	return r;
}

static enum outcome ask_daemon(struct json_object **ret, const char *name, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *reply = NULL;
	struct control_request request;
	enum outcome outcome = call_request(&request, CONTROL_PROFILE, name, err);

	if (outcome == OUTCOME_DONE)
		outcome = call(&reply, &request, err);
	if (outcome == OUTCOME_DONE)
		*ret = json_object_get(json_object_object_get(reply, "profile"));
	return outcome;
}

static void print_hooks(struct json_object *facts)
{
	struct json_object *hooks = json_object_object_get(facts, "hooks");

	for (size_t i = 0; i < json_object_array_length(hooks); i++) {
		struct json_object *hook = json_object_array_get_idx(hooks, i);
		const char *armed_by = show_string(hook, "armed_by");

		printf("%s%s ", i ? "          " : "hooks     ", show_string(hook, "name"));
		if (*armed_by)
			printf("(armed by %s)\n", armed_by);
		else if (show_bool(hook, "available"))
			printf("(available, by %s)\n", show_string(hook, "means"));
		else if (show_bool(hook, "optional"))
			printf("(not in this kernel, nor needed: %s)\n", show_string(hook, "needles"
											   "s"));
		else
			printf("(NOT AVAILABLE: %s)\n", show_string(hook, "without"));
	}
}

static void print_system_calls(struct json_object *facts)
{
	struct json_object *entry = json_object_object_get(facts, "system_call_entry");

	if (show_bool(entry, "watched"))
		puts("entry     (of system calls: watched by the guard)");
	else
		printf("entry     (of system calls: NOT WATCHED: %s)\n", show_string(entry, "why_"
											    "not"));
}

static void print_text(struct json_object *facts)
{
	struct json_object *kernel = json_object_object_get(facts, "kernel");
	struct json_object *cost = json_object_object_get(facts, "cost");

	fputs("kernel    ", stdout);
	show_escaped(show_string(kernel, "banner"));
	printf("\nplaced    text at %s (KASLR %s), phys_base %s\n", show_string(kernel, "text"),
	       show_string(kernel, "kaslr_offset"), show_string(kernel, "phys_base"));
	printf("found     %" PRIu64 " symbols, %" PRIu64 " types, in %s ms of host CPU\n",
	       show_number(kernel, "symbols"), show_number(kernel, "types"),
	       show_string(cost, "profile_ms"));
	printf("machine   QEMU %" PRIu64 ", %s, %" PRIu64 " MiB of RAM\n",
	       show_number(json_object_object_get(facts, "qemu"), "pid"),
	       show_string(json_object_object_get(facts, "qemu"), "accelerator"),
	       show_number(facts, "ram") >> 20);
	print_hooks(facts);
	print_system_calls(facts);
}

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "qmp", required_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	_cleanup_(json_object_putp) struct json_object *facts = NULL;
	const char *qmp_path = NULL;
	struct error err = { 0 };
	enum outcome outcome;
	int c, json = 0;

	while ((c = command_option(command, argc, argv, "", options)) != -1) {
		if (c == 'q')
			qmp_path = optarg;
		else
			json = 1;
	}
	command_operands(command, argc, !qmp_path, !qmp_path);
	outcome = qmp_path ? outcome_of(read_directly(&facts, qmp_path, &err))
			   : ask_daemon(&facts, argv[optind], &err);
	if (outcome != OUTCOME_DONE)
		return command_failed(outcome, &err);
	if (json)
		command_print_json(facts);
	else
		print_text(facts);
	return OUTCOME_DONE;
}

const struct command cmd_profile = {
	.name = "profile",
	.brief = "what is found in a guest: kernel, symbols, types, hooks",
	.help = "Usage: outguard profile (--qmp PATH | NAME) [--json]\n"
		"\n"
		"  --qmp PATH    a VM by its QMP socket; needs no daemon, changes nothing in the "
		"guest\n"
		"  NAME          a VM that outguardd guards\n"
		"  --json        print a JSON object\n",
	.run = run,
};
