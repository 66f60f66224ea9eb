//! Rows as a table for people. Numbers are right-aligned in columns of fixed width,
//! and names are last, so that awk(1) finds every column by its number.

use super::{Figure, Row, Selection, cells};
use crate::pressure::{Kind, Percent, Resource};

/// The width of a column of percentages: a space and `100.00`.
const COLUMN: usize = 7;
/// The width of a block's first column: `memory some`.
const LABEL: usize = 11;
/// The spaces between a header and its mark.
const MARK_GAP: usize = 2;
/// A name is not cut shorter than this, however narrow the terminal.
const NAME_MIN: usize = 8;

/// The percentages from which numbers are yellow, and red.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Yellow.
    pub yellow: Percent,
    /// Red.
    pub red: Percent,
}

/// How a group is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One line per group.
    Row,
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
    /// Whether lines must fit into `width`: names are truncated, and a row that doesn't
    /// fit becomes a block.
    pub cut: bool,
    /// What the next header says besides its columns: the time of the figures below it.
    pub mark: Option<&'static str>,
}

impl Look {
    /// The form of each group: a row if it fits, else a block.
    pub fn form(&self) -> Form {
        let name = if self.names { 1 + NAME_MIN } else { 0 };
        match self.width {
            Some(width) if self.before_name() + name > width && (self.averages || self.cut) => {
                Form::Block
            }
            _ => Form::Row,
        }
    }

    /// Lines above the rows.
    pub fn header_lines(&self) -> usize {
        match self.form() {
            Form::Row => 2,
            Form::Block => 0,
        }
    }

    /// Lines of one row or block, with the blank line behind it.
    pub fn row_lines(&self) -> usize {
        match self.form() {
            Form::Row => 1,
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
    fn before_name(&self) -> usize {
        self.time + COLUMN * self.values() * cells(self.selection).count()
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
        if self.form() == Form::Block {
            return;
        }
        let mark = self.mark_above(out, self.before_name());
        pad(out, self.time, b' ');
        for resource in Resource::ALL {
            let kinds = cells(self.selection).filter(|(other, _)| *other == resource);
            let width = COLUMN * self.values() * kinds.count();
            if width > 0 {
                let dashes = width - 1 - resource.name().len();
                out.push(b' ');
                pad(out, dashes / 2, b'-');
                out.extend_from_slice(resource.name().as_bytes());
                pad(out, dashes - dashes / 2, b'-');
            }
        }
        marked(out, mark);
        out.push(b'\n');
        if self.time > 0 {
            left(out, "time", self.time);
        }
        for (_, kind) in cells(self.selection) {
            right(out, kind.name(), COLUMN);
            if self.averages {
                self.average_heads(out);
            }
        }
        if self.names {
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
        match self.form() {
            Form::Row => self.line(out, time, row),
            Form::Block => self.block(out, time, row),
        }
    }

    fn line(&self, out: &mut Vec<u8>, time: &str, row: &Row) {
        out.extend_from_slice(time.as_bytes());
        for (resource, kind) in cells(self.selection) {
            self.figure(out, row.figure(resource, kind));
        }
        if let Some(name) = &row.cgroup {
            out.push(b' ');
            self.name(out, name, self.before_name() + 1);
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
            self.figure(out, row.figure(resource, kind));
            out.push(b'\n');
        }
        out.push(b'\n');
    }

    fn figure(&self, out: &mut Vec<u8>, figure: Option<Figure>) {
        self.percent(out, figure.and_then(|figure| figure.share));
        if self.averages {
            let stall = figure.map(|figure| figure.stall);
            self.percent(out, stall.map(|stall| stall.avg10));
            self.percent(out, stall.map(|stall| stall.avg60));
            self.percent(out, stall.map(|stall| stall.avg300));
        }
    }

    /// One column; an unknown percentage is `-`.
    fn percent(&self, out: &mut Vec<u8>, percent: Option<Percent>) {
        let Some(percent) = percent else {
            right(out, "-", COLUMN);
            return;
        };
        let colour = match self.colours {
            Some(limits) if percent >= limits.red => Some(&b"\x1b[1;31m"[..]),
            Some(limits) if percent >= limits.yellow => Some(&b"\x1b[33m"[..]),
            _ => None,
        };
        let Some(colour) = colour else {
            super::hundredths(out, percent, COLUMN);
            return;
        };
        // The spaces in front are not coloured.
        let start = out.len();
        super::hundredths(out, percent, COLUMN);
        let blanks = out[start..].iter().take_while(|b| **b == b' ').count();
        let digits = start + blanks;
        out.splice(digits..digits, colour.iter().copied());
        out.extend_from_slice(b"\x1b[0m");
    }

    /// A name at the column `at`. A long one is truncated on the left: names differ
    /// at their ends.
    fn name(&self, out: &mut Vec<u8>, name: &[u8], at: usize) {
        const CUT: &[u8] = b"...";
        let width = self.width.filter(|_| self.cut);
        let room = width.map(|width| width.saturating_sub(at));
        match room.map(|room| room.max(NAME_MIN)) {
            Some(room) if name.len() > room => {
                out.extend_from_slice(CUT);
                out.extend_from_slice(&name[name.len() - (room - CUT.len())..]);
            }
            _ => out.extend_from_slice(name),
        }
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
