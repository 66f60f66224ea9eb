//! Standard output and standard error: the journal's stream, pipes that nobody
//! reads, and pipes that were closed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("streams::the_journals_stream_gets_a_level_alone", journal),
        trial(
            "streams::a_pipe_that_nobody_reads_blocks_nothing",
            full_pipe,
        ),
        trial(
            "streams::a_stop_does_not_wait_for_a_full_pipe",
            full_pipe_stop,
        ),
        trial("streams::a_closed_pipe_is_a_failure", closed_pipe),
        trial(
            "streams::a_stop_writes_the_rest_to_standard_error",
            missing_receiver,
        ),
        trial(
            "streams::a_stop_says_how_many_lines_a_queue_dropped",
            missing_receiver_overflow,
        ),
        trial(
            "streams::a_full_file_system_tears_no_line",
            full_file_system,
        ),
    ]
}

fn journal() -> Outcome {
    for named in [true, false] {
        let (mut near, far) = UnixStream::pair()?;
        let stat = fs::metadata(format!("/proc/self/fd/{}", far.as_raw_fd()))?;
        let inode = if named { stat.ino() } else { stat.ino() + 1 };
        let status = binary()
            .env("JOURNAL_STREAM", format!("{}:{inode}", stat.dev()))
            .args(["--drill", "-f", "/dev/null", "-o", "stdout"])
            .stdout(OwnedFd::from(far))
            .status()?;
        assert!(status.success());
        let mut text = String::new();
        near.read_to_string(&mut text)?;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        match named {
            true => {
                assert!(lines[0].starts_with("<2>memory pressure critical: event=begin "));
                assert!(lines[1].starts_with("<5>memory pressure ended: event=end "));
            }
            false => assert!(lines.iter().all(|line| line[15..].starts_with(" psilogd["))),
        }
    }
    done()
}

/// A pipe with both its ends here: the daemon gets the same open file.
struct Pipe {
    reader: File,
    writer: File,
}

impl Pipe {
    fn new(scratch: &Scratch) -> Pipe {
        let path = scratch.0.join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .expect("a pipe");
        let writer = OpenOptions::new().write(true).open(&path).expect("a pipe");
        // now that there is a writer: a reader that waits
        let reader = File::open(format!("/proc/self/fd/{}", reader.as_raw_fd())).expect("a pipe");
        Pipe { reader, writer }
    }

    /// The flags of the open file that the daemon shares.
    fn flags(&self) -> i32 {
        let path = format!("/proc/self/fdinfo/{}", self.writer.as_raw_fd());
        let text = fs::read_to_string(path).expect("fdinfo");
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        i32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal")
    }
}

/// A daemon whose standard output is the pipe, with a copy of every line at a
/// socket that is read.
struct Pressed {
    child: Child,
    /// What was written so far.
    lines: Vec<String>,
    socket: UnixDatagram,
    pipe: Pipe,
    _scratch: Scratch,
}

impl Pressed {
    fn start() -> Pressed {
        let scratch = Scratch::new();
        let pipe = Pipe::new(&scratch);
        let path = scratch.0.join("log");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let copy = format!("syslog:{}", path.display());
        let file = scratch.file("conf", "queue 256\n");
        let child = binary()
            .arg("-f")
            .arg(file)
            .args(["-o", "stdout", "-o", &copy])
            .stdout(pipe.writer.try_clone().expect("a pipe"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("psilogd starts");
        let mut pressed = Pressed {
            child,
            lines: Vec::new(),
            socket,
            pipe,
            _scratch: scratch,
        };
        while !pressed.next().contains(": event=start ") {}
        pressed
    }

    /// The next line at the socket, without its header.
    fn next(&mut self) -> String {
        let body = receive(&self.socket);
        self.lines.push(body.clone());
        body
    }

    /// Status lines, one per built-in rule and signal, and a sign of life: more than the
    /// pipe holds, and no more than the queue does behind it.
    fn fill(&mut self) {
        const LINES: usize = 520;
        let lines = psilogd::config::BUILT_IN.lines().count() + 1;
        for _ in 0..LINES / lines {
            signal(self.child.id(), "USR1");
            (0..lines).for_each(|_| {
                self.next();
            });
        }
        let header = "Nov 22 20:00:00 psilogd[1]: \n".len();
        let length: usize = self.lines.iter().map(|line| header + line.len()).sum();
        assert!(length > 64 << 10, "the pipe takes {length}");
    }
}

impl Drop for Pressed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line at a socket, without its header.
fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 2048];
    let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a line");
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let (_, body) = text.split_once("]: ").expect("a tag");
    body.into()
}

/// The exit code of a daemon that ends by itself; None if it had to be killed.
fn exit_code(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + DEADLINE;
    loop {
        match child.try_wait().expect("a child") {
            Some(status) => return status.code(),
            None if Instant::now() > end => {
                let _ = child.kill();
                return child.wait().expect("a child").code();
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn full_pipe() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let mut pressed = Pressed::start();
    let before = pressed.pipe.flags();
    pressed.fill();
    assert_eq!(pressed.pipe.flags(), before, "the flags of a shared file");
    assert_eq!(before & libc::O_NONBLOCK, 0);
    // it is read again: every line is there, once and in order
    let reader = pressed.pipe.reader.try_clone()?;
    let count = pressed.lines.len();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader)
            .lines()
            .map_while(Result::ok)
            .take(count)
        {
            let _ = sender.send(line);
        }
    });
    for expected in &pressed.lines {
        let line = receiver.recv_timeout(DEADLINE)?;
        let (_, body) = line.split_once("]: ").expect("a tag");
        let body = body.split(" delayed_s=").next().unwrap_or_default();
        assert_eq!(body, expected);
    }
    signal(pressed.child.id(), "TERM");
    assert_eq!(exit_code(&mut pressed.child), Some(0));
    done()
}

