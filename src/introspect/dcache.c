// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A directory's dentries are on a list of their parent's; new ones come in front, and nothing keeps
 * the list still for us. Every dentry that is met has to say that it is a child of this parent: one
 * that was moved or freed leads elsewhere.
 *
 * A name may be on the list more than once. After a rename over a file the replaced dentry stays,
 * with the name, while somebody has it open: it is told by being off the hash. So is a deleted one.
 */
#include "introspect/dcache.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CHILDREN 32768 /* looked at in one walk */
#define MAX_MOUNTS 100000 /* the kernel's own default, /proc/sys/fs/mount-max */
#define MAX_STACKED 64 /* mounts on the same directory */
#define MAX_LINKS 8
#define MAX_ALIASES 64 /* of one inode */

bool dcache_is_named(const struct caches *caches, uint64_t dentry, const char *name)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t n = caches_get(caches, &reader, dentry, CACHES_DENTRY_NAME_LENGTH);
	char text[NAME_MAX + 1];

	if (reader.error || n != strlen(name) || n > NAME_MAX)
		return false;
	n = reader_get(&reader, dentry, FIELD_DENTRY_NAME);
	return !reader.error &&
	       space_read_string(caches->kernel->space, n, text, sizeof(text)) >= 0 &&
	       strcmp(text, name) == 0;
}

uint64_t dcache_parent(const struct caches *caches, uint64_t dentry)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t parent = reader_get(&reader, dentry, FIELD_DENTRY_PARENT);

	return parent == dentry ? 0 : parent;
}

static bool exists(const struct caches *caches, struct reader *reader, uint64_t dentry)
{
	return caches_get(caches, reader, dentry, CACHES_DENTRY_HASHED) &&
	       reader_get(reader, dentry, FIELD_DENTRY_INODE);
}

/*
 * Calls @visit for each child that exists; stops when it returns other than 0 and returns that. @n_left: how many children may
 * still be looked at.
 */
static int children_each(const struct caches *caches, uint64_t dentry, unsigned int *n_left,
			 int (*visit)(uint64_t child, void *data), void *data)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t end = caches->hlist ? 0 : caches_place(caches, dentry, CACHES_DENTRY_CHILDREN);
	uint64_t next = caches_get(caches, &reader, dentry, CACHES_DENTRY_CHILDREN);

	while (!reader.error && next != end) {
		uint64_t child = next - caches->fields[CACHES_DENTRY_SIBLING].offset;
		uint64_t parent = reader_get(&reader, child, FIELD_DENTRY_PARENT);
		bool is_there = exists(caches, &reader, child);
		int r;

		next = caches_get(caches, &reader, child, CACHES_DENTRY_SIBLING);
		if (reader.error)
			break;
		if (parent != dentry)
			return -EAGAIN;
		if (!*n_left)
			return -ELOOP;
		--*n_left;
		r = is_there ? visit(child, data) : 0;
		if (r)
			return r;
	}
	return reader.error;
}

struct wanted {
	const struct caches *caches;
	const char *name;
	uint64_t found;
};

static int is_wanted(uint64_t child, void *data)
{
	struct wanted *wanted = data;

	if (!dcache_is_named(wanted->caches, child, wanted->name))
		return 0;
	wanted->found = child;
	return 1;
}

static int find_child(const struct caches *caches, uint64_t dentry, const char *name,
		      unsigned int *n_left, uint64_t *ret)
{
	struct wanted wanted = { .caches = caches, .name = name };
	int r = children_each(caches, dentry, n_left, is_wanted, &wanted);

	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*ret = wanted.found;
	return 0;
}

int dcache_child(const struct caches *caches, uint64_t dentry, const char *name, uint64_t *ret)
{
	unsigned int n_left = MAX_CHILDREN;

	return find_child(caches, dentry, name, &n_left, ret);
}

/* A walk. Mounts are struct mount here, not vfsmount. */
struct walk {
	const struct caches *caches;
	struct reader reader;
	uint64_t dentry, mount;
	uint64_t root_dentry, root_mount;
	unsigned int n_mounts_left, n_children_left, n_links;
	char left[PATH_MAX]; /* of the path */
};

