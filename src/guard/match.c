// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/match.h"

#include "glob/glob.h"
#include "guard/actor.h"

struct match {
	struct verdict *verdict;
	struct actor *actor;
	const struct subject *subject;
};

/* The table may change under us: an offset that is nonsense by now must still lead into the vault. */
static const void *at_offset(uint64_t offset)
{
	return vault_bytes + (offset & vault.mask);
}

/* No structure of the contract is larger, and none reaches behind the vault's end. */
#define LARGEST 64
_Static_assert(sizeof(struct guard_exception) <= LARGEST && sizeof(struct guard_clause) <= LARGEST,
	       "structures in the vault");

static const void *struct_at(uint64_t offset)
{
	offset &= vault.mask & ~7ULL;
	return vault_bytes + (offset <= vault.mask - LARGEST ? offset : 0);
}

static bool exception_holds(const struct guard_exception *exception, struct actor *actor)
{
	uint32_t parts = READ_ONCE(exception->parts);

	if (!actor->known)
		actor_know(actor);
	if (parts & GUARD_EXCEPT_EXECUTABLE &&
	    (exception->super != actor->super || exception->ino != actor->ino || !actor->ino ||
	     exception->generation != actor->generation))
		return false;
	if (parts & GUARD_EXCEPT_UID &&
	    (actor->uid < exception->uid_from || actor->uid > exception->uid_to))
		return false;
	if (parts & GUARD_EXCEPT_SPACE && exception->space != actor->space)
		return false;
	return parts;
}

static bool is_for(uint32_t whom, struct actor *actor)
{
	if (!actor->whom)
		actor->whom = actor_whom();
	return whom & actor->whom;
}

/* Is the clause not for this process? */
static bool is_excepted(const struct guard_clause *clause, struct actor *actor)
{
	uint32_t n = READ_ONCE(clause->n_exceptions), whom = READ_ONCE(clause->whom);
	uint64_t at = (uint64_t)READ_ONCE(clause->exceptions) * 8;

	if (whom && !is_for(whom, actor))
		return true;
	for (uint32_t i = 0; i < n && i < GUARD_MAX_EXCEPTIONS; i++) {
		if (exception_holds(struct_at(at + i * sizeof(struct guard_exception)), actor))
			return true;
	}
	return false;
}

static void add_clause(struct verdict *verdict, const struct guard_clause *clause)
{
	/* What is refused to the guest's own processes alone gives way to maintenance; deny is among what is reported. */
	if (clause->whom != GUARD_BY_GUEST || !(READ_ONCE(vault.flags) & GUARD_MAINTENANCE)) {
		verdict->deny |= clause->deny;
		verdict->kill |= clause->kill;
	}
	verdict->report |= clause->report;
}

