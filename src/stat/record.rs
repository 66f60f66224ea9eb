//! The text of `psistat --record` (psistat(1), RECORDS): counters over time, one line
//! per reading and group with only what has changed. Pure both ways.

use std::fmt;

use crate::pattern::{CgroupPath, unescape};
use crate::pressure::Kind;
use crate::stat::{CELLS, Group};
use crate::time::Moment;

/// The first line.
const HEAD: &str = "psistat record 1";

/// `total=` of every cell, in the order of [`CELLS`]; None is not known.
pub type Totals = [Option<u64>; CELLS.len()];

/// One group at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    /// The cgroup's path; None is the whole system.
    pub path: Option<Vec<u8>>,
    /// When, in microseconds of CLOCK_MONOTONIC.
    pub at: Moment,
    /// What its counters said.
    pub totals: Totals,
}

struct Known {
    path: Option<Vec<u8>>,
    totals: Totals,
}

/// Writes readings, one after another.
#[derive(Default)]
pub struct Writer {
    groups: Vec<Known>,
    last: Option<Moment>,
}

impl Writer {
    /// Appends one reading of every group.
    pub fn add(&mut self, out: &mut Vec<u8>, groups: &[Group]) {
        for group in groups {
            let Some(at) = group.readings.iter().flatten().map(|r| r.at).next() else {
                continue;
            };
            if self.last.is_none() {
                out.extend_from_slice(HEAD.as_bytes());
                out.push(b'\n');
            }
            let number = self.number(out, group);
            let Some(known) = self.groups.get_mut(number) else {
                continue;
            };
            let mut changes = String::new();
            for (cell, (resource, kind)) in CELLS.into_iter().enumerate() {
                let reading = group.readings[resource as usize];
                let Some(stall) = reading.and_then(|reading| reading.pressure.of(kind)) else {
                    continue;
                };
                let before = known.totals[cell].replace(stall.total);
                let letter = letter(cell);
                match (before, stall.total.checked_sub(before.unwrap_or(0))) {
                    (Some(_), Some(0)) => {}
                    (_, Some(growth)) => changes.push_str(&format!(" {letter}{growth}")),
                    // it fell, so it is a new counter, from its start
                    (_, None) => changes.push_str(&format!(" {letter}={}", stall.total)),
                }
            }
            if changes.is_empty() {
                continue;
            }
            let passed = at.since(self.last.unwrap_or(Moment(0))).0;
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
            let of = match number {
                0 => String::new(),
                number => format!(":{number}"),
            };
            out.extend_from_slice(format!("{passed}{of}{changes}\n").as_bytes());
        }
    }

    /// Appends the time at which the record ends: nothing has changed until then.
    pub fn end(&mut self, out: &mut Vec<u8>, at: Moment) {
        if let Some(last) = self.last {
            let passed = at.since(last).0;
            out.extend_from_slice(format!("{passed}\n").as_bytes());
        }
    }

    fn number(&mut self, out: &mut Vec<u8>, group: &Group) -> usize {
        if let Some(found) = self
            .groups
            .iter()
            .position(|known| known.path == group.path)
        {
            return found;
        }
        let name = match &group.path {
            None => "-".into(),
            Some(path) => CgroupPath::of(path.clone()).to_string(),
        };
        out.extend_from_slice(format!("group {name}\n").as_bytes());
        self.groups.push(Known {
            path: group.path.clone(),
            totals: [None; CELLS.len()],
        });
        self.groups.len() - 1
    }
}

fn letter(cell: usize) -> char {
    char::from(b'a' + cell as u8)
}

/// The first line, counted from 1, that does not belong in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordError(pub usize);

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} does not belong in a psistat record", self.0)
    }
}

impl std::error::Error for RecordError {}

/// Reads a record back: one point per line that holds a reading.
pub fn parse(text: &str) -> Result<Vec<Point>, RecordError> {
    let mut lines = text.lines().zip(1..);
    if lines.next().map(|(line, _)| line) != Some(HEAD) {
        return Err(RecordError(1));
    }
    let mut groups: Vec<Known> = Vec::new();
    let mut at = Moment(0);
    let mut points = Vec::new();
    for (line, number) in lines {
        let point = match line.strip_prefix("group ") {
            Some(name) => group(name).map(|known| groups.push(known)),
            None => reading(line, &mut groups, &mut at).map(|point| points.push(point)),
        };
        point.ok_or(RecordError(number))?;
    }
    Ok(points)
}

