//! The same storm side by side: our sink, logger(1), syslog(3) and the syslog
//! crate's own backend, while the receiver is terminated and started again,
//! killed and started again, or stopped for three seconds. Prints a table.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../receivers/receiver.rs"]
#[allow(dead_code)]
mod receiver;
#[allow(dead_code)]
mod sender;
#[path = "../it/support.rs"]
#[allow(dead_code)]
mod support;

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use syslog::{Facility, Formatter3164};

use receiver::{Kind, Receiver, namespace};
use support::Scratch;

const LINES: u64 = 500;
const INTERVAL: Duration = Duration::from_millis(20);
/// How long the storm goes on before the outage.
const BEFORE: Duration = Duration::from_secs(3);
/// From the receiver's end to its start.
const GONE: Duration = Duration::from_secs(1);
const STOPPED: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
enum Sender {
    Sink,
    Logger,
    Libc,
    Crate,
}

const SENDERS: [(&str, Sender); 4] = [
    ("psilogd's sink", Sender::Sink),
    ("logger(1)", Sender::Logger),
    ("syslog(3)", Sender::Libc),
    ("the syslog crate's backend", Sender::Crate),
];

#[derive(Clone, Copy)]
enum Outage {
    Term,
    Kill,
    Stop,
}

struct Result {
    lost: u64,
    doubled: usize,
    longest: Duration,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("send") => sender::main(&words[1..]),
        Some("crate") => with_the_crate(&words[1]),
        _ => compare(),
    }
}

fn compare() {
    let scratch = Scratch::new();
    let program = compile(&scratch);
    println!(
        "{LINES} lines, one every {} ms. Lost, doubled, and the sender's longest call:\n",
        INTERVAL.as_millis()
    );
    println!("| sender | receiver | TERM, started 1 s later | KILL, likewise | STOP for 3 s |");
    println!("|---|---|---|---|---|");
    let mut rows = vec![Vec::new(); 2 * SENDERS.len()];
    for outage in [Outage::Term, Outage::Kill, Outage::Stop] {
        for (at, kind) in [Kind::Rsyslogd, Kind::Busybox].into_iter().enumerate() {
            // side by side, each with a receiver of its own
            let runs: Vec<_> = SENDERS
                .iter()
                .map(|(_, sender)| {
                    let (sender, program) = (*sender, program.clone());
                    thread::spawn(move || run(sender, kind, outage, &program))
                })
                .collect();
            for (index, run) in runs.into_iter().enumerate() {
                let result = run.join().expect("a run");
                rows[2 * index + at].push(format!(
                    "{}, {}, {:.1} ms",
                    result.lost,
                    result.doubled,
                    result.longest.as_secs_f64() * 1e3
                ));
            }
        }
    }
    for (index, cells) in rows.iter().enumerate() {
        let (name, _) = SENDERS[index / 2];
        let kind = [Kind::Rsyslogd, Kind::Busybox][index % 2];
        println!("| {name} | {} | {} |", kind.name(), cells.join(" | "));
    }
}

