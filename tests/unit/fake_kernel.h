/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_KERNEL_H
#define TESTS_FAKE_KERNEL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * kallsyms tables as scripts/kallsyms.c writes them, in each layout there has been, with tokens of
 * one letter and a few longer ones.
 */
enum fake_encoding {
	FAKE_ABSOLUTE_PERCPU,
	FAKE_BASE_RELATIVE,
	FAKE_PLACE_RELATIVE,
};

struct fake_layout {
	const char *name;
	enum fake_encoding encoding;
	bool leading; /* offsets in front of the names */
	bool seqs; /* kallsyms_seqs_of_names there is */
};

struct fake_symbol {
	const char *name; /* with its type in front: "Tsecurity_file_open" */
	uint64_t address;
};

/* Where things are, as offsets from the image's start. */
struct fake_tables {
	uint64_t offsets, base, n, names, markers, seqs, tokens, index, end;
};

static const char *const fake_words[] = { "linux_", "_of", "D", "__start_", "symbol_" };

static inline uint64_t fake_align(uint64_t at)
{
	return (at + 7) & ~7ULL;
}

static inline const char *fake_token(unsigned int i, char letter[2])
{
	if (i >= 1 && i <= sizeof(fake_words) / sizeof(*fake_words))
		return fake_words[i - 1];
	letter[0] = i >= '.' && i <= 'z' ? (char)i : '\0';
	letter[1] = '\0';
	return letter;
}

static inline uint64_t fake_put_tokens(uint8_t *image, uint64_t at, struct fake_tables *tables)
{
	uint16_t index[256];
	char letter[2];

	tables->tokens = at;
	for (unsigned int i = 0; i < 256; i++) {
		const char *token = fake_token(i, letter);

		index[i] = at - tables->tokens;
		memcpy(image + at, token, strlen(token) + 1);
		at += strlen(token) + 1;
	}
	tables->index = fake_align(at);
	memcpy(image + tables->index, index, sizeof(index));
	return tables->index + sizeof(index);
}

/* Appends one name to the compressed stream. */
static inline uint64_t fake_put_name(uint8_t *image, uint64_t at, const char *name)
{
	uint8_t tokens[1024];
	size_t n = 0;

	while (*name) {
		uint8_t token = *name;
		size_t length = 1;

		for (uint8_t i = 0; i < sizeof(fake_words) / sizeof(*fake_words); i++)
			if (strncmp(name, fake_words[i], strlen(fake_words[i])) == 0) {
				token = i + 1;
				length = strlen(fake_words[i]);
				break;
			}
		tokens[n++] = token;
		name += length;
	}
	image[at++] = n > 0x7f ? (n & 0x7f) | 0x80 : n;
	if (n > 0x7f)
		image[at++] = n >> 7;
	memcpy(image + at, tokens, n);
	return at + n;
}

static inline uint64_t fake_put_names(uint8_t *image, uint64_t at,
				      const struct fake_symbol *symbols, uint32_t n,
				      struct fake_tables *tables)
{
	uint32_t markers[4096];

	assert(n <= 256 * 4096);
	tables->n = at;
	memcpy(image + at, &n, sizeof(n));
	at = tables->names = at + 8;
	for (uint32_t i = 0; i < n; i++) {
		if (i % 256 == 0)
			markers[i / 256] = at - tables->names;
		at = fake_put_name(image, at, symbols[i].name);
	}
	at = tables->markers = fake_align(at);
	memcpy(image + at, markers, sizeof(*markers) * ((n + 255) / 256));
	return fake_align(at + sizeof(*markers) * ((n + 255) / 256));
}

static inline uint64_t fake_put_offsets(uint8_t *image, uint64_t at, uint64_t image_va,
					const struct fake_symbol *symbols, uint32_t n,
					enum fake_encoding encoding, struct fake_tables *tables)
{
	uint64_t base = image_va;

	tables->offsets = at;
	for (uint32_t i = 0; i < n; i++, at += 4) {
		uint64_t address = symbols[i].address;
		uint32_t offset = 0;

		switch (encoding) {
		case FAKE_ABSOLUTE_PERCPU:
			offset = address < base ? address : base - address - 1;
			break;
		case FAKE_BASE_RELATIVE:
			offset = address - base;
			break;
		case FAKE_PLACE_RELATIVE:
			offset = address - (image_va + at);
			break;
		}
		memcpy(image + at, &offset, sizeof(offset));
	}
	at = tables->base = fake_align(at);
	if (encoding == FAKE_PLACE_RELATIVE)
		return at;
	memcpy(image + at, &base, sizeof(base));
	return at + sizeof(base);
}

/* kallsyms_seqs_of_names: only its size and its looks matter */
static inline uint64_t fake_put_seqs(uint8_t *image, uint64_t at, uint32_t n,
				     struct fake_tables *tables)
{
	tables->seqs = at;
	for (uint32_t i = 0; i < n; i++, at += 3) {
		image[at] = i >> 16;
		image[at + 1] = i >> 8;
		image[at + 2] = i;
	}
	return fake_align(at);
}

static inline struct fake_tables fake_kallsyms(uint8_t *image, uint64_t at, uint64_t image_va,
					       const struct fake_layout *layout,
					       const struct fake_symbol *symbols, uint32_t n)
{
	struct fake_tables tables = {};

	if (layout->leading)
		at = fake_put_offsets(image, at, image_va, symbols, n, layout->encoding, &tables);
	at = fake_put_names(image, at, symbols, n, &tables);
	if (layout->leading && layout->seqs)
		at = fake_put_seqs(image, at, n, &tables);
	at = fake_put_tokens(image, at, &tables);
	if (!layout->leading)
		at = fake_put_offsets(image, at, image_va, symbols, n, layout->encoding, &tables);
	if (!layout->leading && layout->seqs)
		at = fake_put_seqs(image, at, n, &tables);
	tables.end = at;
	return tables;
}

#endif
