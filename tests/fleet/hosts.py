"""The hosts: their lines, as psilogd writes them, and what has become of them."""
import collections
import hashlib
import itertools
import os
import re
import subprocess
import threading
import time
from pathlib import Path

from programs import TOP

# What goes wrong on each host of the rack. Each rule is drilled by psilogd itself.
RULES = [
    "memory full 40%/2s level=crit name=memory-critical",
    "io full 40%/2s level=crit name=io-critical",
    "cpu some 95%/2s level=crit name=cpu-critical",
    "memory full 20%/2s level=crit name=unit cgroup=/system.slice/postgresql.service",
    "io full 20%/2s level=crit name=unit-io cgroup=/system.slice/postgresql.service",
    "memory full 20%/2s level=alert name=pod cgroup=/kubepods.slice/burstable/pod-7f3a.slice",
    "io full 30%/2s level=emerg name=pod-io cgroup=/kubepods.slice/burstable/pod-7f3a.slice",
    "memory some 50%/2s level=crit name=batch cgroup=/batch.slice",
]
HEARTBEAT = 10  # seconds


def record(scratch, changed, say):
    """The begins and ends that psilogd writes for those rules, and its sign of life."""
    binary = os.environ.get("PSILOGD", TOP / "target" / f"{os.uname().machine}-unknown-linux-musl/release/psilogd")
    if changed:
        # one key has another name, as long: the same program otherwise
        text = Path(binary).read_bytes().replace(b"event", b"evemt")
        binary = scratch.path / "psilogd"
        binary.write_bytes(text)
        binary.chmod(0o755)
    shapes = []
    for rule in RULES:
        command = [binary, "--drill", "-f", "/dev/null", "-o", "stdout", rule]
        drill = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        shapes.append([line.split("]: ", 1)[1].removesuffix(" drill=1") for line in drill.stdout.splitlines()])
    alive = sign_of_life(scratch, binary)
    say("the sign of life is the binary's own" if alive else "this psilogd writes no sign of life: its line is made up")
    alive = alive or "psilogd alive: event=alive level=info triggers=6 failed=0 crossings=0 episodes=0 suppressed=0 dropped=0"
    return shapes, alive.replace("event", "evemt") if changed else alive


