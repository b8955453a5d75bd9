// SPDX-License-Identifier: GPL-2.0-or-later
/* The guard's own object, linked against a kernel whose symbols are made up; every relocation is checked by arithmetic. */
#undef NDEBUG
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arm/guard_object.h"
#include "arm/link.h"
#include "util/cleanup.h"

#define ADDRESS 0xffffffffbfc00000ULL
#define FUNCTIONS 0xffffffff81000000ULL

DEFINE_CLEANUP(struct link_image *, link_image_free)

/* A kernel: what is asked for gets a value by its name, but for what it lacks. */
struct fake_kernel {
	const char *lacks[8];
	const char *special; /* has this value: */
	uint64_t value;
	unsigned int n_asked;
};

static uint64_t value_of(const char *name)
{
	uint64_t hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	if (!strncmp(name, "field.", 6) || !strncmp(name, "size.", 5))
		return hash % 4000 & ~7ULL;
	if (!strcmp(name, "vault"))
		return ADDRESS - 0x100000;
	if (!strcmp(name, "mailbox"))
		return ADDRESS + 0x200000;
	return FUNCTIONS + (hash % 0x1000000 & ~15ULL);
}

static int resolve(void *data, const char *name, uint64_t *ret_value)
{
	struct fake_kernel *kernel = data;

	kernel->n_asked++;
	for (size_t i = 0; i < ARRAY_SIZE(kernel->lacks); i++)
		if (kernel->lacks[i] && !strcmp(kernel->lacks[i], name))
			return -ENOENT;
	*ret_value = kernel->special && !strcmp(kernel->special, name) ? kernel->value
								       : value_of(name);
	return 0;
}

static int link_guard(struct link_image **ret, struct fake_kernel *kernel, struct error *err)
{
	return link_object(ret, guard_object, guard_object_size, ADDRESS, resolve, kernel, err);
}

/* The object, read by hand. */
struct object {
	uint8_t *bytes;
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;
	const Elf64_Sym *symbols;
	size_t n_symbols;
	const char *names;
	uint64_t place[64]; /* in the image */
};

static void object_read(struct object *object)
{
	uint64_t at = 0;

	memset(object, 0, sizeof(*object));
	object->bytes = malloc(guard_object_size);
	assert_non_null(object->bytes);
	memcpy(object->bytes, guard_object, guard_object_size);
	object->header = (const Elf64_Ehdr *)object->bytes;
	object->sections = (const Elf64_Shdr *)(object->bytes + object->header->e_shoff);
	assert_true(object->header->e_shnum <= ARRAY_SIZE(object->place));
	for (size_t i = 0; i < object->header->e_shnum; i++) {
		const Elf64_Shdr *section = &object->sections[i];

		if (section->sh_type == SHT_SYMTAB) {
			object->symbols = (const Elf64_Sym *)(object->bytes + section->sh_offset);
			object->n_symbols = section->sh_size / sizeof(Elf64_Sym);
			object->names = (const char *)object->bytes +
					object->sections[section->sh_link].sh_offset;
		}
		if (!(section->sh_flags & SHF_ALLOC) || !section->sh_size)
			continue;
		at = (at + section->sh_addralign - 1) / section->sh_addralign *
		     section->sh_addralign;
		object->place[i] = ADDRESS + at;
		at += section->sh_size;
	}
}

static void object_free(struct object *object)
{
	free(object->bytes);
}

static const char *symbol_name(const struct object *object, const Elf64_Sym *symbol)
{
	return object->names + symbol->st_name;
}

/* What the symbol stands for, in a kernel that has everything. */
static uint64_t symbol_value(const struct object *object, const Elf64_Sym *symbol)
{
	if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol->st_info) == STB_WEAK)
		return value_of(symbol_name(object, symbol));
	return object->place[symbol->st_shndx] + symbol->st_value;
}

/* How wide a field is; what stands there is compared with @value. */
static size_t check_field(const uint8_t *field, uint32_t type, uint64_t value, uint64_t place)
{
	int32_t word;
	uint64_t quad;

	memcpy(&word, field, sizeof(word));
	memcpy(&quad, field, sizeof(quad));
	switch (type) {
	case R_X86_64_64:
		assert_int_equal(quad, value);
		return 8;
	case R_X86_64_32S:
		assert_int_equal((uint64_t)(int64_t)word, value);
		return 4;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		assert_int_equal(place + (uint64_t)(int64_t)word, value);
		return 4;
	}
	fail_msg("relocation type %u is new to this test", type);
	return 0;
}

static unsigned int check_section(const struct object *object, const struct link_image *image,
				  const Elf64_Shdr *relocations)
{
	const Elf64_Rela *rela = (const Elf64_Rela *)(object->bytes + relocations->sh_offset);
	uint64_t place = object->place[relocations->sh_info];
	unsigned int n = 0;

	if (!place)
		return 0;
	for (; n < relocations->sh_size / sizeof(*rela); n++) {
		const Elf64_Sym *symbol = &object->symbols[ELF64_R_SYM(rela[n].r_info)];
		uint64_t at = place + rela[n].r_offset;

		check_field(image->bytes + (at - ADDRESS), ELF64_R_TYPE(rela[n].r_info),
			    symbol_value(object, symbol) + (uint64_t)rela[n].r_addend, at);
	}
	return n;
}

