// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event.h"

#include <time.h>

#include "events/utf8.h"

/*
 * The guest chooses the names, and a terminal obeys what it is shown: so a name is one word here, in
 * characters that have ink. Everything else is escaped, blanks too, or a file called "x  by root[1]"
 * would tell a story of its own.
 */

#define NS_PER_SECOND UINT64_C(1000000000)
#define SHORT_ID 12 /* digits of a container's id, as docker ps shows it */
#define PATH_COLUMNS 24
#define PROCESS_COLUMNS 24

static const struct palette {
	const char *denied, *allowed, *dim, *end;
} palettes[] = {
	[false] = { "", "", "", "" },
	[true] = { "\033[1;31m", "\033[33m", "\033[2m", "\033[0m" },
};

/* One character, and how many bytes it was. Returns the columns it took. */
static int print_character(FILE *out, const char *s, unsigned int *ret_n)
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

/* At most @max characters of @s, as one word. Returns the columns it took. */
static int print_word(FILE *out, const char *s, unsigned int max)
{
	int columns = 0;
	unsigned int n;

	for (; *s && max > 0; s += n, max--)
		columns += print_character(out, s, &n);
	return columns;
}

static void print_padding(FILE *out, int columns, int width)
{
	fprintf(out, "%*s", columns < width ? width - columns : 0, "");
}

/* The host's clock in the time zone of whoever reads. */
static void print_time(FILE *out, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;

	localtime_r(&seconds, &tm);
	fprintf(out, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(ns % NS_PER_SECOND / 1000000));
}

static void print_file(FILE *out, const struct event_file *file)
{
	const char *path = *file->path ? file->path : file->accessed_path;
	int columns = *path ? print_word(out, path, EVENT_PATH_MAX)
			    : fprintf(out, "inode %u:%u/%llu", file->device_major,
				      file->device_minor, (unsigned long long)file->inode);

	print_padding(out, columns, PATH_COLUMNS);
}

static void print_process(FILE *out, const struct event *event)
{
	const struct event_process *process = &event->process;
	int columns = fprintf(out, "  by ");

	columns += print_word(out, *process->name ? process->name : "?", sizeof(process->name));
	columns += fprintf(out, "[%u] uid %u", process->pid, process->uid);
	if (process->euid != process->uid)
		columns += fprintf(out, " euid %u", process->euid);
	print_padding(out, columns, PROCESS_COLUMNS);
}

static void print_container(FILE *out, const struct event *event)
{
	const struct event_container *container = &event->container;

	if (!*container->id)
		return;
	fputs(event->process.in_container ? "  container " : "  from outside container ", out);
	print_word(out, container->id, SHORT_ID);
	if (*container->engine) {
		fputs(" (", out);
		print_word(out, container->engine, sizeof(container->engine));
		fputc(')', out);
	}
}

static void print_named(FILE *out, const char *label, const char *name)
{
	if (!name || !*name)
		return;
	fputs(label, out);
	print_word(out, name, EVENT_PATH_MAX);
}

void event_print_text(const struct event *event, FILE *out, bool colour)
{
	const struct palette *palette = &palettes[colour];

	fputs(palette->dim, out);
	print_time(out, event->time_ns);
	fprintf(out, "%s %s%-7s%s %-5s ", palette->end,
		event->denied ? palette->denied : palette->allowed,
		event->denied ? "DENIED" : "allowed", palette->end,
		policy_operation_name(event->operation));
	print_file(out, &event->file);
	print_process(out, event);
	print_container(out, event);
	print_named(out, "  rule ", event->rule);
	print_named(out, "  vm ", event->vm);
	fputc('\n', out);
}
