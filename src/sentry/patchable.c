// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/patchable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_TABLE (64u << 20) /* bytes of one table */
#define MAX_PAGES 65536 /* of ftrace's records */
#define MAX_RECORDS 1000000
#define LSM_PREFIX "security_"

/* include/linux/static_call_types.h, include/linux/jump_label.h: the low bits of addresses that stand for something */
#define SITE_FLAG_TAIL 1ULL
#define KEY_FLAGS 3ULL

struct reader {
	const struct profile *profile;
	const struct space *space;
	const struct hooks *hooks;
	struct sites *sites;
	uint64_t text, text_end;
	uint64_t *owned; /* keys that nobody has business with: sorted */
	size_t n_owned;
};

static void reader_deinit(struct reader *reader)
{
	free(reader->owned);
}

/* What lies between two symbols, as a copy of the caller's. *@ret_start is 0 where the kernel has no such table. */
static int read_table(const struct reader *reader, const char *start, const char *stop,
		      uint8_t **ret, uint64_t *ret_start, size_t *ret_size)
{
	uint64_t from = profile_symbol(reader->profile, start);
	uint64_t to = profile_symbol(reader->profile, stop);
	_cleanup_(freep) uint8_t *bytes = NULL;

	*ret = NULL;
	*ret_start = *ret_size = 0;
	if (!from || to <= from)
		return 0;
	if (to - from > MAX_TABLE)
		return -E2BIG;
	bytes = malloc(to - from);
	if (!bytes)
		return -ENOMEM;
	if (space_read(reader->space, from, bytes, to - from) < 0)
		return -EFAULT;
	*ret_start = from;
	*ret_size = to - from;
	*ret = TAKE_PTR(bytes);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_owned(const struct reader *reader, uint64_t key)
{
	return reader->n_owned &&
	       bsearch(&key, reader->owned, reader->n_owned, sizeof(key), compare);
}

/* Keys of the LSM framework's static calls (Linux 417c5643cd67, in v6.12). */
static int read_owned(struct reader *reader)
{
	uint64_t table = profile_symbol(reader->profile, "static_calls_table");
	uint32_t size = profile_struct_size(reader->profile, "lsm_static_call");
	uint32_t n = size ? profile_struct_size(reader->profile, "lsm_static_calls_table") / size
			  : 0;
	struct profile_field key, active;

	if (!table || !n || profile_field(reader->profile, "lsm_static_call.key", &key) < 0 ||
	    profile_field(reader->profile, "lsm_static_call.active", &active) < 0)
		return 0;
	reader->owned = calloc(2 * (size_t)n, sizeof(*reader->owned));
	if (!reader->owned)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = table + (uint64_t)i * size;

		if (space_read_u64(reader->space, at + key.offset,
				   &reader->owned[reader->n_owned++]) < 0 ||
		    space_read_u64(reader->space, at + active.offset,
				   &reader->owned[reader->n_owned++]) < 0)
			return -EFAULT;
	}
	qsort(reader->owned, reader->n_owned, sizeof(*reader->owned), compare);
	return 0;
}

/* Those outside the text, of code that is gone after boot, are passed over. */
static int add(struct reader *reader, uint64_t address, uint64_t target, enum site_kind kind,
	       uint8_t size)
{
	struct site site = { .address = address, .target = target, .kind = kind, .size = size };

	if (address < reader->text || address > reader->text_end - size)
		return 0;
	if (kind == SITE_TRACE)
		site.guarded = (uint8_t)patchable_hook(reader->profile, reader->hooks, address);
	return sites_add(reader->sites, &site);
}

/* By what stands there. While that changes, the rest of a longer one tells it. */
static uint8_t jump_size(const struct reader *reader, uint64_t address)
{
	uint8_t code[2];

	if (space_read(reader->space, address, code, sizeof(code)) < 0)
		return 5;
	if (code[0] == 0xcc)
		return code[1] == 0x90 ? 2 : 5;
	return code[0] == 0x66 || code[0] == 0xeb ? 2 : 5;
}

