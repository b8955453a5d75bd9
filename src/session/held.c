// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/held.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/opener.h"

#define MAGIC 0x646c6568616f6775ULL
#define START GUARD_SLOT_SIZE /* of the records; the mark stands before them */

static void remove_file(struct held *held)
{
	if (*held->path)
		opener_unlink(held->path);
	if (held->fd > 0)
		close(held->fd);
	held->fd = 0;
}

static uint64_t position_of(const char *record)
{
	uint64_t sequence;

	memcpy(&sequence, record, sizeof(sequence)); /* guard_record.sequence */
	return sequence - 1;
}

/* Whole records only: one that was cut short is in the ring still, as its writer died before it was handed back. */
static void read_records(struct held *held, uint64_t consumed)
{
	while (held->n < held->room &&
	       pread(held->fd, held->records[held->n], GUARD_SLOT_SIZE,
		     (off_t)(START + held->n * GUARD_SLOT_SIZE)) == GUARD_SLOT_SIZE &&
	       position_of(held->records[held->n]) < consumed)
		held->n++;
	if (ftruncate(held->fd, (off_t)(START + held->n * GUARD_SLOT_SIZE)) < 0)
		remove_file(held);
}

static bool open_file(struct held *held, int flags)
{
	int fd = opener_open(held->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	held->fd = fd > 0 ? fd : 0;
	return held->fd > 0;
}

void held_init(struct held *held, const char *path, const struct held_mark *mark, bool adopted,
	       uint64_t consumed, size_t room)
{
	struct held_mark found = { 0 };

	*held = (struct held){ .room = room };
	snprintf(held->path, sizeof(held->path), "%s", path);
	if (!adopted || !open_file(held, 0)) {
		remove_file(held);
		return;
	}
	held->records = malloc(room * sizeof(*held->records));
	if (!held->records || pread(held->fd, &found, sizeof(found), 0) != sizeof(found) ||
	    found.magic != MAGIC || found.entry != mark->entry ||
	    found.phys_base != mark->phys_base || found.n_told != mark->n_told) {
		remove_file(held);
		return;
	}
	read_records(held, consumed);
}

void held_deinit(struct held *held)
{
	free(held->records);
	if (held->fd > 0)
		close(held->fd);
	*held = (struct held){ 0 };
}

/* Without a file, a daemon that dies now takes the records along. */
static void write_record(struct held *held, const char *record, const struct held_mark *mark)
{
	struct held_mark ours = *mark;

	ours.magic = MAGIC;
	if (!*held->path || (held->fd <= 0 && !open_file(held, O_CREAT)))
		return;
	if ((held->n == 0 && pwrite(held->fd, &ours, sizeof(ours), 0) != sizeof(ours)) ||
	    pwrite(held->fd, record, GUARD_SLOT_SIZE, (off_t)(START + held->n * GUARD_SLOT_SIZE)) !=
		    GUARD_SLOT_SIZE) {
		remove_file(held);
		*held->path = '\0';
	}
}

bool held_add(struct held *held, const char *record, uint64_t position,
	      const struct held_mark *mark)
{
	const uint64_t sequence = position + 1;
	char *to;

	if (!held->records)
		held->records = malloc(held->room * sizeof(*held->records));
	if (!held->records || held->n == held->room)
		return false;
	to = held->records[held->n];
	memcpy(to, record, GUARD_SLOT_SIZE);
	memcpy(to, &sequence, sizeof(sequence));
	write_record(held, to, mark);
	held->n++;
	return true;
}

void held_done(struct held *held)
{
	remove_file(held);
	free(held->records);
	held->records = NULL;
	held->n = 0;
}
