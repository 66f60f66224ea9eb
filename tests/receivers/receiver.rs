//! Real syslog receivers, each started on a socket of its own below a scratch
//! directory, and what they have filed.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, signal};

/// Which receiver, and which of its sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rsyslogd,
    Busybox,
    SyslogNgDatagram,
    SyslogNgStream,
    /// Its socket for lines of syslog.
    Journald,
    /// Its own protocol.
    JournaldNative,
    /// rsyslogd that reads the journal below the same directory.
    Imjournal,
}

/// A message as a receiver has filed it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub facility: String,
    pub severity: String,
    pub ident: String,
    pub pid: String,
    /// `Mmm _d hh:mm:ss`, as the receiver has it.
    pub time: String,
    pub text: String,
}

/// A receiver that may or may not run; ended when this goes.
pub struct Receiver {
    kind: Kind,
    directory: PathBuf,
    program: PathBuf,
    child: Option<Child>,
}

/// Where tests/receivers/install puts what it has unpacked.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/receivers/root");

const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

impl Kind {
    /// Those that a line can be sent to.
    pub const ALL: [Kind; 6] = [
        Kind::Rsyslogd,
        Kind::Busybox,
        Kind::SyslogNgDatagram,
        Kind::SyslogNgStream,
        Kind::Journald,
        Kind::JournaldNative,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Rsyslogd => "rsyslogd",
            Kind::Busybox => "busybox syslogd",
            Kind::SyslogNgDatagram => "syslog-ng, datagram",
            Kind::SyslogNgStream => "syslog-ng, stream",
            Kind::Journald => "systemd-journald",
            Kind::JournaldNative => "systemd-journald, own protocol",
            Kind::Imjournal => "rsyslogd, imjournal",
        }
    }

    fn candidates(self) -> &'static [&'static str] {
        match self {
            Kind::Rsyslogd | Kind::Imjournal => &["usr/sbin/rsyslogd"],
            Kind::Busybox => &["bin/busybox", "usr/bin/busybox"],
            Kind::SyslogNgDatagram | Kind::SyslogNgStream => &["usr/sbin/syslog-ng"],
            Kind::Journald | Kind::JournaldNative => &[
                "lib/systemd/systemd-journald",
                "usr/lib/systemd/systemd-journald",
            ],
        }
    }

    /// Whether the receiver files the time that the sender gave.
    pub fn honours_time(self) -> bool {
        self != Kind::Rsyslogd
    }

    /// busybox and journald find their socket in a fixed place, and imjournal the journal.
    fn needs_namespace(self) -> bool {
        self == Kind::Busybox || self == Kind::Imjournal || self.is_journald()
    }

    fn is_journald(self) -> bool {
        matches!(self, Kind::Journald | Kind::JournaldNative)
    }
}

impl Receiver {
    /// Sets up its directory; why it can't run here, if so.
    pub fn new(kind: Kind, directory: PathBuf) -> Result<Receiver, String> {
        let program = find(kind.candidates()).ok_or_else(|| {
            format!(
                "no {}: tests/receivers/install fetches it",
                kind.candidates()[0]
            )
        })?;
        if kind.needs_namespace() && !namespaces() {
            return Err("no private mount namespace (unshare -m) without root".into());
        }
        for sub in ["dev", "run/systemd/journal", "run/log/journal", "etc"] {
            fs::create_dir_all(directory.join(sub)).map_err(|error| error.to_string())?;
        }
        let receiver = Receiver {
            kind,
            directory,
            program,
            child: None,
        };
        receiver.configure().map_err(|error| error.to_string())?;
        Ok(receiver)
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join(match self.kind {
            Kind::Journald => "run/systemd/journal/dev-log",
            Kind::JournaldNative => "run/systemd/journal/socket",
            _ => "dev/log",
        })
    }

    /// As `-o` takes it.
    pub fn output(&self) -> String {
        let kind = match self.kind {
            Kind::JournaldNative => "journal",
            _ => "syslog",
        };
        format!("{kind}:{}", self.socket().display())
    }

    /// journald forwards every line to a syslog receiver; to be called before the start.
    pub fn forward_to(&self, receiver: &Receiver) {
        let conf = self.directory.join("etc/journald.conf");
        let text = fs::read_to_string(&conf).expect("a configuration");
        fs::write(conf, text.replace("Syslog=no", "Syslog=yes")).expect("a file");
        // journald sends to a path that is fixed
        let path = self.directory.join("run/systemd/journal/syslog");
        std::os::unix::fs::symlink(receiver.socket(), path).expect("a link");
    }

