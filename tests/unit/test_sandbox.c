// SPDX-License-Identifier: GPL-2.0-or-later
/* A process that locks itself in, and what its porter opens for it: as a keeper does. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/porter.h"
#include "daemon/sandbox.h"
#include "policy/policy.h"
#include "util/cleanup.h"
#include "util/opener.h"

static char directory[] = "/tmp/outguard-sandbox-XXXXXX";
static char policy[64], other[64], third[64], events[64], ready[64], qmp[64];
static const char a_policy[] = "rules:\n- {name: a, paths: /etc/passwd, operations: write, action: "
			       "deny}\n";
static int warrants[2];
static uint8_t *shared; /* stands for QEMU's memory */
static pid_t process; /* which has it */

static void make_path(char buf[64], const char *name, bool exists)
{
	int fd;

	snprintf(buf, 64, "%s/%s", directory, name);
	if (!exists)
		return;
	fd = open(buf, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, a_policy, strlen(a_policy)) == (ssize_t)strlen(a_policy));
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	assert(mkdtemp(directory));
	make_path(policy, "policy", true);
	make_path(other, "other", true);
	make_path(third, "third", true);
	make_path(qmp, "qmp", true);
	make_path(events, "events", false);
	make_path(ready, "ready", false);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert(shared != MAP_FAILED);
	process = fork();
	if (process == 0) {
		for (;;)
			pause();
	}
	return process < 0;
}

static int tear_down(void **state)
{
	const char *const paths[] = { policy, other, third, events, ready, qmp };

	(void)state;
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		unlink(paths[i]);
	return rmdir(directory);
}

