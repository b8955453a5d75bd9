/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACK_TOOL_H
#define ATTACK_TOOL_H

#include <stddef.h>

/*
 * What attacks need and no shell has. One static program, `tool VERB ARG...`: it ends with 0 when the attacker's call worked,
 * else with 1 and the call that failed, and why, on standard error.
 */
struct verb {
	const char *name;
	int n_args; /* at least */
	int (*run)(int n, char **args); /* 0, or what fail() returns */
};

extern const struct verb content_verbs[], uring_verbs[], descriptor_verbs[], machine_verbs[],
	bpf_verbs[], state_verbs[], load_verbs[], race_verbs[];

int fail(const char *what);
/* Writes a line to an open file: the mark that an attack leaves. */
int deface(int fd);
/* Tries to; says so if it fails. */
void write_text(const char *path, const char *text);

#endif
