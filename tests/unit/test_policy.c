// SPDX-License-Identifier: GPL-2.0-or-later
#undef NDEBUG
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "util/cleanup.h"

#if defined(__SANITIZE_ADDRESS__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

DEFINE_CLEANUP(struct policy *, policy_free)

#define RULE "rules:\n  - name: r\n    action: deny\n    operations: [write]\n"
#define PATHS(paths) RULE "    paths: " paths "\n"
#define WITH(key) PATHS("/a") "    " key "\n"
#define WHERE "rules[0] \"r\": "
#define KNOWN_KEYS "name, paths, containers, operations, action, except, severity, message, answer"
#define KNOWN_TOP "rules, version, unresolved, cache, guest-integrity, trap, on-tampering, sentry"
#define KNOWN_OPERATIONS                                                               \
	"read, write, create, delete, rename, link, symlink, truncate, chmod, chown, " \
	"utimes, xattr, attr-flags, mmap-write, exec, mount, copy-up, modify, all"
#define OPERATIONS(operations) "rules:\n  - name: r\n    operations: " operations "\n"
#define OPERATIONS_REMEDY "write `operations: modify`, `all`, or a list like [read, write]"
#define EXCEPT(except) WITH("except: " except)
#define UID_REMEDY                                                                        \
	"is not a number from 0 to 4294967294, or two with a `-` between; write 1000 or " \
	"1000-1999"
#define NAMES_8 "*/*/*/*/*/*/*/*"

