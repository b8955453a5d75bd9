/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_TRAP_H
#define VMM_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

/*
 * Writes to single pages of QEMU's memory, held before they land: by the userfaultfd of a QEMU that liboutguard-trap.so is
 * preloaded into. All addresses are QEMU's own.
 *
 * A thread of its own answers the faults, so that nobody who waits for QEMU here keeps QEMU waiting: a write is held at most
 * TRAP_HOLD_MS. The functions below are for one other thread, and do not block but for microseconds; trap_open() some seconds, at worst.
 */
struct trap;

#define TRAP_HOLD_MS 100
#define TRAP_MAX_PAGES 512

/* A word that nobody should write, or only those of its bits that are not in @mask. */
struct trap_word {
	uint64_t address; /* aligned */
	uint64_t mask;
	bool sure; /* whoever writes to it changes it: nothing else is ever written there */
};

/*
 * Connects to the library in process @pid. @exact: the process writes where the fault says (TCG), not somewhere on that page
 * (KVM). @wake is an eventfd, borrowed, to be written to whenever trap_next() has something. -ENOENT: the library is not
 * there; other errors name what is wrong and the remedy.
 */
int trap_open(struct trap **ret, pid_t pid, bool exact, int wake, struct error *err);

/* Lets everything go. Accepts NULL. Returns NULL. */
struct trap *trap_free(struct trap *trap);

/*
 * From now on writes to the pages of these words (none: @n is 0) are trapped, and to no others. Returns how many pages are, or an error: then
 * what was trapped before may be no more.
 */
int trap_set_words(struct trap *trap, const struct trap_word *words, size_t n, struct error *err);

/* For a while nothing is trapped: before QEMU itself is made to write there. Not to be nested. @trap may be NULL. */
void trap_lift(struct trap *trap);
void trap_restore(struct trap *trap);

struct trap_event {
	uint64_t page;
	uint64_t time_ns; /* when the write was caught, CLOCK_MONOTONIC */
	enum {
		TRAP_CAUGHT, /* held: see @word; to be answered by trap_release() */
		TRAP_LANDED, /* it has, or has not come in its time and will be caught again; the page is protected */
	} type;
	pid_t tid; /* QEMU's thread that writes; it may be a thread of the host's kernel */
	bool sure; /* TRAP_CAUGHT: it goes to @word, which is a sure one */
	uint64_t word; /* then; else 0 */
	bool changed; /* TRAP_LANDED: one of the words is not as it was; @word says which */
};

/* Takes the next event. Returns 1, or 0 when there is none. */
int trap_next(struct trap *trap, struct trap_event *ret);

/* Is a write held on @page: has it not landed yet? */
bool trap_holds(struct trap *trap, uint64_t page);

/* The write that is held on @page may land. It is watched from there on, until TRAP_LANDED. */
void trap_release(struct trap *trap, uint64_t page);

struct trap_stats {
	unsigned int pages; /* that are trapped */
	unsigned int hot; /* given up: too much else is written there */
	uint64_t caught; /* writes */
	uint64_t neighbours; /* of these, to something else on such a page */
	bool let_go; /* the library has: it heard nothing from here for too long. trap_set_words() sets the trap again */
	bool lost; /* the library is gone, and with it, as a rule, QEMU */
};

void trap_stats(struct trap *trap, struct trap_stats *ret);

#endif
