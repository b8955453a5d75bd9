/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_JUDGE_H
#define GUARD_JUDGE_H

#include "guard/match.h"

/* One attempt, on one file or name. What is not set is 0. */
struct attempt {
	struct subject subject;
	uint32_t operations; /* enum guard_operation */
	uint32_t role; /* enum guard_role */
	const void *path; /* struct path, where the hook knows one */
	const void *other; /* dentry of the other name; told as a path */
	const void *from, *to; /* rename: as the kernel gave them */
	uint64_t space; /* not 0: a mount in this name space */
	bool passed; /* a descriptor that is received: told only where it is refused */
	bool strips_identity; /* refused wherever anything is */
	bool waits; /* until the host has handled what is told */
};

/*
 * Looks up, reports, and tells the offender's fate: 0 or -EPERM. May sleep. *@ret_followed, if given: the host wants to be told
 * when the file's name goes (GUARD_OP_FOLLOW), and the attempt was not refused.
 */
int judge(const struct attempt *attempt, bool *ret_followed);

/* Tells the host, and waits until it watches the name: @dentry of @directory. */
void follow_name(const void *inode, const void *directory, const void *dentry,
		 enum guard_follow_cause cause);

static inline struct subject subject_of(const void *inode, const void *dentry, uint64_t super)
{
	return (struct subject){ .inode = inode, .dentry = dentry, .super = super };
}

/*
 * Does overlayfs open this file, below one of its own? It does either with the path of the one above (before Linux 62d53c4a1dfe, v6.5),
 * or as a backing file, with the credentials of who has mounted it. A file that fanotify opens for a listener may have the same mark, but
 * is opened as the listener.
 */
static inline bool is_backing_file(const void *file)
{
	return (file_mode(file) & FMODE_MAYBE_BACKING && acts_for_another()) ||
	       dentry_inode(file_dentry(file)) != file_inode(file);
}

#endif
