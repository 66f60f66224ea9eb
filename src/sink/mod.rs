//! Outputs: a report becomes a line, and every output gets it in a queue of its
//! own, so that a dead one never delays another. Nothing here blocks, and nothing
//! allocates after the start.

mod journal;
mod kmsg;
mod local;
mod output;
mod queue;
mod reach;
mod stdio;
mod transport;
mod udp;

use std::path::Path;

use syslog::Facility;

use crate::config::{DEV_LOG, JOURNAL, OutputSpec, Settings};
use crate::line::{LINE_MAX, Line};
use crate::report::{Heading, Report};
use crate::severity::Severity;
use crate::sys::{self, Slot};
use crate::time::{Micros, Moment};

use journal::Journal;
use kmsg::Kmsg;
use local::Local;
pub use output::Output;
pub use queue::{Entry, Queue};
pub use reach::Delivery;
use stdio::{Stdio, Stream};
pub use transport::{Header, Transport};
use udp::Udp;

/// How long a stop waits for lines to go out.
const DRAIN: Micros = Micros::millis(200);

/// All outputs.
pub struct Sink {
    outputs: Vec<(OutputSpec, Output)>,
    /// What `auto` is.
    auto: OutputSpec,
    /// Lines that outputs lost which are no more.
    lost: u64,
    /// A line while it is written.
    body: Box<[u8; LINE_MAX]>,
}

impl Sink {
    /// Sets up the outputs. None is connected before the first line, and a
    /// receiver that isn't there yet is no error.
    pub fn new(settings: &Settings, now: Moment) -> Sink {
        let auto = match stdio::is_journal(Stream::Out) {
            true => OutputSpec::Journal(JOURNAL.into()),
            false => OutputSpec::Syslog(DEV_LOG.into()),
        };
        let mut sink = Sink {
            outputs: Vec::new(),
            auto,
            lost: 0,
            // touched, as it will be
            body: Box::new([1; LINE_MAX]),
        };
        sink.set(settings, now);
        sink
    }

    /// Puts settings in force (SIGHUP): outputs that stay keep their lines and
    /// connect anew, those that go get 200 ms to get rid of theirs.
    pub fn set(&mut self, settings: &Settings, now: Moment) {
        let mut before = std::mem::take(&mut self.outputs);
        for spec in &settings.outputs {
            let spec = match spec {
                OutputSpec::Auto => &self.auto,
                other => other,
            };
            // it may be what auto is
            if self.outputs.iter().any(|(other, _)| other == spec) {
                continue;
            }
            let found = before.iter().position(|(other, _)| other == spec);
            let mut output = match found {
                Some(index) => before.swap_remove(index).1,
                None => Output::new(transport(spec), settings.queue, now),
            };
            output.set(settings.facility, settings.max_line, settings.queue, now);
            self.outputs.push((spec.clone(), output));
        }
        if !before.is_empty() {
            let kept = std::mem::replace(&mut self.outputs, before);
            self.finish();
            self.lost = self.dropped();
            self.outputs = kept;
        }
    }

    /// For a drill, whose streams are those of whoever makes it: `auto` is the journal
    /// where journald is, since a service's lines go there.
    pub fn set_for_drill(&mut self, settings: &Settings, now: Moment) {
        if Path::new(JOURNAL).exists() {
            self.auto = OutputSpec::Journal(JOURNAL.into());
            self.set(settings, now);
        }
    }

    /// Writes the report to every output.
    pub fn log(&mut self, report: &Report<'_>) {
        let now = sys::now();
        let mut line = Line::new(self.body.as_mut_slice());
        report.write(&mut line);
        let Heading {
            severity, class, ..
        } = report.heading();
        let entry = Entry::new(severity, class, sys::wall(), now);
        for (_, output) in &mut self.outputs {
            output.log(line.bytes(), entry, now);
        }
    }

    /// How many lines outputs have lost since the start.
    pub fn dropped(&self) -> u64 {
        let lost = self.outputs.iter().map(|(_, output)| output.lost());
        self.lost + lost.sum::<u64>()
    }

    /// How many slots of the poll array the outputs take.
    pub fn width(&self) -> usize {
        self.outputs.len()
    }

    /// Fills in the slots: an output is waited for only while it is full and
    /// something waits, since POLLOUT is ready at any other time.
    pub fn arm(&self, slots: &mut [Slot]) {
        for ((_, output), slot) in self.outputs.iter().zip(slots) {
            *slot = output
                .waits_for()
                .map_or(Slot::IDLE, |fd| Slot::new(fd, libc::POLLOUT));
        }
    }

