// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define MAX_ARGUMENTS 64
#define MAX_ARGUMENT 4095
#define MS 1000000ULL
#define S (1000 * MS)

static int read_yes(struct schema *schema, const struct yaml_node *node, bool *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true" };
	int r = schema_choose(schema, node, "value", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	*ret = r & 1;
	return 0;
}

static int read_freeze(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_answer *answer = object;

	return read_yes(schema, node, &answer->freeze);
}

static int read_kill(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_answer *answer = object;

	return read_yes(schema, node, &answer->kill_container);
}

static int check_absolute(struct schema *schema, const struct yaml_node *node, const char *what)
{
	const char *path = schema_text(schema, node);

	if (!path)
		return -EINVAL;
	if (path[0] != '/' || strlen(path) > MAX_ARGUMENT)
		return schema_refuse(schema, node, "%s \"%s\" is no absolute path; write \"/...\"",
				     what, schema_quote(path).text);
	return 0;
}

static int read_directory(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_answer *answer = object;
	int r = check_absolute(schema, node, "directory");

	if (r < 0)
		return r;
	free(answer->dump);
	answer->dump = strdup(node->text);
	return answer->dump ? 0 : schema_no_memory(schema);
}

static int read_format(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const char *const words[] = { "zlib", "plain" };
	struct policy_answer *answer = object;
	int r = schema_choose(schema, node, "format", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	answer->dump_plain = r;
	return 0;
}

static int read_dump(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const struct schema_key keys[] = {
		{ "directory", "write `directory: /var/lib/outguard/dumps`", read_directory },
		{ "format", NULL, read_format },
	};

	if (node->kind == YAML_TEXT)
		return read_directory(schema, node, object);
	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), object);
}

static int check_argument(struct schema *schema, const struct yaml_node *node)
{
	if (strlen(node->text) > MAX_ARGUMENT)
		return schema_refuse(schema, node, "the argument is longer than %d bytes",
				     MAX_ARGUMENT);
	return 0;
}

static int read_command(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy_answer *answer = object;
	const struct yaml_node *program = node->kind == YAML_LIST ? node->first : node;
	int r = check_absolute(schema, program, "program");

	if (r < 0)
		return r;
	if (node->kind == YAML_TEXT && strpbrk(node->text, " \t"))
		return schema_refuse(schema, node,
				     "a command with arguments is a list, for no shell reads it; "
				     "write [%s, ...]",
				     "/usr/local/bin/tell");
	if (node->kind == YAML_LIST && node->n > MAX_ARGUMENTS)
		return schema_refuse(schema, node, "%zu arguments; the limit is %d", node->n,
				     MAX_ARGUMENTS);
	return schema_read_texts(schema, node, check_argument, &answer->command,
				 &answer->n_command);
}

static bool is_empty(const struct policy_answer *answer)
{
	return !answer->freeze && !answer->kill_container && !answer->dump && !answer->n_command;
}

int answer_read(struct schema *schema, const struct yaml_node *node, struct policy_answer **ret)
{
	static const struct schema_key keys[] = {
		{ "freeze", NULL, read_freeze },
		{ "dump", NULL, read_dump },
		{ "kill-container", NULL, read_kill },
		{ "command", NULL, read_command },
	};
	int r;

	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return schema_no_memory(schema);
	r = schema_read_map(schema, node, keys, ARRAY_SIZE(keys), *ret);
	if (r == 0 && is_empty(*ret))
		*ret = answer_free(*ret);
	return r;
}

static void clear(struct policy_answer *answer)
{
	free(answer->dump);
	schema_texts_free(answer->command, answer->n_command);
	*answer = (struct policy_answer){ 0 };
}

struct policy_answer *answer_free(struct policy_answer *answer)
{
	if (!answer)
		return NULL;
	clear(answer);
	free(answer);
	return NULL;
}

static int add_restored(struct schema *schema, const struct yaml_node *node, void *object)
{
	static const char *const words[] = { "hooks", "kernel" };
	struct policy *policy = object;
	int r = schema_choose(schema, node, "part", words, ARRAY_SIZE(words));

	if (r < 0)
		return r;
	policy->tampering.restore |= 1u << r;
	return 0;
}

static int read_restore(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy *policy = object;

	policy->tampering.restore = 0;
	if (node->kind == YAML_TEXT && !strcmp(node->text, "none"))
		return 0;
	return schema_each(schema, node, add_restored, policy);
}

static int read_tampering_freeze(struct schema *schema, const struct yaml_node *node, void *object)
{
	return read_freeze(schema, node, &((struct policy *)object)->tampering.answer);
}

static int read_tampering_dump(struct schema *schema, const struct yaml_node *node, void *object)
{
	return read_dump(schema, node, &((struct policy *)object)->tampering.answer);
}

static int read_tampering_command(struct schema *schema, const struct yaml_node *node, void *object)
{
	return read_command(schema, node, &((struct policy *)object)->tampering.answer);
}

int answer_read_tampering(struct schema *schema, const struct yaml_node *node,
			  struct policy *policy)
{
	static const struct schema_key keys[] = {
		{ "restore", NULL, read_restore },
		{ "freeze", NULL, read_tampering_freeze },
		{ "dump", NULL, read_tampering_dump },
		{ "command", NULL, read_tampering_command },
	};

	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), policy);
}

/* "10ms", "2s"; "off" where @least is not for all. */
static int read_period(struct schema *schema, const struct yaml_node *node, bool may_be_off,
		       uint64_t least_ns, uint64_t *ret)
{
	const char *text = schema_text(schema, node);
	unsigned long n;
	uint64_t unit;
	char *end;

	if (!text)
		return -EINVAL;
	if (may_be_off && !strcmp(text, "off")) {
		*ret = 0;
		return 0;
	}
	n = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
	unit = !n ? 0 : !strcmp(end, "ms") ? MS : !strcmp(end, "s") ? S : 0;
	if (!unit || n > 3600 * 1000 || n * unit < least_ns || n * unit > 3600 * S)
		return schema_refuse(schema, node,
				     "\"%s\" is no time from %llums to 3600s%s; write `10ms` or "
				     "`2s`",
				     schema_quote(text).text, (unsigned long long)(least_ns / MS),
				     may_be_off ? ", nor `off`" : "");
	*ret = n * unit;
	return 0;
}

static int read_hooks(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy *policy = object;

	return read_period(schema, node, false, MS, &policy->sentry.hooks_ns);
}

static int read_kernel(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy *policy = object;

	return read_period(schema, node, true, 50 * MS, &policy->sentry.kernel_ns);
}

static int read_registers(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy *policy = object;

	return read_period(schema, node, true, 50 * MS, &policy->sentry.registers_ns);
}

static int read_vault(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct policy *policy = object;

	return read_period(schema, node, true, 50 * MS, &policy->sentry.vault_ns);
}

int answer_read_sentry(struct schema *schema, const struct yaml_node *node, struct policy *policy)
{
	static const struct schema_key keys[] = {
		{ "hooks", NULL, read_hooks },
		{ "kernel", NULL, read_kernel },
		{ "registers", NULL, read_registers },
		{ "vault", NULL, read_vault },
	};

	return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), policy);
}

void answer_defaults(struct policy *policy)
{
	policy->tampering.restore = POLICY_RESTORE_HOOKS;
	policy->sentry = (struct policy_sentry){ 10 * MS, 2 * S, S, 10 * S };
}

void answer_deinit(struct policy *policy)
{
	clear(&policy->tampering.answer);
}
