/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_CACHE_H
#define GUARD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/guard_abi.h"

/*
 * Look-up in the file metadata cache of @vault, as @table (a value of guard_vault.table) describes it. Never
 * wraps: the host leaves GUARD_PROBE_LIMIT entries behind the last slot. The caller believes what it found, or
 * did not find, only if vault.table is still @table afterwards.
 */
static inline const struct guard_entry *cache_find(const void *vault, uint64_t table, uint64_t key,
						   uint64_t ino)
{
	uint64_t at = (GUARD_HASH(key, ino) >> (table & 63)) & ~31ULL; /* of the slot, in bytes */
	const struct guard_entry *entry =
		(const struct guard_entry *)((const char *)vault + (uint32_t)(table & 0xfffff000) +
					     at);

	if (__builtin_expect(*(const volatile uint64_t *)&entry->key == GUARD_KEY_EMPTY, 1))
		return NULL; /* most often, at once */
	for (unsigned int i = 0; i < GUARD_PROBE_LIMIT; i++, entry++) {
		uint64_t found = *(const volatile uint64_t *)&entry->key;

		if (found == GUARD_KEY_EMPTY)
			return NULL;
		if (found == key && *(const volatile uint64_t *)&entry->ino == ino)
			return entry;
	}
	return NULL;
}

/* What the filter says of reading an inode of that number: GUARD_FILTER_PASSES, or others. */
static inline uint32_t filter_word(const void *vault, uint64_t ino)
{
	return ((const uint16_t *)vault)[GUARD_VAULT_FILTER / 2 + GUARD_FILTER_OF_INO(ino)];
}

/* May the tables in force have such entries (enum guard_change_filter) at that place? No is certain. */
static inline bool filter_has(const void *vault, uint32_t at, uint8_t kind)
{
	return ((const uint8_t *)vault)[GUARD_VAULT_CHANGE_FILTER + (uint64_t)at] & kind;
}

#endif
