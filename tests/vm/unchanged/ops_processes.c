// SPDX-License-Identifier: GPL-2.0-or-later
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ops.h"

/* --- programs ----------------------------------------------------------------------------------------------------------- */

#define PROGRAM_BASE 0x400000

/* A whole program: it exits with its effective uid plus a number, modulo 256. */
struct program {
	Elf64_Ehdr header;
	Elf64_Phdr load, stack;
	unsigned char code[28];
};

static struct program make_program(uint32_t number)
{
	struct program program = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_entry = PROGRAM_BASE + offsetof(struct program, code),
			    .e_phoff = offsetof(struct program, load),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 2 },
		.load = { .p_type = PT_LOAD,
			  .p_flags = PF_R | PF_X,
			  .p_vaddr = PROGRAM_BASE,
			  .p_filesz = sizeof(program),
			  .p_memsz = sizeof(program),
			  .p_align = BLOCK },
		.stack = { .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W },
		.code = { 0xb8, 107,  0, 0, 0, /* mov $geteuid, %eax */
			  0x0f, 0x05, /* syscall */
			  0x89, 0xc7, /* mov %eax, %edi */
			  0x81, 0xc7, 0, 0, 0, 0, /* add $number, %edi */
			  0xb8, 60,   0, 0, 0, /* mov $exit, %eax */
			  0x0f, 0x05 }, /* syscall */
	};

	memcpy(program.code + 11, &number, sizeof(number));
	return program;
}

static void write_program(struct worker *w, const char *name, mode_t mode)
{
	struct program program = make_program(pick(w, 100));
	const void *bytes = &program;
	size_t size = sizeof(program);
	char script[64];
	int fd;

	switch (pick(w, 5)) {
	case 0:
		size = snprintf(script, sizeof(script), "#!./%s\n", own_name(w, 'x', 3));
		bytes = script;
		break;
	case 1:
		size = chance(w, 50) ? 40 : 0;
		break;
	}
	unlink(name);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	tell(w, "open", opened(fd), "%s, to be run", name);
	if (fd < 0)
		return;
	tell(w, "write", write(fd, bytes, size), "a program, %zu", size);
	tell(w, "fchmod", fchmod(fd, mode), "%#o", mode);
	if (chance(w, 10)) /* not runnable while it is open for writing */
		keep_fd(w, fd);
	else
		close(fd);
}

static const char *name_to_run;

static void run_name(struct worker *w)
{
	char *const arguments[] = { (char *)"x", NULL }, *const environment[] = { NULL };

	tell(w, "execve", execve(name_to_run, arguments, environment), "%s", name_to_run);
	_exit(255);
}

static void run_descriptor(struct worker *w)
{
	char *const arguments[] = { (char *)"x", NULL }, *const environment[] = { NULL };
	int fd = open(name_to_run, O_PATH | O_CLOEXEC);

	tell(w, "execveat", syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH),
	     "%s by descriptor", name_to_run);
	_exit(255);
}

static void op_exec(struct worker *w)
{
	static const mode_t modes[] = { 0755, 0755, 0755, 04755, 0700, 0644, 0711 };

	name_to_run = own_name(w, 'x', 3);
	if (chance(w, 70))
		write_program(w, name_to_run, pick_one(w, modes));
	in_child(w, "run", chance(w, 70) ? run_name : run_descriptor);
}

/* --- other roots, other credentials ----------------------------------------------------------------------------------------- */

static void some_files(struct worker *w, const char *below)
{
	char path[64];
	int fd;

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%sf%u", below, pick(w, 6));
		fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK, 0644);
		tell(w, "open", opened(fd), "%s", path);
		if (fd >= 0)
			tell(w, "write", write(fd, "some\n", 5), "5");
		close(fd);
	}
	snprintf(path, sizeof(path), "%sd%u", below, pick(w, 3));
	tell(w, "mkdir", mkdir(path, 0755), "%s", path);
	tell(w, "unlink", unlink(path), "%s", path);
}

