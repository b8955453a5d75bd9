// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy/integrity.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "contract/guard_abi.h"
#include "policy/rule.h"
#include "util/cleanup.h"

extern const char builtin_guest_integrity[];

/* As in guest-integrity.yaml, in its order. */
static const char *const parts[] = {
	"block-devices", "device-mapper", "modules", "kexec",	"kernel-memory", "pci",
	"bpf",		 "tracing",	  "ptrace",  "escapes", "runtimes",	 "boot",
};
static_assert(ARRAY_SIZE(parts) <= INTEGRITY_MAX_PARTS, "room for all parts");

static const char *const attempts[] = {
	[GUARD_ATTEMPT_MODULE_LOAD] = "module-load",
	[GUARD_ATTEMPT_KEXEC] = "kexec",
	[GUARD_ATTEMPT_DEV_MEM] = "dev-mem",
	[GUARD_ATTEMPT_KCORE] = "kcore",
	[GUARD_ATTEMPT_IO_PORTS] = "io-ports",
	[GUARD_ATTEMPT_MSR] = "msr",
	[GUARD_ATTEMPT_ACPI_TABLES] = "acpi-tables",
	[GUARD_ATTEMPT_PCI_CONFIG] = "pci-config",
	[GUARD_ATTEMPT_BPF_PROGRAM] = "bpf-program",
	[GUARD_ATTEMPT_BPF_WRITE_USER] = "bpf-write-user",
	[GUARD_ATTEMPT_KPROBE] = "kprobe",
	[GUARD_ATTEMPT_PTRACE] = "ptrace",
	[GUARD_ATTEMPT_BLOCK_WRITE] = "block-write",
	[GUARD_ATTEMPT_BLOCK_READ] = "block-read",
	[GUARD_ATTEMPT_BLOCK_COMMAND] = "block-command",
	[GUARD_ATTEMPT_DEVICE_MAPPER] = "device-mapper",
	[GUARD_ATTEMPT_LOOP] = "loop",
	[GUARD_ATTEMPT_VFIO] = "vfio",
	[GUARD_ATTEMPT_EXE_FILE] = "exe-file",
	[GUARD_ATTEMPT_RELEASE_AGENT] = "release-agent",
};
static_assert(ARRAY_SIZE(attempts) == GUARD_N_ATTEMPTS, "a name for each");

/* By attempt: names of rules, of the part that the built-in set has it in. */
static const char *const attempt_rules[] = {
	[GUARD_ATTEMPT_MODULE_LOAD] = "guest-integrity/modules",
	[GUARD_ATTEMPT_KEXEC] = "guest-integrity/kexec",
	[GUARD_ATTEMPT_DEV_MEM] = "guest-integrity/kernel-memory",
	[GUARD_ATTEMPT_KCORE] = "guest-integrity/kernel-memory",
	[GUARD_ATTEMPT_IO_PORTS] = "guest-integrity/kernel-memory",
	[GUARD_ATTEMPT_MSR] = "guest-integrity/kernel-memory",
	[GUARD_ATTEMPT_ACPI_TABLES] = "guest-integrity/kernel-memory",
	[GUARD_ATTEMPT_PCI_CONFIG] = "guest-integrity/pci",
	[GUARD_ATTEMPT_BPF_PROGRAM] = "guest-integrity/bpf",
	[GUARD_ATTEMPT_BPF_WRITE_USER] = "guest-integrity/bpf",
	[GUARD_ATTEMPT_KPROBE] = "guest-integrity/tracing",
	[GUARD_ATTEMPT_PTRACE] = "guest-integrity/ptrace",
	[GUARD_ATTEMPT_BLOCK_WRITE] = "guest-integrity/block-devices",
	[GUARD_ATTEMPT_BLOCK_READ] = "guest-integrity/block-devices",
	[GUARD_ATTEMPT_BLOCK_COMMAND] = "guest-integrity/block-devices",
	[GUARD_ATTEMPT_DEVICE_MAPPER] = "guest-integrity/device-mapper",
	[GUARD_ATTEMPT_LOOP] = "guest-integrity/device-mapper",
	[GUARD_ATTEMPT_VFIO] = "guest-integrity/pci",
	[GUARD_ATTEMPT_EXE_FILE] = "guest-integrity/ptrace",
	[GUARD_ATTEMPT_RELEASE_AGENT] = "guest-integrity/escapes",
};
static_assert(ARRAY_SIZE(attempt_rules) == GUARD_N_ATTEMPTS, "a rule for each");

