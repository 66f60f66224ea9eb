#!/usr/bin/env python3
"""The figures that the documentation states, measured on this machine.

usage: tests/bench.py DIRECTORY-OF-THE-BINARIES
"""
import os
import re
import signal
import statistics
import subprocess
import sys
import time

QUIET = ["-o", "stdout", "-f", "/dev/null"]


def start(binary, *args):
    """A running psilogd that has logged that it is armed, and how long that took."""
    before = time.monotonic()
    child = subprocess.Popen([binary, *QUIET, *args], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if "event=start" in line:
            return child, time.monotonic() - before
    sys.exit("psilogd did not start")


def stop(child):
    child.send_signal(signal.SIGTERM)
    child.communicate()


def size(binary):
    return f"{os.path.getsize(binary):,} bytes"


def armed(binary):
    times = []
    for _ in range(30):
        child, took = start(binary)
        times.append(took * 1000)
        stop(child)
    return f"{min(times):.1f} ms at best, {statistics.median(times):.1f} ms in the median of 30"


def resident(binary):
    child, _ = start(binary)
    time.sleep(3)
    with open(f"/proc/{child.pid}/smaps_rollup") as file:
        text = file.read()
    stop(child)
    rss, dirty = (re.search(rf"^{key}: *(\d+)", text, re.M)[1] for key in ("Rss", "Private_Dirty"))
    return f"{rss} KB, of which {dirty} KB are dirty and its own"


def wakeups(binary):
    """Over a minute, past the false first events of unprivileged triggers."""
    child, _ = start(binary)

    def switches():
        with open(f"/proc/{child.pid}/status") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", file.read(), re.M)[1])

    time.sleep(8)
    before = switches()
    time.sleep(60)
    count = switches() - before
    stop(child)
    return f"{count} in 60 s"


def calls(binary):
    child, _ = start(binary)
    time.sleep(8)
    command = ["timeout", "-s", "INT", "60", "strace", "-f", "-c", "-p", str(child.pid)]
    try:
        traced = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return "strace is not installed"
    finally:
        stop(child)
    # "% time  seconds  usecs/call  calls  errors  syscall"
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w+)$", traced.stderr, re.M)
    rows = [(count, name) for count, name in rows if name != "total"]
    return ", ".join(f"{count} {name}" for count, name in rows) or "none"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary = os.path.join(sys.argv[1], "psilogd")
    reader = os.path.join(sys.argv[1], "psistat")
    print(f"static binary, psistat: {size(reader)}")
    for name, figure in [
        ("static binary, psilogd", size),
        ("from exec to armed, built-in rules", armed),
        ("resident while it waits", resident),
        ("wake-ups while idle", wakeups),
        ("system calls while idle, 60 s", calls),
    ]:
        print(f"{name}: {figure(binary)}", flush=True)


main()
