#!/usr/bin/env python3
"""What rules on cgroups cost, measured on this machine's cgroup2 tree, and a churn
of cgroups that has to leave nothing behind.

usage: tests/bench-cgroups.py PSILOGD [COUNT]

COUNT cgroups come and go in the churn (20000). Needs the right to make cgroups.
"""
import concurrent.futures
import ctypes
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

RULE = "memory full 90%/2s"


def mount():
    with open("/proc/self/mountinfo") as file:
        for line in file:
            if " - cgroup2 " in line:
                return line.split(" ")[4]
    sys.exit("no cgroup2 hierarchy is mounted")


class Tree:
    """A subtree of our own, removed at the end whatever happens."""

    def __init__(self):
        self.name = f"psilogd-bench-{os.getpid()}"
        self.root = f"{mount()}/{self.name}"
        os.mkdir(self.root)

    def make(self, *names):
        for name in names:
            os.makedirs(f"{self.root}/{name}", exist_ok=True)

    def clear(self):
        for path, _, _ in os.walk(self.root, topdown=False):
            if path != self.root:
                os.rmdir(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clear()
        os.rmdir(self.root)


class Daemon:
    def __init__(self, binary, *lines, cap=10000):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".conf")
        self.file.write(f"max_triggers {cap}\nrate_limit none\n" + "\n".join(lines) + "\n")
        self.file.flush()
        self.log = tempfile.TemporaryFile("w+")
        command = [binary, "-o", "stdout", "-f", self.file.name]
        self.child = subprocess.Popen(command, stdout=self.log)
        self.pid = self.child.pid
        self.wait("event=start")

    def lines(self):
        return os.pread(self.log.fileno(), 1 << 24, 0).decode().splitlines()

    def wait(self, word, count=1):
        end = time.monotonic() + 60
        while sum(word in line for line in self.lines()) < count:
            if time.monotonic() > end or self.child.poll() is not None:
                sys.exit(f"no {word}: {self.lines()}")
            time.sleep(0.0005)

    def read(self, name):
        with open(f"/proc/{self.pid}/{name}") as file:
            return file.read()

    def memory(self):
        """Private pages without a file, in bytes."""
        return int(re.search(r"^Pss_Anon: *(\d+)", self.read("smaps_rollup"), re.M)[1]) * 1024

    def cpu(self):
        """Nanoseconds on a CPU."""
        return int(self.read("schedstat").split()[0])

    def switches(self):
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", self.read("status"), re.M)[1])

    def triggers(self):
        targets = [os.readlink(fd.path) for fd in os.scandir(f"/proc/{self.pid}/fd")]
        return {target for target in targets if target.endswith(".pressure")}

    def held(self):
        """Descriptors, and watches of inotify."""
        numbers = os.listdir(f"/proc/{self.pid}/fd")
        infos = [self.read(f"fdinfo/{number}") for number in numbers]
        return len(numbers), sum(info.count("inotify wd:") for info in infos)

    def settle(self):
        """Until it sleeps."""
        before = -1
        while before != (before := self.switches()):
            time.sleep(0.2)

    def stop(self, how=signal.SIGTERM):
        start = time.monotonic()
        self.child.send_signal(how)
        self.child.wait()
        return time.monotonic() - start


def median(times, unit=1e6):
    return f"{statistics.median(times) * unit:.1f}"


