// SPDX-License-Identifier: GPL-2.0-or-later
/* From a record to its events: under which rule, of whose file, by which paths, and how often. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "session/report.h"

#include "fake_session.h"

#define READ GUARD_OP_READ
#define WRITE GUARD_OP_WRITE
#define CREATE GUARD_OP_CREATE
#define RENAME GUARD_OP_RENAME
#define LINK GUARD_OP_LINK
#define MOUNT GUARD_OP_MOUNT
#define FILE_INO 11
#define BASE_INO 10

enum {
	AUDIT,
	DENY,
	SECOND,
	KILL,
	HOSTS,
	N_RULES
};

static char names[N_RULES][8] = { "audit", "deny", "second", "kill", "hosts" };
static char shadow[] = "/etc/shadow", conf[] = "/etc/*.conf", message[] = "hands off";
static char web[] = "web-*", *hostnames[] = { web };
static char *paths[] = { shadow, conf };
static struct policy_rule rules[N_RULES] = {
	[AUDIT] = { .operations = READ | WRITE | RENAME, .action = POLICY_AUDIT },
	[DENY] = { .operations = WRITE | RENAME | CREATE | LINK | MOUNT,
		   .action = POLICY_DENY,
		   .severity = POLICY_SEVERITY_HIGH,
		   .message = message },
	[SECOND] = { .operations = WRITE | READ, .action = POLICY_DENY },
	[KILL] = { .operations = WRITE, .action = POLICY_KILL },
	[HOSTS] = { .operations = WRITE,
		    .action = POLICY_DENY,
		    .containers = { .hostnames = hostnames, .n_hostnames = 1 } },
};

static int set_up(void **state)
{
	for (size_t i = 0; i < N_RULES; i++) {
		rules[i].name = names[i];
		rules[i].paths = paths;
		rules[i].n_paths = 2;
	}
	*state = fake_session_new(rules, N_RULES);
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

/* "*.conf" that hangs from /etc. */
static struct watch name_watch(const struct fake_session *f, struct container *container,
			       uint32_t rule)
{
	struct watch watch = fake_watch(f, container, fake_item(f, rule, 1), FAKE_SUPER, BASE_INO,
					conf + strlen("/etc/"));

	watch.base_path = (char *)"/etc";
	return watch;
}

/* A record of what a process in the first container does to the file, by its identity. */
static struct guard_file_record *start(struct fake_session *f, uint32_t reported, uint32_t denied,
				       const char *path)
{
	struct guard_file_record *record = &f->session.ring.copy.file;

	memset(&f->session.ring.copy, 0, sizeof(f->session.ring.copy));
	f->text = sizeof(*record);
	f->n_events = 0;
	record->record.type = GUARD_RECORD_FILE;
	record->record.time_ns = 4711;
	record->operations = record->reported = reported;
	record->denied = denied;
	record->file = fake_identity(FAKE_SUPER, FILE_INO);
	record->mode = 0100600;
	record->file_size = 99;
	record->uid = 3;
	record->gid = 4;
	record->process = (struct guard_process){
		.pid = 500,
		.tid = 501,
		.inner_pid = 5,
		.inner_tid = 6,
		.uid = 1,
		.gid = 2,
		.euid = 3,
		.egid = 4,
		.start_ns = 77,
		.mnt_ns = 101,
		.name = "cat",
		.parents = { { 400, 9, "sh" }, { 1, 0, "init" } },
		.n_parents = 2,
	};
	record->path = record->super_path = fake_text(f, path);
	record->other_path = GUARD_NO_TEXT;
	record->executable = fake_text(f, "/bin/cat");
	return record;
}

/* The same by a pattern, @depth names below its base. */
static struct guard_file_record *start_name(struct fake_session *f, uint32_t reported,
					    uint32_t denied, const char *path, uint32_t depth)
{
	struct guard_file_record *record = start(f, reported, denied, path);

	record->depth = depth;
	record->base = fake_identity(FAKE_SUPER, BASE_INO);
	record->file = fake_identity(FAKE_SUPER, 50);
	return record;
}

static const struct event *one_event(const struct fake_session *f)
{
	assert_int_equal(f->n_events, 1);
	return &f->events[0];
}