static void lock_in(void)
{
	const struct porter_config porter = { .name = "vm",
					      .qmp_path = qmp,
					      .policy_path = policy,
					      .events_path = events,
					      .ready_path = ready,
					      .warrants = warrants[1] };
	struct sandbox_config sandbox = { .name = "vm", .user = "root", .process = process };
	struct error err = { 0 };

	if (geteuid() == 0)
		sandbox.user = "nobody";
	assert(porter_start(&sandbox.porter, &porter, &err) == 0);
	if (sandbox_enter(&sandbox, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		_exit(1);
	}
}

/* The status of a process that does it, locked in. */
static int status_of(void (*act)(void))
{
	int status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, warrants), 0);
	assert_int_equal(send(warrants[0], other, strlen(other), 0), (ssize_t)strlen(other));
	pid = fork();
	if (pid == 0) {
		lock_in();
		act();
		_exit(0);
	}
	close(warrants[0]);
	close(warrants[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool opens(const char *path, int flags)
{
	int fd = opener_open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void work(void)
{
	char text[8] = "";
	struct stat st;
	int fd = opener_open(other, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);

	assert(fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && read(fd, text, 5) == 5 &&
	       !strcmp(text, "rules"));
	close(fd);
	assert(opens(events, O_WRONLY | O_CREAT | O_APPEND));
	assert(opens(ready, O_WRONLY | O_CREAT | O_TRUNC));
	assert(opens(qmp, O_PATH));
	assert(malloc(1 << 20) && fcntl(1, F_GETFD) >= 0);
	assert(memfd_create("x", MFD_CLOEXEC) >= 0);
}

static int end_loop(sd_event_source *source, uint64_t usec, void *data)
{
	(void)usec;
	(void)data;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int hear_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	*(uint32_t *)data = info->ssi_signo;
	return 0;
}

#define MANY 300000 /* as a kernel has symbols */

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* What sessions and their event loop do. */
static void live(void)
{
	struct flock whole = { .l_type = F_WRLCK };
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) int *numbers = NULL;
	struct policy *loaded = NULL;
	struct error err = { 0 };
	sd_event *event = NULL;
	uint32_t heard = 0;
	struct stat st;
	size_t size;
	sigset_t set;
	FILE *file;
	void *at;
	int fd;

	assert(policy_load(&loaded, other, &err) == 0 && loaded->n_own_rules == 1);
	policy_free(loaded);
	numbers = calloc(MANY, sizeof(*numbers));
	for (size_t i = 0; i < MANY; i++)
		numbers[i] = (int)(i * 7919 % MANY);
	qsort(numbers, MANY, sizeof(*numbers), compare);
	assert(numbers[MANY - 1] == MANY - 1);
	fd = memfd_create("vault", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert(!ftruncate(fd, 1 << 21) && !fchmod(fd, 0644) && !fstat(fd, &st));
	assert(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) && st.st_size == 1 << 21);
	assert(!fcntl(fd, F_OFD_SETLKW, &whole));
	at = mmap(NULL, 1 << 21, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(at != MAP_FAILED && !madvise(at, 1 << 21, MADV_REMOVE) && !munmap(at, 1 << 21));
	file = open_memstream(&text, &size);
	fprintf(file, "%s %g", "text", 1.5);
	fclose(file);
	assert(!strcmp(text, "text 1.5"));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert(sd_event_new(&event) >= 0);
	assert(sd_event_add_signal(event, NULL, SIGTERM, hear_signal, &heard) >= 0);
	assert(sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 20000, 50, end_loop,
					  NULL) >= 0);
	raise(SIGTERM);
	assert(sd_event_loop(event) == 0 && heard == SIGTERM);
	sd_event_unref(event);
	usleep(100);
	assert(time(NULL) && localtime(&(time_t){ 0 }) && !poll(NULL, 0, 1));
}

/* Nothing but what it was told, in no other way, and nothing by itself. */
static void reach_out(void)
{
	static const char *const paths[] = { "/etc/shadow",
					     "/proc/1/mem",
					     "/proc/self/mem",
					     "/run/outguard/../../etc/shadow",
					     "/run/outguard/vault-1.lock/../x.lock",
					     "/run/outguard/outguard.sock" };
	char own[64];

	struct stat st;

	assert(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	assert(stat("/etc/passwd", &st) < 0 && errno == EACCES);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert(!opens(paths[i], O_RDONLY) && errno == EACCES);
		assert(!opens(paths[i], O_RDWR) && errno == EACCES);
		assert(opener_unlink(paths[i]) < 0 && errno == EACCES);
	}
	assert(!opens(third, O_RDONLY) && errno == EACCES);
	assert(!opens(other, O_RDWR) && errno == EACCES);
	assert(!opens(policy, O_RDONLY) && errno == EACCES); /* another was warranted since */
	assert(!opens(events, O_RDONLY) && errno == EACCES);
	assert(!opens(qmp, O_RDONLY) && errno == EACCES);
	assert(opener_unlink(events) < 0 && errno == EACCES);
	snprintf(own, sizeof(own), "/proc/%d/environ", (int)process);
	assert(!opens(own, O_RDONLY) && errno == EACCES);
	snprintf(own, sizeof(own), "/proc/%d/root/etc/passwd", (int)process);
	assert(!opens(own, O_RDONLY) && errno == EACCES);
}

/* QEMU's: the memory that it shares, and not its code. */
static void map(void)
{
	char path[96], line[512], flags[5];
	unsigned long long start, end;
	unsigned int n_code = 0, n_shared = 0;
	FILE *maps;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)process);
	fd = opener_open(path, O_RDONLY | O_CLOEXEC, 0);
	maps = fd < 0 ? NULL : fdopen(fd, "r");
	assert(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx %4s", &start, &end, flags) != 3)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)process, start,
			 end);
		fd = opener_open(path, O_RDWR | O_CLOEXEC, 0);
		assert(fd < 0 || flags[3] == 's');
		n_code += fd < 0 && flags[2] == 'x';
		n_shared += fd >= 0 && start == (uintptr_t)shared;
	}
	assert(n_code && n_shared == 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)process);
	assert(opens(path, O_RDWR));
}

static void call_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
}

static void call_kill(void)
{
	kill(process, SIGKILL);
}

static void call_mprotect(void)
{
	mprotect(shared, 4096, PROT_READ | PROT_EXEC);
}

static void change_handler(void)
{
	signal(SIGSYS, SIG_IGN);
}

static void call_exec(void)
{
	execl("/bin/true", "true", NULL);
}

static void test_work(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(status_of(work), 0);
	assert_int_equal(stat(events, &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_live(void **state)
{
	(void)state;
	assert_int_equal(status_of(live), 0);
}

static void test_reach_out(void **state)
{
	(void)state;
	assert_int_equal(status_of(reach_out), 0);
}

static void test_map(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* map_files takes CAP_SYS_ADMIN */
	assert_int_equal(status_of(map), 0);
}

static void test_violations(void **state)
{
	(void)state;
	assert_int_equal(status_of(call_socket), SANDBOX_VIOLATION);
	assert_int_equal(status_of(call_mprotect), SANDBOX_VIOLATION);
	assert_int_equal(status_of(change_handler), SANDBOX_VIOLATION);
	assert_int_equal(status_of(call_exec), SANDBOX_VIOLATION);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(status_of(call_kill), SANDBOX_VIOLATION);
#else
	(void)call_kill; /* a leak checker's own */
#endif
	assert_int_equal(kill(process, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work),	   cmocka_unit_test(test_live),
		cmocka_unit_test(test_reach_out),  cmocka_unit_test(test_map),
		cmocka_unit_test(test_violations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
