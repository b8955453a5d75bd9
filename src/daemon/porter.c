// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The other end is taken for the guest's attacker: a keeper that was broken into. It gets descriptors of what it could have had open
 * anyway, and of nothing else. QEMU is held by its directory in /proc, so that its number cannot come to mean another process.
 */
#include "daemon/porter.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sandbox.h"
#include "session/lock.h"
#include "util/cleanup.h"
#include "util/opener.h"

#define SOCKET_FD 3
#define WARRANTS_FD 4
#define MEANINGLESS (O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_LARGEFILE)

struct porter {
	int fd, warrants;
	const char *qmp_path, *events_path, *outlet_lock_path, *ready_path;
	char policy_path[4096]; /* the last that was warranted */
	int process; /* QEMU's directory in /proc; -1: not known yet */
	char process_path[32];
};

/* "vault-1-2-3.lock", "held-vault-1-2-3.lock" in the lock's directory. */
static bool is_lock(const char *path)
{
	const size_t n = strlen(LOCK_DIRECTORY "/");

	if (strncmp(path, LOCK_DIRECTORY "/", n) != 0)
		return false;
	path += n;
	if (strncmp(path, "held-", 5) == 0)
		path += 5;
	if (strncmp(path, "vault-", 6) != 0)
		return false;
	path += 6;
	path += strspn(path, "0123456789-");
	return strcmp(path, ".lock") == 0;
}

static bool is(const char *path, const char *allowed)
{
	return allowed && strcmp(path, allowed) == 0;
}

static bool may_open(const struct porter *porter, const struct opener_request *request)
{
	const char *path = request->path;
	int flags = request->flags & ~MEANINGLESS;

	if (is_lock(path))
		return flags == O_RDWR || flags == (O_RDWR | O_CREAT);
	if (is(path, porter->qmp_path))
		return flags == O_PATH;
	if (is(path, porter->outlet_lock_path))
		return flags == (O_RDWR | O_CREAT);
	if (is(path, porter->events_path))
		return flags == (O_WRONLY | O_CREAT | O_APPEND);
	if (is(path, porter->ready_path))
		return flags == (O_WRONLY | O_CREAT | O_TRUNC);
	return is(path, porter->policy_path) && flags == O_RDONLY;
}

/* Is it memory that QEMU shares, and no code of its? "map_files/1000-2000" */
static bool is_shared_memory(const struct porter *porter, const char *name)
{
	_cleanup_(fclosep) FILE *maps = NULL;
	uint64_t start, end, from, to;
	char line[4096 + 128], flags[5];
	int fd = openat(porter->process, "maps", O_RDONLY | O_CLOEXEC);

	maps = fd < 0 ? NULL : fdopen(fd, "r");
	if (!maps || sscanf(name, "map_files/%" SCNx64 "-%" SCNx64, &start, &end) != 2)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, flags) == 3 &&
		    from == start && to == end)
			return flags[3] == 's' && flags[2] == '-';
	}
	return false;
}

static int open_process(const struct porter *porter, const char *name, int flags)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

	flags &= ~MEANINGLESS;
	if ((strcmp(name, "maps") == 0 && flags == O_RDONLY) ||
	    (strcmp(name, "mem") == 0 && flags == O_RDWR) ||
	    (strncmp(name, "map_files/", 10) == 0 && n == 9 && flags == O_RDWR &&
	     name[10 + strspn(name + 10, "0123456789abcdef-")] == '\0' &&
	     is_shared_memory(porter, name)))
		return openat(porter->process, name, flags | O_CLOEXEC);
	errno = EACCES;
	return -1;
}

static void read_warrants(struct porter *porter)
{
	char path[sizeof(porter->policy_path)];
	ssize_t n;

	while (porter->warrants >= 0 &&
	       (n = recv(porter->warrants, path, sizeof(path) - 1, MSG_DONTWAIT)) > 0) {
		path[n] = '\0';
		memcpy(porter->policy_path, path, (size_t)n + 1);
	}
}

static int do_open(struct porter *porter, const struct opener_request *request)
{
	size_t n = strlen(porter->process_path);

	if (porter->process >= 0 && strncmp(request->path, porter->process_path, n) == 0)
		return open_process(porter, request->path + n, request->flags);
	read_warrants(porter);
	if (may_open(porter, request))
		return open(request->path, request->flags | O_CLOEXEC, request->mode & 0644);
	errno = EACCES;
	return -1;
}