static void test_event(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, DENY);
	const struct event *event;

	fake_add(f, &watch);
	start(f, WRITE, WRITE, shadow);
	report_file(&f->session);
	event = one_event(f);
	assert_int_equal(event->sequence, 0);
	assert_int_equal(event->guest_time_ns, 4711);
	assert_string_equal(event->vm, "vm");
	assert_string_equal(event->rule, "deny");
	assert_string_equal(event->message, message);
	assert_int_equal(event->severity, POLICY_SEVERITY_HIGH);
	assert_int_equal(event->action, POLICY_DENY);
	assert_int_equal(event->operation, WRITE);
	assert_true(event->denied);
	assert_false(event->killed);
	assert_string_equal(event->file.path, shadow);
	assert_string_equal(event->file.accessed_path, shadow);
	assert_string_equal(event->file.source_path, "");
	assert_string_equal(event->file.target_path, "");
	assert_int_equal(event->file.device_major, 8);
	assert_int_equal(event->file.device_minor, 1);
	assert_int_equal(event->file.inode, FILE_INO);
	assert_int_equal(event->file.generation, 1000 + FILE_INO);
	assert_int_equal(event->file.mode, 0100600);
	assert_int_equal(event->file.size, 99);
	assert_int_equal(event->file.uid, 3);
	assert_int_equal(event->file.gid, 4);
	assert_int_equal(event->process.pid, 500);
	assert_int_equal(event->process.tid, 501);
	assert_int_equal(event->process.inner_pid, 5);
	assert_int_equal(event->process.ppid, 400);
	assert_int_equal(event->process.n_parents, 2);
	assert_string_equal(event->process.parents[1].name, "init");
	assert_string_equal(event->process.executable, "/bin/cat");
	assert_true(event->process.in_container);
	assert_string_equal(event->container.id, "111111111111");
	assert_string_equal(event->container.engine, "docker");
	assert_int_equal(f->session.n_events, 1);
	assert_int_equal(f->session.n_denied, 1);
	assert_int_equal(f->session.n_unattributed, 0);
}

/* Each operation that was reported is an event; what was only attempted is none. */
static void test_operations(void **state)
{
	struct fake_session *f = *state;
	struct watch audit = file_watch(f, f->one, AUDIT), deny = file_watch(f, f->one, DENY);

	fake_add(f, &audit);
	fake_add(f, &deny);
	start(f, READ | WRITE, WRITE, shadow)->operations = READ | WRITE | GUARD_OP_EXEC;
	report_file(&f->session);
	assert_int_equal(f->n_events, 2);
	assert_int_equal(f->events[0].operation, READ);
	assert_string_equal(f->events[0].rule, "audit");
	assert_int_equal(f->events[1].operation, WRITE);
	assert_string_equal(f->events[1].rule, "deny");
	assert_true(f->events[0].denied); /* the open was refused */
	assert_int_equal(f->events[1].sequence, f->events[0].sequence + 1);
	/* Bits that are no operations are nobody's. */
	start(f, 0, 0, shadow)->reported = ~GUARD_OP_COPY_UP & ~((1u << GUARD_N_OPERATIONS) - 1);
	report_file(&f->session);
	assert_int_equal(f->n_events, 0);
}

static void test_rule(void **state)
{
	struct fake_session *f = *state;
	struct watch watches[] = { file_watch(f, f->two, DENY), file_watch(f, f->one, SECOND),
				   file_watch(f, f->one, AUDIT), file_watch(f, f->one, HOSTS) };

	watches[3].selected = false; /* for another host name */
	for (size_t i = 0; i < ARRAY_SIZE(watches); i++)
		fake_add(f, &watches[i]);
	/* Refused: by a rule that refuses; of these by one of the process's own container. */
	start(f, WRITE, WRITE, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "second");
	start(f, WRITE, WRITE, shadow)->process.mnt_ns = 102;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	assert_string_equal(one_event(f)->container.id, "222222222222");
	/* By a process of neither: by the first rule. */
	start(f, WRITE, WRITE, shadow)->process.mnt_ns = 7;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	assert_false(one_event(f)->process.in_container);
	/* Allowed: by a rule that only tells. */
	start(f, WRITE, 0, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "audit");
	assert_false(one_event(f)->denied);
	/* Rename is the other container's rule to refuse. */
	start(f, RENAME, RENAME, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
}

/* What nobody watches (any more) is told all the same, and counted. */
static void test_retired(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, DENY);

	fake_add(f, &watch);
	start(f, WRITE, WRITE, shadow)->file.generation++;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
	assert_null(one_event(f)->message);
	assert_int_equal(one_event(f)->action, POLICY_DENY);
	assert_string_equal(one_event(f)->file.path, shadow);
	assert_string_equal(one_event(f)->container.id, "");
	start(f, READ, 0, shadow); /* not this rule's operation */
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
	assert_int_equal(one_event(f)->action, POLICY_AUDIT);
	assert_int_equal(f->session.n_unattributed, 2);
	/* A base of another generation, a name that the pattern does not match. */
	watch = name_watch(f, f->one, DENY);
	fake_add(f, &watch);
	start_name(f, WRITE, WRITE, "/etc/x.cfg", 1);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
	start_name(f, WRITE, WRITE, "/etc/x.conf", 1)->base.generation++;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
	start_name(f, WRITE, WRITE, "/etc/x.conf", 1);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
}

