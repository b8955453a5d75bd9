// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/opener.h"
#include "vmm/qemu_args.h"

#define HUGE_ALIGNMENT (1ul << 30) /* suits files of huge pages, up to the largest */

/* Unused address space, aligned so that a file of huge pages can go there. NULL when there is none. */
static uint8_t *reserve(uint64_t size)
{
	uint8_t *all, *aligned, *end;

	all = mmap(NULL, size + HUGE_ALIGNMENT, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	aligned = (uint8_t *)(((uintptr_t)all + HUGE_ALIGNMENT - 1) & ~(HUGE_ALIGNMENT - 1));
	end = all + size + HUGE_ALIGNMENT;
	if (aligned > all)
		munmap(all, (size_t)(aligned - all));
	if (end > aligned + size)
		munmap(aligned + size, (size_t)(end - (aligned + size)));
	return aligned;
}

/* A line of /proc/PID/maps. */
struct mapping {
	uint64_t start, end;
	uint64_t offset; /* in the file, bytes */
	bool shared;
};

static bool parse_mapping(const char *line, struct mapping *ret)
{
	char flags[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64, &ret->start, &ret->end, flags,
		   &ret->offset) != 4)
		return false;
	ret->shared = flags[3] == 's';
	return true;
}

/* Opens the file behind QEMU's mapping: that file, not one that by now has its name. */
static int open_mapping(int pid, const struct mapping *mapping, struct error *err)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, mapping->start,
		 mapping->end);
	fd = opener_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0 && (errno == EPERM || errno == EACCES))
		return error_set(err, -errno, "%s: %m; run as root (CAP_SYS_ADMIN)", path);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", path);
	return fd;
}

/*
 * Maps what QEMU has at @mapping (from @from to @to of it) to @host, over the reservation there. -EXDEV where it is
 * private to QEMU.
 */
static int map_piece(struct block *block, int pid, const struct mapping *mapping, uint64_t from,
		     uint64_t to, uint8_t *host, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	uint64_t offset = mapping->offset + (from - mapping->start);

	if (!mapping->shared)
		return error_set(err, -EXDEV,
				 "the memory \"%s\" is private to QEMU (a memory backend without "
				 "share=on); " QEMU_ARGS_REMEDY,
				 block->id);
	fd = open_mapping(pid, mapping, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &block->file) < 0)
		return error_set(err, -errno, "file behind \"%s\": %m", block->id);
	if (mmap(host, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)offset) == MAP_FAILED)
		return error_set(err, -errno, "map \"%s\": %m", block->id);
	return 0;
}

/* Maps QEMU's memory from @start on, block->size bytes of it, piece by piece to @host. */
static int map_pieces(struct block *block, int pid, uint64_t start, uint8_t *host,
		      struct error *err)
{
	_cleanup_(fclosep) FILE *maps = NULL;
	uint64_t end = start + block->size, at = start;
	struct mapping mapping;
	char line[PATH_MAX + 128];
	int fd, r;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	fd = opener_open(line, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", line);
	maps = fdopen(fd, "r");
	if (!maps) {
		close(fd);
		return error_set(err, -ENOMEM, "out of memory");
	}
	while (at < end && fgets(line, sizeof(line), maps)) {
		uint64_t to;

		if (!parse_mapping(line, &mapping) || mapping.end <= at)
			continue;
		if (mapping.start > at)
			break;
		to = mapping.end < end ? mapping.end : end;
		r = map_piece(block, pid, &mapping, at, to, host + (at - start), err);
		if (r < 0)
			return r;
		at = to;
	}
	if (at < end)
		return error_set(err, -ENXIO,
				 "process %d, which made the QMP socket, has no memory \"%s\": it "
				 "is not the QEMU that runs the VM; give a -qmp socket that QEMU "
				 "itself makes",
				 pid, block->id);
	return 0;
}

int block_map(struct block *block, int pid, uint64_t start, struct error *err)
{
	uint8_t *host = reserve(block->size);
	int r;

	if (!host)
		return error_set(err, -ENOMEM, "no address space for the %" PRIu64 " bytes of %s",
				 block->size, block->id);
	r = map_pieces(block, pid, start, host, err);
	if (r < 0) {
		munmap(host, block->size);
		return r;
	}
	block->host = host;
	return 0;
}

void block_deinit(struct block *block)
{
	if (block->host)
		munmap(block->host, block->size);
	free(block->id);
}
