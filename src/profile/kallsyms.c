// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kallsyms, from raw memory.
 *
 * Names are strings of tokens: a length (ULEB128 of at most two bytes since Linux 73bbb94466fd
 * ("kallsyms: support "big" kernel symbols") (in v6.1)), then one byte for each token. The first
 * letter of a decoded name is its type. A marker, every 256 names, says where it starts. Tables as
 * they lie in .rodata, each aligned to 8 bytes:
 *
 *	up to v6.3, leading		since v6.4, trailing
 *	offsets, s32 each		n_symbols
 *	relative_base			names
 *	n_symbols, u32			markers
 *	names				token_table
 *	markers, u32 each		token_index
 *	[seqs_of_names, 3 bytes each]	offsets
 *	token_table, 256 strings	relative_base
 *	token_index, u16 each		seqs_of_names
 *
 * seqs_of_names came with 60443c88f3a8 ("kallsyms: Improve the performance of
 * kallsyms_lookup_name()") and 19bd8981dc2e ("kallsyms: Reduce the memory occupied by
 * kallsyms_seqs_of_names[]") (in v6.2, and v6.1 stable); the order changed with 404bad70fcf7
 * ("scripts/kallsyms: change the output order") (in v6.4).
 *
 * The way in: the digits are tokens of their own, side by side, in every kernel's token_table. The
 * index behind it must agree with it to the byte; the names in front of it must agree with their
 * number, their markers and their end. How offsets become addresses is not written anywhere: each
 * way is tried until linux_banner turns out to be where a banner is.
 *
 * Names are judged and decoded in private copies, and each offset is read once: the guest may write
 * meanwhile.
 */
#include "profile/kallsyms.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define N_TOKENS 256
#define TOKENS_REACH 8192 /* to both sides of the digits; a real table has 1 KiB */
#define MAX_SYMBOLS (1U << 20)
#define MAX_NAMES (16U << 20) /* encoded bytes */
#define MAX_STRINGS (64U << 20) /* decoded bytes */
#define MAX_NAME 512 /* KSYM_NAME_LEN, with the type and without the NUL */
#define MAX_DIGITS 256 /* places in the image that may look like the digits of a token table */
#define MAX_TABLES 4 /* ... and like a whole one */
#define MAX_TRIES 16 /* places in front of one that may look like names */
#define NONE UINT32_MAX

/* kallsyms_token_table and kallsyms_token_index. */
struct tokens {
	uint8_t copy[2 * TOKENS_REACH];
	const uint8_t *text[N_TOKENS];
	uint16_t length[N_TOKENS];
	uint64_t start, end; /* of both together, as offsets in the image */
};

/* kallsyms_num_syms, kallsyms_names and kallsyms_markers. */
struct names {
	uint8_t *copy;
	uint64_t start; /* of the names, as an offset in the image */
	uint64_t size; /* of the names with their padding */
	uint64_t strings_size; /* decoded, without types, with NULs */
	uint32_t n;
};

struct kallsyms {
	char *strings;
	uint32_t *string; /* by symbol: offset in strings */
	uint64_t *address; /* by symbol */
	uint32_t *bucket; /* by hash: first symbol */
	uint32_t *next; /* by symbol: next of the same hash, in the order of the table */
	uint32_t n, mask;
};

struct kallsyms *kallsyms_free(struct kallsyms *kallsyms)
{
	if (!kallsyms)
		return NULL;
	free(kallsyms->strings);
	free(kallsyms->string);
	free(kallsyms->address);
	free(kallsyms->bucket);
	free(kallsyms->next);
	free(kallsyms);
	return NULL;
}

DEFINE_CLEANUP(struct kallsyms *, kallsyms_free)

static void names_deinit(struct names *names)
{
	free(names->copy);
}

static uint64_t align8(uint64_t n)
{
	return (n + 7) & ~7ULL;
}

static uint32_t load_u32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

/* One token of the copy: it must be where the index says, and end before @end. */
static bool token_take(struct tokens *tokens, unsigned int token, size_t at, size_t end)
{
	const uint8_t *text = tokens->copy + at;
	const uint8_t *nul = at < end ? memchr(text, '\0', end - at) : NULL;

	if (!nul || nul - text > MAX_NAME)
		return false;
	tokens->text[token] = text;
	tokens->length[token] = nul - text;
	return true;
}

/* Reads the token table that has its "0" at offset @digits of the image. */
static bool tokens_read(struct tokens *ret, const struct image *image, uint64_t digits)
{
	size_t before = digits < TOKENS_REACH ? digits : TOKENS_REACH;
	size_t after = image->size - digits < TOKENS_REACH ? image->size - digits : TOKENS_REACH;
	uint16_t index[N_TOKENS];
	size_t at = before;

	memcpy(ret->copy, image->bytes + digits - before, before + after);
	for (unsigned int token = '0'; token < N_TOKENS; token++) {
		if (!token_take(ret, token, at, before + after))
			return false;
		at += ret->length[token] + 1;
	}
	ret->end = align8(digits - before + at) + sizeof(index);
	at = ret->end - sizeof(index) - (digits - before);
	if (at + sizeof(index) > before + after)
		return false;
	memcpy(index, ret->copy + at, sizeof(index));

	if (index[0] != 0 || index['0'] > before || (digits - index['0']) % 8 != 0)
		return false;
	ret->start = digits - index['0'];
	for (unsigned int token = 0; token < '0'; token++)
		if (!token_take(ret, token, before - index['0'] + index[token], before))
			return false;
	for (unsigned int token = 1; token < N_TOKENS; token++)
		if (index[token] != index[token - 1] + ret->length[token - 1] + 1)
			return false;
	return true;
}

/* Takes the length of the name at *@at, and leaves *@at behind it. 0 is no length. */
static uint32_t take_length(const struct names *names, uint64_t *at)
{
	uint32_t length = 0;

	if (*at < names->size)
		length = names->copy[(*at)++];
	if (length & 0x80)
		length = *at < names->size ? (length & 0x7f) | names->copy[(*at)++] << 7 : 0;
	return length <= names->size - *at ? length : 0;
}

/* Walks all the names: do they fit their markers and their end? Sums up what they decode to. */
static bool names_check(struct names *names, const struct tokens *tokens)
{
	const uint8_t *markers = names->copy + names->size;
	uint64_t at = 0;

	names->strings_size = 0;
	for (uint32_t i = 0; i < names->n; i++) {
		uint32_t length, decoded = 0;

		if (i % 256 == 0 && load_u32(markers + i / 256 * 4) != at)
			return false;
		length = take_length(names, &at);
		if (length == 0)
			return false;
		for (uint32_t j = 0; j < length; j++)
			decoded += tokens->length[names->copy[at++]];
		if (decoded == 0 || decoded > MAX_NAME)
			return false;
		names->strings_size += decoded; /* the NUL in the place of the type */
	}
	return align8(at) == names->size && names->strings_size <= MAX_STRINGS;
}

/*
 * Could @n names start at offset @start of the image, with their markers ending at @end? Cheap: it
 * is asked of every small number in front of a token table.
 */
static bool names_plausible(struct names *ret, const struct image *image, uint64_t end,
			    uint64_t start, uint32_t n)
{
	uint64_t markers_size = align8(4ULL * ((n + 255) / 256));
	uint64_t markers;

	if (end < start || end - start < markers_size + align8(2ULL * n))
		return false;
	markers = end - markers_size;
	*ret = (struct names){ .start = start, .size = markers - start, .n = n };
	return ret->size <= MAX_NAMES && load_u32(image->bytes + markers) == 0;
}

static int names_copy(struct names *names, const struct image *image)
{
	size_t size = names->size + align8(4ULL * ((names->n + 255) / 256));

	names->copy = malloc(size);
	if (!names->copy)
		return -ENOMEM;
	memcpy(names->copy, image->bytes + names->start, size);
	return 0;
}

/* Finds the names in front of a token table. Returns 1, 0 when there are none, or -ENOMEM. */
static int names_find(struct names *ret, const struct image *image, const struct tokens *tokens)
{
	uint64_t reach = MAX_NAMES + 4ULL * MAX_SYMBOLS;
	uint64_t stop = tokens->start > reach ? tokens->start - reach : 0;
	unsigned int tries = 0;

	for (uint64_t at = tokens->start; at >= stop + 8 && tries < MAX_TRIES;) {
		uint64_t word;

		at -= 8;
		word = __atomic_load_n((const uint64_t *)(image->bytes + at), __ATOMIC_RELAXED);
		if (word == 0 || word > MAX_SYMBOLS)
			continue;
		for (uint64_t seqs = 0; seqs <= 3; seqs += 3) {
			uint64_t end = tokens->start - align8(seqs * word);
			_cleanup_(names_deinit) struct names names = {};

			if (align8(seqs * word) > tokens->start ||
			    !names_plausible(&names, image, end, at + 8, word))
				continue;
			if (names_copy(&names, image) < 0)
				return -ENOMEM;
			tries++;
			if (names_check(&names, tokens)) {
				*ret = names;
				names.copy = NULL;
				return 1;
			}
		}
	}
	return 0;
}

/* FNV-1a */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261U;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	return h;
}

