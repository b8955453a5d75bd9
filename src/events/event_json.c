// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "events/utf8.h"
#include "util/cleanup.h"

/*
 * Events come by the hundred thousand a second at worst, so each is written straight into a buffer, and
 * that, as a rule, once into the file: no tree, no printf. docs/EVENTS.md says what the keys mean.
 *
 * The guest chooses most strings. Whatever a terminal or a splitter of lines could take for its own
 * (controls, U+2028, text that reorders itself) is escaped, which a JSON reader does not notice;
 * bytes that are no UTF-8 become U+FFFD.
 */
struct writer {
	FILE *out;
	size_t n;
	bool comma; /* does the next member need one in front? */
	char buffer[4096];
};

#define NS_PER_SECOND UINT64_C(1000000000)

/* Clocks closer than this are the same: it takes a moment from the guest's reading to the host's. */
#define CLOCKS_DIFFER_NS NS_PER_SECOND

static void flush(struct writer *w)
{
	fwrite(w->buffer, 1, w->n, w->out);
	w->n = 0;
}

static inline void put(struct writer *w, const char *bytes, size_t n)
{
	if (n > sizeof(w->buffer) - w->n)
		flush(w);
	if (n > sizeof(w->buffer)) {
		fwrite(bytes, 1, n, w->out);
		return;
	}
	memcpy(w->buffer + w->n, bytes, n);
	w->n += n;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

/* A key, with the comma before it if there has to be one. */
#define KEY(w, name) (comma(w), PUT(w, "\"" name "\":"))

static inline void comma(struct writer *w)
{
	if (w->comma)
		PUT(w, ",");
	w->comma = true;
}

static inline void open_with(struct writer *w, char bracket)
{
	put(w, &bracket, 1);
	w->comma = false;
}

static inline void close_with(struct writer *w, char bracket)
{
	put(w, &bracket, 1);
	w->comma = true;
}

/* In decimal, with zeros in front to make @min_digits of them. */
static void put_digits(struct writer *w, uint64_t value, size_t min_digits)
{
	char digits[20];
	size_t n = 0;

	do
		digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
	while ((value /= 10) > 0 || n < min_digits);
	put(w, digits + sizeof(digits) - n, n);
}

static void put_number(struct writer *w, uint64_t value)
{
	put_digits(w, value, 1);
}

/* One UTF-16 unit. */
static void put_escape(struct writer *w, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";
	const char escape[] = {
		'\\',	       'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15]
	};

	put(w, escape, sizeof(escape));
}

/* One character that is not plain. Returns its length in bytes. */
static unsigned int put_special(struct writer *w, const char *s)
{
	uint32_t character;
	unsigned int n = utf8_next(s, &character);

	if (character == UTF8_INVALID) {
		PUT(w, UTF8_REPLACEMENT);
	} else if (character == '"' || character == '\\') {
		PUT(w, "\\");
		put(w, s, 1);
	} else if (utf8_is_graphic(character)) {
		put(w, s, n);
	} else if (character < 0x10000) {
		put_escape(w, character);
	} else {
		put_escape(w, 0xd800 + ((character - 0x10000) >> 10));
		put_escape(w, 0xdc00 + (character & 0x3ff));
	}
	return n;
}

static void put_string(struct writer *w, const char *s)
{
	static const bool plain[256] = {
		[' ' ... '!'] = true,
		['#' ... '['] = true,
		[']' ... '~'] = true,
	};

	PUT(w, "\"");
	while (*s) {
		size_t n = 0;

		while (plain[(unsigned char)s[n]])
			n++;
		put(w, s, n);
		s += n;
		if (*s)
			s += put_special(w, s);
	}
	PUT(w, "\"");
}

/* RFC 3339, UTC, microseconds. 64 bits of nanoseconds end in the year 2554: always four digits. */
static void put_time(struct writer *w, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	PUT(w, "\"");
	put_digits(w, (uint64_t)tm.tm_year + 1900, 4);
	PUT(w, "-");
	put_digits(w, (uint64_t)tm.tm_mon + 1, 2);
	PUT(w, "-");
	put_digits(w, (uint64_t)tm.tm_mday, 2);
	PUT(w, "T");
	put_digits(w, (uint64_t)tm.tm_hour, 2);
	PUT(w, ":");
	put_digits(w, (uint64_t)tm.tm_min, 2);
	PUT(w, ":");
	put_digits(w, (uint64_t)tm.tm_sec, 2);
	PUT(w, ".");
	put_digits(w, ns % NS_PER_SECOND / 1000, 6);
	PUT(w, "Z\"");
}

#define STRING(w, name, value) (KEY(w, name), put_string(w, value))
#define NUMBER(w, name, value) (KEY(w, name), put_number(w, value))

/* Only if something is known: "" is never written. */
#define STRING_IF_ANY(w, name, value)          \
	do {                                   \
		const char *any_ = (value);    \
		if (any_ && *any_)             \
			STRING(w, name, any_); \
	} while (0)

/* What ECS calls it, by operation: https://www.elastic.co/guide/en/ecs/current/ */
static const char *ecs_type(uint32_t operation)
{
	static const char *const types[] = {
		[__builtin_ctz(POLICY_READ)] = "access",
		[__builtin_ctz(POLICY_WRITE)] = "change",
	};
	static_assert(ARRAY_SIZE(types) == POLICY_N_OPERATIONS, "an operation without a type");
	unsigned int i = operation ? (unsigned int)__builtin_ctz(operation) : UINT32_MAX;

	return i < ARRAY_SIZE(types) ? types[i] : "info";
}

static void put_event(struct writer *w, const struct event *event)
{
	KEY(w, "event");
	open_with(w, '{');
	STRING(w, "kind", event->denied ? "alert" : "event");
	KEY(w, "category");
	PUT(w, "[\"file\"]");
	KEY(w, "type");
	PUT(w, "[");
	put_string(w, ecs_type(event->operation));
	PUT(w, ",");
	put_string(w, event->denied ? "denied" : "allowed");
	PUT(w, "]");
	STRING(w, "action", policy_operation_name(event->operation));
	STRING(w, "outcome", event->denied ? "failure" : "success");
	NUMBER(w, "sequence", event->sequence);
	close_with(w, '}');
}

/* NULL where the mode has no type. */
static const char *type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "character_device";
	case S_IFBLK:
		return "block_device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return NULL;
	}
}

