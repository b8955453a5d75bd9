// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Time of check, time of use: one process changes what a name leads to, all the time, another opens by that name. What it then
 * has is told by fstat(2): never by whether it was refused. Each prints
 *	rounds=N met=N slips=N
 * met: how often the name led to the guarded file; slips: how often that was open for writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

struct race {
	char directory[200], guarded[200]; /* where the names are, what they must not lead to */
	char name[512]; /* that is opened */
	struct stat target;
	long rounds, met, slips;
};

static int rounds_told(const struct race *race)
{
	printf("rounds=%ld met=%ld slips=%ld\n", race->rounds, race->met, race->slips);
	return race->slips == 0;
}

/* One opening; what the name leads to is asked before as well, but only to know that the race meets the file at all. */
static void try_open(struct race *race)
{
	struct stat now;
	int fd = open(race->name, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		race->met += errno == EPERM;
		return;
	}
	if (fstat(fd, &now) == 0 && now.st_ino == race->target.st_ino &&
	    now.st_dev == race->target.st_dev) {
		race->met++;
		race->slips++;
	}
	close(fd);
}

static int run_race(struct race *race, void (*swap)(const struct race *race, long i))
{
	pid_t swapper;

	if (stat(race->guarded, &race->target) < 0)
		return fail("stat");
	swapper = fork();
	if (swapper == 0)
		for (long i = 0;; i++)
			swap(race, i);
	for (long i = 0; i < race->rounds; i++)
		try_open(race);
	kill(swapper, SIGKILL);
	waitpid(swapper, NULL, 0);
	return rounds_told(race);
}

/* race-NAME GUARDED DIRECTORY ROUNDS: the directory is made, and is not there before. */
static int race_init(struct race *race, char **args)
{
	char path[512];
	int fd;

	memset(race, 0, sizeof(*race));
	snprintf(race->guarded, sizeof(race->guarded), "%s", args[0]);
	snprintf(race->directory, sizeof(race->directory), "%s", args[1]);
	race->rounds = atol(args[2]);
	snprintf(path, sizeof(path), "%s/decoy", race->directory);
	if (mkdir(race->directory, 0755) < 0)
		return fail("mkdir");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail("open");
	close(fd);
	return 0;
}

static void below(char *to, size_t size, const struct race *race, const char *name)
{
	snprintf(to, size, "%s/%s", race->directory, name);
}

/* A symbolic link that is replaced by another. */
static void swap_symlinks(const struct race *race, long i)
{
	char new[512], decoy[512];

	below(new, sizeof(new), race, "new");
	below(decoy, sizeof(decoy), race, "decoy");
	if (symlink(i & 1 ? race->guarded : decoy, new) == 0)
		rename(new, race->name);
}

static int race_symlink(int n, char **args)
{
	struct race race;
	int r = race_init(&race, args);

	(void)n;
	below(race.name, sizeof(race.name), &race, "name");
	return r ? r : run_race(&race, swap_symlinks);
}

