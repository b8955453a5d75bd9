// SPDX-License-Identifier: GPL-2.0-or-later
#include "session/attempts.h"

#include <stdio.h>
#include <sys/stat.h>

#include "session/tell.h"
#include "util/clock.h"

/* include/uapi/linux/bpf.h */
static const char *bpf_type(uint32_t type)
{
	switch (type) {
	case 26:
		return "BPF program that replaces a function's result";
	case 27:
		return "BPF program of type struct_ops";
	case 28:
		return "BPF program of type ext";
	case 29:
		return "BPF program of type lsm";
	}
	return "BPF program";
}

static void fill_target(struct event_target *target, const struct guard_attempt_record *record)
{
	if (record->attempt == GUARD_ATTEMPT_PTRACE) {
		target->pid = record->target_pid;
		snprintf(target->name, sizeof(target->name), "%.15s", record->target_name);
	} else if (record->attempt == GUARD_ATTEMPT_BPF_PROGRAM) {
		snprintf(target->detail, sizeof(target->detail), "%s", bpf_type(record->detail));
	} else if (record->attempt == GUARD_ATTEMPT_BLOCK_COMMAND) {
		snprintf(target->detail, sizeof(target->detail), "ioctl %#x", record->detail);
	} else if (S_ISBLK(record->mode) || S_ISCHR(record->mode)) {
		snprintf(target->detail, sizeof(target->detail), "%s device %u:%u",
			 S_ISBLK(record->mode) ? "block" : "character", record->device >> 20,
			 record->device & 0xfffff);
	}
}

static void fill_file(struct event_file *file, const struct session *session,
		      const struct guard_attempt_record *record)
{
	if (!record->file.ino)
		return;
	ring_text(&session->ring, record->path, file->path, sizeof(file->path));
	snprintf(file->accessed_path, sizeof(file->accessed_path), "%s", file->path);
	file->device_major = record->file.device >> 20;
	file->device_minor = record->file.device & 0xfffff;
	file->inode = record->file.ino;
	file->generation = record->file.generation;
	file->mode = record->mode;
}

void report_attempt(struct session *session)
{
	const struct guard_attempt_record *record = &session->ring.copy.attempt;
	bool by_container = record->whom == GUARD_BY_CONTAINER;
	struct container *container = containers_find(&session->containers, record->process.mnt_ns);
	struct event event = {
		.sequence = session->ring.n_told,
		.time_ns = clock_ns(CLOCK_REALTIME),
		.guest_time_ns = record->record.time_ns,
		.vm = session->name,
		.attempt = policy_attempt_name(record->attempt),
		.rule = policy_attempt_rule(record->attempt),
		.severity = by_container ? POLICY_SEVERITY_HIGH : POLICY_SEVERITY_MEDIUM,
		.action = record->denied ? POLICY_DENY : POLICY_AUDIT,
		.denied = record->denied != 0,
	};

	if (record->attempt >= GUARD_N_ATTEMPTS) {
		ring_abused(&session->ring, RING_ABUSE_RECORDS);
		return;
	}
	tell_process(session, &event.process, &record->process, record->executable);
	event.process.from_container = by_container;
	event.process.in_container = container != NULL;
	if (container)
		tell_container(session, &event.container, container);
	fill_file(&event.file, session, record);
	fill_target(&event.target, record);
	session->n_events++;
	session->n_denied += event.denied;
	session->sink(&event, session->sink_data);
	session->ring.n_told++; /* noted when the record is done: see ring.h */
}
