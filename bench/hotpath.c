// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard's way through an open that nobody watches, instruction by instruction: build/guard.o itself is linked in, with fields and vault
 * of our own, and its hook is called by a child that is traced step by step.
 *
 *	hotpath		prints "way NAME", then the offset of each instruction in guard_file_open(), in hexadecimal, one a line
 *
 * Instructions outside of guard.o (the return thunk, the call) are not printed.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/guard_abi.h"

#define TABLE_PAGE 1024 /* at 4 MiB */
#define TABLE_BITS 10
#define F_INODE 32
#define I_SB 40
#define I_INO 64

/* What the host resolves when it arms: fields are symbols whose value is an offset. */
#define FIELD(name, value) __asm__(".globl \"" name "\"\n.set \"" name "\", " #value)
FIELD("field.file.f_inode", 32);
FIELD("field.inode.i_sb", 40);
FIELD("field.inode.i_ino", 64);
__asm__(".pushsection .bss\n.balign 4096\n.globl vault\nvault: .skip 8 << 20\n"
	".globl mailbox\nmailbox: .skip 4 << 20\n.popsection");
__asm__(".pushsection .text\n.globl __x86_return_thunk\n__x86_return_thunk: ret\n.popsection");

extern char vault_bytes[8 << 20] __asm__("vault");
int guard_file_open(void *file);

static char file[256], inode[256], super[64] __attribute__((aligned(64)));
static volatile int started; /* keeps the child's own instructions apart */

static void set_field(char *structure, size_t at, uint64_t value)
{
	memcpy(structure + at, &value, sizeof(value));
}

static struct guard_entry *place_of(uint64_t key, uint64_t ino)
{
	struct guard_entry *entries = (void *)(vault_bytes + TABLE_PAGE * 4096UL);

	return entries + (GUARD_HASH(key, ino) >> (64 - TABLE_BITS));
}

static void build(bool bases, bool collides)
{
	struct guard_vault *vault = (void *)vault_bytes;
	struct guard_entry *entry = place_of((uint64_t)super, 4711);

	set_field(file, F_INODE, (uint64_t)inode);
	set_field(inode, I_SB, (uint64_t)super);
	set_field(inode, I_INO, 4711);
	vault->mask = (8 << 20) - 1;
	vault->table = GUARD_TABLE_WORD(TABLE_PAGE, 64 - TABLE_BITS) |
		       (bases ? GUARD_TABLE_BASES : 0) | 1ULL << GUARD_TABLE_SEQUENCE_SHIFT;
	memset(entry, 0, sizeof(*entry));
	if (collides) {
		entry->key = 4096;
		entry->ino = 1;
	}
}

static void be_traced(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	started = guard_file_open(file);
	_exit(started);
}

/* Where guard_file_open() was entered, until it is left for the caller. */
static void step_through(pid_t child)
{
	uint64_t from = (uint64_t)guard_file_open, back = 0;
	struct user_regs_struct registers;
	int status;

	while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		if (registers.rip == from)
			back = (uint64_t)ptrace(PTRACE_PEEKDATA, child, (void *)registers.rsp,
						NULL);
		if (back && registers.rip == back)
			break;
		if (back)
			printf("%lx\n", (unsigned long)(registers.rip - from));
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void trace(const char *name, bool bases, bool collides)
{
	pid_t child;

	build(bases, collides);
	printf("way %s\n", name);
	fflush(stdout);
	child = fork();
	if (child == 0)
		be_traced();
	waitpid(child, NULL, 0);
	step_through(child);
}

int main(void)
{
	trace("nothing near", false, false);
	trace("another file's entry in its place", false, true);
	trace("patterns or layers elsewhere", true, false);
	return 0;
}
