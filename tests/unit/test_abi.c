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
		{ GUARD_ABI_VERSION, 8 },
		{ GUARD_VAULT_FILTER, 0x10000 },
		{ GUARD_FILTER_OF_INO(0x1000012ff), 0x12ff },
		{ GUARD_FILTER_OF_SUPER(0xffff888123456800), 0x4568 },
		{ offsetof(struct guard_vault, n_slots), 16 },
		{ offsetof(struct guard_vault, host_away), 40 },
		{ offsetof(struct guard_vault, mask), 48 },
		{ offsetof(struct guard_vault, flags), 56 },
		{ offsetof(struct guard_vault, table), 64 },
		{ offsetof(struct guard_vault, consumed), 128 },
		{ offsetof(struct guard_vault, guest_space), 192 },
		{ offsetof(struct guard_vault, attempts_deny), 200 },
		{ offsetof(struct guard_vault, attempts_report), 208 },
		{ offsetof(struct guard_vault, names), 216 },
		{ offsetof(struct guard_vault, errand), 224 },
		{ offsetof(struct guard_vault, n_roots), 232 },
		{ offsetof(struct guard_vault, roots), 240 },
		{ offsetof(struct guard_vault, kill), 752 },
		{ offsetof(struct guard_vault, kills), 768 },
		{ offsetof(struct guard_vault, system_call_entry), 1792 },
		{ offsetof(struct guard_mailbox, head), 0 },
		{ offsetof(struct guard_mailbox, lost), 64 },
		{ offsetof(struct guard_mailbox, errand_done), 72 },
		{ offsetof(struct guard_mailbox, kill_done), 80 },
		{ offsetof(struct guard_mailbox, system_calls_turn), 88 },
		{ offsetof(struct guard_entry, ino), 8 },
		{ offsetof(struct guard_entry, generation), 16 },
		{ offsetof(struct guard_entry, clauses), 20 },
		{ offsetof(struct guard_entry, deny), 24 },
		{ offsetof(struct guard_entry, report), 28 },
		{ offsetof(struct guard_clauses, kinds), 8 },
		{ offsetof(struct guard_clauses, read_kinds), 16 },
		{ offsetof(struct guard_clauses, clause), 24 },
		{ offsetof(struct guard_clause, deny), 4 },
		{ offsetof(struct guard_clause, report), 8 },
		{ offsetof(struct guard_clause, kill), 12 },
		{ offsetof(struct guard_clause, exceptions), 16 },
		{ offsetof(struct guard_clause, n_exceptions), 20 },
		{ offsetof(struct guard_clause, whom), 28 },
		{ offsetof(struct guard_exception, generation), 4 },
		{ offsetof(struct guard_exception, super), 8 },
		{ offsetof(struct guard_exception, ino), 16 },
		{ offsetof(struct guard_exception, uid_from), 24 },
		{ offsetof(struct guard_exception, uid_to), 28 },
		{ offsetof(struct guard_exception, space), 32 },
		{ offsetof(struct guard_process, mnt_ns), 40 },
		{ offsetof(struct guard_process, parents), 64 },
		{ offsetof(struct guard_process, n_parents), 184 },
		{ offsetof(struct guard_file_record, killed), 36 },
		{ offsetof(struct guard_file_record, asked), 40 },
		{ offsetof(struct guard_file_record, depth), 44 },
		{ offsetof(struct guard_file_record, role), 48 },
		{ offsetof(struct guard_file_record, whom), 52 },
		{ offsetof(struct guard_file_record, file), 56 },
		{ offsetof(struct guard_file_record, base), 80 },
		{ offsetof(struct guard_file_record, dentry_from), 104 },
		{ offsetof(struct guard_file_record, file_size), 120 },
		{ offsetof(struct guard_file_record, mode), 128 },
		{ offsetof(struct guard_file_record, nested), 140 },
		{ offsetof(struct guard_file_record, space), 144 },
		{ offsetof(struct guard_file_record, process), 152 },
		{ offsetof(struct guard_file_record, path), 344 },
		{ offsetof(struct guard_file_record, super_path), 346 },
		{ offsetof(struct guard_file_record, other_path), 348 },
		{ offsetof(struct guard_file_record, executable), 350 },
		{ sizeof(struct guard_file_record), 352 },
		{ offsetof(struct guard_follow_record, file), 24 },
		{ offsetof(struct guard_follow_record, parent), 48 },
		{ offsetof(struct guard_follow_record, cause), 72 },
		{ offsetof(struct guard_follow_record, links), 76 },
		{ offsetof(struct guard_follow_record, mode), 80 },
		{ offsetof(struct guard_follow_record, name), 84 },
		{ offsetof(struct guard_view_record, n_resolved), 68 },
		{ offsetof(struct guard_view_record, cause), 72 },
		{ offsetof(struct guard_view_record, resolved), 80 },
		{ offsetof(struct guard_system_calls_record, found), 24 },
		{ offsetof(struct guard_system_calls_record, cpu), 32 },
		{ offsetof(struct guard_system_calls_record, restored), 36 },
		{ GUARD_KEY_FILE, 0 },
		{ GUARD_KEY_BASE, 1 },
		{ GUARD_KEY_SUPER, 2 },
		{ GUARD_KEY_CREDS, 3 },
		{ GUARD_KEY_SPACE, 4 },
		{ GUARD_KEY_MOUNT, 5 },
		{ GUARD_KEY_WORK, 6 },
		{ GUARD_SPACE_KEY(5), 5 << 6 | 4 },
		{ GUARD_MOUNT_KEY(5), 5 << 6 | 5 },
		{ GUARD_RECORD_FILE, 1 },
		{ GUARD_RECORD_VIEW, 2 },
		{ GUARD_RECORD_SUPER_GONE, 3 },
		{ GUARD_RECORD_FOLLOW, 4 },
		{ GUARD_RECORD_SYSTEM_CALLS, 6 },
		{ GUARD_EXCEPT_EXECUTABLE, 1 },
		{ GUARD_EXCEPT_UID, 2 },
		{ GUARD_EXCEPT_SPACE, 4 },
		{ GUARD_REFUSE_UNRESOLVED, 1 },
		{ GUARD_LAZY, 2 },
		{ GUARD_RESTORE_SYSTEM_CALLS, 8 },
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
	/* clauses are found by offset / 8 */
	assert_int_equal(sizeof(struct guard_clauses) % 8, 0);
	assert_int_equal(sizeof(struct guard_clause) % 8, 0);
	assert_int_equal(sizeof(struct guard_exception) % 8, 0);
	/* cutting an offset to a half needs a power of two */
	assert_int_equal(GUARD_VAULT_NAMES_SIZE & (GUARD_VAULT_NAMES_SIZE - 1), 0);
}

