// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/text_writer.h"

#include <limits.h>
#include <time.h>

#include "events/utf8.h"

#define NS_PER_SECOND UINT64_C(1000000000)

static const struct palette {
	const char *bad, *good, *dim, *end;
} palettes[] = {
	[false] = { "", "", "", "" },
	[true] = { "\033[1;31m", "\033[33m", "\033[2m", "\033[0m" },
};

void text_writer_begin(FILE *out, uint64_t ns, const char *verdict, bool is_bad, bool colour)
{
	const struct palette *palette = &palettes[colour];
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;

	localtime_r(&seconds, &tm);
	fprintf(out, "%s%02d:%02d:%02d.%03u%s %s%-7s%s ", palette->dim, tm.tm_hour, tm.tm_min,
		tm.tm_sec, (unsigned int)(ns % NS_PER_SECOND / 1000000), palette->end,
		is_bad ? palette->bad : palette->good, verdict, palette->end);
}

/* One character, and how many bytes it was. Returns the columns it took. */
static int put_character(FILE *out, const char *s, unsigned int *ret_n)
{
	uint32_t character;

	*ret_n = utf8_next(s, &character);
	if (character == UTF8_INVALID)
		return fprintf(out, "\\x%02x", (unsigned char)*s);
	if (character == ' ' || character == '\\')
		return fprintf(out, "\\%c", *s);
	if (character < 0x80 && !utf8_is_graphic(character))
		return fprintf(out, "\\x%02x", character);
	if (!utf8_is_graphic(character))
		return fprintf(out, "\\u{%x}", character);
	fwrite(s, 1, *ret_n, out);
	return 1;
}

int text_writer_word(FILE *out, const char *s, unsigned int max)
{
	int columns = 0;
	unsigned int n;

	for (; *s && max > 0; s += n, max--)
		columns += put_character(out, s, &n);
	return columns;
}

int text_writer_named(FILE *out, const char *label, const char *name)
{
	int columns;

	if (!name || !*name)
		return 0;
	columns = fprintf(out, "%s", label);
	return columns + text_writer_word(out, name, UINT_MAX);
}

void text_writer_sentence(FILE *out, const char *s)
{
	char last = ' ';
	unsigned int n;

	for (; *s; s += n) {
		n = 1;
		if (*s == ' ' && last != ' ')
			fputc(' ', out);
		else
			put_character(out, s, &n);
		last = *s;
	}
}

void text_writer_pad(FILE *out, int columns, int width)
{
	fprintf(out, "%*s", columns < width ? width - columns : 0, "");
}