static void put_mode(struct writer *w, uint32_t mode)
{
	const char octal[] = { '"',
			       (char)('0' + (mode >> 9 & 7)),
			       (char)('0' + (mode >> 6 & 7)),
			       (char)('0' + (mode >> 3 & 7)),
			       (char)('0' + (mode & 7)),
			       '"' };

	put(w, octal, sizeof(octal));
}

static void put_file(struct writer *w, const struct event_file *file)
{
	KEY(w, "file");
	open_with(w, '{');
	STRING_IF_ANY(w, "path", file->path);
	if (strcmp(file->accessed_path, file->path) != 0)
		STRING_IF_ANY(w, "accessed_path", file->accessed_path);
	STRING_IF_ANY(w, "type", type_name(file->mode));
	KEY(w, "device");
	PUT(w, "\"");
	put_number(w, file->device_major);
	PUT(w, ":");
	put_number(w, file->device_minor);
	PUT(w, "\"");
	NUMBER(w, "inode", file->inode);
	NUMBER(w, "generation", file->generation);
	KEY(w, "mode");
	put_mode(w, file->mode);
	NUMBER(w, "uid", file->uid);
	NUMBER(w, "gid", file->gid);
	NUMBER(w, "size", file->size);
	close_with(w, '}');
}

static void put_parents(struct writer *w, const struct event_process *process)
{
	KEY(w, "parents");
	open_with(w, '[');
	for (unsigned int i = 0; i < process->n_parents && i < EVENT_MAX_PARENTS; i++) {
		const struct event_parent *parent = &process->parents[i];

		comma(w);
		open_with(w, '{');
		NUMBER(w, "pid", parent->pid);
		STRING_IF_ANY(w, "name", parent->name);
		NUMBER(w, "uid", parent->uid);
		close_with(w, '}');
	}
	close_with(w, ']');
}

static void put_process(struct writer *w, const struct event *event)
{
	const struct event_process *process = &event->process;

	KEY(w, "process");
	open_with(w, '{');
	NUMBER(w, "pid", process->pid);
	NUMBER(w, "tid", process->tid);
	if (process->inner_pid)
		NUMBER(w, "vpid", process->inner_pid);
	if (process->inner_tid)
		NUMBER(w, "vtid", process->inner_tid);
	NUMBER(w, "ppid", process->ppid);
	STRING_IF_ANY(w, "name", process->name);
	STRING_IF_ANY(w, "executable", process->executable);
	NUMBER(w, "uid", process->uid);
	NUMBER(w, "gid", process->gid);
	NUMBER(w, "euid", process->euid);
	NUMBER(w, "egid", process->egid);
	NUMBER(w, "start_ns", process->start_ns);
	if (*event->container.id) {
		KEY(w, "in_container");
		process->in_container ? PUT(w, "true") : PUT(w, "false");
	}
	put_parents(w, process);
	close_with(w, '}');
}

static void put_container(struct writer *w, const struct event_container *container)
{
	if (!*container->id)
		return;
	KEY(w, "container");
	open_with(w, '{');
	STRING(w, "id", container->id);
	STRING_IF_ANY(w, "engine", container->engine);
	STRING_IF_ANY(w, "cgroup_path", container->cgroup_path);
	STRING_IF_ANY(w, "hostname", container->hostname);
	close_with(w, '}');
}

/* 0 is no time, but none known. */
static bool clocks_differ(const struct event *event)
{
	uint64_t host = event->time_ns, guest = event->guest_time_ns;

	return guest && (guest > host ? guest - host : host - guest) > CLOCKS_DIFFER_NS;
}

void event_print_json(const struct event *event, FILE *out)
{
	struct writer w;

	w.out = out;
	w.n = 0;
	open_with(&w, '{');
	KEY(&w, "@timestamp");
	put_time(&w, event->time_ns);
	if (clocks_differ(event)) {
		KEY(&w, "guest_time");
		put_time(&w, event->guest_time_ns);
	}
	STRING_IF_ANY(&w, "vm", event->vm);
	STRING_IF_ANY(&w, "rule", event->rule);
	STRING(&w, "severity", policy_severity_name(event->severity));
	STRING(&w, "operation", policy_operation_name(event->operation));
	STRING(&w, "action", policy_action_name(event->action));
	STRING(&w, "result", event->denied ? "denied" : "allowed");
	STRING_IF_ANY(&w, "message", event->message);
	put_event(&w, event);
	put_file(&w, &event->file);
	put_process(&w, event);
	put_container(&w, &event->container);
	close_with(&w, '}');
	PUT(&w, "\n");
	flush(&w);
}
