// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/lsm_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_LSMS 64

struct node_layout {
	struct profile_field list, head, hook, lsm;
};

uint64_t lsm_list_head(const struct profile *profile, const char *name)
{
	uint64_t heads = profile_symbol(profile, "security_hook_heads");
	struct profile_field field;
	char path[64];

	snprintf(path, sizeof(path), "security_hook_heads.%s", name);
	if (!heads || profile_field(profile, path, &field) < 0)
		return 0;
	return heads + field.offset;
}

/* Offsets are the guest's word: what is written by them stays inside the node. */
static bool fits(const struct profile_field *field, uint32_t size)
{
	return field->offset <= LSM_LIST_NODE_SIZE - size;
}

static int node_layout(struct node_layout *ret, const struct profile *profile)
{
	if (profile_field(profile, "security_hook_list.list", &ret->list) < 0 ||
	    profile_field(profile, "security_hook_list.head", &ret->head) < 0 ||
	    profile_field(profile, "security_hook_list.hook", &ret->hook) < 0 ||
	    profile_field(profile, "security_hook_list.lsm", &ret->lsm) < 0 ||
	    profile_struct_size(profile, "security_hook_list") > LSM_LIST_NODE_SIZE ||
	    !fits(&ret->list, 16) || !fits(&ret->head, 8) || !fits(&ret->hook, 8) ||
	    !fits(&ret->lsm, 8))
		return -ENOTSUP;
	return 0;
}

static void put_u64(uint8_t *to, uint64_t value)
{
	memcpy(to, &value, sizeof(value));
}

/* hlist_head.first, or a node's next: both are first members. */
int lsm_list_end(const struct profile *profile, uint64_t head, uint64_t ours, uint64_t *ret)
{
	const struct space *space = profile_space(profile);
	uint64_t address = head;

	for (unsigned int i = 0; i < MAX_LSMS; i++) {
		uint64_t next;

		if (space_read_u64(space, address, &next) < 0)
			return -EFAULT;
		if (!next || next == ours) {
			*ret = address;
			return 0;
		}
		address = next;
	}
	return -ELOOP;
}

int lsm_list_find(struct patch *ret, const struct profile *profile, uint64_t head,
		  const struct lsm_list_node *node, uint64_t function, uint64_t replaced)
{
	struct node_layout layout;
	uint64_t end;
	int r = node_layout(&layout, profile);

	if (r == 0)
		r = lsm_list_end(profile, head, replaced, &end);
	if (r < 0)
		return r;
	memset(node->host, 0, LSM_LIST_NODE_SIZE);
	put_u64(node->host + layout.list.offset + 8, end); /* pprev */
	put_u64(node->host + layout.head.offset, head);
	put_u64(node->host + layout.hook.offset, function);
	put_u64(node->host + layout.lsm.offset, node->name);
	*ret = patch_word(end, 0, node->address + layout.list.offset);
	return 0;
}

int lsm_list_walk(const struct profile *profile, uint64_t head, uint64_t last,
		  int (*visit)(uint64_t address, void *data), void *data)
{
	uint64_t address = head;

	for (unsigned int i = 0; address && i < MAX_LSMS; i++) {
		int r = visit ? visit(address, data) : 0;

		if (r || address == last)
			return r;
		if (space_read_u64(profile_space(profile), address, &address) < 0)
			return -EFAULT;
	}
	return address ? -ELOOP : -ENOENT;
}
