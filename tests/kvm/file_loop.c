// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In a container: does one thing to a file again and again, for somebody else to count what happens meanwhile.
 *
 *	file_loop PORT open|read|append ERRNO FILE N ROUNDS
 *
 * A round is N operations, and then as long without any: what that costs is the clock's and the machine's. Before each of
 * the two it writes a byte to PORT (a serial port), and waits for one. ERRNO is how each operation has to end (0: well).
 * Prints how many ns all operations took.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

struct loop {
	const char *path;
	int flags; /* for open() */
	int fd; /* to read from; or -1, and the file is opened */
	int wanted; /* errno */
	long n;
};

static void die(const char *what)
{
	fprintf(stderr, "file_loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int open_port(const char *path)
{
	struct termios settings;
	int fd = open(path, O_RDWR | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &settings) < 0)
		die(path);
	cfmakeraw(&settings);
	cfsetspeed(&settings, B115200);
	if (tcsetattr(fd, TCSANOW, &settings) < 0)
		die(path);
	return fd;
}

/* Says that a part is over, or none has begun, and waits until the next may begin. */
static void meet(int port, char what)
{
	if (write(port, &what, 1) != 1 || read(port, &what, 1) != 1)
		die("the port");
}

static int open_once(const struct loop *loop)
{
	int fd = open(loop->path, loop->flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int read_once(const struct loop *loop)
{
	char byte;

	return pread(loop->fd, &byte, 1, 0) == 1 ? 0 : errno ?: EIO;
}

static uint64_t operate(const struct loop *loop)
{
	uint64_t started = now_ns();

	for (long i = 0; i < loop->n; i++) {
		int result = loop->fd < 0 ? open_once(loop) : read_once(loop);

		if (result != loop->wanted) {
			errno = result;
			die(loop->path);
		}
	}
	return now_ns() - started;
}

static void spin(uint64_t ns)
{
	uint64_t started = now_ns();

	while (now_ns() - started < ns)
		;
}

static struct loop make_loop(char **words)
{
	struct loop loop = { .path = words[2], .fd = -1, .wanted = atoi(words[1]) };

	loop.n = atol(words[3]);
	loop.flags = strcmp(words[0], "append") == 0 ? O_WRONLY | O_APPEND : O_RDONLY;
	if (strcmp(words[0], "read") != 0)
		return loop;
	loop.fd = open(loop.path, O_RDONLY | O_CLOEXEC);
	if (loop.fd < 0)
		die(loop.path);
	return loop;
}

int main(int argc, char **argv)
{
	uint64_t all_ns = 0;
	struct loop loop;
	int port;

	if (argc != 7) {
		fprintf(stderr, "usage: file_loop PORT open|read|append ERRNO FILE N ROUNDS\n");
		return 2;
	}
	port = open_port(argv[1]);
	loop = make_loop(argv + 2);
	for (long rounds = atol(argv[6]); rounds > 0; rounds--) {
		uint64_t ns;

		meet(port, 'o');
		ns = operate(&loop);
		meet(port, 's');
		spin(ns);
		all_ns += ns;
	}
	meet(port, 'e');
	printf("%" PRIu64 "\n", all_ns);
	return 0;
}
