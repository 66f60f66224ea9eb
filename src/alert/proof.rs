//! What the host's other counters say of one alert: whether they bear the alarm out,
//! and what a line shows of them. Pure.

use crate::episode::{Growth, Mean, Verdict, share};
use crate::evidence::{Cpu, Evidence, Io, Memory, Throttled};
use crate::pressure::Percent;
use crate::report::Findings;
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// An OOM kill on a host that never had less than this available is a cgroup's limit
/// at work, and /proc/vmstat counts those as well.
const SHORT: Percent = Percent(2500);

/// What was read so far, since pressure was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Proof {
    /// Nothing.
    #[default]
    None,
    /// Of memory: the kills before, and the least that was available.
    Memory {
        kills: Option<u64>,
        lowest: Option<Percent>,
    },
    /// Of disks: requests that the one that matters completed per second.
    Io { iops: Option<u64> },
    /// Of CPUs.
    Cpu(Cpus),
}

/// What CPUs did: the newest counters, and how long they were idle over the last
/// `for=`, summed over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cpus {
    at: Moment,
    idle: Micros,
    steal: Micros,
    quota: Throttled,
    mean: Mean,
}

/// What has grown between two readings.
struct Grown {
    idle: Growth,
    steal: Growth,
    throttled: Option<Percent>,
}

impl Proof {
    /// Pressure was noticed: what came before says nothing.
    pub fn restart(&mut self) {
        *self = Proof::None;
    }

    /// Takes what was read with a counter.
    pub fn take(
        &mut self,
        rule: &Rule,
        cgroup: bool,
        at: Moment,
        evidence: Evidence,
    ) -> (Verdict, Findings) {
        match evidence {
            Evidence::Memory(memory) => self.memory(rule, cgroup, memory),
            Evidence::Cpu(cpu) => self.cpu(rule, cgroup, at, cpu),
            Evidence::Io(io) => (self.disks(rule, io), Findings::Io(io)),
            // what can't be read bears nothing out
            Evidence::None => {
                let agrees = !rule.asks_evidence();
                (
                    Verdict {
                        agrees,
                        ..Verdict::AGREED
                    },
                    Findings::None,
                )
            }
        }
    }

    /// A disk that completed less than half of what it did before may have died in
    /// between: that is looked at again as soon as it would show.
    fn disks(&mut self, rule: &Rule, io: Io) -> Verdict {
        let Some(stuck) = rule.stuck else {
            return Verdict::AGREED;
        };
        let before = match *self {
            Proof::Io { iops } => iops,
            _ => None,
        };
        *self = Proof::Io { iops: io.iops };
        let fell = |(before, now): (u64, u64)| now < before / 2;
        let wait = stuck - io.stuck;
        Verdict {
            agrees: wait == Micros::ZERO,
            absent: io.stuck == Micros::ZERO,
            doubt: before.zip(io.iops).is_some_and(fell),
            wait,
            ..Verdict::AGREED
        }
    }

    fn memory(&mut self, rule: &Rule, cgroup: bool, memory: Memory) -> (Verdict, Findings) {
        let (kills, lowest) = match *self {
            Proof::Memory { kills, lowest } => (kills, lowest),
            _ => (memory.oom_kills, None),
        };
        let lowest = lowest.into_iter().chain(memory.available).min();
        *self = Proof::Memory { kills, lowest };
        let since = kills.zip(memory.oom_kills);
        let since = since.map(|(before, now)| now.saturating_sub(before));
        let is_short = match rule.avail.or((!cgroup).then_some(SHORT)) {
            Some(least) => lowest.is_none_or(|lowest| lowest < least),
            None => true,
        };
        let is_under = |least| memory.available.is_some_and(|available| available < least);
        let verdict = Verdict {
            agrees: rule.avail.is_none_or(is_under),
            killed: is_short && since > Some(0),
            ..Verdict::AGREED
        };
        // of a cgroup only what it is asked for: the host's figures are not its own
        let shown = !cgroup || rule.avail.is_some();
        let findings = Findings::Memory {
            available: memory.available.filter(|_| shown),
            swap_free: memory.swap_free.filter(|_| shown),
            oom_kills: since,
        };
        (verdict, findings)
    }

    fn cpu(&mut self, rule: &Rule, cgroup: bool, at: Moment, cpu: Cpu) -> (Verdict, Findings) {
        let mut cpus = match *self {
            Proof::Cpu(cpus) => cpus,
            _ => Cpus::new(at, cpu),
        };
        let grown = cpus.take(at, cpu, rule.sustain);
        *self = Proof::Cpu(cpus);
        let Some(Grown {
            idle,
            steal,
            throttled,
        }) = grown
        else {
            // one reading shows no growth
            let agrees = rule.busy.is_none();
            return (
                Verdict {
                    agrees,
                    ..Verdict::AGREED
                },
                Findings::None,
            );
        };
        let mean = cpu_share(cpus.mean.over(rule.sustain), cpu.cpus);
        let verdict = rule.busy.map_or(Verdict::AGREED, |busy| {
            busy_enough(rule.sustain, mean, Percent(10_000 - busy.0))
        });
        let shown = !cgroup || rule.busy.is_some();
        let of_cpus = |time| shown.then(|| cpu_share(time, cpu.cpus));
        let findings = Findings::Cpu {
            idle: of_cpus(idle),
            steal: of_cpus(steal),
            throttled,
        };
        (verdict, findings)
    }
}

impl Cpus {
    fn new(at: Moment, cpu: Cpu) -> Cpus {
        Cpus {
            at,
            idle: cpu.idle,
            steal: cpu.steal,
            quota: cpu.throttled.unwrap_or_default(),
            mean: Mean::default(),
        }
    }

    /// Takes another reading; None if it is of the same moment.
    fn take(&mut self, at: Moment, cpu: Cpu, length: Micros) -> Option<Grown> {
        let before = std::mem::replace(self, Cpus::new(at, cpu));
        self.mean = before.mean;
        let grown = |stalled| Growth {
            stalled,
            elapsed: at.since(before.at),
        };
        let idle = grown(cpu.idle - before.idle);
        self.mean.add(idle, length);
        (before.at < at).then(|| Grown {
            idle,
            steal: grown(cpu.steal - before.steal),
            throttled: throttled(before.quota, self.quota),
        })
    }
}

/// Whether CPUs were idle for no more than a share of `length`; if not, how long they
/// must be busy until they were, taken that they were idle evenly so far.
fn busy_enough(length: Micros, idle: Percent, idle_max: Percent) -> Verdict {
    let surplus = u128::from(idle.0.saturating_sub(idle_max.0));
    let wait = u128::from(length.0) * surplus / u128::from(idle.0.max(1));
    Verdict {
        agrees: surplus == 0,
        // no longer than the length
        wait: Micros(wait as u64),
        ..Verdict::AGREED
    }
}

/// A time that is summed over CPUs as a share of theirs: of wall time, since a starved
/// guest loses ticks in every column.
fn cpu_share(time: Growth, cpus: u32) -> Percent {
    share(
        time.stalled,
        Micros(time.elapsed.0.saturating_mul(u64::from(cpus))),
    )
}

/// The share of its quota's periods in which a cgroup was stopped, between two readings.
fn throttled(before: Throttled, now: Throttled) -> Option<Percent> {
    let periods = now.periods.checked_sub(before.periods)?;
    let stopped = now.throttled.checked_sub(before.throttled)?;
    (periods > 0).then(|| share(Micros(stopped), Micros(periods)))
}
