/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CACHES_H
#define INTROSPECT_CACHES_H

#include <stdbool.h>
#include <stdint.h>

#include "introspect/kernel.h"
#include "introspect/reader.h"
#include "profile/profile.h"
#include "util/error.h"

/*
 * What is needed, besides struct kernel, to read files out of the guest's dentry cache (dcache.h)
 * and page cache (page_cache.h). Apart from it, because a guest whose kernel lacks some of this can
 * be guarded all the same: only names are not known then.
 *
 * A path of a second name is the member's older one:
 *
 * Since Linux da549bdd15c2 ("dentry: switch the lists of children to hlist") (in v6.8) the children
 * of a dentry are an hlist.
 *
 * Since Linux 7b230db3b8d3 ("mm: Introduce struct folio") (in v5.16) pages in the page cache are
 * folios; what is read of them stands where it did.
 */
#define CACHES_FIELDS(X)                                                       \
	X(DENTRY_ALIAS, "dentry.d_u.d_alias.next", NULL)                       \
	X(DENTRY_CHILDREN, "dentry.d_children.first", "dentry.d_subdirs.next") \
	X(DENTRY_SIBLING, "dentry.d_sib.next", "dentry.d_child.next")          \
	X(DENTRY_HASHED, "dentry.d_hash.pprev", NULL)                          \
	X(DENTRY_NAME_LENGTH, "dentry.d_name.len", NULL)                       \
	X(FOLIO_INDEX, "folio.index", "page.index")                            \
	X(FOLIO_MAPPING, "folio.mapping", "page.mapping")                      \
	X(FS_PWD_DENTRY, "fs_struct.pwd.dentry", NULL)                         \
	X(INODE_ALIASES, "inode.i_dentry.first", NULL)                         \
	X(INODE_LINK, "inode.i_link", NULL)                                    \
	X(INODE_MAPPING, "inode.i_mapping", NULL)                              \
	X(MAPPING_PAGES, "address_space.i_pages.xa_head", NULL)                \
	X(MM_ARG_END, "mm_struct.arg_end", NULL)                               \
	X(MM_ARG_START, "mm_struct.arg_start", NULL)                           \
	X(MM_PGD, "mm_struct.pgd", NULL)                                       \
	X(TASK_MM, "task_struct.mm", NULL)                                     \
	X(XA_NODE_SHIFT, "xa_node.shift", NULL)                                \
	X(XA_NODE_SLOTS, "xa_node.slots", NULL) /* an array: only its offset counts */

#define CACHES_ENUM(name, path, older) CACHES_##name,
enum caches_field {
	CACHES_FIELDS(CACHES_ENUM) CACHES_N_FIELDS
};
#undef CACHES_ENUM

struct caches {
	const struct kernel *kernel;
	struct profile_field fields[CACHES_N_FIELDS];
	bool hlist; /* how children of a dentry are linked */
	uint64_t pages; /* address of the first struct page: vmemmap */
	uint32_t page_size; /* of struct page */
};

/*
 * Fails with -ENOTSUP and the names of the members or symbols that this kernel lacks. @kernel must
 * outlive it; @profile need not.
 */
int caches_new(struct caches **ret, const struct kernel *kernel, const struct profile *profile,
	       struct error *err);
/* Accepts NULL. Returns NULL. */
struct caches *caches_free(struct caches *caches);

/* As reader_get() and reader_place(), for these members. @reader is of the same kernel. */
uint64_t caches_get(const struct caches *caches, struct reader *reader, uint64_t object,
		    enum caches_field field);

static inline uint64_t caches_place(const struct caches *caches, uint64_t object,
				    enum caches_field field)
{
	return object + caches->fields[field].offset;
}

#endif
