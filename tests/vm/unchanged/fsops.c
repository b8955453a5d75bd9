// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random file operations by several processes at a time, the same ones for the same seed, with every result written down:
 * two runs with one seed in places of one kind print the same, whatever else there is on the machine.
 *
 * That holds although they run at once, because each process acts in a directory of its own, or in a shared one on names
 * of its own; in a common directory, on common names, they take turns. And because nothing is printed that may differ: no
 * times of day, inode numbers, pids, pointers, sizes of directories.
 *
 * DIR is an absolute path.
 * usage: fsops prepare SEED DIR     makes a tree to start from
 *        fsops run SEED DIR         operates on it, having made it if it is not there; prints all results, then the tree
 *        fsops remove DIR           whatever attributes its files have got
 *        fsops try FROM TO DIR...   run and remove in DIR/FROM to DIR/TO, all at the same time; the number is the seed in the
 *                                   first DIR, and 100 more in each DIR after it
 *        fsops write FILE           opens a file that is there for writing
 *        fsops pause                does nothing, as a container's only process
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops.h"
#include "tree.h"

#define N_ROUNDS 6
#define UNPRIVILEGED 2 /* the worker that is not root */
#define USER 1002

/* --- the tree to start from ------------------------------------------------------------------------------------------------- */

static void make_file(struct worker *w, const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, chance(w, 80) ? 0644 : 0755);
	size_t size = pick(w, LARGEST_IO);

	if (fd < 0)
		return;
	fill(w, io_buffer(), size);
	if (write(fd, io_buffer(), size) != (ssize_t)size)
		err(1, "%s", name);
	close(fd);
}

static void make_tree(struct worker *w, const char *dir, const char *prefix)
{
	char name[64], other[64];

	if (chdir(dir) < 0)
		err(1, "%s", dir);
	for (int d = 0; d < 3; d++) {
		snprintf(name, sizeof(name), "%sd%d", prefix, d);
		mkdir(name, 0755);
		for (int f = 0; f < 4; f++) {
			snprintf(name, sizeof(name), "%sd%d/f%d", prefix, d, f);
			make_file(w, name);
		}
		snprintf(name, sizeof(name), "%sd%d/d%u", prefix, d, pick(w, 3));
		mkdir(name, 0755);
	}
	for (int f = 0; f < 4; f++) {
		snprintf(name, sizeof(name), "%sf%d", prefix, f);
		make_file(w, name);
	}
	snprintf(other, sizeof(other), "%sf5", prefix);
	if (link(name, other) < 0)
		err(1, "%s", other);
	snprintf(other, sizeof(other), "%ss0", prefix);
	if (symlink(name, other) < 0)
		err(1, "%s", other);
	if (chdir("/") < 0)
		err(1, "/");
}

static void make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		err(1, "%s", path);
	if (chmod(path, mode) < 0)
		err(1, "%s", path);
}

static char *below(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	return path;
}

/* Two levels, so that a way up from a worker's directory is still the worker's. */
static char *own_parent(const char *dir, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "p%u", number);
	return below(dir, name);
}

static char *own_dir(const char *dir, unsigned int number)
{
	char *parent = own_parent(dir, number), *path = below(parent, "r");

	free(parent);
	return path;
}

static void make_owned_dir(char *path, unsigned int number)
{
	uid_t uid = number == UNPRIVILEGED ? USER : 0;

	make_dir(path, 0755);
	if (geteuid() == 0 && chown(path, uid, uid) < 0)
		err(1, "%s", path);
	free(path);
}

static void act_as(uid_t uid)
{
	if (getuid() == 0 && seteuid(uid) < 0)
		err(1, "uid %u", uid);
}

static void prepare(uint64_t seed, const char *dir)
{
	struct worker w = { 0 };
	char *shared = below(dir, "shared"), *common = below(dir, "common");

	umask(022);
	make_dir(dir, 0755);
	make_dir(shared, 0777);
	make_dir(common, 01777);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		char *own = own_dir(dir, i), prefix[8];

		random_seed(&w.random, seed * 1000 + i);
		make_owned_dir(own_parent(dir, i), i);
		make_owned_dir(own_dir(dir, i), i);
		snprintf(prefix, sizeof(prefix), "p%u-", i);
		act_as(i == UNPRIVILEGED ? USER : 0);
		make_tree(&w, own, "");
		make_tree(&w, shared, prefix);
		act_as(0);
		free(own);
	}
	random_seed(&w.random, seed * 1000 + N_WORKERS);
	make_tree(&w, common, "");
	free(shared);
	free(common);
}

