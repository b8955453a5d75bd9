/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_COPIES_H
#define SENTRY_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/space.h"
#include "sentry/digest.h"

/*
 * Ranges of the guest kernel that have to stay as they are, each with a copy of what it was. They are compared page by page, round and
 * round, so that a look costs the same however much there is. What differs is judged by the owner; what he does not accept is looked at
 * again after a while, since it may be half of a change, and is a difference when he does not accept it then.
 *
 * A page is compared by its digest (see there why that is enough). The copy itself is packed, and unpacked only to find out which bytes differ and
 * what was there: half the memory to keep, half the memory to read.
 */
enum copies_verdict {
	COPIES_ACCEPTED,
	COPIES_AGAIN, /* it may be under way: look again later */
	COPIES_FOREIGN,
};

/*
 * Judges the byte at @va, which differs. *@ret_va and *@ret_size are the place that it belongs to, as a whole, of at most COPIES_PIECE bytes;
 * they come in as that byte alone.
 */
typedef enum copies_verdict (*copies_judge_t)(uint64_t va, uint64_t *ret_va, size_t *ret_size,
					      void *data);

#define COPIES_PIECE 8 /* bytes of one difference */
#define COPIES_MAX_DIFFERENCES 64
#define COPIES_MAX_RANGES 8

#define COPIES_PAGE DIGEST_MOST

/* What was there, from a page's beginning in its range. */
struct copies_page {
	struct digest digest;
	uint8_t *packed;
	uint16_t size; /* of that; as many as there are: it is not packed */
};

struct copies_range {
	const char *name; /* "text"; a literal */
	uint64_t va, pa, size;
	bool code; /* instructions: TCG does not notice when they are written directly */
	bool writable; /* the kernel may write it, when it was taken */
	struct copies_page *page;
};

struct copies_difference {
	uint64_t va;
	uint8_t expected[COPIES_PIECE], found[COPIES_PIECE];
	uint8_t size;
	bool code, told;
};

/* Something that has not been accepted once. */
struct copies_doubt {
	uint64_t va, due_ns;
	unsigned int left; /* times that it has to be seen again */
	uint64_t since_ns; /* as half of a change, with the same bytes ever since; 0: it is none */
	uint64_t bytes;
};

enum copies_mapping {
	COPIES_MAPPED,
	COPIES_ELSEWHERE, /* other memory stands at that address, or none */
	COPIES_WRITABLE, /* the kernel's page tables let it be written, and did not */
};

struct copies {
	struct space space;
	struct copies_range range[COPIES_MAX_RANGES];
	size_t n_ranges;
	uint64_t size; /* of all */
	uint64_t packed; /* bytes that the copies take */
	uint64_t at, rounds; /* the place of the next look; times that all has been looked at */
	uint64_t credit; /* less than a page, of earlier looks */
	struct digest_key key;
	struct copies_difference difference[COPIES_MAX_DIFFERENCES];
	size_t n_differences;
	bool more; /* there are others, for which there was no room */
	struct copies_doubt doubt[COPIES_MAX_DIFFERENCES];
	size_t n_doubts;
	enum copies_mapping mapping; /* the worst of this round */
	uint64_t mapping_va; /* of that */
	bool mapping_told;
	copies_judge_t judge;
	void *data;
};

/* @space is copied. @judge is called with @data. Returns 0 or, as digest_key_make(), -EIO. */
int copies_init(struct copies *copies, const struct space *space, copies_judge_t judge, void *data);
void copies_clear(struct copies *copies);

/*
 * Adds @size bytes at @va, physically contiguous, as they are now. Returns 0, -EFAULT when they are not mapped so, -E2BIG, -ENOMEM.
 */
int copies_add(struct copies *copies, const char *name, uint64_t va, uint64_t size, bool code);

/*
 * Looks at the next @size bytes, as far as these are whole pages (what is left counts for the next look), and at what was doubtful and is due. True when there is a difference or a mapping that has not been told.
 */
bool copies_look(struct copies *copies, uint64_t size, uint64_t now_ns);

/* Are these @size bytes of one range? */
bool copies_has(const struct copies *copies, uint64_t va, size_t size);

/* What was there at @va. False, and nothing, unless copies_has() them. */
bool copies_expected(const struct copies *copies, uint64_t va, void *ret, size_t size);

/* From now on @bytes is what was there at @va. False, and all is as before, unless copies_has() them and there is memory. */
bool copies_expect(struct copies *copies, uint64_t va, const uint8_t *bytes, size_t size);

/* Forgets those that are as they were by now. Returns how many are left. */
size_t copies_refresh(struct copies *copies);

#endif
