// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define EXIT_CODES                                                                     \
	"\nExit status: 0 done, 1 failed, 2 wrong usage, 3 no such VM, 4 outguardd "   \
	"not\nreachable, 5 not supported by this guest, 6 busy or guarded already, 7 " \
	"policy refused.\n"

int command_option(const struct command *command, int argc, char **argv, const char *shorts,
		   const struct option *options)
{
	char all[32];
	int c;

	snprintf(all, sizeof(all), "%sh", shorts);
	c = getopt_long(argc, argv, all, options, NULL);
	if (c == 'h') {
		printf("%s" EXIT_CODES, command->help);
		exit(OUTCOME_DONE);
	}
	if (c == '?') {
		fprintf(stderr, "Try: outguard %s --help\n", command->name);
		exit(OUTCOME_USAGE);
	}
	return c;
}

void command_usage(const struct command *command, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "outguard %s: ", command->name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nTry: outguard %s --help\n", command->name);
	exit(OUTCOME_USAGE);
}

int command_operands(const struct command *command, int argc, int least, int most)
{
	int n = argc - optind;

	if (n > most)
		command_usage(command, "too many arguments");
	if (n < least)
		command_usage(command, "an argument is missing");
	return n;
}

unsigned int command_number(const struct command *command, const char *option, const char *text,
			    unsigned int least, unsigned int most)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value < least || value > most)
		command_usage(command, "--%s takes a number from %u to %u, not \"%s\"", option,
			      least, most, text);
	return (unsigned int)value;
}

int command_failed(enum outcome outcome, const struct error *err)
{
	log_error("%s", err->message);
	return outcome;
}

void command_print_json(struct json_object *facts)
{
	puts(json_object_to_json_string_ext(facts, JSON_C_TO_STRING_PRETTY |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
}
