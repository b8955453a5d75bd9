/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNCHANGED_TREE_H
#define UNCHANGED_TREE_H

#include <stdio.h>

/* Prints what is at and below @name in @dir: type, mode, owner, size, links, content, target, attributes. Sorted by name. */
void tree_list(FILE *to, int dir, const char *name, const char *path);

/* Removes @name in @dir and what is below, whatever its attributes are. 0 or -1. */
int tree_remove(int dir, const char *name);

#endif
