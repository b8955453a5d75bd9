// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As in task.c the walk is in two steps: first who has which table, which is quick, then one table
 * after the other. The guest runs meanwhile, and frees tables and files as it likes. A file is
 * believed only if, after it was read, the task still has this table and the table still has this
 * file at this place.
 */
#include "introspect/open_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "introspect/reader.h"
#include "util/cleanup.h"

#define PF_KTHREAD 0x00200000
#define MAX_ATTEMPTS 5
#define CHUNK 512 /* descriptors read at once: a page of them */

/* Which thread has what: a table of files, or memory. */
struct holder {
	uint64_t object, task;
	uint32_t rank; /* place in the list of threads; the leader stands in front of its group */
};

struct holders {
	struct holder *at;
	size_t n;
};

static int compare_objects(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->rank > y->rank) - (x->rank < y->rank);
}

static int compare_ranks(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Leaves of those who share an object the first. Sorted by object. */
static void keep_first(struct holders *holders)
{
	size_t n = 0;

	qsort(holders->at, holders->n, sizeof(*holders->at), compare_objects);
	for (size_t i = 0; i < holders->n; i++)
		if (n == 0 || holders->at[n - 1].object != holders->at[i].object)
			holders->at[n++] = holders->at[i];
	holders->n = n;
}

/* Who has which object by @field of struct task_struct: user threads that have any. */
static int find_holders(const struct kernel *kernel, enum field field, struct holders *ret)
{
	_cleanup_(freep) uint64_t *threads = malloc(KERNEL_MAX_TASKS * sizeof(*threads));
	_cleanup_(freep) struct holder *at = malloc(KERNEL_MAX_TASKS * sizeof(*at));
	struct holders holders = { .at = at };
	int n;

	if (!threads || !at)
		return -ENOMEM;
	n = kernel_thread_addresses(kernel, threads, KERNEL_MAX_TASKS);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		struct reader reader = { .kernel = kernel };
		uint64_t flags = reader_get(&reader, threads[i], FIELD_TASK_FLAGS);
		uint64_t object = reader_get(&reader, threads[i], field);

		if (object && !(flags & PF_KTHREAD)) /* neither gone nor exiting */
			at[holders.n++] = (struct holder){ object, threads[i], (uint32_t)i };
	}
	keep_first(&holders);
	*ret = holders;
	TAKE_PTR(at);
	return 0;
}

struct walk {
	const struct kernel *kernel;
	uint32_t n_places, n_files; /* looked at, of what is allowed */
	int (*visit)(const struct kernel_open_file *open, void *data);
	void *data;
};

/* A table of descriptors, and who has it. */
struct table {
	const struct holder *holder;
	const struct kernel_task *task;
	uint64_t address; /* fdtable.fd */
	uint64_t size;
};

