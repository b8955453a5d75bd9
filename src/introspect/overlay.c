// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mounted overlayfs never changes its layers: struct ovl_fs is filled before the super block
 * becomes active, and freed after it has ceased to be. So what was read while it was active before
 * and after holds.
 */
#include "introspect/overlay.h"

#include <errno.h>
#include <string.h>

#include "introspect/reader.h"
#include "util/cleanup.h"

#define MODULE "overlay"

/* Members of the overlayfs' own structures, looked up at each use: there are few uses. */
struct member {
	const char *path;
	struct profile_field *at;
	unsigned int min_size, max_size;
};

#define VALUE(path, at)        \
	{                      \
		path, at, 1, 8 \
	}
#define PLACE(path, at)                 \
	{                               \
		path, at, 0, UINT32_MAX \
	}

static int find_member(const struct kernel *kernel, const struct member *member, struct error *err)
{
	struct error why = { 0 };
	int r = profile_module_field(kernel->profile, MODULE, member->path, member->at, &why);

	if (r == 0 && member->at->size >= member->min_size && member->at->size <= member->max_size)
		return 0;
	if (r == 0)
		error_set(&why, -ENOTSUP, "%s has %u bytes", member->path, member->at->size);
	/* the module is there, as there is a super block of its: what it lacks, it lacks */
	return error_set(err, r == 0 || r == -ENOENT ? -ENOTSUP : r,
			 "the guest kernel's overlayfs cannot be read: %.900s", why.message);
}

static int find_members(const struct kernel *kernel, const struct member *members, size_t n,
			struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = find_member(kernel, &members[i], err);
	return r;
}

/* An overlayfs that stands. */
static int check_super(const struct kernel *kernel, uint64_t address, struct error *err)
{
	struct kernel_super super;
	int r = kernel_super_read(kernel, address, &super);

	if (r < 0)
		return error_set(err, r, "the super block cannot be read");
	if (strcmp(super.type, "overlay") != 0)
		return error_set(err, -ENOENT, "the file system is no overlayfs");
	if (!super.active)
		return error_set(err, -EAGAIN, "the overlayfs is not mounted yet, or not any more");
	return 0;
}

struct overlay_fields {
	struct profile_field n_layers, layers, cred, work; /* struct ovl_fs */
	struct profile_field n_data; /* ... size 0 where there is none */
	struct profile_field mount, index; /* struct ovl_layer */
	uint32_t layer_size;
};

static int find_overlay_fields(const struct kernel *kernel, struct overlay_fields *ret,
			       struct error *err)
{
	const struct member members[] = {
		VALUE("ovl_fs.numlayer", &ret->n_layers), VALUE("ovl_fs.layers", &ret->layers),
		VALUE("ovl_fs.creator_cred", &ret->cred), VALUE("ovl_fs.workdir", &ret->work),
		VALUE("ovl_layer.mnt", &ret->mount),	  VALUE("ovl_layer.idx", &ret->index),
	};
	/* Linux 37ebf056d6cf "ovl: introduce data-only lower layers" (in v6.5) */
	const struct member n_data = VALUE("ovl_fs.numdatalayer", &ret->n_data);
	int r = find_members(kernel, members, ARRAY_SIZE(members), err);

	if (r < 0)
		return r;
	if (find_member(kernel, &n_data, NULL) < 0)
		ret->n_data = (struct profile_field){ 0 };
	ret->layer_size = profile_module_struct_size(kernel->profile, MODULE, "ovl_layer");
	if (!ret->layer_size)
		return error_set(err, -ENOTSUP,
				 "the guest kernel's overlayfs cannot be read: struct ovl_layer "
				 "has no size");
	return 0;
}

static struct kernel_identity read_identity(struct reader *reader, uint64_t inode)
{
	return (struct kernel_identity){
		.super = reader_get(reader, inode, FIELD_INODE_SUPER),
		.ino = reader_get(reader, inode, FIELD_INODE_INO),
		.generation = (uint32_t)reader_get(reader, inode, FIELD_INODE_GENERATION),
	};
}

static void read_root(struct reader *reader, uint64_t vfsmount, struct kernel_overlay_layer *layer)
{
	uint64_t mount = reader_container(reader, vfsmount, FIELD_MOUNT_VFSMOUNT);

	layer->dentry = reader_get(reader, mount, FIELD_MOUNT_ROOT);
	layer->inode = reader_get(reader, layer->dentry, FIELD_DENTRY_INODE);
	layer->root = read_identity(reader, layer->inode);
}

/* Without an upper layer there is none. */
static struct kernel_identity read_work(struct reader *reader, const struct overlay_fields *at,
					uint64_t fs)
{
	uint64_t dentry = reader_get_at(reader, fs, &at->work);

	if (!dentry)
		return (struct kernel_identity){ 0 };
	return read_identity(reader, reader_get(reader, dentry, FIELD_DENTRY_INODE));
}

static void read_layers(struct reader *reader, const struct overlay_fields *at, uint64_t fs,
			struct kernel_overlay *overlay)
{
	uint64_t n = reader_get_at(reader, fs, &at->n_layers);
	uint64_t n_data = at->n_data.size ? reader_get_at(reader, fs, &at->n_data) : 0;
	uint64_t layer = reader_get_at(reader, fs, &at->layers);

