//! Two readings of a counter and what lies between them. All of it saturates, and a
//! division by zero has an answer: nothing here panics.

use crate::pressure::Percent;
use crate::time::{Micros, Moment};

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
pub struct Growth {
    /// So much of it was stalled.
    pub stalled: Micros,
    /// The length of time.
    pub elapsed: Micros,
}

/// `part` over `whole`, at most 100 %; 0 % where `whole` is nothing.
pub fn share(part: Micros, whole: Micros) -> Percent {
    if whole == Micros::ZERO {
        return Percent(0);
    }
    let hundredths = u128::from(part.0) * 10_000 / u128::from(whole.0);
    Percent(hundredths.min(10_000) as u32)
}

/// How long it takes to stall for `part` at a rate; for ever where that is nothing.
pub(super) fn time_to_stall(part: Micros, rate: Growth) -> Micros {
    let product = u128::from(part.0) * u128::from(rate.elapsed.0);
    let us = product.checked_div(u128::from(rate.stalled.0));
    Micros(us.and_then(|us| us.try_into().ok()).unwrap_or(u64::MAX))
}

/// The growth between two readings. Stalled time can't pass faster than time: a
/// little over is a reading that was made late, but a counter that leaps or falls is
/// another counter, and says nothing of the past.
pub(super) fn plausible_growth(before: Sample, now: Sample, window: Micros) -> Growth {
    let elapsed = now.at.since(before.at);
    let grown = any_growth(before, now);
    let stalled = match grown > elapsed + elapsed + window {
        true => Micros::ZERO,
        false => grown,
    };
    Growth { stalled, elapsed }
}

/// Any growth, plausible or not: an event of the kernel speaks for it.
pub(super) fn any_growth(before: Sample, now: Sample) -> Micros {
    Micros(now.total.saturating_sub(before.total))
}

/// What was stalled within a length of time before now, in two parts: one as long as
/// that, and what came after it. Of the first counts the share that still lies within.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mean {
    full: Growth,
    open: Growth,
}

impl Mean {
    /// Adds the newest window.
    pub fn add(&mut self, window: Growth, length: Micros) {
        if self.open.elapsed >= length {
            self.full = std::mem::take(&mut self.open);
        }
        self.open.stalled = self.open.stalled + window.stalled;
        self.open.elapsed = self.open.elapsed + window.elapsed;
    }

    /// Within the length of time, or since the first window if that is shorter.
    pub fn over(&self, length: Micros) -> Growth {
        let open = self.open.part(length);
        let full = self.full.part(length - open.elapsed);
        Growth {
            stalled: open.stalled + full.stalled,
            elapsed: open.elapsed + full.elapsed,
        }
    }
}

impl Growth {
    /// What stalls within a length of time at this rate; nothing where it is none.
    pub(super) fn at_its_rate(self, length: Micros) -> Micros {
        let product = u128::from(self.stalled.0) * u128::from(length.0);
        let stalled = product.checked_div(u128::from(self.elapsed.0));
        Micros(stalled.map_or(0, |us| us.try_into().unwrap_or(u64::MAX)))
    }

    /// The part of it that lies within a length of time, if it was even.
    pub(super) fn part(self, length: Micros) -> Growth {
        if self.elapsed <= length {
            return self;
        }
        let product = u128::from(self.stalled.0) * u128::from(length.0);
        let stalled = product.div_ceil(u128::from(self.elapsed.0));
        Growth {
            stalled: Micros(stalled.try_into().unwrap_or(u64::MAX)),
            elapsed: length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::tests::growth;

    const START: Moment = Moment(1_000_000_000);
    const WINDOW: Micros = Micros::secs(2);

    fn sample(millis: u64, stalled: u64) -> Sample {
        Sample {
            at: START + Micros::millis(millis),
            total: 7_000_000 + Micros::millis(stalled).0,
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
    fn the_mean_forgets_what_is_longer_ago() {
        let length = Micros::secs(20);
        let mut mean = Mean::default();
        mean.add(growth(2000, 2000), length);
        assert_eq!(mean.over(length), growth(2000, 2000));
        for _ in 0..9 {
            mean.add(growth(0, 2000), length);
        }
        assert_eq!(mean.over(length), growth(2000, 20_000));
        // of the full part still half counts
        for _ in 0..5 {
            mean.add(growth(1000, 2000), length);
        }
        assert_eq!(mean.over(length), growth(5000 + 1000, 20_000));
        for _ in 0..6 {
            mean.add(growth(0, 2000), length);
        }
        assert_eq!(mean.over(length), growth(5000 * 9 / 10, 20_000));
    }

    #[test]
    fn of_a_reading_longer_than_the_mean_only_a_part_counts() {
        let mut mean = Mean::default();
        mean.add(growth(90_000, 180_000), Micros::secs(20));
        assert_eq!(mean.over(Micros::secs(20)), growth(10_000, 20_000));
    }
}
