/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUARD_ATTEMPT_H
#define GUARD_ATTEMPT_H

/*
 * What is attempted on the guest as a whole: modules, memory, devices, other processes. What is refused and reported is
 * not in the cache, but in two masks for the guest's own processes, and two for those of containers.
 */

/* A device's node is opened: 0 or -EPERM. May sleep. */
int attempt_device(const void *file);

/* ... and is given a command by ioctl. */
int attempt_command(const void *file, unsigned int command);

/* A mount(2), by its type and options as the kernel has copied them (each may be NULL); @remount: of this super block, else NULL. */
int attempt_mount(const char *type, const char *options, const void *remount);

#endif