	if (n > KERNEL_OVERLAY_MAX_LAYERS || n_data > n)
		reader->error = -EFAULT;
	for (uint64_t i = 0; !reader->error && i < n; i++, layer += at->layer_size) {
		struct kernel_overlay_layer *out = &overlay->layers[overlay->n_layers];
		uint64_t mount = reader_get_at(reader, layer, &at->mount);

		/* layers[0] is the upper's place even when there is none */
		if (reader_get_at(reader, layer, &at->index) != i)
			reader->error = -EFAULT;
		if (i == 0 && !mount)
			continue;
		read_root(reader, mount, out);
		out->upper = i == 0;
		out->data_only = i >= n - n_data;
		overlay->n_layers++;
	}
}

int kernel_overlay_read(const struct kernel *kernel, uint64_t super, struct kernel_overlay *ret,
			struct error *err)
{
	_cleanup_(freep) struct kernel_overlay *overlay = calloc(1, sizeof(*overlay));
	struct reader reader = { .kernel = kernel };
	struct overlay_fields at;
	uint64_t fs;
	int r;

	if (!overlay)
		return error_set(err, -ENOMEM, "no memory for an overlayfs' layers");
	r = check_super(kernel, super, err);
	if (r < 0)
		return r;
	r = find_overlay_fields(kernel, &at, err);
	if (r < 0)
		return r;
	fs = reader_get(&reader, super, FIELD_SUPER_INFO);
	overlay->super = super;
	overlay->creator_cred = reader_get_at(&reader, fs, &at.cred);
	overlay->work = read_work(&reader, &at, fs);
	read_layers(&reader, &at, fs, overlay);
	r = check_super(kernel, super, err);
	if (r < 0)
		return r;
	if (reader.error)
		return error_set(err, reader.error, "the overlayfs' layers cannot be read");
	*ret = *overlay;
	return 0;
}

/*
 * What is below a file on a lower layer has moved about:
 *  - an array of (layer, dentry) in a structure of its own, since Linux 0af950f57fef "ovl: move
 *    ovl_entry into ovl_inode" (in v6.5)
 *  - one such pair, since Linux ffa5723c6d25 "ovl: store lower path in ovl_inode" (in v5.19)
 *  - an inode
 */
struct inode_fields {
	struct profile_field place, upper; /* struct ovl_inode: where its struct inode is */
	struct profile_field entry, n_lower, lower_stack, path_dentry; /* since v6.5 */
	struct profile_field lower_dentry; /* since v5.19 */
	struct profile_field lower_inode;
};

static int find_inode_fields(const struct kernel *kernel, struct inode_fields *ret,
			     struct error *err)
{
	const struct member members[] = {
		PLACE("ovl_inode.vfs_inode", &ret->place),
		VALUE("ovl_inode.__upperdentry", &ret->upper),
	};
	const struct member stack[] = {
		VALUE("ovl_inode.oe", &ret->entry),
		VALUE("ovl_entry.__numlower", &ret->n_lower),
		PLACE("ovl_entry.__lowerstack", &ret->lower_stack),
		VALUE("ovl_path.dentry", &ret->path_dentry),
	};
	const struct member path = VALUE("ovl_inode.lowerpath.dentry", &ret->lower_dentry);
	const struct member inode = VALUE("ovl_inode.lower", &ret->lower_inode);
	int r = find_members(kernel, members, ARRAY_SIZE(members), err);

	if (r < 0 || find_members(kernel, stack, ARRAY_SIZE(stack), NULL) == 0)
		return r;
	ret->entry.size = 0;
	if (find_member(kernel, &path, NULL) == 0)
		return 0;
	ret->lower_dentry.size = 0;
	return find_member(kernel, &inode, err);
}

static uint64_t inode_of(struct reader *reader, uint64_t dentry)
{
	return reader_get_if(reader, dentry, FIELD_DENTRY_INODE);
}

static uint64_t read_lower(struct reader *reader, const struct inode_fields *at, uint64_t object)
{
	uint64_t entry;

	if (at->entry.size) {
		entry = reader_get_at(reader, object, &at->entry);
		if (!entry || !reader_get_at(reader, entry, &at->n_lower))
			return 0;
		return inode_of(reader, reader_get_at(reader, entry + at->lower_stack.offset,
						      &at->path_dentry));
	}
	if (at->lower_dentry.size)
		return inode_of(reader, reader_get_at(reader, object, &at->lower_dentry));
	return reader_get_at(reader, object, &at->lower_inode);
}

int kernel_overlay_inode_read(const struct kernel *kernel, uint64_t inode,
			      struct kernel_overlay_inode *ret, struct error *err)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_overlay_inode below;
	struct inode_fields at = { 0 };
	uint64_t super = reader_get(&reader, inode, FIELD_INODE_SUPER), object;
	int r = reader.error;

	if (r < 0)
		return error_set(err, r, "the inode cannot be read");
	r = check_super(kernel, super, err);
	if (r < 0)
		return r;
	r = find_inode_fields(kernel, &at, err);
	if (r < 0)
		return r;
	object = inode - at.place.offset;
	below.upper = inode_of(&reader, reader_get_at(&reader, object, &at.upper));
	below.lower = read_lower(&reader, &at, object);
	if (reader.error)
		return error_set(err, reader.error, "the overlayfs' inode cannot be read");
	*ret = below;
	return 0;
}
