# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard's way instruction by instruction, what the host spends, growth, and whole programs: their parts of the report."""

import os
import pathlib
import re
import subprocess

from report_counts import added
from report_text import COLOURS, median, number, percent, signed

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")


def disassembly():
    """{offset from guard_file_open(): instruction}"""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", BUILD / "guard.o"],
                          check=True, capture_output=True, text=True).stdout
    lines, found, last = text.splitlines(), {}, None
    start = next(int(line.split()[0], 16) for line in lines if line.endswith(" <guard_file_open>:"))
    for line in lines:
        code = re.match(r"^\s+([0-9a-f]+):\t(.*)", line)
        symbol = re.match(r"^\s+([0-9a-f]+): R_X86_64_\w+\s+(\S+)", line)
        if symbol:
            if last is not None and 0 <= int(symbol.group(1), 16) - start - last < 16:
                found[last] += f"   [{symbol.group(2)}]"
        elif code:
            last = int(code.group(1), 16) - start
            found[last] = re.sub(r"\s+#.*", "", code.group(2)).strip()
    return found


def ways():
    text = subprocess.run([BUILD / "bench/hotpath"], check=True, capture_output=True, text=True).stdout
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith("way "):
            name = line[4:]
            found[name] = []
        else:
            offset = int(line, 16)
            found[name].append(offset - (1 << 64) if offset >> 63 else offset)
    return found


def is_load(instruction):
    return bool(re.match(r"(mov|cmp|test|add|or|xor|and)\w*\s+.*\(", instruction)) and not instruction.startswith("lea")


def write_way(document, results):
    code, found = disassembly(), ways()
    document.say("## The guard's way", """
What the guard does for an open of a regular file that nobody watches: build/guard.o, called and followed step by step (`build/bench/hotpath`).
Its way in, the kernel's list of hooks or static call, is in the counts above, not here; neither is what LSMs of the guest's own do.""")
    rows = []
    for name, offsets in found.items():
        known = [code[o] for o in offsets if o in code]
        branches = sum(1 for i in known if re.match(r"j(?!mp)", i))
        rows.append([name, len(known), branches, sum(map(is_load, known))])
    document.table(["an open", "instructions", "conditional branches", "loads"], rows)
    document.say("""
An open to read touches two cache lines or three that the open itself has just used (the file's `f_inode`, `f_mode` and `f_flags`; the inode's `i_ino`), and one of the
guard's: a word of the filter, at the lower 16 bits of the inode's number. That is 128 KiB for all, of which only the lines of files that are opened are ever in a
cache; only the host writes them, when a policy or a container comes or goes. Nothing is stored, no lock is taken, no counter raised: vCPUs do not meet there. No second look is
needed: the host sets a word before any table in force needs it, and clears it after. A clear word is what `f_mode` is for a regular file or a directory that is read and not written,
so that one subtraction asks three questions, and what it leaves is the 0 that is returned. While names or patterns are watched for reading, too, which no inode's number says, all words are set, and
each open goes on to the table (so it is with the policy in [the other tools' tables](#beside-other-tools), which has `operations: all`). Only when the word is set are the table's word and one of its lines looked at (two entries
long, at the hash of super block and number). Who writes, makes, removes or changes a file looks at the file's own word and at one for each directory above it: patterns hang from directories.""")
    first = [o for o in next(iter(found.values())) if o in code]
    listing = "\n".join(line_of(i, code[o]) for i, o in enumerate(first))
    document.say(f"```\n{listing}\n```")
    for kernel, states in results.get("counts", {}).get("data", {}).items():
        say_why(document, kernel, states, len(first))


WHY = {
    "f_inode": "which file",
    "i_ino": "16 bits of its number",
    "vault+": "what the tables in force say of such numbers",
    "f_mode": "that, and a regular file or a directory, and to read only? leaves 0",
    "f_flags": "to truncate? (O_TRUNC)",
    "thunk-0x4": "nothing: allowed (the host writes a plain return here where the kernel has such)",
}


def line_of(i, code):
    why = next((why for sign, why in WHY.items() if sign in code), "then the long way" if re.match("j(?!mp)", code) else "")
    return f"{i + 1:3}  {code:62}{'; ' + why if why else ''}".rstrip()


