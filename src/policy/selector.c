// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/selector.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "glob/glob.h"
#include "policy/pattern.h"
#include "util/cleanup.h"

#define MIN_ID 12 /* what `docker ps` shows */
#define MAX_ID 64

static const char *const engines[] = { "docker", "containerd", "podman", "cri-o", "buildah",
				       "runc",	 "crun",       "lxc",	 "nspawn" };

static int check_id(struct schema *schema, const struct yaml_node *node)
{
	size_t len = strlen(node->text);

	if (len < MIN_ID || len > MAX_ID || strspn(node->text, "0123456789abcdef") != len)
		return schema_refuse(schema, node,
				     "container id \"%s\" is not %d to %d hexadecimal digits in "
				     "lower "
				     "case; write it as the engine prints it",
				     schema_quote(node->text).text, MIN_ID, MAX_ID);
	return 0;
}

static int check_engine(struct schema *schema, const struct yaml_node *node)
{
	int r = schema_choose(schema, node, "engine", engines, ARRAY_SIZE(engines));

	return r < 0 ? r : 0;
}

static int read_ids(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_selector *selector = object;

	return schema_read_texts(schema, node, check_id, &selector->ids, &selector->n_ids);
}

static int read_engines(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_selector *selector = object;

	return schema_read_texts(schema, node, check_engine, &selector->engines,
				 &selector->n_engines);
}

static int read_hostnames(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_selector *selector = object;

	return schema_read_texts(schema, node, pattern_check_hostname, &selector->hostnames,
				 &selector->n_hostnames);
}

int selector_read(struct schema *schema, const struct yaml_node *node, struct policy_selector *ret)
{
	static const struct schema_key keys[] = {
		{ "ids", NULL, read_ids },
		{ "engines", NULL, read_engines },
		{ "hostnames", NULL, read_hostnames },
	};

	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), ret);
}

void selector_deinit(struct policy_selector *selector)
{
	schema_texts_free(selector->ids, selector->n_ids);
	schema_texts_free(selector->engines, selector->n_engines);
	schema_texts_free(selector->hostnames, selector->n_hostnames);
	*selector = (struct policy_selector){ 0 };
}

static bool is_prefix(const char *prefix, const char *of)
{
	return !strncmp(prefix, of, strlen(prefix));
}

static bool is_same(const char *a, const char *b)
{
	return !strcmp(a, b);
}

/* Does one of @wanted agree with what the container has? An empty list agrees with anything. */
static bool agrees(char *const wanted[], size_t n, const char *has,
		   bool (*agree)(const char *wanted, const char *has))
{
	for (size_t i = 0; i < n && has; i++)
		if (agree(wanted[i], has))
			return true;
	return !n;
}

bool policy_selects(const struct policy_selector *selector, const char *id, const char *engine,
		    const char *hostname)
{
	return agrees(selector->ids, selector->n_ids, id, is_prefix) &&
	       agrees(selector->engines, selector->n_engines, engine, is_same) &&
	       (!hostname ||
		agrees(selector->hostnames, selector->n_hostnames, hostname, glob_match_name));
}
