// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/json_writer.h"

#include <time.h>

#include "events/utf8.h"

#define NS_PER_SECOND UINT64_C(1000000000)

void json_writer_flush(struct json_writer *w)
{
	fwrite(w->buffer, 1, w->n, w->out);
	w->n = 0;
}

void json_writer_begin(struct json_writer *w, FILE *out)
{
	w->out = out;
	w->n = 0;
	json_writer_open(w, '{');
}

void json_writer_end(struct json_writer *w)
{
	json_writer_close(w, '}');
	JSON_PUT(w, "\n");
	json_writer_flush(w);
}

/* In decimal, with zeros in front to make @min_digits of them. */
static void put_digits(struct json_writer *w, uint64_t value, size_t min_digits)
{
	char digits[20];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
	while ((value /= 10) > 0 || n < min_digits);
	json_writer_put(w, digits + sizeof(digits) - n, n);
}

void json_writer_number(struct json_writer *w, uint64_t value)
{
	put_digits(w, value, 1);
}

/* One UTF-16 unit. */
static void put_escape(struct json_writer *w, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";
	const char escape[] = {
		'\\',	       'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15]
	};

	json_writer_put(w, escape, sizeof(escape));
}

/* One character that is not plain. Returns its length in bytes. */
static unsigned int put_special(struct json_writer *w, const char *s)
{
	uint32_t character;
	unsigned int n = utf8_next(s, &character);

	if (character == UTF8_INVALID) {
		JSON_PUT(w, UTF8_REPLACEMENT);
	} else if (character == '"' || character == '\\') {
		JSON_PUT(w, "\\");
		json_writer_put(w, s, 1);
	} else if (utf8_is_graphic(character)) {
		json_writer_put(w, s, n);
	} else if (character < 0x10000) {
		put_escape(w, character);
	} else {
		put_escape(w, 0xd800 + ((character - 0x10000) >> 10));
		put_escape(w, 0xdc00 + (character & 0x3ff));
	}
	return n;
}

void json_writer_string(struct json_writer *w, const char *s)
{
	static const bool plain[256] = {
		[' ' ... '!'] = true,
		['#' ... '['] = true,
		[']' ... '~'] = true,
	};

	JSON_PUT(w, "\"");
	while (*s) {
		size_t n = 0;

		while (plain[(unsigned char)s[n]])
			n++;
		json_writer_put(w, s, n);
		s += n;
		if (*s)
			s += put_special(w, s);
	}
	JSON_PUT(w, "\"");
}

/* 64 bits of nanoseconds end in the year 2554: always four digits. */
void json_writer_time(struct json_writer *w, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	JSON_PUT(w, "\"");
	put_digits(w, (uint64_t)tm.tm_year + 1900, 4);
	JSON_PUT(w, "-");
	put_digits(w, (uint64_t)tm.tm_mon + 1, 2);
	JSON_PUT(w, "-");
	put_digits(w, (uint64_t)tm.tm_mday, 2);
	JSON_PUT(w, "T");
	put_digits(w, (uint64_t)tm.tm_hour, 2);
	JSON_PUT(w, ":");
	put_digits(w, (uint64_t)tm.tm_min, 2);
	JSON_PUT(w, ":");
	put_digits(w, (uint64_t)tm.tm_sec, 2);
	JSON_PUT(w, ".");
	put_digits(w, ns % NS_PER_SECOND / 1000, 6);
	JSON_PUT(w, "Z\"");
}
