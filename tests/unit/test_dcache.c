// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "fake_files.h"

#include "introspect/dcache.h"

/*
 *	/			ext4
 *	├ etc/hostname
 *	├ run			tmpfs, mounted twice: the upper one counts
 *	│ └ engine/ID
 *	├ var/run -> /run
 *	├ var/up -> ../run/./engine
 *	└ loop -> loop
 */
static struct {
	ptr slash, etc, hostname, run, tmpfs, engine, id, var, hidden;
	ptr mount, below, above;
	struct place root;
} g;

static void make_guest(bool older)
{
	fake_setup(older);
	g.slash = make_folder(0, "/");
	g.etc = make_folder(g.slash, "etc");
	g.hostname = make_dentry(g.etc, "hostname", make_inode(S_IFREG, 6));
	g.run = make_folder(g.slash, "run");
	g.hidden = make_folder(g.run, "hidden");
	g.tmpfs = make_folder(0, "/");
	g.engine = make_folder(g.tmpfs, "engine");
	g.id = make_folder(g.engine, "ID");
	g.var = make_folder(g.slash, "var");
	make_link(g.var, "run", "/run");
	make_link(g.var, "up", "../run/./engine");
	make_link(g.slash, "loop", "loop");
	g.mount = make_mount(0, 0, g.slash);
	make_mount(g.mount, g.etc, g.etc);
	g.below = make_mount(g.mount, g.run, make_folder(0, "/"));
	g.above = make_mount(g.below, get(g.below, "mount.mnt.mnt_root"), g.tmpfs);
	g.root = (struct place){ g.slash, vfs(g.mount) };
}

static int setup(void **state)
{
	(void)state;
	make_guest(false);
	return 0;
}

