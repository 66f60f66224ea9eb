//! What arrives at journald's own socket, and where `output auto` leads. Real journald is
//! in tests/receivers.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;

use crate::fence::QUIET;
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("journal::every_key_is_a_field", fields),
        trial("journal::a_new_socket_is_found_from_inside_the_fence", anew),
        trial("journal::auto_is_where_the_service_logs", auto),
        trial("journal::a_drill_goes_where_the_service_logs", auto_drill),
    ]
}

fn bound(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("a socket");
    socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    socket
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 8192];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a datagram");
    String::from_utf8(buffer[..length].to_vec()).expect("ASCII")
}

/// The values of a field; every field is `NAME=value` and a newline.
fn values<'a>(datagram: &'a str, name: &str) -> Vec<&'a str> {
    assert!(datagram.ends_with('\n'), "{datagram}");
    let fields = datagram.lines().map(|field| {
        let (name, value) = field.split_once('=').expect("a field");
        let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        assert!(name.bytes().all(plain) && name.len() <= 64, "{datagram}");
        (name, value)
    });
    let found = fields.filter(|(other, _)| *other == name);
    found.map(|(_, value)| value).collect()
}

/// Beside a syslog socket that gets the same lines.
fn fields() -> Outcome {
    let scratch = Scratch::new();
    let (journal, log) = (scratch.0.join("journal"), scratch.0.join("log"));
    let (socket, syslog) = (bound(&journal), bound(&log));
    let outputs = [
        format!("journal:{}", journal.display()),
        format!("syslog:{}", log.display()),
    ];
    let file = scratch.file("psilogd.conf", "facility local5\n");
    let drill = ["--drill", "-f", &file, "-o", &outputs[0], "-o", &outputs[1]];
    let rule = "io full 20%/2s level=crit name=a.b-C cgroup=/système.slice/a\\x2db.service";
    let (status, text, errors) = run(&[&drill[..], &[rule]].concat());
    assert_eq!((status, &*errors), (Some(0), ""));
    let taken = format!("the journal at {}: taken\n", journal.display());
    assert!(text.contains(&taken), "{text}");
    for (event, priority) in [("begin", "2"), ("end", "5")] {
        let datagram = received(&socket);
        let line = received(&syslog);
        let (header, body) = line.split_once(": ").expect("a header");
        let (time, pid) = header.split_once(" psilogd[").expect("a tag");
        let one = |name: &str| match values(&datagram, name)[..] {
            [value] => value,
            ref other => panic!("{name} is {other:?}: {datagram}"),
        };
        assert_eq!(one("MESSAGE"), body);
        assert_eq!(one("PRIORITY"), priority);
        assert_eq!(one("SYSLOG_FACILITY"), "21");
        assert_eq!(one("SYSLOG_IDENTIFIER"), "psilogd");
        assert_eq!(one("SYSLOG_PID"), pid.trim_end_matches(']'));
        assert_eq!(Some(one("SYSLOG_TIMESTAMP")), time.split('>').nth(1));
        let id = psilogd::report::message_id(event.as_bytes(), b"io");
        assert_eq!(Some(one("MESSAGE_ID")), id);
        let keys: Vec<_> = body
            .split(' ')
            .filter_map(|word| word.split_once('='))
            .collect();
        for (key, value) in &keys {
            let name = format!("PSI_{}", key.to_ascii_uppercase());
            assert_eq!(one(&name), *value, "{name}");
        }
        assert_eq!(one("PSI_CGROUP"), "/syst%C3%A8me.slice/a\\x2db.service");
        let psi = datagram.lines().filter(|field| field.starts_with("PSI_"));
        assert_eq!(psi.count(), keys.len());
        assert_eq!(datagram.lines().count(), keys.len() + 7);
    }
    done()
}

/// journald is started again, with a socket that the running daemon has never seen: with
/// and without a reload, from inside Landlock and the filter of system calls.
fn anew() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let path = scratch.0.join("journal");
    let socket = bound(&path);
    let output = format!("journal:{}", path.display());
    let mut daemon = Psilogd::start(&[&["-o", &output], &QUIET[..]].concat());
    let event = |socket: &UnixDatagram| {
        let datagram = received(socket);
        let events = values(&datagram, "PSI_EVENT");
        (events.join(" "), values(&datagram, "PSI_RULE").join(" "))
    };
    assert_eq!(event(&socket).0, "start");
    drop(socket);
    // a process that another test starts may hold it until it is there
    let there = |line: &str| line.ends_with(path.to_str().expect("text"));
    let sockets = || fs::read_to_string("/proc/net/unix").expect("readable");
    until("it closed", || !sockets().lines().any(there));
    fs::remove_file(&path)?;
    daemon.signal("USR1");
    daemon.wait("status");
    let socket = bound(&path);
    assert_eq!(event(&socket), ("status".into(), "quiet".into()));
    // the old one lives on, but its path leads elsewhere
    fs::remove_file(&path)?;
    let other = bound(&path);
    daemon.signal("HUP");
    daemon.wait("reload");
    assert_eq!(event(&other).0, "reload");
    let (status, _, errors) = daemon.end("TERM");
    assert_eq!((status.code(), &*errors), (Some(0), ""));
    assert_eq!(event(&other).0, "stop");
    done()
}

