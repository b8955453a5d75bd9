// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guard decides and tells, by its own code, in a fake guest kernel, from a table that the host's code wrote. */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/plan.h"
#include "cache/table.h"

#include "fake_linux.h"

#define READ GUARD_OP_READ
#define WRITE GUARD_OP_WRITE
#define CREATE GUARD_OP_CREATE
#define DELETE GUARD_OP_DELETE
#define RENAME GUARD_OP_RENAME
#define LINK GUARD_OP_LINK
#define SYMLINK GUARD_OP_SYMLINK
#define TRUNCATE GUARD_OP_TRUNCATE
#define CHMOD GUARD_OP_CHMOD
#define CHOWN GUARD_OP_CHOWN
#define UTIMES GUARD_OP_UTIMES
#define XATTR GUARD_OP_XATTR
#define ATTR_FLAGS GUARD_OP_ATTR_FLAGS
#define MMAP_WRITE GUARD_OP_MMAP_WRITE
#define EXEC GUARD_OP_EXEC
#define MOUNT GUARD_OP_MOUNT
#define ABOVE GUARD_OP_MOUNT_ABOVE
#define COPY_UP GUARD_OP_COPY_UP
#define FOLLOW GUARD_OP_FOLLOW
#define ALL ((1u << GUARD_N_OPERATIONS) - 1)

#define OURS 101 /* the mount name space of the container that the task is in */
#define OTHERS 102

static struct table *table;
static struct ring ring;

/* The host: what it has consumed. */
static struct {
	__typeof__(ring.copy) record;
	enum guard_record_type type;
} seen[MAILBOX_RECORDS];
static size_t n_seen, n_looked_at;

static void consume(void)
{
	enum guard_record_type type;

	while ((type = ring_next(&ring, 1))) {
		assert_in_range(n_seen, 0, MAILBOX_RECORDS - 1);
		seen[n_seen].type = type;
		seen[n_seen++].record = ring.copy;
		ring_done(&ring);
	}
}

static const void *next_record(enum guard_record_type type)
{
	consume();
	if (n_looked_at == n_seen)
		fail_msg("no record came");
	assert_int_equal(seen[n_looked_at].type, type);
	if (n_looked_at + 1 == n_seen) { /* start over: the last one stays where it is for now */
		seen[0] = seen[n_looked_at];
		n_looked_at = n_seen = 0;
		return &seen[0].record;
	}
	return &seen[n_looked_at++].record;
}

static void nothing_told(void)
{
	consume();
	if (n_looked_at != n_seen)
		fail_msg("told: type %u, operations %#x", seen[n_looked_at].type,
			 seen[n_looked_at].record.file.reported);
}

/* The next record is of a file: these operations were reported, and of these, these were refused. */
static const struct guard_file_record *told(uint32_t reported, uint32_t denied)
{
	const struct guard_file_record *record = next_record(GUARD_RECORD_FILE);

	assert_int_equal(record->reported, reported);
	assert_int_equal(record->denied, denied);
	return record;
}

static const char *text(const void *record, uint16_t at)
{
	return at == GUARD_NO_TEXT ? NULL : (const char *)record + at;
}

static int set_up(void **state)
{
	(void)state;
	fake_start();
	fake.at_sleep = consume;
	assert_int_equal(table_new(&table, vault_bytes, VAULT_SIZE, false, NULL), 0);
	ring_init(&ring, mailbox_bytes, MAILBOX_SIZE, the_vault());
	n_seen = n_looked_at = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nothing_told();
	assert_int_equal(the_mailbox()->lost, 0);
	assert_int_equal(ring.abused, 0);
	table = table_free(table);
	fake_end();
	return 0;
}

/* What the host enters. */

static struct guard_entry entry_for(const struct dentry *dentry, enum guard_key kind)
{
	const struct inode *inode = dentry->d_inode;

	return (struct guard_entry){ .key = (uint64_t)inode->i_sb | kind,
				     .ino = inode->i_ino,
				     .generation = inode->i_generation };
}

static void watch_file(const struct dentry *dentry, uint32_t deny, uint32_t report)
{
	struct guard_entry entry = entry_for(dentry, GUARD_KEY_FILE);

	entry.deny = deny;
	entry.report = report;
	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
}

static void watch_clauses(const struct dentry *dentry, const struct table_clause *clauses, size_t n)
{
	struct guard_entry entry = entry_for(dentry, GUARD_KEY_FILE);

	assert_int_equal(table_set(table, &entry, clauses, n, NULL), 0);
}

static void forget_file(const struct dentry *dentry)
{
	assert_true(table_remove(table, (uint64_t)dentry->d_inode->i_sb, dentry->d_inode->i_ino));
}

static void mark(const struct dentry *dentry, uint32_t levels)
{
	const struct guard_entry entry = { .key = (uint64_t)dentry->d_inode->i_sb | GUARD_KEY_SUPER,
					   .deny = levels,
					   .report = levels };

	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
}

static void watch_names(const struct dentry *directory, const struct table_clause *clauses,
			size_t n)
{
	struct guard_entry entry = entry_for(directory, GUARD_KEY_BASE);

	assert_int_equal(table_set(table, &entry, clauses, n, NULL), 0);
	mark(directory, GUARD_MAX_LEVELS);
}

static void watch_name(const struct dentry *directory, const char *pattern, uint32_t deny,
		       uint32_t report)
{
	const struct table_clause clause = { pattern, deny, report, 0, NULL, 0 };

	watch_names(directory, &clause, 1);
}

static void know_space(uint64_t space, bool refused)
{
	const struct guard_entry entry = { .key = GUARD_SPACE_KEY(space), .deny = refused };

	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
}

/* What processes do. */

#define FMODE_WRITER 0x10000

/* As in the kernel's hook: do_dentry_open(). */
static struct file file_of(struct dentry *dentry, uint32_t mode, uint32_t flags)
{
	uint16_t type = dentry->d_inode ? dentry->d_inode->i_mode : 0;
	bool seeks = (type & S_IFMT) == 0100000 || (type & S_IFMT) == S_IFDIR;

	return (struct file){
		.f_path = { &fake.mounts[1].mnt, dentry },
		.f_inode = dentry->d_inode,
		.f_mode = mode | (seeks ? FMODE_ATOMIC_POS : 0) |
			  (mode & FMODE_WRITE ? FMODE_WRITER : 0),
		.f_flags = flags | (mode & FMODE_WRITE ? O_RDWR : 0),
	};
}

static int open_for(struct dentry *dentry, uint32_t mode)
{
	struct file file = file_of(dentry, mode, 0);

	return guard_file_open(&file);
}

static int run(struct dentry *dentry)
{
	struct file file = file_of(dentry, FMODE_READ, FMODE_EXEC);

	return guard_file_open(&file);
}

static int set_attributes(struct dentry *dentry, uint32_t valid)
{
	struct iattr attributes = { .ia_valid = valid };

	return guard_inode_setattr(dentry, &attributes);
}

static struct inode *directory_of(const struct dentry *dentry)
{
	return dentry->d_parent->d_inode;
}

static int make_at(struct dentry *dentry)
{
	return guard_inode_create(directory_of(dentry), dentry, 0644);
}

static int rename_to(struct dentry *from, struct dentry *to)
{
	return guard_inode_rename(directory_of(from), from, directory_of(to), to);
}

/* By identity. */

static void test_open(void **state)
{
	struct dentry *shadow = fake_at("etc/shadow"), *other = fake_at("etc/other");
	const struct guard_file_record *record;

	(void)state;
	watch_file(shadow, WRITE, READ | WRITE);
	assert_int_equal(open_for(shadow, FMODE_READ), 0);
	told(READ, 0);
	assert_int_equal(open_for(shadow, FMODE_WRITE), -EPERM);
	record = told(WRITE, WRITE);
	assert_int_equal(record->operations, WRITE);
	assert_int_equal(record->depth, 0);
	assert_int_equal(record->role, GUARD_ROLE_NONE);
	assert_int_equal(record->asked, 0);
	assert_int_equal(record->killed, 0);
	assert_int_equal(record->nested, 0);
	assert_int_equal(record->space, 0);
	assert_int_equal(record->file.super, (uint64_t)&fake.supers[0]);
	assert_int_equal(record->file.ino, shadow->d_inode->i_ino);
	assert_int_equal(record->file.generation, shadow->d_inode->i_generation);
	assert_int_equal(record->file.device, fake.supers[0].s_dev);
	assert_int_equal(record->file_size, shadow->d_inode->i_size);
	assert_int_equal(record->mode, 0100644);
	assert_int_equal(record->uid, 7);
	assert_int_equal(record->gid, 8);
	assert_int_not_equal(record->path, GUARD_NO_TEXT);
	assert_string_equal(text(record, record->super_path), "/etc/shadow");
	assert_string_equal(text(record, record->executable), "/bin/cat");
	assert_null(text(record, record->other_path));
	assert_int_equal(record->record.time_ns, 42);

	/* Both at once: one record, two operations. */
	assert_int_equal(open_for(shadow, FMODE_READ | FMODE_WRITE), -EPERM);
	record = told(READ | WRITE, WRITE);
	assert_int_equal(record->operations, READ | WRITE);
	/* O_PATH, and a file that nobody watches. */
	assert_int_equal(open_for(shadow, 0), 0);
	assert_int_equal(open_for(other, FMODE_READ | FMODE_WRITE), 0);
	nothing_told();
}

static void test_process(void **state)
{
	struct dentry *shadow = fake_at("etc/shadow");
	const struct guard_process *process;

	(void)state;
	watch_file(shadow, 0, READ);
	assert_int_equal(open_for(shadow, FMODE_READ), 0);
	process = &told(READ, 0)->process;
	assert_int_equal(process->pid, 321);
	assert_int_equal(process->tid, 322);
	assert_int_equal(process->inner_pid, 21);
	assert_int_equal(process->inner_tid, 21);
	assert_int_equal(process->uid, 1000);
	assert_int_equal(process->gid, 1001);
	assert_int_equal(process->euid, 1002);
	assert_int_equal(process->egid, 1003);
	assert_int_equal(process->start_ns, 5555);
	assert_int_equal(process->mnt_ns, OURS);
	assert_string_equal(process->name, "cat");
	assert_int_equal(process->n_parents, 1); /* and no idle task */
	assert_int_equal(process->parents[0].pid, 300);
	assert_string_equal(process->parents[0].name, "sh");
}

/* An inode number that was given again is another file; the same number elsewhere is too. */
static void test_identity(void **state)
{
	struct dentry *shadow = fake_at("etc/shadow"), *elsewhere;

	(void)state;
	watch_file(shadow, WRITE, WRITE);
	elsewhere = fake_make(fake.roots[1], "x", 0100644);
	elsewhere->d_inode->i_ino = shadow->d_inode->i_ino;
	elsewhere->d_inode->i_generation = shadow->d_inode->i_generation;
	assert_int_equal(open_for(elsewhere, FMODE_WRITE), 0);
	shadow->d_inode->i_generation++;
	assert_int_equal(open_for(shadow, FMODE_WRITE), 0);
	nothing_told();
	shadow->d_inode->i_generation--;
	assert_int_equal(open_for(shadow, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	forget_file(shadow);
	assert_int_equal(open_for(shadow, FMODE_WRITE), 0);
}

/* Names. */

static void test_patterns(void **state)
{
	static const struct {
		const char *path;
		bool exists;
		uint32_t depth; /* 0: not matched */
	} rows[] = {
		{ "etc/a.conf", true, 1 },	  { "etc/a.conf", false, 1 },
		{ "etc/a.cfg", true, 0 },	  { "etc/x/a.conf", true, 0 },
		{ "etc/ssl/x/key.pem", true, 3 }, { "etc/ssl/y/z/w/key.pem", false, 5 },
		{ "etc/ssl/key.pem", true, 2 },	  { "ssl/key.pem", true, 0 },
		{ "a.conf", false, 0 },
	};
	const struct table_clause clauses[] = {
		{ "*.conf", WRITE | CREATE, WRITE | CREATE, 0, NULL, 0 },
		{ "ssl/**/*.pem", WRITE | CREATE, WRITE | CREATE, 0, NULL, 0 },
	};
	struct dentry *etc = fake_at("etc/");

	(void)state;
	watch_names(etc, clauses, 2);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct guard_file_record *record;
		struct dentry *dentry = rows[i].exists ? fake_at(rows[i].path)
						       : fake_missing(rows[i].path);
		uint32_t operation = rows[i].exists ? WRITE : CREATE;
		int r = rows[i].exists ? open_for(dentry, FMODE_WRITE) : make_at(dentry);
		char path[64];

		assert_int_equal(r, rows[i].depth ? -EPERM : 0);
		if (!rows[i].depth) {
			nothing_told();
			continue;
		}
		record = told(operation, operation);
		snprintf(path, sizeof(path), "/%s", rows[i].path);
		assert_string_equal(text(record, record->super_path), path);
		assert_int_equal(record->path != GUARD_NO_TEXT, rows[i].exists);
		assert_int_equal(record->depth, rows[i].depth);
		assert_int_equal(record->base.super, (uint64_t)&fake.supers[0]);
		assert_int_equal(record->base.ino, etc->d_inode->i_ino);
		assert_int_equal(record->base.generation, etc->d_inode->i_generation);
		assert_int_equal(record->file.ino, rows[i].exists ? dentry->d_inode->i_ino : 0);
		assert_int_equal(record->file.super, (uint64_t)&fake.supers[0]);
	}
}

/* Several bases above one file: what they say adds up; the event is the nearest's, or that of one that refuses more. */
static void test_several_bases(void **state)
{
	struct dentry *file = fake_at("a/b/c/file"), *a = fake_at("a/"), *b = fake_at("a/b/");
	struct dentry *c = fake_at("a/b/c/");
	const struct guard_file_record *record;

	(void)state;
	watch_name(c, "*", 0, READ | WRITE);
	watch_name(b, "**", WRITE, WRITE);
	watch_name(a, "**", WRITE, WRITE | READ);
	assert_int_equal(open_for(file, FMODE_READ | FMODE_WRITE), -EPERM);
	record = told(READ | WRITE, WRITE);
	assert_int_equal(record->base.ino, b->d_inode->i_ino);
	assert_int_equal(record->depth, 2);
	assert_int_equal(open_for(file, FMODE_READ), 0);
	assert_int_equal(told(READ, 0)->base.ino, b->d_inode->i_ino);
	/* Of another generation, or further up than any pattern reaches: not a base. */
	b->d_inode->i_generation++;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->base.ino, a->d_inode->i_ino);
	mark(a, 2);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	record = told(WRITE, 0);
	assert_int_equal(record->base.ino, c->d_inode->i_ino);
	assert_int_equal(record->depth, 1);
	mark(a, 3);
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->base.ino, a->d_inode->i_ino);
}

