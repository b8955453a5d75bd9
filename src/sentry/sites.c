// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define INT3 0xcc
#define CALL 0xe8
#define JMP32 0xe9
#define JMP8 0xeb
#define RET 0xc3
#define LOCK 0xf0
#define NO_LOCK 0x3e /* %ds: says nothing */

const uint8_t site_nop[SITE_NOP_SIZE] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const uint8_t nop2[] = { 0x66, 0x90 };
static const uint8_t xor5[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };

int sites_add(struct sites *sites, const struct site *site)
{
	if (sites->n == sites->room) {
		size_t room = sites->room ? 2 * sites->room : 4096;
		struct site *list = reallocarray(sites->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		sites->list = list;
		sites->room = room;
	}
	sites->list[sites->n++] = *site;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

void sites_sort(struct sites *sites)
{
	if (sites->n)
		qsort(sites->list, sites->n, sizeof(*sites->list), compare);
}

const struct site *sites_find(const struct sites *sites, uint64_t address)
{
	size_t low = 0, high = sites->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sites->list[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* Where two are told of one place, the longer one may stand before the other. */
	for (size_t i = low; i > 0 && low - i < 2; i--) {
		const struct site *site = &sites->list[i - 1];

		if (address - site->address < site->size)
			return site;
	}
	return NULL;
}

void sites_clear(struct sites *sites)
{
	free(sites->list);
	*sites = (struct sites){ 0 };
}

uint64_t site_target(const uint8_t *code, uint64_t address)
{
	int32_t distance;

	memcpy(&distance, code + 1, sizeof(distance));
	return address + 5 + (uint64_t)(int64_t)distance;
}

static bool is_code(const struct site_world *world, uint64_t address)
{
	return world->is_function(address, world->data) || world->is_loaded(address, world->data);
}

static enum site_verdict judge_jump(const struct site *site, const uint8_t *found)
{
	if (site->size == 2) {
		if (!memcmp(found, nop2, sizeof(nop2)))
			return SITE_RESTS;
		return found[0] == JMP8 && site->address + 2 + (uint64_t)(int8_t)found[1] ==
						   site->target
			       ? SITE_ALLOWED
			       : SITE_FOREIGN;
	}
	if (!memcmp(found, site_nop, sizeof(site_nop)))
		return SITE_RESTS;
	return found[0] == JMP32 && site_target(found, site->address) == site->target
		       ? SITE_ALLOWED
		       : SITE_FOREIGN;
}

static enum site_verdict judge_call(const struct site *site, const uint8_t *found,
				    const struct site_world *world)
{
	if (!memcmp(found, site_nop, sizeof(site_nop)) || !memcmp(found, xor5, sizeof(xor5)))
		return SITE_RESTS;
	return found[0] == CALL && is_code(world, site_target(found, site->address)) ? SITE_ALLOWED
										     : SITE_FOREIGN;
}

/* Behind a return are breakpoints, or NOPs as the assembler left them. */
static bool is_return(const uint8_t *found)
{
	for (size_t i = 1; i < 5; i++) {
		if (found[i] != INT3 && found[i] != 0x90)
			return false;
	}
	return found[0] == RET;
}

static enum site_verdict judge_tail(const struct site *site, const uint8_t *found,
				    const struct site_world *world)
{
	if (site->size == 6) /* a conditional jump */
		return found[0] == 0x0f && (found[1] & 0xf0) == 0x80 &&
				       is_code(world, site_target(found + 1, site->address + 1))
			       ? SITE_ALLOWED
			       : SITE_FOREIGN;
	if (is_return(found))
		return SITE_RESTS;
	return found[0] == JMP32 && is_code(world, site_target(found, site->address))
		       ? SITE_ALLOWED
		       : SITE_FOREIGN;
}

static enum site_verdict judge_trace(const struct site *site, const uint8_t *found,
				     const struct site_world *world)
{
	uint64_t target = site_target(found, site->address);

	if (!memcmp(found, site_nop, sizeof(site_nop)))
		return SITE_RESTS;
	if (found[0] != CALL)
		return SITE_FOREIGN;
	for (size_t i = 0; i < ARRAY_SIZE(world->tracer); i++) {
		if (world->tracer[i] && target == world->tracer[i])
			return SITE_ALLOWED;
	}
	return world->is_loaded(target, world->data) ? SITE_ALLOWED : SITE_FOREIGN;
}

static enum site_verdict judge_still(const struct site *site, const uint8_t *found,
				     const struct site_world *world)
{
	switch ((enum site_kind)site->kind) {
	case SITE_JUMP:
		return judge_jump(site, found);
	case SITE_CALL:
		return judge_call(site, found, world);
	case SITE_TAIL:
		return judge_tail(site, found, world);
	case SITE_TRACE:
		return judge_trace(site, found, world);
	case SITE_LOCK:
		return found[0] == LOCK || found[0] == NO_LOCK ? SITE_RESTS : SITE_FOREIGN;
	}
	return SITE_FOREIGN;
}

enum site_verdict site_judge(const struct site *site, const uint8_t *found,
			     const struct site_world *world)
{
	static const uint8_t first[] = { 0x0f, 0x66, 0x2e, CALL, JMP32, JMP8, RET };
	enum site_verdict verdict = judge_still(site, found, world);
	uint8_t whole[SITE_MAX_SIZE];

	if (verdict != SITE_FOREIGN || found[0] != INT3 || site->kind == SITE_LOCK)
		return verdict;
	memcpy(whole, found, site->size);
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		whole[0] = first[i];
		if (judge_still(site, whole, world) != SITE_FOREIGN)
			return SITE_CHANGING;
	}
	return SITE_FOREIGN;
}
