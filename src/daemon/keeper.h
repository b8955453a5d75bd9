/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdbool.h>

/*
 * A keeper is a process that guards one VM for the daemon: a QEMU that hangs, or a guest that kills its keeper,
 * hurts no other VM. It talks with the daemon over a socket, in lines that start with a letter:
 *
 *	daemon to keeper	a request, as on the control socket: status, profile, policy-load, detach
 *	keeper to daemon	R reply		to each request, in order; the first is that to being started
 *				E json TAB text	an event
 *				X facts		the VM has ended, or the keeper was told to leave: the last word
 *
 * When it has attached it locks itself in (sandbox.h): a command that is to be run on an event is the daemon's to run, not its.
 *
 * On SIGTERM the keeper leaves: the guard stays in the guest, which waits for nobody. It also leaves when the socket is closed,
 * for then the daemon has died: the guest waits for the next one. On SIGHUP it opens the events' file again.
 */
struct keeper_config {
	const char *name, *qmp_path, *policy_path;
	const char *events_path; /* or NULL */
	const char *outlet_lock_path; /* see outlet_share() */
	const char *user; /* see sandbox.h */
	int warrants; /* see porter.h */
	bool wait; /* for a guest that boots */
	bool allow_partial;
	bool hot_plug; /* our devices, if they are not there */
};

/* Does it all; takes over @fd. Returns the process's exit status. To be called in a new process. */
int keeper_run(const struct keeper_config *config, int fd);

#endif
