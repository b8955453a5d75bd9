// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What single file operations cost, in ticks of the time stamp counter: in a guest that counts instructions (bench/vm.py), these are
 * instructions.
 *
 *	ops setup DIR			makes what the operations work on
 *	ops run DIR ROUNDS BUDGET LIMIT PAUSE_MS [NAME...]
 *		measures all operations, or these. A round is as many of one operation as take BUDGET ticks, but at most LIMIT; between
 *		rounds it sleeps for PAUSE_MS. A line for each operation, tab-separated:
 *			NAME N REFUSED TYPICAL... | MEAN... | CPU...
 *		one number a round: the median of the single operations, the mean of all that the machine did meanwhile, and the mean
 *		of what this thread did. REFUSED: how many ended in EPERM. N is 0 if it could not even begin (its file may not be opened).
 *	ops files DIR N			makes N empty files, named in base 36
 *	ops hold [FILE...]		opens them, and waits for ever: a container's first process
 *	ops time COMMAND...		runs it: its last line is TICKS STATUS BUSY FROM BUSY_FROM. BUSY is without what all CPUs idled, in ns;
 *					the last two are the counters as they were before it
 *	ops first			a container's first process: a line "first TICKS BUSY", the counters at its first instruction
 *	ops pace FILE N US		opens it for writing N times, with a rest between: prints the clock before each, in ns
 *	ops clock N			answers each of N bytes from the second serial line with the clock, in ns
 *	ops touch FILE N		opens it for writing N times, and writes a byte each time: prints ticks, and refusals
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define MAX_ROUNDS 64
#define MAX_PER_ROUND 4096
#define FILE_SIZE (1 << 20)
#define MAPPED (64 << 10)
#define DEPTH 12
#define N_ENTRIES 1000
#define SETTLE_US 20000 /* for what a command leaves to others: freeing, tearing down */

static char buffer[FILE_SIZE];
static int fd = -1; /* of "file" */
static char deep[2 * DEPTH + 8];
extern char **environ;

