"""The programs: Debian's own from target/fleet/root, with the recipes' files."""
import collections
import contextlib
import email
import email.policy
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RECIPES = TOP / "packaging/recipes"
CACHE = TOP / "target/fleet"
ROOT = CACHE / "root"
LIBRARIES = ROOT / f"usr/lib/{os.uname().machine}-linux-gnu"


def wait_until(condition, seconds):
    """Whether it holds within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return bool(condition())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Scratch:
    """A directory of this run, removed at its end."""

    def __init__(self, keep):
        if not (CACHE / "done").exists():
            sys.exit("tests/fleet/run: run tests/fleet/install first")
        self.path = Path(tempfile.mkdtemp(prefix="run.", dir=CACHE))
        self.keep = keep

    def remove(self):
        if self.keep:
            print(f"kept: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def certificates(self, authority, name):
        """A directory with ca.pem and a host's two files, by the recipe."""
        issued = self.path / authority
        issued.mkdir(exist_ok=True)
        subprocess.run([RECIPES / "fleet/certificate", name], cwd=issued, check=True)
        tls = self.path / f"tls-{name}"
        tls.mkdir()
        shutil.copy(issued / "ca.pem", tls)
        role = "central" if name.startswith("central") else "host"
        for suffix in ("key", "pem"):
            shutil.copy(issued / f"{name}.{suffix}", tls / f"{role}.{suffix}")
        return tls


def put(recipe, target, changes):
    """A copy of a recipe's file with other paths, ports and times. Each has to be there."""
    text = (RECIPES / recipe).read_text()
    for old, new in changes.items():
        if old not in text:
            sys.exit(f"tests/fleet/run: no {old} in {recipe}")
        text = text.replace(old, str(new))
    target.write_text(text)
    return target


