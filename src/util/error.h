/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

/*
 * One error convention for the whole host side.
 *
 * A function that can fail for a reason worth telling returns 0 or a negative errno, and takes a
 * `struct error *` as its last argument. On failure it has filled in a message that a person can act
 * on; on success it has not touched it. Outputs (`ret_...`) are written on success only.
 *
 * A caller adds its own context with error_wrap() and passes the code on:
 *
 *	r = policy_load(&policy, path, err);
 *	if (r < 0)
 *		return error_wrap(err, "vm %s", name);
 *
 * `err` may be NULL where the caller wants the code alone.
 */
struct error {
	int code; /* negative errno, 0 while nothing failed */
	char message[1024];
};

/* Sets @code (negative errno) and the message. Returns @code, so that `return error_set(...)` works. */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message already there. Returns the code already there. */
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
