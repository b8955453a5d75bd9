// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/command.h"
#include "cli/show.h"
#include "util/log.h"

/* What comes as JSON is passed on as it is: {"event":{...}}. */
#define EVENT_PREFIX "{\"event\":"

static void parse(struct control_request *request, const struct command *command, int argc,
		  char **argv)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "last", required_argument, NULL, 'l' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	bool follow = false, text = true, counted = false;
	unsigned int last = 0;
	struct error err = { 0 };
	int c;

	while ((c = command_option(command, argc, argv, "f", options)) != -1) {
		if (c == 'f')
			follow = true;
		else if (c == 'j')
			text = false;
		else if (c == 'l') {
			last = command_number(command, "last", optarg, 0, 1000000);
			counted = true;
		}
	}
	if (call_request(request, CONTROL_EVENTS,
			 command_operands(command, argc, 0, 1) ? argv[optind] : NULL,
			 &err) != OUTCOME_DONE)
		command_usage(command, "%s", err.message);
	request->follow = follow;
	request->text = text;
	if (counted || follow)
		request->last = last;
}

/* Its only control characters are those that outguardd made it colourful with. */
static void print_text(const char *text, bool colour)
{
	while (*text) {
		size_t n = colour ? strlen(text) : strcspn(text, "\033");

		fwrite(text, 1, n, stdout);
		text += n;
		if (*text)
			text += strcspn(text, "m") + (strchr(text, 'm') != NULL);
	}
	putchar('\n');
}

/* Returns whether more is to come. */
static bool print_line(char *line, size_t size, bool colour, enum outcome *outcome,
		       struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *object = NULL;

	if (strncmp(line, EVENT_PREFIX, strlen(EVENT_PREFIX)) == 0 && size > 2) {
		line[size - 2] = '\0'; /* the closing brace */
		puts(line + strlen(EVENT_PREFIX));
		return true;
	}
	object = json_tokener_parse(line);
	if (json_object_object_get(object, "text")) {
		print_text(show_string(object, "text"), colour);
		return true;
	}
	if (json_object_object_get(object, "missed")) {
		log_warning("%" PRIu64 " events were missed: this reader was too slow",
			    show_number(object, "missed"));
		return true;
	}
	*outcome = object ? control_outcome(object, err) : OUTCOME_FAILED;
	return false;
}

static enum outcome print_events(FILE *stream, struct error *err)
{
	_cleanup_(freep) char *line = NULL;
	bool colour = isatty(STDOUT_FILENO);
	enum outcome outcome;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stream)) > 0) {
		if (!print_line(line, (size_t)n, colour, &outcome, err))
			return outcome;
		if (fflush(stdout) != 0)
			return OUTCOME_DONE; /* whoever read has gone */
	}
	error_set(err, -EPIPE, "outguardd hung up");
	return OUTCOME_NO_DAEMON;
}

static int run(const struct command *command, int argc, char **argv)
{
	_cleanup_(fclosep) FILE *stream = NULL;
	struct control_request request;
	struct error err = { 0 };
	enum outcome outcome;

	parse(&request, command, argc, argv);
	outcome = call_open(&stream, &request, &err);
	if (outcome == OUTCOME_DONE)
		outcome = print_events(stream, &err);
	return outcome == OUTCOME_DONE ? OUTCOME_DONE : command_failed(outcome, &err);
}

const struct command cmd_events = {
	.name = "events",
	.brief = "what happened to the files that are watched",
	.help = "Usage: outguard events [NAME] [--follow] [--json] [--last N]\n"
		"\n"
		"Prints the events that outguardd still knows (the last 1000), of one VM or of "
		"all.\n"
		"  -f, --follow    go on with those that come; alone: only those\n"
		"  --last N        at most N of those that are known\n"
		"  --json          one JSON object a line (docs/EVENTS.md)\n",
	.run = run,
};
