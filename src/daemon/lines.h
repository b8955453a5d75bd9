/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_LINES_H
#define DAEMON_LINES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Lines over a stream socket, both ways, with bounded memory: a line of more than the limit, and an output queue
 * of more than the limit, are errors and not growth.
 */
struct lines;

/* Takes over @fd. Limits in bytes. NULL when out of memory: then @fd is closed. */
struct lines *lines_new(int fd, size_t in_limit, size_t out_limit);

/* Closes the descriptor. Accepts NULL. Returns NULL. */
struct lines *lines_free(struct lines *lines);

int lines_fd(const struct lines *lines);

/*
 * Takes in what has come, without blocking. Returns 0; -EPIPE when the other end has closed; -EMSGSIZE when a
 * line is too long, or lines of more than the limit have not been taken. Whole lines can be taken all the same.
 */
int lines_fill(struct lines *lines);

/* The next whole line, NUL in place of its newline, until the next lines_fill(); NULL when there is none. */
char *lines_next(struct lines *lines, size_t *ret_size);

/* Is there a whole line? */
bool lines_any(const struct lines *lines);

/* Puts @size bytes and a newline into the queue. -ENOBUFS when that is more than the limit: nothing was put. */
int lines_put(struct lines *lines, const char *text, size_t size);

/* Sends what it can of the queue, without blocking. Returns 0 or a negative errno (-EPIPE). */
int lines_flush(struct lines *lines);

/* Bytes in the queue. */
size_t lines_queued(const struct lines *lines);

/* Sends a line past the queue, which must be empty; blocks until it is sent. */
int lines_send(struct lines *lines, const char *text, size_t size);

#endif
