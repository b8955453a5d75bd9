// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "ops.h"
#include "uring.h"

/* --- sockets, and descriptors sent over them --------------------------------------------------------------------------------- */

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static ssize_t send_fd(int socket, int fd)
{
	union control control = { 0 };
	struct iovec byte = { (char *)"f", 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0);
}

/* The descriptor, or -1 if none came with the message. */
static int receive_fd(int socket, ssize_t *ret_n)
{
	union control control = { 0 };
	char text;
	struct iovec byte = { &text, 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	int fd = -1;

	*ret_n = recvmsg(socket, &message, MSG_DONTWAIT);
	header = *ret_n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static int receiving_socket;

static void use_received(struct worker *w)
{
	ssize_t n;
	int fd = receive_fd(receiving_socket, &n);

	tell(w, "recvmsg", n, "descriptor %s", fd < 0 ? "missing" : "received");
	tell(w, "pwrite", pwrite(fd, "received\n", 9, 100), "9");
	n = pread(fd, io_buffer(), 200, 0);
	tell(w, "pread", n, "%016llx",
	     n > 0 ? (unsigned long long)hash(HASH_START, io_buffer(), n) : 0);
	close(fd);
}

static void pass_over(struct worker *w, int from, int to)
{
	tell(w, "sendmsg", send_fd(from, some_fd(w)), "slot");
	receiving_socket = to;
	if (chance(w, 50))
		in_child(w, "receiver", use_received);
	else
		use_received(w);
}

static void op_pass(struct worker *w)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return;
	pass_over(w, pair[0], pair[1]);
	close(pair[0]);
	close(pair[1]);
}

static void op_named_socket(struct worker *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	const char *name = own_name(w, 'k', 2);
	int server = -1;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (chance(w, 60))
		unlink(name);
	tell(w, "bind", bind(listener, (struct sockaddr *)&address, sizeof(address)), "%s", name);
	tell(w, "listen", listen(listener, 1), "%s", name);
	if (tell(w, "connect", connect(client, (struct sockaddr *)&address, sizeof(address)), "%s",
		 name) == 0)
		server = accept(listener, NULL, NULL);
	if (server >= 0)
		pass_over(w, client, server);
	close(server);
	close(client);
	close(listener);
}

static void op_pidfd_getfd(struct worker *w)
{
	int self = syscall(SYS_pidfd_open, getpid(), 0), fd;

	fd = syscall(SYS_pidfd_getfd, self, some_fd(w), 0);
	tell(w, "pidfd_getfd", opened(fd), "slot");
	close(self);
	keep_fd(w, fd);
}

/* --- io_uring and aio -------------------------------------------------------------------------------------------------------- */

static struct uring *ring_of(struct worker *w)
{
	if (!w->tried_uring) {
		w->tried_uring = true;
		w->uring = uring_new();
		tell(w, "io_uring_setup", w->uring ? 0 : -1, "4");
	}
	return w->uring;
}

/*
 * The kernel's worker threads may still have a file when its result is there and it has been closed: an exec, a lease or a
 * watcher could notice. A lease is granted when nobody has it any more; these names (u0 to u2) are opened nowhere else.
 */
static void wait_until_closed(struct worker *w, const char *name)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK), tries = 0;

	if (fd < 0)
		return;
	while (fcntl(fd, F_SETLEASE, F_WRLCK) < 0 && errno == EAGAIN && tries++ < 5000)
		usleep(1000);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	close(fd);
	if (tries > 5000)
		tell(w, "uring close", 0, "%s is still open", name);
}

static void uring_file(struct worker *w, struct uring *ring)
{
	static const int how[] = { O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDONLY,
				   O_RDWR | O_TRUNC, O_WRONLY | O_APPEND };
	const char *name = own_name(w, 'u', 3);
	int flags = pick_one(w, how);
	struct io_uring_sqe request = { .opcode = IORING_OP_OPENAT,
					.fd = AT_FDCWD,
					.addr = (uintptr_t)name,
					.len = 0644,
					.open_flags = flags };
	size_t size = pick(w, LARGEST_IO);
	int fd = uring_do(ring, &request);

	tell(w, "uring openat", opened(fd), "%s, %#o", name, flags);
	if (fd < 0)
		return;
	fill(w, io_buffer(), size);
	request = (struct io_uring_sqe){ .opcode = IORING_OP_WRITE,
					 .fd = fd,
					 .addr = (uintptr_t)io_buffer(),
					 .len = size,
					 .off = pick(w, 10000) };
	tell(w, "uring write", uring_do(ring, &request), "%zu", size);
	request.opcode = IORING_OP_READ;
	tell(w, "uring read", uring_do(ring, &request), "%zu", size);
	request = (struct io_uring_sqe){ .opcode = IORING_OP_FALLOCATE,
					 .fd = fd,
					 .addr = 2 * BLOCK,
					 .off = pick(w, 5) * BLOCK };
	tell(w, "uring fallocate", uring_do(ring, &request), "%d", 2 * BLOCK);
	request = (struct io_uring_sqe){ .opcode = IORING_OP_FSETXATTR,
					 .fd = fd,
					 .addr = (uintptr_t) "user.uring",
					 .addr2 = (uintptr_t) "value",
					 .len = 5 };
	tell(w, "uring fsetxattr", uring_do(ring, &request), "user.uring");
	request = (struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd };
	tell(w, "uring close", uring_do(ring, &request), "fd");
	wait_until_closed(w, name);
}

