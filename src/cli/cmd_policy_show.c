// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "policy/policy.h"

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = { COMMAND_HELP_OPTION, COMMAND_END_OPTION };

	while (command_option(command, argc, argv, "", options) != -1)
		;
	command_operands(command, argc, 1, 1);
	if (strcmp(argv[optind], "guest-integrity") != 0)
		command_usage(command,
			      "there is no built-in rule set \"%s\"; write "
			      "guest-integrity",
			      argv[optind]);
	fputs(policy_guest_integrity(), stdout);
	return OUTCOME_DONE;
}

const struct command cmd_policy_show = {
	.name = "policy show",
	.brief = "print a built-in rule set",
	.help = "Usage: outguard policy show guest-integrity\n"
		"\n"
		"What outguard watches over in a guest besides the files that a policy names, part "
		"by part.\n",
	.run = run,
};
