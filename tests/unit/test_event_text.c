// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events/event.h"
#include "util/cleanup.h"

static const struct event typical = {
	.time_ns = UINT64_C(1763873467123999999),
	.vm = "web-1",
	.rule = "protect-accounts",
	.action = POLICY_DENY,
	.operation = POLICY_WRITE,
	.denied = true,
	.file = { .path = "/etc/passwd", .device_major = 8, .device_minor = 1, .inode = 77 },
	.process = { .pid = 3121, .name = "sh", .in_container = true },
	.container = { .id = "3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddeeff",
		       .engine = "docker" },
};

static char *print(const struct event *event, bool colour)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	assert_non_null(out);
	event_print_text(event, out, colour);
	assert_int_equal(fclose(out), 0);
	assert_ptr_equal(strchr(line, '\n'), line + size - 1);
	return line;
}

static void unchanged(struct event *e)
{
	(void)e;
}

static void audited_read(struct event *e)
{
	e->operation = POLICY_READ;
	e->action = POLICY_AUDIT;
	e->denied = false;
}

static void outside(struct event *e)
{
	e->process.in_container = false;
	e->process.uid = 1000;
}

static void without_container(struct event *e)
{
	memset(&e->container, 0, sizeof(e->container));
	e->process.in_container = false;
}

static void without_path(struct event *e)
{
	*e->file.path = '\0';
}

static void accessed_only(struct event *e)
{
	*e->file.path = '\0';
	strcpy(e->file.accessed_path, "/mnt/a");
}

static void little_known(struct event *e)
{
	e->vm = e->rule = NULL;
	*e->process.name = '\0';
	*e->container.engine = '\0';
}

static void liar(struct event *e)
{
	strcpy(e->file.path, "/x  by root[1] \\ \xc2\xa0");
	strcpy(e->process.name, "a\n\x1b[2K\x7f\xff");
	strcpy(e->container.engine, "\xe2\x80\xae\xc2\x9b\xc3\xa9");
}

static void killed(struct event *e)
{
	e->operation = POLICY_ATTR_FLAGS;
	e->action = POLICY_KILL;
	e->killed = true;
}

static void already_open(struct event *e)
{
	e->operation = POLICY_MMAP_WRITE;
	e->denied = false;
	e->already_open = true;
}

static void renamed_away(struct event *e)
{
	e->operation = POLICY_RENAME;
	strcpy(e->file.target_path, "/a b");
}

static void linked_over(struct event *e)
{
	e->operation = POLICY_LINK;
	strcpy(e->file.source_path, "/tmp/x");
}

static void called(struct event *e)
{
	strcpy(e->container.name, "my web");
	strcpy(e->container.pod_name, "web-0");
	strcpy(e->container.pod_namespace, "shop");
}

static void test_lines(void **state)
{
	static const struct {
		void (*change)(struct event *event);
		const char *expected;
	} rows[] = {
		{ unchanged, "04:51:07.123 DENIED  write      /etc/passwd               by "
			     "sh[3121] uid "
			     "0"
			     "       container 3f2a9c1b04de (docker)  rule protect-accounts  vm "
			     "web-1\n" },
		{ audited_read, "04:51:07.123 allowed read       /etc/passwd               by "
				"sh[3121] "
				"uid 0"
				"       container 3f2a9c1b04de (docker)  rule protect-accounts  vm "
				"web-1\n" },
		{ outside, "04:51:07.123 DENIED  write      /etc/passwd               by sh[3121] "
			   "uid "
			   "1000 euid 0"
			   "  from outside container 3f2a9c1b04de (docker)  rule protect-accounts  "
			   "vm web-1\n" },
		{ without_container, "04:51:07.123 DENIED  write      /etc/passwd               by "
				     "sh[3121] uid 0"
				     "       rule protect-accounts  vm web-1\n" },
		{ without_path, "04:51:07.123 DENIED  write      inode 8:1/77              by "
				"sh[3121] "
				"uid 0"
				"       container 3f2a9c1b04de (docker)  rule protect-accounts  vm "
				"web-1\n" },
		{ accessed_only, "04:51:07.123 DENIED  write      /mnt/a                    by "
				 "sh[3121] "
				 "uid 0"
				 "       container 3f2a9c1b04de (docker)  rule protect-accounts  "
				 "vm web-1\n" },
		{ little_known, "04:51:07.123 DENIED  write      /etc/passwd               by "
				"?[3121] "
				"uid 0"
				"        container 3f2a9c1b04de\n" },
		{ killed, "04:51:07.123 KILLED  attr-flags /etc/passwd               by sh[3121] "
			  "uid 0       container 3f2a9c1b04de (docker)  rule protect-accounts  vm "
			  "web-1\n" },
		{ already_open, "04:51:07.123 OPEN    mmap-write /etc/passwd               by "
				"sh[3121] uid 0       container 3f2a9c1b04de (docker)  rule "
				"protect-accounts  vm web-1\n" },
		{ renamed_away, "04:51:07.123 DENIED  rename     /etc/passwd -> /a\\ b      by "
				"sh[3121] uid 0       container 3f2a9c1b04de (docker)  rule "
				"protect-accounts  vm web-1\n" },
		{ linked_over, "04:51:07.123 DENIED  link       /etc/passwd <- /tmp/x     by "
			       "sh[3121] uid 0       container 3f2a9c1b04de (docker)  rule "
			       "protect-accounts  vm web-1\n" },
		{ called, "04:51:07.123 DENIED  write      /etc/passwd               by sh[3121] "
			  "uid 0       container 3f2a9c1b04de (docker) called my\\ web of pod web-0"
			  "  rule protect-accounts  vm web-1\n" },
		{ liar, "04:51:07.123 DENIED  write      /x\\ \\ by\\ root[1]\\ \\\\\\ \\u{a0}"
			"  by a\\x0a\\x1b[2K\\x7f\\xff[3121] uid 0"
			"  container 3f2a9c1b04de (\\u{202e}\\u{9b}\xc3\xa9)"
			"  rule protect-accounts  vm web-1\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct event event = typical;

		rows[i].change(&event);
		_cleanup_(freep) char *line = print(&event, false);

		assert_string_equal(line, rows[i].expected);
	}
}

static void test_colour(void **state)
{
	static const struct {
		void (*change)(struct event *event);
		const char *start;
	} rows[] = {
		{ unchanged, "\033[2m04:51:07.123\033[0m \033[1;31mDENIED \033[0m write      "
			     "/etc/passwd " },
		{ audited_read, "\033[2m04:51:07.123\033[0m \033[33mallowed\033[0m read       "
				"/etc/passwd " },
		{ killed, "\033[2m04:51:07.123\033[0m \033[1;31mKILLED \033[0m attr-flags /etc" },
		{ already_open, "\033[2m04:51:07.123\033[0m \033[33mOPEN   \033[0m mmap-write "
				"/etc" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct event event = typical;

		rows[i].change(&event);
		_cleanup_(freep) char *line = print(&event, true);

		assert_memory_equal(line, rows[i].start, strlen(rows[i].start));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_colour),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
