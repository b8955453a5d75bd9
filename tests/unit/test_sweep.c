// SPDX-License-Identifier: GPL-2.0-or-later
/* Which containers a walk of the guest's processes asks for, waits for, and takes for gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define kernel_tasks_each fake_tasks_each
#define kernel_task_read fake_task_read
#define kernel_cgroup_path fake_cgroup_path
#define enter_container fake_enter_container
#define guest_ask fake_guest_ask
#define guest_look_at_disks fake_guest_look_at_disks
#define enter_hostname fake_enter_hostname
#include "session/sweep.c"

#include "fake_session.h"

#define GUEST_ROOT 0xffff888000001000ULL
#define OWN_ROOT 0xffff888000002000ULL
#define GUEST_SPACE 1
#define NEW_SPACE 201
#define MAX_TASKS 32

static struct policy_rule rules[1];
static struct kernel_task tasks
	[MAX_TASKS]; /* the guest's first process is before them; the first one is in the first container */
static size_t n_tasks;
static const struct kernel_task first_task = { .address = 1,
					       .parent = 1,
					       .tgid = 1,
					       .mnt_ns_sequence = GUEST_SPACE,
					       .root_dentry = GUEST_ROOT };

int fake_tasks_each(const struct kernel *kernel, bool threads,
		    int (*visit)(const struct kernel_task *task, void *data), void *data)
{
	int r = visit(&first_task, data);

	(void)kernel;
	(void)threads;
	for (size_t i = 0; i < n_tasks && !r; i++)
		r = visit(&tasks[i], data);
	return r;
}

int fake_task_read(const struct kernel *kernel, uint64_t address, struct kernel_task *ret)
{
	(void)kernel;
	if (address == first_task.address) {
		*ret = first_task;
		return 0;
	}
	for (size_t i = 0; i < n_tasks; i++) {
		if (tasks[i].address != address)
			continue;
		*ret = tasks[i];
		return 0;
	}
	return -EFAULT;
}

int fake_cgroup_path(const struct kernel *kernel, uint64_t task, char *buf, size_t size)
{
	(void)kernel;
	(void)task;
	return snprintf(buf, size, "/docker/any");
}

struct container *fake_enter_container(struct session *session, const struct kernel_task *task,
				       const char *cgroup_path)
{
	(void)cgroup_path;
	return containers_add(&session->containers, task->mnt_ns_sequence);
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

	f->one->root_dentry = f->one->found_root = OWN_ROOT;
	f->one->wanted = f->two->wanted = false;
	tasks[0] = (struct kernel_task){ .address = 2,
					 .parent = 1,
					 .tgid = 100,
					 .mnt_ns_sequence = f->one->mnt_ns,
					 .root_dentry = GUEST_ROOT };
	n_tasks = 1;
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
	tasks[0].root_dentry = OWN_ROOT;
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
	n_tasks = 0;
	now += SWEEP_NS;
	for (unsigned int i = 0; i < MISSED_SWEEPS; i++)
		sweep_containers(&f->session, now + SWEEP_NS);
	assert_true(is_there(f, one));
	sweep_containers(&f->session, now + SWEEP_NS);
	assert_false(is_there(f, one));
}

/* A process with a mount name space and a root, that another has made. */
static void add_task(uint64_t parent, uint64_t space, uint64_t root)
{
	assert_true(n_tasks < MAX_TASKS);
	tasks[n_tasks] = (struct kernel_task){ .address = 2 + n_tasks,
					       .parent = parent,
					       .tgid = (uint32_t)(100 + n_tasks),
					       .mnt_ns_sequence = space,
					       .root_dentry = root };
	n_tasks++;
}

static void sweep_with(struct fake_session *f, uint64_t parent, uint64_t root)
{
	tasks[0].root_dentry = OWN_ROOT;
	add_task(parent, NEW_SPACE, root);
	sweep_containers(&f->session, SWEEP_NS);
	assert_true(is_there(f, f->one->mnt_ns));
}

/* Whoever makes himself a mount name space in a container, and keeps its root, is no container: what he mounts is his own business. */
static void test_own_space(void **state)
{
	struct fake_session *f = *state;

	sweep_with(f, tasks[0].address, OWN_ROOT);
	assert_false(is_there(f, NEW_SPACE));
}

/* Nor is who does so below another one. */
static void test_own_space_below(void **state)
{
	struct fake_session *f = *state;

	add_task(tasks[0].address, NEW_SPACE + 1, OWN_ROOT);
	sweep_with(f, tasks[1].address, OWN_ROOT);
	assert_false(is_there(f, NEW_SPACE));
	assert_false(is_there(f, NEW_SPACE + 1));
}

/* One that an engine has sent into the container, so that its parent is not there. */
static void test_sent_in(void **state)
{
	struct fake_session *f = *state;

	tasks[0].root_dentry = OWN_ROOT;
	add_task(1, NEW_SPACE, OWN_ROOT);
	tasks[1].reaper = tasks[0].address;
	sweep_containers(&f->session, SWEEP_NS);
	assert_false(is_there(f, NEW_SPACE));
}

/* In a container that this walk has found, and whose root has not been shown. */
static void test_own_space_in_found(void **state)
{
	struct fake_session *f = *state;

	add_task(1, NEW_SPACE + 1, OWN_ROOT + 64);
	sweep_with(f, tasks[1].address, OWN_ROOT + 64);
	assert_true(is_there(f, NEW_SPACE + 1));
	assert_false(is_there(f, NEW_SPACE));
}

/* With another root it is a container in a container. */
static void test_other_root(void **state)
{
	struct fake_session *f = *state;

	sweep_with(f, tasks[0].address, OWN_ROOT + 64);
	assert_true(is_there(f, NEW_SPACE));
}

/* Two containers may have the same directory for a root. */
static void test_same_root(void **state)
{
	struct fake_session *f = *state;

	sweep_with(f, 1, OWN_ROOT);
	assert_true(is_there(f, NEW_SPACE));
}

/* A guest's list of parents may have no end. */
static void test_endless_parents(void **state)
{
	struct fake_session *f = *state;

	add_task(3, NEW_SPACE, OWN_ROOT);
	sweep_containers(&f->session, SWEEP_NS);
	assert_true(is_there(f, NEW_SPACE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_is_awaited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_space, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_space_below, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_space_in_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sent_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_endless_parents, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
