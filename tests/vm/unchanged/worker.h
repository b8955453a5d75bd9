/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNCHANGED_WORKER_H
#define UNCHANGED_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define N_WORKERS 4
#define N_SLOTS 8
#define BLOCK 4096
#define LARGEST_IO 9000
#define LARGEST_FILE (512 << 10)
#define JOURNAL_SIZE (24 << 20)
#define NOBODY 65534

/* What a process did, in memory that its children share. */
struct journal {
	size_t length;
	char text[JOURNAL_SIZE - sizeof(size_t)];
};

/*
 * A directory where a worker acts. Names below a shared one begin with the worker's prefix, so that what one worker does there
 * cannot change what another one gets; in the common one, which has no prefix, workers take turns.
 */
struct area {
	const char *name;
	int dir;
	char prefix[8];
	bool own;
	int slots[N_SLOTS]; /* open descriptors, or -1 */
};

enum {
	AREA_OWN,
	AREA_SHARED,
	AREA_COMMON,
	N_AREAS
};

struct uring;

struct worker {
	unsigned int number;
	bool privileged; /* started as root and still is */
	struct area areas[N_AREAS];
	struct area *area; /* the one it is in: its working directory */
	uint64_t random;
	unsigned int operation;
	struct journal *journal;
	int proc; /* a descriptor for /proc */
	struct uring *uring;
	bool tried_uring;
	bool watched; /* by itself: a thread of the kernel's that is late to close a file would show */
};

/* Sets the state of the generator: the same seed, the same numbers. */
void random_seed(uint64_t *random, uint64_t seed);
/* From 0 to @n - 1. */
unsigned int pick(struct worker *w, unsigned int n);
/* True in @percent of a hundred cases. */
bool chance(struct worker *w, unsigned int percent);
#define pick_one(w, array) ((array)[pick(w, sizeof(array) / sizeof((array)[0]))])

/*
 * Writes down a call: the worker, the operation's number, the call, its arguments, and @result, or errno's name if that is -1.
 * Nothing that may differ between two runs with the same seed may be told: no pointers, inode numbers, pids, times of day.
 */
long tell(struct worker *w, const char *call, long result, const char *arguments, ...)
	__attribute__((format(printf, 4, 5)));
/* @fd as a result: 0 or -1. */
static inline long opened(int fd)
{
	return fd < 0 ? -1 : 0;
}

/* Paths relative to the area, good until seven more have been asked for. Most exist at some time, some never can. */
const char *file_name(struct worker *w);
const char *dir_name(struct worker *w);
const char *any_name(struct worker *w);
/* The one name of @letter and number below @n in the area's directory itself. */
const char *own_name(struct worker *w, char letter, unsigned int n);

/* A buffer of LARGEST_IO bytes, aligned to a block. fill() puts bytes in it that follow from the generator. */
char *io_buffer(void);
void fill(struct worker *w, char *buffer, size_t size);
uint64_t hash(uint64_t start, const void *bytes, size_t size);
#define HASH_START 0xcbf29ce484222325ull

/* A random slot's descriptor, rarely -1; and a slot that gets @fd, what was there being closed. */
int some_fd(struct worker *w);
void keep_fd(struct worker *w, int fd);

/* Runs @function in a child process and tells how that ended. What the child tells comes before. */
void in_child(struct worker *w, const char *what, void (*function)(struct worker *w));

#endif
