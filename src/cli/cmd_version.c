// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "cli/command.h"
#include "contract/guard_abi.h"

static void print_facts(void)
{
	struct json_object *facts = json_object_new_object();

	json_object_object_add(facts, "version", json_object_new_string(OUTGUARD_VERSION));
	json_object_object_add(facts, "guard_abi", json_object_new_int(GUARD_ABI_VERSION));
	command_print_json(facts);
	json_object_put(facts);
}

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	int c, json = 0;

	while ((c = command_option(command, argc, argv, "", options)) != -1)
		json = c == 'j';
	command_operands(command, argc, 0, 0);
	if (json)
		print_facts();
	else
		puts("outguard " OUTGUARD_VERSION);
	return OUTCOME_DONE;
}

const struct command cmd_version = {
	.name = "version",
	.brief = "print the version",
	.help = "Usage: outguard version [--json]\n",
	.run = run,
};
