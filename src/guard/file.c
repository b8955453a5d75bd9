// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hooks on open files. What an open for reading costs a file that nobody watches is one look at the filter; for writing,
 * one for each directory above it. Nothing hangs on reading and writing.
 */
#include "guard/attempt.h"
#include "guard/judge.h"

/* include/uapi/linux/fs.h, fs/ext4/ext4.h; the last with the 32-bit long of i386 */
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820
#define FS_IOC_ENABLE_VERITY 0x40806685
#define FS_IOC_SETVERSION 0x40087602
#define FS_IOC32_SETVERSION 0x40047602
#define EXT4_IOC_SETVERSION 0x40086604
#define EXT4_IOC32_SETVERSION 0x40046604
#define EXT4_IOC_SWAP_BOOT 0x6611

static uint32_t operations_of(const void *file)
{
	uint32_t mode = file_mode(file), operations = 0;

	if (file_flags(file) & FMODE_EXEC)
		return GUARD_OP_EXEC;
	if (mode & FMODE_READ)
		operations |= GUARD_OP_READ;
	if (mode & FMODE_WRITE)
		operations |= GUARD_OP_WRITE;
	/* Now: overlayfs opens, and copies up without the content, before the file is truncated. */
	if (file_flags(file) & O_TRUNC && !(mode & FMODE_CREATED))
		operations |= GUARD_OP_TRUNCATE;
	return operations;
}

/*
 * A file that overlayfs opens below one of its own. What is written may be the upper layer of a container, under another
 * overlay. What is read is judged by identity only: from a layer, whose files are watched by name, another container's overlay
 * reads what is its own.
 */
static __attribute__((noinline)) int judge_backing(struct attempt *attempt)
{
	void *alias = NULL;
	int r;

	if (attempt->operations & GUARD_OP_WRITE)
		alias = d_find_any_alias((void *)attempt->subject.inode);
	attempt->subject.dentry = alias;
	r = judge(attempt, NULL);
	dput(alias);
	return r;
}

static __attribute__((noinline)) int judge_open(const void *file, bool passed)
{
	const void *inode = file_inode(file);
	struct attempt attempt = {
		.subject = subject_of(inode, file_dentry(file), inode_super(inode)),
		.operations = operations_of(file),
		.path = file_path(file),
		.passed = passed,
	};

	if (is_backing_file(file))
		return judge_backing(&attempt);
	return judge(&attempt, NULL);
}

/* Whatever name space it is mounted in: the kernel's own switches. */
static __attribute__((noinline)) int judge_pseudo(const void *file)
{
	const void *inode = file_inode(file);
	struct attempt attempt = {
		.subject = subject_of(inode, file_dentry(file), inode_super(inode)),
		.operations = GUARD_OP_WRITE,
		.path = file_path(file),
	};

	attempt.subject.pseudo = true;
	return judge(&attempt, NULL);
}

/* A character or block device: nothing else has this bit without those. */
static bool is_device(uint16_t mode)
{
	return (mode & (S_IFCHR | 0110000)) == S_IFCHR;
}

/* May names below, or patterns anywhere on its super block, or its own entry say something of a file that overlayfs opens below? */
static bool backing_maybe_watched(const void *inode)
{
	uint64_t super = inode_super(inode), table = READ_ONCE(vault.table);

	return filter_has_file(inode) || has_bases(table, super, true) ||
	       READ_ONCE(vault.table) != table;
}

static __attribute__((noinline)) int open_below(const void *file)
{
	return backing_maybe_watched(file_inode(file)) && !is_judged_above()
		       ? judge_open(file, false)
		       : 0;
}

static __attribute__((noinline)) int open_to_change(const void *file)
{
	if (unlikely(is_backing_file(file)))
		return open_below(file);
	return maybe_watched(file_inode(file), file_dentry(file)) ? judge_open(file, false) : 0;
}

/* What overlayfs reads below is judged by identity only. */
static __attribute__((noinline)) int open_to_read(const void *file)
{
	const void *inode = file_inode(file);

	if (!is_in_force(inode_super(inode), inode_ino(inode)) &&
	    (is_backing_file(file) || !may_concern_reading(file_dentry(file))))
		return 0;
	return judge_open(file, false);
}

static __attribute__((noinline)) int open_special(const void *file)
{
	int r = is_device(inode_mode(file_inode(file))) ? attempt_device(file) : judge_pseudo(file);

	return r ? r : open_to_change(file);
}

