// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "util/cleanup.h"

struct reader {
	yaml_parser_t parser;
	const char *source;
	struct error *err;
	unsigned int depth;
};

DEFINE_CLEANUP(struct yaml_node *, yaml_node_free)

static void reader_deinit(struct reader *reader)
{
	yaml_parser_delete(&reader->parser);
}

static __attribute__((format(printf, 4, 5))) int refuse(struct reader *reader, size_t line,
							size_t column, const char *format, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	return error_set(reader->err, -EINVAL, "%s:%zu:%zu: %s", reader->source, line, column,
			 message);
}

static int no_memory(struct reader *reader)
{
	return error_set(reader->err, -ENOMEM, "%s: out of memory", reader->source);
}

struct yaml_node *yaml_node_free(struct yaml_node *node)
{
	if (!node)
		return NULL;
	for (struct yaml_node *child = node->first, *next; child; child = next) {
		next = child->next;
		yaml_node_free(child);
	}
	yaml_node_free(node->key);
	free(node->text);
	free(node);
	return NULL;
}

const struct yaml_node *yaml_node_get(const struct yaml_node *map, const char *key)
{
	if (map->kind != YAML_MAP)
		return NULL;
	for (const struct yaml_node *child = map->first; child; child = child->next)
		if (!strcmp(child->key->text, key))
			return child;
	return NULL;
}

/* Length of the UTF-8 character at @p, with its code point; 0 where there is none. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	uint32_t c = n < 2 ? *p : *p & (0x7fu >> n);

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Would a person who reviews the file not see it, or see something else? */
static bool is_hidden(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static int check_bytes(struct reader *reader, const char *text, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t line = 1, column = 1, n;
	uint32_t c;

	for (size_t i = 0; i < size; i += n, column++) {
		n = decode(p + i, size - i, &c);
		if (!n)
			return refuse(reader, line, column,
				      "byte 0x%02x is not UTF-8; save the file as UTF-8", p[i]);
		if (c == '\n') {
			line++;
			column = 0;
		} else if (c != '\t' && is_hidden(c) &&
			   !(c == '\r' && i + 1 < size && p[i + 1] == '\n')) {
			return refuse(reader, line, column,
				      "control character U+%04X; take it out of the file", c);
		}
	}
	return 0;
}

/*
 * Escapes and blocks can still make what check_bytes() has not seen, and a forgotten "- " makes one text
 * of two items.
 */
static int check_text(struct reader *reader, const yaml_event_t *event)
{
	const unsigned char *p = event->data.scalar.value;
	const yaml_mark_t *mark = &event->start_mark;
	uint32_t c = 0;

	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	    event->end_mark.line > mark->line)
		return refuse(reader, mark->line + 1, mark->column + 1,
			      "text over several lines; begin each item with `- `, or fold one "
			      "text "
			      "with `>-`");
	for (size_t i = 0, n; i < event->data.scalar.length; i += n) {
		n = decode(p + i, event->data.scalar.length - i, &c);
		if (!n)
			return refuse(reader, mark->line + 1, mark->column + 1,
				      "not UTF-8; write the text without escapes");
		if (c == '\n')
			return refuse(reader, mark->line + 1, mark->column + 1,
				      "line break in a text; put it on one line, or fold it with "
				      "`>-`");
		if (is_hidden(c))
			return refuse(reader, mark->line + 1, mark->column + 1,
				      "control character U+%04X in a text; take it out", c);
	}
	return 0;
}

/* libyaml's messages say what it found; these say what its writer most likely has to do. */
static const char *remedy(const yaml_parser_t *parser)
{
	static const struct {
		const char *part, *remedy;
	} remedies[] = {
		{ "cannot start any token", "indent with spaces, and quote a text that begins with "
					    "@ ` or %" },
		{ "tab character", "indent with spaces" },
		{ "alias", "quote a text that begins with *" },
		{ "anchor", "quote a text that begins with &" },
		{ "tag", "quote a text that begins with !" },
		{ "quoted scalar", "close the quotes; in double quotes a backslash is an escape" },
		{ "flow", "close the bracket, with commas between the items" },
		{ "mapping values", "indent keys alike, and quote a text that has \": \" in it" },
		{ "':'", "write `key: value`, with a blank after the colon" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (strstr(parser->problem, remedies[i].part) ||
		    (parser->context && strstr(parser->context, remedies[i].part)))
			return remedies[i].remedy;
	return "indent keys of one mapping and items of one list alike";
}

static int refuse_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const yaml_mark_t *mark = &parser->problem_mark;

	if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
		return no_memory(reader);
	return refuse(reader, mark->line + 1, mark->column + 1, "not YAML: %s%s%s; %s",
		      parser->context ? parser->context : "", parser->context ? ", " : "",
		      parser->problem, remedy(parser));
}

static int refuse_event(struct reader *reader, const yaml_event_t *event, const char *message)
{
	return refuse(reader, event->start_mark.line + 1, event->start_mark.column + 1, "%s",
		      message);
}

/* What makes one part of the document refer to another, or be other than it looks. */
static int check_properties(struct reader *reader, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_ALIAS_EVENT) {
		return refuse_event(reader, event,
				    "aliases are not supported; write the value out, or quote a "
				    "text that begins with *");
	} else if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor)
		return refuse_event(reader, event,
				    "anchors are not supported; write each value out, or quote a "
				    "text that begins with &");
	if (tag)
		return refuse_event(reader, event,
				    "tags are not supported; leave it out, or quote a text that "
				    "begins with !");
	return 0;
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
	if (!yaml_parser_parse(&reader->parser, event))
		return refuse_syntax(reader);
	return check_properties(reader, event);
}

