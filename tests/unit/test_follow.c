// SPDX-License-Identifier: GPL-2.0-or-later
/* A file that is about to lose its name: from then on the name is watched. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "session/follow.h"

#include "fake_session.h"

#define WRITE GUARD_OP_WRITE
#define RENAME GUARD_OP_RENAME
#define FOLLOW GUARD_OP_FOLLOW
#define FILE_INO 11
#define PARENT_INO 20
#define BASE (FAKE_SUPER | GUARD_KEY_BASE)

static char rule_a[] = "a", rule_b[] = "b";
static char shadow[] = "/etc/shadow", keys[] = "/etc/ssh/*_key", deep[] = "/etc/ssh/a/b";
static char other[] = "/etcetera/x", *paths[] = { shadow, keys, deep, other };
static struct policy_rule rules[] = {
	{ .name = rule_a,
	  .paths = paths,
	  .n_paths = 4,
	  .operations = WRITE | RENAME,
	  .action = POLICY_DENY },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 1,
	  .operations = GUARD_OP_READ,
	  .action = POLICY_AUDIT },
};

static int set_up(void **state)
{
	*state = fake_session_new(rules, ARRAY_SIZE(rules));
	return 0;
}

static int tear_down(void **state)
{
	fake_session_free(*state);
	return 0;
}

static struct watch file_watch(const struct fake_session *f, struct container *container,
			       uint32_t rule)
{
	return fake_watch(f, container, fake_item(f, rule, 0), FAKE_SUPER, FILE_INO, NULL);
}

/* A directory above a path of the first rule. */
static struct watch above_watch(const struct fake_session *f, const char *path)
{
	struct watch watch = fake_watch(f, f->one, fake_item(f, 0, 0), FAKE_SUPER, FILE_INO, NULL);

	watch.kind = WATCH_ABOVE;
	watch.operations = RENAME;
	watch.base_path = (char *)path;
	return watch;
}

static struct guard_follow_record *start(struct fake_session *f, enum guard_follow_cause cause,
					 uint32_t links, const char *name)
{
	struct guard_follow_record *record = &f->session.ring.copy.follow;

	memset(&f->session.ring.copy, 0, sizeof(f->session.ring.copy));
	f->text = sizeof(*record);
	record->record.type = GUARD_RECORD_FOLLOW;
	record->file = fake_identity(FAKE_SUPER, FILE_INO);
	record->parent = fake_identity(FAKE_SUPER, PARENT_INO);
	record->cause = cause;
	record->links = links;
	record->mode = S_IFREG | 0644;
	record->name = fake_text(f, name);
	return record;
}

/* What hangs from the directory that the name was in. */
static size_t count_names(const struct fake_session *f, const char *pattern, const char *base_path)
{
	const struct watch *watch = NULL;
	size_t n = 0;

	while ((watch = watches_next(f->session.watches, BASE, PARENT_INO, watch)))
		n += watch->kind == WATCH_NAME && watch->generation == 1000 + PARENT_INO &&
		     watch->super == FAKE_SUPER && !strcmp(watch->pattern, pattern) &&
		     !strcmp(watch->base_path, base_path);
	return n;
}

static size_t n_names(const struct fake_session *f)
{
	const struct watch *watch = NULL;
	size_t n = 0;

	while ((watch = watches_next(f->session.watches, BASE, PARENT_INO, watch)))
		n++;
	return n;
}