def say_why(document, kernel, states, own):
    """What an open adds, in parts, and what of it the target leaves room for."""
    def of(state, where):
        return added(states[state][where]["open+close"], states["none"][where]["open+close"])
    most = [s for s in states if s.startswith("untouched-")][-1]
    base, call = median(states["none"]["outside"]["open+close"]), of("empty", "outside")
    room, way = 0.003 * median(states["none"]["inside"]["open+close"]), call - own
    document.say(f"""
**Where an open's instructions go, Linux {kernel}.** 0.3 % of {number(base)} are {0.003 * base:.0f}. The call adds {number(call)}: {own} are the guard's (above), and
{number(way)} the kernel's way to a hook, which any LSM pays. In a container an open is two, as overlayfs opens the file below by itself, and the hook is called twice: {number(of("empty", "inside"))},
where 0.3 % are {room:.0f}. With the most files watched, several share a word of the filter, and opens that meet a word that is set go on to the table: {signed(of(most, "outside") - call)} outside and
{signed(of(most, "inside") - of("empty", "inside"))} inside, for the file that is measured.""")


def write_events(document, results):
    section = results.get("events")
    if not section:
        return
    data = section["data"]
    document.say("## Events", """
Processes in a container write to a watched file as fast as they can, each open an event. The guest runs on TCG, on the same processors as the
daemon, so the rates say what this machine made, not what the guard can take; what counts is that none is lost, and what one costs.""")
    document.table(["CPUs, each with a writer", "events", "a second, to the last line", "daemon, µs of CPU each", "its memory, MiB", "lost"],
                   [[b["cpus"], number(b["events"]), number(b["rate"]), f"{b['cpu_us']:.1f}", f"{b['rss_kib'] / 1024:.1f}",
                     "some" if b["lost"] else "none"] for b in data["bursts"]])
    over, code = data["overflow"], data["decode"]
    document.say(f"""
When more come than the ring holds: the daemon was stopped for {over['stopped_s']:.0f} s while {number(over['events'])} events were made: {number(over['told'])} were told,
{'some' if over['lost'] else 'none'} lost; whoever makes one waits meanwhile.""", f"""
Decoding a recorded ring, on one core: {number(code['decoded_per_s'])} records a second, {number(code['with_json_per_s'])} with their JSON lines.""")
    document.table(["from the open in the guest to the line on the host", "p50, µs", "p99", "longest", "clocks known to"],
                   [[f"outguard run {x['options']}", number(x["p50_us"]), number(x["p99_us"]), number(x["max_us"]),
                     f"±{x['clock_error_us']:.0f}"] for x in data["latency"]])
    document.made_by(section)


def write_attach(document, results):
    section = results.get("attach")
    if not section:
        return
    data = section["data"]
    words = {"profile_ms": "profile: symbols and types, ms of CPU", "symbols_ms": "of it symbols", "types_ms": "of it types",
             "arming_ms": "arming, ms of CPU", "paused_ms": "the guest stands still, ms", "ready_s": "until all containers are guarded, s"}
    document.say("## Attaching, and VMs in which nothing happens")
    document.table(["attaching", "median", "least", "most"],
                   [[words[name], *(f"{data['attach'][name][x]:.2f}" for x in ("median", "least", "most"))] for name in words])
    document.table(["VMs guarded by one outguardd", "CPU for each, of a core", "memory for each, MiB (private, and files)"],
                   [[x["vms"], f"{100 * x['cpu_share_of_a_core']:.2f} %", f"{x['private_kib'] / 1024:.1f}"] for x in data["idle"]])
    document.say("""
About half of the memory is the sentry's: the kernel's text and read-only data as they were when the guard came (`sentry/copies.c`; 6.1: _stext to _etext, and
__start_rodata to __end_rodata, of the guest's /proc/kallsyms), packed. It is what a changed kernel is put back from; it is compared by digests. Most of the
rest are the kernel's symbols and types. The CPU time is the sentry's looks, and grows with whatever else shares the processors.""")
    document.made_by(section)


def growth_lines(data):
    for kind, words, state in (("rules", "rules with a path each", "none"), ("patterns", "rules with a pattern for its directory", "none, beside")):
        bare = data[state]["open+close"]
        for n, cells in data[kind].items():
            yield words, int(n), added(cells["open+close"], bare), median(bare)
    for kind, words, state in (("containers", "containers", "guarded"), ("depth", "names below a pattern for any depth", "pattern")):
        for n, cells in data[kind].items():
            yield words, int(n), added(cells[state]["open+close"], cells["none"]["open+close"]), median(cells["none"]["open+close"])


