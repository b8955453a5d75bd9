// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define MESSAGE_MAX 131072
#define WORDS_MAX 128 /* arguments and environment */
#define CHANNEL 3 /* the helper's only descriptor above the standard ones */

/* A message: two counts, then that many texts with their NULs, arguments first, then the input. */
struct message {
	uint32_t n_arguments, n_environment;
	char text[];
};

struct commands {
	int channel;
};

struct child {
	pid_t pid; /* 0: free */
	int pidfd;
	uint64_t until_ns;
};

/* In the helper: what may be run. The memory that it points to is this process's own copy. */
static const struct commands_line *allowed;
static size_t n_allowed;

DEFINE_CLEANUP(struct commands *, commands_free)

struct commands *commands_free(struct commands *commands)
{
	if (!commands)
		return NULL;
	close(commands->channel);
	free(commands);
	return NULL;
}

/* The helper */

/* Takes @n texts of the message apart. Returns what follows them. */
static char *take_texts(char *at, char *end, char **texts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (!nul)
			return NULL;
		texts[i] = at;
		at = nul + 1;
	}
	texts[n] = NULL;
	return at;
}

/* In the child. What it is told stands in memory, so nobody waits for it to be read. */
static void become(char **argv, char **environment, const char *input, size_t size)
{
	int fd = memfd_create("event", 0);
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (fd < 0 || write(fd, input, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0 ||
	    dup2(fd, STDIN_FILENO) < 0 || chdir("/") < 0)
		_exit(126);
	close_range(CHANNEL, ~0u, 0);
	execve(argv[0], argv, environment);
	dprintf(STDERR_FILENO, "outguard: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static bool is_allowed(char *const *argv, uint32_t n)
{
	for (size_t i = 0; i < n_allowed; i++) {
		uint32_t same = 0;

		while (n == allowed[i].n && same < n && !strcmp(argv[same], allowed[i].argv[same]))
			same++;
		if (same == n)
			return true;
	}
	return false;
}

static void start(struct child *child, struct message *message, size_t size)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *words[WORDS_MAX + 3], *end = (char *)message + size, *at;
	uint32_t n = message->n_arguments;

	if (n == 0 || n > WORDS_MAX || message->n_environment > WORDS_MAX - n)
		return;
	at = take_texts(message->text, end, words, n);
	if (at)
		at = take_texts(at, end, words + n + 2, message->n_environment);
	if (!at || !is_allowed(words, n))
		return;
	words[n + 1] = path;
	child->pid = fork();
	if (child->pid == 0)
		become(words, words + n + 1, at, (size_t)(end - at));
	if (child->pid < 0) {
		child->pid = 0;
		return;
	}
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	child->until_ns = clock_ns(CLOCK_MONOTONIC) + COMMANDS_SECONDS * 1000000000ULL;
}

/* One that has ended, or whose time is over: with all that it has started. */
static void look_after(struct child *child, uint64_t now)
{
	bool over = now >= child->until_ns;

	if (!child->pid)
		return;
	if (over)
		kill(-child->pid, SIGKILL);
	if (waitpid(child->pid, NULL, over ? 0 : WNOHANG) == 0)
		return;
	if (child->pidfd >= 0)
		close(child->pidfd);
	*child = (struct child){ 0 };
}

/* What the helper waits for: an end, a time that is over, or, while there is room, another message. */
static bool wait_for_any(struct child children[COMMANDS_AT_ONCE], bool *ret_room, bool closed)
{
	struct pollfd fds[COMMANDS_AT_ONCE + 1];
	uint64_t now = clock_ns(CLOCK_MONOTONIC), until = UINT64_MAX;
	nfds_t n = 1;

	for (size_t i = 0; i < COMMANDS_AT_ONCE; i++) {
		if (!children[i].pid)
			continue;
		fds[n++] = (struct pollfd){ .fd = children[i].pidfd, .events = POLLIN };
		until = children[i].until_ns < until ? children[i].until_ns : until;
	}
	*ret_room = n <= COMMANDS_AT_ONCE && !closed;
	fds[0] = (struct pollfd){ .fd = *ret_room ? CHANNEL : -1, .events = POLLIN };
	if (n == 1 && closed)
		return false;
	poll(fds, n,
	     until == UINT64_MAX ? -1
	     : until > now	 ? (int)((until - now) / 1000000) + 1
				 : 0);
	*ret_room = *ret_room && fds[0].revents;
	return true;
}

static void take_message(struct child children[COMMANDS_AT_ONCE], bool *closed)
{
	static char buf[MESSAGE_MAX];
	ssize_t n = recv(CHANNEL, buf, sizeof(buf), MSG_DONTWAIT);

	*closed = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	for (size_t i = 0; i < COMMANDS_AT_ONCE && n > (ssize_t)sizeof(struct message); i++) {
		if (children[i].pid)
			continue;
		start(&children[i], (struct message *)buf, (size_t)n);
		break;
	}
}

static bool is_left(void)
{
	struct pollfd fd = { .fd = CHANNEL };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLERR);
}

/* Until the session is gone and the last command has ended: what still waits then has as long as one may run. */
static void help(void)
{
	struct child children[COMMANDS_AT_ONCE] = { 0 };
	uint64_t last_ns = 0;
	bool closed = false, any;

	while (wait_for_any(children, &any, closed)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (!last_ns && is_left())
			last_ns = now + COMMANDS_SECONDS * 1000000000ULL;
		closed = closed || (last_ns && now >= last_ns);
		for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
			look_after(&children[i], now);
		if (any)
			take_message(children, &closed);
	}
}

/* Its standard error is the session's, so that what a command complains of is in the same log. */
static void be_helper(int channel)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_NAME, "outguard cmds");
	setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
	    dup2(channel, CHANNEL) < 0)
		_exit(1);
	close_range(CHANNEL + 1, ~0u, 0);
	fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
	help();
	_exit(0);
}

