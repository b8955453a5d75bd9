// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "vmm/process_memory.h"

#define PAGE 4096UL
#define SIZE (16 * PAGE) /* then one page that is not mapped */

/* A child with a copy of our memory, private to it, that waits to be killed. */
static void make_child(pid_t *ret)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	*ret = fork();
	assert_true(*ret >= 0);
	if (*ret == 0) {
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_read_and_write(void **state)
{
	uint8_t *memory =
		mmap(NULL, SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_cleanup_(freep) uint8_t *buf = malloc(SIZE + PAGE);
	uint64_t at = (uintptr_t)memory, word = 0x1122334455667788;
	_cleanup_(closep) int fd = -1;
	struct error err = { 0 };
	pid_t child;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	munmap(memory + SIZE, PAGE);
	memset(memory, 'a', SIZE);
	make_child(&child);
	fd = process_memory_open(child, &err);
	if (fd == -EPERM || fd == -EACCES) {
		end_child(child);
		skip(); /* no ptrace here */
	}
	assert_true(fd >= 0);
	memset(memory, 'b', SIZE); /* ours alone by now */

	assert_int_equal(process_memory_read(fd, at + 1, buf, SIZE - 1), 0);
	assert_int_equal(buf[0], 'a');
	assert_int_equal(buf[SIZE - 2], 'a');
	assert_int_equal(process_memory_read(fd, at + 1, buf, SIZE), -EFAULT);
	assert_int_equal(process_memory_read(fd, at + SIZE, buf, 1), -EFAULT);
	assert_int_equal(process_memory_read(fd, UINT64_MAX - 7, buf, 8), -EFAULT);
	assert_int_equal(process_memory_read(fd, at + SIZE, buf, 0), 0);

	assert_int_equal(process_memory_write(fd, at + 8, &word, sizeof(word)), 0);
	assert_int_equal(process_memory_read(fd, at, buf, 24), 0);
	assert_memory_equal(buf + 8, &word, sizeof(word));
	assert_int_equal(buf[7], 'a');
	assert_int_equal(buf[16], 'a');
	assert_int_equal(memory[8], 'b');
	assert_int_equal(process_memory_write(fd, at + SIZE, &word, sizeof(word)), -EFAULT);

	end_child(child);
	assert_int_equal(process_memory_read(fd, at, buf, 8), -EFAULT);
	assert_int_equal(process_memory_write(fd, at, &word, sizeof(word)), -EFAULT);
	munmap(memory, SIZE);
}

static void test_no_process(void **state)
{
	struct error err = { 0 };
	pid_t child;

	(void)state;
	make_child(&child);
	end_child(child);
	assert_int_equal(process_memory_open(child, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/mem"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_write),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
