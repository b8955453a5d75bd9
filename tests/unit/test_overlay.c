// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "introspect/overlay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_guest.h"

static struct kernel *kernel;
static uint64_t super, fs, layers; /* an overlayfs of an upper and two lower layers */
static uint64_t mounts[3];

/* A mount with a root directory of the inode number @ino. */
static uint64_t make_mount(uint64_t ino)
{
	uint64_t mount = fake_make(), dentry = fake_make(), inode = fake_make();

	fake_set(inode, "inode.i_sb", 0x5b000 + ino);
	fake_set(inode, "inode.i_ino", ino);
	fake_set(inode, "inode.i_generation", ino + 1);
	fake_set(dentry, "dentry.d_inode", inode);
	fake_set(mount, "mount.mnt.mnt_root", dentry);
	return mount;
}

static uint64_t make_super(const char *type)
{
	uint64_t at = fake_make(), kind = fake_make();

	fake_set(kind, "file_system_type.name", fake_text(type));
	fake_set(at, "super_block.s_type", kind);
	fake_set(at, "super_block.s_flags", 1 << 30);
	return at;
}

static void set_layer(unsigned int i, uint64_t mount)
{
	uint64_t layer = layers + i * FAKE_OBJECT;

	fake_set(layer, "ovl_layer.mnt", mount ? fake_place(mount, "mount.mnt") : 0);
	fake_set(layer, "ovl_layer.idx", i);
}

static int setup(void **state)
{
	(void)state;
	fake_init();
	super = make_super("overlay");
	fs = fake_make();
	layers = fake_make_bytes(KERNEL_OVERLAY_MAX_LAYERS * FAKE_OBJECT);
	fake_set(super, "super_block.s_fs_info", fs);
	fake_set(fs, "ovl_fs.numlayer", 3);
	fake_set(fs, "ovl_fs.layers", layers);
	fake_set(fs, "ovl_fs.creator_cred", 0xc4ed);
	for (unsigned int i = 0; i < 3; i++) {
		mounts[i] = make_mount(100 + 10 * i);
		set_layer(i, mounts[i]);
	}
	return kernel_new(&kernel, NULL, NULL);
}

static int teardown(void **state)
{
	(void)state;
	kernel = kernel_free(kernel);
	return 0;
}

static struct kernel_overlay *read_overlay(void)
{
	struct kernel_overlay *overlay = calloc(1, sizeof(*overlay));
	struct error err = { 0 };

	assert_non_null(overlay);
	if (kernel_overlay_read(kernel, super, overlay, &err) < 0)
		fail_msg("%s", err.message);
	return overlay;
}

static void assert_layer(const struct kernel_overlay_layer *layer, uint64_t ino, bool upper,
			 bool data_only)
{
	assert_int_equal(layer->root.super, 0x5b000 + ino);
	assert_int_equal(layer->root.ino, ino);
	assert_int_equal(layer->root.generation, ino + 1);
	assert_int_equal(layer->upper, upper);
	assert_int_equal(layer->data_only, data_only);
}

static void test_layers(void **state)
{
	_cleanup_(freep) struct kernel_overlay *overlay = read_overlay();
	uint64_t dentry = fake_get(mounts[1], "mount.mnt.mnt_root");

	(void)state;
	assert_int_equal(overlay->super, super);
	assert_int_equal(overlay->creator_cred, 0xc4ed);
	assert_int_equal(overlay->n_layers, 3);
	assert_layer(&overlay->layers[0], 100, true, false);
	assert_layer(&overlay->layers[1], 110, false, false);
	assert_layer(&overlay->layers[2], 120, false, false);
	assert_int_equal(overlay->layers[1].dentry, dentry);
	assert_int_equal(overlay->layers[1].inode, fake_get(dentry, "dentry.d_inode"));
}

static void test_no_upper(void **state)
{
	_cleanup_(freep) struct kernel_overlay *overlay = NULL;

	(void)state;
	set_layer(0, 0);
	overlay = read_overlay();
	assert_int_equal(overlay->n_layers, 2);
	assert_layer(&overlay->layers[0], 110, false, false);
	assert_layer(&overlay->layers[1], 120, false, false);
}

static void test_data_only(void **state)
{
	_cleanup_(freep) struct kernel_overlay *overlay = NULL, *older = NULL;

	(void)state;
	fake_set(fs, "ovl_fs.numdatalayer", 1);
	overlay = read_overlay();
	assert_int_equal(overlay->n_layers, 3);
	assert_layer(&overlay->layers[1], 110, false, false);
	assert_layer(&overlay->layers[2], 120, false, true);
	fake_lacks[0] = "ovl_fs.numdatalayer";
	older = read_overlay();
	assert_layer(&older->layers[2], 120, false, false);
}