fn compile(scratch: &Scratch) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/storm/syslog3.c");
    let program = scratch.0.join("syslog3");
    let status = Command::new("cc")
        .args(["-O2", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cc {source}");
    program
}

fn run(sender: Sender, kind: Kind, outage: Outage, program: &Path) -> Result {
    let scratch = Scratch::new();
    let mut receiver = Receiver::new(kind, scratch.0.join("a")).expect("tests/receivers/install");
    receiver.start();
    let trace = scratch.0.join("trace");
    let mut child = start(sender, &receiver, program, &trace);
    let feeder = child
        .stdin
        .take()
        .map(|stdin| thread::spawn(|| feed(stdin)));
    thread::sleep(BEFORE);
    match outage {
        Outage::Stop => {
            receiver.signal("STOP");
            thread::sleep(STOPPED);
            receiver.signal("CONT");
        }
        Outage::Term | Outage::Kill => {
            receiver.end(if matches!(outage, Outage::Term) {
                "TERM"
            } else {
                "KILL"
            });
            thread::sleep(GONE);
            receiver.start();
        }
    }
    if let Some(feeder) = feeder {
        feeder.join().expect("the feeder");
    }
    let output = child.wait_with_output().expect("the sender ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let longest = match sender {
        Sender::Logger => traced(&trace),
        _ => Duration::from_micros(text.trim().parse().expect("microseconds")),
    };
    // nothing comes any more
    let mut count = usize::MAX;
    while receiver.messages().len() != count {
        count = receiver.messages().len();
        thread::sleep(Duration::from_secs(1));
    }
    let number = |text: &str| -> Option<u64> {
        let (_, rest) = text.split_once("id=6a2b1c3d.")?;
        rest.split(' ').next()?.parse().ok()
    };
    let messages = receiver.messages();
    let numbers: Vec<u64> = messages
        .iter()
        .filter_map(|message| number(&message.text))
        .collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    Result {
        lost: LINES - distinct.len() as u64,
        doubled: numbers.len() - distinct.len(),
        longest,
    }
}

fn start(sender: Sender, receiver: &Receiver, program: &Path, trace: &Path) -> Child {
    let socket = receiver.socket();
    let myself = env::current_exe().expect("a path");
    let milliseconds = INTERVAL.as_millis().to_string();
    let mut command = match sender {
        Sender::Sink => {
            let mut command = Command::new(myself);
            command.args([
                "send",
                &receiver.output(),
                &LINES.to_string(),
                &milliseconds,
            ]);
            command
        }
        Sender::Crate => {
            let mut command = Command::new(myself);
            command.arg("crate").arg(socket);
            command
        }
        Sender::Libc => {
            // syslog(3) knows no other path
            let mut command = namespace("mount --bind \"$1\" /dev && shift && exec \"$@\"");
            command
                .arg(socket.parent().expect("a directory"))
                .arg(program);
            command.args([&LINES.to_string(), &milliseconds]);
            command
        }
        Sender::Logger => {
            let mut command = Command::new("strace");
            let calls = "trace=sendto,sendmsg,write,writev,connect";
            command
                .args(["-T", "-s", "0", "-e", calls, "-o"])
                .arg(trace);
            command.args([
                "logger",
                "--socket-errors=on",
                "-t",
                "psilogd",
                "-p",
                "daemon.crit",
            ]);
            command.arg("-u").arg(socket).stdin(Stdio::piped());
            command
        }
    };
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("the sender starts")
}

/// Calls once an interval, whatever a call takes.
fn paced(mut call: impl FnMut(u64)) -> Duration {
    let mut longest = Duration::ZERO;
    let mut due = Instant::now();
    for number in 1..=LINES {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        call(number);
        longest = longest.max(start.elapsed());
        due += INTERVAL;
    }
    longest
}

fn text(number: u64) -> String {
    format!("memory pressure critical: event=begin level=crit id=6a2b1c3d.{number} avg10=0.00")
}

/// logger(1) may have given up; nobody reads then.
fn feed(mut stdin: ChildStdin) {
    paced(|number| {
        let _ = writeln!(stdin, "{}", text(number));
    });
}

/// The longest of a traced program's calls.
fn traced(file: &Path) -> Duration {
    let trace = std::fs::read_to_string(file).unwrap_or_default();
    let seconds = trace
        .lines()
        .filter_map(|line| line.rsplit_once('<')?.1.trim_end_matches('>').parse().ok());
    Duration::from_secs_f64(seconds.fold(0.0, f64::max))
}

fn with_the_crate(path: &str) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: "psilogd".into(),
        pid: std::process::id(),
    };
    let mut logger = syslog::unix_custom(formatter, path).expect("a connection");
    let longest = paced(|number| {
        let _ = logger.crit(text(number));
    });
    println!("{}", longest.as_micros());
}
