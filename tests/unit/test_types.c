// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "profile/types.h"

#include <assert.h>
#include <bpf/btf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/cleanup.h"

/*
 * typedef const volatile struct name { u32 length; u64 hash; } name_t;
 * struct outer {
 *	u32 start;
 *	struct { u64 first; union { u32 low; u64 whole; }; name_t name; };
 *	u32 array[16], grid[3][16];
 *	void *pointer;
 *	u32 a:3, b:7; u32 c:32; u64 :4, wide:40;
 *	name_t named;
 * };
 */
static struct btf *sample(void)
{
	struct btf *btf = btf__new_empty();
	int u32_id = btf__add_int(btf, "unsigned int", 4, 0);
	int u64_id = btf__add_int(btf, "unsigned long", 8, 0);
	int name, name_t, word, inner, hidden, array, grid, pointer;

	assert(btf);
	name = btf__add_struct(btf, "name", 16);
	btf__add_field(btf, "length", u32_id, 0, 0);
	btf__add_field(btf, "hash", u64_id, 64, 0);
	name_t = btf__add_const(btf, btf__add_volatile(btf, btf__add_typedef(btf, "name_t", name)));
	word = btf__add_union(btf, NULL, 8);
	btf__add_field(btf, "low", u32_id, 0, 0);
	btf__add_field(btf, "whole", u64_id, 0, 0);
	inner = btf__add_struct(btf, NULL, 32);
	btf__add_field(btf, "first", u64_id, 0, 0);
	btf__add_field(btf, NULL, word, 64, 0);
	btf__add_field(btf, "name", name_t, 128, 0);
	hidden = btf__add_typedef(btf, "hidden_t", inner);
	array = btf__add_array(btf, u32_id, u32_id, 16);
	grid = btf__add_array(btf, u32_id, array, 3);
	pointer = btf__add_ptr(btf, 0);

	btf__add_fwd(btf, "outer", BTF_FWD_STRUCT);
	btf__add_struct(btf, "outer", 400);
	btf__add_field(btf, "start", u32_id, 0, 0);
	btf__add_field(btf, NULL, hidden, 64, 0);
	btf__add_field(btf, "array", array, 320, 0);
	btf__add_field(btf, "grid", grid, 832, 0);
	btf__add_field(btf, "pointer", pointer, 2368, 0);
	btf__add_field(btf, "a", u32_id, 2432, 3);
	btf__add_field(btf, "b", u32_id, 2435, 7);
	btf__add_field(btf, "c", u32_id, 2464, 32);
	btf__add_field(btf, "wide", u64_id, 2500, 40);
	btf__add_field(btf, "named", name_t, 2560, 0);
	btf__add_field(btf, "void", 0, 2688, 0);

	btf__add_union(btf, "out", 8); /* a prefix of "outer" */
	btf__add_struct(btf, "outer", 1); /* a duplicate: the first counts */
	btf__add_enum(btf, "colour", 4);
	btf__add_enum_value(btf, "red", 1);
	btf__add_float(btf, "double", 8);
	return btf;
}

static struct types *types_of(const struct btf *btf)
{
	struct types *types = NULL;
	struct error err = {};
	const void *data;
	uint32_t size;

	data = btf__raw_data(btf, &size);
	if (types_new(&types, data, size, &err) < 0)
		fail_msg("%s", err.message);
	return types;
}

