/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ARM_GUARD_OBJECT_H
#define ARM_GUARD_OBJECT_H

#include <stddef.h>

/* The guard (src/guard), built as one relocatable object and carried in the program. */
extern const unsigned char guard_object[];
extern const size_t guard_object_size;

#endif
