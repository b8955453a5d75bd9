// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include "fake_files.h"

#include "introspect/page_cache.h"

static char text[300 * PAGE], found[sizeof(text) + 1];
static ptr folder;

static int setup(void **state)
{
	unsigned int seed = 7;

	(void)state;
	fake_setup(false);
	folder = make_folder(0, "/");
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)rand_r(&seed);
	memset(found, 0, sizeof(found));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_teardown();
	return 0;
}

static void assert_read(ptr inode, size_t n)
{
	assert_int_equal(page_cache_read(caches, inode, found, n), n);
	assert_memory_equal(found, text, n);
	assert_int_equal(found[n], 0); /* not a byte more */
}

static ptr inode_of(ptr dentry)
{
	return get(dentry, "dentry.d_inode");
}

static void test_small(void **state)
{
	static const size_t sizes[] = { 0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(found, 0, sizeof(found));
		assert_read(inode_of(make_file(folder, "a", text, sizes[i])), sizes[i]);
	}
}

/* Two levels of the tree, three, and a page that only six can reach. */
static void test_deep(void **state)
{
	ptr inode = inode_of(make_file(folder, "a", text, 200 * PAGE)), mapping;

	(void)state;
	mapping = get(inode, "inode.i_mapping");
	assert_read(inode, 200 * PAGE);
	xarray_put(mapping, 5000, 0, page_of(make_pages(1, PAGE)));
	assert_int_equal(get(get(mapping, "address_space.i_pages.xa_head") - 2, "xa_node.shift"),
			 12);
	assert_read(inode, 200 * PAGE);
	xarray_put(mapping, 1ULL << 31, 0, page_of(make_pages(1, PAGE)));
	assert_int_equal(get(get(mapping, "address_space.i_pages.xa_head") - 2, "xa_node.shift"),
			 30);
	assert_read(inode, 200 * PAGE);
}

static void add_text(ptr inode, uint64_t index, unsigned int order)
{
	memcpy(host(add_folio(inode, index, order)), text + index * PAGE, (size_t)PAGE << order);
}

/* Folios of 1, 4, 64 and 128 pages: siblings below, an upper node's entry, siblings there. */
static void test_large_folios(void **state)
{
	ptr inode = make_inode(S_IFREG, 256 * PAGE - 5);

	(void)state;
	add_text(inode, 0, 2);
	for (uint64_t i = 4; i < 32; i++)
		add_text(inode, i, 0);
	add_text(inode, 32, 5);
	add_text(inode, 64, 6);
	add_text(inode, 128, 7);
	assert_read(inode, 256 * PAGE - 5);
}

/* Before Linux 5.17 each page of a large folio had an entry of its own, to the folio. */
static void test_large_folio_older(void **state)
{
	ptr inode = make_inode(S_IFREG, 16 * PAGE), mapping = get(inode, "inode.i_mapping");
	ptr pages = make_pages(16, PAGE);

	(void)state;
	put(page_of(pages), "folio.mapping", mapping);
	put(page_of(pages), "folio.index", 0);
	for (uint64_t i = 0; i < 16; i++)
		xarray_put(mapping, i, 0, page_of(pages));
	memcpy(host(pages), text, 16 * PAGE);
	assert_read(inode, 16 * PAGE);
}