static void test_relocations(void **state)
{
	_cleanup_(link_image_freep) struct link_image *image = NULL;
	_cleanup_(object_free) struct object object;
	struct fake_kernel kernel = { 0 };
	unsigned int n = 0;

	(void)state;
	object_read(&object);
	assert_int_equal(link_guard(&image, &kernel, NULL), 0);
	assert_int_equal(image->address, ADDRESS);
	for (size_t i = 0; i < object.header->e_shnum; i++)
		if (object.sections[i].sh_type == SHT_RELA)
			n += check_section(&object, image, &object.sections[i]);
	assert_true(n > 100);
	assert_true(kernel.n_asked > 50);
}

/* What no relocation touches is as it was in the object. */
static void test_other_bytes(void **state)
{
	_cleanup_(link_image_freep) struct link_image *image = NULL;
	_cleanup_(object_free) struct object object;
	_cleanup_(freep) uint8_t *touched = NULL;
	struct fake_kernel kernel = { 0 };

	(void)state;
	object_read(&object);
	assert_int_equal(link_guard(&image, &kernel, NULL), 0);
	touched = calloc(1, image->size + 8);
	for (size_t i = 0; i < object.header->e_shnum; i++) {
		const Elf64_Shdr *section = &object.sections[i];
		const Elf64_Rela *rela = (const Elf64_Rela *)(object.bytes + section->sh_offset);
		uint64_t place = object.place[section->sh_info];

		if (section->sh_type != SHT_RELA || !place)
			continue;
		for (size_t r = 0; r < section->sh_size / sizeof(*rela); r++)
			memset(touched + (place - ADDRESS) + rela[r].r_offset, 1,
			       ELF64_R_TYPE(rela[r].r_info) == R_X86_64_64 ? 8 : 4);
	}
	for (size_t i = 0; i < object.header->e_shnum; i++) {
		const Elf64_Shdr *section = &object.sections[i];

		for (size_t b = 0; object.place[i] && b < section->sh_size; b++) {
			size_t at = object.place[i] - ADDRESS + b;

			assert_true(at < image->size);
			if (!touched[at])
				assert_int_equal(image->bytes[at],
						 object.bytes[section->sh_offset + b]);
		}
	}
}