fn group(name: &str) -> Option<Known> {
    let path = match name {
        "-" => None,
        name => Some(unescape(name.as_bytes())?),
    };
    let totals = [None; CELLS.len()];
    Some(Known { path, totals })
}

fn reading(line: &str, groups: &mut [Known], at: &mut Moment) -> Option<Point> {
    let mut words = line.split(' ');
    let head = words.next()?;
    let (passed, number) = head.split_once(':').unwrap_or((head, "0"));
    let known = groups.get_mut(number.parse::<usize>().ok()?)?;
    *at = Moment(at.0.checked_add(passed.parse().ok()?)?);
    for word in words {
        let cell = (0..CELLS.len()).find(|&cell| word.starts_with(letter(cell)))?;
        let value = word.get(1..)?;
        let total = match value.strip_prefix('=') {
            Some(total) => total.parse().ok()?,
            None => known.totals[cell]
                .unwrap_or(0)
                .checked_add(value.parse().ok()?)?,
        };
        known.totals[cell] = Some(total);
    }
    Some(Point {
        path: known.path.clone(),
        at: *at,
        totals: known.totals,
    })
}

impl Point {
    /// The counter of one resource and kind.
    pub fn total(&self, resource: crate::pressure::Resource, kind: Kind) -> Option<u64> {
        let cell = CELLS.iter().position(|cell| *cell == (resource, kind))?;
        self.totals[cell]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pressure::{Averages, Pressure, Resource};
    use crate::stat::Reading;
    use crate::time::Micros;

    fn group(path: Option<&[u8]>, at: Moment, some: u64, full: u64) -> Group {
        let stall = |total| {
            Some(Averages {
                total,
                ..Averages::default()
            })
        };
        let pressure = Pressure {
            some: stall(some),
            full: stall(full),
        };
        Group {
            path: path.map(<[u8]>::to_vec),
            id: 0,
            readings: [None, Some(Reading { at, pressure }), None, None],
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let start = Moment(5_000_000);
        let mut writer = Writer::default();
        let mut out = Vec::new();
        let later = start + Micros::millis(100);
        writer.add(
            &mut out,
            &[
                group(None, start, 700, 50),
                group(Some(b"/a b"), start, 0, 0),
            ],
        );
        writer.add(
            &mut out,
            &[
                group(None, later, 700, 50),
                group(Some(b"/a b"), later, 30, 0),
            ],
        );
        writer.add(&mut out, &[group(None, later + Micros(7), 5, 60)]);
        writer.add(&mut out, &[group(None, later + Micros(8), 5, 60)]);
        writer.end(&mut out, later + Micros(9));
        let text = String::from_utf8(out).expect("text");
        let expected = "psistat record 1\ngroup -\n5000000 c700 d50\ngroup /a%20b\n0:1 c0 d0\n\
                        100000:1 c30\n7 c=5 d10\n2\n";
        assert_eq!(text, expected);
        let points = parse(&text).expect("a record");
        assert_eq!(points.len(), 5);
        assert_eq!(points[4].at, Moment(5_100_009));
        assert_eq!(points[4].totals, points[3].totals);
        assert_eq!(points[2].path.as_deref(), Some(&b"/a b"[..]));
        assert_eq!(points[2].total(Resource::Memory, Kind::Some), Some(30));
        assert_eq!(points[3].at, Moment(5_100_007));
        assert_eq!(points[3].total(Resource::Memory, Kind::Some), Some(5));
        assert_eq!(points[3].total(Resource::Memory, Kind::Full), Some(60));
        assert_eq!(points[3].total(Resource::Io, Kind::Full), None);
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, line) in [
            ("", 1),
            ("psistat record 2\n", 1),
            ("psistat record 1\n5 a1\n", 2),
            ("psistat record 1\ngroup -\nx a1\n", 3),
            ("psistat record 1\ngroup -\n5 h1\n", 3),
            (
                "psistat record 1\ngroup -\n5 a1\n5 a18446744073709551615\n",
                4,
            ),
            ("psistat record 1\ngroup /%4\n", 2),
        ] {
            assert_eq!(parse(text), Err(RecordError(line)), "{text}");
        }
    }
}
