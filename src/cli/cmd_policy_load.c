// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/show.h"
#include "util/log.h"

static enum outcome load(const char *path, const char *name, struct json_object **ret,
			 struct error *err)
{
	struct control_request request;
	enum outcome outcome = call_request(&request, CONTROL_POLICY_LOAD, name, err);

	if (outcome != OUTCOME_DONE)
		return outcome;
	if (call_path(request.policy, sizeof(request.policy), path, err) < 0)
		return OUTCOME_FAILED;
	return call(ret, &request, err);
}

/* The old policy stays in force until the new one stands; so does this program. */
static enum outcome wait_for(struct json_object *vm, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *facts = NULL;
	const char *name = show_string(vm, "name");
	enum outcome outcome = OUTCOME_DONE;

	if (strcmp(show_string(vm, "state"), "guarding") == 0)
		outcome = call_wait_settled(name, &facts, err);
	if (outcome == OUTCOME_DONE)
		log_info("%s: policy %s is %s", name,
			 show_string(json_object_object_get(vm, "policy"), "source"),
			 facts && !show_bool(facts, "settled") ? "loaded; it comes into force when "
								 "all containers are resolved"
							       : "in force");
	return outcome;
}

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = { COMMAND_HELP_OPTION, COMMAND_END_OPTION };
	_cleanup_(json_object_putp) struct json_object *reply = NULL;
	struct json_object *vms;
	struct error err = { 0 };
	enum outcome outcome;

	while (command_option(command, argc, argv, "", options) != -1)
		;
	command_operands(command, argc, 1, 2);
	outcome = load(argv[optind], argc - optind > 1 ? argv[optind + 1] : NULL, &reply, &err);
	vms = json_object_object_get(reply, "vms");
	for (size_t i = 0; outcome == OUTCOME_DONE && i < json_object_array_length(vms); i++)
		outcome = wait_for(json_object_array_get_idx(vms, i), &err);
	return outcome == OUTCOME_DONE ? OUTCOME_DONE : command_failed(outcome, &err);
}

const struct command cmd_policy_load = {
	.name = "policy load",
	.brief = "put another policy in force",
	.help = "Usage: outguard policy load FILE [NAME]\n"
		"\n"
		"In the VM called NAME, or in all. A policy that is refused changes nothing; a "
		"good "
		"one comes\n"
		"into force at once for all containers of a VM, and the old one stays until "
		"then.\n",
	.run = run,
};
