//! What psistat shows on standard output: rows below each other, one page at a time, or
//! JSON. A terminal gets what is worth looking at; a pipe gets everything, always in the
//! same columns.

use std::io;

use crate::pattern::Pattern;
use crate::stat::graph::{Canvas, Graph};
use crate::stat::table::{Form, Look};
use crate::stat::{self, CELLS, Row, Selection, json};
use crate::sys;
use crate::time::{Micros, Moment};

use super::options::Settings;
use super::screen::{Mode, Screen, Wake};
use super::{FRACTION, STAMP, stamp_of};

/// `2026-11-22 `
const DATE: usize = 11;

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
    /// Whether columns without figures and idle cgroups are left out.
    tidy: bool,
    /// Columns that had a figure at any reading.
    filled: Selection,
    /// Cgroups that were named by their paths; these are never left out.
    named: Vec<Vec<u8>>,
    /// The last page, for a new layout when the size changes.
    last: Option<Page>,
    /// What `--graph` has seen.
    graph: Graph,
    shown: u64,
}

/// Rows, and how many there were.
struct Page {
    wall: Micros,
    rows: Vec<Row>,
    idle: usize,
    all: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(settings: &'a Settings) -> io::Result<View<'a>> {
        let mode = match settings.top {
            _ if settings.graph => Mode::Pages,
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
            utf8: screen.is_utf8(),
            mark: None,
        };
        let mut view = View {
            settings,
            tidy: screen.is_terminal() && !settings.wide && !settings.json,
            filled: [false; CELLS.len()],
            named: named(&settings.patterns),
            screen,
            look,
            many: is_many(&settings.patterns),
            stamp,
            lines: 0,
            until_header: 0,
            last: None,
            graph: Graph::default(),
            shown: 0,
        };
        view.measure();
        Ok(view)
    }

    /// Whether it shows one page at a time.
    pub(super) fn has_pages(&self) -> bool {
        self.screen.has_pages()
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
        let once = self.screen.has_pages() || self.many && self.look.form() != Form::Block;
        if self.settings.time && !once {
            self.look.time = self.stamp;
        }
    }

    /// Shows one reading.
    pub(super) fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        let wall = sys::wall();
        if self.tidy {
            self.notice(rows);
        }
        let chosen = self.chosen(rows);
        if self.settings.graph {
            // what was before is no interval
            let row = rows.first().filter(|row| !row.since_boot);
            row.inspect(|row| self.graph.add(row, self.step()));
        }
        if self.screen.has_pages() {
            let (shown, idle) = chosen.unwrap_or_else(|| (rows.to_vec(), 0));
            self.last = Some(Page {
                wall,
                rows: shown,
                idle,
                all: rows.len(),
            });
            self.shown += 1;
            return self.page();
        }
        let shown = chosen.as_ref().map_or(rows, |(shown, _)| shown);
        let mut out = Vec::with_capacity(1024);
        if self.settings.json {
            for row in shown {
                json::object(&mut out, self.settings.selection, wall.0, row);
            }
        } else {
            self.table(&mut out, wall, shown);
        }
        if let Some((_, idle @ 1..)) = chosen {
            left_out(&mut out, idle);
        }
        self.shown += 1;
        self.screen.write(&out)
    }

    /// Shows the columns that have a figure; once shown, they stay.
    fn notice(&mut self, rows: &[Row]) {
        let now = stat::filled(rows);
        let filled = both(self.filled, now, |before, now| before | now);
        if filled == self.filled {
            return;
        }
        self.filled = filled;
        let all = self.settings.selection;
        let shown = both(all, filled, |all, filled| all & filled);
        self.look.selection = if shown.contains(&true) { shown } else { all };
        self.until_header = 0;
        self.measure();
    }