/* The path is the container's, the accessed path the process's. */
static void test_paths(void **state)
{
	static const struct {
		bool by_name;
		const char *seen; /* what the guard told */
		uint32_t depth;
		uint64_t mnt_ns;
		bool told; /* does the guard know what the process sees? */
		const char *path, *accessed;
	} rows[] = {
		/* in the container: what it sees */
		{ false, "/etc/shadow", 0, 101, true, "/etc/shadow", "/etc/shadow" },
		{ false, "/mnt/x", 0, 101, true, "/etc/shadow", "/mnt/x" },
		{ true, "/etc/a.conf", 1, 101, true, "/etc/a.conf", "/etc/a.conf" },
		/* on the root of the container: the same */
		{ true, "/etc/a.conf", 1, 101, false, "/etc/a.conf", "/etc/a.conf" },
		/* elsewhere: what the rule says */
		{ false, "/merged/etc/shadow", 0, 100, true, "/etc/shadow", "/merged/etc/shadow" },
		{ true, "/merged/etc/a.conf", 1, 100, true, "/etc/a.conf", "/merged/etc/a.conf" },
		{ true, "/diff/etc/a.conf", 1, 100, false, "/etc/a.conf", "" },
		{ false, "/diff/etc/shadow", 0, 100, false, "/etc/shadow", "" },
		{ false, "", 0, 100, true, "/etc/shadow", "" },
	};
	struct fake_session *f = *state;
	struct watch file = file_watch(f, f->one, DENY), name = name_watch(f, f->one, DENY);

	fake_add(f, &file);
	fake_add(f, &name);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct guard_file_record *record =
			rows[i].by_name ? start_name(f, WRITE, WRITE, rows[i].seen, rows[i].depth)
					: start(f, WRITE, WRITE, rows[i].seen);

		record->process.mnt_ns = rows[i].mnt_ns;
		if (!rows[i].told)
			record->path = GUARD_NO_TEXT;
		report_file(&f->session);
		assert_string_equal(one_event(f)->rule, "deny");
		if (strcmp(one_event(f)->file.path, rows[i].path) != 0 ||
		    strcmp(one_event(f)->file.accessed_path, rows[i].accessed) != 0)
			fail_msg("row %zu: %s, %s", i, f->events[0].file.path,
				 f->events[0].file.accessed_path);
	}
}

/* The other name. */
static void test_other_paths(void **state)
{
	static const struct {
		enum guard_role role;
		const char *path, *other;
		uint64_t mnt_ns;
		const char *source, *target;
	} rows[] = {
		{ GUARD_ROLE_SOURCE, "/etc/a.conf", "/etc/b", 101, "", "/etc/b" },
		{ GUARD_ROLE_TARGET, "/etc/a.conf", "/etc/b", 101, "/etc/b", "" },
		{ GUARD_ROLE_SOURCE, "/etc/a.conf", "/tmp/b", 101, "", "/tmp/b" },
		{ GUARD_ROLE_NONE, "/etc/a.conf", "/tmp/b", 101, "", "" },
		{ GUARD_ROLE_SOURCE, "/etc/a.conf", "/etc/x/b", 101, "", "/etc/x/b" },
		/* from outside: beside the file it is told as the container sees it */
		{ GUARD_ROLE_SOURCE, "/diff/etc/a.conf", "/diff/etc/b", 100, "", "/etc/b" },
		{ GUARD_ROLE_TARGET, "/diff/etc/a.conf", "/diff/tmp/b", 100, "/diff/tmp/b", "" },
	};
	struct fake_session *f = *state;
	struct watch name = name_watch(f, f->one, DENY);

	fake_add(f, &name);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct guard_file_record *record = start_name(f, LINK, LINK, rows[i].path, 1);

		record->role = rows[i].role;
		record->path = GUARD_NO_TEXT;
		record->process.mnt_ns = rows[i].mnt_ns;
		record->other_path = fake_text(f, rows[i].other);
		report_file(&f->session);
		if (strcmp(one_event(f)->file.source_path, rows[i].source) != 0 ||
		    strcmp(one_event(f)->file.target_path, rows[i].target) != 0)
			fail_msg("row %zu: %s, %s", i, f->events[0].file.source_path,
				 f->events[0].file.target_path);
	}
}

