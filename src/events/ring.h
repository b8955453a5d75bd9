/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_RING_H
#define EVENTS_RING_H

#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/*
 * The host's end of the mailbox's ring: single consumer. Every byte of the mailbox is the guest's to forge; a
 * record is copied out before anything in it is believed, and then only within its slot. Whatever the guest
 * writes, ring_next() is bounded, and `abused` counts what no honest guard would have done.
 */
struct ring {
	struct guard_mailbox *mailbox;
	struct guard_vault *vault; /* `consumed` is here, where the guest cannot turn it back */
	uint64_t n_slots;
	uint64_t next; /* position of the next record */
	uint64_t n_told; /* events: see ring_done() */
	uint64_t waiting_since_ns; /* next is taken but not given yet; 0: it is not */
	uint64_t abused; /* impossible counters, unknown types */
	uint64_t skipped; /* slots taken and not given for RING_STUCK_NS */
	union {
		struct guard_record record;
		struct guard_file_record file;
		struct guard_view_record view;
		struct guard_super_record super;
		struct guard_follow_record follow;
		struct guard_attempt_record attempt;
		char bytes[GUARD_SLOT_SIZE];
	} copy;
};

/* How long a producer may hold a slot. Long: it may be walking a path on a slow disk. */
#define RING_STUCK_NS 10000000000ULL

/* Slots that a mailbox of @size bytes has. */
uint64_t ring_slots(size_t size);

/* Goes on where whoever had the ring before left off: next and n_told are as they were after their last ring_done(). */
void ring_init(struct ring *ring, void *mailbox, size_t size, struct guard_vault *vault);

/*
 * Takes the next record into ring->copy. Returns its type, or 0 when there is none now. @now_ns: any monotonic
 * clock. Call ring_done() when it has been handled: guest processes may be waiting for that. It notes n_told, in the
 * same instant: a successor neither goes on counting too early nor too late.
 */
enum guard_record_type ring_next(struct ring *ring, uint64_t now_ns);
void ring_done(struct ring *ring);

/* Notes n_told for events that do not come from a record. */
void ring_note_told(struct ring *ring);

/* Records the guard gave up because the ring stayed full. The guest's word. */
uint64_t ring_lost(const struct ring *ring);

/* Copies the text at offset @at of the record in ring->copy; "" when it has none. Always terminated. */
void ring_text(const struct ring *ring, uint16_t at, char *buf, size_t size);

#endif
