// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "introspect/container_json.h"
#include "util/cleanup.h"

#define ID "41b52a7449acf6d8647535efd3af947548752e6c467901aeb51a15aae4eff778"
#define OTHER "95796af2c4b9e882e586ba73aeb47b4752122877cb33424f6b60f53e4dbcf724"

static struct container_words words;

static int setup(void **state)
{
	(void)state;
	words = (struct container_words){ 0 };
	return 0;
}

static bool docker(const char *text)
{
	return container_json_docker(&words, ID, text, strlen(text));
}

static bool bundle(const char *text, char folder[64 + sizeof(ID)])
{
	return container_json_bundle(&words, ID, text, strlen(text), folder, 64 + sizeof(ID));
}

static bool storage(const char *text)
{
	return container_json_storage(&words, ID, text, strlen(text));
}

static void assert_words(const char *name, const char *image, const char *pod_name,
			 const char *pod_namespace, const char *pod_uid)
{
	assert_string_equal(words.name, name);
	assert_string_equal(words.image, image);
	assert_string_equal(words.pod_name, pod_name);
	assert_string_equal(words.pod_namespace, pod_namespace);
	assert_string_equal(words.pod_uid, pod_uid);
}

static void test_docker(void **state)
{
	(void)state;
	assert_true(docker("{\"ID\":\"" ID "\",\"Name\":\"/web\",\"Config\":{"
			   "\"Hostname\":\"h\",\"Image\":\"lab/busybox:1\",\"Labels\":{}}}"));
	assert_words("web", "lab/busybox:1", "", "", "");
}

static void test_docker_kubernetes(void **state)
{
	(void)state;
	assert_true(docker("{\"ID\":\"" ID "\",\"Name\":\"/k8s_nginx_pod_ns_uid_0\",\"Config\":{"
			   "\"Image\":\"nginx@sha256:1234\",\"Labels\":{"
			   "\"io.kubernetes.container.name\":\"nginx\","
			   "\"io.kubernetes.pod.name\":\"front-1\","
			   "\"io.kubernetes.pod.namespace\":\"shop\","
			   "\"io.kubernetes.pod.uid\":\"1234-5\"}}}"));
	assert_words("nginx", "nginx@sha256:1234", "front-1", "shop", "1234-5");
}

static void test_docker_other(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"null",
		"[]",
		"\"" ID "\"",
		"{\"ID\":\"" OTHER "\",\"Name\":\"/web\"}",
		"{\"ID\":[\"" ID "\"],\"Name\":\"/web\"}",
		"{\"Name\":\"/web\"}",
		"{\"ID\":\"" ID "\",\"Name\":\"/web\"", /* half of it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_false(docker(texts[i]));
	assert_words("", "", "", "", "");
	/* of the wrong kinds */
	assert_true(docker("{\"ID\":\"" ID "\",\"Name\":7,\"Config\":[{\"Image\":\"x\"}]}"));
	assert_true(docker("{\"ID\":\"" ID "\",\"Config\":{\"Image\":{},\"Labels\":\"x\"}}"));
	assert_words("", "", "", "", "");
}

static void test_bundle_cri(void **state)
{
	char folder[64 + sizeof(ID)];

	(void)state;
	assert_true(bundle("{\"ociVersion\":\"1.0.2\",\"annotations\":{"
			   "\"io.kubernetes.cri.container-name\":\"nginx\","
			   "\"io.kubernetes.cri.image-name\":\"docker.io/library/nginx:1\","
			   "\"io.kubernetes.cri.sandbox-name\":\"front-1\","
			   "\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
			   "\"io.kubernetes.cri.sandbox-uid\":\"1234-5\"}}",
			   folder));
	assert_words("nginx", "docker.io/library/nginx:1", "front-1", "shop", "1234-5");
	assert_string_equal(folder, "");
}

static void test_bundle_crio(void **state)
{
	(void)state;
	assert_true(bundle("{\"ociVersion\":\"1.0.2\",\"annotations\":{"
			   "\"io.kubernetes.container.name\":\"nginx\","
			   "\"io.kubernetes.cri-o.Image\":\"0123abcd\","
			   "\"io.kubernetes.cri-o.ImageName\":\"docker.io/library/nginx:1\","
			   "\"io.kubernetes.pod.name\":\"front-1\","
			   "\"io.kubernetes.pod.namespace\":\"shop\","
			   "\"io.kubernetes.pod.uid\":\"1234-5\"}}",
			   NULL));
	assert_words("nginx", "docker.io/library/nginx:1", "front-1", "shop", "1234-5");
}

#define MOUNT(target, source) "{\"destination\":\"" target "\",\"source\":\"" source "\"}"

