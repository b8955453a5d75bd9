// SPDX-License-Identifier: GPL-2.0-or-later
/* The hooks on names and on what is told of a file beside its content. The kernel calls them with the directories locked. */
#include "guard/judge.h"

static struct subject entry_of(const void *dentry, const void *directory)
{
	return subject_of(dentry_inode(dentry), dentry, inode_super(directory));
}

/* Something new at a name where nothing is. */
static int judge_new(const void *directory, const void *dentry, uint32_t operation,
		     const void *other)
{
	struct attempt attempt = {
		.operations = operation,
		.role = other ? GUARD_ROLE_TARGET : GUARD_ROLE_NONE,
		.other = other,
	};

	if (!maybe_watched(NULL, dentry))
		return 0;
	attempt.subject = subject_of(NULL, dentry, inode_super(directory));
	return judge(&attempt, NULL);
}

int guard_inode_create(void *directory, void *dentry, uint16_t mode)
{
	(void)mode;
	return judge_new(directory, dentry, GUARD_OP_CREATE, NULL);
}

int guard_inode_mkdir(void *directory, void *dentry, uint16_t mode)
{
	(void)mode;
	return judge_new(directory, dentry, GUARD_OP_CREATE, NULL);
}

int guard_inode_mknod(void *directory, void *dentry, uint16_t mode, uint32_t device)
{
	(void)mode;
	(void)device;
	return judge_new(directory, dentry, GUARD_OP_CREATE, NULL);
}

int guard_inode_symlink(void *directory, void *dentry, const char *content)
{
	(void)content;
	return judge_new(directory, dentry, GUARD_OP_SYMLINK, NULL);
}

int guard_inode_link(void *old_dentry, void *directory, void *dentry)
{
	const void *inode = dentry_inode(old_dentry);
	struct attempt attempt = {
		.subject = entry_of(old_dentry, directory),
		.operations = GUARD_OP_LINK,
		.role = GUARD_ROLE_SOURCE,
		.other = dentry,
	};
	int r = 0;

	if (inode && maybe_watched(inode, old_dentry))
		r = judge(&attempt, NULL);
	return r ? r : judge_new(directory, dentry, GUARD_OP_LINK, old_dentry);
}

static __attribute__((noinline)) int judge_removal(const void *directory, const void *dentry)
{
	struct attempt attempt = {
		.subject = entry_of(dentry, directory),
		.operations = GUARD_OP_DELETE,
	};
	bool followed;
	int r = judge(&attempt, &followed);

	if (followed)
		follow_name(attempt.subject.inode, directory, dentry, GUARD_FOLLOW_GONE);
	return r;
}

int guard_inode_unlink(void *directory, void *dentry)
{
	const void *inode = dentry_inode(dentry);

	return inode && maybe_watched(inode, dentry) ? judge_removal(directory, dentry) : 0;
}

static bool is_directory(const void *inode)
{
	return inode && (inode_mode(inode) & S_IFMT) == S_IFDIR;
}

/* What moves away from @from, or, as target, what was at @to and is replaced. */
static __attribute__((noinline)) int judge_move(const void *from, const void *to, uint32_t role,
						const void *directory, bool *ret_followed)
{
	const void *dentry = role == GUARD_ROLE_SOURCE ? from : to;
	const void *other = role == GUARD_ROLE_SOURCE ? to : from;
	struct attempt attempt = {
		.subject = entry_of(dentry, directory),
		.operations = GUARD_OP_RENAME,
		.role = role,
		.other = other,
		.from = from,
		.to = to,
	};

	/* A directory that was made for this has nothing in it. */
	if (is_directory(dentry_inode(from)) &&
	    !is_made_by_overlay(dentry_inode(dentry_parent(from))))
		attempt.subject.moves_to = other;
	return judge(&attempt, ret_followed);
}

