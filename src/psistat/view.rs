//! What psistat shows on standard output: rows below each other, one page at a time, or
//! JSON.

use std::io;

use crate::pattern::Pattern;
use crate::stat::table::{Form, Look};
use crate::stat::{self, Row, json};
use crate::sys;
use crate::time::{Micros, Moment};

use super::options::Settings;
use super::screen::{Mode, Screen, Wake};
use super::{FRACTION, STAMP, stamp_of};

/// What is on standard output, and how it looks.
pub(super) struct View<'a> {
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
    pub(super) fn new(settings: &'a Settings) -> io::Result<View<'a>> {
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

    /// Waits until `due`, or until something else is to be done.
    pub(super) fn wait(&mut self, due: Moment) -> io::Result<Wake> {
        self.screen.wait(due)
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
    pub(super) fn show(&mut self, rows: &[Row]) -> io::Result<()> {
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
    pub(super) fn resize(&mut self) -> io::Result<()> {
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
