#!/usr/bin/env python3
"""How psilogd's work grows from 5,000 to 10,000 of anything: user instructions under
valgrind, on directories that stand in for cgroups. It fails if twice as many of
something cost more than 2.2 times the instructions.

usage: tests/bench-growth.py PSILOGD [SCENARIO ...]

PSILOGD has to be linked dynamically. Needs valgrind and a C compiler.
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FEW, MANY = 5000, 10000
LIMIT = 2.2
# what psilogd holds besides its triggers, and what valgrind keeps for itself
DESCRIPTORS = MANY + 100
DEADLINE = 900

FIGURES = "avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
PRESSURE = f"some {FIGURES}full {FIGURES}"
# valgrind ends at a clone(2) of this kind; without children psilogd closes by itself.
# The text of a trigger, which ends in a NUL, would overwrite a file that is not the
# kernel's.
PRELOAD = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int clone(void) { return -1; }
ssize_t write(int fd, const void *text, size_t length) {
    if (length > 0 && ((const char *)text)[length - 1] == 0)
        return length;
    return syscall(SYS_write, fd, text, length);
}
"""


class Host:
    """A directory in the place of the cgroup2 mount, and a running psilogd."""

    def __init__(self, binary, preload):
        self.binary, self.preload = binary, preload
        self.root = tempfile.mkdtemp(prefix="psilogd-growth-")
        self.mount = f"{self.root}/mount"
        os.mkdir(self.mount)
        self.child = None

    def make(self, path):
        """A cgroup that has its pressure file from the first moment."""
        new = f"{self.root}/new"
        os.mkdir(new)
        with open(f"{new}/io.pressure", "w") as file:
            file.write(PRESSURE)
        os.rename(new, f"{self.mount}/{path}")

    def remove(self, path):
        os.rename(f"{self.mount}/{path}", f"{self.root}/old")
        shutil.rmtree(f"{self.root}/old")

    def configure(self, lines):
        with open(f"{self.root}/conf", "w") as file:
            file.write("rate_limit none\nqueue 65536\n" + "\n".join(lines) + "\n")

    def start(self, *options):
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                   self.binary, "-C", self.mount, "-o", "stdout",
                   "-f", f"{self.root}/conf", *options]
        log = open(f"{self.root}/log", "w")
        self.log = open(f"{self.root}/log")
        self.errors = open(f"{self.root}/errors", "w+")
        environment = {**os.environ, "LD_PRELOAD": self.preload}
        self.child = subprocess.Popen(command, stdout=log, stderr=self.errors,
                                      env=environment)

    def wait(self, word):
        """For a line, from where the last wait ended."""
        end = time.monotonic() + DEADLINE
        while True:
            before = self.log.tell()
            line = self.log.readline()
            if not line.endswith("\n"):
                self.log.seek(before)
                if time.monotonic() > end or self.child.poll() is not None:
                    sys.exit(f"no {word}")
                time.sleep(0.01)
            elif word in line:
                return line

    def signal(self, name, word):
        self.child.send_signal(name)
        return self.wait(word)

    def end(self):
        """Its instructions."""
        if self.child.wait() not in (0, 1):
            sys.exit(f"psilogd ended with {self.child.returncode}")
        self.errors.seek(0)
        return int(re.search(r"Collected : (\d+)", self.errors.read())[1])

    def stop(self):
        self.signal(signal.SIGTERM, "event=stop")
        return self.end()


def named(count, threshold=10, window="2s"):
    return [f"io full {threshold}%/{window} name=r{n} cgroup=/c{n}" for n in range(count)]


def check_named(host, count):
    host.configure(named(count, window="500ms"))
    host.start("-n")
    return host.end()


def check_system(host, count):
    host.configure([f"io full 10%/2s name=r{n}" for n in range(count)])
    host.start("-n")
    return host.end()


def named_armed(host, count):
    for n in range(count):
        host.make(f"c{n}")
    host.configure(named(count))
    host.start()
    host.wait("event=start")
    host.signal(signal.SIGHUP, "event=reload")
    host.configure(named(count, threshold=20))
    host.signal(signal.SIGHUP, "event=reload")
    return host.stop()


def named_absent(host, count):
    host.configure(named(count))
    host.start()
    host.wait("event=start")
    host.signal(signal.SIGHUP, "event=reload")
    return host.stop()


def waiting(host, count):
    for n in range(count):
        host.make(f"c{n}")
    host.configure(["io full 10%/2s name=many cgroup=/**"])
    host.start()
    host.wait("event=start")
    host.signal(signal.SIGHUP, "event=reload")
    host.signal(signal.SIGHUP, "event=reload")
    return host.stop()


def armed(host, count):
    for n in range(count):
        host.make(f"c{n}")
    host.configure(["max_triggers 10000", "io full 10%/2s name=many cgroup=/**"])
    host.start()
    host.wait("event=start")
    host.signal(signal.SIGHUP, "event=reload")
    host.signal(signal.SIGUSR1, "event=status")
    return host.stop()


def patterns(host, count):
    for n in range(10):
        host.make(f"c{n}")
    host.configure([f"io full 10%/2s name=r{n} cgroup=/c{n % 10}/*" for n in range(count)])
    host.start()
    host.wait("event=start")
    host.signal(signal.SIGHUP, "event=reload")
    host.signal(signal.SIGUSR1, "event=status")
    return host.stop()


def created(host, count):
    """As they come and go; the last one has a rule of its own, to be waited for."""
    last = "io full 10%/2s name=last cgroup=/last"
    host.configure(["max_triggers 10000", "io full 10%/2s name=many cgroup=/c*", last])
    host.start()
    host.wait("event=start")
    for n in range(count):
        host.make(f"c{n}")
    host.make("last")
    host.wait("event=restored")
    for n in range(count):
        host.remove(f"c{n}")
    host.remove("last")
    return host.stop()


SCENARIOS = [check_named, check_system, named_armed, named_absent, waiting, armed, patterns,
             created]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    for tool in (binary, "valgrind", "cc"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not there")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        sys.exit(f"the hard limit of descriptors is {hard}: needs {DESCRIPTORS}")
    grown = []
    with tempfile.TemporaryDirectory() as scratch:
        preload = f"{scratch}/preload.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-xc", "-", "-o", preload],
                       input=PRELOAD, text=True, check=True)
        for scenario in SCENARIOS:
            if sys.argv[2:] and scenario.__name__ not in sys.argv[2:]:
                continue
            costs = []
            for count in (FEW, MANY):
                host = Host(binary, preload)
                try:
                    costs.append(scenario(host, count))
                finally:
                    if host.child:
                        host.child.kill()
                        host.child.wait()
                    shutil.rmtree(host.root)
            ratio = costs[1] / costs[0]
            print(f"{scenario.__name__}: {costs[0] / 1e6:.0f} and {costs[1] / 1e6:.0f} million "
                  f"instructions for {FEW} and {MANY}: x {ratio:.2f}", flush=True)
            if ratio > LIMIT:
                grown.append(scenario.__name__)
    if grown:
        sys.exit(f"more than {LIMIT} times the work for twice as many: {', '.join(grown)}")


main()