/* A file that is watched by identity and by name: both count, and the name tells where. */
static void test_identity_and_name(void **state)
{
	struct dentry *etc = fake_at("etc/"), *shadow = fake_at("etc/shadow");

	(void)state;
	watch_file(shadow, WRITE, WRITE);
	watch_name(etc, "sh*", READ, READ);
	assert_int_equal(open_for(shadow, FMODE_READ), -EPERM);
	assert_int_equal(told(READ, READ)->depth, 1);
	assert_int_equal(open_for(shadow, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
}

/* Deeper than names can be held: a pattern for any depth is taken to match, no other. */
static void test_deep(void **state)
{
	char path[4 * GLOB_MAX_DEPTH + 16] = "base";
	struct dentry *base = fake_at("base/"), *file;
	size_t n = strlen(path);

	(void)state;
	for (unsigned int i = 0; i < GLOB_MAX_DEPTH; i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/d");
	file = fake_at(path); /* as deep as can be */
	watch_name(base, "**/x", WRITE, WRITE);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	watch_name(base, "d/**", WRITE, WRITE);
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->depth, GLOB_MAX_DEPTH);
	watch_name(base, "**/x", WRITE, WRITE);
	snprintf(path + n, sizeof(path) - n, "/e");
	file->d_inode->i_mode = S_IFDIR | 0755;
	file = fake_at(path);
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->depth, GLOB_MAX_DEPTH + 1);
	watch_name(base, "d/x", WRITE, WRITE);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
}

/* Mounts are not crossed: what hangs from above a mount point in another file system says nothing. */
static void test_other_super(void **state)
{
	struct dentry *file = fake_make(fake.roots[1], "file", 0100644);

	(void)state;
	watch_name(fake.roots[0], "**", ALL, ALL);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	mark(file, GUARD_MAX_LEVELS);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
}

/* Operations, and what counts as them. */

static void test_more_general(void **state)
{
	static const struct {
		uint32_t deny, report; /* of the rule */
		uint32_t reported, denied;
	} exec[] = {
		{ EXEC, EXEC, EXEC, EXEC },
		{ READ, READ, READ, READ }, /* running is reading */
		{ 0, READ, READ, 0 },
		{ 0, READ | EXEC, EXEC, 0 },
		{ READ, READ | EXEC, READ, READ }, /* refused, whatever else is only told */
		{ READ | EXEC, READ | EXEC, EXEC, EXEC },
		{ WRITE, WRITE, 0, 0 },
	}, truncates[] = {
		{ TRUNCATE, TRUNCATE, TRUNCATE, TRUNCATE },
		{ WRITE, WRITE, WRITE, WRITE },
		{ 0, WRITE, WRITE, 0 },
		{ WRITE, WRITE | TRUNCATE, WRITE, WRITE },
		{ READ, READ, 0, 0 },
	}, creates[] = { /* where nothing is */
		{ CREATE, CREATE, CREATE, CREATE },
		{ 0, CREATE, CREATE, 0 },
		{ WRITE, WRITE, WRITE, WRITE },
		{ 0, WRITE, 0, 0 }, /* the open that follows will be told */
		{ WRITE, WRITE | CREATE, WRITE, WRITE },
		{ LINK | SYMLINK | RENAME, LINK | SYMLINK | RENAME, 0, 0 },
	}, links[] = {
		{ LINK, LINK, LINK, LINK },
		{ CREATE, CREATE, CREATE, CREATE },
		{ 0, CREATE, CREATE, 0 },
		{ WRITE, WRITE, WRITE, WRITE },
		{ 0, WRITE, 0, 0 },
		{ 0, LINK | CREATE, LINK, 0 },
		{ CREATE, LINK | CREATE, CREATE, CREATE },
		{ SYMLINK, SYMLINK, 0, 0 },
	};
	struct dentry *base = fake_at("base/"), *file = fake_at("base/file");
	struct dentry *missing = fake_missing("base/new"), *source = fake_at("elsewhere");

	(void)state;
#define CHECK(rows, name, call)                                       \
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {               \
		watch_name(base, name, rows[i].deny, rows[i].report); \
		assert_int_equal(call, rows[i].denied ? -EPERM : 0);  \
		if (rows[i].reported)                                 \
			told(rows[i].reported, rows[i].denied);       \
		nothing_told();                                       \
	}
	CHECK(exec, "file", run(file));
	CHECK(truncates, "file", set_attributes(file, ATTR_SIZE));
	CHECK(creates, "new", make_at(missing));
	CHECK(creates, "new", guard_inode_mkdir(base->d_inode, missing, 0755));
	CHECK(creates, "new", guard_inode_mknod(base->d_inode, missing, 0644, 0));
	CHECK(links, "new", guard_inode_link(source, base->d_inode, missing));
#undef CHECK
}

/* A name where something is: what is done to it is not making it. */
static void test_not_made(void **state)
{
	struct dentry *base = fake_at("base/"), *file = fake_at("base/file");

	(void)state;
	watch_name(base, "*", CREATE, CREATE);
	assert_int_equal(rename_to(fake_at("x"), file), 0);
	assert_int_equal(guard_inode_unlink(base->d_inode, file), 0);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	nothing_told();
}

static void test_symlink(void **state)
{
	struct dentry *base = fake_at("base/"), *missing = fake_missing("base/new");

	(void)state;
	watch_name(base, "new", SYMLINK, SYMLINK);
	assert_int_equal(guard_inode_symlink(base->d_inode, missing, "/etc/shadow"), -EPERM);
	told(SYMLINK, SYMLINK);
	assert_int_equal(make_at(missing), 0);
	watch_name(base, "new", CREATE, CREATE);
	assert_int_equal(guard_inode_symlink(base->d_inode, missing, "/etc/shadow"), -EPERM);
	told(CREATE, CREATE);
}

/* A hard link: to a file that is watched, and at a name. */
static void test_link(void **state)
{
	struct dentry *shadow = fake_at("etc/shadow"), *new = fake_missing("tmp/new");
	const struct guard_file_record *record;

	(void)state;
	watch_file(shadow, LINK, LINK);
	assert_int_equal(guard_inode_link(shadow, directory_of(new), new), -EPERM);
	record = told(LINK, LINK);
	assert_int_equal(record->role, GUARD_ROLE_SOURCE);
	assert_string_equal(text(record, record->super_path), "/etc/shadow");
	assert_string_equal(text(record, record->other_path), "/tmp/new");
	watch_file(shadow, 0, LINK);
	watch_name(new->d_parent, "*", LINK, LINK);
	assert_int_equal(guard_inode_link(shadow, directory_of(new), new), -EPERM);
	told(LINK, 0);
	record = told(LINK, LINK);
	assert_int_equal(record->role, GUARD_ROLE_TARGET);
	assert_int_equal(record->file.ino, 0);
	assert_string_equal(text(record, record->super_path), "/tmp/new");
	assert_string_equal(text(record, record->other_path), "/etc/shadow");
	/* Something that is not there (a race) is no source. */
	forget_file(shadow);
	new->d_inode = NULL;
	assert_int_equal(guard_inode_link(fake_missing("gone"), directory_of(new), new), -EPERM);
	told(LINK, LINK);
}

static void test_attributes(void **state)
{
	static const struct {
		uint32_t valid, operation;
	} rows[] = {
		{ ATTR_MODE, CHMOD },
		{ ATTR_MODE | ATTR_FORCE, 0 }, /* setuid bits, dropped at a write */
		{ ATTR_UID, CHOWN },
		{ ATTR_GID, CHOWN },
		{ ATTR_UID | ATTR_MODE, CHOWN },
		{ ATTR_SIZE, TRUNCATE },
		{ ATTR_SIZE | ATTR_MTIME, TRUNCATE },
		{ ATTR_SIZE | 0x2000, TRUNCATE }, /* ATTR_FILE */
		{ ATTR_SIZE | ATTR_OPEN, 0 }, /* judged with the open */
		{ ATTR_ATIME, UTIMES },
		{ ATTR_MTIME, UTIMES },
		{ 0x40, 0 }, /* ATTR_CTIME */
	};
	struct dentry *file = fake_at("file");

	(void)state;
	watch_file(file, ALL, ALL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(set_attributes(file, rows[i].valid),
				 rows[i].operation ? -EPERM : 0);
		if (rows[i].operation)
			told(rows[i].operation, rows[i].operation);
		nothing_told();
	}
	assert_int_equal(guard_inode_setxattr(NULL, file, "user.x"), -EPERM);
	told(XATTR, XATTR);
	assert_int_equal(guard_inode_copy_up(file), -EPERM);
	told(COPY_UP, COPY_UP);
	assert_int_equal(set_attributes(fake_missing("gone"), ATTR_MODE), 0);
	watch_file(file, 0, WRITE | XATTR);
	assert_int_equal(guard_inode_setxattr(NULL, file, "user.x"), 0);
	told(XATTR, 0);
}

/* A layer's directory that is said to hide, or to stand for, one of another layer takes away what is below. */
static void test_layer_directory(void **state)
{
	struct dentry *root = fake_at("base/"), *above = fake_at("base/etc/"),
		      *beside = fake_at("base/srv/"), *file = fake_at("base/etc/passwd");

	(void)state;
	watch_name(root, "etc/passwd", RENAME, RENAME);
	assert_int_equal(guard_inode_setxattr(NULL, above, "trusted.overlay.opaque"), -EPERM);
	told(RENAME, RENAME);
	assert_int_equal(guard_inode_setxattr(NULL, above, "user.overlay.redirect"), -EPERM);
	told(RENAME, RENAME);
	assert_int_equal(guard_inode_setxattr(NULL, above, "trusted.overlayed"), 0);
	assert_int_equal(guard_inode_setxattr(NULL, beside, "trusted.overlay.opaque"), 0);
	assert_int_equal(guard_inode_setxattr(NULL, file, "trusted.overlay.opaque"), 0);
	nothing_told();
}

static int open_truncating(struct dentry *dentry, uint32_t mode)
{
	struct file file = file_of(dentry, mode, O_TRUNC);

	return guard_file_open(&file);
}

/* O_TRUNC: the truncation belongs to the open for writing, where that is in the rule. */
static void test_truncating_open(void **state)
{
	struct dentry *dentry = fake_at("file");

	(void)state;
	watch_file(dentry, 0, WRITE | TRUNCATE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE), 0);
	told(WRITE, 0);
	watch_file(dentry, 0, WRITE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE), 0);
	told(WRITE, 0);
	watch_file(dentry, 0, TRUNCATE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE), 0);
	told(TRUNCATE, 0);
	/* O_RDONLY|O_TRUNC is no write; nor is what truncates later. */
	watch_file(dentry, 0, WRITE);
	assert_int_equal(open_truncating(dentry, FMODE_READ), 0);
	told(WRITE, 0);
	assert_int_equal(set_attributes(dentry, ATTR_SIZE), 0);
	told(WRITE, 0);
	/* What was made by this open is not truncated. */
	watch_file(dentry, 0, TRUNCATE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE | FMODE_CREATED), 0);
	nothing_told();
	/* What is refused is refused, whatever the open itself is. */
	watch_file(dentry, TRUNCATE, WRITE | TRUNCATE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE), -EPERM);
	told(WRITE | TRUNCATE, TRUNCATE);
	watch_file(dentry, WRITE | TRUNCATE, WRITE | TRUNCATE);
	assert_int_equal(open_truncating(dentry, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
}

/* A descriptor that comes from elsewhere is told only where it is refused. */
static void test_passed(void **state)
{
	struct dentry *dentry = fake_at("file");
	struct file file = file_of(dentry, FMODE_READ | FMODE_WRITE, 0);

	(void)state;
	watch_file(dentry, 0, READ | WRITE);
	assert_int_equal(guard_file_receive(&file), 0);
	nothing_told();
	watch_file(dentry, WRITE, READ | WRITE);
	assert_int_equal(guard_file_receive(&file), -EPERM);
	told(WRITE, WRITE);
	file.f_mode = FMODE_READ;
	assert_int_equal(guard_file_receive(&file), 0);
	nothing_told();
}

static void test_ioctl(void **state)
{
	static const struct {
		unsigned int command;
		uint32_t deny, report;
		uint32_t reported, denied;
	} rows[] = {
		{ FS_IOC_SETFLAGS, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS },
		{ FS_IOC32_SETFLAGS, 0, ATTR_FLAGS, ATTR_FLAGS, 0 },
		{ FS_IOC_FSSETXATTR, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS },
		{ FS_IOC_ENABLE_VERITY, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS },
		{ FS_IOC_SETFLAGS, WRITE, WRITE, 0, 0 },
		/* It would be another file afterwards: refused wherever anything is. */
		{ FS_IOC_SETVERSION, WRITE, WRITE, ATTR_FLAGS, ATTR_FLAGS },
		{ FS_IOC32_SETVERSION, READ, READ, ATTR_FLAGS, ATTR_FLAGS },
		{ EXT4_IOC_SETVERSION, DELETE, DELETE, ATTR_FLAGS, ATTR_FLAGS },
		{ EXT4_IOC32_SETVERSION, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS, ATTR_FLAGS },
		{ EXT4_IOC_SWAP_BOOT, EXEC, EXEC, ATTR_FLAGS, ATTR_FLAGS },
		{ FS_IOC_SETVERSION, 0, WRITE, 0, 0 },
		{ FS_IOC_SETVERSION, 0, ATTR_FLAGS, ATTR_FLAGS, 0 },
		{ 0x80086601, ALL, ALL, 0, 0 }, /* FS_IOC_GETFLAGS */
	};
	struct dentry *dentry = fake_at("file");
	struct file file = file_of(dentry, FMODE_READ, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		watch_file(dentry, rows[i].deny, rows[i].report);
		assert_int_equal(guard_file_ioctl(&file, rows[i].command, 0),
				 rows[i].denied ? -EPERM : 0);
		if (rows[i].reported)
			told(rows[i].reported, rows[i].denied);
		nothing_told();
	}
}

static void test_mmap(void **state)
{
	struct dentry *dentry = fake_at("file"), *below = fake_at("below");
	struct file file = file_of(dentry, FMODE_READ | FMODE_WRITE, 0);
	struct vm_area_struct vma = { .vm_flags = VM_SHARED, .vm_file = &file };

	(void)state;
	watch_file(dentry, MMAP_WRITE, MMAP_WRITE);
	assert_int_equal(guard_mmap_file(&file, 0, PROT_WRITE, MAP_SHARED), -EPERM);
	told(MMAP_WRITE, MMAP_WRITE);
	assert_int_equal(guard_mmap_file(&file, 0, PROT_WRITE | 1, MAP_SHARED_VALIDATE), -EPERM);
	told(MMAP_WRITE, MMAP_WRITE);
	assert_int_equal(guard_mmap_file(&file, 0, PROT_WRITE, 2 /* MAP_PRIVATE */), 0);
	assert_int_equal(guard_mmap_file(&file, 0, 1 /* PROT_READ */, MAP_SHARED), 0);
	assert_int_equal(guard_mmap_file(NULL, 0, PROT_WRITE, MAP_SHARED), 0);
	assert_int_equal(guard_file_mprotect(&vma, 0, PROT_WRITE), -EPERM);
	told(MMAP_WRITE, MMAP_WRITE);
	assert_int_equal(guard_file_mprotect(&vma, 0, 1), 0);
	vma.vm_flags = VM_SHARED | VM_WRITE; /* so already */
	assert_int_equal(guard_file_mprotect(&vma, 0, PROT_WRITE), 0);
	vma.vm_flags = 0;
	assert_int_equal(guard_file_mprotect(&vma, 0, PROT_WRITE), 0);
	vma = (struct vm_area_struct){ VM_SHARED, NULL };
	assert_int_equal(guard_file_mprotect(&vma, 0, PROT_WRITE), 0);
	nothing_told();
	/* An overlay maps the file below by the path above: judged by the path. */
	file.f_inode = below->d_inode;
	assert_int_equal(guard_mmap_file(&file, 0, PROT_WRITE, MAP_SHARED), -EPERM);
	told(MMAP_WRITE, MMAP_WRITE);
}

/* One opens for both, and each is refused. */
static void test_both(void **state)
{
	const struct table_clause clause = {
		NULL, READ | WRITE, READ | WRITE, READ | WRITE, NULL, 0
	};
	struct dentry *file = fake_at("file");

	(void)state;
	watch_clauses(file, &clause, 1);
	assert_int_equal(open_for(file, FMODE_READ | FMODE_WRITE), -EPERM);
	assert_int_equal(told(READ | WRITE, READ | WRITE)->killed, READ | WRITE);
	assert_int_equal(fake.n_signals, 1);
}

/* Exceptions. */

static void test_exceptions(void **state)
{
	struct inode *cat = fake.executable.f_inode;
	const struct guard_exception by_cat = {
		.parts = GUARD_EXCEPT_EXECUTABLE,
		.super = (uint64_t)cat->i_sb,
		.ino = cat->i_ino,
		.generation = cat->i_generation,
	};
	struct guard_exception other_number = by_cat, other_super = by_cat,
			       other_generation = by_cat;
	struct guard_exception by_uid = { .parts = GUARD_EXCEPT_UID,
					  .uid_from = 1000,
					  .uid_to = 1000 };
	struct guard_exception below = by_uid, above = by_uid, range = by_uid, everyone = by_uid;
	struct guard_exception here = { .parts = GUARD_EXCEPT_SPACE, .space = OURS }, there = here;
	struct guard_exception cat_and_uid = by_cat, cat_not_uid, all = by_cat, nothing = { 0 };

	other_number.ino++;
	other_super.super += 64;
	other_generation.generation++;
	below.uid_from = below.uid_to = 999;
	above.uid_from = above.uid_to = 1001;
	range.uid_from = 0;
	range.uid_to = 2000;
	everyone.uid_from = 0;
	everyone.uid_to = UINT32_MAX;
	there.space = OTHERS;
	cat_and_uid.parts |= GUARD_EXCEPT_UID;
	cat_and_uid.uid_from = cat_and_uid.uid_to = 1000;
	cat_not_uid = cat_and_uid;
	cat_not_uid.uid_to = cat_not_uid.uid_from = 1;
	all = cat_and_uid;
	all.parts |= GUARD_EXCEPT_SPACE;
	all.space = OURS;

	const struct {
		struct guard_exception exception;
		bool holds;
	} rows[] = {
		{ by_cat, true },	{ other_number, false },
		{ other_super, false }, { other_generation, false },
		{ by_uid, true },	{ below, false },
		{ above, false },	{ range, true },
		{ everyone, true },	{ here, true },
		{ there, false },	{ cat_and_uid, true },
		{ cat_not_uid, false }, { all, true },
		{ nothing, false },
	};
	struct dentry *file = fake_at("base/file"), *base = fake_at("base/");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct table_clause clause = { NULL, WRITE, WRITE, 0, &rows[i].exception, 1 };

		watch_clauses(file, &clause, 1);
		assert_int_equal(open_for(file, FMODE_WRITE), rows[i].holds ? 0 : -EPERM);
		if (!rows[i].holds)
			told(WRITE, WRITE);
		nothing_told();
		forget_file(file);
		clause.text = "*";
		watch_names(base, &clause, 1);
		assert_int_equal(open_for(file, FMODE_WRITE), rows[i].holds ? 0 : -EPERM);
		if (!rows[i].holds)
			told(WRITE, WRITE);
		nothing_told();
		assert_true(table_remove(table, (uint64_t)&fake.supers[0] | GUARD_KEY_BASE,
					 base->d_inode->i_ino));
	}
}

