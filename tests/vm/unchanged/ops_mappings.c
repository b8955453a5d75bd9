// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ops.h"

#define LENGTH (3 * BLOCK)

static sigjmp_buf fault;

static void on_fault(int signal)
{
	siglongjmp(fault, signal);
}

static void catch_faults(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* Touches a mapping, of a file that may be too short for it. The result is the signal, or 0. */
static int write_to(volatile char *at, char value)
{
	int signal = sigsetjmp(fault, 1);

	if (signal)
		return signal;
	catch_faults(on_fault);
	*at = value;
	return 0;
}

static int read_all(const char *map, uint64_t *sum)
{
	int signal = sigsetjmp(fault, 1);

	if (signal)
		return signal;
	catch_faults(on_fault);
	*sum = hash(HASH_START, map, LENGTH);
	return 0;
}

static void use_map(struct worker *w, char *map, bool shared)
{
	unsigned int at = pick(w, LENGTH);
	uint64_t sum = 0;
	int signal;

	tell(w, "store", write_to(map + at, 'm'), "at %u", at);
	if (chance(w, 30)) {
		tell(w, "mprotect", mprotect(map, LENGTH, PROT_READ | PROT_WRITE), "rw");
		tell(w, "store", write_to(map + at, 'p'), "at %u", at);
	}
	if (chance(w, 30))
		tell(w, "msync", msync(map, LENGTH, MS_SYNC), "%u", LENGTH);
	if (chance(w, 10) && shared)
		tell(w, "madvise", madvise(map, BLOCK, MADV_REMOVE), "remove");
	if (chance(w, 10) && !shared)
		tell(w, "madvise", madvise(map, BLOCK, MADV_DONTNEED), "don't need");
	if (chance(w, 10))
		tell(w, "mprotect", mprotect(map, LENGTH, PROT_READ | PROT_EXEC), "rx");
	signal = read_all(map, &sum);
	tell(w, "load", signal, "%016llx", (unsigned long long)sum);
	catch_faults(SIG_DFL);
}

static void map_and_use(struct worker *w, int fd)
{
	static const int protections[] = { PROT_READ, PROT_READ | PROT_WRITE,
					   PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
					   PROT_NONE };
	int protection = pick_one(w, protections);
	bool shared = chance(w, 60);
	off_t at = chance(w, 80) ? 0 : pick(w, 4) * BLOCK;
	char *map;

	map = mmap(NULL, LENGTH, protection, shared ? MAP_SHARED : MAP_PRIVATE, fd, at);
	tell(w, "mmap", map == MAP_FAILED ? -1 : 0, "%s, %#x, at %lld",
	     shared ? "shared" : "private", protection, (long long)at);
	if (map == MAP_FAILED)
		return;
	use_map(w, map, shared);
	munmap(map, LENGTH);
}

static void op_map_slot(struct worker *w)
{
	map_and_use(w, some_fd(w));
}

static void op_map_file(struct worker *w)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_RDWR, O_RDWR | O_CREAT };
	const char *name = file_name(w);
	int how = pick_one(w, flags), fd = open(name, how | O_NONBLOCK, 0644);

	tell(w, "open", opened(fd), "%s, %#o, to map it", name, how);
	if (fd < 0)
		return;
	if (chance(w, 50))
		tell(w, "ftruncate", ftruncate(fd, LENGTH), "%d", LENGTH);
	map_and_use(w, fd);
	close(fd);
}

const struct op ops_mappings[] = {
	{ op_map_slot, 4, false },
	{ op_map_file, 5, false },
	{ 0 },
};
