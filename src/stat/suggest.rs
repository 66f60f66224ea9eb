//! Rules for psilogd.conf from measured pressure. Every candidate is run over the
//! readings as they arrive, by psilogd's own step over a recording of the last seconds,
//! so the number of its episodes is counted and not guessed, and its lines are those
//! that psilogd would have logged. Memory does not grow with time.

mod measured;
mod rung;

use std::io::{self, Write};

use super::recording::Recording;
use super::replay::{Ideal, Replay};
use super::{CELLS, Readings};
use crate::config::{BUILT_IN, Config, Settings};
use crate::episode::Phase;
use crate::pattern::CgroupPath;
use crate::pressure::{Averages, Kind, Resource};
use crate::report::Report;
use crate::rule::WINDOW_MAX;
use crate::time::{Micros, Moment};
use measured::Measured;
use rung::Rung;

/// How often counters are read: the window of the built-in rules.
pub const WINDOW: Micros = Micros::secs(2);

/// A shorter measurement has probably missed the backup.
const SHORT: Micros = Micros::secs(12 * 3600);
/// From a shorter one no rule is proposed: it is hardly longer than one episode.
const LEAST: Micros = Micros::secs(3600);

/// A rule that may be proposed, without its threshold.
struct Candidate {
    resource: Resource,
    kind: Kind,
    /// Its keys, as the built-in rules have them but for what they ask of other
    /// counters: a threshold is measured by pressure alone.
    keys: &'static str,
    /// The keys of a second rule, at twice its threshold at least.
    critical: Option<&'static str>,
    /// The lowest threshold that is proposed, in percent, however idle the host was:
    /// pressure below it is not worth a line.
    floor: u32,
}

const CANDIDATES: [Candidate; 4] = [
    Candidate {
        resource: Resource::Memory,
        kind: Kind::Full,
        keys: "for=90s clear=3m level=warning name=memory",
        critical: Some("for=20s clear=3m level=crit name=memory-critical"),
        floor: 10,
    },
    Candidate {
        resource: Resource::Io,
        kind: Kind::Full,
        keys: "for=3h repeat=0 level=notice name=io",
        critical: None,
        floor: 60,
    },
    Candidate {
        resource: Resource::Cpu,
        kind: Kind::Some,
        keys: "for=1h repeat=0 level=notice name=cpu",
        critical: None,
        floor: 90,
    },
    Candidate {
        resource: Resource::Irq,
        kind: Kind::Full,
        keys: "for=2m level=notice name=irq",
        critical: None,
        floor: 20,
    },
];

