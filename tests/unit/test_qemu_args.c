// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "vmm/qemu_args.h"

static struct qemu_args example(const char *directory)
{
	return (struct qemu_args){
		.name = "vm",
		.directory = directory,
		.memory_mib = 2048,
		.vault_mib = QEMU_ARGS_VAULT_MIB,
		.mailbox_mib = QEMU_ARGS_MAILBOX_MIB,
	};
}

/* What @print prints, to be freed. */
static char *printed(void (*print)(const struct qemu_args *, FILE *), const char *directory)
{
	struct qemu_args args = example(directory);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(&args, out);
	fclose(out);
	return text;
}

static void test_line(void **state)
{
	_cleanup_(freep) char *line = printed(qemu_args_print, "/run/og");

	(void)state;
	assert_string_equal(line, "-machine q35,memory-backend=outguard-ram -m 2048 "
				  "-object "
				  "memory-backend-memfd,id=outguard-ram,size=2048M,share=on "
				  "-object "
				  "memory-backend-file,id=outguard-vault,size=64M,mem-path=/run/og/"
				  "vault,"
				  "share=on,readonly=on "
				  "-device ivshmem-plain,memdev=outguard-vault,master=off "
				  "-object "
				  "memory-backend-memfd,id=outguard-mailbox,size=4M,share=on "
				  "-device ivshmem-plain,memdev=outguard-mailbox,master=on "
				  "-qmp unix:/run/og/qmp.sock,server=on,wait=off\n");
}

static const struct {
	const char *directory, *line, *xml;
} quoted[] = {
	{ "/a b", "'unix:/a b/qmp.sock,server=on,wait=off'", "'unix:/a b/qmp.sock," },
	{ "/a,b", " unix:/a,,b/qmp.sock,server=on,wait=off\n", "'unix:/a,,b/qmp.sock," },
	{ "/a'b", "'unix:/a'\\''b/qmp.sock,server=on,wait=off'", "'unix:/a&apos;b/qmp.sock," },
	{ "/$a`", "'unix:/$a`/qmp.sock,server=on,wait=off'", "'unix:/$a`/qmp.sock," },
	{ "/<&>", "'unix:/<&>/qmp.sock,server=on,wait=off'", "'unix:/&lt;&amp;>/qmp.sock," },
	{ "/a~#", "'unix:/a~#/qmp.sock,server=on,wait=off'", "'unix:/a~#/qmp.sock," },
};

static void test_quoting(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(quoted); i++) {
		_cleanup_(freep) char *line = printed(qemu_args_print, quoted[i].directory);
		_cleanup_(freep) char *xml = printed(qemu_args_print_libvirt, quoted[i].directory);

		if (!strstr(line, quoted[i].line) || !strstr(xml, quoted[i].xml))
			fail_msg("%s:\n%s%s", quoted[i].directory, line, xml);
	}
}

static void test_libvirt_has_no_machine(void **state)
{
	_cleanup_(freep) char *xml = printed(qemu_args_print_libvirt, "/run/og");

	(void)state;
	assert_ptr_equal(strstr(xml, "<memoryBacking>\n  <source type='memfd'/>\n"), xml);
	assert_non_null(strstr(xml, "<access mode='shared'/>"));
	assert_non_null(strstr(xml, "<qemu:arg value='-qmp'/>"));
	assert_non_null(strstr(xml, "<qemu:arg value='{\"driver\":\"ivshmem-plain\",\"memdev\":"
				    "\"outguard-vault\",\"master\":\"off\"}'/>"));
	assert_null(strstr(xml, "outguard-ram"));
	assert_null(strstr(xml, "'-m'"));
}

static void test_json(void **state)
{
	_cleanup_(freep) char *text = printed(qemu_args_print_json, "/a \"b,c");
	struct json_object *object = json_tokener_parse(text), *list;

	(void)state;
	assert_non_null(object);
	list = json_object_object_get(object, "arguments");
	assert_int_equal(json_object_array_length(list), 16);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 15)), "unix:/a "
											 "\"b,,c/"
											 "qmp.sock,"
											 "server="
											 "on,wait="
											 "off");
	assert_string_equal(json_object_get_string(json_object_object_get(object, "vault")), "/a "
											     "\"b,"
											     "c/"
											     "vaul"
											     "t");
	assert_string_equal(json_object_get_string(json_object_object_get(object, "qmp")), "/a "
											   "\"b,c/"
											   "qmp."
											   "sock");
	json_object_put(object);
}

