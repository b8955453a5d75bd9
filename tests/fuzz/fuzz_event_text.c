// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <assert.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events/event.h"
#include "events/utf8.h"
#include "util/cleanup.h"

/*
 * Any bytes make an event and a notice. Told as JSON each is one object on one line of valid UTF-8, which gives
 * valid strings back as they were; told as text it is one line without controls, and colours only add to it.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static uint64_t take_number(struct input *input, size_t n)
{
	uint64_t number = 0;

	n = n < input->size ? n : input->size;
	memcpy(&number, input->data, n);
	input->data += n;
	input->size -= n;
	return number;
}

/* Up to and with the next NUL. */
static void take_string(struct input *input, char *buf, size_t size)
{
	size_t n = strnlen((const char *)input->data, input->size);
	size_t copied = n < size ? n : size - 1;

	memcpy(buf, input->data, copied);
	buf[copied] = '\0';
	n += n < input->size;
	input->data += n;
	input->size -= n;
}

#define TAKE(input, array) take_string(input, array, sizeof(array))

struct words {
	char vm[64], rule[64], message[8192];
};

static void take_numbers(struct input *input, struct event *event)
{
	event->time_ns = take_number(input, 8);
	event->guest_time_ns = take_number(input, 8);
	event->file.inode = take_number(input, 8);
	event->file.device_major = (uint32_t)take_number(input, 4);
	event->file.mode = (uint32_t)take_number(input, 4);
	event->process.pid = (uint32_t)take_number(input, 4);
	event->process.inner_pid = (uint32_t)take_number(input, 2);
	event->process.euid = (uint32_t)take_number(input, 1);
	event->process.n_parents = (unsigned int)take_number(input, 1);
	event->process.in_container = take_number(input, 1) & 1;
	event->operation = 1u << take_number(input, 1) % POLICY_N_OPERATIONS;
	event->denied = take_number(input, 1) & 1;
	event->action = take_number(input, 1) % 3;
	event->severity = take_number(input, 1) & 3;
}

static void take_strings(struct input *input, struct event *event, struct words *words)
{
	TAKE(input, event->file.path);
	TAKE(input, event->file.accessed_path);
	TAKE(input, event->process.name);
	TAKE(input, event->process.executable);
	TAKE(input, event->container.id);
	TAKE(input, event->container.engine);
	TAKE(input, event->container.cgroup_path);
	TAKE(input, event->container.hostname);
	TAKE(input, words->vm);
	TAKE(input, words->rule);
	for (size_t i = 0; i < EVENT_MAX_PARENTS; i++)
		TAKE(input, event->process.parents[i].name);
	TAKE(input, words->message);
	TAKE(input, event->file.source_path);
	TAKE(input, event->file.target_path);
	TAKE(input, event->container.name);
	TAKE(input, event->container.image);
	TAKE(input, event->container.pod_name);
	TAKE(input, event->container.pod_namespace);
	TAKE(input, event->container.pod_uid);
	event->killed = take_number(input, 1) & 1;
	event->already_open = take_number(input, 1) & 1;
	event->vm = words->vm;
	event->rule = words->rule;
	event->message = words->message;
}