/* Once: who has it told cannot tell another. */
static int set_process(struct porter *porter, int pid)
{
	if (porter->process >= 0)
		return -EPERM;
	snprintf(porter->process_path, sizeof(porter->process_path), "/proc/%d/", pid);
	porter->process = open(porter->process_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return porter->process < 0 ? -errno : 0;
}

static int obey(struct porter *porter, const struct opener_request *request, int *ret_fd)
{
	switch (request->verb) {
	case OPENER_OPEN:
		*ret_fd = do_open(porter, request);
		return *ret_fd < 0 ? -errno : 0;
	case OPENER_UNLINK:
		if (!is_lock(request->path))
			return -EACCES;
		return unlink(request->path) < 0 ? -errno : 0;
	case OPENER_PROCESS:
		return set_process(porter, request->flags);
	}
	return -EINVAL;
}

static void answer(const struct porter *porter, int r, int fd)
{
	struct opener_answer answer = { .error = -r };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fd))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(fd)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { .iov_base = &answer, .iov_len = sizeof(answer) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	if (sendmsg(porter->fd, &message, MSG_NOSIGNAL) < 0)
		_exit(0); /* the keeper has gone */
}

static void serve(struct porter *porter)
{
	struct opener_request request;
	ssize_t n;

	while ((n = recv(porter->fd, &request, sizeof(request), 0)) > 0 ||
	       (n < 0 && errno == EINTR)) {
		int fd = -1, r = -EINVAL;

		request.path[sizeof(request.path) - 1] = '\0';
		if (n == sizeof(request))
			r = obey(porter, &request, &fd);
		answer(porter, r, fd);
		closep(&fd);
	}
}

/* In the new process: nothing stays open but its sockets and standard error. */
static void be_porter(const struct porter_config *config, int fd)
{
	struct porter porter = {
		.fd = SOCKET_FD,
		.warrants = config->warrants < 0 ? -1 : WARRANTS_FD,
		.qmp_path = config->qmp_path,
		.events_path = config->events_path,
		.outlet_lock_path = config->outlet_lock_path,
		.ready_path = config->ready_path,
		.process = -1,
	};
	char title[16];
	int nowhere, warrants = config->warrants < 0 ? -1 : fcntl(config->warrants, F_DUPFD, 10);

	fd = fcntl(fd, F_DUPFD, 10);
	snprintf(title, sizeof(title), "porter %.8s", config->name);
	prctl(PR_SET_NAME, title);
	snprintf(porter.policy_path, sizeof(porter.policy_path), "%s", config->policy_path);
	signal(SIGINT, SIG_IGN); /* a terminal's is for its keeper */
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (dup2(fd, SOCKET_FD) < 0 || (warrants >= 0 && dup2(warrants, WARRANTS_FD) < 0))
		_exit(1);
	nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(nowhere, STDIN_FILENO);
	dup2(nowhere, STDOUT_FILENO);
	close_range(warrants >= 0 ? WARRANTS_FD + 1 : SOCKET_FD + 1, ~0u, 0);
	sandbox_limit_porter();
	serve(&porter);
	_exit(0);
}

static pid_t started;

int porter_start(int *ret_fd, const struct porter_config *config, struct error *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "socketpair: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		be_porter(config, pair[1]);
	close(pair[1]);
	if (config->warrants >= 0)
		close(config->warrants);
	if (pid < 0) {
		close(pair[0]);
		return error_set(err, -EAGAIN, "no new process: %s", strerror(errno));
	}
	*ret_fd = pair[0];
	started = pid;
	return 0;
}

void porter_stop(int fd)
{
	if (fd < 0)
		return;
	close(fd);
	while (waitpid(started, NULL, 0) < 0 && errno == EINTR)
		;
}

int porter_pid(void)
{
	return started;
}

int porter_set_process(int fd, int pid, struct error *err)
{
	const struct opener_request request = { .verb = OPENER_PROCESS, .flags = pid };
	int passed, r = opener_ask(fd, &request, &passed);

	return r < 0 ? error_set(err, r, "the porter: process %d: %s", pid, strerror(-r)) : 0;
}
