//! How many lines all rules together may tell: a token bucket that fills at the
//! budget's rate and holds one hour's worth. What doesn't fit is counted and
//! summed up in one line an hour.
//!
//! A *begin* pays for its *end* too, so that no told episode stays open. A third
//! of the bucket is kept for `crit` and worse: chatter at `notice` can't use up
//! the line that somebody must read.

use crate::severity::Severity;
use crate::time::{Micros, Moment};

const HOUR: Micros = Micros::secs(3600);
/// Levels up to this number (crit) may use the whole bucket.
const RESERVED_FOR: u8 = 2;

/// Lines that were held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// All of them.
    pub count: u64,
    /// Those that were begins.
    pub begins: u64,
    /// When the first of them was held back.
    pub since: Moment,
}

/// The bucket. Its unit is the time that it takes to earn a line.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// What a line costs; None is no limit.
    price: Option<Micros>,
    credit: Micros,
    at: Moment,
    held: Option<Held>,
}

impl Budget {
    /// A full bucket for so many lines an hour.
    pub fn new(lines: Option<u32>, now: Moment) -> Budget {
        Budget {
            price: lines.map(|lines| Micros(HOUR.0 / u64::from(lines.max(1)))),
            credit: HOUR,
            at: now,
            held: None,
        }
    }

    /// Pays for a *begin* of this level and for the *end* that will follow it.
    pub fn begin(&mut self, now: Moment, level: Severity) -> bool {
        self.pay(now, level, 2)
    }

    /// Pays for one line of this level.
    pub fn line(&mut self, now: Moment, level: Severity) -> bool {
        self.pay(now, level, 1)
    }

    fn pay(&mut self, now: Moment, level: Severity, lines: u64) -> bool {
        let Some(price) = self.price else {
            return true;
        };
        self.credit = (self.credit + now.since(self.at)).min(HOUR);
        self.at = now;
        let cost = Micros(price.0 * lines);
        let kept = match level.number() <= RESERVED_FOR {
            true => Micros::ZERO,
            false => Micros(HOUR.0 / 3),
        };
        if self.credit < cost + kept {
            return false;
        }
        self.credit = self.credit - cost;
        true
    }

    /// Counts lines that will not be told.
    pub fn hold(&mut self, now: Moment, count: u64, begins: u64) {
        let held = self.held.get_or_insert(Held {
            count: 0,
            begins: 0,
            since: now,
        });
        held.count += count;
        held.begins += begins;
    }

    /// When the summary is due: an hour after the first line was held back.
    pub fn deadline(&self) -> Option<Moment> {
        self.held.map(|held| held.since + HOUR)
    }

    /// What there is to sum up, once it is due or `now` is the end.
    pub fn summary(&mut self, now: Moment, end: bool) -> Option<Held> {
        match self.deadline() {
            Some(due) if end || now >= due => self.held.take(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000);
    const CRIT: Severity = Severity::CRIT;
    const NOTICE: Severity = Severity::NOTICE;

    #[test]
    fn a_burst_is_told_and_then_the_rate_holds() {
        let mut budget = Budget::new(Some(30), START);
        let told = (0..100).filter(|_| budget.line(START, CRIT)).count();
        assert_eq!(told, 30);
        let told = (0..3600)
            .filter(|second| budget.line(START + Micros::secs(*second), CRIT))
            .count();
        assert_eq!(told, 29);
    }

    #[test]
    fn a_third_is_kept_for_crit() {
        let mut budget = Budget::new(Some(30), START);
        let notices = (0..100).filter(|_| budget.begin(START, NOTICE)).count();
        assert_eq!(notices, 10);
        let crits = (0..100).filter(|_| budget.begin(START, CRIT)).count();
        assert_eq!(crits, 5);
    }

    #[test]
    fn the_smallest_budget_tells_one_episode_of_any_level() {
        let mut budget = Budget::new(Some(4), START);
        assert!(budget.begin(START, NOTICE));
        assert!(!budget.begin(START, NOTICE));
        assert!(budget.begin(START, CRIT));
    }

    #[test]
    fn what_was_held_back_is_summed_up_once_an_hour() {
        let mut budget = Budget::new(Some(30), START);
        assert_eq!(budget.deadline(), None);
        budget.hold(START, 2, 1);
        budget.hold(START + Micros::secs(10), 1, 0);
        let due = START + HOUR;
        assert_eq!(budget.deadline(), Some(due));
        assert_eq!(budget.summary(due - Micros(1), false), None);
        let held = Held {
            count: 3,
            begins: 1,
            since: START,
        };
        assert_eq!(budget.summary(due, false), Some(held));
        assert_eq!(budget.summary(due + HOUR, true), None);
    }

    #[test]
    fn at_the_end_it_is_summed_up_at_once() {
        let mut budget = Budget::new(Some(30), START);
        budget.hold(START, 1, 0);
        assert!(budget.summary(START, true).is_some());
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut budget = Budget::new(None, START);
        assert!((0..100_000).all(|_| budget.begin(START, NOTICE)));
    }
}