static int read_node(struct reader *reader, const yaml_event_t *event, struct yaml_node **ret);

static int check_key(struct reader *reader, const yaml_event_t *event, const struct yaml_node *map)
{
	const struct yaml_node *other;

	if (event->type != YAML_SCALAR_EVENT)
		return refuse_event(reader, event,
				    "list or mapping as a key; write a plain word, and a value "
				    "after `: `");
	if (map->n >= YAML_MAX_KEYS)
		return refuse_event(reader, event,
				    "too many keys in one mapping; a policy needs fewer");
	other = yaml_node_get(map, (const char *)event->data.scalar.value);
	if (other)
		return refuse(reader, event->start_mark.line + 1, event->start_mark.column + 1,
			      "the same key stands in line %u; keep one of them", other->key->line);
	return 0;
}

static int read_pair(struct reader *reader, const yaml_event_t *event, const struct yaml_node *map,
		     struct yaml_node **ret)
{
	_cleanup_(yaml_node_freep) struct yaml_node *key = NULL;
	_cleanup_(yaml_event_delete) yaml_event_t value = { 0 };
	int r;

	r = check_key(reader, event, map);
	if (r < 0)
		return r;
	r = read_node(reader, event, &key);
	if (r < 0)
		return r;
	r = next_event(reader, &value);
	if (r < 0)
		return r;
	r = read_node(reader, &value, ret);
	if (r < 0)
		return r;
	(*ret)->key = TAKE_PTR(key);
	return 0;
}

static int read_children(struct reader *reader, struct yaml_node *node)
{
	struct yaml_node **last = &node->first;
	int r;

	for (;; last = &(*last)->next, node->n++) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };

		r = next_event(reader, &event);
		if (r < 0)
			return r;
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (node->kind == YAML_MAP)
			r = read_pair(reader, &event, node, last);
		else
			r = read_node(reader, &event, last);
		if (r < 0)
			return r;
	}
}

static int read_text(struct reader *reader, const yaml_event_t *event, struct yaml_node *node)
{
	int r = check_text(reader, event);

	if (r < 0)
		return r;
	node->text = strdup((const char *)event->data.scalar.value);
	return node->text ? 0 : no_memory(reader);
}

/* Recursive, as the document is, and no deeper than YAML_MAX_DEPTH. */
static int read_node(struct reader *reader, const yaml_event_t *event, struct yaml_node **ret)
{
	_cleanup_(yaml_node_freep) struct yaml_node *node = calloc(1, sizeof(*node));
	int r;

	if (!node)
		return no_memory(reader);
	node->line = event->start_mark.line + 1;
	node->column = event->start_mark.column + 1;
	node->kind = event->type == YAML_SCALAR_EVENT	       ? YAML_TEXT
		     : event->type == YAML_MAPPING_START_EVENT ? YAML_MAP
							       : YAML_LIST;
	if (node->kind == YAML_TEXT) {
		r = read_text(reader, event, node);
	} else if (reader->depth == YAML_MAX_DEPTH) {
		r = refuse_event(reader, event, "nested too deep; a policy needs less");
	} else {
		reader->depth++;
		r = read_children(reader, node);
		reader->depth--;
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(node);
	return 0;
}

/* The stream's and the document's start, up to the root node. */
static int read_root(struct reader *reader, struct yaml_node **ret)
{
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
		int r = next_event(reader, &event);

		if (r < 0)
			return r;
		if (event.type == YAML_STREAM_END_EVENT)
			return refuse(reader, 1, 1,
				      "nothing in the file; write `rules:` and under it a list of "
				      "rules");
		if (event.type != YAML_STREAM_START_EVENT &&
		    event.type != YAML_DOCUMENT_START_EVENT)
			return read_node(reader, &event, ret);
	}
}

static int read_end(struct reader *reader)
{
	for (;;) {
		_cleanup_(yaml_event_delete) yaml_event_t event = { 0 };
		int r = next_event(reader, &event);

		if (r < 0)
			return r;
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (event.type == YAML_DOCUMENT_START_EVENT)
			return refuse_event(reader, &event,
					    "second document; keep one document in a file");
	}
}

int yaml_node_read(struct yaml_node **ret, const char *text, size_t size, const char *source,
		   struct error *err)
{
	_cleanup_(reader_deinit) struct reader reader = { .source = source, .err = err };
	_cleanup_(yaml_node_freep) struct yaml_node *root = NULL;
	int r;

	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* byte order mark */
		text += 3;
		size -= 3;
	}
	text = size ? text : "";
	r = check_bytes(&reader, text, size);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&reader.parser))
		return no_memory(&reader);
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, size);
	r = read_root(&reader, &root);
	if (r < 0)
		return r;
	r = read_end(&reader);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(root);
	return 0;
}
