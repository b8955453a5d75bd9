// SPDX-License-Identifier: GPL-2.0-or-later
/* A process that has had files open, and mapped, since before there were rules; and how to ask it. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "matrix.h"

struct request {
	enum holder_request what;
	char path[410];
};

static int address_of(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	/* Abstract: in no directory. */
	*ret_size =
		offsetof(struct sockaddr_un, sun_path) + 1 +
		snprintf(ret_address->sun_path + 1, sizeof(ret_address->sun_path) - 1, "%s", name);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message_of(struct iovec *part, union control *control)
{
	return (struct msghdr){ .msg_iov = part,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(*control) };
}

static int open_one(struct held *held)
{
	held->fd = open(held->path, held->flags | O_CLOEXEC);
	if (held->fd < 0)
		return -errno;
	if (!held->map)
		return 0;
	held->mapping = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, held->fd, 0);
	return held->mapping == MAP_FAILED ? -errno : 0;
}

static void reply(int client, const struct held *held, enum holder_request what)
{
	struct holder_reply answer = { .pid = getpid(), .fd = held->fd, .mapping = held->mapping };
	struct iovec part = { &answer, sizeof(answer) };
	union control control;
	struct msghdr message = message_of(&part, &control);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (what == HOLDER_WRITE)
		answer.result = result_of(pwrite(held->fd, "changed", 7, 4096));
	else if (what == HOLDER_STORE)
		memcpy(held->mapping + 4096, "changed", 7);
	if (what == HOLDER_GIVE) {
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &held->fd, sizeof(int));
	} else {
		message.msg_controllen = 0;
	}
	sendmsg(client, &message, 0);
}

static void serve(int client, const struct held *held, unsigned int n)
{
	struct request request;

	if (recv(client, &request, sizeof(request), 0) != sizeof(request))
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (strcmp(held[i].path, request.path) == 0)
			reply(client, &held[i], request.what);
	}
}

int holder_serve(const char *name, struct held *held, unsigned int n)
{
	struct sockaddr_un address;
	socklen_t size;
	int listener = address_of(name, &address, &size), client, result;

	for (unsigned int i = 0; i < n; i++) {
		result = open_one(&held[i]);
		if (result < 0) {
			fprintf(stderr, "%s: %s\n", held[i].path, strerror(-result));
			return 1;
		}
	}
	if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 8) < 0) {
		perror("socket");
		return 1;
	}
	printf("holding %u\n", n);
	fflush(stdout);
	while ((client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		serve(client, held, n);
		close(client);
	}
	return 1;
}

int holder_ask(const char *name, enum holder_request what, const char *path,
	       struct holder_reply *ret_reply, int *ret_fd)
{
	struct request request = { .what = what };
	struct sockaddr_un address;
	socklen_t size;
	int connection = address_of(name, &address, &size);
	struct iovec part = { ret_reply, sizeof(*ret_reply) };
	union control control;
	struct msghdr message = message_of(&part, &control);
	struct cmsghdr *header;

	snprintf(request.path, sizeof(request.path), "%s", path);
	if (connect(connection, (struct sockaddr *)&address, size) < 0 ||
	    send(connection, &request, sizeof(request), 0) != sizeof(request) ||
	    recvmsg(connection, &message, 0) != sizeof(*ret_reply))
		return errno ? -errno : -EIO;
	header = CMSG_FIRSTHDR(&message);
	if (ret_fd && header && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	close(connection);
	return 0;
}
