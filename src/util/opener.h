/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_OPENER_H
#define UTIL_OPENER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * How a session opens files. As open(2) and unlink(2) do, until opener_use() is called: from then on another process is asked, which may
 * do what this one may not, and does what it was told to allow (daemon/porter.h).
 */
int opener_open(const char *path, int flags, mode_t mode);
int opener_unlink(const char *path);

/* Has that been called? Then this process makes no others any more, either. */
bool opener_is_away(void);

/* @fd is borrowed, a SOCK_SEQPACKET socket. Blocks for its answers. */
void opener_use(int fd);

/* The language between the two. */
enum opener_verb {
	OPENER_OPEN,
	OPENER_UNLINK,
	OPENER_PROCESS, /* once: the process whose memory may be opened, by its number in `flags` */
};

struct opener_request {
	enum opener_verb verb;
	int flags;
	mode_t mode;
	char path[4096];
};

/* With 0 and OPENER_OPEN comes the descriptor. */
struct opener_answer {
	int error; /* positive errno */
};

/* Asks, and sets the descriptor that came, or -1. Returns 0 or a negative errno. */
int opener_ask(int fd, const struct opener_request *request, int *ret_fd);

#endif