/* The functions that hooks call are found by name, on the endbr64 that they begin with. */
static void test_functions(void **state)
{
	static const char *const names[] = { "guard_file_open", "guard_sb_pivotroot",
					     "guard_sb_delete", "guard_errand" };
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	_cleanup_(link_image_freep) struct link_image *image = NULL;
	struct fake_kernel kernel = { 0 };

	(void)state;
	assert_int_equal(link_guard(&image, &kernel, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t address = link_symbol(image, names[i]);

		assert_true(address >= ADDRESS && address + 4 < ADDRESS + image->size);
		assert_memory_equal(image->bytes + (address - ADDRESS), endbr64, 4);
	}
	assert_int_equal(link_symbol(image, "guard_nothing"), 0);
	assert_int_equal(link_symbol(image, ""), 0);
}

static void test_missing(void **state)
{
	struct fake_kernel kernel = { .lacks = { "d_path", "field.inode.i_ino", "path_put" } };
	struct link_image *image = NULL;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(link_guard(&image, &kernel, &err), -ENOENT);
	assert_null(image);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(strstr(err.message, kernel.lacks[i]));
	assert_null(strstr(err.message, "fput"));
}

/* A kernel that has nothing: as many names as fit, and no more. */
static int resolve_nothing(void *data, const char *name, uint64_t *ret_value)
{
	(void)data;
	(void)name;
	(void)ret_value;
	return -ENOENT;
}

static void test_all_missing(void **state)
{
	struct link_image *image = NULL;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(link_object(&image, guard_object, guard_object_size, ADDRESS,
				     resolve_nothing, NULL, &err),
			 -ENOENT);
	assert_null(image);
	assert_true(strnlen(err.message, sizeof(err.message)) < sizeof(err.message));
}

/* In front of and in the field of a jump that has become a return. */
#define RETURN "\xc3\xcc\xcc\xcc\xcc"
#define RETURN_VALUE 1

static size_t n_plain_returns(const struct link_image *image)
{
	size_t n = 0;

	for (size_t i = 0; i + 5 <= image->size; i++)
		n += memcmp(image->bytes + i, RETURN, 5) == 0;
	return n;
}

/*
 * The value that each relocation of symbol @name stands for, or 0 when they differ; RETURN_VALUE where returns stand in their place,
 * or it is 0.
 */
static uint64_t value_in(const struct object *object, const struct link_image *image,
			 const char *name)
{
	uint64_t found = 0;

	for (size_t i = 0; i < object->header->e_shnum; i++) {
		const Elf64_Shdr *section = &object->sections[i];
		const Elf64_Rela *rela = (const Elf64_Rela *)(object->bytes + section->sh_offset);
		uint64_t place = object->place[section->sh_info];

		if (section->sh_type != SHT_RELA || !place)
			continue;
		for (size_t r = 0; r < section->sh_size / sizeof(*rela); r++) {
			const Elf64_Sym *symbol = &object->symbols[ELF64_R_SYM(rela[r].r_info)];
			uint64_t at = place + rela[r].r_offset;
			int32_t word;
			uint64_t value;

			if (strcmp(symbol_name(object, symbol), name) != 0)
				continue;
			memcpy(&word, image->bytes + (at - ADDRESS), sizeof(word));
			value = (uint64_t)(int64_t)word - (uint64_t)rela[r].r_addend;
			if (ELF64_R_TYPE(rela[r].r_info) != R_X86_64_32S)
				value += at;
			if (memcmp(image->bytes + (at - ADDRESS) - 1, RETURN, 5) == 0)
				value = RETURN_VALUE;
			value |= !value; /* 1: it is 0 */
			if (found && value != found)
				return 0;
			found = value;
		}
	}
	return found;
}

static void test_weak(void **state)
{
	struct fake_kernel lacks = { .lacks = { "__rcu_read_lock", "__rcu_read_unlock",
						"__x86_return_thunk" } };
	struct fake_kernel has = { 0 };
	_cleanup_(link_image_freep) struct link_image *with = NULL, *without = NULL;
	_cleanup_(object_free) struct object object;

	(void)state;
	object_read(&object);
	assert_int_equal(link_guard(&with, &has, NULL), 0);
	assert_int_equal(link_guard(&without, &lacks, NULL), 0);
	assert_int_equal(value_in(&object, with, "__rcu_read_lock"), value_of("__rcu_read_lock"));
	assert_int_equal(value_in(&object, without, "__rcu_read_lock"), 1);
	assert_int_equal(value_in(&object, with, "__x86_return_thunk"), value_of("__x86_return_"
										 "thunk"));
	assert_true(n_plain_returns(without) > n_plain_returns(with) + 20);
	assert_int_equal(value_in(&object, without, "__x86_return_thunk"), RETURN_VALUE);
}

static void test_out_of_range(void **state)
{
	static const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "field.inode.i_ino", 1ULL << 31 }, { "field.inode.i_ino", 1ULL << 40 },
		{ "vault", 0xffff888000000000ULL },  { "mailbox", 0x7fffffff00000000ULL },
		{ "fput", 0xffff888000000000ULL },   { "fput", 0xfffffffe00000000ULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake_kernel kernel = { .special = rows[i].name, .value = rows[i].value };
		struct link_image *image = NULL;
		struct error err = { 0 };

		assert_int_equal(link_guard(&image, &kernel, &err), -ERANGE);
		assert_int_equal(err.code, -ERANGE);
		assert_null(image);
	}
}

/* The same bytes for the same kernel and place: that is how a daemon knows its code again. */
static void test_repeatable(void **state)
{
	_cleanup_(link_image_freep) struct link_image *one = NULL, *two = NULL;
	struct fake_kernel kernel = { 0 };

	(void)state;
	assert_int_equal(link_guard(&one, &kernel, NULL), 0);
	assert_int_equal(link_guard(&two, &kernel, NULL), 0);
	assert_int_equal(one->size, two->size);
	assert_memory_equal(one->bytes, two->bytes, one->size);
}

/* Objects that were cut or damaged are refused or linked, never read outside. */
static void test_broken_objects(void **state)
{
	_cleanup_(freep) uint8_t *bytes = malloc(guard_object_size);
	struct fake_kernel kernel = { 0 };
	uint64_t random = 7;

	(void)state;
	for (size_t size = 0; size < guard_object_size; size += size < 70 ? 1 : 997) {
		_cleanup_(link_image_freep) struct link_image *image = NULL;
		_cleanup_(freep) uint8_t *cut = malloc(size + !size);

		memcpy(cut, guard_object, size);
		assert_true(link_object(&image, cut, size, ADDRESS, resolve, &kernel, NULL) < 0);
	}
	for (unsigned int round = 0; round < 1500; round++) {
		_cleanup_(link_image_freep) struct link_image *image = NULL;
		const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
		size_t at;

		memcpy(bytes, guard_object, guard_object_size);
		for (unsigned int i = 0; i < 3; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			at = random >> 20;
			/* section headers are where it hurts */
			at = round & 1 ? header->e_shoff + at % (header->e_shnum * 64UL)
				       : at % guard_object_size;
			if (at < guard_object_size && at >= 64)
				bytes[at] = (uint8_t)(random >> 56) & (round & 2 ? 0 : 0xff);
		}
		link_object(&image, bytes, guard_object_size, ADDRESS, resolve, &kernel, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relocations),    cmocka_unit_test(test_other_bytes),
		cmocka_unit_test(test_functions),      cmocka_unit_test(test_missing),
		cmocka_unit_test(test_all_missing),    cmocka_unit_test(test_weak),
		cmocka_unit_test(test_out_of_range),   cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_broken_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