static void test_most_layers(void **state)
{
	_cleanup_(freep) struct kernel_overlay *overlay = NULL;

	(void)state;
	for (unsigned int i = 3; i < KERNEL_OVERLAY_MAX_LAYERS; i++)
		set_layer(i, mounts[2]);
	fake_set(fs, "ovl_fs.numlayer", KERNEL_OVERLAY_MAX_LAYERS);
	overlay = read_overlay();
	assert_int_equal(overlay->n_layers, KERNEL_OVERLAY_MAX_LAYERS);
	assert_layer(&overlay->layers[KERNEL_OVERLAY_MAX_LAYERS - 1], 120, false, false);
}

/* Expects @code and, in the message, @what; and that nothing is put out. */
static void assert_fails(int code, const char *what)
{
	_cleanup_(freep) struct kernel_overlay *overlay = calloc(1, sizeof(*overlay));
	struct error err = { 0 };

	overlay->n_layers = 4242;
	assert_int_equal(kernel_overlay_read(kernel, super, overlay, &err), code);
	assert_int_equal(kernel_overlay_read(kernel, super, overlay, NULL), code);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, what))
		fail_msg("%s: %s", what, err.message);
	assert_int_equal(overlay->n_layers, 4242);
}

static void shut_down(void)
{
	fake_set(super, "super_block.s_flags", 0);
}

static void test_no_overlay(void **state)
{
	uint64_t overlay = super;

	(void)state;
	super = make_super("ext4");
	assert_fails(-ENOENT, "no overlayfs");
	super = make_super("overlayer");
	assert_fails(-ENOENT, "no overlayfs");
	super = FAKE_UNMAPPED;
	assert_fails(-EFAULT, "super block");
	super = overlay;
	fake_asked = shut_down; /* after it was looked at first */
	assert_fails(-EAGAIN, "not mounted");
	fake_asked = NULL;
	assert_fails(-EAGAIN, "not mounted");
}

static void test_lacks(void **state)
{
	static const char *const needed[] = { "ovl_fs.numlayer", "ovl_fs.layers",
					      "ovl_fs.creator_cred", "ovl_layer.mnt",
					      "ovl_layer.idx" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		fake_lacks[0] = needed[i];
		assert_fails(-ENOTSUP, needed[i]);
		fake_lacks[0] = NULL;
		fake_odd = needed[i];
		assert_fails(-ENOTSUP, needed[i]);
		fake_odd = NULL;
	}
	fake_lacks[0] = "ovl_layer";
	assert_fails(-ENOTSUP, "struct ovl_layer");
}

