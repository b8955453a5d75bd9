// SPDX-License-Identifier: GPL-2.0-or-later
/* io_uring, which no system-call filter sees by its operations: with its calls alone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool.h"

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *queues;
	struct io_uring_sqe *sqes;
};

static unsigned int *word(const struct ring *ring, unsigned int offset)
{
	return (unsigned int *)(void *)(ring->queues + offset);
}

static int ring_open(struct ring *ring)
{
	const int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;

	memset(ring, 0, sizeof(*ring));
	ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		return fail("io_uring_setup");
	ring->queues = mmap(NULL, 4096, protection, flags, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, 4096, protection, flags, ring->fd, IORING_OFF_SQES);
	return ring->queues == MAP_FAILED || (void *)ring->sqes == MAP_FAILED ? fail("mmap") : 0;
}

/* One request, taken by a worker thread (IOSQE_ASYNC); its result, or -1 with errno. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_sqring_offsets *sq = &ring->params.sq_off;
	const struct io_cqring_offsets *cq = &ring->params.cq_off;
	unsigned int tail = *word(ring, sq->tail), head = *word(ring, cq->head);
	const struct io_uring_cqe *cqe;
	int result;

	ring->sqes[tail & 3] = *sqe;
	ring->sqes[tail & 3].flags |= IOSQE_ASYNC;
	word(ring, sq->array)[tail & 3] = tail & 3;
	__atomic_store_n(word(ring, sq->tail), tail + 1, __ATOMIC_SEQ_CST);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	cqe = (const struct io_uring_cqe *)(void *)(ring->queues + cq->cqes);
	result = cqe[head & *word(ring, cq->ring_mask)].res;
	__atomic_store_n(word(ring, cq->head), head + 1, __ATOMIC_RELEASE);
	if (result < 0)
		errno = -result;
	return result < 0 ? -1 : result;
}

static int do_one(const struct io_uring_sqe *sqe, const char *what)
{
	struct ring ring;
	int r = ring_open(&ring);

	return r ? r : ring_do(&ring, sqe) < 0 ? fail(what) : 0;
}

static int uring_write(int n, char **args)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT,
				    .fd = AT_FDCWD,
				    .addr = (uintptr_t)args[0],
				    .open_flags = O_WRONLY | O_TRUNC };
	struct ring ring;
	int r = ring_open(&ring), fd;

	(void)n;
	if (r)
		return r;
	fd = ring_do(&ring, &sqe);
	if (fd < 0)
		return fail("IORING_OP_OPENAT");
	sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_WRITE, .fd = fd, .len = 8, .addr = (uintptr_t) "defaced\n"
	};
	return ring_do(&ring, &sqe) < 0 ? fail("IORING_OP_WRITE") : 0;
}

static int uring_two(uint8_t opcode, char **args, const char *what)
{
	const struct io_uring_sqe sqe = { .opcode = opcode,
					  .fd = AT_FDCWD,
					  .addr = (uintptr_t)args[0],
					  .len = (uint32_t)AT_FDCWD,
					  .addr2 = (uintptr_t)args[1] };

	return do_one(&sqe, what);
}

static int uring_rename(int n, char **args)
{
	(void)n;
	return uring_two(IORING_OP_RENAMEAT, args, "IORING_OP_RENAMEAT");
}

static int uring_link(int n, char **args)
{
	(void)n;
	return uring_two(IORING_OP_LINKAT, args, "IORING_OP_LINKAT");
}

static int uring_unlink(int n, char **args)
{
	const struct io_uring_sqe sqe = { .opcode = IORING_OP_UNLINKAT,
					  .fd = AT_FDCWD,
					  .addr = (uintptr_t)args[0] };

	(void)n;
	return do_one(&sqe, "IORING_OP_UNLINKAT");
}

/* A file goes into the ring's own table, so that no descriptor shows it, and is written from there. */
static int uring_fixed(int n, char **args)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT,
				    .fd = AT_FDCWD,
				    .addr = (uintptr_t)args[0],
				    .open_flags = O_WRONLY,
				    .file_index = 1 };
	int none[4] = { -1, -1, -1, -1 };
	struct ring ring;
	int r = ring_open(&ring);

	(void)n;
	if (r)
		return r;
	if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, none, 4) < 0)
		return fail("IORING_REGISTER_FILES");
	if (ring_do(&ring, &sqe) < 0)
		return fail("IORING_OP_OPENAT");
	sqe = (struct io_uring_sqe){ .opcode = IORING_OP_WRITE,
				     .fd = 0,
				     .len = 8,
				     .flags = IOSQE_FIXED_FILE,
				     .addr = (uintptr_t) "defaced\n" };
	return ring_do(&ring, &sqe) < 0 ? fail("IORING_OP_WRITE") : 0;
}

const struct verb uring_verbs[] = {
	{ "uring-write", 1, uring_write }, { "uring-rename", 2, uring_rename },
	{ "uring-link", 2, uring_link },   { "uring-unlink", 1, uring_unlink },
	{ "uring-fixed", 1, uring_fixed }, { NULL, 0, NULL },
};
