// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/log.h"

static bool is_stdout(const struct outlet *outlet)
{
	return strcmp(outlet->path, "-") == 0;
}

static int open_file(const struct outlet *outlet, FILE **ret, struct error *err)
{
	_cleanup_(closep) int fd = -1;

	if (is_stdout(outlet)) {
		*ret = stdout;
		return 0;
	}
	fd = open(outlet->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return error_set(err, -errno, "cannot write events to %s: %s", outlet->path,
				 strerror(errno));
	*ret = fdopen(fd, "a");
	if (!*ret)
		return error_set(err, -ENOMEM, "out of memory");
	TAKE_FD(fd);
	return 0;
}

int outlet_open(struct outlet *ret, const char *path, struct error *err)
{
	struct outlet outlet = { .path = path };
	int r = open_file(&outlet, &outlet.file, err);

	if (r == 0)
		*ret = outlet;
	return r;
}

void outlet_deinit(struct outlet *outlet)
{
	if (outlet->file && !is_stdout(outlet))
		fclose(outlet->file);
	outlet->file = NULL;
}

int outlet_reopen(struct outlet *outlet, struct error *err)
{
	FILE *file;
	int r;

	if (!outlet->file)
		return 0;
	r = open_file(outlet, &file, err);
	if (r < 0)
		return r;
	outlet_deinit(outlet);
	outlet->file = file;
	return 0;
}

void outlet_flush(struct outlet *outlet)
{
	bool failing = fflush(outlet->file) != 0 || ferror(outlet->file);

	if (failing && !outlet->failing)
		log_error("events are not written to %s: %s",
			  is_stdout(outlet) ? "standard output" : outlet->path, strerror(errno));
	outlet->failing = failing;
	clearerr(outlet->file);
}