/* An entry's clauses, whatever they are by now: within bounds. */
struct clauses {
	uint64_t at; /* of the first */
	uint32_t n, n_plain; /* n - n_plain is at most GUARD_MAX_PATTERNS */
	uint64_t kinds;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static struct clauses clauses_of(const struct guard_entry *entry)
{
	uint64_t at = (uint64_t)READ_ONCE(entry->clauses) * 8;
	const struct guard_clauses *header = struct_at(at);
	struct clauses clauses = { .at = at + sizeof(*header) };

	if (!at)
		return clauses;
	clauses.n = least(READ_ONCE(header->n), GUARD_MAX_CLAUSES);
	clauses.n_plain = least(READ_ONCE(header->n_plain), clauses.n);
	clauses.n = least(clauses.n, clauses.n_plain + GUARD_MAX_PATTERNS);
	clauses.kinds = READ_ONCE(header->kinds);
	return clauses;
}

static const struct guard_clause *clause_at(const struct clauses *clauses, uint32_t i)
{
	return struct_at(clauses->at + (uint64_t)i * sizeof(struct guard_clause));
}

static void match_entry(const struct match *match, const struct guard_entry *entry)
{
	const struct clauses clauses = clauses_of(entry);

	match->verdict->deny |= READ_ONCE(entry->deny);
	match->verdict->report |= READ_ONCE(entry->report);
	for (uint32_t i = 0; i < clauses.n; i++) {
		const struct guard_clause *clause = clause_at(&clauses, i);

		if (!is_excepted(clause, match->actor))
			add_clause(match->verdict, clause);
	}
}

/* Names from @dentry up to, and without, the directory that is @base. 0: it is not below. */
static uint32_t names_below(const char *names[GLOB_MAX_DEPTH], const void *dentry, const void *base)
{
	for (uint32_t n = 0; n < GUARD_MAX_LEVELS; n++) {
		const void *parent = dentry_parent(dentry);

		if (dentry_inode(dentry) == base)
			return n;
		if (parent == dentry)
			return 0;
		if (n < GLOB_MAX_DEPTH)
			names[n] = dentry_name(dentry);
		dentry = parent;
	}
	return 0;
}

/*
 * A directory that moves takes along what a pattern matches, or could match, below it. That is the pattern's business
 * unless at the new place it matches the same.
 */
static __attribute__((noinline)) bool takes_along(const struct subject *subject, const char *text,
						  const void *directory, const char *const names[],
						  uint32_t n)
{
	const char *new_names[GLOB_MAX_DEPTH];
	uint32_t n_new = names_below(new_names, subject->moves_to, directory);

	if (!n_new)
		return true;
	if (n_new > GLOB_MAX_DEPTH)
		return !glob_is_deep(text);
	return !glob_same_below(text, names, n, new_names, n_new);
}

static bool text_matches(const struct subject *subject, const char *text, const void *directory,
			 const char *const names[], uint32_t n)
{
	/* Below what we can hold, a pattern for any depth is taken to match: better than a way around. */
	if (n > GLOB_MAX_DEPTH)
		return glob_is_deep(text);
	if (glob_match(text, names, n))
		return true;
	if (subject->hides)
		return glob_match_below(text, names, n);
	return subject->moves_to && glob_match_below(text, names, n) &&
	       takes_along(subject, text, directory, names, n);
}

/* The file that is looked for, below one base. */
struct below {
	const struct guard_entry *base;
	const void *directory; /* the base's inode */
	const char *const *names; /* last one first */
	uint32_t n;
};

static void match_clause(const struct match *match, const struct below *below,
			 const struct guard_clause *clause)
{
	const char *text = at_offset(READ_ONCE(clause->text));
	struct verdict *verdict = match->verdict;

	if (!text_matches(match->subject, text, below->directory, below->names, below->n) ||
	    is_excepted(clause, match->actor))
		return;
	/* The event is told by the nearest base, or by one that refuses more. */
	if (!verdict->depth || clause->deny & ~verdict->deny) {
		verdict->base_super = GUARD_SUPER(READ_ONCE(below->base->key));
		verdict->base_ino = READ_ONCE(below->base->ino);
		verdict->base_generation = READ_ONCE(below->base->generation);
		verdict->depth = below->n;
	}
	add_clause(verdict, clause);
}

/* The first plain clause with this hash, or a greater one. */
static uint32_t find_plain(const struct clauses *clauses, uint32_t hash)
{
	uint32_t from = clauses->n - clauses->n_plain, to = clauses->n;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (READ_ONCE(clause_at(clauses, middle)->hash) < hash)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void match_plain(const struct match *match, const struct below *below,
			const struct clauses *clauses)
{
	uint32_t hash, i;

	if (below->n > GLOB_MAX_DEPTH)
		return;
	hash = glob_hash_names(below->names, below->n);
	for (i = find_plain(clauses, hash); i < clauses->n; i++) {
		const struct guard_clause *clause = clause_at(clauses, i);

		if (READ_ONCE(clause->hash) != hash)
			break;
		match_clause(match, below, clause);
	}
}

/*
 * What hangs from a base: patterns one by one, plain paths by their hashes, unless what is below the subject counts too. Whatever it is, it
 * begins with the same name.
 */
static void match_base(const struct match *match, const struct below *below)
{
	const struct clauses clauses = clauses_of(below->base);
	bool all = match->subject->hides || match->subject->moves_to;
	uint32_t n = all ? clauses.n : clauses.n - clauses.n_plain;

	if (below->n <= GLOB_MAX_DEPTH &&
	    !(clauses.kinds >> glob_kind(below->names[below->n - 1]) & 1))
		return;
	for (uint32_t i = 0; i < n; i++)
		match_clause(match, below, clause_at(&clauses, i));
	if (!all && clauses.n_plain)
		match_plain(match, below, &clauses);
}

/*
 * Patterns hang from directories. Walks from the file up to the root of its file system, at most as many levels as
 * that has bases for, and tries what hangs from each. Mounts are not crossed: the host has hung what is left of a
 * pattern from the root of every mount below its base. Names are read under RCU: a rename at this moment gives the
 * old name or the new.
 */
static __attribute__((noinline)) void match_bases(const struct match *match, uint64_t table)
{
	const void *dentry = match->subject->dentry, *inode;
	const struct guard_entry *super;
	const char *names[GLOB_MAX_DEPTH];

	super = cache_find(vault_bytes, table, match->subject->super | GUARD_KEY_SUPER, 0);
	if (!super)
		return;
	rcu_lock();
	for (uint32_t n = 1; n <= READ_ONCE(super->deny) && n <= GUARD_MAX_LEVELS; n++) {
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
			match_base(match, &(struct below){ base, inode, names, n });
	}
	rcu_unlock();
}

/* Does something hang from the base that begins with the name of the @dentry in it? */
static bool may_begin(const struct guard_entry *base, const void *dentry, bool reads)
{
	const struct guard_clauses *header = struct_at((uint64_t)READ_ONCE(base->clauses) * 8);
	uint64_t kinds = reads ? READ_ONCE(header->read_kinds) : READ_ONCE(header->kinds);

	return kinds >> glob_kind(dentry_name(dentry)) & 1;
}

/* With @reads: one that who only reads or runs has to look at. */
static bool is_near_base(const void *dentry, uint64_t super, uint64_t table, bool reads)
{
	uint32_t of_super = GUARD_FILTER_OF_SUPER(super);
	const struct guard_entry *mark, *base;
	const void *inode, *parent;
	bool found = false;

	mark = cache_find(vault_bytes, table, super | GUARD_KEY_SUPER, 0);
	if (!mark)
		return false;
	rcu_lock();
	for (uint32_t n = least(reads ? READ_ONCE(mark->report) : READ_ONCE(mark->deny),
				GUARD_MAX_LEVELS);
	     n && !found; n--, dentry = parent) {
		parent = dentry_parent(dentry);
		if (parent == dentry)
			break;
		inode = dentry_inode(parent);
		if (!inode)
			break;
		if (!filter_has(vault_bytes, inode_ino_low(inode) ^ of_super, GUARD_FILTER_BASES))
			continue;
		base = cache_find(vault_bytes, table, inode_super(inode) | GUARD_KEY_BASE,
				  inode_ino(inode));
		found = base && may_begin(base, dentry, reads);
	}
	rcu_unlock();
	return found;
}

bool may_concern(const struct subject *subject)
{
	uint64_t table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);

	if (subject->pseudo || (subject->inode && cache_find(vault_bytes, table, subject->super,
							     inode_ino(subject->inode))))
		return true;
	if (table & GUARD_TABLE_BASES && subject->dentry &&
	    is_near_base(subject->dentry, subject->super, table, false))
		return true;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return READ_ONCE(vault.table) != table;
}

bool may_concern_reading(const void *dentry)
{
	uint64_t table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);
	bool found;

