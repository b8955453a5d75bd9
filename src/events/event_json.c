// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "events/event_container.h"
#include "events/json_writer.h"
#include "util/cleanup.h"

/*
 * Events come by the hundred thousand a second at worst, so each is written without detours. docs/EVENTS.md says what the keys
 * mean. The guest chooses most strings.
 */

/* Clocks closer than this are the same: it takes a moment from the guest's reading to the host's. */
#define CLOCKS_DIFFER_NS UINT64_C(1000000000)

/* What ECS calls it, by operation: https://www.elastic.co/guide/en/ecs/current/ */
static const char *ecs_type(uint32_t operation)
{
	static const char *const types[] = {
		[__builtin_ctz(POLICY_READ)] = "access",
		[__builtin_ctz(POLICY_WRITE)] = "change",
		[__builtin_ctz(POLICY_CREATE)] = "creation",
		[__builtin_ctz(POLICY_DELETE)] = "deletion",
		[__builtin_ctz(POLICY_RENAME)] = "change",
		[__builtin_ctz(POLICY_LINK)] = "creation",
		[__builtin_ctz(POLICY_SYMLINK)] = "creation",
		[__builtin_ctz(POLICY_TRUNCATE)] = "change",
		[__builtin_ctz(POLICY_CHMOD)] = "change",
		[__builtin_ctz(POLICY_CHOWN)] = "change",
		[__builtin_ctz(POLICY_UTIMES)] = "change",
		[__builtin_ctz(POLICY_XATTR)] = "change",
		[__builtin_ctz(POLICY_ATTR_FLAGS)] = "change",
		[__builtin_ctz(POLICY_MMAP_WRITE)] = "change",
		[__builtin_ctz(POLICY_EXEC)] = "access",
		[__builtin_ctz(POLICY_MOUNT)] = "change",
		[__builtin_ctz(POLICY_COPY_UP)] = "change",
	};
	static_assert(ARRAY_SIZE(types) == POLICY_N_OPERATIONS, "an operation without a type");
	unsigned int i = operation ? (unsigned int)__builtin_ctz(operation) : UINT32_MAX;

	return i < ARRAY_SIZE(types) ? types[i] : "info";
}

const char *event_operation(const struct event *event)
{
	return event->attempt ? event->attempt : policy_operation_name(event->operation);
}

/* A descriptor that is open already is no deed, but how things are. */
static const char *ecs_kind(const struct event *event)
{
	if (event->denied)
		return "alert";
	return event->already_open ? "state" : "event";
}

