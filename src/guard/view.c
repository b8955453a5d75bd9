// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache is made here, with the host: the policy's paths are resolved in a container's own view by the guest
 * kernel's own path walk, and told to the host, which enters them. At a container's start that happens inside
 * its runtime's pivot_root, when all its mounts stand and before its first process runs.
 */
#include "contract/guard_abi.h"
#include "guard/describe.h"
#include "guard/kernel.h"
#include "guard/kill.h"
#include "guard/match.h"
#include "guard/ring.h"
#include "guard/system_calls.h"
#include "guard/view.h"

#define MAX_ANEW 8 /* policies that a start may see come */

struct view {
	const struct kernel_path *root;
	uint64_t errand;
	int32_t error;
	enum guard_view_cause cause;
};

static const char *names_half(uint64_t names)
{
	return vault_bytes + GUARD_VAULT_NAMES + GUARD_NAMES_HALF(names) * GUARD_VAULT_NAMES_SIZE;
}

/* Its offset, and GUARD_NAME_OF_GUEST. */
static uint32_t name_word(uint64_t names, uint32_t i)
{
	return READ_ONCE(((const uint32_t *)names_half(names))[i]);
}

static const char *name_at(uint64_t names, uint32_t i)
{
	return names_half(names) + (name_word(names, i) & (GUARD_VAULT_NAMES_SIZE - 1));
}

/* Only the guest's own view needs those; its errand is one like others. */
static bool is_wanted(const struct view *view, uint64_t names, uint32_t i)
{
	return view->cause == GUARD_VIEW_ERRAND || !(name_word(names, i) & GUARD_NAME_OF_GUEST);
}

static int look_up(const struct kernel_path *root, const char *name, struct kernel_path *ret)
{
	int r = vfs_path_lookup(root->dentry, root->mnt, name, LOOKUP_FOLLOW, ret);
	void *kernels;

	if (r != -EACCES)
		return r;
	/* A file system of a user's own (FUSE) lets only him in: as the task that we are in. */
	kernels = override_creds(task_real_cred(current_task()));
	r = vfs_path_lookup(root->dentry, root->mnt, name, LOOKUP_FOLLOW, ret);
	revert_creds(kernels);
	return r;
}

static void resolve_name(struct guard_resolved *resolved, const struct kernel_path *root,
			 uint64_t names, uint32_t i)
{
	struct kernel_path path;
	const void *inode;

	resolved->name = i;
	resolved->error = look_up(root, name_at(names, i), &path);
	if (resolved->error)
		return;
	inode = dentry_inode(path.dentry);
	describe_identity(&resolved->file, inode);
	resolved->inode = (uint64_t)inode;
	resolved->mode = inode_mode(inode);
	path_put(&path);
}

/* The next names' worth of a record, from @at on, which comes to stand behind them. No slot of the ring is held meanwhile: a path may hang on a dead server. */
static uint32_t resolve_some(struct guard_resolved resolved[GUARD_VIEW_RESOLVED],
			     const struct view *view, uint64_t names, uint32_t *at)
{
	uint32_t n = 0;

	for (; *at < GUARD_NAMES_COUNT(names); ++*at) {
		if (!is_wanted(view, names, *at))
			continue;
		if (n == GUARD_VIEW_RESOLVED)
			break;
		resolve_name(&resolved[n++], view->root, names, *at);
	}
	return n;
}

static void fill_view(struct guard_view_record *record, const struct view *view)
{
	record->errand = view->errand;
	record->task = (uint64_t)current_task();
	record->error = view->error;
	record->cause = view->cause;
	record->root_dentry = record->root_super = 0;
	if (!view->error) {
		record->root_dentry = (uint64_t)view->root->dentry;
		record->root_super = inode_super(dentry_inode(view->root->dentry));
	}
}

/* Sends one record. Returns whether there was room for it, and its place. */
static bool send_view(const struct view *view, uint64_t names,
		      const struct guard_resolved *resolved, uint32_t n, bool last,
		      uint64_t *ret_position)
{
	struct guard_view_record *record = ring_take(GUARD_RECORD_VIEW, ret_position);

	if (!record)
		return false;
	fill_view(record, view);
	record->names_sequence = (uint32_t)(names >> GUARD_NAMES_SEQUENCE_SHIFT);
	record->n_resolved = n;
	record->last = last;
	for (uint32_t i = 0; i < n; i++)
		record->resolved[i] = resolved[i];
	ring_give(record, *ret_position, sizeof(*record));
	return true;
}

/* Is it for later? Then the record says so by having no names. */
static bool waits_for_use(const struct view *view)
{
	return READ_ONCE(vault.flags) & GUARD_LAZY &&
	       (view->cause == GUARD_VIEW_PIVOT || view->cause == GUARD_VIEW_CHROOT);
}

/* Returns whether the host has handled it. */
static __attribute__((noinline)) bool resolve_once(const struct view *view, uint64_t names)
{
	uint64_t position;
	bool without = view->error || waits_for_use(view);
	struct guard_resolved resolved[GUARD_VIEW_RESOLVED];
	uint32_t i = 0, n = 0;
	bool sent, last;
	void *creds;

	/* With the kernel's own rights: the runtime may be in a user name space that lacks them. */
	creds = override_creds(init_cred);
	do {
		if (!without)
			n = resolve_some(resolved, view, names, &i);
		last = without || i == GUARD_NAMES_COUNT(names);
		sent = send_view(view, names, resolved, n, last, &position);
	} while (sent && !last);
	revert_creds(creds);
	return sent && ring_wait_handled(position);
}

/* With the names of the policy in force. When that changed meanwhile, the host could not use what it got: once more. */
static bool resolve_view(const struct view *view)
{
	bool handled;

	for (unsigned int i = 0; i < MAX_ANEW; i++) {
		uint64_t names = __atomic_load_n(&vault.names, __ATOMIC_ACQUIRE);

		handled = resolve_once(view, names);
		if (!handled || view->errand || READ_ONCE(vault.names) == names)
			break;
	}
	return handled;
}

int resolve_start(const struct kernel_path *root, enum guard_view_cause cause)
{
	const struct view view = { .root = root, .cause = cause };
	bool handled = resolve_view(&view), refused;

	space_is_known(current_space(), &refused);
	if (!handled && READ_ONCE(vault.flags) & GUARD_REFUSE_UNRESOLVED)
		refused = true;
	return refused ? -EPERM : 0;
}

void resolve_lazily(void)
{
	const struct view view = { .root = fs_root(task_fs(current_task())),
				   .cause = GUARD_VIEW_LAZY };

	resolve_view(&view);
}

/* A root that the host asks for: the current root of a process, by its magic link. */
static void run_errand(unsigned int i)
{
	struct kernel_path root;
	struct view view = { .root = &root,
			     .errand = READ_ONCE(vault.roots[i].id),
			     .cause = GUARD_VIEW_ERRAND };

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
	system_calls_look();
	for (unsigned int patience = 0; patience < 20; patience++) {
		uint32_t n;

		if (kill_asked())
			patience = 1; /* others may follow */
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
	uint64_t position;

	if (!is_in_force((uint64_t)super | GUARD_KEY_SUPER, 0))
		return;
	record = ring_take(GUARD_RECORD_SUPER_GONE, &position);
	if (!record)
		return;
	record->super = (uint64_t)super;
	ring_give(record, position, sizeof(*record));
	ring_wait_handled(position);
}
