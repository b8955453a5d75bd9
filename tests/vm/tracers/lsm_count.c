// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A BPF-LSM program on an LSM hook of the guest's own: it counts, and refuses nothing. Runs in the guest.
 *
 *	lsm_count HOOK PROGRAM...	attaches, runs the program, prints how often the hook was called meanwhile
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#define INSN(c, dst, src, o, i) \
	((struct bpf_insn){     \
		.code = (c), .dst_reg = (dst), .src_reg = (src), .off = (o), .imm = (i) })

static void die(const char *what)
{
	fprintf(stderr, "lsm_count: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* map[0]++; return 0 */
static int load(const char *hook, int map)
{
	const struct bpf_insn program[] = {
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		INSN(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1),
		INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);
	int type = libbpf_find_vmlinux_btf_id(hook, BPF_LSM_MAC), fd;

	if (type < 0)
		die("no such hook");
	options.attach_btf_id = (uint32_t)type;
	fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "lsm_count", "GPL", program,
			   sizeof(program) / sizeof(program[0]), &options);
	if (fd < 0)
		die("load");
	return fd;
}

int main(int argc, char **argv)
{
	int map, status, link;
	uint64_t count = 0;
	uint32_t key = 0;
	pid_t child;

	if (argc < 3) {
		fprintf(stderr, "usage: lsm_count HOOK PROGRAM...\n");
		return 2;
	}
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lsm_count", 4, 8, 1, NULL);
	if (map < 0)
		die("map");
	link = bpf_raw_tracepoint_open(NULL, load(argv[1], map));
	if (link < 0)
		die("attach");
	child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		die(argv[2]);
	if (bpf_map_lookup_elem(map, &key, &count) < 0)
		die("read");
	printf("%llu\n", (unsigned long long)count);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
