// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hook on every open of a file. What it costs a file that nobody watches is the first ten lines of
 * guard_file_open(): one look-up, no store, no call.
 */
#include "contract/guard_abi.h"
#include "glob/glob.h"
#include "guard/cache.h"
#include "guard/describe.h"
#include "guard/kernel.h"
#include "guard/ring.h"

#define TEXT_PATH 640
#define TEXT_EXECUTABLE 448
#define TEXT_CGROUP 512

_Static_assert(sizeof(struct guard_file_record) + TEXT_PATH + TEXT_EXECUTABLE + TEXT_CGROUP <=
		       GUARD_SLOT_SIZE,
	       "texts fit behind the record");

struct match {
	uint32_t deny, report, depth;
	const void *base; /* inode */
};

static int hook_file_open_slow(void *file);

/* Do patterns hang somewhere on this super block? */
static inline bool has_bases(uint64_t table, uint64_t super)
{
	const struct guard_entry *mark;

	if (likely(!(table & GUARD_TABLE_BASES)))
		return false;
	mark = cache_find(vault_bytes, table, super | GUARD_KEY_SUPER, 0);
	return mark && READ_ONCE(mark->deny);
}

int guard_file_open(void *file)
{
	uint64_t table = READ_ONCE(vault.table), super;
	const void *inode = file_inode(file);

	super = inode_super(inode);
	if (unlikely(cache_find(vault_bytes, table, super, inode_ino(inode))) ||
	    unlikely(has_bases(table, super)) || unlikely(READ_ONCE(vault.table) != table))
		return hook_file_open_slow(file);
	return 0;
}

static void match_identity(struct match *match, uint64_t table, const void *inode)
{
	const struct guard_entry *entry =
		cache_find(vault_bytes, table, inode_super(inode), inode_ino(inode));

	if (!entry || entry->generation != inode_generation(inode))
		return;
	match->deny = entry->deny;
	match->report = entry->report;
}

/* The table may change under us: an offset that is nonsense by now must still lead into the vault. */
static const void *at_offset(uint64_t offset)
{
	return vault_bytes + (offset & vault.mask);
}

/* The patterns of @base, which hangs from @directory, against the file @n names below. */
static void match_patterns(struct match *match, const struct guard_entry *base,
			   const void *directory, const char *const names[], uint32_t n)
{
	uint32_t n_patterns = READ_ONCE(base->deny);
	uint64_t at = (uint64_t)READ_ONCE(base->patterns) * 8;

	for (uint32_t i = 0; i < n_patterns && i < GUARD_MAX_PATTERNS; i++) {
		const struct guard_pattern *pattern = at_offset(at + i * sizeof(*pattern));
		const char *text = at_offset(READ_ONCE(pattern->text));

		/* Below what we can hold, a pattern for any depth is taken to match: better than a way around. */
		if (!(n <= GLOB_MAX_DEPTH ? glob_match(text, names, n) : glob_is_deep(text)))
			continue;
		/* The event is told by the nearest base, or by one that refuses more. */
		if (!match->depth || pattern->deny & ~match->deny) {
			match->base = directory;
			match->depth = n;
		}
		match->deny |= pattern->deny;
		match->report |= pattern->report;
	}
}

/*
 * Patterns hang from directories. Walks from the file up to the root of its file system, at most as many levels as
 * that has bases for, and tries what hangs from each. Mounts are not crossed: the host has hung what is left of a
 * pattern from the root of every mount below its base. Names are read under RCU: a rename at this moment gives the
 * old name or the new.
 */
static __attribute__((noinline)) void match_bases(struct match *match, uint64_t table,
						  const void *file)
{
	const void *dentry = path_dentry(file_path(file)), *inode = file_inode(file);
	const struct guard_entry *super;
	const char *names[GLOB_MAX_DEPTH];

	super = cache_find(vault_bytes, table, inode_super(inode) | GUARD_KEY_SUPER, 0);
	/* Overlayfs opens the file below under the path above: that one has been judged. */
	if (!super || dentry_inode(dentry) != inode)
		return;

	rcu_lock();
	for (uint32_t n = 1; n <= super->deny && n <= GUARD_MAX_LEVELS; n++) {
		const void *parent = dentry_parent(dentry);
		const struct guard_entry *base;

		if (parent == dentry)
			break;
		if (n <= GLOB_MAX_DEPTH)
			names[n - 1] = dentry_name(dentry);
		dentry = parent;
		inode = dentry_inode(dentry);
		if (!inode)
			break;
		base = cache_find(vault_bytes, table, inode_super(inode) | GUARD_KEY_BASE,
				  inode_ino(inode));
		if (base && base->generation == inode_generation(inode))
			match_patterns(match, base, inode, names, n);
	}
	rcu_unlock();
}

static void find_match(struct match *match, const void *file)
{
	uint64_t table;

	do {
		table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);
		__builtin_memset(match, 0, sizeof(*match));
		match_identity(match, table, file_inode(file));
		if (table & GUARD_TABLE_BASES)
			match_bases(match, table, file);
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* what was read, was read before this */
	} while (READ_ONCE(vault.table) != table);
}

static void fill_record(struct guard_file_record *record, const void *file, uint32_t operations,
			const struct match *match)
{
	const void *inode = file_inode(file);
	uint32_t text = sizeof(*record);

	record->operations = operations;
	record->reported = operations & (match->report | match->deny);
	record->denied = operations & match->deny;
	record->asked = match->report & GUARD_OP_ASK;
	record->depth = match->depth;
	describe_identity(&record->file, inode);
	if (match->depth)
		describe_identity(&record->base, match->base);
	record->file_size = inode_size(inode);
	record->mode = inode_mode(inode);
	record->uid = inode_uid(inode);
	record->gid = inode_gid(inode);
	describe_process(&record->process);
	record->path = describe_path(record, &text, TEXT_PATH, file_path(file));
	record->executable = describe_executable(record, &text, TEXT_EXECUTABLE);
	record->cgroup_path = describe_cgroup(record, &text, TEXT_CGROUP);
}

static void report(const void *file, uint32_t operations, const struct match *match)
{
	struct guard_file_record *record;
	uint64_t position;

	record = ring_take(GUARD_RECORD_FILE, &position);
	if (!record)
		return;
	fill_record(record, file, operations, match);
	ring_give(record, position, sizeof(*record));
	if (match->report & GUARD_OP_ASK)
		ring_wait_handled(position);
}

static __attribute__((noinline)) int hook_file_open_slow(void *file)
{
	uint32_t mode = file_mode(file), operations = 0;
	struct match match;

	if (mode & FMODE_READ)
		operations |= GUARD_OP_READ;
	if (mode & FMODE_WRITE)
		operations |= GUARD_OP_WRITE;

	find_match(&match, file);
	if (!(operations & (match.deny | match.report)))
		return 0;
	if (match.report & GUARD_OP_ASK) {
		report(file, operations, &match);
		find_match(&match, file);
		match.report &= ~GUARD_OP_ASK;
		if (!(operations & (match.deny | match.report)))
			return 0;
	}
	report(file, operations, &match);
	return operations & match.deny ? -EPERM : 0;
}
