/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTRACT_GUARD_ABI_H
#define CONTRACT_GUARD_ABI_H

/*
 * All that guest and host agree on: the vault (the host writes, the guard reads and executes) and the
 * mailbox (both write; the host trusts no byte of it). Offsets are bytes from the start of the vault.
 */
#include <stdint.h>

#define GUARD_ABI_MAGIC 0x6472617567747561ULL
#define GUARD_ABI_VERSION 8

/* Vault: where things are. From TABLES on, the host places tables and patterns as it likes. */
#define GUARD_VAULT_HOOKS 0x1000 /* security_hook_list nodes */
#define GUARD_VAULT_RECORD 0x2000 /* the host's own notes: see arm/ */
#define GUARD_VAULT_RECORD_SIZE 0x8000
#define GUARD_VAULT_FILTER 0x10000 /* words, see GUARD_FILTER_ */
#define GUARD_VAULT_CHANGE_FILTER 0x30000 /* bytes */
#define GUARD_VAULT_CODE 0x100000
#define GUARD_VAULT_CODE_SIZE 0x100000
#define GUARD_VAULT_NAMES 0x200000 /* two halves, 1 MiB each: paths to resolve */
#define GUARD_VAULT_NAMES_SIZE 0x100000 /* of a half */
#define GUARD_NAME_OF_GUEST (1u << 31) /* in the offset of a name: no container's rule has it */
#define GUARD_VAULT_TABLES 0x400000

enum guard_operation { /* bits; the same as in policies */
	GUARD_OP_READ = 1 << 0,
	GUARD_OP_WRITE = 1 << 1,
	GUARD_OP_CREATE = 1 << 2,
	GUARD_OP_DELETE = 1 << 3,
	GUARD_OP_RENAME = 1 << 4,
	GUARD_OP_LINK = 1 << 5,
	GUARD_OP_SYMLINK = 1 << 6,
	GUARD_OP_TRUNCATE = 1 << 7,
	GUARD_OP_CHMOD = 1 << 8,
	GUARD_OP_CHOWN = 1 << 9,
	GUARD_OP_UTIMES = 1 << 10,
	GUARD_OP_XATTR = 1 << 11,
	GUARD_OP_ATTR_FLAGS = 1 << 12,
	GUARD_OP_MMAP_WRITE = 1 << 13,
	GUARD_OP_EXEC = 1 << 14,
	GUARD_OP_MOUNT = 1 << 15,
	GUARD_OP_COPY_UP = 1 << 16,
	GUARD_OP_MOUNT_ABOVE =
		1 << 17, /* of a directory above: a mount that hides what is below; told as MOUNT */
};
#define GUARD_N_OPERATIONS 17 /* that policies know */

/* In guard_entry.report, guard_clause.report: */
#define GUARD_OP_RUNTIME \
	(1u << 28) /* who runs this file is not to be traced: see GUARD_ATTEMPT_PTRACE */
#define GUARD_OP_FOLLOW \
	(1u << 29) /* tell the host when the file's name goes, or its overlay inode may change */
#define GUARD_OP_LAZY (1u << 30) /* nothing is entered yet: resolve the view first */
#define GUARD_OP_ASK (1u << 31) /* let the host look first */
/* What an open to read or run has to look at, and what has to be done before it is looked at. */
#define GUARD_OP_ANY_READ (GUARD_OP_READ | GUARD_OP_EXEC | GUARD_OP_LAZY | GUARD_OP_ASK)

/*
 * The file metadata cache: open addressing, linear probing. A key is an address or a number with a kind in its low
 * bits. A super block's address is unique among live ones, and the entries die with it.
 */
enum guard_key {
	GUARD_KEY_FILE = 0, /* super block, ino: a watched file or directory */
	GUARD_KEY_BASE = 1, /* super block, ino: a directory that patterns hang from */
	GUARD_KEY_SUPER = 2, /* super block, ino 0: it has entries */
	GUARD_KEY_CREDS = 3, /* struct cred, ino 0: an overlay's own; it has been judged above */
	GUARD_KEY_SPACE = 4, /* GUARD_SPACE_KEY, ino 0: a container's; deny: it must not start */
	GUARD_KEY_MOUNT = 5, /* GUARD_MOUNT_KEY, GUARD_MOUNT_INO: where its mounts are judged */
	GUARD_KEY_WORK = 6, /* super block, ino: where an overlay makes new files */
	GUARD_KEY_NUMBER = 7, /* GUARD_DEVICE_KEY, GUARD_CGROUP_KEY; ino 0 */
};
#define GUARD_KEY_EMPTY 0ULL
#define GUARD_KEY_RETIRED (~0ULL)
#define GUARD_SPACE_KEY(sequence) ((uint64_t)(sequence) << 6 | GUARD_KEY_SPACE)
#define GUARD_MOUNT_KEY(sequence) ((uint64_t)(sequence) << 6 | GUARD_KEY_MOUNT)
#define GUARD_MOUNT_INO(super, ino) ((super)*0xd1342543de82ef95ULL ^ (ino))
/* A device number; deny: a mask of enum guard_attempt, what opening it for writing is */
#define GUARD_DEVICE_KEY(block, device) \
	((uint64_t)(device) << 7 | (block) << 6 | 0 << 3 | GUARD_KEY_NUMBER)