static void test_fields(void **state)
{
	static const struct {
		const char *path;
		int result;
		uint32_t offset, size;
	} cases[] = {
		{ "name.length", 0, 0, 4 },
		{ "name.hash", 0, 8, 8 },
		{ "outer.start", 0, 0, 4 },
		{ "outer.first", 0, 8,
		  8 }, /* through an anonymous structure, and a typedef of it */
		{ "outer.low", 0, 16, 4 }, /* ... and an anonymous union in that */
		{ "outer.whole", 0, 16, 8 },
		{ "outer.name", 0, 24, 16 },
		{ "outer.name.hash", 0, 32, 8 },
		{ "outer.array", 0, 40, 64 },
		{ "outer.grid", 0, 104, 192 },
		{ "outer.pointer", 0, 296, 8 },
		{ "outer.a", 0, 304, 4 },
		{ "outer.b", 0, 304, 4 },
		{ "outer.c", 0, 308, 4 },
		{ "outer.wide", 0, 312, 8 },
		{ "outer.named.hash", 0, 328, 8 },
		{ "outer.void", 0, 336, 0 },
		{ "outer", -ENOENT, 0, 0 },
		{ "outer.", -ENOENT, 0, 0 },
		{ "outer..start", -ENOENT, 0, 0 },
		{ "outer.star", -ENOENT, 0, 0 },
		{ "outer.starts", -ENOENT, 0, 0 },
		{ "oute.start", -ENOENT, 0, 0 },
		{ "out.start", -ENOENT, 0, 0 },
		{ "outers.start", -ENOENT, 0, 0 },
		{ "", -ENOENT, 0, 0 },
		{ ".", -ENOENT, 0, 0 },
		{ "outer.start.length", -ENOENT, 0, 0 },
		{ "outer.a.length", -ENOENT, 0, 0 },
		{ "outer.pointer.length", -ENOENT, 0, 0 },
		{ "outer.array.length", -ENOENT, 0, 0 },
		{ "name_t.hash", -ENOENT, 0, 0 },
		{ "colour.red", -ENOENT, 0, 0 },
	};
	struct btf *btf = sample();
	struct types *types = types_of(btf);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t offset = 0, size = 0;
		int r = types_field(types, cases[i].path, &offset, &size);

		if (r != cases[i].result || offset != cases[i].offset || size != cases[i].size)
			fail_msg("\"%s\": %d, offset %u, size %u", cases[i].path, r, offset, size);
	}
	types_free(types);
	btf__free(btf);
}

/*
 * union hooks {
 *	int (*none)(void);
 *	int (*one)(struct inode *);
 *	int (*many)(struct mnt_idmap *, const inode_t *, inode_p, u32, void *, struct inode **, union key *, enum colour *);
 *	hook_t named; struct { int (*inner)(struct inode *); };
 *	u32 number; struct inode *pointer; int (**twice)(struct inode *); int direct(struct inode *);
 *	int (*any)(struct inode *, ...); int (*nameless)(struct { } *); void *nothing;
 * };
 */
static struct btf *sample_hooks(void)
{
	struct btf *btf = btf__new_empty();
	int u32_id = btf__add_int(btf, "unsigned int", 4, 0);
	int inode = btf__add_struct(btf, "inode", 64), to_inode = btf__add_ptr(btf, inode);
	int to_const =
		btf__add_ptr(btf, btf__add_const(btf, btf__add_typedef(btf, "inode_t", inode)));
	int inode_p = btf__add_typedef(btf, "inode_p", to_inode);
	const int parameters[] = {
		btf__add_ptr(btf, btf__add_fwd(btf, "mnt_idmap", BTF_FWD_STRUCT)),
		to_const,
		inode_p,
		u32_id,
		btf__add_ptr(btf, 0),
		btf__add_ptr(btf, to_inode),
		btf__add_ptr(btf, btf__add_union(btf, "key", 8)),
		btf__add_ptr(btf, btf__add_enum(btf, "colour", 4)),
	};
	int to_nameless = btf__add_ptr(btf, btf__add_struct(btf, NULL, 8));
	int one, to_none, to_one, to_many, to_any, inner, of_nameless;

	assert(btf);
	to_none = btf__add_ptr(btf, btf__add_func_proto(btf, u32_id));
	one = btf__add_func_proto(btf, u32_id);
	btf__add_func_param(btf, "inode", to_inode);
	to_one = btf__add_ptr(btf, one);
	to_many = btf__add_ptr(btf, btf__type_cnt(btf) + 1); /* what comes next */
	btf__add_func_proto(btf, u32_id);
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		btf__add_func_param(btf, "name", parameters[i]);
	to_any = btf__add_ptr(btf, btf__type_cnt(btf) + 1);
	btf__add_func_proto(btf, u32_id);
	btf__add_func_param(btf, "inode", to_inode);
	btf__add_func_param(btf, NULL, 0);
	of_nameless = btf__add_ptr(btf, btf__type_cnt(btf) + 1);
	btf__add_func_proto(btf, u32_id);
	btf__add_func_param(btf, "nothing", to_nameless);
	inner = btf__add_struct(btf, NULL, 8);
	btf__add_field(btf, "inner", to_one, 0, 0);

