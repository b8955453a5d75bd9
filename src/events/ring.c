// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/ring.h"

#include <stdbool.h>
#include <string.h>

#define MAX_PASSED_OVER 256

uint64_t ring_slots(size_t size)
{
	return size < GUARD_MAILBOX_SLOTS ? 0 : (size - GUARD_MAILBOX_SLOTS) / GUARD_SLOT_SIZE;
}

void ring_init(struct ring *ring, void *mailbox, size_t size, struct guard_vault *vault)
{
	memset(ring, 0, sizeof(*ring));
	ring->mailbox = mailbox;
	ring->vault = vault;
	ring->n_slots = ring_slots(size);
	ring->next = vault->consumed;
	ring->n_told = vault->told[ring->next % 2];
}

static const struct guard_record *slot(const struct ring *ring)
{
	return (const void *)((const char *)ring->mailbox + GUARD_MAILBOX_SLOTS +
			      ring->next % ring->n_slots * GUARD_SLOT_SIZE);
}

/* The producer holds the slot. Not for ever: a forged counter would stop the ring. */
static enum guard_record_type wait_for_producer(struct ring *ring, uint64_t now_ns)
{
	if (!ring->waiting_since_ns) {
		ring->waiting_since_ns = now_ns;
	} else if (now_ns - ring->waiting_since_ns > RING_STUCK_NS) {
		ring->skipped++;
		ring_done(ring);
	}
	return 0;
}

static bool is_known(uint32_t type)
{
	switch ((enum guard_record_type)type) {
	case GUARD_RECORD_FILE:
	case GUARD_RECORD_VIEW:
	case GUARD_RECORD_SUPER_GONE:
	case GUARD_RECORD_FOLLOW:
	case GUARD_RECORD_ATTEMPT:
		return true;
	}
	return false;
}

enum guard_record_type ring_next(struct ring *ring, uint64_t now_ns)
{
	/* Records that mean nothing are passed over, but not for ever at a time. */
	for (unsigned int i = 0; i < MAX_PASSED_OVER; i++) {
		uint64_t head = __atomic_load_n(&ring->mailbox->head, __ATOMIC_ACQUIRE);
		const struct guard_record *from;

		if (head == ring->next)
			return 0;
		if (head - ring->next > ring->n_slots) {
			/* No guard does that. Put it right, or honest producers would wait for ever. */
			ring->abused++;
			__atomic_store_n(&ring->mailbox->head, ring->next, __ATOMIC_RELEASE);
			return 0;
		}
		from = slot(ring);
		if (__atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE) != ring->next + 1)
			return wait_for_producer(ring, now_ns);
		memcpy(&ring->copy, from, sizeof(ring->copy));
		if (is_known(ring->copy.record.type))
			return (enum guard_record_type)ring->copy.record.type;
		ring->abused++;
		ring_done(ring);
	}
	return 0;
}

/* The number beside the one in force is written first: the store of `consumed` brings both into force. */
void ring_done(struct ring *ring)
{
	ring->next++;
	ring->waiting_since_ns = 0;
	ring_note_told(ring);
	__atomic_store_n(&ring->vault->consumed, ring->next, __ATOMIC_SEQ_CST);
}

void ring_note_told(struct ring *ring)
{
	__atomic_store_n(&ring->vault->told[ring->next % 2], ring->n_told, __ATOMIC_RELEASE);
}

uint64_t ring_lost(const struct ring *ring)
{
	return __atomic_load_n(&ring->mailbox->lost, __ATOMIC_RELAXED);
}

void ring_text(const struct ring *ring, uint16_t at, char *buf, size_t size)
{
	size_t room = at < GUARD_SLOT_SIZE ? GUARD_SLOT_SIZE - at : 0, n;

	n = strnlen(ring->copy.bytes + (room ? at : 0), room);
	if (n == room)
		n = 0; /* not terminated */
	if (n > size - 1)
		n = size - 1;
	memcpy(buf, ring->copy.bytes + at % GUARD_SLOT_SIZE, n);
	buf[n] = '\0';
}
