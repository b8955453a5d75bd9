// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "daemon/lines.h"
#include "util/cleanup.h"

#define LIMIT 1000

struct ends {
	struct lines *ours;
	int theirs;
};

static int set_up(void **state)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ends->ours = lines_new(pair[0], LIMIT, LIMIT);
	ends->theirs = pair[1];
	*state = ends;
	return 0;
}

static int tear_down(void **state)
{
	struct ends *ends = *state;

	lines_free(ends->ours);
	if (ends->theirs >= 0)
		close(ends->theirs);
	free(ends);
	return 0;
}

static void say(struct ends *ends, const char *text)
{
	assert_int_equal(send(ends->theirs, text, strlen(text), 0), strlen(text));
}

static void expect(struct ends *ends, const char *line)
{
	size_t size;
	const char *got = lines_next(ends->ours, &size);

	if (!line) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, line);
	assert_int_equal(size, strlen(line));
}

static void test_pieces(void **state)
{
	struct ends *ends = *state;

	expect(ends, NULL);
	assert_int_equal(lines_fill(ends->ours), 0);
	say(ends, "on");
	assert_int_equal(lines_fill(ends->ours), 0);
	expect(ends, NULL);
	assert_false(lines_any(ends->ours));
	say(ends, "e\ntwo\n\nth");
	assert_int_equal(lines_fill(ends->ours), 0);
	assert_true(lines_any(ends->ours));
	expect(ends, "one");
	expect(ends, "two");
	expect(ends, "");
	expect(ends, NULL);
	say(ends, "ree\n");
	shutdown(ends->theirs, SHUT_WR);
	assert_int_equal(lines_fill(ends->ours), 0);
	assert_int_equal(lines_fill(ends->ours), -EPIPE);
	expect(ends, "three"); /* all the same */
	expect(ends, NULL);
}

static void test_too_long(void **state)
{
	char text[LIMIT + 2];
	struct ends *ends = *state;

	memset(text, 'x', sizeof(text));
	text[LIMIT + 1] = '\0';
	say(ends, text);
	assert_int_equal(lines_fill(ends->ours), 0);
	expect(ends, NULL);
	assert_int_equal(lines_fill(ends->ours), -EMSGSIZE);
}

static void test_queue_is_bounded(void **state)
{
	char text[LIMIT], got[LIMIT];
	struct ends *ends = *state;

	memset(text, 'y', sizeof(text));
	assert_int_equal(lines_put(ends->ours, text, LIMIT), -ENOBUFS);
	assert_int_equal(lines_put(ends->ours, text, LIMIT - 1), 0);
	assert_int_equal(lines_put(ends->ours, text, 0), -ENOBUFS);
	assert_int_equal(lines_queued(ends->ours), LIMIT);
	assert_int_equal(lines_flush(ends->ours), 0);
	assert_int_equal(lines_queued(ends->ours), 0);
	assert_int_equal(recv(ends->theirs, got, sizeof(got), 0), LIMIT);
	assert_int_equal(got[LIMIT - 1], '\n');
	assert_int_equal(lines_put(ends->ours, text, 10), 0);
}

/* Whoever does not read fills the socket, and does not hold us up. */
static void test_reader_that_sleeps(void **state)
{
	char text[LIMIT / 2];
	struct ends *ends = *state;
	int n = 0;

	memset(text, 'z', sizeof(text));
	while (lines_put(ends->ours, text, sizeof(text)) == 0 && n++ < 100000)
		assert_int_equal(lines_flush(ends->ours), 0);
	assert_true(n < 100000);
	assert_true(lines_queued(ends->ours) <= LIMIT);
	close(ends->theirs);
	ends->theirs = -1;
	assert_int_equal(lines_flush(ends->ours), -EPIPE);
}

static void test_send(void **state)
{
	char got[16];
	struct ends *ends = *state;

	assert_int_equal(lines_send(ends->ours, "hello", 5), 0);
	assert_int_equal(recv(ends->theirs, got, sizeof(got), 0), 6);
	assert_memory_equal(got, "hello\n", 6);
	close(ends->theirs);
	ends->theirs = -1;
	assert_int_equal(lines_send(ends->ours, "hello", 5), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pieces),
		TEST(test_too_long),
		TEST(test_queue_is_bounded),
		TEST(test_reader_that_sleeps),
		TEST(test_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
