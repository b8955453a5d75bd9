// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine below the file systems: ports, registers, PCI, other kernels, disks without their block layer. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/nvme_ioctl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool.h"

static int io_privilege(int n, char **args)
{
	(void)n, (void)args;
	if (iopl(3) < 0)
		return fail("iopl");
	outb(0x42, 0x80); /* the POST port: nothing listens */
	return 0;
}

static int io_permission(int n, char **args)
{
	(void)n, (void)args;
	if (ioperm(0xcf8, 8, 1) < 0)
		return fail("ioperm");
	/* PCI configuration, past the kernel: the vendor of 00:01.0. */
	outl(0x80000800, 0xcf8);
	return printf("%08x\n", inl(0xcfc)) < 0;
}

/* msr-write REGISTER: what it holds is written back. */
static int msr_write(int n, char **args)
{
	int fd = open("/dev/cpu/0/msr", O_RDWR | O_CLOEXEC);
	off_t at = strtol(args[0], NULL, 0);
	uint64_t value;

	(void)n;
	if (fd < 0)
		return fail("open of /dev/cpu/0/msr");
	if (pread(fd, &value, 8, at) != 8 || pwrite(fd, &value, 8, at) != 8)
		return fail("read, write");
	return 0;
}

/* read-write FILE OFFSET: opens it for both, and writes back what is there. */
static int write_back(int n, char **args)
{
	int fd = open(args[0], O_RDWR | O_CLOEXEC);
	off_t at = strtoll(args[1], NULL, 0);
	char byte;

	(void)n;
	if (fd < 0)
		return fail("open");
	if (pread(fd, &byte, 1, at) != 1)
		return fail("read");
	return pwrite(fd, &byte, 1, at) == 1 ? 0 : fail("write");
}

/* map FILE OFFSET SIZE [VALUE]: maps a device's memory; prints the first word, stores VALUE there, prints it again. */
static int map_device(int n, char **args)
{
	off_t at = strtoll(args[1], NULL, 0);
	size_t size = strtoul(args[2], NULL, 0);
	int fd = open(args[0], (n > 3 ? O_RDWR : O_RDONLY) | O_SYNC | O_CLOEXEC);
	volatile uint64_t *word;

	if (fd < 0)
		return fail("open");
	word = mmap(NULL, size, PROT_READ | (n > 3 ? PROT_WRITE : 0), MAP_SHARED, fd, at);
	if (word == MAP_FAILED)
		return fail("mmap");
	printf("%016llx\n", (unsigned long long)*word);
	if (n > 3) {
		*word = strtoull(args[3], NULL, 0);
		printf("%016llx\n", (unsigned long long)*word);
	}
	return 0;
}

/* scribble FILE SIZE: all of a device's memory but its first page is overwritten, 64 bytes of each 2 KiB. */
static int scribble(int n, char **args)
{
	size_t size = strtoul(args[1], NULL, 0);
	int fd = open(args[0], O_RDWR | O_CLOEXEC);
	unsigned char *memory =
		fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned int seed = 1;

	(void)n;
	if (memory == MAP_FAILED)
		return fail("open, mmap");
	for (size_t at = 0; at < size; at += 2048)
		for (size_t i = 0; i < 64; i++)
			memory[at + i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
	return 0;
}

static int kexec_load_(int n, char **args)
{
	static char code[4096] = { '\xf4' };
	struct {
		void *buffer;
		size_t size;
		unsigned long at;
		size_t room;
	} segment = { code, sizeof(code), 0x1000000, sizeof(code) };

	(void)n, (void)args;
	if (syscall(SYS_kexec_load, 0x1000000, 1, &segment, KEXEC_ARCH_DEFAULT) < 0)
		return fail("kexec_load");
	return 0;
}

static int kexec_file(int n, char **args)
{
	int fd = open(args[0], O_RDONLY | O_CLOEXEC);

	(void)n;
	if (fd < 0)
		return fail("open");
	return syscall(SYS_kexec_file_load, fd, -1, 2UL, "x", KEXEC_FILE_NO_INITRAMFS) < 0
		       ? fail("kexec_file_load")
		       : 0;
}

static int kexec_unload(int n, char **args)
{
	(void)n, (void)args;
	return syscall(SYS_kexec_load, 0, 0, NULL, KEXEC_ARCH_DEFAULT) < 0 ? fail("kexec_load") : 0;
}

/* nvme-write DEVICE BLOCK: 4 KiB from byte BLOCK*4096 on, by a command that no block layer sees. */
static int nvme_write(int n, char **args)
{
	static char block[4096] __attribute__((aligned(4096))) = "defaced\n";
	uint64_t at = strtoull(args[1], NULL, 0) * 8;
	struct nvme_passthru_cmd command = { .opcode = 1,
					     .nsid = 1,
					     .addr = (uintptr_t)block,
					     .data_len = 4096,
					     .cdw10 = (uint32_t)at,
					     .cdw11 = (uint32_t)(at >> 32),
					     .cdw12 = 7 };
	int fd = open(args[0], O_RDWR | O_CLOEXEC);

	(void)n;
	if (fd < 0)
		return fail("open");
	return ioctl(fd, NVME_IOCTL_IO_CMD, &command) ? fail("NVME_IOCTL_IO_CMD") : 0;
}

/* perf-probe FUNCTION: a kprobe by perf_event_open(2). */
static int perf_probe(int n, char **args)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .kprobe_func = (uintptr_t)args[0] };
	FILE *type = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int fd;

	(void)n;
	if (!type || fscanf(type, "%u", &attr.type) != 1)
		return fail("no kprobes by perf");
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? fail("perf_event_open") : 0;
}

/* block-of FILE: where its first block is on the disk. */
static int block_of(int n, char **args)
{
	int fd = open(args[0], O_RDONLY | O_CLOEXEC), block = 0;

	(void)n;
	if (fd < 0 || fsync(fd) < 0 || ioctl(fd, FIBMAP, &block) < 0)
		return fail("FIBMAP");
	return printf("%d\n", block) < 0;
}

/* write-block DISK BLOCK: past the file system and the page cache. */
static int write_block(int n, char **args)
{
	static char block[4096] __attribute__((aligned(4096))) = "defaced\n";
	int fd = open(args[0], O_WRONLY | O_DIRECT | O_CLOEXEC);

	(void)n;
	if (fd < 0)
		return fail("open");
	return pwrite(fd, block, 4096, strtoll(args[1], NULL, 0) * 4096) == 4096 ? 0
										 : fail("write");
}

static int read_block(int n, char **args)
{
	static char block[4096] __attribute__((aligned(4096)));
	int fd = open(args[0], O_RDONLY | O_DIRECT | O_CLOEXEC);

	(void)n;
	if (fd < 0 || pread(fd, block, 4096, strtoll(args[1], NULL, 0) * 4096) != 4096)
		return fail("open, read");
	return write(1, block, strnlen(block, 4096)) < 0;
}

const struct verb machine_verbs[] = {
	{ "iopl", 0, io_privilege },
	{ "ioperm", 0, io_permission },
	{ "msr-write", 1, msr_write },
	{ "write-back", 2, write_back },
	{ "map", 3, map_device },
	{ "scribble", 2, scribble },
	{ "kexec-load", 0, kexec_load_ },
	{ "kexec-file", 1, kexec_file },
	{ "kexec-unload", 0, kexec_unload },
	{ "nvme-write", 2, nvme_write },
	{ "perf-probe", 1, perf_probe },
	{ "block-of", 1, block_of },
	{ "write-block", 2, write_block },
	{ "read-block", 2, read_block },
	{ NULL, 0, NULL },
};