static bool is_watchable(uint64_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

static bool still_holds(const struct kernel *kernel, const struct table *table, uint32_t fd,
			uint64_t file)
{
	struct reader reader = { .kernel = kernel };
	uint64_t now;

	return reader_get(&reader, table->holder->task, FIELD_TASK_FILES) ==
		       table->holder->object &&
	       space_read_u64(kernel->space, table->address + 8ULL * fd, &now) == 0 &&
	       now == file && !reader.error;
}

static int visit_file(struct walk *walk, const struct table *table, uint32_t fd, uint64_t file)
{
	const struct kernel *kernel = walk->kernel;
	struct kernel_open_file open = { .task = table->task, .fd = fd };
	struct reader reader = { .kernel = kernel };
	uint64_t inode;

	if (walk->n_files++ == KERNEL_MAX_OPEN_FILES)
		return -ELOOP;
	/* most descriptors are sockets and pipes: this first */
	inode = reader_get(&reader, file, FIELD_FILE_INODE);
	if (!is_watchable(reader_get(&reader, inode, FIELD_INODE_MODE)))
		return 0;
	if (kernel_file_read(kernel, file, &open.file) < 0 ||
	    kernel_inode_read(kernel, open.file.inode, &open.inode) < 0 ||
	    !is_watchable(open.inode.mode) || !still_holds(kernel, table, fd, file))
		return 0;
	return walk->visit(&open, walk->data);
}

static int visit_table(struct walk *walk, const struct table *table)
{
	uint64_t files[CHUNK];
	int r = 0;

	for (uint64_t fd = 0; r == 0 && fd < table->size; fd += CHUNK) {
		uint64_t n = table->size - fd < CHUNK ? table->size - fd : CHUNK;

		if (n > KERNEL_MAX_DESCRIPTORS - walk->n_places)
			return -ELOOP;
		walk->n_places += n;
		if (space_read(walk->kernel->space, table->address + 8 * fd, files, 8 * n) < 0)
			return 0; /* gone */
		for (uint64_t i = 0; r == 0 && i < n; i++)
			if (files[i])
				r = visit_file(walk, table, (uint32_t)(fd + i), files[i]);
	}
	return r;
}

static int visit_holder(struct walk *walk, const struct holder *holder)
{
	struct reader reader = { .kernel = walk->kernel };
	uint64_t fdtable = reader_get(&reader, holder->object, FIELD_FILES_TABLE);
	struct kernel_task task;
	struct table table = {
		.holder = holder,
		.task = &task,
		.address = reader_get(&reader, fdtable, FIELD_FDTABLE_FILES),
		.size = reader_get(&reader, fdtable, FIELD_FDTABLE_SIZE),
	};

	if (reader.error || kernel_task_read(walk->kernel, holder->task, &task) < 0)
		return 0; /* gone */
	return visit_table(walk, &table);
}

int kernel_open_files_each(const struct kernel *kernel,
			   int (*visit)(const struct kernel_open_file *open, void *data),
			   void *data)
{
	_cleanup_(freep) struct holder *at = NULL;
	struct walk walk = { .kernel = kernel, .visit = visit, .data = data };
	struct holders holders;
	int r = find_holders(kernel, FIELD_TASK_FILES, &holders);

	if (r < 0)
		return r;
	at = holders.at;
	qsort(at, holders.n, sizeof(*at), compare_ranks);
	for (size_t i = 0; r == 0 && i < holders.n; i++)
		r = visit_holder(&walk, &at[i]);
	return r;
}

int kernel_inode_use(const struct kernel *kernel, uint64_t inode, struct kernel_inode_use *ret)
{
	struct reader reader = { .kernel = kernel };
	uint64_t mapping = reader_get(&reader, inode, FIELD_INODE_MAPPING);
	struct kernel_inode_use use = {
		.writers = (int32_t)reader_get(&reader, inode, FIELD_INODE_WRITERS),
		.writable_mappings = (int32_t)reader_get(&reader, mapping, FIELD_AS_WRITABLE),
	};

	if (reader.error)
		return reader.error;
	*ret = use;
	return 0;
}

/*
 * Mappings of a file are nodes of an interval tree (mm/interval_tree.c), which is a red-black tree:
 * its depth is at most twice the logarithm of its size. It is walked with a stack of the nodes
 * still to be looked at, at most one for each level. A tree that is being rebalanced can show nodes
 * twice, or not at all: it is walked until two times in a row it has as many.
 */

#define VM_WRITE 0x2UL /* include/linux/mm.h */
#define VM_SHARED 0x8UL
#define VM_MAYWRITE 0x20UL
#define MAX_DEPTH 64

struct area {
	uint64_t memory, start, end;
	bool writable;
};

struct areas {
	struct area *at;
	size_t n, size;
	unsigned int n_nodes; /* mappings of all kinds */
};

static int add_area(struct areas *areas, const struct area *area)
{
	if (areas->n == areas->size) {
		size_t size = areas->size ? 2 * areas->size : 16;
		struct area *at = reallocarray(areas->at, size, sizeof(*at));

		if (!at)
			return -ENOMEM;
		areas->at = at;
		areas->size = size;
	}
	areas->at[areas->n++] = *area;
	return 0;
}

static int look_at_area(struct reader *reader, uint64_t address, struct areas *areas)
{
	uint64_t flags = reader_get(reader, address, FIELD_VMA_FLAGS);
	struct area area = { .writable = flags & VM_WRITE };

	/* do_mmap() takes both off where the file is not open for writing */
	if (!(flags & VM_SHARED) || !(flags & VM_MAYWRITE))
		return reader->error;
	area.memory = reader_get(reader, address, FIELD_VMA_MEMORY);
	area.start = reader_get(reader, address, FIELD_VMA_START);
	area.end = reader_get(reader, address, FIELD_VMA_END);
	return reader->error ? reader->error : add_area(areas, &area);
}

static int walk_areas(struct reader *reader, uint64_t root, struct areas *areas)
{
	uint64_t stack[MAX_DEPTH] = { root };
	unsigned int depth = root != 0;

	areas->n = areas->n_nodes = 0;
	while (depth) {
		uint64_t node = stack[--depth],
			 vma = reader_container(reader, node, FIELD_VMA_NODE);
		uint64_t left = reader_get(reader, node, FIELD_RB_LEFT);
		uint64_t right = reader_get(reader, node, FIELD_RB_RIGHT);
		int r = look_at_area(reader, vma, areas);

		if (r < 0)
			return r;
		if (++areas->n_nodes > KERNEL_MAX_MAPPINGS || depth + 2 > MAX_DEPTH)
			return -ELOOP;
		if (right)
			stack[depth++] = right;
		if (left)
			stack[depth++] = left;
	}
	return reader->error;
}

static int find_areas(const struct kernel *kernel, uint64_t inode, struct areas *areas)
{
	unsigned int before;
	int r = -EAGAIN;

	for (unsigned int i = 0; i < MAX_ATTEMPTS && (r == -EAGAIN || r == -EFAULT); i++) {
		struct reader reader = { .kernel = kernel };
		uint64_t mapping = reader_get(&reader, inode, FIELD_INODE_MAPPING);
		uint64_t root;

		before = areas->n_nodes;
		if ((int32_t)reader_get(&reader, mapping, FIELD_AS_WRITABLE) <= 0) {
			areas->n = 0;
			return reader.error;
		}
		root = reader_get(&reader, mapping, FIELD_AS_MAPPINGS);
		r = reader.error ? reader.error : walk_areas(&reader, root, areas);
		if (r == 0 && (i == 0 || areas->n_nodes != before))
			r = -EAGAIN;
	}
	return r == -EAGAIN ? -ELOOP : r;
}

static const struct holder *find_holder(const struct holders *holders, uint64_t object)
{
	size_t low = 0, high = holders->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (holders->at[middle].object < object)
			low = middle + 1;
		else
			high = middle;
	}
	return low < holders->n && holders->at[low].object == object ? &holders->at[low] : NULL;
}

int kernel_mappings_each(const struct kernel *kernel, uint64_t inode,
			 int (*visit)(const struct kernel_mapping *mapping, void *data), void *data)
{
	_cleanup_(freep) struct holder *at = NULL;
	_cleanup_(freep) struct area *area = NULL;
	struct holders holders;
	struct areas areas = { 0 };
	int r = find_areas(kernel, inode, &areas);

	area = areas.at;
	if (r < 0 || areas.n == 0)
		return r;
	r = find_holders(kernel, FIELD_TASK_MEMORY, &holders);
	if (r < 0)
		return r;
	at = holders.at;
	for (size_t i = 0; r == 0 && i < areas.n; i++) {
		const struct holder *holder = find_holder(&holders, area[i].memory);
		struct kernel_task task;

		if (holder && kernel_task_read(kernel, holder->task, &task) == 0)
			r = visit(&(struct kernel_mapping){ &task, area[i].start, area[i].end,
							    area[i].writable },
				  data);
	}
	return r;
}
