/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_YAML_H
#define POLICY_YAML_H

#include <stddef.h>

#include "util/error.h"

/*
 * The safe part of YAML: one document of texts, lists and mappings, as a tree in which every node knows
 * its place in the file. Refused, with the place: anchors and aliases, tags, further documents, keys
 * that are not plain texts or come twice, deep nesting, bytes that are not UTF-8, and characters that
 * an editor may hide from the reader (controls, odd line ends, changes of writing direction).
 */

#define YAML_MAX_DEPTH 8 /* lists and mappings inside one another */
#define YAML_MAX_KEYS 64 /* in one mapping */

enum yaml_kind {
	YAML_TEXT,
	YAML_LIST,
	YAML_MAP,
};

struct yaml_node {
	enum yaml_kind kind;
	unsigned int line, column; /* from 1; columns are characters */
	char *text; /* YAML_TEXT: UTF-8 in one line, "" where the file has nothing */
	struct yaml_node *key; /* in a YAML_MAP: what stands before the colon, a YAML_TEXT */
	struct yaml_node *first; /* of a YAML_LIST or YAML_MAP, in the order of the file */
	struct yaml_node *next;
	size_t n; /* of these */
};

/*
 * Reads @size bytes of @text. On error the message is "SOURCE:LINE:COLUMN: what is wrong; what would be
 * right" (-EINVAL), or that memory is short (-ENOMEM). The tree is the caller's.
 */
int yaml_node_read(struct yaml_node **ret, const char *text, size_t size, const char *source,
		   struct error *err);

/* Frees the node and what is below it, not what follows it. Accepts NULL. Returns NULL. */
struct yaml_node *yaml_node_free(struct yaml_node *node);

/* The value that the mapping has for @key, or NULL. */
const struct yaml_node *yaml_node_get(const struct yaml_node *map, const char *key);

#endif
