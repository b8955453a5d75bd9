// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Code in the guest's kernel that takes away what the guard stands on: a stock kernel's module, built by lab/module. It does so once,
 * when it is loaded, and waits until it is put back; both in the guest's own time.
 *
 *	insmod unguard.ko how=hook	file_open is as if no guard had been there
 *	insmod unguard.ko how=window	a page-table entry of the vault's, where a small policy has nothing
 *	insmod unguard.ko how=beside	the word beside the hook's, with the value that it has: no harm
 *
 * /sys/module/unguard/parameters: store_ns, how long the store itself took; back_ns, how long it was in force (0: it was not
 * put back in three seconds).
 */
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/lsm_hooks.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

static char *how = "hook";
module_param(how, charp, 0444);
static ulong store_ns, back_ns;
module_param(store_ns, ulong, 0444);
module_param(back_ns, ulong, 0444);

#define PATIENCE_NS (3ULL * NSEC_PER_SEC)
#define WINDOW_END 0xffffffffc0000000UL /* of the kernel image's own GiB */

/* kallsyms_lookup_name() is not for modules, but a probe finds it. */
static unsigned long (*lookup)(const char *name);

static int find_lookup(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	int r = register_kprobe(&probe);

	if (r < 0)
		return r;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

/* What is written, and where: read-only data, page tables and code alike, by their physical page. */
struct change {
	unsigned long address;
	u8 bytes[8];
	size_t size;
};

static phys_addr_t physical(unsigned long address)
{
	unsigned int level;
	pte_t *(*walk)(unsigned long, unsigned int *) = (void *)lookup("lookup_address");
	pte_t *pte = walk ? walk(address, &level) : NULL;
	unsigned long size;

	if (!pte)
		return 0;
	size = level == PG_LEVEL_2M ? PMD_SIZE : level == PG_LEVEL_1G ? PUD_SIZE : PAGE_SIZE;
	return ((pte_val(*pte) & PTE_PFN_MASK) & ~(size - 1)) | (address & (size - 1));
}

static bool is_back(const u8 *at, const u8 *before, size_t size)
{
	return memcmp((const void *)at, before, size) == 0;
}

static int make(const struct change *change, bool wait)
{
	phys_addr_t pa = physical(change->address);
	struct page *page = pa ? pfn_to_page(pa >> PAGE_SHIFT) : NULL;
	u8 before[8], *at, *map = page ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;
	u64 start, stored;

	if (!map)
		return -ENOMEM;
	at = map + (pa & ~PAGE_MASK);
	memcpy(before, at, change->size);
	start = ktime_get_ns();
	if (change->size == 8)
		WRITE_ONCE(*(u64 *)at, *(const u64 *)change->bytes);
	else
		memcpy(at, change->bytes, change->size);
	stored = ktime_get_ns();
	store_ns = stored - start;
	while (wait && !is_back(at, before, change->size) && ktime_get_ns() - stored < PATIENCE_NS)
		cond_resched();
	back_ns = wait && is_back(at, before, change->size) ? ktime_get_ns() - stored : 0;
	vunmap(map);
	return 0;
}

static void set_word(struct change *change, unsigned long address, u64 value)
{
	change->address = address;
	change->size = 8;
	memcpy(change->bytes, &value, 8);
}

#if !__has_include(<linux/lsm_count.h>) /* Linux 6.11 and older: lists */
static int find_hook(struct change *change)
{
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");
	struct hlist_node **link;

	if (!heads || hlist_empty(&heads->file_open))
		return -ENOENT;
	/* The last one. */
	for (link = &heads->file_open.first; (*link)->next;)
		link = &(*link)->next;
	set_word(change, (unsigned long)link, 0);
	return 0;
}
#else /* calls in the text */
static int find_hook(struct change *change)
{
	static const u8 returns_0[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };
	unsigned long text = lookup("security_file_open"), end = lookup("_end"), at;

	for (at = text; text && at < text + 1024; at++) {
		unsigned long target = at + 5 + *(s32 *)(at + 1);

		if (*(u8 *)at != 0xe8 || target < end || target >= WINDOW_END)
			continue;
		change->address = at;
		change->size = sizeof(returns_0);
		memcpy(change->bytes, returns_0, sizeof(returns_0));
		return 0;
	}
	return -ENOENT;
}
#endif

/* The last entry but one that leads to what is no RAM, and is read-only. */
static int find_window(struct change *change)
{
	u64 *table = (void *)lookup("level2_kernel_pgt");
	int i, seen = 0;

	for (i = 511; table && i >= 0; i--) {
		u64 entry = table[i];

		if (!(entry & _PAGE_PRESENT) || (entry & _PAGE_RW) || !(entry & _PAGE_PSE) ||
		    pfn_valid((entry & PTE_PFN_MASK) >> PAGE_SHIFT) || ++seen < 2)
			continue;
		set_word(change, (unsigned long)&table[i], 0);
		return 0;
	}
	return -ENOENT;
}

static int find_beside(struct change *change)
{
	int r = find_hook(change);
	unsigned long beside = (change->address & ~7UL) ^ 32;

	if (r == 0)
		set_word(change, beside, *(u64 *)beside);
	return r;
}

static int __init unguard(void)
{
	struct change change = { 0 };
	bool beside = !strcmp(how, "beside");
	int r = find_lookup();

	if (r == 0)
		r = beside		     ? find_beside(&change)
		    : !strcmp(how, "window") ? find_window(&change)
					     : find_hook(&change);
	if (r == 0)
		r = make(&change, !beside);
	return r;
}

static void __exit leave(void)
{
}

module_init(unguard);
module_exit(leave);
MODULE_DESCRIPTION("takes away what outguard's guard stands on, for its tests");
MODULE_LICENSE("GPL");
