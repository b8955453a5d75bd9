// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache is made here, with the host: the policy's paths are resolved in a container's own view by the guest
 * kernel's own path walk, and told to the host, which enters them. At a container's start that happens inside
 * its runtime's pivot_root, when all its mounts stand and before its first process runs.
 */
#include "contract/guard_abi.h"
#include "guard/cache.h"
#include "guard/describe.h"
#include "guard/kernel.h"
#include "guard/ring.h"

#define TEXT_CGROUP 384

_Static_assert(sizeof(struct guard_view_record) + TEXT_CGROUP <= GUARD_SLOT_SIZE, "the text fits "
										  "behind the "
										  "record");

struct view {
	const struct kernel_path *root;
	uint64_t errand, task;
	int32_t error;
};

static const char *name_at(uint64_t names, uint32_t i)
{
	const char *half =
		vault_bytes + GUARD_VAULT_NAMES + GUARD_NAMES_HALF(names) * GUARD_VAULT_NAMES_SIZE;

	return half + (READ_ONCE(((const uint32_t *)half)[i]) & (GUARD_VAULT_NAMES_SIZE - 1));
}

static void resolve_name(struct guard_resolved *resolved, const struct kernel_path *root,
			 uint64_t names, uint32_t i)
{
	struct kernel_path path;
	const void *inode;

	resolved->name = i;
	resolved->error =
		vfs_path_lookup(root->dentry, root->mnt, name_at(names, i), LOOKUP_FOLLOW, &path);
	if (resolved->error)
		return;
	inode = dentry_inode(path.dentry);
	describe_identity(&resolved->file, inode);
	resolved->mode = inode_mode(inode);
	path_put(&path);
}

/* One slot's worth, from name *@i on. */
static void resolve_some(struct guard_view_record *record, const struct view *view, uint64_t names,
			 uint32_t *i)
{
	uint32_t n_names = GUARD_NAMES_COUNT(names), text = sizeof(*record), n = 0;

	record->errand = view->errand;
	record->task = view->task;
	record->error = view->error;
	record->names_sequence = (uint32_t)(names >> GUARD_NAMES_SEQUENCE_SHIFT);
	record->root_dentry = record->root_super = 0;
	describe_process(&record->process);
	record->cgroup_path = describe_cgroup(record, &text, TEXT_CGROUP);
	if (!view->error) {
		record->root_dentry = (uint64_t)view->root->dentry;
		record->root_super = inode_super(dentry_inode(view->root->dentry));
		for (; n < GUARD_VIEW_RESOLVED && *i < n_names; n++, (*i)++)
			resolve_name(&record->resolved[n], view->root, names, *i);
	}
	record->n_resolved = n;
	record->last = view->error || *i == n_names;
}

static void resolve_view(const struct view *view)
{
	uint64_t names = __atomic_load_n(&vault.names, __ATOMIC_ACQUIRE), position;
	struct guard_view_record *record;
	uint32_t i = 0, last;
	void *creds;

	/* With the kernel's own rights: the runtime may be in a user name space that lacks them. */
	creds = override_creds(init_cred);
	do {
		record = ring_take(GUARD_RECORD_VIEW, &position);
		if (!record)
			break;
		resolve_some(record, view, names, &i);
		last = record->last;
		ring_give(record, position, sizeof(*record));
	} while (!last);
	revert_creds(creds);
	if (record)
		ring_wait_handled(position);
}

int guard_sb_pivotroot(const void *old_path, const void *new_path)
{
	const struct view view = {
		.root = new_path,
		.task = (uint64_t)current_task(),
	};

	(void)old_path;
	resolve_view(&view);
	return 0;
}

/* A root that the host asks for: the current root of a process, by its magic link. */
static void run_errand(unsigned int i)
{
	struct kernel_path root;
	struct view view = { .root = &root, .errand = READ_ONCE(vault.roots[i].id) };

	view.error = kern_path(vault.roots[i].path, LOOKUP_FOLLOW, &root);
	resolve_view(&view);
	if (!view.error)
		path_put(&root);
}

/*
 * Stands in for the work function of the kernel's own vmstat shepherd, which a kworker runs once a second:
 * process context, the kernel's credentials, no locks held.
 */
void guard_errand(void *work)
{
	uint64_t errand;

	vmstat_shepherd(work);
	for (unsigned int patience = 0; patience < 20; patience++) {
		uint32_t n;

		errand = __atomic_load_n(&vault.errand, __ATOMIC_ACQUIRE);
		if (errand == READ_ONCE(mailbox.errand_done)) {
			if (!patience)
				return; /* nothing asked */
			usleep_range_state(500, 1000, TASK_IDLE);
			continue;
		}
		n = READ_ONCE(vault.n_roots);
		for (unsigned int i = 0; i < n && i < GUARD_ERRAND_ROOTS; i++)
			run_errand(i);
		__atomic_store_n(&mailbox.errand_done, errand, __ATOMIC_RELEASE);
		patience = 0;
	}
}

void guard_sb_delete(void *super)
{
	struct guard_super_record *record;
	uint64_t table, position;
	const void *entry;

	do {
		table = __atomic_load_n(&vault.table, __ATOMIC_ACQUIRE);
		entry = cache_find(vault_bytes, table, (uint64_t)super | GUARD_KEY_SUPER, 0);
	} while (__atomic_load_n(&vault.table, __ATOMIC_ACQUIRE) != table);
	if (!entry)
		return;
	record = ring_take(GUARD_RECORD_SUPER_GONE, &position);
	if (!record)
		return;
	record->super = (uint64_t)super;
	ring_give(record, position, sizeof(*record));
	ring_wait_handled(position);
}