/* The kernel's own file systems: include/uapi/linux/magic.h */
static const struct {
	const char *prefix;
	uint64_t magics[2];
} pseudo[] = {
	{ "proc:", { 0x9fa0 } },
	{ "sysfs:", { 0x62656572 } },
	{ "cgroup:", { 0x27e0eb, 0x63677270 } },
	{ "debugfs:", { 0x64626720 } },
	{ "tracefs:", { 0x74726163 } },
	{ "securityfs:", { 0x73636673 } },
	{ "binfmt_misc:", { 0x42494e4d } },
};

const char *policy_attempt_name(uint32_t attempt)
{
	return attempt < ARRAY_SIZE(attempts) ? attempts[attempt] : "?";
}

const char *policy_attempt_rule(uint32_t attempt)
{
	return attempt < ARRAY_SIZE(attempt_rules) ? attempt_rules[attempt] : "?";
}

const char *policy_guest_integrity(void)
{
	return builtin_guest_integrity;
}

unsigned int policy_path_pseudo(const char *path, uint64_t ret_magics[2], const char **ret_prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(pseudo); i++) {
		if (strncmp(path, pseudo[i].prefix, strlen(pseudo[i].prefix)) != 0)
			continue;
		memcpy(ret_magics, pseudo[i].magics, sizeof(pseudo[i].magics));
		*ret_prefix = pseudo[i].prefix;
		return 1 + (pseudo[i].magics[1] != 0);
	}
	return 0;
}

/* --- what a policy says ------------------------------------------------------------------------------------------------------ */

void integrity_settings_init(struct integrity_settings *settings)
{
	*settings = (struct integrity_settings){
		.all = { .guest = INTEGRITY_AUDIT, .containers = INTEGRITY_DENY },
	};
}

static int read_integrity_action(struct schema *schema, const struct yaml_node *node)
{
	static const char *const words[] = {
		[INTEGRITY_OFF] = "off",
		[INTEGRITY_AUDIT] = "audit",
		[INTEGRITY_DENY] = "deny",
	};

	return schema_choose(schema, node, "value", words, ARRAY_SIZE(words));
}

struct part_reader {
	enum integrity_action guest, containers;
	bool guest_given, containers_given;
};

static int read_part_guest(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct part_reader *part = object;
	int r = read_integrity_action(schema, node);

	if (r < 0)
		return r;
	part->guest = (enum integrity_action)r;
	part->guest_given = true;
	return 0;
}

static int read_part_containers(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct part_reader *part = object;
	int r = read_integrity_action(schema, node);

	if (r < 0)
		return r;
	part->containers = (enum integrity_action)r;
	part->containers_given = true;
	return 0;
}

/* One word is for both. */
static int read_setting(struct schema *schema, const struct yaml_node *node,
			struct part_reader *ret)
{
	static const struct schema_key keys[] = {
		{ "guest", NULL, read_part_guest },
		{ "containers", NULL, read_part_containers },
	};
	int r;

	if (node->kind != YAML_TEXT)
		return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), ret);
	r = read_part_guest(schema, node, ret);
	return r < 0 ? r : read_part_containers(schema, node, ret);
}

