// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/container_json.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_DEPTH 32
#define MAX_MOUNTS 4096
#define MAX_ENTRY 65536 /* of containers.json */

static struct json_object *json_free(struct json_object *json)
{
	json_object_put(json);
	return NULL;
}

DEFINE_CLEANUP(struct json_object *, json_free)

/* One object at the start of the text, which may go on behind it. NULL when it is none. */
static struct json_object *parse(const char *text, size_t n)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *json;

	if (!tokener)
		return NULL;
	json = json_tokener_parse_ex(tokener, text, n < INT_MAX ? (int)n : INT_MAX);
	json_tokener_free(tokener);
	if (json && !json_object_is_type(json, json_type_object))
		json = json_free(json);
	return json;
}

/* Borrowed; NULL for what is not there or is none. */
static struct json_object *member(struct json_object *json, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!json_object_is_type(json, json_type_object) ||
	    !json_object_object_get_ex(json, key, &value))
		return NULL;
	return json_object_is_type(value, type) ? value : NULL;
}

/* Borrowed, "" if there is none. */
static const char *text_of(struct json_object *json, const char *key)
{
	struct json_object *value = member(json, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

static void set(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);

	if (to[0])
		return;
	if (n >= size)
		for (n = size - 1; n && ((unsigned char)from[n] & 0xc0) == 0x80;)
			n--; /* not within a character */
	memcpy(to, from, n);
	to[n] = '\0';
}

#define SET(to, from) set(to, sizeof(to), from)

static const struct {
	const char *key;
	size_t offset, size;
} annotations[] = {
#define WORD(member) \
	offsetof(struct container_words, member), sizeof(((struct container_words *)0)->member)
	/* containerd, pkg/cri/annotations */
	{ "io.kubernetes.cri.container-name", WORD(name) },
	{ "io.kubernetes.cri.image-name", WORD(image) },
	{ "io.kubernetes.cri.sandbox-name", WORD(pod_name) },
	{ "io.kubernetes.cri.sandbox-namespace", WORD(pod_namespace) },
	{ "io.kubernetes.cri.sandbox-uid", WORD(pod_uid) },
	/* the kubelet's own, kept by CRI-O as annotations and by cri-dockerd as labels */
	{ "io.kubernetes.container.name", WORD(name) },
	{ "io.kubernetes.pod.name", WORD(pod_name) },
	{ "io.kubernetes.pod.namespace", WORD(pod_namespace) },
	{ "io.kubernetes.pod.uid", WORD(pod_uid) },
	/* CRI-O: the name that the user gave, before a digest */
	{ "io.kubernetes.cri-o.UserRequestedImage", WORD(image) },
	{ "io.kubernetes.cri-o.ImageName", WORD(image) },
	{ "io.kubernetes.cri-o.Image", WORD(image) },
	{ "io.kubernetes.cri-o.KubeName", WORD(pod_name) },
	{ "io.kubernetes.cri-o.Namespace", WORD(pod_namespace) },
	{ "nerdctl/name", WORD(name) },
#undef WORD
};

static void take_annotations(struct container_words *words, struct json_object *json)
{
	for (size_t i = 0; i < ARRAY_SIZE(annotations); i++)
		set((char *)words + annotations[i].offset, annotations[i].size,
		    text_of(json, annotations[i].key));
}

bool container_json_docker(struct container_words *words, const char *id, const char *text,
			   size_t n)
{
	_cleanup_(json_freep) struct json_object *json = parse(text, n);
	struct json_object *config = member(json, "Config", json_type_object);
	struct json_object *labels = member(config, "Labels", json_type_object);
	const char *name = text_of(json, "Name");

	if (strcmp(text_of(json, "ID"), id) != 0)
		return false;
	take_annotations(words, labels);
	SET(words->name, name + (name[0] == '/'));
	SET(words->image, text_of(config, "Image"));
	return true;
}

/*
 * "/var/lib/docker/containers/ID/hostname": returns the length up to the slash before the ID, which
 * need not be this container's, if it shares the network with another; 0 if it does not look so.
 */
static size_t parent_of_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0, n_id = 64;

	if (path[0] != '/' || n <= n_id || path[n - n_id - 1] != '/' ||
	    strspn(path + n - n_id, "0123456789abcdef") != n_id)
		return 0;
	return n - n_id - 1;
}

static void find_folder(struct json_object *json, const char *id, char *folder, size_t size)
{
	static const char *const targets[] = { "/etc/hostname", "/etc/resolv.conf", "/etc/hosts" };
	struct json_object *mounts = member(json, "mounts", json_type_array);
	size_t n = mounts ? json_object_array_length(mounts) : 0, length;

	for (size_t i = 0; i < n && i < MAX_MOUNTS; i++) {
		struct json_object *mount = json_object_array_get_idx(mounts, i);
		const char *source = text_of(mount, "source");
		const char *target = text_of(mount, "destination");
		bool is_ours = false;

		for (size_t j = 0; j < ARRAY_SIZE(targets); j++)
			is_ours |= strcmp(target, targets[j]) == 0;
		length = is_ours ? parent_of_folder(source) : 0;
		if (length) {
			if (snprintf(folder, size, "%.*s/%s", (int)length, source, id) >= (int)size)
				folder[0] = '\0';
			return;
		}
	}
}

bool container_json_bundle(struct container_words *words, const char *id, const char *text,
			   size_t n, char *ret_folder, size_t size)
{
	_cleanup_(json_freep) struct json_object *json = parse(text, n);

	if (!text_of(json, "ociVersion")[0])
		return false;
	take_annotations(words, member(json, "annotations", json_type_object));
	if (ret_folder) {
		ret_folder[0] = '\0';
		find_folder(json, id, ret_folder, size);
	}
	return true;
}

/*
 * The file grows with the number of containers: only the one object is parsed. Its id comes first,
 * as Go writes a structure's members in their order.
 */
static struct json_object *parse_entry(const char *id, const char *text, size_t n)
{
	char start[128];
	const char *at;
	int length = snprintf(start, sizeof(start), "{\"id\":\"%s\"", id);

	if (length < 0 || length >= (int)sizeof(start))
		return NULL;
	at = memmem(text, n, start, length);
	if (!at)
		return NULL;
	n -= at - text;
	return parse(at, n < MAX_ENTRY ? n : MAX_ENTRY);
}

bool container_json_storage(struct container_words *words, const char *id, const char *text,
			    size_t n)
{
	_cleanup_(json_freep) struct json_object *json = parse_entry(id, text, n);
	_cleanup_(json_freep) struct json_object *metadata = NULL;
	const char *inner = text_of(json, "metadata");
	struct json_object *names = member(json, "names", json_type_array);
	struct json_object *first = names ? json_object_array_get_idx(names, 0) : NULL;

	if (!json)
		return false;
	metadata = parse(inner, strlen(inner)); /* JSON in a string */
	SET(words->image, text_of(metadata, "image-name"));
	SET(words->pod_name, text_of(metadata, "pod-name"));
	SET(words->name, text_of(metadata, "name"));
	if (json_object_is_type(first, json_type_string))
		SET(words->name, json_object_get_string(first));
	return true;
}