static int setup_older(void **state)
{
	(void)state;
	make_guest(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

static void assert_walk(const char *path, ptr expected)
{
	struct place place = { 0 };

	assert_int_equal(dcache_walk(caches, &g.root, path, &place), 0);
	assert_int_equal(place.dentry, expected);
}

static void assert_no_walk(const char *path, int error)
{
	struct place place = { 0 };

	assert_int_equal(dcache_walk(caches, &g.root, path, &place), error);
	assert_int_equal(place.dentry, 0);
}

static void test_new(void **state)
{
	struct caches *other = NULL;
	struct error err = { 0 };

	(void)state;
	assert_true(caches->hlist);
	lacks[0] = "folio.index"; /* before 5.16 */
	assert_int_equal(caches_new(&other, kernel, NULL, &err), 0);
	other = caches_free(other);
	lacks[1] = "page.index";
	lacks[2] = "vmemmap_base";
	assert_int_equal(caches_new(&other, kernel, NULL, &err), -ENOTSUP);
	assert_null(other);
	assert_string_equal(err.message, "files in this guest's memory cannot be read, its kernel "
					 "lacks: "
					 "folio.index, vmemmap_base");
	assert_null(caches_free(NULL));
}

static void test_child(void **state)
{
	ptr found = 1, gone;

	(void)state;
	assert_int_equal(dcache_child(caches, g.slash, "etc", &found), 0);
	assert_int_equal(found, g.etc);
	assert_int_equal(dcache_child(caches, g.slash, "et", &found), -ENOENT);
	assert_int_equal(dcache_child(caches, g.slash, "etc2", &found), -ENOENT);
	assert_int_equal(dcache_child(caches, g.slash, "", &found), -ENOENT);
	assert_int_equal(dcache_child(caches, g.hostname, "x", &found), -ENOENT);
	assert_int_equal(found, g.etc);

	/* replaced by a rename, and still open */
	gone = make_dentry(g.slash, "etc", make_inode(S_IFDIR, 0));
	put(gone, "dentry.d_hash.pprev", 0);
	make_dentry(g.slash, "nothing", 0);
	assert_int_equal(dcache_child(caches, g.slash, "etc", &found), 0);
	assert_int_equal(found, g.etc);
	assert_int_equal(dcache_child(caches, g.slash, "nothing", &found), -ENOENT);
}

static void test_parent_and_name(void **state)
{
	(void)state;
	assert_int_equal(dcache_parent(caches, g.etc), g.slash);
	assert_int_equal(dcache_parent(caches, g.slash), 0);
	assert_int_equal(dcache_parent(caches, UNMAPPED), 0);
	assert_true(dcache_is_named(caches, g.etc, "etc"));
	assert_false(dcache_is_named(caches, g.etc, "run"));
	assert_false(dcache_is_named(caches, UNMAPPED, "etc"));
	put(g.etc, "dentry.d_name.len", 4); /* a lie */
	assert_false(dcache_is_named(caches, g.etc, "etc"));
	put(g.etc, "dentry.d_name.len", 3);
	put(g.etc, "dentry.d_name.name", UNMAPPED);
	assert_false(dcache_is_named(caches, g.etc, "etc"));
}

/* One more name of the inode. */
static void add_alias(ptr inode, ptr dentry)
{
	put(dentry, "dentry.d_u.d_alias.next", get(inode, "inode.i_dentry.first"));
	put(inode, "inode.i_dentry.first", place_of(dentry, "dentry.d_u.d_alias.next"));
}

static void test_names_of_inode(void **state)
{
	ptr inode = get(g.hostname, "dentry.d_inode"), etc = get(g.etc, "dentry.d_inode");
	ptr twin = make_dentry(g.run, "twin", inode);
	struct kernel_inode directory = { .super = 0xffff888000123400, .ino = 7, .generation = 9 };

	(void)state;
	assert_false(dcache_has_path(caches, inode, g.slash, "etc/hostname")); /* no names */
	add_alias(inode, g.hostname);
	add_alias(inode, twin);
	add_alias(etc, g.etc);
	assert_true(dcache_has_path(caches, inode, g.slash, "etc/hostname"));
	assert_true(dcache_has_path(caches, inode, g.etc, "hostname"));
	assert_true(dcache_has_path(caches, inode, g.slash, "run/twin"));
	assert_true(dcache_has_path(caches, etc, g.slash, "etc"));
	assert_true(dcache_has_path(caches, etc, g.etc, ""));
	assert_false(dcache_has_path(caches, inode, g.slash, "hostname"));
	assert_false(dcache_has_path(caches, inode, g.slash, "etc/twin"));
	assert_false(dcache_has_path(caches, inode, g.etc, "etc/hostname"));
	assert_false(dcache_has_path(caches, inode, g.slash, "x/etc/hostname"));
	assert_false(dcache_has_path(caches, inode, 0, "etc/hostname"));
	assert_false(dcache_has_path(caches, UNMAPPED, g.slash, "etc/hostname"));

	put(etc, "inode.i_sb", directory.super);
	put(etc, "inode.i_ino", directory.ino);
	put(etc, "inode.i_generation", directory.generation);
	assert_true(dcache_has_name(caches, inode, "hostname", &directory));
	assert_false(dcache_has_name(caches, inode, "twin", &directory));
	directory.generation++;
	assert_false(dcache_has_name(caches, inode, "hostname", &directory));
	directory.generation--;
	put(g.hostname, "dentry.d_hash.pprev", 0); /* deleted */
	assert_false(dcache_has_name(caches, inode, "hostname", &directory));
	assert_false(dcache_has_path(caches, inode, g.slash, "etc/hostname"));
	put(twin, "dentry.d_u.d_alias.next",
	    place_of(twin, "dentry.d_u.d_alias.next")); /* no end */
	assert_false(dcache_has_path(caches, inode, g.slash, "etc/hostname"));
	put(twin, "dentry.d_inode", etc); /* it leads elsewhere: freed */
	assert_false(dcache_has_path(caches, inode, g.slash, "run/twin"));
}

static void test_walk(void **state)
{
	struct place place;

	(void)state;
	assert_walk("/etc/hostname", g.hostname);
	assert_walk("etc//hostname/", g.hostname);
	assert_walk("/", g.slash);
	assert_walk("", g.slash);
	assert_walk("/run", g.tmpfs);
	assert_walk("/run/engine/ID", g.id);
	assert_walk("/var/run/engine/ID", g.id);
	assert_walk("/var/up/ID", g.id);
	assert_walk("/run/engine/../../etc/./hostname", g.hostname);
	assert_walk("/../../etc", g.etc); /* nothing is above the root */
	assert_walk("/run/..", g.slash);
	assert_no_walk("/run/hidden", -ENOENT); /* under the mount */
	assert_no_walk("/nothing/hostname", -ENOENT);
	assert_no_walk("/loop", -ELOOP);

	assert_int_equal(dcache_walk(caches, &g.root, "/run", &place), 0);
	assert_int_equal(place.mount, vfs(g.above));
	assert_int_equal(dcache_walk(caches, &place, "engine/../../ID", &place), -ENOENT);
	assert_int_equal(dcache_walk(caches, &place, "/../engine/ID", &place), 0);
	assert_int_equal(place.dentry, g.id);
}

static void test_walk_long(void **state)
{
	char path[5000], target[4096];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[300] = '\0';
	assert_no_walk(path, -ENAMETOOLONG);
	path[300] = 'x';
	path[sizeof(path) - 1] = '\0';
	assert_no_walk(path, -ENAMETOOLONG);
	memset(target, '/', sizeof(target));
	target[sizeof(target) - 1] = '\0';
	make_link(g.slash, "slashes", target);
	assert_no_walk("/slashes", -ENAMETOOLONG);
}

/* Where the list goes on, in either form. */
static void put_next(ptr child, ptr next)
{
	put(child, caches->hlist ? "dentry.d_sib.next" : "dentry.d_child.next", next);
}

static void test_hostile(void **state)
{
	ptr sibling = place_of(g.etc, caches->hlist ? "dentry.d_sib.next" : "dentry.d_child.next");
	ptr found = 0, foreign = make_folder(g.etc, "foreign");

	(void)state;
	put_next(g.etc, sibling); /* itself, for ever */
	assert_int_equal(dcache_child(caches, g.slash, "missing", &found), -ELOOP);
	put_next(g.etc, foreign + (sibling - g.etc)); /* as if it had been moved just now */
	assert_int_equal(dcache_child(caches, g.slash, "missing", &found), -EAGAIN);
	put_next(g.etc, UNMAPPED);
	assert_int_equal(dcache_child(caches, g.slash, "missing", &found), -EFAULT);
	put_next(g.etc, 7);
	assert_int_equal(dcache_child(caches, g.slash, "missing", &found), -EFAULT);
	assert_int_equal(dcache_child(caches, UNMAPPED, "missing", &found), -EFAULT);
	assert_int_equal(found, 0);
}

static void test_mounts_hostile(void **state)
{
	ptr self = make_mount(0, 0, g.slash);

	(void)state;
	put(g.mount, "mount.mnt.mnt_root", g.run); /* going up turns in a circle */
	put(g.mount, "mount.mnt_parent", g.above);
	put(g.mount, "mount.mnt_mountpoint", g.tmpfs);
	assert_no_walk("/run/..", -ELOOP);
	assert_no_walk("/run/../..", -ELOOP);

	put(g.below, "mount.mnt_child.next", place_of(g.below, "mount.mnt_child.next"));
	assert_no_walk("/etc", -ELOOP); /* mounts without an end */
	put(g.below, "mount.mnt_child.next", UNMAPPED);
	assert_no_walk("/etc", -EFAULT);
	put(g.below, "mount.mnt_parent", UNMAPPED);
	assert_no_walk("/run", -EAGAIN);

	put(self, "mount.mnt_mounts.next", place_of(self, "mount.mnt_child.next"));
	put(self, "mount.mnt_child.next", place_of(self, "mount.mnt_mounts.next"));
	g.root = (struct place){ g.slash, vfs(self) };
	assert_walk("/etc", g.etc);
	assert_no_walk("/etc/..", -ELOOP); /* mounted on itself */
}

static void test_links_hostile(void **state)
{
	ptr link = make_link(g.slash, "link", "etc");

	(void)state;
	assert_walk("/link", g.etc);
	put(get(link, "dentry.d_inode"), "inode.i_link", UNMAPPED);
	assert_no_walk("/link", -EFAULT);
	put(get(link, "dentry.d_inode"), "inode.i_link", 0);
	assert_no_walk("/link", -ENOENT);
	put(link, "dentry.d_inode", UNMAPPED);
	assert_no_walk("/link", -EFAULT);
}

static void test_shaken(void **state)
{
	static const char *const paths[] = { "/etc/hostname", "/var/up/ID/../..", "/loop",
					     "/var/run/engine/x" };
	unsigned int seed = 42;
	struct place place;

	for (unsigned int round = 0; round < 2000; round++) {
		fake_shake(&seed);
		for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
			dcache_walk(caches, &g.root, paths[i], &place);
		if (round % 8 == 7) {
			teardown(state);
			make_guest(round % 16 == 7);
		}
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define OLDER(test)                                               \
	{                                                         \
#test "_older", test, setup_older, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_new),
		TEST(test_child),
		OLDER(test_child),
		TEST(test_parent_and_name),
		TEST(test_names_of_inode),
		TEST(test_walk),
		OLDER(test_walk),
		TEST(test_walk_long),
		TEST(test_hostile),
		OLDER(test_hostile),
		TEST(test_mounts_hostile),
		TEST(test_links_hostile),
		TEST(test_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
