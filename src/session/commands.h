/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_COMMANDS_H
#define SESSION_COMMANDS_H

#include <stddef.h>

#include "util/error.h"

/*
 * Runs the host's commands that a policy has for answers, beside this process, which never waits for them: a process of its own, made
 * beforehand, starts them, ends them when their time is over, and takes their ends. It has nothing of this process's open.
 */
struct commands;

#define COMMANDS_AT_ONCE 4
#define COMMANDS_SECONDS 30 /* how long one may run; then its process group gets SIGKILL */

/* A program and its arguments. */
struct commands_line {
	const char *const *argv;
	size_t n;
};

/*
 * To be called while this process may still make processes that run programs. These @n lines are what will ever be run: whoever gets
 * hold of this process later can have no others run. They are not kept here.
 */
int commands_new(struct commands **ret, const struct commands_line *lines, size_t n,
		 struct error *err);

/* Those that run go on to their end; those that wait are started if that is soon. Accepts NULL. Returns NULL. */
struct commands *commands_free(struct commands *commands);

/*
 * Starts @line (one of those; the first an absolute path; no shell), with @input on its standard input, nothing in its environment but PATH and
 * @environment ("NAME=value", NULL at its end), and / as its directory. Does not block. -EAGAIN when too much waits, -E2BIG when it is
 * too long, -EPIPE when the process that should start it is gone. When more than COMMANDS_AT_ONCE run, it waits for its turn.
 */
int commands_run(struct commands *commands, const struct commands_line *line,
		 const char *const environment[], const char *input, size_t size);

#endif
