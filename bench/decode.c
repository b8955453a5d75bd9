// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How fast the host decodes a ring that was recorded (a copy of a guest's mailbox): by itself, and with the JSON line that an event becomes.
 *
 *	decode FILE SECONDS	prints RECORDS DECODED-PER-SECOND WITH-JSON-PER-SECOND, of one core's time
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events/event.h"
#include "events/ring.h"

static double own_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static char *read_all(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	char *bytes;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < GUARD_MAILBOX_SLOTS) {
		perror(path);
		exit(1);
	}
	rewind(file);
	bytes = malloc((size_t)size);
	if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(file);
	*ret_size = (size_t)size;
	return bytes;
}

/* What session/report.c takes from a record that needs no guest: all but container and rule. */
static void make_event(struct event *event, const struct ring *ring)
{
	const struct guard_file_record *record = &ring->copy.file;
	const struct guard_process *process = &record->process;

	memset(event, 0, sizeof(*event));
	event->sequence = ring->next;
	event->guest_time_ns = event->time_ns = record->record.time_ns;
	event->vm = "recorded";
	event->rule = "recorded";
	event->severity = POLICY_SEVERITY_MEDIUM;
	event->operation = record->reported & -record->reported;
	event->denied = record->denied;
	event->file.inode = record->file.ino;
	event->file.size = record->file_size;
	event->file.mode = record->mode;
	ring_text(ring, record->path, event->file.path, sizeof(event->file.path));
	ring_text(ring, record->super_path, event->file.accessed_path,
		  sizeof(event->file.accessed_path));
	ring_text(ring, record->executable, event->process.executable,
		  sizeof(event->process.executable));
	event->process.pid = process->pid;
	event->process.tid = process->tid;
	event->process.uid = process->uid;
	event->process.start_ns = process->start_ns;
	memcpy(event->process.name, process->name, sizeof(event->process.name) - 1);
	snprintf(event->container.id, sizeof(event->container.id), "%064d", 1);
	snprintf(event->container.engine, sizeof(event->container.engine), "docker");
}

/* All records that the mailbox holds: as many as the ring, or all that there ever were. */
static uint64_t decode_once(char *mailbox, size_t size, FILE *out)
{
	struct guard_mailbox *counters = (struct guard_mailbox *)mailbox;
	uint64_t n_slots = ring_slots(size), n = 0, head = counters->head;
	struct guard_vault vault = { .n_slots = n_slots,
				     .consumed = head > n_slots ? head - n_slots : 0 };
	enum guard_record_type type;
	static struct event event;
	static struct ring ring;

	memset(&ring, 0, sizeof(ring));
	ring_init(&ring, mailbox, size, &vault);
	while ((type = ring_next(&ring, 1))) {
		if (type == GUARD_RECORD_FILE) {
			make_event(&event, &ring);
			n++;
			if (out)
				event_print_json(&event, out);
		}
		ring_done(&ring);
	}
	return n;
}

static double rate(char *mailbox, size_t size, double seconds, FILE *out)
{
	double from = own_seconds(), took;
	uint64_t n = 0;

	do {
		n += decode_once(mailbox, size, out);
		took = own_seconds() - from;
	} while (took < seconds);
	return (double)n / took;
}

int main(int argc, char **argv)
{
	FILE *null = fopen("/dev/null", "w");
	size_t size;
	char *mailbox;
	uint64_t n;

	if (argc != 3 || !null) {
		fprintf(stderr, "usage: decode FILE SECONDS\n");
		return 2;
	}
	mailbox = read_all(argv[1], &size);
	n = decode_once(mailbox, size, NULL);
	if (!n) {
		fprintf(stderr, "decode: %s: no file's record in it\n", argv[1]);
		return 1;
	}
	printf("%lu %.0f", (unsigned long)n, rate(mailbox, size, atof(argv[2]), NULL));
	printf(" %.0f\n", rate(mailbox, size, atof(argv[2]), null));
	return 0;
}
