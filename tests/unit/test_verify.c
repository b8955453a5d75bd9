// SPDX-License-Identifier: GPL-2.0-or-later
/* Records that are compared with the guest's memory before anything comes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "session/follow.h"
#include "session/verify.h"

#include "fake_records.h"

#define SHADOW 2 /* of the inodes */
#define ETC 1
#define OTHER 3

static char rule_a[] = "a", shadow[] = "/etc/shadow", *paths[] = { shadow };
static struct policy_rule rules[] = { { .name = rule_a,
					.paths = paths,
					.n_paths = 1,
					.operations = GUARD_OP_WRITE,
					.action = POLICY_DENY } };

static int set_up(void **state)
{
	struct fake_session *f;

	make_guest();
	f = fake_session_new(rules, ARRAY_SIZE(rules));
	assert(!kernel_new(&f->session.kernel, NULL, NULL));
	assert(!caches_new(&f->session.caches, f->session.kernel, NULL, NULL));
	f->session.guest_mnt_ns = 1;
	f->session.names_sequence = plan_publish(f->session.plan, (void *)f->vault);
	f->one->task = objects[SECOND];
	f->one->root_super = objects[SUPER];
	f->one->root_dentry = objects[DENTRY];
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fake_session *f = *state;

	errands_clear(&f->session.errands);
	views_clear(&f->session.views);
	caches_free(f->session.caches);
	kernel_free(f->session.kernel);
	fake_session_free(f);
	return 0;
}

static uint64_t n_claims(const struct fake_session *f)
{
	return f->session.ring.abuses[RING_ABUSE_CLAIMS];
}

static struct guard_identity identity_of(unsigned int i)
{
	uint64_t inode = objects[INODE + i];

	return (struct guard_identity){ fake_get(inode, "inode.i_sb"),
					fake_get(inode, "inode.i_ino"),
					(uint32_t)fake_get(inode, "inode.i_generation"), 0 };
}

static void watch_shadow(struct fake_session *f)
{
	struct watch watch = fake_watch(f, f->one, fake_item(f, 0, 0), objects[SUPER],
					identity_of(SHADOW).ino, NULL);

	watch.generation = identity_of(SHADOW).generation;
	watch.inode = objects[INODE + SHADOW];
	fake_add(f, &watch);
}

static bool is_watched(const struct fake_session *f)
{
	return fake_look(f, objects[SUPER] | GUARD_KEY_FILE, identity_of(SHADOW).ino);
}

static struct guard_follow_record *start(struct fake_session *f, unsigned int directory,
					 const char *name)
{
	struct guard_follow_record *record = &f->session.ring.copy.follow;

	memset(&f->session.ring.copy, 0, sizeof(f->session.ring.copy));
	record->record.type = GUARD_RECORD_FOLLOW;
	record->file = identity_of(SHADOW);
	record->parent = identity_of(directory);
	record->cause = GUARD_FOLLOW_GONE;
	record->links = 1;
	record->mode = S_IFREG | 0644;
	record->name = sizeof(*record);
	strcpy((char *)(record + 1), name);
	return record;
}

/* It has gone by the time it is looked at again. */
static void test_gone(void **state)
{
	struct fake_session *f = *state;

	watch_shadow(f);
	start(f, ETC, "shadow");
	follow_names(&f->session);
	assert_false(is_watched(f));
	assert_int_equal(f->one->n_followed, 1);
	assert_int_equal(f->one->n_unproved, 0);
	fake_set(objects[INODE + SHADOW], "inode.i_nlink", 0);
	follow_check(&f->session, UINT64_MAX);
	assert_int_equal(f->session.gone_files.n, 0);
	assert_false(f->one->wanted);
	assert_int_equal(n_claims(f), 0);
}

/* Everything is so, but nobody deletes it: its container is resolved again. Its name was watched all the time. */
static void test_not_gone(void **state)
{
	struct fake_session *f = *state;

	watch_shadow(f);
	start(f, ETC, "shadow");
	follow_names(&f->session);
	follow_check(&f->session, 0); /* not yet */
	assert_int_equal(f->session.gone_files.n, 1);
	follow_check(&f->session, UINT64_MAX);
	assert_true(f->one->wanted);
	assert_false(f->two->wanted);
	assert_non_null(fake_look(f, objects[SUPER] | GUARD_KEY_BASE, identity_of(ETC).ino));
}

/* More of these at a time than are kept: none is forgotten. */
static void test_many_not_gone(void **state)
{
	struct fake_session *f = *state;

	for (unsigned int i = 0; i < SESSION_GONE_FILES + 3; i++) {
		f->one->wanted = false;
		watch_shadow(f);
		start(f, ETC, "shadow");
		follow_names(&f->session);
		assert_true(f->session.gone_files.n <= SESSION_GONE_FILES);
		assert_int_equal(f->one->wanted, i >= SESSION_GONE_FILES);
	}
}