/* A container's, by the id of its kernfs node */
#define GUARD_CGROUP_KEY(id) ((uint64_t)(id) << 6 | 1 << 3 | GUARD_KEY_NUMBER)
/* The BASE, with ino 0, of all instances of a pseudo file system: their roots */
#define GUARD_PSEUDO_SUPER(magic) ((uint64_t)(magic) << 6)
#define GUARD_SUPER(key) ((key) & ~63ULL)
#define GUARD_PROBE_LIMIT 128 /* the host keeps every entry this near to its place */

struct guard_entry {
	uint64_t key;
	uint64_t ino;
	uint32_t generation;
	uint32_t clauses; /* FILE, BASE, MOUNT: offset of guard_clauses / 8; 0: none */
	uint32_t deny; /* FILE: operations; SUPER: levels to walk up, 0 for no base */
	uint32_t report; /* operations; SUPER: levels for those that only read or run */
};

#define GUARD_MAX_LEVELS 4096 /* deeper than any path can be walked */
#define GUARD_MAX_CLAUSES (1 << 17) /* of one entry */
#define GUARD_MAX_PATTERNS 4096 /* of these, with wildcards, or without a text */
/* The vault's last byte is NUL, so that no text ends behind it. */

/*
 * What takes more than two masks: a pattern below a base (each that matches counts), and what has exceptions or kills.
 * A clause counts unless one of its exceptions holds for the process.
 */
struct guard_clause {
	uint32_t text; /* BASE: offset of a glob.h pattern, relative to the base; FILE: 0 */
	uint32_t deny, report;
	uint32_t kill; /* of deny: operations whose offender gets SIGKILL */
	uint32_t exceptions; /* offset of the first guard_exception / 8 */
	uint32_t n_exceptions;
	uint32_t hash; /* of a text without wildcards: glob_hash() */
	uint32_t whom; /* enum guard_whom bits that it is for; 0: all */
};

/* Who does it: one that lives in a container, or came from one; or any other process of the guest. */
enum guard_whom {
	GUARD_BY_GUEST = 1 << 0,
	GUARD_BY_CONTAINER = 1 << 1,
};

/* Those whose text has no wildcards stand last, in the order of their hashes. */
struct guard_clauses {
	uint32_t n, n_plain;
	uint64_t kinds,
		read_kinds; /* BASE: glob_first_kinds() of all; of those with GUARD_OP_ANY_READ. Else 0 */
	struct guard_clause clause[];
};

enum guard_exception_part { /* all that are set have to hold */
	GUARD_EXCEPT_EXECUTABLE = 1 << 0,
	GUARD_EXCEPT_UID = 1 << 1, /* the real uid, in the guest's first user name space */
	GUARD_EXCEPT_SPACE = 1 << 2,
};
#define GUARD_MAX_EXCEPTIONS 4096 /* of one clause */

struct guard_exception {
	uint32_t parts;
	uint32_t generation; /* of the executable */
	uint64_t super, ino; /* of the executable */
	uint32_t uid_from, uid_to;
	uint64_t space; /* mount name space, by its sequence number */
};

/*
 * guard_vault.table says in one word which table is in force. The guard reads it before and after a look-up, and
 * starts again when it has changed: a table that is being rebuilt is never believed.
 */
#define GUARD_TABLE_SHIFT(d) \
	(((d)&63) + 5) /* 64 - log2(slots); less by what a slot's size is shifted by */
