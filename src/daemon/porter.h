/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_PORTER_H
#define DAEMON_PORTER_H

#include "util/error.h"

/*
 * A keeper locks itself in when it has attached (sandbox.h). What it has to open later is opened for it by a process that it started
 * before: new memory of that QEMU, the lock that says the VM is guarded, the events' file after log rotation, a policy. The porter reads
 * nothing of the guest's, and does this for nobody but its keeper; it ends with it.
 */
struct porter_config {
	const char *name; /* of the VM */
	const char *qmp_path; /* may be looked at, not opened */
	const char *policy_path;
	const char *events_path, *outlet_lock_path, *ready_path; /* or NULL */
	int warrants; /* further policies may be opened that the daemon names here, a path a packet; -1: none */
};

/* Sets the socket for opener_use(). The strings must outlive the call only; takes over config->warrants. */
int porter_start(int *ret_fd, const struct porter_config *config, struct error *err);

/* Ends it and waits for that; a keeper that is killed leaves that to init. -1 is accepted. */
void porter_stop(int fd);

/* The process of the porter that was started last. */
int porter_pid(void);

/* Its memory may be opened from now on. Only once, before the sandbox. */
int porter_set_process(int fd, int pid, struct error *err);

#endif
