# SPDX-License-Identifier: GPL-2.0-or-later
"""Events: how many a second, whether any is lost, what one costs the host, and how long it takes until its line is there.

The guest runs on TCG with as many threads as it has CPUs, beside the daemon, on this machine: rates are this machine's, and what makes the
events is slower than the guard. Times are the host's clock's; the guest's is compared with it over the serial line."""

import os
import pathlib
import signal
import statistics
import subprocess
import threading
import time

import place
from guard import Guard, policy
from vm import BUILD, VM, Failed

WATCHED = policy(("events", "audit", "write", ["/data/file"]))
DRAIN_LIMIT = 120


def wait_for_events(guard, n):
    until = time.monotonic() + DRAIN_LIMIT
    while guard.n_events() < n:
        if time.monotonic() > until:
            raise Failed(f"{n - guard.n_events()} of {n} events did not come: {guard.log.read_text()[-500:]}")
        time.sleep(0.02)


def lost(guard):
    return "lost" in guard.log.read_text() or '"records-lost"' in guard.events.read_text()


def burst(vm, guard, writers, n):
    """n events from each of the writers at once, until the last line is there."""
    before, cpu = guard.n_events(), guard.cpu_s()
    started = time.monotonic()
    inner = "; ".join(f"/bench/ops touch /data/file {n} &" for _ in range(writers)).replace("&;", "&")
    vm.run(f"crun exec box /bin/sh -c '{inner} wait' >/dev/null")
    made = time.monotonic() - started
    wait_for_events(guard, before + writers * n)
    took = time.monotonic() - started
    total = writers * n
    return {"writers": writers, "events": total, "made_s": made, "took_s": took, "rate": total / took,
            "cpu_us": 1e6 * (guard.cpu_s() - cpu) / total, "rss_kib": guard.memory_kib(), "anon_kib": guard.memory_kib("RssAnon"),
            "lost": lost(guard)}


def overflow(vm, guard, n):
    """The daemon stands still while more events come than the ring holds: the guest's processes wait, then all are told."""
    before = guard.n_events()
    guard.process.send_signal(signal.SIGSTOP)
    vm.tell(f"crun exec box /bench/ops touch /data/file {n}")
    time.sleep(1.0)
    guard.process.send_signal(signal.SIGCONT)
    vm.hear()
    wait_for_events(guard, before + n)
    return {"events": n, "stopped_s": 1.0, "told": guard.n_events() - before, "lost": lost(guard)}


def clock_offset(vm, n=100):
    """The guest's clock less the host's, in ns, and how much that may be off: from the fastest of n exchanges."""
    vm.tell(f"ops clock {n}")
    best = None
    time.sleep(1)
    for _ in range(n):
        sent = time.time_ns()
        vm.line.sendall(b"?")
        while b"\n" not in vm.rest:
            vm.rest += vm.line.recv(4096)
        came = time.time_ns()
        said, _, vm.rest = vm.rest.partition(b"\n")
        if best is None or came - sent < best[0]:
            best = (came - sent, int(said) - (came + sent) // 2)
    vm.hear()
    return best[1], best[0] / 2


class Tail(threading.Thread):
    """Notes when each line of the events is there to be read."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.times, self.end = path, [], False

    def run(self):
        with open(self.path, "rb") as file:
            file.seek(0, os.SEEK_END)
            while not self.end:
                block = file.read(1 << 16)
                self.times += [time.time_ns()] * block.count(b"\n")
                if not block:
                    time.sleep(0.0001)


def latency(vm, guard, n, options):
    tail = Tail(guard.events)
    tail.start()
    before = guard.n_events()
    offset, error = clock_offset(vm)
    done = [int(line) for line in vm.run(f"crun exec box /bench/ops pace /data/file {n} 2000").split()]
    wait_for_events(guard, before + n)
    time.sleep(0.2)
    tail.end = True
    tail.join()
    took = sorted((seen - (at - offset)) / 1000 for at, seen in zip(done, tail.times[-n:]))
    return {"n": n, "options": options, "p50_us": took[n // 2], "p99_us": took[n * 99 // 100], "max_us": took[-1],
            "clock_error_us": error / 1000}


def mailbox(vm):
    """A copy of the guest's mailbox, out of QEMU's own descriptor of it."""
    for path in pathlib.Path(f"/proc/{vm.qemu.pid}/fd").iterdir():
        try:
            target = os.readlink(path)
        except OSError:
            continue
        if "memfd:" in target and os.stat(path).st_size == 4 << 20:
            return path.read_bytes()
    raise Failed("QEMU has no mailbox of 4 MiB")


def decode(vm, seconds):
    recorded = pathlib.Path(vm.directory) / "mailbox"
    recorded.write_bytes(mailbox(vm))
    said = subprocess.run([BUILD / "bench/decode", recorded, str(seconds)], check=True, capture_output=True, text=True).stdout
    n, plain, json_lines = map(float, said.split())
    return {"records": n, "decoded_per_s": plain, "with_json_per_s": json_lines}


def run(settings, say):
    result = {"bursts": [], "latency": []}
    each = 2000 if settings.quick else 8000
    for cpus in (1, 2, 4):
        say(f"{cpus} CPUs write to watched files")
        with VM(f"events{cpus}", counted=False, cpus=cpus) as vm:
            place.prepare(vm)
            with Guard(vm, WATCHED) as guard:
                burst(vm, guard, cpus, 200)
                rounds = [burst(vm, guard, cpus, each // cpus) for _ in range(3)]
                result["bursts"].append(sorted(rounds, key=lambda r: r["rate"])[1] | {"cpus": cpus})
                if cpus == 2:
                    result["decode"] = decode(vm, 1 if settings.quick else 3)
                    result["overflow"] = overflow(vm, guard, 6000)
                    result["latency"].append(latency(vm, guard, 500, ""))
            if cpus == 2:
                with Guard(vm, WATCHED, "--poll") as guard:
                    result["latency"].append(latency(vm, guard, 500, "--poll"))
    result["waits"] = statistics.median(r["made_s"] / r["took_s"] for r in result["bursts"])
    return result
