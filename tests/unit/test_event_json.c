// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "events/event.h"
#include "events/utf8.h"
#include "util/cleanup.h"

#include "check_events.h"

static const struct event typical = {
	.sequence = 42,
	.time_ns = UINT64_C(1763873467123456789),
	.guest_time_ns = UINT64_C(1763873467123000000),
	.vm = "web-1",
	.rule = "protect-accounts",
	.message = "someone writes the account files",
	.severity = POLICY_SEVERITY_HIGH,
	.action = POLICY_DENY,
	.operation = POLICY_WRITE,
	.denied = true,
	.file = {
		.path = "/etc/passwd",
		.accessed_path = "/etc/passwd",
		.device_minor = 52,
		.inode = 262417,
		.generation = 3041867525,
		.mode = S_IFREG | 0644,
		.size = 922,
	},
	.process = {
		.pid = 3121,
		.tid = 3121,
		.inner_pid = 7,
		.inner_tid = 7,
		.ppid = 3098,
		.start_ns = UINT64_C(91250000000),
		.name = "sh",
		.executable = "/usr/bin/dash",
		.parents = { { 3098, 0, "containerd-shim" }, { 1, 0, "systemd" } },
		.n_parents = 2,
		.in_container = true,
	},
	.container = {
		.id = "3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddeeff00112233445566",
		.engine = "docker",
		.cgroup_path = "/system.slice/docker-3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddee"
			       "ff00112233445566.scope",
		.hostname = "shop",
		.name = "web",
		.image = "nginx:1.27",
	},
};

/* The example of docs/EVENTS.md. */
static const char *const typical_json =
	"{\"@timestamp\":\"2025-11-23T04:51:07.123456Z\",\"vm\":\"web-1\","
	"\"rule\":\"protect-accounts\",\"severity\":\"high\",\"operation\":\"write\","
	"\"action\":\"deny\",\"result\":\"denied\",\"message\":\"someone writes the account "
	"files\","
	"\"event\":{\"kind\":\"alert\",\"category\":[\"file\"],\"type\":[\"change\",\"denied\"],"
	"\"action\":\"write\",\"outcome\":\"failure\",\"sequence\":42},"
	"\"file\":{\"path\":\"/etc/passwd\",\"type\":\"file\",\"device\":\"0:52\",\"inode\":262417,"
	"\"generation\":3041867525,\"mode\":\"0644\",\"uid\":0,\"gid\":0,\"size\":922},"
	"\"process\":{\"pid\":3121,\"tid\":3121,\"vpid\":7,\"vtid\":7,\"ppid\":3098,\"name\":"
	"\"sh\","
	"\"executable\":\"/usr/bin/dash\",\"uid\":0,\"gid\":0,\"euid\":0,\"egid\":0,"
	"\"start_ns\":91250000000,\"in_container\":true,\"parents\":["
	"{\"pid\":3098,\"name\":\"containerd-shim\",\"uid\":0},"
	"{\"pid\":1,\"name\":\"systemd\",\"uid\":0}]},"
	"\"container\":{\"id\":"
	"\"3f2a9c1b04de5a7c8e90b1d2f3a4c5e6978899aabbccddeeff00112233445566\","
	"\"engine\":\"docker\",\"cgroup_path\":\"/system.slice/"
	"docker-3f2a9c1b04de5a7c8e90b1d2f3a4c5e6"
	"978899aabbccddeeff00112233445566.scope\",\"hostname\":\"shop\",\"name\":\"web\","
	"\"image\":{\"name\":\"nginx:1.27\"},\"guest_says\":[\"name\",\"image.name\"]}}\n";

/* The line, to be freed. */
static char *print(const struct event *event)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	assert_non_null(out);
	event_print_json(event, out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(line), size);
	assert_ptr_equal(strchr(line, '\n'), line + size - 1);
	return line;
}

static json_object *parse(const char *line)
{
	json_tokener *tokener = json_tokener_new();
	json_object *object;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, line, (int)strlen(line) + 1);
	assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
	json_tokener_free(tokener);
	return object;
}

static void test_typical(void **state)
{
	_cleanup_(freep) char *line = print(&typical);

	(void)state;
	assert_string_equal(line, typical_json);
	json_object_put(parse(line));
}

static void unchanged(struct event *e)
{
	(void)e;
}

static void denied_read(struct event *e)
{
	e->operation = POLICY_READ;
}