	btf__add_typedef(btf, "hook_t", to_one);
	btf__add_ptr(btf, to_one);
	btf__add_union(btf, "hooks", 8);
	btf__add_field(btf, "none", to_none, 0, 0);
	btf__add_field(btf, "one", to_one, 0, 0);
	btf__add_field(btf, "many", to_many, 0, 0);
	btf__add_field(btf, "named", inner + 1, 0, 0);
	btf__add_field(btf, NULL, inner, 0, 0);
	btf__add_field(btf, "number", u32_id, 0, 0);
	btf__add_field(btf, "pointer", to_inode, 0, 0);
	btf__add_field(btf, "twice", inner + 2, 0, 0);
	btf__add_field(btf, "direct", one, 0, 0);
	btf__add_field(btf, "any", to_any, 0, 0);
	btf__add_field(btf, "nameless", of_nameless, 0, 0);
	btf__add_field(btf, "nothing", parameters[4], 0, 0);
	return btf;
}

static void test_parameters(void **state)
{
	static const struct {
		const char *path, *parameters; /* NULL: none */
	} rows[] = {
		{ "hooks.none", "" },
		{ "hooks.one", "inode" },
		{ "hooks.many", ". inode inode . . . key ." },
		{ "hooks.named", "inode" },
		{ "hooks.inner", "inode" },
		{ "hooks.direct", "inode" },
		{ "hooks.any", "inode ." },
		{ "hooks.nameless", "." },
		{ "hooks.number", NULL },
		{ "hooks.pointer", NULL },
		{ "hooks.twice", NULL },
		{ "hooks.nothing", NULL },
		{ "hooks.other", NULL },
		{ "hooks", NULL },
		{ "hook.one", NULL },
		{ "hooks.one.inode", NULL },
	};
	struct btf *btf = sample_hooks();
	struct types *types = types_of(btf);
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = types_parameters(types, rows[i].path, buf, sizeof(buf));

		assert_int_equal(r, rows[i].parameters ? 0 : -ENOENT);
		if (!r && strcmp(buf, rows[i].parameters) != 0)
			fail_msg("%s: \"%s\"", rows[i].path, buf);
	}
	/* What does not fit is no answer. */
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(types_parameters(types, "hooks.one", buf, 6), 0);
	assert_string_equal(buf, "inode");
	for (size_t size = 1; size < 6; size++) {
		memset(buf, 'x', sizeof(buf));
		assert_int_equal(types_parameters(types, "hooks.one", buf, size), -ENAMETOOLONG);
		assert_int_equal(buf[size], 'x');
	}
	types_free(types);
	btf__free(btf);
}

static void test_sizes(void **state)
{
	struct btf *btf = sample();
	struct types *types = types_of(btf);

	(void)state;
	assert_int_equal(types_struct_size(types, "outer"), 400);
	assert_int_equal(types_struct_size(types, "out"), 8);
	assert_int_equal(types_struct_size(types, "name"), 16);
	assert_int_equal(types_struct_size(types, "nam"), 0);
	assert_int_equal(types_struct_size(types, "double"), 0);
	assert_int_equal(types_struct_size(types, ""), 0);
	assert_int_equal(types_n(types), btf__type_cnt(btf) - 1);
	types_free(types);
	btf__free(btf);
}

/*
 * A module's, on top of the sample:
 * struct module { u32 count; name_t name; struct outer *outer; long own; };
 * struct out { u64 mine; };
 */
static struct btf *split_sample(struct btf *base)
{
	struct btf *btf = btf__new_empty_split(base);
	int u32_id = btf__find_by_name_kind(base, "unsigned int", BTF_KIND_INT);
	int name_t = btf__find_by_name_kind(base, "name_t", BTF_KIND_TYPEDEF);
	int outer = btf__find_by_name_kind(base, "outer", BTF_KIND_STRUCT);
	int pointer, own;

	assert(btf && u32_id > 0 && name_t > 0 && outer > 0);
	pointer = btf__add_ptr(btf, outer);
	own = btf__add_typedef(btf, "own_t", btf__add_int(btf, "long", 8, BTF_INT_SIGNED));
	btf__add_struct(btf, "module", 48);
	btf__add_field(btf, "count", u32_id, 0, 0);
	btf__add_field(btf, "name", name_t, 64, 0);
	btf__add_field(btf, "outer", pointer, 192, 0);
	btf__add_field(btf, "own", own, 256, 0);
	btf__add_field(btf, NULL, outer, 320, 0);
	btf__add_struct(btf, "out", 8); /* there is another in the base */
	btf__add_field(btf, "mine", u32_id, 32, 0);
	return btf;
}

