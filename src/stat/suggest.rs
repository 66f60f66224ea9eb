//! Rules for psilogd.conf from measured pressure. Every candidate is run over the
//! readings as they arrive, by the state machine of psilogd itself, so the number of
//! its episodes is counted and not guessed. Memory does not grow with time.

use std::io::{self, Write};

use super::Reading;
use crate::episode::{Episode, Event, Phase, Sample};
use crate::pattern::{CgroupPath, Pattern};
use crate::pressure::{Kind, Percent, Resource};
use crate::rule::{Rule, Threshold};
use crate::time::Micros;

/// How often counters are read: the window of the built-in rules.
pub const WINDOW: Micros = Micros::secs(2);

/// The thresholds that are tried, in percent of the window: the rungs.
const LADDER: [u32; 10] = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90];

/// One bucket per tenth of a percent, and one for 100 %.
const BUCKETS: usize = 1001;

/// A shorter measurement has probably missed the backup.
const SHORT: Micros = Micros::secs(12 * 3600);
const DAY: Micros = Micros::secs(24 * 3600);

/// A rule that may be proposed, without its threshold.
struct Candidate {
    resource: Resource,
    kind: Kind,
    /// Its keys, as the built-in rules have them.
    keys: &'static str,
    /// The lowest threshold that is proposed, in percent, however idle the host was:
    /// pressure below it is not worth a line.
    floor: u32,
}

const CANDIDATES: [Candidate; 4] = [
    Candidate {
        resource: Resource::Memory,
        kind: Kind::Full,
        keys: "for=20s level=warning name=memory",
        floor: 10,
    },
    Candidate {
        resource: Resource::Io,
        kind: Kind::Full,
        keys: "for=30m level=warning name=io",
        floor: 20,
    },
    Candidate {
        resource: Resource::Cpu,
        kind: Kind::Some,
        keys: "for=5m level=notice name=cpu",
        floor: 50,
    },
    Candidate {
        resource: Resource::Irq,
        kind: Kind::Full,
        keys: "for=2m level=notice name=irq",
        floor: 20,
    },
];

/// The memory rule is accompanied by one of level crit, at twice its threshold and
/// never below this, in percent.
const CRITICAL_FLOOR: u32 = 40;
const CRITICAL_KEYS: &str = "for=20s level=crit name=memory-critical";

/// A candidate at one threshold of the ladder.
struct Rung {
    percent: u32,
    episode: Episode,
    fired: u32,
    longest: Micros,
}

impl Rung {
    fn feed(&mut self, now: Sample) {
        let event = match self.episode.phase() {
            Phase::Quiet => self.episode.checked(now.at, now.total),
            Phase::Verifying | Phase::Rechecking | Phase::Pressed => {
                self.episode.expire(now.at, now.total)
            }
        };
        if let Some(Event::Begin(_)) = event {
            self.fired = self.fired.saturating_add(1);
        }
        // Open episodes count too: ^C may stop the measurement at any time.
        let figures = match event {
            Some(Event::Begin(figures) | Event::Still(figures) | Event::End(figures)) => {
                Some(figures)
            }
            None => self.episode.figures().filter(|_| !self.episode.is_calm()),
        };
        if let Some(figures) = figures {
            self.longest = self.longest.max(figures.duration);
        }
    }
}

/// The measurement of one candidate.
struct Measured {
    candidate: &'static Candidate,
    first: Sample,
    last: Sample,
    /// The number of intervals by their share.
    buckets: Vec<u32>,
    intervals: u32,
    worst: Percent,
    ladder: Vec<Rung>,
}

/// All measurements so far.
pub struct Suggestion {
    cgroup: Option<CgroupPath>,
    measured: Vec<Measured>,
}

/// The time of the measurement, as text for the heading.
#[derive(Clone, Copy, Debug)]
pub struct Period<'a> {
    /// The first reading.
    pub from: &'a str,
    /// The last one.
    pub to: &'a str,
}

impl Suggestion {
    /// Nothing measured yet, of the cgroup at `path` or of the whole system.
    pub fn new(path: Option<Vec<u8>>) -> Suggestion {
        Suggestion {
            cgroup: path.map(CgroupPath::of),
            measured: Vec::new(),
        }
    }

