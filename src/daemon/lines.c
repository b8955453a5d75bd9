// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/lines.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "util/cleanup.h"

#define PIECE 65536

struct buffer {
	char *bytes;
	size_t start, end, room;
};

struct lines {
	int fd;
	size_t in_limit, out_limit;
	struct buffer in, out;
	size_t scanned; /* of in, from its start: no newline up to there */
};

struct lines *lines_new(int fd, size_t in_limit, size_t out_limit)
{
	struct lines *lines = calloc(1, sizeof(*lines));

	if (!lines) {
		close(fd);
		return NULL;
	}
	lines->fd = fd;
	lines->in_limit = in_limit;
	lines->out_limit = out_limit;
	return lines;
}

struct lines *lines_free(struct lines *lines)
{
	if (!lines)
		return NULL;
	close(lines->fd);
	free(lines->in.bytes);
	free(lines->out.bytes);
	free(lines);
	return NULL;
}

int lines_fd(const struct lines *lines)
{
	return lines->fd;
}

static size_t filled(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* Makes room for @size more bytes at the end. */
static int make_room(struct buffer *buffer, size_t size)
{
	size_t n = filled(buffer);
	char *bytes;

	if (buffer->start) {
		memmove(buffer->bytes, buffer->bytes + buffer->start, n);
		buffer->start = 0;
		buffer->end = n;
	}
	if (buffer->room - n >= size)
		return 0;
	bytes = realloc(buffer->bytes, n + size);
	if (!bytes)
		return -ENOMEM;
	buffer->bytes = bytes;
	buffer->room = n + size;
	return 0;
}

/* An idle connection holds no memory. */
static void let_go(struct buffer *buffer)
{
	if (filled(buffer))
		return;
	free(buffer->bytes);
	*buffer = (struct buffer){ 0 };
}

static bool find_newline(const struct lines *lines, size_t *ret_size)
{
	const char *start = lines->in.bytes + lines->in.start, *newline = NULL;

	if (filled(&lines->in) > lines->scanned)
		newline = memchr(start + lines->scanned, '\n', filled(&lines->in) - lines->scanned);
	if (newline)
		*ret_size = (size_t)(newline - start);
	return newline != NULL;
}

int lines_fill(struct lines *lines)
{
	ssize_t n;
	int r;

	if (filled(&lines->in) > lines->in_limit)
		return -EMSGSIZE;
	r = make_room(&lines->in, PIECE);
	if (r < 0)
		return r;
	n = recv(lines->fd, lines->in.bytes + lines->in.end, PIECE, MSG_DONTWAIT);
	if (n > 0)
		lines->in.end += (size_t)n;
	else if (n == 0)
		return -EPIPE;
	else if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

bool lines_any(const struct lines *lines)
{
	size_t size;

	return find_newline(lines, &size);
}

char *lines_next(struct lines *lines, size_t *ret_size)
{
	char *line = lines->in.bytes + lines->in.start;
	size_t size;

	if (!find_newline(lines, &size)) {
		lines->scanned = filled(&lines->in);
		let_go(&lines->in);
		return NULL;
	}
	line[size] = '\0';
	lines->in.start += size + 1;
	lines->scanned = 0;
	*ret_size = size;
	return line;
}

int lines_put(struct lines *lines, const char *text, size_t size)
{
	int r;

	if (size >= lines->out_limit || filled(&lines->out) > lines->out_limit - size - 1)
		return -ENOBUFS;
	r = make_room(&lines->out, size + 1);
	if (r < 0)
		return r;
	memcpy(lines->out.bytes + lines->out.end, text, size);
	lines->out.bytes[lines->out.end + size] = '\n';
	lines->out.end += size + 1;
	return 0;
}

int lines_flush(struct lines *lines)
{
	while (filled(&lines->out)) {
		ssize_t n = send(lines->fd, lines->out.bytes + lines->out.start,
				 filled(&lines->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		lines->out.start += (size_t)n;
	}
	let_go(&lines->out);
	return 0;
}

size_t lines_queued(const struct lines *lines)
{
	return filled(&lines->out);
}

int lines_send(struct lines *lines, const char *text, size_t size)
{
	char newline = '\n';
	struct iovec part[2] = { { (char *)text, size }, { &newline, 1 } };
	struct msghdr message = { .msg_iov = part, .msg_iovlen = 2 };

	while (message.msg_iovlen) {
		ssize_t n = sendmsg(lines->fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (message.msg_iovlen && (size_t)n >= message.msg_iov->iov_len) {
			n -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}
