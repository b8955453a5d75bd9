// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trap, both ends of it, on a process that is no QEMU: this program again, with liboutguard-trap.so preloaded, whose threads
 * write where they are told to. Takes the right to open userfaultfd, which root has.
 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract/trap_abi.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/trap.h"

#define PAGES 4
#define PAGE 4096
#define FIRST 0x1111111111111111ULL

/* The other process */

struct order {
	uint64_t offset, value;
};

static uint8_t *memory;

/* One thread for each order, so that one that is held does not keep the others. */
static void *obey(void *data)
{
	struct order *order = data;
	pid_t tid = (pid_t)syscall(SYS_gettid);

	__atomic_store_n((uint64_t *)(void *)(memory + order->offset), order->value,
			 __ATOMIC_SEQ_CST);
	assert(write(STDOUT_FILENO, &tid, sizeof(tid)) == sizeof(tid));
	free(order);
	return NULL;
}

static int be_qemu(void)
{
	int fd = memfd_create("ram", 0);
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	assert(fd >= 0 && ftruncate(fd, (off_t)PAGES * PAGE) == 0);
	memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(memory != MAP_FAILED);
	for (size_t i = 0; i < PAGES * PAGE; i += 8)
		*(uint64_t *)(void *)(memory + i) = FIRST;
	assert(write(STDOUT_FILENO, &memory, sizeof(memory)) == sizeof(memory));
	while (read(STDIN_FILENO, &order, sizeof(order)) == sizeof(order)) {
		struct order *copy = malloc(sizeof(*copy));
		pthread_t thread;

		*copy = order;
		assert(pthread_create(&thread, NULL, obey, copy) == 0);
		pthread_detach(thread);
	}
	return 0;
}

/* This one */

struct fixture {
	pid_t pid;
	int orders, answers, wake;
	uint64_t memory;
	char socket[64];
	struct trap *trap;
};

static void start_other(struct fixture *f, bool with_library)
{
	int orders[2], answers[2];

	assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	snprintf(f->socket, sizeof(f->socket), "/tmp/outguard-test-trap-%d", (int)getpid());
	f->pid = fork();
	if (f->pid == 0) {
		dup2(orders[0], STDIN_FILENO);
		dup2(answers[1], STDOUT_FILENO);
		setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
		if (with_library) {
			setenv("LD_PRELOAD", TRAP_LIBRARY, 1);
			setenv(TRAP_SOCKET_VARIABLE, f->socket, 1);
			setenv("OUTGUARD_TRAP_ANY", "1", 1);
		}
		execl("/proc/self/exe", "test_trap", "be-qemu", NULL);
		_exit(127);
	}
	close(orders[0]);
	close(answers[1]);
	f->orders = orders[1];
	f->answers = answers[0];
	assert_int_equal(read(f->answers, &f->memory, sizeof(f->memory)), sizeof(f->memory));
}

/* Its thread listens some time after it has started. */
static void wait_for_library(const struct fixture *f)
{
	while (access(f->socket, F_OK) < 0)
		usleep(1000);
}

static void open_trap(struct fixture *f, bool exact)
{
	struct error err = { 0 };
	int r;

	wait_for_library(f);
	do /* between bind() and listen() */
		r = trap_open(&f->trap, f->pid, exact, f->wake, &err);
	while (r == -ECONNREFUSED);
	if (r < 0)
		print_message("# %s\n", err.message);
	if (r == -EPERM || r == -ENOSYS)
		skip();
	assert_int_equal(r, 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	start_other(f, true);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	trap_free(f->trap);
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	unlink(f->socket);
	close(f->orders);
	close(f->answers);
	close(f->wake);
	free(f);
	return 0;
}

static void set_word(struct fixture *f, uint64_t offset, uint64_t mask, bool sure)
{
	const struct trap_word word = { f->memory + offset, mask, sure };
	struct error err = { 0 };

	assert_int_equal(trap_set_words(f->trap, &word, 1, &err), 1);
}

static void order(const struct fixture *f, uint64_t offset, uint64_t value)
{
	const struct order o = { offset, value };

	assert_int_equal(write(f->orders, &o, sizeof(o)), sizeof(o));
}

/* The next write that has landed: the thread's number. */
static pid_t landed(const struct fixture *f)
{
	pid_t tid;

	assert_int_equal(read(f->answers, &tid, sizeof(tid)), sizeof(tid));
	return tid;
}

static uint64_t word_at(const struct fixture *f, uint64_t offset)
{
	char path[64];
	uint64_t value;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)f->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &value, sizeof(value), (off_t)(f->memory + offset)),
			 sizeof(value));
	close(fd);
	return value;
}