/* The session's side */

/* Made by a process that ends at once: so it is nobody's here, and leaves no zombie. */
static int make_helper(int channel, struct error *err)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return error_set(err, -errno, "no process for commands: %s", strerror(errno));
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			be_helper(channel);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? error_set(err, -EAGAIN, "no process for commands") : 0;
}

int commands_new(struct commands **ret, const struct commands_line *lines, size_t n,
		 struct error *err)
{
	_cleanup_(commands_freep) struct commands *commands = calloc(1, sizeof(*commands));
	int pair[2], r;

	if (!commands)
		return error_set(err, -ENOMEM, "out of memory");
	commands->channel = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	commands->channel = pair[0];
	allowed = lines;
	n_allowed = n;
	r = make_helper(pair[1], err);
	allowed = NULL;
	n_allowed = 0;
	close(pair[1]);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(commands);
	return 0;
}

static void put_text(FILE *to, const char *text, uint32_t *n)
{
	fwrite(text, 1, strlen(text) + 1, to);
	++*n;
}

int commands_run(struct commands *commands, const struct commands_line *line,
		 const char *const environment[], const char *input, size_t size)
{
	_cleanup_(freep) char *bytes = NULL;
	struct message head = { 0 };
	size_t n = 0;
	FILE *to = open_memstream(&bytes, &n);

	if (!to)
		return -ENOMEM;
	fwrite(&head, sizeof(head), 1, to);
	for (size_t i = 0; i < line->n; i++)
		put_text(to, line->argv[i], &head.n_arguments);
	for (size_t i = 0; environment[i]; i++)
		put_text(to, environment[i], &head.n_environment);
	fwrite(input, 1, size, to);
	if (fclose(to) != 0)
		return -ENOMEM;
	if (n > MESSAGE_MAX || head.n_arguments + head.n_environment > WORDS_MAX)
		return -E2BIG;
	memcpy(bytes, &head, sizeof(head));
	if (send(commands->channel, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}
