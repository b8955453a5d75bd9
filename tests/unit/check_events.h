/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_CHECK_EVENTS_H
#define TESTS_UNIT_CHECK_EVENTS_H

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Runs tests/tools/check_events.py; what is written to the stream is held against docs/events.schema.json. */
static inline FILE *check_events_open(void)
{
	const char *slash = strrchr(__FILE__, '/');
	char command[4200];

	/* The build calls the compiler with a path to this file that leads to the others. */
	snprintf(command, sizeof(command), "%.*s/../tools/check_events.py --min 0 - >&2",
		 slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".");
	return popen(command, "w");
}

/* 0: all is well; 1: it is not; else it could not be checked. */
static inline int check_events_close(FILE *out)
{
	int status = pclose(out);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The same for @line with the first @was in it replaced. */
static inline int check_events_changed(const char *line, const char *was, const char *is)
{
	const char *at = strstr(line, was);
	FILE *out = at ? check_events_open() : NULL;

	if (!out)
		return -1;
	fwrite(line, 1, (size_t)(at - line), out);
	fputs(is, out);
	fputs(at + strlen(was), out);
	return check_events_close(out);
}

#endif
