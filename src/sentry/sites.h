/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_SITES_H
#define SENTRY_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The places in the kernel's text where the kernel itself changes instructions while it runs, and what may stand there. All are known
 * beforehand: the kernel has tables of them.
 *
 * While such a place changes, its first byte is a breakpoint, and then its other bytes are written (text_poke_bp()).
 */
enum site_kind {
	SITE_JUMP, /* a static key's branch: a NOP, or a jump to its one target */
	SITE_CALL, /* a static call: a call of a function, a NOP, or `xor %eax,%eax` */
	SITE_TAIL, /* the last thing its caller does, or a trampoline: a jump to a function, or a return */
	SITE_TRACE, /* a function's entry: a NOP, or a call of a tracer */
	SITE_LOCK, /* a lock prefix, which a kernel with one CPU does without */
};

#define SITE_MAX_SIZE 6

struct site {
	uint64_t address;
	uint64_t target; /* of a SITE_JUMP */
	uint8_t kind; /* enum site_kind */
	uint8_t size; /* bytes */
	uint8_t guarded; /* the function belongs to this one of the guard's hooks, counted from 1; 0: to none */
};

struct sites {
	struct site *list;
	size_t n, room;
};

/* Returns 0 or -ENOMEM. */
int sites_add(struct sites *sites, const struct site *site);

/* To be called when all are there; before that, sites_find() finds nothing. */
void sites_sort(struct sites *sites);

/* The site that @address is a byte of, or NULL. */
const struct site *sites_find(const struct sites *sites, uint64_t address);

void sites_clear(struct sites *sites);

/* Where code may lead. */
struct site_world {
	bool (*is_function)(uint64_t address,
			    void *data); /* does a function of the kernel begin there? */
	bool (*is_loaded)(uint64_t address,
			  void *data); /* is it where modules, tracers and BPF programs are? */
	void *data;
	uint64_t tracer[2]; /* what the kernel has for functions' entries; 0: none */
};

enum site_verdict {
	SITE_RESTS, /* as it was built: nothing is attached here */
	SITE_ALLOWED, /* the kernel may have written it */
	SITE_CHANGING, /* so it is while the kernel writes it, for a moment */
	SITE_FOREIGN, /* the kernel has no way to write that */
};

/* Judges the @site->size bytes that stand there now. */
enum site_verdict site_judge(const struct site *site, const uint8_t *found,
			     const struct site_world *world);

/* What stands where a jump or call of five bytes is not wanted: at a SITE_TRACE that nothing is attached to. */
#define SITE_NOP_SIZE 5
extern const uint8_t site_nop[SITE_NOP_SIZE];

/* Where a jump or call of five bytes at @address leads. */
uint64_t site_target(const uint8_t *code, uint64_t address);

#endif
