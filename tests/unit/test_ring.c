// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The very code of the guard, as producer, against the host's consumer; and mailboxes that no guard wrote. What the
 * guard needs of its kernel is faked below: time passes when someone sleeps.
 */
#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "events/ring.h"
#include "guard/kernel.h"
#include "util/cleanup.h"

/* The guard's reads, in words that a race detector knows. */
#undef READ_ONCE
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)

/* The guard's vault is constant; this one changes between tests, and the compiler has to know. */
#define vault_bytes constant_vault_bytes
#include "guard/ring.h"
#undef vault_bytes
extern char vault_bytes[] __asm__("vault");

#include "guard/ring.c"
#undef vault
#undef mailbox

#define MAX_SLOTS 64
#define MAILBOX_SIZE (GUARD_MAILBOX_SLOTS + MAX_SLOTS * GUARD_SLOT_SIZE)

__asm__(".pushsection .bss\n"
	".balign 4096\n"
	".globl vault\n"
	"vault: .skip 4096\n"
	".globl mailbox\n"
	"mailbox: .skip 4096 + 64 * 2048\n"
	".popsection");

static uint64_t fake_ns = 1;
static void (*while_asleep)(void);

uint64_t ktime_get_real_fast_ns(void)
{
	return 42;
}

uint64_t ktime_get_mono_fast_ns(void)
{
	return __atomic_load_n(&fake_ns, __ATOMIC_RELAXED);
}

void usleep_range_state(unsigned long min_us, unsigned long max_us, unsigned int state)
{
	assert(min_us <= max_us && state == TASK_IDLE);
	__atomic_add_fetch(&fake_ns, min_us * 1000, __ATOMIC_RELAXED);
	if (while_asleep)
		while_asleep();
	sched_yield();
}

static struct ring ring;

static struct guard_vault *the_vault(void)
{
	return (struct guard_vault *)vault_bytes;
}

static struct guard_mailbox *the_mailbox(void)
{
	return (struct guard_mailbox *)mailbox_bytes;
}

/* An empty ring of @n_slots, from position @start on. */
static void start(uint64_t n_slots, uint64_t from)
{
	memset(the_vault(), 0, 4096);
	memset(mailbox_bytes, 0, MAILBOX_SIZE);
	the_vault()->n_slots = n_slots;
	the_vault()->ring_wait_us = 1000;
	the_vault()->host_wait_us = 1000;
	the_vault()->consumed = the_mailbox()->head = from;
	while_asleep = NULL;
	ring_init(&ring, mailbox_bytes, GUARD_MAILBOX_SLOTS + n_slots * GUARD_SLOT_SIZE,
		  the_vault());
	assert_int_equal(ring.n_slots, n_slots);
}

/* One record that says who made it and which of theirs it is. */
static bool produce(uint64_t who, uint64_t which, uint64_t *ret_position)
{
	struct guard_file_record *record = ring_take(GUARD_RECORD_FILE, ret_position);

	if (!record)
		return false;
	record->file.ino = who;
	record->file_size = which;
	record->path = sizeof(*record);
	snprintf((char *)(record + 1), 64, "%llu of %llu", (unsigned long long)which,
		 (unsigned long long)who);
	ring_give(record, *ret_position, sizeof(*record));
	return true;
}

static void check_record(uint64_t who, uint64_t which)
{
	char expected[64], text[64];

	snprintf(expected, sizeof(expected), "%llu of %llu", (unsigned long long)which,
		 (unsigned long long)who);
	ring_text(&ring, ring.copy.file.path, text, sizeof(text));
	assert_int_equal(ring.copy.file.file_size, which);
	assert_int_equal(ring.copy.record.time_ns, 42);
	assert_string_equal(text, expected);
}

#define N_PRODUCERS 4
#define N_RECORDS 3000

static void *producer(void *data)
{
	uint64_t who = (uintptr_t)data, position;

	for (uint64_t i = 0; i < N_RECORDS; i++) {
		assert(produce(who, i, &position));
		if (i % 64 == 0) {
			assert(ring_wait_handled(position));
			assert(__atomic_load_n(&the_vault()->consumed, __ATOMIC_ACQUIRE) >
			       position);
		}
	}
	return NULL;
}

