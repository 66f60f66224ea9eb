//! A recording in the kernel's place, with triggers as they ought to be: one fires at
//! the moment at which the stall within any window of its length reaches the threshold,
//! and once per window at most. Nothing is late, stale or stolen.

use std::collections::VecDeque;

use super::{Armed, Change, Source};
use crate::alert::Alert;
use crate::evidence::{Cpu, DiskCounters, DiskName, Evidence, Host, Memory, Throttled, share};
use crate::pressure::{Averages, Kind, Percent, Resource};
use crate::rule::Rule;
use crate::stat::recording::{HostReading, Recording, Series};
use crate::time::{Micros, Moment};

/// Between two updates of the kernel's averages (PSI_FREQ).
const STEP: Micros = Micros::secs(2);
/// The share of an average that is left after a step, of 2048 (EXP_10s and so on).
const DECAY: [u64; 3] = [1677, 1981, 2034];
const FIXED: u64 = 2048;
/// A tick of the recorded CPU time, in microseconds.
const TICK: u64 = 10_000;

struct Trigger {
    group: usize,
    resource: Resource,
    kind: Kind,
    stall: u64,
    window: Micros,
    /// No window begins before it was registered.
    since: Moment,
    /// No event before: a window has one at most.
    allowed: Moment,
    /// There is no event before this moment.
    searched: Moment,
    event: Option<Moment>,
}

impl Trigger {
    /// What was stalled in the window that ends now.
    fn stalled(&self, series: &Series, now: Moment) -> u64 {
        let from = (now - self.window).max(self.since);
        series.grown(now).saturating_sub(series.grown(from))
    }

    /// The first moment of at least `from` and at most `until` at which a window has
    /// the stall and something still stalls: a burst that is over fires once.
    fn search(&self, series: &Series, from: Moment, until: Moment) -> Option<Moment> {
        let mut at = from;
        while at <= until {
            if self.stalled(series, at) >= self.stall {
                if series.grows(at) {
                    return Some(at);
                }
                at = series.next_knot(at)? + Micros(1);
                continue;
            }
            // Counters never fall, so that no window that ends within a window from
            // here has more than these two together.
            let far = (at + self.window).min(until);
            let start = (at - self.window).max(self.since);
            if series.grown(far).saturating_sub(series.grown(start)) < self.stall {
                at = far.max(at + Micros(1));
                continue;
            }
            // The stall of the window changes evenly up to the next knot at either end.
            let knots = [
                series.next_knot(at),
                series
                    .next_knot(at - self.window)
                    .map(|knot| knot + self.window),
            ];
            let next = knots.into_iter().flatten().min();
            let next = next.map_or(until, |next| next.min(until));
            if next <= at {
                return None;
            }
            if self.stalled(series, next) >= self.stall {
                return Some(self.halve(series, at, next));
            }
            at = next;
        }
        None
    }

    /// Between a moment without the stall and one with it.
    fn halve(&self, series: &Series, mut without: Moment, mut with: Moment) -> Moment {
        while with.since(without) > Micros(1) {
            let middle = without + Micros(with.since(without).0 / 2);
            match self.stalled(series, middle) >= self.stall {
                true => with = middle,
                false => without = middle,
            }
        }
        with
    }
}

/// The kernel's averages of one counter.
struct Damped {
    group: usize,
    resource: Resource,
    kind: Kind,
    at: Moment,
    /// Percent times [`FIXED`].
    averages: [u64; 3],
}

impl Damped {
    /// As calc_avgs() in kernel/sched/psi.c: each average moves towards the share of
    /// the last two seconds.
    fn advance(&mut self, series: &Series, now: Moment) {
        while self.at + STEP <= now {
            let next = self.at + STEP;
            let stalled = series.grown(next).saturating_sub(series.grown(self.at));
            let share = (stalled * 100 * FIXED / STEP.0).min(100 * FIXED);
            for (average, decay) in self.averages.iter_mut().zip(DECAY) {
                let mut sum = *average * decay + share * (FIXED - decay);
                if share >= *average {
                    sum += FIXED - 1;
                }
                *average = sum / FIXED;
            }
            self.at = next;
        }
    }

