//! One output: its queue, and the states DOWN, UP and FULL. It knows nothing of
//! sockets; a [`Transport`] does. Time is a parameter.

use std::io;
use std::os::fd::BorrowedFd;

use syslog::Facility;

use crate::line::{LINE_MAX, Line, whole_keys};
use crate::report::{Class, Report};
use crate::sink::queue::{Entry, Queue};
use crate::sink::transport::{Header, Transport};
use crate::time::{Micros, Moment};

/// The first pause after a failed attempt to connect.
const PAUSE_MIN: Micros = Micros::millis(100);
/// No pause is longer.
const PAUSE_MAX: Micros = Micros::secs(1);
/// A line that waited longer says so, since receivers stamp their own time.
const LATE: Micros = Micros::secs(1);
/// Room for ` delayed_s=` and its value.
const DELAYED_MAX: usize = 32;
/// A line, its header, and a byte that ends it.
const BUFFER: usize = LINE_MAX + 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not connected; the next attempt and the pause behind it.
    Down { next: Moment, pause: Micros },
    /// Takes lines.
    Up,
    /// Connected, but took no more.
    Full,
    /// Took nothing although poll(2) saw room: tried again then, or this would never end.
    Paused { next: Moment },
    /// Never again.
    Over,
}

/// An output.
pub struct Output {
    transport: Box<dyn Transport>,
    queue: Queue,
    state: State,
    header: Header,
    /// The receiver's limit, as set.
    limit: usize,
    /// The first line as it is sent, while a part of it is (stream sockets, pipes).
    buffer: Box<[u8; BUFFER]>,
    length: usize,
    sent: usize,
    /// Whether the first line was cut because it was too long.
    cut: bool,
    /// Whether anything was taken since poll(2) saw room.
    moved: bool,
    /// When the last line was taken off, since the epoch.
    wall: Micros,
    /// Why the last attempt failed; None once a line was taken.
    error: Option<i32>,
}

impl Output {
    /// Not connected yet; the first line does that.
    pub fn new(transport: Box<dyn Transport>, slots: usize, now: Moment) -> Output {
        Output {
            transport,
            queue: Queue::new(slots),
            state: State::Down {
                next: now,
                pause: PAUSE_MIN,
            },
            header: Header {
                facility: Facility::LOG_DAEMON,
                pid: std::process::id(),
            },
            limit: LINE_MAX,
            buffer: Box::new([1; BUFFER]),
            length: 0,
            sent: 0,
            cut: false,
            moved: false,
            wall: Micros::ZERO,
            error: None,
        }
    }

    /// Puts settings in force, and connects anew: the receiver's path may lead
    /// elsewhere now.
    pub fn set(&mut self, facility: Facility, limit: usize, slots: usize, now: Moment) {
        self.header.facility = facility;
        self.limit = limit;
        if self.state == State::Over {
            return;
        }
        if slots != self.queue.slots() {
            self.queue = self.queue.resized(slots);
        }
        self.down(now, PAUSE_MIN);
        self.flush(now);
    }

    /// Queues a line and sends what can be sent.
    pub fn log(&mut self, text: &[u8], entry: Entry, now: Moment) {
        if self.state == State::Over {
            return;
        }
        self.queue.push(text, entry);
        if self.state != State::Full {
            self.flush(now);
        }
    }

    /// poll(2) says that there is room again.
    pub fn writable(&mut self, now: Moment) {
        if self.state == State::Full {
            self.state = State::Up;
            self.moved = false;
            self.flush(now);
            if self.state == State::Full && !self.moved {
                let next = now + PAUSE_MIN;
                self.state = State::Paused { next };
            }
        }
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Moment) {
        if self.deadline().is_some_and(|due| due <= now) {
            if let State::Paused { .. } = self.state {
                self.state = State::Up;
            }
            self.flush(now);
        }
    }