#define GUARD_TABLE_BASES (1ULL << 6) /* some super block has bases */
#define GUARD_TABLE_READ_BASES (1ULL << 7) /* ... and levels for what only reads or runs */
#define GUARD_TABLE_PAGE(d) (((d) >> 12) & 0xfffff) /* offset / 4096 */
#define GUARD_TABLE_WORD(page, shift) ((uint64_t)(page) << 12 | ((shift)-5))
#define GUARD_TABLE_SEQUENCE_SHIFT 32
#define GUARD_HASH(key, ino) (((key) ^ (ino)) * 0x9e3779b97f4a7c15ULL)

/*
 * The filters have 65,536 places each, and say what tables in force could say of any file or directory that has one; so what nobody
 * watches looks there, and not at the table. A place is set before a table is in force that needs it, and cleared after: one is to be
 * believed alone; several only if vault.table stays the same meanwhile.
 */
#define GUARD_FILTER_SIZE 0x10000
#define GUARD_FILTER_OF_INO(ino) ((uint32_t)(uint16_t)(ino))
#define GUARD_FILTER_OF_SUPER(super) ((uint32_t)(uint16_t)((super) >> 8)) /* of its address */

/*
 * Of reading and running: words. This one says nothing. It is also what the lower half of struct file's f_mode is, in the hook on opening,
 * for a regular file or a directory that is opened to be read and not written: FMODE_ATOMIC_POS | FMODE_READ (do_dentry_open()); so one
 * comparison tells both. Others have FMODE_PATH, which no file has there.
 */
#define GUARD_FILTER_PASSES 0x8001
enum guard_filter { /* at OF_INO(ino) */
	GUARD_FILTER_READ_FILES = 1 << 3 | 0x4000, /* a FILE, for that, is there, or was */
	GUARD_FILTER_READ_BASES = 1 << 4 | 0x4000, /* in all words: as in vault.table */
};
/* Of all else: bytes. Roots have the same numbers in all file systems of a kind: so not by these alone. */
enum guard_change_filter {
	GUARD_FILTER_FILES = 1 << 0, /* at OF_INO(ino) ^ OF_SUPER(super): a FILE is there, or was */
	GUARD_FILTER_BASES = 1 << 1, /* there, a BASE */
	GUARD_FILTER_SUPERS = 1 << 2, /* at OF_SUPER(super): a SUPER that has bases */
};

/*
 * Names: one word says which half of the names region is in force. A half is n offsets (32 bits each, from the
 * start of the half), then NUL-terminated strings. The guard cuts offsets to the half: whatever it reads while
 * the half is rewritten, it stays inside. The half's last byte is NUL.
 */
#define GUARD_NAMES_COUNT(n) ((n)&0x7fffffff)
#define GUARD_NAMES_HALF(n) (((n) >> 31) & 1)
#define GUARD_NAMES_SEQUENCE_SHIFT 32

#define GUARD_ERRAND_ROOTS 16
#define GUARD_KILLS 64

/* What is attempted on the guest as a whole, not on a file of a container: bit numbers of guard_vault's masks. */
enum guard_attempt {
	GUARD_ATTEMPT_MODULE_LOAD,
	GUARD_ATTEMPT_KEXEC,
	GUARD_ATTEMPT_DEV_MEM, /* /dev/mem, /dev/port */
	GUARD_ATTEMPT_KCORE,
	GUARD_ATTEMPT_IO_PORTS,
	GUARD_ATTEMPT_MSR,
	GUARD_ATTEMPT_ACPI_TABLES,
	GUARD_ATTEMPT_PCI_CONFIG,
	GUARD_ATTEMPT_BPF_PROGRAM, /* one that can change what the kernel does */
	GUARD_ATTEMPT_BPF_WRITE_USER,
	GUARD_ATTEMPT_KPROBE,
	GUARD_ATTEMPT_PTRACE, /* out of a container, or into a runtime */
	GUARD_ATTEMPT_BLOCK_WRITE, /* a container: any block device; the guest: one with a mounted file system */
	GUARD_ATTEMPT_BLOCK_READ,
	GUARD_ATTEMPT_BLOCK_COMMAND, /* SCSI and NVMe commands by ioctl */
	GUARD_ATTEMPT_DEVICE_MAPPER,
	GUARD_ATTEMPT_LOOP,
	GUARD_ATTEMPT_VFIO,
	GUARD_ATTEMPT_EXE_FILE, /* prctl(PR_SET_MM): another program's name for oneself, as exceptions know it */
	GUARD_ATTEMPT_RELEASE_AGENT, /* an option of a mount of cgroup v1: a program that the kernel runs */
	GUARD_N_ATTEMPTS
};

