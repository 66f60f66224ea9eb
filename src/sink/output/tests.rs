//! The states of an output, against a receiver that answers by a script.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::*;
use crate::severity::Severity;

/// What the receiver does next; when nothing is left, it takes everything.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Part(usize),
    Fail(i32),
}

#[derive(Default)]
struct Script {
    connects: VecDeque<Answer>,
    sends: VecDeque<Answer>,
    received: Vec<String>,
    part: Vec<u8>,
    attempts: usize,
    limit: Option<usize>,
    /// What was sent before stays, as in a file.
    continues: bool,
    not_before: Option<Moment>,
}

struct Fake(Rc<RefCell<Script>>);

impl Transport for Fake {
    fn connect(&mut self) -> io::Result<()> {
        let mut script = self.0.borrow_mut();
        script.attempts += 1;
        if !script.continues {
            script.part.clear();
        }
        match script.connects.pop_front() {
            Some(Answer::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.0.borrow_mut();
        if script.limit.is_some_and(|limit| bytes.len() > limit) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        match script.sends.pop_front() {
            Some(Answer::Fail(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Answer::Part(count)) => {
                script.part.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            None => {
                let mut line = std::mem::take(&mut script.part);
                line.extend_from_slice(bytes);
                script
                    .received
                    .push(String::from_utf8_lossy(&line).into_owned());
                Ok(bytes.len())
            }
        }
    }

    fn close(&mut self) {}

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(crate::sys::STDERR.as_fd())
    }

    fn write_header(&self, line: &mut Line<'_>, _header: Header, _entry: &Entry) {
        line.text("H ");
    }

    fn continues(&self) -> bool {
        self.0.borrow().continues
    }

    fn not_before(&self) -> Option<Moment> {
        self.0.borrow().not_before
    }

    fn is_over(&self, error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::EPIPE)
    }
}

const START: Moment = Moment(1_000_000_000);

struct Test {
    output: Output,
    script: Rc<RefCell<Script>>,
    now: Moment,
}

fn test(slots: usize) -> Test {
    let script = Rc::new(RefCell::new(Script::default()));
    Test {
        output: Output::new(Box::new(Fake(script.clone())), slots, START),
        script,
        now: START,
    }
}

impl Test {
    fn log(&mut self, text: &str) {
        let entry = Entry::new(Severity::WARNING, Class::Alarm, Micros::ZERO, self.now);
        self.output.log(text.as_bytes(), entry, self.now);
    }

    fn connects(&mut self, answers: &[Answer]) {
        self.script.borrow_mut().connects.extend(answers);
    }

    fn sends(&mut self, answers: &[Answer]) {
        self.script.borrow_mut().sends.extend(answers);
    }

    fn received(&self) -> Vec<String> {
        std::mem::take(&mut self.script.borrow_mut().received)
    }

    fn attempts(&self) -> usize {
        self.script.borrow().attempts
    }

    /// Lets time pass as poll(2) would: from one deadline to the next.
    fn pass(&mut self, time: Micros) {
        let end = self.now + time;
        while let Some(due) = self.output.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.output.expire(self.now);
        }
        self.now = end;
    }
}

const NONE: Answer = Answer::Fail(libc::ENOENT);
const REFUSED: Answer = Answer::Fail(libc::ECONNREFUSED);
const FULL: Answer = Answer::Fail(libc::EAGAIN);

#[test]
fn nothing_is_connected_before_the_first_line() {
    let mut t = test(16);
    assert_eq!((t.output.deadline(), t.attempts()), (None, 0));
    t.log("a");
    assert_eq!((t.received(), t.attempts()), (vec!["H a".to_string()], 1));
    t.log("b");
    assert_eq!((t.received(), t.attempts()), (vec!["H b".to_string()], 1));
    assert_eq!(t.output.deadline(), None);
}

#[test]
fn a_missing_receiver_is_tried_after_100_ms_doubling_to_1_s() {
    let mut t = test(16);
    t.connects(&[NONE; 7]);
    t.log("a");
    let mut pauses = Vec::new();
    while let Some(due) = t.output.deadline() {
        pauses.push(due.since(t.now).0 / 1000);
        t.now = due;
        t.output.expire(t.now);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
    assert_eq!(t.received(), ["H a delayed_s=4.5"]);
}

#[test]
fn no_attempt_is_made_while_nothing_waits() {
    let mut t = test(16);
    t.connects(&[NONE; 3]);
    t.log("a");
    t.output.spill(t.now, |_, _| ());
    assert_eq!(t.output.deadline(), None);
    t.pass(Micros::secs(60));
    assert_eq!(t.attempts(), 1);
}

#[test]
fn a_lost_connection_is_made_anew_at_once_and_the_line_sent_again() {
    let mut t = test(16);
    t.log("a");
    t.sends(&[REFUSED]);
    t.log("b");
    assert_eq!((t.received().len(), t.attempts()), (2, 2));
}

#[test]
fn a_receiver_that_accepts_and_refuses_is_not_hammered() {
    let mut t = test(16);
    t.sends(&[REFUSED; 100]);
    t.log("a");
    assert_eq!(t.attempts(), 2);
    let before = t.attempts();
    t.pass(Micros::secs(10));
    // 100 + 200 + 400 + 800 ms, then once a second; twice each
    assert!(t.attempts() - before <= 2 * 13, "{}", t.attempts());
}

#[test]
fn order_is_kept_over_an_outage() {
    let mut t = test(16);
    t.connects(&[NONE; 2]);
    for line in ["a", "b", "c"] {
        t.log(line);
    }
    assert_eq!(t.attempts(), 1);
    t.pass(Micros::millis(300));
    t.log("d");
    assert_eq!(t.received(), ["H a", "H b", "H c", "H d"]);
}

#[test]
fn a_full_receiver_is_waited_for_and_only_while_something_waits() {
    let mut t = test(16);
    t.log("a");
    assert!(t.output.waits_for().is_none());
    t.sends(&[FULL]);
    t.log("b");
    assert!(t.output.waits_for().is_some());
    t.log("c");
    assert_eq!(t.received(), ["H a"]);
    assert_eq!(t.output.deadline(), None);
    t.output.writable(t.now);
    assert_eq!(t.received(), ["H b", "H c"]);
    assert!(t.output.waits_for().is_none());
}

/// poll(2) sees room, and there is none: whoever asked at once again would spin.
#[test]
fn a_receiver_that_is_full_all_the_same_is_left_alone_for_a_moment() {
    let mut t = test(16);
    t.sends(&[FULL; 12]);
    t.log("a");
    let mut waits = 0;
    while t.received().is_empty() {
        if t.output.waits_for().is_some() {
            t.output.writable(t.now);
        }
        assert!(t.output.waits_for().is_none());
        t.pass(Micros::millis(100));
        waits += 1;
    }
    // every second attempt is poll's
    assert_eq!(waits, 6);
}

#[test]
fn a_call_that_is_interrupted_is_no_reason_to_try_for_ever() {
    let mut t = test(16);
    t.sends(&[Answer::Fail(libc::EINTR); 3]);
    t.log("a");
    assert_eq!(t.received(), [""; 0]);
    t.pass(Micros::millis(100));
    assert_eq!(t.received(), ["H a"]);
}

#[test]
fn a_receiver_that_dies_while_full_is_found_again() {
    let mut t = test(16);
    t.log("a");
    t.sends(&[FULL, REFUSED]);
    t.log("b");
    t.connects(&[NONE]);
    t.output.writable(t.now);
    assert!(t.output.waits_for().is_none());
    t.pass(Micros::millis(100));
    assert_eq!(t.received(), ["H a", "H b"]);
}

#[test]
fn a_line_that_waited_for_over_a_second_says_so_within_the_limit() {
    let mut t = test(16);
    t.output.set(Facility::LOG_DAEMON, 200, 16, t.now);
    t.connects(&[NONE, NONE, NONE, NONE, NONE]);
    let text = format!(
        "s: event=begin level=crit a={} b={}",
        "x".repeat(100),
        "y".repeat(60)
    );
    t.log("early");
    t.pass(Micros::millis(1200));
    t.log(&text);
    t.pass(Micros::secs(3));
    let received = t.received();
    assert_eq!(received[0], "H early delayed_s=2.5");
    let shorter = format!(
        "H s: event=begin level=crit a={} delayed_s=1.3",
        "x".repeat(100)
    );
    assert_eq!(received[1], shorter);
    t.log(&text);
    assert!(t.received()[0].len() > shorter.len());
}

#[test]
fn a_line_that_is_too_long_loses_keys_once_and_is_then_counted() {
    let mut t = test(16);
    t.script.borrow_mut().limit = Some(80);
    let text = |length| format!("s: event=begin level=crit a=1 b={}", "x".repeat(length));
    t.log(&text(60));
    assert_eq!(t.received(), ["H s: event=begin level=crit a=1"]);
    t.script.borrow_mut().limit = Some(10);
    t.log(&text(60));
    t.log(&text(60));
    assert_eq!(t.received(), [""; 0]);
    t.script.borrow_mut().limit = None;
    t.log(&text(60));
    let dropped = "H lines dropped: event=dropped level=warning count=2".to_string();
    assert_eq!(t.received(), [format!("H {}", text(60)), dropped]);
}

#[test]
fn what_a_full_queue_lost_is_logged_once_behind_what_it_kept() {
    let mut t = test(4);
    t.connects(&[NONE; 3]);
    for line in 0..10 {
        t.log(&line.to_string());
    }
    t.pass(Micros::millis(700));
    let dropped = "H lines dropped: event=dropped level=warning count=6";
    assert_eq!(t.received(), ["H 6", "H 7", "H 8", "H 9", dropped]);
    t.log("10");
    assert_eq!(t.received(), ["H 10"]);
}

/// A receiver that takes short lines only, for a while.
#[test]
fn what_a_lost_report_has_counted_is_counted_again() {
    let mut t = test(4);
    t.script.borrow_mut().limit = Some(10);
    t.connects(&[NONE; 3]);
    (0..10).for_each(|line| t.log(&line.to_string()));
    t.pass(Micros::millis(700));
    assert_eq!(t.received(), ["H 6", "H 7", "H 8", "H 9"]);
    t.script.borrow_mut().limit = None;
    t.log("10");
    let dropped = "H lines dropped: event=dropped level=warning count=6";
    assert_eq!(t.received(), ["H 10", dropped]);
}

#[test]
fn what_a_full_queue_lost_is_the_last_of_what_is_spilled() {
    let mut t = test(4);
    t.connects(&[NONE]);
    for line in 0..10 {
        t.log(&line.to_string());
    }
    let mut spilled = Vec::new();
    t.output.spill(t.now, |_, text| {
        spilled.push(String::from_utf8_lossy(text).into_owned());
    });
    let dropped = "lines dropped: event=dropped level=warning count=6";
    assert_eq!(spilled, ["6", "7", "8", "9", dropped]);
    assert!(t.output.is_empty());
}

/// Lines that are too long for a receiver are lost, and nothing can be sent that says so.
#[test]
fn what_was_too_long_is_spilled_as_a_number() {
    let mut t = test(4);
    t.script.borrow_mut().limit = Some(1);
    t.log("a");
    t.log("b");
    let mut spilled = Vec::new();
    t.output.spill(t.now, |_, text| spilled.push(text.len()));
    assert_eq!(
        spilled,
        ["lines dropped: event=dropped level=warning count=2".len()]
    );
}

#[test]
fn a_part_that_was_taken_is_followed_by_the_rest() {
    let mut t = test(16);
    t.sends(&[Answer::Part(3), FULL, Answer::Part(2)]);
    t.log("abcdefgh");
    t.log("next");
    t.pass(Micros::secs(2)); // the rest of a line is the same, however late
    t.output.writable(t.now);
    t.pass(Micros::millis(100));
    assert_eq!(t.received(), [""; 0]);
    t.output.writable(t.now);
    assert_eq!(t.received(), ["H abcdefgh", "H next delayed_s=2.1"]);
}

#[test]
fn a_connection_lost_within_a_line_starts_the_line_anew() {
    let mut t = test(16);
    t.sends(&[Answer::Part(3), Answer::Fail(libc::ECONNRESET)]);
    t.log("abcdefgh");
    t.output.writable(t.now);
    assert_eq!(t.received(), ["H abcdefgh"]);
}

/// A full file system takes a part of a line and refuses the rest until there is room.
#[test]
fn a_line_that_a_file_has_a_part_of_is_continued() {
    let full = Answer::Fail(libc::ENOSPC);
    let mut t = test(4);
    t.script.borrow_mut().continues = true;
    t.sends(&[Answer::Part(3), full, full, full, Answer::Part(2), full]);
    t.log("abcdefgh");
    t.output.writable(t.now);
    // neither an overflow nor a reload takes the torn line away or starts it anew
    for line in ["1", "2", "3", "4", "5"] {
        t.log(line);
    }
    t.output.set(Facility::LOG_DAEMON, 1000, 2, t.now);
    t.pass(Micros::millis(900));
    t.output.writable(t.now);
    t.pass(Micros::millis(100));
    let dropped = "H lines dropped: event=dropped level=warning count=4";
    assert_eq!(t.received(), ["H abcdefgh", "H 5", dropped]);
}

#[test]
fn a_receiver_that_limits_the_rate_is_obeyed() {
    let mut t = test(16);
    t.log("a");
    t.script.borrow_mut().not_before = Some(t.now + Micros::secs(5));
    t.log("b");
    assert_eq!(t.received(), ["H a"]);
    assert_eq!(t.output.deadline(), Some(t.now + Micros::secs(5)));
    t.pass(Micros::secs(5));
    assert_eq!(t.received(), ["H b delayed_s=5.0"]);
}

#[test]
fn a_closed_pipe_is_over() {
    let mut t = test(16);
    t.sends(&[Answer::Fail(libc::EPIPE)]);
    t.log("a");
    t.log("b");
    assert!(t.output.is_over() && t.output.is_empty());
    assert_eq!((t.output.deadline(), t.attempts()), (None, 1));
}

#[test]
fn new_settings_connect_anew_and_keep_what_waits() {
    let mut t = test(16);
    t.sends(&[FULL]);
    t.log("a");
    t.output.set(Facility::LOG_LOCAL0, 1000, 32, t.now);
    assert_eq!((t.received(), t.attempts()), (vec!["H a".to_string()], 2));
}