/* Every call in here is its last, so that an open that nobody watches saves no registers. */
static __attribute__((noinline)) int open_weighed(const void *file)
{
	const void *inode = file_inode(file);
	uint64_t super = inode_super(inode);
	uint32_t mode = file_mode(file), writes = mode & FMODE_WRITE;

	if (!inode)
		__builtin_unreachable(); /* what is opened has one */
	if ((unlikely(!(mode & FMODE_ATOMIC_POS)) && is_device(inode_mode(inode))) ||
	    (writes && unlikely(is_pseudo((const void *)super))))
		return open_special(file);
	if (writes || file_flags(file) & O_TRUNC)
		return open_to_change(file);
	return unlikely(maybe_watched_for_reading(super, inode)) ? open_to_read(file) : 0;
}

/*
 * What f_mode says and what the filter says come in one comparison, and what is left of it is 0 and returned: of eight instructions
 * there is none to spare. That the file is truncated f_mode does not say yet.
 */
int guard_file_open(void *file)
{
	uint32_t word = filter_word(vault_bytes, inode_ino_low(file_inode(file)));
	bool passes;

	__asm__("subw %2, %w0"
		: "+r"(word), "=@ccz"(passes)
		: "m"(*(const uint16_t *)file_mode_bytes(file)));
	if (likely(passes) && likely(!(opened_flags(file) & O_TRUNC)))
		return (int)word;
	return open_weighed(file);
}

/* A descriptor comes from elsewhere: over a socket, by pidfd_getfd(). */
int guard_file_receive(void *file)
{
	const void *inode = file_inode(file);
	bool maybe = is_backing_file(file) ? backing_maybe_watched(inode) && !is_judged_above()
					   : maybe_watched(inode, file_dentry(file));

	return maybe ? judge_open(file, true) : 0;
}

/* By the path, not f_inode: overlayfs maps the file below, under the path above. */
static int judge_mapping(const void *file)
{
	const void *dentry = file_dentry(file), *inode = dentry_inode(dentry);
	struct attempt attempt = {
		.operations = GUARD_OP_MMAP_WRITE,
		.path = file_path(file),
	};

	if (!inode || !maybe_watched(inode, dentry))
		return 0;
	attempt.subject = subject_of(inode, dentry, inode_super(inode));
	return judge(&attempt, NULL);
}

int guard_mmap_file(void *file, unsigned long requested, unsigned long protection,
		    unsigned long flags)
{
	unsigned long type = flags & MAP_TYPE;

	(void)requested;
	if (likely(!file || !(protection & PROT_WRITE) ||
		   (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)))
		return 0;
	return judge_mapping(file);
}

int guard_file_mprotect(void *vma, unsigned long requested, unsigned long protection)
{
	const void *file = vma_file(vma);

	(void)requested;
	if (likely(!file || !(protection & PROT_WRITE) ||
		   (vma_flags(vma) & (VM_SHARED | VM_WRITE)) != VM_SHARED))
		return 0;
	return judge_mapping(file);
}

/*
 * Only for `trap: every-access`, which is there to be measured against: each read and write of a watched file goes to the host
 * and back, and every other pays for being looked up.
 */
int guard_file_permission(void *file, int mask)
{
	const void *inode = file_inode(file);
	struct attempt attempt = {
		.operations = mask & MAY_WRITE ? GUARD_OP_WRITE : GUARD_OP_READ,
		.path = file_path(file),
		.waits = true,
	};

	if (likely(!(mask & (MAY_READ | MAY_WRITE)) || !maybe_watched(inode, file_dentry(file))))
		return 0;
	attempt.subject = subject_of(inode, file_dentry(file), inode_super(inode));
	return judge(&attempt, NULL);
}

/* Changes who the file is, or what it holds, behind its name. */
static bool strips_identity(unsigned int command)
{
	return command == FS_IOC_SETVERSION || command == FS_IOC32_SETVERSION ||
	       command == EXT4_IOC_SETVERSION || command == EXT4_IOC32_SETVERSION ||
	       command == EXT4_IOC_SWAP_BOOT;
}

int guard_file_ioctl(void *file, unsigned int command, unsigned long argument)
{
	const void *inode = file_inode(file);
	struct attempt attempt = {
		.subject = subject_of(inode, file_dentry(file), inode_super(inode)),
		.operations = GUARD_OP_ATTR_FLAGS,
		.path = file_path(file),
		.strips_identity = strips_identity(command),
	};

	(void)argument;
	if (unlikely(is_device(inode_mode(inode))))
		return attempt_command(file, command);
	if (likely(!attempt.strips_identity && command != FS_IOC_SETFLAGS &&
		   command != FS_IOC32_SETFLAGS && command != FS_IOC_FSSETXATTR &&
		   command != FS_IOC_ENABLE_VERITY))
		return 0;
	return maybe_watched(inode, attempt.subject.dentry) ? judge(&attempt, NULL) : 0;
}
