# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole programs in a container, with and without the guard, in turns (A B B A A B ...): the ratio of each pair, and what one takes.

The container's root is an overlay over a disk of Debian packages. Guarded, it has the policy that is shipped as an example. The
guest counts instructions, those of all tasks together and none while it waits, so a figure holds on any machine. The same pairs by the clock
follow (time), where waiting for the host counts, and whatever else the machine did.

What makes counts of whole programs differ from run to run, and what is done about it (quieten, measure): dirty data of the run before,
which an fsync() of this one writes along (synced before each run); periodic writeback (off); address space randomization (off); what a
container that has ended leaves to kernel threads (waited for); the garbage collector and the scheduler of Docker's programs, which
are written in Go (no collection, one thread of Go at a time). What remains is now and then some tenths of a percent, so figures are medians."""

import itertools
import json
import math
import os
import re
import statistics

import place
from guard import Guard, policy
from vm import ROOT, VM, Failed, make_tools

PACKAGES = ["git", "tcc", "libc6-dev", "sqlite3", "nginx-light", "apache2-utils", "wrk", "fio", "tar", "dash", "coreutils"]
POLICY = (ROOT / "examples/protect-etc.yaml")
KINDS = os.environ.get("OUTGUARD_BENCH_KINDS", "instructions time").split()
# Of programs, and of containers' starts. With fewer than 6, no two of them have the median between them with 95 %.
N_PAIRS = {"instructions": (9, 6), "time": (6, 6)}
N_QUICK = (6, 6)
N_WARM = 20
GO = "GOGC=off GOMAXPROCS=1 GODEBUG=asyncpreemptoff=1"

PREPARE = """
mkdir -p /root/w /var/lib/nginx /var/log/nginx /var/www; cd /root/w
tar cf tree.tar -C /usr/include linux asm-generic
git init -q repo && cd repo && git config user.email a@b && git config user.name a && cp -r /usr/include/linux . && git add . && git commit -qm 1
cd .. && for i in $(seq 8); do printf '#include <stdio.h>\\n#include <stdlib.h>\\n#include <string.h>\\nint f%d(int n) { char b[64]; snprintf(b, 64, "%%d", n); return atoi(b) + strlen(b); }\\n' $i >p$i.c; done
printf 'BEGIN;create table t(a integer primary key,b text);COMMIT;' >many.sql
for i in $(seq 30); do echo "insert into t(b) values('row $i of many');" >>many.sql; done
echo 'BEGIN;' >>many.sql; for i in $(seq 1000); do echo "insert into t(b) values('row $i of many');" >>many.sql; done; echo 'COMMIT;' >>many.sql
for i in $(seq 20); do head -c 4096 /dev/zero >/var/www/f$i; done
printf 'user root root;daemon off;worker_processes 1;pid /run/n.pid;error_log /dev/null;events{}http{access_log off;server{listen 8080;root /var/www;}}' >/etc/n.conf
nginx -c /etc/n.conf >/dev/null 2>&1 & sleep 1
"""

# A command in the container, and of how many runs in a row its figure is the median. ab makes a fixed number of requests, a connection each,
# and is counted only; wrk makes as many as it can in a second, over connections that stay.
WORKLOADS = {
    "tar x, 600 headers": ("cd /root/w && rm -rf x && mkdir x && sync && ops time tar xf tree.tar -C x", 1),
    "git clone, local": ("cd /root/w && rm -rf c && sync && ops time git clone -q --no-hardlinks repo c", 1),
    "compile 8 C files (tcc)": ("cd /root/w && rm -f *.o && ops time tcc -c p1.c p2.c p3.c p4.c p5.c p6.c p7.c p8.c", 3),
    "SQLite, 1030 inserts": ("cd /root/w && rm -f d && sync && ops time sqlite3 d '.read many.sql'", 3),
    "nginx, 400 requests (ab)": ("ops time ab -q -n 400 -c 4 http://127.0.0.1:8080/f1 2>/dev/null", 1),
    "nginx, a request (wrk)": ("ops time wrk -t 1 -c 4 -d 1s http://127.0.0.1:8080/f1", 1),
    "fio randread 4 KiB": ("cd /root/w && ops time fio --name=r --filename=fio --rw=randread --bs=4k --size=8M --output=/dev/null", 1),
    "fio randwrite 4 KiB": ("cd /root/w && ops time fio --name=w --filename=fio --rw=randwrite --bs=4k --size=8M --output=/dev/null", 1),
}
# Containers whose first process writes down the counters, and ends.
ENGINES = {
    "crun": ("ops time crun run --bundle /disk/short short </dev/null", 3),
    "docker": (f"{GO} ops time docker start -a short </dev/null", 1),
}


def config():
    made = place.container_config(0)
    made["hostname"] = "work"
    made["process"]["env"] = ["PATH=/bench:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
    capabilities = made["process"]["capabilities"]
    for kind in capabilities:
        capabilities[kind] = capabilities[kind] + ["CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"]
    made["linux"]["namespaces"] = [n for n in made["linux"]["namespaces"] if n["type"] != "network"]
    made["mounts"] = [m for m in made["mounts"] if m["destination"] not in ("/w", "/vol")]
    return made


def mount_root(vm, name):
    vm.run(f"mkdir -p /disk/{name}/rootfs /disk/{name}/upper/bench /disk/{name}/work && mount -t overlay overlay -o "
           f"lowerdir=/tools,upperdir=/disk/{name}/upper,workdir=/disk/{name}/work /disk/{name}/rootfs")
    # The packages are unpacked, not configured.
    vm.run(f"cd /disk/{name}/rootfs && cp /disk/lower/etc/passwd /disk/lower/etc/group /disk/lower/etc/shadow etc/ && "
           "mkdir -p tmp root run var/log && ln -sf dash usr/bin/sh && ln -sf tcc usr/bin/cc")


def quieten(vm):
    vm.run("echo 0 >/proc/sys/kernel/randomize_va_space; echo 0 >/proc/sys/vm/dirty_writeback_centisecs")


def prepare(vm):
    place.make_disks(vm, 512)
    quieten(vm)
    vm.run("mkdir -p /tools && mount -o ro /dev/$(grep -l tools /sys/class/nvme/nvme*/serial | cut -d/ -f5)n1 /tools")
    vm.run("ip link set lo up")
    mount_root(vm, "work")
    vm.put("/disk/work/config.json", json.dumps(config()))
    vm.run("crun run -d --bundle /disk/work work </dev/null >/run/work.log 2>&1 || { cat /run/work.log; exit 1; }")
    vm.put("/disk/work/rootfs/prepare", PREPARE)
    vm.run("crun exec work /bin/sh /prepare >/run/work.log 2>&1 </dev/null; cat /run/work.log")
    mount_root(vm, "short")
    short = config()
    short["process"]["args"] = ["/bench/ops", "first"]
    vm.put("/disk/short/config.json", json.dumps(short))
    start_docker(vm)


def start_docker(vm):
    """The guest's own, with the containerd that it starts, as systemd would; without a bridge, which no container here has a use for."""
    vm.run(f"({GO} setsid dockerd --bridge none </dev/null >/run/dockerd.log 2>&1 &); "
           "for i in $(seq 300); do docker version >/dev/null 2>&1 && break; sleep 0.2; done; "
           "docker version >/run/docker.log 2>&1 || { tail -n 20 /run/dockerd.log; exit 1; }")
    vm.run("docker create --name short --network none -v /run/bench:/bench:ro -v /tools/usr/share/doc:/usr/share/doc:ro "
           "lab/busybox /bench/ops first")


