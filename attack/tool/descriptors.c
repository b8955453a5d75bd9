// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors that somebody else has opened, and memory that somebody else has. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

static int send_descriptor(int to, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec byte = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control.room) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(to, &message, 0) < 0 ? fail("sendmsg") : 0;
}

/* serve FILE SOCKET: opens the file for writing, and gives the descriptor to whoever comes. Does not end. */
static int serve(int n, char **args)
{
	struct sockaddr_un address = address_of(args[1]);
	int fd = open(args[0], O_RDWR), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)n;
	if (fd < 0)
		return fail("open");
	unlink(args[1]);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 4) < 0)
		return fail("bind");
	for (;;) {
		int peer = accept(listener, NULL, NULL);

		send_descriptor(peer, fd);
		close(peer);
	}
}

/* take SOCKET: receives one, and writes by it. */
static int take(int n, char **args)
{
	struct sockaddr_un address = address_of(args[0]);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte;
	struct iovec vector = { &byte, 1 };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control.room) };
	int fd, from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)n;
	if (connect(from, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    recvmsg(from, &message, 0) < 0)
		return fail("recvmsg");
	if (!CMSG_FIRSTHDR(&message) || message.msg_flags & MSG_CTRUNC)
		return errno = EPERM, fail("no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return deface(fd);
}

/* getfd PID FD: pidfd_getfd(2), and writes by it. */
static int getfd(int n, char **args)
{
	int process = (int)syscall(SYS_pidfd_open, atoi(args[0]), 0), fd;

	(void)n;
	if (process < 0)
		return fail("pidfd_open");
	fd = (int)syscall(SYS_pidfd_getfd, process, atoi(args[1]), 0);
	return fd < 0 ? fail("pidfd_getfd") : deface(fd);
}

static int attach(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		return -1;
	return waitpid(pid, &status, __WALL) < 0 ? -1 : 0;
}

/* Lets the stopped process make one system call, at its own next instruction. */
static long remote_call(pid_t pid, struct user_regs_struct regs)
{
	long text = ptrace(PTRACE_PEEKTEXT, pid, regs.rip, 0);
	int status;

	ptrace(PTRACE_POKETEXT, pid, regs.rip, (text & ~0xffffL) | 0x050f);
	regs.orig_rax = -1ULL;
	ptrace(PTRACE_SETREGS, pid, 0, &regs);
	ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	ptrace(PTRACE_GETREGS, pid, 0, &regs);
	ptrace(PTRACE_POKETEXT, pid, regs.rip - 2, text);
	return (long)regs.rax;
}

/* inject PID FILE: the other process opens the file for writing, and writes. */
static int inject(int n, char **args)
{
	pid_t pid = atoi(args[0]);
	struct user_regs_struct saved, regs;
	char name[256] = { 0 };
	long fd, r;

	(void)n;
	if (attach(pid) < 0 || ptrace(PTRACE_GETREGS, pid, 0, &saved) < 0)
		return fail("ptrace");
	snprintf(name, sizeof(name), "%s", args[1]);
	regs = saved;
	regs.rdi = (saved.rsp - 4096) & ~15ULL;
	for (size_t i = 0; i < strlen(name) + 1; i += 8)
		ptrace(PTRACE_POKEDATA, pid, regs.rdi + i, *(long *)(void *)(name + i));
	regs.rax = SYS_open;
	regs.rsi = O_WRONLY | O_APPEND;
	fd = remote_call(pid, regs);
	regs.rax = SYS_write;
	regs.rsi = regs.rdi;
	regs.rdi = (unsigned long)fd;
	regs.rdx = strlen(name);
	r = fd < 0 ? fd : remote_call(pid, regs);
	ptrace(PTRACE_SETREGS, pid, 0, &saved);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	errno = r < 0 ? (int)-r : 0;
	return r < 0 ? fail("open in the other process") : 0;
}

/* Where a process keeps the first word of its environment: writing there shows in /proc/PID/environ, and hurts nobody. */
static unsigned long environment_of(const char *pid)
{
	char path[64], line[2048];
	const char *fields;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	stat = fopen(path, "re");
	if (!stat || !fgets(line, sizeof(line), stat))
		return 0;
	fields = strrchr(line, ')') + 2;
	for (int field = 3; fields && field < 50; field++) {
		fields = strchr(fields, ' ');
		fields = fields ? fields + 1 : NULL;
	}
	return fields ? strtoul(fields, NULL, 10) : 0;
}

static int vm_write(int n, char **args)
{
	struct iovec own = { (char[]){ "X" }, 1 }, other = { (void *)environment_of(args[0]), 1 };

	(void)n;
	return process_vm_writev(atoi(args[0]), &own, 1, &other, 1, 0) == 1 ? 0
									    : fail("process_vm_"
										   "writev");
}

static int mem_write(int n, char **args)
{
	char path[64];
	int fd;

	(void)n;
	snprintf(path, sizeof(path), "/proc/%s/mem", args[0]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail("open of /proc/PID/mem");
	return pwrite(fd, "X", 1, (off_t)environment_of(args[0])) == 1 ? 0 : fail("pwrite");
}

static int poke(int n, char **args)
{
	pid_t pid = atoi(args[0]);
	unsigned long at = environment_of(args[0]) & ~7UL;
	long old;

	(void)n;
	if (attach(pid) < 0)
		return fail("ptrace");
	at += 8;
	old = ptrace(PTRACE_PEEKDATA, pid, at, 0);
	ptrace(PTRACE_POKEDATA, pid, at, (old & ~0xffL) | 'X');
	return ptrace(PTRACE_DETACH, pid, 0, 0) < 0 ? fail("PTRACE_DETACH") : 0;
}

/* open-and-wait FILE READY: has it open for appending; at the first line on its input it writes, and ends. */
static int open_and_wait(int n, char **args)
{
	int fd = open(args[0], O_WRONLY | O_APPEND | O_CLOEXEC), ready;

	(void)n;
	if (fd < 0)
		return fail("open");
	ready = open(args[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (ready < 0)
		return fail("open");
	for (;;) {
		signal(SIGUSR1, SIG_IGN);
		sleep(1000);
	}
}

const struct verb descriptor_verbs[] = {
	{ "serve", 2, serve },	     { "take", 1, take },
	{ "getfd", 2, getfd },	     { "inject", 2, inject },
	{ "vm-write", 1, vm_write }, { "mem-write", 1, mem_write },
	{ "poke", 1, poke },	     { "open-and-wait", 2, open_and_wait },
	{ NULL, 0, NULL },
};