/// All measurements so far.
pub struct Suggestion {
    cgroup: Option<CgroupPath>,
    measured: Vec<Measured>,
    replay: Option<Replay<Ideal>>,
    start: Moment,
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
        let cgroup = path.map(CgroupPath::of);
        let measured = CANDIDATES.iter().map(|one| Measured::new(one, &cgroup));
        Suggestion {
            measured: measured.collect(),
            cgroup,
            replay: None,
            start: Moment(0),
        }
    }

    /// What a recording amounts to: of the whole system, or of the first cgroup where it
    /// has cgroups only.
    pub fn of(recording: Recording) -> Suggestion {
        let group = recording.group(None).unwrap_or(0);
        let path = recording
            .groups
            .get(group)
            .and_then(|group| group.path.clone());
        let mut suggestion = Suggestion::new(path);
        let (Some(track), Some((start, end))) = (recording.groups.get(group), recording.span())
        else {
            return suggestion;
        };
        for measured in &mut suggestion.measured {
            let candidate = measured.candidate;
            measured.walk(track.series(candidate.resource, candidate.kind), start, end);
        }
        suggestion.begin(recording, start);
        suggestion.run(end);
        suggestion
    }

    /// Takes a reading of the group; readings should be [`WINDOW`] or a little more
    /// apart.
    pub fn feed(&mut self, readings: &Readings) {
        let mut totals = [None; CELLS.len()];
        for (total, (resource, kind)) in totals.iter_mut().zip(CELLS) {
            let reading = readings[resource as usize];
            let stall = reading.and_then(|reading| reading.pressure.of(kind));
            *total = stall.map(|stall| stall.total);
        }
        let times = readings.iter().flatten().map(|reading| reading.at);
        let Some(at) = times.max() else {
            return;
        };
        for measured in &mut self.measured {
            let (resource, kind) = (measured.candidate.resource, measured.candidate.kind);
            let cell = CELLS.iter().position(|cell| *cell == (resource, kind));
            let total = cell.and_then(|cell| totals[cell]);
            if let (Some(reading), Some(total)) = (readings[resource as usize], total) {
                measured.feed(reading.at, total);
            }
        }
        match &mut self.replay {
            None => {
                let path = self.cgroup.as_ref().map(|path| path.bytes().to_vec());
                self.begin(Recording::of_group(path, at, &totals), at);
            }
            Some(replay) => {
                let recording = replay.source().recording();
                recording.feed(at, &totals);
                self.run(at);
                self.forget_before(at - WINDOW_MAX);
            }
        }
    }

    fn begin(&mut self, recording: Recording, start: Moment) {
        let rungs = self.measured.iter().flat_map(Measured::rungs);
        let config = Config {
            rules: rungs.map(|rung| rung.rule.clone()).collect(),
            // a boot is not measured to have it ignored
            settings: Settings {
                grace: Micros::ZERO,
                ..Settings::default()
            },
        };
        self.start = start;
        let ideal = Ideal::new(recording);
        // what is lost at the start is not known to this kernel
        self.replay = Some(Replay::new(ideal, &config, start, &mut |_, _| {}));
    }

    fn run(&mut self, end: Moment) {
        let (measured, start) = (&mut self.measured, self.start);
        if let Some(replay) = &mut self.replay {
            replay.run(end, &mut |at: Moment, report: &Report<'_>| {
                let mut rungs = measured.iter_mut().flat_map(Measured::rungs_mut);
                let rung = rungs.find(|rung| rung.is_about(report));
                rung.into_iter()
                    .for_each(|rung| rung.add(at.since(start), report));
            });
        }
    }

    fn forget_before(&mut self, at: Moment) {
        if let Some(replay) = &mut self.replay {
            let groups = &mut replay.source().recording().groups;
            groups.iter_mut().for_each(|group| group.forget_before(at));
        }
    }

    /// The longest measurement.
    fn watched(&self) -> Micros {
        let lengths = self.measured.iter().map(|measured| measured.watched);
        lengths.max().unwrap_or_default()
    }

    /// How long the open episode of a rung has lasted: ^C may stop the measurement at
    /// any time.
    fn open(&self, rung: &Rung) -> Micros {
        let mut open = Micros::ZERO;
        if let Some(replay) = &self.replay {
            let read = |_: &usize| Some(Averages::default());
            replay.monitors().status(&read, &mut |report| {
                if let Report::Status {
                    rule,
                    phase: Some(Phase::Pressed),
                    figures: Some(figures),
                    ..
                } = report
                {
                    if **rule == rung.rule {
                        open = figures.duration;
                    }
                }
            });
        }
        open
    }

    /// Writes the rules as a configuration with the figures in its comments; `period` is
    /// not known of a recording.
    pub fn write(&self, out: &mut Vec<u8>, period: Option<Period<'_>>) {
        // Writing to a Vec does not fail.
        let _ = self.text(out, period);
    }

    fn text(&self, out: &mut Vec<u8>, period: Option<Period<'_>>) -> io::Result<()> {
        let intervals = self.measured.iter().map(|measured| measured.intervals);
        let intervals = intervals.max().unwrap_or_default();
        if intervals == 0 {
            return writeln!(
                out,
                "# Nothing was measured: two readings are needed, {WINDOW} apart."
            );
        }
        let watched = self.watched();
        heading(out, period, intervals, watched)?;
        for measured in &self.measured {
            let candidate = measured.candidate;
            match measured.intervals {
                0 => writeln!(
                    out,
                    "\n# {} {}: not watched, or not known to this kernel",
                    candidate.resource.name(),
                    candidate.kind.name(),
                )?,
                _ => self.measurement(out, measured, watched)?,
            }
        }
        match self.cgroup {
            None if watched >= LEAST => about_disks(out),
            _ => Ok(()),
        }
    }

    /// The figures of a candidate as comments, then the rules.
    fn measurement(
        &self,
        out: &mut Vec<u8>,
        measured: &Measured,
        watched: Micros,
    ) -> io::Result<()> {
        let (resource, kind) = (measured.candidate.resource, measured.candidate.kind);
        let sustain = measured.sustain();
        write!(
            out,
            "\n# {} {}, for={sustain}",
            resource.name(),
            kind.name()
        )?;
        measured.percentiles(out)?;
        let longest = |rung: &Rung| rung.longest.max(self.open(rung)).0 / 1_000_000;
        measured.row(out, "fired    ", |rung| u64::from(rung.fired))?;
        measured.row(out, "longest_s", longest)?;
        if watched < LEAST || measured.watched < sustain {
            return writeln!(
                out,
                "# No rule: measure for {} at least.",
                LEAST.max(sustain)
            );
        }
        measured.rules(out, watched)
    }
}

/// The built-in rules whose threshold needs no measuring: the suggestion replaces all of
/// them as soon as it is psilogd's configuration.
fn about_disks(out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        out,
        "\n# io some, for disks that complete nothing: as built in, whatever was measured"
    )?;
    let mut rules = BUILT_IN.lines().filter(|rule| rule.contains(" stuck="));
    rules.try_for_each(|rule| writeln!(out, "{rule}"))
}

/// When and how long was measured, and what the figures below mean.
fn heading(
    out: &mut Vec<u8>,
    period: Option<Period<'_>>,
    intervals: u32,
    watched: Micros,
) -> io::Result<()> {
    writeln!(out, "# Suggested by psistat {}.", env!("CARGO_PKG_VERSION"))?;
    match period {
        Some(_) => out.extend_from_slice(b"# Watched for "),
        None => out.extend_from_slice(b"# Recorded for "),
    }
    write!(out, "{} s", watched.0 / 1_000_000)?;
    if let Some(Period { from, to }) = period {
        write!(out, ", from {from} to {to}")?;
    }
    writeln!(out, ": {intervals} windows of {WINDOW}.")?;
    if watched < SHORT {
        out.extend_from_slice(
            b"# That is short: measure a whole day, with its peak and its backup.\n",
        );
    }
    out.extend_from_slice(
        b"#\n\
          # pct        share of a window that was stalled; p50: half of the windows had\n\
          #            at most this share, and so on\n\
          # fired      how many episodes a rule of that threshold would have logged;\n\
          #            - if the time watched is shorter than for=\n\
          # longest_s  the longest of them, in seconds\n\
          # Above each rule are the lines that it would have logged, if any.\n",
    );
    Ok(())
}

#[cfg(test)]
mod tests;
