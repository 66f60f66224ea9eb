//! An output with a receiver that fails in any way: no line is lost without being
//! counted, doubled, torn or out of order, and the output is never stuck and never spins.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use psilogd::line::{LINE_MAX, Line};
use psilogd::report::Class;
use psilogd::severity::Severity;
use psilogd::sink::{Entry, Header, Output, Transport};
use psilogd::time::{Micros, Moment};
use syslog::Facility;

use super::bytes::Bytes;
use super::clean;

const START: Moment = Moment(1_000_000_000);
const HEADER: &str = "<28>psilogd[1]: ";
const CLASSES: [Class; 3] = [Class::Still, Class::Information, Class::Alarm];
const ERRORS: [i32; 5] = [
    libc::EAGAIN,
    libc::ECONNREFUSED,
    libc::EMSGSIZE,
    libc::ENOBUFS,
    libc::EPIPE,
];

/// How the receiver answers.
#[derive(Clone, Copy)]
enum Answer {
    /// It takes a part of the bytes, in 256ths.
    Part(u8),
    Fail(i32),
}

/// The receiver.
struct Receiver {
    /// A stream ends lines with a NUL, and may take a part of one.
    stream: bool,
    /// What was sent before stays before what is sent later, as in a file.
    continues: bool,
    /// EPIPE is the end for ever, as with a pipe.
    closes: bool,
    limit: usize,
    connects: VecDeque<Answer>,
    sends: VecDeque<Answer>,
    now: Moment,
    /// The beginning of a line.
    part: Vec<u8>,
    lines: Vec<(Moment, Vec<u8>)>,
    calls: usize,
    /// Whether it has refused a line as too long. A report of dropped lines may then be
    /// cut before its count.
    cuts: bool,
}

struct Scripted(Rc<RefCell<Receiver>>);

impl Transport for Scripted {
    fn connect(&mut self) -> io::Result<()> {
        let mut receiver = self.0.borrow_mut();
        receiver.calls += 1;
        if !receiver.continues {
            receiver.part.clear();
        }
        match receiver.connects.pop_front() {
            Some(Answer::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut receiver = self.0.borrow_mut();
        receiver.calls += 1;
        assert!(!bytes.is_empty());
        let taken = match receiver.sends.pop_front() {
            // a stream has no longest line
            Some(Answer::Fail(libc::EMSGSIZE)) if receiver.stream => bytes.len(),
            Some(Answer::Fail(errno)) => {
                receiver.cuts |= errno == libc::EMSGSIZE;
                return Err(io::Error::from_raw_os_error(errno));
            }
            Some(Answer::Part(part)) if receiver.stream => bytes.len() * usize::from(part) / 256,
            _ => bytes.len(),
        };
        receiver.take(&bytes[..taken]);
        Ok(taken)
    }

    fn close(&mut self) {}

    /// Nothing is waited for here; it is only asked whether something is.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(psilogd::sys::STDERR)
    }

    fn write_header(&self, line: &mut Line<'_>, _header: Header, _entry: &Entry) {
        line.text(HEADER);
    }

    fn end(&self) -> Option<u8> {
        self.0.borrow().stream.then_some(0)
    }

    fn continues(&self) -> bool {
        self.0.borrow().continues
    }

    fn limit(&self) -> usize {
        self.0.borrow().limit
    }

    fn is_over(&self, error: &io::Error) -> bool {
        self.0.borrow().closes && error.raw_os_error() == Some(libc::EPIPE)
    }
}

impl Receiver {
    fn new(bytes: &mut Bytes<'_>) -> Receiver {
        let kind = bytes.byte();
        let stream = kind & 1 != 0;
        Receiver {
            stream,
            continues: stream && kind & 2 != 0,
            closes: kind & 4 != 0,
            limit: if kind & 8 != 0 { 480 } else { LINE_MAX },
            connects: VecDeque::new(),
            sends: VecDeque::new(),
            now: START,
            part: Vec::new(),
            lines: Vec::new(),
            calls: 0,
            cuts: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.part.extend_from_slice(bytes);
        if !self.stream || self.part.ends_with(&[0]) {
            let mut line = std::mem::take(&mut self.part);
            line.truncate(line.len() - usize::from(self.stream));
            self.lines.push((self.now, line));
        }
    }
}

struct World {
    receiver: Rc<RefCell<Receiver>>,
    output: Output,
    now: Moment,
    limit: usize,
    slots: usize,
    /// When each line was logged; a line has its number.
    logged: Vec<Moment>,
    /// The number of the newest line that was received, from 1 on.
    newest: usize,
    received: u64,
    dropped: u64,
}

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let receiver = Rc::new(RefCell::new(Receiver::new(&mut bytes)));
    let mut world = World {
        output: Output::new(Box::new(Scripted(Rc::clone(&receiver))), 16, START),
        receiver,
        now: START,
        limit: LINE_MAX,
        slots: 16,
        logged: Vec::new(),
        newest: 0,
        received: 0,
        dropped: 0,
    };
    while !bytes.is_empty() {
        world.step(&mut bytes);
        world.check();
    }
    world.finish();
}

impl World {
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let now = self.now;
        match bytes.below(8) {
            0 | 1 => self.log(bytes.pick(&CLASSES), usize::from(bytes.byte()) * 3),
            2 => self.pass(Micros::millis(bytes.small() / 8)),
            3 => {
                let due = self.output.deadline().unwrap_or(now);
                self.pass(due.since(now));
            }
            4 => self.writable(),
            5 => {
                self.limit = 200 + usize::from(bytes.byte()) * 3;
                self.slots = 1 + bytes.below(20);
                let (limit, slots) = (self.limit, self.slots);
                self.output.set(Facility::LOG_DAEMON, limit, slots, now);
            }
            6 => {
                let answer = Answer::Fail(bytes.pick(&ERRORS));
                self.receiver.borrow_mut().connects.push_back(answer);
            }
            _ => {
                let answer = match bytes.flag() {
                    true => Answer::Part(bytes.byte()),
                    false => Answer::Fail(bytes.pick(&ERRORS)),
                };
                self.receiver.borrow_mut().sends.push_back(answer);
            }
        }
    }

