// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event.h"

#include "events/event_container.h"
#include "events/json_writer.h"
#include "events/text_writer.h"

static bool is_alert(const struct event_notice *notice)
{
	return notice->severity >= POLICY_SEVERITY_HIGH;
}

/* For readers of ECS, which has no category for a guard that speaks of itself. */
static void put_event(struct json_writer *w, const struct event_notice *notice)
{
	JSON_KEY(w, "event");
	json_writer_open(w, '{');
	JSON_STRING(w, "kind", is_alert(notice) ? "alert" : "event");
	JSON_KEY(w, "category");
	JSON_PUT(w, "[\"intrusion_detection\"]");
	JSON_KEY(w, "type");
	JSON_PUT(w, "[\"info\"]");
	JSON_STRING(w, "action", notice->what);
	json_writer_close(w, '}');
}

static void put_writer(struct json_writer *w, const struct event_writer *writer)
{
	if (writer->vcpu >= 0)
		JSON_NUMBER(w, "vcpu", (uint64_t)writer->vcpu);
	if (!writer->pid)
		return;
	JSON_KEY(w, "process");
	json_writer_open(w, '{');
	JSON_NUMBER(w, "pid", writer->pid);
	JSON_STRING(w, "name", writer->name);
	json_writer_close(w, '}');
}

void event_notice_print_json(const struct event_notice *notice, FILE *out)
{
	struct json_writer w;

	json_writer_begin(&w, out);
	JSON_TIME(&w, "@timestamp", notice->time_ns);
	JSON_STRING_IF_ANY(&w, "vm", notice->vm);
	JSON_STRING(&w, "notice", notice->what);
	JSON_STRING(&w, "severity", policy_severity_name(notice->severity));
	JSON_STRING_IF_ANY(&w, "message", notice->message);
	put_event(&w, notice);
	if (notice->before)
		JSON_TRUE(&w, "before");
	if (notice->writer)
		put_writer(&w, notice->writer);
	if (notice->container)
		event_container_write_json(&w, notice->container);
	json_writer_end(&w);
}

/* The message comes last, so that nothing in it can pass for a column. */
void event_notice_print_text(const struct event_notice *notice, FILE *out, bool colour)
{
	text_writer_begin(out, notice->time_ns, "NOTICE", is_alert(notice), colour);
	text_writer_named(out, "", notice->what);
	if (notice->container)
		event_container_print_text(notice->container, out, "  container ");
	text_writer_named(out, "  vm ", notice->vm);
	if (notice->message && *notice->message) {
		fputs("  ", out);
		text_writer_sentence(out, notice->message);
	}
	fputc('\n', out);
}