/* --- a worker ----------------------------------------------------------------------------------------------------------------- */

static const struct op *const lists[] = { ops_open,	ops_names,     ops_metadata,
					  ops_mappings, ops_processes, ops_exchange };
#define N_LISTS (sizeof(lists) / sizeof(lists[0]))

static unsigned int total_weight(void)
{
	unsigned int total = 0;

	for (size_t i = 0; i < N_LISTS; i++)
		for (const struct op *op = lists[i]; op->function; op++)
			total += op->weight;
	return total;
}

static const struct op *op_at(unsigned int weight)
{
	for (size_t i = 0; i < N_LISTS; i++)
		for (const struct op *op = lists[i]; op->function; op++) {
			if (weight < op->weight)
				return op;
			weight -= op->weight;
		}
	abort();
}

void run_op(struct worker *w)
{
	static unsigned int total;
	const struct op *op;

	if (!total)
		total = total_weight();
	do {
		op = op_at(pick(w, total));
	} while (op->own_only && !w->area->own);
	w->operation++;
	op->function(w);
}

static void act(struct worker *w, unsigned int area, unsigned int n)
{
	w->area = &w->areas[area];
	if (fchdir(w->area->dir) < 0)
		_exit(95);
	for (unsigned int i = 0; i < n; i++)
		run_op(w);
}