static void check_line(const char *line, size_t size)
{
	assert(size > 0 && strlen(line) == size && line[size - 1] == '\n');
	for (size_t i = 0; i + 1 < size; i++) {
		assert((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
		assert(line[i] != '\xc2' || (unsigned char)line[i + 1] >= 0xa0);
	}
}

/* An event or a notice, in the one form or the other. */
typedef void print_function(const void *what, FILE *out);

static void event_plain(const void *event, FILE *out)
{
	event_print_text(event, out, false);
}

static void event_coloured(const void *event, FILE *out)
{
	event_print_text(event, out, true);
}

static void event_json(const void *event, FILE *out)
{
	event_print_json(event, out);
}

static void notice_plain(const void *notice, FILE *out)
{
	event_notice_print_text(notice, out, false);
}

static void notice_coloured(const void *notice, FILE *out)
{
	event_notice_print_text(notice, out, true);
}

static void notice_json(const void *notice, FILE *out)
{
	event_notice_print_json(notice, out);
}

static char *print_line(print_function *print, const void *what, size_t *ret_size)
{
	char *line = NULL;
	FILE *out = open_memstream(&line, ret_size);

	assert(out);
	print(what, out);
	assert(fclose(out) == 0);
	return line;
}

static void check_text(print_function *print_plain, print_function *print_coloured,
		       const void *what)
{
	size_t size, coloured_size, n = 0;
	_cleanup_(freep) char *plain = print_line(print_plain, what, &size);
	_cleanup_(freep) char *coloured = print_line(print_coloured, what, &coloured_size);
	uint32_t character;

	check_line(plain, size);
	for (const char *s = plain; *s; s += utf8_next(s, &character))
		assert(utf8_next(s, &character) && character != UTF8_INVALID);
	for (const char *s = coloured; *s; s++) {
		if (*s == '\033')
			s = strchr(s, 'm') + 1;
		if (*s == '\033') /* the end of one colour right before the next */
			s = strchr(s, 'm') + 1;
		coloured[n++] = *s;
	}
	assert(n == size && memcmp(plain, coloured, size) == 0);
}

static bool is_valid(const char *s)
{
	uint32_t character = 0;

	while (*s && character != UTF8_INVALID)
		s += utf8_next(s, &character);
	return character != UTF8_INVALID;
}

/* A string that was valid comes back as it was; one that was empty is not there. */
static void check_string(json_object *json, const char *pointer, const char *expected)
{
	json_object *member = NULL;
	bool is_there = json_pointer_get(json, pointer, &member) == 0;

	assert(is_there == (*expected != '\0'));
	if (is_there && is_valid(expected))
		assert(strcmp(json_object_get_string(member), expected) == 0);
}

static json_object *parse_json(print_function *print, const void *what)
{
	size_t size;
	_cleanup_(freep) char *line = print_line(print, what, &size);
	json_tokener *tokener = json_tokener_new();
	json_object *json;

	assert(tokener);
	check_line(line, size);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, line, (int)size + 1);
	assert(json && json_tokener_get_error(tokener) == json_tokener_success);
	json_tokener_free(tokener);
	return json;
}

/* Exactly the members that are the guest's word are named as such. */
static void check_hearsay(json_object *json, const struct event_container *container)
{
	size_t n = !!*container->name + !!*container->image + !!*container->pod_name +
		   !!*container->pod_namespace + !!*container->pod_uid;
	json_object *names = NULL;

	json_pointer_get(json, "/container/guest_says", &names);
	assert((names ? json_object_array_length(names) : 0) == (*container->id ? n : 0));
}

static void check_container(json_object *json, const struct event_container *container)
{
	check_string(json, "/container/id", container->id);
	if (*container->id) {
		check_string(json, "/container/name", container->name);
		check_string(json, "/container/image/name", container->image);
		check_string(json, "/container/pod/name", container->pod_name);
		check_string(json, "/container/pod/namespace", container->pod_namespace);
		check_string(json, "/container/pod/uid", container->pod_uid);
	}
	check_hearsay(json, container);
}

static void check_event(const struct event *event)
{
	json_object *json = parse_json(event_json, event);

	check_string(json, "/file/path", event->file.path);
	check_string(json, "/file/source_path", event->file.source_path);
	check_string(json, "/file/target_path", event->file.target_path);
	check_string(json, "/process/executable", event->process.executable);
	check_string(json, "/message", event->message);
	check_container(json, &event->container);
	json_object_put(json);
	check_text(event_plain, event_coloured, event);
}

static void check_notice(const struct event_notice *notice)
{
	json_object *json = parse_json(notice_json, notice);

	check_string(json, "/notice", notice->what);
	check_string(json, "/message", notice->message);
	if (notice->container)
		check_container(json, notice->container);
	json_object_put(json);
	check_text(notice_plain, notice_coloured, notice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct event event = { .sequence = size };
	struct event_notice notice;
	struct words words;

	take_numbers(&input, &event);
	take_strings(&input, &event, &words);
	check_event(&event);
	notice = (struct event_notice){
		.time_ns = event.time_ns,
		.vm = event.vm,
		.what = *words.rule ? words.rule : "cache-full",
		.severity = event.severity,
		.message = event.message,
		.container = event.denied ? &event.container : NULL,
	};
	check_notice(&notice);
	return 0;
}