    fn configure(&self) -> io::Result<()> {
        let directory = self.directory.display();
        let socket = self.socket();
        let socket = socket.display();
        let text = match self.kind {
            Kind::Rsyslogd | Kind::Imjournal => format!(
                "global(workDirectory=\"{directory}\")\n\
                 {}\
                 template(name=\"all\" type=\"string\" string=\"%syslogfacility% \
                 %syslogseverity% %programname% %procid% \
                 %timestamp:::date-rfc3164%|%msg%\\n\")\n\
                 action(type=\"omfile\" file=\"{directory}/out\" template=\"all\")\n",
                match self.kind {
                    Kind::Rsyslogd => format!(
                        "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                         input(type=\"imuxsock\" Socket=\"{socket}\")\n"
                    ),
                    _ => "module(load=\"imjournal\" StateFile=\"imjournal\")\n".into(),
                }
            ),
            Kind::SyslogNgDatagram | Kind::SyslogNgStream => format!(
                "@version: current\n\
                 source in {{ {}(\"{socket}\"); }};\n\
                 destination out {{ file(\"{directory}/out\" template(\"$FACILITY_NUM \
                 $LEVEL_NUM $PROGRAM $PID $DATE| $MSG\\n\")); }};\n\
                 log {{ source(in); destination(out); }};\n",
                match self.kind {
                    Kind::SyslogNgStream => "unix-stream",
                    _ => "unix-dgram",
                }
            ),
            Kind::Journald | Kind::JournaldNative => {
                "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\n\
                 RateLimitIntervalSec=0\n"
                    .into()
            }
            Kind::Busybox => return Ok(()),
        };
        let name = match self.kind {
            kind if kind.is_journald() => "etc/journald.conf",
            _ => "conf",
        };
        fs::write(self.directory.join(name), text)
    }

    fn command(&self) -> Command {
        let at = |name: &str| self.directory.join(name);
        let mut command = match self.kind {
            Kind::Rsyslogd => {
                let mut command = Command::new(&self.program);
                command.arg("-n").arg("-f").arg(at("conf"));
                command.arg("-i").arg(at("pid"));
                if let Some(modules) = directory_of("imuxsock.so") {
                    command.arg("-M").arg(modules);
                }
                command
            }
            Kind::SyslogNgDatagram | Kind::SyslogNgStream => {
                let mut command = Command::new(&self.program);
                command.args(["-F", "--no-caps"]);
                command.arg("--cfgfile").arg(at("conf"));
                command.arg("--control").arg(at("control"));
                command.arg("--persist-file").arg(at("persist"));
                command.arg("--pidfile").arg(at("pid"));
                if let Some(modules) = directory_of("libafsocket.so") {
                    command.arg("--module-path").arg(modules);
                }
                command
            }
            Kind::Busybox => {
                let script = "mount --bind \"$1/run\" /run && mount --bind \"$1/dev\" /dev && \
                              exec \"$2\" syslogd -n -O \"$1/out\"";
                self.in_namespace(script)
            }
            Kind::Imjournal => {
                // the journal of this machine is none of its business
                let script = "mount --bind \"$1/run\" /run && \
                              mount -t tmpfs none /var/log && \
                              exec \"$2\" -n -f \"$1/conf\" -i \"$1/pid\" -M \"$3\"";
                let mut command = self.in_namespace(script);
                command.arg(directory_of("imjournal.so").unwrap_or_default());
                command
            }
            Kind::Journald | Kind::JournaldNative => {
                let script = "mount --bind \"$1/run\" /run && \
                              mount --bind \"$1/etc\" /etc/systemd && exec \"$2\"";
                self.in_namespace(script)
            }
        };
        command.env_remove("NOTIFY_SOCKET").env_remove("TZ");
        if self.program.starts_with(UNPACKED) {
            command.env("LD_LIBRARY_PATH", library_path());
        }
        command
    }

    /// Every mount there is private to the receiver and gone with it.
    fn in_namespace(&self, script: &str) -> Command {
        let mut command = namespace(script);
        command.arg(&self.directory).arg(&self.program);
        command
    }

