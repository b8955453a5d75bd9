/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

/*
 * Messages for the person who runs the program, on standard error, one line each. With <N> level
 * prefixes when JOURNAL_STREAM says that standard error is the journal (sd-daemon(3)).
 */
enum log_level {
	LOG_LEVEL_ERROR, /* something asked for was not done */
	LOG_LEVEL_WARNING, /* done, but not as one would expect */
	LOG_LEVEL_INFO, /* milestones: attached, policy loaded, detached */
	LOG_LEVEL_DEBUG, /* -v */
};

/* Messages above @level are not printed; LOG_LEVEL_INFO unless told. */
void log_set_level(enum log_level level);

void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