/* The keys of `parts` are the parts' names. */
static int read_parts(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct integrity_settings *settings = object;

	if (node->kind != YAML_MAP)
		return schema_refuse(schema, node,
				     "`parts` is not a mapping; write `modules: deny` and the like "
				     "under it");
	for (const struct yaml_node *value = node->first; value; value = value->next) {
		int i = schema_choose(schema, value->key, "part", parts, ARRAY_SIZE(parts)), r;
		struct part_reader part = { .guest_given = false };

		if (i < 0)
			return i;
		r = read_setting(schema, value, &part);
		if (r < 0)
			return r;
		settings->part[i] = (struct integrity_setting){ part.guest, part.containers };
		settings->guest_given[i] = part.guest_given;
		settings->containers_given[i] = part.containers_given;
	}
	return 0;
}

static int read_guest(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct integrity_settings *settings = object;
	int r = read_integrity_action(schema, node);

	if (r >= 0)
		settings->all.guest = (enum integrity_action)r;
	return r < 0 ? r : 0;
}

static int read_containers(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct integrity_settings *settings = object;
	int r = read_integrity_action(schema, node);

	if (r >= 0)
		settings->all.containers = (enum integrity_action)r;
	return r < 0 ? r : 0;
}

int integrity_read(struct schema *schema, const struct yaml_node *node,
		   struct integrity_settings *ret)
{
	static const struct schema_key keys[] = {
		{ "guest", NULL, read_guest },
		{ "containers", NULL, read_containers },
		{ "parts", NULL, read_parts },
	};
	int r;

	if (node->kind == YAML_MAP)
		return schema_read_map(schema, node, keys, ARRAY_SIZE(keys), ret);
	r = read_guest(schema, node, ret);
	return r < 0 ? r : read_containers(schema, node, ret);
}

static struct integrity_setting setting_of(const struct integrity_settings *settings, int part)
{
	return (struct integrity_setting){
		.guest = settings->guest_given[part] ? settings->part[part].guest
						     : settings->all.guest,
		.containers = settings->containers_given[part] ? settings->part[part].containers
							       : settings->all.containers,
	};
}

/* --- the built-in set -------------------------------------------------------------------------------------------------------- */

struct builtin {
	struct policy *policy;
	const struct integrity_settings *settings;
	int part;
	char **kernel, **guest; /* paths: pseudo files, and the guest's own; while a part is read */
	size_t n_kernel, n_guest;
};

static int read_name(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct builtin *builtin = object;

	builtin->part = schema_choose(schema, node, "part", parts, ARRAY_SIZE(parts));
	return builtin->part < 0 ? builtin->part : 0;
}

static void set_masks(struct builtin *builtin, unsigned int whom, enum integrity_action action,
		      int attempt)
{
	/* What the guest's own processes read of their disks is nobody's business. */
	if (whom == 0 && attempt == GUARD_ATTEMPT_BLOCK_READ)
		return;
	if (action != INTEGRITY_OFF)
		builtin->policy->integrity.report[whom] |= 1u << attempt;
	if (action == INTEGRITY_DENY)
		builtin->policy->integrity.deny[whom] |= 1u << attempt;
}

static int add_attempt(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct builtin *builtin = object;
	struct integrity_setting setting = setting_of(builtin->settings, builtin->part);
	int attempt = schema_choose(schema, node, "attempt", attempts, ARRAY_SIZE(attempts));

	if (attempt < 0)
		return attempt;
	set_masks(builtin, 0, setting.guest, attempt);
	set_masks(builtin, 1, setting.containers, attempt);
	return 0;
}

static int read_attempts(struct schema *schema, const struct yaml_node *node, void *object)
{
	return schema_each(schema, node, add_attempt, object);
}

static int copy_paths(struct policy_rule *rule, char *const paths[], size_t n)
{
	rule->paths = calloc(n, sizeof(*rule->paths));
	if (!rule->paths)
		return -ENOMEM;
	for (; rule->n_paths < n; rule->n_paths++) {
		rule->paths[rule->n_paths] = strdup(paths[rule->n_paths]);
		if (!rule->paths[rule->n_paths])
			return -ENOMEM;
	}
	return 0;
}

