/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_RING_H
#define EVENTS_RING_H

#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/* What no honest guard would have done. */
enum ring_abuse {
	RING_ABUSE_COUNTERS, /* `head` or `lost` stand where no guard leaves them */
	RING_ABUSE_SLOTS, /* a record in a slot that nobody took */
	RING_ABUSE_STUCK, /* more slots taken and not given than a guest has threads on the way */
	RING_ABUSE_RECORDS, /* of no type, or that say what no guard says */
	RING_ABUSE_CLAIMS, /* what a record says is not so in the guest's memory */
};
#define RING_N_ABUSES 5

/*
 * The host's end of the mailbox's ring: single consumer. Every byte of the mailbox is the guest's to forge; a
 * record is copied out before anything in it is believed, and then only within its slot. Whatever the guest
 * writes, ring_next() is bounded. What the guest does to `head` holds up no record that stands in its slot: a slot's own
 * sequence says that it is there.
 */
struct ring {
	struct guard_mailbox *mailbox;
	struct guard_vault *vault; /* `consumed` is here, where the guest cannot turn it back */
	uint64_t n_slots;
	uint64_t next; /* position of the next record */
	uint64_t n_told; /* events: see ring_done() */
	uint64_t head; /* the highest that the mailbox's has been: from next to next + n_slots */
	uint64_t waiting_since_ns; /* next is taken but not given yet; 0: it is not */
	uint64_t waiting_head; /* what had been taken when that began */
	uint64_t stuck_before; /* slots up to there have had their time */
	uint64_t hasty_since_ns; /* since when n_stuck is counted */
	unsigned int n_stuck;
	uint64_t abused; /* of all kinds */
	uint64_t abuses[RING_N_ABUSES];
	uint64_t skipped; /* slots taken and not given for RING_STUCK_NS */
	uint64_t lost, lost_seen; /* by the guest's counter, as far as it can be believed */
	union {
		struct guard_record record;
		struct guard_file_record file;
		struct guard_view_record view;
		struct guard_super_record super;
		struct guard_follow_record follow;
		struct guard_attempt_record attempt;
		struct guard_system_calls_record system_calls;
		char bytes[GUARD_SLOT_SIZE];
	} copy;
};

/* How long a producer may hold a slot. Long: its vCPU may have to wait for the host's. */
#define RING_STUCK_NS 10000000000ULL

/*
 * A guest that takes slots and does not give them would hold up all others' records for ever. So those that were taken at the same
 * time run out at the same time, and after RING_MANY_STUCK in RING_HASTY_FOR_NS no slot is waited for longer than
 * RING_HASTY_NS.
 */
#define RING_MANY_STUCK 64
#define RING_HASTY_NS 250000000ULL
#define RING_HASTY_FOR_NS 60000000000ULL

/* More than so many records are not given up between two looks, nor before the first. */
#define RING_MANY_LOST (1ULL << 24)
#define RING_MANY_LOST_BEFORE (1ULL << 40)

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

/*
 * Records the guard gave up because the ring stayed full. The guest's word, but only ever more of them: what it takes back, or
 * claims beyond measure, counts as abuse.
 */
uint64_t ring_lost(struct ring *ring);

/* Somebody who knows more than the ring has found one. */
void ring_abused(struct ring *ring, enum ring_abuse kind);

/* "counters", "slots", ... */
const char *ring_abuse_name(enum ring_abuse kind);

/* Copies the text at offset @at of the record in ring->copy; "" when it has none. Always terminated. */
void ring_text(const struct ring *ring, uint16_t at, char *buf, size_t size);

#endif
