// SPDX-License-Identifier: GPL-2.0-or-later
#include "glob/glob.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool at_end(const char *pattern)
{
	return *pattern == '\0' || *pattern == '/';
}

static bool is_double_star(const char *pattern)
{
	return pattern[0] == '*' && pattern[1] == '*' && at_end(pattern + 2);
}

/* The pattern's next name, or its end. */
static const char *next_name(const char *pattern)
{
	while (!at_end(pattern))
		pattern++;
	return *pattern == '/' ? pattern + 1 : pattern;
}

bool glob_is_deep(const char *pattern)
{
	for (; *pattern; pattern = next_name(pattern)) {
		if (is_double_star(pattern))
			return true;
	}
	return false;
}

/*
 * With one kind of wildcard that stands for "any run", it is enough to remember the last one met: when
 * what follows it fails, let it swallow one more and try again. An earlier one never needs to give back.
 * Each try pairs a place in the pattern with another place in the name than the tries before, and there is
 * no way back behind a wildcard: no pair is looked at twice, which bounds the time by their number.
 */
bool glob_match_name(const char *pattern, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (!at_end(pattern) && (*pattern == '?' || *pattern == *name)) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return at_end(pattern);
}

/* The same idea one level up: names instead of characters, "**" instead of '*'. */
bool glob_match(const char *pattern, const char *const names[], unsigned int n)
{
	const char *star = NULL;
	unsigned int i = 0, retry = 0;

	while (i < n) {
		if (is_double_star(pattern)) {
			star = next_name(pattern);
			if (!*star)
				return true; /* last, with at least one name left for it */
			pattern = star;
			retry = i;
		} else if (*pattern && glob_match_name(pattern, names[n - 1 - i])) {
			pattern = next_name(pattern);
			i++;
		} else if (star) {
			pattern = star;
			i = ++retry;
		} else {
			return false;
		}
	}
	return !*pattern;
}

/* Once at a "**", which takes as many names as there are, there is nothing left to fail. */
bool glob_match_below(const char *pattern, const char *const names[], unsigned int n)
{
	while (n-- > 0) {
		if (is_double_star(pattern))
			return true;
		if (!*pattern || !glob_match_name(pattern, names[n]))
			return false;
		pattern = next_name(pattern);
	}
	return *pattern;
}

#define HASH_START 2166136261u

static unsigned int hash_more(unsigned int hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

unsigned int glob_hash(const char *path)
{
	return hash_more(HASH_START, path);
}

unsigned int glob_hash_names(const char *const names[], unsigned int n)
{
	unsigned int hash = HASH_START;

	while (n-- > 0) {
		hash = hash_more(hash, names[n]);
		if (n)
			hash = hash_more(hash, "/");
	}
	return hash;
}

#define KIND_BYTES 8 /* of a name: enough to tell most from each other */

unsigned int glob_kind(const char *name)
{
	unsigned int hash = HASH_START;

	for (unsigned int n = 0; n < KIND_BYTES && !at_end(name); n++, name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash >> 26;
}

unsigned long long glob_first_kinds(const char *pattern)
{
	for (const char *at = pattern; !at_end(at); at++) {
		if (*at == '*' || *at == '?')
			return ~0ULL;
	}
	return 1ULL << glob_kind(pattern);
}

/* The names of the pattern that may come next, a bit each: where one may be "**", which may stand for none, the next too. */
static uint64_t with_skipped(const char *pattern, uint64_t next)
{
	for (uint64_t bit = 1; *pattern; pattern = next_name(pattern), bit <<= 1) {
		if (next & bit && is_double_star(pattern))
			next |= bit << 1;
	}
	return next;
}

static uint64_t next_below(const char *pattern, const char *const names[], unsigned int n)
{
	uint64_t next = with_skipped(pattern, 1);

	while (n-- > 0 && next) {
		uint64_t after = 0, bit = 1;

		for (const char *at = pattern; *at; at = next_name(at), bit <<= 1) {
			if (!(next & bit))
				continue;
			if (is_double_star(at))
				after |= bit;
			else if (glob_match_name(at, names[n]))
				after |= bit << 1;
		}
		next = with_skipped(pattern, after);
	}
	return next;
}

bool glob_same_below(const char *pattern, const char *const a[], unsigned int n_a,
		     const char *const b[], unsigned int n_b)
{
	const char *last = pattern;
	uint64_t in_a, in_b, end = 1;
	unsigned int n = 0;

	for (const char *at = pattern; *at; at = next_name(at), end <<= 1) {
		if (++n > GLOB_MAX_SAME)
			return false;
		last = at;
	}
	in_a = next_below(pattern, a, n_a);
	in_b = next_below(pattern, b, n_b);
	if (is_double_star(last) && in_a & in_b & end >> 1)
		return true; /* all that there can be */
	return (in_a | end) == (in_b | end); /* nothing comes below the end */
}