    /// Starts it and waits until it takes a connection.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("errors"))
            .expect("a file");
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn().expect("the receiver starts");
        let what = format!("{} on {}", self.kind.name(), self.socket().display());
        let end = Instant::now() + DEADLINE;
        while !self.takes_a_connection() {
            let ended = child.try_wait().expect("a child").is_some();
            if ended || Instant::now() > end {
                let _ = child.kill();
                let errors = fs::read_to_string(self.directory.join("errors"));
                panic!("{what} takes no connection: {}", errors.unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child = Some(child);
    }

    fn takes_a_connection(&self) -> bool {
        match self.kind {
            Kind::SyslogNgStream => UnixStream::connect(self.socket()).is_ok(),
            Kind::Imjournal => self.directory.join("pid").exists(),
            // rsyslogd gives its socket up when it can't set its mode, as of one that
            // was renamed in between
            Kind::Rsyslogd => self.is_open_to_all() && self.takes_a_datagram(),
            _ => self.takes_a_datagram(),
        }
    }

    fn takes_a_datagram(&self) -> bool {
        let connect = |socket: UnixDatagram| socket.connect(self.socket());
        UnixDatagram::unbound().and_then(connect).is_ok()
    }

    /// The last that rsyslogd does to its socket before it reads.
    fn is_open_to_all(&self) -> bool {
        let of = fs::metadata(self.socket());
        of.is_ok_and(|of| of.permissions().mode() & 0o777 == 0o666)
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it runs").id(), name);
    }

    /// Sends the signal and waits for its end.
    pub fn end(&mut self, name: &str) {
        self.signal(name);
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("the receiver ends");
    }

    /// What it has filed of psilogd, in its order.
    pub fn messages(&self) -> Vec<Message> {
        let all = match self.kind {
            kind if kind.is_journald() => self.journal(),
            _ => {
                let text = fs::read(self.directory.join("out")).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                // a line that is being written has no end yet
                let whole = text
                    .split_inclusive('\n')
                    .filter(|line| line.ends_with('\n'));
                whole
                    .filter_map(|line| self.message(line.trim_end_matches('\n')))
                    .collect()
            }
        };
        all.into_iter()
            .filter(|message| !message.ident.starts_with("syslog"))
            .collect()
    }

    fn message(&self, line: &str) -> Option<Message> {
        if self.kind == Kind::Busybox {
            // Mmm dd hh:mm:ss HOST FACILITY.LEVEL IDENT[PID]: TEXT
            let (time, rest) = line.split_at_checked(16)?;
            let mut words = rest.splitn(3, ' ');
            let (facility, severity) = words.nth(1)?.split_once('.')?;
            let (tag, text) = words.next()?.split_once(": ")?;
            let (ident, pid) = tag
                .trim_end_matches(']')
                .split_once('[')
                .unwrap_or((tag, ""));
            let number = |names: &[&str], name: &str| {
                let found = names.iter().position(|known| *known == name);
                found.map_or(name.into(), |number| number.to_string())
            };
            return Some(Message {
                facility: number(&FACILITIES, facility),
                severity: number(&LEVELS, severity),
                ident: ident.into(),
                pid: pid.into(),
                time: time.trim_end().into(),
                text: text.into(),
            });
        }
        // FACILITY SEVERITY IDENT PID TIME| TEXT, by imjournal without the space
        let (head, text) = line.split_once('|')?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let mut words = head.splitn(5, ' ').map(String::from);
        Some(Message {
            facility: words.next()?,
            severity: words.next()?,
            ident: words.next()?,
            pid: words.next()?,
            time: words.next()?,
            text: text.into(),
        })
    }

    /// What journalctl prints of the journal with these arguments.
    pub fn journalctl(&self, args: &[&str]) -> String {
        let mut command = journalctl();
        command
            .arg("-D")
            .arg(self.directory.join("run/log/journal"))
            .args(["-q", "--no-pager"])
            .args(args);
        let output = command.output().expect("journalctl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn journal(&self) -> Vec<Message> {
        let transport = match self.kind {
            Kind::JournaldNative => "_TRANSPORT=journal",
            _ => "_TRANSPORT=syslog",
        };
        let text = self.journalctl(&["-o", "export", transport]);
        let entry = |text: &str| {
            let field = |name: &str| {
                // MESSAGE is not MESSAGE_ID
                let value =
                    |line: &'_ str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_string());
                text.lines().find_map(value).unwrap_or_default()
            };
            Message {
                facility: field("SYSLOG_FACILITY"),
                severity: field("PRIORITY"),
                ident: field("SYSLOG_IDENTIFIER"),
                pid: field("SYSLOG_PID"),
                time: field("SYSLOG_TIMESTAMP").trim_end().into(),
                text: field("MESSAGE"),
            }
        };
        let entries = text.split("\n\n").filter(|text| !text.trim().is_empty());
        entries.map(entry).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// journalctl, the unpacked one if there is one.
pub fn journalctl() -> Command {
    match find(&["bin/journalctl", "usr/bin/journalctl"]) {
        Some(program) if program.starts_with(UNPACKED) => {
            let mut command = Command::new(program);
            command.env("LD_LIBRARY_PATH", library_path());
            command
        }
        _ => Command::new("journalctl"),
    }
}

/// A shell script in a mount namespace of its own; its first arguments follow.
pub fn namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]);
    command
}

/// Whether there are private mount namespaces.
pub fn namespaces() -> bool {
    let status = namespace("mount --bind /proc /proc")
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// What was unpacked goes before what is installed.
fn find(candidates: &[&str]) -> Option<PathBuf> {
    let roots = [Path::new(UNPACKED), Path::new("/")];
    let paths = roots
        .iter()
        .flat_map(|root| candidates.iter().map(|name| root.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// The unpacked directory with this file in it.
fn directory_of(name: &str) -> Option<PathBuf> {
    let directories = library_directories();
    directories
        .into_iter()
        .find(|path| path.join(name).exists())
}

/// Every unpacked directory with a shared library in it.
fn library_directories() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        let is_library = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.ends_with(".so") || name.contains(".so.")
        };
        if paths.iter().any(is_library) {
            found.push(directory.into());
        }
        for path in paths {
            if path.is_dir() && !path.is_symlink() {
                walk(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    for library in ["lib", "usr/lib"] {
        walk(&Path::new(UNPACKED).join(library), &mut found);
    }
    found
}

fn library_path() -> String {
    let mut found: Vec<String> = library_directories()
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let before = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    found.extend((!before.is_empty()).then_some(before));
    found.join(":")
}
