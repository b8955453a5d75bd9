// SPDX-License-Identifier: GPL-2.0-or-later
#include "arm/promises.h"

#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

static const struct {
	const char *hook, *without;
} promises[] = {
	{ "sb_delete", "entries outlive their file system, and may fall on a later one" },
	{ "sb_pivotroot", "containers are guarded only some seconds after their start" },
	{ "path_chroot", "containers that enter their root by chroot are guarded only some seconds "
			 "after their start" },
	{ "sb_mount", "mount(2) can hide guarded files" },
	{ "move_mount", "move_mount(2) can hide guarded files" },
	{ "sb_umount", "unmounting is neither refused nor told" },
	{ "inode_create", "creating files is neither refused nor told" },
	{ "inode_mkdir", "creating directories is neither refused nor told" },
	{ "inode_mknod", "creating devices and pipes is neither refused nor told" },
	{ "inode_symlink", "creating symbolic links is neither refused nor told" },
	{ "inode_link", "hard links are neither refused nor told" },
	{ "inode_unlink", "deleting files is neither refused nor told, nor is a file that comes in "
			  "a deleted one's place watched" },
	{ "inode_rmdir", "deleting directories is neither refused nor told" },
	{ "inode_rename", "renaming is neither refused nor told, nor is a file that comes in a "
			  "renamed one's place watched" },
	{ "inode_setattr", "changes of mode, owner, times and size are neither refused nor told" },
	{ "inode_setxattr", "setting extended attributes is neither refused nor told" },
	{ "inode_removexattr", "removing extended attributes is neither refused nor told" },
	{ "inode_set_acl", "setting access lists is neither refused nor told" },
	{ "inode_remove_acl", "removing access lists is neither refused nor told" },
	{ "inode_copy_up", "files that an overlay copies up are not followed to their copies" },
	{ "file_ioctl", "changes of file attributes by ioctl are neither refused nor told" },
	{ "file_ioctl_compat", "changes of file attributes by 32-bit ioctl are neither refused nor "
			       "told" },
	{ "mmap_file", "writing by shared mappings is not told, nor refused for a descriptor that "
		       "was open before" },
	{ "file_mprotect", "mappings made writable later are neither refused nor told" },
	{ "file_receive", "descriptors that come over a socket are neither refused nor told" },
	{ "locked_down", "the kernel's memory, ports, MSRs, PCI configuration and kprobes can be "
			 "reached without being told" },
	{ "kernel_read_file", "loading modules and kexec are neither refused nor told" },
	{ "kernel_load_data", "loading modules and kexec from memory are neither refused nor "
			      "told" },
	{ "bpf_prog", "BPF programs that change what the kernel does are neither refused nor "
		      "told" },
	{ "ptrace_access_check", "tracing runtimes and other containers is neither refused nor "
				 "told" },
	{ "task_prctl", "a process that takes another's program for its own by prctl() is neither "
			"refused nor told" },
	{ "fs_context_parse_param", "a control group's release agent that is named by fsconfig(2) "
				    "is "
				    "neither refused nor told" },
	{ "file_open", "reading, writing and running are neither refused nor told" },
	{ "shepherd", "containers that run when the guard comes are not guarded, nor is it noticed "
		      "that system calls enter the kernel elsewhere" },
};

const char *promise_without(const char *hook)
{
	for (size_t i = 0; i < ARRAY_SIZE(promises); i++) {
		if (strcmp(promises[i].hook, hook) == 0)
			return promises[i].without;
	}
	return "what it is for is neither refused nor told";
}

/*
 * inode_set_acl and inode_remove_acl: Linux 72b3897e7828 (v6.2); file_ioctl_compat: f1bb47a31dff (v6.8, and stable kernels);
 * bpf_prog where there is CONFIG_BPF_SYSCALL.
 */
static const struct {
	const char *hook, *because;
} needless[] = {
	{ "inode_set_acl", "access lists pass inode_setxattr" },
	{ "inode_remove_acl", "access lists pass inode_removexattr" },
	{ "file_ioctl_compat", "32-bit ioctls pass file_ioctl" },
	{ "bpf_prog", "there is no BPF in it" },
};

const char *promise_needless(const char *hook)
{
	for (size_t i = 0; i < ARRAY_SIZE(needless); i++) {
		if (strcmp(needless[i].hook, hook) == 0)
			return needless[i].because;
	}
	return "others are called instead";
}
