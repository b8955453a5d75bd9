# SPDX-License-Identifier: GPL-2.0-or-later
"""Attaching: what it takes of the host, and how long the guest stands still. Then what guarded VMs in which nothing happens cost: 1, 4, 16."""

import os
import pathlib
import re
import statistics
import subprocess
import time

import place
from guard import TICKS, Guard, policy
from vm import BUILD, OUTGUARD, VM, Failed

WATCHED = policy(("attach", "deny", "modify", ["/etc/passwd", "/etc/shadow", "/etc/group"]))
TOLD = re.compile(r"profile ([\d.]+) ms \(image ([\d.]+), symbols ([\d.]+), types ([\d.]+)\) and arming ([\d.]+) ms of host CPU; "
                  r"guest paused ([\d.]+) ms")
NAMES = ("profile_ms", "image_ms", "symbols_ms", "types_ms", "arming_ms", "paused_ms")
SMALL_MIB = 256
NUMBERS = tuple(map(int, os.environ.get("OUTGUARD_BENCH_VMS", "1 4 16").split()))


def attach_again(vm, n):
    rounds = []
    for _ in range(n):
        with Guard(vm, WATCHED) as guard:
            found = TOLD.search(guard.log.read_text())
            if not found:
                raise Failed("outguard run -v does not say what attaching took: " + guard.log.read_text())
            rounds.append(dict(zip(NAMES, map(float, found.groups()))) | {"ready_s": guard.ready_s})
    return {name: {"median": statistics.median(r[name] for r in rounds), "least": min(r[name] for r in rounds),
                   "most": max(r[name] for r in rounds)} for name in (*NAMES, "ready_s")}


def family(pid):
    """A process, and those that come from it."""
    found = [pid]
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)
        except OSError:
            continue
        if int(words[1].split()[1]) in found:
            found.append(int(words[0].split()[0]))
    return found


def cpu_s(pids):
    total = 0
    for pid in pids:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(words[11]) + int(words[12])
    return total / TICKS


def pss_kib(pids):
    """Proportional: what several share counts once. Private: without the guests' own memory, which is mapped too."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss_Anon:\s+(\d+)", text, re.M).group(1)) + int(re.search(r"^Pss_File:\s+(\d+)", text, re.M).group(1))
    return total


class Daemon:
    def __init__(self, directory):
        self.socket = pathlib.Path(directory) / "outguard.sock"
        self.policy = pathlib.Path(directory) / "daemon.yaml"
        self.policy.write_text(WATCHED)
        self.log = open(pathlib.Path(directory) / "outguardd.log", "wb")
        self.process = subprocess.Popen([BUILD / "outguardd", "--socket", self.socket], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        until = time.monotonic() + 20
        while not self.socket.exists():
            if time.monotonic() > until:
                raise Failed("outguardd does not start")
            time.sleep(0.05)

    def attach(self, vm):
        subprocess.run([OUTGUARD, "attach", vm.name, "--qmp", vm.qmp, "--policy", self.policy], check=True, capture_output=True,
                       env={**os.environ, "OUTGUARD_SOCKET": str(self.socket)})

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def idle(daemon, vms, seconds):
    pids = family(daemon.process.pid)
    time.sleep(2)
    before, started = cpu_s(pids), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pids) - before) / (time.monotonic() - started)
    return {"vms": len(vms), "cpu_share_of_a_core": share / len(vms), "private_kib": pss_kib(pids) / len(vms), "seconds": seconds}


def many(counts, seconds, say):
    vms, result, daemon = [], [], None
    try:
        for n in counts:
            say(f"{n} idle VMs")
            while len(vms) < n:
                vms.append(VM(f"idle{len(vms)}", counted=False, memory=SMALL_MIB))
                daemon = daemon or Daemon(vms[0].directory)
                daemon.attach(vms[-1])
            result.append(idle(daemon, vms, seconds))
    finally:
        if daemon:
            daemon.stop()
        for vm in vms:
            vm.stop()
    return result


def run(settings, say):
    say("attaching")
    with VM("attach", counted=False) as vm:
        place.prepare(vm)
        attached = attach_again(vm, 5 if settings.quick else 11)
    return {"attach": attached, "idle": many((1,) if settings.quick else NUMBERS, 10 if settings.quick else 30, say)}