static int read_jumps(struct reader *reader)
{
	struct {
		int32_t code, target;
		int64_t key;
	} raw; /* each relative to where it stands (CONFIG_HAVE_ARCH_JUMP_LABEL_RELATIVE) */
	_cleanup_(freep) uint8_t *bytes = NULL;
	uint64_t start;
	size_t size;
	int r = read_table(reader, "__start___jump_table", "__stop___jump_table", &bytes, &start,
			   &size);

	if (r < 0 || profile_struct_size(reader->profile, "jump_entry") != sizeof(raw))
		return r;
	for (size_t i = 0; i + sizeof(raw) <= size && r == 0; i += sizeof(raw)) {
		uint64_t code;

		memcpy(&raw, bytes + i, sizeof(raw));
		if (is_owned(reader, start + i + 8 + ((uint64_t)raw.key & ~KEY_FLAGS)))
			continue;
		code = start + i + (uint64_t)(int64_t)raw.code;
		r = add(reader, code, start + i + 4 + (uint64_t)(int64_t)raw.target, SITE_JUMP,
			jump_size(reader, code));
	}
	return r;
}

static uint8_t tail_size(const struct reader *reader, uint64_t address)
{
	uint8_t code[2] = { 0 };

	/* While it changes, its second byte tells a conditional jump, which a distance's lowest seldom is. */
	return space_read(reader->space, address, code, sizeof(code)) == 0 && code[0] == 0x0f &&
			       (code[1] & 0xf0) == 0x80
		       ? 6
		       : 5;
}

static int read_calls(struct reader *reader)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	int32_t raw[2]; /* addr and key, each relative to where it stands */
	uint64_t start;
	size_t size;
	int r = read_table(reader, "__start_static_call_sites", "__stop_static_call_sites", &bytes,
			   &start, &size);

	for (size_t i = 0; i + sizeof(raw) <= size && r == 0; i += sizeof(raw)) {
		uint64_t code, key;

		memcpy(raw, bytes + i, sizeof(raw));
		code = start + i + (uint64_t)(int64_t)raw[0];
		key = start + i + 4 + (uint64_t)(int64_t)raw[1];
		if (is_owned(reader, key & ~KEY_FLAGS))
			continue;
		if (key & SITE_FLAG_TAIL)
			r = add(reader, code, 0, SITE_TAIL, tail_size(reader, code));
		else
			r = add(reader, code, 0, SITE_CALL, 5);
	}
	return r;
}

/* Each is five bytes and an invalid instruction that stands nowhere else (arch/x86/include/asm/static_call.h). */
static int read_trampolines(struct reader *reader)
{
	static const uint8_t mark[] = { 0x0f, 0xb9, 0xcc };
	_cleanup_(freep) uint8_t *bytes = NULL;
	uint64_t start;
	size_t size;
	int r = read_table(reader, "__static_call_text_start", "__static_call_text_end", &bytes,
			   &start, &size);

	for (size_t i = 0; i + 8 <= size && r == 0; i += 4) {
		const char *name;

		if (memcmp(bytes + i + 5, mark, sizeof(mark)) != 0)
			continue;
		name = profile_symbol_at(reader->profile, start + i, NULL, NULL);
		if (name && !strncmp(name, "__SCT__lsm_static_call_", 23))
			continue;
		r = add(reader, start + i, 0, SITE_TAIL, 5);
	}
	return r;
}

static int read_records(struct reader *reader, uint64_t records, uint64_t n, uint32_t size,
			uint32_t offset)
{
	_cleanup_(freep) uint8_t *bytes = malloc(n * size + 1);
	int r = 0;

	if (!bytes)
		return -ENOMEM;
	if (space_read(reader->space, records, bytes, n * size) < 0)
		return -EFAULT;
	for (uint64_t i = 0; i < n && r == 0; i++) {
		uint64_t ip;

		memcpy(&ip, bytes + i * size + offset, sizeof(ip));
		r = add(reader, ip, 0, SITE_TRACE, 5);
	}
	return r;
}

