// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of the modules' types is walked while the guest runs, without its lock: a module that is
 * unloaded at that moment takes the walk to where no list is, and the walk starts again. Of what is
 * found the first two words of truth are where its ids and strings begin, which must be where the
 * kernel's end; the rest types.c checks.
 *
 * A name has at most one entry: the kernel refuses to load a module twice.
 */
#include "profile/modules.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_MODULES 8192
#define MAX_ATTEMPTS 5
#define MAX_SIZE (4U << 20) /* the largest of Debian's modules has 0.6 MiB */
#define NAME_SIZE 56 /* MODULE_NAME_LEN */

struct module {
	struct module *next;
	struct types *types;
	char name[NAME_SIZE];
};

struct modules {
	const struct space *space;
	const struct types *base;
	uint64_t list;
	struct module *first; /* those read so far */
};

/* Where the members are that are followed. */
struct places {
	uint32_t node, next, btf; /* struct btf_module */
	uint32_t data, data_size, name, start_id, start_string; /* struct btf */
};

/* What the kernel says of one module's types. */
struct record {
	uint64_t data;
	uint32_t data_size, start_id, start_string;
};

struct modules *modules_new(const struct space *space, uint64_t list, const struct types *base)
{
	struct modules *modules = calloc(1, sizeof(*modules));

	if (modules)
		*modules = (struct modules){ .space = space, .base = base, .list = list };
	return modules;
}

static struct module *module_free(struct module *module)
{
	if (!module)
		return NULL;
	types_free(module->types);
	free(module);
	return NULL;
}

DEFINE_CLEANUP(struct module *, module_free)

struct modules *modules_free(struct modules *modules)
{
	if (!modules)
		return NULL;
	while (modules->first) {
		struct module *module = modules->first;

		modules->first = module->next;
		module_free(module);
	}
	free(modules);
	return NULL;
}

static int find_places(const struct types *types, struct places *ret, struct error *err)
{
	const struct {
		const char *path;
		uint32_t *at, size;
	} wanted[] = {
		{ "btf_module.list", &ret->node, 16 },
		{ "btf_module.list.next", &ret->next, 8 },
		{ "btf_module.btf", &ret->btf, 8 },
		{ "btf.data", &ret->data, 8 },
		{ "btf.data_size", &ret->data_size, 4 },
		{ "btf.name", &ret->name, NAME_SIZE },
		{ "btf.start_id", &ret->start_id, 4 },
		{ "btf.start_str_off", &ret->start_string, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		uint32_t size;

		if (types_field(types, wanted[i].path, wanted[i].at, &size) < 0 ||
		    size != wanted[i].size)
			return error_set(err, -ENOTSUP,
					 "this guest kernel's list of its modules' types cannot be "
					 "read, it lacks: %s",
					 wanted[i].path);
	}
	return 0;
}

/* Returns 1 when the name is @name, 0 when it is another. */
static int is_called(const struct modules *modules, uint64_t address, const char *name)
{
	char other[NAME_SIZE];

	if (space_read_string(modules->space, address, other, sizeof(other)) < 0)
		return -EFAULT;
	return strcmp(other, name) == 0;
}

/* Returns 1 with the address of the struct btf, or 0 when none has that name. */
static int walk(const struct modules *modules, const struct places *at, const char *name,
		uint64_t *ret_btf)
{
	uint64_t node, btf;
	int r;

	r = space_read_u64(modules->space, modules->list, &node);
	for (unsigned int n = 0; r == 0 && node != modules->list; n++) {
		uint64_t entry = node - at->node;

		if (n == MAX_MODULES)
			return -EFAULT;
		r = space_read_u64(modules->space, entry + at->btf, &btf);
		if (r == 0)
			r = is_called(modules, btf + at->name, name);
		if (r > 0)
			*ret_btf = btf;
		else if (r == 0)
			r = space_read_u64(modules->space, entry + at->next, &node);
	}
	return r;
}

static int read_record(const struct modules *modules, const struct places *at, uint64_t btf,
		       struct record *ret)
{
	const struct space *space = modules->space;

	if (space_read_u64(space, btf + at->data, &ret->data) < 0 ||
	    space_read_u32(space, btf + at->data_size, &ret->data_size) < 0 ||
	    space_read_u32(space, btf + at->start_id, &ret->start_id) < 0 ||
	    space_read_u32(space, btf + at->start_string, &ret->start_string) < 0)
		return -EFAULT;
	return 0;
}

static int find(const struct modules *modules, const char *name, struct record *ret,
		struct error *err)
{
	struct places at;
	uint64_t btf = 0;
	int r = find_places(modules->base, &at, err);

	if (r < 0)
		return r;
	r = -EFAULT;
	for (unsigned int i = 0; r == -EFAULT && i < MAX_ATTEMPTS; i++) {
		r = walk(modules, &at, name, &btf);
		if (r > 0)
			r = read_record(modules, &at, btf, ret);
		else if (r == 0)
			r = -ENOENT;
	}
	if (r == -ENOENT)
		return error_set(err, r, "the guest kernel has no module %s with types", name);
	if (r < 0)
		return error_set(err, r,
				 "the guest kernel's list of its modules' types cannot be "
				 "followed; "
				 "it may have been tampered with");
	return 0;
}

static int copy_types(struct modules *modules, const struct record *record, struct types **ret,
		      struct error *err)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	uint32_t end_id, end_string;

	types_end(modules->base, &end_id, &end_string);
	if (record->start_id != end_id || record->start_string != end_string)
		return error_set(err, -ENOTSUP,
				 "they do not go on where the kernel's types end (%u, %u), but at "
				 "%u, %u",
				 end_id, end_string, record->start_id, record->start_string);
	if (record->data_size > MAX_SIZE)
		return error_set(err, -ENOTSUP, "they are said to have %u bytes",
				 record->data_size);
	bytes = malloc(record->data_size + 1);
	if (!bytes)
		return error_set(err, -ENOMEM, "no memory for them");
	if (space_read(modules->space, record->data, bytes, record->data_size) < 0)
		return error_set(err, -EFAULT, "they are not in memory");
	return types_new_split(ret, modules->base, bytes, record->data_size, err);
}

static int load(struct modules *modules, const char *name, struct module **ret, struct error *err)
{
	_cleanup_(module_freep) struct module *module = calloc(1, sizeof(*module));
	struct record record;
	int r;

	if (!module)
		return error_set(err, -ENOMEM, "no memory for a module's types");
	strcpy(module->name, name);
	r = find(modules, name, &record, err);
	if (r < 0)
		return r;
	r = copy_types(modules, &record, &module->types, err);
	if (r < 0)
		return error_wrap(err, "types of the guest's kernel module %s", name), r;
	*ret = TAKE_PTR(module);
	return 0;
}

int modules_types(struct modules *modules, const char *name, const struct types **ret,
		  struct error *err)
{
	struct module *module = modules->first;
	int r;

	if (!modules->list)
		return error_set(err, -ENOTSUP,
				 "the guest kernel keeps no types of its modules; it needs a "
				 "kernel "
				 "built with CONFIG_DEBUG_INFO_BTF_MODULES=y");
	if (strlen(name) >= NAME_SIZE)
		return error_set(err, -ENOENT, "no module can be called %s", name);
	while (module && strcmp(module->name, name) != 0)
		module = module->next;
	if (!module) {
		r = load(modules, name, &module, err);
		if (r < 0)
			return r;
		module->next = modules->first;
		modules->first = module;
	}
	*ret = module->types;
	return 0;
}
