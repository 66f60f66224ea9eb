//! Rows as a table for people. Numbers are right-aligned in columns of fixed
//! width, names come last, so that awk(1) finds every column by its number.

use super::{Figure, Row, Selection, cells};
use crate::pressure::{Kind, Percent, Resource};

/// A column of percentages: a blank and `100.00`.
const COLUMN: usize = 7;
/// The first column of a block: `memory some`.
const LABEL: usize = 11;
/// Between a head and its mark.
const MARK_GAP: usize = 2;
/// A name is not cut shorter than this, however narrow the terminal.
const NAME_MIN: usize = 8;

/// From which percentages on a number is yellow, and red.
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
    /// In one line.
    Row,
    /// A line each resource and kind.
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
    /// Colours; None is none.
    pub colours: Option<Limits>,
    /// Characters in a line; None is no limit.
    pub width: Option<usize>,
    /// Whether lines have to fit there: names are cut, and a row that doesn't fit
    /// is a block.
    pub cut: bool,
    /// What the next head says besides: of what time the figures below it are.
    pub mark: Option<&'static str>,
}

impl Look {
    /// A row if it fits, else a block.
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

    /// Lines of one row or block, with the blank line that parts it from the next.
    pub fn row_lines(&self) -> usize {
        match self.form() {
            Form::Row => 1,
            Form::Block => 2 + cells(self.selection).count() + usize::from(self.has_title()),
        }
    }

    fn has_title(&self) -> bool {
        self.time > 0 || self.names
    }

    /// Percentages beside one another for one resource and kind.
    fn values(&self) -> usize {
        if self.averages { 4 } else { 1 }
    }

    /// The characters in front of a row's name.
    fn before_name(&self) -> usize {
        self.time + COLUMN * self.values() * cells(self.selection).count()
    }

    /// The mark of a head that is so long. Where there is no room behind that it
    /// becomes a line above, and None.
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

    /// The column heads, two lines; none in block form, whose blocks have their own.
    /// The mark is behind the first, so that a pipe gets the same lines and columns
    /// with it as without.
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

    /// A column; what isn't known is `-`.
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
        // The blanks in front stay out of it: a copied number is a number.
        let start = out.len();
        super::hundredths(out, percent, COLUMN);
        let blanks = out[start..].iter().take_while(|b| **b == b' ').count();
        let digits = start + blanks;
        out.splice(digits..digits, colour.iter().copied());
        out.extend_from_slice(b"\x1b[0m");
    }

    /// A name, at the column `at`. Of a long one the end is kept, which tells it
    /// from its neighbours.
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
mod tests {
    use super::super::tests::{ALL, group, reading};
    use super::super::{Group, since_boot};
    use super::*;

    const LOOK: Look = Look {
        selection: ALL,
        averages: false,
        time: 0,
        names: false,
        colours: None,
        width: Some(80),
        cut: true,
        mark: None,
    };

    fn table(look: Look, time: &str, groups: &[Group]) -> String {
        let mut out = Vec::new();
        look.header(&mut out);
        for row in since_boot(groups) {
            look.row(&mut out, time, &row);
        }
        String::from_utf8(out).unwrap()
    }

    fn system() -> Group {
        let mut group = group(None, 0, 1_000_000, 123_400);
        group.readings[Resource::Irq as usize] = None;
        group.readings[Resource::Io as usize] = reading(1_000_000, Some(2_000_000), Some(0));
        group
    }

    #[test]
    fn a_row_has_a_column_each() {
        let expected = " -----cpu----- ---memory---- -----io------ -irq--
   some   full   some   full   some   full   full
  12.34      -  12.34  12.34 100.00   0.00      -
";
        assert_eq!(table(LOOK, "", &[system()]), expected);
    }

    #[test]
    fn times_come_first_and_names_last() {
        let look = Look {
            time: 8,
            names: true,
            selection: [false, true, false, false],
            ..LOOK
        };
        let expected = "         ---memory----\n\
                        time       some   full cgroup\n\
                        12:34:56  50.00  50.00 /a%20b\n";
        let group = group(Some("/a b"), 0, 2_000_000, 1_000_000);
        assert_eq!(table(look, "12:34:56", &[group]), expected);
    }

