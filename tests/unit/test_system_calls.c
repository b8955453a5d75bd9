// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes of records that say where system calls enter: what guards say, and what forgers may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/system_calls.h"

#include "fake_session.h"

#define ENTRY 0xffffffff81e00040ULL
#define OTHER 0xffffffffc0401000ULL
#define SECOND_NS 1000000000ULL

static struct policy_rule no_rules[1];
static char last[640];
static unsigned int n_notices;

static void note(const struct event_notice *notice, void *data)
{
	(void)data;
	assert_string_equal(notice->what, "guard-tampered");
	assert_int_equal(notice->severity, POLICY_SEVERITY_CRITICAL);
	snprintf(last, sizeof(last), "%s", notice->message);
	n_notices++;
}

static int set_up(void **state)
{
	struct fake_session *f = fake_session_new(no_rules, 0);

	f->session.notice = note;
	f->session.system_calls = (struct system_calls){ .entry = ENTRY, .credit = 4 };
	n_notices = 0;
	last[0] = '\0';
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fake_session_free(*state);
	return 0;
}

static void report(struct fake_session *f, uint32_t cpu, uint64_t found, bool restored,
		   uint64_t now_ns)
{
	f->session.ring.copy.system_calls = (struct guard_system_calls_record){
		.record.type = GUARD_RECORD_SYSTEM_CALLS,
		.cpu = cpu,
		.found = found,
		.restored = restored,
	};
	system_calls_report(&f->session, now_ns);
}

static void test_put_back(void **state)
{
	struct fake_session *f = *state;
	struct session *session = &f->session;

	report(f, 1, OTHER, true, SECOND_NS);
	assert_int_equal(n_notices, 1);
	assert_non_null(strstr(last, "changed: vCPU 1: system calls enter at 0xffffffffc0401000, "
				     "not at entry_SYSCALL_64; it has been put back"));
	assert_int_equal(session->n_tampered, 1);
	assert_int_equal(session->n_repaired, 1);
	assert_true(system_calls_are_right(session, SECOND_NS));
	/* Again, at once: that is another one, and told when it is time to, with what else there is. */
	report(f, 1, OTHER, true, SECOND_NS + 5);
	report(f, 0, OTHER, true, SECOND_NS + 6);
	assert_int_equal(n_notices, 1);
	report(f, 2, OTHER, true, 2 * SECOND_NS);
	assert_int_equal(n_notices, 2);
	assert_non_null(strstr(last, "vCPU 1"));
	assert_non_null(strstr(last, "vCPU 0"));
	assert_non_null(strstr(last, "vCPU 2"));
	assert_non_null(strstr(last, "(4 times so far)"));
	assert_int_equal(session->ring.abused, 0);
}

/* Each CPU's once, until it says something else, or nothing for a minute. */
static void test_left(void **state)
{
	struct fake_session *f = *state;
	struct session *session = &f->session;
	uint64_t now = SECOND_NS;

	for (unsigned int i = 0; i < 50; i++, now += SECOND_NS)
		report(f, i % 2, OTHER, false, now);
	assert_int_equal(n_notices, 2);
	assert_non_null(strstr(last, "it stays as it is"));
	assert_int_equal(session->n_tampered, 2);
	assert_int_equal(session->n_repaired, 0);
	assert_false(system_calls_are_right(session, now));
	report(f, 1, OTHER + 8, false, now);
	assert_int_equal(session->n_tampered, 3);
	assert_false(system_calls_are_right(session, now + 59 * SECOND_NS));
	now += 60 * SECOND_NS;
	assert_true(system_calls_are_right(session, now));
	report(f, 0, OTHER, false, now);
	assert_int_equal(session->n_tampered, 4);
	assert_int_equal(session->ring.abused, 0);
}

/* What no guard says. */
static void test_forged(void **state)
{
	struct fake_session *f = *state;
	struct session *session = &f->session;

	report(f, GUARD_MAX_CPUS, OTHER, true, 1);
	report(f, UINT32_MAX, OTHER, false, 1);
	report(f, 0, ENTRY, true, 1);
	report(f, 0, 0, false, 1);
	session->system_calls.entry = 0; /* nobody looks */
	report(f, 0, OTHER, true, 1);
	assert_int_equal(session->ring.abuses[RING_ABUSE_RECORDS], 5);
	assert_int_equal(session->ring.abused, 5);
	assert_int_equal(session->n_tampered, 0);
	assert_int_equal(n_notices, 0);
	assert_true(system_calls_are_right(session, 1));
}

/* One that a ring was full of when we came are believed; then a few a second, and what is told of them is bounded. */
static void test_flood(void **state)
{
	struct fake_session *f = *state;
	struct session *session = &f->session;

	session->system_calls.credit = 2000;
	for (uint32_t i = 0; i < 10000; i++)
		report(f, i % GUARD_MAX_CPUS, OTHER + i, i & 1, SECOND_NS + i);
	assert_int_equal(n_notices, 1);
	assert_int_equal(session->n_tampered, 2000);
	assert_int_equal(session->ring.abused, 8000);
	for (uint32_t i = 0; i < 10000; i++)
		report(f, 0, OTHER + i, true, 3 * SECOND_NS + i);
	assert_int_equal(n_notices, 2);
	assert_int_equal(session->n_tampered, 2016);
	assert_int_equal(session->ring.abused, 8000 + 10000 - 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_back),
		TEST(test_left),
		TEST(test_forged),
		TEST(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
