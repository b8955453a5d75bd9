// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	return code;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char context[256], rest[sizeof(err->message)];
	va_list ap;

	if (!err)
		return -EIO;
	va_start(ap, format);
	vsnprintf(context, sizeof(context), format, ap);
	va_end(ap);
	memcpy(rest, err->message, sizeof(rest));
	rest[sizeof(rest) - 1] = '\0';
	snprintf(err->message, sizeof(err->message), "%.255s: %.760s", context, rest);
	return err->code;
}
