// SPDX-License-Identifier: GPL-2.0-or-later
/* An engine's file is what guest root wrote there: any bytes. */
#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/container_json.h"

#define ID "41b52a7449acf6d8647535efd3af947548752e6c467901aeb51a15aae4eff778"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct container_words *words)
{
	assert(strnlen(words->name, sizeof(words->name)) < sizeof(words->name));
	assert(strnlen(words->image, sizeof(words->image)) < sizeof(words->image));
	assert(strnlen(words->pod_name, sizeof(words->pod_name)) < sizeof(words->pod_name));
	assert(strnlen(words->pod_namespace, sizeof(words->pod_namespace)) <
	       sizeof(words->pod_namespace));
	assert(strnlen(words->pod_uid, sizeof(words->pod_uid)) < sizeof(words->pod_uid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container_words docker = { 0 }, bundle = { 0 }, storage = { 0 };
	const char *text = (const char *)data;
	char folder[256];

	container_json_docker(&docker, ID, text, size);
	check(&docker);
	if (container_json_bundle(&bundle, ID, text, size, folder, sizeof(folder)) && folder[0]) {
		size_t n = strnlen(folder, sizeof(folder));

		assert(n < sizeof(folder) && folder[0] == '/');
		assert(n > strlen(ID) && strcmp(folder + n - strlen(ID), ID) == 0);
	}
	check(&bundle);
	container_json_storage(&storage, ID, text, size);
	check(&storage);
	return 0;
}
