// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "session/commands.h"

static char directory[] = "/tmp/outguard-commands-XXXXXX";
static const char *const nothing[] = { NULL };

static int set_up(void **state)
{
	return commands_new((struct commands **)state, NULL);
}

static int tear_down(void **state)
{
	commands_free(*state);
	/* It is nobody's child here. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return 0;
}

/* Waits for what the command writes into the pipe @name until its end. */
static size_t read_all(const char *name, char *buf, size_t size)
{
	FILE *from = fopen(name, "r");
	size_t n;

	assert_non_null(from);
	n = fread(buf, 1, size - 1, from);
	buf[n] = '\0';
	fclose(from);
	return n;
}

static const char *make_pipe(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(mkfifo(path, 0600), 0);
	return path;
}

static int run_shell(struct commands *commands, const char *script, const char *path,
		     const char *const environment[], const char *input, size_t size)
{
	const char *argv[] = { "/bin/sh", "-c", script, path, "two words", "" };

	return commands_run(commands, argv, 6, environment, input, size);
}

static void test_run(void **state)
{
	static const char *const environment[] = { "A=one two", "B=$(id)", NULL };
	const char *path = make_pipe("run");
	char found[1024];

	assert_int_equal(run_shell(*state, "{ cat; echo \"[$1][$2][$A][$B]\"; pwd; } >\"$0\"", path,
				   environment, "input\nof it\n", 12),
			 0);
	read_all(path, found, sizeof(found));
	assert_string_equal(found, "input\nof it\n[two words][][one two][$(id)]\n/\n");
}

/* Input larger than a pipe holds; nobody waits for it to be read. */
static void test_large(void **state)
{
	const char *path = make_pipe("large");
	char *input = malloc(100000), found[64];

	memset(input, 'x', 100000);
	assert_int_equal(run_shell(*state, "wc -c >\"$0\"", path, nothing, input, 100000), 0);
	read_all(path, found, sizeof(found));
	assert_int_equal(atoi(found), 100000);
	assert_int_equal(run_shell(*state, "", path, nothing, input, 100000), 0);
	free(input);
	input = calloc(1, 200000);
	assert_int_equal(run_shell(*state, "", path, nothing, input, 200000), -E2BIG);
	free(input);
}

/* What is not there is no harm, and what waits has its turn. */
static void test_many(void **state)
{
	const char *missing[] = { "/nonexistent/program" };
	const char *path = make_pipe("many");
	char found[4096] = "";
	int r = 0;

	assert_int_equal(commands_run(*state, missing, 1, nothing, "", 0), 0);
	for (int i = 0; i < 3 * COMMANDS_AT_ONCE; i++)
		assert_int_equal(run_shell(*state, "sleep 0.01", path, nothing, "", 0), 0);
	assert_int_equal(run_shell(*state, "echo last >\"$0\"", path, nothing, "", 0), 0);
	read_all(path, found, sizeof(found));
	assert_string_equal(found, "last\n");
	/* too many, and it does not block */
	for (int i = 0; i < 100000 && r == 0; i++)
		r = run_shell(*state, "sleep 1", path, nothing, found, sizeof(found));
	assert_int_equal(r, -EAGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_run), TEST(test_large), TEST(test_many) };
	char command[128];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r '%s'", directory);
	return system(command) || failed;
}
