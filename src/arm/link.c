// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/link.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_SECTIONS 64

struct linker {
	Elf *elf;
	struct link_image *image;
	uint64_t place[MAX_SECTIONS]; /* guest address of each allocated section, 0 for others */
	Elf_Data *symbols;
	size_t n_symbols, strings; /* section of their names */
	uint64_t *values; /* of each symbol */
	size_t plain_return; /* the object's own return thunk, if it is used; else 0 */
	char missing[512];
};

static void elf_endp(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

struct link_image *link_image_free(struct link_image *image)
{
	if (image) {
		free(image->bytes);
		free(image->symbols);
		free(image);
	}
	return NULL;
}

DEFINE_CLEANUP(struct link_image *, link_image_free)

uint64_t link_symbol(const struct link_image *image, const char *name)
{
	for (size_t i = 0; i < image->n_symbols; i++) {
		if (!strcmp(image->symbols[i].name, name))
			return image->symbols[i].address;
	}
	return 0;
}

static int broken(struct error *err, const char *what)
{
	return error_set(err, -ENOEXEC, "guard object: %s; rebuild outguard", what);
}

static bool is_alignment(uint64_t n)
{
	return n && n <= 4096 && !(n & (n - 1));
}

/* Gives every allocated section its place, one behind the other, and copies it. */
static int place_sections(struct linker *linker, struct error *err)
{
	struct link_image *image = linker->image;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(linker->elf, section))) {
		size_t index = elf_ndxscn(section), at;
		GElf_Shdr header;
		Elf_Data *data;
		uint8_t *bytes;

		if (index >= MAX_SECTIONS || !gelf_getshdr(section, &header))
			return broken(err, "odd sections");
		if (header.sh_type == SHT_SYMTAB) {
			linker->symbols = elf_getdata(section, NULL);
			linker->n_symbols = header.sh_size / sizeof(Elf64_Sym);
			linker->strings = header.sh_link;
		}
		if (!(header.sh_flags & SHF_ALLOC) || !header.sh_size)
			continue;
		if (header.sh_flags & SHF_WRITE)
			return broken(err, "it has variables, but the vault is read-only");
		data = elf_getdata(section, NULL);
		if (!data || !data->d_buf || data->d_size != header.sh_size ||
		    !is_alignment(header.sh_addralign))
			return broken(err, "odd sections");
		at = (image->size + header.sh_addralign - 1) & ~(header.sh_addralign - 1);
		/* eight spare bytes: no relocation of a field at the very end reaches outside */
		bytes = realloc(image->bytes, at + header.sh_size + 8);
		if (!bytes)
			return error_set(err, -ENOMEM, "out of memory");
		image->bytes = bytes;
		memset(bytes + image->size, 0xcc, at - image->size);
		memcpy(bytes + at, data->d_buf, header.sh_size);
		image->size = at + header.sh_size;
		linker->place[index] = image->address + at;
	}
	return linker->symbols ? 0 : broken(err, "no symbols");
}

static int add_function(struct link_image *image, const char *name, uint64_t address)
{
	struct link_symbol *symbols =
		realloc(image->symbols, (image->n_symbols + 1) * sizeof(*symbols));

	if (!symbols)
		return -ENOMEM;
	image->symbols = symbols;
	snprintf(symbols[image->n_symbols].name, sizeof(symbols->name), "%s", name);
	symbols[image->n_symbols++].address = address;
	return 0;
}

static void note_missing(struct linker *linker, const char *name)
{
	size_t n = strlen(linker->missing);

	snprintf(linker->missing + n, sizeof(linker->missing) - n, "%s%s", n ? ", " : "", name);
}

/* The value of symbol @i: its own section's place, or what the kernel has. */
static int symbol_value(struct linker *linker, size_t i, link_resolve_t resolve, void *data)
{
	bool weak, defined;
	const char *name;
	GElf_Sym symbol;

	if (!gelf_getsym(linker->symbols, (int)i, &symbol))
		return -ENOEXEC;
	name = elf_strptr(linker->elf, linker->strings, symbol.st_name);
	weak = GELF_ST_BIND(symbol.st_info) == STB_WEAK;
	defined = symbol.st_shndx != SHN_UNDEF && symbol.st_shndx < MAX_SECTIONS;
	if (defined)
		linker->values[i] = linker->place[symbol.st_shndx] + symbol.st_value;
	if (!name || !*name || (defined && !weak)) {
		if (defined && GELF_ST_BIND(symbol.st_info) == STB_GLOBAL && name)
			return add_function(linker->image, name, linker->values[i]);
		return 0;
	}
	if (symbol.st_shndx >= SHN_LORESERVE)
		return 0; /* the name of the source file */
	if (resolve(data, name, &linker->values[i]) == 0)
		return 0;
	if (!weak)
		note_missing(linker, name);
	else if (defined && !strcmp(name, "__x86_return_thunk"))
		linker->plain_return = i;
	return 0;
}

