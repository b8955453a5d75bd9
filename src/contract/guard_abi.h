/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTRACT_GUARD_ABI_H
#define CONTRACT_GUARD_ABI_H

/*
 * All that guest and host agree on: the vault (the host writes, the guard reads and executes) and the
 * mailbox (both write; the host trusts no byte of it). Offsets are bytes from the start of the vault.
 */
#include <stdint.h>

#define GUARD_ABI_MAGIC 0x6472617567747561ULL
#define GUARD_ABI_VERSION 3

/* Vault: where things are. From TABLES on, the host places tables and patterns as it likes. */
#define GUARD_VAULT_HOOKS 0x1000 /* security_hook_list nodes */
#define GUARD_VAULT_RECORD 0x2000 /* the host's own notes: see arm/ */
#define GUARD_VAULT_CODE 0x100000
#define GUARD_VAULT_CODE_SIZE 0x100000
#define GUARD_VAULT_NAMES 0x200000 /* two halves, 1 MiB each: paths to resolve */
#define GUARD_VAULT_NAMES_SIZE 0x100000 /* of a half */
#define GUARD_VAULT_TABLES 0x400000

enum guard_operation { /* bits; the same as in policies */
	GUARD_OP_READ = 1 << 0,
	GUARD_OP_WRITE = 1 << 1,
};
#define GUARD_OP_ASK (1u << 31) /* in guard_entry.report: let the host look first */

/*
 * The file metadata cache: open addressing, linear probing. A key is a super block's address with a kind in
 * its low bits; the address is unique among live super blocks, and the entries die with it.
 */
enum guard_key {
	GUARD_KEY_FILE = 0, /* ino: a watched file */
	GUARD_KEY_BASE = 1, /* ino: a directory that patterns hang from */
	GUARD_KEY_SUPER = 2, /* ino 0: this super block has entries */
};
#define GUARD_KEY_EMPTY 0ULL
#define GUARD_KEY_RETIRED (~0ULL)
#define GUARD_PROBE_LIMIT 128 /* the host keeps every entry this near to its place */

struct guard_entry {
	uint64_t key;
	uint64_t ino;
	uint32_t generation;
	uint32_t patterns; /* BASE: offset of its patterns / 8; else 0 */
	uint32_t deny; /* operations; BASE: number of patterns; SUPER: levels to walk up, 0 for no base */
	uint32_t report; /* operations */
};

#define GUARD_MAX_LEVELS 4096 /* deeper than any path can be walked */
#define GUARD_MAX_PATTERNS 4096 /* on one base */
/* The vault's last byte is NUL, so that no text ends behind it. */

struct guard_pattern { /* what hangs from a base */
	uint32_t text; /* offset of a glob.h pattern, relative to the base */
	uint32_t deny;
	uint32_t report;
	uint32_t unused;
};

/*
 * guard_vault.table says in one word which table is in force. The guard reads it before and after a look-up, and
 * starts again when it has changed: a table that is being rebuilt is never believed.
 */
#define GUARD_TABLE_PAGE(d) ((d)&0xfffff) /* offset / 4096 */
#define GUARD_TABLE_SHIFT(d) (((d) >> 20) & 63) /* 64 - log2(slots) */
#define GUARD_TABLE_BASES (1ULL << 26) /* some super block has bases */
#define GUARD_TABLE_SEQUENCE_SHIFT 32
#define GUARD_HASH(key, ino) ((((key) >> 6) ^ (ino)) * 0x9e3779b97f4a7c15ULL)

/*
 * Names: one word says which half of the names region is in force. A half is n offsets (32 bits each, from the
 * start of the half), then NUL-terminated strings. The guard cuts offsets to the half: whatever it reads while
 * the half is rewritten, it stays inside. The half's last byte is NUL.
 */
#define GUARD_NAMES_COUNT(n) ((n)&0x7fffffff)
#define GUARD_NAMES_HALF(n) (((n) >> 31) & 1)
#define GUARD_NAMES_SEQUENCE_SHIFT 32

#define GUARD_ERRAND_ROOTS 16

struct guard_vault {
	uint64_t magic;
	uint32_t version, size; /* of this structure */
	uint64_t n_slots; /* of the mailbox's ring */
	uint64_t ring_wait_us; /* longest wait of an offender for a free slot */
	uint64_t host_wait_us; /* longest wait for the host to handle a record */
	uint64_t host_away; /* not 0: the host is gone for good, wait for nothing */
	uint64_t mask; /* size of the vault, a power of two, minus one: offsets are cut to it */
	uint64_t unused[1];

	uint64_t table; /* see GUARD_TABLE_; alone with what goes with it in a cache line */
	uint64_t unused_table[7];

	uint64_t consumed; /* ring records before this one have been handled */
	uint64_t unused_consumed[7];

	/* Paths to resolve in each container, see GUARD_NAMES_. */
	uint64_t names;

