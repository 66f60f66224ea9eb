//! The arithmetic of an episode: what a rule asks for, how much the counter has
//! grown, and what a run of pressure has amounted to. All of it saturates, and a
//! division by zero has an answer: nothing here panics.

use crate::pressure::Percent;
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// A reading at most this many windows before an event shows what led up to it: the
/// kernel's rate limit and its grid together hide up to two.
const NEAR_WINDOWS: u64 = 3;
/// The same for a rule that verifies: the daemon's fallback reading is made every 15
/// windows of 2 s, and an event comes up to three behind it.
const FALLBACK_WINDOWS: u64 = 15 + NEAR_WINDOWS;

/// The counter at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When it was read.
    pub at: Moment,
    /// `total=`: stalled time, in microseconds.
    pub total: u64,
}

/// Stalled time within a length of time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Growth {
    pub(super) stalled: Micros,
    pub(super) elapsed: Micros,
}

/// What an episode amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// From the onset to now, or to the start of the calm that ended it.
    pub duration: Micros,
    /// Stalled time in `duration`.
    pub stalled: Micros,
    /// Windows at or over the threshold.
    pub hits: u32,
    /// The worst window.
    pub worst: Percent,
}

/// What a rule asks of an episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Params {
    pub(super) stall: Micros,
    pub(super) window: Micros,
    pub(super) sustain: Micros,
    pub(super) clear: Micros,
    pub(super) repeat: Micros,
    /// With `for=0`: growth of the counter that confirms an event.
    pub(super) confirm: Micros,
}

/// Pressure between its true onset and the first reading: the kernel drops events
/// that follow another too closely, and looks only every 2 s where the trigger is
/// unprivileged.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Backdate {
    pub(super) lasted: Micros,
    pub(super) stalled: Micros,
}

/// Pressure from its first reading on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    /// The first reading.
    pub(super) onset: Moment,
    /// Plausible growth of the counter since the onset.
    pub(super) stalled: Micros,
    /// What came before the onset. It counts for the figures, not for the mean that
    /// is verified.
    pub(super) backdate: Backdate,
    pub(super) hits: u32,
    pub(super) worst: Percent,
}

/// `part` over `whole`, at most 100 %; 0 % where `whole` is nothing.
fn share(part: Micros, whole: Micros) -> Percent {
    if whole == Micros::ZERO {
        return Percent(0);
    }
    let hundredths = u128::from(part.0) * 10_000 / u128::from(whole.0);
    Percent(hundredths.min(10_000) as u32)
}

/// How long it takes to stall for `part` at a rate; for ever where that is nothing.
fn time_to_stall(part: Micros, rate: Growth) -> Micros {
    let product = u128::from(part.0) * u128::from(rate.elapsed.0);
    let us = product.checked_div(u128::from(rate.stalled.0));
    Micros(us.and_then(|us| us.try_into().ok()).unwrap_or(u64::MAX))
}

/// The growth between two readings. Stalled time can't pass faster than time: a
/// little over is a reading that was made late, but a counter that leaps or falls is
/// another counter, and says nothing of the past.
pub(super) fn plausible_growth(before: Sample, now: Sample, window: Micros) -> Growth {
    let elapsed = now.at.since(before.at);
    let grown = Micros(now.total.saturating_sub(before.total));
    let stalled = match grown > elapsed + elapsed + window {
        true => Micros::ZERO,
        false => grown,
    };
    Growth { stalled, elapsed }
}

impl Figures {
    /// Some window is as bad as their mean, whatever the readings could see: the window
    /// that led up to an event is known by its threshold alone.
    fn with_plausible_worst(self) -> Figures {
        Figures {
            worst: self.worst.max(self.mean()),
            ..self
        }
    }

    /// `stalled` over `duration`.
    pub fn mean(&self) -> Percent {
        share(self.stalled, self.duration)
    }
}

/// How much of a stall must be in the file for an event to be confirmed. For
/// privileged triggers the kernel keeps a sum apart from the file's, and weighs CPUs by
/// how busy they were since it last did (psi.c, collect_percpu_times): on 6.12 an event
/// of 200 ms came with 93 to 122 ms in the file, and the rest up to 340 ms later.
fn confirm(stall: Micros, privileged: bool) -> Micros {
    match privileged {
        true => Micros(stall.0 / 4),
        false => stall,
    }
}

impl Params {
    /// The trigger was armed anew.
    pub(super) fn rearm(&mut self, privileged: bool) {
        self.confirm = confirm(self.stall, privileged);
    }

    pub(super) fn new(rule: &Rule, privileged: bool) -> Params {
        Params {
            stall: rule.stall(),
            window: rule.window,
            sustain: rule.sustain,
            clear: rule.clear,
            repeat: rule.repeat,
            confirm: confirm(rule.stall(), privileged),
        }
    }

