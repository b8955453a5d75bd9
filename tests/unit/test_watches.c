// SPDX-License-Identifier: GPL-2.0-or-later
/* Watches on a real table, in a vault read by the guard's own reader. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guard/cache.h"
#include "session/watches.h"
#include "util/cleanup.h"

#define MIB (1ULL << 20)
#define SUPER 0xffff888100000000ULL
#define OTHER 0xffff888100000800ULL
#define READ GUARD_OP_READ
#define WRITE GUARD_OP_WRITE
#define FOLLOW GUARD_OP_FOLLOW
#define MOUNT GUARD_OP_MOUNT

static char rule_a[] = "a", rule_b[] = "b", host_glob[] = "web-*", ids_glob[] = "c0ffee";
static char path_file[] = "/etc/shadow", path_glob[] = "/etc/*.conf", path_tool[] = "/bin/tool";
static char *paths[] = { path_file, path_glob }, *hostnames[] = { host_glob };
static char *tools[] = { path_tool }, *ids[] = { ids_glob };
static struct policy_uids uids[] = { { 1000, 1999 } };
static struct policy_exception excepts[] = {
	{ .executables = tools, .n_executables = 1 },
	{ .uids = uids,
	  .n_uids = 1,
	  .by_container = true,
	  .containers = { .ids = ids, .n_ids = 1 } },
};
static struct policy_rule rules[] = {
	{ .name = rule_a,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_WRITE,
	  .action = POLICY_DENY },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_READ | POLICY_WRITE,
	  .action = POLICY_AUDIT },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_WRITE,
	  .action = POLICY_DENY,
	  .containers = { .hostnames = hostnames, .n_hostnames = 1 } },
	{ .name = rule_a,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_READ | POLICY_EXEC,
	  .action = POLICY_KILL },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 2,
	  .operations = POLICY_READ,
	  .action = POLICY_DENY,
	  .except = excepts,
	  .n_except = 2 },
};
static struct policy policy = { .rules = rules, .n_rules = 5 };
enum {
	DENY,
	AUDIT,
	HOSTS,
	KILL,
	EXCEPT
};
#define FILE_OF(rule) (2 * (rule))
#define NAME_OF(rule) (2 * (rule) + 1)

struct fixture {
	uint8_t *vault;
	struct table *table;
	struct watches *watches;
	struct containers containers;
	struct container *one, *two;
	struct plan *plan;
};

static int set_up_sized(void **state, size_t size)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->vault = aligned_alloc(4096, size);
	assert_non_null(f->vault);
	memset(f->vault, 0, GUARD_VAULT_TABLES);
	assert_int_equal(table_new(&f->table, f->vault, size, false, NULL), 0);
	f->watches = watches_new(f->table, &f->containers);
	assert_non_null(f->watches);
	f->one = containers_add(&f->containers, 1);
	f->two = containers_add(&f->containers, 2);
	assert_int_equal(plan_new(&f->plan, &policy, NULL), 0);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_sized(state, 8 * MIB);
}

static int set_up_large(void **state)
{
	return set_up_sized(state, 16 * MIB);
}

/* Whatever a test left: the leak checker counts the references. */
static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->watches = watches_free(f->watches);
	containers_clear(&f->containers);
	f->table = table_free(f->table);
	f->plan = plan_free(f->plan);
	free(f->vault);
	free(f);
	return 0;
}

static const struct guard_entry *look(const struct fixture *f, uint64_t key, uint64_t ino)
{
	uint64_t table = ((const struct guard_vault *)f->vault)->table;

	return cache_find(f->vault, table, key, ino);
}

/* Of an item: its file, or the base of its pattern. */
static struct watch watch_of(const struct fixture *f, struct container *container, size_t item)
{
	const struct policy_rule *rule = &rules[item / 2];
	bool is_base = item & 1;

	return (struct watch){
		.kind = is_base ? WATCH_NAME : WATCH_FILE,
		.key = SUPER | (is_base ? GUARD_KEY_BASE : GUARD_KEY_FILE),
		.ino = is_base ? 10 : 11,
		.super = SUPER,
		.where = WATCH_LIVE,
		.container = container,
		.plan = f->plan,
		.item = &f->plan->items[item],
		.pattern = is_base ? path_glob + 5 : NULL,
		.operations = rule->operations,
		.selected = true,
	};
}

static void add(struct fixture *f, const struct watch *watch)
{
	assert_in_range(watches_add(f->watches, watch, NULL), 0, 1);
	assert_int_equal(watches_align(f->watches, NULL), 0);
}

/* How many watches of a file there are, and how many of them are a container's. */
static void assert_watches(const struct fixture *f, uint64_t ino, const struct container *container,
			   size_t n, size_t n_of_container)
{
	const struct watch *watch = NULL;

	while ((watch = watches_next(f->watches, SUPER, ino, watch))) {
		assert_int_equal(watch->key, SUPER);
		assert_int_equal(watch->ino, ino);
		n_of_container -= watch->container == container;
		n--;
	}
	assert_int_equal(n, 0);
	assert_int_equal(n_of_container, 0);
}

static struct watch mark_of(const struct fixture *f, struct container *container, uint32_t levels)
{
	return (struct watch){
		.kind = WATCH_MARK,
		.key = SUPER | GUARD_KEY_SUPER,
		.super = SUPER,
		.where = WATCH_LIVE,
		.container = container,
		.plan = f->plan,
		.levels = levels,
	};
}

static void assert_masks(const struct guard_entry *entry, uint32_t deny, uint32_t report)
{
	assert_non_null(entry);
	assert_int_equal(entry->deny, deny);
	assert_int_equal(entry->report, report);
}

static const struct guard_clause *clauses_at(const struct fixture *f,
					     const struct guard_entry *entry, size_t *ret_n)
{
	const struct guard_clauses *clauses;

	*ret_n = 0;
	if (!entry || !entry->clauses)
		return NULL;
	clauses = (const void *)(f->vault + entry->clauses * 8ULL);
	*ret_n = clauses->n;
	return clauses->clause;
}

/* Of the base that watch_of() says. */
static const struct guard_clause *patterns_of(const struct fixture *f, size_t *ret_n)
{
	return clauses_at(f, look(f, SUPER | GUARD_KEY_BASE, 10), ret_n);
}

static const char *text_of(const struct fixture *f, const struct guard_clause *clause)
{
	return (const char *)f->vault + clause->text;
}

static const struct guard_exception *excepts_of(const struct fixture *f,
						const struct guard_clause *clause)
{
	return (const void *)(f->vault + clause->exceptions * 8ULL);
}

