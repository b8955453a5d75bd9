// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hundreds of containers in a test's guest, made the way a runtime makes them but without an engine: a cgroup with
 * an engine's name, name spaces, an overlay over one shared lower directory, pivot_root, and then a program that
 * opens a watched file as the first thing it does. A server in the guest keeps them and takes commands:
 *
 *	scale serve DIR FILES		in the background; DIR gets everything, FILES is how many files /watched holds
 *	scale slow DIR			in the background: looking anything up in containers' /slow takes as long as
 *					DIR/hold is there; then there is nothing. DIR/held: somebody waits
 *	scale ask DIR COMMAND...
 *		start FIRST LAST [SIDE_BY_SIDE] [disk]	a line for each: number, result of its first open, us of
 *					its whole start, us of them in pivot_root. `disk`: not on tmpfs
 *		stop FIRST LAST
 *		list			a line for each: number, id, pid
 *		do FIRST LAST OP PATH	in each; prints how many had which result
 *		race FIRST LAST PAUSE_US OLD NEW	see race()
 *		rest FIRST LAST		ends it; prints what came of it, added up
 *		quit
 *
 * Operations: write (opened for writing), read, unlink, create, mkdir, all (every file of a directory is opened for
 * writing: how many were refused), reuse (a file is deleted, others are made until one has its inode number; that
 * one is opened for writing).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONTAINERS 4096
#define ID_SIZE 65
#define LINE_SIZE 512
#define FIRST_FILE "/watched/f000"
#define CONTROL_FD 3
#define PATIENCE_MS 1200000 /* who does not answer by then is dead; a slow machine is no reason */
#define MAX_REUSE 20000

enum operation {
	OP_WRITE,
	OP_READ,
	OP_UNLINK,
	OP_CREATE,
	OP_MKDIR,
	OP_ALL,
	OP_REUSE,
	OP_RACE,
	OP_REST,
	N_OPERATIONS,
};

static const char *const operation_names[N_OPERATIONS] = {
	"write", "read", "unlink", "create", "mkdir", "all", "reuse", "race", "rest",
};

struct request {
	uint32_t operation, pause_us;
	char path[128], other[128];
};

struct reply {
	int32_t error; /* errno, or 0 */
	uint32_t number; /* what it means, the operation says */
	uint64_t rounds, old, new, gaps; /* of a race */
	uint64_t at_ns, pivot_us; /* of a start */
};

struct container {
	char id[ID_SIZE], cgroup[160];
	unsigned int life; /* how many had this number before */
	pid_t pid; /* 0: not running */
	int fd;
	bool disk;
	uint64_t cloned_ns;
};

static struct container containers[MAX_CONTAINERS];
static const char *directory;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "scale: %s: %s\n", what, strerror(errno));
	_exit(1);
}

/* --- inside a container ------------------------------------------------------------------------------------------- */

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static uint64_t inode_of(const char *path)
{
	struct stat stat;

	return lstat(path, &stat) < 0 ? 0 : stat.st_ino;
}

static struct reply open_all(const char *path)
{
	struct reply reply = { 0 };
	DIR *all = opendir(path);
	struct dirent *entry;

	if (!all)
		return (struct reply){ .error = errno };
	while ((entry = readdir(all))) {
		char name[LINE_SIZE];
		int error;

		if (entry->d_type != DT_REG)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		error = try_open(name, O_WRONLY);
		if (error == EPERM)
			reply.number++;
		else if (error)
			reply.error = error;
	}
	closedir(all);
	return reply;
}

/* The others stay until the right one is there, or each would get the same number. */
static struct reply reuse(const char *path)
{
	uint64_t inode = inode_of(path);
	struct reply reply = { .error = ENOENT };
	char name[LINE_SIZE];
	unsigned int n;

