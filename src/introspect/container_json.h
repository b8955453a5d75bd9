/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CONTAINER_JSON_H
#define INTROSPECT_CONTAINER_JSON_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What an engine calls a container: its own words, found in its files. "" where it says nothing.
 * May be any bytes but NUL.
 */
struct container_words {
	char name[128];
	char image[256]; /* as it was asked for, or in full */
	char pod_name[128];
	char pod_namespace[128];
	char pod_uid[64];
};

/*
 * These take the words from the text of an engine's file, which may be anything, and leave alone
 * what is set already. False when it is not such a file, or not of the container @id. Pure.
 */

/* Docker's config.v2.json, with the labels that Kubernetes gives to containers of cri-dockerd. */
bool container_json_docker(struct container_words *words, const char *id, const char *text,
			   size_t n);

/*
 * An OCI bundle's config.json: the annotations of containerd's CRI, CRI-O, podman, nerdctl.
 * @ret_folder, if asked for, is where the engine keeps its own files of this container, to judge by
 * what it mounts on /etc/hostname and the like; "" if that says nothing.
 */
bool container_json_bundle(struct container_words *words, const char *id, const char *text,
			   size_t n, char *ret_folder, size_t size);

/* containers.json of containers/storage (podman, CRI-O), which has all containers. */
bool container_json_storage(struct container_words *words, const char *id, const char *text,
			    size_t n);

#endif
