// SPDX-License-Identifier: GPL-2.0-or-later
#include "introspect/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum kind {
	VALUE,
	PLACE
};

static const struct {
	enum kind kind;
	const char *path, *older;
} wanted[] = {
#define LAYOUT_ROW(name, kind, path, older) [FIELD_##name] = { kind, path, older },
	LAYOUT_FIELDS(LAYOUT_ROW)
#undef LAYOUT_ROW
};

static void append(char *list, size_t size, const char *what)
{
	size_t n = strlen(list);

	snprintf(list + n, size - n, "%s%s", n ? ", " : "", what);
}

static int find(const struct profile *profile, enum field i, struct profile_field *ret)
{
	if (profile_field(profile, wanted[i].path, ret) == 0)
		return 0;
	return wanted[i].older ? profile_field(profile, wanted[i].older, ret) : -ENOENT;
}

static bool fits(enum kind kind, const struct profile_field *field)
{
	return kind == PLACE || (field->size >= 1 && field->size <= 8);
}

int layout_fill(struct layout *layout, const struct profile *profile, struct error *err)
{
	struct layout filled = {
		.upid_size = profile_struct_size(profile, "upid"),
		.init_task = profile_symbol(profile, "init_task"),
	};
	char lacks[900] = "";

	if (!filled.init_task)
		append(lacks, sizeof(lacks), "init_task");
	if (!filled.upid_size)
		append(lacks, sizeof(lacks), "struct upid");
	for (enum field i = 0; i < N_FIELDS; i++)
		if (find(profile, i, &filled.fields[i]) < 0 ||
		    !fits(wanted[i].kind, &filled.fields[i]))
			append(lacks, sizeof(lacks), wanted[i].path);
	if (*lacks)
		return error_set(err, -ENOTSUP, "this guest kernel cannot be read, it lacks: %s",
				 lacks);
	*layout = filled;
	return 0;
}