/* Nothing lost, nothing twice, everyone's in their order. */
static void run_producers(uint64_t n_slots)
{
	uint64_t next[N_PRODUCERS] = { 0 }, n = 0;
	pthread_t threads[N_PRODUCERS];

	start(n_slots, 1000);
	the_vault()->ring_wait_us = the_vault()->host_wait_us = 1ULL << 50;
	for (uintptr_t i = 0; i < N_PRODUCERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, producer, (void *)i), 0);
	while (n < N_PRODUCERS * N_RECORDS) {
		if (!ring_next(&ring, 1)) {
			sched_yield();
			continue;
		}
		assert_true(ring.copy.file.file.ino < N_PRODUCERS);
		check_record(ring.copy.file.file.ino, next[ring.copy.file.file.ino]++);
		ring_done(&ring);
		n++;
	}
	for (uintptr_t i = 0; i < N_PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(ring_next(&ring, 1), 0);
	assert_int_equal(ring_lost(&ring), 0);
	assert_int_equal(ring.abused + ring.skipped, 0);
	assert_int_equal(the_vault()->consumed, 1000 + n);
}

static void test_producers(void **state)
{
	(void)state;
	run_producers(1);
	run_producers(5);
	run_producers(MAX_SLOTS);
}

static void test_order_around_the_ring(void **state)
{
	uint64_t position;

	(void)state;
	start(7, UINT64_MAX - 20); /* a wrap would take 2^64 records; it works all the same */
	for (uint64_t i = 0; i < 50; i += 5) {
		for (uint64_t j = 0; j < 5; j++)
			assert_true(produce(1, i + j, &position));
		for (uint64_t j = 0; j < 5; j++) {
			if (UINT64_MAX - 20 + i + j >= UINT64_MAX - 1)
				return; /* position 2^64 - 1 has the sequence 0 of an empty slot */
			assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
			check_record(1, i + j);
			ring_done(&ring);
		}
	}
}

static void consume_at_third_sleep(void)
{
	static unsigned int n;

	if (++n % 3 == 0 && ring_next(&ring, 1))
		ring_done(&ring);
}