static void test_hostile(void **state)
{
	const struct {
		uint64_t object;
		const char *path;
		uint64_t value;
	} lies[] = {
		{ fs, "ovl_fs.numlayer", KERNEL_OVERLAY_MAX_LAYERS + 1 },
		{ fs, "ovl_fs.numlayer", 0xffffffff },
		{ fs, "ovl_fs.numlayer", 4 }, /* the fourth is all zeroes */
		{ fs, "ovl_fs.numdatalayer", 4 },
		{ fs, "ovl_fs.numdatalayer", ~0ULL },
		{ fs, "ovl_fs.layers", FAKE_UNMAPPED },
		{ fs, "ovl_fs.layers", 0 },
		{ super, "super_block.s_fs_info", 0 },
		{ super, "super_block.s_fs_info", FAKE_UNMAPPED },
		{ layers, "ovl_layer.idx", 1 },
		{ layers, "ovl_layer.mnt", FAKE_UNMAPPED },
		{ layers + FAKE_OBJECT, "ovl_layer.idx", 2 },
		{ layers + FAKE_OBJECT, "ovl_layer.mnt", 0 },
		{ mounts[2], "mount.mnt.mnt_root", FAKE_UNMAPPED },
		{ fake_get(mounts[2], "mount.mnt.mnt_root"), "dentry.d_inode", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint64_t was = fake_get(lies[i].object, lies[i].path);

		fake_set(lies[i].object, lies[i].path, lies[i].value);
		assert_fails(-EFAULT, "layers cannot be read");
		fake_set(lies[i].object, lies[i].path, was);
	}
	free(read_overlay());
}

/* An inode of the overlayfs, without anything below; and the structure that it stands in. */
static uint64_t make_inode(uint64_t *ret_object)
{
	uint64_t object = fake_make(), inode = fake_place(object, "ovl_inode.vfs_inode");

	fake_set(inode, "inode.i_sb", super);
	*ret_object = object;
	return inode;
}

/* A dentry of an inode that is known by its address alone. */
static uint64_t make_dentry(uint64_t inode)
{
	uint64_t dentry = fake_make();

	fake_set(dentry, "dentry.d_inode", inode);
	return dentry;
}

static void assert_below(uint64_t inode, uint64_t upper, uint64_t lower)
{
	struct kernel_overlay_inode below = { 1, 1 };
	struct error err = { 0 };

	if (kernel_overlay_inode_read(kernel, inode, &below, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(below.upper, upper);
	assert_int_equal(below.lower, lower);
}

static void test_inode(void **state)
{
	uint64_t object, inode = make_inode(&object), entry = fake_make(), stack;

	(void)state;
	assert_below(inode, 0, 0);
	fake_set(object, "ovl_inode.__upperdentry", make_dentry(0xabc));
	assert_below(inode, 0xabc, 0);

	fake_set(object, "ovl_inode.oe", entry);
	stack = fake_place(entry, "ovl_entry.__lowerstack");
	memset(fake_at(stack), 0xff, 64); /* nobody's, as long as there is no lower */
	assert_below(inode, 0xabc, 0);
	fake_set(stack, "ovl_path.dentry", make_dentry(0xdef));
	fake_set(entry, "ovl_entry.__numlower", 1);
	assert_below(inode, 0xabc, 0xdef);
	fake_set(object, "ovl_inode.__upperdentry", 0);
	assert_below(inode, 0, 0xdef);
}

static void test_inode_before_6_5(void **state)
{
	uint64_t object, inode = make_inode(&object);

	(void)state;
	fake_lacks[0] = "ovl_inode.oe";
	assert_below(inode, 0, 0);
	fake_set(object, "ovl_inode.__upperdentry", make_dentry(0xabc));
	fake_set(object, "ovl_inode.lowerpath.dentry", make_dentry(0xdef));
	fake_set(object, "ovl_inode.lower", 0x123);
	assert_below(inode, 0xabc, 0xdef);
	fake_lacks[1] = "ovl_inode.lowerpath.dentry"; /* before 5.19 */
	assert_below(inode, 0xabc, 0x123);
}

static void assert_inode_fails(uint64_t inode, int code, const char *what)
{
	struct kernel_overlay_inode below = { 77, 77 };
	struct error err = { 0 };

	assert_int_equal(kernel_overlay_inode_read(kernel, inode, &below, &err), code);
	if (!strstr(err.message, what))
		fail_msg("%s: %s", what, err.message);
	assert_int_equal(below.upper + below.lower, 154);
}

static void test_inode_fails(void **state)
{
	uint64_t object, inode = make_inode(&object), entry = fake_make();

	(void)state;
	assert_inode_fails(FAKE_UNMAPPED, -EFAULT, "inode cannot be read");
	fake_set(object, "ovl_inode.oe", FAKE_UNMAPPED);
	assert_inode_fails(inode, -EFAULT, "overlayfs' inode");
	fake_set(object, "ovl_inode.oe", entry);
	fake_set(entry, "ovl_entry.__numlower", 1);
	fake_set(fake_place(entry, "ovl_entry.__lowerstack"), "ovl_path.dentry", FAKE_UNMAPPED);
	assert_inode_fails(inode, -EFAULT, "overlayfs' inode");
	fake_set(entry, "ovl_entry.__numlower", 0);
	fake_set(object, "ovl_inode.__upperdentry", FAKE_UNMAPPED);
	assert_inode_fails(inode, -EFAULT, "overlayfs' inode");

	fake_lacks[0] = "ovl_inode.oe";
	fake_lacks[1] = "ovl_inode.lowerpath.dentry";
	fake_lacks[2] = "ovl_inode.lower";
	assert_inode_fails(inode, -ENOTSUP, "ovl_inode.lower");
	fake_lacks[2] = "ovl_inode.vfs_inode";
	assert_inode_fails(inode, -ENOTSUP, "ovl_inode.vfs_inode");
	fake_set(inode, "inode.i_sb", make_super("ext4"));
	assert_inode_fails(inode, -ENOENT, "no overlayfs");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layers),	TEST(test_no_upper),   TEST(test_data_only),
		TEST(test_most_layers), TEST(test_no_overlay), TEST(test_lacks),
		TEST(test_hostile),	TEST(test_inode),      TEST(test_inode_before_6_5),
		TEST(test_inode_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
