// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/answer.h"
#include "policy/integrity.h"
#include "policy/rule.h"
#include "policy/schema.h"
#include "policy/yaml.h"
#include "util/cleanup.h"
#include "util/opener.h"

#define MAX_FILE (1024 * 1024)
#define MAX_RULES 10000
#define MAX_PATHS 100000 /* and executables of exceptions */
#define MAX_SOURCE 200 /* bytes of the file's name, its last ones, in messages */

/* What the top of the file is read into. */
struct file {
	struct policy *policy;
	size_t n_paths;
	void *names; /* tsearch() tree of rules, by name */
	struct integrity_settings integrity;
};

DEFINE_CLEANUP(struct policy *, policy_free)
DEFINE_CLEANUP(struct yaml_node *, yaml_node_free)

struct policy *policy_free(struct policy *policy)
{
	if (!policy)
		return NULL;
	for (size_t i = 0; i < policy->n_rules; i++)
		rule_deinit(&policy->rules[i]);
	free(policy->rules);
	answer_deinit(policy);
	free(policy->source);
	free(policy);
	return NULL;
}

static void leave(void *rule)
{
	(void)rule;
}

static void file_deinit(struct file *file)
{
	tdestroy(file->names, leave);
}

static int compare_names(const void *a, const void *b)
{
	const struct policy_rule *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int add_name(struct schema *schema, const struct yaml_node *node, struct file *file,
		    const struct policy_rule *rule)
{
	const struct policy_rule **first = tsearch(rule, &file->names, compare_names);

	if (!first)
		return schema_no_memory(schema);
	if (*first != rule)
		return schema_refuse(schema, yaml_node_get(node, "name"),
				     "the rule in line %u has this name; give each rule its own",
				     (*first)->line);
	return 0;
}

/* What has to be looked up in each container. */
static size_t count_paths(const struct policy_rule *rule)
{
	size_t n = rule->n_paths;

	for (size_t i = 0; i < rule->n_except; i++)
		n += rule->except[i].n_executables;
	return n;
}

/* So that messages say which rule it is, even before its name has been read. */
static void set_where(struct schema *schema, const struct yaml_node *node, size_t i)
{
	const struct yaml_node *name = yaml_node_get(node, "name");

	if (name && name->kind == YAML_TEXT)
		snprintf(schema->where, sizeof(schema->where), "rules[%zu] \"%s\": ", i,
			 schema_quote(name->text).text);
	else
		snprintf(schema->where, sizeof(schema->where), "rules[%zu]: ", i);
}

static int read_rule(struct schema *schema, const struct yaml_node *node, struct file *file)
{
	struct policy *policy = file->policy;
	struct policy_rule *rule = &policy->rules[policy->n_rules];
	int r;

	set_where(schema, node, policy->n_rules++);
	r = rule_read(schema, node, rule);
	if (r < 0)
		return r;
	file->n_paths += count_paths(rule);
	if (file->n_paths > MAX_PATHS)
		return schema_refuse(schema, yaml_node_get(node, "paths"),
				     "more than %d paths and executables in the policy; use "
				     "patterns",
				     MAX_PATHS);
	return add_name(schema, node, file, rule);
}

static int read_rules(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct file *file = object;
	int r;

	if (node->kind != YAML_LIST)
		return schema_refuse(schema, node,
				     "`rules` is not a list; begin each rule with `- name: ...`");
	if (node->n > MAX_RULES)
		return schema_refuse(schema, node, "%zu rules; the limit is %d", node->n,
				     MAX_RULES);
	file->policy->rules = calloc(node->n, sizeof(*file->policy->rules));
	if (!file->policy->rules)
		return schema_no_memory(schema);
	for (const struct yaml_node *rule = node->first; rule; rule = rule->next) {
		r = read_rule(schema, rule, file);
		if (r < 0)
			return r;
	}
	schema->where[0] = '\0';
	return 0;
}

static int read_version(struct schema *schema, const struct yaml_node *node, void *object)
{
	const char *version = schema_text(schema, node);

	(void)object;
	if (!version)
		return -EINVAL;
	if (strcmp(version, "1"))
		return schema_refuse(schema, node, "unknown version `%s`; write `version: 1`",
				     schema_quote(version).text);
	return 0;
}

static int read_unresolved(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const char *const words[] = { "start", "refuse" };
	struct file *file = object;
	int r = schema_choose(schema, node, "value", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	file->policy->refuse_unresolved = r;
	return 0;
}

static int read_cache(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const char *const words[] = { "eager", "lazy" };
	struct file *file = object;
	int r = schema_choose(schema, node, "value", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	file->policy->lazy = r;
	return 0;
}

static int read_integrity(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct file *file = object;

	return integrity_read(schema, node, &file->integrity);
}

static int read_tampering(struct schema *schema, const struct yaml_node *node, void *object)
{
	return answer_read_tampering(schema, node, ((struct file *)object)->policy);
}

static int read_sentry(struct schema *schema, const struct yaml_node *node, void *object)
{
	return answer_read_sentry(schema, node, ((struct file *)object)->policy);
}

static int read_trap(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const char *const words[] = { "opens", "every-access" };
	struct file *file = object;
	int r = schema_choose(schema, node, "value", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	file->policy->every_access = r;
	return 0;
}

static int read_file(struct schema *schema, const struct yaml_node *root, struct policy *policy)
{
	static const struct schema_key keys[] = {
		{ "rules", "write `rules:` and under it a list of rules", read_rules },
		{ "version", NULL, read_version },
		{ "unresolved", NULL, read_unresolved },
		{ "cache", NULL, read_cache },
		{ "guest-integrity", NULL, read_integrity },
		{ "trap", NULL, read_trap },
		{ "on-tampering", NULL, read_tampering },
		{ "sentry", NULL, read_sentry },
	};
	_cleanup_(file_deinit) struct file file = { .policy = policy };
	int r;

	integrity_settings_init(&file.integrity);
	r = schema_read_map(schema, root, keys, ARRAY_SIZE(keys), &file);
	policy->n_own_rules = policy->n_rules;
	return r < 0 ? r : integrity_apply(policy, &file.integrity, schema->err);
}

static int set_digest(struct policy *policy, const char *text, size_t size)
{
	unsigned char digest[32];

	if (!EVP_Digest(text, size, digest, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(digest); i++)
		sprintf(policy->digest + 2 * i, "%02x", digest[i]);
	return 0;
}

static int new_policy(struct policy **ret, const char *text, size_t size, const char *source)
{
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	answer_defaults(policy);
	policy->source = strdup(source);
	if (!policy->source || set_digest(policy, text, size) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(policy);
	return 0;
}

static const char *tail(const char *source)
{
	size_t len = strlen(source);

	return len > MAX_SOURCE ? source + len - MAX_SOURCE : source;
}

static int refuse_size(const char *source, struct error *err)
{
	return error_set(err, -EFBIG, "%s: larger than %d bytes; split the policy, or use patterns",
			 source, MAX_FILE);
}

int policy_parse(struct policy **ret, const char *text, size_t size, const char *source,
		 struct error *err)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_(yaml_node_freep) struct yaml_node *root = NULL;
	struct schema schema = { .source = tail(source), .err = err };
	int r;

	if (size > MAX_FILE)
		return refuse_size(schema.source, err);
	r = new_policy(&policy, text, size, source);
	if (r < 0)
		return schema_no_memory(&schema);
	r = yaml_node_read(&root, text, size, schema.source, err);
	if (r < 0)
		return r;
	r = read_file(&schema, root, policy);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(policy);
	return 0;
}

static int open_file(const char *path, struct error *err)
{
	_cleanup_(closep) int fd =
		opener_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s; give a policy file that this user may read",
				 path, strerror(errno));
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%s: fstat: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: %s; give a policy file", path,
				 S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
	return TAKE_FD(fd);
}

/* Up to @size bytes, all there are. */
static ssize_t read_bytes(int fd, char *text, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t r = read(fd, text + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += r;
	}
	return n;
}

int policy_load(struct policy **ret, const char *path, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int fd = -1;
	ssize_t n;

	fd = open_file(path, err);
	if (fd < 0)
		return fd;
	text = malloc(MAX_FILE + 1);
	if (!text)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	n = read_bytes(fd, text, MAX_FILE + 1);
	if (n < 0)
		return error_set(err, n, "%s: cannot be read: %s", path, strerror(-n));
	return policy_parse(ret, text, n, path, err);
}
