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

/* To be called while this process may still make processes that run programs. */
int commands_new(struct commands **ret, struct error *err);

/* Those that run go on to their end; those that wait are started if that is soon. Accepts NULL. Returns NULL. */
struct commands *commands_free(struct commands *commands);

/*
 * Starts @argv (@n_arguments of them, the first an absolute path; no shell), with @input on its standard input, nothing in its environment but PATH and
 * @environment ("NAME=value", NULL at its end), and / as its directory. Does not block. -EAGAIN when too much waits, -E2BIG when it is
 * too long, -EPIPE when the process that should start it is gone. When more than COMMANDS_AT_ONCE run, it waits for its turn.
 */
int commands_run(struct commands *commands, const char *const argv[], size_t n_arguments,
		 const char *const environment[], const char *input, size_t size);

#endif
