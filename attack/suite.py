# SPDX-License-Identifier: GPL-2.0-or-later
"""The attack suite: tries in real guests what an attacker would, and judges by what the guest is like afterwards.

usage: attack/run [--tier T]... [--only GLOB]... [--no-control] [--keep-control] [--missing] [--kernel K] [--vm NAME] [--work DIR]
  --tier        container, root, kernel, races; else all
  --only        rows whose TIER/NAME matches; ONLY in the environment is the same, blanks between
  --no-control  leave out the run without a guard, which shows that each attack works where nothing guards
  --keep-control  the same for attacks that had that run before, and whose file is as it was then
  --missing     only rows that failed, have no outcome, or another promise since
  --vm          a VM of the lab that runs (with --docker) and stays, for working on attacks
  --work        where events and logs are kept (BUILD/attack)
Leaves BUILD/attack/results.tsv (BUILD is "build"); rows that were not run this time keep their last outcome.
Exits 0 if every row that there is has an outcome, and none failed.

An attack is a file attack/TIER/NAME, whose comment says:
  what:              the attack, in words
  from:              the container it starts in (attack/guest/lib.sh: options_of), or `guest`: root of the guest
  expect:            what has to become of it, under the default policy
  expect with deny:  the same where `guest-integrity` refuses the guest's own processes, too
  unguarded:         `works` (if left out), `fails, REASON`, `untried, REASON`: what becomes of it without a guard
  limit, target, events: seconds; the box aimed at by `guest`; how many events there have to be
  ruins: the guest   where it is let happen: such attacks come last
  host: reload       meanwhile the host loads the policy again and again
and which has the functions attack, and if needed prepare, aim (true if the attacker has what he wanted: asked of the guest
itself, never of an event) and undo. What can be expected:
  refused by RULE    he has not, and an event of that rule tells so (RULE may have *)
  held               he has not, whoever stood in the way
  reported by RULE   he may have; an event tells
  not promised: WHY  whatever comes of it
  noticed within N ms, noticed within N ms and put back: see attack/kernel_tier.py
"""

import argparse
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("BUILD", "build")
TIERS = ("container", "root", "kernel", "races")
COLUMNS = ("tier", "attack", "policy", "what", "expected", "outcome", "unguarded", "evidence", "ms")
GONE = (255, 125)


def say(text):
    print(f"attack: {text}", file=sys.stderr, flush=True)


class GuestGone(Exception):
    """The VM does not answer any more."""


# --- attacks ---------------------------------------------------------------------------------------------------------------


class Attack:
    """A file with an attack, by its comment."""

    def __init__(self, path):
        self.path, self.tier, self.name = path, path.parent.name, path.name
        self.head = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.match(r"# ([a-z][a-z ]*): *(.*)", line)
            if found and found[1] not in self.head:
                self.head[found[1]] = found[2]
        for needed in ("what", "from", "expect"):
            if needed not in self.head:
                raise SystemExit(f"{path}: its comment has no `{needed}:`")

    @property
    def full_name(self):
        return f"{self.tier}/{self.name}"

    def expectations(self):
        """(policy, what is expected) for each row; in the kernel tier, by whom it is noticed."""
        yield "sentry" if self.tier == "kernel" else "default", self.head["expect"]
        if "expect with trap" in self.head:
            yield "trap", self.head["expect with trap"]
        if "expect with deny" in self.head:
            yield "guest: deny", self.head["expect with deny"]

    @property
    def unguarded(self):
        return self.head.get("unguarded", "works")


def find_attacks(tiers, patterns):
    for tier in tiers:
        for path in sorted((ROOT / "attack" / tier).glob("*")):
            if path.suffix or not path.is_file():
                continue
            attack = Attack(path)
            if not patterns or any(fnmatch.fnmatch(attack.full_name, p) or attack.name == p for p in patterns):
                yield attack


# --- the guest, and its guard ----------------------------------------------------------------------------------------------