	if (!may_be_below_base(dentry, table))
		return false;
	found = is_near_base(dentry, (uint64_t)dentry_super(dentry), table, true);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (found || READ_ONCE(vault.table) != table) && !is_judged_above();
}

/* Parents are held by their children; under RCU they stay readable when a rename takes one away. */
static inline __attribute__((always_inline)) bool walk_to_base(const void *dentry, uint64_t table)
{
	uint32_t of_super = GUARD_FILTER_OF_SUPER(dentry_super(dentry));
	const void *parent, *inode;

	for (uint32_t n = GUARD_MAX_LEVELS; n; n--, dentry = parent) {
		parent = dentry_parent(dentry);
		if (parent == dentry)
			break;
		inode = dentry_inode(parent);
		if (unlikely(!inode))
			break;
		if (unlikely(filter_has(vault_bytes, inode_ino_low(inode) ^ of_super,
					GUARD_FILTER_BASES)))
			return true;
	}
	return READ_ONCE(vault.table) != table;
}

static __attribute__((noinline)) bool walk_under_rcu(const void *dentry, uint64_t table)
{
	bool found;

	rcu_lock();
	found = walk_to_base(dentry, table);
	rcu_unlock();
	return found;
}

/* Without PREEMPT_RCU a leaf function: most opens for writing come by here. */
bool may_be_below_base(const void *dentry, uint64_t table)
{
	if (__rcu_read_lock)
		return walk_under_rcu(dentry, table);
	return walk_to_base(dentry, table);
}

