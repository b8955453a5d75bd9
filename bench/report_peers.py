# SPDX-License-Identifier: GPL-2.0-or-later
"""Other tools beside outguard: their part of the report."""

import report_counts
from report_text import COLOURS, median, percent, signed, spread

WORDS = {"inside": "in the container, on overlayfs", "outside": "outside, on another file system"}


def added(data, tool, kind, where, operation):
    cell = data["operations"].get(tool, {}).get(kind, {}).get(where, {}).get(operation)
    base = data["operations"]["no tool"].get(kind, {}).get(where, {}).get(operation)
    if not cell or not base or not cell["n"] or not base["n"]:
        return None, None
    which = "cpu" if waits(tool, cell, base) else "mean"
    return median(cell, which) - median(base, which), median(base, which)


def waits(tool, cell, base):
    """For the host, that is: who waits for a daemon in the guest waits for instructions of the guest."""
    return tool.startswith("outguard") and report_counts.waits(cell, base)


def ratio(other, ours):
    """What they add, for each instruction that we add."""
    if other is None or ours is None or other < 1:
        return ""
    if ours < 1:
        return "∞"
    return f"{other / ours:,.1f} ×"


def cell(data, tool, kind, where, operation):
    extra, base = added(data, tool, kind, where, operation)
    if extra is None:
        return ""
    text = f"{signed(extra)} ({percent(extra, base)})"
    if where in data.get("blind", {}).get(tool, []):
        text += " 🚫"
    if waits(tool, data["operations"][tool][kind][where][operation], data["operations"]["no tool"][kind][where][operation]):
        text += " ⏳"
    if tool.startswith(("outguard", "no tool")):
        return text
    return f"{text} {ratio(extra, added(data, 'outguard', kind, where, operation)[0])}".strip()


def table(document, data, kind, where):
    ours = [t for t in data["operations"] if t.startswith("outguard")]
    tools = ours + [t for t in data["operations"] if t != "no tool" and t not in ours]
    bases = data["operations"]["no tool"][kind][where]
    rows = [[name, f"{median(base, 'mean'):,.0f}", *(cell(data, t, kind, where, name) for t in tools)]
            for name, base in bases.items() if base["n"]]
    document.table(["operation", "no tool", *tools], rows)


def better(data):
    """Cells in which another tool adds less, by more than the rounds differ."""
    found = []
    for tool, kinds in data["operations"].items():
        if tool.startswith(("outguard", "no tool")):
            continue
        for kind, places in kinds.items():
            for where, cells in places.items():
                for name, theirs in cells.items():
                    if where in data.get("blind", {}).get(tool, []) or (kind == "watched" and where == "outside"):
                        continue
                    ours = data["operations"]["outguard"].get(kind, {}).get(where, {}).get(name)
                    extra, base = added(data, tool, kind, where, name)
                    own, _ = added(data, "outguard", kind, where, name)
                    if extra is None or own is None:
                        continue
                    noise = max(*(max(c["mean"]) - min(c["mean"]) for c in (theirs, ours)), 0.001 * base)
                    if own - extra > noise:
                        found.append((tool, kind, where, name, extra, own))
    return found


REASONS = """
Why a tool can be cheaper in a cell, always for one of these reasons: it does not look there (fatrace and inotify see no change of metadata by
other names, fapolicyd sees only opening and running, auditd does not see reading and writing); it keeps one mark on the inode itself, which
a guard that changes nothing in the guest's data cannot (inotify, fanotify: an open of another file costs them a test of a mask); it merges what it tells
(inotify tells many events of one kind as one, without saying who); or it looks at the inode's number alone (bpftrace), where outguard follows names, layers and
containers."""


def write(document, results):
    section = results.get("peers")
    if not section:
        return
    data = section["data"]
    rounds = spread(data["operations"]["no tool"]["unwatched"]["inside"]["open+close"], "mean")
    document.say("## Beside other tools", f"""
The same operations, in the same guest, one tool after the other, each told to watch {data['n_watched']} files. Figures are means over all that the guest
executes meanwhile, so what a tool's own daemon does in the guest is in them; what outguard's daemon does on the host is not (see
[events](#events)). In brackets the share of the operation, and what the tool adds for each instruction that outguard adds. How each is
configured, and what it covers and what not: [bench/peers](../bench/peers/README.md). 🚫: it does not see these files at all. ⏳: it waits for the host, as long as that takes; the figure is its own instructions, without the round trip. `trap: every-access` is
outguard made to do what the published method does, a trap to the host for each read and each write: beside it one sees what judging at the open saves. auditd comes last, because what it
turns on stays on: the last column. The rounds of one open's mean differ by ±{rounds:,.0f} (its median, in the tables above, by none).""")
    for kind, words in (("unwatched", "Files that are not watched (others are)"), ("watched", "The file that is watched")):
        for where in WORDS:
            if kind == "watched" and where == "outside":
                continue  # outside the container is none of outguard's business
            document.say(f"### {words}, {WORDS[where]}")
            table(document, data, kind, where)
    plot(document, data)
    if data.get("aide"):
        document.say("### AIDE: time to notice", "AIDE notices at the next scan; Debian's runs once a day. What one scan takes, in the same instructions:")
        document.table(["scan of", "instructions"], [[what, f"{n:,.0f}"] for what, n in data["aide"].items()])
    if data.get("apart"):
        document.say(f"Measured in a guest of its own, made in the same way, after the others: {'; '.join(data['apart'])}.")
    for name, why in data["failed"].items():
        document.say(f"{name} did not run: `{why.splitlines()[-1][:200]}`")
    cells = better(data)
    document.say(f"### Where another tool adds less: {len(cells)} cells", REASONS)
    if cells:
        document.table(["tool", "file", "where", "operation", "it adds", "outguard adds"],
                       [[t, k, w, n, signed(e), signed(o)] for t, k, w, n, e, o in cells])
    document.made_by(section)


def plot(document, data):
    tools = [t for t in data["operations"] if not t.startswith("no tool")]
    names = ["open+close", "pread 1 B", "pread 4 KiB", "pwrite 4 KiB"]
    rows = []
    for tool in tools:
        shares = []
        for name in names:
            extra, base = added(data, tool, "unwatched", "inside", name)
            shares.append(str(max(0.01, 100 * extra / base)) if extra is not None else "")
        rows.append("\t".join([tool, *shares]))
    bars = ", ".join(f"$data using {i + 2}:xtic(1) title '{name}' lc rgb '{COLOURS[i]}'" for i, name in enumerate(names))
    document.plot("peers", "Files that nobody watches, in the container: added, % (logarithmic)",
                  "set style data histogram\nset style histogram cluster gap 1\nset style fill solid 0.9 noborder\nset logscale y\n"
                  f"set yrange [0.01:*]\nset xtics rotate by 20 right\nset key outside top horizontal\nplot {bars}\n", "\n".join(rows), (900, 480))
