// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guard's way through an open that nobody watches, instruction by instruction: build/guard.o itself is linked in, with fields and vault
 * of our own, and its hook is called by a child that is traced step by step.
 *
 *	hotpath		prints "way NAME", then the offset of each instruction from guard_file_open(), in hexadecimal, one a line
 *
 * Instructions outside of guard.o (the return thunk, the call) are not printed.
 */
#include <asm/prctl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/guard_abi.h"

#define TABLE_PAGE 1024 /* at 4 MiB */
#define TABLE_BITS 10
#define F_INODE 32
#define I_SB 40
#define I_INO 64
#define I_MODE 72
#define F_FLAGS 48
#define F_MODE 52
#define F_PATH 64
#define D_PARENT 8
#define D_INODE 16
#define D_SB 24
#define N_DIRECTORIES 4 /* above the file, the root among them */

/* What the host resolves when it arms: fields are symbols whose value is an offset. */
#define FIELD(name, value) __asm__(".globl \"" name "\"\n.set \"" name "\", " #value)
FIELD("field.file.f_inode", 32);
FIELD("field.inode.i_sb", 40);
FIELD("field.inode.i_ino", 64);
FIELD("field.inode.i_mode", 72);
FIELD("field.file.f_flags", 48);
FIELD("field.file.f_mode", 52);
FIELD("field.super_block.s_magic", 0);
FIELD("field.file.f_path", 64);
FIELD("field.file.f_path.dentry", 72);
FIELD("field.dentry.d_parent", 8);
FIELD("field.dentry.d_inode", 16);
FIELD("field.dentry.d_sb", 24);
FIELD("percpu.current_task", 64);
FIELD("field.task_struct.cred", 8);
FIELD("field.task_struct.real_cred", 16);
__asm__(".pushsection .bss\n.balign 4096\n.globl vault\nvault: .skip 8 << 20\n"
	".globl mailbox\nmailbox: .skip 4 << 20\n.popsection");
__asm__(".pushsection .text\n.globl __x86_return_thunk\n__x86_return_thunk: ret\n.popsection");

extern char vault_bytes[8 << 20] __asm__("vault");
int guard_file_open(void *file);

static char file[256], inode[256], super[64] __attribute__((aligned(64)));
static char dentries[N_DIRECTORIES + 1][64], directories[N_DIRECTORIES][256];
static char task[64], percpu[128];
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

struct way {
	const char *name;
	bool passes; /* the filter has a byte for a file that is watched elsewhere */
	bool collides; /* in the table, too */
	bool writes;
	bool bases; /* there are patterns for changes, elsewhere */
};

static void set_word(uint64_t ino, uint16_t word)
{
	((uint16_t *)(vault_bytes + GUARD_VAULT_FILTER))[GUARD_FILTER_OF_INO(ino)] = word;
}

/* The file's name, and the directories above it up to the root, which nobody watches. */
static void build_names(void)
{
	set_field(file, F_PATH + 8, (uint64_t)dentries[0]);
	for (size_t i = 0; i <= N_DIRECTORIES; i++) {
		char *of = i ? directories[i - 1] : inode;

		set_field(dentries[i], D_INODE, (uint64_t)of);
		set_field(dentries[i], D_SB, (uint64_t)super);
		set_field(dentries[i], D_PARENT, (uint64_t)dentries[i < N_DIRECTORIES ? i + 1 : i]);
		if (!i)
			continue;
		set_field(of, I_SB, (uint64_t)super);
		set_field(of, I_INO, 100 + i);
	}
}

static void build(const struct way *way)
{
	struct guard_vault *vault = (void *)vault_bytes;
	struct guard_entry *entry = place_of((uint64_t)super, 4711);

	set_field(file, F_INODE, (uint64_t)inode);
	set_field(inode, I_SB, (uint64_t)super);
	set_field(inode, I_INO, 4711);
	set_field(inode, I_MODE, 0100644);
	set_field(file, F_FLAGS, way->writes ? 2 | 0x18003ULL << 32 : 0x8001ULL << 32);
	vault_bytes[GUARD_VAULT_CHANGE_FILTER + GUARD_FILTER_OF_SUPER((uint64_t)super)] =
		way->bases ? GUARD_FILTER_SUPERS : 0;
	set_word(4711, way->passes ? GUARD_FILTER_READ_FILES : GUARD_FILTER_PASSES);
	build_names();
	vault->mask = (8 << 20) - 1;
	vault->table = GUARD_TABLE_WORD(TABLE_PAGE, 64 - TABLE_BITS) |
		       (way->bases ? GUARD_TABLE_BASES : 0) | 1ULL << GUARD_TABLE_SEQUENCE_SHIFT;
	memset(entry, 0, sizeof(*entry));
	if (way->collides) {
		entry->key = 4096;
		entry->ino = 1;
	}
}

/* Behind the mark for indirect branches, where a kernel without tracking of these, or one with static calls, enters (arm/hooks.c). */
#define ENDBR64_SIZE 4

static int enter_guard(void *open_file)
{
	int (*enter)(void *) = (void *)((uint64_t)guard_file_open + ENDBR64_SIZE);

	return enter(open_file);
}

static void be_traced(void)
{
	set_field(percpu, 64, (uint64_t)task); /* its own credentials: both are NULL */
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, percpu) < 0)
		_exit(1);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	started = enter_guard(file);
	_exit(started);
}

/* Where guard_file_open() was entered, until it is left for the caller. */
static int step_through(pid_t child)
{
	uint64_t from = (uint64_t)guard_file_open, back = 0;
	struct user_regs_struct registers;
	int status;

	while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
	       waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	       WSTOPSIG(status) == SIGTRAP) {
		ptrace(PTRACE_GETREGS, child, NULL, &registers);
		if (registers.rip == from + ENDBR64_SIZE)
			back = (uint64_t)ptrace(PTRACE_PEEKDATA, child, (void *)registers.rsp,
						NULL);
		if (back && registers.rip == back)
			break;
		if (back)
			printf("%lx\n", (unsigned long)(registers.rip - from));
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && back ? 0 : -1;
}

static int trace(const struct way *way)
{
	pid_t child;

	build(way);
	printf("way %s\n", way->name);
	fflush(stdout);
	child = fork();
	if (child == 0)
		be_traced();
	waitpid(child, NULL, 0);
	return step_through(child);
}

int main(void)
{
	static const struct way ways[] = {
		{ .name = "to read: the filter says that nobody watches it" },
		{ .name = "to read: the filter does not know, the table does", .passes = true },
		{ .name = "..., with another file's entry in its place",
		  .passes = true,
		  .collides = true },
		{ .name = "to write", .writes = true },
		{ .name = "to write: patterns elsewhere, four directories above the file",
		  .writes = true,
		  .bases = true },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (trace(&ways[i]) < 0) {
			fprintf(stderr, "hotpath: the guard did not come back\n");
			return 1;
		}
	return 0;
}
