// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * liboutguard-trap.so: preloaded into QEMU, it hands QEMU's userfaultfd to the daemon, which can then have writes to single pages of
 * guest memory held before they land. Only QEMU itself can open that descriptor; all the rest any holder can do.
 *
 * The one duty here is that QEMU never hangs: a thread that writes to a protected page stands still until somebody answers. So the
 * protection lives as long as the daemon's connection does, and that as long as bytes come. One thread, no
 * library but the C library; nothing of QEMU's is called or changed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "contract/trap_abi.h"

#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1 */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_FEATURE_EXACT_ADDRESS /* Linux 5.18 */
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM /* Linux 5.19 */
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

#define FEATURES                                                   \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID | \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_EXACT_ADDRESS)

static struct {
	struct sockaddr_un address;
	int uffd; /* -1: there is none, see hello */
	struct trap_hello hello;
	struct trap_range ranges[TRAP_MAX_RANGES];
	size_t n_ranges;
} trap = { .uffd = -1 };

static void say(const char *text, const char *more)
{
	dprintf(STDERR_FILENO, "outguard-trap: %s%s\n", text, more);
}

/* The userfaultfd */

static int refuse(int error, const char *why)
{
	trap.hello.error = -error;
	snprintf(trap.hello.message, sizeof(trap.hello.message), "%s (%s)", why, strerror(error));
	say("writes to guest memory cannot be trapped: ", trap.hello.message);
	return -1;
}

/*
 * Without UFFD_USER_MODE_ONLY: KVM, vhost and read(2) write to guest memory from the kernel, and have to be held there, too. So a
 * process without rights needs to be let.
 */
static int open_uffd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), error = errno, device;

	if (fd >= 0)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device >= 0) {
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(device);
	}
	if (fd >= 0)
		return fd;
	if (error == ENOSYS)
		return refuse(error, "this host's kernel has no userfaultfd; it takes Linux 5.19");
	return refuse(error, "QEMU may not open userfaultfd; let its user open /dev/userfaultfd, "
			     "or "
			     "set the sysctl vm.unprivileged_userfaultfd to 1, or give QEMU "
			     "CAP_SYS_PTRACE");
}

static void prepare_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
	int fd = open_uffd();

	if (fd < 0)
		return;
	if (ioctl(fd, UFFDIO_API, &api) < 0) {
		close(fd);
		refuse(errno, "this host's userfaultfd cannot protect shared memory from writes; "
			      "it "
			      "takes Linux 5.19");
		return;
	}
	trap.hello.features = FEATURES; /* api.features: all that there are */
	trap.uffd = fd;
}

/* The ranges */

static void take_range(const struct trap_range *range)
{
	size_t n = 0;

	if (range->size && trap.n_ranges < TRAP_MAX_RANGES)
		trap.ranges[trap.n_ranges++] = *range;
	if (range->size || !range->start)
		return;
	for (size_t i = 0; i < trap.n_ranges; i++)
		if (trap.ranges[i].start != range->start)
			trap.ranges[n++] = trap.ranges[i];
	trap.n_ranges = n;
}

/* One that was announced and never registered is refused by the kernel. Who waits for a write is woken apart. */
static void release_all(void)
{
	for (size_t i = 0; i < trap.n_ranges; i++) {
		struct uffdio_range range = { trap.ranges[i].start, trap.ranges[i].size };

		ioctl(trap.uffd, UFFDIO_UNREGISTER, &range);
		ioctl(trap.uffd, UFFDIO_WAKE, &range);
	}
	trap.n_ranges = 0;
}

/* Serving */

