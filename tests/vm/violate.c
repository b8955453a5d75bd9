// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has another process make a system call, as somebody would who has taken it over: stops it where it waits in one, and has it make this
 * one in its place. It is let go at once; what comes of it is not waited for.
 * usage: violate PID NUMBER [ARGUMENT...]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	unsigned long long arguments[3] = { 0 };
	int status, i;
	pid_t pid;

	if (argc < 3)
		return fprintf(stderr, "usage: violate PID NUMBER [ARGUMENT...]\n"), 2;
	pid = atoi(argv[1]);
	for (i = 3; i < argc && i < 6; i++)
		arguments[i - 3] = strtoull(argv[i], NULL, 0);
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return fail("seize");
	/* Until it is met in a system call: its last instruction is the one that makes them. */
	for (;;) {
		if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || waitpid(pid, &status, 0) < 0 ||
		    ptrace(PTRACE_GETREGS, pid, 0, &regs) < 0)
			return fail("interrupt");
		if ((long)regs.orig_rax >= 0)
			break;
		if (ptrace(PTRACE_CONT, pid, 0, 0) < 0)
			return fail("continue");
		usleep(1000);
	}
	regs.rip -= 2;
	regs.rax = strtoull(argv[2], NULL, 0);
	regs.orig_rax = (unsigned long long)-1; /* or the kernel would make the old one again */
	regs.rdi = arguments[0];
	regs.rsi = arguments[1];
	regs.rdx = arguments[2];
	if (ptrace(PTRACE_SETREGS, pid, 0, &regs) < 0 || ptrace(PTRACE_DETACH, pid, 0, 0) < 0)
		return fail("detach");
	return 0;
}
