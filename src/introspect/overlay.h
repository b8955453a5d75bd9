/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_OVERLAY_H
#define INTROSPECT_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/kernel.h"

/*
 * What an overlayfs is made of: the directories that it shows as one, and for one of its files the
 * files below. The overlay keeps a private mount of each layer (struct ovl_layer in struct ovl_fs,
 * fs/overlayfs/ovl_entry.h; ovl_get_upper() and ovl_get_layers() make it with
 * clone_private_mount()), whose root is the layer's directory, so that the identities are the same
 * by which the layers are reached directly.
 *
 * On Debian overlayfs is a module: its types are read when first needed, once one is mounted.
 */

/* The upper and 500 lower layers: OVL_MAX_STACK in fs/overlayfs/params.c (super.c before v6.5). */
#define KERNEL_OVERLAY_MAX_LAYERS 501

/* What a file is known by, in the cache too. */
struct kernel_identity {
	uint64_t super, ino;
	uint32_t generation;
};

struct kernel_overlay_layer {
	uint64_t dentry, inode; /* of the layer's root directory */
	struct kernel_identity root;
	bool upper; /* the one that is written to */
	bool data_only; /* holds contents for other layers, and no names of its own */
};

struct kernel_overlay {
	uint64_t super;
	struct kernel_identity
		work; /* the directory where it makes new files; no super block: none */
	uint64_t creator_cred; /* address: what the overlay acts with on the layers */
	unsigned int n_layers;
	/* the upper first, if there is one; then the lower ones, the topmost first */
	struct kernel_overlay_layer layers[KERNEL_OVERLAY_MAX_LAYERS];
};

/*
 * Reads the layers of the overlayfs with the super block @super. Returns 0, or
 *  -ENOENT   it is no overlayfs
 *  -EAGAIN   it is not up yet, or being shut down
 *  -ENOTSUP  this kernel's overlayfs is not known: @err says what is missing
 *  -EFAULT   it cannot be read
 *  -ENOMEM
 */
int kernel_overlay_read(const struct kernel *kernel, uint64_t super, struct kernel_overlay *ret,
			struct error *err);

/*
 * The files below one of an overlayfs': addresses of inodes, 0 for none. The upper is there once
 * the file was made or copied up, and is then what is read and written, and what a mapping maps.
 * The lower is the topmost; a directory may be merged with more, and a file of metadata only may
 * have its contents deeper.
 */
struct kernel_overlay_inode {
	uint64_t upper, lower;
};

/* @inode is an inode of an overlayfs. Returns as above. */
int kernel_overlay_inode_read(const struct kernel *kernel, uint64_t inode,
			      struct kernel_overlay_inode *ret, struct error *err);

#endif