static void open_areas(struct worker *w, const char *dir)
{
	static const char *const names[N_AREAS] = { "own", "shared", "common" };

	for (unsigned int i = 0; i < N_AREAS; i++) {
		struct area *area = &w->areas[i];
		char *path = i == AREA_OWN ? own_dir(dir, w->number) : below(dir, names[i]);

		area->name = names[i];
		area->own = i == AREA_OWN;
		area->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (area->dir < 0)
			err(1, "%s", path);
		for (int slot = 0; slot < N_SLOTS; slot++)
			area->slots[slot] = -1;
		free(path);
	}
	snprintf(w->areas[AREA_SHARED].prefix, sizeof(w->areas[AREA_SHARED].prefix), "p%u-",
		 w->number);
	w->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void become_user(void)
{
	if (geteuid() == 0 && (setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
		err(1, "uid %d", USER);
}

struct stage {
	pthread_barrier_t barrier;
	uint64_t seed;
	struct journal *journals[N_WORKERS];
};

/* In every round another order, the same for all workers. */
static void take_turns(struct worker *w, struct stage *stage, unsigned int round)
{
	unsigned int order[N_WORKERS], n = N_WORKERS;
	struct worker common = { 0 };

	random_seed(&common.random, stage->seed * 77 + round);
	for (unsigned int i = 0; i < n; i++)
		order[i] = i;
	for (unsigned int i = n - 1; i > 0; i--) {
		unsigned int other = pick(&common, i + 1), kept = order[i];

		order[i] = order[other];
		order[other] = kept;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (order[i] == w->number)
			act(w, AREA_COMMON, 10);
		pthread_barrier_wait(&stage->barrier);
	}
}

static void work(struct worker *w, struct stage *stage)
{
	const struct rlimit limit = { LARGEST_FILE, LARGEST_FILE };

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	umask(022);
	for (unsigned int round = 0; round < N_ROUNDS; round++) {
		act(w, AREA_OWN, 45);
		act(w, AREA_SHARED, 20);
		pthread_barrier_wait(&stage->barrier);
		take_turns(w, stage, round);
	}
}

static void worker(struct stage *stage, unsigned int number, const char *dir)
{
	struct worker w = { .number = number, .journal = stage->journals[number] };

	open_areas(&w, dir);
	if (number == UNPRIVILEGED)
		become_user();
	w.privileged = geteuid() == 0;
	random_seed(&w.random, stage->seed * 1000 + 500 + number);
	work(&w, stage);
	_exit(0);
}

/* --- a run ------------------------------------------------------------------------------------------------------------------- */

static void *shared_memory(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	return at;
}

static struct stage *new_stage(uint64_t seed)
{
	struct stage *stage = shared_memory(sizeof(*stage));
	pthread_barrierattr_t attributes;

	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&stage->barrier, &attributes, N_WORKERS);
	stage->seed = seed;
	for (unsigned int i = 0; i < N_WORKERS; i++)
		stage->journals[i] = shared_memory(JOURNAL_SIZE);
	return stage;
}

/* Waits for all; one that died would have the others wait for ever. */
static bool wait_for_workers(const pid_t pids[])
{
	bool well = true;
	int status;

	for (unsigned int n = 0; n < N_WORKERS; n++) {
		if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		warnx("a worker ended with %#x", status);
		for (unsigned int i = 0; well && i < N_WORKERS; i++)
			kill(pids[i], SIGKILL);
		well = false;
	}
	return well;
}

static bool prepared(const char *dir)
{
	char *common = below(dir, "common/d0");
	bool is = access(common, F_OK) == 0;

	free(common);
	return is;
}

static int run(uint64_t seed, const char *dir, FILE *to)
{
	struct stage *stage = new_stage(seed);
	pid_t pids[N_WORKERS];
	bool well;

	if (!prepared(dir))
		prepare(seed, dir);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			worker(stage, i, dir);
		if (pids[i] < 0)
			err(1, "fork");
	}
	well = wait_for_workers(pids);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		fwrite(stage->journals[i]->text, stage->journals[i]->length, 1, to);
	tree_list(to, AT_FDCWD, dir, "");
	return well && fflush(to) == 0 ? 0 : 1;
}

struct
try {
	char *dir;
	int output; /* a memfd */
	pid_t pid;
};

static void try_one(const struct try *try, unsigned int seed)
{
	FILE *to = fdopen(dup(try->output), "w");
	int status = run(seed, try->dir, to);

	if (tree_remove(AT_FDCWD, try->dir) < 0) {
		warn("%s cannot be removed", try->dir);
		status = 1;
	}
	_exit(status);
}

static struct try start_try(const char *dir, unsigned int number, unsigned int seed)
{
	struct try try = { .output = memfd_create("output", 0) };

	if (asprintf(&try.dir, "%s/%u", dir, number) < 0 || try.output < 0)
		err(1, "memory");
	try.pid = fork();
	if (try.pid == 0)
		try_one(&try, seed);
	return try;
}

/* Prints what it printed, and its status. */
static int end_try(struct try *try, size_t number)
{
	int status = 0;
	ssize_t n;

	waitpid(try->pid, &status, 0);
	lseek(try->output, 0, SEEK_SET);
	while ((n = read(try->output, io_buffer(), LARGEST_IO)) > 0)
		fwrite(io_buffer(), n, 1, stdout);
	printf("== %zu: status %#x\n", number, status);
	free(try->dir);
	close(try->output);
	return status;
}

static int try_all(unsigned int from, unsigned int to, char *dirs[])
{
	struct try tries[64];
	size_t n = 0;
	int status = 0;

	for (unsigned int i = 0; dirs[i]; i++)
		for (unsigned int number = from; number <= to && n < 64; number++)
			tries[n++] = start_try(dirs[i], number, number + 100 * i);
	for (size_t i = 0; i < n; i++)
		status |= end_try(&tries[i], i);
	return status || fflush(stdout) ? 1 : 0;
}

static int open_for_writing(const char *path)
{
	if (open(path, O_WRONLY) < 0)
		err(1, "%s", path);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "prepare") && argc == 4) {
		prepare(strtoull(argv[2], NULL, 10), argv[3]);
		return 0;
	}
	if (!strcmp(verb, "run") && argc == 4)
		return run(strtoull(argv[2], NULL, 10), argv[3], stdout);
	if (!strcmp(verb, "try") && argc > 4)
		return try_all(atoi(argv[2]), atoi(argv[3]), argv + 4);
	if (!strcmp(verb, "remove") && argc == 3)
		return tree_remove(AT_FDCWD, argv[2]) ? 1 : 0;
	if (!strcmp(verb, "write") && argc == 3)
		return open_for_writing(argv[2]);
	if (!strcmp(verb, "pause") && argc == 2)
		for (;;)
			pause();
	errx(2, "usage: fsops prepare SEED DIR | run SEED DIR | remove DIR | try FROM TO DIR... | "
		"write FILE | "
		"pause");
}
