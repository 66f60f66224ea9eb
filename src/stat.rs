//! psistat's figures, pure: readings of pressure files become the rows of an
//! interval; [`table`], [`json`] and [`openmetrics`] write them, [`graph`] draws their
//! history, [`check`] judges one, [`record`] keeps counters, [`picture`] draws those,
//! [`suggest`] turns them into rules. Nothing here reads a file or a clock.

use std::cmp::Reverse;

use crate::line::Line;
use crate::pressure::{Averages, Kind, Percent, Pressure, Resource};
use crate::rule::CgroupPath;
use crate::time::{Micros, Moment};

pub mod check;
pub mod graph;
pub mod json;
pub mod openmetrics;
pub mod picture;
pub mod record;
pub mod recording;
pub mod replay;
pub mod suggest;
pub mod table;

/// What can be shown, in the order of the columns. Interrupts have no `some` on
/// any kernel.
pub const CELLS: [(Resource, Kind); 7] = [
    (Resource::Cpu, Kind::Some),
    (Resource::Cpu, Kind::Full),
    (Resource::Memory, Kind::Some),
    (Resource::Memory, Kind::Full),
    (Resource::Io, Kind::Some),
    (Resource::Io, Kind::Full),
    (Resource::Irq, Kind::Full),
];

/// Which of them are shown, by the order of [`CELLS`].
pub type Selection = [bool; CELLS.len()];

/// The cells of these resources and kinds.
pub fn select(resources: &[Resource], kinds: &[Kind]) -> Selection {
    CELLS.map(|(resource, kind)| resources.contains(&resource) && kinds.contains(&kind))
}

/// The selected cells.
pub fn cells(selection: Selection) -> impl Iterator<Item = (Resource, Kind)> {
    (0..CELLS.len()).filter_map(move |at| selection[at].then_some(CELLS[at]))
}

/// The selected kinds of one resource.
pub fn kinds(selection: Selection, resource: Resource) -> impl Iterator<Item = Kind> {
    cells(selection).filter_map(move |(of, kind)| (of == resource).then_some(kind))
}

/// Whether any kind of a resource is selected, so that its file is read.
pub fn includes(selection: Selection, resource: Resource) -> bool {
    kinds(selection, resource).next().is_some()
}

/// Tenths, as `12.3`.
pub fn tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// One pressure file as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When.
    pub at: Moment,
    /// What it said.
    pub pressure: Pressure,
}

/// The pressure files of the system or of one cgroup, by [`Resource`]'s order;
/// None is a file that isn't there.
pub type Readings = [Option<Reading>; 4];

/// A group of tasks whose pressure files were read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// The cgroup's path below the mount; None is the whole system.
    pub path: Option<Vec<u8>>,
    /// Distinguishes a cgroup from a later one of the same path.
    pub id: u64,
    /// Its files.
    pub readings: Readings,
}

/// One `some` or `full` line over an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Stalled time in the interval; None where no earlier reading of the same
    /// counter is known.
    pub growth: Option<Micros>,
    /// That as a share of the interval.
    pub share: Option<Percent>,
    /// The line itself.
    pub stall: Averages,
}

/// One pressure file over an interval.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Figures {
    /// From the earlier reading to this one; None if there was none.
    pub interval: Option<Micros>,
    /// The `some` line.
    pub some: Option<Figure>,
    /// The `full` line.
    pub full: Option<Figure>,
}

/// A group over an interval: what a row shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The cgroup, as one printable word; None is the whole system.
    pub cgroup: Option<Vec<u8>>,
    /// Whether the interval is all the time since boot.
    pub since_boot: bool,
    /// By [`Resource`]'s order; None is a file that isn't there.
    pub figures: [Option<Figures>; 4],
}

/// A counter of boot time: 0, when the clock began.
const BOOT: Reading = {
    const ZERO: Averages = Averages {
        avg10: Percent(0),
        avg60: Percent(0),
        avg300: Percent(0),
        total: 0,
    };
    Reading {
        at: Moment(0),
        pressure: Pressure {
            some: Some(ZERO),
            full: Some(ZERO),
        },
    }
};

/// What the first row is held against: every counter since boot. For a cgroup
/// that is younger this understates, since its age is not known.
pub const SINCE_BOOT: Readings = [Some(BOOT); 4];

impl Figures {
    /// The line of that kind.
    pub fn of(&self, kind: Kind) -> Option<Figure> {
        match kind {
            Kind::Some => self.some,
            Kind::Full => self.full,
        }
    }
}

impl Group {
    /// This group since the reading `before`.
    pub fn since(&self, before: Option<&Readings>) -> Row {
        let mut row = Row {
            cgroup: self.path.clone().map(word),
            since_boot: false,
            figures: [None; 4],
        };
        for resource in Resource::ALL {
            let index = resource as usize;
            let before = before.and_then(|readings| readings[index]);
            row.figures[index] = self.readings[index].map(|now| {
                let mut figures = figures(before, now);
                if resource == Resource::Cpu && self.is_whole_system() {
                    // The kernel prints 0 there for want of a meaning: someone
                    // always runs while anyone waits for a CPU (psi_show).
                    figures.full = None;
                }
                figures
            });
        }
        row
    }

    /// Its row when it is gone; one that had nothing to read gets none.
    fn gone(&self) -> Option<Row> {
        self.readings.iter().any(Option::is_some).then(|| Row {
            cgroup: self.path.clone().map(word),
            since_boot: false,
            figures: [None; 4],
        })
    }

