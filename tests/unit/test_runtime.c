// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "fake_files.h"

#include "introspect/runtime.h"

#define LONG72 "a23456789012345678901234567890123456789012345678901234567890123456789012"

static struct {
	ptr slash, mount, init;
} g;

static int setup(void **state)
{
	ptr run;

	(void)state;
	fake_setup(false);
	g.slash = make_folder(0, "/");
	g.mount = make_mount(0, 0, g.slash);
	run = make_folder(0, "/");
	make_mount(g.mount, make_folder(g.slash, "run"), run);
	make_folders(run, "/runc/web");
	make_folders(run, "/runc/deep");
	make_folders(run, "/crun/db");
	make_folders(run, "/crun/" LONG72);
	make_folders(run, "/crun/deep/er");
	g.init = make_task(&(struct fake_task){
		.pid = 1, .mnt_ns = 1, .root = g.slash, .root_mount = g.mount });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

static const struct {
	const char *path, *engine, *id; /* engine NULL: no runtime's */
} cases[] = {
	{ "/system.slice/web", "runc", "web" },
	{ "/db", "crun", "db" },
	{ "//db//", "crun", "db" },
	{ "/web/sub/db", "runc",
	  "web" }, /* what is below a container's own is the container's to name */
	{ "/deep", "runc", "deep" },
	{ "/user.slice/session-1.scope", NULL, NULL },
	{ "/", NULL, NULL },
	{ "", NULL, NULL },
	{ "/webb/we", NULL, NULL },
	{ "/./..", NULL, NULL }, /* "/run/runc/.." is a folder */
	{ "/" LONG72, NULL, NULL },
	{ "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/web", NULL, NULL },
};

static void test_folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container_name name = { "untouched", "untouched", "untouched" };
		bool found = runtime_container(&name, caches, cases[i].path);

		if (found != !!cases[i].engine)
			fail_msg("%s: %s", cases[i].path, found ? name.engine : "not found");
		assert_string_equal(name.engine, found ? cases[i].engine : "untouched");
		assert_string_equal(name.id, found ? cases[i].id : "untouched");
		assert_string_equal(name.pod_uid, found ? "" : "untouched");
	}
}

static void test_no_root(void **state)
{
	struct container_name name;

	(void)state;
	put(g.init, "task_struct.tgid", 2);
	assert_false(runtime_container(&name, caches, "/db"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_root, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
