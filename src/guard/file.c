// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hooks on open files. What an open for reading costs a file that nobody watches is one look at the filter; for writing,
 * maybe_watched(): look-ups, no store, no call. Nothing hangs on reading and writing.
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
		.subject = subject_of(inode, path_dentry(file_path(file)), inode_super(inode)),
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
		.subject = subject_of(inode, path_dentry(file_path(file)), inode_super(inode)),
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

static __attribute__((noinline)) int open_special(const void *file)
{
	const void *inode = file_inode(file);
	uint64_t super = inode_super(inode);
	int r = is_device(inode_mode(inode)) ? attempt_device(file) : judge_pseudo(file);

	return !r && maybe_watched(super, inode) ? judge_open(file, false) : r;
}

static __attribute__((noinline)) int open_to_change(const void *file)
{
	return maybe_watched(inode_super(file_inode(file)), NULL) ? judge_open(file, false) : 0;
}

/* Every call in here is its last, so that an open that nobody watches saves no registers. */
static __attribute__((noinline)) int open_weighed(const void *file)
{
	const void *inode = file_inode(file);
	uint64_t super = inode_super(inode);
	uint32_t writes = file_mode(file) & FMODE_WRITE;

	if (!inode)
		__builtin_unreachable(); /* what is opened has one */
	if (unlikely(is_device(inode_mode(inode))) ||
	    (writes && unlikely(is_pseudo((const void *)super))))
		return open_special(file);
	if (unlikely(maybe_watched_for(super, inode, false)))
		return judge_open(file, false);
	/* Most patterns are for changes: what only reads need not look for them. */
	if (writes || file_flags(file) & O_TRUNC)
		return open_to_change(file);
	return 0;
}

/* As GUARD_FILTER_AT(), in two instructions. */
static uint64_t filter_at(const void *inode)
{
	typedef uint16_t __attribute__((aligned(1), may_alias)) anywhere;
	uint64_t at = *(const anywhere *)((const char *)inode_super_bytes(inode) + 1);

	/* A compiler would extend the result once more. */
	__asm__("xorw %1, %w0" : "+r"(at) : "m"(*(const uint16_t *)inode_ino_bytes(inode)) : "cc");
	return at;
}

/* Of the types of files, regular ones, links and sockets have the highest bit. */
static bool is_no_device(const void *inode)
{
	return inode_type(inode) < 0;
}

/* What f_mode says of writing is at an open what f_flags says (OPEN_FMODE()), and here both come in one test. */
static bool only_reads(const void *file)
{
	return !(opened_flags(file) & (O_WRONLY | O_RDWR | O_TRUNC));
}

int guard_file_open(void *file)
{
	const void *inode = file_inode(file);

	if (likely(is_no_device(inode)) && likely(only_reads(file)) &&
	    likely(!filter_has(vault_bytes, filter_at(inode))))
		return 0;
	return open_weighed(file);
}

/* A descriptor comes from elsewhere: over a socket, by pidfd_getfd(). */
int guard_file_receive(void *file)
{
	const void *inode = file_inode(file);

	return maybe_watched(inode_super(inode), inode) ? judge_open(file, true) : 0;
}

/* By the path, not f_inode: overlayfs maps the file below, under the path above. */
static int judge_mapping(const void *file)
{
	const void *dentry = path_dentry(file_path(file)), *inode = dentry_inode(dentry);
	struct attempt attempt = {
		.operations = GUARD_OP_MMAP_WRITE,
		.path = file_path(file),
	};

	if (!inode || !maybe_watched(inode_super(inode), inode))
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

	if (likely(!(mask & (MAY_READ | MAY_WRITE)) || !maybe_watched(inode_super(inode), inode)))
		return 0;
	attempt.subject = subject_of(inode, path_dentry(file_path(file)), inode_super(inode));
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
		.subject = subject_of(inode, path_dentry(file_path(file)), inode_super(inode)),
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
	return maybe_watched(attempt.subject.super, inode) ? judge(&attempt, NULL) : 0;
}