    fn is_whole_system(&self) -> bool {
        self.path.as_ref().is_none_or(|path| path == b"/")
    }
}

/// A path as one printable word, as rules and log lines write it.
pub fn word(path: Vec<u8>) -> Vec<u8> {
    CgroupPath::of(path).to_string().into_bytes()
}

fn figures(before: Option<Reading>, now: Reading) -> Figures {
    let interval = before.map(|before| now.at.since(before.at));
    let figure = |kind| {
        let stall = now.pressure.of(kind)?;
        let earlier = before.and_then(|before| before.pressure.of(kind));
        // A counter that fell is another one: what it says of the interval is
        // nothing.
        let growth = earlier.and_then(|earlier| stall.total.checked_sub(earlier.total));
        let growth = growth.map(Micros);
        Some(Figure {
            growth,
            share: growth
                .zip(interval)
                .and_then(|(part, all)| share(part, all)),
            stall,
        })
    };
    Figures {
        interval,
        some: figure(Kind::Some),
        full: figure(Kind::Full),
    }
}

/// `part` of `all`, rounded to hundredths. Over 100 % it can only be by the
/// microseconds between the kernel's reading of the counter and ours of the clock.
fn share(part: Micros, all: Micros) -> Option<Percent> {
    if all == Micros::ZERO {
        return None;
    }
    let (part, all) = (u128::from(part.0), u128::from(all.0));
    let hundredths = (part * 10_000 + all / 2) / all;
    Some(Percent(hundredths.min(10_000) as u32))
}

/// The rows of an interval from the readings at both its ends, each in ascending
/// order of path. What was there and is gone gets a last row, of nothing.
pub fn interval(before: &[Group], now: &[Group]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(now.len());
    let mut before = before.iter().peekable();
    for group in now {
        while let Some(gone) = before.next_if(|earlier| earlier.path < group.path) {
            rows.extend(gone.gone());
        }
        let same_path = before.next_if(|earlier| earlier.path == group.path);
        let same = same_path.filter(|earlier| earlier.id == group.id);
        rows.push(group.since(same.map(|earlier| &earlier.readings)));
    }
    rows.extend(before.filter_map(Group::gone));
    rows
}

/// The rows of the first reading: since boot.
pub fn since_boot(now: &[Group]) -> Vec<Row> {
    let row = |group: &Group| Row {
        since_boot: true,
        ..group.since(Some(&SINCE_BOOT))
    };
    now.iter().map(row).collect()
}

impl Row {
    /// One cell's figure.
    pub fn figure(&self, resource: Resource, kind: Kind) -> Option<Figure> {
        self.figures[resource as usize].as_ref()?.of(kind)
    }

    /// Whether nothing that is shown is more than 0.00.
    pub fn is_idle(&self, selection: Selection, averages: bool) -> bool {
        let mut figures = cells(selection).filter_map(|(of, kind)| self.figure(of, kind));
        figures.all(|figure| {
            let stall = figure.stall;
            let shown = [stall.avg10, stall.avg60, stall.avg300];
            figure.share.unwrap_or_default() == Percent(0)
                && (!averages || shown == [Percent(0); 3])
        })
    }

    /// What rows are ranked by: the largest share that is shown, then their sum.
    fn weight(&self, selection: Selection) -> Option<(Percent, u32)> {
        let shares = || {
            cells(selection)
                .filter_map(|(resource, kind)| self.figure(resource, kind)?.share)
                .map(|share| share.0)
        };
        let largest = shares().max()?;
        Some((Percent(largest), shares().sum()))
    }
}

/// Columns that have a figure in some row. An `irq full` that never grew since boot is
/// none: that kernel could record it, and does not.
pub fn filled(rows: &[Row]) -> Selection {
    let is_filled = |row: &Row, (resource, kind): (Resource, Kind)| {
        let figure = row.figure(resource, kind);
        figure.is_some_and(|figure| resource != Resource::Irq || figure.stall.total > 0)
    };
    CELLS.map(|cell| rows.iter().any(|row| is_filled(row, cell)))
}

/// The `n` most-stalled rows, most first; those of equal weight keep their order.
pub fn most_stalled(mut rows: Vec<Row>, selection: Selection, n: usize) -> Vec<Row> {
    rows.sort_by_cached_key(|row| Reverse(row.weight(selection)));
    rows.truncate(n);
    rows
}

/// A word as in [`Row::cgroup`] in quotation marks. It is printable ASCII without a
/// quotation mark; JSON and OpenMetrics escape a backslash alike.
fn quoted(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'"');
    for &byte in word {
        if byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A whole number.
fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut line = Line::new(&mut digits);
    line.decimal(number, 1, b'0');
    out.extend_from_slice(line.bytes());
}

/// A percentage, as the kernel prints it, at least so wide.
fn hundredths(out: &mut Vec<u8>, Percent(hundredths): Percent, width: usize) {
    let mut digits = [0; 16];
    let mut line = Line::new(&mut digits);
    line.decimal(u64::from(hundredths / 100), width.saturating_sub(3), b' ');
    line.text(".").decimal(u64::from(hundredths % 100), 2, b'0');
    out.extend_from_slice(line.bytes());
}

#[cfg(test)]
mod tests;
