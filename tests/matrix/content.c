// SPDX-License-Identifier: GPL-2.0-or-later
/* Ways to what is in a file: reading, writing, truncating, mapping, running it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "matrix.h"

#define PATCH "changed" /* written at PATCH_AT: as much as a test needs */
#define PATCH_SIZE 7
#define PATCH_AT 4096

/* Uses a descriptor as it was opened: what comes of it is what comes of the attempt. */
static int use(struct place *place, int fd)
{
	char byte;

	if (fd < 0)
		return stopped_at(place, "open", -errno);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return result_of(pread(fd, &byte, 1, 0));
	return result_of(pwrite(fd, PATCH, PATCH_SIZE, PATCH_AT));
}

/* --- opening ------------------------------------------------------------------------------------------------------------- */

int way_open(struct place *place)
{
	return use(place, openat(place->at, watched(place), (int)place->way->argument, 0644));
}

static int way_open_old(struct place *place)
{
	return use(place, syscall(SYS_open, watched(place), place->way->argument, 0644));
}

static int way_creat(struct place *place)
{
	return use(place, syscall(SYS_creat, watched(place), 0644));
}

static struct open_how how_of(const struct place *place)
{
	uint64_t flags = place->way->argument;

	return (struct open_how){ .flags = flags, .mode = flags & O_CREAT ? 0644 : 0 };
}

static int way_openat2(struct place *place)
{
	struct open_how how = how_of(place);

	return use(place, syscall(SYS_openat2, place->at, watched(place), &how, sizeof(how)));
}

static int way_openat2_in_root(struct place *place)
{
	struct open_how how = how_of(place);
	int directory = openat(place->at, place->base, O_PATH | O_DIRECTORY);

	how.resolve = RESOLVE_IN_ROOT;
	return use(place, syscall(SYS_openat2, directory, place->name, &how, sizeof(how)));
}

/* What only names the file is opened again by /proc. */
static int way_reopen(struct place *place)
{
	char path[32];
	int fd = openat(place->at, watched(place), O_PATH);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return use(place, open(path, (int)place->way->argument));
}

/* Another process has it open for reading. */
static int way_reopen_of_another(struct place *place)
{
	int fd = openat(place->at, watched(place), O_PATH), result;
	char path[48];
	pid_t other = fork();

	if (other == 0) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", other, fd);
	result = use(place, open(path, (int)place->way->argument));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return result;
}

union handle {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int way_handle(struct place *place)
{
	union handle of = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount_id, mount = openat(place->at, place->base, O_RDONLY | O_DIRECTORY);

	if (name_to_handle_at(place->at, watched(place), &of.handle, &mount_id, 0) < 0)
		return stopped_at(place, "name_to_handle_at", -errno);
	return use(place, open_by_handle_at(mount, &of.handle, (int)place->way->argument));
}

/* The file of the layer below, by its inode number and any mount of the disk: here, the volume. */
static int way_handle_of_layer(struct place *place)
{
	union handle of = { .handle = { .handle_bytes = 8, .handle_type = 1 } };
	char volume[256];
	struct stat st;
	uint32_t inode;
	int mount;

	if (fstatat(place->at, watched(place), &st, 0) < 0)
		return -errno;
	inode = st.st_ino; /* and generation 0, which is any */
	memcpy(of.handle.f_handle, &inode, sizeof(inode));
	/* /w/ACTION/VIEW/D */
	snprintf(volume, sizeof(volume), "%s", place->directory);
	*strrchr(volume, '/') = '\0';
	strcpy(strrchr(volume, '/'), "/volume");
	mount = open(volume, O_RDONLY | O_DIRECTORY);
	return use(place, open_by_handle_at(mount, &of.handle, (int)place->way->argument));
}

/* --- io_uring ------------------------------------------------------------------------------------------------------------ */

static struct io_uring_sqe open_request(const struct place *place)
{
	return (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
				      .fd = place->at,
				      .len = 0644,
				      .addr = (uintptr_t)watched(place),
				      .open_flags = (uint32_t)place->way->argument };
}

static int use_uring(struct place *place, int fd)
{
	return fd < 0 ? stopped_at(place, "open", fd) : use(place, fd);
}

static int way_uring_openat(struct place *place)
{
	struct io_uring_sqe sqe = open_request(place);

	return use_uring(place, uring_do(&sqe));
}

static int way_uring_openat_polled(struct place *place)
{
	struct io_uring_sqe sqe = open_request(place);

	return use_uring(place, uring_do_all(&sqe, 1, true));
}

/* In a worker thread of the kernel's. */
static int way_uring_openat_async(struct place *place)
{
	struct io_uring_sqe sqe = open_request(place);

	sqe.flags = IOSQE_ASYNC;
	return use_uring(place, uring_do(&sqe));
}

static int way_uring_openat2(struct place *place)
{
	struct open_how how = how_of(place);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT2,
				    .fd = place->at,
				    .addr = (uintptr_t)watched(place),
				    .len = sizeof(how),
				    .off = (uintptr_t)&how };