    /// Goes on where poll(2) has seen room.
    pub fn ready(&mut self, slots: &[Slot], now: Moment) {
        for ((_, output), slot) in self.outputs.iter_mut().zip(slots) {
            if slot.seen() != 0 {
                output.writable(now);
            }
        }
    }

    /// Does what is due: an attempt to connect.
    pub fn expire(&mut self, now: Moment) {
        self.outputs
            .iter_mut()
            .for_each(|(_, output)| output.expire(now));
    }

    /// When [`Sink::expire`] wants to be called.
    pub fn deadline(&self) -> Option<Moment> {
        self.outputs
            .iter()
            .filter_map(|(_, output)| output.deadline())
            .min()
    }

    /// Whether every output is closed for ever.
    pub fn is_over(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(|(_, output)| output.is_over())
    }

    /// The end: waits at most 200 ms for lines to go out, and writes the rest to
    /// standard error, if that is no output and has them already. Whether there was
    /// no rest.
    pub fn finish(&mut self) -> bool {
        self.drain(sys::now() + DRAIN);
        let now = sys::now();
        let mut outputs = self.outputs.iter();
        let shown = outputs.any(|(spec, _)| *spec == OutputSpec::Stderr);
        let mut rest = false;
        for (_, output) in &mut self.outputs {
            output.spill(now, |entry, text| {
                rest = true;
                if !shown {
                    spill(entry, text);
                }
            });
        }
        !rest && !self.is_over()
    }

    /// Waits for lines to go out.
    fn drain(&mut self, end: Moment) {
        let mut slots = vec![Slot::IDLE; self.width()];
        while self.outputs.iter().any(|(_, output)| !output.is_empty()) {
            let now = sys::now();
            if now >= end {
                break;
            }
            self.arm(&mut slots);
            let due = self.deadline().unwrap_or(end).min(end);
            if sys::poll(&mut slots, Some(due.since(now))).is_err() {
                break;
            }
            let now = sys::now();
            self.ready(&slots, now);
            self.expire(now);
        }
    }
}

/// A line that no receiver took, to standard error if that takes it at once.
fn spill(entry: &Entry, text: &[u8]) {
    let mut buffer = [0; LINE_MAX + 64];
    let mut line = Line::new(&mut buffer);
    timestamp(&mut line, entry.wall);
    tag(&mut line, std::process::id());
    line.raw(text);
    line.raw(b"\n");
    if sys::is_writable(sys::STDERR) {
        let _ = sys::write(sys::STDERR, line.bytes());
    }
}

fn transport(spec: &OutputSpec) -> Box<dyn Transport> {
    match spec {
        // set() has put another in its place
        OutputSpec::Auto => Box::new(Local::new(DEV_LOG)),
        OutputSpec::Journal(path) => Box::new(Journal::new(path)),
        OutputSpec::Syslog(path) => Box::new(Local::new(path)),
        OutputSpec::Udp(address) => Box::new(Udp::new(*address)),
        OutputSpec::Kmsg => Box::new(Kmsg::new()),
        OutputSpec::Stdout => Box::new(Stdio::new(Stream::Out)),
        OutputSpec::Stderr => Box::new(Stdio::new(Stream::Err)),
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Bytes of the time in a header.
const TIMESTAMP: usize = 15;

/// `<PRI>Mmm _d hh:mm:ss psilogd[PID]: `. No hostname: on a local socket receivers take it
/// for the tag.
fn local_header(line: &mut Line<'_>, header: Header, entry: &Entry) {
    priority(line, header.facility, entry.severity);
    timestamp(line, entry.wall);
    tag(line, header.pid);
}

/// `<PRI>`: RFC 3164, 4.1.1.
fn priority(line: &mut Line<'_>, facility: Facility, severity: Severity) {
    let priority = facility as u64 | u64::from(severity.number());
    line.text("<").decimal(priority, 1, b'0').text(">");
}

/// `Mmm _d hh:mm:ss ` in local time: RFC 3164, 4.1.2.
fn timestamp(line: &mut Line<'_>, wall: Micros) {
    let local = sys::local(wall);
    line.text(MONTHS[usize::from(local.month)]).text(" ");
    line.decimal(u64::from(local.day), 2, b' ').text(" ");
    line.decimal(u64::from(local.hour), 2, b'0').text(":");
    line.decimal(u64::from(local.minute), 2, b'0').text(":");
    line.decimal(u64::from(local.second), 2, b'0').text(" ");
}

/// `psilogd[PID]: `: RFC 3164, 4.1.3.
fn tag(line: &mut Line<'_>, pid: u32) {
    line.text("psilogd[")
        .decimal(u64::from(pid), 1, b'0')
        .text("]: ");
}
