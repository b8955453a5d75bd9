// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/ring.h"

#include "guard/kernel.h"

/* Sleeps a little, until @limit_us have gone since the first call. False when they have. */
static bool wait_more(uint64_t *started, uint64_t limit_us)
{
	uint64_t now = ktime_get_mono_fast_ns();

	if (READ_ONCE(vault.host_away))
		return false;
	if (!*started)
		*started = now;
	else if (now - *started > limit_us * 1000)
		return false;
	usleep_range_state(50, 200, TASK_IDLE);
	return true;
}

static void *take(uint32_t type, uint64_t *ret_position, bool may_wait)
{
	uint64_t n_slots = vault.n_slots, started = 0, head = READ_ONCE(mailbox.head);
	struct guard_record *record;

	for (;;) {
		if (head - READ_ONCE(vault.consumed) >= n_slots) {
			if (!may_wait || !wait_more(&started, vault.ring_wait_us)) {
				__atomic_add_fetch(&mailbox.lost, 1, __ATOMIC_RELAXED);
				return NULL;
			}
			head = READ_ONCE(mailbox.head);
		} else if (__atomic_compare_exchange_n(&mailbox.head, &head, head + 1, false,
						       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			break;
		}
	}
	record = (void *)(mailbox_bytes + GUARD_MAILBOX_SLOTS + (head % n_slots) * GUARD_SLOT_SIZE);
	record->type = type;
	record->time_ns = ktime_get_real_fast_ns();
	*ret_position = head;
	return record;
}

void *ring_take(uint32_t type, uint64_t *ret_position)
{
	return take(type, ret_position, true);
}

void *ring_try(uint32_t type, uint64_t *ret_position)
{
	return take(type, ret_position, false);
}

void ring_give(void *taken, uint64_t position, uint32_t size)
{
	struct guard_record *record = taken;

	record->size = size;
	__atomic_store_n(&record->sequence, position + 1, __ATOMIC_RELEASE);
}

bool ring_wait_handled(uint64_t position)
{
	uint64_t started = 0;

	while (READ_ONCE(vault.consumed) <= position) {
		if (!wait_more(&started, vault.host_wait_us))
			return false;
	}
	return true;
}