    /// The head has as many lines with a mark as without, unless it has to fit a
    /// terminal and does not.
    #[test]
    fn a_mark_is_behind_the_first_head() {
        let mark = Some("since boot");
        let dashes = " -----cpu----- ---memory---- -----io------ -irq--";
        for (width, cut, head) in [
            (Some(80), true, format!("{dashes}  since boot")),
            (Some(61), true, format!("{dashes}  since boot")),
            (Some(60), true, format!("since boot\n{dashes}")),
            (Some(60), false, format!("{dashes}  since boot")),
            (None, true, format!("{dashes}  since boot")),
        ] {
            let (marked, plain) = (
                Look {
                    mark,
                    width,
                    cut,
                    ..LOOK
                },
                LOOK,
            );
            let rest = table(plain, "", &[system()]);
            let rest = rest.strip_prefix(dashes).unwrap();
            let text = table(marked, "", &[system()]);
            assert_eq!(text, format!("{head}{rest}"), "{width:?} {cut}");
        }
        let block = Look {
            mark,
            averages: true,
            ..LOOK
        };
        let text = table(block, "", &[system()]);
        let head = "               pct  avg10  avg60 avg300  since boot\n";
        assert!(text.starts_with(head), "{text}");
        let text = table(
            Look {
                width: Some(50),
                ..block
            },
            "",
            &[system()],
        );
        assert!(text.starts_with("since boot\n    "), "{text}");
    }

    /// On a terminal nothing is folded; a pipe's columns depend on options alone.
    #[test]
    fn a_row_that_does_not_fit_a_terminal_is_a_block() {
        for (width, cut, form) in [
            (49, true, Form::Row),
            (48, true, Form::Block),
            (48, false, Form::Row),
        ] {
            let width = Some(width);
            assert_eq!(Look { width, cut, ..LOOK }.form(), form, "{width:?} {cut}");
        }
        let look = Look {
            width: Some(40),
            ..LOOK
        };
        let text = table(look, "", &[system()]);
        assert!(
            text.starts_with("               pct\ncpu    some  12.34\n"),
            "{text}"
        );
    }

    #[test]
    fn averages_go_beside_where_there_is_room() {
        let look = Look {
            averages: true,
            selection: [true, false, false, false],
            ..LOOK
        };
        let expected = " --------------------------cpu--------------------------\n\
          \u{20}  some  avg10  avg60 avg300   full  avg10  avg60 avg300\n\
          \u{20} 12.34   0.12   3.45 100.00      -      -      -      -\n";
        assert_eq!(table(look, "", &[system()]), expected);
        let full = Look {
            averages: true,
            ..LOOK
        };
        assert_eq!(full.form(), Form::Block);
        for width in [None, Some(196), Some(200)] {
            assert_eq!(Look { width, ..full }.form(), Form::Row, "{width:?}");
        }
        let width = Some(195);
        assert_eq!(Look { width, ..full }.form(), Form::Block);
    }

    #[test]
    fn averages_go_below_where_there_is_none() {
        let look = Look {
            averages: true,
            names: true,
            ..LOOK
        };
        let expected = "\
/a
               pct  avg10  avg60 avg300
cpu    some  10.00   0.12   3.45 100.00
cpu    full  10.00   0.12   3.45 100.00
memory some  10.00   0.12   3.45 100.00
memory full  10.00   0.12   3.45 100.00
io     some  10.00   0.12   3.45 100.00
io     full  10.00   0.12   3.45 100.00
irq    full  10.00   0.12   3.45 100.00

";
        let text = table(look, "", &[group(Some("/a"), 0, 1_000_000, 100_000)]);
        assert_eq!(text, expected);
        assert_eq!(text.lines().count(), look.row_lines());
    }

    #[test]
    fn colours_begin_at_the_limits() {
        let limits = Limits {
            yellow: Percent(1_234),
            red: Percent(5_000),
        };
        let look = Look {
            colours: Some(limits),
            selection: [false, false, true, false],
            ..LOOK
        };
        for (total, expected) in [
            (123_300, "  12.33"),
            (123_400, "  \x1b[33m12.34\x1b[0m"),
            (499_900, "  \x1b[33m49.99\x1b[0m"),
            (500_000, "  \x1b[1;31m50.00\x1b[0m"),
            (1_000_000, " \x1b[1;31m100.00\x1b[0m"),
        ] {
            let text = table(look, "", &[group(None, 0, 1_000_000, total)]);
            let last = text.lines().last().unwrap_or_default();
            assert_eq!(last, expected.repeat(2));
        }
    }

    /// No line is longer than the terminal, down to where a name would be nothing.
    #[test]
    fn a_long_name_loses_its_beginning() {
        let name = format!("/{}/end.service", "x".repeat(300));
        let group = group(Some(&name), 0, 1_000_000, 0);
        for width in [63, 80, 200] {
            let look = Look {
                names: true,
                width: Some(width),
                ..LOOK
            };
            let text = table(look, "", std::slice::from_ref(&group));
            let last = text.lines().last().unwrap_or_default();
            assert_eq!(last.len(), width);
            assert!(
                last.ends_with("d.service") && last.contains(" ..."),
                "{last}"
            );
        }
        for (width, cut) in [(None, true), (Some(80), false)] {
            let look = Look {
                names: true,
                width,
                cut,
                ..LOOK
            };
            assert!(table(look, "", std::slice::from_ref(&group)).contains(&name));
        }
    }
}
