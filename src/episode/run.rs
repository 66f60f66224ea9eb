//! What a run of pressure has amounted to.

use super::growth::{Growth, share, time_to_stall};
use super::params::{Backdate, Params};
use crate::pressure::Percent;
use crate::time::{Micros, Moment};

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

    /// As it is if it began so long ago at most: what stalled before was something else.
    pub(super) fn since(self, at: Moment, length: Micros) -> Run {
        if length >= at.since(self.onset) + self.backdate.lasted {
            return self;
        }
        let stalled = self.stalled + self.backdate.stalled;
        Run::new(at, Backdate::new(length, stalled.min(length)))
    }

    /// Counts the windows before the onset, once their length is known: each has the
    /// rate of the first one, and one of them was counted if it is known that it reached
    /// the threshold.
    pub(super) fn add_hidden(&mut self, params: &Params) {
        let hidden = self.backdate.growth();
        if hidden.elapsed >= params.window && params.reached(hidden) {
            self.hits = self.hits.max(windows(hidden, params));
        }
    }

    /// Adds one window, or the part of it that has passed.
    pub(super) fn add(&mut self, window: Growth, params: &Params) {
        self.stalled = self.stalled + window.stalled;
        self.worst = self.worst.max(share(window.stalled, window.elapsed));
        if params.reached(window) {
            self.hits = self.hits.saturating_add(windows(window, params));
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

/// How many windows a reading stands for.
fn windows(reading: Growth, params: &Params) -> u32 {
    let windows = reading.elapsed.0 / params.window.0.max(1);
    windows.clamp(1, u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::tests::{growth, params};

    const START: Moment = Moment(1_000_000_000);

    #[test]
    fn a_reading_of_several_windows_counts_as_all_of_them() {
        let params = params("memory full 10%/2s", false);
        let mut run = Run::new(START, Backdate::default());
        run.add(growth(900, 7999), &params);
        assert_eq!(run.hits, 3);
        run.add(growth(100, 1999), &params);
        assert_eq!(run.hits, 3);
    }

    #[test]
    fn a_run_can_be_cut_to_what_it_was_part_of() {
        let at = START + Micros::secs(2);
        let two = Micros::secs(2);
        let mut run = Run::new(START, Backdate::new(two, two));
        run.add(growth(1500, 2000), &params("memory full 10%/2s", false));
        assert_eq!(run.since(at, Micros::secs(4)), run);
        let cut = run.since(at, Micros::millis(3999));
        assert_eq!(cut.onset, at);
        let backdate = Backdate::new(Micros::millis(3999), Micros::millis(3500));
        assert_eq!(cut.backdate, backdate);
        assert_eq!(run.since(at, two).backdate, Backdate::new(two, two));
    }

    #[test]
    fn what_is_hidden_is_hits_if_it_was_a_window_and_enough() {
        for (lasted, stalled, hits) in [(4, 1000, 2), (1, 1000, 0), (4, 399, 0)] {
            let backdate = Backdate::new(Micros::secs(lasted), Micros::millis(stalled));
            let mut run = Run::new(START, backdate);
            run.add_hidden(&params("memory full 10%/2s", false));
            assert_eq!(run.hits, hits, "{lasted} {stalled}");
        }
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

    #[test]
    fn the_window_that_fired_held_the_threshold() {
        let params = params("memory full 10%/2s", false);
        let run = Run::reached(START, Backdate::default(), &params);
        assert_eq!((run.hits, run.worst), (1, Percent(1000)));
    }

    #[test]
    fn what_stalled_in_the_calm_window_was_pressure() {
        let params = params("memory full 10%/2s", false);
        let mut run = Run::new(START, Backdate::default());
        run.add(growth(1000, 2000), &params);
        run.add(growth(1000, 2000), &params);
        let end = START + Micros::secs(4);
        let figures = run.ended(end, growth(1000, 2000), growth(100, 2000));
        assert_eq!(figures.duration, Micros::millis(4200));
        assert_eq!(figures.stalled, Micros::millis(2100));
    }
}