/// A mount namespace with journald's socket, if `journald`, and with /dev/log.
struct Host {
    scratch: Scratch,
    journal: Option<UnixDatagram>,
    syslog: UnixDatagram,
}

impl Host {
    fn new(journald: bool) -> Host {
        let scratch = Scratch::new();
        let journal = scratch.0.join("run/systemd/journal");
        fs::create_dir_all(&journal).expect("a directory");
        fs::create_dir(scratch.0.join("dev")).expect("a directory");
        Host {
            journal: journald.then(|| bound(&journal.join("socket"))),
            syslog: bound(&scratch.0.join("dev/log")),
            scratch,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let file = self.scratch.file("psilogd.conf", "# no settings\n");
        let script = "mount --bind \"$1/run\" /run && mount --bind \"$1/dev\" /dev && \
                      shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", script, "sh"])
            .arg(&self.scratch.0)
            .arg(binary().get_program())
            .args(["-f", &file])
            .args(args)
            .env_remove("JOURNAL_STREAM");
        command
    }

    /// The first line of either receiver: whose, and what.
    fn first(&self) -> (&'static str, String) {
        let sockets = [
            ("journal", self.journal.as_ref()),
            ("syslog", Some(&self.syslog)),
        ];
        for (_, socket) in &sockets {
            let nonblocking = socket.map_or(Ok(()), |socket| socket.set_nonblocking(true));
            nonblocking.expect("a socket");
        }
        let seen = std::cell::RefCell::new(None);
        until("a line", || {
            let mut buffer = [0; 8192];
            for (name, socket) in &sockets {
                if let Some(Ok(length)) = socket.map(|socket| socket.recv(&mut buffer)) {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    *seen.borrow_mut() = Some((*name, text));
                    return true;
                }
            }
            false
        });
        seen.into_inner().expect("a line")
    }
}

const NAMESPACE: [&str; 4] = ["-rm", "mount", "--bind", "/proc"];

fn no_namespace() -> Option<String> {
    works("unshare", &[&NAMESPACE[..], &["/proc"]].concat()).err()
}

/// A child that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With standard output the journal's stream, another socket, or the journal's stream
/// that standard error alone is.
fn auto() -> Outcome {
    if let Some(why) = no_trigger().or_else(no_namespace) {
        return skip(why);
    }
    for (named, expected) in [(Some(0), "journal"), (Some(1), "syslog"), (None, "syslog")] {
        let host = Host::new(true);
        let (_near, far) = UnixStream::pair()?;
        let stat = fs::metadata(format!("/proc/self/fd/{}", far.as_raw_fd()))?;
        let mut command = host.command(&["cpu some 100%/2s name=quiet"]);
        if let Some(off) = named {
            let stream = format!("{}:{}", stat.dev(), stat.ino() + off);
            command.env("JOURNAL_STREAM", stream);
        }
        command.stdout(OwnedFd::from(far)).stderr(Stdio::null());
        let _running = Running(command.spawn()?);
        let (name, line) = host.first();
        assert_eq!(name, expected, "{named:?}: {line}");
        assert!(line.contains("psilogd started: event=start "), "{line}");
    }
    done()
}

/// What makes a drill has no stream of the journal.
fn auto_drill() -> Outcome {
    if let Some(why) = no_namespace() {
        return skip(why);
    }
    for (journald, expected) in [(true, "journal"), (false, "syslog")] {
        let host = Host::new(journald);
        let output = host.command(&["--drill"]).output()?;
        assert!(output.status.success(), "{output:?}");
        let (name, line) = host.first();
        assert_eq!(name, expected, "{line}");
        assert!(line.contains(" event=begin "), "{line}");
        let report = String::from_utf8_lossy(&output.stdout);
        let place = match expected {
            "journal" => "the journal: taken\n",
            _ => "syslog at /dev/log: taken\n",
        };
        assert!(report.ends_with(place), "{report}");
    }
    done()
}