/* Any exception of a clause is enough; another clause's say nothing of it; and what the entry says has none. */
static void test_exceptions_of_clauses(void **state)
{
	const struct guard_exception rows[] = {
		{ .parts = GUARD_EXCEPT_SPACE, .space = OTHERS },
		{ .parts = GUARD_EXCEPT_UID, .uid_from = 1000, .uid_to = 1000 },
	};
	const struct table_clause clauses[] = {
		{ NULL, WRITE, WRITE, 0, rows, 2 },
		{ NULL, 0, WRITE, 0, NULL, 0 },
		{ NULL, READ, READ, 0, rows, 1 },
	};
	struct dentry *file = fake_at("file");
	struct guard_entry entry = entry_for(file, GUARD_KEY_FILE);

	(void)state;
	entry.deny = entry.report = CHMOD;
	assert_int_equal(table_set(table, &entry, clauses, 3, NULL), 0);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	told(WRITE, 0);
	assert_int_equal(open_for(file, FMODE_READ), -EPERM);
	told(READ, READ);
	assert_int_equal(set_attributes(file, ATTR_MODE), -EPERM);
	told(CHMOD, CHMOD);
	fake.cred.uid = 0;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
}

/* No more are looked at than there are, and no more clauses. */
static void test_counts(void **state)
{
	const struct guard_exception rows[] = {
		{ .parts = GUARD_EXCEPT_SPACE, .space = OTHERS },
		{ .parts = GUARD_EXCEPT_SPACE, .space = OURS },
	};
	const struct table_clause excepted = { NULL, WRITE, WRITE, 0, rows, 2 };
	struct table_clause two[] = { { NULL, 0, READ, 0, NULL, 0 },
				      { NULL, WRITE, WRITE, 0, NULL, 0 } };
	struct dentry *file = fake_at("base/file"), *base = fake_at("base/");
	struct guard_clauses *clauses;
	struct guard_entry entry;

	(void)state;
	watch_clauses(file, &excepted, 1);
	assert_true(table_get(table, (uint64_t)&fake.supers[0], file->d_inode->i_ino, &entry));
	clauses = (void *)(vault_bytes + entry.clauses * 8ULL);
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	clauses->clause[0].n_exceptions = 1;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	watch_clauses(file, two, 2);
	assert_true(table_get(table, (uint64_t)&fake.supers[0], file->d_inode->i_ino, &entry));
	clauses = (void *)(vault_bytes + entry.clauses * 8ULL);
	clauses->n = 1;
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	forget_file(file);
	two[0].text = two[1].text = "*";
	watch_names(base, two, 2);
	assert_true(table_get(table, (uint64_t)&fake.supers[0] | GUARD_KEY_BASE,
			      base->d_inode->i_ino, &entry));
	clauses = (void *)(vault_bytes + entry.clauses * 8ULL);
	clauses->n = 1;
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	nothing_told();
	clauses->n = 2;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
}

/* It is the process that counts: its real credentials, whatever it acts as, and its own executable. */
static void test_exception_actor(void **state)
{
	const struct cred root = { .uid = 0 };
	const struct guard_exception user = { .parts = GUARD_EXCEPT_UID,
					      .uid_from = 1000,
					      .uid_to = 1000 };
	const struct guard_exception none = { .parts = GUARD_EXCEPT_EXECUTABLE };
	const struct table_clause by_user = { NULL, WRITE, WRITE, 0, &user, 1 };
	const struct table_clause by_none = { NULL, WRITE, WRITE, 0, &none, 1 };
	struct dentry *file = fake_at("file");

	(void)state;
	watch_clauses(file, &by_user, 1);
	fake.task.cred = &root;
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	fake.task.cred = &fake.cred;
	fake.task.real_cred = &root;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	/* A kernel thread has no executable: an exception for one that is not known is not for it. */
	fake.task.exe = NULL;
	watch_clauses(file, &by_none, 1);
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_null(text(&seen[0].record, told(WRITE, WRITE)->executable));
	/* One that is exiting has no name space. */
	fake.task.nsproxy = NULL;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->process.mnt_ns, 0);
}

/* Killing. */

static void test_kill(void **state)
{
	const struct table_clause clause = { NULL,  WRITE | CHMOD, READ | WRITE | CHMOD,
					     WRITE, NULL,	   0 };
	struct dentry *file = fake_at("file");

	(void)state;
	watch_clauses(file, &clause, 1);
	assert_int_equal(open_for(file, FMODE_READ), 0);
	assert_int_equal(told(READ, 0)->killed, 0);
	assert_int_equal(set_attributes(file, ATTR_MODE), -EPERM);
	assert_int_equal(told(CHMOD, CHMOD)->killed, 0);
	assert_int_equal(fake.n_signals, 0);
	assert_int_equal(open_for(file, FMODE_READ | FMODE_WRITE), -EPERM);
	assert_int_equal(told(READ | WRITE, WRITE)->killed, WRITE);
	assert_int_equal(fake.n_signals, 1);
	/* What counts as it kills as it. */
	assert_int_equal(set_attributes(file, ATTR_SIZE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->killed, WRITE);
	assert_int_equal(fake.n_signals, 2);
	/* Not the guest's first process, and no kernel thread: these are only refused. */
	fake.task.tgid = 1;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	fake.task.tgid = 2;
	fake.task.flags = PF_KTHREAD;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(fake.n_signals, 2);
	told(WRITE, WRITE);
	told(WRITE, WRITE);
}

/* The exception of a rule that kills takes its kill along. */
static void test_kill_excepted(void **state)
{
	const struct guard_exception user = { .parts = GUARD_EXCEPT_UID,
					      .uid_from = 1000,
					      .uid_to = 1000 };
	const struct table_clause clauses[] = {
		{ NULL, WRITE, WRITE, WRITE, &user, 1 },
		{ NULL, WRITE, WRITE, 0, NULL, 0 },
	};
	struct dentry *file = fake_at("file");

	(void)state;
	watch_clauses(file, clauses, 2);
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->killed, 0);
	assert_int_equal(fake.n_signals, 0);
	fake.cred.uid = 1;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(told(WRITE, WRITE)->killed, WRITE);
	assert_int_equal(fake.n_signals, 1);
}