def measure(vm, command):
    """One run: what was counted, how much until the container's first instruction, if there is one, and what it printed."""
    output = vm.run(f"sync; sleep 0.2; {command}")
    ticks, status, busy, ticks_from, busy_from = (int(word) for word in output.splitlines()[-1].split())
    if status:
        raise Failed(f"{command}: status {status}: {output}")
    found = re.search(r"^first (\d+) (\d+)", output, re.M)
    first = (int(found[2]) - busy_from if vm.counted else int(found[1]) - ticks_from) if found else None
    return busy if vm.counted else ticks, first, output


def wanted(vm, name):
    return vm.counted or "(ab)" not in name


def run_workload(vm, name):
    command, n = WORKLOADS[name]
    values = []
    for _ in range(n):
        value, _, output = measure(vm, f'crun exec work /bin/sh -c "{command}"')
        if "wrk" in name:
            value /= int(re.search(r"(\d+) requests in", output)[1])
        values.append(value)
    return statistics.median(values)


def run_starts(vm):
    result = {}
    for engine, (command, n) in ENGINES.items():
        runs = [measure(vm, command)[:2] for _ in range(n)]
        result[f"start to first instruction ({engine})"] = statistics.median(first for _, first in runs)
        result[f"start to exit ({engine})"] = statistics.median(all_of_it for all_of_it, _ in runs)
    return result


