// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What guest and host agree on, as numbers: a daemon adopts the guard that an earlier one left, so that whoever
 * changes one of these has to change GUARD_ABI_VERSION too.
 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "contract/guard_abi.h"
#include "glob/glob.h"
#include "guard/cache.h"
#include "policy/policy.h"

static void test_layout(void **state)
{
	static const struct {
		size_t is, was;
	} rows[] = {
		{ GUARD_ABI_VERSION, 3 },
		{ offsetof(struct guard_vault, n_slots), 16 },
		{ offsetof(struct guard_vault, host_away), 40 },
		{ offsetof(struct guard_vault, table), 64 },
		{ offsetof(struct guard_vault, consumed), 128 },
		{ offsetof(struct guard_vault, names), 192 },
		{ offsetof(struct guard_vault, errand), 200 },
		{ offsetof(struct guard_vault, n_roots), 208 },
		{ offsetof(struct guard_vault, roots), 216 },
		{ offsetof(struct guard_mailbox, head), 0 },
		{ offsetof(struct guard_mailbox, lost), 64 },
		{ offsetof(struct guard_mailbox, errand_done), 72 },
		{ offsetof(struct guard_entry, ino), 8 },
		{ offsetof(struct guard_entry, generation), 16 },
		{ offsetof(struct guard_entry, patterns), 20 },
		{ offsetof(struct guard_entry, deny), 24 },
		{ offsetof(struct guard_entry, report), 28 },
		{ offsetof(struct guard_pattern, deny), 4 },
		{ offsetof(struct guard_pattern, report), 8 },
		{ offsetof(struct guard_file_record, depth), 40 },
		{ offsetof(struct guard_file_record, file), 48 },
		{ offsetof(struct guard_file_record, process), 120 },
		{ offsetof(struct guard_file_record, path), 392 },
		{ offsetof(struct guard_view_record, resolved), 72 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(rows[i].is, rows[i].was);
}

/* Regions of the vault do not overlap, and tables start on a page. */
static void test_regions(void **state)
{
	(void)state;
	assert_true(sizeof(struct guard_vault) <= GUARD_VAULT_HOOKS);
	assert_true(GUARD_VAULT_HOOKS < GUARD_VAULT_RECORD);
	assert_true(GUARD_VAULT_RECORD < GUARD_VAULT_CODE);
	assert_true(GUARD_VAULT_CODE + GUARD_VAULT_CODE_SIZE <= GUARD_VAULT_NAMES);
	assert_true(GUARD_VAULT_NAMES + 2 * GUARD_VAULT_NAMES_SIZE <= GUARD_VAULT_TABLES);
	assert_int_equal(GUARD_VAULT_TABLES % 4096, 0);
	/* cutting an offset to a half needs a power of two */
	assert_int_equal(GUARD_VAULT_NAMES_SIZE & (GUARD_VAULT_NAMES_SIZE - 1), 0);
}

/* The parts of the table word do not touch each other, whatever their values. */
static void test_table_word(void **state)
{
	(void)state;
	for (uint64_t page = 1; page < 1 << 20; page <<= 1) {
		for (uint64_t shift = 32; shift < 64; shift++) {
			uint64_t all = page | shift << 20 | GUARD_TABLE_BASES |
				       ~0ULL << GUARD_TABLE_SEQUENCE_SHIFT;

			assert_int_equal(GUARD_TABLE_PAGE(all), page);
			assert_int_equal(GUARD_TABLE_SHIFT(all), shift);
			assert_false((page | shift << 20) & GUARD_TABLE_BASES);
		}
	}
}

/* Operations are the same bits in policies and in the guard. */
static void test_operations(void **state)
{
	(void)state;
	assert_int_equal(GUARD_OP_READ, POLICY_READ);
	assert_int_equal(GUARD_OP_WRITE, POLICY_WRITE);
	assert_true(GUARD_OP_ASK >> POLICY_N_OPERATIONS);
}

/* The empty table that arming leaves: one word, and every look-up finds nothing. */
static void test_empty_table(void **state)
{
	static struct guard_entry page[128 + GUARD_PROBE_LIMIT];

	(void)state;
	for (uint64_t ino = 0; ino < 1000; ino++)
		assert_null(cache_find(page, 63ULL << 20, 0xffff888100000000ULL, ino));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	    cmocka_unit_test(test_regions),
		cmocka_unit_test(test_table_word),  cmocka_unit_test(test_operations),
		cmocka_unit_test(test_empty_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
