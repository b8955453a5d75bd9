/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_SENTRY_H
#define SENTRY_SENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arm/arm.h"
#include "cache/table.h"
#include "profile/profile.h"
#include "sentry/anchors.h"
#include "util/error.h"

/*
 * Is all that the guard stands on still in place? Looked at from the host alone: the guest does not notice, and is stopped for a moment
 * only where registers are asked for. There are four kinds of it, each with a period of its own:
 *
 *  hooks      the words of the hooks, the lists that lead to the guard's nodes, the page-table entries of its window, and those
 *             that translate all these
 *  kernel     the kernel's text, its read-only data (with the system call table and the heads of the LSM lists) and its
 *             interrupt table, against what they were at arming. What the kernel itself patches is known: see sites.h, probes.h
 *  registers  of each vCPU: see cpus.h
 *  vault      the guard's code, its nodes and the table in force, against what the host wrote
 *
 * Code in the guest kernel can write all of them but the vault. It cannot do so unseen for longer than a period.
 */
struct sentry;

enum sentry_kind {
	SENTRY_HOOKS,
	SENTRY_KERNEL,
	SENTRY_REGISTERS,
	SENTRY_VAULT,
	SENTRY_N_KINDS,
};

/* How often each is looked at; 0: never. The hooks always are. */
struct sentry_periods {
	uint64_t ns[SENTRY_N_KINDS];
};

extern const struct sentry_periods sentry_default_periods;

/*
 * Everything is borrowed, and has to outlive the sentry. @arm is in place now. A kernel whose tables of what it patches cannot be read is
 * watched without its text: sentry_facts.trouble says so.
 */
int sentry_new(struct sentry **ret, const struct arm *arm, const struct profile *profile,
	       const struct table *table, struct error *err);

/* Accepts NULL. Returns NULL. */
struct sentry *sentry_free(struct sentry *sentry);

void sentry_set_periods(struct sentry *sentry, const struct sentry_periods *periods);

/* What is not as it should be, for people: "hook file_open, the window". */
struct sentry_finding {
	char what[512];
	unsigned int kinds; /* enum sentry_kind, as bits */
};

/*
 * Looks at what is due, else tells what it found last; looks at the hooks in any case if @at_once. Microseconds, but for the registers, unless something has changed. False, and
 * what, when something is not in place any more, until sentry_told(). That the kernel has moved a page table is no finding: it is taken up.
 */
bool sentry_look(struct sentry *sentry, uint64_t now_ns, bool at_once, struct sentry_finding *ret);

/* Is nothing wrong with the hooks, now? */
bool sentry_hooks_hold(struct sentry *sentry, struct sentry_finding *ret);

/*
 * The last finding has been dealt with. What it told of and stays as it is is not told again, but for the hooks: these are looked at
 * again from @next_hooks_ns on.
 */
void sentry_told(struct sentry *sentry, uint64_t next_hooks_ns);

/*
 * Writes the lists' links as they were: before arm_repair(), which goes by what is left of the lists. What no node of ours is in the way of
 * stays. From the host, while the guest runs.
 */
void sentry_restore_links(const struct sentry *sentry);

/*
 * Writes the kernel's own bytes back, where they differ. The guest is stopped for it. Returns how many places are as they were, or an
 * error.
 */
int sentry_restore_kernel(struct sentry *sentry, struct error *err);

/* Is nothing known to be wrong that has not been put right? Looks at nothing but what it knows. */
bool sentry_is_content(const struct sentry *sentry);

/* The hooks whose functions a tracer in the guest's kernel (ftrace, a kprobe, BPF) was at in the last round: bits, by arm.hooks. */
uint64_t sentry_traced(const struct sentry *sentry);

/*
 * Is the guest's kernel through with booting: has it looked for its devices, and protected its read-only data? One that never does the latter is
 * taken to be after a minute. A page walk.
 */
bool sentry_guest_has_booted(const struct sentry *sentry, uint64_t now_ns);

/* For people. */
struct sentry_facts {
	struct sentry_periods periods;
	const char *trouble; /* why the kernel's text is not watched, or NULL */
	size_t n_words, n_sites, n_differences;
	uint64_t n_bytes; /* of the kernel */
	uint64_t n_rounds; /* times that all of these have been compared */
	uint64_t n_looks, look_ns,
		longest_ns; /* of the hooks and a piece of the kernel: all looks together, the longest */
	uint64_t n_asked, asked_ns; /* for registers */
	uint64_t cpu_ns; /* of this process's CPU time, for all of it */
	uint64_t since_ns; /* CLOCK_MONOTONIC: when it began */
};

void sentry_get_facts(const struct sentry *sentry, struct sentry_facts *ret);

/*
 * The guest-physical pages that the guard stands on, each once, in ascending order: whoever traps writes to them sees every
 * change to the hooks that sentry_look() would. *@ret is the caller's, to be freed with free(). Returns how many there are, or -ENOMEM.
 */
ssize_t sentry_pages(const struct sentry *sentry, uint64_t **ret);

/* The words themselves, until the next look. */
const struct anchors *sentry_anchors(const struct sentry *sentry);

/* What the word at guest-physical @gpa is, for people: "hook file_open". */
void sentry_name(const struct sentry *sentry, uint64_t gpa, struct sentry_finding *ret);

/* Another number than before when sentry_pages() may tell others. Never 0. */
uint64_t sentry_generation(const struct sentry *sentry);

#endif
