// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "fake_files.h"

#include "introspect/cmdline.h"
#include "introspect/container_words.h"
#include "introspect/keeper.h"

#define ID "41b52a7449acf6d8647535efd3af947548752e6c467901aeb51a15aae4eff778"
#define OTHER "95796af2c4b9e882e586ba73aeb47b4752122877cb33424f6b60f53e4dbcf724"
#define TASKS "/run/containerd/io.containerd.runtime.v2.task"
#define STORAGE "/var/lib/containers/storage/overlay-containers"

enum {
	GUEST = 1,
	CONTAINER
}; /* mount name spaces */

static struct {
	ptr slash, mount;
	ptr init, keeper, process, worker;
} g;

static struct container_words words;

static ptr file(const char *folder, const char *name, const char *text)
{
	return make_file(make_folders(g.slash, folder), name, text, strlen(text));
}

static ptr process(uint32_t pid, ptr parent, uint64_t mnt_ns, ptr pwd, const char *args, size_t n)
{
	return make_task(&(struct fake_task){ .pid = pid,
					      .parent = parent,
					      .mnt_ns = mnt_ns,
					      .root = g.slash,
					      .root_mount = g.mount,
					      .pwd = pwd,
					      .args = args,
					      .n_args = n });
}

/* The keeper, started in @pwd with @args, and two processes in its container. */
static void make_container(const char *pwd, const char *args, size_t n)
{
	g.keeper = process(20, g.init, GUEST, make_folders(g.slash, pwd), args, n);
	g.process = process(30, g.keeper, CONTAINER, g.slash, NULL, 0);
	g.worker = process(31, g.process, CONTAINER, g.slash, NULL, 0);
}

