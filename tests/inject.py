#!/usr/bin/env python3
"""Lets system calls of a running psilogd fail, and watches what it does.

Every call that psilogd makes after its start fails once, twice, at every third time and
for ever, with each errno that is plausible for it (EINTR not for ever): strace(1) attaches to a daemon that
is ready, and refuses the calls. Meanwhile a cgroup of its own is stalled, signals
arrive, and a cgroup is created and removed. A daemon passes if it does not exit, does
not spin, obeys SIGTERM, and loses no rule and no line in silence: what it can't do, it
has to log.

usage: tests/inject.py PSILOGD [-j JOBS] [CALL[=ERRNO[,WHEN]] ...]

prints a table in Markdown; exits 1 if a case fails, 77 if nothing can be tried here.
"""

import collections
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# How often a call fails: the name of a column, and strace's expression.
WHEN = {"once": "1", "twice": "1..2", "every third": "3+3", "for ever": "1+"}

# What the man pages, the kernel or a filter of system calls may answer.
ERRNOS = {
    "poll": "EINTR ENOMEM EINVAL", "ppoll": "EINTR ENOMEM EINVAL",
    "read": "EINTR EAGAIN EIO ENOMEM", "pread64": "EINTR EAGAIN EIO ENOMEM",
    "write": "EINTR EAGAIN EIO ENOSPC EPIPE", "writev": "EINTR EAGAIN EIO ENOSPC EPIPE",
    "pwrite64": "EINTR EIO EBUSY",
    "sendto": "EINTR EAGAIN ENOBUFS ECONNREFUSED ENOTCONN EMSGSIZE EPIPE ENOMEM",
    "sendmsg": "EINTR EAGAIN ENOBUFS ECONNREFUSED ENOTCONN EMSGSIZE EPIPE ENOMEM",
    "recvfrom": "EINTR EAGAIN ECONNREFUSED ENOMEM",
    "open": "EINTR EMFILE ENFILE ENOMEM EACCES EIO",
    "openat": "EINTR EMFILE ENFILE ENOMEM EACCES EIO",
    "close": "EINTR EIO",
    "socket": "EMFILE ENFILE ENOBUFS ENOMEM",
    "connect": "EINTR EAGAIN ECONNREFUSED ENOENT EACCES",
    "getdents64": "EIO ENOMEM", "inotify_add_watch": "ENOSPC ENOMEM EACCES",
    "inotify_rm_watch": "EINVAL", "fstat": "EIO ENOMEM", "newfstatat": "EIO ENOMEM EACCES",
    "stat": "EIO ENOMEM EACCES", "statx": "EIO ENOMEM EACCES",
    "clone": "EAGAIN ENOMEM", "clone3": "EAGAIN ENOMEM", "fork": "EAGAIN ENOMEM",
    "vfork": "EAGAIN ENOMEM", "wait4": "EINTR ECHILD", "waitid": "EINTR ECHILD",
    "mmap": "ENOMEM", "munmap": "ENOMEM", "brk": "ENOMEM", "mremap": "ENOMEM",
    "mlockall": "ENOMEM EPERM",
}
# A filter of system calls answers EPERM.
OTHERS = "EPERM"
# These have no error, or belong to strace and not to psilogd.
NEVER = {"exit", "exit_group", "rt_sigreturn", "restart_syscall", "sched_yield"}

# Far longer than any of this takes.
PATIENCE = 40
# A fallback reading may be needed where an event was lost: 30 s and a window.
EVENT = 45
# Busier is a spin: a healthy daemon makes some hundred calls in all.
CALLS = 3000

CONFIG = """\
grace 0
rate_limit none
output syslog:{directory}/log
output stdout
cpu some 20%/2s for=0 clear=2s name=watched cgroup=/{name}
memory full 99%/2s name=whole
io full 99%/2s name=pattern cgroup=/{name}/*
"""


def cgroup_mount():
    """The cgroup2 mount, or None."""
    for line in open("/proc/self/mountinfo"):
        before, after = line.split(" - ")
        if after.split()[0] == "cgroup2":
            return before.split()[4]
    return None


