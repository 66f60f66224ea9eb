"""What this machine allows, and programs that run on it: for tests/bench/run."""
import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

# seconds for arming under valgrind, and for a line
DEADLINE, LINE = 120, 30
# bits of CapEff
SYS_RESOURCE, SYS_ADMIN = 24, 21
CLONE_NEWNS = 0x20000
SO_TIMESTAMPNS = 35
FOUR = [("cpu", "some"), ("memory", "some"), ("memory", "full"), ("io", "full")]
# A mount namespace in which /dev/log is the socket of a run. The files in HIDDEN become
# sockets, on which open(2) fails.
ROOM = """set -e
room=$1
shift
mount -t tmpfs none "$room/dev"
: > "$room/dev/null"
mount --bind /dev/null "$room/dev/null"
ln -s "$room/log" "$room/dev/log"
mount --rbind "$room/dev" /dev
for file in $HIDDEN; do mount --bind "$room/log" "$file"; done
exec "$@"
"""


class Missing(Exception):
    """Why something can't be measured here."""


def read(path):
    with open(path) as file:
        return file.read()


def need(tool):
    if not shutil.which(tool):
        raise Missing(f"{tool} is not installed")


def wait_until(done, what):
    end = time.monotonic() + DEADLINE
    while not done():
        if time.monotonic() > end:
            raise Missing(f"no {what} within {DEADLINE} s")
        time.sleep(0.002)