static int resolve_symbols(struct linker *linker, link_resolve_t resolve, void *data,
			   struct error *err)
{
	linker->values = calloc(linker->n_symbols, sizeof(*linker->values));
	if (!linker->values)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 1; i < linker->n_symbols; i++) {
		int r = symbol_value(linker, i, resolve, data);

		if (r < 0)
			return error_set(err, r, "guard object: cannot read its symbols");
	}
	if (linker->missing[0])
		return error_set(err, -ENOENT,
				 "this kernel lacks what the guard needs: %s; see `outguard "
				 "profile`",
				 linker->missing);
	return 0;
}

/* System V ABI for x86-64, 4.4.1. @place: where the field is in the guest. */
static int apply(uint8_t *field, uint32_t type, uint64_t value, uint64_t place)
{
	switch (type) {
	case R_X86_64_64:
		memcpy(field, &value, 8);
		return 0;
	case R_X86_64_32S:
		if ((int64_t)value != (int32_t)value)
			return -ERANGE;
		memcpy(field, &value, 4);
		return 0;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		value -= place;
		if ((int64_t)value != (int32_t)value)
			return -ERANGE;
		memcpy(field, &value, 4);
		return 0;
	}
	return -ENOEXEC;
}

/*
 * A jump to the return thunk becomes what is there, a return, where the kernel's own became one, too (apply_returns() in
 * arch/x86/kernel/alternative.c).
 */
static bool return_in_place(uint8_t *field, uint32_t type)
{
	static const uint8_t plain[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };

	if (type != R_X86_64_PLT32 || field[-1] != 0xe9)
		return false;
	memcpy(field - 1, plain, sizeof(plain));
	return true;
}

static int relocate_section(struct linker *linker, Elf_Scn *section, const GElf_Shdr *header,
			    struct error *err)
{
	uint64_t place = header->sh_info < MAX_SECTIONS ? linker->place[header->sh_info] : 0;
	Elf_Data *data = elf_getdata(section, NULL);
	GElf_Rela rela;

	if (!place)
		return 0; /* of a section that is not loaded */
	for (int i = 0; gelf_getrela(data, i, &rela); i++) {
		size_t symbol = GELF_R_SYM(rela.r_info), at;
		int r;

		at = place - linker->image->address + rela.r_offset;
		if (symbol >= linker->n_symbols || at >= linker->image->size)
			return broken(err, "a relocation points outside");
		if (at && symbol && symbol == linker->plain_return &&
		    return_in_place(linker->image->bytes + at, GELF_R_TYPE(rela.r_info)))
			continue;
		r = apply(linker->image->bytes + at, GELF_R_TYPE(rela.r_info),
			  linker->values[symbol] + (uint64_t)rela.r_addend, place + rela.r_offset);
		if (r < 0)
			return error_set(err, r,
					 "guard object: relocation %d of type %u does not fit", i,
					 (unsigned int)GELF_R_TYPE(rela.r_info));
	}
	return 0;
}

static int relocate(struct linker *linker, struct error *err)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(linker->elf, section))) {
		GElf_Shdr header;
		int r;

		gelf_getshdr(section, &header);
		if (header.sh_type != SHT_RELA)
			continue;
		r = relocate_section(linker, section, &header, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int link_object(struct link_image **ret, const void *object, size_t size, uint64_t address,
		link_resolve_t resolve, void *data, struct error *err)
{
	_cleanup_(link_image_freep) struct link_image *image = calloc(1, sizeof(*image));
	_cleanup_(elf_endp) Elf *elf = NULL;
	_cleanup_(freep) uint64_t *values = NULL;
	struct linker linker = { .image = image };
	int r;

	if (!image)
		return error_set(err, -ENOMEM, "out of memory");
	elf_version(EV_CURRENT);
	elf = elf_memory((char *)object, size);
	if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64)
		return broken(err, "not a 64-bit ELF file");
	linker.elf = elf;
	image->address = address;
	r = place_sections(&linker, err);
	if (r < 0)
		return r;
	r = resolve_symbols(&linker, resolve, data, err);
	values = linker.values;
	if (r < 0)
		return r;
	r = relocate(&linker, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(image);
	return 0;
}
