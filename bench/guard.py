# SPDX-License-Identifier: GPL-2.0-or-later
"""outguard around a guest, while something is measured."""

import os
import pathlib
import re
import signal
import subprocess
import time

from vm import OUTGUARD, Failed

READY_LIMIT = 600
TICKS = os.sysconf("SC_CLK_TCK")


def policy(*rules):
    """rules: (name, action, operations, paths)"""
    lines = ["version: 1", "rules:"]
    for name, action, operations, paths in rules:
        listed = ",\n".join(",".join(paths[i:i + 64]) for i in range(0, len(paths), 64))
        lines += [f"- name: {name}", f"  action: {action}", f"  operations: [{operations}]", "  paths: [" + listed + "]"]
    return "\n".join(lines) + "\n"


class Guard:
    """`outguard run` until it is stopped."""

    def __init__(self, vm, text, *options):
        self.directory = pathlib.Path(vm.directory) / "guard"
        self.directory.mkdir(exist_ok=True)
        self.events, self.log = self.directory / "events.jsonl", self.directory / "log"
        ready = self.directory / "ready"
        for path in (self.events, ready):
            path.unlink(missing_ok=True)
        (self.directory / "policy.yaml").write_text(text)
        started = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [OUTGUARD, "run", "-v", "--name", vm.name, "--qmp", vm.qmp, "--policy", self.directory / "policy.yaml",
                 "--events", self.events, "--ready-file", ready, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() - started > READY_LIMIT:
                self.process.kill()
                raise Failed("outguard run: " + self.log.read_text()[-3000:])
            time.sleep(0.02)
        self.ready_s = time.monotonic() - started

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=120):
            raise Failed("outguard run: " + self.log.read_text()[-3000:])

    def cpu_s(self):
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / TICKS

    def memory_kib(self, what="VmRSS"):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{what}:\s+(\d+)", text, re.M).group(1))

    def n_events(self):
        try:
            with open(self.events, "rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        except FileNotFoundError:
            return 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
        else:
            self.stop()