struct side {
	uint64_t ino, from, to;
	enum guard_role role;
	bool denied;
	unsigned int n_told;
};

static void tell_sides(struct fake_session *f, const struct side *sides, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct guard_file_record *record =
			start(f, RENAME, sides[i].denied ? RENAME : 0, "/etc/x");

		record->file = fake_identity(FAKE_SUPER, sides[i].ino);
		record->dentry_from = sides[i].from;
		record->dentry_to = sides[i].to;
		record->role = sides[i].role;
		report_file(&f->session);
		if (f->n_events != sides[i].n_told)
			fail_msg("record %zu was told %zu times", i, f->n_events);
	}
}

/* An exchange comes twice, the second time the other way round; each file's part in it is told once. */
static void test_exchange(void **state)
{
	enum {
		A = 0x100,
		B = 0x200
	}; /* dentries */
	static const struct side one_watched[] = {
		{ 11, B, A, GUARD_ROLE_TARGET, false, 1 },
		{ 11, A, B, GUARD_ROLE_SOURCE, false, 0 },
		/* once more, for the names have changed places */
		{ 11, A, B, GUARD_ROLE_SOURCE, false, 1 },
		{ 11, B, A, GUARD_ROLE_TARGET, false, 0 },
	};
	static const struct side both_watched[] = {
		{ 12, B, A, GUARD_ROLE_SOURCE, false, 1 },
		{ 11, B, A, GUARD_ROLE_TARGET, false, 1 },
		{ 11, A, B, GUARD_ROLE_SOURCE, false, 0 },
		{ 12, A, B, GUARD_ROLE_TARGET, false, 0 },
		{ 11, A, B, GUARD_ROLE_SOURCE, false, 1 },
		{ 12, A, B, GUARD_ROLE_TARGET, false, 1 },
		{ 12, B, A, GUARD_ROLE_SOURCE, false, 0 },
		{ 11, B, A, GUARD_ROLE_TARGET, false, 0 },
	};
	/* What is refused has no second time: the other way round is another attempt. */
	static const struct side refused[] = {
		{ 11, A, B, GUARD_ROLE_SOURCE, true, 1 },
		{ 11, B, A, GUARD_ROLE_TARGET, true, 1 },
		{ 11, A, B, GUARD_ROLE_SOURCE, true, 1 },
	};
	/* Over a name, and something else; no exchange. */
	static const struct side renames[] = {
		{ 11, A, B, GUARD_ROLE_SOURCE, false, 1 },
		{ 12, A, B, GUARD_ROLE_TARGET, false, 1 },
		{ 11, A, 0x300, GUARD_ROLE_SOURCE, false, 1 },
		{ 11, 0, 0, GUARD_ROLE_SOURCE, false, 1 },
		{ 11, 0, 0, GUARD_ROLE_SOURCE, false, 1 },
	};
	struct fake_session *f = *state;
	struct watch a = file_watch(f, f->one, AUDIT), b = a;

	fake_add(f, &a);
	b.ino = 12;
	b.generation = 1012;
	fake_add(f, &b);
	tell_sides(f, one_watched, ARRAY_SIZE(one_watched));
	tell_sides(f, both_watched, ARRAY_SIZE(both_watched));
	tell_sides(f, refused, ARRAY_SIZE(refused));
	tell_sides(f, renames, ARRAY_SIZE(renames));
	/* Another thread's is its own, and does not come between. */
	tell_sides(f, one_watched, 1);
	start(f, RENAME, 0, "/etc/x")->process.tid = 502;
	f->session.ring.copy.file.dentry_from = A;
	f->session.ring.copy.file.dentry_to = B;
	report_file(&f->session);
	one_event(f);
	tell_sides(f, &one_watched[1], 1);
}

