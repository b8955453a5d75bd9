/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNCHANGED_URING_H
#define UNCHANGED_URING_H

#include <linux/io_uring.h>

struct uring;

/* A ring of this process's, never freed; NULL with errno if there is none to be had. */
struct uring *uring_new(void);

/* Hands @request over, waits for its end: the result, or -1 with errno. */
long uring_do(struct uring *ring, const struct io_uring_sqe *request);

#endif
