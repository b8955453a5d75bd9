/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EVENTS_UTF8_H
#define EVENTS_UTF8_H

#include <stdbool.h>
#include <stdint.h>

/* In place of a character, for a byte that is part of none. */
#define UTF8_INVALID UINT32_MAX
#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Takes one character from the start of @s, a NUL-terminated string: returns its length, 1 to 4 bytes.
 * Where no valid character starts (RFC 3629: shortest form, no surrogates, at most U+10FFFF), it
 * takes one byte as UTF8_INVALID. Never reads behind the NUL.
 */
unsigned int utf8_next(const char *s, uint32_t *ret_character);

/*
 * As isgraph(3): does the character show, as itself and where it stands? Not so are controls, blanks,
 * and what is invisible or moves its neighbours (bidirectional controls, joiners, tags).
 */
bool utf8_is_graphic(uint32_t character);

#endif