/* A record of something new at a name, as the overlay is asked for it, or as it makes it in its upper layer. */
static void make_at(struct fake_session *f, bool below, uint32_t operation, uint32_t mode)
{
	struct guard_file_record *record = start_name(f, operation, 0, "/etc/a.conf", 1);

	record->file = fake_identity(FAKE_SUPER, mode ? 60 : 0);
	record->mode = mode;
	if (!below)
		return;
	record->nested = 1;
	record->base = fake_identity(FAKE_LAYER, 5);
	record->file.super = FAKE_LAYER;
	record->depth = 2;
	record->path = GUARD_NO_TEXT;
}

static struct watch layer_watch(const struct fake_session *f, uint32_t rule)
{
	const struct plan_item *item = fake_item(f, rule, 1);
	struct watch watch = fake_watch(f, f->one, item, FAKE_LAYER, 5, item->path + 1);

	watch.kind = WATCH_LAYER;
	watch.base_path = (char *)"";
	return watch;
}

/* What the overlay makes below has been told above. */
static void test_made_below(void **state)
{
	struct fake_session *f = *state;
	struct watch above = name_watch(f, f->one, DENY), below = layer_watch(f, DENY);
	struct guard_file_record *record;

	fake_add(f, &above);
	fake_add(f, &below);
	make_at(f, false, CREATE, 0);
	report_file(&f->session);
	one_event(f);
	make_at(f, true, CREATE, 0);
	report_file(&f->session);
	assert_int_equal(f->n_events, 0);
	/* In a whiteout's place, too: first a temporary name is made, then it takes that of the whiteout. */
	make_at(f, true, RENAME, S_IFCHR);
	report_file(&f->session);
	assert_int_equal(f->n_events, 0);
	/* A file that was there is another matter, and so is what comes after it. */
	make_at(f, true, WRITE, S_IFREG | 0644);
	report_file(&f->session);
	one_event(f);
	make_at(f, true, CREATE, 0);
	report_file(&f->session);
	one_event(f);
	/* Refused below, by another thread, or by a process that is in no overlay: told. */
	make_at(f, false, CREATE, 0);
	report_file(&f->session);
	make_at(f, true, CREATE, 0);
	f->session.ring.copy.file.denied = CREATE;
	report_file(&f->session);
	one_event(f);
	make_at(f, false, CREATE, 0);
	report_file(&f->session);
	make_at(f, true, CREATE, 0);
	f->session.ring.copy.file.process.tid++;
	report_file(&f->session);
	one_event(f);
	make_at(f, true, CREATE, 0); /* which does not come between */
	report_file(&f->session);
	assert_int_equal(f->n_events, 0);
	make_at(f, false, CREATE, 0);
	report_file(&f->session);
	make_at(f, true, CREATE, 0);
	record = &f->session.ring.copy.file;
	record->nested = 0;
	report_file(&f->session);
	one_event(f);
}

/* Another rule's path was not told above. */
static void test_made_below_only(void **state)
{
	struct fake_session *f = *state;
	struct watch above = name_watch(f, f->one, AUDIT), below = layer_watch(f, DENY);

	above.operations |= CREATE;
	fake_add(f, &above);
	fake_add(f, &below);
	make_at(f, false, CREATE, 0);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "audit");
	make_at(f, true, CREATE, 0);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	assert_string_equal(one_event(f)->file.path, "/etc/a.conf");
	assert_string_equal(one_event(f)->file.accessed_path, "");
}

static void test_killed(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, KILL);

	fake_add(f, &watch);
	start(f, WRITE, WRITE, shadow)->killed = WRITE;
	report_file(&f->session);
	assert_true(one_event(f)->killed);
	assert_int_equal(one_event(f)->action, POLICY_KILL);
}

