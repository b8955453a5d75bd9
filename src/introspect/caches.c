// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/caches.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static const struct {
	const char *path, *older;
} wanted[] = {
#define CACHES_ROW(name, path, older) [CACHES_##name] = { path, older },
	CACHES_FIELDS(CACHES_ROW)
#undef CACHES_ROW
};

struct lacks {
	char names[900];
	size_t n;
};

static void lack(struct lacks *lacks, const char *what)
{
	lacks->n += snprintf(lacks->names + lacks->n, sizeof(lacks->names) - lacks->n, "%s%s",
			     lacks->n ? ", " : "", what);
	if (lacks->n >= sizeof(lacks->names))
		lacks->n = sizeof(lacks->names) - 1;
}

static bool find(const struct profile *profile, enum caches_field i, struct profile_field *ret)
{
	if (profile_field(profile, wanted[i].path, ret) < 0 &&
	    (!wanted[i].older || profile_field(profile, wanted[i].older, ret) < 0))
		return false;
	return i == CACHES_XA_NODE_SLOTS || (ret->size >= 1 && ret->size <= 8);
}

static void fill(struct caches *caches, const struct profile *profile, struct lacks *lacks)
{
	uint64_t vmemmap = profile_symbol(profile, "vmemmap_base");
	struct profile_field field;

	for (enum caches_field i = 0; i < CACHES_N_FIELDS; i++)
		if (!find(profile, i, &caches->fields[i]))
			lack(lacks, wanted[i].path);
	caches->hlist = profile_field(profile, wanted[CACHES_DENTRY_CHILDREN].path, &field) == 0;
	caches->page_size = profile_struct_size(profile, "page");
	if (!caches->page_size)
		lack(lacks, "struct page");
	if (!vmemmap || space_read_u64(profile_space(profile), vmemmap, &caches->pages) < 0)
		lack(lacks, "vmemmap_base");
}

int caches_new(struct caches **ret, const struct kernel *kernel, const struct profile *profile,
	       struct error *err)
{
	_cleanup_(freep) struct caches *caches = calloc(1, sizeof(*caches));
	struct lacks lacks = { 0 };

	if (!caches)
		return error_set(err, -ENOMEM, "out of memory");
	caches->kernel = kernel;
	fill(caches, profile, &lacks);
	if (lacks.n)
		return error_set(err, -ENOTSUP,
				 "files in this guest's memory cannot be read, its kernel lacks: "
				 "%s",
				 lacks.names);
	*ret = TAKE_PTR(caches);
	return 0;
}

struct caches *caches_free(struct caches *caches)
{
	free(caches);
	return NULL;
}

uint64_t caches_get(const struct caches *caches, struct reader *reader, uint64_t object,
		    enum caches_field field)
{
	uint64_t value = 0; /* little endian: a narrow member fills the low bytes */

	if (!reader->error)
		reader->error = space_read(reader->kernel->space,
					   caches_place(caches, object, field), &value,
					   caches->fields[field].size);
	return reader->error ? 0 : value;
}
