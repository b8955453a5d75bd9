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
#define LONG71 "a2345678901234567890123456789012345678901234567890123456789012345678901"

static const struct {
	const char *path, *engine, *id; /* engine NULL: no container's */
} cases[] = {
	/* systemd's driver */
	{ "/system.slice/docker-" A ".scope", "docker", A },
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
	/* cgroupfs */
	{ "/docker/" A, "docker", A },
	{ "/actions_job/" A, "docker", A },
	{ "/default/" A, "containerd", A },
	{ "/k8s.io/" A, "containerd", A },
	{ "/libpod_parent/libpod-" A, "podman", A },
	{ "/kubepods/burstable/" POD "/" A, "containerd", A },
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
	{ "/lxc.monitor.web", NULL, NULL },
	{ "/lxc.payload." LONG71 "x", NULL, NULL },
	{ "/lxc.payload.we\nb", NULL, NULL },
	{ "/lxc.payload.we\\x2fb", NULL, NULL },
	{ "/system.slice:cri-containerd:web", NULL, NULL },
	{ "/a:cri-containerd:", NULL, NULL },
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container_name name = { "untouched", "untouched" };
		bool found = container_from_cgroup(&name, cases[i].path);

		if (found != !!cases[i].engine)
			fail_msg("%s: %s", cases[i].path, found ? name.engine : "not found");
		assert_string_equal(name.engine, found ? cases[i].engine : "untouched");
		assert_string_equal(name.id, found ? cases[i].id : "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
