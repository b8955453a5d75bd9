/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SENTRY_DIGEST_H
#define SENTRY_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Tells whether a page of guest memory is still what it was, without the page that it was. The attacker writes the page, knows what it was and
 * knows this file. What he does not know is the key, which is random, made anew for each kernel that is watched, and never in the guest's
 * memory.
 *
 * It is NH, as UMAC has it (RFC 4418, 5.2; Black, Halevi, Krawczyk, Krovetz, Rogaway, CRYPTO '99, theorem 4.2): of any two different messages of
 * one length, chosen without the key, the digests are the same for one key in 2^32 at most. That is proved, and assumes nothing of what is hard to
 * compute; two keys that have nothing to do with each other make it one in 2^64. A digest would tell of its key; but digests stay here, and the
 * guest learns no more of them than that a page was found changed. So who has changed n pages, and was found with all but the last,
 * has for that last one a chance of about n in 2^64. Digests of different lengths say nothing of each other.
 */
#define DIGEST_MOST 4096 /* bytes */

struct digest {
	uint64_t half[2];
};

struct digest_key {
	uint32_t words[2][DIGEST_MOST / sizeof(uint32_t)] __attribute__((aligned(16)));
};

/* Returns 0, or -EIO when this host has no random numbers. */
int digest_key_make(struct digest_key *ret);

/* Of @size bytes, at most DIGEST_MOST, each of which is read at least once: they may change meanwhile. */
void digest_make(const struct digest_key *key, const void *bytes, size_t size, struct digest *ret);

#endif
