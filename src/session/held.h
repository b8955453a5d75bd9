/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_HELD_H
#define SESSION_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/*
 * Records that have been taken from the ring, and wait to be told until the containers are known: after adopting a guard. They are in a
 * file too, for a daemon that dies meanwhile: the next one finds them there. Records are the guest's word.
 */
struct held {
	char (*records)[GUARD_SLOT_SIZE];
	size_t n, room;
	char path[96]; /* "": there is no file */
	int fd; /* of the file; 0: not open (it is never standard input) */
};

/* To which guard, at which time, the records of a file belong. */
struct held_mark {
	uint64_t magic;
	uint64_t entry, phys_base; /* of the kernel that it is in */
	uint64_t n_told; /* events before the first record */
};

/*
 * @path is where the file is, or will be. With @adopted, takes what an earlier daemon of the same @mark left there, but for
 * records from ring position @consumed on, which are still in the ring. Else, and if anything is wrong with the file, it is
 * removed. At most @room records are held.
 */
void held_init(struct held *held, const char *path, const struct held_mark *mark, bool adopted,
	       uint64_t consumed, size_t room);

/* Frees the records; the file stays. */
void held_deinit(struct held *held);

/* Holds the record that was at ring position @position. False when there is no room. */
bool held_add(struct held *held, const char *record, uint64_t position,
	      const struct held_mark *mark);

/* All has been told: frees the records, and removes the file. */
void held_done(struct held *held);

#endif