static void test_full_waits(void **state)
{
	uint64_t position, before = fake_ns;

	(void)state;
	start(4, 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(produce(1, i, &position));
	while_asleep = consume_at_third_sleep;
	assert_true(produce(1, 4, &position));
	assert_true(fake_ns > before);
	assert_int_equal(position, 4);
	assert_int_equal(ring_lost(&ring), 0);
}

static void test_full_gives_up(void **state)
{
	uint64_t position, before;

	(void)state;
	start(4, 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(produce(1, i, &position));
	before = fake_ns;
	assert_false(produce(1, 4, &position));
	assert_in_range(fake_ns - before, 1000000, 1200000);
	assert_false(produce(1, 5, &position));
	assert_int_equal(ring_lost(&ring), 2);
	assert_int_equal(the_mailbox()->head, 4);
	/* what was there is there */
	for (uint64_t i = 0; i < 4; i++) {
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		check_record(1, i);
		ring_done(&ring);
	}
	assert_true(produce(1, 6, &position));
}

static void test_host_away(void **state)
{
	uint64_t position, before;

	(void)state;
	start(2, 0);
	the_vault()->host_away = 1;
	the_vault()->ring_wait_us = the_vault()->host_wait_us = 1ULL << 50;
	before = fake_ns;
	assert_true(produce(1, 0, &position));
	assert_false(ring_wait_handled(position));
	assert_true(produce(1, 1, &position));
	assert_false(produce(1, 2, &position));
	assert_int_equal(fake_ns, before);
	assert_int_equal(ring_lost(&ring), 1);
}

static void test_wait_handled(void **state)
{
	uint64_t position, before;

	(void)state;
	start(2, 0);
	assert_true(produce(1, 0, &position));
	before = fake_ns;
	assert_false(ring_wait_handled(position));
	assert_in_range(fake_ns - before, 1000000, 1200000);
	assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
	assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE); /* the same, until it is done */
	ring_done(&ring);
	assert_true(ring_wait_handled(position));
}

/* A daemon that comes after another goes on where that one was. */
/* A successor counts on where the ring was left, whenever its predecessor died. */
static void test_told(void **state)
{
	struct guard_vault before;
	uint64_t position;

	(void)state;
	start(4, 6);
	for (uint64_t i = 0; i < 10; i++) {
		assert_true(produce(1, i, &position));
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		ring.n_told += i % 3; /* a record may be told as none, or as several */
		before = *the_vault();
		ring_done(&ring);
		/* died before the last store of ring_done(): the record was told, but the next one tells it by the same numbers */
		the_vault()->consumed = before.consumed;
		ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
		assert_int_equal(ring.next, 6 + i);
		assert_int_equal(ring.n_told, before.told[before.consumed % 2]);
		ring.n_slots = 4;
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		check_record(1, i);
		ring.n_told += i % 3;
		ring_done(&ring);
		ring.n_told += 1000; /* of a record that is not done */
		position = the_vault()->told[0] > the_vault()->told[1] ? the_vault()->told[0]
								       : the_vault()->told[1];
		ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
		ring.n_slots = 4;
		assert_int_equal(ring.n_told, position);
	}
	assert_int_equal(ring.n_told, 9);
	ring.n_told = 20;
	ring_note_told(&ring);
	ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
	assert_int_equal(ring.n_told, 20);
}

static void test_next_daemon(void **state)
{
	uint64_t position;

	(void)state;
	start(8, 0);
	for (uint64_t i = 0; i < 5; i++)
		assert_true(produce(1, i, &position));
	for (uint64_t i = 0; i < 2; i++) {
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		ring_done(&ring);
	}
	ring_init(&ring, mailbox_bytes, GUARD_MAILBOX_SLOTS + 8 * GUARD_SLOT_SIZE, the_vault());
	for (uint64_t i = 2; i < 5; i++) {
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		check_record(1, i);
		ring_done(&ring);
	}
	assert_int_equal(ring_next(&ring, 1), 0);
}

/* A producer that took a slot and never gave it does not stop the others for ever. */
static void test_stuck_producer(void **state)
{
	uint64_t position;

	(void)state;
	start(4, 0);
	assert_non_null(ring_take(GUARD_RECORD_FILE, &position));
	assert_true(produce(1, 1, &position));
	assert_int_equal(ring_next(&ring, 1000), 0);
	assert_int_equal(ring_next(&ring, 1000 + RING_STUCK_NS), 0);
	assert_int_equal(ring.skipped, 0);
	assert_int_equal(ring_next(&ring, 1001 + RING_STUCK_NS), GUARD_RECORD_FILE);
	assert_int_equal(ring.skipped, 1);
	assert_int_equal(ring.abused, 0);
	check_record(1, 1);
}

/* What was taken at the same time runs out at the same time: the head was moved, and nothing stands behind it. */
static void test_stuck_many(void **state)
{
	const unsigned int n = RING_MANY_STUCK - 4;
	uint64_t position, now = 1000;

	(void)state;
	start(MAX_SLOTS, 0);
	the_mailbox()->head = n;
	assert_true(produce(1, 1, &position));
	assert_int_equal(ring_next(&ring, now), 0);
	the_mailbox()->head += 2; /* later */
	assert_int_equal(ring_next(&ring, now + RING_STUCK_NS), 0);
	now += RING_STUCK_NS + 1;
	assert_int_equal(ring_next(&ring, now), GUARD_RECORD_FILE);
	check_record(1, 1);
	assert_int_equal(ring.skipped, n);
	ring_done(&ring);
	assert_int_equal(ring_next(&ring, now), 0);
	assert_int_equal(ring.skipped, n);
	assert_int_equal(ring.abuses[RING_ABUSE_STUCK], 0);
	/* Again and again: nobody has so many threads on the way. */
	for (unsigned int i = 0; i < 2; i++) {
		the_mailbox()->head = ring.next + 10;
		assert_int_equal(ring_next(&ring, now), 0);
		now += RING_STUCK_NS + 1;
		assert_int_equal(ring_next(&ring, now), 0);
	}
	assert_true(ring.abuses[RING_ABUSE_STUCK] > 0);
	the_mailbox()->head = ring.next + 10;
	assert_true(produce(1, 2, &position));
	assert_int_equal(ring_next(&ring, now), 0);
	assert_int_equal(ring_next(&ring, now + RING_HASTY_NS + 1), 0);
	ring_next(&ring, now + 2 * RING_HASTY_NS + 2);
	check_record(1, 2);
}

/* What is done to the head holds up no record that is there, nor makes two producers take one slot. */
static void test_head_turned_back(void **state)
{
	uint64_t position;

	(void)state;
	start(8, 100);
	for (uint64_t i = 0; i < 3; i++)
		assert_true(produce(1, i, &position));
	assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
	the_mailbox()->head = 101;
	for (uint64_t i = 0; i < 3; i++) {
		the_mailbox()->head = i == 2 ? 0 : 101;
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		check_record(1, i);
		assert_int_equal(the_mailbox()->head, 103);
		ring_done(&ring);
	}
	assert_int_equal(ring.abuses[RING_ABUSE_COUNTERS], 3);
	assert_true(produce(1, 3, &position));
	assert_int_equal(position, 103);
}

/* A record where nobody took a slot is no guard's, and the next honest one does not go the same way. */
static void test_slot_not_taken(void **state)
{
	struct guard_record *forged = (void *)(mailbox_bytes + GUARD_MAILBOX_SLOTS);
	uint64_t position;

	(void)state;
	start(4, 100);
	forged->type = GUARD_RECORD_FILE;
	forged->sequence = 101;
	assert_int_equal(ring_next(&ring, 1), 0);
	assert_int_equal(ring.abuses[RING_ABUSE_SLOTS], 1);
	assert_int_equal(the_vault()->consumed, 101);
	assert_true(produce(1, 5, &position));
	assert_int_equal(position, 101);
	assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
	check_record(1, 5);
}

/* The counter of losses only grows, by what can be. */
static void test_lost_counter(void **state)
{
	(void)state;
	start(4, 0);
	the_mailbox()->lost = 7;
	assert_int_equal(ring_lost(&ring), 7);
	the_mailbox()->lost = 3;
	assert_int_equal(ring_lost(&ring), 7);
	assert_int_equal(ring.abuses[RING_ABUSE_COUNTERS], 1);
	the_mailbox()->lost = 5;
	assert_int_equal(ring_lost(&ring), 9);
	the_mailbox()->lost = UINT64_MAX;
	assert_int_equal(ring_lost(&ring), 9);
	ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
	assert_int_equal(ring_lost(&ring), 0);
	assert_int_equal(ring.abused, 1);
	the_mailbox()->lost = 1000000000; /* while no host was there */
	ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
	assert_int_equal(ring_lost(&ring), 1000000000);
}

/* Heads that no guard leaves behind; honest producers get on afterwards. */
static void test_forged_heads(void **state)
{
	static const uint64_t heads[] = { 0, 99, 105, 1ULL << 32, 1ULL << 63, UINT64_MAX };
	uint64_t position;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		start(4, 100);
		the_mailbox()->head = heads[i];
		assert_int_equal(ring_next(&ring, 1), 0);
		assert_int_equal(ring.abused, 1);
		assert_int_equal(the_mailbox()->head, 100);
		assert_true(produce(1, 7, &position));
		assert_int_equal(ring_next(&ring, 1), GUARD_RECORD_FILE);
		check_record(1, 7);
	}
}

