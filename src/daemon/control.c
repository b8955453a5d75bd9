// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#define MAX_DEPTH 8

enum {
	NAME = 1 << 0,
	QMP = 1 << 1,
	POLICY = 1 << 2,
	WAIT = 1 << 3,
	FOLLOW = 1 << 4,
	TEXT = 1 << 5,
	LAST = 1 << 6,
	ALLOW_PARTIAL = 1 << 7,
	HOT_PLUG = 1 << 8,
	MINUTES = 1 << 9,
};

static const struct verb {
	const char *name;
	unsigned int needs, takes;
} verbs[] = {
	[CONTROL_ATTACH] = { "attach", NAME | QMP | POLICY, WAIT | HOT_PLUG | ALLOW_PARTIAL },
	[CONTROL_DETACH] = { "detach", NAME, 0 },
	[CONTROL_STATUS] = { "status", 0, NAME },
	[CONTROL_EVENTS] = { "events", 0, NAME | FOLLOW | TEXT | LAST },
	[CONTROL_PROFILE] = { "profile", NAME, 0 },
	[CONTROL_POLICY_LOAD] = { "policy-load", POLICY, NAME },
	[CONTROL_MAINTENANCE] = { "maintenance", NAME | MINUTES, 0 },
};
_Static_assert(ARRAY_SIZE(verbs) == CONTROL_N_VERBS, "each verb says what it takes");

struct member {
	const char *name;
	enum json_type type;
	size_t offset, size; /* in a control_request; size of a string's buffer */
	const char *right;
};

#define STRING(field, what)                                                        \
	{                                                                          \
#field, json_type_string, offsetof(struct control_request, field), \
			sizeof(((struct control_request *)0)->field), what         \
	}
#define FLAG(field)                                                                               \
	{                                                                                         \
#field, json_type_boolean, offsetof(struct control_request, field), sizeof(bool), \
			"true or false"                                                           \
	}

/* In the order of the bits above. */
static const struct member members[] = {
	STRING(name, "a name of letters, digits and ._+:@-, at most 63"),
	STRING(qmp, "the absolute path of a socket, at most 107 bytes"),
	STRING(policy, "the absolute path of a file"),
	FLAG(wait),
	FLAG(follow),
	FLAG(text),
	{ "last", json_type_int, offsetof(struct control_request, last), sizeof(uint32_t),
	  "a number from 0" },
	FLAG(allow_partial),
	FLAG(hot_plug),
	{ "minutes", json_type_int, offsetof(struct control_request, minutes), sizeof(uint32_t),
	  "a number of minutes; 0 ends it" },
};

bool control_name_is_good(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				"._+:@-");

	return n > 0 && n < CONTROL_NAME_MAX && !name[n] && isalnum((unsigned char)*name);
}

/* A string of the request: fits, has no NUL inside, and is what its member has to be. */
static bool take_string(const struct member *member, char *to, struct json_object *value)
{
	const char *text = json_object_get_string(value);
	size_t n = (size_t)json_object_get_string_len(value);

	if (n >= member->size || strlen(text) != n)
		return false;
	if (member == &members[0] ? !control_name_is_good(text) : *text != '/')
		return false;
	memcpy(to, text, n + 1);
	return true;
}

static bool take_value(const struct member *member, struct control_request *request,
		       struct json_object *value)
{
	char *to = (char *)request + member->offset;

	if (!json_object_is_type(value, member->type))
		return false;
	if (member->type == json_type_string)
		return take_string(member, to, value);
	if (member->type == json_type_boolean) {
		*(bool *)to = json_object_get_boolean(value);
		return true;
	}
	if (json_object_get_int64(value) < 0 || json_object_get_int64(value) > UINT32_MAX)
		return false;
	*(uint32_t *)to = (uint32_t)json_object_get_int64(value);
	return true;
}

static int take_member(struct control_request *request, unsigned int *seen, const char *key,
		       struct json_object *value, struct error *err)
{
	const struct verb *verb = &verbs[request->verb];

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (strcmp(key, members[i].name) != 0)
			continue;
		if (!((verb->needs | verb->takes) & 1u << i))
			break;
		*seen |= 1u << i;
		if (take_value(&members[i], request, value))
			return 0;
		return error_set(err, -EINVAL, "%s: give %s", key, members[i].right);
	}
	return error_set(err, -EINVAL, "%s takes no member of that name: %.40s", verb->name, key);
}

