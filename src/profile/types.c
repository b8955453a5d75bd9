// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * BTF, read as an enemy wrote it.
 *
 * types_new() walks the type section once and keeps where each type is: from then on, each type
 * with its trailing members lies inside the private copy. References from type to type and to names
 * are checked at each use instead, by type_at() and name_at(): most are never used. Chains of
 * references may be cycles and anonymous members may nest without end, so that every lookup has a
 * budget.
 *
 * Split BTF (a module's, Linux 36e68442d1af "bpf: Load and verify kernel module BTFs", in v5.11) is
 * one more such section, whose ids and string offsets are numbered on from those of the kernel's.
 * A reference below that is one into the base; what is found there is bounded by the base's own
 * sizes.
 *
 * libbpf's btf__new() would do the first half only, and not for data that is out to harm; its
 * inline accessors <bpf/btf.h> are what is used of it.
 */
#include "profile/types.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_SIZE (64U << 20)
#define MAX_TYPES (1U << 20)
#define MAX_NAME 128 /* of a structure; longer ones are not found */
#define MAX_CHAIN 32 /* typedefs, qualifiers and array dimensions of one member */
#define MAX_NESTING 16 /* anonymous structures in each other */
#define MAX_STEPS \
	100000 /* members looked at for one name; the largest structure has some hundreds */
#define POINTER_SIZE 8

struct types {
	const struct types *base; /* what it is split from, or NULL */
	uint8_t *copy;
	const uint8_t *section; /* of types */
	uint32_t section_size;
	const char *strings;
	uint32_t first_string, strings_size; /* offset of strings[0] */
	uint32_t *at; /* by type id, less @first: offset in the section */
	uint32_t first, end; /* type ids; 0 is `void`, and in no section */
	uint32_t *sorted; /* ids of the named structures and unions, by name, then id */
	uint32_t n_sorted;
};

/* The search for one member: @bits from the start of the structure, and its type. */
struct found {
	uint64_t bits;
	uint32_t bitfield_size; /* 0: none */
	uint32_t type;
};

struct types *types_free(struct types *types)
{
	if (!types)
		return NULL;
	free(types->copy);
	free(types->at);
	free(types->sorted);
	free(types);
	return NULL;
}

DEFINE_CLEANUP(struct types *, types_free)

/* NULL for `void` and for what is no type. */
static const struct btf_type *type_at(const struct types *types, uint32_t id)
{
	if (id < types->first && types->base)
		types = types->base;
	if (id < types->first || id >= types->end)
		return NULL;
	return (const struct btf_type *)(types->section + types->at[id - types->first]);
}

/* "" for what is no name. The string section ends with NUL. */
static const char *name_at(const struct types *types, uint32_t offset)
{
	if (offset < types->first_string && types->base)
		types = types->base;
	offset -= types->first_string;
	return offset < types->strings_size ? types->strings + offset : "";
}

/* Bytes of a type with what trails it, 0 for a kind that is not known. */
static uint64_t type_size(const struct btf_type *type)
{
	static const struct {
		bool known;
		uint8_t fixed, each; /* trailing bytes: once, and for each of vlen */
	} kinds[] = {
		[BTF_KIND_INT] = { true, sizeof(uint32_t), 0 },
		[BTF_KIND_PTR] = { true, 0, 0 },
		[BTF_KIND_ARRAY] = { true, sizeof(struct btf_array), 0 },
		[BTF_KIND_STRUCT] = { true, 0, sizeof(struct btf_member) },
		[BTF_KIND_UNION] = { true, 0, sizeof(struct btf_member) },
		[BTF_KIND_ENUM] = { true, 0, sizeof(struct btf_enum) },
		[BTF_KIND_FWD] = { true, 0, 0 },
		[BTF_KIND_TYPEDEF] = { true, 0, 0 },
		[BTF_KIND_VOLATILE] = { true, 0, 0 },
		[BTF_KIND_CONST] = { true, 0, 0 },
		[BTF_KIND_RESTRICT] = { true, 0, 0 },
		[BTF_KIND_FUNC] = { true, 0, 0 },
		[BTF_KIND_FUNC_PROTO] = { true, 0, sizeof(struct btf_param) },
		[BTF_KIND_VAR] = { true, sizeof(struct btf_var), 0 },
		[BTF_KIND_DATASEC] = { true, 0, sizeof(struct btf_var_secinfo) },
		[BTF_KIND_FLOAT] = { true, 0, 0 },
		[BTF_KIND_DECL_TAG] = { true, sizeof(struct btf_decl_tag), 0 },
		[BTF_KIND_TYPE_TAG] = { true, 0, 0 },
		[BTF_KIND_ENUM64] = { true, 0, sizeof(struct btf_enum64) },
	};
	unsigned int kind = btf_kind(type);

	if (kind >= ARRAY_SIZE(kinds) || !kinds[kind].known)
		return 0;
	return sizeof(*type) + kinds[kind].fixed + (uint64_t)kinds[kind].each * btf_vlen(type);
}

static int broken(struct error *err, const char *what)
{
	return error_set(err, -ENOTSUP,
			 "the guest kernel's type information (BTF) is broken: %s; it may have "
			 "been "
			 "tampered with, or the kernel is newer than this version knows",
			 what);
}

/* Is [offset, offset + size) after the header inside the BTF? */
static bool section_fits(const struct btf_header *header, uint64_t offset, uint64_t size,
			 size_t total)
{
	return header->hdr_len + offset + size <= total;
}

static int read_header(struct types *types, size_t size, struct error *err)
{
	struct btf_header header;

	if (size < sizeof(header))
		return broken(err, "shorter than its header");
	memcpy(&header, types->copy, sizeof(header));
	if (header.magic != BTF_MAGIC || header.version != BTF_VERSION)
		return broken(err, "not BTF version 1");
	if (header.hdr_len < sizeof(header) || header.hdr_len % 4 || header.type_off % 4)
		return broken(err, "bad header");
	if (!section_fits(&header, header.type_off, header.type_len, size) ||
	    !section_fits(&header, header.str_off, header.str_len, size))
		return broken(err, "a section is not inside");
	types->section = types->copy + header.hdr_len + header.type_off;
	types->strings = (const char *)types->copy + header.hdr_len + header.str_off;
	types->strings_size = header.str_len;
	/* a module all of whose names are the kernel's has no strings */
	if (header.str_len == 0 ? !types->base : types->strings[header.str_len - 1] != '\0')
		return broken(err, "strings without an end");
	types->section_size = header.type_len;
	return 0;
}

/* Notes where each type is. Afterwards each is inside the section with all that trails it. */
static int read_types(struct types *types, struct error *err)
{
	uint32_t size = types->section_size;

	/* the shortest type has 12 bytes */
	types->at = malloc(sizeof(*types->at) * (size / sizeof(struct btf_type) + 1));
	if (!types->at)
		return error_set(err, -ENOMEM, "no memory for the guest's types");
	types->end = types->first;
	for (uint64_t at = 0; at < size;) {
		const struct btf_type *type = (const struct btf_type *)(types->section + at);
		uint64_t n;

		if (size - at < sizeof(*type))
			return broken(err, "a type is cut off");
		n = type_size(type);
		if (n == 0)
			return broken(err, "a type of an unknown kind");
		if (n > size - at)
			return broken(err, "a type is cut off");
		if (types->end >= MAX_TYPES)
			return broken(err, "too many types");
		types->at[types->end++ - types->first] = at;
		at += n;
	}
	return 0;
}

static const char *type_name(const struct types *types, uint32_t id)
{
	return name_at(types, type_at(types, id)->name_off);
}

static int compare_names(const void *a, const void *b, void *userdata)
{
	const struct types *types = userdata;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int order = strncmp(type_name(types, x), type_name(types, y), MAX_NAME);

	return order ? order : (x > y) - (x < y);
}

static int index_names(struct types *types, struct error *err)
{
	types->sorted = malloc(sizeof(*types->sorted) * (types->end - types->first + 1));
	if (!types->sorted)
		return error_set(err, -ENOMEM, "no memory for the guest's types");
	for (uint32_t id = types->first; id < types->end; id++)
		if (btf_is_composite(type_at(types, id)) && type_name(types, id)[0])
			types->sorted[types->n_sorted++] = id;
	qsort_r(types->sorted, types->n_sorted, sizeof(*types->sorted), compare_names, types);
	return 0;
}

static int types_read(struct types **ret, const struct types *base, const void *btf, size_t size,
		      struct error *err)
{
	_cleanup_(types_freep) struct types *types = calloc(1, sizeof(*types));
	int r;

	if (size > MAX_SIZE)
		return broken(err, "too large");
	if (types)
		types->copy = malloc(size ? size : 1);
	if (!types || !types->copy)
		return error_set(err, -ENOMEM, "no memory for the guest's types");
	memcpy(types->copy, btf, size);
	types->base = base;
	types->first = 1;
	if (base)
		types_end(base, &types->first, &types->first_string);
	r = read_header(types, size, err);
	if (r < 0)
		return r;
	r = read_types(types, err);
	if (r < 0)
		return r;
	r = index_names(types, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(types);
	return 0;
}

int types_new(struct types **ret, const void *btf, size_t size, struct error *err)
{
	return types_read(ret, NULL, btf, size, err);
}

int types_new_split(struct types **ret, const struct types *base, const void *btf, size_t size,
		    struct error *err)
{
	if (base->base)
		return error_set(err, -EINVAL,
				 "type information can be split from the kernel's only");
	return types_read(ret, base, btf, size, err);
}

/* Id of the first structure or union whose name is the @length characters at @name, or 0. */
static uint32_t find_own(const struct types *types, const char *name, size_t length)
{
	uint32_t low = 0, high = types->n_sorted;
	const char *other;

	if (length >= MAX_NAME)
		return 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		other = type_name(types, types->sorted[middle]);
		if (strncmp(other, name, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == types->n_sorted)
		return 0;
	/* all names that start so follow, the shortest first */
	other = type_name(types, types->sorted[low]);
	return strncmp(other, name, length) == 0 && !other[length] ? types->sorted[low] : 0;
}

static uint32_t find_struct(const struct types *types, const char *name, size_t length)
{
	uint32_t id = find_own(types, name, length);

	return id || !types->base ? id : find_own(types->base, name, length);
}

/* What typedefs, qualifiers and tags stand for, or 0. */
static uint32_t resolve(const struct types *types, uint32_t id)
{
	for (int i = 0; i < MAX_CHAIN; i++) {
		const struct btf_type *type = type_at(types, id);

		if (!type || !(btf_is_mod(type) || btf_is_typedef(type)))
			return type ? id : 0;
		id = type->type;
	}
	return 0;
}

/* Bytes of a type, 0 when it has none or too many. */
static uint32_t size_of(const struct types *types, uint32_t id)
{
	uint64_t n = 1;

	for (int i = 0; i < MAX_CHAIN; i++) {
		const struct btf_type *type = type_at(types, resolve(types, id));

		if (!type)
			return 0;
		if (!btf_is_array(type)) {
			bool sized = btf_is_int(type) || btf_is_any_enum(type) ||
				     btf_is_composite(type) || btf_is_float(type);
			uint32_t each = btf_is_ptr(type) ? POINTER_SIZE : sized ? type->size : 0;

			n *= each;
			return n <= UINT32_MAX ? n : 0;
		}
		n *= btf_array(type)->nelems;
		if (n > UINT32_MAX)
			return 0;
		id = btf_array(type)->type;
	}
	return 0;
}

/* Finds a member, looking through anonymous structures. @steps bounds all of the search. */
static bool find_member(const struct types *types, uint32_t id, const char *name, size_t length,
			struct found *ret, unsigned int depth, unsigned int *steps)
{
	const struct btf_type *type = type_at(types, id);

	if (!type || !btf_is_composite(type) || depth > MAX_NESTING)
		return false;
	for (unsigned int i = 0; i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *other = name_at(types, member->name_off);
		uint32_t bits = btf_member_bit_offset(type, i);

		if (*steps == 0)
			return false;
		--*steps;
		if (strncmp(other, name, length) == 0 && !other[length]) {
			*ret = (struct found){
				.bits = bits,
				.bitfield_size = btf_member_bitfield_size(type, i),
				.type = member->type,
			};
			return true;
		}
		if (!other[0] && find_member(types, resolve(types, member->type), name, length, ret,
					     depth + 1, steps)) {
			ret->bits += bits;
			return true;
		}
	}
	return false;
}

/* Bytes that hold what was found; the storage unit, as the compiler lays it out, of a bit field. */
static int place(const struct types *types, const struct found *found, uint32_t *ret_offset,
		 uint32_t *ret_size)
{
	uint64_t offset = found->bits / 8;
	uint32_t size = size_of(types, found->type);

	if (found->bitfield_size || found->bits % 8) {
		if (size == 0 || size > 8)
			return -ENOENT;
		offset = offset / size * size;
		if (found->bits + found->bitfield_size > 8 * (offset + size))
			return -ENOENT; /* packed across two units */
	}
	if (offset > UINT32_MAX)
		return -ENOENT;
	*ret_offset = offset;
	*ret_size = size;
	return 0;
}

/* Follows a path to its last member; *@ret has its bits from the start of the first structure. */
static bool find_path(const struct types *types, const char *path, struct found *ret)
{
	size_t length = strcspn(path, ".");
	struct found found = { .type = find_struct(types, path, length) };
	unsigned int steps = MAX_STEPS;
	uint64_t bits = 0;

	if (!path[length])
		return false;
	while (path[length]) {
		path += length + 1;
		length = strcspn(path, ".");
		if (length == 0 || found.bitfield_size ||
		    !find_member(types, resolve(types, found.type), path, length, &found, 0,
				 &steps))
			return false;
		bits += found.bits;
	}
	found.bits = bits;
	*ret = found;
	return true;
}

int types_field(const struct types *types, const char *path, uint32_t *ret_offset,
		uint32_t *ret_size)
{
	struct found found;

	return find_path(types, path, &found) ? place(types, &found, ret_offset, ret_size)
					      : -ENOENT;
}

/* What a pointer's end is called, if that is a structure; "." of all else. */
static const char *pointed_name(const struct types *types, uint32_t id)
{
	const struct btf_type *type = type_at(types, resolve(types, id));
	const char *name;

	if (!type || !btf_is_ptr(type))
		return ".";
	type = type_at(types, resolve(types, type->type));
	name = type && btf_is_composite(type) ? name_at(types, type->name_off) : "";
	return *name ? name : ".";
}

int types_parameters(const struct types *types, const char *path, char *buf, size_t size)
{
	const struct btf_type *type;
	struct found found;
	size_t n = 0;

	if (!find_path(types, path, &found))
		return -ENOENT;
	type = type_at(types, resolve(types, found.type));
	if (type && btf_is_ptr(type))
		type = type_at(types, resolve(types, type->type));
	if (!type || !btf_is_func_proto(type))
		return -ENOENT;
	buf[0] = '\0';
	for (unsigned int i = 0; i < btf_vlen(type); i++) {
		int m = snprintf(buf + n, size - n, "%s%s", i ? " " : "",
				 pointed_name(types, btf_params(type)[i].type));

		if (m < 0 || (size_t)m >= size - n)
			return -ENAMETOOLONG;
		n += (size_t)m;
	}
	return 0;
}

static bool find_enumerator(const struct types *types, const struct btf_type *type,
			    const char *name, uint64_t *ret_value)
{
	for (unsigned int i = 0; i < btf_vlen(type); i++) {
		uint32_t at = btf_is_enum(type) ? btf_enum(type)[i].name_off
						: btf_enum64(type)[i].name_off;

		if (strncmp(name_at(types, at), name, MAX_NAME) != 0)
			continue;
		*ret_value = btf_is_enum(type) ? (uint64_t)(int64_t)btf_enum(type)[i].val
					       : btf_enum64_value(&btf_enum64(type)[i]);
		return true;
	}
	return false;
}

int types_enumerator(const struct types *types, const char *name, uint64_t *ret_value)
{
	for (uint32_t id = types->first; id < types->end; id++) {
		const struct btf_type *type = type_at(types, id);

		if (btf_is_any_enum(type) && find_enumerator(types, type, name, ret_value))
			return 0;
	}
	return -ENOENT;
}

uint32_t types_struct_size(const struct types *types, const char *name)
{
	const struct btf_type *type = type_at(types, find_struct(types, name, strlen(name)));

	return type ? type->size : 0;
}

size_t types_n(const struct types *types)
{
	return types->end - types->first;
}

void types_end(const struct types *types, uint32_t *ret_id, uint32_t *ret_string)
{
	*ret_id = types->end;
	*ret_string = types->first_string + types->strings_size;
}