/* A directory that changes places with a link to the guarded file's directory. */
static void swap_directories(const struct race *race, long i)
{
	char one[512], other[512];

	(void)i;
	below(one, sizeof(one), race, "at");
	below(other, sizeof(other), race, "other");
	syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static int make_pair(struct race *race)
{
	char path[512], above[200];
	const char *name = strrchr(race->guarded, '/') + 1;
	int fd;

	snprintf(above, sizeof(above), "%.*s", (int)(name - 1 - race->guarded), race->guarded);
	below(path, sizeof(path), race, "other");
	if (symlink(above, path) < 0)
		return fail("symlink");
	below(path, sizeof(path), race, "at");
	if (mkdir(path, 0755) < 0)
		return fail("mkdir");
	snprintf(race->name, sizeof(race->name), "%s/at/%s", race->directory, name);
	fd = open(race->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail("open");
	close(fd);
	return 0;
}

static int race_rename(int n, char **args)
{
	struct race race;
	int r = race_init(&race, args) ?: make_pair(&race);

	(void)n;
	return r ? r : run_race(&race, swap_directories);
}

/* A mount that comes and goes: with it the name leads to the guarded file's directory. */
static void swap_mounts(const struct race *race, long i)
{
	char at[512], above[512];

	below(at, sizeof(at), race, "at");
	below(above, sizeof(above), race, "other");
	if (i & 1)
		umount2(at, MNT_DETACH);
	else
		mount(above, at, NULL, MS_BIND, NULL);
}

static int race_mount(int n, char **args)
{
	struct race race;
	int r = race_init(&race, args) ?: make_pair(&race);
	char at[512];

	(void)n;
	r = r ?: run_race(&race, swap_mounts);
	below(at, sizeof(at), &race, "at");
	while (umount2(at, MNT_DETACH) == 0)
		;
	return r;
}

/* Both sides of a copy-up meet at one file after the other; which, is in a page that they share. */
static _Atomic long *progress_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	void *page;

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return NULL;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

/* copy-up DIRECTORY N PROGRESS: may open its files for writing, and so has them copied up, one by one. */
static int copy_up_all(int n, char **args)
{
	_Atomic long *progress = progress_map(args[2]);
	long left = atol(args[1]), failed = 0;
	char path[512];

	(void)n;
	if (!progress)
		return fail("mmap");
	for (long i = 0; i < left; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%ld", args[0], i);
		atomic_store(progress, i + 1);
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		failed += fd < 0;
		if (fd >= 0)
			close(fd);
	}
	atomic_store(progress, -1);
	return failed ? fail("open") : 0;
}

/* race-copy-up DIRECTORY N PROGRESS: may not, and tries while they are copied. */
static int race_copy_up(int n, char **args)
{
	_Atomic long *progress = progress_map(args[2]);
	struct race race = { 0 };
	long at;

	(void)n;
	if (!progress)
		return fail("mmap");
	while ((at = atomic_load(progress)) == 0)
		sched_yield();
	for (; at > 0; at = atomic_load(progress)) {
		int fd;

		snprintf(race.name, sizeof(race.name), "%s/%ld", args[0], at - 1);
		fd = open(race.name, O_WRONLY | O_APPEND | O_CLOEXEC);
		race.rounds++;
		race.met += fd >= 0 || errno == EPERM;
		race.slips += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return rounds_told(&race);
}

/* race-open GUARDED ROUNDS: nothing is swapped here: somebody else changes what is behind. */
static int race_open(int n, char **args)
{
	struct race race = { .rounds = atol(args[1]) };

	(void)n;
	snprintf(race.name, sizeof(race.name), "%s", args[0]);
	if (stat(race.name, &race.target) < 0)
		return fail("stat");
	for (long i = 0; i < race.rounds; i++)
		try_open(&race);
	return rounds_told(&race);
}

/* As a runtime does: name spaces, a root, and what the container's first process would do first. */
static int be_container(const char *root)
{
	int fd;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(root, root, NULL, MS_BIND, NULL) < 0 || chdir(root) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return 3;
	fd = open("/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC);
	return fd >= 0 ? 1 : errno == EPERM ? 0 : 2;
}

/* race-start ROOT ROUNDS: one container after the other, each a process that enters ROOT and opens its /etc/passwd. */
static int race_start(int n, char **args)
{
	struct race race = { .rounds = atol(args[1]) };
	long failed = 0;

	(void)n;
	for (long i = 0; i < race.rounds; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, NULL,
					   NULL, NULL, NULL);
		int status;

		if (pid == 0)
			_exit(be_container(args[0]));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			return fail("clone");
		race.met += WEXITSTATUS(status) < 2;
		race.slips += WEXITSTATUS(status) == 1;
		failed += WEXITSTATUS(status) >= 2;
	}
	if (failed)
		fprintf(stderr, "%ld did not get as far as to open\n", failed);
	return rounds_told(&race) && !failed;
}

const struct verb race_verbs[] = {
	{ "race-symlink", 3, race_symlink }, { "race-rename", 3, race_rename },
	{ "race-mount", 3, race_mount },     { "copy-up", 3, copy_up_all },
	{ "race-copy-up", 3, race_copy_up }, { "race-open", 2, race_open },
	{ "race-start", 2, race_start },     { NULL, 0, NULL },
};
