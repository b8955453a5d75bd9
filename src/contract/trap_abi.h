/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTRACT_TRAP_ABI_H
#define CONTRACT_TRAP_ABI_H

#include <stdint.h>

/*
 * What liboutguard-trap.so, in QEMU, and the daemon agree on. The library listens on a Unix stream socket, of which its
 * environment has the path. To whoever connects (its own user, or root; one at a time) it sends one struct trap_hello and,
 * with it, a descriptor of QEMU's userfaultfd, or says why there is none. Then it gets struct trap_range: each range of QEMU's
 * memory before it is registered with that descriptor, the start alone when it is not any more, and zeros now and then, as a sign of
 * life. When none comes for too long, or the connection ends, the library takes all these ranges back, and wakes who waits there:
 * QEMU runs on. If the connection is still there, it says so by a byte, and goes on with no ranges.
 */
#define TRAP_SOCKET_VARIABLE "OUTGUARD_TRAP_SOCKET"
#define TRAP_MAGIC 0x5041525447554f01ULL /* "\1OUGTRAP" */

#define TRAP_BEAT_MS 1000
#define TRAP_PATIENCE_MS 5000
#define TRAP_MAX_RANGES 2048

struct trap_hello {
	uint64_t magic;
	uint64_t features; /* UFFD_FEATURE_..., as they are switched on */
	int32_t error; /* 0, or a negative errno and no descriptor */
	char message[228]; /* then: a sentence with the remedy; NUL-terminated */
};

struct trap_range {
	uint64_t start, size; /* in QEMU's address space, bytes */
};

#endif