/* The last name is deleted: the name is watched, by all its rules and for all their operations, and the file is forgotten. */
static void test_gone(void **state)
{
	struct fake_session *f = *state;
	struct watch deny = file_watch(f, f->one, 0), audit = file_watch(f, f->one, 1);
	const struct guard_clauses *clauses;
	const struct guard_entry *entry;
	uint32_t denied = 0, reported = 0;

	deny.operations = WRITE; /* by identity, less */
	fake_add(f, &deny);
	fake_add(f, &audit);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	follow_names(&f->session);
	assert_int_equal(count_names(f, "shadow", "/etc"), 2);
	entry = fake_look(f, BASE, PARENT_INO);
	assert_non_null(entry);
	assert_int_equal(entry->generation, 1000 + PARENT_INO);
	clauses = (const void *)(f->vault + entry->clauses * 8ULL);
	for (uint32_t i = 0; i < clauses->n; i++) {
		assert_string_equal((char *)f->vault + clauses->clause[i].text, "shadow");
		denied |= clauses->clause[i].deny;
		reported |= clauses->clause[i].report;
	}
	assert_int_equal(denied, WRITE | RENAME);
	assert_int_equal(reported, WRITE | RENAME | GUARD_OP_READ);
	/* The guard looks for bases there. */
	assert_int_equal(fake_look(f, FAKE_SUPER | GUARD_KEY_SUPER, 0)->deny, 1);
	assert_null(fake_look(f, FAKE_SUPER, FILE_INO));
	assert_int_equal(f->one->n_followed, 2);
	/* Once more: what is there already is not there twice. */
	fake_add(f, &deny);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	follow_names(&f->session);
	assert_int_equal(n_names(f), 2);
	assert_int_equal(f->one->n_followed, 2);
}

/* It moves, or is copied up: it stays what it is, and the name is watched. */
static void test_moved(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);

	fake_add(f, &watch);
	start(f, GUARD_FOLLOW_MOVED, 1, "shadow");
	follow_names(&f->session);
	assert_int_equal(n_names(f), 1);
	assert_int_equal(fake_look(f, FAKE_SUPER, FILE_INO)->deny, WRITE | RENAME);
	start(f, GUARD_FOLLOW_COPIED, 1, "shadow")->parent.ino++;
	follow_names(&f->session);
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO));
	assert_non_null(fake_look(f, BASE, PARENT_INO + 1));
}

/* Of several names only the one that the rule means is followed; with one, whatever it is called. */
static void test_links(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);

	fake_add(f, &watch);
	start(f, GUARD_FOLLOW_GONE, 2, "other");
	follow_names(&f->session);
	assert_int_equal(n_names(f), 0);
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO)); /* it has another name */
	start(f, GUARD_FOLLOW_GONE, 2, "shadow");
	follow_names(&f->session);
	assert_int_equal(count_names(f, "shadow", "/etc"), 1);
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO));
	start(f, GUARD_FOLLOW_MOVED, 1,
	      "the-link's-end"); /* the rule's path is a symbolic link to it */
	follow_names(&f->session);
	assert_int_equal(count_names(f, "the-link's-end", "/etc"), 1);
}

/* A file of a volume has its path from where the container sees it. */
static void test_base_path(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);

	watch.base_path = (char *)"/data/key";
	fake_add(f, &watch);
	start(f, GUARD_FOLLOW_GONE, 2, "shadow");
	follow_names(&f->session);
	assert_int_equal(n_names(f), 0);
	start(f, GUARD_FOLLOW_GONE, 1, "key");
	follow_names(&f->session);
	assert_int_equal(count_names(f, "key", "/data"), 1);
}

/* A directory above: whatever the rule has below it hangs from where it was. */
static void test_directory(void **state)
{
	struct fake_session *f = *state;
	struct watch ssh = above_watch(f, "/etc/ssh"), etc;

	fake_add(f, &ssh);
	start(f, GUARD_FOLLOW_MOVED, 2, "ssh")->mode = S_IFDIR | 0755;
	follow_names(&f->session);
	assert_int_equal(n_names(f), 2);
	assert_int_equal(count_names(f, "ssh/*_key", "/etc"), 1);
	assert_int_equal(count_names(f, "ssh/a/b", "/etc"), 1);
	assert_int_equal(fake_look(f, FAKE_SUPER | GUARD_KEY_SUPER, 0)->deny, 3); /* levels */
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO));
	/* Not what only begins like it. */
	watches_remove_container(f->session.watches, f->one);
	etc = above_watch(f, "/etc");
	fake_add(f, &etc);
	start(f, GUARD_FOLLOW_GONE, 2, "etc")->mode = S_IFDIR | 0755;
	follow_names(&f->session);
	assert_int_equal(n_names(f), 3);
	assert_int_equal(count_names(f, "etc/shadow", ""), 1);
	assert_int_equal(count_names(f, "etc/ssh/*_key", ""), 1);
	assert_int_equal(count_names(f, "etc/ssh/a/b", ""), 1);
	assert_null(
		fake_look(f, FAKE_SUPER, FILE_INO)); /* a directory has two links, and one name */
}

