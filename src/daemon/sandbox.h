/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include <json-c/json.h>

#include "util/error.h"

/*
 * Whoever reads what a guest writes may be taken over by it one day. Once a VM is attached, its keeper gives up what attaching
 * took: root, capabilities, files, and all system calls but those that a keeper makes. docs/SANDBOX.md has what is left.
 */
#define SANDBOX_USER "outguard" /* if there is one */
#define SANDBOX_VIOLATION \
	159 /* exit status: it made another system call. It has said which on standard error */

struct sandbox_config {
	const char *name; /* of the VM, for messages; has to stay */
	const char *user; /* NULL: SANDBOX_USER; "root": stay what we are */
	int porter; /* a socket for opener_use(); borrowed */
	int process; /* QEMU */
};

/* Is there such a user? For who is to say so before the keepers try. */
int sandbox_check_user(const char *user, struct error *err);

/*
 * For good. What the host does not offer (Landlock; another user, when this is not root or there is none) is left out and said; all the
 * rest is done, or it fails.
 */
int sandbox_enter(const struct sandbox_config *config, struct error *err);

/* A porter's: what it needs to open files as root, and no more. */
void sandbox_limit_porter(void);

/* For status: what this process has given up; NULL when nothing. The caller's. */
struct json_object *sandbox_facts(void);

#endif