	if (!inode || unlink(path) < 0)
		return (struct reply){ .error = errno };
	for (n = 0; n < MAX_REUSE; n++) {
		snprintf(name, sizeof(name), "%s.%u", path, n);
		reply.error = try_open(name, O_RDONLY | O_CREAT | O_EXCL);
		if (reply.error || inode_of(name) == inode)
			break;
	}
	if (n < MAX_REUSE && !reply.error) {
		reply.number = 1; /* it has been found */
		reply.error = try_open(name, O_WRONLY);
	}
	for (unsigned int i = 0; i <= n && i < MAX_REUSE; i++) {
		snprintf(name, sizeof(name), "%s.%u", path, i);
		unlink(name);
	}
	return reply;
}

static struct reply run(const struct request *request)
{
	struct reply reply = { 0 };

	switch (request->operation) {
	case OP_WRITE:
		reply.error = try_open(request->path, O_WRONLY);
		break;
	case OP_READ:
		reply.error = try_open(request->path, O_RDONLY);
		break;
	case OP_UNLINK:
		reply.error = unlink(request->path) < 0 ? errno : 0;
		break;
	case OP_CREATE:
		reply.error = try_open(request->path, O_WRONLY | O_CREAT | O_EXCL);
		break;
	case OP_MKDIR:
		reply.error = mkdir(request->path, 0700) < 0 ? errno : 0;
		break;
	case OP_ALL:
		return open_all(request->path);
	case OP_REUSE:
		return reuse(request->path);
	}
	return reply;
}

/*
 * A policy that refuses one path is about to be followed by one that refuses another. Once the old path can be
 * written, the new one must be refused already, or there was a moment with neither.
 */
static void race(const struct request *request, struct reply *sum)
{
	int old = try_open(request->path, O_WRONLY), new;

	sum->rounds++;
	if (old == EPERM) {
		sum->old++;
		return;
	}
	new = try_open(request->other, O_WRONLY);
	if (new == EPERM)
		sum->new ++;
	else
		sum->gaps++;
	if (old || (new &&new != EPERM))
		sum->error = old ? old : new;
}

/* Races on, until the next request is there. */
static void race_until_asked(const struct request *request, struct reply *sum)
{
	struct pollfd asked = { .fd = CONTROL_FD, .events = POLLIN };
	struct timespec pause = { request->pause_us / 1000000, request->pause_us % 1000000 * 1000 };

	while (ppoll(&asked, 1, &pause, NULL) == 0)
		race(request, sum);
}

/* The entry point. Its first act comes before anything else. */
static int entry(char **argv)
{
	struct reply reply = { .error = try_open(FIRST_FILE, O_WRONLY) }, sum = { 0 };
	struct request request;

	reply.at_ns = now_ns();
	reply.pivot_us = strtoull(argv[1], NULL, 10);
	for (;;) {
		if (send(CONTROL_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0 ||
		    recv(CONTROL_FD, &request, sizeof(request), 0) != sizeof(request))
			return 0;
		reply = (struct reply){ 0 };
		if (request.operation == OP_RACE) {
			const struct request race_request = request;

			sum = (struct reply){ 0 };
			send(CONTROL_FD, &reply, sizeof(reply), MSG_NOSIGNAL);
			race_until_asked(&race_request, &sum);
			if (recv(CONTROL_FD, &request, sizeof(request), 0) != sizeof(request))
				return 0;
			race(&race_request, &sum); /* each has looked at the end */
		}
		reply = request.operation == OP_REST ? sum : run(&request);
	}
}

/* --- making one --------------------------------------------------------------------------------------------------- */

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die(path);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* DIR/PLACE/NUMBER/NAME */
static const char *place(char buf[LINE_SIZE], const struct container *container, const char *name)
{
	snprintf(buf, LINE_SIZE, "%s/%s/%d%s", directory, container->disk ? "disk" : "memory",
		 (int)(container - containers), name);
	return buf;
}

/* What the runtime does in the container's own name spaces, before it hands over. */
static void become(const struct container *container)
{
	char root[LINE_SIZE], data[LINE_SIZE], options[2 * LINE_SIZE], upper[LINE_SIZE],
		work[LINE_SIZE], volume[LINE_SIZE], slow[LINE_SIZE], from[LINE_SIZE], text[32];
	uint64_t started;

	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s,workdir=%s", directory,
		 place(upper, container, "/upper"), place(work, container, "/work"));
	place(root, container, "/root");
	snprintf(slow, sizeof(slow), "%.500s/slow", root);
	snprintf(from, sizeof(from), "%s/slow", directory);
	snprintf(data, sizeof(data), "%.500s/data", root);
	snprintf(volume, sizeof(volume), "%s/volumes/%d", directory, (int)(container - containers));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("overlay", root, "overlay", 0, options) < 0 ||
	    mount(volume, data, NULL, MS_BIND, NULL) < 0 ||
	    mount(from, slow, NULL, MS_BIND, NULL) < 0 || chdir(root) < 0)
		die("mounts");
	started = now_ns();
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		die("pivot_root");
	snprintf(text, sizeof(text), "%" PRIu64, (now_ns() - started) / 1000);
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 || sethostname(container->id, 12) < 0)
		die("the new root");
	execl("/entry", "entry", text, NULL);
	die("/entry");
}

