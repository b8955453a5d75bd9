// SPDX-License-Identifier: GPL-2.0-or-later
/* BPF programs that do more than look. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define INSN(c, dst, src, o, i) \
	((struct bpf_insn){     \
		.code = (c), .dst_reg = (dst), .src_reg = (src), .off = (o), .imm = (i) })

static int load(enum bpf_prog_type type, const struct bpf_insn *code, size_t n,
		struct bpf_prog_load_opts *options)
{
	int fd = bpf_prog_load(type, "attack", "GPL", code, n, options);

	return fd < 0 ? fail("BPF_PROG_LOAD") : 0;
}

/* A program for a kprobe that writes to the memory of whoever runs into it. */
static int probe_write(int n, char **args)
{
	const struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -8),
		INSN(BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, -8, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 4096),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 8),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_write_user),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .kern_version = 0);

	(void)n, (void)args;
	return load(BPF_PROG_TYPE_KPROBE, code, sizeof(code) / sizeof(code[0]), &options);
}

/* One that sets what a function returns. */
static int override_return(int n, char **args)
{
	const struct bpf_insn code[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_override_return),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .kern_version = 0);

	(void)n, (void)args;
	return load(BPF_PROG_TYPE_KPROBE, code, sizeof(code) / sizeof(code[0]), &options);
}

static const struct bpf_insn nothing[] = {
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
};

static int attach_to(enum bpf_prog_type type, enum bpf_attach_type kind, const char *function)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = kind);
	int id = libbpf_find_vmlinux_btf_id(function, kind), program, link;

	if (id < 0)
		return errno = -id, fail("no such function");
	options.attach_btf_id = (uint32_t)id;
	program = bpf_prog_load(type, "attack", "GPL", nothing, 2, &options);
	if (program < 0)
		return fail("BPF_PROG_LOAD");
	link = bpf_raw_tracepoint_open(NULL, program);
	if (link < 0)
		return fail("BPF_RAW_TRACEPOINT_OPEN");
	return 0;
}

/* bpf-lsm HOOK: a security module of the attacker's own. */
static int lsm(int n, char **args)
{
	(void)n;
	return attach_to(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, args[0]);
}

/* bpf-modify-return FUNCTION: with a return of 0, the function runs as ever: to attach at all is the attack. */
static int modify_return(int n, char **args)
{
	(void)n;
	return attach_to(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, args[0]);
}

const struct verb bpf_verbs[] = {
	{ "bpf-probe-write", 0, probe_write },
	{ "bpf-override-return", 0, override_return },
	{ "bpf-lsm", 1, lsm },
	{ "bpf-modify-return", 1, modify_return },
	{ NULL, 0, NULL },
};
