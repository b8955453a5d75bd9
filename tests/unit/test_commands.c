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

/* What the tests run; the paths of pipes are known beforehand. */
static struct command {
	const char *argv[6];
} commands_known[] = {
	{ { "/bin/sh", "-c", "{ cat; echo \"[$1][$2][$A][$B]\"; pwd; } >\"$0\"", "run", "two words",
	    "" } },
	{ { "/bin/sh", "-c", "wc -c >\"$0\"", "large", "", "" } },
	{ { "/bin/sh", "-c", "sleep 0.01", "", "", "" } },
	{ { "/bin/sh", "-c", "echo last >\"$0\"", "many", "", "" } },
	{ { "/bin/sh", "-c", "sleep 1", "", "", "" } },
	{ { "/nonexistent/program", "", "", "", "", "" } },
	{ { "/bin/sh", "-c", "echo \"unknown\" >\"$0\"", "many", "",
	    "" } }, /* the one that is not allowed */
};
enum {
	RUN,
	LARGE,
	SLEEP_A_LITTLE,
	LAST,
	SLEEP,
	MISSING,
	UNKNOWN,
	N_KNOWN
};
static char paths[N_KNOWN][128];
static struct commands_line lines[N_KNOWN];

static const char *directory_known;
static const struct commands_allowed known = { lines, UNKNOWN, &directory_known, 1 };

static int set_up(void **state)
{
	for (size_t i = 0; i < N_KNOWN; i++) {
		const char **name = &commands_known[i].argv[3];

		if (**name && **name != '/')
			snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, *name);
		if (**name)
			*name = paths[i];
		lines[i] = (struct commands_line){ commands_known[i].argv, 6 };
	}
	directory_known = directory;
	return commands_new((struct commands **)state, &known, NULL);
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

static const char *make_pipe(int i)
{
	assert_int_equal(mkfifo(paths[i], 0600), 0);
	return paths[i];
}

static int run(struct commands *commands, int i, const char *input, size_t size)
{
	static const char *const environment[] = { "A=one two", "B=$(id)", NULL };

	return commands_run(commands, &lines[i], environment, input, size);
}

static void test_run(void **state)
{
	const char *path = make_pipe(RUN);
	char found[1024];

	assert_int_equal(run(*state, RUN, "input\nof it\n", 12), 0);
	read_all(path, found, sizeof(found));
	assert_string_equal(found, "input\nof it\n[two words][][one two][$(id)]\n/\n");
}

/* Input larger than a pipe holds; nobody waits for it to be read. */
static void test_large(void **state)
{
	const char *path = make_pipe(LARGE);
	char *input = malloc(100000), found[64];

	memset(input, 'x', 100000);
	assert_int_equal(run(*state, LARGE, input, 100000), 0);
	read_all(path, found, sizeof(found));
	assert_int_equal(atoi(found), 100000);
	assert_int_equal(run(*state, SLEEP_A_LITTLE, input, 100000), 0);
	free(input);
	input = calloc(1, 200000);
	assert_int_equal(run(*state, SLEEP_A_LITTLE, input, 200000), -E2BIG);
	free(input);
}

/* What is not there, or not allowed, is no harm, and what waits has its turn. */
static void test_many(void **state)
{
	const char *path = make_pipe(LAST);
	char found[4096] = "";
	int r = 0;

	assert_int_equal(run(*state, MISSING, "", 0), 0);
	assert_int_equal(run(*state, UNKNOWN, "", 0), -EPERM);
	for (int i = 0; i < 3 * COMMANDS_AT_ONCE; i++)
		assert_int_equal(run(*state, SLEEP_A_LITTLE, "", 0), 0);
	assert_int_equal(run(*state, LAST, "", 0), 0);
	read_all(path, found, sizeof(found));
	assert_string_equal(found, "last\n");
	/* too many, and it does not block */
	for (int i = 0; i < 100000 && r == 0; i++)
		r = run(*state, SLEEP, found, sizeof(found));
	assert_int_equal(r, -EAGAIN);
}

static void test_allowed(void **state)
{
	const char *other = "/tmp";
	struct commands_allowed more = known;

	assert_true(commands_allow(*state, &known));
	more.n_lines++;
	assert_false(commands_allow(*state, &more));
	more = (struct commands_allowed){ .directories = &other, .n_directories = 1 };
	assert_false(commands_allow(*state, &more));
	assert_false(commands_allow(NULL, &more));
	more.n_directories = 0;
	assert_true(commands_allow(NULL, &more));
}

static void test_files(void **state)
{
	char path[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/a.dump", directory);
	assert_int_equal(commands_make_file(*state, path, 1u << 31), -ENOSPC);
	fd = commands_make_file(*state, path, 0);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 1);
	assert_int_equal(commands_make_file(*state, path, 0), -EEXIST);
	commands_unmake_file(*state, paths[RUN]); /* not one that it made */
	commands_unmake_file(*state, path);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(commands_make_file(*state, "/tmp/outguard-elsewhere.dump", 0), -EPERM);
	snprintf(path, sizeof(path), "%s/../outguard-elsewhere.dump", directory);
	assert_int_equal(commands_make_file(*state, path, 0), -EPERM);
	assert_int_equal(commands_make_file(*state, "a.dump", 0), -EPERM);
	snprintf(path, sizeof(path), "%s/a.sh", directory);
	assert_int_equal(commands_make_file(*state, path, 0), -EPERM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_run), TEST(test_large), TEST(test_many),
					    TEST(test_allowed), TEST(test_files) };
	char command[128];
	int failed;

	if (!mkdtemp(directory))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -r '%s'", directory);
	return system(command) || failed;
}
