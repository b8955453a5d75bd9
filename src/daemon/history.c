// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forget(struct history_event *event)
{
	free(event->json);
	free(event->text);
	memset(event, 0, sizeof(*event));
}

void history_add(struct history *history, const char *vm, const char *json, const char *text)
{
	struct history_event *event = &history->ring[history->end++ % HISTORY_EVENTS];

	forget(event);
	snprintf(event->vm, sizeof(event->vm), "%s", vm);
	event->json = strdup(json);
	event->text = strdup(text);
	if (!event->json || !event->text)
		forget(event);
}

void history_deinit(struct history *history)
{
	for (size_t i = 0; i < HISTORY_EVENTS; i++)
		forget(&history->ring[i]);
}

uint64_t history_start(const struct history *history)
{
	return history->end > HISTORY_EVENTS ? history->end - HISTORY_EVENTS : 0;
}

const struct history_event *history_get(const struct history *history, uint64_t number,
					const char *vm)
{
	const struct history_event *event = &history->ring[number % HISTORY_EVENTS];

	if (number < history_start(history) || number >= history->end || !event->json ||
	    (*vm && strcmp(vm, event->vm) != 0))
		return NULL;
	return event;
}

uint64_t history_last(const struct history *history, const char *vm, uint64_t n)
{
	uint64_t number = history->end;

	while (n && number > history_start(history))
		n -= history_get(history, --number, vm) != NULL;
	return number;
}
