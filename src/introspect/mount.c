// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mounts of a name space form a tree. The container's root is one of its nodes: the top, once
 * the runtime has pivoted, or before that somewhere deep in a copy of the guest's own tree. What is
 * below it is what the container will see.
 *
 * The same directory may be the root of several mounts. A runtime binds a container's root over
 * itself, so that it is a mount of its own; then all else is mounted below the upper one. And a
 * container may bind its root somewhere inside itself. So of several candidates
 *  - the one that is the task's own root is taken, if there is one;
 *  - else the one with the most mounts on directories in it, and of equals the first, which is the
 *    outermost. A mount on its very root does not count: that is the other candidate.
 *
 * For the same reason a mount on the very root of the one chosen is left out, with all below it: a
 * path walk starts under it. During pivot_root(".", ".") that is the guest's whole old tree.
 *
 * Paths are put together on the way down: that of a mount is that of the one it stands on, and the
 * names from there. So a mount that no path leads to has none below it either. The work is counted,
 * one step for each mount that is passed and for each name that is read: what a container can make
 * of it is bounded, however deep it nests.
 */
#include "introspect/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/pathbuf.h"
#include "introspect/reader.h"
#include "util/cleanup.h"

#define MAX_MOUNTS KERNEL_MAX_MOUNTS
#define OWN_ROOT (MAX_MOUNTS * 4) /* better than any number of children */

struct tree {
	struct reader reader;
	uint64_t top;
	unsigned int n_left; /* steps that the walk may still take */
};

static struct tree tree_init(const struct kernel *kernel, uint64_t top)
{
	/* Each mount is entered once, left once, and counted once as a child. */
	return (struct tree){ .reader.kernel = kernel, .top = top, .n_left = 3 * MAX_MOUNTS };
}

static int step(struct tree *tree)
{
	if (tree->reader.error)
		return tree->reader.error;
	if (!tree->n_left)
		return -ELOOP;
	tree->n_left--;
	return 0;
}

/*
 * Goes on to the next mount, parents first; past those below *@mount unless @enter. Returns 1, or 0
 * when the tree is done. The kernel's next_mnt().
 */
static int next_mount(struct tree *tree, uint64_t *mount, bool enter)
{
	struct reader *reader = &tree->reader;
	uint64_t from = *mount, at = from, head = reader_place(reader, at, FIELD_MOUNT_CHILDREN);
	uint64_t next = enter ? reader_get(reader, at, FIELD_MOUNT_CHILDREN) : head;
	int r = step(tree);

	while (r == 0 && next == head) {
		if (at == tree->top)
			return 0;
		next = reader_get(reader, at, FIELD_MOUNT_CHILD);
		at = reader_get(reader, at, FIELD_MOUNT_PARENT);
		head = reader_place(reader, at, FIELD_MOUNT_CHILDREN);
		r = step(tree);
	}
	if (r < 0)
		return r;
	*mount = reader_container(reader, next, FIELD_MOUNT_CHILD);
	return *mount == from ? -ELOOP : 1; /* unmounted while we looked: its list is itself */
}

static bool is_on_root_of(struct tree *tree, uint64_t mount, uint64_t parent, uint64_t dentry)
{
	return reader_get(&tree->reader, mount, FIELD_MOUNT_PARENT) == parent &&
	       reader_get(&tree->reader, mount, FIELD_MOUNT_MOUNTPOINT) == dentry;
}

/* Number of mounts on directories in @mount, other than on its root @dentry. */
static int count_children(struct tree *tree, uint64_t mount, uint64_t dentry)
{
	struct reader *reader = &tree->reader;
	uint64_t head = reader_place(reader, mount, FIELD_MOUNT_CHILDREN);
	uint64_t next = reader_get(reader, mount, FIELD_MOUNT_CHILDREN);
	int n = 0, r = step(tree);

	while (r == 0 && next != head) {
		uint64_t child = reader_container(reader, next, FIELD_MOUNT_CHILD);

		n += !is_on_root_of(tree, child, mount, dentry);
		next = reader_get(reader, child, FIELD_MOUNT_CHILD);
		r = step(tree);
	}
	return r < 0 ? r : n;
}

/* How well @mount answers to being the container's root: -1 not at all. */
static int rate(struct tree *tree, uint64_t mount, uint64_t dentry, uint64_t own_root)
{
	if (reader_get(&tree->reader, mount, FIELD_MOUNT_ROOT) != dentry)
		return -1;
	return mount == own_root ? OWN_ROOT : count_children(tree, mount, dentry);
}

static int find_root(const struct kernel *kernel, const struct kernel_task *task, uint64_t dentry,
		     uint64_t *ret_mount)
{
	struct reader reader = { .kernel = kernel };
	struct tree tree = tree_init(kernel, reader_get(&reader, task->mnt_ns, FIELD_MNT_NS_ROOT));
	uint64_t own_root = reader_container(&reader, task->root_mount, FIELD_MOUNT_VFSMOUNT);
	uint64_t mount = tree.top, best = 0;
	int best_rating = -1, r = reader.error ? reader.error : 1;

	while (r > 0) {
		int rating = rate(&tree, mount, dentry, own_root);

		if (rating > best_rating) {
			best_rating = rating;
			best = mount;
		}
		if (rating == OWN_ROOT)
			break;
		r = next_mount(&tree, &mount, true);
	}
	if (r < 0)
		return r;
	if (!best)
		return -ENOENT;
	*ret_mount = best;
	return 0;
}