static uint32_t find(const struct kallsyms *kallsyms, const char *name)
{
	uint32_t i = kallsyms->bucket[hash(name) & kallsyms->mask];

	while (i != NONE && strcmp(kallsyms->strings + kallsyms->string[i], name) != 0)
		i = kallsyms->next[i];
	return i;
}

static int kallsyms_new(struct kallsyms **ret, const struct names *names)
{
	_cleanup_(kallsyms_freep) struct kallsyms *kallsyms = calloc(1, sizeof(*kallsyms));
	uint32_t n_buckets = 1;

	if (!kallsyms)
		return -ENOMEM;
	while (n_buckets < names->n)
		n_buckets *= 2;
	kallsyms->n = names->n;
	kallsyms->mask = n_buckets - 1;
	kallsyms->strings = malloc(names->strings_size);
	kallsyms->string = malloc(sizeof(*kallsyms->string) * names->n);
	kallsyms->address = malloc(sizeof(*kallsyms->address) * names->n);
	kallsyms->bucket = malloc(sizeof(*kallsyms->bucket) * n_buckets);
	kallsyms->next = malloc(sizeof(*kallsyms->next) * names->n);
	if (!kallsyms->strings || !kallsyms->string || !kallsyms->address || !kallsyms->bucket ||
	    !kallsyms->next)
		return -ENOMEM;
	memset(kallsyms->bucket, 0xff, sizeof(*kallsyms->bucket) * n_buckets);
	*ret = TAKE_PTR(kallsyms);
	return 0;
}

