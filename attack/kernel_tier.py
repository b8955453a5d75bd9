# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel tier: a module does one thing (attack/module), while a process tries without pause to open a guarded file.

Of an attack's comment: `how` is the module's word for it, `kernel` another of the lab's kernels, `expect with trap` what is
expected where liboutguard-trap.so is in QEMU, `ruins: the guest` that it is not to be used afterwards.

The moment of the attack is taken by the host: the module writes a byte to a port at which a device of QEMU's hands it to a
socket. The moment of notice is that of the notice. That it was put back is asked of the module, which watches what it changed,
and of the process, which is refused again.
"""

import datetime
import re
import socket
import subprocess
import threading
import time

import suite

SCRIPT = r'''
. /root/attack/lib.sh
use plain
echo 1 >/proc/sys/kernel/printk
tool hammer "$upper/guarded/upper" 4000 >/run/attack/hammer 2>&1 &
sleep 0.3
if insmod /root/attack/attack.ko how=$1 path=$upper/guarded/upper block=$block 2>/run/attack/said; then echo insmod=0; else echo insmod=1; fi
echo "said=$(tail -n 1 /run/attack/said)"
cd /sys/module/attack/parameters 2>/dev/null && echo "back=$(cat back_ns)" && echo "worked=$(cat worked)"
cd /; rmmod attack
wait
tr ' ' '\n' </run/attack/hammer
sync
if found=$(changed); then echo aim=reached; echo "found=$found"; else echo aim=missed; fi
'''
AFTER = r'''
. /root/attack/lib.sh
use plain
changed >/dev/null && make_box plain >&2
use plain
if echo x >>"$upper/guarded/upper"; then echo refused=no; else echo refused=yes; fi
'''


class Marks:
    """The host's times of the bytes that the module writes."""

    def __init__(self, path):
        path.unlink(missing_ok=True)
        self.times, self.path = [], path
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(1)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True: # a boot may be tried again
            connection, _ = self.server.accept()
            while connection.recv(1):
                self.times.append(time.time())


