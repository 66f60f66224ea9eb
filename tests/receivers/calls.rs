//! System calls, as strace(1) sees them: one send a line, and none that blocks.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use libtest_mimic::Trial;

use crate::receiver::{Kind, Receiver};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("calls::one_send_a_line", one_send),
        trial("calls::no_send_waits_for_a_stopped_receiver", stopped),
    ]
}

fn strace(file: &Path, program: &Path) -> Command {
    let mut command = Command::new("strace");
    // -D: the pid of the child is the program's
    command
        .args(["-D", "-T", "-s", "0", "-o"])
        .arg(file)
        .arg(program);
    command
}

/// Whether programs may be traced here.
fn can_trace() -> bool {
    let status = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    status.is_ok_and(|status| status.success())
}

const NO_STRACE: &str = "no strace, or no right to trace: tests/receivers/install fetches it";

/// The name of a call, its arguments and result, and how long it took.
struct Call {
    name: String,
    text: String,
    seconds: f64,
}

fn calls(file: &Path) -> Vec<Call> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let call = |line: &str| {
        let (name, rest) = line.split_once('(')?;
        let (text, time) = rest.rsplit_once(" <")?;
        Some(Call {
            name: name.into(),
            text: text.into(),
            seconds: time.trim_end_matches('>').parse().ok()?,
        })
    };
    text.lines().filter_map(call).collect()
}

fn one_send() -> Outcome {
    const LINES: usize = 300;
    if !can_trace() {
        return skip(NO_STRACE);
    }
    let scratch = Scratch::new();
    let socket = UnixDatagram::bind(scratch.0.join("log"))?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let reader = thread::spawn(move || {
        let mut buffer = [0; 2048];
        (0..LINES).all(|_| uninterrupted(|| socket.recv(&mut buffer)).is_ok())
    });
    let file = scratch.0.join("trace");
    let status = strace(&file, &std::env::current_exe()?)
        .arg("send")
        .arg(format!("syslog:{}/log", scratch.0.display()))
        .args([&LINES.to_string(), "3"])
        .stdout(Stdio::null())
        .status()?;
    assert!(status.success());
    assert!(reader.join().expect("the reader"), "not every line arrived");
    // strace ends after the program
    until("the trace", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("+++ exited"))
    });
    let calls = calls(&file);
    let is_send = |call: &&Call| call.name == "sendto";
    let first = calls
        .iter()
        .position(|call| is_send(&call))
        .expect("a send");
    let last = calls
        .iter()
        .rposition(|call| is_send(&call))
        .expect("a send");
    let between = &calls[first..=last];
    let count = |name: &str| between.iter().filter(|call| call.name == name).count();
    let (sends, polls) = (count("sendto"), count("poll"));
    // A reader that gets no CPU for a while leaves the socket full: such a send is
    // refused, and made again once poll(2) has seen room.
    let refused = between
        .iter()
        .filter(|call| is_send(call) && call.text.contains("= -1 EAGAIN"))
        .count();
    println!(
        "calls: {LINES} lines: {sends} sendto, {refused} of them refused, {polls} poll, {} others",
        between.len() - sends - polls
    );
    assert_eq!(sends - refused, LINES);
    // one wait between two lines, for the storm's own timer, and one for room
    assert!(polls < LINES + 10 + refused, "{polls}");
    let others: Vec<&str> = between
        .iter()
        .filter(|call| !["sendto", "poll"].contains(&call.name.as_str()))
        .map(|call| call.name.as_str())
        .collect();
    assert!(others.is_empty(), "{others:?}");
    done()
}

/// The daemon itself, while rsyslogd is stopped: a status line per
/// built-in rule and signal, seen at its other output.
fn stopped() -> Outcome {
    // more lines than a socket holds, and no more than the queue
    const ROUNDS: usize = 8;
    if !can_trace() {
        return skip(NO_STRACE);
    }
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let mut receiver = match Receiver::new(Kind::Rsyslogd, scratch.0.join("a")) {
        Ok(receiver) => receiver,
        Err(why) => return skip(why),
    };
    receiver.start();
    let file = scratch.0.join("trace");
    let mut command = strace(&file, Path::new(program()));
    command.args(["-f", "/dev/null", "-o", &receiver.output(), "-o", "stdout"]);
    let mut daemon = Psilogd::spawn(&mut command);
    daemon.wait("start");
    receiver.signal("STOP");
    let rules = psilogd::config::BUILT_IN.lines().count();
    // and the sign of life
    let lines = (rules + 1) * ROUNDS;
    for _ in 0..ROUNDS {
        daemon.signal("USR1");
        (0..rules).for_each(|_| {
            daemon.wait("status");
        });
        daemon.wait("alive");
    }
    receiver.signal("CONT");
    // start, and all the others
    until("every line", || receiver.messages().len() == 1 + lines);
    let (status, _, _) = daemon.end("TERM");
    assert_eq!(status.code(), Some(0));
    until("the trace", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("+++ exited"))
    });
    let calls = calls(&file);
    let sends: Vec<&Call> = calls.iter().filter(|call| call.name == "sendto").collect();
    assert!(sends.len() >= lines);
    for call in &sends {
        assert!(call.text.contains("MSG_DONTWAIT"), "{}", call.text);
    }
    let is_full = |call: &Call| call.text.contains("EAGAIN");
    let first_full = sends.iter().position(|call| is_full(call));
    let first_full = first_full.expect("the receiver was never full");
    // Once full it is left alone until poll(2) says that there is room, and then there
    // is: how much the receiver takes at a time decides how often it is full again.
    let twice = sends
        .windows(2)
        .any(|two| two.iter().all(|call| is_full(call)));
    assert!(!twice, "sent to a receiver that had just been full");
    let sockets = calls.iter().filter(|call| call.name == "socket");
    for call in sockets.filter(|call| call.text.starts_with("AF_UNIX, SOCK_DGRAM")) {
        assert!(call.text.contains("SOCK_NONBLOCK"), "{}", call.text);
    }
    // until it was full the receiver was stopped: nobody was woken by a send
    let stopped = &sends[1..=first_full];
    let longest = |calls: &[&Call]| {
        let seconds = calls.iter().map(|call| call.seconds);
        seconds.fold(0.0, f64::max) * 1e3
    };
    println!(
        "calls: receiver stopped: {} sends, longest {:.3} ms; all {} sends, longest {:.3} ms",
        stopped.len(),
        longest(stopped),
        sends.len(),
        longest(&sends)
    );
    done()
}