static struct trap_event next(const struct fixture *f)
{
	struct pollfd polled = { .fd = f->wake, .events = POLLIN };
	struct trap_event event;
	uint64_t n;

	while (!trap_next(f->trap, &event)) {
		assert_int_equal(poll(&polled, 1, -1), 1);
		assert_int_equal(read(f->wake, &n, sizeof(n)), sizeof(n));
	}
	return event;
}

/* The write that is let go changes a word: if not while its page is open (on a busy machine), then when it has been caught again. */
static struct trap_event landing(const struct fixture *f)
{
	struct trap_event event;

	do {
		event = next(f);
		if (event.type == TRAP_CAUGHT)
			trap_release(f->trap, event.page);
	} while (!event.changed);
	return event;
}

/* The write that is let go changes no word. */
static void land_beside(const struct fixture *f)
{
	struct trap_event event;

	landed(f);
	while (trap_next(f->trap, &event))
		assert_false(event.changed);
}

static void test_no_library(void **state)
{
	struct fixture f = { .wake = -1 };
	struct error err = { 0 };

	(void)state;
	start_other(&f, false);
	assert_int_equal(trap_open(&f.trap, f.pid, true, -1, &err), -ENOENT);
	kill(f.pid, SIGKILL);
	waitpid(f.pid, NULL, 0);
	close(f.orders);
	close(f.answers);
}

static void test_held_before_it_lands(void **state)
{
	struct fixture *f = *state;
	struct trap_event event;

	open_trap(f, true);
	set_word(f, PAGE + 64, ~0ULL, true);
	order(f, PAGE + 64, 42);
	event = next(f);
	assert_int_equal(event.type, TRAP_CAUGHT);
	assert_int_equal(event.page, f->memory + PAGE);
	assert_int_equal(event.word, f->memory + PAGE + 64);
	assert_true(event.sure);
	/* Held for TRAP_HOLD_MS; on a slow machine it may be over by now. */
	if (clock_ns(CLOCK_MONOTONIC) - event.time_ns < TRAP_HOLD_MS * 500000ULL)
		assert_int_equal(word_at(f, PAGE + 64), FIRST);
	trap_release(f->trap, event.page);
	assert_int_equal(landing(f).word, f->memory + PAGE + 64);
	assert_int_equal(landed(f), event.tid);
	assert_int_equal(word_at(f, PAGE + 64), 42);
	/* It is protected again. */
	order(f, PAGE + 64, 43);
	assert_int_equal(next(f).type, TRAP_CAUGHT);
}

static void test_nobody_releases(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true);
	set_word(f, 0, ~0ULL, true);
	order(f, 0, 42);
	assert_int_equal(next(f).type, TRAP_CAUGHT);
	landed(f);
}

static void test_beside_it(void **state)
{
	struct fixture *f = *state;
	struct trap_stats before, stats;
	struct trap_event event;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	order(f, 128, 42); /* not worth waiting for anybody */
	landed(f);
	event = next(f);
	assert_int_equal(event.type, TRAP_LANDED);
	assert_false(event.changed);
	trap_stats(f->trap, &before);
	order(f, 2 * PAGE, 42); /* not trapped at all */
	landed(f);
	trap_stats(f->trap, &stats);
	assert_true(before.caught >= 1);
	assert_int_equal(stats.caught, before.caught);
	assert_int_equal(stats.pages, 1);
}

/* Under KVM only the page is known. */
static void test_not_exact(void **state)
{
	struct fixture *f = *state;
	struct trap_event event;

	open_trap(f, false);
	set_word(f, 64, ~0ULL, true);
	order(f, 128, 42);
	event = next(f);
	assert_int_equal(event.type, TRAP_CAUGHT);
	assert_false(event.sure);
	trap_release(f->trap, event.page);
	land_beside(f);
	order(f, 64, 42);
	event = landing(f);
	assert_true(event.changed);
	assert_int_equal(event.word, f->memory + 64);
	landed(f);
}

