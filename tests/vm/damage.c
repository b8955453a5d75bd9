// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes a real, running guest kernel look like one that was built without BTF or without kallsyms while a command runs, by
 * wiping these in its memory from the host. The kernel itself uses them only when asked to. Or like one where something has
 * changed a place that the guard is called from: the code for one more LSM (site; Linux 6.12 and later), or the work that runs
 * errands (work; the guest stands still meanwhile).
 * usage: damage QMP-SOCKET btf|kallsyms|site|work COMMAND [ARG...]	(a socket that the command does not use)
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arm/static_call.h"
#include "profile/profile.h"
#include "vmm/machine.h"

#define SIZE 256 /* enough to spoil the BTF header */
#define IMAGE ((size_t)64 << 20)
#define MAX_WOUNDS 64

static void *translated(const struct profile *profile, const struct ram *ram, uint64_t va,
			size_t size)
{
	const struct ram_range *range;
	uint64_t pa;

	if (!va || space_translate(profile_space(profile), va, &pa, NULL) < 0)
		return NULL;
	range = ram_find(ram, pa, size);
	return range && range->host ? range->host + (pa - range->gpa) : NULL;
}

/* A piece of the guest's memory, wiped and put back. */
struct wound {
	void *at;
	size_t size;
	char saved[SIZE];
};

struct wounds {
	struct wound wound[MAX_WOUNDS];
	size_t n;
};

static void change(struct wounds *wounds, void *at, const void *bytes, size_t size)
{
	struct wound *wound = &wounds->wound[wounds->n++];

	wound->at = at;
	wound->size = size;
	memcpy(wound->saved, at, size);
	memcpy(at, bytes, size);
}

static void wipe(struct wounds *wounds, void *at, size_t size)
{
	static const char zeros[SIZE];

	change(wounds, at, zeros, size);
}

static void heal(const struct wounds *wounds)
{
	for (size_t i = 0; i < wounds->n; i++)
		memcpy(wounds->wound[i].at, wounds->wound[i].saved, wounds->wound[i].size);
}

static void wipe_btf(struct wounds *wounds, const struct profile *profile, const struct ram *ram)
{
	void *at = translated(profile, ram, profile_symbol(profile, "__start_BTF"), SIZE);

	if (at)
		wipe(wounds, at, SIZE);
}

/*
 * The tables of kallsyms are not in kallsyms. In its token table the digits stand for themselves, one behind the other;
 * so they may elsewhere in the image, where a short absence does no harm.
 */
static void wipe_kallsyms(struct wounds *wounds, const struct profile *profile,
			  const struct ram *ram)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	char *at = translated(profile, ram, profile_text(profile), IMAGE), *end = at + IMAGE;

	while (at && wounds->n < MAX_WOUNDS && (at = memmem(at, end - at, digits, sizeof(digits))))
		wipe(wounds, at, sizeof(digits));
}

/* The branches for one more LSM that is asked about renames: other instructions that do nothing, either. */
static void change_site(struct wounds *wounds, const struct profile *profile, const struct ram *ram)
{
	static const char *const nothing[] = { [2] = "\x40\x90", [5] = "\x66\x66\x66\x66\x90" };
	uint64_t vault = profile_text(profile); /* any place that a call reaches */
	struct patch patches[STATIC_CALL_MAX_PATCHES];
	int n = static_call_find(patches, profile, "inode_rename", vault, NULL, 0);

	for (int i = 0; i < n; i++) {
		const struct patch *patch = &patches[i];
		bool is_branch = patch->bytes[PATCH_ORIGINAL][0] == 0x0f ||
				 patch->bytes[PATCH_ORIGINAL][0] == 0x66;
		void *at = translated(profile, ram, patch->address, patch->size);

		if (at && is_branch && (patch->size == 2 || patch->size == 5))
			change(wounds, at, nothing[patch->size], patch->size);
	}
}

static void change_work(struct wounds *wounds, const struct profile *profile, const struct ram *ram)
{
	uint64_t work = profile_symbol(profile, "shepherd");
	uint64_t other = profile_symbol(profile, "vmstat_update");
	struct profile_field func;
	void *at;

	if (!work || !other || profile_field(profile, "delayed_work.work.func", &func) < 0)
		return;
	at = translated(profile, ram, work + func.offset, sizeof(other));
	if (at)
		change(wounds, at, &other, sizeof(other));
}

static int run(char **command)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return 125;
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct machine *machine = NULL;
	struct profile *profile = NULL;
	struct error err = { 0 };
	struct cpu cpus[8];
	struct wounds wounds = { .n = 0 };
	bool is_work;
	int n, status;

	if (argc < 4 || machine_open(&machine, argv[1], 5000, &err) < 0)
		return fprintf(stderr, "%s\n", err.message), 125;
	n = machine_cpus(machine, cpus, 8, &err);
	for (int i = 0; i < n && i < 8 && !profile; i++)
		profile_read(&profile, machine_ram(machine), &cpus[i], &err);
	if (!profile)
		return fprintf(stderr, "%s\n", err.message), 125;
	is_work = !strcmp(argv[2], "work");
	if (is_work && machine_stop(machine, &err) < 0)
		return fprintf(stderr, "%s\n", err.message), 125;
	if (is_work)
		change_work(&wounds, profile, machine_ram(machine));
	else if (!strcmp(argv[2], "btf"))
		wipe_btf(&wounds, profile, machine_ram(machine));
	else if (!strcmp(argv[2], "site"))
		change_site(&wounds, profile, machine_ram(machine));
	else
		wipe_kallsyms(&wounds, profile, machine_ram(machine));
	status = wounds.n ? run(argv + 3) : 125;
	if (!wounds.n)
		fprintf(stderr, "cannot find the %s\n", argv[2]);
	heal(&wounds);
	if (is_work && machine_resume(machine, NULL, &err) < 0)
		return fprintf(stderr, "%s\n", err.message), 125;
	profile_free(profile);
	machine_free(machine);
	return status;
}
