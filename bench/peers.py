# SPDX-License-Identifier: GPL-2.0-or-later
"""The same operations under other tools that watch files, in the same guest: see bench/peers/README.md."""

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
import types

import counts
import place
from guard import Guard, policy
from vm import OUTGUARD, ROOT, VM, Failed, make_tools

PACKAGES = ["auditd", "inotify-tools", "fatrace", "fapolicyd", "bpftrace", "aide"]
HERE = ROOT / "bench/peers"
PLACES = ("inside", "outside")
N_WATCHED = 20
UNWATCHED = ["getppid", "open+close", "open, missing", "stat", "pread 1 B", "pread 4 KiB", "pread 64 KiB", "pwrite 1 B", "pwrite 4 KiB",
             "mmap+touch+munmap", "create+unlink", "rename", "chmod", "execve+wait", "readdir, 1000 entries"]
WATCHED = ["open+close", "open+close to write", "pread 1 B", "pread 4 KiB", "pwrite 1 B", "pwrite 4 KiB", "chmod"]
# Each directory as the guest itself names it, and as the container does.
IN_GUEST = {"inside": "/disk/box/rootfs/data", "outside": "/other/data"}
IN_CONTAINER = {"inside": "/data"}
START_LIMIT = 240
ONLY = os.environ.get("OUTGUARD_BENCH_TOOLS", "").split(";")  # some of the tools, beside what was measured of the others before
TOOLS = "LD_LIBRARY_PATH=/tools/usr/lib/x86_64-linux-gnu:/tools/lib/x86_64-linux-gnu PATH=/tools/usr/sbin:/tools/usr/bin:$PATH"


# Fanotify's marks by file id do not take overlayfs on these kernels: these tools do not see a container's files.
BLIND = {"fsnotifywait": ["inside"], "fatrace": ["inside"]}