/* Steps onto what is mounted on the place, if anything is. Returns 1 if so. */
static int step_on_mount(struct walk *walk)
{
	struct reader *reader = &walk->reader;
	uint64_t head = reader_place(reader, walk->mount, FIELD_MOUNT_CHILDREN);
	uint64_t next = reader_get(reader, walk->mount, FIELD_MOUNT_CHILDREN);

	while (!reader->error && next != head) {
		uint64_t child = reader_container(reader, next, FIELD_MOUNT_CHILD);

		if (!walk->n_mounts_left--)
			return -ELOOP;
		if (reader_get(reader, child, FIELD_MOUNT_PARENT) != walk->mount)
			return reader->error ? reader->error : -EAGAIN;
		if (reader_get(reader, child, FIELD_MOUNT_MOUNTPOINT) == walk->dentry) {
			walk->dentry = reader_get(reader, child, FIELD_MOUNT_ROOT);
			walk->mount = child;
			return reader->error ? reader->error : 1;
		}
		next = reader_get(reader, child, FIELD_MOUNT_CHILD);
	}
	return reader->error;
}

static int follow_mounts(struct walk *walk)
{
	for (unsigned int n = 0; n < MAX_STACKED; n++) {
		int r = step_on_mount(walk);

		if (r <= 0)
			return r;
	}
	return -ELOOP;
}

static int step_up(struct walk *walk)
{
	struct reader *reader = &walk->reader;

	for (unsigned int n = 0; n < MAX_STACKED; n++) {
		if (walk->dentry == walk->root_dentry && walk->mount == walk->root_mount)
			return 0;
		if (walk->dentry != reader_get(reader, walk->mount, FIELD_MOUNT_ROOT)) {
			walk->dentry = reader_get(reader, walk->dentry, FIELD_DENTRY_PARENT);
			return reader->error ? reader->error : follow_mounts(walk);
		}
		walk->dentry = reader_get(reader, walk->mount, FIELD_MOUNT_MOUNTPOINT);
		walk->mount = reader_get(reader, walk->mount, FIELD_MOUNT_PARENT);
		if (reader->error)
			return reader->error;
	}
	return -ELOOP;
}

/* Puts a symbolic link's text in front of what is left of the path. */
static int follow_link(struct walk *walk, uint64_t inode)
{
	uint64_t at = caches_get(walk->caches, &walk->reader, inode, CACHES_INODE_LINK);
	char target[sizeof(walk->left)];
	size_t n_left = strlen(walk->left);
	int n;

	if (walk->reader.error)
		return walk->reader.error;
	if (++walk->n_links > MAX_LINKS)
		return -ELOOP;
	if (!at)
		return -ENOENT; /* a long one: its text is in pages; nobody needs these */
	n = space_read_string(walk->caches->kernel->space, at, target, sizeof(target));
	if (n < 0)
		return n;
	if (n + 1 + n_left >= sizeof(walk->left))
		return -ENAMETOOLONG;
	memmove(walk->left + n + 1, walk->left, n_left + 1);
	walk->left[n] = '/';
	memcpy(walk->left, target, n);
	if (target[0] != '/')
		return 0;
	walk->dentry = walk->root_dentry;
	walk->mount = walk->root_mount;
	return 0;
}

static int step_down(struct walk *walk, const char *name)
{
	uint64_t child, inode, mode;
	int r = find_child(walk->caches, walk->dentry, name, &walk->n_children_left, &child);

	if (r < 0)
		return r;
	inode = reader_get(&walk->reader, child, FIELD_DENTRY_INODE);
	mode = reader_get_if(&walk->reader, inode, FIELD_INODE_MODE);
	if (walk->reader.error)
		return walk->reader.error;
	if (!inode)
		return -ENOENT;
	if (S_ISLNK(mode))
		return follow_link(walk, inode);
	walk->dentry = child;
	return follow_mounts(walk);
}

/* Takes the next name off the path. Returns its length, 0 at the end. */
static int take_name(struct walk *walk, char name[NAME_MAX + 1])
{
	size_t start = strspn(walk->left, "/"), n = strcspn(walk->left + start, "/");

	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, walk->left + start, n);
	name[n] = '\0';
	memmove(walk->left, walk->left + start + n, strlen(walk->left + start + n) + 1);
	return (int)n;
}