static struct types *split_of(const struct types *base, const struct btf *btf)
{
	struct types *types = NULL;
	struct error err = {};
	const void *data;
	uint32_t size;

	data = btf__raw_data(btf, &size);
	if (types_new_split(&types, base, data, size, &err) < 0)
		fail_msg("%s", err.message);
	return types;
}

static void test_split(void **state)
{
	static const struct {
		const char *path;
		int result;
		uint32_t offset, size;
	} cases[] = {
		{ "module.count", 0, 0, 4 }, /* of a type of the base */
		{ "module.name", 0, 8, 16 },
		{ "module.name.hash", 0, 16, 8 }, /* ... and on into it */
		{ "module.outer", 0, 24, 8 },
		{ "module.own", 0, 32, 8 },
		{ "module.low", 0, 56, 4 },
		{ "module.none", -ENOENT, 0, 0 },
		{ "outer.name.hash", 0, 32, 8 }, /* a structure of the base */
		{ "out.mine", 0, 4, 4 }, /* the module's own comes first */
		{ "outer.mine", -ENOENT, 0, 0 },
	};
	struct btf *btf = sample(), *split = split_sample(btf);
	struct types *base = types_of(btf), *types = split_of(base, split), *none = NULL;
	uint32_t id, string, size;
	const void *data;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t offset = 0, n = 0;
		int r = types_field(types, cases[i].path, &offset, &n);

		if (r != cases[i].result || offset != cases[i].offset || n != cases[i].size)
			fail_msg("\"%s\": %d, offset %u, size %u", cases[i].path, r, offset, n);
	}
	assert_int_equal(types_field(base, "module.count", &id, &size), -ENOENT);
	assert_int_equal(types_struct_size(types, "module"), 48);
	assert_int_equal(types_struct_size(types, "name"), 16);
	assert_int_equal(types_n(types), btf__type_cnt(split) - btf__type_cnt(btf));
	types_end(base, &id, &string);
	assert_int_equal(id, btf__type_cnt(btf));
	data = btf__raw_data(btf, &size);
	assert_int_equal(string, ((const struct btf_header *)data)->str_len);
	types_end(types, &id, &string);
	assert_int_equal(id, btf__type_cnt(split));

	data = btf__raw_data(split, &size);
	assert_int_equal(types_new_split(&none, types, data, size, NULL), -EINVAL);
	assert_null(none);
	types_free(types);
	types_free(base);
	btf__free(split);
	btf__free(btf);
}

/* Types that libbpf would never write: made of raw records. */
struct raw {
	struct btf_header header;
	uint32_t types[4096];
	char strings[64];
};

#define RAW_STRUCT 1 /* offsets of the names in raw.strings */
#define RAW_MEMBER 3
#define INFO(kind, vlen) ((uint32_t)(kind) << 24 | (vlen))

static struct raw *raw_new(const uint32_t *words, size_t n)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	assert(raw && n <= ARRAY_SIZE(raw->types));
	raw->header = (struct btf_header){
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(raw->header),
		.type_len = n * sizeof(*words),
		.str_off = sizeof(raw->types),
		.str_len = sizeof(raw->strings),
	};
	memcpy(raw->types, words, n * sizeof(*words));
	memcpy(raw->strings, "\0s\0m", 4);
	return raw;
}

