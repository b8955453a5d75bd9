// SPDX-License-Identifier: GPL-2.0-or-later
#include "util/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int porter = -1;

void opener_use(int fd)
{
	porter = fd;
}

bool opener_is_away(void)
{
	return porter >= 0;
}

static int receive(int fd, struct opener_answer *answer, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { .iov_base = answer, .iov_len = sizeof(*answer) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(*answer))
		return n < 0 ? -errno : -EPIPE;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	return 0;
}

int opener_ask(int fd, const struct opener_request *request, int *ret_fd)
{
	struct opener_answer answer;
	ssize_t n;
	int r;

	*ret_fd = -1;
	do
		n = send(fd, request, sizeof(*request), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = receive(fd, &answer, ret_fd);
	return r < 0 ? r : -answer.error;
}

static int ask(enum opener_verb verb, const char *path, int flags, mode_t mode)
{
	struct opener_request request = { .verb = verb, .flags = flags, .mode = mode };
	int fd, r;

	if (snprintf(request.path, sizeof(request.path), "%s", path) >= (int)sizeof(request.path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	r = opener_ask(porter, &request, &fd);
	if (r == 0 && verb == OPENER_OPEN && fd < 0)
		r = -EPROTO;
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return verb == OPENER_OPEN ? fd : 0;
}

int opener_open(const char *path, int flags, mode_t mode)
{
	return porter < 0 ? open(path, flags, mode) : ask(OPENER_OPEN, path, flags, mode);
}

int opener_unlink(const char *path)
{
	return porter < 0 ? unlink(path) : ask(OPENER_UNLINK, path, 0, 0);
}