/* Bits that the CPU itself sets. */
static void test_masked_bits(void **state)
{
	struct fixture *f = *state;
	struct trap_event event;

	open_trap(f, true);
	set_word(f, 64, ~0x60ULL, false);
	order(f, 64, FIRST | 0x60);
	event = next(f);
	assert_int_equal(event.type, TRAP_CAUGHT);
	assert_false(event.sure);
	trap_release(f->trap, event.page);
	land_beside(f);
}

static void test_hot_page(void **state)
{
	struct fixture *f = *state;
	struct trap_stats stats;
	unsigned int n = 0;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	do {
		order(f, 128, n);
		landed(f);
		trap_stats(f->trap, &stats);
	} while (!stats.hot && ++n < 100000);
	assert_int_equal(stats.hot, 1);
	assert_int_equal(stats.pages, 0);
}

static void test_lifted(void **state)
{
	struct fixture *f = *state;
	struct trap_stats stats;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	trap_lift(f->trap);
	order(f, 64, 42);
	landed(f);
	trap_stats(f->trap, &stats);
	assert_int_equal(stats.caught, 0);
	trap_restore(f->trap);
	order(f, 64, 43);
	assert_int_equal(next(f).type, TRAP_CAUGHT);
}

static void test_other_words(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	set_word(f, PAGE + 64, ~0ULL, true);
	order(f, 64, 42);
	landed(f);
	order(f, PAGE + 64, 42);
	assert_int_equal(next(f).page, f->memory + PAGE);
}

/* While somebody is held. */
static void test_same_words(void **state)
{
	struct fixture *f = *state;
	struct trap_event event;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	order(f, 64, 42);
	event = next(f);
	set_word(f, 64, ~0ULL, true);
	trap_release(f->trap, event.page);
	assert_true(landing(f).changed);
	landed(f);
}

/* What freeing does, and what the library does when the one who answers has ended without a word. */
static void test_freed(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	order(f, 64, 41);
	next(f);
	f->trap = trap_free(f->trap);
	landed(f); /* it was held */
	order(f, 64, 42);
	landed(f);
	open_trap(f, true); /* and it can be had again */
}

static void guard_and_be_killed(struct fixture *f, int signal)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		const struct trap_word word = { f->memory + 64, ~0ULL, true };

		if (trap_open(&f->trap, f->pid, true, f->wake, NULL) < 0 ||
		    trap_set_words(f->trap, &word, 1, NULL) < 0)
			_exit(1);
		if (write(ready[1], "x", 1) == 1)
			raise(signal);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	waitpid(pid, NULL, WUNTRACED);
	order(f, 64, 42);
	landed(f); /* or this hangs */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_killed(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true); /* skips where there is no right */
	f->trap = trap_free(f->trap);
	guard_and_be_killed(f, SIGKILL);
	open_trap(f, true);
}

/* One that stands still is no better than a dead one. */
static void test_stopped(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true);
	f->trap = trap_free(f->trap);
	guard_and_be_killed(f, SIGSTOP);
	open_trap(f, true);
}

static void test_other_process(void **state)
{
	struct fixture *f = *state;
	struct trap_stats stats;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	kill(f->pid, SIGKILL);
	do
		trap_stats(f->trap, &stats);
	while (!stats.lost);
}

/* It is held, and the rest of its process goes on. */
static void test_writers_wait(void **state)
{
	struct fixture *f = *state;

	open_trap(f, true);
	set_word(f, 64, ~0ULL, true);
	order(f, 64, 42);
	order(f, PAGE, 42);
	assert_int_not_equal(landed(f), 0);
	assert_true(landing(f).changed);
	landed(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_library),
		TEST(test_held_before_it_lands),
		TEST(test_nobody_releases),
		TEST(test_beside_it),
		TEST(test_not_exact),
		TEST(test_masked_bits),
		TEST(test_hot_page),
		TEST(test_lifted),
		TEST(test_other_words),
		TEST(test_same_words),
		TEST(test_freed),
		TEST(test_killed),
		TEST(test_stopped),
		TEST(test_other_process),
		TEST(test_writers_wait),
	};

	if (argc > 1 && strcmp(argv[1], "be-qemu") == 0)
		return be_qemu();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