/* Another name, or another directory, or a second name: the file keeps its entry. */
static void test_false_names(void **state)
{
	struct fake_session *f = *state;

	watch_shadow(f);
	start(f, ETC, "passwd");
	follow_names(&f->session);
	start(f, OTHER, "shadow");
	follow_names(&f->session);
	assert_int_equal(n_claims(f), 2);
	assert_int_equal(f->one->n_unproved, 2);
	assert_true(is_watched(f));
	fake_set(objects[INODE + SHADOW], "inode.i_nlink", 2);
	start(f, ETC, "shadow");
	follow_names(&f->session);
	assert_true(is_watched(f));
	assert_int_equal(f->session.gone_files.n, 0);
}

/* Names that are only said are few, and do not keep out what is so. */
static void test_flood(void **state)
{
	struct fake_session *f = *state;
	char name[16];

	watch_shadow(f);
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		start(f, ETC, name);
		follow_names(&f->session);
	}
	assert_int_equal(f->one->n_unproved, 512);
	assert_true(is_watched(f));
	start(f, ETC, "shadow")->cause = GUARD_FOLLOW_MOVED;
	follow_names(&f->session);
	assert_int_equal(f->one->n_followed, 513);
}

/* An address that is stale is no proof, but the path is. */
static void test_stale_address(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = fake_watch(f, f->one, fake_item(f, 0, 0), objects[SUPER],
					identity_of(SHADOW).ino, NULL);

	watch.generation = identity_of(SHADOW).generation;
	watch.inode = objects[INODE + OTHER];
	fake_add(f, &watch);
	start(f, ETC, "shadow");
	follow_names(&f->session);
	assert_int_equal(f->one->n_unproved, 0);
	assert_false(is_watched(f));
}

static void test_view(void **state)
{
	struct fake_session *f = *state;
	const struct plan *plan = f->session.plan;
	struct guard_view_record record = { .root_dentry = objects[DENTRY] };
	struct guard_resolved resolved[8] = { 0 };
	struct view view = { .resolved = resolved, .n = plan->n_names };
	const struct entering entering = {
		.session = &f->session, .container = f->one, .record = &record, .view = &view
	};

	assert_int_equal(plan->n_names, 3); /* /, /etc, /etc/shadow */
	for (unsigned int i = 0; i < 3; i++) {
		resolved[i].name = i;
		resolved[i].file = identity_of(i);
		resolved[i].inode = objects[INODE + i];
	}
	verify_view(&entering, &view);
	assert_int_equal(n_claims(f), 0);
	resolved[2].file = identity_of(OTHER);
	resolved[2].inode = objects[INODE + OTHER];
	verify_view(&entering, &view);
	assert_int_equal(n_claims(f), 1);
	assert_int_equal(resolved[2].file.ino, identity_of(SHADOW).ino);
	assert_int_equal(resolved[2].inode, objects[INODE + SHADOW]);
	/* The right address, and another number. */
	resolved[1].file.ino = 99;
	verify_view(&entering, &view);
	assert_int_equal(resolved[1].file.ino, identity_of(ETC).ino);
	assert_int_equal(n_claims(f), 2);
	/* What is said not to be there is watched by its name, and is no claim. */
	resolved[2].error = -ENOENT;
	verify_view(&entering, &view);
	assert_int_equal(resolved[2].error, -ENOENT);
	/* The kernel has forgotten the name. */
	resolved[2] = (struct guard_resolved){ .name = 2, .file = identity_of(OTHER) };
	fake_set(objects[DENTRY + SHADOW], "dentry.d_hash.pprev", 0);
	verify_view(&entering, &view);
	assert_int_equal(resolved[2].file.ino, identity_of(OTHER).ino);
	assert_int_equal(n_claims(f), 2);
}

/* Who enters a root is a thread of the kernel's, not bytes that look like one. */
static void test_thread(void **state)
{
	struct fake_session *f = *state;
	uint64_t copy = fake_make();

	assert_true(verify_thread(&f->session, objects[SECOND]));
	assert_int_equal(n_claims(f), 0);
	memcpy(fake_at(copy), fake_at(objects[SECOND]), FAKE_OBJECT);
	assert_false(verify_thread(&f->session, copy));
	assert_int_equal(n_claims(f), 1);
}

/* An errand of a process that is there is not believed to have failed. */
static void test_false_error(void **state)
{
	struct fake_session *f = *state;
	struct guard_view_record *record = &f->session.ring.copy.view;
	struct errands *errands = &f->session.errands;

	assert_false(errands_add(errands, 300, objects[SECOND], 101));
	errands_send(errands, (void *)f->vault, 1);
	memset(&f->session.ring.copy, 0, sizeof(f->session.ring.copy));
	record->cause = GUARD_VIEW_ERRAND;
	record->errand = errands->list[0].id;
	record->names_sequence = f->session.names_sequence;
	record->last = 1;
	record->error = -ENOENT;
	enter_view(&f->session);
	assert_int_equal(errands->n, 1);
	assert_int_equal(n_claims(f), 1);
	fake_set(objects[SECOND], "task_struct.nsproxy", 0); /* it exits */
	enter_view(&f->session);
	assert_int_equal(errands->n, 0);
	assert_int_equal(n_claims(f), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gone),	TEST(test_not_gone), TEST(test_many_not_gone),
		TEST(test_false_names), TEST(test_flood),    TEST(test_stale_address),
		TEST(test_view),	TEST(test_thread),   TEST(test_false_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