static void die(const char *what)
{
	fprintf(stderr, "ops: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int op_nothing(void)
{
	return 0;
}

static int op_getppid(void)
{
	return result(syscall(SYS_getppid));
}

static int open_close(const char *path, int flags)
{
	int file = open(path, flags | O_CLOEXEC, 0644);

	if (file < 0)
		return -errno;
	close(file);
	return 0;
}

static int op_open(void)
{
	return open_close("file", O_RDONLY);
}

static int op_open_write(void)
{
	return open_close("file", O_WRONLY);
}

static int op_open_missing(void)
{
	int r = open_close("missing", O_RDONLY);

	return r == -ENOENT ? 0 : r;
}

static int op_open_deep(void)
{
	return open_close(deep, O_RDONLY);
}

static int op_stat(void)
{
	struct stat st;

	return result(stat("file", &st));
}

static int op_access(void)
{
	return result(access("file", R_OK));
}

#define READ_AND_WRITE(size)                                \
	static int op_read_##size(void)                     \
	{                                                   \
		return result(pread(fd, buffer, size, 0));  \
	}                                                   \
	static int op_write_##size(void)                    \
	{                                                   \
		return result(pwrite(fd, buffer, size, 0)); \
	}
READ_AND_WRITE(1)
READ_AND_WRITE(512)
READ_AND_WRITE(4096)
READ_AND_WRITE(65536)
READ_AND_WRITE(1048576)

static int map_and_touch(int protection)
{
	volatile char *at = mmap(NULL, MAPPED, protection, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < MAPPED; i += 4096) {
		if (protection & PROT_WRITE)
			at[i] = 1;
		else
			(void)at[i];
	}
	return result(munmap((void *)at, MAPPED));
}

static int op_mmap(void)
{
	return map_and_touch(PROT_READ);
}

static int op_mmap_write(void)
{
	return map_and_touch(PROT_READ | PROT_WRITE);
}

static int op_create(void)
{
	int r = open_close("new", O_WRONLY | O_CREAT | O_EXCL);

	return r ?: result(unlink("new"));
}

static bool moved;

static int op_rename(void)
{
	int r = result(moved ? rename("old-2", "old") : rename("old", "old-2"));

	if (!r)
		moved = !moved;
	return r;
}

static int op_mkdir(void)
{
	int r = result(mkdir("newdir", 0755));

	return r ?: result(rmdir("newdir"));
}

static int op_symlink(void)
{
	int r = result(symlink("file", "newlink"));

	if (r)
		return r;
	r = result(readlink("newlink", buffer, sizeof(buffer)));
	return r ?: result(unlink("newlink"));
}

static int op_chmod(void)
{
	return result(chmod("file", 0644));
}

static int op_setxattr(void)
{
	return result(setxattr("file", "user.bench", "value", 5, 0));
}

static int op_fsync(void)
{
	int r = result(pwrite(fd, buffer, 1, 0));

	return r ?: result(fsync(fd));
}

static int op_exec(void)
{
	char name[] = "exe", end[] = "end", *arguments[] = { name, end, NULL };
	volatile int failed = 0;
	pid_t child = vfork();
	int status;

	if (child == 0) {
		execve("exe", arguments, environ);
		failed = -errno;
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return -errno;
	return failed;
}

static int op_readdir(void)
{
	int directory = open("many", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	if (directory < 0)
		return -errno;
	do
		n = syscall(SYS_getdents64, directory, buffer, 32768);
	while (n > 0);
	close(directory);
	return result(n);
}

static const struct operation {
	const char *name;
	int (*once)(void);
	bool needs_fd;
} operations[] = {
	{ "getppid", op_getppid, false },
	{ "open+close", op_open, false },
	{ "open+close to write", op_open_write, false },
	{ "open, missing", op_open_missing, false },
	{ "open+close, 12 deep", op_open_deep, false },
	{ "stat", op_stat, false },
	{ "access", op_access, false },
	{ "pread 1 B", op_read_1, true },
	{ "pread 512 B", op_read_512, true },
	{ "pread 4 KiB", op_read_4096, true },
	{ "pread 64 KiB", op_read_65536, true },
	{ "pread 1 MiB", op_read_1048576, true },
	{ "pwrite 1 B", op_write_1, true },
	{ "pwrite 512 B", op_write_512, true },
	{ "pwrite 4 KiB", op_write_4096, true },
	{ "pwrite 64 KiB", op_write_65536, true },
	{ "pwrite 1 MiB", op_write_1048576, true },
	{ "mmap+touch+munmap", op_mmap, true },
	{ "mmap+touch+munmap, shared, writing", op_mmap_write, true },
	{ "create+unlink", op_create, false },
	{ "rename", op_rename, false },
	{ "mkdir+rmdir", op_mkdir, false },
	{ "symlink+readlink+unlink", op_symlink, false },
	{ "chmod", op_chmod, false },
	{ "setxattr", op_setxattr, false },
	{ "pwrite 1 B+fsync", op_fsync, true },
	{ "execve+wait", op_exec, false },
	{ "readdir, 1000 entries", op_readdir, false },
};
#define N_OPERATIONS (sizeof(operations) / sizeof(*operations))

struct round {
	uint64_t typical, mean, cpu;
	unsigned int refused;
};

static uint64_t own_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t overhead; /* of taking the time itself */

static struct round measure(const struct operation *operation, unsigned int n)
{
	static uint64_t took[MAX_PER_ROUND];
	struct round round = { 0 };
	uint64_t cpu = own_ns(), from = __rdtsc(), last = from;

	for (unsigned int i = 0; i < n; i++) {
		int r = operation->once();
		uint64_t now = __rdtsc();

		took[i] = now - last - overhead;
		if (r == -EPERM || r == -EACCES) {
			round.refused++;
		} else if (r) {
			errno = -r;
			die(operation->name);
		}
		last = __rdtsc();
	}
	round.mean = (last - from) / n - overhead;
	round.cpu = (own_ns() - cpu) / n;
	qsort(took, n, sizeof(*took), compare);
	round.typical = took[n / 2];
	return round;
}

static void calibrate(void)
{
	static const struct operation nothing = { "nothing", op_nothing, false };

	measure(&nothing, 100);
	overhead = measure(&nothing, 1000).typical;
}

struct plan {
	unsigned int rounds, limit, pause_ms;
	uint64_t budget;
};

static unsigned int per_round(const struct operation *operation, const struct plan *plan)
{
	uint64_t each = measure(operation, 5).mean + 1, n = plan->budget / each;

	n = n < 10 ? 10 : n;
	n = n > plan->limit ? plan->limit : n;
	return (unsigned int)(n > MAX_PER_ROUND ? MAX_PER_ROUND : n);
}

static void run(const struct operation *operation, const struct plan *plan)
{
	struct round rounds[MAX_ROUNDS];
	unsigned int n, refused = 0;

	if (operation->needs_fd && fd < 0) {
		printf("%s\t0\n", operation->name);
		return;
	}
	n = per_round(operation, plan);
	measure(operation, n < 10 ? n : 10);
	for (unsigned int i = 0; i < plan->rounds; i++) {
		usleep(plan->pause_ms * 1000);
		rounds[i] = measure(operation, n);
		refused += rounds[i].refused;
	}
	if (moved && op_rename())
		die("old-2");
	printf("%s\t%u\t%u", operation->name, n * plan->rounds, refused);
	for (unsigned int i = 0; i < plan->rounds; i++)
		printf("\t%" PRIu64, rounds[i].typical);
	printf("\t|");
	for (unsigned int i = 0; i < plan->rounds; i++)
		printf("\t%" PRIu64, rounds[i].mean);
	printf("\t|");
	for (unsigned int i = 0; i < plan->rounds; i++)
		printf("\t%" PRIu64, rounds[i].cpu);
	printf("\n");
	fflush(stdout);
}

static bool is_wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

static void run_all(char **words)
{
	struct plan plan = { 0 };

	plan.rounds = (unsigned int)atoi(words[0]);
	plan.budget = strtoull(words[1], NULL, 10);
	plan.limit = (unsigned int)atoi(words[2]);
	plan.pause_ms = (unsigned int)atoi(words[3]);
	if (plan.rounds < 1 || plan.rounds > MAX_ROUNDS)
		die("ROUNDS");
	fd = open("file", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && pread(fd, buffer, sizeof(buffer), 0) < 0)
		die("file");
	calibrate();
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		if (is_wanted(operations[i].name, words + 4))
			run(&operations[i], &plan);
	}
}

static void make_file(const char *path, size_t size)
{
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (file < 0 || write(file, buffer, size) != (ssize_t)size)
		die(path);
	close(file);
}

static void copy_self(void)
{
	static char self[4 << 20];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open("exe", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ssize_t n = read(in, self, sizeof(self));

	if (out < 0 || n <= 0 || write(out, self, (size_t)n) != n)
		die("exe");
	close(in);
	close(out);
}

static void make_number(char *at, unsigned int i, unsigned int digits)
{
	at[digits] = '\0';
	while (digits--) {
		at[digits] = "0123456789abcdefghijklmnopqrstuvwxyz"[i % 36];
		i /= 36;
	}
}

static void setup(void)
{
	char path[64];

	make_file("file", FILE_SIZE);
	make_file("old", 1);
	copy_self();
	for (int i = 0; i < DEPTH - 1; i++) {
		deep[2 * i] = '\0';
		snprintf(path, sizeof(path), "%sd", deep);
		mkdir(path, 0755);
		memcpy(deep + 2 * i, "d/", 3);
	}
	snprintf(path, sizeof(path), "%sfile", deep);
	make_file(path, 1);
	mkdir("many", 0755);
	for (unsigned int i = 0; i < N_ENTRIES; i++) {
		snprintf(path, sizeof(path), "many/entry-%04u", i);
		make_file(path, 0);
	}
	sync();
}

static void name_deep(void)
{
	deep[0] = '\0';
	for (int i = 0; i < DEPTH - 1; i++)
		strcat(deep, "d/");
	strcat(deep, "file");
}

static void make_files(unsigned int n)
{
	char name[8];

	for (unsigned int i = 0; i < n; i++) {
		make_number(name, i, 4);
		if (mknod(name, S_IFREG | 0644, 0) && errno != EEXIST)
			die(name);
	}
}

static void touch(const char *path, long n)
{
	uint64_t from = __rdtsc(), took;
	long refused = 0;

	for (long i = 0; i < n; i++) {
		int file = open(path, O_WRONLY | O_CLOEXEC);

		if (file < 0) {
			refused++;
			continue;
		}
		if (write(file, "x", 1) != 1)
			die(path);
		close(file);
	}
	took = __rdtsc() - from;
	printf("%" PRIu64 " %ld\n", took, refused);
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pace(const char *path, long n, unsigned int us)
{
	uint64_t *at = calloc((size_t)n, sizeof(*at));

	if (!at)
		die("memory");
	for (long i = 0; i < n; i++) {
		int file;

		usleep(us);
		at[i] = clock_ns();
		file = open(path, O_WRONLY | O_CLOEXEC);
		if (file >= 0)
			close(file);
	}
	for (long i = 0; i < n; i++)
		printf("%" PRIu64 "\n", at[i]);
	free(at);
}

static void tell_clock(long n)
{
	int line = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);

	for (; n > 0; n--) {
		char byte, said[32];
		int size;

		if (read(line, &byte, 1) != 1)
			die("the line");
		size = snprintf(said, sizeof(said), "%" PRIu64 "\n", clock_ns());
		if (write(line, said, (size_t)size) != size)
			die("the line");
	}
}

/* What tasks have run for, on all CPUs: without idling, and with what was done for the command elsewhere. */
static uint64_t busy_ns(void)
{
	FILE *file = fopen("/proc/schedstat", "r");
	unsigned long long ran;
	uint64_t all = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "cpu%*u %*u %*u %*u %*u %*u %*u %llu", &ran) == 1)
			all += ran;
	}
	if (file)
		fclose(file);
	return all;
}

static void time_command(char **words)
{
	uint64_t busy, from, took;
	int status = 0;
	pid_t child;

	/* What a task runs is added when it leaves the CPU: so what came before is in there. */
	usleep(SETTLE_US);
	busy = busy_ns();
	from = __rdtsc();
	child = fork();

	if (child == 0) {
		execvp(words[0], words);
		_exit(127);
	}
	waitpid(child, &status, 0);
	took = __rdtsc() - from;
	usleep(SETTLE_US);
	printf("%" PRIu64 " %d %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 255, busy_ns() - busy, from, busy);
}

static void first_instruction(void)
{
	uint64_t at = __rdtsc();

	/* What a task runs is added when it leaves the CPU. */
	usleep(1);
	printf("first %" PRIu64 " %" PRIu64 "\n", at, busy_ns());
}

/* Where mappings lie decides how many page tables they take: always the same places, also for the programs that it starts. */
static void settle_addresses(char **argv)
{
	int persona = personality(0xffffffff);

	if (persona < 0 || persona & ADDR_NO_RANDOMIZE)
		return;
	if (personality((unsigned long)persona | ADDR_NO_RANDOMIZE) < 0)
		return;
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "first") == 0) {
		first_instruction();
		return 0;
	}
	settle_addresses(argv);
	if (argc == 2 && strcmp(argv[1], "end") == 0)
		_exit(0);
	if (argc >= 2 && strcmp(argv[1], "hold") == 0) {
		for (int i = 2; i < argc; i++)
			if (open(argv[i], O_RDONLY) < 0)
				die(argv[i]);
		for (;;)
			pause();
	}
	if (argc >= 3 && strcmp(argv[1], "time") == 0) {
		time_command(argv + 2);
		return 0;
	}
	if (argc == 5 && strcmp(argv[1], "pace") == 0) {
		pace(argv[2], atol(argv[3]), (unsigned int)atoi(argv[4]));
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "clock") == 0) {
		tell_clock(atol(argv[2]));
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "touch") == 0) {
		touch(argv[2], atol(argv[3]));
		return 0;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: ops setup|run|files|hold|touch ... (see its source)\n");
		return 2;
	}
	memset(buffer, 'x', sizeof(buffer));
	if (chdir(argv[2]))
		die(argv[2]);
	name_deep();
	if (strcmp(argv[1], "setup") == 0)
		setup();
	else if (strcmp(argv[1], "run") == 0 && argc >= 7)
		run_all(argv + 3);
	else if (strcmp(argv[1], "files") == 0 && argc == 4)
		make_files((unsigned int)atoi(argv[3]));
	else
		return 2;
	return 0;
}