    fn percent(&self, which: usize) -> Percent {
        Percent((self.averages[which] * 100 / FIXED) as u32)
    }
}

/// A recording as a [`Source`].
pub struct Ideal {
    recording: Recording,
    triggers: Vec<Trigger>,
    damped: Vec<Damped>,
    changes: VecDeque<(Moment, Change)>,
    host: Host,
    newest: Option<HostReading>,
    disks: Vec<(DiskName, DiskCounters)>,
}

impl Ideal {
    /// Over the time of this recording.
    pub fn new(recording: Recording) -> Ideal {
        let mut changes = Vec::new();
        for group in &recording.groups {
            let Some(path) = &group.path else {
                continue;
            };
            changes.extend(group.changes().map(|(at, created)| match created {
                true => (at, Change::Created(path.clone())),
                false => (at, Change::Removed(path.clone())),
            }));
        }
        changes.sort_by_key(|change| change.0);
        Ideal {
            recording,
            triggers: Vec::new(),
            damped: Vec::new(),
            changes: changes.into(),
            host: Host::new(),
            newest: None,
            disks: Vec::new(),
        }
    }

    /// The recording, which may grow: nothing is looked at beyond the moment up to which
    /// the replay runs.
    pub fn recording(&mut self) -> &mut Recording {
        &mut self.recording
    }

    fn series(&self, group: usize, resource: Resource, kind: Kind) -> &Series {
        self.recording.groups[group].series(resource, kind)
    }

    fn group_of(&self, alert: &Alert) -> Option<usize> {
        self.recording.group(alert.cgroup())
    }

    fn averages(&mut self, group: usize, rule: &Rule, at: Moment) -> [Percent; 3] {
        let (resource, kind) = (rule.resource, rule.kind);
        let known = |damped: &Damped| {
            (damped.group, damped.resource, damped.kind) == (group, resource, kind)
        };
        let place = self.damped.iter().position(known).unwrap_or_else(|| {
            let start = self.recording.span().map_or(at, |span| span.0);
            self.damped.push(Damped {
                group,
                resource,
                kind,
                at: start,
                averages: [0; 3],
            });
            self.damped.len() - 1
        });
        let series = self.recording.groups[group].series(resource, kind);
        let damped = &mut self.damped[place];
        damped.advance(series, at);
        [0, 1, 2].map(|which| damped.percent(which))
    }

    /// Takes the newest reading of the host's other counters, as the daemon would read
    /// them now.
    fn read_host(&mut self, at: Moment) -> Option<HostReading> {
        let (reading, changes) = self.recording.host(at, self.newest)?;
        if self.newest.is_some_and(|newest| newest.at == reading.at) {
            return self.newest;
        }
        for (name, counters) in changes {
            let place = self.disks.iter().position(|disk| disk.0 == *name);
            match (place, counters) {
                (Some(place), Some(counters)) => self.disks[place].1 = *counters,
                (None, Some(counters)) => self.disks.push((*name, *counters)),
                (Some(place), None) => drop(self.disks.remove(place)),
                (None, None) => {}
            }
        }
        self.host.disks(reading.at, &self.disks);
        self.newest = Some(reading);
        self.newest
    }
}

impl Source for Ideal {
    fn arm(&mut self, rule: &Rule, cgroup: Option<&[u8]>, at: Moment) -> Option<Armed> {
        let recording = &self.recording;
        let group = recording.group(cgroup)?;
        let track = &recording.groups[group];
        let series = track.series(rule.resource, rule.kind);
        if series.is_empty() || cgroup.is_some() && !track.is_there(at) {
            return None;
        }
        let total = series.total(at);
        self.triggers.push(Trigger {
            group,
            resource: rule.resource,
            kind: rule.kind,
            // a trigger fires because something stalls
            stall: rule.stall().0.max(1),
            window: rule.window,
            since: at,
            allowed: at,
            searched: at,
            event: None,
        });
        Some(Armed {
            trigger: self.triggers.len() - 1,
            total,
            privileged: true,
        })
    }

