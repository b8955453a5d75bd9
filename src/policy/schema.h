/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef POLICY_SCHEMA_H
#define POLICY_SCHEMA_H

#include <stddef.h>

#include "policy/yaml.h"
#include "util/error.h"

/*
 * What a node of the file must look like, and how to say that it does not. All functions return 0 (or
 * what they promise) or a negative errno with the message set.
 */
struct schema {
	const char *source;
	struct error *err;
	char where[112]; /* the rule that is being read: `rules[2] "name": `, or "" */
};

/* "SOURCE:LINE:COLUMN: WHERE: message". The message is "what is wrong; what would be right". */
int schema_refuse(struct schema *schema, const struct yaml_node *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int schema_no_memory(struct schema *schema);

/* The text in a length fit for a message: schema_quote(text).text, in a printf's arguments. */
struct schema_quote {
	char text[72];
} schema_quote(const char *text);

/* One key that a mapping may have. */
struct schema_key {
	const char *name;
	const char *missing; /* what to write where the key must be there and is not, or NULL */
	int (*read)(struct schema *schema, const struct yaml_node *value, void *object);
};

/* Reads a mapping that has no keys but these, in the order of the file; values are never empty. */
int schema_read_map(struct schema *schema, const struct yaml_node *node,
		    const struct schema_key keys[], size_t n_keys, void *object);

/* Calls @one for each text of a list, or for the text that stands where a list could. */
int schema_each(struct schema *schema, const struct yaml_node *node,
		int (*one)(struct schema *schema, const struct yaml_node *text, void *object),
		void *object);

/* The list's texts, each of which has passed @check, as an array of the caller's. */
int schema_read_texts(struct schema *schema, const struct yaml_node *node,
		      int (*check)(struct schema *schema, const struct yaml_node *text),
		      char ***ret_texts, size_t *ret_n);

/* Frees such an array. Accepts NULL. Returns NULL. */
char **schema_texts_free(char **texts, size_t n);

/* The node's own text, where no list will do; NULL with the error set if it is none. */
const char *schema_text(struct schema *schema, const struct yaml_node *node);

/* The index of the node's text in @names (@what: "action"), or a negative errno. */
int schema_choose(struct schema *schema, const struct yaml_node *node, const char *what,
		  const char *const names[], size_t n);

#endif
