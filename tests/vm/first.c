// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A container's entry point whose very first system call opens a file for writing, before anything of a C library, a
 * loader or a shell has run. If it may, it writes; then it leaves errno (0: it might) in another file, and does what
 * the rest of its words say.
 * usage: first FILE RESULT COMMAND [ARG...]
 * Alone: gcc -O2 -static -nostdlib -ffreestanding -fno-stack-protector -o first first.c
 */
#include <fcntl.h>
#include <sys/syscall.h>

void begin(char **stack) __attribute__((noreturn, used));

__asm__(".globl _start\n"
	"_start: xor %ebp, %ebp\n"
	"mov %rsp, %rdi\n"
	"and $-16, %rsp\n"
	"call begin\n");

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

static long open_file(const char *path, int flags)
{
	return call(SYS_openat, AT_FDCWD, (long)path, flags, 0666);
}

static void leave(const char *path, long error)
{
	char text[] = { (char)('0' + error / 100), (char)('0' + error / 10 % 10),
			(char)('0' + error % 10), '\n' };
	long fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	call(SYS_write, fd, (long)text, sizeof(text), 0);
	call(SYS_close, fd, 0, 0, 0);
}

void begin(char **stack)
{
	char **arguments = stack + 1; /* behind their number, the program's own name first */
	long fd = open_file(arguments[1], O_WRONLY | O_APPEND);

	if (fd >= 0) {
		call(SYS_write, fd, (long)"x\n", 2, 0);
		call(SYS_close, fd, 0, 0, 0);
	}
	leave(arguments[2], fd < 0 ? -fd : 0);
	call(SYS_execve, (long)arguments[3], (long)(arguments + 3), 0, 0);
	for (;;)
		call(SYS_exit_group, 126, 0, 0, 0);
}