    /// Whether pressure has to be sustained before it begins.
    pub(super) fn verifies(&self) -> bool {
        self.sustain > Micros::ZERO
    }

    /// Whether it is the threshold or more.
    pub(super) fn reached(&self, growth: Growth) -> bool {
        let product = |a: Micros, b: Micros| u128::from(a.0) * u128::from(b.0);
        product(growth.stalled, self.window) >= product(self.stall, growth.elapsed)
    }

    /// Whether it is under half the threshold.
    pub(super) fn is_calm(&self, growth: Growth) -> bool {
        !self.reached(Growth {
            stalled: Micros(growth.stalled.0.saturating_mul(2)),
            ..growth
        })
    }

    /// Whether `run` has lasted for `for=` at a reading. What came before the onset
    /// counts for two windows, which the kernel's grid and rate limit may have hidden,
    /// and for half of `for=` at most, so that the greater part was verified.
    pub(super) fn is_sustained(&self, run: &Run, at: Moment) -> bool {
        let hidden = self.window + self.window;
        let half = Micros(self.sustain.0 / 2);
        let counted = run.backdate.lasted.min(hidden).min(half);
        at.since(run.onset) + counted >= self.sustain
    }

    /// Without a near reading: the window that fired held the threshold.
    pub(super) fn assume_one_window(&self) -> Backdate {
        Backdate {
            lasted: self.window,
            stalled: self.stall,
        }
    }

    /// With `for=0`: growth since a near reading, and no longer ago than it takes to
    /// stall for so long without a pause.
    pub(super) fn backdate_confirmed(&self, base: Sample, now: Sample) -> Backdate {
        let Growth { stalled, elapsed } = plausible_growth(base, now, self.window);
        match elapsed <= Micros(NEAR_WINDOWS * self.window.0) {
            true => Backdate {
                lasted: stalled.min(elapsed),
                stalled,
            },
            false => self.assume_one_window(),
        }
    }

    /// With `for=` above 0: all growth since `older`, or since `last` where that is
    /// too long ago; where both are, no more than fires a trigger. `lasted` is an
    /// upper bound until [`Backdate::limit`] knows a rate.
    pub(super) fn backdate_verified(&self, older: Sample, last: Sample, now: Sample) -> Backdate {
        let near = Micros(FALLBACK_WINDOWS * self.window.0);
        let base = match now.at.since(older.at) <= near {
            true => older,
            false => last,
        };
        let Growth { stalled, elapsed } = plausible_growth(base, now, self.window);
        match elapsed <= near {
            true => Backdate {
                lasted: elapsed,
                stalled,
            },
            false => Backdate {
                lasted: self.window + self.window,
                stalled: stalled.min(self.stall),
            },
        }
    }
}

impl Backdate {
    /// Limits the length to what its stall takes at the rate of the first window.
    pub(super) fn limit(&mut self, first: Growth) {
        self.lasted = self.lasted.min(time_to_stall(self.stalled, first));
    }
}

impl Run {
    /// From a reading on; no window has been measured.
    pub(super) fn new(onset: Moment, backdate: Backdate) -> Run {
        Run {
            onset,
            stalled: Micros::ZERO,
            backdate,
            hits: 0,
            worst: Percent(0),
        }
    }

    /// From a reading on; the window before it is known to have reached the threshold.
    pub(super) fn reached(onset: Moment, backdate: Backdate, params: &Params) -> Run {
        Run {
            hits: 1,
            worst: share(params.stall, params.window),
            ..Run::new(onset, backdate)
        }
    }

    /// Adds one window, or the part of it that has passed.
    pub(super) fn add(&mut self, window: Growth, params: &Params) {
        self.stalled = self.stalled + window.stalled;
        self.worst = self.worst.max(share(window.stalled, window.elapsed));
        if params.reached(window) {
            self.hits = self.hits.saturating_add(1);
        }
    }

    /// Growth since the onset.
    pub(super) fn growth(&self, at: Moment) -> Growth {
        Growth {
            stalled: self.stalled,
            elapsed: at.since(self.onset),
        }
    }

    /// What it amounts to at a reading.
    pub(super) fn until(&self, end: Moment) -> Figures {
        Figures {
            duration: end.since(self.onset) + self.backdate.lasted,
            stalled: self.stalled + self.backdate.stalled,
            hits: self.hits,
            worst: self.worst,
        }
        .with_plausible_worst()
    }

