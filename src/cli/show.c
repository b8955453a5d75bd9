// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/show.h"

#include <stdio.h>

#include "events/utf8.h"

const char *show_string(struct json_object *facts, const char *key)
{
	struct json_object *value = json_object_object_get(facts, key);

	return value ? json_object_get_string(value) : "";
}

uint64_t show_number(struct json_object *facts, const char *key)
{
	return json_object_get_uint64(json_object_object_get(facts, key));
}

bool show_bool(struct json_object *facts, const char *key)
{
	return json_object_get_boolean(json_object_object_get(facts, key));
}

int show_escaped(const char *text)
{
	unsigned int n;
	int columns = 0;

	for (; *text; text += n) {
		uint32_t character;

		n = utf8_next(text, &character);
		if (character == UTF8_INVALID)
			columns += printf("\\x%02x", (unsigned char)*text);
		else if (character != ' ' && !utf8_is_graphic(character))
			columns += printf("\\u{%x}", character);
		else
			columns += fwrite(text, 1, n, stdout) > 0;
	}
	return columns;
}

void show_column(const char *text, int width)
{
	int columns = show_escaped(text);

	printf("%*s", columns < width ? width - columns : 0, "");
}
