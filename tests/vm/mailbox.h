/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guest root can do with the mailbox, which is memory of a PCI device: for tests/vm/tiny.c. */
#include <stdint.h>
#include <time.h>

#include "../../src/contract/guard_abi.h"

#define N_SLOTS ((MAILBOX_SIZE - GUARD_MAILBOX_SLOTS) / GUARD_SLOT_SIZE)
#define MANY_FORGED 1000000

static volatile struct guard_mailbox *mailbox;
static uint64_t randomness = 88172645463325252ULL;
static struct guard_file_record honest; /* one that the guard wrote, or zeros */

static uint64_t any(void)
{
	randomness ^= randomness << 13;
	randomness ^= randomness >> 7;
	return randomness ^= randomness << 17;
}

static void *slot_of(uint64_t position)
{
	return (char *)mailbox + GUARD_MAILBOX_SLOTS + position % N_SLOTS * GUARD_SLOT_SIZE;
}

/* As the guard does; as it takes no more than there is room for, by what it can see: half of the ring. */
static uint64_t take_slot(void)
{
	return __atomic_fetch_add(&mailbox->head, 1, __ATOMIC_ACQ_REL);
}

static void give_slot(uint64_t position, const void *bytes, size_t size)
{
	struct guard_record *slot = slot_of(position);
	size_t head = sizeof(slot->sequence);

	memcpy((char *)slot + head, (const char *)bytes + head, size - head);
	__atomic_store_n(&slot->sequence, position + 1, __ATOMIC_RELEASE);
}

static void find_honest(void)
{
	for (uint64_t i = 0; i < N_SLOTS; i++) {
		const struct guard_file_record *record = slot_of(i);

		if (record->record.type == GUARD_RECORD_FILE && record->reported &&
		    record->file.ino && !record->asked)
			honest = *record;
	}
}

static void forge_random(void)
{
	uint64_t *at = (uint64_t *)(void *)((char *)mailbox + any() % (MAILBOX_SIZE / 8) * 8);

	*(volatile uint64_t *)at = any();
}

static void forge_heads(void)
{
	mailbox->head = any() >> any() % 64;
	mailbox->lost = any() >> any() % 64;
}

/* As a doorbell that rings, and nobody there. */
static void forge_doorbell(void)
{
	mailbox->head += any() % 8;
	usleep(1000);
}

static void forge_back(void)
{
	mailbox->head -= any() % 16;
	usleep(100);
}

static void forge_slots(void)
{
	struct guard_file_record record = honest;

	record.record.type = (uint32_t)(any() % 6);
	give_slot(mailbox->head + any() % 4, &record, sizeof(record));
}

/* A record of the guard's, with something that no guard says. */
static void forge_records(void)
{
	struct guard_file_record record = honest;

	record.record.type = GUARD_RECORD_FILE;
	((uint32_t *)&record.operations)[any() % 6] = (uint32_t)any();
	give_slot(take_slot(), &record, sizeof(record));
}

/* A record that the guard could have written, of any time and anybody. */
static void forge_false(void)
{
	struct guard_file_record record = honest;

	record.record.time_ns = any() % 2 ? any() : 0;
	record.process.pid = record.process.tid = (uint32_t)any() % 32768;
	record.process.start_ns = any();
	snprintf(record.process.name, sizeof(record.process.name), "forged");
	give_slot(take_slot(), &record, sizeof(record));
	usleep(200);
}

/* The watched file has gone; its file system too; a container enters a root that nobody has. */
static void forge_gone(void)
{
	struct guard_super_record super = { .record.type = GUARD_RECORD_SUPER_GONE,
					    .super = honest.file.super };
	struct guard_view_record view = { .record.type = GUARD_RECORD_VIEW,
					  .task = honest.file.super + any() % 65536 * 64,
					  .root_super = honest.file.super,
					  .cause = (uint32_t)(any() % 5),
					  .last = 1,
					  .n_resolved = 1 };
	char bytes[sizeof(struct guard_follow_record) + 16] = "";
	struct guard_follow_record *follow = (void *)bytes;

	follow->record.type = GUARD_RECORD_FOLLOW;
	follow->file = honest.file;
	follow->parent = honest.file;
	follow->parent.ino = any() % 100;
	follow->cause = (uint32_t)(any() % 3);
	follow->links = 1;
	follow->mode = S_IFREG | 0644;
	follow->name = sizeof(*follow);
	snprintf(bytes + sizeof(*follow), 16, "n%u", (unsigned int)any() % 100000);
	give_slot(take_slot(), &super, sizeof(super));
	give_slot(take_slot(), bytes, sizeof(bytes));
	give_slot(take_slot(), &view, sizeof(view));
	usleep(200);
}

static const struct {
	const char *name;
	void (*forge)(void);
} forgers[] = {
	{ "random", forge_random }, { "heads", forge_heads }, { "doorbell", forge_doorbell },
	{ "back", forge_back },	    { "slots", forge_slots }, { "records", forge_records },
	{ "false", forge_false },   { "gone", forge_gone },
};

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "KIND MILLISECONDS": how often it was done. */
static void forge(const char *words, void *memory, char *buf, size_t size)
{
	char kind[32] = "";
	int ms = 0;
	uint64_t end;
	unsigned int n = 0;

	mailbox = memory;
	sscanf(words, "%31s %d", kind, &ms);
	find_honest();
	end = milliseconds() + (uint64_t)ms;
	snprintf(buf, size, "unknown kind");
	for (size_t i = 0; i < sizeof(forgers) / sizeof(*forgers); i++) {
		if (strcmp(forgers[i].name, kind) != 0)
			continue;
		for (; milliseconds() < end && n < MANY_FORGED; n++)
			forgers[i].forge();
		snprintf(buf, size, "forged %u%s", n, honest.reported ? "" : " of nothing");
	}
}