/* The folder with Docker's own file, whatever its data-root. */
static void test_bundle_folder(void **state)
{
	static const struct {
		const char *mounts, *folder;
	} cases[] = {
		{ MOUNT("/proc", "proc") "," MOUNT("/etc/hostname", "/srv/c/" ID "/hostname"),
		  "/srv/c/" ID },
		/* another's network */
		{ MOUNT("/etc/hosts", "/srv/c/" OTHER "/hosts"), "/srv/c/" ID },
		{ MOUNT("/etc/resolv.conf", "/c/" ID "/resolv.conf"), "/c/" ID },
		/* not the engine's */
		{ MOUNT("/data", "/srv/c/" ID "/data"), "" },
		{ MOUNT("/etc/hostname", "srv/c/" ID "/hostname"), "" },
		{ MOUNT("/etc/hostname", ID "/hostname"), "" },
		{ MOUNT("/etc/hostname", "/srv/c/" ID "0/hostname"), "" },
		{ MOUNT("/etc/hostname", "/srv/c/x" ID "/hostname"), "" },
		{ MOUNT("/etc/hostname", "/"), "" },
		{ MOUNT("/etc/hostname", "/" ID "/hostname"), "" },
		{ MOUNT("/etc/hostname", ""), "" },
		{ "7,null,[]", "" },
		/* too long */
		{ MOUNT("/etc/hostname", "/0123456789/0123456789/0123456789/0123456789/0123456789/"
					 "0123456789/" ID "/hostname"),
		  "" },
	};
	char text[1024], folder[64 + sizeof(ID)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "{\"ociVersion\":\"1\",\"mounts\":[%s]}",
			 cases[i].mounts);
		assert_true(bundle(text, folder));
		assert_string_equal(folder, cases[i].folder);
	}
	assert_true(bundle("{\"ociVersion\":\"1\",\"mounts\":{}}", folder));
	assert_string_equal(folder, "");
	assert_false(bundle("{\"mounts\":[]}", folder));
	assert_false(bundle("no JSON", folder));
	assert_words("", "", "", "", "");
}

/* As podman 4.3 writes it: all containers in one file, and JSON in JSON. */
static void test_storage(void **state)
{
	(void)state;
	assert_true(storage("[{\"id\":\"" OTHER "\",\"names\":[\"other\"],\"metadata\":\"{}\"},"
			    "{\"id\":\"" ID "\",\"names\":[\"web\"],\"image\":\"d32a\","
			    "\"metadata\":\"{\\\"image-name\\\":\\\"localhost/busybox:1\\\","
			    "\\\"image-id\\\":\\\"d32a\\\",\\\"name\\\":\\\"web\\\"}\","
			    "\"flags\":{\"MountLabel\":\"\"}},{\"id\":\"broken"));
	assert_words("web", "localhost/busybox:1", "", "", "");
}

static void test_storage_other(void **state)
{
	static const char *const nameless[] = {
		"[{\"id\":\"" ID "\"}]",
		"[{\"id\":\"" ID "\",\"names\":[],\"metadata\":\"no JSON\"}]",
		"[{\"id\":\"" ID "\",\"names\":[{}],\"metadata\":{}}]",
		"[{\"id\":\"" ID "\",\"names\":\"x\",\"metadata\":\"[\\\"name\\\"]\"}]",
	};

	(void)state;
	assert_false(storage("[]"));
	assert_false(storage("[{\"id\":\"" OTHER "\",\"names\":[\"" ID "\"]}]"));
	assert_false(storage("[{\"id\":\"" ID "\",\"names\":[\"x\"]"));
	for (size_t i = 0; i < ARRAY_SIZE(nameless); i++)
		assert_true(storage(nameless[i]));
	assert_words("", "", "", "", "");
}

/* What is known already stays; what is too long is cut, not within a character. */
static void test_set_once_and_cut(void **state)
{
	char text[1024], name[400] = "";

	(void)state;
	strcpy(words.name, "known");
	assert_true(docker("{\"ID\":\"" ID "\",\"Name\":\"/"
			   "x\",\"Config\":{\"Image\":\"a\\u0000b\"}}"));
	assert_words("known", "a", "", "", "");

	words.name[0] = '\0';
	for (unsigned int i = 0; i < 100; i++)
		strcat(name, "\xc3\xa4");
	snprintf(text, sizeof(text), "{\"ID\":\"" ID "\",\"Name\":\"/%s\"}", name);
	assert_true(docker(text));
	name[126] = '\0';
	assert_string_equal(words.name, name);
}

/* Deeper than any engine writes. */
static void test_deep(void **state)
{
	static char text[200000];
	char *at = text + sprintf(text, "{\"ID\":\"" ID "\",\"Name\":\"/x\",\"a\":");

	(void)state;
	memset(at, '[', 100000);
	memset(at + 100000, ']', 90000);
	assert_false(docker(text));
	memset(at, ' ', 190000);
	memcpy(at, "0}", 2);
	assert_true(docker(text));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup(test, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_docker),	     TEST(test_docker_kubernetes), TEST(test_docker_other),
		TEST(test_bundle_cri),	     TEST(test_bundle_crio),	   TEST(test_bundle_folder),
		TEST(test_storage),	     TEST(test_storage_other),	   TEST(test_deep),
		TEST(test_set_once_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