/* What no guard tells is not told on, but counted. */
static void test_no_guards(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, KILL);
	struct guard_file_record *record;

	fake_add(f, &watch);
	for (unsigned int i = 0; i < 9; i++) {
		record = start(f, WRITE, WRITE, shadow);
		if (i == 0)
			record->denied = 0, record->killed = WRITE;
		else if (i == 1)
			record->reported = 0;
		else if (i == 2)
			record->reported = record->denied = 0;
		else if (i == 3)
			record->operations = 1u << 31;
		else if (i == 4)
			record->file.super = 0;
		else if (i == 5)
			record->file.super |= 4;
		else if (i == 6)
			record->role = GUARD_ROLE_TARGET + 1;
		else if (i == 7)
			record->process.n_parents = GUARD_N_PARENTS + 1;
		else
			record->asked = 1;
		report_file(&f->session);
		assert_int_equal(f->n_events, 0);
		assert_int_equal(f->session.ring.abuses[RING_ABUSE_RECORDS], i + 1);
	}
	start(f, WRITE, WRITE, shadow)->record.time_ns =
		UINT64_MAX; /* a clock may stand anywhere */
	report_file(&f->session);
	assert_int_equal(one_event(f)->guest_time_ns, UINT64_MAX);
	assert_int_equal(f->session.ring.abused, 9);
}

/* A mount is looked for by the container whose mounts they are, and a directory's by what it hides. */
static void test_mounts(void **state)
{
	struct fake_session *f = *state;
	struct watch on = file_watch(f, f->one, DENY), name = name_watch(f, f->one, DENY), other;
	struct guard_file_record *record;

	on.kind = WATCH_MOUNT;
	on.key = GUARD_MOUNT_KEY(101);
	on.ino = GUARD_MOUNT_INO(FAKE_SUPER, FILE_INO);
	on.operations = GUARD_OP_MOUNT_ABOVE;
	on.base_path = (char *)"/etc";
	fake_add(f, &on);
	other = on;
	other.container = f->two;
	other.key = GUARD_MOUNT_KEY(102);
	fake_add(f, &other);
	record = start(f, MOUNT, MOUNT, "/etc");
	record->space = 102;
	record->mode = S_IFDIR | 0755;
	record->path = GUARD_NO_TEXT;
	report_file(&f->session);
	assert_string_equal(one_event(f)->container.id, "222222222222");
	assert_int_equal(one_event(f)->operation, MOUNT);
	assert_string_equal(one_event(f)->file.path, "/etc");
	start(f, MOUNT, MOUNT, "/etc")->space = 103;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
	/* By a name below what is mounted upon. */
	name.pattern = "a/b/*.conf";
	fake_add(f, &name);
	record = start_name(f, MOUNT, MOUNT, "/etc/a", 1);
	record->space = 101;
	record->mode = S_IFDIR | 0755;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	assert_string_equal(one_event(f)->file.path, "/etc/a");
	start_name(f, MOUNT, MOUNT, "/etc/a", 1)->space = 101; /* no directory */
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
}

/* A directory that is renamed takes along what a pattern matches below it. */
static void test_directory_moved(void **state)
{
	struct fake_session *f = *state;
	struct watch name = name_watch(f, f->one, DENY);

	name.pattern = "a/*.conf";
	fake_add(f, &name);
	start_name(f, RENAME, RENAME, "/etc/a", 1)->mode = S_IFDIR | 0755;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	start_name(f, RENAME, RENAME, "/etc/b", 1)->mode = S_IFDIR | 0755;
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)");
}

/* What changes a file's identity is refused by whatever rule refuses anything; that is the one it is told under. */
static void test_identity_change(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, DENY);

	fake_add(f, &watch);
	start(f, GUARD_OP_ATTR_FLAGS, GUARD_OP_ATTR_FLAGS, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "deny");
	assert_int_equal(one_event(f)->operation, GUARD_OP_ATTR_FLAGS);
}

/* The guard asks: no event; the rules that wait for the host name are decided, and the entry says so. */
static void test_asked(void **state)
{
	struct fake_session *f = *state;
	struct watch one = file_watch(f, f->one, HOSTS), two = file_watch(f, f->two, HOSTS);
	const struct guard_entry *entry;

	one.undecided = two.undecided = true;
	fake_add(f, &one);
	fake_add(f, &two);
	assert_true(fake_look(f, FAKE_SUPER, FILE_INO)->report & GUARD_OP_ASK);
	/* Neither has a name of its own yet: judged by the guest's, and asked again. */
	start(f, 0, 0, shadow)->asked = 1;
	report_file(&f->session);
	assert_int_equal(f->n_events, 0);
	entry = fake_look(f, FAKE_SUPER, FILE_INO);
	assert_int_equal(entry->deny, 0);
	assert_int_equal(entry->report, GUARD_OP_ASK | GUARD_OP_FOLLOW);
	snprintf(f->one->hostname, sizeof(f->one->hostname), "web-1");
	snprintf(f->two->hostname, sizeof(f->two->hostname), "db-1");
	start(f, 0, 0, shadow)->asked = 1;
	report_file(&f->session);
	entry = fake_look(f, FAKE_SUPER, FILE_INO);
	assert_int_equal(entry->deny, WRITE);
	assert_int_equal(entry->report, WRITE | GUARD_OP_FOLLOW);
	assert_int_equal(f->n_events, 0);
	assert_int_equal(f->one->n_trips_after, 2);
	start(f, WRITE, WRITE, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->container.hostname, "web-1");
}

