//! What CPUs did from one reading to the next: whether they were busy enough, and since
//! when they can have been.

use crate::episode::{Growth, Mean, Verdict, share};
use crate::evidence::{Cpu, Throttled};
use crate::pressure::Percent;
use crate::time::{Micros, Moment};

/// What CPUs did over more than this does not show when they became busy.
const NEAR: Micros = Micros::secs(60);

/// What CPUs did: the newest counters, and how long they were idle over the last
/// `for=`, summed over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cpus {
    at: Moment,
    idle: Micros,
    steal: Micros,
    quota: Throttled,
    mean: Mean,
    /// The most that they were idle between two readings.
    usual: Option<Percent>,
    /// Whether they were idle, for the greater part, before the newest reading.
    idled: bool,
}

/// What has grown between two readings.
pub(super) struct Grown {
    pub(super) idle: Growth,
    pub(super) steal: Growth,
    pub(super) throttled: Option<Percent>,
}

impl Cpus {
    pub(super) fn new(at: Moment, cpu: Cpu) -> Cpus {
        Cpus {
            at,
            idle: cpu.idle,
            steal: cpu.steal,
            quota: cpu.throttled.unwrap_or_default(),
            mean: Mean::default(),
            usual: None,
            idled: false,
        }
    }

    /// Takes another reading; None if it is of the same moment.
    pub(super) fn take(&mut self, at: Moment, cpu: Cpu, length: Micros) -> Option<Grown> {
        let before = *self;
        *self = Cpus {
            mean: before.mean,
            usual: before.usual,
            idled: before.idled,
            ..Cpus::new(at, cpu)
        };
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

    /// Pressure was noticed: of what came before, only since when they can have been busy
    /// matters.
    pub(super) fn restart(&mut self) {
        self.mean = Mean::default();
    }

    /// Whether the newest reading is near enough to show that.
    pub(super) fn is_near(&self, at: Moment) -> bool {
        at.since(self.at) <= NEAR
    }

    /// Whether they were idle, for the greater part, before the newest reading.
    pub(super) fn were_idle(&self) -> bool {
        self.idled
    }

    /// Takes for how long they were idle before the newest reading. For how long at most
    /// they have been busy, if they were as idle as they usually are until then; None
    /// where they were busy before, too.
    pub(super) fn busy_for(&mut self, idle: Growth, cpus: u32, max: Percent) -> Option<Micros> {
        let share = cpu_share(idle, cpus).0;
        let was_idle = self.idled;
        let known = self.usual.map(|usual| usual.0.max(share));
        let usual = known.unwrap_or(10_000);
        self.usual = Some(Percent(known.unwrap_or(share)));
        // not what is idle a little more or less than the rule asks for
        self.idled = share > 2 * max.0 && share >= (max.0 + usual) / 2;
        let busy =
            u128::from(idle.elapsed.0) * u128::from(usual - share) / u128::from(usual.max(1));
        (was_idle || self.idled).then_some(Micros(busy as u64))
    }

    /// The share of time that they were idle over the last `for=`.
    pub(super) fn mean(&self, length: Micros, cpus: u32) -> Percent {
        cpu_share(self.mean.over(length), cpus)
    }
}

/// Whether CPUs were idle for no more than a share of `length`; if not, how long they
/// must be busy until they were, taken that they were idle evenly so far.
pub(super) fn busy_enough(length: Micros, idle: Percent, idle_max: Percent) -> Verdict {
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
pub(super) fn cpu_share(time: Growth, cpus: u32) -> Percent {
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000_000);
    /// The rule asks for 90 % busy.
    const MAX: Percent = Percent(1000);

    fn cpus() -> Cpus {
        let cpu = Cpu::default();
        Cpus::new(START, cpu)
    }

    /// Of two CPUs, `idle` percent of so many seconds.
    fn busy_for(cpus: &mut Cpus, idle: u64, seconds: u64) -> Option<u64> {
        let idle = Growth {
            stalled: Micros::millis(2 * 10 * idle * seconds),
            elapsed: Micros::secs(seconds),
        };
        let length = cpus.busy_for(idle, 2, MAX);
        length.map(|length| length.0 / 1_000_000)
    }

    #[test]
    fn cpus_that_were_idle_too_long_have_to_be_busy_for_a_while() {
        let verdict = busy_enough(Micros::secs(60), Percent(5000), Percent(2500));
        assert!(!verdict.agrees);
        assert_eq!(verdict.wait, Micros::secs(30));
        let verdict = busy_enough(Micros::secs(60), Percent(2500), Percent(2500));
        assert_eq!(verdict, Verdict::AGREED);
    }

    #[test]
    fn the_mean_is_of_all_readings_since_pressure_was_noticed() {
        let (mut cpus, length) = (cpus(), Micros::secs(60));
        let take = |cpus: &mut Cpus, seconds, idle| {
            let idle = Micros::secs(idle);
            let cpu = Cpu {
                idle,
                ..Cpu::default()
            };
            cpus.take(START + Micros::secs(seconds), cpu, length);
        };
        take(&mut cpus, 10, 20);
        take(&mut cpus, 20, 20);
        assert_eq!(cpus.mean(length, 2), Percent(5000));
        cpus.restart();
        take(&mut cpus, 30, 20);
        assert_eq!(cpus.mean(length, 2), Percent(0));
    }

    #[test]
    fn cpus_that_were_idle_became_busy_by_the_idle_time_that_is_missing() {
        let mut cpus = cpus();
        // of the first reading the usual is not known
        assert_eq!(busy_for(&mut cpus, 90, 40), Some(4));
        assert_eq!(busy_for(&mut cpus, 90, 40), Some(0));
        assert_eq!(busy_for(&mut cpus, 63, 40), Some(12));
        assert_eq!(busy_for(&mut cpus, 0, 2), Some(2));
        // and are busy from there on
        assert_eq!(busy_for(&mut cpus, 11, 2), None);
        assert_eq!(busy_for(&mut cpus, 27, 40), None);
        assert_eq!(busy_for(&mut cpus, 90, 2), Some(0));
        assert_eq!(busy_for(&mut cpus, 18, 40), Some(32));
    }

    #[test]
    fn cpus_that_are_idle_a_little_too_long_are_not_idle() {
        let mut cpus = cpus();
        for idle in [11, 9, 12, 20, 19] {
            assert_eq!(busy_for(&mut cpus, idle, 2), None, "{idle}");
        }
    }
}