static void test_not_there(void **state)
{
	ptr inode = inode_of(make_file(folder, "a", text, 10 * PAGE));
	ptr mapping = get(inode, "inode.i_mapping"), empty = make_inode(S_IFREG, 5);

	(void)state;
	assert_int_equal(page_cache_read(caches, empty, found, PAGE), -ENODATA);
	assert_int_equal(page_cache_read(caches, make_inode(S_IFREG, 0), found, PAGE), 0);
	xarray_put(mapping, 3, 0, 0); /* a hole */
	assert_int_equal(page_cache_read(caches, inode, found, 10 * PAGE), -ENODATA);
	xarray_put(mapping, 3, 0, 0x1235); /* swapped out */
	assert_int_equal(page_cache_read(caches, inode, found, 10 * PAGE), -ENODATA);
	xarray_put(mapping, 3, 0, 256 << 2 | 2); /* the tree's own mark */
	assert_int_equal(page_cache_read(caches, inode, found, 10 * PAGE), -ENODATA);

	put(inode, "inode.i_size", 3 * PAGE);
	assert_read(inode, 3 * PAGE);
	assert_int_equal(page_cache_read(caches, inode, found, 3 * PAGE - 1), -EFBIG);
	put(inode, "inode.i_size", ~0ULL);
	assert_int_equal(page_cache_read(caches, inode, found, SIZE_MAX), -EFBIG);
	put(inode, "inode.i_mode", S_IFDIR);
	assert_int_equal(page_cache_read(caches, inode, found, SIZE_MAX), -EINVAL);

	inode = inode_of(make_file(folder, "b", text, 64 * PAGE));
	put(inode, "inode.i_size", 65 * PAGE); /* the tree is one node */
	assert_int_equal(page_cache_read(caches, inode, found, 65 * PAGE), -ENODATA);
	put(empty, "inode.i_size", 2 * PAGE); /* the tree is one entry */
	memcpy(host(add_folio(empty, 0, 0)), text, PAGE);
	assert_int_equal(page_cache_read(caches, empty, found, 2 * PAGE), -ENODATA);
}

static void test_hostile(void **state)
{
	ptr inode = inode_of(make_file(folder, "a", text, 2 * PAGE));
	ptr mapping = get(inode, "inode.i_mapping");
	uint64_t head = get(mapping, "address_space.i_pages.xa_head"), *slots = slots_of(head);
	ptr folio = slots[1];

	(void)state;
	assert_read(inode, 2 * PAGE);
	put(folio, "folio.mapping", mapping + 8); /* another file's by now */
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EAGAIN);
	put(folio, "folio.mapping", mapping);
	put(folio, "folio.index", 2);
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EAGAIN);
	put(folio, "folio.index", 1);
	assert_read(inode, 2 * PAGE);

	slots[1] = folio + 4; /* between two */
	put(folio + 4, "folio.mapping", mapping);
	put(folio + 4, "folio.index", 1);
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EFAULT);
	slots[1] = UNMAPPED;
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EFAULT);
	slots[1] = head; /* a node in itself */
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -ENODATA);
	slots[1] = 1 << 2 | 2; /* a sibling of itself */
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -ENODATA);
	slots[1] = (UNMAPPED & ~3ULL) | 2;
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EFAULT);
	put(head - 2, "xa_node.shift", 66);
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -ENODATA);
	put(head - 2, "xa_node.shift", 5);
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -ENODATA);
	put(inode, "inode.i_mapping", UNMAPPED);
	assert_int_equal(page_cache_read(caches, inode, found, 2 * PAGE), -EFAULT);
	assert_int_equal(page_cache_read(caches, UNMAPPED, found, 2 * PAGE), -EFAULT);
}

/* A struct page that is there, of a page that is not. */
static void test_beyond_ram(void **state)
{
	ptr inode = make_inode(S_IFREG, 1), mapping = get(inode, "inode.i_mapping");
	ptr folio = VMEMMAP + (ptr)RAM_SIZE / PAGE * STRUCT_PAGE; /* of the first page after */

	(void)state;
	memset(host(folio), 0, STRUCT_PAGE);
	put(folio, "folio.mapping", mapping);
	xarray_put(mapping, 0, 0, folio);
	assert_int_equal(page_cache_read(caches, inode, found, 1), -EFAULT);
	caches->pages = folio + STRUCT_PAGE; /* before the first page */
	assert_int_equal(page_cache_read(caches, inode, found, 1), -EFAULT);
}

static void test_shaken(void **state)
{
	unsigned int seed = 42;

	for (unsigned int round = 0; round < 1000; round++) {
		ptr inode = inode_of(make_file(folder, "a", text, 10 * PAGE));

		add_text(inode, 64, 2);
		xarray_put(get(inode, "inode.i_mapping"), 1ULL << 20, 0, 5);
		for (unsigned int i = 0; i < 20; i++) {
			fake_shake(&seed);
			page_cache_read(caches, inode, found, sizeof(found));
		}
		teardown(state);
		setup(state);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_small),      TEST(test_deep),	   TEST(test_large_folios),
		TEST(test_not_there),  TEST(test_hostile), TEST(test_large_folio_older),
		TEST(test_beyond_ram), TEST(test_shaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