/* A daemon that took over a guard tells what the guard said meanwhile when it knows the containers; as much as it can keep. */
static void test_held(void **state)
{
	struct fake_session *f = *state;
	struct watch watch = file_watch(f, f->one, DENY);
	uint64_t room = f->session.ring.n_slots;

	assert_int_equal(watches_begin(f->session.watches, NULL), 0);
	f->session.adopting = true;
	for (uint64_t i = 0; i < room; i++) {
		start(f, WRITE, WRITE, shadow)->process.pid = (uint32_t)i;
		report_file(&f->session);
		assert_int_equal(f->n_events, 0);
	}
	start(f, WRITE, WRITE, shadow);
	report_file(&f->session);
	assert_string_equal(one_event(f)->rule, "(retired)"); /* no room: now, as it is */
	watch.where = WATCH_BUILDING;
	fake_add(f, &watch);
	watches_publish(f->session.watches);
	f->n_events = 0;
	report_held(&f->session);
	assert_int_equal(f->n_events, room);
	for (uint32_t i = 0; i < room; i++) {
		assert_string_equal(f->events[i].rule, "deny");
		assert_int_equal(f->events[i].process.pid, i);
	}
	f->n_events = 0;
	report_held(&f->session);
	assert_int_equal(f->n_events, 0);
}

/* Any bytes make events or none, and touch nothing that is not theirs. */
static void test_any_bytes(void **state)
{
	struct fake_session *f = *state;
	struct watch file = file_watch(f, f->one, DENY), name = name_watch(f, f->one, DENY);
	uint64_t random = 99;

	fake_add(f, &file);
	fake_add(f, &name);
	for (unsigned int i = 0; i < 2000; i++) {
		struct guard_file_record *record = start(f, 0, 0, "");

		for (size_t at = 0; at < GUARD_SLOT_SIZE; at++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			f->session.ring.copy.bytes[at] =
				(char)(random >> 50 & 3 ? random >> 56 : '/');
		}
		record->asked = random >> 40 & 1;
		record->reported &= random >> 41 & 1 ? WRITE | RENAME : ~0u;
		if (random >> 42 & 1) {
			record->base = fake_identity(FAKE_SUPER, BASE_INO);
			record->depth &= random >> 43 & 1 ? 7 : ~0u;
		}
		if (random >> 44 & 1)
			record->file = fake_identity(FAKE_SUPER, FILE_INO);
		record->path &= random >> 45 & 1 ? 0x7ff : 0xffff;
		if (random >> 46 & 1) { /* as a guard would */
			record->asked = 0;
			record->operations &= POLICY_ALL;
			record->reported = record->reported & POLICY_ALL ?: WRITE;
			record->denied &= record->reported;
			record->killed &= record->denied;
			record->file.super &= ~7ULL;
			record->base.super &= ~7ULL;
			record->role %= GUARD_ROLE_TARGET + 1;
			record->process.n_parents %= GUARD_N_PARENTS + 1;
		}
		f->n_events = 0;
		/* A record has as many events as there are operations. */
		if (__builtin_popcount(record->reported & POLICY_ALL) <= FAKE_MAX_EVENTS)
			report_file(&f->session);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event),
		TEST(test_operations),
		TEST(test_rule),
		TEST(test_retired),
		TEST(test_paths),
		TEST(test_other_paths),
		TEST(test_exchange),
		TEST(test_made_below),
		TEST(test_made_below_only),
		TEST(test_killed),
		TEST(test_no_guards),
		TEST(test_mounts),
		TEST(test_directory_moved),
		TEST(test_identity_change),
		TEST(test_asked),
		TEST(test_held),
		TEST(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