/* The parts of the table word do not touch each other, whatever their values. */
static void test_table_word(void **state)
{
	(void)state;
	for (uint64_t page = 1; page < 1 << 20; page <<= 1) {
		for (uint64_t shift = 32; shift < 64; shift++) {
			uint64_t word = GUARD_TABLE_WORD(page, shift);
			uint64_t all = word | GUARD_TABLE_BASES | GUARD_TABLE_READ_BASES |
				       ~0ULL << GUARD_TABLE_SEQUENCE_SHIFT;

			assert_int_equal(GUARD_TABLE_PAGE(all), page);
			assert_int_equal(GUARD_TABLE_SHIFT(all), shift);
			assert_false(word & (GUARD_TABLE_BASES | GUARD_TABLE_READ_BASES));
		}
	}
}

/* Operations are the same bits in policies and in the guard; what only the guard knows is none of them. */
static void test_operations(void **state)
{
	static const struct {
		uint32_t guard, policy;
	} rows[] = {
		{ GUARD_OP_READ, POLICY_READ },
		{ GUARD_OP_WRITE, POLICY_WRITE },
		{ GUARD_OP_CREATE, POLICY_CREATE },
		{ GUARD_OP_DELETE, POLICY_DELETE },
		{ GUARD_OP_RENAME, POLICY_RENAME },
		{ GUARD_OP_LINK, POLICY_LINK },
		{ GUARD_OP_SYMLINK, POLICY_SYMLINK },
		{ GUARD_OP_TRUNCATE, POLICY_TRUNCATE },
		{ GUARD_OP_CHMOD, POLICY_CHMOD },
		{ GUARD_OP_CHOWN, POLICY_CHOWN },
		{ GUARD_OP_UTIMES, POLICY_UTIMES },
		{ GUARD_OP_XATTR, POLICY_XATTR },
		{ GUARD_OP_ATTR_FLAGS, POLICY_ATTR_FLAGS },
		{ GUARD_OP_MMAP_WRITE, POLICY_MMAP_WRITE },
		{ GUARD_OP_EXEC, POLICY_EXEC },
		{ GUARD_OP_MOUNT, POLICY_MOUNT },
		{ GUARD_OP_COPY_UP, POLICY_COPY_UP },
	};
	static const uint32_t own[] = {
		GUARD_OP_MOUNT_ABOVE,
		GUARD_OP_FOLLOW,
		GUARD_OP_LAZY,
		GUARD_OP_ASK,
	};
	uint32_t all = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(rows[i].guard, 1u << i);
		assert_int_equal(rows[i].policy, 1u << i);
		all |= rows[i].guard;
	}
	assert_int_equal(all, POLICY_ALL);
	assert_int_equal(sizeof(rows) / sizeof(*rows), POLICY_N_OPERATIONS);
	assert_int_equal(GUARD_N_OPERATIONS, POLICY_N_OPERATIONS);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		assert_int_equal(own[i] & (own[i] - 1), 0);
		assert_int_equal(all & own[i], 0);
		all |= own[i];
	}
}