int guard_inode_rename(void *old_directory, void *old_dentry, void *new_directory, void *new_dentry)
{
	const void *moved = dentry_inode(old_dentry), *replaced = dentry_inode(new_dentry);
	bool source_followed = false, target_followed = false;
	int r = 0;

	if (moved && maybe_watched(moved, old_dentry))
		r = judge_move(old_dentry, new_dentry, GUARD_ROLE_SOURCE, old_directory,
			       &source_followed);
	if (!r && maybe_watched(replaced, new_dentry))
		r = judge_move(old_dentry, new_dentry, GUARD_ROLE_TARGET, new_directory,
			       &target_followed);
	if (r)
		return r;
	if (source_followed)
		follow_name(moved, old_directory, old_dentry, GUARD_FOLLOW_MOVED);
	if (target_followed)
		follow_name(replaced, new_directory, new_dentry, GUARD_FOLLOW_GONE);
	return 0;
}

static int judge_inode(const void *dentry, uint32_t operation)
{
	const void *inode = dentry_inode(dentry);
	struct attempt attempt = { .operations = operation };

	if (!inode || !maybe_watched(inode, dentry))
		return 0;
	attempt.subject = entry_of(dentry, inode);
	return judge(&attempt, NULL);
}

/*
 * What notify_change() was asked for. With a change of size or owner come changes of mode and times that the kernel
 * makes itself; so does, forced, the loss of setuid bits at a write. Truncating at an open was judged with the open.
 */
static uint32_t attribute_operation(uint32_t valid)
{
	if (valid & ATTR_SIZE)
		return valid & ATTR_OPEN ? 0 : GUARD_OP_TRUNCATE;
	if (valid & (ATTR_UID | ATTR_GID))
		return GUARD_OP_CHOWN;
	if (valid & ATTR_MODE)
		return valid & ATTR_FORCE ? 0 : GUARD_OP_CHMOD;
	return valid & (ATTR_ATIME | ATTR_MTIME) ? GUARD_OP_UTIMES : 0;
}

int guard_inode_setattr(void *dentry, void *attributes)
{
	uint32_t operation = attribute_operation(iattr_valid(attributes));

	return operation ? judge_inode(dentry, operation) : 0;
}

/* As the hook is since Linux 314a8dc728d0 (v6.9). */
int guard_inode_setattr_idmapped(void *idmap, void *dentry, void *attributes)
{
	(void)idmap;
	return guard_inode_setattr(dentry, attributes);
}

/*
 * What overlayfs keeps in a layer: that a directory hides, or stands for, one of another layer. To set it is to take away
 * all that the overlay has below that directory, as renaming it would.
 */
static bool is_of_overlay(const char *name)
{
	static const char trusted[] = "trusted.overlay.", user[] = "user.overlay.";

	return text_begins_with(name, trusted) || text_begins_with(name, user);
}

static int judge_layer(const void *dentry)
{
	const void *inode = dentry_inode(dentry);
	struct attempt attempt = { .operations = GUARD_OP_RENAME };

	attempt.subject = entry_of(dentry, inode);
	attempt.subject.hides = true;
	return judge(&attempt, NULL);
}

int guard_inode_setxattr(void *user_namespace, void *dentry, const char *name)
{
	int r = judge_inode(dentry, GUARD_OP_XATTR);

	(void)user_namespace;
	return r || !is_directory(dentry_inode(dentry)) || !is_of_overlay(name)
		       ? r
		       : judge_layer(dentry);
}

/* Overlayfs brings the file from a lower layer to the upper. */
int guard_inode_copy_up(void *dentry)
{
	const void *inode = dentry_inode(dentry), *directory = dentry_inode(dentry_parent(dentry));
	struct attempt attempt = { .operations = GUARD_OP_COPY_UP };
	bool followed;
	int r;

	if (!inode)
		return 0;
	attempt.subject = entry_of(dentry, inode);
	attempt.subject.of_overlay = true;
	if (!may_concern(&attempt.subject))
		return 0;
	r = judge(&attempt, &followed);
	if (followed && directory && !is_directory(inode))
		follow_name(inode, directory, dentry, GUARD_FOLLOW_COPIED);
	return r;
}