static const struct {
	const char *text, *message;
} refused[] = {
	/* the file */
	{ "", "1:1: nothing in the file; write `rules:` and under it a list of rules" },
	{ "# rules:\n", "1:1: nothing in the file; write `rules:` and under it a list of rules" },
	{ "---\n", "2:1: text where a mapping should be; write `rules: ...`" },
	{ "rules\n", "1:1: text where a mapping should be; write `rules: ...`" },
	{ "- name: r\n", "1:1: list where a mapping should be; write `rules: ...`" },
	{ "version: 1\n", "1:1: `rules` is missing; write `rules:` and under it a list of rules" },
	{ "rules:\n", "1:7: `rules` is empty; write `rules:` and under it a list of rules" },
	{ "rules: []\n", "1:8: `rules` is empty; write `rules:` and under it a list of rules" },
	{ "rules:\n  name: r\n", "2:3: `rules` is not a list; begin each rule with `- name: ...`" },
	{ "version: 2\n", "1:10: unknown version `2`; write `version: 1`" },
	{ "rule: []\n", "1:1: unknown key `rule`; did you mean `rules`? Known: " KNOWN_TOP },
	{ "policies: []\n", "1:1: unknown key `policies`; known: " KNOWN_TOP },
	/* the safe part of YAML */
	{ PATHS("&x /a"), "5:12: anchors are not supported; write each value out, or quote a text "
			  "that begins with &" },
	{ "a: &x [1]\n", "1:4: anchors are not supported; write each value out, or quote a text "
			 "that begins with &" },
	{ "a: &x {b: c}\n", "1:4: anchors are not supported; write each value out, or quote a text "
			    "that begins with &" },
	{ PATHS("*x"), "5:12: aliases are not supported; write the value out, or quote a text that "
		       "begins with *" },
	{ PATHS("*.x"), "5:13: not YAML: while scanning an alias, did not find expected alphabetic "
			"or numeric character; quote a text that begins with *" },
	{ PATHS("!!str /a"), "5:12: tags are not supported; leave it out, or quote a text that "
			     "begins "
			     "with !" },
	{ PATHS("/a") "---\na: b\n", "6:1: second document; keep one document in a file" },
	{ PATHS("/a") "    name: s\n", "6:5: the same key stands in line 2; keep one of them" },
	{ "? [a]\n: b\n", "1:3: list or mapping as a key; write a plain word, and a value after `: "
			  "`" },
	{ "a: [[[[[[[x]]]]]]]\n", "1:1: unknown key `a`; known: " KNOWN_TOP },
	{ "a: [[[[[[[[x]]]]]]]]\n", "1:11: nested too deep; a policy needs less" },
	{ PATHS("/a\xff"), "5:14: byte 0xff is not UTF-8; save the file as UTF-8" },
	{ "# \xc3\xa4\xc0\x80\n", "1:4: byte 0xc0 is not UTF-8; save the file as UTF-8" },
	{ "# \xed\xa0\x80\n", "1:3: byte 0xed is not UTF-8; save the file as UTF-8" },
	{ "# \xf4\x90\x80\x80\n", "1:3: byte 0xf4 is not UTF-8; save the file as UTF-8" },
	{ "# \xe2\x80", "1:3: byte 0xe2 is not UTF-8; save the file as UTF-8" },
	{ "# \x1b[8m\n", "1:3: control character U+001B; take it out of the file" },
	{ "# a\rrules: []\n", "1:4: control character U+000D; take it out of the file" },
	{ "# a\xe2\x80\xa8rules: []\n", "1:4: control character U+2028; take it out of the file" },
	{ "# \xe2\x80\xae\n", "1:3: control character U+202E; take it out of the file" },
	{ PATHS("\"/a\\0b\""), "5:12: control character U+0000 in a text; take it out" },
	{ PATHS("\"/a\\tb\""), "5:12: control character U+0009 in a text; take it out" },
	{ PATHS("\"/a\\x9b\""), "5:12: control character U+009B in a text; take it out" },
	{ PATHS("\n      - /a\n        /b"), "6:9: text over several lines; begin each item with "
					     "`- `, or fold one text with `>-`" },
	{ PATHS("[/a"), "6:1: not YAML: while parsing a flow sequence, did not find expected ',' "
			"or "
			"']'; close the bracket, with commas between the items" },
	{ PATHS("\"/a"), "6:1: not YAML: while scanning a quoted scalar, found unexpected end of "
			 "stream; close the quotes; in double quotes a backslash is an escape" },
	{ RULE "\tpaths: /a\n", "5:1: not YAML: while scanning for the next token, found character "
				"that cannot start any "
				"token; indent with spaces, and quote a text that begins with @ ` "
				"or %" },
	{ RULE "   paths: /a\n", "5:4: not YAML: while parsing a block collection, did not find "
				 "expected '-' indicator; "
				 "indent keys of one mapping and items of one list alike" },
	{ RULE "    paths /a\n", "6:1: not YAML: while scanning a simple key, could not find "
				 "expected "
				 "':'; write `key: value`, with a blank after the colon" },
	{ "a: b: c\n", "1:5: not YAML: mapping values are not allowed in this context; indent keys "
		       "alike, and quote a text that has \": \" in it" },
	/* rules */
	{ "rules: [r]\n", "1:9: rules[0]: text where a mapping should be; write `name: ...`" },
	{ "rules:\n  - paths: /a\n", "2:5: rules[0]: `name` is missing; write `name: some-name`" },
	{ "rules:\n  - name:\n", "2:10: rules[0] \"\": `name` is empty; write `name: some-name`" },
	{ "rules:\n  - name: [r]\n", "2:11: rules[0]: list where a single text should be; quote a "
				     "text that begins with [ or {" },
	{ "rules:\n  - name: a b\n", "2:11: rules[0] \"a b\": name \"a b\" is not 1 to 64 letters, "
				     "digits, . _ or -; write one "
				     "like `protect-passwd`" },
	{ RULE, "2:5: " WHERE "`paths` is missing; write `paths: [/etc/passwd]`" },
	{ "rules:\n  - name: r\n    paths: /a\n    action: deny\n",
	  "2:5: " WHERE "`operations` is missing; " OPERATIONS_REMEDY },
	{ "rules:\n  - name: r\n    paths: /a\n    operations: read\n",
	  "2:5: " WHERE "`action` is missing; write `action: audit`, `action: deny` or `action: "
	  "kill`" },
	{ PATHS("/a") "  - name: s\n    paths: /b\n    operations: wirte\n", "8:17: rules[1] "
									     "\"s\": unknown "
									     "operation `wirte`; "
									     "did you mean "
									     "`write`? "
									     "Known:"
									     " " KNOWN_OPERATIONS },
	{ PATHS("/a") "  - name: r\n    paths: /b\n    operations: read\n    action: audit\n",
	  "6:11: rules[1] \"r\": the rule in line 2 has this name; give each rule its own" },
	{ WITH("operatons: read"), "6:5: " WHERE "unknown key `operatons`; did you mean "
				   "`operations`? "
				   "Known: " KNOWN_KEYS },
	{ WITH("<<: {}"), "6:5: " WHERE "unknown key `<<`; known: " KNOWN_KEYS },
	{ WITH("a_key_that_is_much_longer_than_any_that_there_is: and has a value"),
	  "6:5: " WHERE "unknown key `a_key_that_is_much_longer_than_any_that_there_is`; "
	  "known: " KNOWN_KEYS },
	{ WITH("severity: Hihg"), "6:15: " WHERE "unknown severity `Hihg`; did you mean `high`? "
				  "Known: low, medium, high, critical" },
	{ WITH("severity:"), "6:14: " WHERE "`severity` is empty; give it a value, or leave it "
			     "out" },
	{ WITH("severity: [low]"), "6:15: " WHERE "list where a single text should be; quote a "
				   "text "
				   "that begins with [ or {" },
	{ WITH("message: |\n      a\n      b"), "6:14: line break in a text; put it on one line, "
						"or fold it with `>-`" },
	{ "rules:\n  - name: r\n    action: allow\n", "3:13: " WHERE "unknown action `allow`; "
						      "known: audit, deny, kill" },
	{ OPERATIONS("read, write"), "3:17: " WHERE "unknown operation `read, write`; write "
				     "several as a list: [read, write]" },
	{ OPERATIONS("[read, write, read]"), "3:31: " WHERE "operation `read` is there twice; keep "
					     "one" },
	{ OPERATIONS("[modify, read, modify]"), "3:32: " WHERE "operation `modify` is there twice; "
						"keep one" },
	{ OPERATIONS("[write, modify, write]"), "3:33: " WHERE "operation `write` is there twice; "
						"keep one" },
	{ OPERATIONS("[]"), "3:17: " WHERE "`operations` is empty; " OPERATIONS_REMEDY },
	{ OPERATIONS("Read"), "3:17: " WHERE "unknown operation `Read`; did you mean `read`? "
			      "Known: " KNOWN_OPERATIONS },
	{ OPERATIONS("open"), "3:17: " WHERE "unknown operation `open`; known: " KNOWN_OPERATIONS },
	{ OPERATIONS("mmap_write"), "3:17: " WHERE "unknown operation `mmap_write`; did you mean "
				    "`mmap-write`? Known: " KNOWN_OPERATIONS },
	{ OPERATIONS("umount"), "3:17: " WHERE "unknown operation `umount`; did you mean `mount`? "
				"Known: " KNOWN_OPERATIONS },
	{ OPERATIONS("[read, unlink]"), "3:24: " WHERE "unknown operation `unlink`; write "
					"`delete`" },
	{ OPERATIONS("chattr"), "3:17: " WHERE "unknown operation `chattr`; write `attr-flags`" },
	{ OPERATIONS("{read: write}"), "3:17: " WHERE "mapping where a single text should be; "
				       "quote a text that begins with [ or {" },
	/* the top of the file */
	{ "unresolved: wait\n", "1:13: unknown value `wait`; known: start, refuse" },
	{ "unresolved: refused\n", "1:13: unknown value `refused`; did you mean `refuse`? Known: "
				   "start, refuse" },
	{ "unresolved: [start]\n", "1:13: list where a single text should be; quote a text that "
				   "begins with [ or {" },
	{ "unresolved:\n", "1:12: `unresolved` is empty; give it a value, or leave it out" },
	{ "cache: none\n", "1:8: unknown value `none`; known: eager, lazy" },
	{ "cache: {}\n", "1:8: `cache` is empty; give it a value, or leave it out" },
	{ "cache: lazy\n", "1:1: `rules` is missing; write `rules:` and under it a list of rules" },
	{ PATHS("/a") "cache: lazzy\n", "6:8: unknown value `lazzy`; did you mean `lazy`? Known: "
					"eager, lazy" },
	{ WITH("cache: lazy"), "6:5: " WHERE "unknown key `cache`; known: " KNOWN_KEYS },
	/* exceptions */
	{ EXCEPT(""), "6:12: " WHERE "`except` is empty; give it a value, or leave it out" },
	{ EXCEPT("[]"), "6:13: " WHERE "`except` is empty; give it a value, or leave it out" },
	{ EXCEPT("{}"), "6:13: " WHERE "`except` is empty; give it a value, or leave it out" },
	{ EXCEPT("root"), "6:13: " WHERE "text where a mapping should be; write `executables: "
			  "...`" },
	{ EXCEPT("[{uids: 0}, /bin/sh]"), "6:25: " WHERE "text where a mapping should be; write "
					  "`executables: ...`" },
	{ EXCEPT("[[{uids: 0}]]"), "6:14: " WHERE "list where a mapping should be; write "
				   "`executables: ...`" },
	{ EXCEPT("[{uids: 0}, {}]"), "6:25: " WHERE "exception without a part, which would be for "
				     "everyone; write `executables:`, `uids:` or `containers:`" },
	{ EXCEPT("{users: 0}"), "6:14: " WHERE "unknown key `users`; known: executables, uids, "
				"containers" },
	{ EXCEPT("{uid: 0}"), "6:14: " WHERE "unknown key `uid`; did you mean `uids`? Known: "
			      "executables, uids, containers" },
	{ EXCEPT("{executable: /a}"), "6:14: " WHERE "unknown key `executable`; did you mean "
				      "`executables`? Known: executables, uids, containers" },
	{ EXCEPT("{uids: 0, uids: 1}"), "6:23: the same key stands in line 6; keep one of them" },
	{ EXCEPT("{executables: []}"), "6:27: " WHERE "`executables` is empty; give it a value, or "
				       "leave it out" },
	{ EXCEPT("{executables: [{path: /a}]}"), "6:28: " WHERE "mapping where a single text "
						 "should be; quote a text that begins with [ or "
						 "{" },
	{ EXCEPT("{executables: [/bin/sh, apt]}"), "6:37: " WHERE "path \"apt\" is not absolute; "
						   "write \"/apt\"" },
	{ EXCEPT("{executables: /usr/bin/}"), "6:27: " WHERE "path \"/usr/bin/\" ends in \"/\"; "
					      "write \"/usr/bin\", or \"/usr/bin/**\" for all "
					      "that is in it" },
	{ EXCEPT("{executables: /usr/bin/apt*}"), "6:27: " WHERE "executable \"/usr/bin/apt*\" "
						  "has a wildcard in it; an exception is for one "
						  "file, so write each of them out" },
	{ EXCEPT("{executables: /bin/?}"), "6:27: " WHERE "executable \"/bin/?\" has a wildcard "
					   "in it; an exception is for one file, so write each of "
					   "them out" },
	{ EXCEPT("{uids: []}"), "6:20: " WHERE "`uids` is empty; give it a value, or leave it "
				"out" },
	{ EXCEPT("{uids: [0, '']}"), "6:24: " WHERE "empty item; give it a value, or take it out" },
	{ EXCEPT("{uids: root}"), "6:20: " WHERE "uid \"root\" " UID_REMEDY },
	{ EXCEPT("{uids: [0, -1]}"), "6:24: " WHERE "uid \"-1\" " UID_REMEDY },
	{ EXCEPT("{uids: 4294967295}"), "6:20: " WHERE "uid \"4294967295\" " UID_REMEDY },
	{ EXCEPT("{uids: 99999999999999999999}"), "6:20: " WHERE "uid "
						  "\"99999999999999999999\""
						  " " UID_REMEDY },
	{ EXCEPT("{uids: 010}"), "6:20: " WHERE "uid \"010\" " UID_REMEDY },
	{ EXCEPT("{uids: 0x10}"), "6:20: " WHERE "uid \"0x10\" " UID_REMEDY },
	{ EXCEPT("{uids: 1000 - 1999}"), "6:20: " WHERE "uid \"1000 - 1999\" " UID_REMEDY },
	{ EXCEPT("{uids: 1000-}"), "6:20: " WHERE "uid \"1000-\" " UID_REMEDY },
	{ EXCEPT("{uids: 1-2-3}"), "6:20: " WHERE "uid \"1-2-3\" " UID_REMEDY },
	{ EXCEPT("{uids: '0,1'}"), "6:20: " WHERE "uid \"0,1\" " UID_REMEDY },
	{ EXCEPT("{uids: [0, 20-10]}"), "6:24: " WHERE "uids \"20-10\" end before they begin; "
					"write 10-20" },
	{ EXCEPT("{containers: {}}"), "6:26: " WHERE "`containers` is empty; give it a value, or "
				      "leave it out" },
	{ EXCEPT("{containers: web}"), "6:26: " WHERE "text where a mapping should be; write "
				       "`ids: ...`" },
	{ EXCEPT("[{containers: {engines: rkt}}]"), "6:37: " WHERE "unknown engine `rkt`; known: "
						    "docker, containerd, podman, cri-o, buildah, "
						    "runc, crun, lxc, "
						    "nspawn" },
	/* paths */
	{ PATHS(""), "5:11: " WHERE "`paths` is empty; write `paths: [/etc/passwd]`" },
	{ PATHS("[]"), "5:12: " WHERE "`paths` is empty; write `paths: [/etc/passwd]`" },
	{ PATHS("[/a, '']"), "5:17: " WHERE "empty item; give it a value, or take it out" },
	{ PATHS("[/a, [/b]]"), "5:17: " WHERE "list where a single text should be; quote a text "
			       "that "
			       "begins with [ or {" },
	{ PATHS("{a: b}"), "5:12: " WHERE "mapping where a single text should be; quote a text "
			   "that "
			   "begins with [ or {" },
	{ PATHS("[/etc/passwd, etc/group]"), "5:26: " WHERE "path \"etc/group\" is not absolute; "
					     "write \"/etc/group\"" },
	{ PATHS("'*.key'"), "5:12: " WHERE "path \"*.key\" is not absolute; write \"/**/*.key\"" },
	{ PATHS("'**/b'"), "5:12: " WHERE "path \"**/b\" is not absolute; write \"/**/b\"" },
	{ PATHS("."), "5:12: " WHERE "path \".\" names no file; write \"/**\" for every file" },
	{ PATHS("/"), "5:12: " WHERE "path \"/\" names no file; write \"/**\" for every file" },
	{ PATHS("/a/.."), "5:12: " WHERE "path \"/a/..\" names no file; write \"/**\" for every "
			  "file" },
	{ PATHS("/etc/"), "5:12: " WHERE "path \"/etc/\" ends in \"/\"; write \"/etc\", or "
			  "\"/etc/**\" for all that is in it" },
	{ PATHS("/etc//a"), "5:12: " WHERE "path \"/etc//a\" has \".\", \"..\" or \"//\" in it; "
			    "write "
			    "\"/etc/a\"" },
	{ PATHS("/./a"), "5:12: " WHERE "path \"/./a\" has \".\", \"..\" or \"//\" in it; write "
			 "\"/a\"" },
	{ PATHS("/../b/../a/..b"), "5:12: " WHERE "path \"/../b/../a/..b\" has \".\", \"..\" or "
				   "\"//\" in it; write \"/a/..b\"" },
	{ PATHS("/a**"), "5:12: " WHERE "path \"/a**\" has \"**\" within a name; write \"*\", or "
			 "\"**\" between slashes" },
	{ PATHS("/***/b"), "5:12: " WHERE "path \"/***/b\" has \"**\" within a name; write \"*\", "
			   "or "
			   "\"**\" between slashes" },
	{ PATHS("/a[bc]"), "5:12: " WHERE "path \"/a[bc]\" has `[` in it, which is not supported; "
			   "use "
			   "* ? **" },
	{ PATHS("/{a,b}"), "5:12: " WHERE "path \"/{a,b}\" has `{` in it, which is not supported; "
			   "use "
			   "* ? **" },
	{ PATHS("/a\\*"), "5:12: " WHERE "path \"/a\\*\" has `\\` in it, which is not supported; "
			  "use * "
			  "? **" },
	{ PATHS("/a, /b"), "5:12: " WHERE "path \"/a, /b\" has a name in it that ends in a blank "
			   "or a "
			   "comma; write one path in an item, and ? for such a character" },
	{ PATHS("/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/a/" NAMES_8 "/" NAMES_8 "/" NAMES_8),
	  "5:12: " WHERE "path \"/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/a/" NAMES_8 "/*..."
	  "\" has 49 names from its first wildcard on; the limit is 48, and \"**\" stands for "
	  "many" },
	/* containers */
	{ WITH("containers: {}"), "6:17: " WHERE "`containers` is empty; give it a value, or leave "
				  "it out" },
	{ WITH("containers: web"), "6:17: " WHERE "text where a mapping should be; write `ids: "
				   "...`" },
	{ WITH("containers: {hostname: web}"), "6:18: " WHERE "unknown key `hostname`; did you "
					       "mean `hostnames`? Known: ids, "
					       "engines, "
					       "hostnames" },
	{ WITH("containers: {ids: []}"), "6:23: " WHERE "`ids` is empty; give it a value, or leave "
					 "it out" },
	{ WITH("containers: {ids: 0123456789a}"), "6:23: " WHERE "container id \"0123456789a\" is "
						  "not 12 to 64 hexadecimal digits "
						  "in lower "
						  "case; write it as the engine prints it" },
	{ WITH("containers: {ids: 0123456789aB}"), "6:23: " WHERE "container id \"0123456789aB\" "
						   "is not 12 to 64 hexadecimal "
						   "digits in lower "
						   "case; write it as the engine prints it" },
	{ WITH("containers: {engines: crio}"), "6:27: " WHERE "unknown engine `crio`; did you mean "
					       "`cri-o`? Known: docker, containerd, "
					       "podman, cri-o, buildah, runc, crun, lxc, nspawn" },
	{ WITH("containers: {hostnames: 'web/1'}"), "6:29: " WHERE "host name \"web/1\" has a "
						    "character that none has; write "
						    "letters, digits, - "
						    ". _ and the wildcards * ?" },
};

