// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static enum log_level log_limit = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	log_limit = level;
}

void log_message(enum log_level level, const char *format, ...)
{
	/* syslog priorities, for the journal */
	static const char *const prefix[] = { "<3>", "<4>", "<6>", "<7>" };
	static const char *const word[] = { "error: ", "warning: ", "", "debug: " };
	char line[2048];
	va_list ap;

	if (level > log_limit)
		return;
	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	fprintf(stderr, "%soutguard: %s%s\n", getenv("JOURNAL_STREAM") ? prefix[level] : "",
		word[level], line);
}
