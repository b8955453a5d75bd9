/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_JSON_WRITER_H
#define EVENTS_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/*
 * One line of JSON at a time, written straight into a buffer, and that, as a rule, once into the file: no tree, no printf. Commas
 * come by themselves; that what is opened is closed, and keys stand in objects, is the caller's business.
 */
struct json_writer {
	FILE *out;
	size_t n;
	bool comma; /* does the next member need one in front? */
	char buffer[4096];
};

/* Starts the line's object. */
void json_writer_begin(struct json_writer *w, FILE *out);
/* Ends it, with the newline, and hands all to the file. */
void json_writer_end(struct json_writer *w);

void json_writer_flush(struct json_writer *w);

/* As they are. */
static inline void json_writer_put(struct json_writer *w, const char *bytes, size_t n)
{
	if (n > sizeof(w->buffer) - w->n)
		json_writer_flush(w);
	if (n > sizeof(w->buffer)) {
		fwrite(bytes, 1, n, w->out);
		return;
	}
	memcpy(w->buffer + w->n, bytes, n);
	w->n += n;
}

#define JSON_PUT(w, literal) json_writer_put(w, literal, sizeof(literal) - 1)

static inline void json_writer_comma(struct json_writer *w)
{
	if (w->comma)
		JSON_PUT(w, ",");
	w->comma = true;
}

/* '{' or '['; '}' or ']'. */
static inline void json_writer_open(struct json_writer *w, char bracket)
{
	json_writer_put(w, &bracket, 1);
	w->comma = false;
}

static inline void json_writer_close(struct json_writer *w, char bracket)
{
	json_writer_put(w, &bracket, 1);
	w->comma = true;
}

/*
 * In quotes. What a terminal or a splitter of lines could take for its own (controls, U+2028, text that reorders itself) is escaped,
 * which a JSON reader does not notice; bytes that are no UTF-8 become U+FFFD.
 */
void json_writer_string(struct json_writer *w, const char *s);

void json_writer_number(struct json_writer *w, uint64_t value);

/* Nanoseconds since 1970 in RFC 3339, UTC, microseconds, in quotes. */
void json_writer_time(struct json_writer *w, uint64_t ns);

/* Members. A key brings the comma before it, if there has to be one. */
#define JSON_KEY(w, name) (json_writer_comma(w), JSON_PUT(w, "\"" name "\":"))
#define JSON_STRING(w, name, value) (JSON_KEY(w, name), json_writer_string(w, value))
#define JSON_NUMBER(w, name, value) (JSON_KEY(w, name), json_writer_number(w, value))
#define JSON_TIME(w, name, value) (JSON_KEY(w, name), json_writer_time(w, value))
#define JSON_TRUE(w, name) (JSON_KEY(w, name), JSON_PUT(w, "true"))

/* Only if something is known: "" is never written. */
#define JSON_STRING_IF_ANY(w, name, value)          \
	do {                                        \
		const char *any_ = (value);         \
		if (any_ && *any_)                  \
			JSON_STRING(w, name, any_); \
	} while (0)

#endif
