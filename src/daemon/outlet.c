// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/opener.h"

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
	fd = opener_open(outlet->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return error_set(err, -errno, "cannot write events to %s: %s", outlet->path,
				 strerror(errno));
	*ret = fdopen(fd, "a");
	if (!*ret)
		return error_set(err, -ENOMEM, "out of memory");
	TAKE_FD(fd);
	setvbuf(*ret, NULL, _IOFBF, OUTLET_LINE_MAX);
	return 0;
}

int outlet_open(struct outlet *ret, const char *path, struct error *err)
{
	struct outlet outlet = { .path = path, .lock = -1 };
	int r = open_file(&outlet, &outlet.file, err);

	if (r < 0)
		return r;
	if (is_stdout(&outlet))
		setvbuf(stdout, NULL, _IOFBF, OUTLET_LINE_MAX);
	*ret = outlet;
	return 0;
}

int outlet_share(struct outlet *outlet, const char *lock_path, struct error *err)
{
	int fd = opener_open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_set(err, -errno, "cannot make %s: %s", lock_path, strerror(errno));
	outlet->lock = fd;
	return 0;
}

void outlet_deinit(struct outlet *outlet)
{
	if (outlet->file && !is_stdout(outlet))
		fclose(outlet->file);
	outlet->file = NULL;
	closep(&outlet->lock);
	outlet->lock = -1;
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
	if (!is_stdout(outlet))
		fclose(outlet->file);
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

/* An append to a regular file needs none. It goes with its holder, should that die. */
static bool needs_lock(const struct outlet *outlet)
{
	struct stat st;

	return outlet->lock >= 0 && fstat(fileno(outlet->file), &st) == 0 && !S_ISREG(st.st_mode);
}

static void set_lock(const struct outlet *outlet, short type)
{
	struct flock whole = { .l_type = type };

	while (fcntl(outlet->lock, F_OFD_SETLKW, &whole) < 0 && errno == EINTR)
		;
}

void outlet_put(struct outlet *outlet, const char *text, size_t size)
{
	bool locked = needs_lock(outlet);

	if (locked)
		set_lock(outlet, F_WRLCK);
	fwrite(text, 1, size, outlet->file);
	outlet_flush(outlet);
	if (locked)
		set_lock(outlet, F_UNLCK);
}