static void audited(struct event *e)
{
	e->action = POLICY_AUDIT;
	e->denied = false;
}

static void let_through(struct event *e)
{
	e->denied = false;
}

static void unknown_operation(struct event *e)
{
	e->operation = 0;
}

static void guest_clock_ahead(struct event *e)
{
	e->guest_time_ns = e->time_ns + UINT64_C(1000000001);
}

static void guest_clock_behind(struct event *e)
{
	e->guest_time_ns = UINT64_C(951782399999999999);
}

static void guest_clock_near(struct event *e)
{
	e->guest_time_ns = e->time_ns - UINT64_C(1000000000);
}

static void guest_clock_unknown(struct event *e)
{
	e->guest_time_ns = 0;
}

static void clocks_extreme(struct event *e)
{
	e->time_ns = 0;
	e->guest_time_ns = UINT64_MAX;
}

static void nothing_known(struct event *e)
{
	memset(e, 0, sizeof(*e));
}

static void other_path(struct event *e)
{
	strcpy(e->file.accessed_path, "/var/lib/docker/overlay2/x/merged/etc/passwd");
}

static void setuid_directory(struct event *e)
{
	e->file.mode = S_IFDIR | 07001;
}

static void huge(struct event *e)
{
	e->file.device_major = e->file.device_minor = UINT32_MAX;
	e->file.inode = UINT64_MAX;
	e->process.n_parents = UINT32_MAX;
}

static void outside(struct event *e)
{
	e->process.in_container = false;
	e->process.euid = 33;
}

static void without_container(struct event *e)
{
	memset(&e->container, 0, sizeof(e->container));
}

static void killed(struct event *e)
{
	e->action = POLICY_KILL;
	e->killed = true;
}

static void only_denied(struct event *e) /* the guest's first process is not killed */
{
	e->action = POLICY_KILL;
}

static void already_open(struct event *e)
{
	e->denied = false;
	e->already_open = true;
}

static void renamed_away(struct event *e)
{
	e->operation = POLICY_RENAME;
	strcpy(e->file.target_path, "/etc/passwd.bak");
}

static void renamed_over(struct event *e)
{
	e->operation = POLICY_RENAME;
	strcpy(e->file.source_path, "/tmp/\"x\"");
}

static void nameless(struct event *e)
{
	*e->container.name = *e->container.image = '\0';
}

static void in_pod(struct event *e)
{
	*e->container.name = '\0';
	strcpy(e->container.pod_name, "web-0");
	strcpy(e->container.pod_namespace, "shop");
	strcpy(e->container.pod_uid, "6f1d0f4e-9d5b-4c39-8d0b-0a6b1c2d3e4f");
}

static void in_nameless_pod(struct event *e)
{
	*e->container.image = '\0';
	strcpy(e->container.pod_uid, "6f1d0f4e-9d5b-4c39-8d0b-0a6b1c2d3e4f");
}

