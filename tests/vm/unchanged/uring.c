// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

struct uring {
	int fd;
	struct io_uring_sqe *requests;
	char *rings; /* both, in one mapping */
	struct io_uring_params params;
};

struct uring *uring_new(void)
{
	struct uring *ring = calloc(1, sizeof(*ring));
	size_t size;

	if (!ring)
		return NULL;
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->params);
	if (ring->fd < 0) {
		free(ring);
		return NULL;
	}
	size = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->rings =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->requests = mmap(NULL, ring->params.sq_entries * sizeof(*ring->requests),
			      PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (ring->rings == MAP_FAILED || ring->requests == MAP_FAILED)
		abort();
	return ring;
}

static uint32_t *word(struct uring *ring, uint32_t offset)
{
	return (uint32_t *)(ring->rings + offset);
}

static void submit(struct uring *ring, const struct io_uring_sqe *request)
{
	uint32_t tail = *word(ring, ring->params.sq_off.tail);
	uint32_t slot = tail & *word(ring, ring->params.sq_off.ring_mask);

	ring->requests[slot] = *request;
	word(ring, ring->params.sq_off.array)[slot] = slot;
	__atomic_store_n(word(ring, ring->params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
}

long uring_do(struct uring *ring, const struct io_uring_sqe *request)
{
	const struct io_uring_cqe *done = (void *)(ring->rings + ring->params.cq_off.cqes);
	uint32_t head = *word(ring, ring->params.cq_off.head);
	int result;

	submit(ring, request);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	while (__atomic_load_n(word(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	result = done[head & *word(ring, ring->params.cq_off.ring_mask)].res;
	__atomic_store_n(word(ring, ring->params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}