	/* Roots to resolve them in now: "/proc/PID/root". errand is raised when the rest stands. */
	uint64_t errand;
	uint32_t n_roots, unused_errand;
	struct {
		char path[24];
		uint64_t id;
	} roots[GUARD_ERRAND_ROOTS];
};

/*
 * The mailbox: one page of counters, then the ring. Positions count records and never wrap. A producer takes
 * position `head` if head - vault.consumed < n_slots, fills slot head % n_slots, and last stores sequence
 * = position + 1.
 */
#define GUARD_MAILBOX_SLOTS 4096
#define GUARD_SLOT_SIZE 2048

struct guard_mailbox {
	uint64_t head;
	uint64_t unused_head[7];
	uint64_t lost; /* records given up after ring_wait_us */
	uint64_t errand_done;
};

enum guard_record_type {
	GUARD_RECORD_FILE = 1,
	GUARD_RECORD_VIEW,
	GUARD_RECORD_SUPER_GONE,
};

struct guard_record {
	uint64_t sequence;
	uint32_t type;
	uint32_t size; /* of what follows; the host does not rely on it */
	uint64_t time_ns; /* guest's CLOCK_REALTIME */
};

struct guard_identity {
	uint64_t super; /* address */
	uint64_t ino;
	uint32_t generation;
	uint32_t device; /* kernel's dev_t: 12 bits of major, 20 of minor */
};

#define GUARD_N_PARENTS 5
#define GUARD_NO_TEXT 0xffff

struct guard_ancestor {
	uint32_t pid;
	uint32_t uid;
	char name[16];
};

struct guard_process {
	uint32_t pid, tid; /* in the guest's first pid name space */
	uint32_t inner_pid, inner_tid; /* in its own */
	uint32_t uid, gid, euid, egid;
	uint64_t start_ns; /* since boot: with pid, who it is */
	uint64_t mnt_ns; /* mount name space, by its sequence number, which is never given again */
	char name[16];
	struct guard_ancestor parents[GUARD_N_PARENTS];
	uint32_t n_parents;
	uint32_t unused[3];
	uint64_t cgroup; /* kernfs id */
	char hostname[64];
};

/* Texts are offsets from the start of the slot to NUL-terminated strings, or GUARD_NO_TEXT. */
struct guard_file_record {
	struct guard_record record;
	uint32_t operations; /* attempted */
	uint32_t reported; /* of these, the ones to report */
	uint32_t denied; /* of these, the ones refused; 0: allowed */
	uint32_t asked; /* not 0: the guard waits, and decides after the host has handled this */
	uint32_t depth; /* matched by a pattern: names below the base; 0: by identity */
	uint32_t unused_depth;
	struct guard_identity file, base;
	uint64_t file_size;
	uint32_t mode, uid, gid, unused;
	struct guard_process process;
	uint16_t path, executable, cgroup_path, unused_text;
};

struct guard_resolved {
	uint32_t name; /* index into the names */
	int32_t error; /* 0 or -errno; then there is no identity */
	struct guard_identity file;
	uint32_t mode, unused;
};

#define GUARD_VIEW_RESOLVED 12 /* they are on the guard's stack for a moment */

struct guard_view_record {
	struct guard_record record;
	uint64_t errand; /* id of the root, or 0 at a container's start */
	uint64_t task; /* who enters the root: address of a task_struct; an errand's is a kworker */
	uint64_t root_dentry, root_super;
	uint32_t names_sequence;
	uint32_t last; /* not 0: that was all of this view */
	int32_t error; /* the root itself could not be resolved */
	uint32_t n_resolved;
	struct guard_resolved resolved[GUARD_VIEW_RESOLVED];
};

struct guard_super_record {
	struct guard_record record;
	uint64_t super;
};

_Static_assert(sizeof(struct guard_entry) == 32, "entry: two in a cache line");
_Static_assert(sizeof(struct guard_pattern) == 16, "pattern");
_Static_assert(__builtin_offsetof(struct guard_vault, table) == 64, "table: its own cache line");
_Static_assert(__builtin_offsetof(struct guard_vault, consumed) == 128, "consumed: its own cache "
									"line");
_Static_assert(sizeof(struct guard_vault) <= GUARD_VAULT_HOOKS, "the vault's header is one page");
_Static_assert(sizeof(struct guard_mailbox) <= GUARD_MAILBOX_SLOTS, "so is the mailbox's");
_Static_assert(sizeof(struct guard_record) == 24, "record");
_Static_assert(sizeof(struct guard_identity) == 24, "identity");
_Static_assert(sizeof(struct guard_process) == 272, "process");
_Static_assert(sizeof(struct guard_resolved) == 40, "resolved");
_Static_assert(sizeof(struct guard_file_record) <= 512, "the rest of the slot is for texts");
_Static_assert(sizeof(struct guard_view_record) <= GUARD_SLOT_SIZE, "a view record fits its slot");

#endif
