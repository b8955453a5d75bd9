// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct patch patch_word(uint64_t address, uint64_t original, uint64_t installed)
{
	struct patch patch = { .address = address, .size = sizeof(uint64_t) };

	memcpy(patch.bytes[PATCH_ORIGINAL], &original, sizeof(original));
	memcpy(patch.bytes[PATCH_INSTALLED], &installed, sizeof(installed));
	memcpy(patch.bytes[PATCH_LEAVING], &original, sizeof(original));
	return patch;
}

bool patches_are(const struct patch *patches, size_t n, const struct space *space,
		 enum patch_state state)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t found[PATCH_BYTES];

		if (patches[i].size > PATCH_BYTES ||
		    space_read(space, patches[i].address, found, patches[i].size) < 0 ||
		    memcmp(found, patches[i].bytes[state], patches[i].size) != 0)
			return false;
	}
	return n > 0;
}

/* Half a word is written as the word around it. */
static int write_data(const struct patch *patch, const struct space *space, enum patch_state state)
{
	uint64_t value, at = patch->address % sizeof(value);
	uint8_t bytes[sizeof(value)];

	if (at + patch->size > sizeof(value))
		return -EINVAL;
	if (space_read(space, patch->address - at, bytes, sizeof(bytes)) < 0)
		return -EFAULT;
	memcpy(bytes + at, patch->bytes[state], patch->size);
	memcpy(&value, bytes, sizeof(value));
	return space_write_u64(space, patch->address - at, value);
}

/* The pieces of an instruction: two where it crosses a page. Returns how many. */
static int pieces_of(const struct patch *patch, const struct space *space, enum patch_state state,
		     struct machine_code *pieces)
{
	uint32_t done = 0;
	int n = 0;

	while (done < patch->size) {
		struct machine_code *piece = &pieces[n++];
		uint64_t contiguous;
		uint32_t size = patch->size - done;

		if (n > 2 ||
		    space_translate(space, patch->address + done, &piece->gpa, &contiguous) < 0)
			return -EFAULT;
		piece->size = contiguous < size ? (uint32_t)contiguous : size;
		memcpy(piece->bytes, patch->bytes[state] + done, piece->size);
		done += piece->size;
	}
	return n;
}

int patches_write(const struct patch *patches, size_t n, const struct space *space,
		  enum patch_state state, patch_write_code_t write_code, void *machine,
		  struct error *err)
{
	_cleanup_(freep) struct machine_code *pieces = calloc(2 * n + 1, sizeof(*pieces));
	size_t n_pieces = 0;

	if (!pieces)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		/* What was armed first goes last. */
		const struct patch *patch = &patches[state == PATCH_INSTALLED ? i : n - 1 - i];
		int r;

		if (patch->code)
			r = pieces_of(patch, space, state, pieces + n_pieces);
		else
			r = write_data(patch, space, state);
		if (r < 0)
			return error_set(err, r, "cannot write the hooks");
		n_pieces += (size_t)r;
	}
	return n_pieces ? write_code(machine, pieces, n_pieces, err) : 0;
}