/* Not the same from life to life, as with an engine: 64 hexadecimal digits. */
static void make_id(struct container *container)
{
	uint64_t x = (uint64_t)(container - containers) << 32 | container->life++;

	for (unsigned int i = 0; i < 4; i++) {
		x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9ULL + 0x9e3779b97f4a7c15ULL;
		snprintf(container->id + 16 * i, 17, "%016" PRIx64, x);
	}
	snprintf(container->cgroup, sizeof(container->cgroup),
		 (container - containers) % 2 ? "/sys/fs/cgroup/machine.slice/libpod-%s.scope"
					      : "/sys/fs/cgroup/system.slice/docker-%s.scope",
		 container->id);
}

static void prepare(struct container *container, bool disk)
{
	char path[LINE_SIZE];

	container->disk = disk;
	make_id(container);
	make_directory(container->cgroup);
	make_directory(place(path, container, ""));
	make_directory(place(path, container, "/upper"));
	make_directory(place(path, container, "/upper/own"));
	write_text(place(path, container, "/upper/own/file"), "upper\n");
	make_directory(place(path, container, "/work"));
	make_directory(place(path, container, "/root"));
	snprintf(path, sizeof(path), "%s/volumes/%d", directory, (int)(container - containers));
	make_directory(path);
	strcat(path, "/file");
	write_text(path, "volume\n");
}

static void start(struct container *container)
{
	const int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD;
	char path[256], text[16];
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	container->cloned_ns = now_ns();
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		char go;

		if (recv(pair[1], &go, 1, 0) != 1) /* it is in its cgroup */
			_exit(1);
		if (pair[1] != CONTROL_FD)
			dup2(pair[1], CONTROL_FD);
		fcntl(CONTROL_FD, F_SETFD, 0);
		become(container);
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", container->cgroup);
	snprintf(text, sizeof(text), "%d", pid);
	write_text(path, text);
	if (send(pair[0], "g", 1, MSG_NOSIGNAL) != 1)
		die("the new process");
	close(pair[1]);
	container->pid = pid;
	container->fd = pair[0];
}

/* --- the server's commands ---------------------------------------------------------------------------------------- */

struct range {
	struct container *first, *end;
};

