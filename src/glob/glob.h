/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GLOB_GLOB_H
#define GLOB_GLOB_H

/*
 * Path patterns, matched name by name. Freestanding: the guard in the guest kernel and the policy on the
 * host run this same code, so that they can never disagree.
 *
 * A pattern is names joined by '/', without a leading one. In a name, '*' stands for any characters, or
 * none, and '?' for one byte; a leading dot is nothing special. The name "**" stands for any number of
 * names, at least one where it comes last.
 */

/* How many names glob_match() can be given. Of a deeper path only glob_is_deep() can be asked. */
#define GLOB_MAX_DEPTH 48

/*
 * Does the path match? @names are its names, last one first (as walking up from a file finds them); @n of
 * them. Time is bounded by (length of pattern) x (length of path); no recursion, no memory.
 */
_Bool glob_match(const char *pattern, const char *const names[], unsigned int n);

/* Could it match something below the directory that has these names (again last one first)? */
_Bool glob_match_below(const char *pattern, const char *const names[], unsigned int n);

/* Does it match the same below two directories? Of a pattern of more than GLOB_MAX_SAME names that is not told: false. */
_Bool glob_same_below(const char *pattern, const char *const a[], unsigned int n_a,
		      const char *const b[], unsigned int n_b);
#define GLOB_MAX_SAME 63

/* Can it match at any depth: is one of its names "**"? */
_Bool glob_is_deep(const char *pattern);

/*
 * A path's hash, from its text and from its names (last one first): FNV-1a of "a/b/c". To find a pattern without
 * wildcards among many.
 */
unsigned int glob_hash(const char *path);
unsigned int glob_hash_names(const char *const names[], unsigned int n);

/*
 * One of 64 kinds, by the name's first bytes; it ends at '/' or NUL. And the kinds, a bit each, of the names that a path which
 * the pattern matches may begin with: all, if it begins with a wildcard. So that of most paths it is plain that they do not match.
 */
unsigned int glob_kind(const char *name);
unsigned long long glob_first_kinds(const char *pattern);

/* One name against one name of a pattern, which ends at '/' or NUL. */
_Bool glob_match_name(const char *pattern, const char *name);

#endif