/* Renames. */

static void test_rename(void **state)
{
	struct dentry *shadow = fake_at("etc/shadow"), *passwd = fake_at("etc/passwd");
	struct dentry *there = fake_at("tmp/there"), *missing = fake_missing("tmp/missing");
	const struct guard_file_record *record;

	(void)state;
	watch_file(shadow, RENAME, RENAME);
	watch_file(passwd, 0, RENAME);
	assert_int_equal(rename_to(shadow, missing), -EPERM);
	record = told(RENAME, RENAME);
	assert_int_equal(record->role, GUARD_ROLE_SOURCE);
	assert_int_equal(record->dentry_from, (uint64_t)shadow);
	assert_int_equal(record->dentry_to, (uint64_t)missing);
	assert_string_equal(text(record, record->super_path), "/etc/shadow");
	assert_string_equal(text(record, record->other_path), "/tmp/missing");
	assert_int_equal(rename_to(there, shadow), -EPERM);
	record = told(RENAME, RENAME);
	assert_int_equal(record->role, GUARD_ROLE_TARGET);
	assert_int_equal(record->dentry_from, (uint64_t)there);
	assert_int_equal(record->dentry_to, (uint64_t)shadow);
	assert_int_equal(record->file.ino, shadow->d_inode->i_ino);
	assert_string_equal(text(record, record->super_path), "/etc/shadow");
	assert_string_equal(text(record, record->other_path), "/tmp/there");
	/* Each has a part in it. */
	assert_int_equal(rename_to(passwd, shadow), -EPERM);
	told(RENAME, 0);
	told(RENAME, RENAME);
	assert_int_equal(rename_to(there, missing), 0);
	nothing_told();
}

/* To a name that a rule means: by rename, or, where nothing is, as making it. */
static void test_rename_to_name(void **state)
{
	struct dentry *etc = fake_at("etc/"), *there = fake_at("etc/shadow"),
		      *new = fake_missing("etc/new");
	struct dentry *from = fake_at("tmp/x");

	(void)state;
	watch_name(etc, "*", RENAME, RENAME);
	assert_int_equal(rename_to(from, there), -EPERM);
	told(RENAME, RENAME);
	assert_int_equal(rename_to(from, new), -EPERM);
	told(RENAME, RENAME);
	watch_name(etc, "*", CREATE, CREATE);
	assert_int_equal(rename_to(from, there), 0);
	assert_int_equal(rename_to(from, new), -EPERM);
	assert_int_equal(told(CREATE, CREATE)->role, GUARD_ROLE_TARGET);
	/* Within what the pattern matches a file is renamed like everywhere: source and target. */
	watch_name(etc, "*", RENAME, RENAME);
	assert_int_equal(rename_to(there, new), -EPERM);
	assert_int_equal(told(RENAME, RENAME)->role, GUARD_ROLE_SOURCE);
}

/* By a pattern that hangs from base/. */
static bool is_meant(const char *pattern, const char *path)
{
	size_t n = strlen("base/");

	return !strncmp(path, "base/", n) && plan_matches(pattern, path + n);
}

/* A directory that moves takes along what a pattern matches below it, or would. */
static void test_rename_directory(void **state)
{
	static const struct {
		const char *pattern, *from, *to; /* below base/, or elsewhere with "/" in front */
		bool counts;
	} rows[] = {
		{ "*.conf", "a/", "b", false }, /* nothing below is meant */
		{ "*/x", "a/", "b", false }, /* here and there the same is */
		{ "*/x", "a/", "a/b", true },
		{ "*/x", "a/", "/b", true }, /* out of it */
		{ "*/x", "/a/", "b", true }, /* into it */
		{ "a*/x", "a1/", "a2", false },
		{ "a*/x", "a1/", "b", true },
		{ "a*/x", "b/", "a1", true },
		{ "a*/x", "b/", "c", false },
		{ "a*/x", "a1/c/", "b/c", false }, /* too deep for the pattern, here and there */
		{ "*/*/x", "a/b/", "c/d", false },
		{ "*/*/x", "a/", "b", false },
		{ "*/*/x", "a/b/", "c", true },
		{ "**", "a/", "b", true }, /* it is meant itself */
		{ "**", "a/", "/b", true },
		{ "**/x", "a/", "b", false },
		{ "**/x", "a/", "b/c/d", false },
		{ "**/x", "a/", "/b", true },
		{ "**/x", "/a/", "b", true },
		{ "**/s/x", "a/", "b", false },
		{ "**/s/x", "s/", "t", true }, /* s/x, then t/x */
		{ "**/s/x", "t/", "s", true },
		{ "**/s/x", "a/s/", "b/s", false },
		{ "**/s/x", "a/s/", "a/t", true },
		{ "**/s/**/x", "a/s/", "a/t", true },
		{ "**/s/**/x", "a/s/", "b/s/c", false },
		{ "**/s/**/x", "s/a/", "a", true },
		{ "s/**", "s/", "t", true },
	};
	struct dentry *base = fake_at("base/");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char from[64], to[64];
		bool out = rows[i].from[0] == '/', into = rows[i].to[0] == '/';
		struct dentry *a, *b;
		int r;

		snprintf(from, sizeof(from), "%s%s", out ? "out" : "base/", rows[i].from);
		snprintf(to, sizeof(to), "%s%s", into ? "out" : "base/", rows[i].to);
		a = fake_at(from);
		b = fake_missing(to);
		watch_name(base, rows[i].pattern, RENAME, RENAME);
		r = rename_to(a, b);
		if (r != (rows[i].counts ? -EPERM : 0))
			fail_msg("%s: %s to %s: %d", rows[i].pattern, from, to, r);
		if (r)
			told(RENAME, RENAME);
		nothing_told();
		/* What is no directory takes nothing along: it is meant itself, here or there, or it is not. */
		a->d_inode->i_mode = 0100644;
		r = rename_to(a, b);
		a->d_inode->i_mode = S_IFDIR | 0755;
		from[strlen(from) - 1] = '\0';
		assert_int_equal(r, is_meant(rows[i].pattern, from) || is_meant(rows[i].pattern, to)
					    ? -EPERM
					    : 0);
		if (r)
			told(RENAME, RENAME);
	}
}