/* With a trap. */
static void test_environment(void **state)
{
	struct qemu_args args = example("/a b&'");
	_cleanup_(freep) char *text = NULL;
	struct json_object *object, *environment;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	args.trap_library = "/lib/x.so";
	qemu_args_print_environment(&args, out);
	fflush(out);
	assert_string_equal(text, "LD_PRELOAD=/lib/x.so "
				  "'OUTGUARD_TRAP_SOCKET=/a b&'\\''/trap.sock'\n");
	rewind(out);
	qemu_args_print_libvirt(&args, out);
	fflush(out);
	assert_non_null(strstr(text, "  <qemu:env name='LD_PRELOAD' value='/lib/x.so'/>\n"
				     "  <qemu:env name='OUTGUARD_TRAP_SOCKET' "
				     "value='/a b&amp;&apos;/trap.sock'/>\n"
				     "</qemu:commandline>\n"));
	rewind(out);
	qemu_args_print_json(&args, out);
	fclose(out);
	object = json_tokener_parse(text);
	environment = json_object_object_get(object, "environment");
	assert_string_equal(json_object_get_string(json_object_object_get(environment, "LD_"
										       "PRELOAD")),
			    "/lib/x.so");
	json_object_put(object);
}

#define LONG \
	"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *directory;
	unsigned int memory_mib, vault_mib, mailbox_mib;
	int code;
} checks[] = {
	{ "/run/og", 64, 8, 2, 0 },	      { "/run/og", 1 << 20, 1024, 1024, 0 },
	{ NULL, 512, 32, 4, -EINVAL },	      { "", 512, 32, 4, -EINVAL },
	{ "run/og", 512, 32, 4, -EINVAL },    { "/run/o\ng", 512, 32, 4, -EINVAL },
	{ LONG "/012345678", 512, 32, 4, 0 }, { LONG "/0123456789", 512, 32, 4, -ENAMETOOLONG },
	{ "/run/og", 63, 32, 4, -EINVAL },    { "/run/og", 512, 4, 4, -EINVAL },
	{ "/run/og", 512, 33, 4, -EINVAL },   { "/run/og", 512, 2048, 4, -EINVAL },
	{ "/run/og", 512, 32, 1, -EINVAL },   { "/run/og", 512, 32, 3, -EINVAL },
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct qemu_args args = {
			.name = "vm",
			.directory = checks[i].directory,
			.memory_mib = checks[i].memory_mib,
			.vault_mib = checks[i].vault_mib,
			.mailbox_mib = checks[i].mailbox_mib,
		};
		struct error err = { 0 };

		if (qemu_args_check(&args, &err) != checks[i].code || err.code != checks[i].code)
			fail_msg("row %zu: %d \"%s\"", i, err.code, err.message);
	}
}

static void test_prepare(void **state)
{
	char top[] = "/tmp/test_qemu_args.XXXXXX", directory[64], vault[80];
	struct qemu_args args = example(directory);
	struct error err = { 0 };
	struct stat st, again;

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(directory, sizeof(directory), "%s/a/b", top);
	snprintf(vault, sizeof(vault), "%s/vault", directory);
	assert_int_equal(qemu_args_prepare(&args, &err), 0);
	assert_int_equal(stat(vault, &st), 0);
	assert_int_equal(st.st_size, 64 << 20);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(qemu_args_prepare(&args, &err), 0); /* what is there stays */
	assert_int_equal(stat(vault, &again), 0);
	assert_int_equal(again.st_ino, st.st_ino);

	args.user = "nobody-of-that-name";
	assert_int_equal(qemu_args_prepare(&args, &err), -ENOENT);
	assert_non_null(strstr(err.message, "nobody-of-that-name"));
	args.user = geteuid() == 0 ? "daemon" : NULL; /* whom else, only root may give it to */
	assert_int_equal(qemu_args_prepare(&args, &err), 0);
	assert_int_equal(stat(directory, &again), 0);
	if (args.user)
		assert_int_equal(again.st_uid, getpwnam("daemon")->pw_uid);
	assert_int_equal(stat(vault, &again), 0);
	assert_int_equal(again.st_uid, st.st_uid);
	args.user = NULL;

	args.vault_mib = 16;
	assert_int_equal(qemu_args_prepare(&args, &err), -EEXIST);
	assert_non_null(strstr(err.message, "remove it when no VM uses it"));
	assert_int_equal(unlink(vault), 0);
	assert_int_equal(symlink("/etc/passwd", vault), 0);
	assert_int_equal(qemu_args_prepare(&args, &err), -ELOOP);
	assert_int_equal(unlink(vault), 0);
	assert_int_equal(mkdir(vault, 0755), 0);
	assert_int_equal(qemu_args_prepare(&args, &err), -EINVAL);

	rmdir(vault);
	rmdir(directory);
	*strrchr(directory, '/') = '\0';
	rmdir(directory);
	assert_int_equal(rmdir(top), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_libvirt_has_no_machine),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
