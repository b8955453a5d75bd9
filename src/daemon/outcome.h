/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef DAEMON_OUTCOME_H
#define DAEMON_OUTCOME_H

/* What came of a command: the programs' exit status, and the `kind` of an error on the control socket. */
enum outcome {
	OUTCOME_DONE,
	OUTCOME_FAILED,
	OUTCOME_USAGE, /* of the command line, or of the control protocol */
	OUTCOME_NO_VM, /* no such VM, or it is not attached */
	OUTCOME_NO_DAEMON,
	OUTCOME_UNSUPPORTED, /* by this guest, as it is */
	OUTCOME_BUSY, /* guarded already, or in the middle of something */
	OUTCOME_POLICY, /* refused */
};
#define OUTCOME_N 8

/* "failed", "no-such-vm", ... */
const char *outcome_name(enum outcome outcome);

/* The other way; a name that is none is OUTCOME_FAILED. */
enum outcome outcome_by_name(const char *name);

/* Of what a session or a machine returned: negative errno, or 0. */
enum outcome outcome_of(int code);

/* Of what policy_load() returned. */
enum outcome outcome_of_policy(int code);

#endif