/* To where names cannot be held: there a pattern for any depth is taken to match, the name itself too; no other is. */
static void test_rename_deep(void **state)
{
	char path[4 * GLOB_MAX_DEPTH + 16] = "base";
	struct dentry *from = fake_at("base/d/"), *base = fake_at("base/"), *to, *deeper;
	size_t n = strlen(path);

	(void)state;
	for (unsigned int i = 1; i < GLOB_MAX_DEPTH; i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/d");
	snprintf(path + n, sizeof(path) - n, "/to");
	to = fake_missing(path); /* as deep as can be */
	snprintf(path + n, sizeof(path) - n, "/d/to");
	deeper = fake_missing(path);
	watch_name(base, "d/**/x", RENAME, RENAME);
	assert_int_equal(rename_to(from, to), 0);
	assert_int_equal(rename_to(from, deeper), -EPERM);
	assert_int_equal(told(RENAME, RENAME)->role, GUARD_ROLE_TARGET);
	watch_name(base, "**/d/x", RENAME, RENAME);
	assert_int_equal(rename_to(from, to), -EPERM);
	told(RENAME, RENAME);
	watch_name(base, "d/x", RENAME, RENAME);
	assert_int_equal(rename_to(from, to), -EPERM);
	told(RENAME, RENAME);
	assert_int_equal(rename_to(from, deeper), -EPERM);
	assert_int_equal(told(RENAME, RENAME)->role, GUARD_ROLE_SOURCE);
}

/* Follow. */

static void test_follow(void **state)
{
	struct dentry *file = fake_at("etc/shadow"), *to = fake_missing("etc/new");
	struct dentry *over = fake_at("etc/passwd");
	const struct guard_follow_record *record;

	(void)state;
	watch_file(file, 0, FOLLOW);
	file->d_inode->i_nlink = 2;
	assert_int_equal(guard_inode_unlink(directory_of(file), file), 0);
	record = next_record(GUARD_RECORD_FOLLOW);
	assert_int_equal(record->cause, GUARD_FOLLOW_GONE);
	assert_int_equal(record->links, 2);
	assert_int_equal(record->mode, 0100644);
	assert_int_equal(record->file.ino, file->d_inode->i_ino);
	assert_int_equal(record->parent.ino, directory_of(file)->i_ino);
	assert_int_equal(record->parent.super, (uint64_t)&fake.supers[0]);
	assert_string_equal(text(record, record->name), "shadow");
	nothing_told(); /* FOLLOW is between the guard and the host */
	assert_int_equal(rename_to(file, to), 0);
	record = next_record(GUARD_RECORD_FOLLOW);
	assert_int_equal(record->cause, GUARD_FOLLOW_MOVED);
	assert_string_equal(text(record, record->name), "shadow");
	watch_file(over, 0, RENAME | FOLLOW);
	assert_int_equal(rename_to(file, over), 0);
	told(RENAME, 0); /* first what it is, then what comes of it */
	assert_int_equal(
		((const struct guard_follow_record *)next_record(GUARD_RECORD_FOLLOW))->cause,
		GUARD_FOLLOW_MOVED);
	record = next_record(GUARD_RECORD_FOLLOW);
	assert_int_equal(record->cause, GUARD_FOLLOW_GONE);
	assert_int_equal(record->file.ino, over->d_inode->i_ino);
	assert_string_equal(text(record, record->name), "passwd");
	assert_int_equal(guard_inode_copy_up(file), 0);
	record = next_record(GUARD_RECORD_FOLLOW);
	assert_int_equal(record->cause, GUARD_FOLLOW_COPIED);
	/* A directory that is copied up stays what it is. */
	watch_file(fake_at("etc/"), 0, FOLLOW);
	assert_int_equal(guard_inode_copy_up(fake_at("etc/")), 0);
	nothing_told();
}

/* What was refused has not lost its name. */
static void test_follow_refused(void **state)
{
	struct dentry *file = fake_at("etc/shadow"), *over = fake_at("etc/passwd");

	(void)state;
	watch_file(file, DELETE | COPY_UP, DELETE | COPY_UP | FOLLOW);
	assert_int_equal(guard_inode_unlink(directory_of(file), file), -EPERM);
	told(DELETE, DELETE);
	assert_int_equal(guard_inode_copy_up(file), -EPERM);
	told(COPY_UP, COPY_UP);
	watch_file(over, RENAME, RENAME);
	assert_int_equal(rename_to(file, over), -EPERM);
	told(RENAME, RENAME);
	nothing_told();
}

static void count_sleeps(void)
{
	n_seen++; /* not a host */
}

/* A host that does not answer holds nobody up for longer than is said. */
static void test_follow_without_host(void **state)
{
	struct dentry *file = fake_at("etc/shadow");
	uint64_t before = fake.now_ns;

	(void)state;
	watch_file(file, 0, FOLLOW);
	fake.at_sleep = count_sleeps;
	assert_int_equal(guard_inode_unlink(directory_of(file), file), 0);
	assert_true(n_seen > 0);
	assert_in_range(fake.now_ns - before, 1000000000, 1001000000);
	n_seen = 0;
	next_record(GUARD_RECORD_FOLLOW);
	the_vault()->host_away = 1;
	assert_int_equal(guard_inode_unlink(directory_of(file), file), 0);
	assert_int_equal(n_seen, 0);
	next_record(GUARD_RECORD_FOLLOW);
}

/* Layers. */

/* What a container's overlay does below has been judged above; what another does there has not. @backing: FMODE_BACKING. */
static void check_overlay_below(uint32_t backing)
{
	const struct guard_entry known = { .key = (uint64_t)&fake.overlay_cred | GUARD_KEY_CREDS };
	struct dentry *above = fake_at("above"),
		      *below = fake_make(fake.roots[1], "below", 0100644);
	struct file file = file_of(above, FMODE_READ | FMODE_WRITE, 0);
	const struct guard_file_record *record;

	watch_file(below, ALL, ALL);
	watch_file(above, 0, 0);
	file.f_inode = below->d_inode; /* before 6.5: the path above, the file below */
	fake.task.cred = &fake.overlay_cred;
	assert_int_equal(guard_file_open(&file), -EPERM);
	record = told(READ | WRITE, READ | WRITE);
	assert_int_equal(record->nested, 1);
	assert_int_equal(record->file.ino, below->d_inode->i_ino);
	assert_string_equal(text(record, record->path), "/above"); /* as the process sees it */
	file.f_mode = FMODE_READ;
	assert_int_equal(guard_file_open(&file), -EPERM);
	told(READ, READ);
	file = file_of(below, FMODE_READ | backing, 0); /* since */
	assert_int_equal(guard_file_open(&file), -EPERM);
	told(READ, READ);
	/* By its name in a layer, reading through another overlay is that one's own. */
	assert_true(table_remove(table, (uint64_t)&fake.supers[1], below->d_inode->i_ino));
	watch_name(fake.roots[1], "below", ALL, ALL);
	assert_int_equal(guard_file_open(&file), 0);
	nothing_told();
	file.f_mode |= FMODE_WRITE;
	assert_int_equal(guard_file_open(&file), -EPERM);
	told(READ | WRITE, READ | WRITE);

	assert_int_equal(table_set(table, &known, NULL, 0, NULL), 0);
	assert_int_equal(guard_file_open(&file), 0);
	assert_int_equal(guard_inode_unlink(directory_of(below), below), 0);
	nothing_told();
	/* A file below that has no name (any more) is judged as what it is. */
	file.f_inode = fake_inode(&fake.supers[1], 0100644);
	assert_true(table_remove(table, known.key, 0));
	watch_name(fake.roots[1], "**", ALL, ALL);
	assert_int_equal(guard_file_open(&file), 0);
	free(file.f_inode);
	assert_int_equal(table_set(table, &known, NULL, 0, NULL), 0);
	/* Credentials that a process has as its own are no overlay's. */
	fake.task.real_cred = &fake.overlay_cred;
	assert_int_equal(guard_inode_unlink(directory_of(below), below), -EPERM);
	assert_int_equal(told(DELETE, DELETE)->nested, 0);
	/* Nor is what fanotify opens for them (FMODE_NONOTIFY): it is read by its names. */
	file = file_of(below, FMODE_READ | backing, 0);
	assert_int_equal(guard_file_open(&file), -EPERM);
	told(READ, READ);
}

static void test_overlay_below(void **state)
{
	(void)state;
	check_overlay_below(0x2000000);
}

static void test_overlay_below_since(void **state)
{
	(void)state;
	check_overlay_below(0x1000000);
}

/*
 * A directory over a whiteout is made in the work directory and moved into place, with credentials made for that: it has
 * nothing in it that a pattern could match. What anybody else moves there may have.
 */
static void test_overlay_makes_directory(void **state)
{
	struct dentry *work = fake_at("work/"), *made = fake_at("work/#1/"),
		      *place = fake_missing("upper/d");
	const struct guard_entry known = {
		.key = (uint64_t)&fake.supers[0] | GUARD_KEY_WORK,
		.ino = work->d_inode->i_ino,
		.generation = work->d_inode->i_generation,
	};

	(void)state;
	watch_name(fake_at("upper/"), "**/*.key", ALL, ALL);
	fake.task.cred = &fake.overlay_cred;
	assert_int_equal(rename_to(made, place), -EPERM);
	told(RENAME, RENAME);
	assert_int_equal(table_set(table, &known, NULL, 0, NULL), 0);
	assert_int_equal(rename_to(made, place), 0);
	nothing_told();
	fake.task.cred = fake.task.real_cred;
	assert_int_equal(rename_to(made, place), -EPERM);
	told(RENAME, RENAME);
}

/* Mounts. */

static struct guard_entry mount_entry(const struct dentry *dentry, uint64_t space)
{
	return (struct guard_entry){
		.key = GUARD_MOUNT_KEY(space),
		.ino = GUARD_MOUNT_INO((uint64_t)dentry->d_inode->i_sb, dentry->d_inode->i_ino),
		.generation = dentry->d_inode->i_generation,
	};
}

static void watch_mounts(const struct dentry *dentry, uint64_t space, uint32_t deny,
			 uint32_t report)
{
	struct guard_entry entry = mount_entry(dentry, space);

	entry.deny = deny;
	entry.report = report;
	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
}

static int mount_on(struct dentry *dentry, size_t space, unsigned long flags)
{
	const struct kernel_path path = { &fake.mounts[space].mnt, dentry };

	return guard_sb_mount("tmp/from", &path, "tmpfs", flags, NULL);
}

static void test_mount(void **state)
{
	struct dentry *etc = fake_at("etc/"), *shadow = fake_at("etc/shadow");
	const struct guard_file_record *record;

	(void)state;
	watch_mounts(etc, OURS, ABOVE, ABOVE);
	watch_mounts(shadow, OURS, MOUNT, MOUNT);
	assert_int_equal(mount_on(shadow, 1, 0), 0); /* not known: no container's */
	know_space(OURS, false);
	know_space(OTHERS, false);
	know_space(fake.spaces[0].seq, false);
	assert_int_equal(mount_on(shadow, 1, 0), -EPERM);
	record = told(MOUNT, MOUNT);
	assert_int_equal(record->space, OURS);
	assert_string_equal(text(record, record->super_path), "/etc/shadow");
	assert_int_equal(mount_on(etc, 1, 0), -EPERM);
	told(MOUNT, MOUNT); /* above it, told as what it is */
	assert_int_equal(mount_on(fake_at("tmp/"), 1, 0), 0);
	/* In other name spaces nothing that the container sees is hidden. */
	assert_int_equal(mount_on(shadow, 2, 0), 0);
	assert_int_equal(mount_on(shadow, 0, 0), 0);
	/* Propagation changes nothing; nor does making the root read-only. */
	assert_int_equal(mount_on(shadow, 1, 1 << 18), 0);
	assert_int_equal(mount_on(shadow, 1, MS_REMOUNT), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(shadow, 1, MS_REMOUNT | 1 << 18), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(etc, 1, MS_REMOUNT | MS_RDONLY), -EPERM);
	told(MOUNT, MOUNT);
	watch_mounts(fake.roots[0], OURS, ABOVE, ABOVE);
	assert_int_equal(mount_on(fake.roots[0], 1, MS_REMOUNT), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(fake.roots[0], 1, MS_REMOUNT | MS_RDONLY), 0);
	nothing_told();
	/* A mount that is in no name space, or a kernel's own. */
	watch_name(fake.roots[0], "**", MOUNT, MOUNT);
	fake.mounts[1].mnt_ns = NULL;
	assert_int_equal(mount_on(shadow, 1, 0), 0);
	fake.mounts[1].mnt_ns = (void *)-22L;
	assert_int_equal(mount_on(shadow, 1, 0), 0);
}

static void test_mount_names(void **state)
{
	struct dentry *base = fake_at("base/"), *a = fake_at("base/a/"), *b = fake_at("base/a/b/");
	struct dentry *file = fake_at("base/a/b/x.conf");

	(void)state;
	know_space(OURS, false);
	watch_name(base, "a/b/*.conf", MOUNT, MOUNT);
	assert_int_equal(mount_on(file, 1, 0), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(b, 1, 0), -EPERM); /* hides it */
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(a, 1, 0), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(a, 1, MS_REMOUNT), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(mount_on(fake_at("base/c/"), 1, 0), 0);
	nothing_told();
	assert_int_equal(mount_on(file, 1, MS_REMOUNT), -EPERM);
	told(MOUNT, MOUNT);
}

static void test_mount_kills(void **state)
{
	const struct table_clause clause = { NULL,	    MOUNT | ABOVE, MOUNT | ABOVE,
					     MOUNT | ABOVE, NULL,	   0 };
	struct dentry *etc = fake_at("etc/");
	struct guard_entry entry = mount_entry(etc, OURS);

	(void)state;
	know_space(OURS, false);
	assert_int_equal(table_set(table, &entry, &clause, 1, NULL), 0);
	assert_int_equal(mount_on(etc, 1, 0), -EPERM);
	assert_int_equal(told(MOUNT, MOUNT)->killed, MOUNT);
	entry = mount_entry(etc, OURS);
	assert_int_equal(table_set(table, &entry,
				   &(struct table_clause){ NULL, ABOVE, ABOVE, ABOVE, NULL, 0 }, 1,
				   NULL),
			 0);
	assert_int_equal(mount_on(etc, 1, 0), -EPERM);
	assert_int_equal(told(MOUNT, MOUNT)->killed, MOUNT); /* of what was refused */
	assert_int_equal(fake.n_signals, 2);
}

static void test_move_and_umount(void **state)
{
	struct dentry *from = fake_at("tmp/from/"), *to = fake_at("etc/");
	struct mount source = { &fake.spaces[1], { from } };
	const struct kernel_path from_path = { &fake.mounts[1].mnt, from };
	const struct kernel_path to_path = { &fake.mounts[1].mnt, to };
	const struct kernel_path new_mount = { &fake.mounts[2].mnt, from };
	static const uint32_t operations[] = { MOUNT, ABOVE };

	(void)state;
	know_space(OURS, false);
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		watch_mounts(from, OURS, operations[i], operations[i]);
		source.mnt_ns = &fake.spaces[1];
		assert_int_equal(guard_move_mount(&from_path, &to_path), -EPERM);
		told(MOUNT, MOUNT);
		assert_int_equal(guard_move_mount(&to_path, &from_path), -EPERM);
		told(MOUNT, MOUNT);
		assert_int_equal(guard_move_mount(&new_mount, &to_path), 0);
		/* mount(2) with MS_MOVE names its source. */
		assert_int_equal(mount_on(to, 1, 0), 0);
		assert_int_equal(mount_on(to, 1, MS_MOVE), -EPERM);
		told(MOUNT, MOUNT);
		assert_int_equal(mount_on(from, 1, MS_MOVE), -EPERM);
		told(MOUNT, MOUNT); /* once */
		fake.lookup_error = -2;
		assert_int_equal(mount_on(to, 1, MS_MOVE), 0);
		fake.lookup_error = 0;
		assert_int_equal(guard_sb_umount(&source.mnt, 0), -EPERM);
		told(MOUNT, MOUNT);
		source.mnt_ns = &fake.spaces[2];
		assert_int_equal(guard_sb_umount(&source.mnt, 0), 0);
		nothing_told();
	}
}

/* All hooks, on a file, or a name where nothing is, and on @missing: how many say no. */
static unsigned int count_refusals(struct dentry *dentry, struct dentry *missing)
{
	struct dentry *source = fake.executable.f_path.dentry;
	struct file file = file_of(dentry, FMODE_READ | FMODE_WRITE, 0);
	struct vm_area_struct vma = { .vm_flags = VM_SHARED, .vm_file = &file };
	struct inode *directory = directory_of(missing);
	const struct kernel_path path = { &fake.mounts[1].mnt, dentry };
	struct mount mount = { &fake.spaces[1], { dentry } };
	unsigned int n = 0;

	if (dentry->d_inode) {
		n += guard_file_open(&file) != 0;
		n += guard_file_receive(&file) != 0;
		n += guard_file_ioctl(&file, FS_IOC_SETFLAGS, 0) != 0;
	}
	n += guard_mmap_file(&file, 0, PROT_WRITE, MAP_SHARED) != 0;
	n += guard_file_mprotect(&vma, 0, PROT_WRITE) != 0;
	n += guard_inode_unlink(directory, dentry) != 0;
	n += rename_to(dentry, source) != 0;
	n += set_attributes(dentry, ATTR_MODE) != 0;
	n += guard_inode_setxattr(NULL, dentry, "user.x") != 0;
	n += guard_inode_copy_up(dentry) != 0;
	n += guard_sb_mount("", &path, "", 0, NULL) != 0;
	n += guard_move_mount(&path, &path) != 0;
	n += guard_sb_umount(&mount.mnt, 0) != 0;
	if (dentry->d_inode) {
		n += guard_inode_create(directory, missing, 0) != 0;
		n += guard_inode_mkdir(directory, missing, 0) != 0;
		n += guard_inode_mknod(directory, missing, 0, 0) != 0;
		n += guard_inode_symlink(directory, missing, "") != 0;
		n += guard_inode_link(source, directory, missing) != 0;
		n += rename_to(source, missing) != 0;
	}
	consume();
	n_seen = n_looked_at = 0;
	return n;
}

/* No hook says no, or anything, of what no rule is about. */
static void test_nothing_watched(void **state)
{
	struct dentry *dentry = fake_at("a/b/file"), *missing = fake_missing("a/b/missing");
	struct dentry *another = fake_at("a/b/another/"), *gone = fake_missing("a/b/gone");
	struct dentry *other = fake_make(fake.roots[1], "other", S_IFDIR | 0755);

	(void)state;
	assert_int_equal(count_refusals(dentry, missing), 0);
	know_space(OURS, false);
	watch_file(another, ALL, ALL);
	watch_mounts(another, OURS, ALL | ABOVE, ALL | ABOVE);
	watch_name(another, "**", ALL, ALL);
	watch_name(fake_at("a/c/"), "**", ALL, ALL);
	watch_name(fake_at("a/"), "b/another", ALL, ALL);
	watch_name(other, "**", ALL, ALL);
	assert_int_equal(count_refusals(dentry, missing), 0);
	assert_int_equal(the_mailbox()->head, 0);
	watch_name(fake_at("a/b/"), "**", ALL, ALL);
	assert_int_equal(count_refusals(dentry, missing), 19);
	/* A name where nothing is has nothing that could be opened, moved, changed or mounted upon. */
	assert_int_equal(count_refusals(gone, missing), 0);
}

/* Containers start. */

static void put_names(const char *const names[], uint32_t n, uint32_t sequence)
{
	uint32_t *offsets = (uint32_t *)(vault_bytes + GUARD_VAULT_NAMES);
	char *to = (char *)(offsets + n);

	for (uint32_t i = 0; i < n; i++) {
		offsets[i] = (uint32_t)(to - (char *)offsets);
		to = stpcpy(to, names[i]) + 1;
	}
	the_vault()->names = (uint64_t)sequence << GUARD_NAMES_SEQUENCE_SHIFT | n;
}

