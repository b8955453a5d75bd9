// SPDX-License-Identifier: GPL-2.0-or-later
#include "events/utf8.h"

#include <stddef.h>

#include "util/cleanup.h"

/* By the first byte; 0 where it starts no character. */
static unsigned int length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >> 5 == 0x6)
		return 2;
	if (first >> 4 == 0xe)
		return 3;
	return first >> 3 == 0x1e ? 4 : 0;
}

static bool is_valid(uint32_t character, unsigned int n)
{
	static const uint32_t least[] = { UTF8_INVALID, 0, 0x80, 0x800, 0x10000 };

	return character >= least[n] && character <= 0x10ffff && character >> 11 != 0xd800 >> 11;
}

unsigned int utf8_next(const char *s, uint32_t *ret_character)
{
	const unsigned char *bytes = (const unsigned char *)s;
	unsigned int n = length(bytes[0]);
	uint32_t character = n > 1 ? bytes[0] & (0x7fu >> n) : bytes[0];

	*ret_character = UTF8_INVALID;
	for (unsigned int i = 1; i < n; i++) {
		if (bytes[i] >> 6 != 0x2)
			return 1;
		character = character << 6 | (bytes[i] & 0x3f);
	}
	if (!is_valid(character, n))
		return 1;
	*ret_character = character;
	return n;
}

bool utf8_is_graphic(uint32_t character)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x00, 0x20 },	    { 0x7f, 0xa0 },	  { 0xad, 0xad },
		{ 0x61c, 0x61c },   { 0x1680, 0x1680 },	  { 0x180e, 0x180e },
		{ 0x2000, 0x200f }, { 0x2028, 0x202f },	  { 0x205f, 0x206f },
		{ 0x3000, 0x3000 }, { 0xfeff, 0xfeff },	  { 0xfff9, 0xfffb },
		{ 0xfffe, 0xffff }, { 0xe0000, 0xe0fff }, { 0x110000, UTF8_INVALID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		if (character <= hidden[i].last)
			return character < hidden[i].first;
	return true;
}
