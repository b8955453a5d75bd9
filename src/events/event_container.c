// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/event_container.h"

#include "events/text_writer.h"

#define SHORT_ID 12 /* digits of a container's id, as docker ps shows it */

static void write_pod(struct json_writer *w, const struct event_container *container)
{
	if (!*container->pod_name && !*container->pod_namespace && !*container->pod_uid)
		return;
	JSON_KEY(w, "pod");
	json_writer_open(w, '{');
	JSON_STRING_IF_ANY(w, "name", container->pod_name);
	JSON_STRING_IF_ANY(w, "namespace", container->pod_namespace);
	JSON_STRING_IF_ANY(w, "uid", container->pod_uid);
	json_writer_close(w, '}');
}

/* The members that only the guest's user space says, by name: whoever is root there could have made them up. */
static void write_hearsay(struct json_writer *w, const struct event_container *container)
{
	const struct {
		const char *value, *name;
	} members[] = {
		{ container->name, "name" },	     { container->image, "image.name" },
		{ container->pod_name, "pod.name" }, { container->pod_namespace, "pod.namespace" },
		{ container->pod_uid, "pod.uid" },
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!*members[i].value)
			continue;
		if (!any) {
			JSON_KEY(w, "guest_says");
			json_writer_open(w, '[');
			any = true;
		}
		json_writer_comma(w);
		json_writer_string(w, members[i].name);
	}
	if (any)
		json_writer_close(w, ']');
}

void event_container_write_json(struct json_writer *w, const struct event_container *container)
{
	if (!*container->id)
		return;
	JSON_KEY(w, "container");
	json_writer_open(w, '{');
	JSON_STRING(w, "id", container->id);
	JSON_STRING_IF_ANY(w, "engine", container->engine);
	JSON_STRING_IF_ANY(w, "cgroup_path", container->cgroup_path);
	JSON_STRING_IF_ANY(w, "hostname", container->hostname);
	JSON_STRING_IF_ANY(w, "name", container->name);
	if (*container->image) {
		JSON_KEY(w, "image");
		json_writer_open(w, '{');
		JSON_STRING(w, "name", container->image);
		json_writer_close(w, '}');
	}
	write_pod(w, container);
	write_hearsay(w, container);
	json_writer_close(w, '}');
}

void event_container_print_text(const struct event_container *container, FILE *out,
				const char *label)
{
	if (!*container->id)
		return;
	fputs(label, out);
	text_writer_word(out, container->id, SHORT_ID);
	if (*container->engine) {
		fputs(" (", out);
		text_writer_word(out, container->engine, sizeof(container->engine));
		fputc(')', out);
	}
	text_writer_named(out, " called ", container->name);
	text_writer_named(out, " of pod ", container->pod_name);
}