static void assert_clause(const struct guard_clause *clause, uint32_t deny, uint32_t report,
			  uint32_t kill)
{
	assert_int_equal(clause->deny, deny);
	assert_int_equal(clause->report, report);
	assert_int_equal(clause->kill, kill);
}

/* One file, two containers, two rules: the entry is the sum, and shrinks back. Whoever watches a file, its name is followed. */
static void test_sums(void **state)
{
	struct fixture *f = *state;
	struct watch deny_one = watch_of(f, f->one, FILE_OF(DENY));
	struct watch audit_two = watch_of(f, f->two, FILE_OF(AUDIT));

	assert_int_equal(watches_add(f->watches, &deny_one, NULL), 1);
	assert_null(look(f, SUPER, 11)); /* not yet */
	assert_int_equal(watches_align(f->watches, NULL), 0);
	assert_watches(f, 11, f->one, 1, 1);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
	add(f, &audit_two);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | FOLLOW);
	assert_int_equal(watches_add(f->watches, &audit_two, NULL), 0); /* not twice */
	assert_int_equal(watches_count(f->watches), 2);
	assert_int_equal(f->one->n_refs, 2);
	assert_int_equal(f->two->n_refs, 2);
	assert_watches(f, 11, f->one, 2, 1);
	assert_watches(f, 11, f->two, 2, 1);
	assert_int_equal(look(f, SUPER, 11)->clauses, 0);

	watches_remove_container(f->watches, f->one);
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE | FOLLOW);
	assert_watches(f, 11, f->one, 1, 0);
	assert_watches(f, 11, f->two, 1, 1);
	assert_int_equal(f->one->n_refs, 1);
	watches_remove_container(f->watches, f->two);
	assert_null(look(f, SUPER, 11));
	assert_int_equal(watches_count(f->watches), 0);
	assert_int_equal(table_count(f->table), 0);
}

/* An inode that was given again is another file: what was watched before does not hold for it. */
static void test_generation(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, FILE_OF(DENY));
	struct watch new = watch_of(f, f->two, FILE_OF(AUDIT));
	struct watch old_base = watch_of(f, f->one, NAME_OF(DENY));
	struct watch new_base = watch_of(f, f->two, NAME_OF(AUDIT));
	size_t n;

	old.generation = old_base.generation = 1;
	new.generation = new_base.generation = 2;
	add(f, &old);
	add(f, &new);
	assert_int_equal(look(f, SUPER, 11)->generation, 2);
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE | FOLLOW);
	add(f, &old_base);
	add(f, &new_base);
	assert_int_equal(look(f, SUPER | GUARD_KEY_BASE, 10)->generation, 2);
	assert_clause(patterns_of(f, &n), 0, READ | WRITE, 0);
	assert_int_equal(n, 1);
	/* The new file goes: the old one's watches say what is left. */
	watches_remove_file(f->watches, SUPER, 11, 2);
	assert_int_equal(look(f, SUPER, 11)->generation, 1);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
	assert_int_equal(look(f, SUPER | GUARD_KEY_BASE, 10)->generation, 2);
}

static void test_bases(void **state)
{
	struct fixture *f = *state;
	static const char *const texts[] = { "*.conf", "*/*.conf", "**" };
	static const uint32_t deny[] = { WRITE, 0, WRITE },
			      report[] = { WRITE, READ | WRITE, WRITE };
	const struct guard_clause *patterns;
	size_t n;

	for (size_t i = 0; i < 3; i++) {
		struct watch watch = watch_of(f, i & 1 ? f->two : f->one, NAME_OF(i));

		watch.pattern = texts[i];
		add(f, &watch);
	}
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < 3; i++) { /* the newest is the first */
		assert_string_equal(text_of(f, &patterns[i]), texts[2 - i]);
		assert_clause(&patterns[i], deny[2 - i], report[2 - i], 0);
	}
	/* A base has no masks of its own: what is done to the directory itself is not what its patterns are about. */
	assert_masks(look(f, SUPER | GUARD_KEY_BASE, 10), 0, 0);
	watches_remove_container(f->watches, f->one);
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_string_equal(text_of(f, patterns), texts[1]);
	assert_clause(patterns, deny[1], report[1], 0);
	watches_remove_container(f->watches, f->two);
	assert_null(look(f, SUPER | GUARD_KEY_BASE, 10));
}

/* Watches with the same text, wherever it is kept, may or may not be one clause; what they say is the same. */
static void test_same_pattern(void **state)
{
	struct fixture *f = *state;
	struct watch deny = watch_of(f, f->one, NAME_OF(DENY));
	struct watch audit = watch_of(f, f->two, NAME_OF(AUDIT));
	const struct guard_clause *patterns;
	size_t n;

	add(f, &deny);
	add(f, &audit);
	patterns = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_string_equal(text_of(f, patterns), path_glob + 5);
	assert_clause(patterns, WRITE, READ | WRITE, 0);
	watches_remove_container(f->watches, f->one);
	assert_clause(patterns_of(f, &n), 0, READ | WRITE, 0);
	assert_int_equal(n, 1);
}

/* Texts that the watch is given to keep are its own copies. */
static void test_texts(void **state)
{
	char text[] = "name", base[] = "/etc";
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, NAME_OF(DENY));
	const struct watch *added;
	size_t n;

	watch.pattern = watch.text = text;
	watch.base_path = base;
	add(f, &watch);
	memset(text, 'x', 4);
	memset(base, 'x', 4);
	added = watches_next(f->watches, SUPER | GUARD_KEY_BASE, 10, NULL);
	assert_string_equal(added->base_path, "/etc");
	assert_string_equal(added->pattern, "name");
	assert_ptr_equal(added->text, added->pattern);
	assert_string_equal(text_of(f, patterns_of(f, &n)), "name");
	/* The same once more, from other memory, is the same. */
	memcpy(text, "name", 4);
	assert_int_equal(watches_add(f->watches, &watch, NULL), 0);
	memcpy(text, "mane", 4);
	assert_int_equal(watches_add(f->watches, &watch, NULL), 1);
	watches_abandon(f->watches);
}

