/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_TEXT_WRITER_H
#define EVENTS_TEXT_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What lines for a terminal are made of. The guest chooses the names, and a terminal obeys what it is shown: so a name is one word
 * here, in characters that have ink. Everything else is escaped, blanks too, or a file called "x  by root[1]" would tell a story of
 * its own.
 */

/* Starts the line: the host's clock in the time zone of whoever reads, and the verdict in its column. */
void text_writer_begin(FILE *out, uint64_t ns, const char *verdict, bool is_bad, bool colour);

/* At most @max characters of @s, as one word. Returns the columns it took. */
int text_writer_word(FILE *out, const char *s, unsigned int max);

/* The label and the whole name as a word; nothing if the name is NULL or "". Returns the columns. */
int text_writer_named(FILE *out, const char *label, const char *name);

/* A text of several words. Blanks stay, one at a time: two would be the gap between columns. */
void text_writer_sentence(FILE *out, const char *s);

/* Fills up to @width. */
void text_writer_pad(FILE *out, int columns, int width);

#endif