static void uring_names(struct worker *w, struct uring *ring)
{
	static const struct {
		const char *call;
		uint8_t opcode;
	} calls[] = { { "uring unlinkat", IORING_OP_UNLINKAT },
		      { "uring renameat", IORING_OP_RENAMEAT },
		      { "uring mkdirat", IORING_OP_MKDIRAT },
		      { "uring symlinkat", IORING_OP_SYMLINKAT },
		      { "uring linkat", IORING_OP_LINKAT } };
	unsigned int which = pick(w, 5);
	const char *name = own_name(w, 'u', 3), *to = own_name(w, 'u', 3);
	struct io_uring_sqe request = { .opcode = calls[which].opcode,
					.fd = AT_FDCWD,
					.addr = (uintptr_t)name,
					.len = calls[which].opcode == IORING_OP_MKDIRAT ? 0755
											: AT_FDCWD,
					.off = (uintptr_t)to };

	if (calls[which].opcode == IORING_OP_UNLINKAT)
		request.off = request.len = 0;
	if (calls[which].opcode == IORING_OP_UNLINKAT && chance(w, 30))
		request.unlink_flags = AT_REMOVEDIR;
	if (calls[which].opcode == IORING_OP_SYMLINKAT)
		request.len = 0;
	if (calls[which].opcode == IORING_OP_MKDIRAT)
		request.off = 0;
	tell(w, calls[which].call, uring_do(ring, &request), "%s, %s", name, to);
}

static void op_uring(struct worker *w)
{
	struct uring *ring = ring_of(w);

	if (!ring || w->watched)
		return;
	if (chance(w, 50))
		uring_file(w, ring);
	else
		uring_names(w, ring);
}

static void op_aio(struct worker *w)
{
	size_t size = pick(w, LARGEST_IO);
	bool writes = chance(w, 60);
	struct iocb request = { .aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
				.aio_fildes = some_fd(w),
				.aio_buf = (uintptr_t)io_buffer(),
				.aio_nbytes = size,
				.aio_offset = pick(w, 20000) },
		    *list = &request;
	aio_context_t context = 0;
	struct io_event event = { 0 };
	long result;

	if (syscall(SYS_io_setup, 1, &context) < 0)
		return;
	fill(w, io_buffer(), size);
	result = syscall(SYS_io_submit, context, 1, &list);
	tell(w, "io_submit", result, "%s %zu", writes ? "pwrite" : "pread", size);
	if (result == 1 && syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1)
		tell(w, "io_getevents", event.res, "%zu", size);
	syscall(SYS_io_destroy, context);
}

/* --- others ------------------------------------------------------------------------------------------------------------------ */

static void op_memfd(struct worker *w)
{
	int fd = memfd_create("outguard", MFD_ALLOW_SEALING), other;
	char path[64];

	tell(w, "memfd_create", opened(fd), "sealing");
	tell(w, "write", write(fd, "in memory\n", 10), "10");
	tell(w, "fcntl", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), "seals");
	tell(w, "write", write(fd, "in memory\n", 10), "10");
	tell(w, "ftruncate", ftruncate(fd, 0), "0");
	snprintf(path, sizeof(path), "self/fd/%d", fd);
	other = openat(w->proc, path, O_RDWR);
	tell(w, "open", opened(other), "memfd");
	close(other);
	keep_fd(w, fd);
}

/* What a watcher of a directory is told about a few operations in it. */
static void op_inotify(struct worker *w)
{
	char *buffer = io_buffer();
	int fd = inotify_init1(IN_NONBLOCK);
	const char *name = own_name(w, 'd', 3);
	ssize_t n;

	tell(w, "inotify_add_watch", opened(inotify_add_watch(fd, ".", IN_ALL_EVENTS)), ".");
	tell(w, "inotify_add_watch", opened(inotify_add_watch(fd, name, IN_ALL_EVENTS)), "%s",
	     name);
	w->watched = true;
	for (int i = 0; i < 4; i++)
		run_op(w);
	w->watched = false;
	while ((n = read(fd, buffer, LARGEST_IO)) > 0) {
		for (char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (void *)at;

			/* A file without a name is told by its inode number. */
			tell(w, "inotify", event->wd, "%#x, %s", event->mask,
			     !event->len	     ? ""
			     : event->name[0] == '#' ? "#"
						     : event->name);
			at += sizeof(*event) + event->len;
		}
	}
	close(fd);
}

static void op_handle(struct worker *w)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} file = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	const char *name = file_name(w);
	int mount_id, fd;

	if (tell(w, "name_to_handle_at",
		 name_to_handle_at(AT_FDCWD, name, &file.handle, &mount_id, 0), "%s, type %d", name,
		 file.handle.handle_type) < 0)
		return;
	fd = open_by_handle_at(w->area->dir, &file.handle, O_RDWR | O_NONBLOCK);
	tell(w, "open_by_handle_at", opened(fd), "%s", name);
	keep_fd(w, fd);
}

const struct op ops_exchange[] = {
	{ op_pass, 4, false },	 { op_named_socket, 3, false }, { op_pidfd_getfd, 2, false },
	{ op_uring, 8, false },	 { op_aio, 4, false },		{ op_memfd, 1, false },
	{ op_inotify, 2, true }, { op_handle, 3, false },	{ 0 },
};