/* ftrace's own list: the linker's (__start_mcount_loc) is gone after boot. Modules' records are on it too. */
static int read_traces(struct reader *reader)
{
	uint64_t head = profile_symbol(reader->profile, "ftrace_pages_start"), page;
	uint32_t size = profile_struct_size(reader->profile, "dyn_ftrace");
	struct profile_field next, records, index, ip;
	uint64_t total = 0;
	int r = 0;

	if (!head || !size || profile_field(reader->profile, "ftrace_page.next", &next) < 0 ||
	    profile_field(reader->profile, "ftrace_page.records", &records) < 0 ||
	    profile_field(reader->profile, "ftrace_page.index", &index) < 0 ||
	    profile_field(reader->profile, "dyn_ftrace.ip", &ip) < 0 || ip.offset > size - 8)
		return 0;
	if (space_read_u64(reader->space, head, &page) < 0)
		return -EFAULT;
	for (unsigned int i = 0; page && r == 0; i++) {
		uint64_t at;
		uint32_t n;

		if (space_read_u64(reader->space, page + records.offset, &at) < 0 ||
		    space_read_u32(reader->space, page + index.offset, &n) < 0 ||
		    space_read_u64(reader->space, page + next.offset, &page) < 0)
			return -EFAULT;
		total += n;
		if (i == MAX_PAGES || total > MAX_RECORDS)
			return -E2BIG;
		r = read_records(reader, at, n, size, ip.offset);
	}
	return r;
}

/* In ftrace's own code: what is to be called for each function that is traced. */
static int read_tracers(struct reader *reader)
{
	static const char *const names[] = { "ftrace_call", "ftrace_regs_call" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		uint64_t address = profile_symbol(reader->profile, names[i]);

		r = address ? add(reader, address, 0, SITE_CALL, 5) : 0;
	}
	return r;
}

/* Where they have been let go after boot, what lies there names places at random: at each, only a lock prefix may come or go. */
static int read_locks(struct reader *reader)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	uint64_t start;
	size_t size;
	int r = read_table(reader, "__smp_locks", "__smp_locks_end", &bytes, &start, &size);

	for (size_t i = 0; i + 4 <= size && r == 0; i += 4) {
		uint64_t address;
		int32_t distance;
		uint8_t code;

		memcpy(&distance, bytes + i, sizeof(distance));
		address = start + i + (uint64_t)(int64_t)distance;
		if (space_read(reader->space, address, &code, 1) == 0 && code == 0x3e)
			r = add(reader, address, 0, SITE_LOCK, 1);
	}
	return r == -EFAULT ? 0 : r;
}

unsigned int patchable_hook(const struct profile *profile, const struct hooks *hooks,
			    uint64_t address)
{
	const char *name = profile_symbol_at(profile, address, NULL, NULL);

	if (!name || strncmp(name, LSM_PREFIX, sizeof(LSM_PREFIX) - 1) != 0)
		return 0;
	for (unsigned int i = 0; i < hooks->n; i++) {
		if (!strcmp(name + sizeof(LSM_PREFIX) - 1, hooks->hook[i].name))
			return i + 1;
	}
	return 0;
}

int patchable_read(struct sites *ret, const struct profile *profile, const struct hooks *hooks)
{
	static int (*const tables[])(struct reader * reader) = {
		read_owned,  read_jumps,   read_calls, read_trampolines,
		read_traces, read_tracers, read_locks,
	};
	_cleanup_(reader_deinit) struct reader reader = {
		.profile = profile,
		.space = profile_space(profile),
		.hooks = hooks,
		.sites = ret,
		.text = profile_symbol(profile, "_stext"),
		.text_end = profile_symbol(profile, "_etext"),
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tables) && r == 0; i++)
		r = tables[i](&reader);
	if (r < 0)
		sites_clear(ret);
	else
		sites_sort(ret);
	return r;
}