def write_growth(document, results):
    section = results.get("growth")
    if not section:
        return
    lines = list(growth_lines(section["data"]))
    document.say("## Growth", """
Instructions that are added to open+close of a file in a container that nobody watches, against how much is watched. Exact paths are looked up by
identity, so their number does not matter. Patterns in the file's own directory are compared one by one: that grows with them, and is why a
pattern belongs near what it protects. A pattern for any depth is compared with all names below its base.""")
    document.table(["against", "how many", "added", "of the operation"],
                   [[words, f"{n:,}", signed(extra), percent(extra, base)] for words, n, extra, base in lines])
    kinds = list(dict.fromkeys(words for words, *_ in lines))
    rows = ["\t".join(str(x) for x in (n, *(extra if words == kind else "" for kind in kinds))) for words, n, extra, _ in lines]
    curves = ", ".join(f"$data using 1:{i + 2} with linespoints lw 2 pt 7 lc rgb '{COLOURS[i]}' title '{kind}'" for i, kind in enumerate(kinds))
    document.plot("growth", "open+close, added instructions (both axes logarithmic)",
                  f"set logscale xy\nset key outside bottom horizontal\nset datafile missing ''\nplot {curves}\n", "\n".join(rows))
    document.made_by(section)


def write_workloads(document, results):
    section = results.get("workloads")
    if not section:
        return
    document.say("## Whole programs", """
In a container whose root is an overlay over Debian packages, without and with examples/protect-etc.yaml, in turns (A B B A A B ...). The ratio is the median
of the pairs'; it is said with the narrowest two of the pairs' that it is between with at least 95 %, whatever their distribution (as the sign test has
it). Instructions are those that all tasks of the guest execute meanwhile (`/proc/schedstat`), kernel threads too, so that who waits adds nothing. By the clock waiting counts,
but so does all else that this machine did: there the interval says how much a figure is worth. bench/workloads.py says what makes counts of whole programs differ
from run to run, and what is done about it.""", """
Containers are started by crun, and by the guest's own Docker (`docker start -a`: its client, dockerd, containerd, the shim and runc together), whose garbage collector is off, as it runs when it
likes: it would make the whole more, and what is added a smaller part of it. *To first instruction* ends where the container's first process reads the counter. nginx is counted with ab, which makes a fixed number of
requests; wrk makes as many as it can in a second: there a request's share is told.""")
    for kind, words in (("instructions", "Instructions of all tasks together, without waiting"), ("time", "By the clock, TCG with threads")):
        data = section["data"].get(kind)
        if not data:
            continue
        document.say(f"### {words}")
        for title, head in (("workloads", "program"), ("starts", "container, watched files")):
            if data[title]:
                document.table([head, "millions" if kind == "instructions" else "ms", "added" if kind == "instructions" else "added, ms",
                                "guarded to unguarded", "95 %", "pairs"], [workload_cells(name, x, kind) for name, x in data[title].items()])
    say_missed(document, section["data"].get("instructions"))
    document.made_by(section)


def workload_cells(name, x, kind):
    extra = signed(x["added"]) if kind == "instructions" else f"{x['added'] / 1e6:+,.2f}"
    return [name, f"{x['without'] / 1e6:,.{1 if x['without'] > 1e7 else 3}f}", extra, f"{x['ratio']:.4f}",
            f"{x['low']:.4f} to {x['high']:.4f}", len(x["pairs"])]


def say_missed(document, data):
    above = [name for title in ("workloads", "starts") for name, x in (data or {}).get(title, {}).items() if x["low"] > 1.01]
    if not above:
        return
    document.say(f"""
**Above +1 %: {'; '.join(above)}.** What costs:""", """
- *A start* has each path of the policy's rules for containers resolved before it, and each directory on the way, by the kernel's own walk, on an overlay on which nothing has been looked up yet. (The built-in rules' are the guest's own paths, and are
  not.) A walk takes a buffer of 4 KiB for the name, which Debian's kernels fill with zeros (`init_on_alloc`, `rep stosb`): as QEMU counts instructions, a byte each, that is more than half of what a path costs; as time passes, it is little. Lazily the same work is done at
  the first open. Docker's own doings are some forty times crun's, and its starts show neither.""", """
- *New names on overlayfs are judged twice.* What overlayfs does in its upper layer was judged above, and is told by its credentials. But for each new file, directory or symbolic link it makes other ones for this once
  (`ovl_create_or_link()`: `prepare_creds()`), which could be anybody's: so the guard walks up from the name to the layer's root, where all of the policy's paths hang, and asks whether one begins like it. A rule about names that did not ask there
  could be gone round by making the file anew.""")


def write(document, results):
    write_way(document, results)
    write_events(document, results)
    write_attach(document, results)
    write_growth(document, results)
    write_workloads(document, results)
