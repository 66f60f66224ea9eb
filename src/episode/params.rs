//! What a rule asks of its episodes, and what was hidden before their onset.

use super::Verdict;
use super::growth::{Growth, Mean, Sample, plausible_growth};
use super::lookback::Lookback;
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// A reading at most this many windows before an event shows what led up to it: the
/// kernel's rate limit and its grid together hide up to two.
const NEAR_WINDOWS: u64 = 3;
/// As [`NEAR_WINDOWS`], for a rule that verifies: the daemon's fallback reading is made
/// every 15 windows of 2 s, and an event comes up to three behind it.
const FALLBACK_WINDOWS: u64 = 15 + NEAR_WINDOWS;
/// Evidence that shows nothing is asked every so many windows.
const SELDOM_WINDOWS: u64 = 21;

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
    pub(super) privileged: bool,
}

/// Pressure between its true onset and the first reading: the kernel drops events
/// that follow another too closely, and looks only every 2 s where the trigger is
/// unprivileged.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Backdate {
    pub(super) lasted: Micros,
    pub(super) stalled: Micros,
}

/// The first multiple of a length that comes after a moment.
fn next(after: Moment, length: Micros) -> Moment {
    Moment((after.0 / length.0.max(1) + 1).saturating_mul(length.0.max(1)))
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
    pub(super) fn new(rule: &Rule, privileged: bool) -> Params {
        Params {
            stall: rule.stall(),
            window: rule.window,
            sustain: rule.sustain,
            clear: rule.clear,
            repeat: rule.repeat,
            confirm: confirm(rule.stall(), privileged),
            privileged,
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

    /// Whether it was the threshold or more between two readings.
    pub(super) fn reached_between(&self, before: Sample, now: Sample) -> bool {
        self.reached(plausible_growth(before, now, self.window))
    }

    /// Whether it is three quarters of the threshold or more.
    pub(super) fn is_near(&self, growth: Growth) -> bool {
        self.reached(Growth {
            stalled: Micros(growth.stalled.0.saturating_mul(4) / 3),
            ..growth
        })
    }

    /// Whether it is half the threshold or more.
    pub(super) fn is_half(&self, growth: Growth) -> bool {
        self.reached(Growth {
            stalled: growth.stalled + growth.stalled,
            ..growth
        })
    }

    /// How much more has to stall within `for=` until it is the threshold's share.
    pub(super) fn missing(&self, mean: &Mean) -> Micros {
        let wanted = u128::from(self.stall.0) * u128::from(self.sustain.0);
        let wanted = wanted / u128::from(self.window.0.max(1));
        Micros(wanted.try_into().unwrap_or(u64::MAX)) - mean.over(self.sustain).stalled
    }

    /// When to look first, after a crossing: no sooner than there can be a begin. All
    /// that is missing has to stall first, and evidence that disagrees knows for how
    /// long it will. Without the capability an event may be a false one, which the next
    /// window shows.
    pub(super) fn first_due(&self, at: Moment, verdict: Verdict) -> Moment {
        if !self.privileged {
            return at + self.window;
        }
        let pause = self.until_begin(self.missing(&Mean::default()), verdict);
        match pause > self.seldom() {
            true => next(at + pause, self.seldom()),
            false => at + pause,
        }
    }

    /// When to look again while verifying, after a reading at `at`. A busy host is not
    /// to be read in every window: evidence that shows nothing is asked every 21 windows,
    /// at moments that all rules have in common.
    pub(super) fn due(&self, at: Moment, missing: Micros, verdict: Verdict) -> Moment {
        let seldom = self.seldom();
        let unknown = !verdict.agrees && verdict.wait == Micros::ZERO;
        let pause = match missing {
            Micros::ZERO if unknown => self.part().max(self.sustain.min(seldom)).max(self.window),
            missing => self.until_begin(missing, verdict),
        };
        match pause > seldom {
            _ if verdict.may_begin => at + pause,
            true => next(at + pause, seldom),
            false if verdict.absent => next(at + self.window, seldom),
            false => at + pause,
        }
    }

    /// No begin can come sooner: what is missing has to stall first, and evidence that
    /// disagrees may know for how long it will. But once in a part of `for=`, whether
    /// pressure is still there is looked at in any case.
    fn until_begin(&self, missing: Micros, verdict: Verdict) -> Micros {
        missing.min(self.part()).max(verdict.wait).max(self.window)
    }

    fn seldom(&self) -> Micros {
        Micros(SELDOM_WINDOWS * self.window.0)
    }

    /// Whether `for=` is longer than 60 windows.
    pub(super) fn is_long(&self) -> bool {
        self.sustain > Micros(60 * self.window.0)
    }

    /// After which it shows whether pressure is still there: a window, or a part of a
    /// long `for=`.
    fn part(&self) -> Micros {
        match self.is_long() {
            true => Micros(self.sustain.0 / 16),
            false => self.window,
        }
    }

    /// What came before the onset, as far as it counts for a begin: two windows, which
    /// the kernel's grid and rate limit may have hidden, and half of `for=` at most, so
    /// that the greater part was verified.
    pub(super) fn hidden(&self, backdate: Backdate) -> Growth {
        let most = (self.window + self.window).min(Micros(self.sustain.0 / 2));
        backdate.growth().part(most)
    }

    /// Without a near reading: the window that fired held the threshold.
    pub(super) fn assume_one_window(&self) -> Backdate {
        Backdate::new(self.window, self.stall)
    }

    /// With `for=0`: growth since a near reading, and no longer ago than it takes to
    /// stall for so long without a pause.
    pub(super) fn backdate_confirmed(&self, base: Sample, now: Sample) -> Backdate {
        let Growth { stalled, elapsed } = plausible_growth(base, now, self.window);
        match elapsed <= Micros(NEAR_WINDOWS * self.window.0) {
            true => Backdate::new(stalled.min(elapsed), stalled),
            false => self.assume_one_window(),
        }
    }

    /// With `for=` above 0: all growth since `older`, or since `last` where that is
    /// too long ago; where both are, no more than fires a trigger. `lasted` is an
    /// upper bound until [`Lookback::onset`] knows a rate.
    pub(super) fn lookback(&self, older: Sample, last: Sample, now: Sample) -> Lookback {
        let near = Micros(FALLBACK_WINDOWS * self.window.0);
        let earlier = plausible_growth(older, last, self.window);
        let counted = now.at.since(older.at) <= near;
        let base = if counted { older } else { last };
        let Growth { stalled, elapsed } = plausible_growth(base, now, self.window);
        if elapsed > near {
            let two = self.window + self.window;
            return Backdate::new(two, stalled.min(self.stall)).into();
        }
        Lookback {
            backdate: Backdate::new(elapsed, stalled),
            // where it was pressure as well, it doesn't show what is usual
            earlier: match self.reached(earlier) {
                true => Growth::default(),
                false => earlier,
            },
            counted,
        }
    }
}

impl Backdate {
    /// So long, with so much stalled.
    pub(super) const fn new(lasted: Micros, stalled: Micros) -> Backdate {
        Backdate { lasted, stalled }
    }

    /// As a window; no more of it was stalled than it lasted.
    pub(super) fn growth(self) -> Growth {
        Growth {
            stalled: self.stalled.min(self.lasted),
            elapsed: self.lasted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::tests::{growth, params};

    #[test]
    fn a_quarter_of_the_threshold_confirms_a_privileged_event() {
        let rule = "memory full 10%/2s";
        assert_eq!(params(rule, false).confirm, Micros::millis(200));
        assert_eq!(params(rule, true).confirm, Micros::millis(50));
    }

    #[test]
    fn near_is_three_quarters_of_the_threshold() {
        let params = params("memory full 10%/2s", false);
        assert!(params.is_near(growth(150, 2000)));
        assert!(!params.is_near(growth(149, 2000)));
    }

    #[test]
    fn what_is_hidden_is_two_windows_and_half_of_for_at_most() {
        for (rule, millis) in [("for=4s", 2000), ("for=20s", 4000)] {
            let params = params(&format!("memory full 10%/2s {rule}"), false);
            let backdate =
                |lasted, stalled| Backdate::new(Micros::secs(lasted), Micros::millis(stalled));
            assert_eq!(
                params.hidden(backdate(30, 9000)),
                growth(millis * 3 / 10, millis)
            );
            assert_eq!(params.hidden(backdate(1, 300)), growth(300, 1000));
        }
    }

    /// A fallback reading, then an event up to three windows behind it.
    #[test]
    fn what_is_18_windows_ago_still_counts() {
        let params = params("memory full 10%/2s for=20s", false);
        let sample = |seconds, millis| Sample {
            at: Moment(1_000_000_000) + Micros::secs(seconds),
            total: Micros::millis(millis).0,
        };
        let (older, last, now) = (sample(0, 0), sample(30, 100), sample(36, 900));
        let backdate = params.lookback(older, last, now).backdate;
        let expected = Backdate::new(Micros::secs(36), Micros::millis(900));
        assert_eq!(backdate, expected);
        let now = sample(37, 900);
        let backdate = params.lookback(older, last, now).backdate;
        assert_eq!(backdate.lasted, Micros::secs(7));
        let backdate = params.lookback(older, older, now).backdate;
        let expected = Backdate::new(Micros::secs(4), Micros::millis(200));
        assert_eq!(backdate, expected);
    }

    #[test]
    fn half_is_half_the_threshold() {
        let params = params("memory full 10%/2s", false);
        assert!(params.is_half(growth(100, 2000)));
        assert!(!params.is_half(growth(99, 2000)));
    }

    #[test]
    fn a_for_over_60_windows_is_read_in_parts() {
        for (rule, us) in [
            ("for=1m", 2_000_000),
            ("for=2m", 2_000_000),
            ("for=121s", 7_562_500),
        ] {
            let params = params(&format!("memory full 10%/2s {rule}"), false);
            assert_eq!(params.part(), Micros(us), "{rule}");
        }
    }

    #[test]
    fn growth_of_three_windows_is_near_an_event() {
        let params = params("memory full 10%/2s for=0", false);
        let sample = |us: u64, total| Sample {
            at: Moment(1_000_000_000 + us),
            total,
        };
        let backdate = |us| params.backdate_confirmed(sample(0, 0), sample(us, 500_000));
        let lasted = Micros(500_000);
        let stalled = Micros(500_000);
        assert_eq!(backdate(6_000_000), Backdate::new(lasted, stalled));
        assert_eq!(backdate(6_000_001), params.assume_one_window());
    }

    /// 1 s behind a moment that all rules have in common.
    const AT: Moment = Moment(1_001_000_000);
    const STUCK: &str = "io some 50%/2s for=20s stuck=20s";

    fn disagreeing(wait: u64) -> Verdict {
        Verdict {
            agrees: false,
            wait: Micros::secs(wait),
            ..Verdict::AGREED
        }
    }

    #[test]
    fn an_event_is_looked_at_when_there_can_be_a_begin() {
        for (privileged, wait, seconds) in [
            (false, 50, 2),
            (true, 0, 2),
            (true, 42, 42),
            (true, 43, 49),
            (true, 50, 91),
        ] {
            let params = params(STUCK, privileged);
            let due = params.first_due(AT, disagreeing(wait));
            assert_eq!(due, AT + Micros::secs(seconds), "{privileged} {wait}");
        }
    }

    #[test]
    fn evidence_that_disagrees_is_looked_at_again_when_it_can_agree() {
        let params = params(STUCK, true);
        let due = |verdict| params.due(AT, Micros::ZERO, verdict).since(AT);
        // for how long is not known
        assert_eq!(due(disagreeing(0)), Micros::secs(20));
        assert_eq!(due(disagreeing(10)), Micros::secs(10));
        assert_eq!(due(disagreeing(42)), Micros::secs(42));
        assert_eq!(due(disagreeing(43)), Micros::secs(49));
        assert_eq!(due(Verdict::AGREED), Micros::secs(2));
        let may_begin = Verdict {
            may_begin: true,
            absent: true,
            ..disagreeing(50)
        };
        assert_eq!(due(may_begin), Micros::secs(50));
        let absent = Verdict {
            may_begin: false,
            absent: true,
            ..disagreeing(20)
        };
        assert_eq!(due(absent), Micros::secs(7));
    }
}
