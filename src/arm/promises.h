/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_PROMISES_H
#define ARM_PROMISES_H

/*
 * What does not hold in a guest whose kernel lacks this hook, in words for people: "deleting is neither refused nor
 * told". Never NULL.
 */
const char *promise_without(const char *hook);

/* Why a kernel that does not know the optional hook has no need of it. Never NULL. */
const char *promise_needless(const char *hook);

#endif
