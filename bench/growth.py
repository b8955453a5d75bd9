# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions of an open that nobody watches, and of one that is watched, against how much there is to guard: rules, patterns, containers, and
how deep the file lies. (Against watched files: counts.)"""

import counts
import place
from guard import Guard, policy
from vm import VM

OPENS = ["open+close", "open+close, 12 deep"]
CONTAINERS = (1, 4, 16)
RULES = (1, 10, 100, 1000)
DEPTHS = (1, 4, 8, 12, 16)


def open_costs(vm, settings, names=("open+close",), limit=4096, pause_ms=0, directory=None):
    return counts.measure(vm, "inside", settings, names, limit, pause_ms, directory)


def rules(n, path):
    return policy(*((f"rule-{i}", "audit", "read", [path.replace("N", str(i))]) for i in range(n)))


def run(settings, say):
    result = {"rules": {}, "patterns": {}, "containers": {}, "depth": {}}
    with VM("growth", memory=1536) as vm:
        place.prepare(vm)
        vm.run("crun exec box /bin/sh -c 'mkdir -p /data/rules && for i in $(seq 0 999); do : >/data/rules/r$i; done; "
               "dd if=/dev/zero of=/data/rules/file bs=1M count=1 2>/dev/null'")
        say("nothing")
        result["none"] = open_costs(vm, settings, OPENS)
        result["none, beside"] = open_costs(vm, settings, directory="/data/rules")
        for n in RULES:
            say(f"{n} rules")
            with Guard(vm, rules(n, "/data/rules/rN")):
                result["rules"][n] = open_costs(vm, settings)
            with Guard(vm, rules(n, "/data/rules/*.xN")):
                result["patterns"][n] = open_costs(vm, settings, directory="/data/rules")
        deep(vm, settings, say, result["depth"])
        containers(vm, settings, say, result["containers"])
    return result


def deep(vm, settings, say, result):
    """A pattern at the container's root, and a file so many names below it; it is not of those that match."""
    for depth in DEPTHS:
        say(f"depth {depth}")
        directory = "/data" + "/p" * (depth - 2) if depth > 1 else "/"
        vm.run(f"crun exec box /bin/sh -c 'mkdir -p {directory}; dd if=/dev/zero of={directory}/file bs=1M count=1 2>/dev/null'")
        bare = open_costs(vm, settings, directory=directory)
        with Guard(vm, policy(("deep", "audit", "read", ["/**/*.never"]))):
            result[depth] = {"none": bare, "pattern": open_costs(vm, settings, directory=directory)}


def containers(vm, settings, say, result):
    paths = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts"]
    started = 1
    for n in CONTAINERS:
        for i in range(started, n):
            vm.run(f"mkdir -p /run/w{i}")
            place.make_bundle(vm, i)
            place.start_container(vm, i)
        started = n
        say(f"{n} containers")
        bare = open_costs(vm, settings)
        with Guard(vm, policy(("growth", "deny", "modify", paths))):
            result[n] = {"none": bare, "guarded": open_costs(vm, settings)}