class Guest:
    """A VM of the lab."""

    def __init__(self, kernel, name=None, options=("--docker", "--memory", "1536")):
        self.own = name is None
        self.name = name or f"attack-{os.getpid()}"
        self.env = dict(os.environ, OUTGUARD=str(BUILD / "outguard"), OUTGUARD_LAB_QUIET="1")
        self.kernel, self.options = kernel, options
        if self.own:
            out = subprocess.run(["lab/start", self.name, "--kernel", kernel, *options], cwd=ROOT, env=self.env,
                                 stdout=subprocess.PIPE, text=True, check=False)
            if out.returncode:
                raise SystemExit("attack: the VM did not start (above)")
            self.dir = pathlib.Path(out.stdout.strip())
        else:
            lab = pathlib.Path(os.environ.get("OUTGUARD_LAB_DIR", ROOT / "build/lab"))
            self.dir = (lab / "vm" / name).resolve()

    def stop(self):
        if self.own:
            subprocess.run(["lab/stop", self.name], cwd=ROOT, env=self.env, check=False)

    def run(self, *words, stdin=None, timeout=400, check=True):
        """A command's output."""
        try:
            done = subprocess.run(["lab/exec", self.name, "--", *words], cwd=ROOT, env=self.env, text=True,
                                  stdin=stdin or subprocess.DEVNULL, capture_output=True, errors="replace",
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise GuestGone(f"no answer in {timeout} s") from None
        if done.returncode in GONE:
            raise GuestGone(done.stderr.strip()[-300:] or "the connection broke")
        if check and done.returncode:
            raise SystemExit(f"attack: failed in the guest with {done.returncode}: {' '.join(words)}\n{done.stderr}")
        return done.stdout

    def put_files(self):
        """The attacks and what they need, to /root/attack."""
        tar = subprocess.Popen(["tar", "-C", BUILD / "attack/guest", "--owner=0", "--group=0", "-c", "."],
                               stdout=subprocess.PIPE)
        self.run("sh", "-c", "mkdir -p /root/attack && tar -C /root/attack -x", stdin=tar.stdout)
        tar.wait()


class Guard:
    """outguardd with one VM, from `with` to its end; its events, from one mark to the next."""

    def __init__(self, guest, work):
        self.guest, self.work = guest, work
        self.socket, self.events = work / "outguard.sock", work / "events.jsonl"
        self.env = dict(os.environ, OUTGUARD_SOCKET=str(self.socket))
        self.at = 0
        for name in (self.socket, self.events):
            name.unlink(missing_ok=True)

    def __enter__(self):
        with open(self.work / "outguardd.log", "ab") as log:
            self.process = subprocess.Popen([BUILD / "outguardd", "--socket", self.socket, "--events", self.events],
                                            stdout=log, stderr=log, cwd=ROOT, env=self.env)
        until = time.monotonic() + 20
        while self.ask("status", check=False).returncode:
            if time.monotonic() > until:
                raise SystemExit("attack: outguardd does not answer")
            time.sleep(0.05)
        self.ask("attach", self.guest.name, "--qmp", self.guest.dir / "qmp.sock", "--policy", self.policy("default"))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "nothing in 60 s"
        if status != 0:
            say(f"outguardd ended with {status}; its log is {self.work}/outguardd.log")

    def ask(self, *words, check=True):
        done = subprocess.run([BUILD / "outguard", *words], env=self.env, cwd=ROOT, capture_output=True, text=True,
                              check=False)
        if check and done.returncode:
            raise SystemExit(f"attack: outguard {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done

    def status(self):
        done = self.ask("status", "--json", check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 else {}

    def policy(self, which):
        """The path of one of the policies."""
        text = (ROOT / "attack/policy.yaml").read_text(encoding="utf-8")
        if which == "guest: deny":
            text += "guest-integrity:\n  guest: deny\n  containers: deny\n"
        path = self.work / f"{which.replace(': ', '-')}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, which):
        """Puts a policy into force; what stands against it, or None."""
        done = self.ask("policy", "load", self.policy(which), check=False)
        return done.stderr.strip().splitlines()[0] if done.returncode else None

    def new_lines(self):
        """Events and notices since the last call, one by one: races make millions."""
        with open(self.events, "rb") as file:
            file.seek(self.at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.at += len(line)
                yield json.loads(line)

    def until_mark(self, mark, limit=60):
        """Events up to this mark's, or None if it does not come."""
        found, until = [], time.monotonic() + limit
        while time.monotonic() < until:
            for event in self.new_lines():
                if event.get("rule") == "mark":
                    if event["file"].get("path") == f"/marks/{mark}":
                        return found
                else:
                    found.append({k: v for k, v in event.items() if k in ("rule", "result", "operation", "notice")}
                                 if "rule" in event else event)
            time.sleep(0.02)
        return None


# --- one attack ------------------------------------------------------------------------------------------------------------


def of_rule(events, rule, result=None):
    return [e for e in events if fnmatch.fnmatch(e.get("rule", ""), rule) and result in (None, e.get("result"))]


def told(events):
    """What there is in events, in a few words."""
    kinds = {}
    for e in events:
        kind = (f"{e.get('result')} {e.get('operation')} by {e.get('rule')}" if "rule" in e else f"notice {e.get('notice')}")
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in kinds.items()) or "no event"


def parse_answers(text):
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[a-z_]+=", line))


def verdict(attack, expected, answers, events):
    """'as promised', 'not promised: ...', or 'FAILED: ...'."""
    reached = answers.get("aim") == "reached"
    if "aim" not in answers:
        return "FAILED: the attack had no outcome"
    kind, _, rule = expected.partition(" by ")
    if expected.startswith("not promised"):
        return f"not promised: it {'worked' if reached else 'failed'}"
    if kind == "refused":
        if reached:
            return f"FAILED: it worked ({answers.get('found', '')[:160]})"
        if len(of_rule(events, rule, "denied")) < int(attack.head.get("events", 1)):
            return f"FAILED: not told as refused by {rule}"
        return "as promised"
    if kind == "held":
        return f"FAILED: it worked ({answers.get('found', '')[:160]})" if reached else "as promised"
    if kind == "reported":
        enough = len(of_rule(events, rule)) >= int(attack.head.get("events", 1))
        return "as promised" if enough else f"FAILED: not reported by {rule}"
    return f"FAILED: attack/suite.py does not know what `{expected}` is"


class Control:
    """BUILD/attack/control.tsv: what became of each attack without a guard. It is kept as long as the attack's file stays."""

    def __init__(self, path):
        self.path, self.rows = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                name, digest, as_said, words = line.split("\t")
                self.rows[name] = (digest, as_said, words)

    @staticmethod
    def digest(attack):
        return hashlib.sha256(attack.path.read_bytes()).hexdigest()[:16]

    def of(self, attack):
        """(words, was it as the attack's comment says?), or None."""
        digest, as_said, words = self.rows.get(attack.full_name, (None, None, None))
        return (words, as_said == "yes") if digest == self.digest(attack) else None

    def add(self, attack, words, as_said):
        words = re.sub(r"[^ -~]+", " ", words)
        self.rows[attack.full_name] = (self.digest(attack), "yes" if as_said else "no", words)
        self.path.write_text("".join(f"{n}\t" + "\t".join(r) + "\n" for n, r in sorted(self.rows.items())), encoding="utf-8")


class Suite:
    """The rows of the container and root tiers, in one guest after the other."""

    def __init__(self, arguments, attacks, results):
        self.arguments, self.attacks, self.results = arguments, attacks, results
        self.work = arguments.work
        self.guest, self.n = None, 0
        self.control = Control(arguments.work / "control.tsv")

    def start_guest(self):
        if self.guest:
            self.guest.stop()
        started = time.monotonic()
        self.guest = Guest(self.arguments.kernel, self.arguments.vm)
        self.guest.put_files()
        boxes = ["marks", *sorted({a.head["from"] for a in self.attacks} - {"guest"} |
                                  {a.head.get("target", "plain") for a in self.attacks} - {"marks"})]
        self.guest.run("bash", "/root/attack/stage", *(["--missing"] if self.arguments.vm else []), *boxes, timeout=900)
        say(f"a guest with {len(boxes)} containers after {time.monotonic() - started:.0f} s")

    def wanted(self, attack, policy):
        return not self.arguments.missing or self.results.lacks(attack, policy)

    def run_one(self, attack, guarded):
        self.n += 1
        mark = f"{os.getpid()}-{self.n}"
        limit = int(attack.head.get("limit", 60)) + 240
        text = self.guest.run("bash", "/root/attack/one", f"/root/attack/{attack.full_name}", mark,
                              "yes" if guarded else "no", timeout=limit, check=False)
        return mark, parse_answers(text)

    def run_control(self):
        for attack in self.attacks:
            if attack.unguarded.startswith("untried"):
                self.control.add(attack, attack.unguarded, True)
                continue
            if self.arguments.keep_control and self.control.of(attack):
                continue
            try:
                _, answers = self.run_one(attack, False)
            except GuestGone as gone:
                self.control.add(attack, f"the guest was gone: {gone}", False)
                self.start_guest()
                continue
            works = answers.get("aim") == "reached"
            wanted = attack.unguarded.startswith("works")
            words = "works" if works else f"fails ({answers.get('said', '')[:100]})"
            self.control.add(attack, words if works == wanted else f"{words}, but should be: {attack.unguarded}", works == wanted)
            say(f"{attack.full_name}, unguarded: {self.control.of(attack)[0]}")

    def run_rows(self, policy):
        """Under one policy. Attacks whose guest is gone are told so, and are not tried again."""
        left = sorted(((a, e) for a in self.attacks for p, e in a.expectations() if p == policy and self.wanted(a, p)),
                      key=lambda row: "ruins" in row[0].head and policy == "default")
        while left:
            with Guard(self.guest, self.work) as guard:
                why = guard.load(policy)
                guard.until_mark("none", 0)
                try:
                    while left:
                        self.run_row(guard, policy, *left.pop(0), why)
                except GuestGone:
                    pass
            if left:
                self.start_guest()

    def run_beside(self, guard, policy, attack):
        """The attack; where its comment says `host: reload`, while the policy is loaded again and again."""
        if attack.head.get("host") != "reload":
            return self.run_one(attack, True)
        stop, loads = threading.Event(), []

        def reload():
            while not stop.is_set():
                why = guard.load(policy)
                if why:
                    say(f"a load was refused: {why}")
                loads.append(why)

        beside = threading.Thread(target=reload)
        beside.start()
        try:
            mark, answers = self.run_one(attack, True)
        finally:
            stop.set()
            beside.join()
        answers["said"] = f"{answers.get('said')}, {len(loads)} loads"
        return mark, answers

    def run_row(self, guard, policy, attack, expected, why):
        events, answers = [], {}
        if why:
            outcome = f"FAILED: this policy was refused: {why}"
        else:
            try:
                mark, answers = self.run_beside(guard, policy, attack)
                events = guard.until_mark(mark)
                outcome = "FAILED: the guard told nothing of the end mark" if events is None else \
                    verdict(attack, expected, answers, events)
            except GuestGone as gone:
                events = list(guard.new_lines())
                outcome = f"FAILED: the guest was gone: {gone}"
                if "ruins" in attack.head: # it was told before it took effect, and then nothing worked any more
                    outcome = verdict(attack, expected, {"aim": "missed"}, events)
                self.add(attack, policy, expected, outcome, {"said": "the guest came to a stand"}, events)
                raise
        self.add(attack, policy, expected, outcome, answers, events or [])

    def add(self, attack, policy, expected, outcome, answers, events):
        unguarded, as_said = self.control.of(attack) or ("untried", True)
        if not as_said and not outcome.startswith("FAILED"):
            outcome = f"FAILED: without a guard it {unguarded}"
        evidence = "; ".join(x for x in (answers.get("said"), told(events), f"unprepared: {answers['unprepared']}"
                                         if "unprepared" in answers else "") if x)
        self.results.add(attack, policy, expected, outcome, unguarded, evidence, "-")

    def run(self):
        self.start_guest()
        try:
            if not self.arguments.no_control:
                self.run_control()
            if any(a.head.get("host") == "reload" for a in self.attacks):
                with Guard(self.guest, self.work): # a guard that is found in place is the harder case
                    pass
            for policy in ("guest: deny", "default"): # what is let happen may ruin the guest
                self.run_rows(policy)
        finally:
            self.guest.stop()


# --- results ---------------------------------------------------------------------------------------------------------------


class Results:
    """BUILD/attack/results.tsv, row by row."""

    def __init__(self, path):
        self.path, self.rows = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines()[1:]:
                row = line.split("\t")
                self.rows[tuple(row[:3])] = row

    def add(self, attack, policy, expected, outcome, unguarded, evidence, ms):
        row = [attack.tier, attack.name, policy, attack.head["what"], expected, outcome, unguarded, evidence, str(ms)]
        row = [re.sub(r"[^ -~]+", " ", cell)[:400] for cell in row]
        self.rows[tuple(row[:3])] = row
        mark = "!!" if outcome.startswith("FAILED") else "ok"
        say(f"{mark} {attack.full_name} ({policy}): {outcome} [{row[7][:160]}]")
        self.write()

    def lacks(self, attack, policy):
        """Has it no outcome, failed, or was something else expected then?"""
        row = self.rows.get((attack.tier, attack.name, policy))
        return row is None or row[5].startswith("FAILED") or row[4] != dict(attack.expectations())[policy][:400]

    def write(self):
        order = {tier: i for i, tier in enumerate(TIERS)}
        rows = sorted(self.rows.values(), key=lambda r: (order.get(r[0], 9), r[1], r[2]))
        self.path.write_text("\n".join("\t".join(r) for r in [COLUMNS, *rows]) + "\n", encoding="utf-8")

    def keep_only(self, wanted):
        self.rows = {key: row for key, row in self.rows.items() if key in wanted}
        self.write()


def build_guest_files(attacks):
    """BUILD/attack/guest: what goes into the guest."""
    to = BUILD / "attack/guest"
    shutil.rmtree(to, ignore_errors=True)
    (to / "bin").mkdir(parents=True)
    for name in ("tool", "trusted"):
        shutil.copy(BUILD / "tests/attack-tool", to / "bin" / name)
    for name in ("lib.sh", "one", "stage"):
        shutil.copy(ROOT / "attack/guest" / name, to / name)
    (to / "rounds").write_text(os.environ.get("ROUNDS", "2000") + "\n", encoding="utf-8")
    for attack in attacks:
        (to / attack.tier).mkdir(exist_ok=True)
        shutil.copy(attack.path, to / attack.tier / attack.name)


def summary(results, everything):
    rows = [results.rows.get(key) for key in everything]
    failed = [r for r in rows if r and r[5].startswith("FAILED")]
    missing = [key for key, r in zip(everything, rows) if r is None]
    not_promised = [r for r in rows if r and r[5].startswith("not promised")]
    for row in failed:
        print(f"FAILED {row[0]}/{row[1]} ({row[2]}): {row[5]} [{row[7]}]")
    for key in missing:
        print(f"NO OUTCOME {key[0]}/{key[1]} ({key[2]})")
    print(f"{len(rows)} rows of {len({k[:2] for k in everything})} attacks: {len(rows) - len(failed) - len(missing) - len(not_promised)} "
          f"as promised, {len(not_promised)} not promised, {len(failed)} failed, {len(missing)} without an outcome")
    return not failed and not missing


def main():
    parser = argparse.ArgumentParser(usage=__doc__.partition("usage: ")[2])
    parser.add_argument("--tier", action="append", choices=TIERS)
    parser.add_argument("--only", action="append", default=os.environ.get("ONLY", "").split())
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--keep-control", action="store_true")
    parser.add_argument("--kernel", default=os.environ.get("KERNEL", "6.1-cloud"))
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--vm")
    parser.add_argument("--work", type=pathlib.Path, default=BUILD / "attack")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = Results(arguments.work / "results.tsv")
    tiers = arguments.tier or TIERS
    attacks = list(find_attacks(tiers, arguments.only))
    if not attacks:
        raise SystemExit(f"attack: no attack matches {' '.join(arguments.only)}")
    everything = [(a.tier, a.name, p) for a in find_attacks(TIERS, []) for p, _ in a.expectations()]
    results.keep_only(everything)
    build_guest_files(attacks)
    if arguments.missing:
        attacks = [a for a in attacks if any(results.lacks(a, p) for p, _ in a.expectations())]
    first = [a for a in attacks if a.tier != "kernel"]
    if first:
        Suite(arguments, first, results).run()
    if [a for a in attacks if a.tier == "kernel"]:
        import kernel_tier
        kernel_tier.run(arguments, [a for a in attacks if a.tier == "kernel"], results)
    wanted = [(a.tier, a.name, p) for a in attacks for p, _ in a.expectations()] if arguments.only or arguments.tier else everything
    sys.exit(0 if summary(results, wanted) else 1)