enum guard_vault_flag {
	GUARD_REFUSE_UNRESOLVED =
		1 << 0, /* a container whose files the host did not enter in time does not start */
	GUARD_LAZY = 1 << 1, /* resolve no names at a container's start: at the first use */
	GUARD_MAINTENANCE =
		1 << 2, /* what is refused to the guest's own processes alone is only reported */
	GUARD_RESTORE_SYSTEM_CALLS = 1 << 3, /* system_call_entry is put back where it differs */
};

struct guard_vault {
	uint64_t magic;
	uint32_t version, size; /* of this structure */
	uint64_t n_slots; /* of the mailbox's ring */
	uint64_t ring_wait_us; /* longest wait of an offender for a free slot */
	uint64_t host_wait_us; /* longest wait for the host to handle a record */
	uint64_t host_away; /* not 0: the host is gone for good, wait for nothing */
	uint64_t mask; /* size of the vault, a power of two, minus one: offsets are cut to it */
	uint64_t flags; /* enum guard_vault_flag */

	uint64_t table; /* see GUARD_TABLE_; alone with what goes with it in a cache line */
	uint64_t unused_table[7];

	uint64_t consumed; /* ring records before this one have been handled */
	uint64_t told[2]; /* the host's: events told of these records, at [consumed % 2] */
	uint64_t beat; /* the host's: its clock, when it last looked. Another value: an earlier state was loaded */
	uint64_t unused_consumed[4];

	uint64_t guest_space; /* the guest's own mount name space, by its sequence number */
	uint32_t attempts_deny[2],
		attempts_report[2]; /* masks of enum guard_attempt: by the guest, by containers */

	/* Paths to resolve in each container, see GUARD_NAMES_. */
	uint64_t names;

	/* Roots to resolve them in now: "/proc/PID/root". errand is raised when the rest stands. */
	uint64_t errand;
	uint32_t n_roots, unused_errand;
	struct {
		char path[24];
		uint64_t id;
	} roots[GUARD_ERRAND_ROOTS];

	/* Processes to kill now: each, if it is the one that started then. kill is raised when the rest stands. */
	uint64_t kill;
	uint32_t n_kills, unused_kill;
	struct {
		uint64_t start_ns; /* since boot */
		uint32_t pid, unused; /* in the guest's first pid name space */
	} kills[GUARD_KILLS];

	/* Where system calls enter the kernel: what MSR_LSTAR of each of the guest's CPUs has to hold. 0: nobody looks. */
	uint64_t system_call_entry;
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
	uint64_t kill_done;
	uint64_t system_calls_turn; /* the CPU whose MSR_LSTAR is looked at next */
};

enum guard_record_type {
	GUARD_RECORD_FILE = 1,
	GUARD_RECORD_VIEW,
	GUARD_RECORD_SUPER_GONE,
	GUARD_RECORD_FOLLOW,
	GUARD_RECORD_ATTEMPT,
	GUARD_RECORD_SYSTEM_CALLS,
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
	uint32_t unused;
};

enum guard_role { /* the file's, in an operation on two names */
	GUARD_ROLE_NONE,
	GUARD_ROLE_SOURCE,
	GUARD_ROLE_TARGET,
};

/* Texts are offsets from the start of the slot to NUL-terminated strings, or GUARD_NO_TEXT. */
struct guard_file_record {
	struct guard_record record;
	uint32_t operations; /* attempted */
	uint32_t reported; /* of these, the ones to report */
	uint32_t denied; /* of these, the ones refused; 0: allowed */
	uint32_t killed; /* of these, the ones the process was killed for */
	uint32_t asked; /* not 0: the guard waits, and decides after the host has handled this */
	uint32_t depth; /* matched by a pattern: names below the base; 0: by identity */
	uint32_t role; /* enum guard_role */
	uint32_t whom; /* enum guard_whom: one bit */
	struct guard_identity file, base; /* a file that does not exist yet has ino 0 */
	uint64_t dentry_from, dentry_to; /* rename: addresses. An exchange comes twice, swapped */
	uint64_t file_size;
	uint32_t mode, uid, gid;
	uint32_t nested; /* not 0: with credentials other than the task's own, as a file system does on a layer below */
	uint64_t space; /* a mount: in which mount name space */
	struct guard_process process;
	uint16_t path; /* as the process sees it; or no text */
	uint16_t super_path; /* from the root of the file system: its last `depth` names are below the base */
	uint16_t other_path; /* the other name, also from the root of the file system; or no text */
	uint16_t executable;
};

