//! Rows as a table for people. Numbers are right-aligned in columns of fixed width,
//! and names are last, so that awk(1) finds every column by its number.

use super::{Figure, Row, Selection, cells, kinds};
use crate::pressure::{Kind, Percent, Resource};

use name::{Mark, shortened};

mod name;

/// The width of a column of percentages: a space and `100.00`.
const COLUMN: usize = 7;
/// That on a narrow terminal: a space and `12.3`, or `100`.
const NARROW: usize = 5;
/// The width of a block's first column: `memory some`.
const LABEL: usize = 11;
/// The spaces between a header and its mark.
const MARK_GAP: usize = 2;
/// A name that has less room beside the figures is above them.
const NAME_MIN: usize = 16;
/// A name is not cut shorter than this, however narrow the terminal.
const NAME_LEAST: usize = 8;

/// The percentages from which numbers are yellow, and red.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Yellow.
    pub yellow: Percent,
    /// Red.
    pub red: Percent,
}

impl Limits {
    /// Black on yellow, or white on red: readable on light and on dark backgrounds, whatever
    /// shades a terminal has for these colours.
    fn colour(self, percent: Percent) -> Option<&'static [u8]> {
        match percent {
            percent if percent >= self.red => Some(b"\x1b[1;37;41m"),
            percent if percent >= self.yellow => Some(b"\x1b[30;43m"),
            _ => None,
        }
    }
}

/// How a group is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One line per group.
    Row,
    /// One line per group, and its name in a line above.
    Titled,
    /// One line per resource and kind.
    Block,
}

/// How a table looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// The resources that are shown.
    pub selection: Selection,
    /// avg10, avg60 and avg300 beside every interval.
    pub averages: bool,
    /// Characters of a time stamp; 0 is none.
    pub time: usize,
    /// Whether rows are of cgroups and so have names.
    pub names: bool,
    /// The limits of colours; None is no colours.
    pub colours: Option<Limits>,
    /// Characters in a line; None is no limit.
    pub width: Option<usize>,
    /// Whether lines must fit into `width`: names are shortened, and a row that doesn't
    /// fit has narrow columns, a line of its own for the name, or becomes a block.
    pub cut: bool,
    /// Whether the terminal shows UTF-8.
    pub utf8: bool,
    /// What the next header says besides its columns: the time of the figures below it.
    pub mark: Option<&'static str>,
}

impl Look {
    /// The form of each group, and the width of a column: what fits, or a block.
    fn layout(&self) -> (Form, usize) {
        let must_fit = self.averages || self.cut;
        let Some(width) = self.width.filter(|_| must_fit) else {
            return (Form::Row, COLUMN);
        };
        let name = if self.names { 1 + NAME_MIN } else { 0 };
        let fits = |column, name| self.before_name(column) + name <= width;
        let narrow = self.cut && !self.averages;
        match narrow {
            _ if fits(COLUMN, name) => (Form::Row, COLUMN),
            true if fits(NARROW, name) => (Form::Row, NARROW),
            true if self.names && self.time == 0 && fits(COLUMN, 0) => (Form::Titled, COLUMN),
            true if self.names && self.time == 0 && fits(NARROW, 0) => (Form::Titled, NARROW),
            _ => (Form::Block, COLUMN),
        }
    }

    /// The form of each group.
    pub fn form(&self) -> Form {
        self.layout().0
    }

    /// Lines above the rows.
    pub fn header_lines(&self) -> usize {
        match self.form() {
            Form::Row | Form::Titled => 2,
            Form::Block => 0,
        }
    }

    /// Lines of one row or block, with the blank line behind it.
    pub fn row_lines(&self) -> usize {
        match self.form() {
            Form::Row => 1,
            Form::Titled => 2,
            Form::Block => 2 + cells(self.selection).count() + usize::from(self.has_title()),
        }
    }

    fn has_title(&self) -> bool {
        self.time > 0 || self.names
    }

    /// Columns per resource and kind.
    fn values(&self) -> usize {
        if self.averages { 4 } else { 1 }
    }

    /// The characters in front of a row's name.
    fn before_name(&self, column: usize) -> usize {
        self.time + column * self.values() * cells(self.selection).count()
    }