/* What refuses by killing is a clause; so it is known which refusal kills. */
static void test_kill(void **state)
{
	const uint32_t kill = POLICY_READ | POLICY_EXEC;
	struct fixture *f = *state;
	struct watch deny = watch_of(f, f->one, FILE_OF(DENY));
	struct watch file = watch_of(f, f->two, FILE_OF(KILL));
	struct watch name = watch_of(f, f->two, NAME_OF(KILL));
	const struct guard_clause *clauses;
	size_t n;

	add(f, &deny);
	add(f, &file);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
	clauses = clauses_at(f, look(f, SUPER, 11), &n);
	assert_int_equal(n, 1);
	assert_int_equal(clauses->text, 0);
	assert_int_equal(clauses->n_exceptions, 0);
	assert_clause(clauses, kill, kill,
		      kill); /* FOLLOW is in the entry: no exception takes it away */
	add(f, &name);
	assert_clause(patterns_of(f, &n), kill, kill, kill);
	watches_remove_container(f->watches, f->two);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
	assert_int_equal(look(f, SUPER, 11)->clauses, 0);
	assert_null(patterns_of(f, &n));
}

static struct exceptions *exceptions_of(const struct fixture *f, uint64_t tool_ino)
{
	struct guard_resolved *resolved = calloc(f->plan->n_names, sizeof(*resolved));
	struct exceptions *exceptions;

	assert_non_null(resolved);
	for (size_t i = 0; i < f->plan->n_names; i++) {
		if (strcmp(f->plan->names[i].path, path_tool) != 0)
			continue;
		resolved[i].error = tool_ino ? 0 : -ENOENT;
		resolved[i].file = (struct guard_identity){ SUPER, tool_ino, 3, 0 };
	}
	assert_int_equal(exceptions_new(&exceptions, f->plan, EXCEPT, resolved), 0);
	free(resolved);
	return exceptions;
}

/* What has exceptions is a clause of its own: it counts unless one of them holds; and its file is followed all the same. */
static void test_exceptions(void **state)
{
	struct fixture *f = *state;
	struct exceptions *exceptions = exceptions_of(f, 77);
	struct watch file = watch_of(f, f->one, FILE_OF(EXCEPT));
	struct watch name = watch_of(f, f->one, NAME_OF(EXCEPT));
	struct watch other = watch_of(f, f->two, NAME_OF(DENY));
	const struct guard_exception *rows;
	const struct guard_clause *clauses;
	size_t n;

	file.exceptions = name.exceptions = exceptions;
	add(f, &file);
	assert_masks(look(f, SUPER, 11), 0, FOLLOW);
	clauses = clauses_at(f, look(f, SUPER, 11), &n);
	assert_int_equal(n, 1);
	assert_clause(clauses, READ, READ, 0);
	assert_int_equal(clauses->n_exceptions, 1); /* no container is c0ffee yet */
	rows = excepts_of(f, clauses);
	assert_int_equal(rows->parts, GUARD_EXCEPT_EXECUTABLE);
	assert_int_equal(rows->super, SUPER);
	assert_int_equal(rows->ino, 77);
	assert_int_equal(rows->generation, 3);

	/* The same pattern of a rule without exceptions is another clause. */
	add(f, &other);
	add(f, &name);
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 2);
	assert_int_equal(clauses[0].n_exceptions + clauses[1].n_exceptions, 1);
	exceptions_unref(exceptions); /* the watches have theirs */
	watches_remove_container(f->watches, f->one);
	assert_null(look(f, SUPER, 11));
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_int_equal(clauses->n_exceptions, 0);
}

/* A container that exceptions are for comes, and goes. */
static void test_refresh_exceptions(void **state)
{
	struct fixture *f = *state;
	struct exceptions *exceptions = exceptions_of(f, 0);
	struct watch file = watch_of(f, f->one, FILE_OF(EXCEPT));
	const struct guard_exception *rows;
	const struct guard_clause *clauses;
	struct container *friend;
	size_t n;

	file.exceptions = exceptions;
	add(f, &file);
	exceptions_unref(exceptions);
	clauses = clauses_at(f, look(f, SUPER, 11), &n);
	assert_int_equal(clauses->n_exceptions, 0); /* nothing there is excepted: for all */
	assert_clause(clauses, READ, READ, 0);

	friend = containers_add(&f->containers, 77);
	watches_refresh_exceptions(f->watches, friend); /* it is not one of them */
	assert_int_equal(watches_align(f->watches, NULL), 0);
	assert_int_equal(clauses_at(f, look(f, SUPER, 11), &n)->n_exceptions, 0);
	snprintf(friend->name.id, sizeof(friend->name.id), "c0ffee0123");
	watches_refresh_exceptions(f->watches, friend);
	assert_int_equal(watches_align(f->watches, NULL), 0);
	clauses = clauses_at(f, look(f, SUPER, 11), &n);
	assert_int_equal(clauses->n_exceptions, 1);
	rows = excepts_of(f, clauses);
	assert_int_equal(rows->parts, GUARD_EXCEPT_UID | GUARD_EXCEPT_SPACE);
	assert_int_equal(rows->space, 77);
	assert_int_equal(rows->uid_from, 1000);
	assert_int_equal(rows->uid_to, 1999);

	container_ref(friend);
	containers_remove(&f->containers, friend);
	watches_refresh_exceptions(f->watches, friend);
	assert_int_equal(watches_align(f->watches, NULL), 0);
	assert_int_equal(clauses_at(f, look(f, SUPER, 11), &n)->n_exceptions, 0);
	container_unref(friend);
}

/* A directory above: of a rule's paths, the container has it once, and its name is followed. */
static void test_above(void **state)
{
	struct fixture *f = *state;
	struct watch above = watch_of(f, f->one, FILE_OF(DENY)), other;

	above.kind = WATCH_ABOVE;
	above.operations = GUARD_OP_RENAME;
	assert_int_equal(watches_add(f->watches, &above, NULL), 1);
	above.item = &f->plan->items[NAME_OF(DENY)]; /* another path of the rule */
	assert_int_equal(watches_add(f->watches, &above, NULL), 0);
	assert_int_equal(watches_align(f->watches, NULL), 0);
	assert_masks(look(f, SUPER, 11), GUARD_OP_RENAME, GUARD_OP_RENAME | FOLLOW);
	other = above;
	other.item = &f->plan->items[FILE_OF(AUDIT)];
	other.operations = 0; /* a rule without rename: followed, no more */
	assert_int_equal(watches_add(f->watches, &other, NULL), 1);
	other.container = f->two;
	assert_int_equal(watches_add(f->watches, &other, NULL), 1);
	assert_int_equal(watches_align(f->watches, NULL), 0);
	watches_remove_container(f->watches, f->one);
	assert_masks(look(f, SUPER, 11), 0, FOLLOW);
}

