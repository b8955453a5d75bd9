// SPDX-License-Identifier: GPL-2.0-or-later
/* Whatever a client sends: it is refused, or it is a request that says the same when it is printed. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "daemon/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_object_putp) struct json_object *reply = NULL, *printed = NULL;
	static struct control_request request, again;
	struct error err = { 0 };
	const char *line;
	size_t n;

	reply = control_object((const char *)data, size);
	if (reply)
		control_outcome(reply, &err);
	if (control_parse(&request, (const char *)data, size, &err) < 0) {
		assert(*err.message);
		return 0;
	}
	assert(!*request.name || control_name_is_good(request.name));
	assert(!*request.qmp || *request.qmp == '/');
	assert(!*request.policy || *request.policy == '/');
	printed = control_print(&request);
	line = control_text(printed, &n);
	assert(!memchr(line, '\n', n));
	assert(control_parse(&again, line, n, &err) == 0);
	assert(request.verb == again.verb && request.last == again.last &&
	       request.wait == again.wait && request.hot_plug == again.hot_plug &&
	       request.follow == again.follow && request.text == again.text);
	assert(strcmp(request.name, again.name) == 0 && strcmp(request.qmp, again.qmp) == 0 &&
	       strcmp(request.policy, again.policy) == 0);
	return 0;
}
