/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_VERIFY_H
#define SESSION_VERIFY_H

#include "session/enter.h"

/*
 * Records are guest root's to forge, the kernel's own objects are not (short of kernel code). What a record would have us do is
 * compared with these first; what they contradict is not done, and counted.
 */

/* Is that a thread of the guest's? A start that nobody makes is counted as abuse. */
bool verify_thread(struct session *session, uint64_t task);

/*
 * Puts right what a view says its names resolved to: where the kernel's own names lead elsewhere, that counts. A name that
 * is not there needs no proof: it is watched by its directory, which does. What the kernel has forgotten by now stays as told.
 */
void verify_view(const struct entering *entering, struct view *view);

enum verdict_on_name {
	NAME_PROVED, /* the file is there by that name, in that directory */
	NAME_UNKNOWN, /* the kernel has forgotten it, or this kernel's names cannot be read */
	NAME_FALSE,
};

/* Is what a follow record says of a file with this watch so? *@ret_inode: the inode's address if proved. */
enum verdict_on_name verify_follow(struct session *session, const struct watch *watch,
				   const struct guard_follow_record *record, const char *name,
				   uint64_t *ret_inode);

/* Is the inode at @address still this file, and has it a name? */
bool verify_has_name(const struct session *session, uint64_t address,
		     const struct guard_identity *file);

/* Does a file record hold together? If not, it is counted, and no guard's. */
bool verify_file(struct session *session, const struct guard_file_record *record);

#endif