/* A rule that is not for the container (as far as is known) says nothing; its file is followed, in case it will be. */
static void test_not_selected(void **state)
{
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, FILE_OF(DENY));

	watch.selected = false;
	add(f, &watch);
	assert_masks(look(f, SUPER, 11), 0, FOLLOW);
	assert_int_equal(watch_reports(&watch), FOLLOW);
	assert_int_equal(watch_denies(&watch), 0);
}

static struct watch mount_of(const struct fixture *f, struct container *container, size_t item,
			     uint32_t operations)
{
	struct watch watch = watch_of(f, container, item);

	watch.kind = WATCH_MOUNT;
	watch.key = GUARD_MOUNT_KEY(container->mnt_ns);
	watch.ino = GUARD_MOUNT_INO(SUPER, 11);
	watch.operations = operations;
	watch.pattern = NULL;
	return watch;
}

/* Mounts are judged by container: one's rules say nothing of the other's mounts. */
static void test_mounts(void **state)
{
	const uint64_t ino = GUARD_MOUNT_INO(SUPER, 11);
	struct fixture *f = *state;
	struct watch on = mount_of(f, f->one, FILE_OF(DENY), MOUNT);
	struct watch above = mount_of(f, f->one, FILE_OF(DENY), GUARD_OP_MOUNT_ABOVE);
	struct watch other = mount_of(f, f->two, FILE_OF(KILL), MOUNT);
	const struct guard_clause *clauses;
	size_t n;

	assert_int_equal(watches_add(f->watches, &on, NULL), 1);
	assert_int_equal(watches_add(f->watches, &above, NULL), 1); /* another operation */
	above.item = &f->plan->items[NAME_OF(DENY)];
	assert_int_equal(watches_add(f->watches, &above, NULL), 0);
	add(f, &other);
	assert_masks(look(f, GUARD_MOUNT_KEY(1), ino), MOUNT | GUARD_OP_MOUNT_ABOVE,
		     MOUNT | GUARD_OP_MOUNT_ABOVE);
	assert_masks(look(f, GUARD_MOUNT_KEY(2), ino), 0, 0);
	clauses = clauses_at(f, look(f, GUARD_MOUNT_KEY(2), ino), &n);
	assert_clause(clauses, MOUNT, MOUNT, MOUNT);
	assert_null(look(f, SUPER, 11));
	watches_remove_container(f->watches, f->one);
	assert_null(look(f, GUARD_MOUNT_KEY(1), ino));
	assert_non_null(look(f, GUARD_MOUNT_KEY(2), ino));
	watches_remove_super(f->watches, SUPER);
	assert_null(look(f, GUARD_MOUNT_KEY(2), ino));
}

/* Name spaces and credentials: an entry that is there, and whether the container must not start. They go with its root. */
static void test_spaces_and_creds(void **state)
{
	const uint64_t cred = SUPER + 0x300;
	struct fixture *f = *state;
	struct watch space = { .kind = WATCH_SPACE,
			       .key = GUARD_SPACE_KEY(1),
			       .super = SUPER,
			       .where = WATCH_LIVE,
			       .container = f->one,
			       .plan = f->plan };
	struct watch creds = space, refused = space;

	creds.kind = WATCH_CREDS;
	creds.key = cred | GUARD_KEY_CREDS;
	refused.key = GUARD_SPACE_KEY(2);
	refused.container = f->two;
	refused.super = OTHER;
	refused.refuses = true;
	add(f, &space);
	add(f, &creds);
	add(f, &refused);
	assert_masks(look(f, GUARD_SPACE_KEY(1), 0), 0, 0);
	assert_masks(look(f, cred | GUARD_KEY_CREDS, 0), 0, 0);
	assert_masks(look(f, GUARD_SPACE_KEY(2), 0), 1, 0);
	watches_remove_super(f->watches, SUPER);
	assert_null(look(f, GUARD_SPACE_KEY(1), 0));
	assert_null(look(f, cred | GUARD_KEY_CREDS, 0));
	assert_non_null(look(f, GUARD_SPACE_KEY(2), 0));
	watches_remove_container(f->watches, f->two);
	assert_int_equal(table_count(f->table), 0);
}

/* `cache: lazy`: one base, without a rule, until the first use. */
static void test_lazy(void **state)
{
	struct fixture *f = *state;
	struct watch lazy = watch_of(f, f->one, NAME_OF(DENY)), name = lazy;
	const struct guard_clause *clauses;
	size_t n;

	lazy.kind = WATCH_LAZY;
	lazy.item = NULL;
	lazy.operations = 0;
	lazy.selected = false;
	lazy.pattern = "**";
	add(f, &lazy);
	lazy.container = f->two;
	add(f, &lazy);
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_clause(clauses, 0, GUARD_OP_LAZY, 0);
	assert_string_equal(text_of(f, clauses), "**");
	add(f, &name);
	assert_true(watches_remove_kind(f->watches, f->one, WATCH_LAZY));
	assert_false(watches_remove_kind(f->watches, f->one, WATCH_LAZY));
	patterns_of(f, &n);
	assert_int_equal(n, 2); /* the other container's, and what was resolved */
	assert_true(watches_remove_kind(f->watches, f->two, WATCH_LAZY));
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_clause(clauses, WRITE, WRITE, 0);
	assert_int_equal(f->two->n_refs, 1);
}

/* A file that is gone, and no other. */
static void test_file_goes(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 4; i++) {
		struct watch watch = watch_of(f, i & 1 ? f->two : f->one, FILE_OF(i / 2));

		watch.generation = 5;
		add(f, &watch);
		watch.ino = 12;
		add(f, &watch);
		watch.key = OTHER;
		watch.ino = 11;
		add(f, &watch);
	}
	watches_remove_file(f->watches, SUPER, 11, 4);
	assert_non_null(look(f, SUPER, 11));
	watches_remove_file(f->watches, SUPER, 11, 5);
	assert_null(look(f, SUPER, 11));
	assert_non_null(look(f, SUPER, 12));
	assert_non_null(look(f, OTHER, 11));
	assert_int_equal(watches_count(f->watches), 8);
	watches_remove_file(f->watches, SUPER, 11, 5);
	watches_remove_file(f->watches, SUPER, 99, 5);
	assert_int_equal(watches_count(f->watches), 8);
}

/* What session/layers.c notes down: this container has the items @which of the layer. */
static void use_layer(const struct fixture *f, struct container *container, uint64_t ino,
		      unsigned int which)
{
	struct layer_use *use = calloc(1, sizeof(*use) + f->plan->n_items);

	assert_non_null(use);
	use->key = SUPER | GUARD_KEY_BASE;
	use->ino = ino;
	use->plan = f->plan;
	use->n_items = f->plan->n_items;
	for (size_t i = 0; i < f->plan->n_items; i++)
		use->items[i] = which >> i & 1;
	use->next = container->layers;
	container->layers = use;
}