/* References in circles, and to nowhere: found out at the lookup. */
static void test_hostile_references(void **state)
{
	static const struct {
		const char *name;
		size_t n;
		int result;
		uint32_t size;
		uint32_t words[24];
	} cases[] = {
		/* { name_off, info, size or type }, then members { name_off, type, offset } */
		{ "typedef of itself",
		  9,
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 2, 0, 0,
		    INFO(BTF_KIND_TYPEDEF, 0), 2 } },
		{ "const and volatile in a circle",
		  12,
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 2, 0, 0,
		    INFO(BTF_KIND_CONST, 0), 3, 0, INFO(BTF_KIND_VOLATILE, 0), 2 } },
		{ "array of itself",
		  12,
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 2, 0, 0,
		    INFO(BTF_KIND_ARRAY, 0), 0, 2, 2, 1 } },
		{ "array of 2^32 and more bytes",
		  16,
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 2, 0, 0,
		    INFO(BTF_KIND_ARRAY, 0), 0, 3, 3, 0x40000000, 0, INFO(BTF_KIND_INT, 0), 4,
		    32 } },
		{ "type out of range",
		  6,
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 77, 0 } },
		{ "anonymous member out of range",
		  6,
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, 0, 77, 0 } },
		{ "anonymous member of itself",
		  6,
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, 0, 1, 0 } },
		{ "name out of range",
		  6,
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, 0xffffffff, 1, 0 } },
		{ "structure without a name",
		  6,
		  -ENOENT,
		  0,
		  { 0xffffff, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 1, 0 } },
		{ "bit field of a structure",
		  6,
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1) | 1U << 31, 16, RAW_MEMBER, 1, 3 << 24 } },
		{ "bit field without storage",
		  6,
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1) | 1U << 31, 16, RAW_MEMBER, 0, 3 << 24 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) struct raw *raw = raw_new(cases[i].words, cases[i].n);
		struct types *types = NULL;
		uint32_t offset = 0, size = 0;
		int r;

		assert_int_equal(types_new(&types, raw, sizeof(*raw), NULL), 0);
		r = types_field(types, "s.m", &offset, &size);
		if (r != cases[i].result || size != cases[i].size)
			fail_msg("%s: %d, size %u", cases[i].name, r, size);
		types_free(types);
	}
}

/* A thousand anonymous members of the structure's own type: 1000^16 paths, if all were walked. */
static void test_hostile_nesting(void **state)
{
	enum {
		N = 1000
	};
	uint32_t words[3 + 3 * N] = { RAW_STRUCT, INFO(BTF_KIND_STRUCT, N), 8 };
	_cleanup_(freep) struct raw *raw = NULL;
	struct types *types = NULL;
	uint32_t offset, size;

	(void)state;
	for (size_t i = 0; i < N; i++)
		words[3 + 3 * i + 1] = 1;
	raw = raw_new(words, ARRAY_SIZE(words));
	assert_int_equal(types_new(&types, raw, sizeof(*raw), NULL), 0);
	assert_int_equal(types_field(types, "s.m", &offset, &size), -ENOENT);
	types_free(types);
}

/* The base has the ids 1 to 3 and 64 bytes of names; what is on top goes on from there. */
static void test_hostile_split(void **state)
{
	static const uint32_t base_words[] = {
		0,	    INFO(BTF_KIND_INT, 0),     4, 32, /* 1 */
		0,	    INFO(BTF_KIND_TYPEDEF, 0), 4, /* 2: of the first that is on top */
		RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1),  4, RAW_MEMBER, 2, 0, /* 3 */
	};
	static const struct {
		const char *name;
		int result;
		uint32_t size;
		uint32_t words[12];
		size_t n;
	} cases[] = {
		{ "none", 0, 0, {}, 0 },
		{ "names of the base",
		  0,
		  4,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, RAW_MEMBER, 1, 0 },
		  6 },
		{ "names of its own",
		  0,
		  4,
		  { 64 + RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, 64 + RAW_MEMBER, 1, 0 },
		  6 },
		{ "name out of range",
		  0,
		  4, /* the base's is found, whose member is of this */
		  { 128 + RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, 64 + RAW_MEMBER, 1, 0 },
		  6 },
		{ "member's name out of range",
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, 0xffffffff, 1, 0 },
		  6 },
		{ "type out of range",
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, RAW_MEMBER, 5, 0 },
		  6 },
		{ "in a circle through the base",
		  0,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, RAW_MEMBER, 5, 0, 0,
		    INFO(BTF_KIND_TYPEDEF, 0), 5 },
		  9 },
		{ "anonymous in a circle",
		  -ENOENT,
		  0,
		  { RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 4, 0, 2, 0 },
		  6 },
	};
	_cleanup_(freep) struct raw *raw = raw_new(base_words, ARRAY_SIZE(base_words));
	struct types *base = NULL;

	(void)state;
	assert_int_equal(types_new(&base, raw, sizeof(*raw), NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) struct raw *top = raw_new(cases[i].words, cases[i].n);
		struct types *types = NULL;
		uint32_t offset = 0, size = 0;
		int r;

		assert_int_equal(types_new_split(&types, base, top, sizeof(*top), NULL), 0);
		r = types_field(types, "s.m", &offset, &size);
		if (r != cases[i].result || size != cases[i].size)
			fail_msg("%s: %d, size %u", cases[i].name, r, size);
		types_free(types);
	}
	types_free(base);
}