static void put_event(struct json_writer *w, const struct event *event)
{
	JSON_KEY(w, "event");
	json_writer_open(w, '{');
	JSON_STRING(w, "kind", ecs_kind(event));
	JSON_KEY(w, "category");
	event->attempt ? JSON_PUT(w, "[\"intrusion_detection\"]") : JSON_PUT(w, "[\"file\"]");
	JSON_KEY(w, "type");
	JSON_PUT(w, "[");
	json_writer_string(w, event->already_open ? "info"
			      : event->attempt	  ? "access"
						  : ecs_type(event->operation));
	JSON_PUT(w, ",");
	json_writer_string(w, event->denied ? "denied" : "allowed");
	JSON_PUT(w, "]");
	JSON_STRING(w, "action", event_operation(event));
	JSON_STRING(w, "outcome", event->denied ? "failure" : "success");
	JSON_NUMBER(w, "sequence", event->sequence);
	json_writer_close(w, '}');
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

static void put_mode(struct json_writer *w, uint32_t mode)
{
	const char octal[] = { '"',
			       (char)('0' + (mode >> 9 & 7)),
			       (char)('0' + (mode >> 6 & 7)),
			       (char)('0' + (mode >> 3 & 7)),
			       (char)('0' + (mode & 7)),
			       '"' };

	json_writer_put(w, octal, sizeof(octal));
}

static void put_file(struct json_writer *w, const struct event_file *file)
{
	JSON_KEY(w, "file");
	json_writer_open(w, '{');
	JSON_STRING_IF_ANY(w, "path", file->path);
	if (strcmp(file->accessed_path, file->path) != 0)
		JSON_STRING_IF_ANY(w, "accessed_path", file->accessed_path);
	JSON_STRING_IF_ANY(w, "source_path", file->source_path);
	JSON_STRING_IF_ANY(w, "target_path", file->target_path);
	JSON_STRING_IF_ANY(w, "type", type_name(file->mode));
	JSON_KEY(w, "device");
	JSON_PUT(w, "\"");
	json_writer_number(w, file->device_major);
	JSON_PUT(w, ":");
	json_writer_number(w, file->device_minor);
	JSON_PUT(w, "\"");
	JSON_NUMBER(w, "inode", file->inode);
	JSON_NUMBER(w, "generation", file->generation);
	JSON_KEY(w, "mode");
	put_mode(w, file->mode);
	JSON_NUMBER(w, "uid", file->uid);
	JSON_NUMBER(w, "gid", file->gid);
	JSON_NUMBER(w, "size", file->size);
	json_writer_close(w, '}');
}

static void put_parents(struct json_writer *w, const struct event_process *process)
{
	JSON_KEY(w, "parents");
	json_writer_open(w, '[');
	for (unsigned int i = 0; i < process->n_parents && i < EVENT_MAX_PARENTS; i++) {
		const struct event_parent *parent = &process->parents[i];

		json_writer_comma(w);
		json_writer_open(w, '{');
		JSON_NUMBER(w, "pid", parent->pid);
		JSON_STRING_IF_ANY(w, "name", parent->name);
		JSON_NUMBER(w, "uid", parent->uid);
		json_writer_close(w, '}');
	}
	json_writer_close(w, ']');
}

static void put_process(struct json_writer *w, const struct event *event)
{
	const struct event_process *process = &event->process;

	JSON_KEY(w, "process");
	json_writer_open(w, '{');
	JSON_NUMBER(w, "pid", process->pid);
	JSON_NUMBER(w, "tid", process->tid);
	if (process->inner_pid)
		JSON_NUMBER(w, "vpid", process->inner_pid);
	if (process->inner_tid)
		JSON_NUMBER(w, "vtid", process->inner_tid);
	JSON_NUMBER(w, "ppid", process->ppid);
	JSON_STRING_IF_ANY(w, "name", process->name);
	JSON_STRING_IF_ANY(w, "executable", process->executable);
	JSON_NUMBER(w, "uid", process->uid);
	JSON_NUMBER(w, "gid", process->gid);
	JSON_NUMBER(w, "euid", process->euid);
	JSON_NUMBER(w, "egid", process->egid);
	JSON_NUMBER(w, "start_ns", process->start_ns);
	if (*event->container.id) {
		JSON_KEY(w, "in_container");
		process->in_container ? JSON_PUT(w, "true") : JSON_PUT(w, "false");
	}
	if (process->from_container)
		JSON_TRUE(w, "from_container");
	put_parents(w, process);
	json_writer_close(w, '}');
}

static void put_target(struct json_writer *w, const struct event_target *target)
{
	if (!target->pid && !*target->detail)
		return;
	JSON_KEY(w, "target");
	json_writer_open(w, '{');
	if (target->pid)
		JSON_NUMBER(w, "pid", target->pid);
	JSON_STRING_IF_ANY(w, "name", target->name);
	JSON_STRING_IF_ANY(w, "detail", target->detail);
	json_writer_close(w, '}');
}

/* 0 is no time, but none known. */
static bool clocks_differ(const struct event *event)
{
	uint64_t host = event->time_ns, guest = event->guest_time_ns;

	return guest && (guest > host ? guest - host : host - guest) > CLOCKS_DIFFER_NS;
}

void event_print_json(const struct event *event, FILE *out)
{
	struct json_writer w;

	json_writer_begin(&w, out);
	JSON_TIME(&w, "@timestamp", event->time_ns);
	if (clocks_differ(event))
		JSON_TIME(&w, "guest_time", event->guest_time_ns);
	JSON_STRING_IF_ANY(&w, "vm", event->vm);
	JSON_STRING_IF_ANY(&w, "rule", event->rule);
	JSON_STRING(&w, "severity", policy_severity_name(event->severity));
	JSON_STRING(&w, "operation", event_operation(event));
	JSON_STRING(&w, "action", policy_action_name(event->action));
	JSON_STRING(&w, "result", event->denied ? "denied" : "allowed");
	if (event->killed)
		JSON_TRUE(&w, "killed");
	if (event->already_open)
		JSON_TRUE(&w, "already_open");
	JSON_STRING_IF_ANY(&w, "message", event->message);
	put_event(&w, event);
	if (!event->attempt || event->file.inode)
		put_file(&w, &event->file);
	put_target(&w, &event->target);
	put_process(&w, event);
	event_container_write_json(&w, &event->container);
	json_writer_end(&w);
}
