// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "vmm/qemu_args.h"

struct request {
	struct qemu_args args;
	bool create, trap;
	char library[4096 + 32];
	void (*print)(const struct qemu_args *args, FILE *out);
};

static void parse(struct request *ret, const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "dir", required_argument, NULL, 'd' },
		{ "user", required_argument, NULL, 'u' },
		{ "memory", required_argument, NULL, 'm' },
		{ "vault", required_argument, NULL, 'V' },
		{ "mailbox", required_argument, NULL, 'M' },
		{ "libvirt", no_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "trap", no_argument, NULL, 't' },
		{ "no-create", no_argument, NULL, 'c' },
		COMMAND_HELP_OPTION,
		COMMAND_END_OPTION,
	};
	struct qemu_args *args = &ret->args;
	int c;

	while ((c = command_option(command, argc, argv, "", options)) != -1) {
		if (c == 'n')
			args->name = optarg;
		else if (c == 'd')
			args->directory = optarg;
		else if (c == 'u')
			args->user = optarg;
		else if (c == 'm')
			args->memory_mib = command_number(command, "memory", optarg, 1, 1u << 24);
		else if (c == 'V')
			args->vault_mib = command_number(command, "vault", optarg, 1, 1u << 20);
		else if (c == 'M')
			args->mailbox_mib = command_number(command, "mailbox", optarg, 1, 1u << 20);
		else if (c == 'l')
			ret->print = qemu_args_print_libvirt;
		else if (c == 'j')
			ret->print = qemu_args_print_json;
		else if (c == 'c')
			ret->create = false;
		else if (c == 't')
			ret->trap = true;
	}
	command_operands(command, argc, 0, 0);
	if (!args->name || !args->directory)
		command_usage(command, "--name and --dir are needed");
}

/* Where this program was built, or is installed. */
static int find_library(struct request *request, struct error *err)
{
	static const char *const places[] = { "liboutguard-trap.so", "../lib/liboutguard-trap.so" };
	char program[4096], path[sizeof(request->library)], *slash;
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[n > 0 ? n : 0] = '\0';
	slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < ARRAY_SIZE(places); i++) {
		snprintf(path, sizeof(path), "%s/%s", program, places[i]);
		if (!realpath(path, request->library))
			continue;
		request->args.trap_library = request->library;
		return 0;
	}
	return error_set(err, -ENOENT,
			 "liboutguard-trap.so is neither beside this program nor in ../lib: `make "
			 "install` puts it there");
}

static int run(const struct command *command, int argc, char **argv)
{
	struct request request = {
		.args = { .memory_mib = 1024,
			  .vault_mib = QEMU_ARGS_VAULT_MIB,
			  .mailbox_mib = QEMU_ARGS_MAILBOX_MIB },
		.create = true,
		.print = qemu_args_print,
	};
	struct error err = { 0 };
	int r;

	parse(&request, command, argc, argv);
	if (qemu_args_check(&request.args, &err) < 0)
		return command_failed(OUTCOME_USAGE, &err);
	if (request.trap && find_library(&request, &err) < 0)
		return command_failed(OUTCOME_FAILED, &err);
	if (request.trap && request.print == qemu_args_print)
		request.print = qemu_args_print_environment;
	if (request.create) {
		r = qemu_args_prepare(&request.args, &err);
		if (r < 0)
			return command_failed(OUTCOME_FAILED, &err);
		log_info("%s: the vault file of %u MiB is in %s", request.args.name,
			 request.args.vault_mib, request.args.directory);
	}
	request.print(&request.args, stdout);
	return OUTCOME_DONE;
}

const struct command cmd_qemu_args = {
	.name = "qemu-args",
	.brief = "print the QEMU arguments that a VM needs, to be guarded",
	.help = "Usage: outguard qemu-args --name NAME --dir DIR [OPTION...]\n"
		"\n"
		"Prints QEMU's arguments as one line of shell words, and makes DIR and the vault "
		"file\n"
		"in it if they are missing (it says so on standard error).\n"
		"  --name NAME      of the VM, for messages\n"
		"  --dir DIR        absolute; for the vault file and the QMP socket "
		"(DIR/qmp.sock)\n"
		"  --user USER      who runs QEMU, if not you (libvirt-qemu): gets DIR, to make "
		"the socket\n"
		"  --memory MIB     guest RAM (1024)\n"
		"  --vault MIB      a power of two (64: some 260,000 cache entries)\n"
		"  --mailbox MIB    a power of two (4)\n"
		"  --libvirt        as a libvirt domain fragment instead\n"
		"  --json           as a JSON object instead\n"
		"  --trap           the environment (for env(1)) with which QEMU traps writes to "
		"the guard,\n"
		"                   instead; with --libvirt or --json, it too\n"
		"  --no-create      print only\n",
	.run = run,
};
