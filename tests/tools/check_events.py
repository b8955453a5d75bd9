#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks a file of events and notices (one JSON object a line; "-" is standard input) against
docs/events.schema.json. Standard library only. Says what is wrong with which line;
exits 0 if all is well, 1 if not, 2 if it could not check.

Knows the part of JSON Schema that our schema uses, and refuses a schema that uses more: a
keyword nobody checks would be a promise nobody keeps.
"""

import argparse
import json
import pathlib
import re
import sys

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "docs" / "events.schema.json"
MAX_COMPLAINTS = 20

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
}


def same(a, b):
    """JSON's equality: in Python's, True is 1."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


class Schema:
    """check() yields complaints as (path, text)."""

    def __init__(self, root):
        self.root = root
        self.audit(root)

    def audit(self, schema):
        """Refuses keywords that check() does not know, in all of the schema."""
        for keyword, value in schema.items():
            if keyword not in self.KEYWORDS:
                raise ValueError(f"schema: keyword {keyword!r} is not known here")
            if keyword in ("properties", "$defs"):
                for part in value.values():
                    self.audit(part)
            elif keyword == "allOf":
                for part in value:
                    self.audit(part)
            elif isinstance(value, dict):
                self.audit(value)

    def check(self, value, schema=None, path=""):
        schema = self.root if schema is None else schema
        for keyword, argument in schema.items():
            rule = self.KEYWORDS[keyword]
            if rule:
                yield from rule(self, value, argument, path, schema)

    def valid(self, value, schema):
        return next(self.check(value, schema), None) is None

    def ref(self, value, target, path, _):
        part = self.root
        for name in target.removeprefix("#/").split("/"):
            part = part[name]
        yield from self.check(value, part, path)

    def type(self, value, name, path, _):
        if not TYPES[name](value):
            yield path, f"{value!r} is no {name}"

    def enum(self, value, allowed, path, _):
        if not any(same(value, a) for a in allowed):
            yield path, f"{value!r} is none of {allowed}"

    def const(self, value, constant, path, _):
        if not same(value, constant):
            yield path, f"{value!r} is not {constant!r}"

    def bound(holds, complaint, *types):
        def rule(self, value, limit, path, _):
            if isinstance(value, types) and not holds(value, limit):
                yield path, f"{value!r} {complaint} {limit}"

        return rule

    def pattern(self, value, pattern, path, _):
        # JSON Schema's $ is the end, Python's may be before a newline
        if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
            yield path, f"{value!r} does not match {pattern}"

    def required(self, value, names, path, _):
        if isinstance(value, dict):
            yield from ((path, f"no {name!r}") for name in names if name not in value)

    def properties(self, value, parts, path, _):
        if isinstance(value, dict):
            for name in parts.keys() & value.keys():
                yield from self.check(value[name], parts[name], f"{path}.{name}")

    def additional(self, value, allowed, path, schema):
        if isinstance(value, dict) and not allowed:
            for name in value.keys() - schema["properties"].keys():
                yield path, f"{name!r} is not in the schema"

    def items(self, value, part, path, _):
        if isinstance(value, list):
            for i, item in enumerate(value):
                yield from self.check(item, part, f"{path}[{i}]")

    def contains(self, value, part, path, _):
        if isinstance(value, list) and not any(self.valid(v, part) for v in value):
            yield path, f"nothing in {value!r} is {part}"

    def all_of(self, value, parts, path, _):
        for part in parts:
            yield from self.check(value, part, path)

    def condition(self, value, condition, path, schema):
        branch = "then" if self.valid(value, condition) else "else"
        yield from self.check(value, schema.get(branch, {}), path)

    def negation(self, value, part, path, _):
        if self.valid(value, part):
            yield path, f"must not be {part}"

    KEYWORDS = {
        "$schema": None,
        "$defs": None,
        "title": None,
        "description": None,
        "then": None,  # with "if"
        "else": None,
        "$ref": ref,
        "type": type,
        "enum": enum,
        "const": const,
        "minimum": bound(lambda v, n: v >= n, "is less than", int),
        "maximum": bound(lambda v, n: v <= n, "is more than", int),
        "minLength": bound(lambda v, n: len(v) >= n, "is shorter than", str),
        "minItems": bound(lambda v, n: len(v) >= n, "has fewer items than", list),
        "maxItems": bound(lambda v, n: len(v) <= n, "has more items than", list),
        "pattern": pattern,
        "required": required,
        "properties": properties,
        "additionalProperties": additional,
        "items": items,
        "contains": contains,
        "allOf": all_of,
        "if": condition,
        "not": negation,
    }


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a key twice in {names}")
    return dict(pairs)


def check_names(event):
    """What a schema cannot say: ECS's name for the operation, or the notice, is our own."""
    ours = event.get("operation", event.get("notice"))
    ecs = event["event"]["action"]
    if ecs != ours:
        yield f".event.action: {ecs!r} is not {ours!r}"


def check_line(schema, line):
    """Complaints about one line (bytes, with its newline), and whether it is a notice."""
    if not line.endswith(b"\n"):
        return ["cut off: no newline at its end"], False
    try:
        event = json.loads(line.decode("utf-8"), object_pairs_hook=unique)
    except ValueError as error:
        return [str(error)], False
    complaints = [f"{path or '.'}: {text}" for path, text in schema.check(event)]
    return complaints or list(check_names(event)), isinstance(event, dict) and "notice" in event


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--schema", type=pathlib.Path, default=SCHEMA)
    parser.add_argument("--min", type=int, default=1, help="events there must be (default 1)")
    args = parser.parse_args()
    n = n_events = n_complaints = 0

    try:
        schema = Schema(json.loads(args.schema.read_text("utf-8")))
        with sys.stdin.buffer if args.file == "-" else open(args.file, "rb") as lines:
            for n, line in enumerate(lines, 1):
                complaints, is_notice = check_line(schema, line)
                n_events += not is_notice
                for complaint in complaints:
                    n_complaints += 1
                    if n_complaints <= MAX_COMPLAINTS:
                        print(f"{args.file}:{n}: {complaint}", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"check_events: {error}", file=sys.stderr)
        return 2
    if n_events < args.min:
        print(f"{args.file}: {n_events} events, expected {args.min}", file=sys.stderr)
        return 1
    print(f"{n_events} events, {n - n_events} notices, {n_complaints} complaints")
    return 1 if n_complaints else 0


if __name__ == "__main__":
    sys.exit(main())
