# SPDX-License-Identifier: GPL-2.0-or-later
"""Instructions of single operations: their part of the report, and what the other parts ask of it."""

from place import PLACES
from report_text import COLOURS, median, number, percent, signed, spread


def others(cell):
    """What happened during an operation that its own thread did not do: others' work, or waiting."""
    return median(cell) - median(cell, "cpu")


def waits(cell, base):
    """Does it wait for the host, as it does not without the guard? Then its time is not its instructions."""
    return others(cell) - others(base) > 0.5 * median(cell, "cpu")


def is_refused(cell):
    return cell["n"] > 0 and cell["refused"] == cell["n"]


def added(cell, base):
    which = "cpu" if waits(cell, base) else "typical"
    return median(cell, which) - median(base, which)


def untouched_states(states):
    return sorted((s for s in states if s.startswith("untouched-")), key=lambda s: int(s.split("-")[1]))


def cell_text(cell, base):
    if cell is None or base is None:
        return ""
    if not cell["n"]:
        return "cannot be opened"
    mark = " ⏳" if waits(cell, base) else ""
    if is_refused(cell):
        return f"refused at {number(median(cell, 'cpu' if mark else 'typical'))}{mark}"
    extra = added(cell, base)
    return f"{signed(extra)} ({percent(extra, median(base))}){mark}" if extra else "0" + mark


def place_table(document, states, where):
    bare = states["none"][where]
    columns = ["empty", *untouched_states(states), "none-again"]
    columns += [s for s in ("audit", "deny") if where in states.get(s, {})]
    heads = {"empty": "a policy, nothing of it here", "none-again": "guard gone", "audit": "watched: audit", "deny": "watched: deny"}
    heads |= {s: f"{int(s.split('-')[1]):,} others watched" for s in untouched_states(states)}
    rows = []
    for name, base in bare.items():
        cells = [cell_text(states[s].get(where, {}).get(name), base) for s in columns]
        rows.append([name, number(median(base)), f"±{number(spread(base))}", *cells])
    document.table(["operation", "no guard", "spread", *(heads[s] for s in columns)], rows)


def write(document, results):
    section = results.get("counts")
    if not section:
        return
    document.say("## Instructions of single operations", """
Median over rounds of what one operation takes in the guest, user and kernel together, and what is added to it. Each figure
is the median operation of a round, and the median round; the spread is half the distance between the rounds' least and greatest. *Guard
gone* is measured last, in the same guest: what is not 0 there is not the guard's, and how exactly the others can be known.""", """
⏳: the operation waits for the host (it takes a name away, and the name has to be watched first), for as long as that takes; the figure
is its instructions. *refused at*: each ended in EPERM, after so many instructions in all; for what takes several calls, at the first. Under
`deny`, a file cannot be opened to be read or written: *cannot be opened*.""")
    for kernel, states in section["data"].items():
        for where, words in PLACES.items():
            document.say(f"### Linux {kernel}, {words}")
            place_table(document, states, where)
        plot_opens(document, kernel, states)
    document.made_by(section)


def plot_opens(document, kernel, states):
    points = {s: int(s.split("-")[1]) for s in untouched_states(states)}
    rows = []
    for state, n in points.items():
        shares = [100 * added(states[state][where]["open+close"], states["none"][where]["open+close"]) /
                  median(states["none"][where]["open+close"]) for where in PLACES]
        rows.append("\t".join(map(str, [n, *shares])))
    lines = ", ".join(f"$data using 1:{i + 2} with linespoints lw 2 pt 7 lc rgb '{COLOURS[i]}' title '{where}'"
                      for i, where in enumerate(PLACES))
    document.plot(f"opens-{kernel}", f"open+close of a file that nobody watches, Linux {kernel}: added, %",
                  f"set logscale x\nset xlabel 'watched files'\nset yrange [0:*]\nset key outside right\nplot {lines}\n", "\n".join(rows))