class Machine:
    """A cgroup with two tasks that compete for one CPU on demand. NOTES are what this
    machine lacks."""

    def __init__(self, scratch):
        self.scratch, self.notes, self.rooms = scratch, [], 0
        self.cgroup = self.tracing = None
        self.pipes, self.tasks = [], []
        self.find_privilege()
        self.make_cgroup()
        self.find_tracing()
        for _ in range(2):
            self.start_task()

    def find_privilege(self):
        """How to get a mount namespace and CAP_SYS_RESOURCE; None without."""
        self.enter, self.window, self.load = None, 2_000_000, 8
        held = int(re.search(r"^CapEff:\s*(\w+)", read("/proc/self/status"), re.M)[1], 16)
        if held >> SYS_RESOURCE & held >> SYS_ADMIN & 1:
            enter = ["unshare", "-m"]
        else:
            enter = ["unshare", "-Urm"]
        if not shutil.which("unshare") or subprocess.run([*enter, "true"]).returncode != 0:
            self.notes.append("no namespace with CAP_SYS_RESOURCE: windows of 2 s, of which the "
                              "first event may be false")
            return
        self.enter, self.window, self.load = enter, 1_000_000, 0.3
        if "-Urm" in enter:
            self.notes.append("CAP_SYS_RESOURCE is that of a user namespace")

    def make_cgroup(self):
        mounts = re.findall(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", read("/proc/self/mountinfo"), re.M)
        self.mount = mounts[0] if mounts else None
        path = f"{self.mount}/psilogd-bench-{os.getpid()}"
        try:
            os.mkdir(path)
            if os.path.exists(f"{path}/cpu.pressure"):
                self.cgroup = path
                return
            os.rmdir(path)
            why = "without pressure files"
        except OSError as error:
            why = error.strerror
        self.notes.append(f"no cgroup of its own ({why}): the system's pressure files, not quiet")

    def find_tracing(self):
        """An instance of ftrace, mounted for this program only."""
        root, quiet = "/sys/kernel/tracing", {"stderr": subprocess.DEVNULL}
        path = f"{root}/instances/psilogd-bench-{os.getpid()}"
        if not os.path.exists(f"{root}/instances"):
            if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
                return
            subprocess.run(["mount", "--make-rprivate", "/"], **quiet)
            subprocess.run(["mount", "-t", "tracefs", "none", root], **quiet)
        with contextlib.suppress(OSError):
            os.mkdir(path)
            if os.path.exists(f"{path}/events/syscalls"):
                self.tracing = path
            else:
                os.rmdir(path)

    def start_task(self):
        ours, theirs = os.pipe()
        self.pipes.append(theirs)
        pid = os.fork()
        if pid:
            os.close(ours)
            self.tasks.append(pid)
            return
        for pipe in self.pipes:
            os.close(pipe)
        if self.cgroup:
            with open(f"{self.cgroup}/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        while text := os.read(ours, 8):
            end = time.monotonic() + struct.unpack("d", text)[0]
            while time.monotonic() < end:
                pass
        os._exit(0)

    def press(self):
        """Pressure on CPUs for a while."""
        for pipe in self.pipes:
            os.write(pipe, struct.pack("d", self.load))

    def file(self, resource):
        return f"{self.cgroup}/{resource}.pressure" if self.cgroup else f"/proc/pressure/{resource}"

    @contextlib.contextmanager
    def children(self, count):
        """So many cgroups below its own, without a task."""
        if not self.cgroup:
            raise Missing("needs a cgroup")
        paths = [f"{self.cgroup}/c{number:04}" for number in range(count)]
        try:
            for path in paths:
                os.mkdir(path)
            yield
        finally:
            for path in filter(os.path.exists, paths):
                os.rmdir(path)

    def room(self):
        self.rooms += 1
        path = f"{self.scratch}/{self.rooms}"
        os.makedirs(f"{path}/dev")
        return path

    def close(self):
        for pipe in self.pipes:
            os.close(pipe)
        for pid in self.tasks:
            os.waitpid(pid, 0)
        for path in filter(None, (self.cgroup, self.tracing)):
            os.rmdir(path)


class Receiver:
    """A socket whose datagrams the kernel stamps as they are sent."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(path)

    def line(self, word):
        """When the next line with this word was sent, in microseconds."""
        end = time.monotonic() + LINE
        while True:
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                text, stamps, _, _ = self.socket.recvmsg(2048, 64)
            except TimeoutError:
                raise Missing(f"no line '{word}' within {LINE} s") from None
            if word.encode() in text:
                seconds, nanoseconds = struct.unpack("qq", stamps[0][2])
                return seconds * 10**6 + nanoseconds / 1000


class Program:
    """KIND is syslog or send for those in C, psilogd or peer."""

    def __init__(self, name, kind, path, *arguments):
        self.name, self.kind, self.path, self.arguments = name, kind, path, arguments
        self.is_c = kind in ("syslog", "send")

    def command(self, machine, room, count, fence, pattern):
        """COUNT triggers: one on cpu and the others on memory, or four different ones. Or
        one rule with a pattern for as many cgroups."""
        if self.kind == "peer":
            return [self.path, *self.arguments]
        threshold, window = machine.window // 20, machine.window
        if pattern:
            window = 2_000_000
        kinds = FOUR if count == 4 else [("cpu", "some"), *[("memory", "full")] * (count - 1)]
        if self.is_c:
            named = kinds if count == 4 else kinds[:2]
            pairs = [word for resource, kind in named
                     for word in (machine.file(resource), f"{kind} {threshold} {window}")]
            sockets = [f"{room}/log"] if self.kind == "send" else []
            return [self.path, *sockets, str(count - len(named) + 1), *pairs]
        scope = f" cgroup=/{os.path.basename(machine.cgroup)}" if machine.cgroup else ""
        if pattern:
            scope, kinds = f"{scope}/*", [("memory", "full")]
        with open(f"{room}/conf", "w") as file:
            file.write("grace 0\nrate_limit none\nmax_triggers 10000\n")
            for number, (resource, kind) in enumerate(kinds):
                file.write(f"{resource} {kind} {threshold}us/{window}us for=0 clear=1s repeat=0 "
                           f"name=r{number}{scope}\n")
        return [self.path, "-o", f"syslog:{room}/log", "-f", f"{room}/conf",
                *([] if fence else ["--no-sandbox"])]


class Run:
    """A program in a room of its own, perhaps under a tool. It sleeps when this is made."""

    def __init__(self, machine, program, count=4, tool=(), fence=True, hidden=(),
                 pattern=False):
        if machine.enter is None and (hidden or program.kind == "syslog"):
            raise Missing("needs a mount namespace")
        self.program, self.room = program, machine.room()
        self.receiver = Receiver(f"{self.room}/log")
        command = [*tool, *program.command(machine, self.room, count, fence, pattern)]
        if machine.enter:
            command = [*machine.enter, "sh", "-c", ROOM, "room", self.room, *command]
        with open(f"{self.room}/errors", "w") as errors:
            self.child = subprocess.Popen(command, stdout=errors, stderr=errors,
                                          env={"PATH": os.environ["PATH"],
                                               "HIDDEN": " ".join(hidden)})
        self.pid = self.child.pid
        try:
            self.wait(0 if program.kind == "peer" else count)
        except (Missing, OSError):
            self.end()
            raise

    def wait(self, count):
        """Until it is armed and sleeps."""
        wait_until(lambda: self.triggers() >= count, f"trigger of {self.program.name}")
        if self.program.kind == "psilogd":
            self.receiver.line("event=start")
        if self.program.kind == "peer":
            time.sleep(3)
        self.settle()

    def check(self):
        if self.child.poll() is not None:
            text = read(f"{self.room}/errors").strip().rpartition("\n")[2]
            raise Missing(f"{self.program.name} ended with {self.child.returncode}: {text}")

    def triggers(self):
        """How many it holds."""
        self.check()
        found = 0
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found += "pressure" in os.readlink(entry.path)
        return found

    def status(self, key):
        return re.search(rf"^{key}:\s*(\w+)", read(f"/proc/{self.pid}/status"), re.M)[1]

    def wakeups(self):
        return int(self.status("voluntary_ctxt_switches"))

    def cpu(self):
        """Nanoseconds on a CPU."""
        return int(read(f"/proc/{self.pid}/schedstat").split()[0])

    def settle(self):
        before = None
        while before != (before := self.cpu()) or self.status("State") != "S":
            self.check()
            time.sleep(0.03)

    def memory(self, key):
        """In KB."""
        text = read(f"/proc/{self.pid}/smaps_rollup")
        return int(re.search(rf"^{key}: *(\d+)", text, re.M)[1])

    def wake(self, times):
        """By SIGCHLD, which asks for nothing, each one when the last was taken."""
        bit = 1 << signal.SIGCHLD - 1
        for _ in range(times):
            self.child.send_signal(signal.SIGCHLD)
            wait_until(lambda: not int(self.status("ShdPnd"), 16) & bit, "taken signal")
        self.settle()

    def end(self, how=signal.SIGTERM):
        """What it has printed, and its tool."""
        if self.child.poll() is None:
            self.child.send_signal(how)
            self.child.wait()
        self.receiver.socket.close()
        text = read(f"{self.room}/errors")
        shutil.rmtree(self.room)
        return text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