static void test_members(void **state)
{
	/* NULL: the member is left out */
	static const struct {
		void (*change)(struct event *event);
		const char *pointer;
		const char *expected;
	} rows[] = {
		{ denied_read, "/operation", "read" },
		{ denied_read, "/event/type", "[\"access\",\"denied\"]" },
		{ denied_read, "/event/kind", "alert" },
		{ audited, "/action", "audit" },
		{ audited, "/result", "allowed" },
		{ audited, "/event/kind", "event" },
		{ audited, "/event/type", "[\"change\",\"allowed\"]" },
		{ audited, "/event/outcome", "success" },
		{ let_through, "/action", "deny" },
		{ let_through, "/result", "allowed" },
		{ unknown_operation, "/event/type", "[\"info\",\"denied\"]" },
		{ guest_clock_ahead, "/guest_time", "2025-11-23T04:51:08.123456Z" },
		{ guest_clock_behind, "/guest_time", "2000-02-28T23:59:59.999999Z" },
		{ guest_clock_near, "/guest_time", NULL },
		{ guest_clock_unknown, "/guest_time", NULL },
		{ clocks_extreme, "/@timestamp", "1970-01-01T00:00:00.000000Z" },
		{ clocks_extreme, "/guest_time", "2554-07-21T23:34:33.709551Z" },
		{ nothing_known, "/vm", NULL },
		{ nothing_known, "/rule", NULL },
		{ nothing_known, "/message", NULL },
		{ nothing_known, "/severity", "low" },
		{ nothing_known, "/file/path", NULL },
		{ nothing_known, "/file/type", NULL },
		{ nothing_known, "/file/device", "0:0" },
		{ nothing_known, "/process/name", NULL },
		{ nothing_known, "/process/executable", NULL },
		{ nothing_known, "/process/vpid", NULL },
		{ nothing_known, "/process/parents", "[]" },
		{ nothing_known, "/container", NULL },
		{ other_path, "/file/path", "/etc/passwd" },
		{ other_path, "/file/accessed_path",
		  "/var/lib/docker/overlay2/x/merged/etc/passwd" },
		{ setuid_directory, "/file/type", "directory" },
		{ setuid_directory, "/file/mode", "7001" },
		{ huge, "/file/device", "4294967295:4294967295" },
		{ huge, "/process/parents/4", "{\"pid\":0,\"uid\":0}" },
		{ huge, "/process/parents/5", NULL },
		{ outside, "/process/in_container", "false" },
		{ outside, "/process/euid", "33" },
		{ killed, "/action", "kill" },
		{ killed, "/result", "denied" },
		{ killed, "/killed", "true" },
		{ killed, "/event/kind", "alert" },
		{ killed, "/event/type", "[\"change\",\"denied\"]" },
		{ only_denied, "/action", "kill" },
		{ only_denied, "/result", "denied" },
		{ only_denied, "/killed", NULL },
		{ only_denied, "/already_open", NULL },
		{ already_open, "/result", "allowed" },
		{ already_open, "/already_open", "true" },
		{ already_open, "/killed", NULL },
		{ already_open, "/event/kind", "state" },
		{ already_open, "/event/type", "[\"info\",\"allowed\"]" },
		{ already_open, "/event/outcome", "success" },
		{ renamed_away, "/file/target_path", "/etc/passwd.bak" },
		{ renamed_away, "/file/source_path", NULL },
		{ renamed_over, "/file/source_path", "/tmp/\"x\"" },
		{ renamed_over, "/file/target_path", NULL },
		{ unchanged, "/container/name", "web" },
		{ unchanged, "/container/image", "{\"name\":\"nginx:1.27\"}" },
		{ unchanged, "/container/pod", NULL },
		{ unchanged, "/container/guest_says", "[\"name\",\"image.name\"]" },
		{ nameless, "/container/name", NULL },
		{ nameless, "/container/image", NULL },
		{ nameless, "/container/guest_says", NULL },
		{ in_pod, "/container/pod",
		  "{\"name\":\"web-0\",\"namespace\":\"shop\","
		  "\"uid\":\"6f1d0f4e-9d5b-4c39-8d0b-0a6b1c2d3e4f\"}" },
		{ in_pod, "/container/guest_says",
		  "[\"image.name\",\"pod.name\",\"pod.namespace\",\"pod.uid\"]" },
		{ in_nameless_pod, "/container/pod",
		  "{\"uid\":\"6f1d0f4e-9d5b-4c39-8d0b-0a6b1c2d3e4f\"}" },
		{ in_nameless_pod, "/container/guest_says", "[\"name\",\"pod.uid\"]" },
		{ without_container, "/container", NULL },
		{ without_container, "/process/in_container", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct event event = typical;
		json_object *object, *member = NULL;

		rows[i].change(&event);
		_cleanup_(freep) char *line = print(&event);

		object = parse(line);
		assert_int_equal(json_pointer_get(object, rows[i].pointer, &member),
				 rows[i].expected ? 0 : -1);
		if (rows[i].expected)
			assert_string_equal(json_object_is_type(member, json_type_string)
						    ? json_object_get_string(member)
						    : json_object_to_json_string_ext(
							      member, JSON_C_TO_STRING_PLAIN),
					    rows[i].expected);
		json_object_put(object);
	}
}

/* Each operation by its name, and by what ECS calls such a thing. */
static void test_operations(void **state)
{
	static const struct {
		uint32_t operation;
		const char *name, *type;
	} rows[] = {
		{ POLICY_READ, "read", "access" },
		{ POLICY_WRITE, "write", "change" },
		{ POLICY_CREATE, "create", "creation" },
		{ POLICY_DELETE, "delete", "deletion" },
		{ POLICY_RENAME, "rename", "change" },
		{ POLICY_LINK, "link", "creation" },
		{ POLICY_SYMLINK, "symlink", "creation" },
		{ POLICY_TRUNCATE, "truncate", "change" },
		{ POLICY_CHMOD, "chmod", "change" },
		{ POLICY_CHOWN, "chown", "change" },
		{ POLICY_UTIMES, "utimes", "change" },
		{ POLICY_XATTR, "xattr", "change" },
		{ POLICY_ATTR_FLAGS, "attr-flags", "change" },
		{ POLICY_MMAP_WRITE, "mmap-write", "change" },
		{ POLICY_EXEC, "exec", "access" },
		{ POLICY_MOUNT, "mount", "change" },
		{ POLICY_COPY_UP, "copy-up", "change" },
	};

	(void)state;
	assert_int_equal(ARRAY_SIZE(rows), POLICY_N_OPERATIONS);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct event event = typical;
		char operation[64], ecs[128];

		event.operation = rows[i].operation;
		_cleanup_(freep) char *line = print(&event);

		snprintf(operation, sizeof(operation), ",\"operation\":\"%s\",", rows[i].name);
		snprintf(ecs, sizeof(ecs), ",\"type\":[\"%s\",\"denied\"],\"action\":\"%s\",",
			 rows[i].type, rows[i].name);
		assert_non_null(strstr(line, operation));
		assert_non_null(strstr(line, ecs));
	}
}

