// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/call.h"
#include "cli/command.h"
#include "util/log.h"

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = { COMMAND_HELP_OPTION, COMMAND_END_OPTION };
	struct control_request request;
	struct error err = { 0 };
	enum outcome outcome;

	while (command_option(command, argc, argv, "", options) != -1)
		;
	command_operands(command, argc, 1, 1);
	outcome = call_request(&request, CONTROL_DETACH, argv[optind], &err);
	if (outcome == OUTCOME_DONE)
		outcome = call(NULL, &request, &err);
	if (outcome != OUTCOME_DONE)
		return command_failed(outcome, &err);
	log_info("%s: detached", argv[optind]);
	return OUTCOME_DONE;
}

const struct command cmd_detach = {
	.name = "detach",
	.brief = "take the guard out of a VM",
	.help = "Usage: outguard detach NAME\n"
		"\n"
		"Takes the guard out of the guest, which runs on unguarded, and forgets the VM.\n",
	.run = run,
};
