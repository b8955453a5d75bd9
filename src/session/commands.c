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
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/opener.h"

#define MESSAGE_MAX 131072
#define WORDS_MAX 128 /* arguments and environment */
/* The helper's only descriptors above the standard ones. */
#define CHANNEL 3
#define FILES 4

#define SUFFIX ".dump"

/* A message: two counts, then that many texts with their NULs, arguments first, then the input. */
struct message {
	uint32_t n_arguments, n_environment;
	char text[];
};

struct commands {
	int channel, files;
	char **allowed; /* lines and directories, as texts: see text_of() */
	size_t n_allowed;
};

struct child {
	pid_t pid; /* 0: free */
	int pidfd;
	uint64_t until_ns;
};

DEFINE_CLEANUP(struct commands *, commands_free)

struct commands *commands_free(struct commands *commands)
{
	if (!commands)
		return NULL;
	if (commands->channel >= 0)
		close(commands->channel);
	if (commands->files >= 0)
		close(commands->files);
	for (size_t i = 0; i < commands->n_allowed; i++)
		free(commands->allowed[i]);
	free(commands->allowed);
	free(commands);
	return NULL;
}

/* One text of several, of which none has a line's end (policy/yaml.h). NULL without memory. */
static char *text_of(const char *what, const char *const *words, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fputs(what, to);
	for (size_t i = 0; i < n; i++)
		fprintf(to, "\n%s", words[i]);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

static bool is_allowed(const struct commands *commands, const char *what, const char *const *words,
		       size_t n)
{
	_cleanup_(freep) char *text = text_of(what, words, n);

	for (size_t i = 0; text && i < commands->n_allowed; i++) {
		if (!strcmp(commands->allowed[i], text))
			return true;
	}
	return false;
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

static void start(const struct commands *commands, struct child *child, struct message *message,
		  size_t size)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *words[WORDS_MAX + 3], *end = (char *)message + size, *at;
	uint32_t n = message->n_arguments;

	if (n == 0 || n > WORDS_MAX || message->n_environment > WORDS_MAX - n)
		return;
	at = take_texts(message->text, end, words, n);
	if (at)
		at = take_texts(at, end, words + n + 2, message->n_environment);
	if (!at || !is_allowed(commands, "run", (const char *const *)words, n))
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
static bool wait_for_any(struct child children[COMMANDS_AT_ONCE], bool *ret_room, bool *ret_file,
			 bool closed)
{
	struct pollfd fds[COMMANDS_AT_ONCE + 2];
	uint64_t now = clock_ns(CLOCK_MONOTONIC), until = UINT64_MAX;
	nfds_t n = 2;

	for (size_t i = 0; i < COMMANDS_AT_ONCE; i++) {
		if (!children[i].pid)
			continue;
		fds[n++] = (struct pollfd){ .fd = children[i].pidfd, .events = POLLIN };
		until = children[i].until_ns < until ? children[i].until_ns : until;
	}
	*ret_room = n < COMMANDS_AT_ONCE + 2 && !closed;
	fds[0] = (struct pollfd){ .fd = *ret_room ? CHANNEL : -1, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = closed ? -1 : FILES, .events = POLLIN };
	if (n == 2 && closed)
		return false;
	poll(fds, n,
	     until == UINT64_MAX ? -1
	     : until > now	 ? (int)((until - now) / 1000000) + 1
				 : 0);
	*ret_room = *ret_room && fds[0].revents;
	*ret_file = !closed && fds[1].revents & POLLIN;
	return true;
}

static void take_message(const struct commands *commands, struct child children[COMMANDS_AT_ONCE],
			 bool *closed)
{
	static char buf[MESSAGE_MAX];
	ssize_t n = recv(CHANNEL, buf, sizeof(buf), MSG_DONTWAIT);

	*closed = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	for (size_t i = 0; i < COMMANDS_AT_ONCE && n > (ssize_t)sizeof(struct message); i++) {
		if (children[i].pid)
			continue;
		start(commands, &children[i], (struct message *)buf, (size_t)n);
		break;
	}
}

/* A name that no part of which leads elsewhere, in a directory that was named. */
static int make_file(const struct commands *commands, const char *path, unsigned int mib)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *directory = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	struct statvfs room;
	int fd;

	if (!directory || strlen(slash) < sizeof(SUFFIX) ||
	    strcmp(path + strlen(path) - strlen(SUFFIX), SUFFIX) != 0 ||
	    !is_allowed(commands, "dump", (const char *const *)&directory, 1))
		return -EPERM;
	if (statvfs(directory, &room) < 0)
		return -errno;
	if ((uint64_t)room.f_bavail * room.f_frsize >> 20 < mib)
		return -ENOSPC;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static void answer_file(const struct opener_answer *answer, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec data = { .iov_base = (void *)answer, .iov_len = sizeof(*answer) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	sendmsg(FILES, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_request(const struct commands *commands)
{
	static char made[sizeof(((struct opener_request *)0)->path)]; /* the last */
	static struct opener_request request;
	struct opener_answer answer = { 0 };
	int fd = -1;

	if (recv(FILES, &request, sizeof(request), MSG_DONTWAIT) != sizeof(request))
		return;
	request.path[sizeof(request.path) - 1] = '\0';
	if (request.verb == OPENER_UNLINK) {
		if (*made && !strcmp(made, request.path))
			unlink(made);
	} else {
		fd = make_file(commands, request.path, (unsigned int)request.flags);
		answer.error = fd < 0 ? -fd : 0;
	}
	if (fd >= 0)
		strcpy(made, request.path);
	answer_file(&answer, fd);
	if (fd >= 0)
		close(fd);
}

static bool is_left(void)
{
	struct pollfd fd = { .fd = CHANNEL };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLHUP | POLLERR);
}

/* Until the session is gone and the last command has ended: what still waits then has as long as one may run. */
static void help(const struct commands *commands)
{
	struct child children[COMMANDS_AT_ONCE] = { 0 };
	uint64_t last_ns = 0;
	bool closed = false, any, file;

	while (wait_for_any(children, &any, &file, closed)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (!last_ns && is_left())
			last_ns = now + COMMANDS_SECONDS * 1000000000ULL;
		closed = closed || (last_ns && now >= last_ns);
		for (size_t i = 0; i < COMMANDS_AT_ONCE; i++)
			look_after(&children[i], now);
		if (any)
			take_message(commands, children, &closed);
		if (file)
			take_request(commands);
	}
}

/* Its standard error is the session's, so that what a command complains of is in the same log. */
static void be_helper(const struct commands *commands, int channel, int files)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_NAME, "outguard cmds");
	setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
	    channel < 0)
		_exit(1);
	channel = fcntl(channel, F_DUPFD, FILES + 1); /* neither in the other's way */
	files = fcntl(files, F_DUPFD, FILES + 1);
	if (dup2(channel, CHANNEL) < 0 || dup2(files, FILES) < 0)
		_exit(1);
	close_range(FILES + 1, ~0u, 0);
	fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
	fcntl(FILES, F_SETFD, FD_CLOEXEC);
	help(commands);
	_exit(0);
}

/* The session's side */

/* Made by a process that ends at once: so it is nobody's here, and leaves no zombie. */
static int make_helper(const struct commands *commands, int channel, int files, struct error *err)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return error_set(err, -errno, "no process for commands: %s", strerror(errno));
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			be_helper(commands, channel, files);
		_exit(pid < 0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? error_set(err, -EAGAIN, "no process for commands") : 0;
}

static int add_text(struct commands *commands, char *text)
{
	if (!text)
		return -ENOMEM;
	commands->allowed[commands->n_allowed++] = text;
	return 0;
}

static int copy_allowed(struct commands *commands, const struct commands_allowed *allowed)
{
	int r = 0;

	commands->allowed =
		calloc(allowed->n_lines + allowed->n_directories + 1, sizeof(*commands->allowed));
	if (!commands->allowed)
		return -ENOMEM;
	for (size_t i = 0; i < allowed->n_lines && r == 0; i++)
		r = add_text(commands, text_of("run", allowed->lines[i].argv, allowed->lines[i].n));
	for (size_t i = 0; i < allowed->n_directories && r == 0; i++)
		r = add_text(commands, text_of("dump", &allowed->directories[i], 1));
	return r;
}

int commands_new(struct commands **ret, const struct commands_allowed *allowed, struct error *err)
{
	_cleanup_(commands_freep) struct commands *commands = calloc(1, sizeof(*commands));
	_cleanup_(closep) int channel = -1, files = -1;
	int pair[2], r;

	if (!commands)
		return error_set(err, -ENOMEM, "out of memory");
	commands->channel = commands->files = -1;
	if (copy_allowed(commands, allowed) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	commands->channel = pair[0];
	channel = pair[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	commands->files = pair[0];
	files = pair[1];
	r = make_helper(commands, channel, files, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(commands);
	return 0;
}

bool commands_allow(const struct commands *commands, const struct commands_allowed *allowed)
{
	bool all = commands || !(allowed->n_lines + allowed->n_directories);

	for (size_t i = 0; i < allowed->n_lines && all; i++)
		all = is_allowed(commands, "run", allowed->lines[i].argv, allowed->lines[i].n);
	for (size_t i = 0; i < allowed->n_directories && all; i++)
		all = is_allowed(commands, "dump", &allowed->directories[i], 1);
	return all;
}

int commands_make_file(struct commands *commands, const char *path, unsigned int mib)
{
	struct opener_request request = { .verb = OPENER_OPEN, .flags = (int)mib };
	int fd, r;

	if (snprintf(request.path, sizeof(request.path), "%s", path) >= (int)sizeof(request.path))
		return -ENAMETOOLONG;
	r = opener_ask(commands->files, &request, &fd);
	return r < 0 ? r : fd;
}

void commands_unmake_file(struct commands *commands, const char *path)
{
	struct opener_request request = { .verb = OPENER_UNLINK };
	int fd;

	snprintf(request.path, sizeof(request.path), "%s", path);
	opener_ask(commands->files, &request, &fd);
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
	if (!is_allowed(commands, "run", line->argv, line->n)) {
		fclose(to);
		return -EPERM;
	}
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