    /// What poll(2) is to wait for: room, while something waits.
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match self.state {
            State::Full if !self.queue.is_empty() => self.transport.fd(),
            _ => None,
        }
    }

    /// When [`Output::expire`] wants to be called.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            _ if self.queue.is_empty() => None,
            State::Down { next, .. } | State::Paused { next } => Some(next),
            State::Up => self.transport.not_before(),
            State::Full | State::Over => None,
        }
    }

    /// How many lines were lost since it was set up.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether it will never work again.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Connects if it is not connected, and says why that failed, as errno(3).
    pub fn reach(&mut self, now: Moment) -> Option<i32> {
        if let State::Down { next, pause } = self.state {
            if next > now {
                return self.error;
            }
            match self.transport.connect() {
                Ok(()) => self.state = State::Up,
                Err(error) => self.fail(&error, now, pause),
            }
        }
        match self.state {
            State::Up | State::Full | State::Paused { .. } => None,
            State::Down { .. } | State::Over => self.error,
        }
    }

    /// Why its lines were not taken, or not by now, as errno(3).
    pub fn failure(&self) -> Option<i32> {
        let refusal = self.transport.refusal();
        let refusal = refusal.and_then(|error| error.raw_os_error());
        match self.state {
            State::Full | State::Paused { .. } if !self.is_empty() => Some(libc::EAGAIN),
            _ => refusal.or(self.error),
        }
    }

    /// What poll(2) is to wait for: a refusal of what was sent, if there can be one.
    pub fn may_refuse(&self) -> Option<BorrowedFd<'_>> {
        match self.state {
            State::Up => self.transport.fd(),
            _ => None,
        }
    }

    /// Hands every line that still waits to `take`, and forgets it. The last one says
    /// how many were dropped.
    pub fn spill(&mut self, now: Moment, mut take: impl FnMut(&Entry, &[u8])) {
        self.report_dropped(now);
        while let Some((entry, text)) = self.queue.front() {
            take(&entry, text);
            self.take_off(now);
            self.report_dropped(now);
        }
    }

    fn flush(&mut self, now: Moment) {
        // A connection that is refused or lost is made anew at once, but once:
        // the next attempt waits.
        let mut again = true;
        while !self.queue.is_empty() {
            if let State::Down { next, pause } = self.state {
                if now < next {
                    return;
                }
                if let Err(error) = self.transport.connect() {
                    return self.fail(&error, now, pause);
                }
                self.state = State::Up;
                // kept for a connection that takes no line
                if !self.send_one(now, pause, &mut again) {
                    return;
                }
                continue;
            }
            let early = self.transport.not_before().is_some_and(|due| now < due);
            if self.state != State::Up || early {
                return;
            }
            if !self.send_one(now, PAUSE_MIN, &mut again) {
                return;
            }
        }
    }

    /// Sends the first line; whether to go on.
    fn send_one(&mut self, now: Moment, pause: Micros, again: &mut bool) -> bool {
        if self.sent == 0 {
            self.compose(now);
        }
        let error = match self.transport.send(&self.buffer[self.sent..self.length]) {
            Ok(taken) => return self.taken(taken, now),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::WouldBlock {
            self.state = State::Full;
            return false;
        }
        if error.raw_os_error() == Some(libc::EMSGSIZE) {
            self.shorten(now);
            return true;
        }
        if *again && !self.transport.is_over(&error) {
            *again = false;
            self.down(now, pause);
            return true;
        }
        self.fail(&error, now, pause);
        false
    }

    /// The receiver took so many bytes of the first line; whether it took all of it.
    fn taken(&mut self, taken: usize, now: Moment) -> bool {
        self.moved = true;
        if self.sent + taken < self.length {
            self.sent += taken;
            self.queue.pin(true);
            self.state = State::Full;
            return false;
        }
        self.transport.sent(now);
        self.error = None;
        self.take_off(now);
        self.report_dropped(now);
        true
    }

    /// The first line is too long for the receiver: cuts it once, then gives it up.
    fn shorten(&mut self, now: Moment) {
        if !self.cut {
            self.cut = true;
            return;
        }
        self.queue.lose_one();
        self.take_off(now);
    }

    fn fail(&mut self, error: &io::Error, now: Moment, pause: Micros) {
        self.error = Some(error.raw_os_error().unwrap_or(libc::EIO));
        if self.transport.is_over(error) {
            self.transport.close();
            self.queue.pin(false);
            self.spill(now, |_, _| ());
            self.state = State::Over;
            return;
        }
        self.down(now + pause, (pause + pause).min(PAUSE_MAX));
    }

    /// A line of which a part was sent starts anew with the next connection, unless
    /// that leads to the same place.
    fn down(&mut self, next: Moment, pause: Micros) {
        self.transport.close();
        if !self.transport.continues() {
            self.queue.pin(false);
            self.sent = 0;
        }
        self.state = State::Down { next, pause };
    }

    /// Writes the first line as it is sent now.
    fn compose(&mut self, now: Moment) {
        let Some((entry, text)) = self.queue.front() else {
            self.length = 0;
            return;
        };
        let mut limit = self.limit.min(self.transport.limit());
        let mut line = Line::new(&mut self.buffer[..limit]);
        self.transport.write_header(&mut line, self.header, &entry);
        let header = line.len();
        if self.cut {
            limit = header + text.len() / 2;
        }
        let waited = now.since(entry.when);
        let late = waited > LATE;
        let reserved = if late { DELAYED_MAX } else { 0 };
        let room = limit.saturating_sub(header + reserved);
        // A limit so small that not even event and level fit: the beginning then.
        line.raw(whole_keys(text, room).unwrap_or(&text[..room.min(text.len())]));
        if late {
            line.seconds("delayed_s", waited);
        }
        self.length = line.len();
        if let Some(end) = self.transport.end() {
            self.buffer[self.length] = end;
            self.length += 1;
        }
    }

    /// Takes the first line off the queue.
    fn take_off(&mut self, now: Moment) {
        if let Some((entry, _)) = self.queue.front() {
            self.wall = entry.wall + now.since(entry.when);
        }
        self.queue.pop();
        self.sent = 0;
        self.cut = false;
    }

    /// Reports behind the last kept line how many were dropped. Only behind a line that
    /// was taken, or a receiver that takes nothing would be sent reports for ever.
    fn report_dropped(&mut self, now: Moment) {
        if !self.queue.is_empty() {
            return;
        }
        let count = self.queue.take_dropped();
        if count == 0 {
            return;
        }
        let report = Report::Dropped { count };
        let mut text = [0; 128];
        let mut line = Line::new(&mut text);
        report.write(&mut line);
        let entry = Entry::new(report.heading().severity, Class::Alarm, self.wall, now);
        self.queue.push(line.bytes(), entry.of_dropped(count));
    }
}

#[cfg(test)]
mod tests;
