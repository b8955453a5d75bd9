// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event.h"

#include "events/event_container.h"
#include "events/text_writer.h"

#define OPERATION_COLUMNS 10 /* the longest, attr-flags */
#define PATH_COLUMNS 24
#define PROCESS_COLUMNS 24

static void print_operation(FILE *out, const struct event *event)
{
	fprintf(out, "%-*s ", OPERATION_COLUMNS, event_operation(event));
}

static void print_target(FILE *out, const struct event_target *target)
{
	int columns = 0;

	if (target->pid) {
		columns = fprintf(out, "process ");
		columns += text_writer_word(out, *target->name ? target->name : "?",
					    sizeof(target->name));
		columns += fprintf(out, "[%u]", target->pid);
	} else {
		columns = fprintf(out, "%s", *target->detail ? target->detail : "-");
	}
	text_writer_pad(out, columns, PATH_COLUMNS);
}

static void print_file(FILE *out, const struct event_file *file)
{
	const char *path = *file->path ? file->path : file->accessed_path;
	int columns = *path ? text_writer_word(out, path, EVENT_PATH_MAX)
			    : fprintf(out, "inode %u:%u/%llu", file->device_major,
				      file->device_minor, (unsigned long long)file->inode);

	columns += text_writer_named(out, " -> ", file->target_path);
	columns += text_writer_named(out, " <- ", file->source_path);
	text_writer_pad(out, columns, PATH_COLUMNS);
}

static void print_process(FILE *out, const struct event *event)
{
	const struct event_process *process = &event->process;
	int columns = fprintf(out, "  by ");

	columns +=
		text_writer_word(out, *process->name ? process->name : "?", sizeof(process->name));
	columns += fprintf(out, "[%u] uid %u", process->pid, process->uid);
	if (process->euid != process->uid)
		columns += fprintf(out, " euid %u", process->euid);
	text_writer_pad(out, columns, PROCESS_COLUMNS);
}

static const char *verdict(const struct event *event)
{
	if (event->killed)
		return "KILLED";
	if (event->denied)
		return "DENIED";
	return event->already_open ? "OPEN" : "allowed";
}

void event_print_text(const struct event *event, FILE *out, bool colour)
{
	text_writer_begin(out, event->time_ns, verdict(event), event->denied, colour);
	print_operation(out, event);
	if (event->attempt && !event->file.inode)
		print_target(out, &event->target);
	else
		print_file(out, &event->file);
	print_process(out, event);
	event_container_print_text(&event->container, out,
				   event->process.in_container ? "  container "
							       : "  from outside container ");
	text_writer_named(out, "  rule ", event->rule);
	text_writer_named(out, "  vm ", event->vm);
	fputc('\n', out);
}