    /// Takes the reading of one file; readings should be [`WINDOW`] or a little more
    /// apart.
    pub fn feed(&mut self, resource: Resource, reading: Reading) {
        for candidate in CANDIDATES
            .iter()
            .filter(|candidate| candidate.resource == resource)
        {
            let Some(stall) = reading.pressure.of(candidate.kind) else {
                continue;
            };
            let now = Sample {
                at: reading.at,
                total: stall.total,
            };
            let known = |measured: &&mut Measured| std::ptr::eq(measured.candidate, candidate);
            match self.measured.iter_mut().find(known) {
                Some(measured) => measured.feed(now),
                None => self
                    .measured
                    .push(Measured::new(candidate, &self.cgroup, now)),
            }
        }
    }

    /// The longest measurement.
    fn watched(&self) -> Micros {
        let lengths = self.measured.iter().map(Measured::watched);
        lengths.max().unwrap_or_default()
    }

    /// Writes the rules as a configuration with the figures in its comments.
    pub fn write(&self, out: &mut Vec<u8>, period: Period<'_>) {
        // Writing to a Vec does not fail.
        let _ = self.text(out, period);
    }

    fn text(&self, out: &mut Vec<u8>, period: Period<'_>) -> io::Result<()> {
        let intervals = self
            .measured
            .iter()
            .map(|measured| measured.intervals)
            .max();
        let intervals = intervals.unwrap_or_default();
        if intervals == 0 {
            return writeln!(
                out,
                "# Nothing was measured: two readings are needed, {WINDOW} apart."
            );
        }
        let watched = self.watched();
        heading(out, period, intervals, watched)?;
        for candidate in &CANDIDATES {
            let known = |measured: &&Measured| std::ptr::eq(measured.candidate, candidate);
            match self.measured.iter().find(known) {
                Some(measured) => measured.text(out, &self.cgroup, watched)?,
                None => writeln!(
                    out,
                    "\n# {} {}: not watched, or not known to this kernel",
                    candidate.resource.name(),
                    candidate.kind.name(),
                )?,
            }
        }
        Ok(())
    }
}

/// When and how long was measured, and what the figures below mean.
fn heading(
    out: &mut Vec<u8>,
    period: Period<'_>,
    intervals: u32,
    watched: Micros,
) -> io::Result<()> {
    writeln!(out, "# Suggested by psistat {}.", env!("CARGO_PKG_VERSION"))?;
    writeln!(
        out,
        "# Watched for {} s, from {} to {}: {intervals} windows of {WINDOW}.",
        watched.0 / 1_000_000,
        period.from,
        period.to,
    )?;
    if watched < SHORT {
        out.extend_from_slice(
            b"# That is short: measure a whole day, with its peak and its backup.\n",
        );
    }
    out.extend_from_slice(
        b"#\n\
          # pct        share of a window that was stalled; p50: half of the windows had\n\
          #            at most this share, and so on\n\
          # fired      how many episodes a rule of that threshold would have logged\n\
          # longest_s  the longest of them, in seconds\n",
    );
    Ok(())
}

/// The rule of a candidate. None is an error in this file, which a test would find.
fn rule(
    candidate: &Candidate,
    percent: u32,
    keys: &str,
    cgroup: &Option<CgroupPath>,
) -> Option<Rule> {
    let head = [candidate.resource.name(), candidate.kind.name(), "1%/2s"];
    let mut rule = Rule::parse(head.into_iter().chain(keys.split(' '))).ok()?;
    rule.threshold = Threshold::Share(Percent(percent * 100));
    rule.window = WINDOW;
    rule.cgroup = cgroup.as_ref().map(Pattern::path);
    Some(rule)
}

impl Measured {
    fn new(candidate: &'static Candidate, cgroup: &Option<CgroupPath>, now: Sample) -> Measured {
        let rung = |percent| {
            let rule = rule(candidate, percent, candidate.keys, cgroup)?;
            Some(Rung {
                percent,
                episode: Episode::new(&rule, now, false),
                fired: 0,
                longest: Micros::ZERO,
            })
        };
        Measured {
            candidate,
            first: now,
            last: now,
            buckets: vec![0; BUCKETS],
            intervals: 0,
            worst: Percent(0),
            ladder: LADDER.into_iter().filter_map(rung).collect(),
        }
    }

