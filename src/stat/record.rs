//! The text of `psistat --record` (psistat(1), RECORDS): counters over time, one line
//! per reading with only what has changed. Pure both ways.

mod read;
mod write;

pub use read::{Entry, LineError, Reader, RecordError};
pub use write::Writer;

use crate::evidence::DiskName;
use crate::pressure::{Kind, Resource};
use crate::stat::CELLS;
use crate::time::Moment;

/// The first line, but for the number of the format.
const HEAD: &str = "psistat record ";
/// The newest format; those from 1 on are read.
const FORMAT: u32 = 2;

/// The letters of a group: those of [`CELLS`] and of its [`GroupCounters`].
const GROUP: &str = "abcdefgkpt";
/// The letters of [`HostCounters`].
const HOST: &str = "masfknit";
/// The letters of [`DiskCounters`](crate::evidence::DiskCounters).
const DISK: &str = "cqbw";
/// As many as the longest of the alphabets has.
const LETTERS: usize = GROUP.len();

/// By letter of an alphabet; None is not known.
type Values = [Option<u64>; LETTERS];

/// `total=` of every cell, in the order of [`CELLS`]; None is not known.
pub type Totals = [Option<u64>; CELLS.len()];

/// Other counters of a cgroup; None is not known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct GroupCounters {
    /// `oom_kill` of memory.events.
    pub oom_kills: Option<u64>,
    /// `nr_periods` of cpu.stat.
    pub periods: Option<u64>,
    /// `nr_throttled` of cpu.stat.
    pub throttled: Option<u64>,
}

/// The host's other counters; None is not known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HostCounters {
    /// MemTotal, in kB like the next three.
    pub memory: Option<u64>,
    /// MemAvailable.
    pub available: Option<u64>,
    /// SwapTotal.
    pub swap: Option<u64>,
    /// SwapFree.
    pub swap_free: Option<u64>,
    /// `oom_kill` of /proc/vmstat.
    pub oom_kills: Option<u64>,
    /// CPUs online.
    pub cpus: Option<u64>,
    /// Idle or waiting for I/O, in hundredths of a second, summed over CPUs.
    pub idle: Option<u64>,
    /// Taken by the hypervisor, likewise.
    pub steal: Option<u64>,
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The group of this number.
    Group(usize),
    /// The host.
    Host,
    /// A disk.
    Disk(DiskName),
}

impl Subject {
    const fn letters(&self) -> &'static str {
        match self {
            Subject::Group(_) => GROUP,
            Subject::Host => HOST,
            Subject::Disk(_) => DISK,
        }
    }
}

impl HostCounters {
    fn of(values: &Values) -> HostCounters {
        let [
            memory,
            available,
            swap,
            swap_free,
            oom_kills,
            cpus,
            idle,
            steal,
            ..,
        ] = *values;
        HostCounters {
            memory,
            available,
            swap,
            swap_free,
            oom_kills,
            cpus,
            idle,
            steal,
        }
    }

    fn values(&self) -> [Option<u64>; HOST.len()] {
        [
            self.memory,
            self.available,
            self.swap,
            self.swap_free,
            self.oom_kills,
            self.cpus,
            self.idle,
            self.steal,
        ]
    }
}

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

impl Point {
    /// The counter of one resource and kind.
    pub fn total(&self, resource: Resource, kind: Kind) -> Option<u64> {
        let cell = CELLS.iter().position(|cell| *cell == (resource, kind))?;
        self.totals[cell]
    }
}

/// The readings of pressure in a record: one point per line that holds one.
///
/// # Errors
/// The first line that does not belong in a record.
pub fn parse(text: &str) -> Result<Vec<Point>, RecordError> {
    let mut reader = Reader::new(text)?;
    let mut points = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        if let Entry::Reading { group, at, totals } = entry {
            points.push(Point {
                path: reader.path(group).map(<[u8]>::to_vec),
                at,
                totals,
            });
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests;
