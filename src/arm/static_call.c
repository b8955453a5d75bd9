// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/static_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_SLOTS 64 /* MAX_LSM_COUNT is about 12 */
#define MAX_WAY 1024

/* include/linux/static_call_types.h, include/linux/jump_label.h: what the low bits of addresses stand for there */
#define SITE_TAIL 1ULL
#define SITE_INIT 2ULL
#define SITE_FLAGS 3ULL
#define KEY_SITES 1ULL /* static_call_key.type: sites, not a list of modules */
#define ENTRY_INIT 2ULL
#define ENTRY_FLAGS 3ULL
#define JUMP_LINKED 2ULL /* static_key.type: a list of modules, not entries */
#define JUMP_FLAGS 3ULL

#define CALL 0xe8
#define JMP32 0xe9
#define JMP8 0xeb

static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const uint8_t nop2[] = { 0x66, 0x90 };
static const uint8_t ret5[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
/* Agrees: the kernel's own for a function that returns 0 (static_call.c: xor5rax); and with a return behind it. */
static const uint8_t agree[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };
static const uint8_t agree_and_return[] = { 0x31, 0xc0, 0xc3, 0xcc, 0xcc };

struct slot {
	uint64_t address, owner; /* the slot's, and that of its word for the LSM that has it */
	uint64_t key, trampoline, active;
	uint32_t counter; /* where in @active */
};

struct finder {
	const struct profile *profile;
	const struct space *space;
	const struct patch *replaced;
	size_t n_replaced;
	uint64_t text, text_end;
	uint64_t function;
	struct patch *patches;
	int n;
};

static int field(const struct profile *profile, const char *path, uint32_t size, uint32_t *ret)
{
	struct profile_field found;

	if (profile_field(profile, path, &found) < 0 || found.size != size)
		return -ENOTSUP;
	*ret = found.offset;
	return 0;
}

static int read_field(const struct finder *finder, uint64_t object, const char *path, uint32_t size,
		      uint64_t *ret)
{
	uint32_t offset;
	int r = field(finder->profile, path, size, &offset);

	*ret = 0;
	return r < 0 ? r : space_read(finder->space, object + offset, ret, size);
}

uint64_t static_call_slots(const struct profile *profile, const char *name, uint32_t *ret_n)
{
	uint64_t table = profile_symbol(profile, "static_calls_table");
	uint32_t size = profile_struct_size(profile, "lsm_static_call");
	struct profile_field slots;
	char path[64];

	snprintf(path, sizeof(path), "lsm_static_calls_table.%s", name);
	if (!table || !size || profile_field(profile, path, &slots) < 0)
		return 0;
	*ret_n = slots.size / size;
	return table + slots.offset;
}

/* An older guard of ours has written this word. */
static bool is_replaced(const struct finder *finder, uint64_t word)
{
	for (size_t i = 0; i < finder->n_replaced; i++) {
		if (!finder->replaced[i].code && finder->replaced[i].address == word)
			return true;
	}
	return false;
}

static int read_slot(const struct finder *finder, uint64_t at, struct slot *ret, bool *ret_free)
{
	uint64_t owner;
	uint32_t enabled, offset;
	int r = read_field(finder, at, "lsm_static_call.key", 8, &ret->key);

	if (r == 0)
		r = read_field(finder, at, "lsm_static_call.trampoline", 8, &ret->trampoline);
	if (r == 0)
		r = read_field(finder, at, "lsm_static_call.active", 8, &ret->active);
	if (r == 0)
		r = field(finder->profile, "lsm_static_call.hl", 8, &offset);
	if (r == 0) {
		ret->address = at;
		ret->owner = at + offset;
		r = space_read_u64(finder->space, ret->owner, &owner);
	}
	/* A static_key_false is a static_key. */
	if (r == 0)
		r = field(finder->profile, "static_key.enabled.counter", 4, &ret->counter);
	if (r == 0)
		r = space_read(finder->space, ret->active + ret->counter, &enabled, 4);
	*ret_free = r == 0 && (!owner || is_replaced(finder, ret->owner)) &&
		    (!enabled || is_replaced(finder, ret->active + ret->counter));
	return r;
}

static int find_slot(const struct finder *finder, const char *name, struct slot *ret)
{
	uint32_t n, size = profile_struct_size(finder->profile, "lsm_static_call");
	uint64_t slots = static_call_slots(finder->profile, name, &n);

	if (!slots || n > MAX_SLOTS)
		return -ENOTSUP;
	while (n-- > 0) {
		bool is_free;
		int r = read_slot(finder, slots + (uint64_t)n * size, ret, &is_free);

		if (r < 0 || is_free)
			return r;
	}
	return -ENOSPC;
}

/* What stands at a place, or stood there before an older guard of ours came. */
static int read_code(const struct finder *finder, uint64_t address, uint8_t *ret, uint16_t size)
{
	if (address < finder->text || address > finder->text_end - size ||
	    space_read(finder->space, address, ret, size) < 0)
		return -EFAULT;
	for (size_t i = 0; i < finder->n_replaced; i++) {
		const struct patch *patch = &finder->replaced[i];

		if (patch->address == address && patch->size <= size &&
		    !memcmp(ret, patch->bytes[PATCH_INSTALLED], patch->size))
			memcpy(ret, patch->bytes[PATCH_ORIGINAL], patch->size);
	}
	return 0;
}

static struct patch *add(struct finder *finder, uint64_t address, const uint8_t *original,
			 uint16_t size)
{
	struct patch *patch = &finder->patches[finder->n];

	if (finder->n == STATIC_CALL_MAX_PATCHES)
		return NULL;
	finder->n++;
	*patch = (struct patch){ .address = address, .size = size, .code = true };
	memcpy(patch->bytes[PATCH_ORIGINAL], original, size);
	memcpy(patch->bytes[PATCH_LEAVING], original, size);
	return patch;
}

/* An instruction that ends with the distance to @target. */
static int put_distance(struct patch *patch, uint8_t opcode, uint64_t target)
{
	int64_t distance = (int64_t)(target - patch->address - patch->size);
	int32_t distance32 = (int32_t)distance;
	uint8_t *bytes = patch->bytes[PATCH_INSTALLED];

	bytes[0] = opcode;
	if (patch->size == 2) {
		bytes[1] = (uint8_t)(int8_t)distance;
		return distance == (int8_t)distance ? 0 : -ERANGE;
	}
	memcpy(bytes + 1, &distance32, sizeof(distance32));
	return distance == distance32 ? 0 : -ERANGE;
}

static int add_jump(struct finder *finder, uint64_t address, uint64_t target)
{
	uint8_t found[5];
	struct patch *patch;
	int r = read_code(finder, address, found, sizeof(found));
	bool is_short = !memcmp(found, nop2, sizeof(nop2));

	if (r < 0)
		return r;
	if (!is_short && memcmp(found, nop5, sizeof(nop5)) != 0)
		return -EBUSY;
	patch = add(finder, address, found, is_short ? sizeof(nop2) : sizeof(nop5));
	return patch ? put_distance(patch, is_short ? JMP8 : JMP32, target) : -ENOTSUP;
}

/* The branches of the slot's static key. Their targets go to @targets; returns how many. */
static int add_jumps(struct finder *finder, const struct slot *slot, uint64_t *targets)
{
	uint32_t size = profile_struct_size(finder->profile, "jump_entry");
	uint64_t stop = profile_symbol(finder->profile, "__stop___jump_table"), type, entry;
	int n = 0, r = read_field(finder, slot->active, "static_key.type", 8, &type);

	if (r == 0 && (size != 16 || !stop || type & JUMP_LINKED))
		r = -ENOTSUP;
	if (r < 0)
		return r;
	for (entry = type & ~JUMP_FLAGS; entry && entry < stop; entry += size) {
		struct {
			int32_t code, target;
			int64_t key;
		} raw; /* each relative to where it stands (CONFIG_HAVE_ARCH_JUMP_LABEL_RELATIVE) */

		if (space_read(finder->space, entry, &raw, sizeof(raw)) < 0)
			return -EFAULT;
		if (entry + 8 + ((uint64_t)raw.key & ~ENTRY_FLAGS) != slot->active)
			break;
		if (raw.key & (int64_t)ENTRY_INIT)
			continue;
		if (n == STATIC_CALL_MAX_PATCHES)
			return -ENOTSUP;
		targets[n] = entry + 4 + (uint64_t)(int64_t)raw.target;
		r = add_jump(finder, entry + (uint64_t)(int64_t)raw.code, targets[n++]);
		if (r < 0)
			return r;
	}
	return n ? n : -ENOTSUP;
}

static bool has_jump_labels(const struct profile *profile)
{
	struct profile_field type;

	return profile_field(profile, "static_key.type", &type) == 0;
}

/* Switches the slot's key on, for whoever looks at its counter. */
static int add_counter(struct finder *finder, const struct slot *slot)
{
	static const uint8_t off[4] = { 0 }, on[4] = { 1 };
	struct patch *patch = add(finder, slot->active + slot->counter, off, sizeof(off));

	if (!patch)
		return -ENOTSUP;
	patch->code = false;
	memcpy(patch->bytes[PATCH_INSTALLED], on, sizeof(on));
	return 0;
}

/* The function that calls hook @name, 0 if there is none. */
static uint64_t caller_of(const struct finder *finder, const char *name)
{
	char function[64];

	snprintf(function, sizeof(function), "security_%s", name);
	return profile_symbol(finder->profile, function);
}

/*
 * Without CONFIG_JUMP_LABEL a static key is a counter and no more, and whoever comes by looks at it: that is the branch. Where
 * its other side begins nobody tells; not in front of the function, which goes to @targets.
 */
static int add_counter_for_jumps(struct finder *finder, const struct slot *slot, const char *name,
				 uint64_t *targets)
{
	targets[0] = caller_of(finder, name);
	return targets[0] && add_counter(finder, slot) == 0 ? 1 : -ENOTSUP;
}

static uint64_t target_of(const uint8_t *code, uint64_t address)
{
	int32_t distance;

	memcpy(&distance, code + 1, sizeof(distance));
	return address + 5 + (uint64_t)(int64_t)distance;
}

/* x86_return_thunk is a variable: functions return by the thunk that the CPU's mitigation wants. */
static bool is_return_thunk(const struct finder *finder, uint64_t address)
{
	uint64_t variable = profile_symbol(finder->profile, "x86_return_thunk"), thunk;

	if (address == profile_symbol(finder->profile, "__x86_return_thunk"))
		return true;
	return variable && space_read_u64(finder->space, variable, &thunk) == 0 && address == thunk;
}

/* Where a call that leads nowhere leads: not at all, to a return, or to the slot's trampoline, which returns. */
static bool leads_nowhere(const struct finder *finder, const struct slot *slot, uint64_t address,
			  bool tail, const uint8_t *found)
{
	uint64_t target = target_of(found, address);

	if (!tail)
		return !memcmp(found, nop5, sizeof(nop5)) ||
		       (found[0] == CALL && target == slot->trampoline);
	if (!memcmp(found, ret5, sizeof(ret5)))
		return true;
	return found[0] == JMP32 && (target == slot->trampoline || is_return_thunk(finder, target));
}

/* From the nearest branch target in front of it. */
static int add_way(struct patch *patch, const uint64_t *targets, int n)
{
	uint64_t nearest = MAX_WAY + 1;

	for (int i = 0; i < n; i++) {
		if (patch->address - targets[i] < nearest)
			nearest = patch->address - targets[i];
	}
	patch->way = patch->address - nearest;
	patch->way_end = patch->address + patch->size;
	return nearest <= MAX_WAY ? 0 : -ENOTSUP;
}

static int add_call(struct finder *finder, const struct slot *slot, uint64_t address, bool tail,
		    const uint64_t *targets, int n_targets)
{
	uint8_t found[5];
	struct patch *patch;
	int r = read_code(finder, address, found, sizeof(found));

	if (r < 0)
		return r;
	if (!leads_nowhere(finder, slot, address, tail, found))
		return -EBUSY;
	patch = add(finder, address, found, sizeof(found));
	if (!patch)
		return -ENOTSUP;
	memcpy(patch->bytes[PATCH_LEAVING], tail ? agree_and_return : agree, sizeof(agree));
	r = add_way(patch, targets, n_targets);
	return r < 0 ? r : put_distance(patch, tail ? JMP32 : CALL, finder->function);
}

static int add_calls(struct finder *finder, const struct slot *slot, const uint64_t *targets,
		     int n_targets)
{
	uint32_t size = profile_struct_size(finder->profile, "static_call_site");
	uint64_t stop = profile_symbol(finder->profile, "__stop_static_call_sites"), type, site;
	int n = 0, r = read_field(finder, slot->key, "static_call_key.type", 8, &type);

	if (r == 0 && (size != 8 || !stop || !(type & KEY_SITES)))
		r = -ENOTSUP;
	if (r < 0)
		return r;
	for (site = type & ~KEY_SITES; site && site < stop; site += size) {
		int32_t raw[2]; /* addr and key, each relative to where it stands */
		uint64_t key;

		if (space_read(finder->space, site, raw, sizeof(raw)) < 0)
			return -EFAULT;
		key = site + 4 + (uint64_t)(int64_t)raw[1];
		if ((key & ~SITE_FLAGS) != slot->key)
			break;
		if (key & SITE_INIT)
			continue;
		r = add_call(finder, slot, site + (uint64_t)(int64_t)raw[0], key & SITE_TAIL,
			     targets, n_targets);
		if (r < 0)
			return r;
		n++;
	}
	return n ? n : -ENOTSUP;
}

static struct finder finder_of(const struct profile *profile, uint64_t function,
			       const struct patch *replaced, size_t n_replaced, struct patch *ret)
{
	return (struct finder){
		.profile = profile,
		.space = profile_space(profile),
		.replaced = replaced,
		.n_replaced = n_replaced,
		.text = profile_symbol(profile, "_stext"),
		.text_end = profile_symbol(profile, "_etext"),
		.function = function,
		.patches = ret,
	};
}

int static_call_find(struct patch ret[STATIC_CALL_MAX_PATCHES], const struct profile *profile,
		     const char *name, uint64_t function, const struct patch *replaced,
		     size_t n_replaced)
{
	struct finder finder = finder_of(profile, function, replaced, n_replaced, ret);
	uint64_t targets[STATIC_CALL_MAX_PATCHES];
	struct slot slot;
	int r = find_slot(&finder, name, &slot), n_targets;

	if (r < 0)
		return r;
	n_targets = has_jump_labels(profile) ? add_jumps(&finder, &slot, targets)
					     : add_counter_for_jumps(&finder, &slot, name, targets);
	if (n_targets < 0)
		return n_targets;
	r = add_calls(&finder, &slot, targets, n_targets);
	return r < 0 ? r : finder.n;
}

/* What walks over the hook's slots looks at a counter, and then at the owner: whoever is in there may be between the two. */
static int add_owner(struct finder *finder, const struct slot *slot, const char *name,
		     uint64_t node)
{
	static const uint8_t nobody[8] = { 0 };
	uint64_t caller = caller_of(finder, name), start = 0, end = 0;
	struct patch *patch = add(finder, slot->owner, nobody, sizeof(nobody));

	if (!patch || !caller || !profile_symbol_at(finder->profile, caller, &start, &end) ||
	    start != caller || end <= start || end - start > MAX_WAY)
		return -ENOTSUP;
	patch->code = false;
	memcpy(patch->bytes[PATCH_INSTALLED], &node, sizeof(node));
	memcpy(patch->bytes[PATCH_LEAVING], &node, sizeof(node));
	patch->way = start;
	patch->way_end = end;
	return 0;
}

/* Offsets are the guest's word: what is written by them stays inside the node. */
static int put_into_node(const struct finder *finder, uint8_t *node, const char *path,
			 uint64_t value)
{
	uint32_t offset;
	int r = field(finder->profile, path, sizeof(value), &offset);

	if (r < 0 || offset > STATIC_CALL_NODE_SIZE - sizeof(value))
		return -ENOTSUP;
	memcpy(node + offset, &value, sizeof(value));
	return 0;
}

int static_call_find_walked(struct patch ret[STATIC_CALL_MAX_PATCHES],
			    const struct profile *profile, const char *name,
			    const struct static_call_node *node, uint64_t function,
			    const struct patch *replaced, size_t n_replaced)
{
	struct finder finder = finder_of(profile, function, replaced, n_replaced, ret);
	struct slot slot;
	int r = find_slot(&finder, name, &slot);

	if (r == 0)
		r = add_owner(&finder, &slot, name, node->address);
	if (r == 0)
		r = add_counter(&finder, &slot);
	memset(node->host, 0, STATIC_CALL_NODE_SIZE);
	if (r == 0)
		r = put_into_node(&finder, node->host, "security_hook_list.scalls", slot.address);
	if (r == 0)
		r = put_into_node(&finder, node->host, "security_hook_list.hook", function);
	return r < 0 ? r : finder.n;
}
