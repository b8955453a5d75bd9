// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "cli/call.h"
#include "cli/command.h"
#include "session/session.h"
#include "util/log.h"

#define MINUTES 60 /* where nothing is said */

static int run(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = { { "minutes", required_argument, NULL, 'm' },
						 COMMAND_HELP_OPTION,
						 COMMAND_END_OPTION };
	struct control_request request;
	struct error err = { 0 };
	unsigned int minutes = MINUTES;
	enum outcome outcome;
	const char *word;
	int c;

	while ((c = command_option(command, argc, argv, "m:", options)) != -1)
		minutes = command_number(command, "minutes", optarg, 1, SESSION_MAX_MAINTENANCE);
	command_operands(command, argc, 2, 2);
	word = argv[optind + 1];
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
		command_usage(command, "\"%s\" is neither on nor off", word);
	outcome = call_request(&request, CONTROL_MAINTENANCE, argv[optind], &err);
	if (outcome == OUTCOME_DONE) {
		request.minutes = strcmp(word, "on") == 0 ? minutes : 0;
		outcome = call(NULL, &request, &err);
	}
	if (outcome != OUTCOME_DONE)
		return command_failed(outcome, &err);
	if (request.minutes)
		log_info("%s: maintenance for %u minutes", argv[optind], request.minutes);
	else
		log_info("%s: maintenance is over", argv[optind]);
	return OUTCOME_DONE;
}

const struct command cmd_maintenance = {
	.name = "maintenance",
	.brief = "let the guest's own administration change the guest, for a time",
	.help = "Usage: outguard maintenance NAME on [--minutes N] | off\n"
		"\n"
		"For 60 minutes, or N, what guest-integrity refuses to the guest's own processes "
		"is only\n"
		"reported: kernel packages, modules, disks. Containers, and whoever came from one, "
		"are\n"
		"refused as before.\n"
		"  -m, --minutes N    at most 10080, a week\n",
	.run = run,
};