static struct watch layer_of(const struct fixture *f, struct container *container, size_t item)
{
	struct watch watch = watch_of(f, container, item);

	watch.kind = WATCH_LAYER;
	watch.key = SUPER | GUARD_KEY_BASE;
	watch.ino = 10;
	watch.pattern = f->plan->items[item].path + 1;
	watch.base_path = (char *)"";
	return watch;
}

/* A layer that several containers have is watched once, until the last of them goes; and is always one of theirs. */
static void test_layers(void **state)
{
	struct fixture *f = *state;
	struct container *three = containers_add(&f->containers, 3), *order[3];
	const uint64_t key = SUPER | GUARD_KEY_BASE;
	const struct watch *watch;
	size_t n;

	for (unsigned int first = 0; first < 6; first++) {
		struct container *all[] = { f->one, f->two, three };

		for (size_t i = 0; i < 3; i++) {
			struct watch like = layer_of(f, all[i], NAME_OF(DENY));

			use_layer(f, all[i], 10, 1 << NAME_OF(DENY));
			assert_int_equal(watches_add(f->watches, &like, NULL), 1); /* counted */
		}
		assert_int_equal(watches_align(f->watches, NULL), 0);
		assert_int_equal(watches_count(f->watches), 1);
		assert_clause(patterns_of(f, &n), WRITE, WRITE, 0);
		assert_int_equal(n, 1);
		order[0] = all[first % 3];
		order[1] = all[(first + 1 + first / 3) % 3];
		order[2] = all[(first + 2 - first / 3) % 3];
		for (size_t gone = 0; gone < 3; gone++) {
			watch = watches_next(f->watches, key, 10, NULL);
			assert_non_null(watch);
			assert_int_equal(watch->n_users, 3 - gone);
			for (size_t i = 0; i < gone; i++)
				assert_ptr_not_equal(watch->container, order[i]);
			watches_remove_container(f->watches, order[gone]);
			assert_null(order[gone]->layers);
			assert_int_equal(order[gone]->n_refs, 1);
		}
		assert_null(watches_next(f->watches, key, 10, NULL));
		assert_null(look(f, key, 10));
		assert_int_equal(watches_count(f->watches), 0);
	}
}

/* Containers with rules of their own in one layer: only what nobody has any more goes. */
static void test_layers_by_item(void **state)
{
	struct fixture *f = *state;
	const struct guard_clause *clauses;
	struct watch watch;
	size_t n;

	use_layer(f, f->one, 10, 1 << FILE_OF(DENY) | 1 << NAME_OF(DENY));
	use_layer(f, f->one, 9, 1 << NAME_OF(DENY)); /* another layer */
	use_layer(f, f->two, 10, 1 << NAME_OF(DENY) | 1 << NAME_OF(AUDIT));
	watch = layer_of(f, f->one, FILE_OF(DENY));
	add(f, &watch);
	watch = layer_of(f, f->one, NAME_OF(DENY));
	add(f, &watch);
	watch.ino = 9;
	add(f, &watch);
	watch = layer_of(f, f->two, NAME_OF(DENY));
	add(f, &watch);
	watch = layer_of(f, f->two, NAME_OF(AUDIT));
	add(f, &watch);
	assert_int_equal(watches_count(f->watches), 4);
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 2); /* the same of two rules is one */
	watches_remove_container(f->watches, f->one);
	assert_null(look(f, SUPER | GUARD_KEY_BASE, 9));
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_string_equal(text_of(f, clauses), "etc/*.conf");
	assert_clause(clauses, WRITE, READ | WRITE, 0);
	watches_remove_container(f->watches, f->two);
	assert_int_equal(table_count(f->table), 0);
}

/* Exceptions are each container's own, so its layers' watches are too: they go when it goes, and stay while it stays. */
static void test_layers_with_exceptions(void **state)
{
	struct fixture *f = *state;
	struct exceptions *ones = exceptions_of(f, 71), *twos = exceptions_of(f, 72);
	struct watch one = layer_of(f, f->one, NAME_OF(EXCEPT));
	struct watch two = layer_of(f, f->two, NAME_OF(EXCEPT));
	const struct guard_clause *clauses;
	size_t n;

	one.exceptions = ones;
	two.exceptions = twos;
	use_layer(f, f->one, 10, 1 << NAME_OF(EXCEPT));
	use_layer(f, f->two, 10, 1 << NAME_OF(EXCEPT));
	add(f, &one);
	add(f, &two);
	exceptions_unref(ones);
	exceptions_unref(twos);
	patterns_of(f, &n);
	assert_int_equal(n, 2);
	watches_remove_container(f->watches, f->one);
	clauses = patterns_of(f, &n);
	assert_int_equal(n, 1);
	assert_int_equal(excepts_of(f, clauses)->ino, 72);
	assert_ptr_equal(watches_next(f->watches, SUPER | GUARD_KEY_BASE, 10, NULL)->container,
			 f->two);
	watches_remove_container(f->watches, f->two);
	assert_null(patterns_of(f, &n));
}

/* When the session ends with containers running, all they have goes too: the leak checker sees it. */
static void test_layers_left(void **state)
{
	struct fixture *f = *state;
	struct watch watch = layer_of(f, f->one, NAME_OF(DENY));

	use_layer(f, f->one, 10, 1 << NAME_OF(DENY));
	use_layer(f, f->one, 9, 1 << NAME_OF(DENY));
	add(f, &watch);
}

/* A container that starts while a policy is built has its layers in both tables, one that ran in the new one. */
static void test_layers_while_building(void **state)
{
	struct fixture *f = *state;
	struct watch ran = layer_of(f, f->one, NAME_OF(DENY));
	struct watch starts = layer_of(f, f->two, NAME_OF(DENY));
	size_t n;

	use_layer(f, f->one, 10, 1 << NAME_OF(DENY));
	use_layer(f, f->two, 10, 1 << NAME_OF(DENY));
	assert_int_equal(watches_begin(f->watches, NULL), 0);
	ran.where = WATCH_BUILDING;
	starts.where = WATCH_LIVE | WATCH_BUILDING;
	add(f, &ran);
	assert_null(patterns_of(f, &n));
	add(f, &starts);
	assert_non_null(patterns_of(f, &n));
	assert_int_equal(watches_count(f->watches), 1);
	watches_publish(f->watches);
	assert_non_null(patterns_of(f, &n));
	watches_remove_container(f->watches, f->two);
	assert_non_null(patterns_of(f, &n));
	watches_remove_container(f->watches, f->one);
	assert_null(patterns_of(f, &n));
}