def within(seconds, condition):
    """Waits until the condition holds; whether it did."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def remove(path):
    """Removes a cgroup, which what was killed in it leaves a moment later."""
    def gone():
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True
    within(PATIENCE, gone)


class Receiver:
    """A syslog socket whose lines are kept."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.lines = []
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            try:
                line = self.socket.recv(4096)
            except OSError:
                return
            self.lines.append(line.decode(errors="replace"))


class Case:
    """One daemon, and one call that fails with one errno."""

    number = 0

    def __init__(self, psilogd, mount, call=None, errno=None, when=None):
        self.psilogd, self.call, self.errno, self.when = psilogd, call, errno, when
        Case.number += 1
        self.name = f"psilogd-inject-{os.getpid()}-{Case.number}"
        self.cgroup = f"{mount}/{self.name}"
        self.directory = tempfile.mkdtemp(prefix="psilogd-inject-")
        self.processes = []

    def run(self):
        """What was seen: a list of words, the bad ones in bold."""
        os.mkdir(self.cgroup)
        try:
            return self.watch()
        finally:
            for process in self.processes:
                process.kill()
                process.wait()
            remove(f"{self.cgroup}/child")
            remove(self.cgroup)
            shutil.rmtree(self.directory, ignore_errors=True)

    # the daemon, strace and the load

    def start(self):
        """A daemon that is ready, without the capability: cgroups are removed here."""
        receiver = Receiver(f"{self.directory}/log")
        with open(f"{self.directory}/conf", "w") as conf:
            conf.write(CONFIG.format(directory=self.directory, name=self.name))
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(f"{self.directory}/ready")
        ready.setblocking(False)
        drop = ["setpriv", "--inh-caps=-sys_resource", "--bounding-set=-sys_resource"]
        self.daemon = subprocess.Popen(
            (drop if os.geteuid() == 0 else []) + [self.psilogd, "-f", f"{self.directory}/conf"],
            env={"NOTIFY_SOCKET": f"{self.directory}/ready", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL, stdout=open(f"{self.directory}/stdout", "w"),
            stderr=open(f"{self.directory}/stderr", "w"))
        self.processes.append(self.daemon)

        def is_ready():
            try:
                return ready.recv(4096)
            except BlockingIOError:
                return self.daemon.poll() is not None

        if not within(PATIENCE, is_ready) or self.daemon.poll() is not None:
            raise RuntimeError(f"psilogd is not ready: {self.written('stderr')}")
        return receiver

    def attach(self):
        """Lets the call fail from now on, in the daemon and its second process."""
        pid = self.daemon.pid
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        pids = [word for process in [pid, *children] for word in ("-p", str(process))]
        refusal = []
        if self.call:
            inject = f"inject={self.call}:error={self.errno}:when={WHEN[self.when]}"
            refusal = ["-e", f"trace={self.call}", "-e", inject]
        self.strace = subprocess.Popen(
            ["strace", "-qq", "-f", "-o", f"{self.directory}/trace", *pids, *refusal],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(self.strace)
        if not within(PATIENCE, lambda: "TracerPid:\t0\n" not in self.status(pid)):
            raise RuntimeError(self.strace.stderr.read().decode())

    def status(self, pid):
        try:
            return open(f"/proc/{pid}/status").read()
        except OSError:
            return ""

    def load(self):
        """A nice task that is kept waiting by those of the other cases, or by a second."""
        script = f"echo $$ > {self.cgroup}/cgroup.procs; exec taskset -c {CPU} nice -n 19 " \
                 "sh -c 'while :; do :; done'"
        tasks = [subprocess.Popen(["sh", "-c", script]) for _ in range(2)]
        self.processes += tasks
        return tasks

    # what it wrote

    def written(self, file):
        return open(f"{self.directory}/{file}", errors="replace").read().splitlines()

    def outputs(self, receiver):
        """The lines of every output. What is left at the stop goes to standard error."""
        rest = self.written("stderr")
        return {"syslog": receiver.lines + rest, "stdout": self.written("stdout") + rest}

    def anywhere(self, receiver, event):
        lines = [line for lines in self.outputs(receiver).values() for line in lines]
        return [line for line in lines if f"event={event} " in line]

    # the scenario

    def watch(self):
        receiver = self.start()
        self.attach()
        daemon, bad = self.daemon, []
        alive = lambda: daemon.poll() is None
        seen = lambda event: lambda: not alive() or self.anywhere(receiver, event)
        began = time.monotonic()
        tasks = self.load()
        within(EVENT, seen("begin"))
        for name, event in [(signal.SIGUSR1, "status"), (signal.SIGHUP, "reload")]:
            if alive():
                daemon.send_signal(name)
                within(5, lambda: seen(event)() or self.anywhere(receiver, "reload_failed"))
        os.mkdir(f"{self.cgroup}/child")
        within(5, lambda: not alive() or "child" in "".join(self.triggers()))
        remove(f"{self.cgroup}/child")
        for task in tasks:
            task.kill()
            task.wait()
        within(EVENT, seen("end"))
        # a call that fails for ever, and nothing else to do: here it would spin
        within(3, lambda: not alive())
        ended = not alive()
        triggers = self.triggers()
        ticks = self.ticks()
        if alive():
            daemon.terminate()
        try:
            code = daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
            bad.append("**deaf to TERM**")
        took = time.monotonic() - began
        if alive():
            daemon.kill()
            daemon.wait()
        self.strace.wait()
        within(2, lambda: any("event=stop " in line for line in receiver.lines))
        return self.verdict(receiver, bad, ended, code, triggers, ticks / took)

    def triggers(self):
        """The pressure files that the daemon has open."""
        directory = f"/proc/{self.daemon.pid}/fd"
        found = []
        try:
            for name in os.listdir(directory):
                found.append(os.readlink(f"{directory}/{name}"))
        except OSError:
            pass
        return [path for path in found if "pressure" in path]

    def ticks(self):
        """Its time on a CPU, in seconds."""
        try:
            fields = open(f"/proc/{self.daemon.pid}/stat").read().rsplit(") ")[1].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def verdict(self, receiver, bad, ended, code, triggers, busy):
        said = []
        self.calls = self.written("trace")
        if ended:
            bad.append(f"**exits {code}**" if code >= 0 else f"**killed by {-code}**")
        elif code:
            bad.append(f"**exits {code} at the stop**")
        if len(self.calls) > CALLS or busy > 0.3:
            bad.append("**spins**")
        for event in ["lost", "restored", "dropped", "reload_failed"]:
            if self.anywhere(receiver, event):
                said.append(event)
        rules = {"watched": f"{self.name}/cpu.pressure", "whole": "/pressure/memory"}
        for rule, file in rules.items():
            armed = any(path.endswith(file) for path in triggers)
            lost = any(f"rule={rule} " in line for line in self.anywhere(receiver, "lost"))
            if not ended and not armed and not lost:
                bad.append(f"**{rule} lost**")
        for output, lines in self.outputs(receiver).items():
            # where no write(2) works, standard error is closed to what is left as well
            if (output, self.call, self.when) != ("stdout", "write", "for ever"):
                bad += self.missing(receiver, output, lines)
        # the same in both outputs is one finding
        if self.call and not bad and not any("(INJECTED)" in line for line in self.calls):
            return ["-"]
        return list(dict.fromkeys(bad)) or said or ["ok"]

    def missing(self, receiver, output, lines):
        """The events that an output should have, and says nothing about."""
        if any("event=dropped " in line for line in lines):
            return []
        lost = any("rule=watched " in line for line in self.anywhere(receiver, "lost"))
        found = []
        for event in ["begin", "end", "status", "reload", "stop"]:
            there = any(f"event={event} " in line for line in lines)
            if event == "stop":  # a line that was cut to half, as EMSGSIZE asks for
                there = there or any("psilogd stopping" in line for line in lines)
            if event == "reload":
                there = there or any("event=reload_failed " in line for line in lines)
            if not there and not (lost and event in ("begin", "end")):
                other = self.anywhere(receiver, event)
                found.append(f"**no {event} at {output}**" if other else f"**no {event}**")
        return found


def calls_made(psilogd, mount):
    """The calls of a run in which none fails, and whether that run is good."""
    case = Case(psilogd, mount)
    seen = case.run()
    names = (re.match(r"\d+ +(\w+)\(", line) for line in case.calls)
    counted = collections.Counter(match.group(1) for match in names if match)
    return counted, seen


def cases(psilogd, mount, counted, wanted):
    for call in sorted(set(counted) - NEVER):
        for errno in ERRNOS.get(call, OTHERS).split():
            for when in WHEN:
                # a signal interrupts a call, and not every call for ever
                if errno == "EINTR" and when == "for ever":
                    continue
                words = [call, f"{call}={errno}", f"{call}={errno},{when}"]
                if not wanted or any(word in wanted for word in words):
                    yield Case(psilogd, mount, call, errno, when)


def run_all(queue, jobs):
    """Runs the cases side by side; what was seen by call, errno and column."""
    table, lock, queue = {}, threading.Lock(), iter(list(queue))

    def work():
        while True:
            with lock:
                case = next(queue, None)
            if case is None:
                return
            try:
                seen = case.run()
            except Exception as error:  # a case that was not made is no success
                seen = [f"**not tried: {error}**"]
            with lock:
                table[case.call, case.errno, case.when] = ", ".join(seen)
                print(f"{case.call} {case.errno} {case.when}: {', '.join(seen)}", file=sys.stderr)

    workers = [threading.Thread(target=work) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return table


def print_table(table):
    """A row per call and per errnos that gave the same."""
    rows = {}
    for call, errno, _ in sorted(table):
        cells = tuple(table.get((call, errno, when), "") for when in WHEN)
        rows.setdefault((call, cells), {})[errno] = None
    print("| call | errno | " + " | ".join(WHEN) + " |")
    print("|---|---" + "|---" * len(WHEN) + "|")
    for (call, cells), errnos in rows.items():
        print(f"| {call} | {', '.join(errnos)} | " + " | ".join(cells) + " |")


def lacking(mount):
    """Why nothing can be tried here."""
    for tool in ["strace", "setpriv", "taskset"]:
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if not mount or not os.access(mount, os.W_OK):
        return "no cgroup2 tree that can be written"
    try:
        case = Case("", mount)
        os.mkdir(case.cgroup)
        open(f"{case.cgroup}/cpu.pressure").close()
    except OSError as error:
        return f"no cgroup with pressure files: {error}"
    finally:
        remove(case.cgroup)
        shutil.rmtree(case.directory)
    probe = subprocess.Popen(["sleep", "60"])
    attach = subprocess.run(["timeout", "1", "strace", "-qq", "-p", str(probe.pid)],
                            capture_output=True)
    probe.kill()
    probe.wait()
    return attach.stderr.decode().strip() if b"ptrace" in attach.stderr else None


def main():
    words = sys.argv[1:]
    jobs = 16
    if "-j" in words:
        at = words.index("-j")
        jobs = int(words[at + 1])
        del words[at:at + 2]
    if not words:
        sys.exit(__doc__)
    psilogd, *wanted = words
    mount = cgroup_mount()
    why = lacking(mount)
    if why:
        print(f"inject: nothing can be tried here: {why}", file=sys.stderr)
        sys.exit(77)
    counted, seen = calls_made(psilogd, mount)
    if seen != ["ok"]:
        sys.exit(f"inject: already without an error: {', '.join(seen)}")
    print("calls after the start:", ", ".join(f"{call} {n}" for call, n in sorted(counted.items())),
          file=sys.stderr)
    table = run_all(cases(psilogd, mount, counted, wanted), jobs)
    print_table(table)
    failed = sum("**" in seen for seen in table.values())
    print(f"\n{len(table)} cases, {failed} failed")
    sys.exit(1 if failed else 0)


CPU = max(os.sched_getaffinity(0))

if __name__ == "__main__":
    main()
