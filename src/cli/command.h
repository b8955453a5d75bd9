/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <json-c/json.h>

#include "daemon/outcome.h"
#include "util/error.h"

/* One verb: one file, one line in main.c's table. */
struct command {
	const char *name; /* one or two words: "policy check" */
	const char *brief; /* for the list of verbs */
	const char *help; /* "Usage: ..." and the options; ends with a newline */
	int (*run)(const struct command *command, int argc, char **argv); /* exit status */
};

extern const struct command cmd_attach, cmd_detach, cmd_events, cmd_policy_check, cmd_policy_load,
	cmd_policy_show, cmd_maintenance, cmd_profile, cmd_qemu_args, cmd_run, cmd_status,
	cmd_version;

#define COMMAND_HELP_OPTION                    \
	{                                      \
		"help", no_argument, NULL, 'h' \
	}
#define COMMAND_END_OPTION       \
	{                        \
		NULL, 0, NULL, 0 \
	}

/*
 * The next option, as getopt_long(3), or -1. --help is answered here, a wrong option refused: both end the
 * program. @shorts as for getopt, without 'h'.
 */
int command_option(const struct command *command, int argc, char **argv, const char *shorts,
		   const struct option *options);

/* Ends the program: it was called the wrong way. */
void command_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* The operands left: between @least and @most of them, or the program ends. Returns how many. */
int command_operands(const struct command *command, int argc, int least, int most);

/* A number from @least to @most, or the program ends. */
unsigned int command_number(const struct command *command, const char *option, const char *text,
			    unsigned int least, unsigned int most);

/* Says what went wrong on standard error. Returns the exit status. */
int command_failed(enum outcome outcome, const struct error *err);

/* Prints facts as JSON for people who read JSON: indented, a newline at the end. */
void command_print_json(struct json_object *facts);

#endif