def sign_of_life(scratch, binary):
    """From a daemon with heartbeat in its configuration, or None if it knows none."""
    conf = scratch.path / "heartbeat.conf"
    conf.write_text("heartbeat 10s\n")
    command = [binary, "-f", conf, "-o", "stdout"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        timer = threading.Timer(30, daemon.kill)
        timer.start()
        try:
            for line in daemon.stdout:
                if "=alive " in line:
                    return line.rstrip("\n").split("]: ", 1)[1]
            return None
        finally:
            timer.cancel()
            daemon.kill()


class Fleet:
    """All hosts. A local rsyslogd has a hundred of them, ten of each rack."""

    def __init__(self, locals_, shapes, alive):
        self.locals = locals_
        self.shapes = shapes
        self.alive_shape = alive
        self.of = {f"r{rack:02}-n{number:03}": locals_[number % len(locals_)]
                   for rack in range(10) for number in range(10 * len(locals_))}
        self.hosts = sorted(self.of)
        self.silent = set()
        self.sent = collections.defaultdict(list)  # host: [(when, text)]
        self.exposed = []  # (local, how, from, to)
        self.lock = threading.Lock()
        self.begun = 0
        self.first_end = None  # when it was sent
        self.episodes = []  # (host, begin, end)
        self.sequence = itertools.count(1)

    def send(self, host, text):
        # the pid of a host's psilogd is that of its number
        self.of[host].send(f"<26>Nov 28 00:00:00 {host} psilogd[{1000 + int(host[5:])}]: {text}")
        with self.lock:
            self.sent[host].append((time.time(), text))

    def count(self):
        with self.lock:
            return sum(len(lines) for lines in self.sent.values())

    def alive(self, local, host=None):
        """A sign of life; its counter makes it another line each time."""
        number = next(self.sequence)
        mine = [host for host in self.hosts if self.of[host] is local] if host is None else [host]
        return mine[number % len(mine)], re.sub(r"crossings=\d+", f"crossings={number}", self.alive_shape)

    def begins(self, rack):
        """Each host's episodes. Three hosts are worse off than the others."""
        hosts = [host for host in self.hosts if host.startswith(rack)]
        repeat = 8 if len(hosts) == 100 else 800 // len(hosts)
        worst = {hosts[7]: 99.91, hosts[2]: 98.52, hosts[11]: 97.13}
        for host, number in itertools.product(hosts, range(repeat)):
            begin, end = self.shapes[number % len(self.shapes)]
            pct = worst.get(host) if number == 5 else None
            values = {"id": f"6b0a8160.{number + 1:x}", "mean_pct": f"{pct or 40 + 50 * hash_of(host, number):.2f}"}
            self.episodes.append((host, changed(begin, values), changed(end, values)))
        self.begun = len(self.episodes)
        # not host by host
        self.episodes.sort(key=lambda episode: hash_of(episode[0], episode[1]))
        return [(host, begin) for host, begin, _ in self.episodes]

    def ends(self):
        return [(host, end) for host, _, end in self.episodes]

    def open(self):
        keys = ("rule", "cgroup", "id")
        return {(host, *(value(begin, key) for key in keys)) for host, begin, _ in self.episodes}

    def worst(self):
        """As the mail has it."""
        ranked = sorted(self.episodes, key=lambda episode: -float(value(episode[1], "mean_pct")))
        return "; ".join(f"{host} {value(begin, 'rule')} {float(value(begin, 'mean_pct')):.0f}%"
                         f" cgroup={value(begin, 'cgroup')} id={value(begin, 'id')}" for host, begin, _ in ranked[:3])

    def expose(self, local, how, start, end):
        """A local one may lose a few of these lines. How it was stopped is for the table."""
        self.exposed.append((local, how, start, end))

    def missing(self, files):
        """The lines that are in no file, and how many of them a local one may lose."""
        lost, excused = [], collections.Counter({how: 0 for _, how, _, _ in self.exposed})
        with self.lock:
            sent = {host: list(lines) for host, lines in self.sent.items()}
        for host, lines in sent.items():
            there = set(texts(files.get(host, [])))
            for when, text in lines:
                if text in there:
                    continue
                local = self.of[host]
                hows = [how for one, how, start, end in self.exposed if local is one and start <= when <= end]
                if hows:
                    excused[hows[0]] += 1
                else:
                    lost.append((host, text[:60]))
        return lost, excused

    def doubled(self, files):
        """How many lines a file has again, byte for byte, and which others it has twice."""
        count, left = 0, []
        for host, lines in files.items():
            count += len(lines) - len(set(lines))
            seen = collections.Counter(texts(set(lines)))
            left += [(host, text[:60]) for text, number in seen.items() if number > 1]
        return count, left

    def strangers(self, files):
        with self.lock:
            sent = {host: {text for _, text in lines} for host, lines in self.sent.items()}
        return [(host, text) for host, lines in files.items() for text in texts(lines)
                if text not in sent.get(host, ())]


def texts(lines):
    return [line.split("]: ", 1)[-1] for line in lines]


def value(line, key):
    return re.search(rf" {key}=(\S+)", line)[1]


def changed(line, values):
    for key, value_ in values.items():
        line, number = re.subn(rf" {key}=\S+", f" {key}={value_}", line)
        assert number == 1, (key, line)
    return line


def hash_of(*what):
    """The same number from 0 to 1 for the same thing, in every run."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:4], "big") / 2**32


class Heart:
    """Every host's sign of life, from one thread per local rsyslogd."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.beat, args=(local,), daemon=True) for local in fleet.locals]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join()

    def beat(self, local):
        mine = [host for host in self.fleet.hosts if self.fleet.of[host] is local]
        for host in itertools.cycle(mine):
            if host not in self.fleet.silent:
                self.fleet.send(*self.fleet.alive(local, host))
            if self.over.wait(HEARTBEAT / len(mine)):
                return