/* Decodes names that names_check() has found good: nothing here can go out of bounds. */
static void decode_names(struct kallsyms *kallsyms, const struct names *names,
			 const struct tokens *tokens)
{
	char *to = kallsyms->strings;
	uint64_t at = 0;

	for (uint32_t i = 0; i < names->n; i++) {
		uint32_t length = take_length(names, &at);
		bool typed = false; /* has the type, the first letter, been left out? */

		kallsyms->string[i] = to - kallsyms->strings;
		for (uint32_t j = 0; j < length; j++) {
			uint8_t token = names->copy[at++];
			bool skip = !typed && tokens->length[token] > 0;

			memcpy(to, tokens->text[token] + skip, tokens->length[token] - skip);
			to += tokens->length[token] - skip;
			typed |= skip;
		}
		*to++ = '\0';
	}
}

/* From the last symbol to the first, so that the first of duplicates is found first. */
static void index_names(struct kallsyms *kallsyms)
{
	for (uint32_t i = kallsyms->n; i-- > 0;) {
		uint32_t *bucket = &kallsyms->bucket[hash(kallsyms->strings + kallsyms->string[i]) &
						     kallsyms->mask];

		kallsyms->next[i] = *bucket;
		*bucket = i;
	}
}

/*
 * What offsets mean. Relative ones came with 2213e9a66bb8 ("kallsyms: add support for relative
 * offsets in kallsyms address table") (in v4.6).
 */
enum encoding {
	/* to their own place: a081b5789255 ("kallsyms: Get rid of kallsyms relative base") (in v7.0) */
	PLACE_RELATIVE,
	/* to the base: 01157ddc58dc ("kallsyms: Remove KALLSYMS_ABSOLUTE_PERCPU") (in v6.15) */
	BASE_RELATIVE,
	/* before that: negative ones to the base, others are absolute (per-CPU offsets) */
	ABSOLUTE_PERCPU,
};

static const struct layout {
	enum encoding encoding;
	bool leading; /* offsets in front of the names, and not behind the token index */
} layouts[] = {
	{ PLACE_RELATIVE, false }, { BASE_RELATIVE, false },  { ABSOLUTE_PERCPU, false },
	{ BASE_RELATIVE, true },   { ABSOLUTE_PERCPU, true },
};

static uint64_t decode_offset(enum encoding encoding, uint32_t offset, uint64_t base)
{
	switch (encoding) {
	case PLACE_RELATIVE:
		return base + (uint64_t)(int32_t)offset;
	case BASE_RELATIVE:
		return base + offset;
	case ABSOLUTE_PERCPU:
		return (int32_t)offset < 0 ? base - 1 - (uint64_t)(int32_t)offset : offset;
	}
	return 0;
}

/* Fills in the addresses, supposing a layout. False where its tables would not be in the image. */
static bool decode_addresses(struct kallsyms *kallsyms, const struct image *image,
			     const struct layout *layout, uint64_t names, uint64_t tokens_end)
{
	uint64_t size = align8(4ULL * kallsyms->n), offsets, base_at, base;

	if (layout->leading) {
		if (names < size + 16)
			return false;
		base_at = names - 16;
		offsets = base_at - size;
	} else {
		if (image->size - tokens_end < size + 8)
			return false;
		offsets = tokens_end;
		base_at = offsets + size;
	}
	memcpy(&base, image->bytes + base_at, sizeof(base));
	for (uint32_t i = 0; i < kallsyms->n; i++) {
		uint64_t at = offsets + 4ULL * i;

		if (layout->encoding == PLACE_RELATIVE)
			base = image->va + at;
		kallsyms->address[i] =
			decode_offset(layout->encoding, load_u32(image->bytes + at), base);
	}
	return true;
}

