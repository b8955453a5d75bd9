/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_EVENT_CONTAINER_H
#define EVENTS_EVENT_CONTAINER_H

#include <stdio.h>

#include "events/event.h"
#include "events/json_writer.h"

/* The member `container` of an event or a notice; nothing if there is no id. */
void event_container_write_json(struct json_writer *w, const struct event_container *container);

/* The label, the id in short, the engine, and what the guest calls it; nothing if there is no id. */
void event_container_print_text(const struct event_container *container, FILE *out,
				const char *label);

#endif