static const char *const many_names[] = { "",  "etc", "etc/shadow", "nothing",	 "a", "b", "c",
					  "d", "e",   "f",	    "g",	 "h", "i", "j",
					  "k", "l",   "m",	    "n",	 "o", "p", "q",
					  "r", "s",   "t",	    "etc/passwd" };

/* What a runtime's pivot_root makes the guard do. */
static void test_start(void **state)
{
	const struct kernel_path root = { &fake.mounts[1].mnt, fake.roots[0] };
	struct dentry *shadow = fake_at("etc/shadow"), *passwd = fake_at("etc/passwd");
	const struct guard_view_record *record;
	uint32_t n = 0;

	(void)state;
	put_names(many_names, ARRAY_SIZE(many_names), 77);
	assert_int_equal(guard_sb_pivotroot(&root, &root), 0);
	for (unsigned int i = 0; i < 3; i++) {
		record = next_record(GUARD_RECORD_VIEW);
		assert_int_equal(record->cause, GUARD_VIEW_PIVOT);
		assert_int_equal(record->names_sequence, 77);
		assert_int_equal(record->task, (uint64_t)&fake.task);
		assert_int_equal(record->root_dentry, (uint64_t)fake.roots[0]);
		assert_int_equal(record->root_super, (uint64_t)&fake.supers[0]);
		assert_int_equal(record->last, i == 2);
		assert_int_equal(record->error, 0);
		for (uint32_t j = 0; j < record->n_resolved; j++, n++) {
			const struct guard_resolved *resolved = &record->resolved[j];
			const struct inode *inode = n == 0    ? fake.roots[0]->d_inode
						    : n == 1  ? shadow->d_parent->d_inode
						    : n == 2  ? shadow->d_inode
						    : n == 24 ? passwd->d_inode
							      : NULL;

			assert_int_equal(resolved->name, n);
			assert_int_equal(resolved->error, inode ? 0 : -ENOENT);
			if (!inode)
				continue;
			assert_int_equal(resolved->file.ino, inode->i_ino);
			assert_int_equal(resolved->file.generation, inode->i_generation);
			assert_int_equal(resolved->file.super, (uint64_t)inode->i_sb);
			assert_int_equal(resolved->mode, inode->i_mode);
		}
	}
	assert_int_equal(n, ARRAY_SIZE(many_names));
}

/* What only the guest's own rules name is not looked up in a container. */
static void test_start_without_guests_names(void **state)
{
	static const uint32_t wanted[] = { 0, 2, ARRAY_SIZE(many_names) - 2 };
	const struct kernel_path root = { &fake.mounts[1].mnt, fake.roots[0] };
	uint32_t *offsets = (uint32_t *)(vault_bytes + GUARD_VAULT_NAMES);
	const struct guard_view_record *record;

	(void)state;
	put_names(many_names, ARRAY_SIZE(many_names), 77);
	for (uint32_t i = 0, next = 0; i < ARRAY_SIZE(many_names); i++) {
		if (next < ARRAY_SIZE(wanted) && i == wanted[next])
			next++;
		else
			offsets[i] |= GUARD_NAME_OF_GUEST;
	}
	assert_int_equal(guard_sb_pivotroot(&root, &root), 0);
	record = next_record(GUARD_RECORD_VIEW);
	assert_int_equal(record->last, 1);
	assert_int_equal(record->n_resolved, ARRAY_SIZE(wanted));
	for (uint32_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_int_equal(record->resolved[i].name, wanted[i]);
}

/* A container that the host knows does not start again: its new root hides the one that the rules are about. */
static void test_start_again(void **state)
{
	const struct kernel_path root = { &fake.mounts[1].mnt, fake_at("new/") };

	(void)state;
	know_space(OURS, false);
	assert_int_equal(guard_sb_pivotroot(&root, &root), 0);
	assert_int_equal(guard_path_chroot(&root), 0);
	nothing_told();
	watch_mounts(fake.roots[0], OURS, ABOVE, ABOVE);
	assert_int_equal(guard_sb_pivotroot(&root, &root), -EPERM);
	told(MOUNT, MOUNT);
	assert_int_equal(guard_path_chroot(&root), 0);
}

static void test_chroot(void **state)
{
	const struct kernel_path root = { &fake.mounts[1].mnt, fake.roots[0] };

	(void)state;
	put_names(many_names, 1, 1);
	fake.task.nsproxy = &fake.proxies[0]; /* the guest's own */
	assert_int_equal(guard_path_chroot(&root), 0);
	nothing_told();
	fake.task.nsproxy = &fake.proxies[1];
	assert_int_equal(guard_path_chroot(&root), 0);
	assert_int_equal(((const struct guard_view_record *)next_record(GUARD_RECORD_VIEW))->cause,
			 GUARD_VIEW_CHROOT);
}

static void consume_and_refuse(void)
{
	consume();
	know_space(OURS, true);
}

/* Whose files the host did not enter does not start, where the policy says so. */
static void test_start_refused(void **state)
{
	const struct kernel_path root = { &fake.mounts[1].mnt, fake.roots[0] };

	(void)state;
	put_names(many_names, 1, 1);
	fake.at_sleep = consume_and_refuse;
	assert_int_equal(guard_sb_pivotroot(&root, &root), -EPERM);
	next_record(GUARD_RECORD_VIEW);
	assert_true(table_remove(table, GUARD_SPACE_KEY(OURS), 0));
	/* The host is away. */
	fake.at_sleep = NULL;
	assert_int_equal(guard_sb_pivotroot(&root, &root), 0);
	the_vault()->flags = GUARD_REFUSE_UNRESOLVED;
	assert_int_equal(guard_sb_pivotroot(&root, &root), -EPERM);
	the_vault()->host_away = 1;
	assert_int_equal(guard_sb_pivotroot(&root, &root), -EPERM);
	for (unsigned int i = 0; i < 3; i++)
		next_record(GUARD_RECORD_VIEW);
}

static unsigned int n_views;

/* The host enters what the view's record says, here a file. */
static void enter_lazily(void)
{
	enum guard_record_type type = ring_next(&ring, 1);

	if (!type)
		return;
	if (type == GUARD_RECORD_VIEW && ring.copy.view.cause == GUARD_VIEW_LAZY) {
		n_views++;
		watch_file(fake_at("etc/shadow"), WRITE, WRITE);
		watch_name(fake.roots[0], "nothing", 0, 0);
	}
	ring_done(&ring);
}

/* `cache: lazy`: a start asks for nothing, the first use for everything, and is judged by it. */
static void test_lazy(void **state)
{
	const struct kernel_path root = { &fake.mounts[1].mnt, fake.roots[0] };
	struct dentry *shadow = fake_at("etc/shadow");
	const struct guard_view_record *record;

	(void)state;
	put_names(many_names, 3, 5);
	the_vault()->flags = GUARD_LAZY;
	assert_int_equal(guard_sb_pivotroot(&root, &root), 0);
	record = next_record(GUARD_RECORD_VIEW);
	assert_int_equal(record->n_resolved, 0);
	assert_int_equal(record->last, 1);
	watch_name(fake.roots[0], "**", 0, GUARD_OP_LAZY);
	n_views = 0;
	fake.at_sleep = enter_lazily;
	assert_int_equal(open_for(shadow, FMODE_WRITE), -EPERM);
	assert_int_equal(n_views, 1);
	told(WRITE, WRITE);
	assert_int_equal(open_for(shadow, FMODE_WRITE), -EPERM);
	assert_int_equal(n_views, 1);
	told(WRITE, WRITE);
}

/* Asking. */

static uint32_t asked_operations, asked_reported;

static void decide(void)
{
	enum guard_record_type type = ring_next(&ring, 1);

	if (!type)
		return;
	assert_int_equal(type, GUARD_RECORD_FILE);
	assert_true(ring.copy.file.asked);
	asked_operations = ring.copy.file.operations;
	asked_reported = ring.copy.file.reported;
	watch_file(fake_at("file"), WRITE, WRITE);
	ring_done(&ring);
}

static void test_ask(void **state)
{
	struct dentry *file = fake_at("file");

	(void)state;
	watch_file(file, 0, WRITE | GUARD_OP_ASK);
	fake.at_sleep = decide;
	assert_int_equal(open_for(file, FMODE_READ), 0); /* not what the rule is about */
	nothing_told();
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_int_equal(asked_operations, WRITE);
	assert_int_equal(asked_reported, 0); /* a question, no event */
	assert_int_equal(told(WRITE, WRITE)->asked, 0);
	/* Nobody answers: what the table says now. */
	watch_file(file, WRITE, WRITE | GUARD_OP_ASK);
	fake.at_sleep = NULL;
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	assert_true(told(0, 0)->asked);
	assert_int_equal(told(WRITE, WRITE)->asked, 0);
}

/* The table changes while it is looked into. */

static struct dentry *changed;
static unsigned int n_changes;

static void change_to_deny(void)
{
	const struct guard_exception nobody = { .parts = GUARD_EXCEPT_UID,
						.uid_from = 5,
						.uid_to = 5 };
	const struct table_clause clause = { NULL, WRITE, WRITE, 0, &nobody, 1 };

	if (n_changes++)
		return;
	watch_clauses(changed, &clause, 1);
	assert_true(table_remove(table, (uint64_t)&fake.supers[1], 1)); /* the word moves on */
}

static void publish_without(void)
{
	if (n_changes++)
		return;
	assert_int_equal(table_begin(table, NULL), 0);
	table_publish(table);
}

static void change_for_ever(void)
{
	const struct guard_entry entry = { .key = (uint64_t)&fake.supers[1], .ino = 1 };

	if (n_changes++ > 20)
		return;
	assert_int_equal(table_set(table, &entry, NULL, 0, NULL), 0);
	assert_true(table_remove(table, entry.key, 1));
}

static void test_table_changes(void **state)
{
	const struct guard_exception user = { .parts = GUARD_EXCEPT_UID,
					      .uid_from = 1000,
					      .uid_to = 1000 };
	const struct table_clause excepted = { NULL, WRITE, WRITE, 0, &user, 1 };
	const struct table_clause refused = { NULL, WRITE, WRITE, 0, &(struct guard_exception){ 0 },
					      1 };
	const struct guard_entry extra = { .key = (uint64_t)&fake.supers[1], .ino = 1 };

	(void)state;
	changed = fake_at("file");
	/* Who is excepted when the look-up begins is not when it ends. */
	watch_clauses(changed, &excepted, 1);
	assert_int_equal(table_set(table, &extra, NULL, 0, NULL), 0);
	n_changes = 0;
	fake.at_executable = change_to_deny;
	assert_int_equal(open_for(changed, FMODE_WRITE), -EPERM);
	assert_true(n_changes >= 1);
	told(WRITE, WRITE);
	/* A new policy that does not have the file comes into force. */
	watch_clauses(changed, &refused, 1);
	n_changes = 0;
	fake.at_executable = publish_without;
	assert_int_equal(open_for(changed, FMODE_WRITE), 0);
	assert_int_equal(n_changes, 1);
	nothing_told();
	/* Each change makes it begin again; who does it is looked up once. */
	watch_clauses(changed, &refused, 1);
	n_changes = 0;
	fake.at_executable = change_for_ever;
	assert_int_equal(open_for(changed, FMODE_WRITE), -EPERM);
	assert_in_range(n_changes, 1, 2); /* and once for the record */
	told(WRITE, WRITE);
}

/*
 * What is read while the vault is rewritten may be anything: nothing leads out of the vault (a page that nobody may touch lies
 * behind it), and no number there makes the guard walk for ever.
 */
static void test_any_vault(void **state)
{
	struct dentry *file = fake_at("base/a/b/file"), *base = fake_at("base/");
	const struct guard_exception nobody = { .parts = GUARD_EXCEPT_UID };
	const struct table_clause clauses[] = {
		{ NULL, READ, READ, 0, &nobody, 1 },
		{ "**/x", WRITE, WRITE, 0, &nobody, 1 },
	};
	static const uint32_t numbers[] = {
		0,
		1,
		2,
		7,
		4096,
		GUARD_MAX_CLAUSES,
		0x7fffffff,
		UINT32_MAX,
		(VAULT_SIZE - 8) / 8,
		(VAULT_SIZE - 16) / 8,
		VAULT_SIZE / 8,
		VAULT_SIZE - 1,
	};
	uint64_t random = 7;
	struct guard_entry found;

	(void)state;
	watch_clauses(file, &clauses[0], 1);
	watch_names(base, &clauses[1], 1);
	for (unsigned int i = 0; i < 3000; i++) {
		struct guard_entry *entry;
		uint32_t *words;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		assert_true(table_get(
			table, (uint64_t)&fake.supers[0] | (random >> 60 & 1),
			random >> 60 & 1 ? base->d_inode->i_ino : file->d_inode->i_ino, &found));
		entry = (struct guard_entry *)cache_find(vault_bytes, the_vault()->table, found.key,
							 found.ino);
		words = (uint32_t *)(vault_bytes + found.clauses * 8ULL);
		switch (random >> 40 & 3) {
		case 0:
			entry->clauses = numbers[(random >> 44) % ARRAY_SIZE(numbers)];
			break;
		default: /* n, unused, text, deny, report, kill, exceptions, n_exceptions */
			words[(random >> 50) % 8] = numbers[(random >> 44) % ARRAY_SIZE(numbers)];
		}
		open_for(file, FMODE_READ | FMODE_WRITE);
		consume();
		n_seen = n_looked_at = 0;
		entry->clauses = found.clauses;
		words[0] = 1;
	}
}

/* What is attempted on the guest as a whole. */

/* The current process is the guest's own, or one that an exec into the guest's name spaces has left in its container's cgroup. */
static void be_of_guest(void)
{
	fake.pid.level = 0;
	fake.task.nsproxy = &fake.proxies[0];
}

static void audit_guest_deny_containers(enum guard_attempt attempt)
{
	the_vault()->attempts_report[0] = the_vault()->attempts_deny[1] = 1u << attempt;
}

static const struct guard_attempt_record *attempted(enum guard_attempt attempt,
						    enum guard_whom whom, bool denied)
{
	const struct guard_attempt_record *record = next_record(GUARD_RECORD_ATTEMPT);

	assert_int_equal(record->attempt, attempt);
	assert_int_equal(record->whom, whom);
	assert_int_equal(record->denied, denied);
	assert_int_equal(record->process.pid, 321);
	return record;
}

static void test_attempt(void **state)
{
	const struct guard_attempt_record *record;
	struct file module = file_of(fake_at("dummy.ko"), FMODE_READ, 0);

	(void)state;
	assert_int_equal(guard_kernel_read_file(&module, 2, true), 0);
	nothing_told(); /* no policy asks */
	audit_guest_deny_containers(GUARD_ATTEMPT_MODULE_LOAD);
	assert_int_equal(guard_kernel_read_file(&module, 1, true), 0); /* firmware */
	assert_int_equal(guard_kernel_load_data(1, true), 0);
	nothing_told();
	assert_int_equal(guard_kernel_read_file(&module, 2, true), -EPERM);
	record = attempted(GUARD_ATTEMPT_MODULE_LOAD, GUARD_BY_CONTAINER, true);
	assert_string_equal(text(record, record->path), "/dummy.ko");
	assert_string_equal(text(record, record->executable), "/bin/cat");
	be_of_guest();
	assert_int_equal(guard_kernel_load_data(2, true), 0);
	record = attempted(GUARD_ATTEMPT_MODULE_LOAD, GUARD_BY_GUEST, false);
	assert_null(text(record, record->path));
	the_vault()->attempts_deny[0] = 1u << GUARD_ATTEMPT_MODULE_LOAD;
	assert_int_equal(guard_kernel_load_data(2, true), -EPERM);
	attempted(GUARD_ATTEMPT_MODULE_LOAD, GUARD_BY_GUEST, true);
	the_vault()->flags = GUARD_MAINTENANCE;
	assert_int_equal(guard_kernel_load_data(2, true), 0);
	attempted(GUARD_ATTEMPT_MODULE_LOAD, GUARD_BY_GUEST, false);
	fake.pid.level = 1; /* not for containers */
	assert_int_equal(guard_kernel_load_data(2, true), -EPERM);
	attempted(GUARD_ATTEMPT_MODULE_LOAD, GUARD_BY_CONTAINER, true);
}

static void test_locked_down(void **state)
{
	static const struct {
		uint32_t reason;
		enum guard_attempt attempt;
	} rows[] = {
		{ 2, GUARD_ATTEMPT_DEV_MEM },	      { 20, GUARD_ATTEMPT_KCORE },
		{ 7, GUARD_ATTEMPT_IO_PORTS },	      { 8, GUARD_ATTEMPT_MSR },
		{ 9, GUARD_ATTEMPT_ACPI_TABLES },     { 6, GUARD_ATTEMPT_PCI_CONFIG },
		{ 17, GUARD_ATTEMPT_BPF_WRITE_USER }, { 21, GUARD_ATTEMPT_KPROBE },
	};

	(void)state;
	the_vault()->attempts_deny[1] = UINT32_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(guard_locked_down(rows[i].reason), -EPERM);
		attempted(rows[i].attempt, GUARD_BY_CONTAINER, true);
	}
	assert_int_equal(guard_locked_down(1), 0);
}

