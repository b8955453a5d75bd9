// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/error.h"

static void test_set_and_wrap(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, -ENOENT, "no %s", "socket"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.message, "no socket");
	assert_int_equal(error_wrap(&err, "vm %d", 7), -ENOENT);
	assert_string_equal(err.message, "vm 7: no socket");
	assert_int_equal(error_wrap(&err, "attach"), -ENOENT);
	assert_string_equal(err.message, "attach: vm 7: no socket");
}

static void test_null(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EIO, "%s", "nobody reads this"), -EIO);
	assert_true(error_wrap(NULL, "context") < 0);
}

/* However long, it is cut and terminated; the beginning of each part is kept. */
static void test_long(void **state)
{
	char text[4096];
	struct error err;

	(void)state;
	memset(text, 'm', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(&err, 0x55, sizeof(err));
	error_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	memset(text, 'c', sizeof(text) - 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(error_wrap(&err, "%s", text), -EIO);
		assert_true(strnlen(err.message, sizeof(err.message)) < sizeof(err.message));
		assert_int_equal(err.message[0], 'c');
	}
	error_set(&err, -EIO, "short");
	error_wrap(&err, "%s", text);
	assert_non_null(strstr(err.message, ": short"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_wrap),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
