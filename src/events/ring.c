// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/ring.h"

#include <stdbool.h>
#include <string.h>

#define MAX_PASSED_OVER 256

uint64_t ring_slots(size_t size)
{
	return size < GUARD_MAILBOX_SLOTS ? 0 : (size - GUARD_MAILBOX_SLOTS) / GUARD_SLOT_SIZE;
}

const char *ring_abuse_name(enum ring_abuse kind)
{
	static const char *const names[RING_N_ABUSES] = { "counters", "slots", "stuck", "records",
							  "claims" };

	return names[kind];
}

void ring_abused(struct ring *ring, enum ring_abuse kind)
{
	ring->abused++;
	ring->abuses[kind]++;
}

void ring_init(struct ring *ring, void *mailbox, size_t size, struct guard_vault *vault)
{
	memset(ring, 0, sizeof(*ring));
	ring->mailbox = mailbox;
	ring->vault = vault;
	ring->n_slots = ring_slots(size);
	ring->next = ring->head = vault->consumed;
	ring->n_told = vault->told[ring->next % 2];
	ring->lost_seen = __atomic_load_n(&ring->mailbox->lost, __ATOMIC_RELAXED);
	if (ring->lost_seen < RING_MANY_LOST_BEFORE)
		ring->lost = ring->lost_seen;
	else
		ring_abused(ring, RING_ABUSE_COUNTERS);
}

static const struct guard_record *slot(const struct ring *ring)
{
	return (const void *)((const char *)ring->mailbox + GUARD_MAILBOX_SLOTS +
			      ring->next % ring->n_slots * GUARD_SLOT_SIZE);
}

/* A slot that was never used has the sequence 0, which says nothing. */
static bool is_given(const struct ring *ring)
{
	uint64_t sequence = __atomic_load_n(&slot(ring)->sequence, __ATOMIC_ACQUIRE);

	return sequence && sequence == ring->next + 1;
}

/* Guards only raise it, and not beyond what has been handed back. Else it is put right, or honest ones would wait for ever. */
static void look_at_head(struct ring *ring)
{
	uint64_t head = __atomic_load_n(&ring->mailbox->head, __ATOMIC_ACQUIRE);
	uint64_t taken = head - ring->next;

	if (taken <= ring->n_slots && taken >= ring->head - ring->next) {
		ring->head = head;
		return;
	}
	ring_abused(ring, RING_ABUSE_COUNTERS);
	__atomic_compare_exchange_n(&ring->mailbox->head, &head, ring->head, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Nobody took the slot: no guard wrote what is in it. Whoever takes it now would overwrite that, and not be heard. */
static void pass_over_forged(struct ring *ring)
{
	uint64_t head = ring->next;

	ring_abused(ring, RING_ABUSE_SLOTS);
	__atomic_compare_exchange_n(&ring->mailbox->head, &head, ring->next + 1, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	ring_done(ring);
}

static bool is_hasty(const struct ring *ring, uint64_t now_ns)
{
	return ring->n_stuck > RING_MANY_STUCK && now_ns - ring->hasty_since_ns < RING_HASTY_FOR_NS;
}

static void skip(struct ring *ring, uint64_t now_ns)
{
	if (!ring->n_stuck || now_ns - ring->hasty_since_ns >= RING_HASTY_FOR_NS) {
		ring->hasty_since_ns = now_ns;
		ring->n_stuck = 0;
	}
	ring->skipped++;
	if (++ring->n_stuck > RING_MANY_STUCK)
		ring_abused(ring, RING_ABUSE_STUCK);
	ring_done(ring);
}

/* The producer holds the slot. Not for ever: see RING_MANY_STUCK. Returns whether it was passed over. */
static bool wait_for_producer(struct ring *ring, uint64_t now_ns)
{
	if (ring->stuck_before - ring->next - 1 < ring->n_slots) {
		skip(ring, now_ns);
		return true;
	}
	if (!ring->waiting_since_ns) {
		ring->waiting_since_ns = now_ns;
		ring->waiting_head = ring->head;
		return false;
	}
	if (now_ns - ring->waiting_since_ns <=
	    (is_hasty(ring, now_ns) ? RING_HASTY_NS : RING_STUCK_NS))
		return false;
	ring->stuck_before = ring->waiting_head;
	skip(ring, now_ns);
	return true;
}

static bool is_known(uint32_t type)
{
	switch ((enum guard_record_type)type) {
	case GUARD_RECORD_FILE:
	case GUARD_RECORD_VIEW:
	case GUARD_RECORD_SUPER_GONE:
	case GUARD_RECORD_FOLLOW:
	case GUARD_RECORD_ATTEMPT:
	case GUARD_RECORD_SYSTEM_CALLS:
		return true;
	}
	return false;
}

/*
 * The slot is looked at before the head: a guard raises the head first, so a record that is seen was taken by then, or it is no
 * guard's.
 */
enum guard_record_type ring_next(struct ring *ring, uint64_t now_ns)
{
	/* What means nothing is passed over, but not for ever at a time. */
	for (unsigned int i = 0; ring->n_slots && i < MAX_PASSED_OVER; i++) {
		bool given = is_given(ring);

		look_at_head(ring);
		if (!given && (ring->head == ring->next || !wait_for_producer(ring, now_ns)))
			return 0;
		if (!given)
			continue;
		if (ring->head == ring->next) {
			pass_over_forged(ring);
			continue;
		}
		memcpy(&ring->copy, slot(ring), sizeof(ring->copy));
		if (is_known(ring->copy.record.type))
			return (enum guard_record_type)ring->copy.record.type;
		ring_abused(ring, RING_ABUSE_RECORDS);
		ring_done(ring);
	}
	return 0;
}

/* The number beside the one in force is written first: the store of `consumed` brings both into force. */
void ring_done(struct ring *ring)
{
	if (ring->head == ring->next)
		ring->head++;
	ring->next++;
	ring->waiting_since_ns = 0;
	ring_note_told(ring);
	__atomic_store_n(&ring->vault->consumed, ring->next, __ATOMIC_SEQ_CST);
}

void ring_note_told(struct ring *ring)
{
	__atomic_store_n(&ring->vault->told[ring->next % 2], ring->n_told, __ATOMIC_RELEASE);
}

uint64_t ring_lost(struct ring *ring)
{
	uint64_t lost = __atomic_load_n(&ring->mailbox->lost, __ATOMIC_RELAXED);
	uint64_t more = lost - ring->lost_seen;

	ring->lost_seen = lost;
	if (more > RING_MANY_LOST)
		ring_abused(ring, RING_ABUSE_COUNTERS);
	else
		ring->lost += more;
	return ring->lost;
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
