/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_COMMANDS_H
#define SESSION_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

/*
 * What a policy's answers take that a session may not do itself once it has locked itself in (daemon/sandbox.h): running the host's
 * commands, and making files for dumps. A process of its own, made beforehand, does it: it starts commands, ends them when their time is
 * over, and takes their ends, so that the session waits for none. It has nothing of the session's open, and does only what it was told of
 * when it was made: whoever gets hold of the session later can have nothing else done.
 */
struct commands;

#define COMMANDS_AT_ONCE 4
#define COMMANDS_SECONDS 30 /* how long one may run; then its process group gets SIGKILL */

/* A program, by an absolute path, and its arguments; no shell. */
struct commands_line {
	const char *const *argv;
	size_t n;
};

/* What may be done. */
struct commands_allowed {
	const struct commands_line *lines;
	size_t n_lines;
	const char *const *directories; /* for dumps */
	size_t n_directories;
};

/* Copies @allowed. Returns 0, -EAGAIN or -ENOMEM. */
int commands_new(struct commands **ret, const struct commands_allowed *allowed, struct error *err);

/* Is all of that allowed? @commands may be NULL: then it is if it is nothing. */
bool commands_allow(const struct commands *commands, const struct commands_allowed *allowed);

/* Those that run go on to their end; those that wait are started if that is soon. Accepts NULL. Returns NULL. */
struct commands *commands_free(struct commands *commands);

/*
 * Starts @line with @input on its standard input, nothing in its environment but PATH and @environment ("NAME=value", NULL at its
 * end), and / as its directory. Does not block. -EAGAIN when too much waits, -E2BIG when it is too long, -EPERM when it is not allowed,
 * -EPIPE when the process that should start it is gone. When more than COMMANDS_AT_ONCE run, it waits for its turn.
 */
int commands_run(struct commands *commands, const struct commands_line *line,
		 const char *const environment[], const char *input, size_t size);

/*
 * Makes the file @path, which only its owner may read, in one of the directories, and returns its descriptor, the caller's; or -ENOSPC when
 * there is less room than @mib, -EPERM when the directory is not allowed, or what open(2) says.
 */
int commands_make_file(struct commands *commands, const char *path, unsigned int mib);

/* Takes the file that was made last away again. */
void commands_unmake_file(struct commands *commands, const char *path);

#endif