/* No key of one kind is one of another: addresses of kernel objects end in 000, sequence numbers are shifted. */
static void test_keys(void **state)
{
	(void)state;
	assert_int_equal(GUARD_SPACE_KEY(0) & 7, GUARD_KEY_SPACE);
	assert_int_equal(GUARD_SPACE_KEY(~0ULL) & 7, GUARD_KEY_SPACE);
	assert_int_equal(GUARD_MOUNT_KEY(0) & 7, GUARD_KEY_MOUNT);
	assert_int_equal(GUARD_MOUNT_KEY(~0ULL) & 7, GUARD_KEY_MOUNT);
	assert_int_equal(GUARD_KEY_RETIRED & 7, 7);
	/* The hash leaves the kind out; it must not leave out where sequence numbers differ. */
	assert_int_not_equal(GUARD_HASH(GUARD_SPACE_KEY(1), 0), GUARD_HASH(GUARD_SPACE_KEY(2), 0));
	/* The same inode numbers in two file systems are two mount points. */
	assert_int_not_equal(GUARD_MOUNT_INO(0xffff888100000000ULL, 2),
			     GUARD_MOUNT_INO(0xffff888100000800ULL, 2));
}

/* The empty table that arming leaves: one word, and every look-up finds nothing. */
static void test_empty_table(void **state)
{
	static struct guard_entry page[128 + GUARD_PROBE_LIMIT];

	(void)state;
	for (uint64_t ino = 0; ino < 1000; ino++)
		assert_null(cache_find(page, GUARD_TABLE_WORD(0, 63), 0xffff888100000000ULL, ino));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	   cmocka_unit_test(test_regions),
		cmocka_unit_test(test_table_word), cmocka_unit_test(test_operations),
		cmocka_unit_test(test_keys),	   cmocka_unit_test(test_empty_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