static int append_rule(struct builtin *builtin, enum policy_whom whom, enum integrity_action action,
		       uint32_t operations, char *const paths[], size_t n)
{
	struct policy *policy = builtin->policy;
	struct policy_rule *rules, *rule;
	bool by_container = whom == POLICY_BY_CONTAINER;

	if (action == INTEGRITY_OFF || !n)
		return 0;
	rules = reallocarray(policy->rules, policy->n_rules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	policy->rules = rules;
	rule = &rules[policy->n_rules++];
	*rule = (struct policy_rule){
		.guest = true,
		.runtimes = !strcmp(parts[builtin->part], "runtimes"),
		.whom = whom,
		.operations = operations,
		.action = action == INTEGRITY_DENY ? POLICY_DENY : POLICY_AUDIT,
		.severity = by_container ? POLICY_SEVERITY_HIGH : POLICY_SEVERITY_MEDIUM,
	};
	if (asprintf(&rule->name, "guest-integrity/%s", parts[builtin->part]) < 0)
		rule->name = NULL;
	return rule->name ? copy_paths(rule, paths, n) : -ENOMEM;
}

static int append_rules(struct builtin *builtin, uint32_t operations, char *const paths[], size_t n)
{
	struct integrity_setting setting = setting_of(builtin->settings, builtin->part);
	int r = append_rule(builtin, POLICY_BY_GUEST, setting.guest, operations, paths, n);

	if (r == 0)
		r = append_rule(builtin, POLICY_BY_CONTAINER, setting.containers, operations, paths,
				n);
	return r;
}

static int add_file(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct builtin *builtin = object;

	(void)schema;
	if (*node->text == '/')
		builtin->guest[builtin->n_guest++] = node->text;
	else
		builtin->kernel[builtin->n_kernel++] = node->text;
	return 0;
}

static int read_files(struct schema *schema, const struct yaml_node *node, void *object)
{
	struct builtin *builtin = object;
	_cleanup_(freep) char **kernel = calloc(node->n + 1, sizeof(*kernel));
	_cleanup_(freep) char **guest = calloc(node->n + 1, sizeof(*guest));
	int r;

	if (!kernel || !guest)
		return schema_no_memory(schema);
	builtin->kernel = kernel;
	builtin->guest = guest;
	builtin->n_kernel = builtin->n_guest = 0;
	r = schema_each(schema, node, add_file, builtin);
	if (r == 0)
		r = append_rules(builtin, POLICY_WRITE, kernel, builtin->n_kernel);
	if (r == 0)
		r = append_rules(builtin, POLICY_MODIFY, guest, builtin->n_guest);
	return r == -ENOMEM ? schema_no_memory(schema) : r;
}

static int read_builtin(struct schema *schema, const struct yaml_node *root,
			struct builtin *builtin)
{
	static const struct schema_key keys[] = {
		{ "part", "name it", read_name },
		{ "attempts", NULL, read_attempts },
		{ "files", NULL, read_files },
	};

	for (const struct yaml_node *part = root->first; part; part = part->next) {
		int r = schema_read_map(schema, part, keys, ARRAY_SIZE(keys), builtin);

		if (r < 0)
			return r;
	}
	return 0;
}

DEFINE_CLEANUP(struct yaml_node *, yaml_node_free)

int integrity_apply(struct policy *policy, const struct integrity_settings *settings,
		    struct error *err)
{
	_cleanup_(yaml_node_freep) struct yaml_node *root = NULL;
	struct builtin builtin = { .policy = policy, .settings = settings };
	struct schema schema = { .source = policy->source, .err = err };
	int r = yaml_node_read(&root, builtin_guest_integrity, strlen(builtin_guest_integrity),
			       policy->source, err);

	return r < 0 ? r : read_builtin(&schema, root, &builtin);
}