static bool is_allowed(int connection)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static bool greet(int connection)
{
	struct iovec data = { &trap.hello, sizeof(trap.hello) };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (trap.uffd >= 0) {
		memcpy(CMSG_DATA(&control.header), &trap.uffd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control.room);
	}
	return sendmsg(connection, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(trap.hello);
}

/* 1; 0 when nothing has come for too long; -1 when the connection has ended, after all that was sent. */
static int receive(int connection, struct trap_range *ret)
{
	char *to = (char *)ret;
	size_t n = 0;

	while (n < sizeof(*ret)) {
		ssize_t got = recv(connection, to + n, sizeof(*ret) - n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN && n == 0)
			return 0;
		if (got <= 0)
			return -1;
		n += (size_t)got;
	}
	return 1;
}

/* A daemon that stands still does not answer faults either. */
static void let_go(int connection)
{
	const char byte = 0;
	bool any = trap.n_ranges > 0;

	release_all();
	if (any)
		send(connection, &byte, sizeof(byte), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void wait_for_end(int connection)
{
	const struct timeval patience = { .tv_sec = TRAP_PATIENCE_MS / 1000 };
	struct trap_range range;
	int r;

	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while ((r = receive(connection, &range)) >= 0) {
		if (r > 0)
			take_range(&range);
		else
			let_go(connection);
	}
}

/* What an earlier QEMU has left at the path goes; what no socket is stays, and bind() fails. */
static int listen_there(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(trap.address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(trap.address.sun_path);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&trap.address, sizeof(trap.address)) == 0 &&
	    chmod(trap.address.sun_path, 0600) == 0 && listen(fd, 1) == 0)
		return fd;
	say("cannot listen on " TRAP_SOCKET_VARIABLE " ", trap.address.sun_path);
	if (fd >= 0)
		close(fd);
	return -1;
}

static void serve(void)
{
	int fd = listen_there();

	prepare_uffd();
	while (fd >= 0) {
		int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (connection < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			say("stops: ", strerror(errno));
			break;
		}
		if (is_allowed(connection) && greet(connection)) {
			wait_for_end(connection);
			release_all();
		}
		close(connection);
	}
}

/* Starting */

static void *run(void *data)
{
	pid_t parent = (pid_t)(intptr_t)data;

	/* A copy of QEMU takes over when the one that it was copied from ends: then it was for -daemonize. */
	while (parent && getppid() == parent)
		usleep(20000);
	serve();
	return NULL;
}

static void start(pid_t parent)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int r;

	/* QEMU's signals are for QEMU's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, run, (void *)(intptr_t)parent);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		say("no thread: ", strerror(r));
}

/*
 * With -daemonize QEMU goes on in a child of a child; others are there to run another program, and the thread goes with that. The
 * descriptor is of the parent's memory, and the thread has not come along. (QEMU's own RCU does the same in its place.)
 */
static pid_t forking;

static void before_fork(void)
{
	forking = getpid();
}

static void in_child(void)
{
	if (trap.uffd >= 0)
		close(trap.uffd);
	trap.uffd = -1;
	trap.n_ranges = 0;
	memset(&trap.hello, 0, sizeof(trap.hello));
	trap.hello.magic = TRAP_MAGIC;
	start(forking);
}

/* LD_PRELOAD is for QEMU, but shells and wrappers on the way to it, and its helpers, have it in their environments as well. */
static bool is_qemu(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	const char *name;

	if (n <= 0)
		return false;
	path[n] = '\0';
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	return strncmp(name, "qemu-system", 11) == 0 || strcmp(name, "qemu-kvm") == 0 ||
	       strcmp(name, "kvm") == 0 || getenv("OUTGUARD_TRAP_ANY");
}

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv(TRAP_SOCKET_VARIABLE);

	if (!path || !is_qemu())
		return;
	if (path[0] != '/' || strlen(path) >= sizeof(trap.address.sun_path)) {
		say("give an absolute path of at most 107 bytes in " TRAP_SOCKET_VARIABLE ", not ",
		    path);
		return;
	}
	trap.address.sun_family = AF_UNIX;
	strcpy(trap.address.sun_path, path);
	trap.hello.magic = TRAP_MAGIC;
	pthread_atfork(before_fork, NULL, in_child);
	start(0);
}
