// SPDX-License-Identifier: GPL-2.0-or-later
/* Which containers a walk of the guest's processes asks for, waits for, and takes for gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define kernel_tasks_each fake_tasks_each
#define guest_ask fake_guest_ask
#define guest_look_at_disks fake_guest_look_at_disks
#define enter_hostname fake_enter_hostname
#include "session/sweep.c"

#include "fake_session.h"

#define GUEST_ROOT 0xffff888000001000ULL
#define OWN_ROOT 0xffff888000002000ULL
#define GUEST_SPACE 1

static struct policy_rule rules[1];
static struct kernel_task task; /* of the first container, if it has a pid */

int fake_tasks_each(const struct kernel *kernel, bool threads,
		    int (*visit)(const struct kernel_task *task, void *data), void *data)
{
	const struct kernel_task first = {
		.address = 1, .tgid = 1, .mnt_ns_sequence = GUEST_SPACE, .root_dentry = GUEST_ROOT
	};
	int r = visit(&first, data);

	(void)kernel;
	(void)threads;
	return !r && task.tgid ? visit(&task, data) : r;
}

void fake_guest_ask(struct session *session)
{
	(void)session;
}

void fake_guest_look_at_disks(struct session *session)
{
	(void)session;
}

void fake_enter_hostname(struct session *session, struct container *container, uint32_t uts_ns_inum,
			 const char *hostname)
{
	(void)session;
	(void)container;
	(void)uts_ns_inum;
	(void)hostname;
}

static int set_up(void **state)
{
	struct fake_session *f = fake_session_new(rules, 0);

	f->one->root_dentry = OWN_ROOT;
	f->one->wanted = f->two->wanted = false;
	task = (struct kernel_task){ .address = 2,
				     .tgid = 100,
				     .mnt_ns_sequence = f->one->mnt_ns,
				     .root_dentry = GUEST_ROOT };
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fake_session *f = *state;

	errands_clear(&f->session.errands);
	fake_session_free(f);
	return 0;
}

static bool is_there(const struct fake_session *f, uint64_t mnt_ns)
{
	return containers_find(&f->session.containers, mnt_ns) != NULL;
}

/* One that starts as a policy is loaded is not passed over: the walk comes again until it is in its root, and asks there. */
static void test_start_is_awaited(void **state)
{
	struct fake_session *f = *state;
	struct session *session = &f->session;
	uint64_t now = SWEEP_NS;

	f->one->wanted = true;
	for (unsigned int i = 0; i < 3; i++) {
		sweep_containers(session, now);
		assert_false(session->swept);
		assert_true(errands_are_done(&session->errands));
		now = session->next_sweep_ns;
	}
	task.root_dentry = OWN_ROOT;
	sweep_containers(session, now);
	assert_true(session->swept);
	assert_false(errands_are_done(&session->errands));
	assert_false(f->one->wanted);
}

/* For who stays outside of its root nobody waits for ever; and who is not wanted, holds nothing up. */
static void test_not_for_ever(void **state)
{
	struct fake_session *f = *state;

	sweep_containers(&f->session, SWEEP_NS);
	assert_true(f->session.swept);
	f->one->wanted = true;
	sweep_containers(&f->session, SWEEP_NS);
	assert_false(f->session.swept);
	sweep_containers(&f->session, SWEEP_NS + ERRANDS_PATIENCE_NS - 1);
	assert_false(f->session.swept);
	sweep_containers(&f->session, SWEEP_NS + ERRANDS_PATIENCE_NS);
	assert_true(f->session.swept);
	assert_true(is_there(f, f->one->mnt_ns));
}

/* What has no process any more goes: after some walks, and some time, for these may follow closely. */
static void test_gone(void **state)
{
	struct fake_session *f = *state;
	uint64_t one = f->one->mnt_ns, two = f->two->mnt_ns, now = 1000;

	f->one->seen_ns = f->two->seen_ns = now;
	for (unsigned int i = 0; i < 10; i++)
		sweep_containers(&f->session, now + i);
	assert_true(is_there(f, two));
	sweep_containers(&f->session, now + SWEEP_NS);
	assert_false(is_there(f, two));
	assert_true(is_there(f, one)); /* it starts, and still has the guest's root */
	task.tgid = 0;
	now += SWEEP_NS;
	for (unsigned int i = 0; i < MISSED_SWEEPS; i++)
		sweep_containers(&f->session, now + SWEEP_NS);
	assert_true(is_there(f, one));
	sweep_containers(&f->session, now + SWEEP_NS);
	assert_false(is_there(f, one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_is_awaited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