static int setup(void **state)
{
	(void)state;
	fake_setup(false);
	g.slash = make_folder(0, "/");
	g.mount = make_mount(0, 0, g.slash);
	g.init = process(1, 0, GUEST, g.slash, "/sbin/init\0", 12);
	words = (struct container_words){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

static int read_words(const char *engine, ptr task)
{
	struct container_name name = { .id = ID };

	strcpy(name.engine, engine);
	memset(&words, 'x', sizeof(words));
	return container_words_read(&words, caches, &name, task, CONTAINER);
}

static void assert_words(const char *name, const char *image, const char *pod_name)
{
	assert_string_equal(words.name, name);
	assert_string_equal(words.image, image);
	assert_string_equal(words.pod_name, pod_name);
	assert_string_equal(words.pod_namespace, "");
	assert_string_equal(words.pod_uid, "");
}

#define DOCKER "{\"ID\":\"" ID "\",\"Name\":\"/web\",\"Config\":{\"Image\":\"busybox:1\"}}"

static void test_docker(void **state)
{
	ptr inode;

	(void)state;
	make_container("/", "x\0", 2);
	assert_int_equal(read_words("docker", g.process), -ENODATA);
	assert_words("", "", "");
	inode = get(file("/var/lib/docker/containers/" ID, "config.v2.json", DOCKER), "dentry.d_"
										      "inode");
	assert_int_equal(read_words("docker", g.process), 0);
	assert_words("web", "busybox:1", "");
	assert_int_equal(read_words("docker", g.worker), 0);
	/* no process known, one of another's, one that is gone; none at all */
	assert_int_equal(read_words("docker", 0), 0);
	assert_words("web", "busybox:1", "");
	assert_int_equal(read_words("docker", g.init), 0);
	assert_int_equal(read_words("docker", UNMAPPED), 0);
	put(init_task, "task_struct.tasks.next", place_of(init_task, "task_struct.tasks.next"));
	assert_int_equal(read_words("docker", 0), -ENODATA);
	assert_int_equal(read_words("docker", g.process), 0);

	put(inode, "inode.i_size", 1 << 30);
	assert_int_equal(read_words("docker", g.process), -ENODATA);
	put(inode, "inode.i_size", sizeof(DOCKER) - 2);
	assert_int_equal(read_words("docker", g.process), -ENODATA);
	assert_words("", "", "");
}

/* The bundle, which the shim was started in, tells where data-root is. */
static void test_docker_elsewhere(void **state)
{
	(void)state;
	make_container("/srv/moby/" ID, "x\0", 2);
	file("/srv/moby/" ID, "config.json",
	     "{\"ociVersion\":\"1\",\"mounts\":[{\"destination\":\"/etc/hosts\","
	     "\"source\":\"/data/docker/containers/" OTHER "/hosts\"}]}");
	assert_int_equal(read_words("docker", g.process), -ENODATA);
	file("/data/docker/containers/" ID, "config.v2.json", DOCKER);
	assert_int_equal(read_words("docker", g.process), 0);
	assert_words("web", "busybox:1", "");
}

#define CRI                                                                                      \
	"{\"ociVersion\":\"1\",\"annotations\":{\"io.kubernetes.cri.container-name\":\"nginx\"," \
	"\"io.kubernetes.cri.image-name\":\"nginx:1\",\"io.kubernetes.cri.sandbox-name\":"       \
	"\"front\"}}"

static void test_containerd(void **state)
{
	(void)state;
	make_container("/", "x\0", 2);
	assert_int_equal(read_words("containerd", g.process), -ENODATA);
	file(TASKS "/k8s.io/" ID, "config.json", CRI);
	assert_int_equal(read_words("containerd", g.process), 0);
	assert_words("nginx", "nginx:1", "front");
}

/* One shim for all containers of the pod, in the bundle of the first. */
static void test_containerd_pod(void **state)
{
	(void)state;
	make_container("/snap/run/" OTHER, "x\0", 2);
	file("/snap/run/" OTHER, "config.json", "{\"ociVersion\":\"1\"}");
	assert_int_equal(read_words("containerd", g.process), -ENODATA);
	file("/snap/run/" ID, "config.json", CRI);
	assert_int_equal(read_words("containerd", g.process), 0);
	assert_words("nginx", "nginx:1", "front");
}

/* `ctr run`: the file is there and says nothing, so there is no use in asking again. */
static void test_containerd_silent(void **state)
{
	(void)state;
	make_container(TASKS "/default/" ID, "x\0", 2);
	file(TASKS "/default/" ID, "config.json", "{\"ociVersion\":\"1\"}");
	assert_int_equal(read_words("containerd", g.process), 0);
	assert_words("", "", "");
}

#define CONMON(bundle)                                \
	"/usr/bin/conmon\0--api-version\0"            \
	"1\0-c\0" ID "\0-u\0" ID "\0-b\0" bundle "\0" \
	"-n\0web\0--exit-command\0/usr/bin/podman"
#define STORED                                                     \
	"[{\"id\":\"" ID "\",\"names\":[\"stored\"],\"metadata\":" \
	"\"{\\\"image-name\\\":\\\"localhost/busybox:1\\\"}\"}]"

static void test_podman(void **state)
{
	static const char args[] = CONMON("/home/me/vfs-containers/" ID "/userdata");
	struct container_name name = { 0 };

	(void)state;
	make_container("/root", args, sizeof(args));
	assert_int_equal(read_words("podman", g.process), -ENODATA);
	assert_words("web", "", ""); /* conmon was told */
	file("/home/me/vfs-containers/" ID "/userdata", "config.json", "{\"ociVersion\":\"1\"}");
	assert_int_equal(read_words("podman", g.process), -ENODATA);
	assert_words("web", "", "");
	file("/home/me/vfs-containers", "volatile-containers.json", STORED);
	assert_int_equal(read_words("podman", g.process), 0);
	assert_words("stored", "localhost/busybox:1", "");

	assert_true(keeper_container(&name, caches, g.process, CONTAINER));
	assert_string_equal(name.id, ID);
	assert_string_equal(name.engine, "podman");
}

static void test_podman_usual(void **state)
{
	static const char other[] = "conmon\0-c\0" OTHER "\0-n\0other\0-b\0/";

	(void)state;
	make_container("/", other, sizeof(other));
	file(STORAGE, "containers.json", STORED);
	assert_int_equal(read_words("podman", g.process), 0);
	assert_words("stored", "localhost/busybox:1", "");
	assert_int_equal(read_words("podman", 0), 0);
}

/* cri-o */
static void test_crio(void **state)
{
	static const char args[] = "conmon\0-b\0/run/" ID "/userdata\0-c\0" ID;
	struct container_name name = { 0 };

	(void)state;
	make_container("/", args, sizeof(args));
	file("/run/" ID "/userdata", "config.json",
	     "{\"ociVersion\":\"1\",\"annotations\":{\"io.kubernetes.container.name\":\"nginx\","
	     "\"io.kubernetes.cri-o.ImageName\":\"nginx:1\",\"io.kubernetes.pod.name\":\"front\"}"
	     "}");
	file("/run", "containers.json", STORED);
	assert_int_equal(read_words("cri-o", g.process), 0);
	assert_words("nginx", "nginx:1", "front");
	assert_true(keeper_container(&name, caches, 0, CONTAINER));
	assert_string_equal(name.engine, "cri-o");
}

static void test_others(void **state)
{
	(void)state;
	make_container("/", "x\0", 2);
	assert_int_equal(read_words("lxc", g.process), 0);
	assert_words("", "", "");
	assert_int_equal(read_words("", 0), 0);
	assert_words("", "", "");
}

static void test_keepers(void **state)
{
	struct kernel_task keepers[KEEPER_MAX];
	ptr at = g.init;

	(void)state;
	make_container("/", "x\0", 2);
	assert_int_equal(keepers_find(keepers, kernel, g.worker, CONTAINER), 1);
	assert_int_equal(keepers[0].address, g.keeper);
	assert_int_equal(keepers_find(keepers, kernel, g.worker, 77), 0);
	assert_int_equal(keepers_find(keepers, kernel, g.worker, 0), 0);
	put(g.process, "task_struct.real_parent", g.init); /* its shim was killed */
	assert_int_equal(keepers_find(keepers, kernel, g.worker, CONTAINER), 0);
	put(g.process, "task_struct.real_parent", g.worker); /* in a circle */
	assert_int_equal(keepers_find(keepers, kernel, g.worker, CONTAINER), 0);
	put(g.process, "task_struct.real_parent", UNMAPPED);
	assert_int_equal(keepers_find(keepers, kernel, g.worker, CONTAINER), 0);
	for (uint32_t pid = 100; pid < 110; pid++)
		at = process(pid, at, GUEST, g.slash, NULL, 0);
	put(g.process, "task_struct.real_parent", at);
	assert_int_equal(keepers_find(keepers, kernel, g.worker, CONTAINER), KEEPER_MAX);
	assert_int_equal(keepers[0].tgid, 109);
	assert_int_equal(keepers[3].tgid, 106);
}

static void test_keeper_container(void **state)
{
#define ARGS(args, id, engine)                 \
	{                                      \
		args, sizeof(args), id, engine \
	}
	static const struct {
		const char *args;
		size_t n;
		const char *id, *engine;
	} cases[] = {
		ARGS("/usr/bin/containerd-shim-runc-v2\0-namespace\0moby\0-id\0web", "web",
		     "docker"),
		ARGS("containerd-shim-runc-v2\0-namespace\0default\0-id\0web", "web", "containerd"),
		ARGS("conmon\0-c\0web", "web", "cri-o"),
		ARGS("conmon\0-c\0web\0--exit-command\0x", "web", "podman"),
		ARGS("conmon\0-c", NULL, NULL),
		ARGS("conmon\0-c\0", NULL, NULL),
		ARGS("conmon\0-c\0../x", NULL, NULL),
		ARGS("conmon\0-c\0" ID ID, NULL, NULL),
		ARGS("/usr/sbin/conmond\0-c\0web", NULL, NULL),
		ARGS("sh\0-c\0web", NULL, NULL),
		ARGS("", NULL, NULL),
	};
	struct container_name name;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make_container("/", cases[i].args, cases[i].n);
		assert_int_equal(keeper_container(&name, caches, g.process, CONTAINER),
				 cases[i].id != NULL);
		if (cases[i].id) {
			assert_string_equal(name.id, cases[i].id);
			assert_string_equal(name.engine, cases[i].engine);
		}
		teardown(state);
		setup(state);
	}
}

static void test_cmdline(void **state)
{
	static const char args[] = "a\0bc\0-d\0\0-e";
	char buf[64];
	ptr mm;

	(void)state;
	make_container("/", args, sizeof(args));
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), sizeof(args));
	assert_memory_equal(buf, args, sizeof(args));
	assert_string_equal(cmdline_option(buf, sizeof(args), "a"), "bc");
	assert_string_equal(cmdline_option(buf, sizeof(args), "-d"), "");
	assert_null(cmdline_option(buf, sizeof(args), "-e"));
	assert_null(cmdline_option(buf, sizeof(args), "b"));
	assert_null(cmdline_option(buf, 0, "a"));
	assert_int_equal(cmdline_read(caches, g.keeper, buf, 4), 3);
	assert_memory_equal(buf, "a\0b", 4);
	assert_int_equal(cmdline_read(caches, g.process, buf, sizeof(buf)), -ESRCH);
	mm = get(g.keeper, "task_struct.mm");
	put(mm, "mm_struct.arg_end", 0x7f8000001001); /* beyond what is mapped */
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), -EFAULT);
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(args)), sizeof(args) - 1);
	put(mm, "mm_struct.arg_end", 1);
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), -EFAULT);
	put(mm, "mm_struct.arg_end", ~0ULL);
	put(mm, "mm_struct.arg_start", BASE); /* the kernel's */
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), -EFAULT);
	put(mm, "mm_struct.pgd", UNMAPPED);
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), -EFAULT);
	put(g.keeper, "task_struct.mm", UNMAPPED);
	assert_int_equal(cmdline_read(caches, g.keeper, buf, sizeof(buf)), -EFAULT);
	assert_int_equal(cmdline_read(caches, UNMAPPED, buf, sizeof(buf)), -EFAULT);
}

