// SPDX-License-Identifier: GPL-2.0-or-later
/* What the ways have in common: names, descriptors, results. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "matrix.h"

const char *const operation_names[N_OPERATIONS] = {
	"read",	      "write",	    "create", "delete", "rename",  "link",
	"symlink",    "truncate",   "chmod",  "chown",	"utimes",  "xattr",
	"attr-flags", "mmap-write", "exec",   "mount",	"copy-up",
};

const char *const view_names[N_VIEWS] = {
	"lower",  "upper",	  "volume",	  "tmpfs",     "plain",
	"merged", "upper-direct", "lower-direct", "proc-root",
};

/* Some buffers in turn: no way needs more names at once. */
static char *next_buffer(void)
{
	static char buffers[8][600];
	static unsigned int next;

	return buffers[next++ % 8];
}

const char *below(const struct place *place, const char *name)
{
	char *path = next_buffer();

	snprintf(path, 600, "%s/%s", place->base, name);
	return path;
}

const char *watched(const struct place *place)
{
	return below(place, place->name);
}

const char *path_of(const struct place *place, const char *name)
{
	char *path;

	if (place->at == AT_FDCWD)
		return below(place, name);
	path = next_buffer();
	snprintf(path, 600, "/proc/self/fd/%d/%s/%s", place->at, place->base, name);
	return path;
}

int prepared(struct place *place)
{
	snapshot_take(&place->shared->before, place->at, place->base,
		      place->way->operation != READ);
	return 0;
}

int result_of(long value)
{
	return value < 0 ? -errno : 0;
}

int stopped_at(struct place *place, const char *point, int result)
{
	snprintf(place->shared->point, sizeof(place->shared->point), "%s", point);
	return result;
}

/* So that any change shows, however fast. */
static const struct timespec long_ago[2] = { { 1, 0 }, { 1, 0 } };

int make_file(const struct place *place, const char *name)
{
	int fd = openat(place->at, below(place, name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (fd < 0)
		return -errno;
	if (program_write(fd, 0x400000, NULL) < 0 || futimens(fd, long_ago) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

int acl_set(const char *path, uint32_t user)
{
	/* version 2; owner rwx, user rwx, group r, mask rwx, others r-x */
	const struct {
		uint32_t version;
		struct {
			uint16_t tag, permissions;
			uint32_t id;
		} entry[5];
	} acl = {
		2, { { 1, 7, -1U }, { 2, 7, user }, { 4, 4, -1U }, { 16, 7, -1U }, { 32, 5, -1U } }
	};

	return result_of(setxattr(path, ACL, &acl, sizeof(acl), 0));
}

int open_watched(struct place *place, int flags)
{
	int fd = openat(place->at, watched(place), flags, 0644);

	return fd < 0 ? stopped_at(place, "open", -errno) : fd;
}

/* A program that ends at once: exit(0), 9 bytes; or, with an interpreter, hands that the work. */
int program_write(int fd, uint64_t address, const char *interpreter)
{
	static const unsigned char code[] = { 0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05 };
	struct image {
		Elf64_Ehdr header;
		Elf64_Phdr segment[2];
		unsigned char code[16];
		char interpreter[256];
	} image = {
		.header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_phoff = sizeof(Elf64_Ehdr),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = interpreter ? 2 : 1 },
		.segment = { { .p_type = PT_LOAD,
			       .p_flags = PF_R | PF_X,
			       .p_vaddr = address,
			       .p_filesz = 4096,
			       .p_memsz = 4096,
			       .p_align = 4096 },
			     { .p_type = PT_INTERP,
			       .p_offset = offsetof(struct image, interpreter) } },
	};

	image.header.e_entry = address + offsetof(struct image, code);
	memcpy(image.code, code, sizeof(code));
	if (interpreter) {
		image.segment[1].p_filesz = strlen(interpreter) + 1;
		snprintf(image.interpreter, sizeof(image.interpreter), "%s", interpreter);
	}
	if (pwrite(fd, &image, sizeof(image), 0) != sizeof(image))
		return -EIO;
	return result_of(ftruncate(fd, FILE_SIZE));
}