    /// A trigger that is not polled has no events: none is latched.
    fn wait(&mut self, polled: &[usize], now: Moment, until: Moment) -> Moment {
        let change = self.changes.front().map(|change| change.0.max(now));
        let mut until = change.map_or(until, |change| change.min(until));
        for &number in polled {
            let trigger = &self.triggers[number];
            let series = self.series(trigger.group, trigger.resource, trigger.kind);
            let from = trigger.searched.max(trigger.allowed).max(now);
            let found = match trigger.event.filter(|event| *event >= now) {
                Some(event) => Some(event),
                None => trigger.search(series, from, until),
            };
            let trigger = &mut self.triggers[number];
            trigger.event = found;
            trigger.searched = found.unwrap_or(until.max(from));
            until = found.map_or(until, |event| event.min(until));
        }
        // what was found first is not behind what ends the waiting
        for &number in polled {
            let trigger = &mut self.triggers[number];
            trigger.searched = trigger.searched.min(until.max(now));
        }
        until.max(now)
    }

    fn take(&mut self, trigger: usize, now: Moment) -> bool {
        let trigger = &mut self.triggers[trigger];
        match trigger.event.take_if(|event| *event <= now) {
            Some(event) => {
                trigger.allowed = event + trigger.window;
                true
            }
            None => false,
        }
    }

    fn change(&mut self, now: Moment) -> Option<Change> {
        let due = self.changes.front().is_some_and(|change| change.0 <= now);
        due.then(|| self.changes.pop_front())?
            .map(|change| change.1)
    }

    fn read(&mut self, alert: &Alert, at: Moment) -> Averages {
        let Some(group) = self.group_of(alert) else {
            return Averages::default();
        };
        let rule = alert.rule();
        let total = self.series(group, rule.resource, rule.kind).total(at);
        let [avg10, avg60, avg300] = self.averages(group, rule, at);
        Averages {
            avg10,
            avg60,
            avg300,
            total,
        }
    }

    fn evidence(&mut self, alert: &Alert, at: Moment) -> Evidence {
        let Some(reading) = self.read_host(at) else {
            return Evidence::None;
        };
        let host = reading.counters;
        let recording = &self.recording;
        let cgroup = alert.cgroup().and_then(|path| recording.group(Some(path)));
        let of_group = cgroup.map(|group| recording.groups[group].counters(at));
        match alert.rule().resource {
            Resource::Memory => Evidence::Memory(Memory {
                available: share(host.available, host.memory),
                swap_free: share(host.swap_free, host.swap),
                oom_kills: of_group.map_or(host.oom_kills, |group| group.oom_kills),
            }),
            Resource::Io => Evidence::Io(self.host.io()),
            Resource::Cpu => cpu(
                &reading,
                of_group.and_then(|group| {
                    Some(Throttled {
                        periods: group.periods?,
                        throttled: group.throttled?,
                    })
                }),
            ),
            Resource::Irq => Evidence::None,
        }
    }
}

fn cpu(reading: &HostReading, throttled: Option<Throttled>) -> Evidence {
    let host = reading.counters;
    let time = |ticks: u64| Micros(ticks.saturating_mul(TICK));
    let cpu = || {
        Some(Cpu {
            idle: time(host.idle?),
            steal: time(host.steal.unwrap_or(0)),
            cpus: u32::try_from(host.cpus?).ok()?,
            throttled,
        })
    };
    cpu().map_or(Evidence::None, Evidence::Cpu)
}

#[cfg(test)]
mod tests;