    /// The rows to show if they are not all of them in their order, and how many idle
    /// ones were left out.
    fn chosen(&self, rows: &[Row]) -> Option<(Vec<Row>, usize)> {
        let selection = self.settings.selection;
        let list = self.many || self.settings.top.is_some();
        if !self.tidy || !list {
            let top = self.settings.top?;
            return Some((stat::most_stalled(rows.to_vec(), selection, top), 0));
        }
        let is_named = |row: &Row| {
            row.cgroup
                .as_ref()
                .is_some_and(|name| self.named.contains(name))
        };
        let kept = |row: &&Row| !row.is_idle(selection, self.settings.averages) || is_named(row);
        let busy: Vec<Row> = rows.iter().filter(kept).cloned().collect();
        let idle = rows.len() - busy.len();
        let top = self.settings.top.unwrap_or(usize::MAX);
        Some((stat::most_stalled(busy, selection, top), idle))
    }

    /// Rows below those of the last reading.
    fn table(&mut self, out: &mut Vec<u8>, wall: Micros, rows: &[Row]) {
        let mut stamp = [0; STAMP + FRACTION];
        let stamp = match self.settings.time {
            true => stamp_of(wall, &mut stamp),
            false => "",
        };
        if self.many && self.look.form() != Form::Block {
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

    /// `2026-11-22 18:58:46  every 1s  3 of 7 cgroups, 4 idle  q quits`. The date and what
    /// is at the end are left out where there is no room.
    fn title(&self, page: &Page, columns: usize) -> String {
        let mut stamp = [0; STAMP + FRACTION];
        let stamp = stamp_of(page.wall, &mut stamp);
        let span = match (self.shown, self.settings.interval) {
            (2.., Some(interval)) => format!("every {interval}"),
            _ => "since boot".into(),
        };
        let quit = match self.screen.takes_keys() {
            true => "  q quits",
            false => "",
        };
        let idle = match page.idle {
            0 => String::new(),
            idle => format!(", {idle} idle"),
        };
        let (shown, all) = (page.rows.len(), page.all);
        let stamp = stamp.get(..STAMP).unwrap_or_default();
        let (date, time) = stamp.split_at(DATE.min(stamp.len()));
        let what = match (self.settings.graph, self.named.first()) {
            (true, None) => String::new(),
            (true, Some(name)) => format!("  {}", String::from_utf8_lossy(name)),
            (false, _) => format!("  {shown} of {all} cgroups"),
        };
        let least = format!("{time}  {span}{what}");
        let mut title = format!("{date}{least}{idle}{quit}");
        for end in [&format!("{idle}{quit}"), &idle, ""] {
            if title.len() > columns {
                title = format!("{least}{end}");
            }
        }
        title.truncate(columns);
        title
    }

    fn step(&self) -> Micros {
        self.settings.interval.unwrap_or_default()
    }

    /// The last reading on one screen.
    fn page(&mut self) -> io::Result<()> {
        let Some(page) = &self.last else {
            return Ok(());
        };
        let (columns, _) = self.screen.size();
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(self.title(page, columns).as_bytes());
        out.push(b'\n');
        if self.settings.graph {
            let canvas = Canvas {
                columns,
                lines: self.lines.saturating_sub(2),
                colours: self.look.colours,
                blocks: self.screen.has_blocks(),
            };
            let selection = self.look.selection;
            self.graph.draw(&mut out, selection, self.step(), canvas);
            return self.screen.page(&out);
        }
        self.look.header(&mut out);
        // The last line is left empty, or the screen would scroll.
        let room = self.lines.saturating_sub(2 + self.look.header_lines());
        for row in page.rows.iter().take((room / self.look.row_lines()).max(1)) {
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

/// Column by column.
fn both(one: Selection, other: Selection, with: fn(bool, bool) -> bool) -> Selection {
    std::array::from_fn(|cell| with(one[cell], other[cell]))
}

/// The line below a table that shows only some cgroups.
fn left_out(out: &mut Vec<u8>, idle: usize) {
    let cgroups = if idle == 1 { "cgroup" } else { "cgroups" };
    out.extend_from_slice(format!("{idle} idle {cgroups}\n").as_bytes());
}

/// The cgroups that are named by their paths, as words.
fn named(patterns: &[Pattern]) -> Vec<Vec<u8>> {
    let plain = patterns.iter().filter_map(Pattern::plain);
    plain.map(stat::word).collect()
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
