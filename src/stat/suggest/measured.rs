//! The measurement of one candidate: how much was stalled, and what its rules would have
//! logged at every threshold.

use std::io::{self, Write};

use super::rung::Rung;
use super::{Candidate, WINDOW};
use crate::pattern::CgroupPath;
use crate::pressure::Percent;
use crate::stat::recording::Series;
use crate::stat::{hundredths, share};
use crate::time::{Micros, Moment};

/// The thresholds that are tried, in percent of the window: the rungs.
const LADDER: [u32; 10] = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90];

/// One bucket per tenth of a percent, and one for 100 %.
const BUCKETS: usize = 1001;

const DAY: Micros = Micros::secs(24 * 3600);

/// The lowest threshold of a second rule, in percent.
const CRITICAL_FLOOR: u32 = 40;

/// The measurement of one candidate.
pub(super) struct Measured {
    pub candidate: &'static Candidate,
    /// When it was read last, and what the counter said.
    last: Option<(Moment, u64)>,
    pub watched: Micros,
    /// The number of intervals by their share.
    buckets: Vec<u32>,
    pub intervals: u32,
    worst: Percent,
    ladder: Vec<Rung>,
    critical: Vec<Rung>,
}

impl Measured {
    pub fn new(candidate: &'static Candidate, cgroup: &Option<CgroupPath>) -> Measured {
        let rungs = |keys: &str, least: u32| -> Vec<Rung> {
            let thresholds = LADDER.into_iter().filter(|percent| *percent >= least);
            let rung = |percent| Rung::new(candidate, percent, keys, cgroup);
            thresholds.filter_map(rung).collect()
        };
        let critical = candidate.critical.map(|keys| rungs(keys, CRITICAL_FLOOR));
        Measured {
            candidate,
            last: None,
            watched: Micros::ZERO,
            buckets: vec![0; BUCKETS],
            intervals: 0,
            worst: Percent(0),
            ladder: rungs(candidate.keys, 0),
            critical: critical.unwrap_or_default(),
        }
    }

    pub fn rungs(&self) -> impl Iterator<Item = &Rung> {
        self.ladder.iter().chain(&self.critical)
    }

    pub fn rungs_mut(&mut self) -> impl Iterator<Item = &mut Rung> {
        self.ladder.iter_mut().chain(&mut self.critical)
    }

    pub fn sustain(&self) -> Micros {
        self.ladder
            .first()
            .map_or(Micros::ZERO, |rung| rung.rule.sustain)
    }

    pub fn feed(&mut self, at: Moment, total: u64) {
        if let Some((before, earlier)) = self.last.replace((at, total)) {
            let elapsed = at.since(before);
            self.watched = self.watched + elapsed;
            let growth = total.checked_sub(earlier).map(Micros);
            let share = growth.and_then(|growth| share(growth, elapsed));
            share.into_iter().for_each(|share| self.count(share));
        }
    }

    /// The windows of a recorded counter.
    pub fn walk(&mut self, series: &Series, start: Moment, end: Moment) {
        let mut at = start;
        while !series.is_empty() && at <= end {
            // its growth, so that a counter that falls is no gap
            self.feed(at, series.grown(at));
            at = at + WINDOW;
        }
    }

    pub fn count(&mut self, share: Percent) {
        if let Some(count) = self.buckets.get_mut((share.0 / 10) as usize) {
            *count = count.saturating_add(1);
        }
        self.intervals = self.intervals.saturating_add(1);
        self.worst = self.worst.max(share);
    }

    /// The share that `part` of 1000 intervals did not exceed, in tenths of a percent.
    pub fn percentile(&self, part: u64) -> u32 {
        let rank = (u64::from(self.intervals) * part).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        bucket.unwrap_or(BUCKETS) as u32
    }

    /// The percentiles, then the thresholds: one column each.
    pub fn percentiles(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "\n# pct      ")?;
        for (name, part) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
            let tenths = self.percentile(part);
            write!(out, "  {name} {}.{}", tenths / 10, tenths % 10)?;
        }
        out.extend_from_slice(b"  max ");
        hundredths(out, self.worst, 0);
        write!(out, "\n# threshold")?;
        for rung in &self.ladder {
            write!(out, "{:>5}%", rung.percent)?;
        }
        writeln!(out)
    }

    /// A figure of every threshold; none where no episode can have begun.
    pub fn row(
        &self,
        out: &mut Vec<u8>,
        name: &str,
        figure: impl Fn(&Rung) -> u64,
    ) -> io::Result<()> {
        write!(out, "# {name}")?;
        for rung in &self.ladder {
            match self.watched < self.sustain() {
                true => write!(out, "{:>6}", "-")?,
                false => write!(out, "{:>6}", figure(rung))?,
            }
        }
        writeln!(out)
    }

    /// The proposed rule, and beside that of memory one of level crit, each with its
    /// lines.
    pub fn rules(&self, out: &mut Vec<u8>, watched: Micros) -> io::Result<()> {
        // One episode per day and rule is news, more is noise.
        let days = watched.0 / DAY.0;
        let Some(chosen) = lowest(&self.ladder, self.candidate.floor, days) else {
            return writeln!(
                out,
                "# No rule: even the highest threshold would have fired too often. Reduce this\n\
                 # pressure instead of logging it."
            );
        };
        chosen.propose(out)?;
        let floor = CRITICAL_FLOOR.max(chosen.percent.saturating_mul(2));
        match lowest(&self.critical, floor, 0) {
            Some(critical) => critical.propose(out),
            None => Ok(()),
        }
    }
}

/// The lowest threshold from `floor` on that would have fired at most `allowed` times.
fn lowest(rungs: &[Rung], floor: u32, allowed: u64) -> Option<&Rung> {
    let quiet = |rung: &&Rung| rung.percent >= floor && u64::from(rung.fired) <= allowed;
    rungs.iter().find(quiet)
}
