# SPDX-License-Identifier: GPL-2.0-or-later
"""Exits of the VM under KVM, as `make check-kvm` counted them (tests/kvm/exits.test): their part of the report."""


def read(directory):
    rows = []
    for path in sorted(directory.glob("exits*.tsv")):
        head, *lines = path.read_text().splitlines()
        rows += [dict(zip(head.split("\t"), line.split("\t"))) for line in lines]
    return rows


def pairs(rows):
    """(kernel, kvm, operation, file, n, own exits of each without, with)"""
    without = {}
    for row in rows:
        key = (row["kernel"], row["kvm"], row["operation"], row["file"])
        if row["guard"] == "without":
            without[key] = row
        elif key in without:
            yield *key, int(row["n"]), each(without[key]), each(row), int(row["events"])


def each(row):
    # A round is a thousand operations: tests/kvm/exits.test
    return float(row["own_of_a_round"]) / 1000


def write(document, rows):
    if not rows:
        return
    document.say("## Exits under KVM", """
How often the VM left the processor for the hypervisor, for each operation, in a container, less what the clock makes by itself: counted by KVM.
*nested*: KVM in a guest that QEMU emulates, with nested paging; it is the same code that counts.""")
    document.table(["operation", "kernel", "KVM", "operations", "without the guard", "with it", "added", "events"],
                   [[f"{operation} {file}", kernel, kvm, f"{n:,}", f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}", f"{events:,}"]
                    for kernel, kvm, operation, file, n, a, b, events in pairs(rows)])
    document.say("*`make check-kvm ONLY=exits`*")