bool is_judged_above(void)
{
	const void *cred = task_cred(current_task());

	return acts_for_another() && is_in_force((uint64_t)cred | GUARD_KEY_CREDS, 0);
}

bool is_watched(const void *inode, const void *dentry)
{
	const struct subject subject = {
		.inode = inode,
		.dentry = dentry,
		.super = inode_super(inode ? inode : dentry_inode(dentry_parent(dentry))),
	};

	return !is_judged_above() && may_concern(&subject);
}

/* A pseudo file system's patterns hang from its root, whichever instance it is: there are as many as somebody mounts. */
static __attribute__((noinline)) void match_pseudo(const struct match *match, uint64_t table)
{
	const void *super = (const void *)match->subject->super;
	const void *dentry = match->subject->dentry;
	const struct guard_entry *base;
	const char *names[GLOB_MAX_DEPTH];
	uint32_t n = 0;

	base = cache_find(vault_bytes, table,
			  GUARD_PSEUDO_SUPER(super_magic(super)) | GUARD_KEY_BASE, 0);
	if (!base)
		return;
	rcu_lock();
	for (const void *parent; (parent = dentry_parent(dentry)) != dentry && n < GUARD_MAX_LEVELS;
	     dentry = parent) {
		if (n < GLOB_MAX_DEPTH)
			names[n] = dentry_name(dentry);
		n++;
	}
	if (n)
		match_base(match, &(struct below){ base, dentry_inode(dentry), names, n });
	rcu_unlock();
}

static void find_at(const struct match *match, uint64_t table, uint64_t key, uint64_t ino)
{
	const struct subject *subject = match->subject;
	const struct guard_entry *entry;

	__builtin_memset(match->verdict, 0, sizeof(*match->verdict));
	if (subject->pseudo) {
		match_pseudo(match, table);
		return;
	}
	if (!subject->of_overlay && is_judged_above())
		return;
	if (subject->inode) {
		entry = cache_find(vault_bytes, table, key, ino);
		if (entry && READ_ONCE(entry->generation) == inode_generation(subject->inode))
			match_entry(match, entry);
	}
	if (table & GUARD_TABLE_BASES && subject->dentry)
		match_bases(match, table);
}

static void find(struct verdict *verdict, const struct subject *subject, uint64_t key, uint64_t ino)
{
	struct actor actor = { .known = false };
	const struct match match = { verdict, &actor, subject };
	uint64_t table;

	do {
		table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);
		find_at(&match, table, key, ino);
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* what was read, was read before this */
	} while (READ_ONCE(vault.table) != table);
}

void find_verdict(struct verdict *verdict, const struct subject *subject)
{
	find(verdict, subject, subject->super, subject->inode ? inode_ino(subject->inode) : 0);
}

void find_mount_verdict(struct verdict *verdict, const struct subject *subject, uint64_t space)
{
	find(verdict, subject, GUARD_MOUNT_KEY(space),
	     GUARD_MOUNT_INO(subject->super, inode_ino(subject->inode)));
}

/* Of this very inode, not of one that had its number before. */
static struct guard_entry find_inode(uint64_t key, const void *inode)
{
	struct guard_entry found = find_in_force(key, inode_ino(inode));

	return found.generation == inode_generation(inode)
		       ? found
		       : (struct guard_entry){ .key = GUARD_KEY_EMPTY };
}

bool is_made_by_overlay(const void *directory)
{
	return acts_for_another() &&
	       find_inode(inode_super(directory) | GUARD_KEY_WORK, directory).key !=
		       GUARD_KEY_EMPTY;
}

uint32_t device_attempts(bool block, uint32_t device)
{
	return find_in_force(GUARD_DEVICE_KEY((uint64_t)block, device), 0).deny;
}

bool is_runtime(const void *inode)
{
	return find_inode(inode_super(inode), inode).report & GUARD_OP_RUNTIME;
}

bool space_is_known(uint64_t space, bool *ret_refused)
{
	const struct guard_entry found = find_in_force(GUARD_SPACE_KEY(space), 0);

	*ret_refused = found.deny;
	return found.key != GUARD_KEY_EMPTY;
}