    /// What it amounts to if pressure ended near `at`, the reading between its newest
    /// window, already added, and a calm one. Both are taken to have held pressure
    /// at the mean rate before them, for as long as their growth takes at that rate.
    pub(super) fn ended(&self, at: Moment, newest: Growth, calm: Growth) -> Figures {
        let figures = self.until(at);
        let before = Growth {
            stalled: self.stalled - newest.stalled,
            elapsed: at.since(self.onset) - newest.elapsed,
        };
        if before.stalled == Micros::ZERO {
            return figures;
        }
        let held = |part: Growth| time_to_stall(part.stalled, before).min(part.elapsed);
        Figures {
            duration: figures.duration - newest.elapsed + held(newest) + held(calm),
            stalled: figures.stalled + calm.stalled,
            ..figures
        }
        .with_plausible_worst()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000_000);
    const WINDOW: Micros = Micros::secs(2);

    fn params(rule: &str, privileged: bool) -> Params {
        let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
        Params::new(&rule, privileged)
    }

    fn sample(millis: u64, stalled: u64) -> Sample {
        Sample {
            at: START + Micros::millis(millis),
            total: 7_000_000 + Micros::millis(stalled).0,
        }
    }

    fn growth(stalled: u64, elapsed: u64) -> Growth {
        Growth {
            stalled: Micros::millis(stalled),
            elapsed: Micros::millis(elapsed),
        }
    }

    #[test]
    fn growth_over_twice_the_time_and_a_window_is_not_plausible() {
        let grown = |millis| plausible_growth(sample(0, 0), sample(2000, millis), WINDOW);
        assert_eq!(grown(6000), growth(6000, 2000));
        assert_eq!(grown(6001), growth(0, 2000));
    }

    #[test]
    fn a_counter_that_fell_has_not_grown() {
        let grown = plausible_growth(sample(0, 500), sample(2000, 0), WINDOW);
        assert_eq!(grown, growth(0, 2000));
    }

    #[test]
    fn a_time_before_the_last_reading_is_no_time() {
        let grown = plausible_growth(sample(2000, 0), sample(0, 100), WINDOW);
        assert_eq!(grown, growth(100, 0));
    }

    #[test]
    fn the_mean_of_no_time_is_0() {
        assert_eq!(share(Micros::secs(1), Micros::ZERO), Percent(0));
    }

    #[test]
    fn a_quarter_of_the_threshold_confirms_a_privileged_event() {
        let rule = "memory full 10%/2s";
        assert_eq!(params(rule, false).confirm, Micros::millis(200));
        assert_eq!(params(rule, true).confirm, Micros::millis(50));
    }

    #[test]
    fn a_window_is_calm_under_half_the_threshold() {
        let params = params("memory full 10%/2s", false);
        assert!(params.is_calm(growth(99, 2000)));
        assert!(!params.is_calm(growth(100, 2000)));
    }

    #[test]
    fn what_came_before_the_onset_counts_for_half_of_for_at_most() {
        let params = params("memory full 10%/2s for=4s", false);
        let lasted = Micros::secs(30);
        let run = Run::new(
            START,
            Backdate {
                lasted,
                ..Backdate::default()
            },
        );
        assert!(!params.is_sustained(&run, START + Micros::millis(1999)));
        assert!(params.is_sustained(&run, START + Micros::secs(2)));
    }

    #[test]
    fn what_came_before_the_onset_counts_for_two_windows_at_most() {
        let params = params("memory full 10%/2s for=20s", false);
        let lasted = Micros::secs(30);
        let run = Run::new(
            START,
            Backdate {
                lasted,
                ..Backdate::default()
            },
        );
        assert!(!params.is_sustained(&run, START + Micros::millis(15_999)));
        assert!(params.is_sustained(&run, START + Micros::secs(16)));
    }

    #[test]
    fn the_first_window_limits_how_long_ago_the_onset_was() {
        let (lasted, stalled) = (Micros::secs(30), Micros::millis(500));
        let mut backdate = Backdate { lasted, stalled };
        backdate.limit(growth(1000, 2000));
        assert_eq!(backdate.lasted, Micros::secs(1));
        backdate.limit(growth(0, 2000));
        assert_eq!(backdate.lasted, Micros::secs(1));
    }

    #[test]
    fn an_end_lies_within_the_newest_window_by_the_mean_rate_before_it() {
        let params = params("memory full 10%/2s", false);
        let mut run = Run::new(START, Backdate::default());
        run.add(growth(1000, 2000), &params);
        run.add(growth(250, 2000), &params);
        let end = START + Micros::secs(4);
        let figures = run.ended(end, growth(250, 2000), growth(0, 2000));
        assert_eq!(figures.duration, Micros::millis(2500));
        assert_eq!(figures.stalled, Micros::millis(1250));
    }
}