static void test_refused(void **state)
{
	struct policy *none = (struct policy *)&none;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const char *text = refused[i].text;
		struct policy *policy = none;
		struct error err = { 0 };

		assert_int_equal(policy_parse(&policy, text, strlen(text), "f", &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_memory_equal(err.message, "f:", 2);
		assert_string_equal(err.message + 2, refused[i].message);
		assert_ptr_equal(policy, none);
		assert_int_equal(policy_parse(&policy, text, strlen(text), "f", NULL), -EINVAL);
	}
}

static struct policy *parse(const char *text)
{
	struct policy *policy = NULL;
	struct error err = { 0 };

	if (policy_parse(&policy, text, strlen(text), "f", &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(err.code, 0);
	return policy;
}

static const char full_text[] = "# comment, \xc3\xa4\r\n"
				"version: 1\n"
				"unresolved: refuse\n"
				"cache: lazy\n"
				"rules:\n"
				"  - name: protect-passwd\n"
				"    paths:\n"
				"      - /etc/passwd\n"
				"      - /etc/*.d/**\n"
				"    containers:\n"
				"      ids: [0123456789ab, 999999999999]\n"
				"      engines: [docker, podman]\n"
				"      hostnames: \"web-*\"\n"
				"    operations: [write, read]\n"
				"    action: deny\n"
				"    except:\n"
				"      - executables: [/usr/sbin/useradd, /usr/bin/dpkg]\n"
				"        uids: [0, 1000-1999, 4294967294, 7-7]\n"
				"      - containers:\n"
				"          hostnames: [backup-*]\n"
				"          engines: podman\n"
				"    severity: critical\n"
				"    message: >-\n"
				"      accounts are made\n"
				"      in the image\n"
				"  - {action: audit, operations: read, paths: /a, name: A.b_c}\n"
				"  - {action: kill, operations: [modify, exec], paths: /a,\n"
				"     name: k, except: {uids: 33}}\n";

static void check_exceptions(const struct policy_rule *rule)
{
	const struct policy_exception *exception = rule->except;

	assert_int_equal(rule->n_except, 2);
	assert_int_equal(exception[0].n_executables, 2);
	assert_string_equal(exception[0].executables[0], "/usr/sbin/useradd");
	assert_string_equal(exception[0].executables[1], "/usr/bin/dpkg");
	assert_int_equal(exception[0].n_uids, 4);
	assert_int_equal(exception[0].uids[0].from, 0);
	assert_int_equal(exception[0].uids[0].to, 0);
	assert_int_equal(exception[0].uids[1].from, 1000);
	assert_int_equal(exception[0].uids[1].to, 1999);
	assert_int_equal(exception[0].uids[2].from, 4294967294);
	assert_int_equal(exception[0].uids[2].to, 4294967294);
	assert_int_equal(exception[0].uids[3].from, 7);
	assert_int_equal(exception[0].uids[3].to, 7);
	assert_false(exception[0].by_container);
	assert_int_equal(exception[1].n_executables, 0);
	assert_int_equal(exception[1].n_uids, 0);
	assert_true(exception[1].by_container);
	assert_int_equal(exception[1].containers.n_hostnames, 1);
	assert_string_equal(exception[1].containers.hostnames[0], "backup-*");
	assert_int_equal(exception[1].containers.n_engines, 1);
	assert_string_equal(exception[1].containers.engines[0], "podman");
	assert_int_equal(exception[1].containers.n_ids, 0);
}

static void test_accepted(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = parse(full_text);
	const struct policy_rule *rule = &policy->rules[0];

	(void)state;
	assert_string_equal(policy->source, "f");
	assert_true(policy->refuse_unresolved);
	assert_true(policy->lazy);
	assert_int_equal(policy->n_own_rules, 3);
	assert_string_equal(rule->name, "protect-passwd");
	assert_int_equal(rule->n_paths, 2);
	assert_string_equal(rule->paths[0], "/etc/passwd");
	assert_string_equal(rule->paths[1], "/etc/*.d/**");
	assert_int_equal(rule->containers.n_ids, 2);
	assert_string_equal(rule->containers.ids[1], "999999999999");
	assert_int_equal(rule->containers.n_engines, 2);
	assert_string_equal(rule->containers.engines[1], "podman");
	assert_int_equal(rule->containers.n_hostnames, 1);
	assert_string_equal(rule->containers.hostnames[0], "web-*");
	assert_int_equal(rule->operations, POLICY_READ | POLICY_WRITE);
	assert_int_equal(rule->action, POLICY_DENY);
	assert_int_equal(rule->severity, POLICY_SEVERITY_CRITICAL);
	assert_string_equal(rule->message, "accounts are made in the image");
	assert_int_equal(rule->line, 6);
	check_exceptions(rule);

	rule = &policy->rules[1];
	assert_string_equal(rule->name, "A.b_c");
	assert_int_equal(rule->n_paths, 1);
	assert_int_equal(rule->containers.n_ids, 0);
	assert_int_equal(rule->operations, POLICY_READ);
	assert_int_equal(rule->action, POLICY_AUDIT);
	assert_int_equal(rule->severity, POLICY_SEVERITY_MEDIUM);
	assert_null(rule->message);
	assert_int_equal(rule->n_except, 0);
	assert_int_equal(rule->line, 26);

	rule = &policy->rules[2];
	assert_int_equal(rule->operations, POLICY_MODIFY | POLICY_EXEC);
	assert_int_equal(rule->action, POLICY_KILL);
	assert_int_equal(rule->n_except, 1);
	assert_int_equal(rule->except[0].n_uids, 1);
	assert_int_equal(rule->except[0].uids[0].to, 33);
}

static void test_operations(void **state)
{
	static const struct {
		const char *text;
		uint32_t expected;
	} rows[] = {
		{ "read", 1 << 0 },
		{ "write", 1 << 1 },
		{ "create", 1 << 2 },
		{ "delete", 1 << 3 },
		{ "rename", 1 << 4 },
		{ "link", 1 << 5 },
		{ "symlink", 1 << 6 },
		{ "truncate", 1 << 7 },
		{ "chmod", 1 << 8 },
		{ "chown", 1 << 9 },
		{ "utimes", 1 << 10 },
		{ "xattr", 1 << 11 },
		{ "attr-flags", 1 << 12 },
		{ "mmap-write", 1 << 13 },
		{ "exec", 1 << 14 },
		{ "mount", 1 << 15 },
		{ "copy-up", 1 << 16 },
		{ "all", 0x1ffff },
		{ "modify", 0x1ffff & ~(1 | 1 << 14 | 1 << 16) },
		{ "[copy-up, chmod]", 1 << 16 | 1 << 8 },
		{ "[modify, read]", 0x1ffff & ~(1 << 14 | 1 << 16) },
		{ "[write, modify, delete]", POLICY_MODIFY }, /* a group and some of it */
		{ "[modify, all]", POLICY_ALL },
		{ "[all, modify, read]", POLICY_ALL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(policy_freep) struct policy *policy = NULL;
		char text[256];

		snprintf(text, sizeof(text), OPERATIONS("%s") "    paths: /a\n    action: deny\n",
			 rows[i].text);
		policy = parse(text);
		assert_int_equal(policy->rules[0].operations, rows[i].expected);
		if (i < POLICY_N_OPERATIONS)
			assert_string_equal(policy_operation_name(rows[i].expected), rows[i].text);
	}
}

static void test_defaults(void **state)
{
	_cleanup_(policy_freep) struct policy *silent = parse(PATHS("/a"));
	_cleanup_(policy_freep) struct policy *said = parse("unresolved: start\ncache: "
							    "eager\n" PATHS("/a"));

	(void)state;
	assert_false(silent->refuse_unresolved);
	assert_false(silent->lazy);
	assert_int_equal(silent->rules[0].n_except, 0);
	assert_null(silent->rules[0].except);
	assert_false(said->refuse_unresolved);
	assert_false(said->lazy);
}

static void test_accepted_paths(void **state)
{
	static const char *const rows[] = {
		PATHS("/*"),
		PATHS("/**"),
		PATHS("/a/**/b"),
		PATHS("/a b"),
		PATHS("/.a/..b/..."),
		PATHS("/a,v/b"),
		PATHS("/a]}"),
		PATHS("/\xc3\xa4"),
		PATHS("\"/\\xe4\""),
		PATHS("'/a: x'"),
		PATHS("'/a # b'"),
		PATHS("/a#b"),
		PATHS("/~"),
		PATHS("/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/" NAMES_8),
		PATHS("/a/b/c/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/" NAMES_8 "/" NAMES_8
		      "/" NAMES_8),
		"\xef\xbb\xbf" PATHS("/a"),
		"%YAML 1.1\n---\n" PATHS("/a") "...\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		policy_free(parse(rows[i]));
}

static void test_digest(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = parse(PATHS("/a"));

	(void)state;
	/* printf 'rules:\n  - name: r\n ...' | sha256sum */
	assert_string_equal(policy->digest, "939e3264ff515e54ca06b81fe7a17992fa32dbf26120908f74bccd"
					    "591474007d");
}

/* A growing text. */
struct buffer {
	char *text;
	size_t n;
	FILE *f;
};

static void buffer_open(struct buffer *buffer)
{
	buffer->f = open_memstream(&buffer->text, &buffer->n);
	assert_non_null(buffer->f);
}

static void buffer_parse(struct buffer *buffer, int expected, const char *message)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct error err = { 0 };

	fclose(buffer->f);
	assert_int_equal(policy_parse(&policy, buffer->text, buffer->n, "f", &err), expected);
	assert_string_equal(err.message, message);
	free(buffer->text);
}

static void parse_path(size_t n_names, int name_len, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs(RULE "    paths: ", buffer.f);
	for (size_t i = 0; i < n_names; i++)
		fprintf(buffer.f, "/%0*d", name_len, 0);
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

/* [item0, item1, ...] */
static void put_list(FILE *f, const char *item, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		fprintf(f, "%s%s%u", i ? ", " : "[", item, i);
	fputs("]", f);
}

static void parse_path_list(size_t n, unsigned int n_executables, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs(RULE "    paths:\n", buffer.f);
	for (size_t i = 0; i < n; i++)
		fputs("    - /a\n", buffer.f);
	if (n_executables) {
		fputs("    except: {executables: ", buffer.f);
		put_list(buffer.f, "/bin/", n_executables);
		fputs("}\n", buffer.f);
	}
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

static void parse_exceptions(unsigned int n, unsigned int n_executables, unsigned int n_uids,
			     const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs(PATHS("/a") "    except:\n", buffer.f);
	for (unsigned int i = 0; i < n; i++) {
		fputs("    - executables: ", buffer.f);
		put_list(buffer.f, "/bin/", n_executables);
		fputs("\n      uids: ", buffer.f);
		put_list(buffer.f, "10", n_uids);
		fputs("\n", buffer.f);
	}
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

static void parse_hostnames(unsigned int n, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs(PATHS("/a") "    except: {containers: {hostnames: ", buffer.f);
	put_list(buffer.f, "web-", n);
	fputs("}}\n", buffer.f);
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

static void parse_rules(unsigned int n, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs("rules:\n", buffer.f);
	for (unsigned int i = 0; i < n; i++)
		fprintf(buffer.f, "- {name: r%u, paths: /a, operations: read, action: audit}\n", i);
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

static void parse_key(const char *key, size_t len, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fprintf(buffer.f, RULE "    paths: /a\n    %s: %0*d\n", key, (int)len, 0);
	buffer_parse(&buffer, *message ? -EINVAL : 0, message);
}

static void parse_size(size_t size, int expected, const char *message)
{
	struct buffer buffer;

	buffer_open(&buffer);
	fputs(PATHS("/a") "#", buffer.f);
	for (size_t i = strlen(PATHS("/a")) + 1; i < size; i++)
		fputc('x', buffer.f);
	buffer_parse(&buffer, expected, message);
}

#define TOO_MANY_PATHS "more than 100000 paths and executables in the policy; use patterns"
#define ZEROS_65 "00000000000000000000000000000000000000000000000000000000000000000"
#define ZEROS_67 ZEROS_65 "00"

static void test_limits(void **state)
{
	(void)state;
	parse_path(1, 255, "");
	parse_path(1, 256,
		   "f:5:12: " WHERE "path \"/" ZEROS_67 "...\" has a name of 256 bytes in it; the "
		   "limit is 255");
	parse_path(273, 14, "");
	parse_path(256, 15,
		   "f:5:12: " WHERE "path \"/000000000000000/000000000000000/000000000000000/"
		   "000000000000000/000...\" is 4096 bytes long; the limit is 4095");
	parse_path_list(100000, 0, "");
	parse_path_list(100001, 0, "f:6:5: " WHERE TOO_MANY_PATHS);
	parse_path_list(99998, 2, "");
	parse_path_list(99998, 3, "f:6:5: " WHERE TOO_MANY_PATHS);
	parse_exceptions(64, 1, 1, "");
	parse_exceptions(65, 1, 1, "f:7:5: " WHERE "65 exceptions; the limit is 64");
	parse_exceptions(1, 256, 1, "");
	parse_exceptions(1, 257, 1, "f:7:20: " WHERE "257 items; the limit is 256");
	parse_exceptions(1, 1, 256, "");
	parse_exceptions(1, 1, 257, "f:8:13: " WHERE "257 items; the limit is 256");
	parse_exceptions(16, 64, 4, "");
	parse_exceptions(17, 64, 4,
			 "f:7:5: " WHERE "the exceptions come to 4352 pairs of an executable and "
			 "uids; the limit is 4096, and a range of uids counts once");
	parse_hostnames(256, "");
	parse_hostnames(257, "f:6:38: " WHERE "257 items; the limit is 256");
	parse_rules(10000, "");
	parse_rules(10001, "f:2:1: 10001 rules; the limit is 10000");
	parse_key("message", 512, "");
	parse_key("message", 513,
		  "f:6:14: " WHERE "the message is 513 bytes long; the limit is 512");
	parse_key("containers:\n      hostnames", 64, "");
	parse_key("containers:\n      hostnames", 65,
		  "f:7:18: " WHERE "host name \"" ZEROS_65 "\" is 65 bytes long; the limit is 64");
	parse_key("containers:\n      ids", 64, "");
	parse_key("containers:\n      ids", 65,
		  "f:7:12: " WHERE "container id \"" ZEROS_65 "\" is not 12 to 64 hexadecimal "
		  "digits in lower case; write it as "
		  "the engine prints "
		  "it");
	parse_size(1024 * 1024, 0, "");
	parse_size(1024 * 1024 + 1, -EFBIG,
		   "f: larger than 1048576 bytes; split the policy, or use patterns");
}

static void test_long_source(void **state)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	char source[3000], shown[201];
	struct error err;

	(void)state;
	memset(source, 's', sizeof(source) - 1);
	source[sizeof(source) - 1] = '\0';
	memset(shown, 's', sizeof(shown) - 1);
	shown[sizeof(shown) - 1] = '\0';
	assert_int_equal(policy_parse(&policy, "a: b", 4, source, &err), -EINVAL);
	assert_memory_equal(err.message, shown, 200);
	assert_string_equal(err.message + 200, ":1:1: unknown key `a`; known: " KNOWN_TOP);
}

static void load(const char *path, int expected, const char *message)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	char wanted[8192];
	struct error err = { 0 };

	snprintf(wanted, sizeof(wanted), "%s%s", path, message);
	assert_int_equal(policy_load(&policy, path, &err), expected);
	assert_string_equal(err.message, expected ? wanted : "");
	assert_int_equal(!!policy, !expected);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_load(void **state)
{
	char dir[] = "/tmp/test_policy.XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	load(dir, -EINVAL, ": a directory; give a policy file");
	snprintf(path, sizeof(path), "%s/policy", dir);
	load(path, -ENOENT,
	     ": No such file or directory; give a policy file that this user may read");
	assert_int_equal(mkfifo(path, 0600), 0);
	load(path, -EINVAL, ": not a regular file; give a policy file");
	unlink(path);
	write_file(path, full_text);
	load(path, 0, "");
	write_file(path, "rules: x\n");
	load(path, -EINVAL, ":1:8: `rules` is not a list; begin each rule with `- name: ...`");
	assert_int_equal(chmod(path, 0), 0);
	if (geteuid())
		load(path, -EACCES,
		     ": Permission denied; give a policy file that this user may read");
	unlink(path);
	rmdir(dir);
}

/* The build calls the compiler with a path to this file that leads to the others. */
static void test_examples(void **state)
{
	static const char *const names[] = { "protect-etc", "protect-webroot", "audit-secrets" };
	char path[4096];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *slash = strrchr(__FILE__, '/');

		snprintf(path, sizeof(path), "%.*s/../../examples/%s.yaml",
			 slash ? (int)(slash - __FILE__) : 1, slash ? __FILE__ : ".", names[i]);
		load(path, 0, "");
	}
}

static void test_selects(void **state)
{
	static const char *const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"
				      "cdef";
	static const struct {
		const char *containers, *engine, *hostname;
		bool expected;
	} rows[] = {
		{ "ids: 0123456789ab", "docker", NULL, true },
		{ "ids: 0123456789ac", "docker", NULL, false },
		{ "ids: 123456789abc", "docker", NULL, false },
		{ "ids: [ffffffffffff, 0123456789abcdef]", "docker", NULL, true },
		{ "engines: docker", "docker", NULL, true },
		{ "engines: [lxc, docker]", "docker", NULL, true },
		{ "engines: docker", "podman", NULL, false },
		{ "engines: docker", "docker2", NULL, false },
		{ "engines: docker", NULL, NULL, false },
		{ "hostnames: web-?", "docker", "web-1", true },
		{ "hostnames: web-?", "docker", "web-10", false },
		{ "hostnames: web-?", "docker", NULL, true },
		{ "hostnames: ['db', 'web*']", "docker", "web", true },
		{ "hostnames: '*'", "docker", "", true },
		{ "hostnames: '?*'", "docker", "", false },
		{ "engines: lxc, hostnames: web", "docker", "web", false },
		{ "engines: docker, hostnames: web", "docker", "db", false },
		{ "engines: docker, hostnames: web, ids: 0123456789ab", "docker", "web", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(policy_freep) struct policy *policy = NULL;
		char text[512];

		snprintf(text, sizeof(text), PATHS("/a") "    containers: {%s}\n",
			 rows[i].containers);
		policy = parse(text);
		assert_int_equal(policy_selects(&policy->rules[0].containers, id, rows[i].engine,
						rows[i].hostname),
				 rows[i].expected);
	}
	assert_true(policy_selects(&(struct policy_selector){ 0 }, id, "docker", "web"));
	assert_true(policy_selects(&(struct policy_selector){ 0 }, NULL, NULL, NULL));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(policy_operation_name(POLICY_READ), "read");
	assert_string_equal(policy_operation_name(POLICY_WRITE), "write");
	assert_string_equal(policy_operation_name(POLICY_READ | POLICY_WRITE), "?");
	assert_string_equal(policy_operation_name(0), "?");
	assert_string_equal(policy_operation_name(POLICY_COPY_UP << 1), "?"); /* no group */
	assert_string_equal(policy_operation_name(POLICY_COPY_UP << 2), "?");
	assert_string_equal(policy_operation_name(1u << 31), "?");
	assert_string_equal(policy_action_name(POLICY_AUDIT), "audit");
	assert_string_equal(policy_action_name(POLICY_DENY), "deny");
	assert_string_equal(policy_action_name(POLICY_KILL), "kill");
	assert_string_equal(policy_action_name(POLICY_KILL + 1), "?");
	assert_string_equal(policy_severity_name(POLICY_SEVERITY_LOW), "low");
	assert_string_equal(policy_severity_name(POLICY_SEVERITY_CRITICAL), "critical");
	assert_string_equal(policy_severity_name(-1), "?");
	assert_false(policy_path_is_glob("/etc/passwd"));
	assert_true(policy_path_is_glob("/etc/*"));
	assert_true(policy_path_is_glob("/etc/?"));
	assert_true(policy_path_is_glob("/**"));
	assert_null(policy_free(NULL));
}

#if OWN_MALLOC
/* glibc's own names for what is replaced here, for this whole program and its libraries. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static long n_until_failure = -1, n_live;

static bool fails(void)
{
	if (n_until_failure == 0)
		return true;
	n_until_failure -= n_until_failure > 0;
	return false;
}

void *malloc(size_t size)
{
	void *p = fails() ? NULL : __libc_malloc(size);

	n_live += !!p;
	return p;
}

void *calloc(size_t n, size_t size)
{
	void *p = fails() ? NULL : __libc_calloc(n, size);

	n_live += !!p;
	return p;
}

void *realloc(void *old, size_t size)
{
	void *p = fails() ? NULL : __libc_realloc(old, size);

	n_live += p && !old;
	return p;
}

void free(void *p)
{
	n_live -= !!p;
	__libc_free(p);
}

/* Memory that ends at the n-th allocation: an error each time, and nothing is left behind. */
static void test_no_memory(void **state)
{
	static const char *const texts[] = {
		full_text,
		PATHS("'/a\\*'"),
		EXCEPT("[{executables: [/a, /b], uids: [0, 1], containers: {ids: 0123456789ab}}, "
		       "{uids: x}]"),
	};
	int r = -ENOMEM;

	(void)state;
	policy_free(parse(full_text)); /* libcrypto keeps what it makes at first */
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		long n = 0;

		do {
			struct policy *policy = NULL;
			struct error err = { 0 };
			long n_before = n_live;

			n_until_failure = n;
			r = policy_parse(&policy, texts[i], strlen(texts[i]), "f", &err);
			n_until_failure = -1;
			assert_true(r == -ENOMEM || n > 20);
			assert_string_equal(err.message, r == -ENOMEM ? "f: out of memory"
							 : r	      ? err.message
								      : "");
			assert_int_equal(!!policy, r == 0);
			policy_free(policy);
			assert_int_equal(n_live, n_before);
			n++;
		} while (r == -ENOMEM);
		assert_int_equal(r, i ? -EINVAL : 0);
	}
}
#else
static void test_no_memory(void **state)
{
	(void)state;
	skip(); /* the sanitizer has its own malloc() */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_accepted_paths), cmocka_unit_test(test_digest),
		cmocka_unit_test(test_operations),     cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_long_source),
		cmocka_unit_test(test_load),	       cmocka_unit_test(test_examples),
		cmocka_unit_test(test_selects),	       cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