class Program:
    """A process of the test, with its output in a file."""

    running = set()

    def __init__(self, log, *command):
        self.log = log
        self.command = [str(word) for word in command]
        self.child = None

    def start(self):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(LIBRARIES)}
        with open(self.log, "a") as log:
            self.child = subprocess.Popen(self.command, env=environment, stdout=log, stderr=log)
        Program.running.add(self)

    @staticmethod
    def kill_all():
        for program in list(Program.running):
            program.kill()

    def kill(self, name="KILL"):
        if self.child is not None:
            self.child.send_signal(signal.Signals[f"SIG{name}"])
            self.child.wait(60)
            self.child = None
            Program.running.discard(self)

    def cpu(self):
        """Seconds of CPU time so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident, in MB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s*(\d+)", status, re.M)[1]) / 1024

    def errors(self):
        return Path(self.log).read_text(errors="replace")


def with_share():
    """What stands before a command that is to see the packages' /usr/share in place of
    this machine's."""
    flags = "-m" if os.getuid() == 0 else "-rm"
    if subprocess.run(["unshare", flags, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        sys.exit("tests/fleet/run: no mount namespace to be had, which Debian's Alertmanager needs here")
    return ["unshare", flags, "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', ROOT / "usr/share"]


def rsyslogd(directory, conf):
    return Program(directory / "errors", ROOT / "usr/sbin/rsyslogd", "-n", "-f", conf, "-i", directory / "pid",
                   "-M", LIBRARIES / "rsyslog")


class Local:
    """The rsyslogd of a host. This one has a hundred hosts, so it reads their names."""

    def __init__(self, scratch, number, port, options=None, certificates=None):
        self.name = f"host-{number}"
        self.tls = certificates or scratch.certificates("authority", f"n{number:03}.example.org")
        self.path = scratch.path / self.name
        self.spool = self.path / "spool"
        self.spool.mkdir(parents=True)
        self.socket_path = self.path / "log"
        changes = {"/etc/rsyslog.d/tls": self.tls, 'target="central.example.org"': 'target="127.0.0.1"', "20514": port}
        if os.getuid() != 0:
            changes["uid == 0"] = f"uid == {os.getuid()}"
        if options and options.breakage == "queue":
            changes[' queue.filename="psilogd-forward"'] = ""
            changes[' queue.maxdiskspace="64m"'] = ""
            changes['queue.checkpointinterval="1" queue.saveonshutdown="on" '] = ""
        put("fleet/25-psilogd-forward.conf", self.path / "forward.conf", changes)
        (self.path / "rsyslog.conf").write_text(
            f'global(workDirectory="{self.spool}")\n'
            'module(load="imuxsock" SysSock.Use="off")\n'
            f'input(type="imuxsock" Socket="{self.socket_path}" Annotate="on" ParseTrusted="on"\n'
            '      ParseHostname="on" UseSpecialParser="off" RateLimit.Interval="0")\n'
            f'$IncludeConfig {self.path}/forward.conf\n')
        self.program = rsyslogd(self.path, self.path / "rsyslog.conf")
        self.socket = None
        self.last = None
        self.lock = threading.RLock()

    def start(self):
        self.program.start()
        if not wait_until(lambda: self.connect(), 60):
            sys.exit(f"{self.name} does not start: {self.program.errors()}")

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(60)
        try:
            self.socket.connect(str(self.socket_path))
            return True
        except OSError:
            return False

    def send(self, line):
        with self.lock:
            self.socket.send(line.encode())
            self.last = line

    def restart(self, name, central=None):
        """Stopped after it has taken all that was sent, so that each line is known to be
        taken; and after the central host has acknowledged them, if one is given."""
        with self.lock:
            unread = lambda: struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
            wait_until(lambda: unread() == 0, 60)
            if central:
                wait_until(lambda: self.last.split("]: ", 1)[1] in central.tail(), 120)
            self.program.kill(name)
            self.start()

    def wait_noticed(self, since):
        """Until it has tried to reach the central host and failed."""
        log = Path(self.program.log)
        wait_until(lambda: log.stat().st_mtime > since and "omrelp" in self.program.errors(), 60)

    def queued(self):
        return sum(path.stat().st_size for path in self.spool.glob("psilogd-forward.0*"))


class Central:
    """rsyslogd, mtail, Prometheus and Alertmanager of the central host."""

    def __init__(self, scratch, mail_port, options):
        self.scratch = scratch
        self.path = scratch.path / "central"
        (self.path / "progs").mkdir(parents=True)
        tls = scratch.certificates("authority", "central.example.org")
        self.relp_port, self.mtail_port, self.port, self.alert_port = (free_port() for _ in range(4))
        self.all = self.path / "psilogd.log"
        # only root can give a file to a group that it is not in
        own = {} if os.getuid() == 0 else {'fileGroup="adm"': "", 'dirGroup="adm"': ""}
        put("fleet/psilogd-central.conf", self.path / "central.conf",
            {"/etc/rsyslog.d/tls": tls, "/var/log/psilogd": self.path / "psilogd",
             'port="20514"': f'port="{self.relp_port}" address="127.0.0.1"', **own})
        (self.path / "rsyslog.conf").write_text(
            f'global(workDirectory="{self.path}")\n$IncludeConfig {self.path}/central.conf\n')
        put("mtail/psilogd.mtail", self.path / "progs/psilogd.mtail", {})
        # what takes minutes takes seconds here
        fast = {"for: 30s": "for: 10s", "for: 45s": "for: 15s", "psilogd_episode_percent{level=~\"emerg|alert|crit\"}[1m]": "psilogd_episode_percent{level=~\"emerg|alert|crit\"}[30s]"} if options.short else {}
        put("prometheus/psilogd.rules.yml", self.path / "psilogd.rules.yml", {"[1m]) > 1500": "[1m]) > 45", "for: 2m": "for: 20s", **fast})
        put("fleet/prometheus.yml", self.path / "prometheus.yml",
            {"localhost:3903": f"127.0.0.1:{self.mtail_port}", "localhost:9093": f"127.0.0.1:{self.alert_port}",
             "/etc/prometheus": self.path})
        fast = {"group_wait: 30s": "group_wait: 15s"} if options.short else {}
        if options.breakage == "grouping":
            fast["group_by: [rack]"] = "group_by: [host]"
        put("fleet/alertmanager.yml", self.path / "alertmanager.yml",
            {"localhost:25": f"127.0.0.1:{mail_port}", "/etc/prometheus": self.path,
             "group_interval: 5m": f"group_interval: {30 if options.short else 60}s", **fast})
        put("fleet/psilogd.tmpl", self.path / "psilogd.tmpl", {})
        self.rsyslogd = rsyslogd(self.path, self.path / "rsyslog.conf")
        self.others = [
            Program(self.path / "mtail.errors", ROOT / "usr/bin/mtail", "--progs", self.path / "progs", "--logs", self.all,
                    "--address", "127.0.0.1", "--port", self.mtail_port, "--logtostderr"),
            # Debian's reads a file of its package below /usr/share
            Program(self.path / "alertmanager.errors", *with_share(), ROOT / "usr/bin/prometheus-alertmanager",
                    f"--config.file={self.path}/alertmanager.yml", f"--storage.path={self.path}/alerts",
                    f"--web.listen-address=127.0.0.1:{self.alert_port}", "--cluster.listen-address="),
            Program(self.path / "prometheus.errors", ROOT / "usr/bin/prometheus",
                    f"--config.file={self.path}/prometheus.yml", f"--storage.tsdb.path={self.path}/series",
                    f"--web.listen-address=127.0.0.1:{self.port}"),
        ]

    def check(self, check):
        """The files by the tools that come with their programs."""
        for tool, *words in [("promtool", "check", "config", self.path / "prometheus.yml"),
                             ("promtool", "check", "rules", RECIPES / "prometheus/psilogd.rules.yml"),
                             ("promtool", "test", "rules", TOP / "tests/fleet/rules.yml"),
                             ("amtool", "check-config", self.path / "alertmanager.yml")]:
            run = subprocess.run([ROOT / "usr/bin" / tool, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            check(f"{tool} {' '.join(words[:-1])} {words[-1].name}", run.returncode == 0, run.stdout)

    def start_rsyslogd(self):
        self.rsyslogd.start()

    def start(self):
        # mtail reads from the end of a file that is there
        self.all.touch()
        (self.path / "psilogd").mkdir()
        self.start_rsyslogd()
        for program in self.others:
            program.start()
        up = lambda: self.query("up") == 1 and self.get(self.alert_port, "/-/ready") is not None
        if not wait_until(up, 120):
            sys.exit("the central host does not start: " + "".join(program.errors() for program in self.others))

    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.read()
        except OSError:
            return None

    def query(self, expression):
        """The value of a query with one result, or None."""
        answer = self.get(self.port, "/api/v1/query?query=" + urllib.parse.quote(expression))
        result = json.loads(answer)["data"]["result"] if answer else []
        return float(result[0]["value"][1]) if result else None

    def amtool(self, *words):
        command = [ROOT / "usr/bin/amtool", f"--alertmanager.url=http://127.0.0.1:{self.alert_port}", "--output=json", *words]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)

    def lines(self):
        with open(self.all, "rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))

    def tail(self):
        with open(self.all, "rb") as file:
            file.seek(max(0, self.all.stat().st_size - (1 << 20)))
            return file.read().decode()

    def files(self):
        """Each host's lines."""
        return {path.stem: path.read_text().splitlines() for path in (self.path / "psilogd").glob("*.log")}

    def connections(self, tls, count):
        """What a TLS connection costs rsyslogd: CPU time in seconds, memory in MB."""
        context = ssl.create_default_context(cafile=tls / "ca.pem")
        context.load_cert_chain(tls / "host.pem", tls / "host.key")
        used, memory = self.rsyslogd.cpu(), self.rsyslogd.memory()
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                plain = stack.enter_context(socket.create_connection(("127.0.0.1", self.relp_port), 60))
                connection = stack.enter_context(context.wrap_socket(plain, server_hostname="central.example.org"))
                # until it has taken the client's certificate, too
                offer = b"relp_version=0\nrelp_software=test\ncommands=syslog"
                connection.sendall(b"1 open %d %s\n" % (len(offer), offer))
                answer = connection.recv(200)
                assert b" 200 OK" in answer, answer
            return (self.rsyslogd.cpu() - used) / count, (self.rsyslogd.memory() - memory) / count

    def bytes_per_line(self, event):
        with open(self.all, "rb") as file:
            sizes = [len(line) for line in file if f"event={event} ".encode() in line]
        return sum(sizes) / max(1, len(sizes))


Mail = collections.namedtuple("Mail", "time subject body")


class Mailbox:
    """Takes mail by SMTP, one connection at a time."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mails = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            connection.settimeout(30)
            try:
                with connection, connection.makefile("rwb") as stream:
                    self.session(stream)
            except OSError:
                pass

    def session(self, stream):
        def answer(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        answer("220 mailbox")
        while line := stream.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                answer("354 go on")
                lines = iter(stream.readline, b".\r\n")
                self.take(b"".join(line.removeprefix(b".") for line in lines))
            elif verb == b"QUIT":
                answer("221 bye")
                return
            answer("250 ok")

    def take(self, data):
        mail = email.message_from_bytes(data, policy=email.policy.default)
        body = mail.get_body(("plain",)).get_content()
        self.mails.append(Mail(time.time(), re.sub(r"\s+", " ", mail["Subject"]), body))

    def all(self):
        return list(self.mails)

    def wait(self, wanted, seconds):
        """The first such mail, or None."""
        found = lambda: next((mail for mail in self.all() if wanted(mail)), None)
        wait_until(found, seconds)
        return found()