def names(touched):
    """The watched files in each directory: 10 in each of two, among them the touched ones or not."""
    others = [f"others/{i}" for i in range(N_WATCHED // 2)]
    return ["file", *others[1:]] if touched else others


def files(touched, directories):
    return [f"{directory}/{name}" for directory in directories.values() for name in names(touched)]


class Tool:
    """A tool in the guest: a command that stays, its log, and a sign in it that it is ready."""

    def __init__(self, vm, command, ready=None):
        self.vm, self.log = vm, "/run/tool.log"
        vm.run(f": >{self.log}; {{ {TOOLS} setsid {command}; }} >>{self.log} 2>&1 </dev/null & echo $! >/run/tool.pid")
        if ready:
            self.wait_for(f"grep -q '{ready}' {self.log}")

    def wait_for(self, command):
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            try:
                self.vm.run(command)
                return
            except Failed:
                if self.vm.run("kill -0 $(cat /run/tool.pid) 2>/dev/null || echo gone"):
                    break
                time.sleep(0.3)
        raise Failed("a tool did not start: " + self.vm.run(f"tail -n 20 {self.log}"))

    def stop(self, name):
        self.vm.run(f"kill -TERM $(pidof {name}); for i in $(seq 50); do pidof {name} >/dev/null || exit 0; sleep 0.1; done; "
                    f"kill -KILL $(pidof {name})")


@contextlib.contextmanager
def nothing(_vm, _touched):
    yield


@contextlib.contextmanager
def outguard(vm, touched):
    # What lies outside the container is nobody's business: its own files, twice as many.
    listed = [f"/data/{name}" for name in names(touched)] + [f"/data/others/{i}" for i in range(10, 20)]
    with Guard(vm, policy(("peers", "audit", "all", listed))):
        yield


TRAP = "trap: every-access\nrules:\n- {name: t, action: audit, operations: all, paths: /data/file}\n"


def can_trap():
    """Has this outguard the way of the published method, a trap to the host for each access?"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(TRAP)
        file.flush()
        return subprocess.run([OUTGUARD, "policy", "check", file.name], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def outguard_trap(vm, touched):
    with Guard(vm, TRAP if touched else TRAP.replace("/data/file", "/data/others/1")):
        yield


@contextlib.contextmanager
def auditd(vm, touched):
    vm.run("mkdir -p /var/log/audit /etc/audit && cp -a /tools/etc/audit/. /etc/audit/")
    rules = "".join(f"-a always,exit -F arch=b64 -F path={path} -F perm=rwa -F key=bench\n" for path in files(touched, IN_GUEST))
    vm.put("/run/audit.rules", "-D\n-b 8192\n-f 1\n--backlog_wait_time 60000\n" + rules)
    tool = Tool(vm, "auditd -n -s enable")
    tool.wait_for(f"{TOOLS} auditctl -s | grep -q '^pid [1-9]'")
    vm.run(f"{TOOLS} auditctl -R /run/audit.rules >/dev/null")
    try:
        yield
    finally:
        vm.run(f"{TOOLS} auditctl -D >/dev/null; {TOOLS} auditctl -e 0 >/dev/null")
        tool.stop("auditd")


def notify(program, options, directories):
    @contextlib.contextmanager
    def watch(vm, touched):
        tool = Tool(vm, f"{program} {options} -m -o /run/notify.out " + " ".join(files(touched, directories)), "Watches established")
        try:
            yield
        finally:
            tool.stop(program)
    return watch


@contextlib.contextmanager
def fatrace(vm, _touched):
    tool = Tool(vm, "fatrace -o /run/fatrace.out")
    tool.wait_for(f"cat {IN_GUEST['inside']}/others/0 {IN_GUEST['outside']}/others/0; grep -q others/0 /run/fatrace.out")
    try:
        yield
    finally:
        tool.stop("fatrace")


@contextlib.contextmanager
def fapolicyd(vm, touched):
    vm.run("mkdir -p /etc/fapolicyd/rules.d /etc/fapolicyd/trust.d /var/lib/fapolicyd /run/fapolicyd /var/log; "
           # Its database may not be empty.
           "echo /usr/bin/true $(stat -c %s /usr/bin/true) $(sha256sum /usr/bin/true | cut -d' ' -f1) >/etc/fapolicyd/fapolicyd.trust; "
           "mkdir -p /usr/lib/file /usr/share/misc; cp /tools/usr/lib/file/magic.mgc /usr/lib/file/; "
           "ln -sf ../../lib/file/magic.mgc /usr/share/misc/magic.mgc")
    vm.put("/etc/fapolicyd/fapolicyd.conf", (HERE / "fapolicyd.conf").read_text())
    paths = files(touched, {**IN_GUEST, "container": "/data"})
    vm.put("/etc/fapolicyd/compiled.rules",
           "".join(f"allow_syslog perm=open all : path={path}\n" for path in paths) + "allow perm=any all : all\n")
    tool = Tool(vm, "fapolicyd --debug-deny", "Starting to listen")
    try:
        yield
    finally:
        tool.stop("fapolicyd")


def bpftrace(script):
    @contextlib.contextmanager
    def trace(vm, touched):
        numbers = vm.run("stat -c %i " + " ".join(files(touched, IN_GUEST))).split()
        lower = vm.run("stat -c %i " + " ".join(f"/disk/box/upper/data/{name}" for name in names(touched))).split()
        watched = " ".join(f"@watched[(uint64){number}] = 1;" for number in sorted({*numbers, *lower}))
        vm.put("/run/monitor.bt", (HERE / script).read_text().replace("WATCHED", watched))
        tool = Tool(vm, "bpftrace /run/monitor.bt", "begun")
        try:
            yield
        finally:
            tool.stop("bpftrace")
    return trace


def tools():
    yield "no tool", nothing
    yield "outguard", outguard
    if can_trap():
        yield "outguard, trap: every-access", outguard_trap
    yield "inotifywait", notify("inotifywait", "", IN_GUEST)
    yield "fsnotifywait", notify("fsnotifywait", "--fanotify", {"outside": IN_GUEST["outside"]})
    yield "fatrace", fatrace
    yield "bpftrace, fentry", bpftrace("monitor.bt")
    yield "bpftrace, kprobe", bpftrace("monitor-kprobe.bt")
    yield "fapolicyd", fapolicyd
    # Last: once audit has been on, each process that starts pays for it until the next boot, whatever auditctl says.
    yield "auditd", auditd
    yield "no tool, after auditd", nothing


def prepare(vm):
    place.prepare(vm)
    vm.run("mkdir -p /tools && mount -o ro /dev/$(grep -l tools /sys/class/nvme/nvme*/serial | cut -d/ -f5)n1 /tools")
    for start in ("crun exec box /bin/sh -c 'cd /data", "sh -c 'cd /other/data"):
        vm.run(start + "; mkdir others; for i in $(seq 0 19); do echo x >others/$i; done'")
    vm.run("mount -t tracefs none /sys/kernel/tracing; mount -t debugfs none /sys/kernel/debug; mount -t bpf none /sys/fs/bpf; true")


def measure(vm, settings, operations, watched):
    limit, pause = (counts.WATCHED_LIMIT, counts.WATCHED_PAUSE_MS) if watched else (4096, 10)
    return {where: counts.measure(vm, where, settings, operations, limit, pause) for where in PLACES}


def scan(vm):
    """AIDE: instructions of a scan of the 20 files, and of the container's whole root."""
    result = {}
    selections = {"20 files": [f"={path}$ p+i+n+u+g+s+m+c+sha256" for path in files(True, IN_GUEST)],
                  "the container's root": ["/disk/box/rootfs p+i+n+u+g+s+m+c+sha256"]}
    for what, lines in selections.items():
        vm.put("/run/aide.conf", (HERE / "aide.conf").read_text() + "\n".join(lines) + "\n")
        vm.run(f"{TOOLS} aide --init --config=/run/aide.conf >/run/aide.log 2>&1 || {{ cat /run/aide.log; exit 1; }}")
        took = []
        for i in range(3):
            vm.run(f"echo {i} >>{IN_GUEST['inside']}/others/1")
            ticks, status = vm.run(f"{TOOLS} ops time aide --check --config=/run/aide.conf 2>&1 | tail -n 1").split()[:2]
            if int(status) == 0:
                raise Failed("AIDE did not notice")
            took.append(int(ticks))
        result[what] = statistics.median(took)
    return result


def run(settings, say):
    # Means, since daemons work in between: they take more operations to be as exact.
    settings = types.SimpleNamespace(**{**vars(settings), "budget": 4 * settings.budget})
    result = {"operations": {}, "n_watched": N_WATCHED, "failed": {}, "blind": BLIND}
    if ONLY != [""] and settings.before:
        result = {**settings.before, "apart": ONLY}
    with VM("peers", memory=2048, tools=make_tools(*PACKAGES)) as vm:
        prepare(vm)
        short = types.SimpleNamespace(rounds=2, budget=settings.budget // 4)
        measure(vm, short, UNWATCHED, False)  # what the guest does once for all
        for name, start in tools():
            if ONLY != [""] and name not in ONLY:
                continue
            cells = result["operations"][name] = {}
            for touched, operations in ((False, UNWATCHED), (True, WATCHED)):
                say(f"{name}, {'the file that is touched' if touched else 'others'} watched")
                try:
                    with start(vm, touched):
                        cells["watched" if touched else "unwatched"] = measure(vm, settings, operations, touched)
                except Failed as error:
                    if vm.qemu.poll() is not None or name.startswith(("outguard", "no tool")):
                        raise
                    result["failed"][name] = str(error)[-400:]
                    say(f"{name}: {error}")
            settings.save(result)
        if ONLY != [""]:
            return result
        say("AIDE")
        try:
            result["aide"] = scan(vm)
        except Failed as error:
            result["failed"]["AIDE"] = str(error)[-400:]
            say(f"AIDE: {error}")
    return result