static int walk_all(struct walk *walk)
{
	char name[NAME_MAX + 1];
	int r;

	while ((r = take_name(walk, name)) > 0) {
		if (strcmp(name, ".") == 0)
			continue;
		r = strcmp(name, "..") == 0 ? step_up(walk) : step_down(walk, name);
		if (r < 0)
			return r;
	}
	return r;
}

int dcache_walk(const struct caches *caches, const struct place *root, const char *path,
		struct place *ret)
{
	struct walk walk = { .caches = caches,
			     .reader.kernel = caches->kernel,
			     .n_mounts_left = MAX_MOUNTS,
			     .n_children_left = MAX_CHILDREN };
	int r;

	walk.dentry = walk.root_dentry = root->dentry;
	walk.mount = walk.root_mount =
		reader_container(&walk.reader, root->mount, FIELD_MOUNT_VFSMOUNT);
	if (snprintf(walk.left, sizeof(walk.left), "%s", path) >= (int)sizeof(walk.left))
		return -ENAMETOOLONG;
	r = walk_all(&walk);
	if (r < 0)
		return r;
	*ret = (struct place){
		.dentry = walk.dentry,
		.mount = reader_place(&walk.reader, walk.mount, FIELD_MOUNT_VFSMOUNT),
	};
	return 0;
}

/*
 * Calls @visit for each name of the inode, while it returns false. Returns what it returned last. A dentry that is met has to lead
 * to this inode: one that was freed leads elsewhere.
 */
static bool any_alias(const struct caches *caches, uint64_t inode,
		      bool (*visit)(uint64_t dentry, const void *data), const void *data)
{
	struct reader reader = { .kernel = caches->kernel };
	uint64_t next = caches_get(caches, &reader, inode, CACHES_INODE_ALIASES);

	for (unsigned int n = 0; next && n < MAX_ALIASES; n++) {
		uint64_t dentry = next - caches->fields[CACHES_DENTRY_ALIAS].offset;

		if (reader_get(&reader, dentry, FIELD_DENTRY_INODE) != inode || reader.error)
			return false;
		if (visit(dentry, data))
			return true;
		next = caches_get(caches, &reader, dentry, CACHES_DENTRY_ALIAS);
	}
	return false;
}

struct path_sought {
	const struct caches *caches;
	uint64_t above;
	const char *path;
};

/* From its last name up. */
static bool has_path(uint64_t dentry, const void *data)
{
	const struct path_sought *sought = data;
	struct reader reader = { .kernel = sought->caches->kernel };
	const char *end = sought->path + strlen(sought->path);
	char name[NAME_MAX + 1];

	while (end > sought->path) {
		const char *start = end;

		while (start > sought->path && start[-1] != '/')
			start--;
		if (end - start > NAME_MAX)
			return false;
		memcpy(name, start, (size_t)(end - start));
		name[end - start] = '\0';
		if (!exists(sought->caches, &reader, dentry) ||
		    !dcache_is_named(sought->caches, dentry, name))
			return false;
		dentry = dcache_parent(sought->caches, dentry);
		end = start > sought->path ? start - 1 : start;
	}
	return dentry == sought->above;
}

bool dcache_has_path(const struct caches *caches, uint64_t inode, uint64_t above, const char *path)
{
	const struct path_sought sought = { caches, above, path };

	return above && any_alias(caches, inode, has_path, &sought);
}

struct name_sought {
	const struct caches *caches;
	const char *name;
	const struct kernel_inode *directory;
};

static bool has_name(uint64_t dentry, const void *data)
{
	const struct name_sought *sought = data;
	struct reader reader = { .kernel = sought->caches->kernel };
	uint64_t parent = dcache_parent(sought->caches, dentry), inode;
	struct kernel_inode is;

	return parent && exists(sought->caches, &reader, dentry) &&
	       dcache_is_named(sought->caches, dentry, sought->name) &&
	       kernel_dentry_inode(sought->caches->kernel, parent, &inode) == 0 &&
	       kernel_inode_read(sought->caches->kernel, inode, &is) == 0 &&
	       is.super == sought->directory->super && is.ino == sought->directory->ino &&
	       is.generation == sought->directory->generation;
}

bool dcache_has_name(const struct caches *caches, uint64_t inode, const char *name,
		     const struct kernel_inode *directory)
{
	const struct name_sought sought = { caches, name, directory };

	return any_alias(caches, inode, has_name, &sought);
}
