// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "introspect/container.h"
#include "util/cleanup.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define USER "/user.slice/user-1000.slice/user@1000.service"
#define POD "pod9b1f0a3c_5a4e_4a0e_8f59_0f6a1f0a3c5a"
#define POD_UID "9b1f0a3c-5a4e-4a0e-8f59-0f6a1f0a3c5a"
#define STATIC_POD "6f1d2c3b4a5968778695a4b3c2d1e0f1" /* the sum of a static pod's manifest */
#define LONG71 "a2345678901234567890123456789012345678901234567890123456789012345678901"

static const struct {
	const char *path, *engine, *id; /* engine NULL: no container's */
} cases[] = {
	/* systemd's driver */
	{ "/system.slice/docker-" A ".scope", "docker", A },
	{ "/system.slice/system.slice:docker:x69v9yux4vft611qrwhfwa6e6", "docker",
	  "x69v9yux4vft611qrwhfwa6e6" }, /* BuildKit */
	{ "/system.slice/crun-buildah-buildah4164932005.scope/container", "buildah",
	  "buildah4164932005" },
	{ USER "/user.slice/docker-" A ".scope", "docker", A },
	{ "/machine.slice/libpod-" A ".scope", "podman", A },
	{ "/machine.slice/libpod-" A ".scope/container", "podman", A },
	{ USER "/user.slice/libpod-" A ".scope/container", "podman", A },
	{ "/system.slice/web.service/libpod-payload-" A, "podman", A },
	{ "/system.slice/nerdctl-" A ".scope", "containerd", A },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-" POD
	  ".slice/cri-containerd-" A ".scope",
	  "containerd", A },
	{ "/kubepods.slice/kubepods-" POD ".slice/crio-" A ".scope", "cri-o", A },
	{ "/kubepods.slice/kubepods-" POD ".slice/crio-" A ".scope/container", "cri-o", A },
	{ "/kubepods.slice/kubepods-" POD ".slice/docker-" A ".scope", "docker", A },
	{ "/system.slice/containerd.service/kubepods-besteffort-" POD ".slice:cri-containerd:" A,
	  "containerd", A },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	  "kubelet-kubepods-besteffort-pod" STATIC_POD ".slice/cri-containerd-" A ".scope",
	  "containerd", A },
	{ "/system.slice/runc-web_1.scope", "runc", "web_1" },
	{ "/system.slice/crun-" A ".scope/container", "crun", A },
	/* cgroupfs */
	{ "/docker/" A, "docker", A },
	{ "/actions_job/" A, "docker", A },
	{ "/default/" A, "containerd", A },
	{ "/default/web.1", "containerd", "web.1" },
	{ "/default/web.1/init.scope", "containerd", "web.1" },
	{ "/k8s.io/" A, "containerd", A },
	{ "/libpod_parent/libpod-" A, "podman", A },
	{ "/kubepods/burstable/" POD "/" A, "containerd", A },
	{ "/kubepods/pod" STATIC_POD "/" A, "containerd", A },
	{ "/kubelet/kubepods/burstable/" POD "/" A "/deeper/still", "containerd", A },
	{ "/kubepods/besteffort/" POD "/crio-" A, "cri-o", A },
	/* systems in containers */
	{ "/lxc.payload.web/system.slice/ssh.service", "lxc", "web" },
	{ "/lxc.payload/web", "lxc", "web" },
	{ "/lxc/101/ns/init.scope", "lxc", "101" },
	{ "/lxc.payload." LONG71, "lxc", LONG71 },
	{ "/machine.slice/machine-deb\\x2d12.scope/payload", "nspawn", "deb-12" },
	{ "/machine.slice/systemd-nspawn@deb.service/payload/init.scope", "nspawn", "deb" },
	{ "/machine.slice/machine-lxc\\x2d42\\x2dweb.scope", "lxc", "42-web" },
	/* the innermost wins, and what it runs in cgroups of its own is its own */
	{ "/docker/" A "/docker/" B, "docker", B },
	{ "/system.slice/docker-" A ".scope/kubelet/kubepods/" POD "/" B, "containerd", B },
	{ "/lxc.payload.web/system.slice/docker-" B ".scope", "docker", B },
	{ "/system.slice/docker-" A ".scope/init/deeper", "docker", A },
	{ "//docker//" A "/", "docker", A },
	{ "//default//web//", "containerd", "web" },
	{ "/kubepods/" POD "/" A "/docker/" B, "docker", B },
	{ "/kubepods/" POD "/" A "/kubepods/pod" STATIC_POD "/" B, "containerd", B },
	/* what only looks like one */
	{ "", NULL, NULL },
	{ "/", NULL, NULL },
	{ "/init.scope", NULL, NULL },
	{ "/system.slice/docker.service", NULL, NULL },
	{ "/system.slice/docker-.scope", NULL, NULL },
	{ "/system.slice/docker-0123456789ab.scope", NULL, NULL },
	{ "/system.slice/docker-" A "0.scope", NULL, NULL },
	{ "/system.slice/docker-" A ".mount", NULL, NULL },
	{ "/docker/buildkit/x3h0q2v1", NULL, NULL },
	{ "/machine.slice/libpod-conmon-" A ".scope", NULL, NULL },
	{ "/kubepods.slice/crio-conmon-" A ".scope", NULL, NULL },
	{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt", NULL, NULL },
	{ "/system.slice/runc-.scope", NULL, NULL },
	{ "/system.slice/default/web", NULL, NULL },
	{ "/default", NULL, NULL },
	{ "/default/we b", NULL, NULL },
	{ "/lxc.monitor.web", NULL, NULL },
	{ "/lxc.payload." LONG71 "x", NULL, NULL },
	{ "/lxc.payload.we\nb", NULL, NULL },
	{ "/lxc.payload.we\\x2fb", NULL, NULL },
	{ "/system.slice:cri-containerd:web", NULL, NULL },
	{ "/a:cri-containerd:", NULL, NULL },
};

