//! psistat's loop: read, compute, write, wait.

use std::io::{self, Write};
use std::path::Path;

use crate::line::Line;
use crate::pattern::Pattern;
use crate::stat::suggest::{Period, Suggestion, WINDOW};
use crate::stat::table::{Form, Look};
use crate::stat::{self, Row, json};
use crate::sys;
use crate::time::{Micros, Moment};

use failure::{Failure, ReadError};
use options::Settings;
use reader::Reader;
use screen::{Mode, Screen, Wake};

pub mod failure;
pub mod options;
pub mod reader;
pub mod record;
pub mod replay;
pub mod screen;
pub mod source;

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
fn quietly(result: Result<End, Failure>) -> Result<End, Failure> {
    match result {
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Done),
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
pub fn show(settings: &Settings) -> Result<End, Failure> {
    quietly(show_all(settings))
}

fn show_all(settings: &Settings) -> Result<End, Failure> {
    let mut reader = open(settings)?;
    let grid = Grid {
        start: sys::now(),
        step: settings.interval.unwrap_or(Micros::ZERO),
    };
    // Before the screen is touched, where an error message would be lost.
    let mut before = reader.read_first()?;
    let mut view = View::new(settings)?;
    view.show(&stat::since_boot(&before))?;
    let mut shown = 1;
    while settings.count.is_none_or(|count| shown < count) {
        let due = grid.next(sys::now());
        loop {
            match view.screen.wait(due)? {
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

/// What is on standard output, and how it looks.
struct View<'a> {
    settings: &'a Settings,
    screen: Screen,
    look: Look,
    /// Whether a reading may be more than one row.
    many: bool,
    /// Characters of a time stamp.
    stamp: usize,
    lines: usize,
    /// Rows until the next header.
    until_header: usize,
    /// The last page, for a new layout when the size changes.
    last: Option<(String, Vec<Row>)>,
    shown: u64,
}

impl<'a> View<'a> {
    fn new(settings: &'a Settings) -> io::Result<View<'a>> {
        let mode = match settings.top {
            Some(_) if settings.interval.is_some() && !settings.json => Mode::Pages,
            _ => Mode::Lines,
        };
        let screen = Screen::new(mode)?;
        let fraction = settings
            .interval
            .is_some_and(|step| step.0 % 1_000_000 != 0);
        let stamp = STAMP + if fraction { FRACTION } else { 0 };
        let look = Look {
            selection: settings.selection,
            averages: settings.averages,
            time: 0, // measure() sets it
            names: !settings.patterns.is_empty(),
            colours: (screen.takes_colours() && !settings.plain).then_some(settings.limits),
            width: None,
            cut: screen.is_terminal(),
            mark: None,
        };
        let mut view = View {
            settings,
            screen,
            look,
            many: is_many(&settings.patterns),
            stamp,
            lines: 0,
            until_header: 0,
            last: None,
            shown: 0,
        };
        view.measure();
        Ok(view)
    }

    /// Fits the look to the size of the terminal.
    fn measure(&mut self) {
        let (columns, lines) = self.screen.size();
        self.look.width = (!self.settings.wide).then_some(columns);
        self.lines = lines;
        // Pages and tables of many rows have the time once, above.
        self.look.time = 0;
        let once = self.screen.has_pages() || self.many && self.look.form() == Form::Row;
        if self.settings.time && !once {
            self.look.time = self.stamp;
        }
    }

    /// Shows one reading.
    fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        let wall = sys::wall();
        let mut out = Vec::with_capacity(1024);
        let most = |n| stat::most_stalled(rows.to_vec(), self.settings.selection, n);
        let chosen = self.settings.top.map(most);
        let shown = chosen.as_deref().unwrap_or(rows);
        if self.settings.json {
            for row in shown {
                json::object(&mut out, self.settings.selection, wall.0, row);
            }
        } else if self.screen.has_pages() {
            let title = self.title(wall, shown.len(), rows.len());
            self.last = chosen.map(|rows| (title, rows));
            self.shown += 1;
            return self.page();
        } else {
            self.table(&mut out, wall, shown);
        }
        self.shown += 1;
        self.screen.write(&out)
    }

    /// Rows below those of the last reading.
    fn table(&mut self, out: &mut Vec<u8>, wall: Micros, rows: &[Row]) {
        let mut stamp = [0; STAMP + FRACTION];
        let stamp = match self.settings.time {
            true => stamp_of(wall, &mut stamp),
            false => "",
        };
        if self.many && self.look.form() == Form::Row {
            if self.shown > 0 {
                out.push(b'\n');
            }
            if self.settings.time {
                out.extend_from_slice(stamp.get(..self.stamp).unwrap_or_default().as_bytes());
                out.push(b'\n');
            }
            self.until_header = 0;
        }
        self.look.mark = self.mark(rows);
        if self.until_header == 0 {
            self.look.header(out);
            self.until_header = self.lines.saturating_sub(3).max(1);
        }
        self.until_header -= 1;
        let stamp = stamp.get(..self.look.time).unwrap_or_default();
        for row in rows {
            self.look.row(out, stamp, row);
        }
    }

    /// The mark of the first rows. A row that others follow under the same header is
    /// marked as the first.
    fn mark(&self, rows: &[Row]) -> Option<&'static str> {
        rows.first().filter(|row| row.since_boot)?;
        let alone = self.many || self.settings.count == Some(1);
        match alone || self.look.form() == Form::Block {
            true => Some("since boot"),
            false => Some("first row since boot"),
        }
    }

    fn title(&self, wall: Micros, shown: usize, all: usize) -> String {
        let mut stamp = [0; STAMP + FRACTION];
        let stamp = stamp_of(wall, &mut stamp);
        let span = match (self.shown, self.settings.interval) {
            (1.., Some(interval)) => format!("every {interval}"),
            _ => "since boot".into(),
        };
        let quit = if self.screen.takes_keys() {
            "  q quits"
        } else {
            ""
        };
        format!(
            "{}  {span}  {shown} of {all} cgroups{quit}",
            stamp.get(..STAMP).unwrap_or_default()
        )
    }

    /// The last reading on one screen.
    fn page(&mut self) -> io::Result<()> {
        let Some((title, rows)) = &self.last else {
            return Ok(());
        };
        let (columns, _) = self.screen.size();
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(title.get(..columns).unwrap_or(title).as_bytes());
        out.push(b'\n');
        self.look.header(&mut out);
        // The last line is left empty, or the screen would scroll.
        let room = self.lines.saturating_sub(2 + self.look.header_lines());
        for row in rows.iter().take((room / self.look.row_lines()).max(1)) {
            self.look.row(&mut out, "", row);
        }
        let mut ends = out.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        if let Some((end, _)) = ends.nth(self.lines.saturating_sub(2)) {
            out.truncate(end + 1);
        }
        self.screen.page(&out)
    }

    /// Draws again: the size of the terminal changed, or its contents were lost.
    fn resize(&mut self) -> io::Result<()> {
        self.measure();
        self.until_header = 0;
        self.page()
    }
}

/// Whether a reading may be several rows. One row is written under the last one, as in
/// vmstat(8); several are a table with a header of their own, as in iostat(1).
fn is_many(patterns: &[Pattern]) -> bool {
    match patterns {
        [] => false,
        [one] => one.plain().is_none(),
        _ => true,
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
pub fn suggest(settings: &Settings, length: Micros) -> Result<End, Failure> {
    quietly(suggest_all(settings, length))
}

/// Prints rules from a recording.
pub fn suggest_from(file: &Path) -> Result<End, Failure> {
    let suggestion = Suggestion::of(replay::read(file)?);
    let mut out = Vec::with_capacity(4096);
    suggestion.write(&mut out, None);
    quietly(
        io::stdout()
            .write_all(&out)
            .map(|()| End::Done)
            .map_err(Failure::Io),
    )
}

fn suggest_all(settings: &Settings, length: Micros) -> Result<End, Failure> {
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