/* As many levels as the deepest pattern needs, of whoever is left. */
static void test_super_marks(void **state)
{
	struct fixture *f = *state;
	struct watch shallow = mark_of(f, f->one, 1), deep = mark_of(f, f->two, 7);
	struct watch none = mark_of(f, f->one, 0);

	add(f, &none);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 0);
	add(f, &shallow);
	add(f, &deep);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 7);
	add(f, &none); /* less than there is: nothing new */
	assert_int_equal(watches_count(f->watches), 3);
	watches_remove_container(f->watches, f->two);
	assert_int_equal(look(f, SUPER | GUARD_KEY_SUPER, 0)->deny, 1);
	watches_remove_super(f->watches, OTHER);
	assert_non_null(look(f, SUPER | GUARD_KEY_SUPER, 0));
	watches_remove_super(f->watches, SUPER);
	assert_null(look(f, SUPER | GUARD_KEY_SUPER, 0));
	assert_int_equal(watches_count(f->watches), 0);
}

static void test_super_goes(void **state)
{
	struct fixture *f = *state;
	struct watch elsewhere = watch_of(f, f->one, 0), mark = mark_of(f, f->one, 1);

	for (size_t i = 0; i < 6; i++) {
		struct watch watch = watch_of(f, f->one, i);

		add(f, &watch);
	}
	add(f, &mark);
	elsewhere.key = elsewhere.super = OTHER;
	add(f, &elsewhere);
	watches_remove_super(f->watches, SUPER);
	assert_int_equal(watches_count(f->watches), 1);
	assert_int_equal(table_count(f->table), 1);
	assert_non_null(look(f, OTHER, 11));
	assert_int_equal(f->one->n_refs, 2);
}

/* A new policy: nothing of it shows before publish, nothing of the old one after. */
static void test_publish(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, 0), new = watch_of(f, f->one, 2);
	struct watch both = watch_of(f, f->two, 2), base = watch_of(f, f->one, 3);

	add(f, &old);
	assert_int_equal(watches_begin(f->watches, NULL), 0);
	assert_true(watches_is_building(f->watches));
	new.where = base.where = WATCH_BUILDING;
	both.where = WATCH_LIVE | WATCH_BUILDING;
	both.ino = 12;
	add(f, &new);
	add(f, &base);
	add(f, &both); /* a container that starts now is guarded by both */
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
	assert_masks(look(f, SUPER, 12), 0, READ | WRITE | FOLLOW);
	assert_null(look(f, SUPER | GUARD_KEY_BASE, 10));
	watches_publish(f->watches);
	assert_false(watches_is_building(f->watches));
	assert_masks(look(f, SUPER, 11), 0, READ | WRITE | FOLLOW);
	assert_masks(look(f, SUPER, 12), 0, READ | WRITE | FOLLOW);
	assert_non_null(look(f, SUPER | GUARD_KEY_BASE, 10));
	assert_int_equal(watches_count(f->watches), 3);
	assert_int_equal(f->one->n_refs, 3);
	/* And it goes on from there. */
	add(f, &old);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | FOLLOW);
	watches_remove_container(f->watches, f->one);
	assert_null(look(f, SUPER, 11));
	assert_int_equal(table_count(f->table), 1);
}

static void test_abandon(void **state)
{
	struct fixture *f = *state;
	struct watch old = watch_of(f, f->one, 0), new = watch_of(f, f->one, 2);
	struct watch both = watch_of(f, f->two, 2);

	add(f, &old);
	assert_int_equal(watches_begin(f->watches, NULL), 0);
	new.where = WATCH_BUILDING;
	both.where = WATCH_LIVE | WATCH_BUILDING;
	add(f, &new);
	add(f, &both);
	watches_abandon(f->watches);
	assert_int_equal(watches_count(f->watches), 2);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | FOLLOW);
	watches_remove_container(f->watches, f->two);
	assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
}

/* A container that goes while a policy is built, from both tables. */
static void test_remove_while_building(void **state)
{
	struct fixture *f = *state;

	for (unsigned int round = 0; round < 2; round++) {
		struct watch watch = watch_of(f, f->one, 0);

		assert_int_equal(watches_begin(f->watches, NULL), 0);
		watch.where = WATCH_LIVE | WATCH_BUILDING;
		add(f, &watch);
		watch = watch_of(f, f->two, 2);
		watch.where = WATCH_BUILDING;
		add(f, &watch);
		watches_remove_container(f->watches, f->one);
		assert_null(round ? NULL : look(f, SUPER, 11));
		watches_publish(f->watches);
		assert_masks(look(f, SUPER, 11), 0, READ | WRITE | FOLLOW);
	}
}

static void test_settle(void **state)
{
	struct fixture *f = *state;
	struct watch ask = watch_of(f, f->one, FILE_OF(HOSTS));
	struct watch ask_base = watch_of(f, f->one, NAME_OF(HOSTS));
	struct watch other = watch_of(f, f->two, FILE_OF(HOSTS));
	struct watch sure = watch_of(f, f->one, FILE_OF(AUDIT));
	const uint32_t ask_and_follow = GUARD_OP_ASK | FOLLOW;
	size_t n;

	ask.undecided = ask_base.undecided = other.undecided = true;
	add(f, &ask);
	add(f, &ask_base);
	add(f, &other);
	add(f, &sure);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | ask_and_follow);
	assert_clause(patterns_of(f, &n), WRITE, WRITE | GUARD_OP_ASK, 0);

	/* Not known yet: judged by the name there is now, asked again next time. */
	watches_settle(f->watches, f->one, "guest", false);
	assert_clause(patterns_of(f, &n), 0, GUARD_OP_ASK, 0);
	assert_int_equal(n, 1);

	watches_settle(f->watches, f->one, "web-7", true);
	assert_clause(patterns_of(f, &n), WRITE, WRITE, 0);
	/* The other container's is still open. */
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | ask_and_follow);
	watches_settle(f->watches, f->two, "db-1", true);
	assert_masks(look(f, SUPER, 11), WRITE, READ | WRITE | FOLLOW);
	watches_remove_container(f->watches, f->one);
	assert_masks(look(f, SUPER, 11), 0, FOLLOW);
	/* What is settled stays so. */
	watches_settle(f->watches, f->two, "web-1", true);
	assert_masks(look(f, SUPER, 11), 0, FOLLOW);
}