static void in_other_root(struct worker *w)
{
	const char *root = own_name(w, 'd', 3);

	if (tell(w, "chroot", chroot(root), "%s", root) < 0)
		return;
	tell(w, "open", opened(open("/../../no-way-out", O_RDONLY)), "/../..");
	tell(w, "chdir", chdir("/"), "/");
	some_files(w, "/");
}

static void op_chroot(struct worker *w)
{
	in_child(w, "other root", in_other_root);
}

static void as_nobody(struct worker *w)
{
	if (tell(w, "setresgid", setresgid(NOBODY, NOBODY, NOBODY), "%d", NOBODY) < 0 ||
	    tell(w, "setresuid", setresuid(NOBODY, NOBODY, NOBODY), "%d", NOBODY) < 0)
		return;
	for (int i = 0; i < 6; i++) {
		const char *name = any_name(w), *to = any_name(w);
		int fd;

		switch (pick(w, 4)) {
		case 0:
			fd = open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0644);
			tell(w, "open", opened(fd), "nobody: %s", name);
			close(fd);
			break;
		case 1:
			tell(w, "rename", rename(name, to), "nobody: %s, %s", name, to);
			break;
		case 2:
			tell(w, "unlink", unlink(name), "nobody: %s", name);
			break;
		default:
			tell(w, "chmod", chmod(name, 0777), "nobody: %s", name);
			break;
		}
	}
}

static void op_nobody(struct worker *w)
{
	in_child(w, "as nobody", as_nobody);
}

/* Root for all but file systems, for a moment. */
static void op_effective(struct worker *w)
{
	const char *name = any_name(w);
	uid_t uid = geteuid();
	int fd;

	if (uid != 0)
		return;
	tell(w, "seteuid", seteuid(1002), "1002");
	fd = open(name, O_RDWR | O_NONBLOCK);
	tell(w, "open", opened(fd), "%s", name);
	keep_fd(w, fd);
	tell(w, "chmod", chmod(name, 0700), "%s", name);
	tell(w, "seteuid", seteuid(0), "0");
}

/* --- mounts, in a name space of their own ------------------------------------------------------------------------------------ */

static void write_map(struct worker *w, const char *name, const char *text)
{
	int fd = openat(w->proc, name, O_WRONLY);

	tell(w, "write", write(fd, text, strlen(text)), "%s", name);
	close(fd);
}

static void become_own_root(struct worker *w)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (tell(w, "unshare", unshare(CLONE_NEWUSER), "user") < 0)
		return;
	write_map(w, "self/setgroups", "deny");
	write_map(w, "self/uid_map", uids);
	write_map(w, "self/gid_map", gids);
}