fn full_pipe_stop() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let mut pressed = Pressed::start();
    pressed.fill();
    signal(pressed.child.id(), "TERM");
    while !pressed.next().contains(": event=stop ") {}
    let mut errors = String::new();
    let stderr = pressed.child.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut errors)?;
    assert_eq!(exit_code(&mut pressed.child), Some(0));
    // the last of what did not go out
    let last = errors.lines().last().unwrap_or_default();
    assert!(
        last.ends_with(": event=stop level=info signal=TERM"),
        "{errors}"
    );
    done()
}

fn closed_pipe() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let mut child = binary()
        .args(["-f", "/dev/null", "-o", "stdout"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    assert!(line.contains(": event=start "), "{line}");
    drop(reader);
    // the child of another test has the reading end, too, until it executes its program
    let end = Instant::now() + DEADLINE;
    while child.try_wait()?.is_none() && Instant::now() < end {
        signal(child.id(), "USR1");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(exit_code(&mut child), Some(1));
    done()
}

/// Another output shows when it has started.
fn missing_receiver() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let missing = format!("syslog:{}/nobody", scratch.0.display());
    let daemon = Psilogd::start(&["-f", "/dev/null", "-o", &missing]);
    let tag = format!(" psilogd[{}]: ", daemon.pid());
    let start = Instant::now();
    let (status, rest, errors) = daemon.end("TERM");
    let took = start.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(rest.iter().any(|line| line.event() == "stop"));
    let lines: Vec<&str> = errors.lines().collect();
    assert!(
        lines.iter().all(|line| line[15..].starts_with(&tag)),
        "{errors}"
    );
    let event = |line: &&str| Line::new(line).event().to_string();
    let events: Vec<String> = lines.iter().map(event).collect();
    assert_eq!(
        events.first().map(String::as_str),
        Some("start"),
        "{errors}"
    );
    assert_eq!(events.last().map(String::as_str), Some("stop"), "{errors}");
    assert!(took >= Duration::from_millis(200), "{took:?}");
    println!("streams: a stop without a receiver took {took:?}");
    done()
}

/// A full queue behind a receiver that never appears. How many lines it lost is known to
/// another output, which has had all of them.
fn missing_receiver_overflow() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    const QUEUE: usize = 16;
    const ROUNDS: usize = 4;
    let scratch = Scratch::new();
    let file = scratch.file("conf", format!("queue {QUEUE}\n"));
    let missing = format!("syslog:{}/nobody", scratch.0.display());
    let mut daemon = Psilogd::start(&["-f", &file, "-o", &missing]);
    for _ in 0..ROUNDS {
        daemon.signal("USR1");
        daemon.wait("alive");
    }
    let before = daemon.seen.len();
    let (_, rest, errors) = daemon.end("TERM");
    let dropped = before + rest.len() - QUEUE;
    let last = errors.lines().last().unwrap_or_default();
    let expected = format!("lines dropped: event=dropped level=warning count={dropped}");
    assert!(last.ends_with(&expected), "{dropped} dropped: {errors}");
    assert_eq!(errors.lines().count(), QUEUE + 1, "{errors}");
    done()
}

/// Standard output is a file where 4096 bytes are free until a second file is removed.
/// Another output has every line, as it should be in the file.
fn full_file_system() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if let Err(why) = works("unshare", &["-rm", "true"]) {
        return skip(why);
    }
    const ROOM: u64 = 4096;
    let scratch = Scratch::new();
    let disk = scratch.0.join("disk");
    fs::create_dir(&disk)?;
    let socket = UnixDatagram::bind(scratch.0.join("log"))?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let script = "mount -t tmpfs -o size=8k none disk && head -c 4096 /dev/zero > disk/other &&
        exec \"$0\" -f /dev/null -o stdout -o syslog:$PWD/log > disk/log";
    let mut child = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, program()])
        .current_dir(&scratch.0)
        .spawn()?;
    let disk = format!("/proc/{}/root{}", child.id(), disk.display());
    let file = format!("{disk}/log");
    let mut lines = vec![receive(&socket)];
    // the file is full, and then a turn later its second write has been refused
    let status_lines = |lines: &mut Vec<String>| {
        signal(child.id(), "USR1");
        lines.extend(psilogd::config::BUILT_IN.lines().map(|_| receive(&socket)));
        // the sign of life
        lines.push(receive(&socket));
    };
    while fs::metadata(&file)?.len() < ROOM {
        status_lines(&mut lines);
    }
    status_lines(&mut lines);
    assert!(!fs::read_to_string(&file)?.ends_with('\n'), "no torn line");
    fs::remove_file(format!("{disk}/other"))?;
    until("every line is in the file", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.ends_with('\n') && text.lines().count() >= lines.len()
    });
    let text = fs::read_to_string(&file)?;
    let bodies = text.lines().map(|line| {
        let (_, body) = line.split_once("]: ").unwrap_or(("", line));
        body.split(" delayed_s=").next().unwrap_or_default()
    });
    assert_eq!(bodies.collect::<Vec<_>>(), lines);
    signal(child.id(), "TERM");
    assert_eq!(exit_code(&mut child), Some(0));
    done()
}