/* A late event finds what is watched now, by its identity: nothing that is gone, and nothing of another file. */
static void test_walks(void **state)
{
	struct fixture *f = *state;
	struct watch one = watch_of(f, f->one, FILE_OF(DENY));
	struct watch two = watch_of(f, f->two, FILE_OF(AUDIT));

	for (size_t i = 0; i < 1000; i++) {
		add(f, &one);
		assert_watches(f, 11, f->one, 1, 1);
		watches_remove_container(f->watches, f->one);
		assert_watches(f, 11, f->one, 0, 0);
		assert_int_equal(watches_count(f->watches), 0);
	}
	for (uint32_t i = 0; i < 3000; i++) {
		one.ino = two.ino = 100 + i;
		add(f, &one);
		if (i & 1)
			add(f, &two);
	}
	assert_int_equal(watches_count(f->watches), 4500);
	for (uint32_t i = 0; i < 3000; i++)
		assert_watches(f, 100 + i, f->one, 1 + (i & 1), 1);
	assert_null(watches_next(f->watches, SUPER, 3100, NULL));
	assert_null(watches_next(f->watches, OTHER, 100, NULL));
}

/* A watch outlives its container's place on the list: an event that comes late can say whose it was. */
static void test_container_outlived(void **state)
{
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 0);

	add(f, &watch);
	containers_remove(&f->containers, f->one);
	assert_null(containers_find(&f->containers, 1));
	assert_int_equal(watches_next(f->watches, SUPER, 11, NULL)->container->mnt_ns, 1);
	containers_remove(&f->containers, f->one); /* not there any more */
	assert_int_equal(f->containers.n, 1);
}

/* No room: nothing has changed. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 0);
	struct error err = { 0 };
	size_t n;

	for (uint32_t i = 0;; i++) {
		watch.ino = 100 + i;
		n = watches_count(f->watches);
		assert_int_equal(watches_add(f->watches, &watch, NULL), 1);
		if (watches_align(f->watches, &err) < 0)
			break;
	}
	assert_int_equal(err.code, -ENOSPC);
	assert_int_equal(watches_count(f->watches), n);
	assert_int_equal(table_count(f->table), n);
	assert_int_equal(n, table_capacity(f->table));
	assert_null(watches_next(f->watches, watch.key, watch.ino, NULL));
	assert_int_equal(f->one->n_refs, 1 + n);
}

/* Many patterns below many directories, entered one after the other while a table is built: they fit. */
static void test_many_patterns(void **state)
{
	struct fixture *f = *state;
	size_t n;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	for (uint64_t c = 0; c < 50; c++) {
		for (uint64_t i = 0; i < 100; i++) {
			static char names[100][24];
			struct watch watch = watch_of(f, f->one, 1);

			snprintf(names[i], sizeof(names[i]), "directory-%02u/*.conf", (unsigned)i);
			watch.super = SUPER + 2048 * c;
			watch.key = watch.super | GUARD_KEY_BASE;
			watch.pattern = names[i];
			watch.where = WATCH_BUILDING;
			add(f, &watch);
		}
	}
	watches_publish(f->watches);
	patterns_of(f, &n);
	assert_int_equal(n, 100);
	watches_remove_container(f->watches, f->one);
	assert_int_equal(table_count(f->table), 0);
}

/*
 * A container that starts while a table is built is entered in the one in force too, where every change of a base
 * uses up a slot: as many patterns as a base can have are one change. More than that: the oldest hold.
 */
static void test_many_at_once(void **state)
{
	static char names[GUARD_MAX_PATTERNS + 10][24];
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 1), file = watch_of(f, f->one, 0);
	const struct guard_clause *patterns;
	struct error err = { 0 };
	size_t n;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	watch.where = file.where = WATCH_LIVE | WATCH_BUILDING;
	for (size_t i = 0; i < GUARD_MAX_PATTERNS + 10; i++) {
		snprintf(names[i], sizeof(names[i]), "directory-%04zu/*.conf", i);
		watch.pattern = names[i];
		assert_int_equal(watches_add(f->watches, &watch, NULL), 1);
	}
	assert_int_equal(watches_add(f->watches, &file, NULL), 1);
	assert_null(patterns_of(f, &n));
	assert_int_equal(watches_align(f->watches, &err), -E2BIG);
	assert_non_null(strstr(err.message, "more than 4096 patterns"));
	assert_int_equal(watches_align(f->watches, NULL), 0); /* the others are gone */
	assert_int_equal(watches_count(f->watches), GUARD_MAX_PATTERNS + 1);
	for (unsigned int published = 0; published < 2; published++) {
		assert_masks(look(f, SUPER, 11), WRITE, WRITE | FOLLOW);
		patterns = patterns_of(f, &n);
		assert_int_equal(n, GUARD_MAX_PATTERNS);
		for (size_t i = 0; i < n; i++)
			assert_string_equal(text_of(f, &patterns[i]), names[n - 1 - i]);
		if (!published)
			watches_publish(f->watches);
	}
	assert_int_equal(f->one->n_refs, 1 + GUARD_MAX_PATTERNS + 1);
}

/* The table being built has the less room for patterns: as many as fit there hold in both. */
static void test_many_too_long(void **state)
{
	static char names[1100][1000];
	struct fixture *f = *state;
	struct watch watch = watch_of(f, f->one, 1);
	size_t n, n_published;

	assert_int_equal(watches_begin(f->watches, NULL), 0);
	watch.where = WATCH_LIVE | WATCH_BUILDING;
	for (size_t i = 0; i < 1100; i++) {
		memset(names[i], 'x', sizeof(names[i]) - 1);
		snprintf(names[i], sizeof(names[i]), "%04zu", i);
		names[i][4] = 'x';
		watch.pattern = names[i];
		assert_int_equal(watches_add(f->watches, &watch, NULL), 1);
	}
	assert_int_equal(watches_align(f->watches, NULL), -ENOSPC);
	patterns_of(f, &n);
	assert_in_range(n, 1000, 1099);
	assert_int_equal(watches_count(f->watches), n);
	watches_publish(f->watches);
	patterns_of(f, &n_published);
	assert_int_equal(n_published, n);
}

static uint32_t random_next(uint64_t *random)
{
	*random = *random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*random >> 33);
}