/* Who comes from a container, by whatever it has left of it. */
static void test_whom(void **state)
{
	const struct guard_entry space = { .key = GUARD_SPACE_KEY(101) };
	const struct guard_entry cgroup = { .key = GUARD_CGROUP_KEY(1) };

	(void)state;
	assert_int_equal(actor_whom(), GUARD_BY_CONTAINER); /* a pid name space */
	be_of_guest();
	assert_int_equal(actor_whom(), GUARD_BY_GUEST);
	assert_int_equal(table_set(table, &cgroup, NULL, 0, NULL), 0);
	assert_int_equal(actor_whom(), GUARD_BY_CONTAINER); /* a cgroup above its own */
	fake.css.dfl_cgrp = &fake.cgroups[0];
	assert_int_equal(actor_whom(), GUARD_BY_CONTAINER);
	assert_true(table_remove(table, cgroup.key, 0));
	assert_int_equal(actor_whom(), GUARD_BY_GUEST);
	assert_int_equal(table_set(table, &space, NULL, 0, NULL), 0);
	fake.task.nsproxy = &fake.proxies[1];
	assert_int_equal(actor_whom(), GUARD_BY_CONTAINER); /* a mount name space */
	fake.task.flags = PF_KTHREAD;
	assert_int_equal(actor_whom(), GUARD_BY_GUEST);
}

static void test_devices(void **state)
{
	const struct guard_entry disk = { .key = GUARD_DEVICE_KEY(1ULL, 8 << 20),
					  .deny = 1u << GUARD_ATTEMPT_BLOCK_WRITE };
	const struct guard_entry mapper = { .key = GUARD_DEVICE_KEY(0ULL, 10 << 20 | 236),
					    .deny = 1u << GUARD_ATTEMPT_DEVICE_MAPPER };
	struct dentry *node = fake_at("dev/sda"), *control = fake_at("dev/control");
	struct file file = file_of(control, FMODE_READ, 0);

	(void)state;
	node->d_inode->i_mode = S_IFBLK | 0600;
	node->d_inode->i_rdev = 8 << 20;
	control->d_inode->i_mode = S_IFCHR | 0600;
	control->d_inode->i_rdev = 10 << 20 | 236;
	assert_int_equal(table_set(table, &disk, NULL, 0, NULL), 0);
	assert_int_equal(table_set(table, &mapper, NULL, 0, NULL), 0);
	the_vault()->attempts_report[0] = the_vault()->attempts_deny[1] =
		UINT32_MAX & ~(1u << GUARD_ATTEMPT_BLOCK_READ);
	assert_int_equal(open_for(node, FMODE_READ), 0);
	assert_int_equal(open_for(node, FMODE_READ | FMODE_WRITE), -EPERM);
	attempted(GUARD_ATTEMPT_BLOCK_WRITE, GUARD_BY_CONTAINER, true);
	assert_int_equal(open_for(control, FMODE_READ), 0);
	assert_int_equal(open_for(control, FMODE_WRITE), -EPERM);
	attempted(GUARD_ATTEMPT_DEVICE_MAPPER, GUARD_BY_CONTAINER, true);
	assert_int_equal(guard_file_ioctl(&file, NVME_IOCTL_IO_CMD, 0), -EPERM);
	attempted(GUARD_ATTEMPT_BLOCK_COMMAND, GUARD_BY_CONTAINER, true);
	assert_int_equal(guard_file_ioctl(&file, 1234, 0), 0);
	the_vault()->attempts_deny[1] = 1u << GUARD_ATTEMPT_BLOCK_READ;
	assert_int_equal(open_for(node, FMODE_READ), -EPERM);
	attempted(GUARD_ATTEMPT_BLOCK_READ, GUARD_BY_CONTAINER, true);
	be_of_guest();
	assert_int_equal(open_for(node, FMODE_WRITE), 0);
	attempted(GUARD_ATTEMPT_BLOCK_WRITE, GUARD_BY_GUEST, false);
	node->d_inode->i_rdev++; /* with no file system on it */
	assert_int_equal(open_for(node, FMODE_WRITE), 0);
}

static void test_ptrace(void **state)
{
	struct mm_struct mm = { .exe_file = NULL };
	struct task_struct other = {
		.tgid = 77, .comm = "runc", .nsproxy = &fake.proxies[2], .mm = &mm
	};
	struct guard_entry runtime = entry_for(fake.executable.f_path.dentry, GUARD_KEY_FILE);
	const struct guard_attempt_record *record;

	(void)state;
	audit_guest_deny_containers(GUARD_ATTEMPT_PTRACE);
	assert_int_equal(guard_ptrace_access_check(&other, 1), 0); /* reads /proc */
	assert_int_equal(guard_ptrace_access_check(&other, PTRACE_MODE_ATTACH), -EPERM);
	record = attempted(GUARD_ATTEMPT_PTRACE, GUARD_BY_CONTAINER, true);
	assert_int_equal(record->target_pid, 77);
	assert_string_equal(record->target_name, "runc");
	assert_null(text(record, record->executable));
	other.nsproxy = fake.task.nsproxy; /* its own container's */
	assert_int_equal(guard_ptrace_access_check(&other, PTRACE_MODE_ATTACH), 0);
	be_of_guest();
	mm.exe_file = &fake.executable;
	assert_int_equal(guard_ptrace_access_check(&other, PTRACE_MODE_ATTACH), 0);
	runtime.report = GUARD_OP_RUNTIME;
	assert_int_equal(table_set(table, &runtime, NULL, 0, NULL), 0);
	assert_int_equal(guard_ptrace_access_check(&other, PTRACE_MODE_ATTACH), 0);
	attempted(GUARD_ATTEMPT_PTRACE, GUARD_BY_GUEST, false);
}

static void test_exe_file(void **state)
{
	(void)state;
	audit_guest_deny_containers(GUARD_ATTEMPT_EXE_FILE);
	assert_int_equal(guard_task_prctl(15, 13), -ENOSYS); /* PR_SET_NAME */
	assert_int_equal(guard_task_prctl(PR_SET_MM, 1), -ENOSYS);
	assert_int_equal(guard_task_prctl(PR_SET_MM, PR_SET_MM_MAP), -EPERM);
	attempted(GUARD_ATTEMPT_EXE_FILE, GUARD_BY_CONTAINER, true);
	be_of_guest();
	assert_int_equal(guard_task_prctl(PR_SET_MM, PR_SET_MM_EXE_FILE), -ENOSYS);
	attempted(GUARD_ATTEMPT_EXE_FILE, GUARD_BY_GUEST, false);
}

static int mount_with(const char *type, const char *options, unsigned long flags)
{
	const struct kernel_path path = { &fake.mounts[0].mnt, fake.roots[0] };
	char page[4096] = "";

	snprintf(page, sizeof(page), "%s", options);
	return guard_sb_mount("none", &path, type, flags, page);
}

static int set_option(const char *type, const char *key, bool by_mount)
{
	struct file_system_type system = { type };
	struct fs_context context = { &system, by_mount ? NULL : &context };
	struct fs_parameter parameter = { key };

	return guard_fs_context_parse_param(&context, &parameter);
}

static void test_release_agent(void **state)
{
	struct super_block cgroups = { .s_magic = CGROUP_SUPER_MAGIC };
	char full[4096];

	(void)state;
	audit_guest_deny_containers(GUARD_ATTEMPT_RELEASE_AGENT);
	assert_int_equal(mount_with("cgroup", "none,name=x", 0), 0);
	assert_int_equal(mount_with("cgroup", "none,name=release_agent", 0), 0);
	assert_int_equal(mount_with("tmpfs", "release_agent=/x", 0), 0);
	assert_int_equal(mount_with("cgroup2", "release_agent=/x", 0), 0);
	assert_int_equal(mount_with(NULL, "release_agent=/x", 0), 0);
	assert_int_equal(mount_with("cgroup", "none,release_agent=/x", 0), -EPERM);
	attempted(GUARD_ATTEMPT_RELEASE_AGENT, GUARD_BY_CONTAINER, true);
	assert_int_equal(mount_with(NULL, "release_agent=/x", MS_REMOUNT), 0); /* of another kind */
	fake.mounts[0].mnt.mnt_sb = &cgroups;
	assert_int_equal(mount_with(NULL, "release_agent=/x", MS_REMOUNT), -EPERM);
	attempted(GUARD_ATTEMPT_RELEASE_AGENT, GUARD_BY_CONTAINER, true);
	memset(full, 'x', sizeof(full)); /* no NUL at all: the walk ends with the page */
	full[sizeof(full) - 1] = ',';
	assert_false(has_release_agent(full));

	assert_int_equal(set_option("cgroup", "release_agent", false), -EPERM);
	attempted(GUARD_ATTEMPT_RELEASE_AGENT, GUARD_BY_CONTAINER, true);
	assert_int_equal(set_option("cgroup", "release_agent", true), -ENOPARAM);
	assert_int_equal(set_option("cgroup", "name", false), -ENOPARAM);
	assert_int_equal(set_option("cgroup2", "release_agent", false), -ENOPARAM);
	be_of_guest();
	assert_int_equal(mount_with("cgroup", "release_agent=/x", 0), 0);
	attempted(GUARD_ATTEMPT_RELEASE_AGENT, GUARD_BY_GUEST, false);
}