/* The mounts from the top down to the one looked at, and how long their paths are. */
struct trail {
	struct trail_mount {
		uint64_t mount, root;
		size_t length;
	} * at;
	size_t n, size;
};

static void trail_deinit(struct trail *trail)
{
	free(trail->at);
}

static int trail_add(struct trail *trail, uint64_t mount, uint64_t root, size_t length)
{
	if (trail->n == trail->size) {
		size_t size = trail->size ? 2 * trail->size : 16;
		struct trail_mount *at = reallocarray(trail->at, size, sizeof(*at));

		if (!at)
			return -ENOMEM;
		trail->at = at;
		trail->size = size;
	}
	trail->at[trail->n++] = (struct trail_mount){ mount, root, length };
	return 0;
}

/* Names from the root of a mount down to @dentry. Returns their length, or -ENOENT outside of it. */
static int climb(struct tree *tree, uint64_t dentry, uint64_t root, char *buf, size_t size)
{
	struct reader *reader = &tree->reader;
	struct pathbuf path = pathbuf_init(buf, size);
	int r = 0;

	if (dentry == root)
		return 0; /* on the other's very root: the same path */
	while (r == 0 && dentry != root) {
		uint64_t parent = reader_get(reader, dentry, FIELD_DENTRY_PARENT);
		uint64_t name = reader_get(reader, dentry, FIELD_DENTRY_NAME);

		r = step(tree);
		if (r == 0 && parent == dentry)
			r = -ENOENT; /* moved out from under its mount's root */
		if (r == 0)
			r = pathbuf_prepend(&path, reader, name);
		dentry = parent;
	}
	return r < 0 ? r : pathbuf_finish(&path);
}

/* Puts the path of @mount, found below one of the trail, behind that one's path in @path. */
static int find_path(struct tree *tree, struct trail *trail, uint64_t mount, char *path,
		     size_t size)
{
	uint64_t parent = reader_get(&tree->reader, mount, FIELD_MOUNT_PARENT);
	uint64_t mountpoint = reader_get(&tree->reader, mount, FIELD_MOUNT_MOUNTPOINT);
	const struct trail_mount *on;

	while (trail->n && trail->at[trail->n - 1].mount != parent)
		trail->n--;
	if (tree->reader.error || !trail->n)
		return tree->reader.error ? tree->reader.error : -ELOOP; /* moved meanwhile */
	on = &trail->at[trail->n - 1];
	return climb(tree, mountpoint, on->root, path + on->length, size - on->length);
}

/* Returns 1 when there is one to visit, 0 when it is out of the container's sight. */
static int describe(struct tree *tree, struct trail *trail, uint64_t mount,
		    struct kernel_mount *ret)
{
	size_t length = 0;
	int r;

	ret->super = reader_get(&tree->reader, mount, FIELD_MOUNT_SUPER);
	ret->root_dentry = reader_get(&tree->reader, mount, FIELD_MOUNT_ROOT);
	if (tree->reader.error)
		return tree->reader.error;
	if (mount != tree->top) {
		r = find_path(tree, trail, mount, ret->path, sizeof(ret->path));
		if (r < 0)
			return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r;
		length = trail->at[trail->n - 1].length + (size_t)r;
	}
	strcpy(ret->path + length, length ? "" : "/");
	r = trail_add(trail, mount, ret->root_dentry, length);
	return r < 0 ? r : 1;
}

static bool is_in_sight(struct tree *tree, uint64_t mount, uint64_t root_dentry)
{
	return mount == tree->top || !is_on_root_of(tree, mount, tree->top, root_dentry);
}

int kernel_mounts_each(const struct kernel *kernel, uint64_t task, uint64_t root_dentry,
		       int (*visit)(const struct kernel_mount *mount, void *data), void *data)
{
	_cleanup_(trail_deinit) struct trail trail = { 0 };
	struct kernel_task who;
	struct kernel_mount mount;
	struct tree tree;
	uint64_t at;
	int r;

	r = kernel_task_read(kernel, task, &who);
	if (r < 0)
		return r;
	if (!who.mnt_ns)
		return -ESRCH;
	r = find_root(kernel, &who, root_dentry, &at);
	if (r < 0)
		return r;
	tree = tree_init(kernel, at);
	tree.n_left += KERNEL_MAX_MOUNT_NAMES;
	do {
		bool seen;

		r = is_in_sight(&tree, at, root_dentry) ? describe(&tree, &trail, at, &mount) : 0;
		seen = r > 0;
		if (seen)
			r = visit(&mount, data);
		if (r)
			return r;
		r = next_mount(&tree, &at, seen);
	} while (r > 0);
	return r;
}

int kernel_root_mount(const struct kernel *kernel, uint64_t task, uint64_t root_dentry,
		      uint64_t *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_task who;
	uint64_t mount;
	int r = kernel_task_read(kernel, task, &who);

	if (r == 0 && !who.mnt_ns)
		r = -ESRCH;
	if (r == 0)
		r = find_root(kernel, &who, root_dentry, &mount);
	if (r == 0)
		*ret = reader_place(&reader, mount, FIELD_MOUNT_VFSMOUNT);
	return r;
}
