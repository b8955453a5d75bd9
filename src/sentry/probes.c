// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/probes.h"

#define BUCKETS 64 /* KPROBE_TABLE_SIZE, kernel/kprobes.c */
#define MAX_PROBES 100000 /* of all: what tracers set at once */
#define REACH 5

bool probes_find(const struct profile *profile, uint64_t address, uint64_t *ret)
{
	const struct space *space = profile_space(profile);
	uint64_t table = profile_symbol(profile, "kprobe_table"), node, probed;
	struct profile_field hlist, addr;
	unsigned int n = 0;

	if (!table || profile_field(profile, "kprobe.hlist", &hlist) < 0 ||
	    profile_field(profile, "kprobe.addr", &addr) < 0)
		return false;
	for (uint64_t i = 0; i < BUCKETS; i++) {
		if (space_read_u64(space, table + i * 8, &node) < 0)
			return false;
		for (; node && n < MAX_PROBES; n++) {
			if (space_read_u64(space, node - hlist.offset + addr.offset, &probed) < 0)
				return false;
			if (address - probed < REACH) {
				*ret = probed;
				return true;
			}
			if (space_read_u64(space, node, &node) < 0)
				return false;
		}
	}
	return false;
}
