//! How many lines one rule may write: a token bucket that fills at the rate limit
//! and holds one hour's worth. What doesn't fit is counted and summed up in one
//! line per hour.
//!
//! A *begin* pays for its *end* too, so that no episode that was logged stays open.
//! Every rule has a bucket of its own: the noise of one never silences another.

use crate::time::{Micros, Moment};

const HOUR: Micros = Micros::secs(3600);

/// Lines that were suppressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suppressed {
    /// All of them.
    pub count: u64,
    /// Those that were begins.
    pub begins: u64,
    /// When the first of them was due.
    pub since: Moment,
}

/// The bucket. Its unit is the time that it takes to earn a line.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    /// What a line costs; None is no limit.
    price: Option<Micros>,
    credit: Micros,
    at: Moment,
    suppressed: Option<Suppressed>,
}

impl RateLimit {
    /// A full bucket for so many lines per hour; None is no limit.
    pub fn new(lines: Option<u32>, now: Moment) -> RateLimit {
        RateLimit {
            price: lines.map(|lines| Micros(HOUR.0 / u64::from(lines.max(1)))),
            credit: HOUR,
            at: now,
            suppressed: None,
        }
    }

    /// Another rate from now on, with a full bucket; what was suppressed is still
    /// summed up.
    pub fn set(&mut self, lines: Option<u32>, now: Moment) {
        let suppressed = self.suppressed;
        *self = RateLimit {
            suppressed,
            ..RateLimit::new(lines, now)
        };
    }

    /// Pays for a *begin* and for the *end* that will follow it.
    pub fn begin(&mut self, now: Moment) -> bool {
        self.pay(now, 2)
    }

    /// Pays for one line.
    pub fn line(&mut self, now: Moment) -> bool {
        self.pay(now, 1)
    }

    fn pay(&mut self, now: Moment, lines: u64) -> bool {
        let Some(price) = self.price else {
            return true;
        };
        self.credit = (self.credit + now.since(self.at)).min(HOUR);
        self.at = now;
        let cost = Micros(price.0 * lines);
        if self.credit < cost {
            return false;
        }
        self.credit = self.credit - cost;
        true
    }

    /// Counts lines that will not be written.
    pub fn suppress(&mut self, now: Moment, count: u64, begins: u64) {
        let suppressed = self.suppressed.get_or_insert(Suppressed {
            count: 0,
            begins: 0,
            since: now,
        });
        suppressed.count += count;
        suppressed.begins += begins;
    }

    /// When the summary is due: an hour after the first line was suppressed.
    pub fn deadline(&self) -> Option<Moment> {
        self.suppressed.map(|suppressed| suppressed.since + HOUR)
    }

    /// What there is to sum up, if it is due.
    pub fn summary(&mut self, now: Moment) -> Option<Suppressed> {
        self.suppressed
            .take_if(|suppressed| now >= suppressed.since + HOUR)
    }

    /// What there is to sum up at the end, due or not.
    pub fn last_summary(&mut self) -> Option<Suppressed> {
        self.suppressed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000);

    #[test]
    fn a_burst_is_logged_and_then_the_rate_holds() {
        let mut limit = RateLimit::new(Some(30), START);
        let logged = (0..100).filter(|_| limit.line(START)).count();
        assert_eq!(logged, 30);
        let logged = (0..3600)
            .filter(|second| limit.line(START + Micros::secs(*second)))
            .count();
        assert_eq!(logged, 29);
    }

    /// However long nothing was written, an hour's worth is all that it may write.
    #[test]
    fn the_bucket_holds_one_hour() {
        let mut limit = RateLimit::new(Some(30), START);
        let later = START + Micros::secs(48 * 3600);
        let logged = (0..100).filter(|_| limit.line(later)).count();
        assert_eq!(logged, 30);
    }

    #[test]
    fn the_smallest_limit_logs_one_episode() {
        let mut limit = RateLimit::new(Some(2), START);
        assert!(limit.begin(START));
        assert!(!limit.begin(START));
        assert!(limit.begin(START + HOUR));
    }

    #[test]
    fn what_was_suppressed_is_summed_up_once_per_hour() {
        let mut limit = RateLimit::new(Some(30), START);
        assert_eq!(limit.deadline(), None);
        limit.suppress(START, 2, 1);
        limit.suppress(START + Micros::secs(10), 1, 0);
        let due = START + HOUR;
        assert_eq!(limit.deadline(), Some(due));
        assert_eq!(limit.summary(due - Micros(1)), None);
        let suppressed = Suppressed {
            count: 3,
            begins: 1,
            since: START,
        };
        assert_eq!(limit.summary(due), Some(suppressed));
        assert_eq!(limit.last_summary(), None);
    }

    #[test]
    fn another_limit_keeps_what_was_suppressed() {
        let mut limit = RateLimit::new(Some(2), START);
        assert!(limit.begin(START) && !limit.begin(START));
        limit.suppress(START, 2, 1);
        limit.set(None, START);
        assert!((0..100_000).all(|_| limit.begin(START)));
        assert_eq!(
            limit.last_summary().map(|suppressed| suppressed.count),
            Some(2)
        );
    }
}