/* Something was attempted on the guest as a whole. */
struct guard_attempt_record {
	struct guard_record record;
	uint32_t attempt; /* enum guard_attempt */
	uint32_t whom; /* enum guard_whom: one bit */
	uint32_t denied;
	uint32_t target_pid; /* PTRACE */
	uint32_t detail; /* BPF_PROGRAM: enum bpf_prog_type; BLOCK_COMMAND: the ioctl */
	uint32_t unused;
	struct guard_identity file; /* where there is one: a module, a device's node */
	uint32_t mode, device; /* of that file; device: a node's own number */
	struct guard_process process;
	char target_name[16]; /* PTRACE */
	uint16_t path, executable, unused_text[2]; /* offsets of texts */
};

enum guard_follow_cause {
	GUARD_FOLLOW_GONE, /* the name is deleted, or another file takes its place */
	GUARD_FOLLOW_MOVED, /* the file gets another name */
	GUARD_FOLLOW_COPIED, /* overlayfs copies it up: its inode may come back with another number */
};

/* This is about to happen to a file or directory with GUARD_OP_FOLLOW. The host watches the name from now on. */
struct guard_follow_record {
	struct guard_record record;
	struct guard_identity file, parent; /* parent: the directory */
	uint32_t cause, links; /* how many names the file has, before */
	uint32_t mode;
	uint16_t name, unused_text; /* offset of the text */
};

struct guard_resolved {
	uint32_t name; /* index into the names */
	int32_t error; /* 0 or -errno; then there is no identity */
	struct guard_identity file;
	uint64_t inode; /* address */
	uint32_t mode, unused;
};

#define GUARD_VIEW_RESOLVED 10 /* they are on the guard's stack for a moment */

enum guard_view_cause {
	GUARD_VIEW_PIVOT, /* pivot_root */
	GUARD_VIEW_CHROOT, /* chroot, after MS_MOVE */
	GUARD_VIEW_ERRAND, /* the host asked */
	GUARD_VIEW_LAZY, /* first use, GUARD_OP_LAZY */
};

struct guard_view_record {
	struct guard_record record;
	uint64_t errand; /* id of the root; 0 but for errands */
	uint64_t task; /* who enters the root: address of a task_struct; an errand's is a kworker */
	uint64_t root_dentry, root_super;
	uint32_t names_sequence;
	uint32_t last; /* not 0: that was all of this view */
	int32_t error; /* the root itself could not be resolved */
	uint32_t n_resolved;
	uint32_t cause; /* enum guard_view_cause */
	uint32_t unused;
	struct guard_resolved resolved[GUARD_VIEW_RESOLVED];
};

struct guard_super_record {
	struct guard_record record;
	uint64_t super;
};

#define GUARD_MAX_CPUS 8192 /* NR_CPUS at most (arch/x86/Kconfig) */

/* One of the guest's CPUs had another MSR_LSTAR than guard_vault.system_call_entry. */
struct guard_system_calls_record {
	struct guard_record record;
	uint64_t found;
	uint32_t cpu; /* the guest's number of it */
	uint32_t restored; /* not 0: it has been put back */
};

_Static_assert(sizeof(struct guard_entry) == 32, "entry: two in a cache line");
_Static_assert(sizeof(struct guard_clause) == 32, "clause");
_Static_assert(sizeof(struct guard_exception) == 40, "exception");
_Static_assert(__builtin_offsetof(struct guard_vault, table) == 64, "table: its own cache line");
_Static_assert(__builtin_offsetof(struct guard_vault, consumed) == 128, "consumed: its own cache "
									"line");
_Static_assert(sizeof(struct guard_vault) <= GUARD_VAULT_HOOKS, "the vault's header is one page");
_Static_assert(sizeof(struct guard_mailbox) <= GUARD_MAILBOX_SLOTS, "so is the mailbox's");
_Static_assert(sizeof(struct guard_record) == 24, "record");
_Static_assert(sizeof(struct guard_identity) == 24, "identity");
_Static_assert(sizeof(struct guard_process) == 192, "process");
_Static_assert(sizeof(struct guard_resolved) == 48, "resolved");
_Static_assert(GUARD_N_ATTEMPTS <= 32, "attempts are masks");
_Static_assert(sizeof(struct guard_attempt_record) <= 512, "texts behind it");
_Static_assert(sizeof(struct guard_file_record) <= 512, "the rest of the slot is for texts");
_Static_assert(sizeof(struct guard_view_record) <= GUARD_SLOT_SIZE, "a view record fits its slot");

#endif