	return use_uring(place, uring_do(&sqe));
}

/* The descriptor never is one of the process's. */
static int way_uring_direct(struct place *place)
{
	struct io_uring_sqe sqes[2] = { open_request(place) };
	int result;

	sqes[0].file_index = 1;
	sqes[1] = (struct io_uring_sqe){ .opcode = IORING_OP_WRITE,
					 .flags = IOSQE_FIXED_FILE,
					 .fd = 0,
					 .addr = (uintptr_t)PATCH,
					 .len = PATCH_SIZE,
					 .off = PATCH_AT };
	result = uring_do_all(sqes, 2, false);
	return result < 0 ? stopped_at(place, "open", result) : 0;
}

static int way_uring_write(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE,
				    .fd = fd,
				    .len = PATCH_SIZE,
				    .addr = (uintptr_t)PATCH,
				    .off = PATCH_AT };

	return fd < 0 ? fd : uring_do(&sqe);
}

static int way_uring_fallocate(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_FALLOCATE,
				    .fd = fd,
				    .addr = 4096,
				    .len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };

	return fd < 0 ? fd : uring_do(&sqe);
}

static int way_uring_ftruncate(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	struct io_uring_sqe sqe = { .opcode = 55 /* IORING_OP_FTRUNCATE, 6.9 */,
				    .fd = fd,
				    .off = 4096 };

	return fd < 0 ? fd : uring_do(&sqe);
}

/* A pipe with PATCH in it: its reading end. */
static int full_pipe(void)
{
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], PATCH, PATCH_SIZE) != PATCH_SIZE)
		return -1;
	close(ends[1]);
	return ends[0];
}

static int way_uring_splice(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_SPLICE,
				    .fd = fd,
				    .off = PATCH_AT,
				    .splice_fd_in = full_pipe(),
				    .splice_off_in = (uint64_t)-1,
				    .len = PATCH_SIZE };

	return fd < 0 ? fd : uring_do(&sqe);
}

/* --- with a descriptor --------------------------------------------------------------------------------------------------- */

static int way_splice_out(struct place *place)
{
	int fd = open_watched(place, O_RDONLY), ends[2];

	if (fd < 0 || pipe(ends) < 0)
		return fd;
	return result_of(splice(fd, NULL, ends[1], NULL, 512, 0));
}

static int way_splice_in(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	off_t offset = PATCH_AT;

	return fd < 0 ? fd : result_of(splice(full_pipe(), NULL, fd, &offset, PATCH_SIZE, 0));
}

static int way_tee_in(struct place *place)
{
	int fd = open_watched(place, O_WRONLY), ends[2];
	off_t offset = PATCH_AT;

	if (fd < 0 || pipe(ends) < 0)
		return fd;
	if (tee(full_pipe(), ends[1], PATCH_SIZE, 0) != PATCH_SIZE)
		return -errno;
	return result_of(splice(ends[0], NULL, fd, &offset, PATCH_SIZE, 0));
}