/* What the watches of an entry add up to, said again: each pattern's masks, and the file's own. */
static void check_base(const struct fixture *f, uint64_t ino)
{
	const uint64_t key = SUPER | GUARD_KEY_BASE;
	const struct guard_entry *base = look(f, key, ino);
	uint32_t deny = 0, report = 0, kill = 0;
	const struct guard_clause *clauses;
	const struct watch *watch = NULL;
	size_t n, n_watches = 0;

	while ((watch = watches_next(f->watches, key, ino, watch))) {
		const struct policy_rule *rule = &rules[watch->item->rule];

		report |= watch->operations;
		deny |= rule->action != POLICY_AUDIT ? watch->operations : 0;
		kill |= rule->action == POLICY_KILL ? watch->operations : 0;
		n_watches++;
	}
	clauses = clauses_at(f, base, &n);
	assert_int_equal(n, n_watches ? 1 : 0);
	if (n)
		assert_clause(clauses, deny, report, kill);
	else
		assert_null(base);
}

static void check_file(const struct fixture *f, uint64_t ino)
{
	const struct guard_entry *file = look(f, SUPER, ino);
	uint32_t deny = 0, report = 0, kill = 0;
	const struct guard_clause *clauses;
	const struct watch *watch = NULL;
	bool any = false;
	size_t n;

	while ((watch = watches_next(f->watches, SUPER, ino, watch))) {
		const struct policy_rule *rule = &rules[watch->item->rule];

		any = true;
		if (rule->action == POLICY_KILL) {
			kill |= watch->operations;
			continue;
		}
		report |= watch->operations;
		deny |= rule->action == POLICY_DENY ? watch->operations : 0;
	}
	if (!any) {
		assert_null(file);
		return;
	}
	assert_masks(file, deny, report | FOLLOW);
	clauses = clauses_at(f, file, &n);
	assert_int_equal(n, kill ? 1 : 0);
	if (n)
		assert_clause(clauses, kill, kill, kill);
}

/* Any order of everything, against what the watches add up to. */
static void test_random(void **state)
{
	struct fixture *f = *state;
	uint64_t random = 12345;

	for (unsigned int step = 0; step < 4000; step++) {
		uint32_t what = random_next(&random);
		struct container *container = what & 128 ? f->one : f->two;

		if (what % 100 < 80) {
			struct watch watch = watch_of(f, container, what / 256 % NAME_OF(EXCEPT));

			watch.ino += what / 8192 % 16;
			watch.where = watches_is_building(f->watches) ? 1 + what / 65536 % 3
								      : WATCH_LIVE;
			assert_in_range(watches_add(f->watches, &watch, NULL), 0, 1);
		} else if (what % 100 < 84) {
			watches_remove_container(f->watches, container);
		} else if (what % 100 < 85) {
			watches_remove_kind(f->watches, container,
					    what & 256 ? WATCH_FILE : WATCH_NAME);
		} else if (what % 100 < 87) {
			watches_remove_file(f->watches, SUPER, 11 + what / 8192 % 16, 0);
		} else if (what % 100 < 88) {
			watches_remove_super(f->watches, SUPER);
		} else if (!watches_is_building(f->watches)) {
			assert_int_equal(watches_begin(f->watches, NULL), 0);
		} else if (what & 128) {
			watches_publish(f->watches);
		} else {
			watches_abandon(f->watches);
		}
		if (what & 64) /* later, whatever happens until then */
			continue;
		assert_int_equal(watches_align(f->watches, NULL), 0);
		for (uint64_t ino = 10; ino < 28; ino++) {
			check_file(f, ino);
			check_base(f, ino);
		}
	}
}

/* Layers of many containers that come and go, in any order: each item is watched where a container has it, no longer, no shorter. */
static void test_random_layers(void **state)
{
	struct fixture *f = *state;
	const uint64_t key = SUPER | GUARD_KEY_BASE;
	struct container *all[8] = { f->one, f->two };
	unsigned int has[8] = { 0 };
	uint64_t random = 4711;

	for (size_t i = 2; i < 8; i++)
		all[i] = containers_add(&f->containers, 1 + i);
	for (unsigned int step = 0; step < 3000; step++) {
		uint32_t what = random_next(&random), c = what % 8, items = what / 8 & 63;
		unsigned int wanted = 0;

		if (has[c]) {
			watches_remove_container(f->watches, all[c]);
			has[c] = 0;
		} else if (items) {
			use_layer(f, all[c], 10, items);
			has[c] = items;
			for (size_t i = 0; i < 6; i++) {
				struct watch watch = layer_of(f, all[c], i);

				if (items >> i & 1)
					assert_int_equal(watches_add(f->watches, &watch, NULL), 1);
			}
			assert_int_equal(watches_align(f->watches, NULL), 0);
		}
		for (size_t i = 0; i < 8; i++)
			wanted |= has[i];
		for (const struct watch *w = watches_next(f->watches, key, 10, NULL); w;
		     w = watches_next(f->watches, key, 10, w)) {
			size_t item = (size_t)(w->item - f->plan->items), owner = 0, n_users = 0;

			while (all[owner] != w->container)
				owner++;
			for (size_t i = 0; i < 8; i++)
				n_users += has[i] >> item & 1;
			assert_true(has[owner] >> item & 1);
			assert_int_equal(w->n_users, n_users);
			assert_true(wanted >> item & 1);
			wanted &= ~(1u << item);
		}
		assert_int_equal(wanted, 0);
	}
	for (size_t i = 0; i < 8; i++)
		watches_remove_container(f->watches, all[i]);
	assert_int_equal(watches_count(f->watches), 0);
	assert_int_equal(table_count(f->table), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sums),
		TEST(test_generation),
		TEST(test_bases),
		TEST(test_same_pattern),
		TEST(test_texts),
		TEST(test_kill),
		TEST(test_exceptions),
		TEST(test_refresh_exceptions),
		TEST(test_above),
		TEST(test_not_selected),
		TEST(test_mounts),
		TEST(test_spaces_and_creds),
		TEST(test_lazy),
		TEST(test_file_goes),
		TEST(test_layers),
		TEST(test_layers_by_item),
		TEST(test_layers_with_exceptions),
		TEST(test_layers_left),
		TEST(test_layers_while_building),
		TEST(test_super_marks),
		TEST(test_super_goes),
		TEST(test_publish),
		TEST(test_abandon),
		TEST(test_remove_while_building),
		TEST(test_settle),
		TEST(test_walks),
		TEST(test_container_outlived),
		TEST(test_full),
		cmocka_unit_test_setup_teardown(test_many_patterns, set_up_large, tear_down),
		TEST(test_many_at_once),
		TEST(test_many_too_long),
		TEST(test_random),
		TEST(test_random_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
