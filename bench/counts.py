# SPDX-License-Identifier: GPL-2.0-or-later
"""What each operation costs in instructions, unguarded and guarded in all the ways that a policy can be about a file."""

import contextlib
import types

import place
from guard import Guard, policy
from vm import VM

EXISTING = ["open+close", "open+close to write", "open+close, 12 deep", "stat", "access",
            "pread 1 B", "pread 512 B", "pread 4 KiB", "pread 64 KiB", "pread 1 MiB",
            "pwrite 1 B", "pwrite 512 B", "pwrite 4 KiB", "pwrite 64 KiB", "pwrite 1 MiB",
            "mmap+touch+munmap", "mmap+touch+munmap, shared, writing", "chmod", "setxattr", "pwrite 1 B+fsync",
            "execve+wait", "readdir, 1000 entries"]
NAMES = ["open, missing", "create+unlink", "rename", "mkdir+rmdir", "symlink+readlink+unlink"]
EXISTING_FILES = ["file", "exe", "d/" * 11 + "file", "many"]
NAMED_FILES = ["missing", "new", "old", "old-2", "newdir", "newlink"]
# As many records as the ring holds (2046), and two or three of an operation; then the host has time to take them.
WATCHED_LIMIT, WATCHED_PAUSE_MS = 400, 60


def parse(text):
    """What `ops run` prints."""
    result = {}
    for line in text.splitlines():
        name, n, *rest = line.split("\t")
        if int(n) == 0:
            result[name] = {"n": 0}
            continue
        typical, mean, cpu = (list(map(int, part.split())) for part in "\t".join(rest[1:]).split("|"))
        result[name] = {"n": int(n), "refused": int(rest[0]), "typical": typical, "mean": mean, "cpu": cpu}
    return result


def measure(vm, where, settings, names=(), limit=4096, pause_ms=0, directory=None):
    quoted = " ".join(f"'{name}'" for name in names)
    words = f"run {directory or 'DIR'} {settings.rounds} {settings.budget} {limit} {pause_ms} {quoted}"
    return parse(place.ops(vm, where, words))


def warm_up(vm, settings):
    """What the guest does once for all (a slab grows, a directory gets its index) is no state's cost."""
    short = types.SimpleNamespace(rounds=2, budget=settings.budget // 4)
    for where in place.PLACES:
        measure(vm, where, short, settings.names)


def nobodys():
    """A policy in force that is for none of the containers here."""
    return "rules:\n- {name: nobody, action: deny, operations: all, paths: /etc/passwd, containers: {hostnames: not-here}}\n"


def untouched(n):
    return policy(("untouched", "deny", "modify", ["/w/" + place.file_name(i) for i in range(n)]))


@contextlib.contextmanager
def more_containers(vm, wanted):
    """Those that share the watched files, while there are more than one container's /w holds."""
    others = range(1, place.N_BOXES) if wanted else ()
    for i in others:
        place.start_container(vm, i)
    yield
    for i in others:
        place.stop_container(vm, i)


def touched(action, files):
    paths = [f"{directory}/{file}" for directory in place.WATCHED.values() for file in files]
    return policy(("touched", action, "all", paths))


def unwatched_states(settings):
    """name, policy, are there more containers"""
    yield "none", None, False
    yield "empty", nobodys(), False
    in_one = max(settings.untouched) // place.N_BOXES
    for n in settings.untouched:
        shared = n > in_one
        yield f"untouched-{n}", untouched(n // place.N_BOXES if shared else n), shared
    yield "none-again", None, False


def run(settings, say):
    """{kernel: {state: {place: {operation: ...}}}}"""
    result = {}
    for kernel in settings.kernels:
        result[kernel] = run_kernel(kernel, settings, say)
        settings.save(result)
    return result


def run_kernel(kernel, settings, say):
    result = {}
    with VM("counts", kernel, memory=1536) as vm:
        place.prepare(vm, max(settings.untouched))
        warm_up(vm, settings)
        for state, text, shared in unwatched_states(settings):
            say(f"{kernel}: instructions, {state}")
            guard = Guard(vm, text) if text else contextlib.nullcontext()
            with more_containers(vm, shared), guard:
                result[state] = {where: measure(vm, where, settings, settings.names) for where in place.PLACES}
        for action in ("audit", "deny"):
            say(f"{kernel}: instructions, touched under {action}")
            result[action] = {where: {} for where in place.WATCHED}
            for files, names in ((EXISTING_FILES, EXISTING), (NAMED_FILES, NAMES)):
                names = [n for n in names if not settings.names or n in settings.names]
                if not names:
                    continue
                with Guard(vm, touched(action, files)) as guard:
                    for where in place.WATCHED:
                        result[action][where] |= measure(vm, where, settings, names, WATCHED_LIMIT, WATCHED_PAUSE_MS)
                    check_told(guard, action)
    return result


def check_told(guard, action):
    guard.stop()
    if guard.n_events() == 0:
        raise SystemExit(f"bench: the touched files were not told under {action}")
