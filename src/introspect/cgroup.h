/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef INTROSPECT_CGROUP_H
#define INTROSPECT_CGROUP_H

#include "introspect/reader.h"

/* The kernfs node of the task's cgroup on the unified hierarchy. */
uint64_t cgroup_node(struct reader *reader, uint64_t task);

#endif
