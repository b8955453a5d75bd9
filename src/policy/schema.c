// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/schema.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_WORD 31 /* longest text for which a near one is looked for */

int schema_refuse(struct schema *schema, const struct yaml_node *at, const char *format, ...)
{
	char message[sizeof(schema->err->message)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	return error_set(schema->err, -EINVAL, "%s:%u:%u: %s%s", schema->source, at->line,
			 at->column, schema->where, message);
}

int schema_no_memory(struct schema *schema)
{
	return error_set(schema->err, -ENOMEM, "%s: out of memory", schema->source);
}

struct schema_quote schema_quote(const char *text)
{
	struct schema_quote quote = { 0 };
	size_t n = sizeof(quote.text) - sizeof("...");

	if (strlen(text) <= n) {
		strcpy(quote.text, text);
		return quote;
	}
	while (((unsigned char)text[n] & 0xc0) == 0x80) /* not within a character */
		n--;
	memcpy(quote.text, text, n);
	strcpy(quote.text + n, "...");
	return quote;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Letters to add, take out, change or swap with their neighbour to get from one word to the other. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int rows[3][MAX_WORD + 1];
	unsigned int *before = rows[0], *last = rows[1], *now = rows[2], *spare;
	size_t n_a = strlen(a), n_b = strlen(b);

	for (unsigned int j = 0; j <= n_b; j++)
		now[j] = j;
	for (unsigned int i = 1; i <= n_a; i++) {
		spare = before;
		before = last;
		last = now;
		now = spare;
		now[0] = i;
		for (unsigned int j = 1; j <= n_b; j++) {
			bool differ = tolower((unsigned char)a[i - 1]) != b[j - 1];

			now[j] = least(least(now[j - 1], last[j]) + 1, last[j - 1] + differ);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
	}
	return now[n_b];
}

static const char *nearest(const char *word, const char *const names[], size_t n)
{
	const char *best = NULL;
	unsigned int limit = 3;

	for (size_t i = 0; i < n && strlen(word) <= MAX_WORD; i++) {
		unsigned int d = distance(word, names[i]);

		if (d < limit && d < strlen(names[i]) - 1) {
			best = names[i];
			limit = d;
		}
	}
	return best;
}

/* An unknown @kind ("action", "key") of word: says which are known, and which was meant. */
static int refuse_word(struct schema *schema, const struct yaml_node *node, const char *kind,
		       const char *const names[], size_t n)
{
	const char *meant = nearest(node->text, names, n);
	char known[256] = "";

	for (size_t i = 0; i < n; i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 i ? ", " : "", names[i]);
	if (strchr(node->text, ','))
		return schema_refuse(schema, node, "unknown %s `%s`; write several as a list: [%s]",
				     kind, schema_quote(node->text).text,
				     schema_quote(node->text).text);
	return schema_refuse(schema, node, "unknown %s `%s`; %s%s%snown: %s", kind,
			     schema_quote(node->text).text, meant ? "did you mean `" : "",
			     meant ? meant : "", meant ? "`? K" : "k", known);
}

static const struct schema_key *find_key(const char *name, const struct schema_key keys[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int refuse_key(struct schema *schema, const struct yaml_node *key,
		      const struct schema_key keys[], size_t n)
{
	const char *names[YAML_MAX_KEYS];

	for (size_t i = 0; i < n; i++)
		names[i] = keys[i].name;
	return refuse_word(schema, key, "key", names, n);
}

static bool is_empty(const struct yaml_node *node)
{
	return node->kind == YAML_TEXT ? !*node->text : !node->n;
}

static int read_value(struct schema *schema, const struct yaml_node *value,
		      const struct schema_key keys[], size_t n_keys, void *object)
{
	const struct schema_key *key = find_key(value->key->text, keys, n_keys);

	if (!key)
		return refuse_key(schema, value->key, keys, n_keys);
	if (!is_empty(value))
		return key->read(schema, value, object);
	if (key->missing)
		return schema_refuse(schema, value, "`%s` is empty; %s", key->name, key->missing);
	return schema_refuse(schema, value, "`%s` is empty; give it a value, or leave it out",
			     key->name);
}

int schema_read_map(struct schema *schema, const struct yaml_node *node,
		    const struct schema_key keys[], size_t n_keys, void *object)
{
	int r;

	if (node->kind != YAML_MAP)
		return schema_refuse(schema, node, "%s where a mapping should be; write `%s: ...`",
				     node->kind == YAML_LIST ? "list" : "text", keys[0].name);
	for (const struct yaml_node *value = node->first; value; value = value->next) {
		r = read_value(schema, value, keys, n_keys, object);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n_keys; i++)
		if (keys[i].missing && !yaml_node_get(node, keys[i].name))
			return schema_refuse(schema, node, "`%s` is missing; %s", keys[i].name,
					     keys[i].missing);
	return 0;
}

const char *schema_text(struct schema *schema, const struct yaml_node *node)
{
	if (node->kind == YAML_TEXT && *node->text)
		return node->text;
	if (node->kind == YAML_TEXT)
		schema_refuse(schema, node, "empty item; give it a value, or take it out");
	else
		schema_refuse(schema, node,
			      "%s where a single text should be; quote a text that "
			      "begins with [ or {",
			      node->kind == YAML_LIST ? "list" : "mapping");
	return NULL;
}

int schema_each(struct schema *schema, const struct yaml_node *node,
		int (*one)(struct schema *schema, const struct yaml_node *text, void *object),
		void *object)
{
	int r;

	if (node->kind != YAML_LIST)
		return schema_text(schema, node) ? one(schema, node, object) : -EINVAL;
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (!schema_text(schema, item))
			return -EINVAL;
		r = one(schema, item, object);
		if (r < 0)
			return r;
	}
	return 0;
}

struct texts {
	char **v;
	size_t n;
	int (*check)(struct schema *schema, const struct yaml_node *text);
};

static void texts_deinit(struct texts *texts)
{
	schema_texts_free(texts->v, texts->n);
}

static int add_text(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct texts *texts = object;
	int r = texts->check(schema, node);

	if (r < 0)
		return r;
	texts->v[texts->n] = strdup(node->text);
	if (!texts->v[texts->n])
		return schema_no_memory(schema);
	texts->n++;
	return 0;
}

int schema_read_texts(struct schema *schema, const struct yaml_node *node,
		      int (*check)(struct schema *schema, const struct yaml_node *text),
		      char ***ret_texts, size_t *ret_n)
{
	_cleanup_(texts_deinit) struct texts texts = { .check = check };
	int r;

	texts.v = calloc(node->kind == YAML_LIST ? node->n : 1, sizeof(*texts.v));
	if (!texts.v)
		return schema_no_memory(schema);
	r = schema_each(schema, node, add_text, &texts);
	if (r < 0)
		return r;
	*ret_n = texts.n;
	*ret_texts = TAKE_PTR(texts.v);
	texts.n = 0;
	return 0;
}

char **schema_texts_free(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
	return NULL;
}

int schema_choose(struct schema *schema, const struct yaml_node *node, const char *what,
		  const char *const names[], size_t n)
{
	const char *text = schema_text(schema, node);

	if (!text)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(text, names[i]))
			return i;
	return refuse_word(schema, node, what, names, n);
}