/* Of containers of all kinds: the pod that they are in, "" for none. */
static const struct {
	const char *path, *pod_uid;
} pods[] = {
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-" POD
	  ".slice/cri-containerd-" A ".scope",
	  POD_UID },
	{ "/kubepods.slice/kubepods-" POD ".slice/crio-" A ".scope/container", POD_UID },
	{ "/system.slice/containerd.service/kubepods-besteffort-" POD ".slice:cri-containerd:" A,
	  POD_UID },
	{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	  "kubelet-kubepods-besteffort-pod" STATIC_POD ".slice/cri-containerd-" A ".scope",
	  STATIC_POD },
	{ "/kubepods/pod" STATIC_POD "/" A, STATIC_POD },
	{ "/kubepods/pod" POD_UID "/" A, POD_UID },
	{ "/kubepods/besteffort/pod" POD_UID "/crio-" A, POD_UID },
	{ "/kubelet/kubepods/burstable/pod" POD_UID "/" A "/deeper/still", POD_UID },
	/* the innermost, also around a container in a container */
	{ "/kubepods/pod" POD_UID "/" A "/docker/" B, POD_UID },
	{ "/kubepods/pod" POD_UID "/" A "/kubepods/pod" STATIC_POD "/" B, STATIC_POD },
	/* what is below the container's own cgroup is the container's to name */
	{ "/docker/" A "/kubepods/pod" POD_UID "/x", "" },
	{ "/kubepods/pod" POD_UID "/" A "/kubepods/pod" STATIC_POD "/x", POD_UID },
	/* what only looks like one */
	{ "/docker/" A, "" },
	{ "/libpod_parent/pod" POD_UID "/libpod-" A, "" },
	{ "/kubepods/pod/" A, "" },
	{ "/kubepods/pod\xff/" A, "" },
	{ "/kubepods/pod../" A, "" },
	{ "/kubepods/pod" A "/" B, "" },
	{ "/kubepods-pod.slice/docker-" A ".scope", "" },
	{ "/kubepods-" POD ".scope/docker-" A ".scope", "" },
	{ "/kubepods-burstable.slice/docker-" A ".scope", "" },
	{ "/-" POD "kubepods-.slice/docker-" A ".scope", "" },
	{ "/kubepods-burstable-" POD "/docker-" A ".scope", "" },
};

static void test_pods(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
		struct container_name name = { .pod_uid = "untouched" };

		if (!container_from_cgroup(&name, pods[i].path) ||
		    strcmp(name.pod_uid, pods[i].pod_uid) != 0)
			fail_msg("%s: '%s'", pods[i].path, name.pod_uid);
	}
}

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container_name name = { "untouched", "untouched", "untouched" };
		bool found = container_from_cgroup(&name, cases[i].path);

		if (found != !!cases[i].engine)
			fail_msg("%s: %s", cases[i].path, found ? name.engine : "not found");
		assert_string_equal(name.engine, found ? cases[i].engine : "untouched");
		assert_string_equal(name.id, found ? cases[i].id : "untouched");
		if (!found)
			assert_string_equal(name.pod_uid, "untouched");
	}
}

static void test_is_id(void **state)
{
	(void)state;
	assert_true(container_is_id("web-1_a.b/rest", 9));
	assert_true(container_is_id(LONG71, 71));
	assert_true(container_is_id("..a", 3));
	assert_false(container_is_id(LONG71 "x", 72));
	assert_false(container_is_id("web/rest", 4));
	assert_false(container_is_id("web", 0));
	assert_false(container_is_id(".", 1));
	assert_false(container_is_id("..", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_is_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