def run_all(vm):
    result = {name: run_workload(vm, name) for name in WORKLOADS if wanted(vm, name)}
    result.update({f"container, {what}": value for what, value in run_starts(vm).items()})
    return result


def starts_policy(files, lazy):
    text = policy(("starts", "deny", "modify", files))
    return text.replace("version: 1", "version: 1\ncache: " + ("lazy" if lazy else "eager"))


def interval(values):
    """The narrowest pair of them, one as far from the least as the other from the greatest, that the median is between
    with at least 95 %, whatever their distribution; and with how much."""
    n, below, at = len(values), 0.0, 0
    while 1 - 2 * (below + math.comb(n, at) / 2 ** n) >= 0.95:
        below += math.comb(n, at) / 2 ** n
        at += 1
    if not at:
        raise Failed(f"{n} pairs are too few for an interval")
    values = sorted(values)
    return values[at - 1], values[n - at], 1 - 2 * below


def summary(pairs):
    """Ratio of guarded to unguarded: the median of the pairs', and the interval that it is in."""
    ratios = [b / a for a, b in pairs]
    low, high, confidence = interval(ratios)
    return {"pairs": pairs, "ratio": statistics.median(ratios), "low": low, "high": high, "confidence": confidence,
            "without": statistics.median(a for a, _ in pairs),
            "added": statistics.median(b - a for a, b in pairs)}


def in_turns(n, without, guarded):
    """The results of both, n times, in the order A B B A: what changes with time changes both."""
    for i in range(n):
        if i % 2:
            with_it, bare = guarded(), without()
        else:
            bare, with_it = without(), guarded()
        yield bare, with_it


def warm_up(vm):
    """Everything once. And containers, until the guest's per-CPU allocator has grown: from then on each start, guarded or not, takes 1 %
    more."""
    run_all(vm)
    with Guard(vm, POLICY.read_text()):
        for _ in range(N_WARM):
            measure(vm, ENGINES["crun"][0])


def programs(vm, n, say):
    pairs = {}
    count = itertools.count(1)

    def without():
        say(f"{next(count)} of {2 * n}")
        return run_all(vm)

    def guarded():
        say(f"{next(count)} of {2 * n}, guarded")
        with Guard(vm, POLICY.read_text()):
            return run_all(vm)

    warm_up(vm)
    for bare, with_it in in_turns(n, without, guarded):
        for name, value in bare.items():
            pairs.setdefault(name, []).append((value, with_it[name]))
    return {name: summary(found) for name, found in pairs.items()}


def starts(vm, n, say):
    """Containers' starts, with so many watched files, their cache made before the start, or lazily. Each round has all of them, and one
    unguarded, which begins it or ends it."""
    docs = vm.run("ls -d /tools/usr/share/doc/*/copyright | head -n 200 | sed s,^/tools,,").split()
    kinds = [(watched, lazy) for watched in (20, 200) for lazy in (False, True)]
    pairs = {}
    for i in range(n):
        say(f"containers' starts, {i + 1} of {n}")
        found = {}
        for kind in [None, *kinds] if i % 2 == 0 else [*reversed(kinds), None]:
            if kind is None:
                bare = run_starts(vm)
                continue
            with Guard(vm, starts_policy(docs[:kind[0]], kind[1])):
                found[kind] = run_starts(vm)
        for (watched, lazy), values in found.items():
            for what, value in values.items():
                name = f"{what}, {watched} files, {'lazily' if lazy else 'before the start'}"
                pairs.setdefault(name, []).append((bare[what], value))
    return {name: summary(pairs[name]) for name in sorted(pairs, key=lambda name: name.split(",")[0])}


def run(settings, say):
    result = {}
    tools = make_tools(*PACKAGES)
    for kind in KINDS:
        n = N_QUICK if settings.quick else N_PAIRS[kind]
        with VM("work", memory=2048, counted=kind == "instructions", tools=tools) as vm:
            prepare(vm)
            found = result[kind] = {"workloads": {}, "starts": {}}
            found["workloads"] = programs(vm, n[0], say)
            settings.save(result)
            found["starts"] = starts(vm, n[1], say)
            settings.save(result)
    return result
