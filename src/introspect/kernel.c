// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/kernel.h"

#include <errno.h>
#include <stdlib.h>

#include "introspect/reader.h"
#include "util/cleanup.h"

int kernel_new(struct kernel **ret, const struct profile *profile, struct error *err)
{
	_cleanup_(freep) struct kernel *kernel = calloc(1, sizeof(*kernel));
	int r;

	if (!kernel)
		return error_set(err, -ENOMEM, "out of memory");
	kernel->profile = profile;
	kernel->space = profile_space(profile);
	r = layout_fill(&kernel->layout, profile, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(kernel);
	return 0;
}

struct kernel *kernel_free(struct kernel *kernel)
{
	free(kernel);
	return NULL;
}

const struct space *kernel_space(const struct kernel *kernel)
{
	return kernel->space;
}

uint64_t kernel_init_task(const struct kernel *kernel)
{
	return kernel->layout.init_task;
}