static int find_verb(struct json_object *object, enum control_verb *ret, struct error *err)
{
	struct json_object *value = json_object_object_get(object, "verb");

	for (unsigned int i = 0;
	     json_object_is_type(value, json_type_string) && i < CONTROL_N_VERBS; i++) {
		if (strcmp(json_object_get_string(value), verbs[i].name) == 0) {
			*ret = i;
			return 0;
		}
	}
	return error_set(err, -EINVAL,
			 "give a verb: attach, detach, status, events, profile, "
			 "policy-load or maintenance");
}

struct json_object *control_object(const char *line, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *object = NULL;

	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (size <= INT_MAX)
		object = json_tokener_parse_ex(tokener, line, (int)size);
	if (object && (json_tokener_get_parse_end(tokener) != size ||
		       !json_object_is_type(object, json_type_object))) {
		json_object_put(object);
		object = NULL;
	}
	json_tokener_free(tokener);
	return object;
}

int control_parse(struct control_request *ret, const char *line, size_t size, struct error *err)
{
	_cleanup_(json_object_putp) struct json_object *object = control_object(line, size);
	struct control_request request = { .last = UINT32_MAX, .minutes = UINT32_MAX };
	unsigned int seen = 0;
	int r;

	if (!object)
		return error_set(err, -EINVAL, "a request is one JSON object on one line");
	r = find_verb(object, &request.verb, err);
	if (r < 0)
		return r;
	json_object_object_foreach(object, key, value)
	{
		if (strcmp(key, "verb") == 0)
			continue;
		r = take_member(&request, &seen, key, value, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (verbs[request.verb].needs & ~seen & 1u << i)
			return error_set(err, -EINVAL, "%s needs a member \"%s\": %s",
					 verbs[request.verb].name, members[i].name,
					 members[i].right);
	}
	*ret = request;
	return 0;
}

static struct json_object *value_of(const struct control_request *request,
				    const struct member *member)
{
	const char *from = (const char *)request + member->offset;

	if (member->type == json_type_string)
		return *from ? json_object_new_string(from) : NULL;
	if (member->type == json_type_boolean)
		return *(const bool *)from ? json_object_new_boolean(true) : NULL;
	return *(const uint32_t *)from == UINT32_MAX
		       ? NULL
		       : json_object_new_int64(*(const uint32_t *)from);
}

struct json_object *control_print(const struct control_request *request)
{
	const struct verb *verb = &verbs[request->verb];
	struct json_object *to = json_object_new_object(), *value;

	json_object_object_add(to, "verb", json_object_new_string(verb->name));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (!((verb->needs | verb->takes) & 1u << i))
			continue;
		value = value_of(request, &members[i]);
		if (value)
			json_object_object_add(to, members[i].name, value);
	}
	return to;
}

struct json_object *control_done(void)
{
	struct json_object *to = json_object_new_object();

	json_object_object_add(to, "ok", json_object_new_boolean(true));
	return to;
}

struct json_object *control_refused(enum outcome outcome, const char *format, ...)
{
	struct json_object *to = json_object_new_object(), *error = json_object_new_object();
	char message[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	json_object_object_add(to, "ok", json_object_new_boolean(false));
	json_object_object_add(error, "kind", json_object_new_string(outcome_name(outcome)));
	json_object_object_add(error, "message", json_object_new_string(message));
	json_object_object_add(to, "error", error);
	return to;
}

enum outcome control_outcome(struct json_object *reply, struct error *err)
{
	struct json_object *error = json_object_object_get(reply, "error"), *kind, *message;

	if (json_object_get_boolean(json_object_object_get(reply, "ok")))
		return OUTCOME_DONE;
	kind = json_object_object_get(error, "kind");
	message = json_object_object_get(error, "message");
	error_set(err, -EREMOTEIO, "%s",
		  message ? json_object_get_string(message) : "an answer without a message");
	return outcome_by_name(kind ? json_object_get_string(kind) : NULL);
}

const char *control_text(struct json_object *object, size_t *ret_size)
{
	return json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_size);
}