/* A file of several containers is followed for each. */
static void test_containers(void **state)
{
	struct fake_session *f = *state;
	struct watch one = file_watch(f, f->one, 0), two = file_watch(f, f->two, 0);

	fake_add(f, &one);
	fake_add(f, &two);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	follow_names(&f->session);
	assert_int_equal(count_names(f, "shadow", "/etc"), 2);
	assert_int_equal(f->one->n_trips_after, 1);
	assert_int_equal(f->two->n_trips_after, 1);
	watches_remove_container(f->session.watches, f->one);
	assert_int_equal(count_names(f, "shadow", "/etc"), 1);
	assert_non_null(fake_look(f, BASE, PARENT_INO));
}

/* What a name inherits: exceptions, and that its rule waits for the host name. */
static void test_inherits(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);
	const struct watch *name;

	watch.undecided = true;
	watch.selected = false;
	fake_add(f, &watch);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	follow_names(&f->session);
	name = watches_next(f->session.watches, BASE, PARENT_INO, NULL);
	assert_true(name->undecided);
	assert_false(name->selected);
	assert_ptr_equal(name->item, watch.item);
	assert_ptr_equal(name->container, f->one);
}

/* Nothing is followed for a file that is not watched, or by what no name is. */
static void test_nonsense(void **state)
{
	static const char *const bad[] = { "", "*", "a?", "a/b", "/", "**" };
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);
	struct guard_follow_record *record;

	fake_add(f, &watch);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start(f, GUARD_FOLLOW_GONE, 1, bad[i]);
		follow_names(&f->session);
	}
	start(f, GUARD_FOLLOW_GONE, 1, "shadow")->name = GUARD_NO_TEXT;
	follow_names(&f->session);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow")->parent.super = 0;
	follow_names(&f->session);
	start(f, GUARD_FOLLOW_GONE, 1, "shadow")->parent.super |=
		3; /* no address of a super block */
	follow_names(&f->session);
	record = start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	record->file.generation++;
	follow_names(&f->session);
	record = start(f, GUARD_FOLLOW_GONE, 1, "shadow");
	record->file.ino++;
	record->file.generation++;
	follow_names(&f->session);
	assert_int_equal(watches_count(f->session.watches), 1);
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO));
}

/* The record is the guest's word: names that one container gets by it are bounded. */
static void test_flood(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, 0);
	char name[32];

	fake_add(f, &watch);
	for (unsigned int i = 0; i < 9000; i++) {
		struct guard_follow_record *record;

		snprintf(name, sizeof(name), "name-%u", i);
		record = start(f, GUARD_FOLLOW_MOVED, 1, name);
		record->parent.ino += i % 100;
		record->parent.generation += i % 100;
		follow_names(&f->session);
	}
	assert_int_equal(f->one->n_followed, 8192);
	assert_in_range(watches_count(f->session.watches), 8192, 8200);
	assert_non_null(fake_look(f, FAKE_SUPER, FILE_INO));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gone),      TEST(test_moved),	    TEST(test_links),
		TEST(test_base_path), TEST(test_directory), TEST(test_containers),
		TEST(test_inherits),  TEST(test_nonsense),  TEST(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