    fn feed(&mut self, now: Sample) {
        let elapsed = now.at.since(self.last.at);
        let growth = now.total.checked_sub(self.last.total).map(Micros);
        self.last = now;
        let share = growth.and_then(|growth| super::share(growth, elapsed));
        if let Some(share) = share {
            let bucket = (share.0 / 10) as usize;
            if let Some(count) = self.buckets.get_mut(bucket) {
                *count = count.saturating_add(1);
            }
            self.intervals = self.intervals.saturating_add(1);
            self.worst = self.worst.max(share);
        }
        for rung in &mut self.ladder {
            rung.feed(now);
        }
    }

    fn watched(&self) -> Micros {
        self.last.at.since(self.first.at)
    }

    /// The share that `part` of 1000 intervals did not exceed, in tenths of a percent.
    fn percentile(&self, part: u64) -> u32 {
        let rank = (u64::from(self.intervals) * part).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return bucket as u32;
            }
        }
        self.worst.0 / 10
    }

    /// The lowest threshold from `floor` on that would have fired at most
    /// `allowed` times.
    fn lowest(&self, floor: u32, allowed: u64) -> Option<u32> {
        let quiet = |rung: &&Rung| rung.percent >= floor && u64::from(rung.fired) <= allowed;
        self.ladder.iter().find(quiet).map(|rung| rung.percent)
    }

    /// The figures as comments, then the rules.
    fn text(
        &self,
        out: &mut Vec<u8>,
        cgroup: &Option<CgroupPath>,
        watched: Micros,
    ) -> io::Result<()> {
        let (resource, kind) = (self.candidate.resource.name(), self.candidate.kind.name());
        let sustain = rule(self.candidate, 1, self.candidate.keys, cgroup).map(|rule| rule.sustain);
        write!(out, "\n# {resource} {kind}")?;
        if let Some(sustain) = sustain {
            write!(out, ", for={sustain}")?;
        }
        self.figures(out)?;
        self.rules(out, cgroup, watched)
    }

    /// The percentiles, then the ladder: one column per threshold.
    fn figures(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "\n# pct      ")?;
        for (name, part) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
            let tenths = self.percentile(part);
            write!(out, "  {name} {}.{}", tenths / 10, tenths % 10)?;
        }
        out.extend_from_slice(b"  max ");
        super::hundredths(out, self.worst, 0);
        write!(out, "\n# threshold")?;
        for rung in &self.ladder {
            write!(out, "{:>5}%", rung.percent)?;
        }
        write!(out, "\n# fired    ")?;
        for rung in &self.ladder {
            write!(out, "{:>6}", rung.fired)?;
        }
        write!(out, "\n# longest_s")?;
        for rung in &self.ladder {
            write!(out, "{:>6}", rung.longest.0 / 1_000_000)?;
        }
        out.push(b'\n');
        Ok(())
    }

    /// The proposed rule, and beside that of memory one of level crit.
    fn rules(
        &self,
        out: &mut Vec<u8>,
        cgroup: &Option<CgroupPath>,
        watched: Micros,
    ) -> io::Result<()> {
        // One line per day and rule is news, more is noise.
        let days = watched.0 / DAY.0;
        let Some(chosen) = self.lowest(self.candidate.floor, days) else {
            return writeln!(
                out,
                "# No rule: even the highest threshold would have fired too often. Reduce this\n\
                 # pressure instead of logging it."
            );
        };
        if let Some(rule) = rule(self.candidate, chosen, self.candidate.keys, cgroup) {
            writeln!(out, "{rule}")?;
        }
        if self.candidate.resource == Resource::Memory {
            let floor = CRITICAL_FLOOR.max(chosen.saturating_mul(2));
            let critical = self
                .lowest(floor, 0)
                .and_then(|percent| rule(self.candidate, percent, CRITICAL_KEYS, cgroup));
            if let Some(rule) = critical {
                writeln!(out, "{rule}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
