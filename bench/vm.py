# SPDX-License-Identifier: GPL-2.0-or-later
"""A benchmark's guest: a stock kernel and the lab's disk under QEMU, with bench/guest/agent.c as its first process.

With counted=True it runs under `-icount shift=0`: one CPU, each instruction takes one nanosecond of the guest's time, and nothing
else does. The guest's time stamp counter then counts instructions, whatever this machine does meanwhile.
"""

import base64
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
LAB = pathlib.Path(os.environ.get("OUTGUARD_LAB_DIR", ROOT / "build/lab"))
OUTGUARD = pathlib.Path(os.environ.get("OUTGUARD", BUILD / "outguard"))
ICOUNT = "shift=0,sleep=on,align=off"
BOOT_LIMIT = 300
COMMAND_LIMIT = 1800


class Failed(Exception):
    """Something did not work; the message says what."""


def make_initrd(kernel, directory):
    """The lab's own initial file system for this kernel, if it has one, and over it ours."""
    tree = directory / "tree"
    for name in ("dev", "proc", "sys", "root", "bench"):
        (tree / name).mkdir(parents=True)
    shutil.copy(BUILD / "bench/guest/agent", tree / "init")
    for program in (BUILD / "bench/guest").iterdir():
        if program.name != "agent":
            shutil.copy(program, tree / "bench")
    os.mknod(tree / "dev/console", 0o600 | 0o020000, os.makedev(5, 1))
    names = "\n".join(str(p.relative_to(tree)) for p in [tree, *sorted(tree.rglob("*"))])
    ours = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(),
                          stdout=subprocess.PIPE, check=True).stdout
    theirs = LAB / kernel / "initrd"
    initrd = directory / "initrd"
    first = theirs.read_bytes() if theirs.exists() else b""
    # The kernel looks for the next archive at a multiple of 4.
    initrd.write_bytes(first + bytes(-len(first) % 4) + ours)
    shutil.rmtree(tree)
    return initrd


def need_images(kernel):
    """The lab's disk and this kernel; built if they are missing (lab/build brings them up to date)."""
    if not (LAB / "6.1-cloud/base.raw").exists():
        subprocess.run([ROOT / "lab/build"], check=True)
    if not (LAB / kernel / "vmlinuz").exists():
        subprocess.run([ROOT / "lab/add-kernel", "--kernel", kernel], check=True)


class VM:
    def __init__(self, name, kernel="6.1-cloud", counted=True, memory=1024, cpus=1, vault=None, tools=None):
        self.name, self.kernel, self.counted = name, kernel, counted
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"outguard-bench-{name}-", dir="/dev/shm"))
        self.qmp = self.directory / "qmp.sock"
        self.line, self.qemu, self.rest = None, None, b""
        try:
            self.start(memory, cpus, vault, tools)
        except BaseException:
            self.stop()
            raise

    def arguments(self, memory, cpus, vault, tools):
        words = [OUTGUARD, "qemu-args", "--name", self.name, "--memory", str(memory), "--dir", self.directory]
        words += ["--vault", str(vault)] if vault else []
        devices = shlex.split(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        image, disk = LAB / self.kernel, LAB / "6.1-cloud/base.raw"
        accel = ["-accel", "tcg,thread=single", "-icount", ICOUNT] if self.counted else ["-accel", "tcg,thread=multi"]
        disks = ["-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={disk},snapshot=on",
                 "-device", "nvme,serial=root,drive=disk"]
        for serial, file in (("modules", image / "modules.raw"), ("tools", tools)):
            if file and pathlib.Path(file).exists():
                disks += ["-drive", f"if=none,id={serial},format=raw,readonly=on,file={file}",
                          "-device", f"nvme,serial={serial},drive={serial}"]
        return ["qemu-system-x86_64", *accel, "-cpu", "max,cx16=off", "-smp", str(cpus), "-nodefaults",
                "-display", "none", "-no-user-config", "-no-reboot", *devices,
                "-kernel", str(image / "vmlinuz"), "-initrd", str(make_initrd(self.kernel, self.directory)),
                "-append", "console=ttyS0 quiet loglevel=5 panic=-1 tsc=reliable", *disks,
                "-serial", f"file:{self.directory}/serial.log",
                "-serial", f"unix:{self.directory}/line,server=on,wait=on"]

    def start(self, memory, cpus, vault, tools):
        need_images(self.kernel)
        arguments = self.arguments(memory, cpus, vault, tools)
        scratch = LAB / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        self.command = shlex.join(arguments)
        with open(self.directory / "qemu.log", "wb") as log:
            self.qemu = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env={**os.environ, "TMPDIR": str(scratch)}, start_new_session=True)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(1)
        until = time.monotonic() + 20
        while True:
            try:
                self.line.connect(str(self.directory / "line"))
                break
            except OSError as error:
                if time.monotonic() > until or self.qemu.poll() is not None:
                    raise Failed("QEMU did not start: " + (self.directory / "qemu.log").read_text()) from error
                time.sleep(0.05)
        self.answer(BOOT_LIMIT)

    def answer(self, limit):
        until = time.monotonic() + limit
        while True:
            head, found, tail = self.rest.partition(b"\x04")
            if found and b"\n" in tail:
                status, _, self.rest = tail.partition(b"\n")
                return int(status), head.decode(errors="replace")
            if time.monotonic() > until or self.qemu.poll() is not None:
                raise Failed(f"the guest {self.name} does not answer; its console: {self.console()}"
                             f"\nso far: {self.rest[-2000:]!r}")
            try:
                more = self.line.recv(65536)
            except socket.timeout:
                continue
            self.rest += more

    def console(self):
        try:
            return (self.directory / "serial.log").read_text(errors="replace")[-3000:]
        except OSError:
            return ""

    def tell(self, command):
        """Starts a command; its answer comes by hear()."""
        self.line.settimeout(60)
        self.line.sendall(command.replace("\n", "; ").encode() + b"\n")
        self.line.settimeout(1)

    def hear(self, limit=COMMAND_LIMIT):
        return self.answer(limit)

    def run(self, command, limit=COMMAND_LIMIT):
        """What a shell command in the guest prints."""
        self.tell(command)
        status, output = self.hear(limit)
        if status:
            raise Failed(f"in the guest: {command}\nstatus {status}: {output}")
        return output

    def put(self, path, text):
        """A small file."""
        data = base64.b64encode(text.encode()).decode()
        self.run(f": >{path}")
        for at in range(0, len(data), 32000):
            self.run(f"printf %s {data[at:at + 32000]} | base64 -d >>{path}")

    def stop(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
        if self.line:
            self.line.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def make_tools(*packages):
    """A disk of Debian packages for the guest (lab/tools)."""
    return subprocess.run([ROOT / "lab/tools", *packages], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