static bool banner_is_right(const struct kallsyms *kallsyms, const struct image *image)
{
	static const char start[] = "Linux version ";
	uint32_t symbol = find(kallsyms, "linux_banner");
	const uint8_t *banner = locate_bytes(image, kallsyms->address[symbol], sizeof(start) - 1);

	return banner && memcmp(banner, start, sizeof(start) - 1) == 0;
}

static int build(struct kallsyms **ret, const struct image *image, const struct names *names,
		 const struct tokens *tokens, struct error *err)
{
	_cleanup_(kallsyms_freep) struct kallsyms *kallsyms = NULL;

	if (kallsyms_new(&kallsyms, names) < 0)
		return error_set(err, -ENOMEM, "no memory for the guest's %u symbols", names->n);
	decode_names(kallsyms, names, tokens);
	index_names(kallsyms);
	if (find(kallsyms, "linux_banner") == NONE)
		return error_set(err, -ENOTSUP,
				 "the guest kernel's symbol table has functions only; it needs a "
				 "kernel built with CONFIG_KALLSYMS_ALL=y; as it is, nothing in "
				 "this guest can "
				 "be refused or told");
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (!decode_addresses(kallsyms, image, &layouts[i], names->start, tokens->end) ||
		    !banner_is_right(kallsyms, image))
			continue;
		*ret = TAKE_PTR(kallsyms);
		return 0;
	}
	return error_set(err, -ENOTSUP,
			 "the guest kernel's symbol table (%u names) has addresses in a form that "
			 "this version does not know; please report the kernel",
			 names->n);
}

/* The next place from *@at on, before @end, where a token table may have its digits. */
static bool next_digits(const struct image *image, uint64_t *at, uint64_t end)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const uint8_t *found = memmem(image->bytes + *at, end - *at, digits, sizeof(digits));

	if (!found)
		return false;
	*at = found - image->bytes;
	return true;
}

/* Looks at one part of the image. Returns 1 with the outputs, 0 without a table, or -ENOMEM. */
static int search(const struct image *image, uint64_t at, uint64_t end, struct tokens *ret_tokens,
		  struct names *ret_names)
{
	unsigned int n_digits = 0, n_tables = 0;

	for (; n_digits < MAX_DIGITS && n_tables < MAX_TABLES; n_digits++, at++) {
		int r;

		if (!next_digits(image, &at, end))
			return 0;
		if (!tokens_read(ret_tokens, image, at))
			continue;
		n_tables++;
		r = names_find(ret_names, image, ret_tokens);
		if (r != 0)
			return r;
	}
	return 0;
}

int kallsyms_read(struct kallsyms **ret, const struct image *image, struct error *err)
{
	_cleanup_(freep) struct tokens *tokens = malloc(sizeof(*tokens));
	_cleanup_(names_deinit) struct names names = {};
	int r = -ENOMEM;

	/*
	 * .rodata follows the text, in one piece of memory: the first table after the entry is that of
	 * this kernel, not one that was left in RAM before a reboot.
	 */
	if (tokens)
		r = search(image, image->entry, image->size, tokens, &names);
	if (r == 0)
		r = search(image, 0, image->entry, tokens, &names);
	if (r < 0)
		return error_set(err, r, "no memory for the guest's symbols");
	if (r == 0)
		return error_set(err, -ENOTSUP,
				 "no symbol table in the guest kernel's image; it needs a Linux "
				 "kernel built with CONFIG_KALLSYMS=y and CONFIG_KALLSYMS_ALL=y; "
				 "as it is, "
				 "nothing in this guest can be refused or told");
	return build(ret, image, &names, tokens, err);
}

uint64_t kallsyms_address(const struct kallsyms *kallsyms, const char *name)
{
	uint32_t i = find(kallsyms, name);

	return i == NONE ? 0 : kallsyms->address[i];
}

/*
 * The table is in the order of addresses, as the kernel itself relies on (get_symbol_pos()); where a table is not, what is found is wrong,
 * but a symbol all the same.
 */
const char *kallsyms_at(const struct kallsyms *kallsyms, uint64_t address, uint64_t *ret_start,
			uint64_t *ret_end)
{
	uint32_t low = 0, high = kallsyms->n, next;
	uint64_t start;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (kallsyms->address[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	next = low--;
	start = kallsyms->address[low];
	while (low > 0 && kallsyms->address[low - 1] == start)
		low--;
	if (ret_start)
		*ret_start = start;
	if (ret_end)
		*ret_end = next < kallsyms->n ? kallsyms->address[next] : UINT64_MAX;
	return kallsyms->strings + kallsyms->string[low];
}

size_t kallsyms_n_symbols(const struct kallsyms *kallsyms)
{
	return kallsyms->n;
}