static bool enter_own_mounts(struct worker *w)
{
	if (geteuid() != 0)
		become_own_root(w);
	if (tell(w, "unshare", unshare(CLONE_NEWNS), "mounts") < 0)
		return false;
	return tell(w, "mount", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private") == 0;
}

#define TMPFS_BLOCKS 256 /* size=1m */

/* Inodes in use, and blocks: what is left behind would show. */
static void told_usage(struct worker *w, const char *root)
{
	struct statfs fs = { 0 };
	int result = statfs(root, &fs);

	if (fs.f_blocks != TMPFS_BLOCKS) /* another file system, which others use too */
		return;
	tell(w, "statfs", result, "%llu inodes, %llu blocks in use",
	     (unsigned long long)(fs.f_files - fs.f_ffree),
	     (unsigned long long)(fs.f_blocks - fs.f_bfree));
}

static void use_mounted(struct worker *w, const char *root)
{
	char path[64], to[64];
	const char *name = own_name(w, 'f', 6);
	int fd;

	snprintf(path, sizeof(path), "%s/", root);
	some_files(w, path);
	snprintf(to, sizeof(to), "%s/f0", root);
	tell(w, "rename", rename(name, to), "%s, %s", name, to);
	tell(w, "link", link(to, name), "%s, %s", to, name);
	fd = open(to, O_RDONLY);
	tell(w, "umount", umount(root), "%s, while f0 is %s", root, fd < 0 ? "closed" : "open");
	close(fd);
	told_usage(w, root);
}

static void use_read_only(struct worker *w, const char *root)
{
	char path[64];

	tell(w, "mount", mount(NULL, root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL),
	     "%s, read-only", root);
	snprintf(path, sizeof(path), "%s/", root);
	some_files(w, path);
	tell(w, "chmod", chmod(path, 0700), "%s", path);
	tell(w, "statfs", 0, "after read-only");
}

static void mount_tmpfs(struct worker *w, const char *at)
{
	tell(w, "mkdir", mkdir(at, 0755), "%s", at);
	if (tell(w, "mount", mount("outguard", at, "tmpfs", 0, "size=1m,nr_inodes=100"),
		 "tmpfs, %s", at) < 0)
		return;
	use_mounted(w, at);
	if (chance(w, 50))
		use_read_only(w, at);
	tell(w, "umount", umount(at), "%s", at);
}

static void mount_bind(struct worker *w, const char *from, const char *at)
{
	tell(w, "mkdir", mkdir(at, 0755), "%s", at);
	if (tell(w, "mount", mount(from, at, NULL, MS_BIND, NULL), "bind %s, %s", from, at) < 0)
		return;
	tell(w, "rmdir", rmdir(at), "%s, a mount point", at);
	use_read_only(w, at);
	if (chance(w, 50))
		tell(w, "umount", umount2(at, MNT_DETACH), "%s", at);
}

static void mount_moved(struct worker *w, const char *from, const char *at)
{
	int fd = syscall(SYS_open_tree, AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	tell(w, "open_tree", opened(fd), "%s", from);
	tell(w, "mkdir", mkdir(at, 0755), "%s", at);
	tell(w, "move_mount",
	     syscall(SYS_move_mount, fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH), "%s", at);
	close(fd);
	tell(w, "umount", umount2(at, UMOUNT_NOFOLLOW), "%s", at);
}

static void new_root(struct worker *w, const char *at)
{
	char old[64];

	tell(w, "mkdir", mkdir(at, 0755), "%s", at);
	if (tell(w, "mount", mount("outguard", at, "tmpfs", 0, "size=1m"), "tmpfs, %s", at) < 0)
		return;
	snprintf(old, sizeof(old), "%s/old", at);
	tell(w, "mkdir", mkdir(old, 0755), "%s", old);
	if (tell(w, "pivot_root", syscall(SYS_pivot_root, at, old), "%s, %s", at, old) < 0)
		return;
	tell(w, "chdir", chdir("/"), "/");
	tell(w, "umount", umount2("/old", MNT_DETACH), "/old");
	some_files(w, "/");
	told_usage(w, "/");
}

static void with_own_mounts(struct worker *w)
{
	const char *at = own_name(w, 'm', 1), *from = own_name(w, 'd', 3);

	if (!enter_own_mounts(w))
		return;
	switch (pick(w, 4)) {
	case 0:
		mount_tmpfs(w, at);
		break;
	case 1:
		mount_bind(w, from, at);
		break;
	case 2:
		mount_moved(w, from, at);
		break;
	default:
		new_root(w, at);
		break;
	}
}

static void op_mounts(struct worker *w)
{
	const char *at = own_name(w, 'm', 1);

	in_child(w, "own mounts", with_own_mounts);
	tell(w, "rmdir", rmdir(at), "%s", at);
}

const struct op ops_processes[] = {
	{ op_exec, 6, false },	    { op_chroot, 2, false }, { op_nobody, 2, false },
	{ op_effective, 3, false }, { op_mounts, 4, false }, { 0 },
};