static void test_inode_is_exact(void **state)
{
	struct event event = typical;

	(void)state;
	huge(&event);
	_cleanup_(freep) char *line = print(&event);

	assert_non_null(strstr(line, "\"inode\":18446744073709551615,"));
}

static void test_strings(void **state)
{
	static const struct {
		const char *bytes;
		const char *json;
	} rows[] = {
		{ "a b", "a b" },
		{ "\"\\/", "\\\"\\\\/" },
		{ "\n\t\x1b[31m\x01\x7f", "\\u000a\\u0009\\u001b[31m\\u0001\\u007f" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xb3", "caf\xc3\xa9 \xe2\x82\xac "
							       "\xf0\x9f\x90\xb3" },
		{ "\xc2\x9b", "\\u009b" }, /* the other CSI */
		{ "\xe2\x80\xa8\xe2\x80\xae",
		  "\\u2028\\u202e" }, /* line separator, right-to-left */
		{ "\xf3\xa0\x81\x81", "\\udb40\\udc41" }, /* an invisible 'A' */
		{ "\xff", UTF8_REPLACEMENT },
		{ "\xc3", UTF8_REPLACEMENT }, /* cut short */
		{ "\xe2\x82", UTF8_REPLACEMENT UTF8_REPLACEMENT },
		{ "\xe2\x82"
		  "a",
		  UTF8_REPLACEMENT UTF8_REPLACEMENT "a" },
		{ "\xc0\xaf", UTF8_REPLACEMENT UTF8_REPLACEMENT }, /* '/' in two bytes */
		{ "\xe0\x80\xaf", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT },
		{ "\xed\xa0\x80",
		  UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT }, /* surrogate */
		{ "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" }, /* its neighbours */
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" }, /* the last character */
		{ "\xf4\x90\x80\x80",
		  UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT },
		{ "\xf8\x88\x80\x80\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT
						  UTF8_REPLACEMENT UTF8_REPLACEMENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct event event = typical;
		char expected[256];

		strcpy(event.file.path, rows[i].bytes);
		snprintf(expected, sizeof(expected), "\"file\":{\"path\":\"%s\",", rows[i].json);
		_cleanup_(freep) char *line = print(&event);

		if (!strstr(line, expected))
			fail_msg("row %zu: %s", i, line);
		json_object_put(parse(line));
	}
}

/* Longer than the writer's buffer: in each string alone, and in one. */
static void test_long(void **state)
{
	static char message[20000];
	struct event event = typical;
	json_object *object;

	(void)state;
	memset(message, 'm', sizeof(message) - 1);
	event.message = message;
	memset(event.file.path, 1, sizeof(event.file.path) - 1);
	memset(event.file.accessed_path, 2, sizeof(event.file.accessed_path) - 1);
	memset(event.file.source_path, 3, sizeof(event.file.source_path) - 1);
	memset(event.file.target_path, 0xff, sizeof(event.file.target_path) - 1);
	memset(event.container.name, 4, sizeof(event.container.name) - 1);
	memset(event.container.image, '\\', sizeof(event.container.image) - 1);
	memset(event.container.pod_uid, 5, sizeof(event.container.pod_uid) - 1);
	memset(event.process.executable, '"', sizeof(event.process.executable) - 1);
	_cleanup_(freep) char *line = print(&event);

	object = parse(line);
	assert_string_equal(json_object_get_string(json_object_object_get(object, "message")),
			    message);
	json_object *file = json_object_object_get(object, "file");

	assert_string_equal(json_object_get_string(json_object_object_get(file, "path")),
			    event.file.path);
	json_object_put(object);
}

/* Attempts on the guest as a whole: on no file, on a process, on a device. */
static void attempted(struct event *event)
{
	event->operation = 0;
	event->attempt = "module-load";
	event->rule = "guest-integrity/modules";
	event->process.from_container = true;
	memset(&event->file, 0, sizeof(event->file));
}

static void traced(struct event *event)
{
	attempted(event);
	event->attempt = "ptrace";
	event->process.from_container = false;
	event->target.pid = 77;
	strcpy(event->target.name, "dockerd");
}

static void on_device(struct event *event)
{
	struct event_file file = event->file;

	attempted(event);
	event->file = file;
	event->attempt = "block-write";
	strcpy(event->target.detail, "block device 8:0");
}

static void print_many(size_t n, FILE *out)
{
	static void (*const changes[])(struct event * event) = {
		denied_read,	   audited,   let_through,  guest_clock_ahead,
		other_path,	   outside,   killed,	    setuid_directory,
		without_container, huge,      already_open, renamed_away,
		renamed_over,	   nameless,  in_pod,	    in_nameless_pod,
		only_denied,	   attempted, traced,	    on_device,
	};

	for (size_t i = 0; i < n; i++) {
		struct event event = typical;

		event.sequence += i;
		event.operation = 1u << (i + 1) % POLICY_N_OPERATIONS;
		if (i > 0)
			changes[i / POLICY_N_OPERATIONS % ARRAY_SIZE(changes)](&event);
		event_print_json(&event, out);
	}
}

static void test_attempts(void **state)
{
	struct event event = typical;

	(void)state;
	attempted(&event);
	_cleanup_(freep) char *line = print(&event);
	assert_non_null(strstr(line, "\"operation\":\"module-load\""));
	assert_non_null(strstr(line, "\"category\":[\"intrusion_detection\"]"));
	assert_non_null(strstr(line, "\"from_container\":true"));
	assert_null(strstr(line, "\"file\":"));
	assert_null(strstr(line, "\"target\":"));
	event = typical;
	traced(&event);
	_cleanup_(freep) char *other = print(&event);
	assert_non_null(strstr(other, "\"target\":{\"pid\":77,\"name\":\"dockerd\"}"));
	assert_null(strstr(other, "from_container"));
}

/* All that is said keeps to docs/events.schema.json, and what does not is found out. */
static void test_schema(void **state)
{
	static const struct {
		const char *was, *is;
	} lies[] = {
		{ "\"operation\":\"rename\"", "\"operation\":\"delete\"" },
		{ "\"operation\":\"rename\"", "\"operation\":\"chmod\"" },
		{ "\"action\":\"rename\"", "\"action\":\"move\"" },
		{ "\"result\":\"denied\"", "\"result\":\"allowed\"" },
		{ "\"killed\":true", "\"killed\":false" },
		{ "\"killed\":true", "\"already_open\":true" },
		{ "\"change\"", "\"info\"" },
		{ "\"target_path\":", "\"old_path\":" },
		{ "\"name\",\"image.name\"", "\"name\"" },
		{ "\"guest_says\":[\"name\",\"image.name\"]", "\"pod\":{}" },
		{ "\"guest_says\":[", "\"guest_says\":[\"pod.uid\"," },
		{ "}\n", "}" },
	};
	FILE *checker = check_events_open();
	struct event event = typical;

	(void)state;
	assert_non_null(checker);
	print_many(1000, checker);
	assert_int_equal(check_events_close(checker), 0);

	killed(&event);
	renamed_away(&event);
	_cleanup_(freep) char *line = print(&event);

	assert_int_equal(check_events_changed(line, "vm", "vm"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		assert_int_equal(check_events_changed(line, lies[i].was, lies[i].is), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_typical),	       cmocka_unit_test(test_members),
		cmocka_unit_test(test_inode_is_exact), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_long),	       cmocka_unit_test(test_operations),
		cmocka_unit_test(test_schema),	       cmocka_unit_test(test_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