static void test_forged_sequences(void **state)
{
	static const uint64_t sequences[] = { 0, 100, 102, 97, 105, UINT64_MAX };
	struct guard_record *slot_0 = (void *)(mailbox_bytes + GUARD_MAILBOX_SLOTS);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++) {
		start(4, 100);
		the_mailbox()->head = 101;
		slot_0->type = GUARD_RECORD_FILE;
		slot_0->sequence = sequences[i];
		assert_int_equal(ring_next(&ring, 1), 0);
		assert_int_equal(the_vault()->consumed, 100);
	}
}

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = { 0, GUARD_RECORD_SYSTEM_CALLS + 1, UINT32_MAX };
	uint64_t position;
	void *record;

	(void)state;
	start(4, 0);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		record = ring_take(types[i], &position);
		ring_give(record, position, UINT32_MAX);
		assert_int_equal(ring_next(&ring, 1), 0);
		assert_int_equal(ring.abused, i + 1);
		assert_int_equal(the_vault()->consumed, i + 1);
	}
}

static void test_texts(void **state)
{
	char buf[16];

	(void)state;
	memset(&ring, 'x', sizeof(ring));
	strcpy(ring.copy.bytes + 1000, "text");
	static const struct {
		uint16_t at;
		const char *expected;
	} rows[] = {
		{ 1000, "text" },
		{ 1002, "xt" },
		{ 1004, "" },
		{ 990, "xxxxxxxxxxtext" },
		{ 900, "xxxxxxxxxxxxxxx" }, /* cut */
		{ 1005, "" }, /* not terminated */
		{ GUARD_SLOT_SIZE - 1, "" },
		{ GUARD_SLOT_SIZE, "" },
		{ GUARD_SLOT_SIZE + 1000, "" },
		{ GUARD_NO_TEXT, "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(buf, '?', sizeof(buf));
		ring_text(&ring, rows[i].at, buf, sizeof(buf));
		assert_string_equal(buf, rows[i].expected);
	}
	ring_text(&ring, 1000, buf, 1);
	assert_string_equal(buf, "");
	ring_text(&ring, 1000, buf, 3);
	assert_string_equal(buf, "te");
}

static void test_sizes(void **state)
{
	struct guard_vault header = { 0 };

	(void)state;
	assert_int_equal(ring_slots(0), 0);
	assert_int_equal(ring_slots(GUARD_MAILBOX_SLOTS), 0);
	assert_int_equal(ring_slots(GUARD_MAILBOX_SLOTS + GUARD_SLOT_SIZE - 1), 0);
	assert_int_equal(ring_slots(2 << 20), ((2 << 20) - 4096) / 2048);
	/* a mailbox without slots has no records, whatever its head says */
	the_mailbox()->head = 1;
	ring_init(&ring, mailbox_bytes, GUARD_MAILBOX_SLOTS, &header);
	assert_int_equal(ring_next(&ring, 1), 0);
}

/* Any bytes at all, in a mailbox of exactly its size: the sanitizer sees every read outside. */
static void test_any_bytes(void **state)
{
	const size_t size = GUARD_MAILBOX_SLOTS + 3 * GUARD_SLOT_SIZE;
	_cleanup_(freep) uint8_t *bytes = malloc(size);
	struct guard_vault header = { 0 };
	uint64_t random = 1;
	char text[64];

	(void)state;
	ring_init(&ring, bytes, size, &header);
	for (unsigned int round = 0; round < 3000; round++) {
		struct guard_record *slot_0 = (void *)(bytes + GUARD_MAILBOX_SLOTS);

		for (size_t i = 0; i < size; i += 61) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			bytes[i] = (uint8_t)(random >> 40);
		}
		/* often enough, believable */
		((struct guard_mailbox *)bytes)->head = ring.next + (random >> 60);
		slot_0 = (void *)((uint8_t *)slot_0 + ring.next % 3 * GUARD_SLOT_SIZE);
		if (random >> 33 & 1)
			slot_0->sequence = ring.next + 1;
		slot_0->type = random >> 34 & 7;
		if (!ring_next(&ring, round))
			continue;
		ring_text(&ring, ring.copy.file.path, text, sizeof(text));
		ring_text(&ring, ring.copy.file.other_path, text, sizeof(text));
		assert_true(memchr(text, '\0', sizeof(text)) != NULL);
		ring_done(&ring);
	}
	assert_int_equal(header.consumed, ring.next);
	assert_true(ring.next > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_producers),
		cmocka_unit_test(test_order_around_the_ring),
		cmocka_unit_test(test_full_waits),
		cmocka_unit_test(test_full_gives_up),
		cmocka_unit_test(test_host_away),
		cmocka_unit_test(test_wait_handled),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_next_daemon),
		cmocka_unit_test(test_stuck_producer),
		cmocka_unit_test(test_forged_heads),
		cmocka_unit_test(test_forged_sequences),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_stuck_many),
		cmocka_unit_test(test_head_turned_back),
		cmocka_unit_test(test_slot_not_taken),
		cmocka_unit_test(test_lost_counter),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
