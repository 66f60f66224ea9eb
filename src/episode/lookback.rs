//! What led up to the reading that noticed pressure: when it began, by the readings on
//! either side.

use super::growth::{Growth, share, time_to_stall};
use super::params::Backdate;
use crate::pressure::Percent;
use crate::time::Micros;

/// The growth between the last readings before pressure was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Lookback {
    /// All that may have been pressure.
    pub(super) backdate: Backdate,
    /// Between the two readings before: too little for pressure in all of it.
    pub(super) earlier: Growth,
    /// Whether `backdate` has it, too, as pressure may have begun within.
    pub(super) counted: bool,
}

impl From<Backdate> for Lookback {
    fn from(backdate: Backdate) -> Lookback {
        Lookback {
            backdate,
            ..Lookback::default()
        }
    }
}

impl Lookback {
    /// No more than evidence allows: what was stalled before was something else.
    pub(super) fn within(self, began: Option<Micros>) -> Lookback {
        let Backdate { lasted, stalled } = self.backdate;
        match began {
            Some(most) if most < lasted => Backdate::new(most, stalled.min(most)).into(),
            _ => self,
        }
    }

    /// How long it had lasted, if it stalled at the rate of the first window from its
    /// onset on, and until then as much as between the two readings before. Where its
    /// onset may lie before the newer one of them, until then nothing.
    pub(super) fn onset(self, first: Growth) -> Backdate {
        let (all, newer) = (self.backdate, self.newer());
        let usual = |length| self.earlier.at_its_rate(length);
        let rate = Growth {
            stalled: first.stalled - usual(first.elapsed),
            ..first
        };
        let lasted = time_to_stall(newer.stalled - usual(newer.lasted), rate);
        // a tenth of it is not known so exactly
        if self.counted && lasted >= Micros(newer.lasted.0 / 10 * 9) {
            let lasted = time_to_stall(all.stalled, first).min(all.lasted);
            return Backdate { lasted, ..all };
        }
        let lasted = lasted.min(newer.lasted);
        Backdate::new(lasted, newer.stalled - usual(newer.lasted - lasted))
    }

    /// What was stalled from the newer reading on, if it had begun by then.
    pub(super) fn worst(self, onset: Backdate) -> Percent {
        let newer = self.newer();
        match onset.lasted >= newer.lasted {
            true => share(newer.stalled, newer.lasted),
            false => Percent(0),
        }
    }

    /// From the newer of the two readings before to the one that noticed it.
    fn newer(self) -> Backdate {
        let Backdate { lasted, stalled } = self.backdate;
        match self.counted {
            true => Backdate::new(
                lasted - self.earlier.elapsed,
                stalled - self.earlier.stalled,
            ),
            false => self.backdate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::tests::growth;

    /// Milliseconds since the older reading, and of stall within.
    fn lookback(lasted: u64, stalled: u64, earlier: Growth, counted: bool) -> Lookback {
        Lookback {
            backdate: Backdate::new(Micros::millis(lasted), Micros::millis(stalled)),
            earlier,
            counted,
        }
    }

    fn onset(lookback: Lookback, first: Growth) -> (u64, u64) {
        let Backdate { lasted, stalled } = lookback.onset(first);
        (lasted.0 / 1000, stalled.0 / 1000)
    }

    #[test]
    fn the_first_window_limits_how_long_ago_the_onset_was() {
        let lookback = lookback(30_000, 500, Growth::default(), false);
        assert_eq!(onset(lookback, growth(1000, 2000)), (1000, 500));
        assert_eq!(onset(lookback, growth(0, 2000)), (30_000, 500));
    }

    /// 5 % for 30 s, then for 3 s, then 2 s of pressure.
    #[test]
    fn what_stalls_usually_is_no_part_of_it() {
        let first = growth(2000, 2000);
        for counted in [true, false] {
            let (lasted, stalled) = match counted {
                true => (35_000, 3650),
                false => (5000, 2150),
            };
            let lookback = lookback(lasted, stalled, growth(1500, 30_000), counted);
            assert_eq!(onset(lookback, first), (2000, 2000), "{counted}");
        }
    }

    /// 25 s of nothing, then 10 s of pressure, in the middle of which it was looked at.
    #[test]
    fn an_onset_before_the_newer_reading_is_found() {
        let lookback = lookback(35_000, 10_000, growth(5000, 30_000), true);
        assert_eq!(onset(lookback, growth(2000, 2000)), (10_000, 10_000));
        assert_eq!(onset(lookback, growth(1000, 2000)), (20_000, 10_000));
    }

    #[test]
    fn what_it_was_part_of_may_be_the_worst() {
        let lookback = lookback(35_000, 7500, growth(5000, 30_000), true);
        let worst = |lasted| lookback.worst(Backdate::new(Micros::millis(lasted), Micros::ZERO));
        assert_eq!(worst(5000), Percent(5000));
        assert_eq!(worst(4999), Percent(0));
    }

    #[test]
    fn evidence_limits_it() {
        let lookback = lookback(35_000, 10_000, growth(5000, 30_000), true);
        assert_eq!(lookback.within(None), lookback);
        assert_eq!(lookback.within(Some(Micros::secs(35))), lookback);
        let within = lookback.within(Some(Micros::secs(3)));
        assert_eq!(onset(within, growth(2000, 2000)), (3000, 3000));
    }
}