static int way_vmsplice_in(struct place *place)
{
	int fd = open_watched(place, O_WRONLY), ends[2];
	struct iovec patch = { (void *)(uintptr_t)PATCH, PATCH_SIZE };
	off_t offset = PATCH_AT;

	if (fd < 0 || pipe(ends) < 0)
		return fd;
	if (vmsplice(ends[1], &patch, 1, 0) != PATCH_SIZE)
		return -errno;
	return result_of(splice(ends[0], NULL, fd, &offset, PATCH_SIZE, 0));
}

static int way_sendfile_out(struct place *place)
{
	int fd = open_watched(place, O_RDONLY), ends[2];

	if (fd < 0 || pipe(ends) < 0)
		return fd;
	return result_of(sendfile(ends[1], fd, NULL, 512));
}

/* Another file, not watched, as the other end. */
static int other_file(struct place *place)
{
	int fd = make_file(place, "X");

	prepared(place);
	return fd;
}

static int way_sendfile_in(struct place *place)
{
	int from = other_file(place), fd = open_watched(place, O_WRONLY);

	return fd < 0 ? fd : result_of(sendfile(fd, from, NULL, 512));
}

static int way_copy_out(struct place *place)
{
	int to = other_file(place), fd = open_watched(place, O_RDONLY);
	off_t offset = 4096;

	return fd < 0 ? fd : result_of(copy_file_range(fd, NULL, to, &offset, 512, 0));
}

static int way_copy_in(struct place *place)
{
	int from = other_file(place), fd = open_watched(place, O_WRONLY);
	off_t offset = 4096;

	return fd < 0 ? fd : result_of(copy_file_range(from, NULL, fd, &offset, 512, 0));
}

static int way_ficlone(struct place *place)
{
	int from = other_file(place), fd = open_watched(place, O_WRONLY);

	return fd < 0 ? fd : result_of(ioctl(fd, FICLONE, from));
}

static int way_ficlonerange(struct place *place)
{
	struct file_clone_range range = { .src_fd = other_file(place), .src_length = 4096 };
	int fd = open_watched(place, O_WRONLY);

	return fd < 0 ? fd : result_of(ioctl(fd, FICLONERANGE, &range));
}

static int way_fideduperange(struct place *place)
{
	int from = other_file(place), fd = open_watched(place, O_RDWR);
	union {
		struct file_dedupe_range range;
		char room[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
	} of = { .range = { .src_length = 4096, .dest_count = 1 } };

	of.range.info[0].dest_fd = fd;
	if (fd < 0)
		return fd;
	return ioctl(from, FIDEDUPERANGE, &of) < 0 ? -errno : of.range.info[0].status;
}

static int way_fallocate(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);

	return fd < 0 ? fd : result_of(fallocate(fd, (int)place->way->argument, 0, 4096));
}

static int way_aio(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);
	struct iocb request = { .aio_lio_opcode = IOCB_CMD_PWRITE,
				.aio_fildes = fd,
				.aio_buf = (uintptr_t)PATCH,
				.aio_nbytes = PATCH_SIZE,
				.aio_offset = PATCH_AT };
	struct iocb *requests[] = { &request };
	struct io_event event;
	aio_context_t context = 0;

	if (fd < 0)
		return fd;
	if (syscall(SYS_io_setup, 1, &context) < 0 ||
	    syscall(SYS_io_submit, context, 1, requests) != 1 ||
	    syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
		return -errno;
	return (int)event.res;
}

/* The kernel itself appends a record of each process that ends. */
static int way_acct(struct place *place)
{
	pid_t pid;

	if (acct(path_of(place, place->name)) < 0)
		return stopped_at(place, "open", -errno);
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return result_of(acct(NULL));
}

/* --- truncating ---------------------------------------------------------------------------------------------------------- */

int way_truncate(struct place *place)
{
	return result_of(truncate(path_of(place, place->name), place->way->argument));
}

static int way_ftruncate(struct place *place)
{
	int fd = open_watched(place, O_WRONLY);

	return fd < 0 ? fd : result_of(ftruncate(fd, 100));
}