#define UID "12345678-1234-1234-1234-123456789abc"
#define UID_SYSTEMD "12345678_1234_1234_1234_123456789abc"

static void test_pod(void **state)
{
	static const struct {
		const char *path, *uid;
	} cases[] = {
		{ "/kubepods/besteffort/pod" UID "/" ID, UID },
		{ "/kubepods/pod" UID "/" ID, UID },
		{ "/kubepods/pod0123456789abcdef0123456789abcdef/" ID, "0123456789abcdef0123456789a"
								       "bcdef" }, /* a static pod */
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_SYSTEMD
		  ".slice/cri-containerd-" ID ".scope",
		  UID },
		{ "/kubepods.slice/kubepods-pod" UID_SYSTEMD ".slice/crio-" ID ".scope", UID },
		{ "/system.slice/containerd.service/kubepods-besteffort-pod" UID ".slice:cri-"
		  "containerd:" ID,
		  UID },
		{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_SYSTEMD ".slice",
		  UID },
		{ "/kubepods/pod" UID, UID },
		{ "/system.slice/docker-" ID ".scope", NULL },
		{ "/machine.slice/pod" UID "/" ID, NULL },
		{ "/kubepods/podlet/x", NULL },
		{ "/kubepods/pod" ID ID "/x", NULL },
		{ "/kubepods/xpod" UID "/x", NULL },
		{ "/kubepods/pod" UID "x/y", NULL },
		{ "", NULL },
	};
	char uid[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool is_pod = container_words_pod(uid, sizeof(uid), cases[i].path);

		assert_int_equal(is_pod, cases[i].uid != NULL);
		if (is_pod)
			assert_string_equal(uid, cases[i].uid);
	}
	assert_false(container_words_pod(uid, 36, cases[0].path));
	assert_true(container_words_pod(uid, 37, cases[0].path));
}

static void test_shaken(void **state)
{
	static const char args[] = CONMON("/home/me/vfs-containers/" ID "/userdata");
	static const char *const engines[] = { "docker", "containerd", "podman", "cri-o" };
	struct container_name name;
	unsigned int seed = 42;

	for (unsigned int round = 0; round < 300; round++) {
		make_container("/srv/moby/" ID, args, sizeof(args));
		file("/srv/moby/" ID, "config.json", CRI);
		file("/home/me/vfs-containers", "containers.json", STORED);
		for (unsigned int i = 0; i < 12; i++) {
			fake_shake(&seed);
			read_words(engines[i % 4], g.worker);
			keeper_container(&name, caches, g.worker, CONTAINER);
		}
		teardown(state);
		setup(state);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_docker),
		TEST(test_docker_elsewhere),
		TEST(test_containerd),
		TEST(test_containerd_pod),
		TEST(test_containerd_silent),
		TEST(test_podman),
		TEST(test_podman_usual),
		TEST(test_crio),
		TEST(test_others),
		TEST(test_keepers),
		TEST(test_keeper_container),
		TEST(test_cmdline),
		TEST(test_pod),
		TEST(test_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
