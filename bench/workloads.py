# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole programs in a container, with and without the guard, in turns (A B A B ...): the ratio of each pair, and what one takes.

The container's root is an overlay over a disk of Debian packages. Guarded, it has the policy that is shipped as an example. The
guest counts instructions, those of all tasks together and none while it waits, so a figure holds on any machine. The same pairs by the clock
follow (time), where waiting for the host counts, and whatever else the machine did."""

import json
import math
import os
import statistics

import place
from guard import Guard, policy
from vm import ROOT, VM, Failed, make_tools

PACKAGES = ["git", "tcc", "libc6-dev", "sqlite3", "nginx-light", "apache2-utils", "fio", "tar", "dash", "coreutils"]
POLICY = (ROOT / "examples/protect-etc.yaml")
KINDS = os.environ.get("OUTGUARD_BENCH_KINDS", "instructions time").split()
N_PAIRS, N_QUICK = 3, 3
T_95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}

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

WORKLOADS = {
    "tar x, 600 headers": "cd /root/w && rm -rf x && mkdir x && ops time tar xf tree.tar -C x",
    "git clone, local": "cd /root/w && rm -rf c && ops time git clone -q --no-hardlinks repo c",
    "compile 8 C files (tcc)": "cd /root/w && rm -f *.o && ops time tcc -c p1.c p2.c p3.c p4.c p5.c p6.c p7.c p8.c",
    "SQLite, 1030 inserts": "cd /root/w && rm -f d && ops time sqlite3 d '.read many.sql'",
    "nginx, 400 requests (ab)": "ops time ab -q -n 400 -c 4 http://127.0.0.1:8080/f1 2>/dev/null",
    "fio randread 4 KiB": "cd /root/w && ops time fio --name=r --filename=fio --rw=randread --bs=4k --size=8M --output=/dev/null",
    "fio randwrite 4 KiB": "cd /root/w && ops time fio --name=w --filename=fio --rw=randwrite --bs=4k --size=8M --output=/dev/null",
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


def prepare(vm):
    place.make_disks(vm, 512)
    vm.run("mkdir -p /tools && mount -o ro /dev/$(grep -l tools /sys/class/nvme/nvme*/serial | cut -d/ -f5)n1 /tools")
    vm.run("ip link set lo up")
    mount_root(vm, "work")
    vm.put("/disk/work/config.json", json.dumps(config()))
    vm.run("crun run -d --bundle /disk/work work </dev/null >/run/work.log 2>&1 || { cat /run/work.log; exit 1; }")
    vm.put("/disk/work/rootfs/prepare", PREPARE)
    vm.run("crun exec work /bin/sh /prepare >/run/work.log 2>&1 </dev/null; cat /run/work.log")
    mount_root(vm, "short")
    short = config()
    short["process"]["args"] = ["/bench/ops", "end"]
    vm.put("/disk/short/config.json", json.dumps(short))


def measure_once(vm, command):
    ticks, status, busy = vm.run(command + " | tail -n 1").split()
    if status != "0":
        raise Failed(f"{command}: status {status}")
    return int(busy if vm.counted else ticks)


def run_all(vm):
    result = {name: measure_once(vm, f"crun exec work /bin/sh -c \"{command}\"") for name, command in WORKLOADS.items()}
    result["container, start to exit (crun)"] = start_once(vm)
    return result


def start_once(vm):
    return measure_once(vm, "ops time crun run --bundle /disk/short short </dev/null")


def starts_policy(files, lazy):
    text = policy(("starts", "deny", "modify", files))
    return text.replace("version: 1", "version: 1\ncache: " + ("lazy" if lazy else "eager"))


def summary(pairs):
    """Ratio of guarded to unguarded: mean of the pairs', and half the width of its 95 % confidence interval."""
    ratios = [b / a for a, b in pairs]
    half = T_95[len(ratios)] * statistics.stdev(ratios) / math.sqrt(len(ratios))
    return {"pairs": pairs, "ratio": statistics.mean(ratios), "half": half, "without": statistics.median(a for a, _ in pairs)}


def in_turns(vm, n, say):
    pairs = {}
    run_all(vm)
    for i in range(n):
        say(f"pair {i + 1} of {n}")
        without = run_all(vm)
        with Guard(vm, POLICY.read_text()):
            guarded = run_all(vm)
        for name, ticks in without.items():
            pairs.setdefault(name, []).append((ticks, guarded[name]))
    return {name: summary(found) for name, found in pairs.items()}


def starts(vm, n, say):
    """A container's start, with so many watched files, their cache made before it starts, or lazily."""
    docs = vm.run("ls -d /tools/usr/share/doc/*/copyright | head -n 200 | sed s,^/tools,,").split()
    for watched in (20, 200):
        for lazy in (False, True):
            say(f"container starts, {watched} files, {'lazily' if lazy else 'before'}")
            pairs = []
            for _ in range(n):
                without = start_once(vm)
                with Guard(vm, starts_policy(docs[:watched], lazy)):
                    pairs.append((without, start_once(vm)))
            yield f"{watched} files, {'lazily' if lazy else 'before the start'}", summary(pairs)


def run(settings, say):
    result = {}
    tools = make_tools(*PACKAGES)
    for kind in KINDS:
        counted = kind == "instructions"
        with VM("work", memory=2048, counted=counted, tools=tools) as vm:
            prepare(vm)
            found = result[kind] = {"workloads": {}, "starts": {}}
            found["workloads"] = in_turns(vm, N_QUICK if settings.quick else N_PAIRS, say)
            settings.save(result)
            for name, measured in starts(vm, N_QUICK if settings.quick else N_PAIRS, say):
                found["starts"][name] = measured
                settings.save(result)
    return result