/* --- what somebody else opened ------------------------------------------------------------------------------------------- */

static int ask(struct place *place, enum holder_request request, struct holder_reply *reply,
	       int *fd)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", place->directory, place->name);
	return holder_ask(place->holder, request, path, reply, fd);
}

static int way_sent(struct place *place)
{
	struct holder_reply reply;
	int fd = -1, result = ask(place, HOLDER_GIVE, &reply, &fd);

	if (result < 0)
		return result;
	return fd < 0 ? stopped_at(place, "recvmsg", -EPERM) : use(place, fd);
}

static int way_pidfd_getfd(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_TELL, &reply, NULL), fd;

	if (result < 0)
		return result;
	fd = syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, reply.pid, 0), reply.fd, 0);
	return fd < 0 ? stopped_at(place, "pidfd_getfd", -errno) : use(place, fd);
}

static int way_held_reopened(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_TELL, &reply, NULL);
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", reply.pid, reply.fd);
	return result < 0 ? result : use(place, open(path, (int)place->way->argument));
}

static int way_held_write(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_WRITE, &reply, NULL);

	return result < 0 ? result : reply.result;
}

static int way_held_store(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_STORE, &reply, NULL);

	return result < 0 ? result : reply.result;
}

static int write_into(pid_t pid, char *mapping)
{
	struct iovec from = { (void *)(uintptr_t)PATCH, PATCH_SIZE };
	struct iovec to = { mapping + PATCH_AT, PATCH_SIZE };

	return result_of(process_vm_writev(pid, &from, 1, &to, 1, 0));
}

static int poke_into(pid_t pid, char *mapping)
{
	int result, status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		return -errno;
	waitpid(pid, &status, __WALL);
	result = result_of(ptrace(PTRACE_POKEDATA, pid, mapping + PATCH_AT, 0x636261));
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return result;
}

static int way_held_vm_writev(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_TELL, &reply, NULL);

	return result < 0 ? result : write_into(reply.pid, reply.mapping);
}

static int way_held_poke(struct place *place)
{
	struct holder_reply reply;
	int result = ask(place, HOLDER_TELL, &reply, NULL);

	return result < 0 ? result : poke_into(reply.pid, reply.mapping);
}

/* --- mapping ------------------------------------------------------------------------------------------------------------- */

static char *map(struct place *place, int open_flags, int protection, int flags)
{
	int fd = open_watched(place, open_flags);
	char *mapping = fd < 0 ? MAP_FAILED : mmap(NULL, FILE_SIZE, protection, flags, fd, 0);

	if (fd >= 0 && mapping == MAP_FAILED)
		stopped_at(place, "mmap", 0);
	return mapping;
}

static int way_mmap(struct place *place)
{
	char *mapping = map(place, O_RDWR, PROT_READ | PROT_WRITE, (int)place->way->argument);

	if (mapping == MAP_FAILED)
		return -errno;
	memcpy(mapping + PATCH_AT, PATCH, PATCH_SIZE);
	return 0;
}

static int way_mmap_read(struct place *place)
{
	return map(place, O_RDONLY, PROT_READ, (int)place->way->argument) == MAP_FAILED ? -errno
											: 0;
}

/* Not before mprotect is the mapping one for writing; the argument is the number of the call. */
static int way_mprotect(struct place *place)
{
	char *mapping = map(place, O_RDWR, PROT_READ, MAP_SHARED);

	if (mapping == MAP_FAILED)
		return -errno;
	if (syscall(place->way->argument, mapping, FILE_SIZE, PROT_READ | PROT_WRITE, -1) < 0)
		return stopped_at(place, "mprotect", -errno);
	memcpy(mapping + PATCH_AT, PATCH, PATCH_SIZE);
	return 0;
}

