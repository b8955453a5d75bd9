# SPDX-License-Identifier: GPL-2.0-or-later
"""The head of the report: what was promised and what came out, how it was measured, on what."""

import report_counts
import report_exits
from report_text import median, percent, signed
from workloads import summary

FREE = ["getppid", "stat", "access", "pread 1 B", "pread 512 B", "pread 4 KiB", "pread 64 KiB", "pread 1 MiB", "pwrite 1 B",
        "pwrite 512 B", "pwrite 4 KiB", "pwrite 64 KiB"]


def of(states, state, where, name):
    cell, base = states.get(state, {}).get(where, {}).get(name), states["none"][where].get(name)
    if not cell or not base or not cell["n"]:
        return None, None
    return report_counts.added(cell, base), median(base)


def more_than_unguarded(states, state, where, name):
    """What is added to what the guest takes without a guard: before it came, or after it left, whichever is more."""
    extra, gone = of(states, state, where, name)[0] or 0, of(states, "none-again", where, name)[0] or 0
    return extra - max(0, gone)


def count_rows(kernel, states):
    least = report_counts.untouched_states(states)[:1]
    most = report_counts.untouched_states(states)[-1:]
    worst = max(((more_than_unguarded(states, s, where, name), name) for s in least + most for where in states["none"] for name in FREE),
                default=(0, ""))
    yield ("reading, writing, stat of files that are not watched: +0", f"at most {signed(worst[0])} instructions", worst[0] <= 0)
    for where in states["none"]:
        for state in least:
            extra, base = of(states, state, where, "open+close")
            n = int(state.split("-")[1])
            yield (f"open+close of a file that is not watched, {n:,} are, {where}: at most +0.3 %",
                   f"{signed(extra)}, {percent(extra, base)}", extra <= 0.003 * base)
        if least != most:
            a, b = of(states, least[0], where, "open+close")[0], of(states, most[0], where, "open+close")[0]
            base = of(states, most[0], where, "open+close")[1]
            yield (f"within 2 % from the fewest to the most watched files, {where}", percent(b - a, base), abs(b - a) <= 0.02 * base)
    for name in ("pread 4 KiB", "pwrite 4 KiB"):
        extra, base = of(states, "audit", "inside", name)
        if base:
            yield (f"{name} of a watched file, audit: at most +1 %", f"{signed(extra)}, {percent(extra, base)}", extra <= 0.01 * base)
    cell = states.get("deny", {}).get("inside", {}).get("open+close to write")
    if cell and cell["n"]:
        waits = report_counts.waits(cell, states["none"]["inside"]["open+close to write"])
        yield ("refusing an open waits for no host", "waits" if waits else "does not wait", not waits)


def exit_rows(exits):
    limits = {"/etc/motd": 0.01, "/etc/passwd": 0.01, "/etc/shadow": 1}
    for kernel, kvm, operation, file, _, a, b, _ in report_exits.pairs(exits):
        limit = limits.get(file, 1)
        yield (f"{operation} {file}, Linux {kernel}, KVM ({kvm}): at most {limit} exits", f"{b - a:+.4f}", b - a <= limit)


def host_rows(results):
    events = results.get("events", {}).get("data")
    if events:
        lost = any(b["lost"] for b in [*events["bursts"], events["overflow"]])
        yield ("events lost at any rate: none", "some" if lost else "none", not lost)
        rate = events["decode"]["decoded_per_s"]
        yield ("records decoded a second, per core: 200,000", f"{rate:,.0f}; with JSON lines {events['decode']['with_json_per_s']:,.0f}",
               rate >= 200000)
        most = max(b["anon_kib"] for b in events["bursts"]) / 1024
        yield ("the daemon's own memory for a VM: at most 32 MiB", f"{most:.1f} MiB", most <= 32)
    attach = results.get("attach", {}).get("data")
    for idle in attach["idle"] if attach else ():
        share = 100 * idle["cpu_share_of_a_core"]
        yield (f"CPU for an idle VM, {idle['vms']} guarded: at most 0.5 % of a core", f"{share:.2f} %", share <= 0.5)
    yield from workload_rows(results.get("workloads", {}).get("data", {}).get("instructions"))


def at_most(x, limit):
    """Is all of the interval on one side? None: it is not known."""
    if x["high"] <= limit:
        return True
    return False if x["low"] > limit else None


def in_words(met):
    return {True: "yes", False: "**no**"}.get(met, "not decided")


def ratio_in_words(x):
    return f"{100 * (x['ratio'] - 1):+.2f} % ({100 * (x['low'] - 1):+.2f} to {100 * (x['high'] - 1):+.2f})"


def workload_rows(data):
    if not data:
        return
    for name, x in data["workloads"].items():
        yield (f"{name}: at most +1 %", ratio_in_words(x), at_most(x, 1.01))
    for name, x in data["starts"].items():
        if "before" not in name:
            continue
        lazily = data["starts"][name.replace("before the start", "lazily")]
        yield (f"container, {name}: at most +1 %", ratio_in_words(x), at_most(x, 1.01))
        # Both are of the same rounds.
        beside = summary([(late, early) for (_, late), (_, early) in zip(lazily["pairs"], x["pairs"])])
        yield (f"container, {name}: no more than lazily", ratio_in_words(beside), at_most(beside, 1))


def write(document, results, exits):
    document.say("# What it costs", """
Made by `make bench` (bench/README.md) from its results; the figures are nobody's choice. Instructions and exits are exact, and come out the same on
any machine; times are those of the machine below, and stand beside others of the same run or not at all.""")
    about = max((section["about"] for section in results.values()), key=lambda a: a["date"])
    document.say(f"""
Measured with {about['version']}, {(about['qemu'] or ['QEMU'])[0]}, on {about['cpu']['cpus']} × {about['cpu']['model']}, Linux {about['host_kernel']}, under whatever
else that machine did (its load is said with each section). Guests: Debian's stock kernels, one CPU where instructions are counted.""")
    document.say("## How instructions are counted", """
QEMU runs the guest under `-icount shift=0`: every instruction takes one nanosecond of the guest's time, nothing else takes any. The guest's time stamp
counter is then a counter of instructions, and `bench/guest/ops.c` reads it before and after each operation. Nothing runs in the guest but what is measured: the
lab's disk, one program as the first process, a container made by crun (name spaces, cgroup, overlayfs over Docker's copy of an image), ext4 on a
loop device over tmpfs, so that no device works at its own pace. An instruction is not a cycle: the count does not know of cache misses; for these see
[the guard's way](#the-guards-way).""")
    rows = []
    for kernel, states in results.get("counts", {}).get("data", {}).items():
        rows += [[f"{kernel}: {what}", result, in_words(met)] for what, result, met in count_rows(kernel, states)]
    rows += [[what, result, in_words(met)] for what, result, met in exit_rows(exits)]
    rows += [[what, result, in_words(met)] for what, result, met in host_rows(results)]
    document.say("## Targets", "*Not decided*: the 95 % confidence interval has the target within it.")
    document.table(["target", "measured", "met"], rows)
