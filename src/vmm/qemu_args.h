/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_QEMU_ARGS_H
#define VMM_QEMU_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/error.h"

#define QEMU_ARGS_VAULT_MIB 64
#define QEMU_ARGS_MAILBOX_MIB 4

/* What errors about a VM without the right devices end with. */
#define QEMU_ARGS_REMEDY "start the VM with the arguments that `outguard qemu-args` prints"

/* What a VM needs, to be guarded. */
struct qemu_args {
	const char *name; /* of the VM: names nothing but messages */
	const char *directory; /* on the host, for the vault file and the QMP socket; absolute */
	const char *user; /* as whom QEMU runs, and makes the socket there; NULL: as whoever calls */
	unsigned int memory_mib; /* guest RAM */
	unsigned int vault_mib, mailbox_mib; /* powers of two, at least 8 and 2 */
	const char *trap_library; /* path of liboutguard-trap.so, to be preloaded; NULL: none */
};

/* Checks the numbers and the directory. */
int qemu_args_check(const struct qemu_args *args, struct error *err);

/*
 * Makes the directory (0755) and the vault file (sparse, 0644), if they are missing. The directory is given to the user
 * who runs QEMU, if one is named; the vault stays the caller's.
 */
int qemu_args_prepare(const struct qemu_args *args, struct error *err);

/* One line of shell-quoted QEMU arguments. */
void qemu_args_print(const struct qemu_args *args, FILE *out);

/* The same of what the trap needs in QEMU's environment, for env(1). */
void qemu_args_print_environment(const struct qemu_args *args, FILE *out);

/* The same as a libvirt domain fragment (memoryBacking, qemu:commandline with the environment), with its name space. */
void qemu_args_print_libvirt(const struct qemu_args *args, FILE *out);

/* The same as a JSON object: { "arguments": [...], "vault": ..., "qmp": ..., "environment": {...} if there is a trap }. */
void qemu_args_print_json(const struct qemu_args *args, FILE *out);

#endif