static void stop_one(struct container *container)
{
	if (!container->pid)
		return;
	kill(container->pid, SIGKILL);
	waitpid(container->pid, NULL, 0);
	close(container->fd);
	container->pid = 0;
	rmdir(container->cgroup);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static bool stop_range(struct range range)
{
	char path[LINE_SIZE];

	for (struct container *c = range.first; c < range.end; c++) {
		if (!c->pid)
			continue;
		stop_one(c);
		if (nftw(place(path, c, ""), remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
			return false;
	}
	return true;
}

static bool receive(struct container *container, struct reply *reply)
{
	struct pollfd ready = { .fd = container->fd, .events = POLLIN };

	return poll(&ready, 1, PATIENCE_MS) == 1 &&
	       recv(container->fd, reply, sizeof(*reply), 0) == sizeof(*reply);
}

static bool await_start(struct container *container, FILE *out)
{
	struct reply reply;

	if (!receive(container, &reply)) {
		fprintf(out, "%d died\n", (int)(container - containers));
		stop_one(container);
		return false;
	}
	fprintf(out, "%d %s %" PRIu64 " %" PRIu64 "\n", (int)(container - containers),
		reply.error ? strerrorname_np(reply.error) : "0",
		(reply.at_ns - container->cloned_ns) / 1000, reply.pivot_us);
	return true;
}

/* The first that were started are the first that are waited for: never more than @side_by_side are on their way. */
static bool start_range(struct range range, unsigned int side_by_side, bool disk, FILE *out)
{
	struct container *oldest = range.first;
	bool all = true;

	for (struct container *c = range.first; c < range.end; c++) {
		if (!c->pid)
			prepare(c, disk);
	}
	for (struct container *c = range.first; c < range.end; c++) {
		if (c >= oldest + side_by_side)
			all &= await_start(oldest++, out);
		start(c);
	}
	while (oldest < range.end)
		all &= await_start(oldest++, out);
	return all;
}

struct tally {
	struct {
		struct reply reply;
		unsigned int n;
	} kind[32];
	size_t n_kinds;
	struct reply sum;
};

static void count(struct tally *tally, const struct reply *reply)
{
	size_t i = 0;

	tally->sum.rounds += reply->rounds;
	tally->sum.old += reply->old;
	tally->sum.new += reply->new;
	tally->sum.gaps += reply->gaps;
	while (i < tally->n_kinds && (tally->kind[i].reply.error != reply->error ||
				      tally->kind[i].reply.number != reply->number))
		i++;
	if (i == sizeof(tally->kind) / sizeof(tally->kind[0]))
		i--;
	if (i == tally->n_kinds)
		tally->kind[tally->n_kinds++].reply = *reply;
	tally->kind[i].n++;
}

static void print_tally(const struct tally *tally, enum operation operation, FILE *out)
{
	if (operation == OP_REST)
		fprintf(out,
			"rounds %" PRIu64 " old %" PRIu64 " new %" PRIu64 " gaps %" PRIu64 "\n",
			tally->sum.rounds, tally->sum.old, tally->sum.new, tally->sum.gaps);
	for (size_t i = 0; i < tally->n_kinds; i++) {
		const struct reply *reply = &tally->kind[i].reply;

		fprintf(out, "%u %s", tally->kind[i].n,
			reply->error ? strerrorname_np(reply->error) : "0");
		if (operation == OP_ALL || operation == OP_REUSE)
			fprintf(out, " %u", reply->number);
		fputc('\n', out);
	}
}

/* Asks all at once, then hears them. */
static bool ask_range(struct range range, const struct request *request, FILE *out)
{
	struct tally tally = { 0 };
	struct reply reply;
	bool all = true;

	for (struct container *c = range.first; c < range.end; c++) {
		if (c->pid && send(c->fd, request, sizeof(*request), MSG_NOSIGNAL) < 0)
			all = false;
	}
	for (struct container *c = range.first; c < range.end; c++) {
		if (c->pid && receive(c, &reply))
			count(&tally, &reply);
		else
			all = false;
	}
	print_tally(&tally, (enum operation)request->operation, out);
	return all;
}

static void list(FILE *out)
{
	for (int i = 0; i < MAX_CONTAINERS; i++) {
		if (containers[i].pid)
			fprintf(out, "%d %s %d\n", i, containers[i].id, containers[i].pid);
	}
}

static bool find_operation(const char *name, uint32_t *ret)
{
	for (uint32_t i = 0; i < N_OPERATIONS; i++) {
		if (strcmp(operation_names[i], name) == 0) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool ask_words(struct range range, char **words, size_t n, FILE *out)
{
	struct request request = { 0 };
	size_t at = 3;

	if (strcmp(words[0], "do") == 0 && n == 5) {
		at = 4;
	} else if (strcmp(words[0], "race") == 0 && n == 6) {
		request.pause_us = (uint32_t)strtoul(words[3], NULL, 10);
		snprintf(request.other, sizeof(request.other), "%s", words[5]);
		at = 4;
	} else if (strcmp(words[0], "rest") != 0 || n != 3) {
		return false;
	}
	if (!find_operation(words[0][0] == 'd' ? words[3] : words[0], &request.operation))
		return false;
	if (at < n)
		snprintf(request.path, sizeof(request.path), "%s", words[at]);
	return ask_range(range, &request, out);
}

static bool command(char **words, size_t n, FILE *out)
{
	struct range range;

	if (n == 1 && strcmp(words[0], "list") == 0) {
		list(out);
		return true;
	}
	if (n < 3)
		return false;
	range.first = containers + strtoul(words[1], NULL, 10) % MAX_CONTAINERS;
	range.end = containers + strtoul(words[2], NULL, 10) % MAX_CONTAINERS + 1;
	if (strcmp(words[0], "start") == 0)
		return start_range(range, n > 3 ? (unsigned int)strtoul(words[3], NULL, 10) : 1,
				   n > 4 && strcmp(words[4], "disk") == 0, out);
	if (strcmp(words[0], "stop") == 0)
		return stop_range(range);
	return ask_words(range, words, n, out);
}

/* Returns whether to go on. */
static bool serve_one(int fd)
{
	char line[LINE_SIZE] = "", *words[8], *rest;
	ssize_t size = recv(fd, line, sizeof(line) - 1, 0);
	size_t n = 0;
	FILE *out = fdopen(fd, "w");

	if (!out || size <= 0)
		die("a command");
	for (char *word = strtok_r(line, " ", &rest); word && n < 8;
	     word = strtok_r(NULL, " ", &rest))
		words[n++] = word;
	if (n == 1 && strcmp(words[0], "quit") == 0) {
		stop_range((struct range){ containers, containers + MAX_CONTAINERS });
		fputs("ok\n", out);
		fclose(out);
		return false;
	}
	fputs(n && command(words, n, out) ? "ok\n" : "failed\n", out);
	fclose(out);
	return true;
}

/* --- a slow file system ------------------------------------------------------------------------------------------- */

static void reply_fuse(int fuse, uint64_t unique, int error, const void *body, size_t size)
{
	struct {
		struct fuse_out_header header;
		char body[256];
	} reply = { .header = { .len = (uint32_t)(sizeof(reply.header) + size),
				.error = -error,
				.unique = unique } };

	if (size)
		memcpy(reply.body, body, size);
	if (write(fuse, &reply, reply.header.len) < 0 && errno != ENOENT)
		die("/dev/fuse");
}

static void hold(const char *at)
{
	char path[LINE_SIZE], held[LINE_SIZE];

	snprintf(path, sizeof(path), "%s/hold", at);
	snprintf(held, sizeof(held), "%s/held", at);
	while (access(path, F_OK) == 0) {
		write_text(held, "");
		usleep(10000);
	}
	unlink(held);
}

static void serve_fuse(int fuse, const char *at)
{
	static _Alignas(8) char request[FUSE_MIN_READ_BUFFER + 65536];
	const struct fuse_in_header *in = (const void *)request;
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = FUSE_KERNEL_MINOR_VERSION,
					    .max_write = 4096 };
	const struct fuse_attr_out root = {
		.attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 }
	};

	for (;;) {
		if (read(fuse, request, sizeof(request)) < (ssize_t)sizeof(*in)) {
			if (errno == ENODEV)
				return; /* unmounted */
		} else if (in->opcode == FUSE_INIT) {
			reply_fuse(fuse, in->unique, 0, &init, sizeof(init));
		} else if (in->opcode == FUSE_GETATTR) {
			reply_fuse(fuse, in->unique, 0, &root, sizeof(root));
		} else if (in->opcode == FUSE_LOOKUP) {
			hold(at);
			reply_fuse(fuse, in->unique, ENOENT, NULL, 0);
		} else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET &&
			   in->opcode != FUSE_INTERRUPT) {
			reply_fuse(fuse, in->unique, ENOSYS, NULL, 0);
		}
	}
}

static int slow(const char *at)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char path[LINE_SIZE], options[64];

	snprintf(path, sizeof(path), "%s/slow", at);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (fuse < 0 || mount("scale", path, "fuse", 0, options) < 0)
		die(path);
	if (daemon(0, 0) < 0)
		die("daemon");
	serve_fuse(fuse, at);
	return 0;
}

/* --- server and client -------------------------------------------------------------------------------------------- */

static void make_lower(unsigned int n_files)
{
	char path[LINE_SIZE], command_line[2 * LINE_SIZE];

	snprintf(path, sizeof(path), "%s/lower", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/lower/data", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/lower/slow", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/lower/watched", directory);
	make_directory(path);
	for (unsigned int i = 0; i < n_files; i++) {
		snprintf(path, sizeof(path), "%s/lower/watched/f%03u", directory, i);
		write_text(path, "lower\n");
	}
	snprintf(command_line, sizeof(command_line), "cp /proc/%d/exe %s/lower/entry", getpid(),
		 directory);
	if (system(command_line) != 0)
		die("the entry point");
}

static void make_places(unsigned int n_files)
{
	char path[LINE_SIZE];

	make_directory(directory);
	make_lower(n_files);
	snprintf(path, sizeof(path), "%s/disk", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/volumes", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/slow", directory);
	make_directory(path);
	snprintf(path, sizeof(path), "%s/memory", directory);
	make_directory(path);
	if (mount("scale", path, "tmpfs", 0, NULL) < 0)
		die(path);
	make_directory("/sys/fs/cgroup/machine.slice");
}

static struct sockaddr_un address_of(const char *at)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", at);
	return address;
}

static int serve(const char *at, unsigned int n_files)
{
	struct rlimit files = { 8192, 8192 };
	struct sockaddr_un address = address_of(at);
	int fd;

	directory = at;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("RLIMIT_NOFILE");
	make_places(n_files);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 16) < 0)
		die(address.sun_path);
	if (daemon(0, 0) < 0) /* who asks from now on is heard */
		die("daemon");
	for (bool more = true; more;) {
		int asked = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (asked >= 0)
			more = serve_one(asked);
	}
	return 0;
}

static int ask(const char *at, char **words)
{
	struct sockaddr_un address = address_of(at);
	char line[LINE_SIZE] = "", last[LINE_SIZE] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *in;

	for (; *words; words++) {
		strncat(line, *words, sizeof(line) - strlen(line) - 1);
		strncat(line, " ", sizeof(line) - strlen(line) - 1);
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(fd, line, strlen(line), 0) < 0)
		die(address.sun_path);
	in = fdopen(fd, "r");
	while (in && fgets(line, sizeof(line), in)) {
		fputs(last, stdout);
		memcpy(last, line, sizeof(last));
	}
	if (strcmp(last, "ok\n") == 0)
		return 0;
	fputs(last, stdout);
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];

	if (argc == 2 && strcmp(name, "entry") == 0)
		return entry(argv);
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], (unsigned int)strtoul(argv[3], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "slow") == 0)
		return slow(argv[2]);
	if (argc > 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv + 3);
	fprintf(stderr, "usage: scale serve DIR FILES | scale slow DIR | scale ask DIR "
			"COMMAND...\n");
	return 2;
}