static void test_malformed(void **state)
{
#define HEADER(member) offsetof(struct btf_header, member)
	static const struct {
		const char *name;
		size_t at; /* where to put ... */
		uint32_t value; /* ... these four bytes */
		size_t size; /* how much of it there is; 0: all */
	} cases[] = {
		{ "empty", 0, BTF_MAGIC | 1 << 16, 1 },
		{ "cut header", 0, BTF_MAGIC | 1 << 16, 23 },
		{ "wrong magic", 0, (BTF_MAGIC - 1) | 1 << 16, 0 },
		{ "wrong version", 0, BTF_MAGIC | 2 << 16, 0 },
		{ "short header", HEADER(hdr_len), 20, 0 },
		{ "header beyond", HEADER(hdr_len), 0xfffffffc, 0 },
		{ "odd header", HEADER(hdr_len), 25, 0 },
		{ "odd types", HEADER(type_off), 1, 0 },
		{ "types beyond", HEADER(type_len), 0xfffffffc, 0 },
		{ "types start beyond", HEADER(type_off), 0xfffffffc, 0 },
		{ "strings beyond", HEADER(str_len), 0xffffffff, 0 },
		{ "strings start beyond", HEADER(str_off), 0xffffffff, 0 },
		{ "no strings", HEADER(str_len), 0, 0 },
		{ "strings without end", HEADER(str_len), 2, 0 },
		{ "cut type", HEADER(type_len), 8, 0 },
		{ "cut member", HEADER(type_len), 20, 0 },
		{ "kind 0", sizeof(struct btf_header) + 4, INFO(0, 1), 0 },
		{ "kind 31", sizeof(struct btf_header) + 4, INFO(31, 1), 0 },
		{ "too many members", sizeof(struct btf_header) + 4, INFO(BTF_KIND_STRUCT, 0xffff),
		  0 },
	};
	static const uint32_t words[] = {
		RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 1, 0
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) struct raw *raw = raw_new(words, ARRAY_SIZE(words));
		size_t size = cases[i].size ? cases[i].size : sizeof(*raw);
		_cleanup_(freep) uint8_t *bytes = malloc(size);
		struct types *types = NULL;
		struct error err = {};

		memcpy((uint8_t *)raw + cases[i].at, &cases[i].value, sizeof(cases[i].value));
		memcpy(bytes, raw, size); /* no byte more, for the address sanitizer */
		if (types_new(&types, bytes, size, &err) != -ENOTSUP || types ||
		    !strstr(err.message, "BTF"))
			fail_msg("%s: %s", cases[i].name, err.message);
	}
}

/* The same, but that a module may have no strings. */
static void test_no_strings(void **state)
{
	static const uint32_t words[] = {
		RAW_STRUCT, INFO(BTF_KIND_STRUCT, 1), 8, RAW_MEMBER, 1, 0
	};
	_cleanup_(freep) struct raw *raw = raw_new(words, ARRAY_SIZE(words));
	struct types *base = NULL, *types = NULL;
	struct error err = {};

	(void)state;
	assert_int_equal(types_new(&base, raw, sizeof(*raw), NULL), 0);
	raw->header.str_len = 2;
	assert_int_equal(types_new_split(&types, base, raw, sizeof(*raw), &err), -ENOTSUP);
	assert_non_null(strstr(err.message, "strings without an end"));
	raw->header.str_len = 0;
	assert_int_equal(types_new_split(&types, base, raw, sizeof(*raw), NULL), 0);
	assert_int_equal(types_struct_size(types, "s"), 8);
	types_free(types);
	types_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_sizes),		cmocka_unit_test(test_hostile_references),
		cmocka_unit_test(test_hostile_nesting), cmocka_unit_test(test_split),
		cmocka_unit_test(test_hostile_split),	cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_no_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
