// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text is "NAME=hex NAME=hex ...", several to a line, with a line "CPU#n" before each vCPU. In 16 and
 * 32-bit modes the same registers go by their shorter names (EIP, ESP) and have fewer digits.
 */
#include "vmm/registers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static const struct {
	const char *name, *name32;
	size_t offset;
} registers[] = {
	{ "RIP", "EIP", offsetof(struct cpu, rip) },
	{ "RSP", "ESP", offsetof(struct cpu, rsp) },
	{ "CR0", NULL, offsetof(struct cpu, cr0) },
	{ "CR3", NULL, offsetof(struct cpu, cr3) },
	{ "CR4", NULL, offsetof(struct cpu, cr4) },
	{ "EFER", NULL, offsetof(struct cpu, efer) },
	{ "IDT", NULL, offsetof(struct cpu, idt_base) },
};

/* In the order of cpu.general. Names of one digit are padded. */
static const char *const general[] = { "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "R8 ",
				       "R9 ", "R10", "R11", "R12", "R13", "R14", "R15" };

_Static_assert(ARRAY_SIZE(general) == sizeof(((struct cpu *)0)->general) / 8, "all of them");

/* The hexadecimal number at *@at, behind blanks on the same line. Moves *@at behind it. */
static bool take_hex(const char **at, uint64_t *ret)
{
	const char *p = *at + strspn(*at, " ");
	size_t n = strspn(p, "0123456789abcdefABCDEF");

	if (n < 1 || n > 16)
		return false;
	*ret = strtoull(p, NULL, 16);
	*at = p + n;
	return true;
}

/* What stands behind "@name=" in @text..@end, where it is not the end of a longer name; or NULL. */
static const char *find_value(const char *text, const char *end, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), name, n)); p += n)
		if ((p == text || strchr(" \r\n", p[-1])) && p[n] == '=')
			return p + n + 1;
	return NULL;
}

static int parse_cpu(const char *text, const char *end, struct cpu *ret, struct error *err)
{
	struct cpu cpu = { 0 };
	uint64_t limit;

	for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
		const char *value = find_value(text, end, registers[i].name);

		if (!value && registers[i].name32)
			value = find_value(text, end, registers[i].name32);
		if (!value || !take_hex(&value, (uint64_t *)((char *)&cpu + registers[i].offset)))
			return error_set(err, -EBADMSG, "no %s in QEMU's `info registers`",
					 registers[i].name);
		if (registers[i].offset != offsetof(struct cpu, idt_base))
			continue;
		if (!take_hex(&value, &limit))
			return error_set(err, -EBADMSG, "no IDT limit in QEMU's `info registers`");
		cpu.idt_limit = (uint16_t)limit;
	}
	for (size_t i = 0; i < ARRAY_SIZE(general); i++) {
		const char *value = find_value(text, end, general[i]);

		if (value)
			take_hex(&value, &cpu.general[i]);
	}
	*ret = cpu;
	return 0;
}

int registers_parse(const char *text, struct cpu *cpus, size_t n, struct error *err)
{
	const char *start = strstr(text, "CPU#");
	int n_cpus = 0, r;

	while (start) {
		const char *next = strstr(start + 4, "CPU#");
		struct cpu cpu;

		r = parse_cpu(start, next ? next : start + strlen(start), &cpu, err);
		if (r < 0)
			return error_wrap(err, "vCPU %d", n_cpus);
		if ((size_t)n_cpus < n)
			cpus[n_cpus] = cpu;
		n_cpus++;
		start = next;
	}
	if (!n_cpus)
		return error_set(err, -EBADMSG, "no vCPU in QEMU's `info registers`");
	return n_cpus;
}
