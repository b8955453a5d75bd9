/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * A policy file (YAML), parsed and checked: an immutable list of rules. docs/POLICY.md describes the
 * language. A new policy is a new object; the old one stays until the new one stands whole.
 */

/* Operations, as bits. The order is the order of the names in policies and events. */
enum policy_operation {
	POLICY_READ = 1 << 0,
	POLICY_WRITE = 1 << 1,
	POLICY_CREATE = 1 << 2,
	POLICY_DELETE = 1 << 3,
	POLICY_RENAME = 1 << 4,
	POLICY_LINK = 1 << 5,
	POLICY_SYMLINK = 1 << 6,
	POLICY_TRUNCATE = 1 << 7,
	POLICY_CHMOD = 1 << 8,
	POLICY_CHOWN = 1 << 9,
	POLICY_UTIMES = 1 << 10,
	POLICY_XATTR = 1 << 11,
	POLICY_ATTR_FLAGS = 1 << 12,
	POLICY_MMAP_WRITE = 1 << 13,
	POLICY_EXEC = 1 << 14,
	POLICY_MOUNT = 1 << 15,
	POLICY_COPY_UP = 1 << 16,
};
#define POLICY_N_OPERATIONS 17
#define POLICY_ALL ((1u << POLICY_N_OPERATIONS) - 1)
#define POLICY_MODIFY (POLICY_ALL & ~(POLICY_READ | POLICY_EXEC | POLICY_COPY_UP))

enum policy_action {
	POLICY_AUDIT, /* let it happen and report it */
	POLICY_DENY, /* refuse it and report it */
	POLICY_KILL, /* refuse it, kill the process, and report it */
};

enum policy_severity {
	POLICY_SEVERITY_LOW,
	POLICY_SEVERITY_MEDIUM, /* where a rule says nothing */
	POLICY_SEVERITY_HIGH,
	POLICY_SEVERITY_CRITICAL,
};

/* Which containers a rule is for. An empty list means any; all three must agree. */
struct policy_selector {
	char **ids; /* full ids or prefixes of at least 12 hexadecimal digits */
	size_t n_ids;
	char **engines; /* "docker", "containerd", "podman", "cri-o", ... */
	size_t n_engines;
	char **hostnames; /* globs: '*' and '?' */
	size_t n_hostnames;
};

/* Inclusive. */
struct policy_uids {
	uint32_t from, to;
};

/*
 * Who a rule is not for. What is given (a list that is not empty) must all hold; of a list, one item. At least one is given.
 * A process's executable is known by identity: the file that the path meant when the container started.
 */
struct policy_exception {
	char **executables; /* absolute paths without wildcards, as the container sees them */
	size_t n_executables;
	struct policy_uids *uids; /* real uids, as the guest's first user name space knows them */
	size_t n_uids;
	bool by_container; /* is `containers` given? */
	struct policy_selector containers; /* of the process, not of the file */
};

/* Who does it: a process of the guest itself, or one that lives in a container or came from one. */
enum policy_whom {
	POLICY_BY_GUEST = 1 << 0,
	POLICY_BY_CONTAINER = 1 << 1,
};

/* What is done, beyond refusing and telling. */
struct policy_answer {
	bool freeze; /* the VM */
	bool kill_container; /* of the process that did it; rules only */
	char *dump; /* directory for a dump of the guest's memory, or NULL */
	bool dump_plain; /* not compressed */
	char **command; /* program and arguments, run on the host; none: NULL */
	size_t n_command;
};

enum policy_restore { /* bits: what is put back when it has been tampered with */
	POLICY_RESTORE_HOOKS = 1 << 0,
	POLICY_RESTORE_KERNEL = 1 << 1,
};

/* How often the sentry looks at what; 0: never. */
struct policy_sentry {
	uint64_t hooks_ns, kernel_ns, registers_ns, vault_ns;
};

struct policy_rule {
	char *name;
	char **paths; /* absolute, normalised; exact or with '*', '?', '**' */
	size_t n_paths;
	bool guest; /* paths are the guest's own; or "proc:/...", see policy_path_pseudo() */
	bool runtimes; /* they are container runtimes' programs */
	uint32_t whom; /* enum policy_whom; 0: all */
	struct policy_selector containers;
	uint32_t operations; /* enum policy_operation bits */
	enum policy_action action;
	struct policy_exception *except; /* any of them is enough */
	size_t n_except;
	enum policy_severity severity;
	char *message; /* or NULL */
	struct policy_answer *answer; /* or NULL */
	unsigned int line; /* where it starts in the file, from 1 */
};

/* What is attempted on the guest as a whole: masks of enum guard_attempt, by the guest ([0]) and by containers ([1]). */
struct policy_integrity {
	uint32_t deny[2], report[2];
};

struct policy {
	struct policy_rule *rules;
	size_t n_rules;
	size_t n_own_rules; /* the first of them: those that the file has. The others are built in: see integrity.h */
	struct policy_integrity integrity;
	bool refuse_unresolved; /* `unresolved: refuse`: what the host could not enter in time does not start */
	bool every_access; /* `trap: every-access`: not only opens, but each read and write is told, and waits for the host */
	bool lazy; /* `cache: lazy`: paths are looked up at the first use, not before the start */
	struct {
		unsigned int restore; /* enum policy_restore */
		struct policy_answer answer;
	} tampering; /* `on-tampering:` */
	struct policy_sentry sentry;
	char *source; /* name of the file it came from */
	char digest[65]; /* SHA-256 of the file's bytes, hexadecimal */
};

/*
 * Reads and checks a policy. On error the message is "FILE:LINE:COLUMN: what is wrong; what would be
 * right", and *@ret is untouched. The policy is the caller's, to be freed with policy_free().
 */
int policy_load(struct policy **ret, const char *path, struct error *err);

/* The same from memory; @source names it in messages. */
int policy_parse(struct policy **ret, const char *text, size_t size, const char *source,
		 struct error *err);

/* Accepts NULL. Returns NULL. */
struct policy *policy_free(struct policy *policy);

/*
 * The kinds of a path on a kernel's own file system ("proc:/sys/kernel/core_pattern"), as super_block.s_magic, up to two; 0 for none.
 * In *@ret_prefix what stands before the path.
 */
unsigned int policy_path_pseudo(const char *path, uint64_t ret_magics[2], const char **ret_prefix);

/* "module-load" and "guest-integrity/modules"; "?" for a number that is none. enum guard_attempt. */
const char *policy_attempt_name(uint32_t attempt);
const char *policy_attempt_rule(uint32_t attempt);

/* The built-in rule set, as text. */
const char *policy_guest_integrity(void);

/* Is @path (one of a rule's) a pattern? */
bool policy_path_is_glob(const char *path);

/*
 * Do the parts of the selector that are known at the start of a container agree with it? @hostname may
 * be NULL while it is not known: then the host name is not judged.
 */
bool policy_selects(const struct policy_selector *selector, const char *id, const char *engine,
		    const char *hostname);

/* "read", "deny", "high"; "?" for a value that is none. One operation bit at a time. */
const char *policy_operation_name(uint32_t operation);
const char *policy_action_name(enum policy_action action);
const char *policy_severity_name(enum policy_severity severity);

#endif
