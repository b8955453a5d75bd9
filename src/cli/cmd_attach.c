// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/show.h"
#include "util/log.h"

struct words {
	const char *qmp, *policy;
	bool wait, hot_plug, allow_partial, verbose;
};

static void parse(struct words *ret, const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "qmp", required_argument, NULL, 'q' },
		{ "policy", required_argument, NULL, 'p' },
		{ "wait", no_argument, NULL, 'w' },
		{ "allow-partial", no_argument, NULL, 'a' },
		{ "hot-plug", no_argument, NULL, 'H' },
		{ "verbose", no_argument, NULL, 'v' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	int c;

	while ((c = command_option(command, argc, argv, "v", options)) != -1) {
		if (c == 'q')
			ret->qmp = optarg;
		else if (c == 'p')
			ret->policy = optarg;
		else if (c == 'w')
			ret->wait = true;
		else if (c == 'a')
			ret->allow_partial = true;
		else if (c == 'H')
			ret->hot_plug = true;
		else if (c == 'v')
			ret->verbose = true;
	}
	command_operands(command, argc, 1, 1);
	if (!ret->qmp || !ret->policy)
		command_usage(command, "--qmp and --policy are needed");
}

static enum outcome attach(const struct words *words, const char *name,
			   struct json_object **ret_facts, struct error *err)
{
	struct control_request request;
	enum outcome outcome = call_request(&request, CONTROL_ATTACH, name, err);

	if (outcome != OUTCOME_DONE)
		return outcome;
	request.wait = words->wait;
	request.allow_partial = words->allow_partial;
	request.hot_plug = words->hot_plug;
	if (call_path(request.qmp, sizeof(request.qmp), words->qmp, err) < 0 ||
	    call_path(request.policy, sizeof(request.policy), words->policy, err) < 0)
		return OUTCOME_FAILED;
	outcome = call(NULL, &request, err);
	if (outcome != OUTCOME_DONE)
		return outcome;
	return call_wait_settled(name, ret_facts, err);
}

static const char *found_in_place(struct json_object *facts)
{
	struct json_object *guard = json_object_object_get(facts, "guard");

	if (show_bool(guard, "replaced"))
		return " (another build's guard was in place, and is replaced)";
	return show_bool(guard, "adopted") ? " (the guard was in place, and is adopted)" : "";
}

static void print_cost(const char *name, struct json_object *facts)
{
	struct json_object *cost = json_object_object_get(facts, "cost");

	log_info("%s: profile %s ms (image %s, symbols %s, types %s) and arming %s ms of host CPU; "
		 "guest paused %s ms%s",
		 name, show_string(cost, "profile_ms"), show_string(cost, "find_ms"),
		 show_string(cost, "kallsyms_ms"), show_string(cost, "btf_ms"),
		 show_string(cost, "prepare_ms"), show_string(cost, "paused_ms"),
		 found_in_place(facts));
}

static void print_partial(const char *name, struct json_object *guard)
{
	struct json_object *list = json_object_object_get(guard, "missing");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *hook = json_object_array_get_idx(list, i);

		log_warning("%s: partial: no hook %s: %s", name, show_string(hook, "hook"),
			    show_string(hook, "without"));
	}
}

static int run(const struct command *command, int argc, char **argv)
{
	_cleanup_(json_object_putp) struct json_object *facts = NULL;
	struct error err = { 0 };
	struct words words = { 0 };
	enum outcome outcome;

	parse(&words, command, argc, argv);
	outcome = attach(&words, argv[optind], &facts, &err);
	if (outcome != OUTCOME_DONE)
		return command_failed(outcome, &err);
	if (words.verbose)
		print_cost(argv[optind], facts);
	print_partial(argv[optind], json_object_object_get(facts, "guard"));
	log_info("%s: guarding", argv[optind]);
	return OUTCOME_DONE;
}

const struct command cmd_attach = {
	.name = "attach",
	.brief = "guard a VM",
	.help = "Usage: outguard attach NAME --qmp PATH --policy FILE [--wait] [--hot-plug]\n"
		"                       [--allow-partial] [-v]\n"
		"\n"
		"Has outguardd guard a VM; returns when all its containers are guarded.\n"
		"  --qmp PATH       the VM's QMP socket\n"
		"  --policy FILE    what is guarded; outguardd reads it again on SIGHUP\n"
		"  --wait           a guest that still boots is guarded when its kernel is up; "
		"wait for it\n"
		"  --allow-partial  a kernel that lacks some of the hooks is guarded by the "
		"others;\n"
		"                   `status` says what is missing\n"
		"  --hot-plug       plug in the devices that the VM was not started with; a detach "
		"takes\n"
		"                   them out again\n"
		"  -v, --verbose    print what it took: host CPU, and how long the guest stood "
		"still\n",
	.run = run,
};