static void test_bpf_program(void **state)
{
	struct bpf_prog program = { .type = 2 }; /* kprobe */

	(void)state;
	the_vault()->attempts_deny[1] = 1u << GUARD_ATTEMPT_BPF_PROGRAM;
	assert_int_equal(guard_bpf_prog(&program), 0);
	program.type = BPF_PROG_TYPE_LSM;
	assert_int_equal(guard_bpf_prog(&program), -EPERM);
	attempted(GUARD_ATTEMPT_BPF_PROGRAM, GUARD_BY_CONTAINER, true);
	program.type = BPF_PROG_TYPE_TRACING;
	assert_int_equal(guard_bpf_prog(&program), 0);
	program.expected_attach_type = BPF_MODIFY_RETURN;
	assert_int_equal(guard_bpf_prog(&program), -EPERM);
	attempted(GUARD_ATTEMPT_BPF_PROGRAM, GUARD_BY_CONTAINER, true);
}

/* Any instance of a kernel's file system, by names from its root; for the guest, and for containers. */
static void test_pseudo(void **state)
{
	struct guard_entry base = { .key = GUARD_PSEUDO_SUPER(PROC_SUPER_MAGIC) | GUARD_KEY_BASE };
	const struct table_clause clauses[] = {
		{ .text = "sys/kernel/core_pattern", .report = WRITE, .whom = GUARD_BY_GUEST },
		{ .text = "sys/kernel/core_pattern",
		  .deny = WRITE,
		  .report = WRITE,
		  .whom = GUARD_BY_CONTAINER },
		{ .text = "sys/*", .deny = WRITE, .report = WRITE, .whom = GUARD_BY_GUEST },
	};
	struct dentry *core = fake_at("sys/kernel/core_pattern"), *other = fake_at("sys/x");
	const struct guard_file_record *record;

	(void)state;
	assert_int_equal(table_set(table, &base, clauses, 3, NULL), 0);
	assert_int_equal(open_for(core, FMODE_WRITE), 0); /* no such file system */
	fake.supers[0].s_magic = PROC_SUPER_MAGIC;
	assert_int_equal(open_for(core, FMODE_READ), 0);
	assert_int_equal(open_for(fake_at("sys/kernel/other"), FMODE_WRITE), 0);
	nothing_told();
	assert_int_equal(open_for(core, FMODE_WRITE), -EPERM);
	record = told(WRITE, WRITE);
	assert_int_equal(record->base.super, GUARD_PSEUDO_SUPER(PROC_SUPER_MAGIC));
	assert_int_equal(record->base.ino, 0);
	assert_int_equal(record->depth, 3);
	assert_int_equal(record->whom, GUARD_BY_CONTAINER);
	assert_int_equal(open_for(other, FMODE_WRITE), 0);
	be_of_guest();
	assert_int_equal(open_for(core, FMODE_WRITE), 0);
	record = told(WRITE, 0);
	assert_int_equal(record->whom, GUARD_BY_GUEST);
	assert_int_equal(open_for(other, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	the_vault()->flags = GUARD_MAINTENANCE;
	assert_int_equal(open_for(other, FMODE_WRITE), 0);
	told(WRITE, 0);
}

/* Where all that hangs from a file system is for changes, reading does not look for it. */
static void test_reads_elsewhere(void **state)
{
	struct dentry *base = fake_at("base/"), *file = fake_at("base/file");
	const struct guard_entry only_changes = {
		.key = (uint64_t)base->d_inode->i_sb | GUARD_KEY_SUPER, .deny = 1
	};
	struct file truncated = file_of(file, FMODE_READ, O_TRUNC);

	(void)state;
	watch_name(base, "*", WRITE | TRUNCATE, READ | WRITE | TRUNCATE);
	assert_int_equal(open_for(file, FMODE_READ), 0);
	told(READ, 0);
	assert_int_equal(table_set(table, &only_changes, NULL, 0, NULL), 0);
	assert_int_equal(open_for(file, FMODE_READ), 0);
	nothing_told();
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	assert_int_equal(guard_file_open(&truncated), -EPERM);
	told(READ | TRUNCATE, TRUNCATE);
}

/* What hangs from a base is tried if a pattern that the operation has to do with may begin with that name. */
static void test_first_names(void **state)
{
	static const struct table_clause two[] = { { "etc/*", READ | WRITE, READ | WRITE, 0, NULL,
						     0 },
						   { "usr/*", WRITE, WRITE, 0, NULL, 0 } };
	struct dentry *base = fake_at("base/"), *file = fake_at("base/etc/file");
	struct dentry *other = fake_at("base/usr/file"), *third = fake_at("base/opt/file");
	struct guard_clauses *clauses;
	struct guard_entry entry;

	(void)state;
	watch_names(base, two, 2);
	assert_int_equal(open_for(file, FMODE_READ), -EPERM);
	told(READ, READ);
	assert_int_equal(open_for(other, FMODE_READ), 0);
	assert_int_equal(open_for(third, FMODE_WRITE), 0);
	nothing_told();
	assert_int_equal(open_for(other, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);

	assert_true(table_get(table, (uint64_t)&fake.supers[0] | GUARD_KEY_BASE,
			      base->d_inode->i_ino, &entry));
	clauses = (void *)(vault_bytes + entry.clauses * 8ULL);
	assert_int_equal(__builtin_popcountll(clauses->kinds), 2);
	assert_int_equal(__builtin_popcountll(clauses->read_kinds), 1);
	clauses->read_kinds = 0;
	assert_int_equal(open_for(file, FMODE_READ), 0);
	nothing_told();
	assert_int_equal(open_for(file, FMODE_WRITE), -EPERM);
	told(WRITE, WRITE);
	clauses->kinds = 0;
	assert_int_equal(open_for(file, FMODE_WRITE), 0);
	nothing_told();
}

/* Processes that the host names: each if it is the one that started then, never the guest's first. */
static void test_kill_asked(void **state)
{
	struct guard_vault *header = the_vault();

	(void)state;
	fake.init.pid = fake.init.tgid = 1;
	assert_false(kill_asked());
	header->kills[0].pid = fake.task.pid;
	header->kills[0].start_ns =
		fake.task.start_boottime + 1; /* one that had its number before */
	header->kills[1].pid = 12345; /* none */
	header->kills[2].pid = fake.init.pid;
	header->kills[2].start_ns = fake.init.start_boottime;
	header->n_kills = 3;
	header->kill = 77;
	assert_true(kill_asked());
	assert_int_equal(fake.n_signals, 0);
	assert_int_equal(the_mailbox()->kill_done, 77);
	assert_false(kill_asked());
	header->kills[0].start_ns = fake.task.start_boottime;
	header->kill = 78;
	assert_true(kill_asked());
	assert_int_equal(fake.n_signals, 1);
	header->n_kills = 0xffffffff; /* not that many */
	header->kill = 79;
	assert_true(kill_asked());
	assert_int_equal(fake.n_signals, 2);
	assert_int_equal(fake.rcu_depth, 0);
}

/* Where system calls enter, of one CPU after the other: only a CPU's own register is read and written. */
static void test_system_calls(void **state)
{
	const uint64_t entry = 0xffffffff81e00040, other = 0xffffffffc0401000;
	const struct guard_system_calls_record *record;

	(void)state;
	system_calls_look();
	assert_int_equal(fake.n_tried, 0); /* not asked for */
	the_vault()->system_call_entry = entry;
	for (unsigned int i = 0; i < 4; i++)
		fake.entry[i] = entry;
	for (unsigned int i = 0; i < 8; i++)
		guard_errand(NULL);
	assert_int_equal(fake.n_interrupts, 8);
	nothing_told();

	fake.entry[2] = other;
	guard_errand(NULL);
	guard_errand(NULL);
	nothing_told();
	guard_errand(NULL);
	record = next_record(GUARD_RECORD_SYSTEM_CALLS);
	assert_int_equal(record->cpu, 2);
	assert_int_equal(record->found, other);
	assert_int_equal(record->restored, 0);
	assert_int_equal(fake.entry[2], other);

	the_vault()->flags = GUARD_RESTORE_SYSTEM_CALLS;
	the_mailbox()->system_calls_turn = (5ULL << 32) + 2; /* somebody's else */
	guard_errand(NULL);
	record = next_record(GUARD_RECORD_SYSTEM_CALLS);
	assert_int_equal(record->cpu, 2);
	assert_int_equal(record->found, other);
	assert_int_equal(record->restored, 1);
	assert_int_equal(fake.entry[2], entry);
	assert_int_equal(fake.n_interrupts, 12);
}

/* CPUs that are not there take no turn, and whatever the numbers say, it ends. */
static void test_system_calls_cpus(void **state)
{
	(void)state;
	the_vault()->system_call_entry = 0xffffffff81e00040;
	for (unsigned int i = 0; i < 4; i++)
		fake.entry[i] = the_vault()->system_call_entry;
	fake.offline[1] = fake.offline[2] = true;
	for (unsigned int i = 0; i < 4; i++)
		system_calls_look();
	assert_int_equal(fake.n_interrupts, 4);
	assert_int_equal(fake.n_tried, 8);
	assert_int_equal(the_mailbox()->system_calls_turn, 4);
	fake.entry[3] = 1;
	the_mailbox()->system_calls_turn = UINT64_MAX;
	system_calls_look();
	assert_int_equal(
		((const struct guard_system_calls_record *)next_record(GUARD_RECORD_SYSTEM_CALLS))
			->cpu,
		3);
	fake.offline[0] = fake.offline[3] = true;
	system_calls_look(); /* a kernel without CPUs */
	assert_int_equal(fake.n_interrupts, 5);
	nr_cpu_ids = 0;
	fake.n_tried = 0;
	system_calls_look();
	assert_int_equal(fake.n_tried, GUARD_MAX_CPUS);
	nr_cpu_ids = UINT32_MAX;
	fake.n_tried = 0;
	system_calls_look();
	assert_int_equal(fake.n_tried, GUARD_MAX_CPUS);
	nr_cpu_ids = 4;
}

/* Nobody takes records: what can be told later leaves half of the ring to others. What was put back cannot. */
static void test_system_calls_alone(void **state)
{
	uint64_t head = the_mailbox()->head;

	(void)state;
	the_vault()->system_call_entry = 0xffffffff81e00040;
	for (unsigned int i = 0; i < 4; i++)
		fake.entry[i] = 1;
	for (unsigned int i = 0; i < 2 * MAILBOX_RECORDS; i++)
		system_calls_look();
	assert_int_equal(the_mailbox()->head - head, MAILBOX_RECORDS / 2);
	the_vault()->flags = GUARD_RESTORE_SYSTEM_CALLS;
	system_calls_look();
	assert_int_equal(the_mailbox()->head - head, MAILBOX_RECORDS / 2 + 1);
	consume();
	n_looked_at = n_seen;
}

/* What is in the register for others than system calls of this kernel: nothing (FRED), a guest's of this guest (VMX). */
static void test_system_calls_of_others(void **state)
{
	(void)state;
	the_vault()->system_call_entry = 0xffffffff81e00040;
	the_vault()->flags = GUARD_RESTORE_SYSTEM_CALLS;
	for (unsigned int i = 0; i < 4; i++)
		system_calls_look();
	fake.cr4 = X86_CR4_VMXE;
	fake.entry[0] = 0xffffffff82000000;
	system_calls_look();
	assert_int_equal(fake.n_interrupts, 5);
	assert_int_equal(fake.entry[0], 0xffffffff82000000);
	assert_int_equal(fake.entry[1], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_attempt),
		TEST(test_locked_down),
		TEST(test_whom),
		TEST(test_devices),
		TEST(test_ptrace),
		TEST(test_exe_file),
		TEST(test_release_agent),
		TEST(test_bpf_program),
		TEST(test_pseudo),
		TEST(test_reads_elsewhere),
		TEST(test_first_names),
		TEST(test_process),
		TEST(test_identity),
		TEST(test_patterns),
		TEST(test_several_bases),
		TEST(test_identity_and_name),
		TEST(test_deep),
		TEST(test_other_super),
		TEST(test_more_general),
		TEST(test_not_made),
		TEST(test_symlink),
		TEST(test_link),
		TEST(test_attributes),
		TEST(test_layer_directory),
		TEST(test_truncating_open),
		TEST(test_passed),
		TEST(test_ioctl),
		TEST(test_mmap),
		TEST(test_both),
		TEST(test_exceptions),
		TEST(test_exceptions_of_clauses),
		TEST(test_counts),
		TEST(test_exception_actor),
		TEST(test_kill),
		TEST(test_kill_excepted),
		TEST(test_rename),
		TEST(test_rename_to_name),
		TEST(test_rename_directory),
		TEST(test_rename_deep),
		TEST(test_follow),
		TEST(test_follow_refused),
		TEST(test_follow_without_host),
		TEST(test_overlay_below),
		TEST(test_overlay_below_since),
		TEST(test_overlay_makes_directory),
		TEST(test_mount),
		TEST(test_mount_names),
		TEST(test_mount_kills),
		TEST(test_move_and_umount),
		TEST(test_nothing_watched),
		TEST(test_start),
		TEST(test_start_without_guests_names),
		TEST(test_start_again),
		TEST(test_chroot),
		TEST(test_start_refused),
		TEST(test_lazy),
		TEST(test_ask),
		TEST(test_table_changes),
		TEST(test_any_vault),
		TEST(test_kill_asked),
		TEST(test_system_calls),
		TEST(test_system_calls_cpus),
		TEST(test_system_calls_alone),
		TEST(test_system_calls_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
