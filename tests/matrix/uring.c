// SPDX-License-Identifier: GPL-2.0-or-later
/* io_uring by its system calls. */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "matrix.h"

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *queues; /* of submissions and of completions */
	struct io_uring_sqe *sqes;
};

static unsigned int *word(const struct ring *ring, unsigned int offset)
{
	return (unsigned int *)(void *)(ring->queues + offset);
}

static int ring_open(struct ring *ring, bool polled)
{
	const int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
	int no_files[4] = { -1, -1, -1, -1 };

	memset(ring, 0, sizeof(*ring));
	if (polled)
		ring->params.flags = IORING_SETUP_SQPOLL;
	ring->params.sq_thread_idle = 100;
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0)
		return -errno;
	syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, no_files, 4);
	/* One mapping has both queues since 5.4. */
	ring->queues = mmap(NULL, 4096, protection, flags, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, 4096, protection, flags, ring->fd, IORING_OFF_SQES);
	return ring->queues == MAP_FAILED || (void *)ring->sqes == MAP_FAILED ? -errno : 0;
}

static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe, bool polled)
{
	const struct io_sqring_offsets *sq = &ring->params.sq_off;
	const struct io_cqring_offsets *cq = &ring->params.cq_off;
	unsigned int tail = *word(ring, sq->tail), head = *word(ring, cq->head);
	const struct io_uring_cqe *cqe;
	int result;

	ring->sqes[tail & 3] = *sqe;
	word(ring, sq->array)[tail & 3] = tail & 3;
	__atomic_store_n(word(ring, sq->tail), tail + 1, __ATOMIC_SEQ_CST);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1,
		    IORING_ENTER_GETEVENTS | (polled ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
		return -errno;
	if (__atomic_load_n(word(ring, cq->tail), __ATOMIC_ACQUIRE) == head)
		return -EIO;
	cqe = (const struct io_uring_cqe *)(void *)(ring->queues + cq->cqes);
	result = cqe[head & *word(ring, cq->ring_mask)].res;
	__atomic_store_n(word(ring, cq->head), head + 1, __ATOMIC_RELEASE);
	return result;
}

int uring_do_all(const struct io_uring_sqe *sqes, unsigned int n, bool polled)
{
	struct ring ring;
	int result = ring_open(&ring, polled);

	for (unsigned int i = 0; result >= 0 && i < n; i++)
		result = ring_do(&ring, &sqes[i], polled);
	if (ring.fd >= 0)
		close(ring.fd);
	return result;
}

int uring_do(const struct io_uring_sqe *sqe)
{
	return uring_do_all(sqe, 1, false);
}
