# SPDX-License-Identifier: GPL-2.0-or-later
"""Markdown and plots, for bench/report."""

import statistics
import subprocess

GREY = "#808080"  # readable on white and on black
COLOURS = ["#3b82c4", "#d9822b", "#4a9a5b", "#b8564f", "#8a6fc0", "#8c7a3d", "#c26aa5", "#5a9ea3"]


def number(value):
    return f"{value:,.0f}"


def signed(value):
    return f"{value:+,.0f}"


def percent(part, whole):
    if not whole:
        return ""
    share = 100 * part / whole
    return f"{share:+.2f} %" if abs(share) < 10 else f"{share:+,.0f} %"


def median(cell, which="typical"):
    return statistics.median(cell[which])


def spread(cell, which="typical"):
    """Half the distance between the least and the greatest round."""
    return (max(cell[which]) - min(cell[which])) / 2


class Document:
    def __init__(self, plots):
        self.parts, self.plots = [], plots

    def say(self, *paragraphs):
        self.parts += [text.strip() for text in paragraphs]

    def table(self, head, rows):
        lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
        lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
        self.parts.append("\n".join(lines))

    def made_by(self, section, what=""):
        about = section["about"]
        changed = " with changes" if about["changed"] else ""
        self.parts.append(f"*`{section['command']}`{what}: {about['date'][:10]}, commit {about['commit'][:10]}{changed}, "
                          f"{section['seconds']:.0f} s; the machine's load then: {about['load'][0]:.1f}.*")

    def plot(self, name, title, script, data, size=(900, 420)):
        """A gnuplot script over DATA, which is what it reads."""
        path = self.plots / f"{name}.svg"
        head = f"""set terminal svg size {size[0]},{size[1]} dynamic font 'sans-serif,13'
set output '{path}'
set border 3 lc rgb '{GREY}'
set tics nomirror textcolor rgb '{GREY}'
set key textcolor rgb '{GREY}'
set title '{title}' textcolor rgb '{GREY}'
set xlabel textcolor rgb '{GREY}'
set ylabel textcolor rgb '{GREY}'
set grid lc rgb '{GREY}' dt 3 lw 0.4
set datafile separator tab
$data << END
{data}
END
"""
        subprocess.run(["gnuplot"], input=head + script, text=True, check=True)
        self.parts.append(f"![{title}](benchmarks/{name}.svg)")

    def text(self):
        return "\n\n".join(self.parts) + "\n"