def time_of(event):
    return datetime.datetime.strptime(event["@timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=datetime.timezone.utc).timestamp()


def is_alarm(event, of_mailbox):
    """Abuse of the mailbox is told for a while: it may be an earlier row's."""
    others = ("container-unguarded", "open-descriptor", "records-lost", "cache-full", *([] if of_mailbox else ["mailbox-abused"]))
    return "notice" in event and event["notice"] not in others


class KernelGuest:
    """A guest with one box, guarded."""

    def __init__(self, arguments, kernel, trap):
        self.work, self.said_before = arguments.work, 0
        self.marks = Marks(self.work / "marks.sock")
        options = ["--docker", "--memory", "1024", *(["--trap"] if trap else []), "--extra",
                   f"-chardev socket,id=mark,path={self.marks.path} -device isa-debugcon,iobase=0xe9,chardev=mark"]
        self.guest = suite.Guest(kernel, None, options)
        self.guest.put_files()
        module = subprocess.run(["lab/module", "attack/module", "--kernel", kernel], cwd=suite.ROOT, stdout=subprocess.PIPE,
                                text=True, check=True, env=self.guest.env).stdout.strip()
        with open(module, "rb") as file:
            self.guest.run("sh", "-c", "cat >/root/attack/attack.ko", stdin=file)
        self.guest.run("bash", "/root/attack/stage", "plain", timeout=600)
        self.guard = suite.Guard(self.guest, self.work)
        self.guard.__enter__()

    def stop(self):
        self.guard.__exit__()
        self.guest.stop()

    def whole(self, limit=30):
        """Is the guard as it was put?"""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.guard.status().get("guard", {}).get("intact"):
                return True
            time.sleep(0.2)
        return False

    def serial(self):
        """What the console has said since the attack began."""
        try:
            return (self.guest.dir / "serial.log").read_text(errors="replace")[self.said_before:]
        except OSError:
            return ""

    def attack(self, attack):
        """(answers, events, milliseconds to the first alarm or None)."""
        of_mailbox = attack.name.endswith("mailbox")
        for _ in self.guard.new_lines():
            pass
        n = len(self.marks.times)
        self.said_before += len(self.serial())
        try:
            text = self.guest.run("bash", "-c", SCRIPT, "attack", attack.head["how"], timeout=120, check=False)
            answers = suite.parse_answers(text)
        except suite.GuestGone as gone:
            answers = {"gone": str(gone) or "no answer"}
        events, until = [], time.monotonic() + 6
        while True:
            events += self.guard.new_lines()
            if any(is_alarm(e, of_mailbox) for e in events) or time.monotonic() > until:
                break
            time.sleep(0.1)
        alarms = [time_of(e) for e in events if is_alarm(e, of_mailbox)]
        when = self.marks.times[n] if len(self.marks.times) > n else None
        ms = (min(alarms) - when) * 1000 if alarms and when else None
        return answers, events, ms

    def after(self):
        """What became of the guest: None if it can be used on."""
        try:
            whole = self.whole()
            answers = suite.parse_answers(self.guest.run("bash", "-c", AFTER, timeout=200, check=False))
        except suite.GuestGone as gone:
            return f"the guest is gone: {gone}"
        if answers.get("refused") != "yes":
            return "a write is not refused any more"
        return None if whole else "the guard is not whole again after 30 s"


def verdict(expected, answers, events, ms, left, serial):
    if "gone" in answers:
        slipped = "hammer: it worked" in serial
        if expected == "held":
            return "FAILED: something slipped" if slipped else "as promised"
        return f"FAILED: the guest is gone: {answers['gone']}"
    if answers.get("insmod") != "0":
        return f"FAILED: the module could not do it: {answers.get('said', '')}"
    if expected.startswith("not promised"):
        noticed = f", and was noticed after {ms:.0f} ms" if ms is not None else ", and was not noticed"
        worked = answers.get("aim") == "reached" or answers.get("open") == "yes" or answers.get("worked") == "1"
        return f"not promised: it {'worked' if worked else 'failed'}{noticed}"
    if left:
        return f"FAILED: {left}"
    if expected == "held":
        broke = answers.get("aim") == "reached" or answers.get("worked_tries", "0") != "0"
        return "FAILED: it worked" if broke else "as promised"
    if expected.startswith("refused by "):
        if answers.get("aim") == "reached":
            return f"FAILED: it worked ({answers.get('found', '')})"
        return "as promised" if suite.of_rule(events, expected[11:], "denied") else "FAILED: not told"
    found = re.match(r"noticed within (\d+) ms( and put back)?", expected)
    if not found:
        return f"FAILED: attack/kernel_tier.py does not know what `{expected}` is"
    if ms is None:
        return "FAILED: not noticed"
    if ms > int(found[1]):
        return f"FAILED: noticed after {ms:.0f} ms"
    if found[2] and answers.get("back", "0") == "0":
        return "FAILED: not put back"
    return "as promised"


def run_row(guest, attack, policy, expected, results):
    answers, events, ms = guest.attack(attack)
    serial = guest.serial()
    left = None if "gone" in answers else guest.after()
    text = (f"in force for {int(answers['back']) / 1e6:.1f} ms; " if answers.get("back", "0") != "0" else "")
    if "tried" in answers:
        text += f"of {answers['tried']} opens {answers['opened']} slipped, within {answers['slip_ms']} ms; "
        answers["open"] = "yes" if answers["opened"] != "0" else "no"
        answers["worked_tries"] = answers["opened"]
    notices = [f"{e['notice']}: {e.get('message', '')}" for e in events if "notice" in e]
    text += (notices[0][:160] if notices else "no notice") + f"; {suite.told([e for e in events if 'rule' in e])}"
    if "gone" in answers:
        text = f"the guest is gone ({answers['gone'][:80]}); " + text
    results.add(attack, policy, expected, verdict(expected, answers, events, ms, left, serial), "untried", text,
                "-" if ms is None else f"{ms:.1f}")
    return "gone" in answers or left is not None or "ruins" in attack.head


def run_all(arguments, kernel, trap, rows, results):
    guest = None
    for attack, policy, expected in sorted(rows, key=lambda row: "ruins" in row[0].head):
        if guest is None:
            guest = KernelGuest(arguments, kernel, trap)
        ruined = True
        try:
            ruined = run_row(guest, attack, policy, expected, results)
        finally:
            if ruined:
                guest.stop()
                guest = None
    if guest:
        guest.stop()


def run(arguments, attacks, results):
    for kernel in sorted({a.head.get("kernel", arguments.kernel) for a in attacks}):
        for policy in ("sentry", "trap"):
            rows = [(a, p, e) for a in attacks if a.head.get("kernel", arguments.kernel) == kernel
                    for p, e in a.expectations() if p == policy and (not arguments.missing or results.lacks(a, p))]
            if rows:
                run_all(arguments, kernel, policy == "trap", rows, results)
