// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A whole mailbox as the guest may have written it, and a sequence of calls. The input: one byte of slots, then
 * steps of four bytes (what, where, two of value) up to a zero `what`, then the mailbox's bytes.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "events/ring.h"

#define MAX_SLOTS 4
#define MAX_STEPS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_texts(const struct ring *ring, enum guard_record_type type)
{
	char text[700];

	switch (type) {
	case GUARD_RECORD_FILE:
		ring_text(ring, ring->copy.file.path, text, sizeof(text));
		assert(strnlen(text, sizeof(text)) < sizeof(text));
		ring_text(ring, ring->copy.file.executable, text, 1);
		assert(!text[0]);
		ring_text(ring, ring->copy.file.other_path, text, 16);
		assert(strnlen(text, 16) < 16);
		break;
	case GUARD_RECORD_FOLLOW:
		ring_text(ring, ring->copy.follow.name, text, sizeof(text));
		assert(strnlen(text, sizeof(text)) < sizeof(text));
		break;
	case GUARD_RECORD_ATTEMPT:
		ring_text(ring, ring->copy.attempt.path, text, sizeof(text));
		assert(strnlen(text, sizeof(text)) < sizeof(text));
		break;
	case GUARD_RECORD_VIEW:
	case GUARD_RECORD_SUPER_GONE:
	case GUARD_RECORD_SYSTEM_CALLS:
		break;
	}
}

/* One step of the host's; in between, the guest goes on writing. */
static void step(struct ring *ring, uint8_t *mailbox, size_t size, const uint8_t *from)
{
	uint64_t next = ring->next, offset = from[1] % ring->n_slots * GUARD_SLOT_SIZE;
	struct guard_record *slot = (void *)(mailbox + GUARD_MAILBOX_SLOTS + offset);
	uint16_t value = (uint16_t)(from[2] | from[3] << 8);
	enum guard_record_type type;

	switch (from[0] % 5) {
	case 0:
		((struct guard_mailbox *)mailbox)->head = ring->next + (uint64_t)(int16_t)value;
		break;
	case 1:
		slot->sequence = ring->next + value % 8;
		slot->type = from[3] % 8;
		break;
	case 2:
		mailbox[(from[1] * 257U + value * 3U) % size] = from[3];
		break;
	default:
		type = ring_next(ring, (uint64_t)value << 24);
		if (type) {
			read_texts(ring, type);
			ring_done(ring);
		}
		assert(ring->next - next <= ring->n_slots + 1); /* never back, never around */
		assert(ring->head - ring->next <= ring->n_slots);
		assert(ring->vault->consumed == ring->next);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_slots = size ? data[0] % MAX_SLOTS + 1 : 1, at = 1, n_steps = 0, mailbox_size;
	struct guard_vault vault = { .consumed = 3 };
	struct ring ring;
	uint8_t *mailbox;
	uint64_t lost;

	mailbox_size = GUARD_MAILBOX_SLOTS + n_slots * GUARD_SLOT_SIZE;
	mailbox = calloc(1, mailbox_size);
	if (!mailbox)
		return 0;
	while (at + 4 <= size && data[at] && n_steps < MAX_STEPS) {
		at += 4;
		n_steps++;
	}
	if (at + 1 < size)
		memcpy(mailbox, data + at + 1,
		       size - at - 1 < mailbox_size ? size - at - 1 : mailbox_size);
	ring_init(&ring, mailbox, mailbox_size, &vault);
	for (size_t i = 0; i < n_steps; i++)
		step(&ring, mailbox, mailbox_size, data + 1 + 4 * i);
	lost = ring_lost(&ring);
	assert(lost < RING_MANY_LOST + RING_MANY_LOST_BEFORE);
	assert(ring_lost(&ring) == lost);
	free(mailbox);
	return 0;
}