    fn log(&mut self, class: Class, length: usize) {
        self.logged.push(self.now);
        let number = self.logged.len();
        let pad = "x".repeat(1 + length);
        let text = format!("io pressure: event=begin level=crit n={number} pad={pad} end=1");
        let entry = Entry::new(Severity::CRIT, class, Micros::ZERO, self.now);
        self.output.log(text.as_bytes(), entry, self.now);
    }

    fn pass(&mut self, time: Micros) {
        self.now = self.now + time;
        self.receiver.borrow_mut().now = self.now;
        self.output.expire(self.now);
    }

    fn writable(&mut self) {
        if self.output.waits_for().is_some() {
            self.output.writable(self.now);
        }
    }

    fn check(&mut self) {
        let waits = self.output.waits_for().is_some();
        let due = self.output.deadline();
        let idle = self.output.is_empty() || self.output.is_over();
        assert!(idle || waits || due.is_some(), "stuck");
        assert!(due.is_none_or(|due| due > self.now), "spins");
        let calls = std::mem::take(&mut self.receiver.borrow_mut().calls);
        assert!(calls <= 3 * 20 + 16, "{calls} calls");
        let lines = std::mem::take(&mut self.receiver.borrow_mut().lines);
        lines.iter().for_each(|(at, line)| self.received(*at, line));
    }

    fn received(&mut self, at: Moment, line: &[u8]) {
        let most = self.receiver.borrow().limit;
        // settings may be others than when its beginning was sent
        assert!(line.len() <= most);
        let text = line.strip_prefix(HEADER.as_bytes()).unwrap();
        let has = |key: &[u8]| text.windows(key.len()).any(|word| word == key);
        if !has(b" level=crit") && !has(b" level=warning") {
            // a receiver that takes less than that has its beginning
            clean::printable(text);
            self.received += 1;
            return;
        }
        let pairs = clean::line(text);
        let value = |key| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1);
        if value("event") == Some("dropped") {
            self.dropped += value("count").unwrap().parse::<u64>().unwrap();
            return;
        }
        let Some(number) = value("n") else {
            // cut before its number
            self.received += 1;
            return;
        };
        let number: usize = number.parse().unwrap();
        assert!(number > self.newest, "doubled or out of order");
        self.newest = number;
        self.received += 1;
        let late = at.since(self.logged[number - 1]) > Micros::secs(1);
        let stream = self.receiver.borrow().stream;
        assert!(stream || value("delayed_s").is_some() == late);
    }

    /// The receiver is well again: everything arrives or has been counted.
    fn finish(&mut self) {
        self.receiver.borrow_mut().connects.clear();
        self.receiver.borrow_mut().sends.clear();
        for _ in 0..200 {
            if self.output.is_empty() || self.output.is_over() {
                break;
            }
            self.pass(Micros::secs(1));
            self.writable();
            self.check();
        }
        if self.output.is_over() {
            assert!(self.receiver.borrow().closes);
            return;
        }
        assert!(self.output.is_empty());
        // a line that was lost as the last is reported behind the next one
        self.log(Class::Alarm, 0);
        self.check();
        let all = self.received + self.dropped == self.logged.len() as u64;
        assert!(all || self.receiver.borrow().cuts, "lost and not counted");
    }
}