    /// The mark behind a header of `head` characters. If there is no room for it, it is
    /// written as a line above the header, and the result is None.
    fn mark_above(&self, out: &mut Vec<u8>, head: usize) -> Option<&'static str> {
        let mark = self.mark?;
        let width = self.width.filter(|_| self.cut);
        if width.is_none_or(|width| head + MARK_GAP + mark.len() <= width) {
            return Some(mark);
        }
        out.extend_from_slice(mark.as_bytes());
        out.push(b'\n');
        None
    }

    /// The column headers, two lines; none in block form, whose blocks have their own.
    /// The mark is behind the first, so that the lines and columns in a pipe are the
    /// same with it and without it.
    pub fn header(&self, out: &mut Vec<u8>) {
        let (form, column) = self.layout();
        if form == Form::Block {
            return;
        }
        let mark = self.mark_above(out, self.before_name(column));
        pad(out, self.time, b' ');
        for resource in Resource::ALL {
            let width = column * self.values() * kinds(self.selection, resource).count();
            if width > 0 {
                // one narrow column has no room for a long name
                let name = resource.name();
                let name = name.get(..width - 1).unwrap_or(name);
                let dashes = width - 1 - name.len();
                out.push(b' ');
                pad(out, dashes / 2, b'-');
                out.extend_from_slice(name.as_bytes());
                pad(out, dashes - dashes / 2, b'-');
            }
        }
        marked(out, mark);
        out.push(b'\n');
        if self.time > 0 {
            left(out, "time", self.time);
        }
        for (_, kind) in cells(self.selection) {
            right(out, kind.name(), column);
            if self.averages {
                self.average_heads(out);
            }
        }
        if self.names && form == Form::Row {
            out.extend_from_slice(b" cgroup");
        }
        out.push(b'\n');
    }

    fn average_heads(&self, out: &mut Vec<u8>) {
        for head in ["avg10", "avg60", "avg300"] {
            right(out, head, COLUMN);
        }
    }

    /// One group. `time` is [`Look::time`] characters long.
    pub fn row(&self, out: &mut Vec<u8>, time: &str, row: &Row) {
        let (form, column) = self.layout();
        match form {
            Form::Block => return self.block(out, time, row),
            Form::Titled => {
                let name = row.cgroup.as_deref();
                self.name(out, name.unwrap_or_default(), 0);
                out.push(b'\n');
            }
            Form::Row => {}
        }
        out.extend_from_slice(time.as_bytes());
        for (resource, kind) in cells(self.selection) {
            self.figure(out, row.figure(resource, kind), column);
        }
        if let (Form::Row, Some(name)) = (form, &row.cgroup) {
            out.push(b' ');
            self.name(out, name, self.before_name(column) + 1);
        }
        out.push(b'\n');
    }

    fn block(&self, out: &mut Vec<u8>, time: &str, row: &Row) {
        let mark = self.mark_above(out, LABEL + COLUMN * self.values());
        if self.has_title() {
            out.extend_from_slice(time.as_bytes());
            if let Some(name) = &row.cgroup {
                if !time.is_empty() {
                    out.push(b' ');
                }
                self.name(out, name, self.time + 1);
            }
            out.push(b'\n');
        }
        pad(out, LABEL, b' ');
        right(out, "pct", COLUMN);
        if self.averages {
            self.average_heads(out);
        }
        marked(out, mark);
        out.push(b'\n');
        for (resource, kind) in cells(self.selection) {
            left(out, resource.name(), LABEL - Kind::Some.name().len());
            out.extend_from_slice(kind.name().as_bytes());
            self.figure(out, row.figure(resource, kind), COLUMN);
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn figure(&self, out: &mut Vec<u8>, figure: Option<Figure>, column: usize) {
        self.percent(out, figure.and_then(|figure| figure.share), column);
        if self.averages {
            let stall = figure.map(|figure| figure.stall);
            self.percent(out, stall.map(|stall| stall.avg10), COLUMN);
            self.percent(out, stall.map(|stall| stall.avg60), COLUMN);
            self.percent(out, stall.map(|stall| stall.avg300), COLUMN);
        }
    }

    fn percent(&self, out: &mut Vec<u8>, percent: Option<Percent>, column: usize) {
        write_percent(out, percent, column, self.colours);
    }

    /// A name at the column `at`.
    fn name(&self, out: &mut Vec<u8>, name: &[u8], at: usize) {
        let mark = if self.utf8 {
            Mark("…", 1)
        } else {
            Mark("...", 3)
        };
        match self.width.filter(|_| self.cut) {
            Some(width) => {
                let room = width.saturating_sub(at).max(NAME_LEAST);
                out.extend_from_slice(&shortened(name, room, mark));
            }
            None => out.extend_from_slice(name),
        }
    }
}

/// One column; an unknown percentage is `-`.
pub(super) fn write_percent(
    out: &mut Vec<u8>,
    percent: Option<Percent>,
    column: usize,
    colours: Option<Limits>,
) {
    let Some(percent) = percent else {
        right(out, "-", column);
        return;
    };
    let start = out.len();
    match column {
        NARROW => tenths(out, percent),
        _ => super::hundredths(out, percent, column),
    }
    if let Some(colour) = colours.and_then(|limits| limits.colour(percent)) {
        // The spaces in front are not coloured.
        let blanks = out[start..].iter().take_while(|b| **b == b' ').count();
        let digits = start + blanks;
        out.splice(digits..digits, colour.iter().copied());
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// A percentage in [`NARROW`] columns: `12.3`, or `100`.
fn tenths(out: &mut Vec<u8>, Percent(hundredths): Percent) {
    match (hundredths + 5) / 10 {
        1_000.. => right(out, "100", NARROW),
        tenths => right(out, &format!("{}.{}", tenths / 10, tenths % 10), NARROW),
    }
}

fn marked(out: &mut Vec<u8>, mark: Option<&str>) {
    if let Some(mark) = mark {
        pad(out, MARK_GAP, b' ');
        out.extend_from_slice(mark.as_bytes());
    }
}

fn pad(out: &mut Vec<u8>, count: usize, with: u8) {
    out.resize(out.len() + count, with);
}

fn right(out: &mut Vec<u8>, text: &str, width: usize) {
    pad(out, width.saturating_sub(text.len()), b' ');
    out.extend_from_slice(text.as_bytes());
}

fn left(out: &mut Vec<u8>, text: &str, width: usize) {
    out.extend_from_slice(text.as_bytes());
    pad(out, width.saturating_sub(text.len()), b' ');
}

#[cfg(test)]
mod tests;
