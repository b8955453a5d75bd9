/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The matrix of attempts: operation x way x view x action. A cell has a directory D of its own with one watched thing in it,
 * and beside it D~, the twin, which is the same and not watched. Each attempt is made on the twin first.
 * Results are 0 or above, or a negative errno.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum operation { /* bits */
	READ = 1 << 0,
	WRITE = 1 << 1,
	CREATE = 1 << 2,
	DELETE = 1 << 3,
	RENAME = 1 << 4,
	LINK = 1 << 5,
	SYMLINK = 1 << 6,
	TRUNCATE = 1 << 7,
	CHMOD = 1 << 8,
	CHOWN = 1 << 9,
	UTIMES = 1 << 10,
	XATTR = 1 << 11,
	ATTR_FLAGS = 1 << 12,
	MMAP_WRITE = 1 << 13,
	EXEC = 1 << 14,
	MOUNT = 1 << 15,
	COPY_UP = 1 << 16,
};
#define N_OPERATIONS 17
#define OF_NAMES \
	(CREATE | DELETE | RENAME | LINK | SYMLINK) /* those that do not follow a symbolic link */
#define OF_NOTHING (CREATE | SYMLINK) /* what is watched is a name with nothing there */

extern const char *const operation_names[N_OPERATIONS];

enum view { /* bits: by which way in the file is seen */
	LOWER = 1 << 0, /* overlay, in a layer of the image */
	UPPER = 1 << 1, /* overlay, made in the container */
	VOLUME = 1 << 2, /* bind mount of ext4 */
	TMPFS = 1 << 3,
	PLAIN = 1 << 4, /* the root is a directory of ext4 */
	MERGED = 1 << 5, /* from outside, the engine's folder */
	UPPER_DIRECT = 1 << 6, /* from outside, the layer itself */
	LOWER_DIRECT = 1 << 7,
	PROC_ROOT = 1 << 8, /* from outside, /proc/PID/root */
};
#define N_VIEWS 9
#define INSIDE (LOWER | UPPER | VOLUME | TMPFS | PLAIN)
#define OUTSIDE (MERGED | UPPER_DIRECT | LOWER_DIRECT | PROC_ROOT)
#define OVERLAYS (LOWER | UPPER | MERGED | PROC_ROOT)
#define ANY_VIEW ((1 << N_VIEWS) - 1)

extern const char *const view_names[N_VIEWS];

/* What is in a directory: enough to see any change. */
struct snapshot {
	unsigned int n;
	struct entry {
		char name[64]; /* below the directory */
		uint64_t device, inode, device_node, size, content, xattrs;
		int64_t mtime_s, mtime_ns;
		uint32_t mode, uid, gid, n_links, flags;
	} entry[16];
};

/* @contents: read the files too; else they are not opened. */
void snapshot_take(struct snapshot *snapshot, int at, const char *directory, bool contents);

/* What differs, as letters: n(ames) i(dentity) l(inks) s(ize) m(ode) o(wner) t(ime) x(attributes) f(lags) c(ontent); "-". */
void snapshot_compare(const struct snapshot *a, const struct snapshot *b, char ret_letters[16]);

/* Where an attempt is made. Routes change it, in the process that makes the attempt. */
struct place {
	const struct way *way;
	enum view view;
	bool is_twin;
	int at; /* names are looked up below @base, which is below this descriptor */
	char base[400];
	char name[64]; /* of the watched thing, below @base */
	const char *directory; /* D, as this process was started */
	const char *prefix; /* of it, where the container's root is */
	const char *holder; /* name of the process that holds what was opened before the rules */
	const char *unmount; /* after the attempt; or NULL */
	struct shared *shared;
};

struct shared { /* with the process that makes the attempt */
	int result;
	char point[32]; /* where it was decided, if it was refused before the last step */
	struct snapshot before;
};

/* Paths, relative to place->at; good for a few more calls. watched() is place->name. */
const char *below(const struct place *place, const char *name);
const char *watched(const struct place *place);
/* The same for calls that take no descriptor. */
const char *path_of(const struct place *place, const char *name);

