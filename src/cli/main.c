// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "daemon/control.h"
#include "util/cleanup.h"

static const struct command *const commands[] = {
	&cmd_attach,	  &cmd_detach,	     &cmd_status,      &cmd_events,
	&cmd_profile,	  &cmd_policy_check, &cmd_policy_load, &cmd_policy_show,
	&cmd_maintenance, &cmd_run,	     &cmd_qemu_args,   &cmd_version,
};

static void print_usage(FILE *out)
{
	fputs("Usage: outguard VERB [OPTION...]\n\n"
	      "Guards critical files of containers in QEMU/KVM guests, from outside the VM.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-14s %s\n", commands[i]->name, commands[i]->brief);
	fputs("\nMore on each: outguard VERB --help\n"
	      "Where outguardd is asked: $OUTGUARD_SOCKET, or " CONTROL_SOCKET "\n",
	      out);
}

/* How many of the words of the command's name stand in @argv; 0: it is not this one. */
static int match(const struct command *command, int argc, char **argv)
{
	const char *name = command->name;

	for (int n = 1; n < argc; n++) {
		size_t length = strlen(argv[n]);

		if (strncmp(name, argv[n], length) != 0)
			return 0;
		if (!name[length])
			return n;
		if (name[length] != ' ')
			return 0;
		name += length + 1;
	}
	return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	char name[64];

	snprintf(name, sizeof(name), "outguard %s", command->name);
	argv[0] = name; /* getopt's messages start with it */
	return command->run(command, argc, argv);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		int n = match(commands[i], argc, argv);

		if (n)
			return run(commands[i], argc - n, argv + n);
	}
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
		print_usage(stdout);
		return OUTCOME_DONE;
	}
	if (strcmp(verb, "--version") == 0)
		return run(&cmd_version, 1, argv);
	if (*verb)
		fprintf(stderr, "outguard: no verb \"%s\"\n\n", verb);
	print_usage(stderr);
	return OUTCOME_USAGE;
}
