//! psistat's loop: read, compute, write, wait.

use std::io::{self, Write};
use std::path::Path;

use crate::line::Line;
use crate::stat;
use crate::stat::suggest::{Period, Suggestion, WINDOW};
use crate::sys;
use crate::time::{Micros, Moment};

use error::{ReadError, RunError};
use options::Settings;
use reader::Reader;
use screen::{Mode, Screen, Wake};
use view::View;

pub mod error;
pub mod options;
pub mod reader;
pub mod record;
pub mod replay;
pub mod screen;
pub mod source;
mod view;

/// `2026-11-22 18:58:46`
const STAMP: usize = 19;
/// `.123`, if the interval is not in whole seconds.
const FRACTION: usize = 4;

/// Why psistat ends without an error.
#[derive(Debug)]
pub enum End {
    /// Everything was shown, or standard output was closed.
    Done,
    /// This signal; it is raised again, so that a shell sees it.
    Signal(libc::c_int),
}

/// A closed pipe is not an error.
fn quietly(result: Result<End, RunError>) -> Result<End, RunError> {
    match result {
        Err(RunError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Done),
        result => result,
    }
}

fn open(settings: &Settings) -> Result<Reader, ReadError> {
    Reader::open(
        settings.selection,
        settings.pressure.as_deref(),
        settings.cgroups.as_deref(),
        &settings.patterns,
    )
}

/// Shows as many readings as were asked for.
pub fn show(settings: &Settings) -> Result<End, RunError> {
    quietly(show_all(settings))
}

fn show_all(settings: &Settings) -> Result<End, RunError> {
    let mut reader = open(settings)?;
    let grid = Grid {
        start: sys::now(),
        step: settings.interval.unwrap_or(Micros::ZERO),
    };
    // Before the screen is touched, where an error message would be lost.
    let mut before = reader.read_first()?;
    let mut view = View::new(settings)?;
    if settings.graph && !view.has_pages() {
        return Err(RunError::NoScreen);
    }
    view.show(&stat::since_boot(&before))?;
    let mut shown = 1;
    while settings.count.is_none_or(|count| shown < count) {
        let due = grid.next(sys::now());
        loop {
            match view.wait(due)? {
                Wake::Due => break,
                Wake::Resized => view.resize()?,
                Wake::Unread | Wake::Quit => return Ok(End::Done),
                Wake::Signal(signal) => return Ok(End::Signal(signal)),
            }
        }
        let now = reader.read()?;
        view.show(&stat::interval(&before, &now))?;
        before = now;
        shown += 1;
    }
    Ok(End::Done)
}

/// Points in time that don't drift, however late each reading is.
struct Grid {
    start: Moment,
    step: Micros,
}

impl Grid {
    /// The first point after `now`; missed points are skipped.
    fn next(&self, now: Moment) -> Moment {
        let passed = now.since(self.start).0.checked_div(self.step.0);
        let steps = passed.unwrap_or_default().saturating_add(1);
        self.start + Micros(self.step.0.saturating_mul(steps))
    }
}

/// `2026-11-22 18:58:46.123`, local time.
fn stamp_of(wall: Micros, buffer: &mut [u8; STAMP + FRACTION]) -> &str {
    let local = sys::local(wall);
    let mut line = Line::new(buffer);
    line.decimal(u64::from(local.year), 4, b'0');
    for (sign, number) in [
        ("-", local.month + 1),
        ("-", local.day),
        (" ", local.hour),
        (":", local.minute),
        (":", local.second),
    ] {
        line.text(sign).decimal(u64::from(number), 2, b'0');
    }
    line.text(".").decimal(wall.0 / 1_000 % 1_000, 3, b'0');
    std::str::from_utf8(buffer).unwrap_or_default()
}

/// Watches for `length`, or until ^C, then prints rules.
pub fn suggest(settings: &Settings, length: Micros) -> Result<End, RunError> {
    quietly(suggest_all(settings, length))
}

/// Prints rules from a recording.
pub fn suggest_from(file: &Path) -> Result<End, RunError> {
    let suggestion = Suggestion::of(replay::read(file)?);
    let mut out = Vec::with_capacity(4096);
    suggestion.write(&mut out, None);
    quietly(
        io::stdout()
            .write_all(&out)
            .map(|()| End::Done)
            .map_err(RunError::Io),
    )
}

fn suggest_all(settings: &Settings, length: Micros) -> Result<End, RunError> {
    let mut reader = open(settings)?;
    let path = settings
        .patterns
        .first()
        .and_then(|pattern| pattern.plain());
    let mut suggestion = Suggestion::new(path);
    let mut screen = Screen::new(Mode::Last)?;
    let start = sys::now();
    let end = start + length;
    let from = sys::wall();
    loop {
        for group in reader.read()? {
            suggestion.feed(&group.readings);
        }
        // Two seconds after this reading, not after the last: the machine takes no
        // reading that is less than a window younger.
        let due = sys::now() + WINDOW;
        if due > end {
            // The rest, that no reading falls into, is waited for all the same.
            if screen.wait(end)? == Wake::Unread {
                return Ok(End::Done);
            }
            break;
        }
        match screen.wait(due)? {
            Wake::Due | Wake::Resized => {}
            Wake::Unread => return Ok(End::Done),
            Wake::Signal(_) | Wake::Quit => break,
        }
    }
    screen.write(&suggested(&suggestion, from))?;
    Ok(End::Done)
}

/// The text of a suggestion whose measurement began at `from`.
fn suggested(suggestion: &Suggestion, from: Micros) -> Vec<u8> {
    let (mut first, mut last) = ([0; STAMP + FRACTION], [0; STAMP + FRACTION]);
    let (first, last) = (stamp_of(from, &mut first), stamp_of(sys::wall(), &mut last));
    let period = Period {
        from: first.get(..STAMP).unwrap_or_default(),
        to: last.get(..STAMP).unwrap_or_default(),
    };
    let mut out = Vec::with_capacity(4096);
    suggestion.write(&mut out, Some(period));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_does_not_drift_and_skips_missed_points() {
        let grid = Grid {
            start: Moment(100),
            step: Micros(10),
        };
        for (now, next) in [(100, 110), (101, 110), (109, 110), (110, 120), (157, 160)] {
            assert_eq!(grid.next(Moment(now)), Moment(next), "{now}");
        }
    }

    #[test]
    fn a_stamp_sorts_as_time_does() {
        let mut buffer = [0; STAMP + FRACTION];
        let stamp = stamp_of(Micros(1_795_373_926_012_345), &mut buffer);
        // whatever the time zone
        assert!(stamp.starts_with("2026-11-2"), "{stamp}");
        assert!(stamp.ends_with(":46.012"), "{stamp}");
        let form: Vec<_> = stamp.bytes().filter(|b| !b.is_ascii_digit()).collect();
        assert_eq!(form, b"-- ::.");
    }
}
