// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a kernel for kexec, to be run with the words that the one which runs now was given: `systemctl kexec` then starts it.
 * usage: kexec KERNEL [INITIAL-FILE-SYSTEM]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long flags = argc == 2 ? KEXEC_FILE_NO_INITRAMFS : 0;
	int kernel = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int initrd = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	char words[4096] = "";

	if (argc < 2 || argc > 3)
		return fprintf(stderr, "usage: kexec KERNEL [INITIAL-FILE-SYSTEM]\n"), 2;
	if (fd < 0 || read(fd, words, sizeof(words) - 1) < 0)
		return perror("/proc/cmdline"), 1;
	words[strcspn(words, "\n")] = '\0';
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(words) + 1, words, flags) < 0)
		return perror("kexec_file_load"), 1;
	return 0;
}