/* Another process maps it, and is written into from this one. */
static int into_another(struct place *place, int protection, int (*write_to)(pid_t, char *))
{
	char *mapping = map(place, O_RDWR, protection, MAP_SHARED);
	int result, error = errno;
	pid_t other;

	if (mapping == MAP_FAILED)
		return -error;
	other = fork();
	if (other == 0)
		for (;;)
			pause();
	munmap(mapping, FILE_SIZE);
	result = write_to(other, mapping);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return result;
}

static int way_vm_writev(struct place *place)
{
	return into_another(place, PROT_READ | PROT_WRITE, write_into);
}

static int way_poke(struct place *place)
{
	return into_another(place, PROT_READ | PROT_WRITE, poke_into);
}

static int way_poke_read_only(struct place *place)
{
	return into_another(place, PROT_READ, poke_into);
}

/* --- running ------------------------------------------------------------------------------------------------------------- */

static char *const no_words[] = { (char *)(uintptr_t) "F", NULL };

/* If it works, nothing comes back, and the result is as it was before the attempt: 0. */
static int way_execve(struct place *place)
{
	return result_of(execve(path_of(place, place->name), no_words, NULL));
}

static int way_execveat(struct place *place)
{
	int directory = openat(place->at, place->base, O_PATH | O_DIRECTORY);

	return result_of(syscall(SYS_execveat, directory, place->name, no_words, NULL, 0));
}

static int way_fexecve(struct place *place)
{
	int fd = openat(place->at, watched(place), O_PATH);

	return result_of(syscall(SYS_execveat, fd, "", no_words, NULL, AT_EMPTY_PATH));
}

static int way_exec_reopened(struct place *place)
{
	char path[32];
	int fd = openat(place->at, watched(place), O_PATH);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return result_of(execve(path, no_words, NULL));
}

