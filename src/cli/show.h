/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Facts on a terminal. Members of a JSON object that may lack them: then "", 0, false. */
const char *show_string(struct json_object *facts, const char *key);
uint64_t show_number(struct json_object *facts, const char *key);
bool show_bool(struct json_object *facts, const char *key);

/* Prints what a guest may have chosen: whatever is not ink or a blank is escaped. Returns the columns it took. */
int show_escaped(const char *text);

/* The same, with blanks up to @width columns. */
void show_column(const char *text, int width);

#endif