/* What follows is the attempt: what was done until now was to prepare it. Returns 0. */
int prepared(struct place *place);
/* An unwatched file to play with. */
int make_file(const struct place *place, const char *name);
/* An access list that lets @user in; files are made with one for user 4. */
#define ACL "system.posix_acl_access"
int acl_set(const char *path, uint32_t user);
/* -errno if @value is negative, else 0. */
int result_of(long value);
/* Like that, and says that this was not yet the last step. */
int stopped_at(struct place *place, const char *point, int result);
/* Opens the watched file: a descriptor, or -errno. That is where an operation on a descriptor is judged. */
int open_watched(struct place *place, int flags);

enum way_flag {
	MAIN = 1 << 0, /* tried by every route */
	SLICE = 1 << 1, /* in the slice too */
	HELD = 1
	       << 2, /* the file is opened, and mapped if it is for mmap-write, before there are rules */
	UNTOLD = 1 << 3, /* under audit it leaves no event but the one at loading */
	OWN_MOUNT = 1 << 4, /* the watched thing is on a mount of its own, which is D/d */
	DENY_ONLY = 1 << 5, /* audit does not tell it */
	ROOTS = 1
		<< 6, /* changes the root of all: the last cell; the twin in a mount name space of its own */
};

struct way {
	enum operation operation;
	const char *name;
	const char *
		watch; /* what the rule names, below D; F is a file, d, e and p are directories, N, m are not there */
	int (*attempt)(struct place *place);
	unsigned int flags;
	long argument;
	unsigned int views; /* 0: any that the operation has */
	const char *
		told; /* what the event names, below D, several with '|'; NULL: what the rule names */
};

struct route {
	const char *name;
	int (*take)(struct place *place);
	unsigned int operations, views; /* that it makes sense for; 0: all */
	unsigned int flags; /* SLICE */
	const char *told; /* as in a way, @ for what it would be else; NULL: just that */
};

/* The tables stand at the end of the files that have the functions. */
struct way_table {
	const struct way *ways;
	unsigned int n;
};
extern const struct way_table content_ways, name_ways, metadata_ways, mount_ways;
extern const struct route routes[]; /* the first is the plain one */
extern const unsigned int n_routes;
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Why a cell cannot be tried at all where the twin fails with that errno; NULL if there is no excuse. */
const char *excuse(const struct way *way, const struct route *route, enum view view, int error);
/* Why a cell is neither refused nor told; NULL if it is. */
const char *gap(const struct way *way, const struct route *route, enum view view);
/* Why an operation has no cells in that view; NULL if it has. */
const char *out_of_scope(enum operation operation, enum view view);

/* The process that has files open from before. */
enum holder_request {
	HOLDER_GIVE = 'g', /* the descriptor, over the socket */
	HOLDER_WRITE = 'w', /* write by the descriptor */
	HOLDER_STORE = 's', /* by the mapping */
	HOLDER_TELL = 't',
};

struct holder_reply {
	int result;
	pid_t pid;
	int fd; /* in the holder */
	char *mapping;
};

/* Asks the holder named @name about its file @path. With HOLDER_GIVE, *ret_fd is the descriptor or -1. */
int holder_ask(const char *name, enum holder_request request, const char *path,
	       struct holder_reply *ret_reply, int *ret_fd);
/* Has @n files open and serves requests; does not return. Says "holding" when it is ready. */
struct held {
	char path[410];
	int flags;
	bool map;
	int fd;
	char *mapping;
};
int holder_serve(const char *name, struct held *held, unsigned int n);

/* io_uring without a library: one request, and what came of it. */
struct io_uring_sqe;
int uring_do(const struct io_uring_sqe *sqe);
/* Two, one after the other, with a kernel thread that takes them (@polled) and room for a direct descriptor. */
int uring_do_all(const struct io_uring_sqe *sqes, unsigned int n, bool polled);

#define FILE_SIZE 8192 /* of each file made: a program that does nothing, and zeros */
int program_write(int fd, uint64_t address, const char *interpreter);

bool enter_mount_space(void); /* a new one, from which nothing comes back */

/* Ways that serve several operations: opening with way->argument, hard links, renames. */
int way_open(struct place *place);
int way_truncate(struct place *place);
int way_chmod(struct place *place);
int way_chown(struct place *place);
int way_utimes(struct place *place);
int way_setxattr(struct place *place);
int way_link(struct place *place);
int way_rename(struct place *place);

#endif
