/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_EVENT_H
#define EVENTS_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "policy/policy.h"

/*
 * One thing that happened, as it is told to people and programs. Plain data, no pointers into guest
 * memory; strings are NUL-terminated copies of what the guest said, and may hold any bytes.
 */
#define EVENT_MAX_PARENTS 5
#define EVENT_PATH_MAX 1024

struct event_file {
	char path[EVENT_PATH_MAX]; /* as the container sees it */
	char accessed_path
		[EVENT_PATH_MAX]; /* as the process that did it sees it; "" if that is not known */
	char source_path
		[EVENT_PATH_MAX]; /* rename, link: this took or would take the file's name; "" else */
	char target_path
		[EVENT_PATH_MAX]; /* rename, link: where the file goes to, or its new name; "" else */
	uint32_t device_major, device_minor;
	uint64_t inode;
	uint32_t generation;
	uint32_t mode; /* with the type bits */
	uint32_t uid, gid;
	uint64_t size;
};

struct event_parent {
	uint32_t pid;
	uint32_t uid;
	char name[16];
};

struct event_process {
	uint32_t pid, tid; /* in the guest */
	uint32_t inner_pid, inner_tid; /* in the process's own pid name space */
	uint32_t ppid;
	uint32_t uid, gid, euid, egid;
	uint64_t start_ns; /* nanoseconds since the guest's boot */
	char name[16];
	char executable[EVENT_PATH_MAX]; /* "" if not known */
	struct event_parent parents[EVENT_MAX_PARENTS]; /* nearest first */
	unsigned int n_parents;
	bool in_container; /* does it run in the container whose file it is? */
	bool from_container; /* does it live in some container, or come from one? Told of what is the guest's own only */
};

/* The container whose file it is. */
struct event_container {
	char id[72]; /* "" if the file belongs to none */
	char engine[16];
	char cgroup_path[512];
	char hostname[72];
	/* What the engine left in the guest's user space. Guest root could have written anything there: "" where not known. */
	char name[128], image[256];
	char pod_name[128], pod_namespace[128], pod_uid[64];
};

/* Of an attempt, besides the file. */
struct event_target {
	uint32_t pid; /* the process that was to be traced; 0: none */
	char name[16];
	char detail[48]; /* "BPF program type 29"; or "" */
};

struct event {
	uint64_t sequence; /* counts a VM's events from when its guard was put in place, without a gap: a loss would show */
	uint64_t time_ns; /* host's CLOCK_REALTIME when the host took it */
	uint64_t guest_time_ns; /* guest's CLOCK_REALTIME when it happened */
	const char *vm;
	const char *rule; /* name */
	const char *message; /* the rule's, or NULL */
	enum policy_severity severity;
	enum policy_action action; /* what the rule says */
	uint32_t operation; /* one policy_operation bit */
	const char *
		attempt; /* NULL; or what was attempted on the guest as a whole: no operation, maybe no file */
	bool denied; /* what came of it */
	bool killed; /* denied, and the process was killed */
	bool already_open; /* not an attempt: a descriptor or mapping from before the rule, which goes on working */
	struct event_file file;
	struct event_process process;
	struct event_container container;
	struct event_target target;
};

/* Who was about to write over what the guard stands on, and was held. */
struct event_writer {
	int vcpu; /* -1: none, some other thread of QEMU's, for a device */
	uint32_t pid; /* of the process in the guest; 0: not known, or the idle task */
	char name[16]; /* its */
};

/* Something about the guard itself: a gap, or the end of one. */
struct event_notice {
	uint64_t time_ns; /* host's CLOCK_REALTIME */
	const char *vm;
	const char *
		what; /* "cache-full", "container-unguarded", "records-lost", "mailbox-abused", "open-descriptor", ... */
	enum policy_severity severity;
	const char *message; /* a sentence */
	const struct event_container *container; /* or NULL */
	bool before; /* it was noticed before it took effect */
	const struct event_writer *writer; /* or NULL */
};

void event_notice_print_json(const struct event_notice *notice, FILE *out);
void event_notice_print_text(const struct event_notice *notice, FILE *out, bool colour);

/* What was tried, in a word. */
const char *event_operation(const struct event *event);

/* One JSON object and a newline, as docs/EVENTS.md describes. Valid UTF-8 whatever the bytes are. */
void event_print_json(const struct event *event, FILE *out);

/* One line for a terminal: time, verdict, who, what, where. Control characters are escaped. */
void event_print_text(const struct event *event, FILE *out, bool colour);

#endif