def memory_and_arming(binary, tree):
    sizes = {}
    took = {}
    for count in (1, 1000):
        tree.make(*(f"c{number:04}" for number in range(count)))
        runs = []
        for _ in range(5):
            daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/*")
            assert len(daemon.triggers()) == count
            sizes[count] = daemon.memory()
            runs.append(daemon.cpu())
            daemon.stop()
        took[count] = statistics.median(runs)
    print(f"memory in psilogd: {(sizes[1000] - sizes[1]) / 999:.0f} bytes a trigger"
          f" (patterns /*, 1 to 1000)")
    print(f"arming what is there: {(took[1000] - took[1]) / 999 / 1e3:.1f} us of CPU a cgroup")
    tree.clear()
    daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/**")
    before = daemon.memory()
    tree.make(*(f"c{number:04}" for number in range(1000)))
    while len(daemon.triggers()) < 1000:
        time.sleep(0.01)
    daemon.settle()
    print(f"memory in psilogd: {(daemon.memory() - before) / 1000:.0f} bytes a trigger"
          f" with a watch of its directory (pattern /**)")
    daemon.stop()
    tree.clear()


def latency(binary, tree):
    daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/*")
    times = []
    for number in range(100):
        start = time.monotonic()
        tree.make(str(number))
        while not daemon.triggers():
            pass
        times.append(time.monotonic() - start)
        os.rmdir(f"{tree.root}/{number}")
        while daemon.triggers():
            pass
    print(f"from mkdir to armed: {median(times, 1e3)} ms in the median, "
          f"{max(times) * 1e3:.1f} ms at worst of {len(times)}")
    daemon.stop()


class Pollfd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def poll_alone(tree, count):
    """What poll(2) itself takes to wait with so many triggers that have nothing to
    say, and to be woken by a pipe: CPU time, less that of the pipe alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    fds = []
    for number in range(count):
        fd = os.open(f"{tree.root}/in/c{number:04}/memory.pressure", os.O_RDWR)
        os.write(fd, b"full 1800000 2000000\0")
        fds.append(fd)
    ours, theirs = os.pipe()

    def woken(fds, times=200):
        array = (Pollfd * (len(fds) + 1))(Pollfd(ours, 1, 0), *(Pollfd(fd, 2, 0) for fd in fds))
        writer = os.fork()
        if writer == 0:
            for _ in range(times):
                time.sleep(0.001)
                os.write(theirs, b"x")
            os._exit(0)
        start = time.thread_time_ns()
        for _ in range(times):
            libc.poll(array, len(fds) + 1, -1)
            os.read(ours, 1)
        took = time.thread_time_ns() - start
        os.waitpid(writer, 0)
        return took / times / 1e3

    costs = [woken(fds) - woken([]) for _ in range(5)]
    os.close(ours)
    os.close(theirs)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(os.close, fds))
    return statistics.median(costs)


def wake_up(binary, tree):
    """A wake-up by a directory that comes and matches nothing."""
    for count in (1, 10, 100, 1000):
        tree.make("in", *(f"in/c{number:04}" for number in range(count)))
        alone = poll_alone(tree, count)
        daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/in/*")
        daemon.settle()
        costs = []
        for _ in range(5):
            cpu, woken = daemon.cpu(), daemon.switches()
            for _ in range(100):
                os.mkdir(f"{tree.root}/x")
                time.sleep(0.001)
                os.rmdir(f"{tree.root}/x")
                time.sleep(0.001)
            time.sleep(0.05)
            costs.append((daemon.cpu() - cpu) / max(daemon.switches() - woken, 1) / 1e3)
        print(f"one wake-up with {count} triggers: {statistics.median(costs):.1f} us, "
              f"poll(2) alone: {max(alone, 0):.1f} us")
        daemon.stop()
    tree.clear()


def end(binary, tree):
    for count in (1, 256, 1000):
        tree.make(*(f"c{number:04}" for number in range(count)))
        for how in (signal.SIGTERM, signal.SIGKILL):
            if how == signal.SIGKILL and count == 1000:
                continue
            daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/*")
            print(f"end with {count} triggers, {how.name}: {daemon.stop(how) * 1e3:.0f} ms")
    tree.clear()


def most_stalled(tree):
    """Flat, and 10 below each of 10 below each of 10."""
    cargo = ["cargo", "test", "--locked", "-q", "--release", "--test", "most_stalled", "--"]
    for layout in (["flat/%d" % n for n in range(1000)],
                   ["deep/%d/%d/%d" % (n // 100, n // 10 % 10, n % 10) for n in range(1000)]):
        tree.make(*layout)
        root = f"{tree.root}/{layout[0].split('/')[0]}"
        run = subprocess.run([*cargo, root], stdout=subprocess.PIPE, text=True)
        print(f"most-stalled of 1000 cgroups, {layout[0].split('/')[0]}: {run.stdout.strip()}")
    tree.clear()


def bounds(binary, tree):
    """30,000 cgroups of the longest names and a cap of 256: the locked memory beside that
    of a daemon for which there are none."""
    def start():
        daemon = Daemon(binary, f"{RULE} cgroup=/{tree.name}/**", cap=256)
        daemon.settle()
        locked = int(re.search(r"VmLck:\s*(\d+)", daemon.read("status"))[1])
        held = daemon.held()[1]
        daemon.stop()
        return locked, held

    alone, _ = start()
    above = os.open(tree.root, os.O_DIRECTORY)
    path = f"/{tree.name}"
    while len(path) < 3425:
        os.mkdir("d" * 250, dir_fd=above)
        below = os.open("d" * 250, os.O_DIRECTORY, dir_fd=above)
        os.close(above)
        above, path = below, f"{path}/{'d' * 250}"
    name = "n" * (3681 - len(path) - 6)
    for number in range(30000):
        os.mkdir(f"{name}{number:05}", dir_fd=above)
    locked, watches = start()
    print(f"30000 cgroups, paths of {len(path) + len(name) + 6} bytes, a cap of 256: "
          f"{watches} watches, {locked - alone} kB locked beside {alone}")
    for number in range(30000):
        os.rmdir(f"{name}{number:05}", dir_fd=above)
    os.close(above)
    tree.clear()


def churn(binary, tree, count):
    tree.make(*(f"held/{name}" for name in "abcd"), "in")
    daemon = Daemon(binary,
                    f"cpu some 5%/2s for=0 clear=1h repeat=0 name=held cgroup=/{tree.name}/held/*",
                    f"{RULE} name=churned cgroup=/{tree.name}/in/**")
    loads = []
    for name in "abcd":
        enter = f"echo $$ > {tree.root}/held/{name}/cgroup.procs; while :; do :; done"
        loads.append(subprocess.Popen(["nice", "sh", "-c", enter]))
    daemon.wait("event=begin", 4)
    for load in loads:
        load.kill()
        load.wait()

    def one(number):
        path = f"{tree.root}/in/{number}"
        os.mkdir(path)
        os.rmdir(path)

    def batch(numbers):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            list(pool.map(one, numbers))

    def lasting():
        """Some that are there long enough to be armed, with others in them."""
        for number in range(100):
            tree.make(f"in/lasting{number}/child")
        while len(daemon.triggers()) < 204:
            time.sleep(0.01)
        for number in range(100):
            os.rmdir(f"{tree.root}/in/lasting{number}/child")
            os.rmdir(f"{tree.root}/in/lasting{number}")

    # the heap grows to what is needed at once, and stays; from there on it counts
    batch(range(1000))
    lasting()
    daemon.settle()
    before, memory = daemon.held(), daemon.memory()
    cpu, start = daemon.cpu(), time.monotonic()
    batch(range(count))
    lasting()
    daemon.settle()
    took, spent = time.monotonic() - start, daemon.cpu() - cpu
    after = daemon.held()
    grown = daemon.memory() - memory
    tree.make("in/survivor")
    while f"{tree.root}/in/survivor/memory.pressure" not in daemon.triggers():
        time.sleep(0.001)
    daemon.stop()
    lines = daemon.lines()
    ends = sum("event=end" in line and "reason=stop" in line for line in lines)
    dead = [line for line in lines if "rule=churned" in line]
    print(f"churn of {count + 200} cgroups in {took:.0f} s: {spent / (count + 200) / 1e3:.1f} us of "
          f"CPU a cgroup; descriptors and watches {before} before, {after} after; "
          f"memory {grown:+} bytes; {ends} of 4 episodes open to the end; "
          f"{len(dead)} lines of the others")
    if before != after or ends != 4 or dead or grown > 16 << 10:
        sys.exit("the churn left something behind")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    binary = shutil.which(sys.argv[1]) or sys.exit(f"{sys.argv[1]} is not there")
    with Tree() as tree:
        memory_and_arming(binary, tree)
        latency(binary, tree)
        wake_up(binary, tree)
        end(binary, tree)
        most_stalled(tree)
        bounds(binary, tree)
        churn(binary, tree, int(sys.argv[2]) if len(sys.argv) > 2 else 20000)


main()