/* #! or PT_INTERP, whose name is short */
static int way_exec_interpreter(struct place *place)
{
	bool script = place->way->argument;
	int fd = make_file(place, "X");
	const char *interpreter = path_of(place, place->name);

	if (fd < 0)
		return fd;
	if (script && (ftruncate(fd, 0) < 0 || pwrite(fd, "#!", 2, 0) != 2 ||
		       pwrite(fd, interpreter, strlen(interpreter), 2) < 0))
		return -errno;
	if (!script && program_write(fd, 0x800000, interpreter) < 0)
		return -errno;
	close(fd); /* what is open for writing cannot be run */
	prepared(place);
	return result_of(execve(path_of(place, "X"), no_words, NULL));
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

static const struct way table[] = {
	{ READ, "openat", "F", way_open, MAIN | SLICE, O_RDONLY },
	{ READ, "open", "F", way_open_old, 0, O_RDONLY },
	{ READ, "O_RDWR", "F", way_open, 0, O_RDWR },
	{ READ, "openat2", "F", way_openat2, 0, O_RDONLY },
	{ READ, "openat2 RESOLVE_IN_ROOT", "F", way_openat2_in_root, 0, O_RDONLY },
	{ READ, "/proc/self/fd reopened", "F", way_reopen, 0, O_RDONLY },
	{ READ, "/proc/PID/fd reopened", "F", way_reopen_of_another, 0, O_RDONLY },
	{ READ, "open_by_handle_at", "F", way_handle, 0, O_RDONLY },
	{ READ, "open_by_handle_at, of the layer's file", "F", way_handle_of_layer, 0, O_RDONLY,
	  LOWER | UPPER },
	{ READ, "io_uring OPENAT", "F", way_uring_openat, SLICE, O_RDONLY },
	{ READ, "io_uring OPENAT, SQPOLL", "F", way_uring_openat_polled, 0, O_RDONLY },
	{ READ, "io_uring OPENAT, worker", "F", way_uring_openat_async, 0, O_RDONLY },
	{ READ, "io_uring OPENAT2", "F", way_uring_openat2, 0, O_RDONLY },
	{ READ, "splice", "F", way_splice_out },
	{ READ, "sendfile", "F", way_sendfile_out },
	{ READ, "copy_file_range", "F", way_copy_out },
	{ READ, "mmap", "F", way_mmap_read, 0, MAP_PRIVATE },
	{ READ, "execve", "F", way_execve },
	{ READ, "received over a socket", "F", way_sent, HELD | UNTOLD },
	{ READ, "pidfd_getfd", "F", way_pidfd_getfd, HELD | UNTOLD },

	{ WRITE, "openat", "F", way_open, MAIN | SLICE, O_WRONLY },
	{ WRITE, "open", "F", way_open_old, 0, O_WRONLY },
	{ WRITE, "creat", "F", way_creat },
	{ WRITE, "O_RDWR", "F", way_open, 0, O_RDWR },
	{ WRITE, "O_APPEND", "F", way_open, 0, O_WRONLY | O_APPEND },
	{ WRITE, "O_TRUNC", "F", way_open, SLICE, O_WRONLY | O_TRUNC },
	{ WRITE, "O_RDONLY | O_TRUNC", "F", way_open, 0, O_RDONLY | O_TRUNC },
	{ WRITE, "O_CREAT", "F", way_open, 0, O_WRONLY | O_CREAT },
	{ WRITE, "O_CREAT, nothing there", "N", way_open, SLICE, O_WRONLY | O_CREAT },
	{ WRITE, "openat2", "F", way_openat2, 0, O_WRONLY },
	{ WRITE, "openat2 RESOLVE_IN_ROOT", "F", way_openat2_in_root, 0, O_WRONLY },
	{ WRITE, "/proc/self/fd reopened", "F", way_reopen, 0, O_WRONLY },
	{ WRITE, "/proc/PID/fd reopened", "F", way_reopen_of_another, 0, O_WRONLY },
	{ WRITE, "open_by_handle_at", "F", way_handle, 0, O_WRONLY },
	{ WRITE, "open_by_handle_at, of the layer's file", "F", way_handle_of_layer, 0, O_WRONLY,
	  LOWER | UPPER },
	{ WRITE, "io_uring OPENAT", "F", way_uring_openat, SLICE, O_WRONLY },
	{ WRITE, "io_uring OPENAT, SQPOLL", "F", way_uring_openat_polled, 0, O_WRONLY },
	{ WRITE, "io_uring OPENAT, worker", "F", way_uring_openat_async, 0, O_WRONLY },
	{ WRITE, "io_uring OPENAT, direct descriptor", "F", way_uring_direct, 0, O_WRONLY },
	{ WRITE, "io_uring OPENAT2", "F", way_uring_openat2, 0, O_WRONLY },
	{ WRITE, "io_uring WRITE", "F", way_uring_write },
	{ WRITE, "io_uring FALLOCATE", "F", way_uring_fallocate },
	{ WRITE, "io_uring SPLICE", "F", way_uring_splice },
	{ WRITE, "splice", "F", way_splice_in },
	{ WRITE, "tee", "F", way_tee_in },
	{ WRITE, "vmsplice", "F", way_vmsplice_in },
	{ WRITE, "sendfile", "F", way_sendfile_in },
	{ WRITE, "copy_file_range", "F", way_copy_in },
	{ WRITE, "FICLONE", "F", way_ficlone },
	{ WRITE, "FICLONERANGE", "F", way_ficlonerange },
	{ WRITE, "FIDEDUPERANGE", "F", way_fideduperange },
	{ WRITE, "fallocate", "F", way_fallocate, 0, FALLOC_FL_KEEP_SIZE },
	{ WRITE, "fallocate punch hole", "F", way_fallocate, 0,
	  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	{ WRITE, "fallocate collapse range", "F", way_fallocate, 0, FALLOC_FL_COLLAPSE_RANGE },
	{ WRITE, "fallocate insert range", "F", way_fallocate, 0, FALLOC_FL_INSERT_RANGE },
	{ WRITE, "fallocate zero range", "F", way_fallocate, 0, FALLOC_FL_ZERO_RANGE },
	{ WRITE, "aio", "F", way_aio },
	{ WRITE, "acct", "F", way_acct },
	{ WRITE, "truncate", "F", way_truncate, 0, 100 },
	{ WRITE, "mmap shared", "F", way_mmap, 0, MAP_SHARED },
	{ WRITE, "received over a socket", "F", way_sent, HELD | UNTOLD | SLICE },
	{ WRITE, "pidfd_getfd", "F", way_pidfd_getfd, HELD | UNTOLD },
	{ WRITE, "/proc/PID/fd reopened, from before the rule", "F", way_held_reopened, HELD,
	  O_WRONLY },
	{ WRITE, "open from before the rule", "F", way_held_write, HELD | SLICE },

	{ TRUNCATE, "truncate", "F", way_truncate, MAIN | SLICE, 100 },
	{ TRUNCATE, "truncate to the same size", "F", way_truncate, 0, FILE_SIZE },
	{ TRUNCATE, "truncate to more", "F", way_truncate, 0, 2 * FILE_SIZE },
	{ TRUNCATE, "ftruncate", "F", way_ftruncate },
	{ TRUNCATE, "O_TRUNC", "F", way_open, SLICE, O_WRONLY | O_TRUNC },
	{ TRUNCATE, "O_RDONLY | O_TRUNC", "F", way_open, 0, O_RDONLY | O_TRUNC },
	{ TRUNCATE, "creat", "F", way_creat },
	{ TRUNCATE, "openat2 O_TRUNC", "F", way_openat2, 0, O_WRONLY | O_TRUNC },
	{ TRUNCATE, "io_uring OPENAT O_TRUNC", "F", way_uring_openat, 0, O_WRONLY | O_TRUNC },
	{ TRUNCATE, "io_uring FTRUNCATE", "F", way_uring_ftruncate },

	{ MMAP_WRITE, "mmap", "F", way_mmap, MAIN | SLICE, MAP_SHARED },
	{ MMAP_WRITE, "mmap MAP_SHARED_VALIDATE", "F", way_mmap, 0, MAP_SHARED_VALIDATE },
	{ MMAP_WRITE, "mprotect", "F", way_mprotect, SLICE, SYS_mprotect },
	{ MMAP_WRITE, "pkey_mprotect", "F", way_mprotect, 0, SYS_pkey_mprotect },
	{ MMAP_WRITE, "process_vm_writev", "F", way_vm_writev },
	{ MMAP_WRITE, "ptrace", "F", way_poke },
	{ MMAP_WRITE, "ptrace, mapped for reading", "F", way_poke_read_only },
	{ MMAP_WRITE, "mapped from before the rule", "F", way_held_store, HELD | UNTOLD },
	{ MMAP_WRITE, "process_vm_writev, mapped from before", "F", way_held_vm_writev,
	  HELD | UNTOLD },
	{ MMAP_WRITE, "ptrace, mapped from before", "F", way_held_poke, HELD | UNTOLD },

	{ EXEC, "execve", "F", way_execve, MAIN | SLICE },
	{ EXEC, "execveat", "F", way_execveat },
	{ EXEC, "execveat AT_EMPTY_PATH", "F", way_fexecve },
	{ EXEC, "/proc/self/fd", "F", way_exec_reopened },
	{ EXEC, "as #! interpreter", "F", way_exec_interpreter, SLICE, true },
	{ EXEC, "as ELF interpreter", "F", way_exec_interpreter, 0, false },

	{ COPY_UP, "open for writing", "F", way_open, MAIN | SLICE, O_WRONLY },
	{ COPY_UP, "open for reading and writing", "F", way_open, 0, O_RDWR },
	{ COPY_UP, "truncate", "F", way_truncate, 0, 100 },
	{ COPY_UP, "chmod", "F", way_chmod },
	{ COPY_UP, "chown", "F", way_chown },
	{ COPY_UP, "utimes", "F", way_utimes },
	{ COPY_UP, "setxattr", "F", way_setxattr },
	{ COPY_UP, "link", "F", way_link },
	{ COPY_UP, "rename", "F", way_rename },
};
const struct way_table content_ways = { table, LENGTH(table) };
