// SPDX-License-Identifier: GPL-2.0-or-later
/* A cgroup path is what someone in the guest named it: any bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
				      "89-_.";
	char *path = malloc(size + 1);
	struct container_name name;

	if (!path)
		return 0;
	memcpy(path, data, size);
	path[size] = '\0';
	if (container_from_cgroup(&name, path)) {
		size_t n = strnlen(name.id, sizeof(name.id));

		assert(n > 0 && n < sizeof(name.id));
		assert(strspn(name.id, allowed) == n);
		assert(strnlen(name.engine, sizeof(name.engine)) < sizeof(name.engine));
		assert(*name.engine);
		n = strnlen(name.pod_uid, sizeof(name.pod_uid));
		assert(n < sizeof(name.pod_uid));
		assert(strspn(name.pod_uid, allowed) == n);
	}
	free(path);
	return 0;
}
