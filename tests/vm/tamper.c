// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes away from a running guest's kernel what the guard stands on, as code in that kernel could: by writing its memory.
 * usage: tamper QMP-SOCKET hook NAME|all	the hook is as if no guard had been there
 *        tamper QMP-SOCKET list NAME		the list of LSM functions is cut off at its head
 *        tamper QMP-SOCKET bytes SYMBOL OFFSET HEX	these bytes stand there; what stood there is printed
 *        tamper QMP-SOCKET window		a page-table entry of the vault's, where a small policy has nothing
 * (a socket that no outguard uses)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/arm.h"
#include "arm/lsm_list.h"
#include "profile/profile.h"
#include "vmm/machine.h"

static int write_code(void *machine, const struct machine_code *pieces, size_t n, struct error *err)
{
	return machine_write_code(machine, pieces, n, err);
}

static int unhook(const struct arm *arm, const struct profile *profile, const char *name,
		  struct error *err)
{
	int n = 0, r = 0;

	for (size_t i = 0; i < arm->hooks.n && r == 0; i++) {
		const struct hook *hook = &arm->hooks.hook[i];

		if (strcmp(name, "all") != 0 && strcmp(name, hook->name) != 0)
			continue;
		r = patches_write(&arm->hooks.patch[hook->first], hook->n, profile_space(profile),
				  PATCH_ORIGINAL, write_code, arm->machine, err);
		n++;
	}
	return r < 0 || n ? r : error_set(err, -1, "no hook %s", name);
}

static int cut_list(const struct profile *profile, const char *name, struct error *err)
{
	uint64_t head = lsm_list_head(profile, name);

	if (!head || space_write_u64(profile_space(profile), head, 0) < 0)
		return error_set(err, -1, "no list %s", name);
	return 0;
}

static int write_bytes(struct machine *machine, const struct profile *profile, char **words,
		       struct error *err)
{
	uint64_t va = profile_symbol(profile, words[1]);
	struct machine_code code = { .size = (uint32_t)strlen(words[3]) / 2 };
	uint8_t before[sizeof(code.bytes)];
	int r;

	if (!va || !code.size || code.size > sizeof(code.bytes))
		return error_set(err, -1, "no symbol %s, or not 1 to %zu bytes", words[1],
				 sizeof(code.bytes));
	va += strtoull(words[2], NULL, 0);
	for (uint32_t i = 0; i < code.size; i++)
		sscanf(words[3] + 2 * i, "%2hhx", &code.bytes[i]);
	if (space_read(profile_space(profile), va, before, code.size) < 0 ||
	    space_translate(profile_space(profile), va, &code.gpa, NULL) < 0)
		return error_set(err, -1, "not mapped");
	for (uint32_t i = 0; i < code.size; i++)
		printf("%02x", before[i]);
	printf("\n");
	r = machine_stop(machine, err);
	if (r == 0)
		r = machine_write_code(machine, &code, 1, err);
	machine_resume(machine, NULL, NULL);
	return r;
}

static int tamper(struct machine *machine, const struct profile *profile, char **words,
		  struct error *err)
{
	struct arm arm;
	int r = arm_guard(&arm, machine, profile, &(struct arm_options){ 0 }, err), resumed;

	if (r < 0)
		return r;
	if (!arm.adopted || arm.replaced)
		return error_set(err, -1, "there was no guard of this build in place");
	r = machine_stop(machine, err);
	if (r < 0)
		return r;
	if (!strcmp(words[0], "window"))
		ram_write_u64(machine_ram(machine),
			      arm.window.table_pa + (arm.window.n_vault - 2) * 8, 0);
	else if (!strcmp(words[0], "list"))
		r = cut_list(profile, words[1], err);
	else
		r = unhook(&arm, profile, words[1], err);
	resumed = machine_resume(machine, NULL, err);
	return r < 0 ? r : resumed;
}

int main(int argc, char **argv)
{
	struct machine *machine = NULL;
	struct profile *profile = NULL;
	struct error err = { 0 };
	struct cpu cpus[8];
	int n, r;

	if (argc < 3 || (argc < 4 && strcmp(argv[2], "window") != 0))
		return fprintf(stderr, "usage: tamper QMP-SOCKET hook|list NAME | bytes SYMBOL "
				       "OFFSET HEX | window\n"),
		       2;
	if (machine_open(&machine, argv[1], 5000, &err) < 0)
		return fprintf(stderr, "%s\n", err.message), 1;
	n = machine_cpus(machine, cpus, 8, &err);
	for (int i = 0; i < n && i < 8 && !profile; i++)
		profile_read(&profile, machine_ram(machine), &cpus[i], &err);
	r = profile ? machine_refresh_devices(machine, &err) : -1;
	if (r == 0)
		r = (argc == 6 && !strcmp(argv[2], "bytes") ? write_bytes : tamper)(
			machine, profile, argv + 2, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	profile_free(profile);
	machine_free(machine);
	return r < 0;
}
